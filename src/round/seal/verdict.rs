//! How a round ends at a mix: what it may sign, what the exit decides.

use super::{Ending, Fact, Seal, SealError, Stage, Step};

impl Seal {
    /// Whether the exit has confirmed, or is about to: it never calls the round aborted then.
    pub fn has_confirmed(&self) -> bool {
        self.facts.confirmed
    }

    /// Whether this mix may sign that the round ended so. It signs one ending, for ever.
    ///
    /// # Errors
    /// Why not. With an honest exit only [`SealError::StoredUnreleased`] happens, with t < L, at a mix that has not
    /// yet been shown the exit's confirm, or after a restart its own.
    pub fn may_sign(&self, ending: Ending) -> Result<(), SealError> {
        if let Some(signed) = self.facts.ended {
            return if signed == ending { Ok(()) } else { Err(SealError::Contradiction) };
        }
        match ending {
            Ending::Aborted if self.facts.released => Err(SealError::AbortAfterRelease),
            Ending::Aborted if self.confirms[self.position.exit()].is_some() => Err(SealError::AbortAfterConfirm),
            // With t = L nothing opens without this mix's share. With t < L it may, but not before this mix has confirmed;
            // what others confirm must not count here, as one that says both this and that could keep the verdict from us.
            Ending::Stored if self.facts.released => Ok(()),
            Ending::Stored if !self.position.needs_all() && self.confirms_with_the_exit() => Ok(()),
            Ending::Stored => Err(SealError::StoredUnreleased),
            // Says no more than that contents go again, which harms nobody: signed in every state.
            Ending::Aborted | Ending::OpenedNotStored => Ok(()),
        }
    }

    /// The exit decides a round that is not opened: its confirm on disk is the border, as only then others can have released.
    pub(super) fn decide(&mut self, steps: &mut Vec<Step>) {
        if self.position.is_exit() && self.facts.ended.is_none() {
            let confirmed = self.facts.confirmed;
            self.end(if confirmed { Ending::OpenedNotStored } else { Ending::Aborted }, steps);
        }
    }

    pub(super) fn not_stored(&mut self, steps: &mut Vec<Step>) -> Result<(), SealError> {
        self.must_be_exit()?;
        let stored = Fact::Ended(Ending::Stored);
        let at = self.pending.iter().position(|pending| *pending == stored).ok_or(SealError::NotAsked(stored))?;
        self.pending.remove(at);
        self.facts.ended = None;
        self.end(Ending::OpenedNotStored, steps);
        Ok(())
    }

    pub(super) fn heard_decision(&mut self, ending: Ending, steps: &mut Vec<Step>) -> Result<(), SealError> {
        if self.position.is_exit() {
            return Err(SealError::IsTheExit);
        }
        self.may_sign(ending)?;
        if self.facts.ended.is_none() {
            self.end(ending, steps);
        }
        Ok(())
    }

    pub(super) fn end(&mut self, ending: Ending, steps: &mut Vec<Step>) {
        // A burn goes on behind its verdict: else an exit that cheats would end it by deciding quickly.
        if !matches!(self.stage, Stage::Burning | Stage::Burnt | Stage::Published | Stage::Lost) {
            self.let_go(steps);
        }
        self.persist(Fact::Ended(ending), steps);
    }

    fn confirms_with_the_exit(&self) -> bool {
        let own = self.confirms[self.position.own];
        own.is_some() && own == self.confirms[self.position.exit()]
    }
}
