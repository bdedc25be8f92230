//! Every order in which a sealed round can go, for two and three mixes.
//!
//! The model runs the real [`Seal`]s of one round in every interleaving of what can happen to them: messages arrive in any
//! order, late, twice or never; facts reach the disk or do not; processes die at any moment, between the disk and the word
//! too, and start again; time-outs fire whenever they like; a client or a mix makes somebody find a mismatch; and one mix, at
//! each position in turn, may be malicious: it says whatever it could sign, at any time, to anybody.
//!
//! - A world is the state of each honest mix and the set of all that honest mixes ever said. That set only grows: to hear
//!   something late is to hear it in a later world, to hear it never is a world where nobody did, and hearing it twice
//!   changes nothing. What a malicious mix can say is always there to be heard, so that it needs no state.
//! - A mix is its seal, its disk and what is on the way to the disk. Seals are deterministic: what each makes of each input
//!   is computed once and remembered (`Model::turns`), which keeps the search cheap in an unoptimised build.
//! - `Model::check` holds what must be true of each step, `Model::check_end` what must be true where nothing can happen any
//!   more. The search is breadth-first, so that a violation comes with a shortest way to it.
//! - Controls go the same way with one [`Knob`] turned; each must end in a violation.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking; the numbers are part of the result"
)]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use mixnet::crypto::Digest;
use mixnet::round::Seal;
use mixnet::round::seal::{Ending, Event, Fact, Message, Position, SealError, Secret, Stage, Step};
use mixnet::wire::Mismatch;

/// What kind of world is explored.
#[derive(Clone, Copy)]
struct Plan {
    mixes: usize,
    threshold: usize,
    malicious: Option<usize>,
    /// Somebody may find a mismatch, and time-outs fire.
    trouble: bool,
    /// How often one mix may crash, and all together.
    crashes: (u8, u8),
    knob: Knob,
    /// Every word is heard by itself, at every moment: the same search without its short cut.
    word_by_word: bool,
    /// The violation that a control looks for, passing by any other.
    sought: Option<&'static str>,
}

/// What a control does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Knob {
    Sound,
    /// What follows from a fact is said before the fact is on disk.
    SayBeforeDisk,
    /// A crash takes the disk's facts with it.
    ForgetfulDisk,
    /// Round keys survive a crash, and the mix goes on with them.
    KeysOnDisk,
    /// The next mix's confirm is taken for granted.
    OneConfirmLess,
    /// The next mix's burn is taken for granted.
    OneBurntLess,
}

/// The transcript that honest mixes find, and another, under which a malicious mix can make echoes look good.
const A: Digest = Digest([0xa; 32]);
const B: Digest = Digest([0xb; 32]);
const ENDINGS: [Ending; 3] = [Ending::Stored, Ending::Aborted, Ending::OpenedNotStored];
/// The bit, among those of messages, that says that the honest exit has opened.
const OPENED: u64 = 1 << 63;

/// The bit that says that a mix has accused somebody of something.
fn accused(mix: usize) -> u64 {
    1 << (60 + mix)
}

/// A search beyond this is a fault of the model.
const MOST_WORLDS: usize = 4_000_000;

/// An honest mix.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Mix {
    seal: Seal,
    disk: Vec<Fact>,
    /// Facts on their way to the disk, in order.
    queue: Vec<Fact>,
    crashes: u8,
    /// Which secrets this process has erased, or never had: share, onion key.
    erased: [bool; 2],
}

/// What can happen to a mix.
#[derive(Clone, Copy, Debug)]
enum Input {
    /// Something of its own: the batch, the echoes, the clock.
    Own(Event),
    /// It hears a mix.
    Hear(usize, Message),
    /// The oldest fact on its way is on disk, and the mix is told.
    Disk,
    /// The disk does not take the letters.
    DiskFull,
    /// It dies when so many facts on the way had reached the disk, and starts again.
    Crash(usize),
}

/// A mix behind an input, what it says thereby, and the error if it refuses.
type Outcome = (Mix, u64, Option<SealError>);

/// What a mix makes of an input.
#[derive(Clone, Debug)]
struct Turn {
    /// What it hears right before, and only remembers.
    heard: Vec<Input>,
    input: Input,
    /// All of these must have been said before.
    needs: u64,
    next: u32,
    /// What it says thereby.
    says: u64,
    refused: Option<SealError>,
}

/// Everything there is: a number for each mix's state, and a bit for each message ever said.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct World {
    mixes: [u32; 3],
    said: u64,
}

/// The search.
struct Model {
    plan: Plan,
    /// Every message that an honest mix can say, by its bit.
    messages: Vec<(usize, Message)>,
    states: Vec<Mix>,
    numbers: HashMap<Mix, u32, Fold>,
    turns: HashMap<(usize, u32), Rc<[Turn]>, Fold>,
    /// All that was said where nothing can happen any more.
    ends: BTreeSet<u64>,
    endings: HashMap<Option<Ending>, usize>,
}

/// What a search found.
struct Found {
    worlds: usize,
    ends: BTreeSet<u64>,
    steps: usize,
    /// Worlds at an end, by the ending that all honest mixes signed; none, if they signed no common one.
    endings: HashMap<Option<Ending>, usize>,
    violation: Option<(String, Vec<String>)>,
}

impl Plan {
    fn honest(mixes: usize) -> Self {
        Self {
            mixes,
            threshold: mixes,
            malicious: None,
            trouble: true,
            crashes: (0, 0),
            knob: Knob::Sound,
            word_by_word: false,
            sought: None,
        }
    }

    fn is_honest(&self, mix: usize) -> bool {
        self.malicious != Some(mix)
    }

    fn has_honest_exit(&self) -> bool {
        self.is_honest(self.mixes - 1)
    }

    fn needs_all(&self) -> bool {
        self.threshold == self.mixes
    }

    fn position(&self, own: usize) -> Position {
        Position { own, mixes: self.mixes, threshold: self.threshold }
    }

    /// Everything that an honest mix can ever say.
    fn vocabulary(&self) -> Vec<Message> {
        let mut all = vec![Message::Confirm(A), Message::Share, Message::Burnt, Message::OnionKey];
        all.extend(ENDINGS.map(Message::Ending));
        all.push(Message::Accusation(Mismatch::Echo { place: 0 }));
        if let Some(liar) = self.malicious {
            all.push(Message::Confirm(B));
            let hops = 1..=self.mixes as u8;
            all.extend(hops.map(|hop| Message::Accusation(Mismatch::Transcript { hop })));
            all.push(Message::Accusation(Mismatch::Equivocation { hop: liar as u8 + 1 }));
        }
        all
    }

    /// What can happen to a mix besides messages of honest ones.
    fn inputs(&self, own: usize, mix: &Mix) -> Vec<Input> {
        let mut all = vec![Input::Own(Event::Listed), Input::Own(Event::Forwarded), Input::Own(Event::Echoed(A))];
        all.push(Input::Own(Event::Opened));
        if self.trouble {
            all.push(Input::Own(Event::Mismatch(Mismatch::Echo { place: 0 })));
            all.push(Input::Own(Event::TimedOut));
        }
        if self.trouble && own == self.mixes - 1 {
            all.push(Input::DiskFull);
        }
        if !mix.queue.is_empty() {
            all.push(Input::Disk);
        }
        if mix.crashes < self.crashes.0 {
            all.extend((0..=mix.queue.len()).map(Input::Crash));
        }
        if let Some(liar) = self.malicious {
            // Its echoes may look good under another transcript to some.
            all.push(Input::Own(Event::Echoed(B)));
            let accusation = Message::Accusation(Mismatch::Echo { place: 0 });
            let any = [Message::Confirm(A), Message::Confirm(B), accusation, Message::Burnt, Message::OnionKey];
            all.extend(any.map(|message| Input::Hear(liar, message)));
            if own == self.mixes - 1 {
                all.push(Input::Hear(liar, Message::Share));
            }
            if liar == self.mixes - 1 {
                all.extend(ENDINGS.map(|ending| Input::Hear(liar, Message::Ending(ending))));
            }
        }
        all
    }
}

impl Mix {
    /// A round that opens. With three mixes list and batch are behind it, as nothing but the way to the echoes depends on them;
    /// with two the search begins at the list.
    fn new(plan: &Plan, own: usize) -> Self {
        let mut seal = Seal::new(plan.position(own));
        if plan.mixes > 2 {
            for event in [Event::Listed, Event::Forwarded] {
                assert_eq!(seal.handle(event), Ok(Vec::new()));
            }
        }
        if plan.knob == Knob::OneBurntLess {
            let next = (own + 1) % plan.mixes;
            assert_eq!(seal.handle(Event::Burnt { from: next }), Ok(Vec::new()));
        }
        Self { seal, disk: Vec::new(), queue: Vec::new(), crashes: 0, erased: [false; 2] }
    }

    /// What it does with an input; none if that cannot happen now.
    fn take(&mut self, plan: &Plan, own: usize, input: Input) -> Result<Vec<Step>, SealError> {
        let event = match input {
            Input::Own(event) => event,
            Input::Hear(from, message) => match heard(from, message) {
                Some(event) => event,
                None => return Ok(Vec::new()),
            },
            Input::Disk => {
                let fact = self.queue.remove(0);
                self.disk.push(fact);
                if plan.knob == Knob::SayBeforeDisk {
                    return Ok(Vec::new());
                }
                Event::Persisted(fact)
            }
            Input::DiskFull => {
                let stored = Fact::Ended(Ending::Stored);
                if self.queue.first() != Some(&stored) {
                    return Ok(Vec::new());
                }
                self.queue.remove(0);
                Event::NotStored
            }
            Input::Crash(written) => return Ok(self.crash(plan, own, written)),
        };
        let mut steps = self.seal.handle(event)?;
        if let (Knob::OneConfirmLess, Event::Echoed(transcript)) = (plan.knob, event) {
            let from = (own + 1) % plan.mixes;
            steps.extend(self.seal.handle(Event::Confirm { from, transcript })?);
        }
        self.write(plan, &mut steps);
        for (erased, secret) in self.erased.iter_mut().zip([Secret::Share, Secret::OnionKey]) {
            *erased |= steps.contains(&Step::Erase(secret));
        }
        Ok(steps)
    }

    fn crash(&mut self, plan: &Plan, own: usize, written: usize) -> Vec<Step> {
        self.disk.extend(self.queue.drain(..).take(written));
        if plan.knob == Knob::ForgetfulDisk {
            self.disk.clear();
        }
        let (seal, mut steps) = match plan.knob {
            Knob::KeysOnDisk => (Self::new(plan, own).seal, Vec::new()),
            _ => Seal::restarted(plan.position(own), &self.disk),
        };
        let (disk, crashes) = (std::mem::take(&mut self.disk), self.crashes + 1);
        let erased = [plan.knob != Knob::KeysOnDisk; 2];
        *self = Self { seal, disk, queue: Vec::new(), crashes, erased };
        self.write(plan, &mut steps);
        steps
    }

    /// Takes what goes to the disk out of `steps`.
    fn write(&mut self, plan: &Plan, steps: &mut Vec<Step>) {
        let mut at = 0;
        while at < steps.len() {
            let Step::Persist(fact) = steps[at] else {
                at += 1;
                continue;
            };
            steps.remove(at);
            self.queue.push(fact);
            if plan.knob == Knob::SayBeforeDisk {
                steps.extend(self.seal.handle(Event::Persisted(fact)).expect("it was asked for"));
            }
        }
    }
}

/// Whether a mix only remembers what it heard.
fn is_quiet(before: &Mix, (after, says, refused): &Outcome) -> bool {
    let same = after.queue == before.queue && after.disk == before.disk && after.erased == before.erased;
    same && *says == 0 && refused.is_none() && after.seal.stage() == before.seal.stage()
}

/// What a mix's word is to another's seal.
fn heard(from: usize, message: Message) -> Option<Event> {
    match message {
        Message::Confirm(transcript) => Some(Event::Confirm { from, transcript }),
        Message::Share => Some(Event::Share { from }),
        Message::Accusation(_) => Some(Event::Accusation { from }),
        Message::Burnt => Some(Event::Burnt { from }),
        Message::OnionKey => Some(Event::OnionKey { from }),
        Message::Ending(ending) => Some(Event::Decision(ending)),
        // A lost mix's silence shows in time-outs, whenever they fire.
        Message::Lost => None,
    }
}

impl Model {
    fn new(plan: Plan) -> Self {
        let messages: Vec<_> = (0..plan.mixes)
            .filter(|mix| plan.is_honest(*mix))
            .flat_map(|mix| plan.vocabulary().into_iter().map(move |message| (mix, message)))
            .collect();
        assert!(messages.len() < 60, "a message is a bit");
        let (states, numbers, turns) = (Vec::new(), HashMap::default(), HashMap::default());
        Self { plan, messages, states, numbers, turns, ends: BTreeSet::new(), endings: HashMap::new() }
    }

    /// Every world that can be reached, until one is wrong.
    fn explore(plan: Plan) -> Found {
        let mut model = Self::new(plan);
        let mut first = World { mixes: [0; 3], said: 0 };
        for own in 0..plan.mixes {
            first.mixes[own] = model.number(Mix::new(&plan, own));
        }
        // With how one came there: the world before and the mix's turn.
        let mut worlds = vec![(first, 0, (0, 0))];
        let mut known = HashSet::<World, Fold>::default();
        known.insert(first);
        let (mut at, mut steps, mut violation) = (0, 0, None);
        while at < worlds.len() && violation.is_none() {
            assert!(worlds.len() < MOST_WORLDS, "the search grew beyond what a test may take");
            let world = worlds[at].0;
            let mut is_end = true;
            'mixes: for own in (0..plan.mixes).filter(|mix| plan.is_honest(*mix)) {
                let turns = model.turns(own, world.mixes[own]);
                for (number, turn) in turns.iter().enumerate() {
                    if world.said & turn.needs != turn.needs || !model.may_crash(&world, turn.input) {
                        continue;
                    }
                    let mut next = World { said: world.said | turn.says, ..world };
                    next.mixes[own] = turn.next;
                    let fault = model.check(&world, &next, own, turn);
                    if next == world && fault.is_none() {
                        continue;
                    }
                    steps += 1;
                    is_end &= matches!(turn.input, Input::Crash(_));
                    if known.insert(next) || fault.is_some() {
                        worlds.push((next, at, (own, number)));
                    }
                    if fault.is_some() {
                        violation = fault;
                        break 'mixes;
                    }
                }
            }
            if is_end && violation.is_none() {
                violation = model.check_end(&world);
                if violation.is_some() {
                    worlds.push(worlds[at]);
                }
            }
            at += 1;
        }
        let violation = violation.map(|what| (what, model.way(&worlds)));
        Found { worlds: worlds.len(), ends: model.ends, steps, endings: model.endings, violation }
    }

    fn number(&mut self, mix: Mix) -> u32 {
        let next = self.states.len() as u32;
        *self.numbers.entry(mix).or_insert_with_key(|mix| {
            self.states.push(mix.clone());
            next
        })
    }

    /// All that can happen to a mix in this state: computed by its seal, once.
    ///
    /// Most of what a mix hears it only remembers. To try such words at every moment would multiply worlds without adding
    /// one that differs, so they are heard at the last moment: a turn is an input together with the words heard right before
    /// it. Which ones is not argued but computed: a word is left out if the same comes of it when it is heard behind the
    /// input, or not at all.
    fn turns(&mut self, own: usize, state: u32) -> Rc<[Turn]> {
        if let Some(turns) = self.turns.get(&(own, state)) {
            return Rc::clone(turns);
        }
        let mix = self.states[state as usize].clone();
        let mut words = self.honest_words(own, &mix);
        let (heard, other): (Vec<Input>, Vec<Input>) =
            self.plan.inputs(own, &mix).into_iter().partition(|input| matches!(input, Input::Hear(..)));
        words.extend(heard.into_iter().map(|input| (input, 0)));
        let inputs: Vec<(Input, u64)> =
            words.iter().copied().chain(other.into_iter().map(|input| (input, 0))).collect();
        let mut turns = Vec::new();
        // The mix after each set of words that it only remembers.
        let mut quiet = vec![(0u64, 0u64, mix.clone())];
        let mut at = 0;
        while at < quiet.len() {
            let (set, needs, base) = quiet[at].clone();
            for (number, (input, bit)) in inputs.iter().enumerate() {
                let outcome = self.outcome(own, &base, *input);
                if outcome.0 == base && outcome.1 == 0 && outcome.2.is_none() {
                    continue;
                }
                if number < words.len() && is_quiet(&base, &outcome) && !self.plan.word_by_word {
                    let (set, needs) = (set | 1 << number, needs | bit);
                    if quiet.iter().all(|(known, ..)| *known != set) {
                        quiet.push((set, needs, outcome.0));
                    }
                    continue;
                }
                let before = (0..words.len()).filter(|word| set & 1 << word != 0);
                let can_wait = |word: usize| {
                    let without = quiet.iter().find(|(known, ..)| *known == set & !(1 << word));
                    without.is_some_and(|(.., base)| {
                        let earlier = self.outcome(own, base, *input);
                        let then = self.outcome(own, &earlier.0, words[word].0);
                        let behind = is_quiet(&earlier.0, &then) && (then.0, earlier.1, earlier.2) == outcome;
                        behind || earlier == outcome
                    })
                };
                if before.clone().any(can_wait) {
                    continue;
                }
                let (next, says, refused) = outcome;
                let next = if refused.is_some() { state } else { self.number(next) };
                let heard = before.map(|word| words[word].0).collect();
                turns.push(Turn { heard, input: *input, needs: needs | bit, next, says, refused });
            }
            at += 1;
        }
        let turns = Rc::<[Turn]>::from(turns);
        self.turns.insert((own, state), Rc::clone(&turns));
        turns
    }

    /// What a mix may hear of honest ones, with the bit that says that it was said.
    fn honest_words(&self, own: usize, mix: &Mix) -> Vec<(Input, u64)> {
        let exit = self.plan.mixes - 1;
        let can_hear = |from: usize, message: Message| match message {
            Message::Share => own == exit && from != own,
            Message::Ending(_) => from == exit && own != exit,
            // What the accusation says makes no difference: heard below.
            Message::Accusation(_) => false,
            // Others show a restarted mix its own confirm.
            Message::Confirm(_) => from != own || mix.seal.stage() == Stage::Lost,
            _ => from != own,
        };
        let all = self.messages.iter().enumerate().filter(|(_, (from, message))| can_hear(*from, *message));
        let words = all.map(|(bit, (from, message))| (Input::Hear(*from, *message), 1 << bit));
        let others = (0..self.plan.mixes).filter(|mix| *mix != own && self.plan.is_honest(*mix));
        let accusation = Message::Accusation(Mismatch::Echo { place: 0 });
        words.chain(others.map(|mix| (Input::Hear(mix, accusation), accused(mix)))).collect()
    }

    /// The mix behind an input, what it says thereby, and the error if it refuses.
    fn outcome(&self, own: usize, mix: &Mix, input: Input) -> Outcome {
        let mut next = mix.clone();
        match next.take(&self.plan, own, input) {
            Ok(steps) => (next, steps.iter().fold(0, |says, step| says | self.bit(own, step)), None),
            Err(error) => {
                assert!(next == *mix, "an error changes nothing");
                (next, 0, Some(error))
            }
        }
    }

    fn bit(&self, own: usize, step: &Step) -> u64 {
        match step {
            Step::Say(Message::Lost) => 0,
            Step::Say(message) => {
                let at = self.messages.iter().position(|said| *said == (own, *message));
                let bit = 1 << at.expect("the vocabulary holds all that is said");
                if let Message::Accusation(_) = message { bit | accused(own) } else { bit }
            }
            Step::Open => OPENED,
            Step::Persist(_) | Step::Erase(Secret::Share | Secret::OnionKey) | Step::Equivocated(_) | Step::Stop => 0,
        }
    }

    fn may_crash(&self, world: &World, input: Input) -> bool {
        if !matches!(input, Input::Crash(_)) {
            return true;
        }
        let honest = (0..self.plan.mixes).filter(|mix| self.plan.is_honest(*mix));
        honest.map(|mix| self.states[world.mixes[mix] as usize].crashes).sum::<u8>() < self.plan.crashes.1
    }

    /// What honest mixes have said so far that `which` picks.
    fn said(&self, said: u64, which: impl Fn(usize, Message) -> bool) -> impl Iterator<Item = (usize, Message)> {
        let all = self.messages.iter().enumerate();
        all.filter(move |(bit, (from, message))| said & 1 << bit != 0 && which(*from, *message)).map(|(_, said)| *said)
    }

    /// The bits of this message, whoever says it.
    fn bits(&self, message: Message) -> u64 {
        let all = self.messages.iter().enumerate().filter(|(_, (_, said))| *said == message);
        all.fold(0, |bits, (bit, _)| bits | 1 << bit)
    }

    fn have_all_said(&self, said: u64, message: Message) -> bool {
        let bits = self.bits(message);
        bits != 0 && said & bits == bits
    }

    /// What is wrong with a step: nothing, if all is as it must be.
    fn check(&self, before: &World, after: &World, own: usize, turn: &Turn) -> Option<String> {
        let mut wrong = Vec::new();
        if let (Some(error), Input::Hear(_, Message::Ending(ending))) = (turn.refused, turn.input) {
            // With t < L a mix that lost its memory must first be shown confirms.
            let waits = error == SealError::StoredUnreleased && !self.plan.needs_all();
            if self.plan.has_honest_exit() && !waits {
                wrong.push(format!("mix {own} refuses the honest exit's {ending:?}: {error}"));
            }
        }
        if after.said != before.said {
            self.check_release(before, after, own, turn, &mut wrong);
            self.check_burn(before, after, own, turn, &mut wrong);
            self.check_statements(after, turn, &mut wrong);
        }
        wrong.into_iter().find(|what| self.plan.sought.is_none_or(|sought| what.contains(sought)))
    }

    /// A share goes out, or the exit opens: after L identical confirms, never what was erased, never behind a verdict.
    fn check_release(&self, before: &World, after: &World, own: usize, turn: &Turn, wrong: &mut Vec<String>) {
        if turn.says & (self.bits(Message::Share) | OPENED) == 0 {
            return;
        }
        if ![A, B].into_iter().any(|transcript| self.have_all_said(after.said, Message::Confirm(transcript))) {
            wrong.push(format!("mix {own} releases before all confirms are there"));
        }
        if self.states[before.mixes[own] as usize].erased[0] {
            wrong.push(format!("mix {own} releases a share that it has erased"));
        }
        if self.said(before.said, |from, said| from == own && matches!(said, Message::Ending(_))).next().is_some() {
            wrong.push(format!("mix {own} releases a round whose verdict it has signed"));
        }
        let shares = (after.said & self.bits(Message::Share)).count_ones() as usize;
        let malicious = usize::from(self.plan.malicious.is_some());
        if turn.says & OPENED != 0 && shares + malicious + 1 < self.plan.threshold {
            wrong.push("the exit opens without enough shares".into());
        }
    }

    /// An onion key goes out: never beside a share, never before all have burnt, never what was erased, never with t < L.
    fn check_burn(&self, before: &World, after: &World, own: usize, turn: &Turn, wrong: &mut Vec<String>) {
        let key = self.bits(Message::OnionKey);
        if after.said & key != 0 && after.said & (self.bits(Message::Share) | OPENED) != 0 {
            wrong.push("an honest share is released and an honest onion key is published".into());
        }
        if turn.says & key == 0 {
            return;
        }
        if !self.have_all_said(after.said, Message::Burnt) {
            wrong.push(format!("mix {own} publishes before all have burnt"));
        }
        if self.states[before.mixes[own] as usize].erased[1] {
            wrong.push(format!("mix {own} publishes an onion key that it has erased"));
        }
        let first = after.said & key == turn.says & key && self.plan.malicious.is_none();
        if first && after.said & accused(own) == 0 {
            wrong.push(format!("mix {own} publishes before an accuser"));
        }
        if !self.plan.needs_all() {
            wrong.push("an onion key is published though others' shares could open the round".into());
        }
    }

    /// One statement of a kind, and none that a round was aborted behind a release.
    fn check_statements(&self, after: &World, turn: &Turn, wrong: &mut Vec<String>) {
        for (mix, message) in self.said(turn.says, |_, _| true) {
            let kind = std::mem::discriminant(&message);
            let alike = |from, other| from == mix && std::mem::discriminant(&other) == kind;
            if self.said(after.said, alike).count() > 1 {
                wrong.push(format!("mix {mix} signs {message:?} and another such"));
            }
        }
        let released = self.bits(Message::Share) | OPENED;
        for (mix, _) in self.said(after.said, |_, said| said == Message::Ending(Ending::Aborted)) {
            // With a malicious exit one that has not released may not know; who has stops the verdict.
            let own = self.said(after.said, |from, said| (from, said) == (mix, Message::Share)).next().is_some();
            if if self.plan.has_honest_exit() { after.said & released != 0 } else { own } {
                wrong.push(format!("mix {mix} calls a round aborted after a release"));
            }
        }
    }

    /// What must be true when nothing can happen any more, whatever was lost on the way: one verdict, signed by all who are
    /// honest, unless the exit is not.
    fn check_end(&mut self, world: &World) -> Option<String> {
        self.ends.insert(world.said);
        let common = ENDINGS.into_iter().find(|ending| self.have_all_said(world.said, Message::Ending(*ending)));
        *self.endings.entry(common).or_default() += 1;
        if self.plan.has_honest_exit() && common.is_none() && self.plan.sought.is_none() {
            return Some("the round ends without a verdict".into());
        }
        let calm = !self.plan.trouble && self.plan.crashes.1 == 0;
        (calm && common != Some(Ending::Stored)).then(|| "nothing went wrong and the round is not stored".into())
    }

    /// The steps that lead to the last world.
    fn way(&self, worlds: &[(World, usize, (usize, usize))]) -> Vec<String> {
        let mut way = Vec::new();
        let mut at = worlds.len() - 1;
        while at != 0 {
            let (_, before, (own, number)) = worlds[at];
            let turn = &self.turns[&(own, worlds[before].0.mixes[own])][number];
            let says: Vec<_> = self.said(turn.says, |_, _| true).map(|(_, message)| message).collect();
            way.push(format!("mix {own}: {:?} {:?} -> {says:?}", turn.heard, turn.input));
            at = before;
        }
        way.reverse();
        way
    }
}

/// A hash that is fast without an optimiser; nobody chooses these keys to collide.
type Fold = BuildHasherDefault<Folding>;

#[derive(Default)]
struct Folding(u64);

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.chunks(8).for_each(|chunk| {
            let word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(word);
        });
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }
}

/// Explores a sound plan, and says what was seen.
fn holds(name: &str, plan: Plan) -> Found {
    let began = std::time::Instant::now();
    let found = Model::explore(plan);
    println!(
        "{name}: {} worlds, {} steps, {} ways to end: {:?}, {:.1} s",
        found.worlds,
        found.steps,
        found.ends.len(),
        found.endings,
        began.elapsed().as_secs_f32()
    );
    if let Some((what, way)) = &found.violation {
        panic!("{name}: {what}, after\n{}", way.join("\n"));
    }
    found
}

#[test]
fn without_faults_every_order_ends_in_a_stored_round() {
    for mixes in [2, 3] {
        holds(&format!("calm, {mixes} mixes"), Plan { trouble: false, ..Plan::honest(mixes) });
    }
}

#[test]
fn honest_mixes_agree_whatever_is_lost_late_or_killed() {
    holds("2 mixes, 2 crashes each", Plan { crashes: (2, 4), ..Plan::honest(2) });
    holds("3 mixes, 2 crashes", Plan { crashes: (1, 2), ..Plan::honest(3) });
}

#[test]
fn no_malicious_mix_gets_a_share_and_an_onion_key() {
    for liar in 0..2 {
        holds(
            &format!("2 mixes, mix {liar} malicious"),
            Plan { malicious: Some(liar), crashes: (2, 2), ..Plan::honest(2) },
        );
    }
    for liar in 0..3 {
        holds(
            &format!("3 mixes, mix {liar} malicious"),
            Plan { malicious: Some(liar), crashes: (1, 2), ..Plan::honest(3) },
        );
    }
}

#[test]
fn words_heard_late_lead_wherever_words_heard_at_once_lead() {
    for malicious in [None, Some(0), Some(1)] {
        let plan = Plan { malicious, crashes: (1, 2), ..Plan::honest(2) };
        let short = holds("2 mixes", plan);
        let long = holds("2 mixes, word by word", Plan { word_by_word: true, ..plan });
        assert!(short.worlds < long.worlds);
        assert_eq!(short.ends, long.ends, "all that is ever said");
    }
}

#[test]
fn with_fewer_shares_needed_nothing_is_published_and_a_lost_mix_stops_no_verdict() {
    let plan = Plan { threshold: 2, crashes: (1, 1), ..Plan::honest(3) };
    holds("2 of 3, 1 crash", plan);
    for liar in 0..3 {
        holds(&format!("2 of 3, mix {liar} malicious"), Plan { malicious: Some(liar), crashes: (0, 0), ..plan });
    }
}

/// Explores a plan with a knob turned, which must lead to the violation sought.
fn fails(plan: Plan) {
    let Plan { mixes, knob, sought, .. } = plan;
    let found = Model::explore(plan);
    let Some((what, way)) = found.violation else { panic!("{knob:?}, {mixes} mixes: not {sought:?}") };
    println!("{knob:?}, {mixes} mixes, {} worlds: {what}, after\n  {}", found.worlds, way.join("\n  "));
}

#[test]
fn controls_fail() {
    let aborted = "calls a round aborted after a release";
    let refused = "refuses the honest exit's Aborted";
    let both = "an honest share is released and an honest onion key is published";
    for (mixes, knob, sought) in [
        (2, Knob::SayBeforeDisk, aborted),
        (3, Knob::SayBeforeDisk, aborted),
        (2, Knob::ForgetfulDisk, refused),
        (2, Knob::ForgetfulDisk, aborted),
        (2, Knob::KeysOnDisk, both),
        (2, Knob::OneConfirmLess, "before all confirms"),
        (3, Knob::OneConfirmLess, "before all confirms"),
        (2, Knob::OneBurntLess, "before all have burnt"),
        (3, Knob::OneBurntLess, both),
    ] {
        fails(Plan { knob, crashes: (1, 1), sought: Some(sought), ..Plan::honest(mixes) });
    }
}
