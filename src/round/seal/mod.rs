//! Sealing a round: one mix's decisions from the list to the verdict.
//!
//! | stage | holds | what leads on |
//! |---|---|---|
//! | List, Mix, Echo | share, onion key | all signatures under the list; the batch handed on; the echoes checked |
//! | Confirming (exit) | share, onion key | *Confirmed* on disk: says its confirm |
//! | Confirmed | share, onion key | L identical confirms: decides to release; the exit, with all shares, opens |
//! | Releasing | share, onion key | *Released* on disk: says its share, erases both |
//! | Released, Opening | nothing | the verdict |
//! | Burning | share, onion key | *Burning* on disk: erases its share, says so |
//! | Burnt | onion key | L such words, and an accuser's key if it is not one: publishes its onion key |
//! | Published, Over, Lost | nothing | the verdict |
//!
//! A signed mismatch, the own or another's, leads from every stage before Releasing and Opening to Burning; a time-out or a
//! verdict from every stage that holds something to Over. A process that starts again holds nothing: Lost.
//!
//! Release and burn exclude each other twice: the stage is left for one of them only, and the fact is on disk before
//! anything is said. `tests/model` tries every order of events.

mod event;
mod facts;
mod verdict;

pub use event::{Ending, Event, Fact, Message, Position, SealError, Secret, Step};

use crate::crypto::Digest;
use crate::wire::Mismatch;

use facts::{Facts, Mixes, hop};

/// Where a round stands at one mix.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// The list waits for signatures; no batch goes out.
    List,
    /// The batch may go out.
    Mix,
    /// Echoes travel back.
    Echo,
    /// At the exit: its confirm is on its way to the disk.
    Confirming,
    /// This mix has confirmed.
    Confirmed,
    /// Its release is on its way to the disk.
    Releasing,
    /// Its share is out.
    Released,
    /// At the exit: the shares are joined.
    Opening,
    /// Its burn is on its way to the disk.
    Burning,
    /// Its share is erased, and it said so.
    Burnt,
    /// Its onion key is out.
    Published,
    /// Nothing is left to be done but the verdict.
    Over,
    /// The process that took part is gone, and the keys with it.
    Lost,
}

/// One round's decisions at one mix: events in, steps out. It holds no secrets; it says when they are used or erased.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Seal {
    position: Position,
    stage: Stage,
    /// On disk, or on the way there: either binds.
    facts: Facts,
    /// On the way.
    pending: Vec<Fact>,
    holds_share: bool,
    holds_onion_key: bool,
    /// The first confirm of each mix.
    confirms: Vec<Option<Digest>>,
    equivocators: Mixes,
    shares: Mixes,
    accusation: Option<Mismatch>,
    accusers: Mixes,
    burnt: Mixes,
    published: Mixes,
}

impl Seal {
    /// A round that opens: its keys are in memory, nothing is on disk.
    pub fn new(position: Position) -> Self {
        Self {
            position,
            stage: Stage::List,
            facts: Facts::default(),
            pending: Vec::new(),
            holds_share: true,
            holds_onion_key: true,
            confirms: vec![None; position.mixes],
            equivocators: Mixes::default(),
            shares: Mixes::default(),
            accusation: None,
            accusers: Mixes::default(),
            burnt: Mixes::default(),
            published: Mixes::default(),
        }
    }

    /// A round that was open when the process ended, with what its disk knows: it never confirms, releases or publishes
    /// again. The exit decides it at once.
    pub fn restarted(position: Position, on_disk: &[Fact]) -> (Self, Vec<Step>) {
        let mut seal = Self { stage: Stage::Lost, holds_share: false, holds_onion_key: false, ..Self::new(position) };
        on_disk.iter().for_each(|fact| seal.facts.record(*fact));
        let mut steps = Vec::new();
        match seal.facts.ended {
            Some(ending) => steps.push(Step::Say(Message::Ending(ending))),
            None => {
                steps.push(Step::Say(Message::Lost));
                seal.decide(&mut steps);
            }
        }
        if seal.facts.burning && !position.needs_all() {
            steps.push(Step::Stop);
        }
        (seal, steps)
    }

    /// What this mix has confirmed, or is about to.
    pub fn transcript(&self) -> Option<Digest> {
        self.confirms[self.position.own]
    }

    /// Where the round stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the batch may go to the next mix: all have signed the list, and the round goes on.
    pub fn may_forward(&self) -> bool {
        matches!(self.stage, Stage::Mix | Stage::Echo)
    }

    /// Takes what happened and says what follows. The same event again changes nothing and asks for nothing.
    ///
    /// # Errors
    /// The [`SealError`]; then nothing has changed.
    pub fn handle(&mut self, event: Event) -> Result<Vec<Step>, SealError> {
        let mut steps = Vec::new();
        if let Event::Share { .. } = event {
            self.must_be_exit()?;
        }
        if let Some(from) = event.from() {
            if from >= self.position.mixes {
                return Err(SealError::UnknownMix(from));
            }
            // A restarted mix learns from its own confirm, which others kept, that it made it.
            if from == self.position.own && self.stage != Stage::Lost {
                return Err(SealError::OwnStatement);
            }
        }
        if !self.matters(&event) {
            return Ok(steps);
        }
        match event {
            Event::Listed => self.pass(Stage::List, Stage::Mix)?,
            Event::Forwarded => self.pass(Stage::Mix, Stage::Echo)?,
            Event::Echoed(transcript) => self.echoed(transcript, &mut steps)?,
            Event::Mismatch(mismatch) => self.burn(Some(mismatch), &mut steps),
            Event::Confirm { from, transcript } => self.heard_confirm(from, transcript, &mut steps),
            Event::Share { from } => self.shares.insert(from),
            Event::Accusation { from } => {
                self.accusers.insert(from);
                self.burn(None, &mut steps);
            }
            Event::Burnt { from } => self.burnt.insert(from),
            Event::OnionKey { from } => self.published.insert(from),
            Event::Persisted(fact) => self.persisted(fact, &mut steps)?,
            Event::Opened => {
                self.must_be_exit()?;
                match self.stage {
                    Stage::Opening => self.end(Ending::Stored, &mut steps),
                    _ => return Err(SealError::TooEarly),
                }
            }
            Event::NotStored => self.not_stored(&mut steps)?,
            Event::Decision(ending) => self.heard_decision(ending, &mut steps)?,
            Event::TimedOut => self.timed_out(&mut steps),
        }
        self.advance(&mut steps);
        Ok(steps)
    }

    /// Whether anything can still follow from what another mix says. What comes too late is not kept.
    fn matters(&self, event: &Event) -> bool {
        match event {
            Event::Share { .. } => self.stage <= Stage::Confirmed,
            Event::Accusation { .. } | Event::Burnt { .. } | Event::OnionKey { .. } => {
                self.stage <= Stage::Confirmed || self.is_burning()
            }
            Event::Confirm { from, .. } => self.stage <= Stage::Opening || self.keeps_confirm(*from),
            _ => true,
        }
    }

    /// Whether a mix's confirm matters to the verdict.
    fn keeps_confirm(&self, mix: usize) -> bool {
        mix == self.position.exit() || mix == self.position.own && !self.position.needs_all()
    }

    fn is_burning(&self) -> bool {
        matches!(self.stage, Stage::Burning | Stage::Burnt)
    }

    /// Goes on to `stage`, and forgets what cannot matter there.
    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.shares = Mixes::default();
        if !self.is_burning() {
            (self.accusers, self.burnt, self.published) = Default::default();
        }
        if stage > Stage::Opening {
            for mix in (0..self.position.mixes).filter(|mix| !self.keeps_confirm(*mix)).collect::<Vec<_>>() {
                self.confirms[mix] = None;
            }
        }
    }

    fn pass(&mut self, from: Stage, to: Stage) -> Result<(), SealError> {
        if self.stage < from {
            return Err(SealError::TooEarly);
        }
        if self.stage == from {
            self.stage = to;
        }
        Ok(())
    }

    fn must_be_exit(&self) -> Result<(), SealError> {
        if self.position.is_exit() { Ok(()) } else { Err(SealError::NotTheExit) }
    }

    fn echoed(&mut self, transcript: Digest, steps: &mut Vec<Step>) -> Result<(), SealError> {
        if self.stage < Stage::Echo {
            return Err(SealError::TooEarly);
        }
        if self.stage > Stage::Echo {
            return Ok(());
        }
        self.confirms[self.position.own] = Some(transcript);
        if let Some(mismatch) = self.other_transcript() {
            self.burn(Some(mismatch), steps);
        } else if self.position.is_exit() {
            self.stage = Stage::Confirming;
            self.persist(Fact::Confirmed, steps);
        } else {
            self.stage = Stage::Confirmed;
            steps.push(Step::Say(Message::Confirm(transcript)));
        }
        Ok(())
    }

    fn heard_confirm(&mut self, from: usize, transcript: Digest, steps: &mut Vec<Step>) {
        match self.confirms[from] {
            None => self.confirms[from] = Some(transcript),
            Some(first) if first != transcript && !self.equivocators.contains(from) => {
                self.equivocators.insert(from);
                steps.push(Step::Equivocated(from));
                self.burn(Some(Mismatch::Equivocation { hop: hop(from) }), steps);
            }
            Some(_) => {}
        }
    }

    /// A confirm that differs from the own one.
    fn other_transcript(&self) -> Option<Mismatch> {
        let own = self.confirms[self.position.own]?;
        let differs = |confirm: &Option<Digest>| confirm.is_some_and(|transcript| transcript != own);
        self.confirms.iter().position(differs).map(|mix| Mismatch::Transcript { hop: hop(mix) })
    }

    fn all_confirm_alike(&self) -> bool {
        self.confirms[0].is_some() && self.confirms.iter().all(|confirm| *confirm == self.confirms[0])
    }

    /// What several events together lead to.
    fn advance(&mut self, steps: &mut Vec<Step>) {
        match self.stage {
            Stage::Confirming | Stage::Confirmed if self.other_transcript().is_some() => {
                self.burn(self.other_transcript(), steps);
            }
            Stage::Confirmed if self.all_confirm_alike() => {
                if !self.position.is_exit() {
                    self.enter(Stage::Releasing);
                    self.persist(Fact::Released, steps);
                } else if self.shares.len() + 1 >= self.position.threshold {
                    // The exit's share goes nowhere: to open is its release, and until then it can still burn.
                    self.enter(Stage::Opening);
                    self.erase(Secret::OnionKey, steps);
                    steps.push(Step::Open);
                }
            }
            Stage::Burnt if self.burnt.len() == self.position.mixes && self.may_follow() => {
                self.enter(Stage::Published);
                if self.holds_onion_key {
                    steps.push(Step::Say(Message::OnionKey));
                    self.erase(Secret::OnionKey, steps);
                }
                self.decide(steps);
            }
            _ => {}
        }
    }

    /// An accuser shows its key first, so that nobody learns the others' by a false word alone.
    fn may_follow(&self) -> bool {
        self.accusation.is_some() || self.accusers.meets(self.published)
    }

    /// Burns the round if this mix has neither released nor let go of it.
    fn burn(&mut self, own: Option<Mismatch>, steps: &mut Vec<Step>) {
        if self.stage < Stage::Releasing {
            self.accusation = own;
            self.enter(Stage::Burning);
            self.persist(Fact::Burning, steps);
        }
    }

    fn burning_is_on_disk(&mut self, steps: &mut Vec<Step>) {
        self.erase(Secret::Share, steps);
        steps.extend(self.accusation.map(|mismatch| Step::Say(Message::Accusation(mismatch))));
        if self.position.needs_all() {
            self.stage = Stage::Burnt;
            self.burnt.insert(self.position.own);
            steps.push(Step::Say(Message::Burnt));
        } else {
            // Others could open the round without this mix, so what it did in it stays its secret.
            self.enter(Stage::Over);
            self.erase(Secret::OnionKey, steps);
            steps.push(Step::Stop);
        }
    }

    fn persist(&mut self, fact: Fact, steps: &mut Vec<Step>) {
        self.facts.record(fact);
        self.pending.push(fact);
        steps.push(Step::Persist(fact));
    }

    fn persisted(&mut self, fact: Fact, steps: &mut Vec<Step>) -> Result<(), SealError> {
        let at = self.pending.iter().position(|pending| *pending == fact).ok_or(SealError::NotAsked(fact))?;
        self.pending.remove(at);
        match (fact, self.stage) {
            (Fact::Confirmed, Stage::Confirming) => {
                self.stage = Stage::Confirmed;
                steps.extend(self.confirms[self.position.own].map(|own| Step::Say(Message::Confirm(own))));
            }
            (Fact::Released, Stage::Releasing) => {
                self.enter(Stage::Released);
                steps.push(Step::Say(Message::Share));
                self.erase_all(steps);
            }
            (Fact::Burning, Stage::Burning) => self.burning_is_on_disk(steps),
            (Fact::Ended(ending), _) => steps.push(Step::Say(Message::Ending(ending))),
            // Overtaken by a time-out or a burn: nothing is said.
            _ => {}
        }
        Ok(())
    }

    fn timed_out(&mut self, steps: &mut Vec<Step>) {
        match self.stage {
            // Opening ends by itself, with a decision; the others hold nothing.
            Stage::Opening | Stage::Released | Stage::Published | Stage::Over | Stage::Lost => {}
            _ => self.let_go(steps),
        }
        if self.stage != Stage::Opening {
            self.decide(steps);
        }
    }

    fn let_go(&mut self, steps: &mut Vec<Step>) {
        self.enter(Stage::Over);
        self.erase_all(steps);
    }

    fn erase_all(&mut self, steps: &mut Vec<Step>) {
        self.erase(Secret::Share, steps);
        self.erase(Secret::OnionKey, steps);
    }

    fn erase(&mut self, secret: Secret, steps: &mut Vec<Step>) {
        let holds = match secret {
            Secret::Share => &mut self.holds_share,
            Secret::OnionKey => &mut self.holds_onion_key,
        };
        if std::mem::take(holds) {
            steps.push(Step::Erase(secret));
        }
    }
}

#[cfg(test)]
mod tests;
