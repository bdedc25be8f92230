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
//!   is computed once and remembered (`Turns`), which keeps millions of steps cheap in an unoptimised build.
//! - `Model::check` holds what must be true of each step, `Model::check_end` what must be true where nothing can happen any
//!   more. The search is breadth-first, so that a violation comes with a shortest way to it.
//! - Controls go the same way with one [`Knob`] turned; each must end in a violation.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking; the numbers are part of the result"
)]

use std::collections::HashMap;

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

const A: Digest = Digest([0xa; 32]);
const B: Digest = Digest([0xb; 32]);
const ENDINGS: [Ending; 3] = [Ending::Stored, Ending::Aborted, Ending::OpenedNotStored];
/// The bit, among those of messages, that says that the honest exit has opened.
const OPENED: u64 = 1 << 63;

/// An honest mix.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Mix {
    seal: Seal,
    disk: Vec<Fact>,
    queue: Vec<Fact>,
    crashes: u8,
    /// This process has given the round up: it must not release any more.
    gave_up: bool,
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

/// What a mix makes of an input.
#[derive(Clone, Debug)]
struct Turn {
    input: Input,
    /// Any of these must have been said before; nothing, if zero.
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
    numbers: HashMap<Mix, u32>,
    turns: HashMap<(usize, u32), Vec<Turn>>,
    ends: usize,
    endings: HashMap<Option<Ending>, usize>,
}

/// What a search found.
struct Found {
    worlds: usize,
    ends: usize,
    steps: usize,
    /// Ends by the ending that all honest mixes signed; none, if they signed no common one.
    endings: HashMap<Option<Ending>, usize>,
    violation: Option<(String, Vec<String>)>,
}

impl Plan {
    fn honest(mixes: usize) -> Self {
        Self { mixes, threshold: mixes, malicious: None, trouble: true, crashes: (0, 0), knob: Knob::Sound }
    }

    fn is_honest(&self, mix: usize) -> bool {
        self.malicious != Some(mix)
    }

    fn has_honest_exit(&self) -> bool {
        self.is_honest(self.mixes - 1)
    }

    fn position(&self, own: usize) -> Position {
        Position { own, mixes: self.mixes, threshold: self.threshold }
    }

    fn others(&self, own: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.mixes).filter(move |mix| *mix != own)
    }

    /// Everything that a mix can ever say.
    fn vocabulary(&self) -> Vec<Message> {
        let mut all = vec![Message::Confirm(A), Message::Confirm(B), Message::Share, Message::Burnt, Message::OnionKey];
        all.push(Message::Lost);
        all.extend(ENDINGS.map(Message::Ending));
        all.push(Message::Accusation(Mismatch::Echo { place: 0 }));
        for hop in 1..=self.mixes as u8 {
            all.push(Message::Accusation(Mismatch::Transcript { hop }));
            all.push(Message::Accusation(Mismatch::Equivocation { hop }));
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
    /// A round that opens. With three mixes what comes before the echoes is over: it leads nowhere that the echoes do not.
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
        Self { seal, disk: Vec::new(), queue: Vec::new(), crashes: 0, gave_up: false }
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
        self.gave_up |= event == Event::TimedOut;
        if let (Knob::OneConfirmLess, Event::Echoed(transcript)) = (plan.knob, event) {
            let from = (own + 1) % plan.mixes;
            steps.extend(self.seal.handle(Event::Confirm { from, transcript })?);
        }
        self.write(plan, &mut steps);
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
        *self = Self {
            seal,
            disk: std::mem::take(&mut self.disk),
            queue: Vec::new(),
            crashes: self.crashes + 1,
            gave_up: false,
        };
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
        assert!(messages.len() < 63, "a message is a bit");
        let (states, numbers, turns) = (Vec::new(), HashMap::new(), HashMap::new());
        Self { plan, messages, states, numbers, turns, ends: 0, endings: HashMap::new() }
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
        let mut known = HashMap::from([(first, ())]);
        let (mut at, mut steps, mut violation) = (0, 0, None);
        while at < worlds.len() && violation.is_none() {
            let world = worlds[at].0;
            let mut is_end = true;
            'mixes: for own in (0..plan.mixes).filter(|mix| plan.is_honest(*mix)) {
                let turns = model.turns(own, world.mixes[own]);
                for (number, turn) in turns.iter().enumerate() {
                    if turn.needs != 0 && world.said & turn.needs == 0 || !model.may_crash(&world, turn.input) {
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
                    if known.insert(next, ()).is_none() || fault.is_some() {
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
    fn turns(&mut self, own: usize, state: u32) -> Vec<Turn> {
        if let Some(turns) = self.turns.get(&(own, state)) {
            return turns.clone();
        }
        let mix = self.states[state as usize].clone();
        let own_inputs = self.plan.inputs(own, &mix).into_iter().map(|input| (input, 0));
        let exit = self.plan.mixes - 1;
        let can_hear = |(from, message): &(usize, Message)| match message {
            Message::Share => own == exit && *from != own,
            Message::Ending(_) => *from == exit && own != exit,
            // Others show a restarted mix its own confirm.
            Message::Confirm(_) => *from != own || mix.seal.stage() == Stage::Lost,
            _ => *from != own,
        };
        let heard = self.messages.iter().enumerate().filter(|(_, message)| can_hear(message));
        let heard = heard.map(|(bit, (from, message))| (Input::Hear(*from, *message), 1 << bit));
        let inputs: Vec<(Input, u64)> = own_inputs.chain(heard).collect();
        let mut turns = Vec::new();
        for (input, needs) in inputs {
            let mut next = mix.clone();
            let (steps, refused) = match next.take(&self.plan, own, input) {
                Ok(steps) => (steps, None),
                Err(error) => {
                    assert!(next == mix || matches!(input, Input::DiskFull), "an error changes nothing");
                    (Vec::new(), Some(error))
                }
            };
            let says = steps.iter().fold(0, |says, step| says | self.bit(own, step));
            if next != mix || says != 0 || refused.is_some() {
                let next = self.number(next);
                turns.push(Turn { input, needs, next, says, refused });
            }
        }
        self.turns.insert((own, state), turns.clone());
        turns
    }

    fn bit(&self, own: usize, step: &Step) -> u64 {
        match step {
            Step::Say(message) => {
                let at = self.messages.iter().position(|said| *said == (own, *message));
                1 << at.expect("the vocabulary holds all that is said")
            }
            Step::Open => OPENED,
            Step::Persist(_) | Step::Erase(Secret::Share | Secret::OnionKey) | Step::Equivocated(_) | Step::Stop => 0,
        }
    }

    fn may_crash(&self, world: &World, input: Input) -> bool {
        let honest = (0..self.plan.mixes).filter(|mix| self.plan.is_honest(*mix));
        let crashes = honest.map(|mix| self.states[world.mixes[mix] as usize].crashes).sum::<u8>();
        !matches!(input, Input::Crash(_)) || crashes < self.plan.crashes.1
    }

    /// What honest mixes have said so far that `which` picks.
    fn said(&self, said: u64, which: impl Fn(usize, Message) -> bool) -> impl Iterator<Item = (usize, Message)> {
        let all = self.messages.iter().enumerate();
        all.filter(move |(bit, (from, message))| said & 1 << bit != 0 && which(*from, *message)).map(|(_, said)| *said)
    }

    fn have_all_said(&self, said: u64, message: Message) -> bool {
        let honest = (0..self.plan.mixes).filter(|mix| self.plan.is_honest(*mix)).count();
        self.said(said, |_, other| other == message).count() == honest
    }

    /// What must be true of every step.
    fn check(&self, before: &World, after: &World, own: usize, turn: &Turn) -> Option<String> {
        let honest_exit = self.plan.has_honest_exit();
        if let (Some(error), Input::Hear(_, Message::Ending(ending))) = (turn.refused, turn.input) {
            // With t < L a mix that lost its memory must first be shown all confirms.
            let waits = error == SealError::StoredUnreleased && !self.plan.needs_all();
            if honest_exit && !waits {
                return Some(format!("mix {own} refuses the honest exit's {ending:?}: {error}"));
            }
        }
        if turn.says == 0 || after.said == before.said && turn.says & after.said == turn.says {
            return None;
        }
        let now = |message| self.said(turn.says, move |_, said| said == message).next().is_some();
        let said_by =
            |mix, message| self.said(after.said, move |from, said| (from, said) == (mix, message)).next().is_some();
        let ended =
            |mix| self.said(before.said, move |from, said| from == mix && matches!(said, Message::Ending(_))).next();

        // Release.
        let states = &self.states[before.mixes[own] as usize];
        if now(Message::Share) || turn.says & OPENED != 0 {
            let confirms_of = |transcript| self.have_all_said(after.said, Message::Confirm(transcript));
            let own_confirm = if said_by(own, Message::Confirm(A)) { A } else { B };
            if !confirms_of(own_confirm) {
                return Some(format!("mix {own} releases before all confirms are there"));
            }
            if states.gave_up {
                return Some(format!("mix {own} releases a round that it gave up"));
            }
            if ended(own).is_some() {
                return Some(format!("mix {own} releases a round whose verdict it signed"));
            }
        }
        if turn.says & OPENED != 0 {
            let shares = self.said(after.said, |_, said| said == Message::Share).count();
            let malicious = usize::from(self.plan.malicious.is_some());
            if shares + malicious + 1 < self.plan.threshold {
                return Some("the exit opens without enough shares".into());
            }
        }
        // Burn.
        let released =
            after.said & OPENED != 0 || self.said(after.said, |_, said| said == Message::Share).next().is_some();
        let published = self.said(after.said, |_, said| said == Message::OnionKey).next().is_some();
        if released && published {
            return Some("an honest share is released and an honest onion key is published".into());
        }
        if now(Message::OnionKey) && !self.have_all_said(after.said, Message::Burnt) {
            return Some(format!("mix {own} publishes before all have burnt"));
        }
        if published && !self.plan.needs_all() {
            return Some("an onion key is published though shares of others could open the round".into());
        }
        // Verdict.
        let aborted = |mix| said_by(mix, Message::Ending(Ending::Aborted));
        for mix in 0..self.plan.mixes {
            // With a malicious exit one that has not released cannot know; the one that has stops the verdict.
            let concerned = if honest_exit { released } else { said_by(mix, Message::Share) };
            if aborted(mix) && concerned {
                return Some(format!("mix {mix} calls a round aborted after a release"));
            }
        }
        // One statement of a kind.
        let twice = |(mix, one): (usize, Message)| {
            let kind = std::mem::discriminant(&one);
            self.said(after.said, move |from, other| from == mix && std::mem::discriminant(&other) == kind).count() > 1
        };
        let mut new = self.said(turn.says, |_, _| true);
        new.find(|said| twice(*said)).map(|(mix, message)| format!("mix {mix} signs {message:?} and another such"))
    }

    /// What must be true when nothing can happen any more, whatever was lost on the way: one verdict, signed by all who are
    /// honest, unless the exit is not.
    fn check_end(&mut self, world: &World) -> Option<String> {
        self.ends += 1;
        let common = ENDINGS.into_iter().find(|ending| self.have_all_said(world.said, Message::Ending(*ending)));
        *self.endings.entry(common).or_default() += 1;
        if self.plan.has_honest_exit() && common.is_none() {
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
            way.push(format!("mix {own}: {:?} -> {says:?}", turn.input));
            at = before;
        }
        way.reverse();
        way
    }
}

impl Plan {
    fn needs_all(&self) -> bool {
        self.threshold == self.mixes
    }
}

/// Explores a sound plan, and says what was seen.
fn holds(name: &str, plan: Plan) -> Found {
    let began = std::time::Instant::now();
    let found = Model::explore(plan);
    println!(
        "{name}: {} worlds, {} steps, {} ends {:?}, {:.1} s",
        found.worlds,
        found.steps,
        found.ends,
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
    holds("3 mixes, 1 crash", Plan { crashes: (1, 1), ..Plan::honest(3) });
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
