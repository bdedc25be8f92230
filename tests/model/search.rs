//! The search through all worlds, and what must be true in each.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use mixnet::round::seal::{Ending, Message, SealError, Secret, Stage, Step};
use mixnet::wire::Mismatch;

use super::fold::Fold;
use super::mix::{Input, Mix, Outcome, is_quiet};
use super::plan::{A, B, ENDINGS, Plan};

/// The bit, among those of messages, that says that the honest exit has opened.
const OPENED: u64 = 1 << 63;

/// The bit that says that a mix has accused somebody of something.
fn accused(mix: usize) -> u64 {
    1 << (60 + mix)
}

/// A search beyond this is a fault of the model.
const MOST_WORLDS: usize = 4_000_000;

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
pub(crate) struct Model {
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
pub(crate) struct Found {
    pub(crate) worlds: usize,
    pub(crate) ends: BTreeSet<u64>,
    pub(crate) steps: usize,
    /// Worlds at an end, by the ending that all honest mixes signed; none, if they signed no common one.
    pub(crate) endings: HashMap<Option<Ending>, usize>,
    pub(crate) violation: Option<(String, Vec<String>)>,
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
    pub(crate) fn explore(plan: Plan) -> Found {
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
            mix.inputs(&self.plan, own).into_iter().partition(|input| matches!(input, Input::Hear(..)));
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
