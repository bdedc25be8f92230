//! What `status` shows of a session.

use std::collections::{HashMap, VecDeque};

use crate::wire::{Outcome, Refusal};

use super::LetterCounts;

/// Rounds in the history.
pub(super) const HISTORY: usize = 32;

/// How a round went for us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoundResult {
    /// The round.
    pub round: u64,
    /// How many clients it had; `None` if we were absent and have no verdict.
    pub clients: Option<u32>,
    /// Its verdict, if we have it.
    pub outcome: Option<Outcome>,
    /// Whether it went without us.
    pub missed: bool,
    /// How many of its clients were not in the stored round before it, or no longer; `None` unless both were stored and are
    /// known.
    pub changed: Option<u32>,
}

/// A session at a glance.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Whether the link to the entry is up, and post-quantum if so.
    pub entry: Option<bool>,
    /// Whether the link to the exit is up, and post-quantum if so.
    pub exit: Option<bool>,
    /// Whether the entry has us registered.
    pub registered: bool,
    /// The newest epoch known; 0 for none.
    pub epoch: u64,
    /// The round of the last ticket; 0 for none.
    pub round: u64,
    /// The last 32 rounds, oldest first.
    pub rounds: VecDeque<RoundResult>,
    /// Everything counted.
    pub counters: Counters,
    /// Refusals by kind.
    pub refusals: HashMap<Refusal, u64>,
}

impl Status {
    /// Adds a result; a verdict on a round replaces what was said of it before.
    pub(super) fn record(&mut self, result: RoundResult) {
        self.rounds.retain(|known| known.round != result.round);
        if self.rounds.len() == HISTORY {
            self.rounds.pop_front();
        }
        let at = self.rounds.partition_point(|known| known.round < result.round);
        self.rounds.insert(at, result);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What has been counted since the session began. None of it depends on what the user sends.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Every counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Submissions handed to the entry's link.
    submissions,
    /// Rounds reserved and not submitted to: the close had passed, the link was down, or the next round had begun.
    submissions_late,
    /// Receipts that verify.
    receipts,
    /// Receipts that do not.
    receipts_bad,
    /// Submissions without a receipt.
    receipts_missing,
    /// Rounds of which there was no receipt in time, so that our submission went to the other mixes.
    handed_over,
    /// Mixes that took it.
    hand_overs_taken,
    /// Mixes that did not, or did not answer.
    hand_overs_missing,
    /// Answers to requests that nobody waits for.
    replies_unknown,
    /// Answers of the wrong kind, or that break a rule.
    replies_malformed,
    /// Requests that broke off.
    requests_failed,
    /// Tickets for a round not newer than the last.
    tickets_stale,
    /// Tickets for a round of no known epoch.
    tickets_unknown_epoch,
    /// Tickets without a verdict that they owe: we were absent.
    tickets_incomplete,
    /// Tickets for a round that has closed, or that was used before a restart: we were absent.
    tickets_closed,
    /// Epoch documents that do not verify.
    documents_invalid,
    /// Epoch documents that are not newer.
    documents_stale,
    /// Epoch documents that contradict a known one.
    documents_forked,
    /// Verdicts of another network.
    verdicts_foreign,
    /// Verdicts that came before their ticket.
    verdicts_early,
    /// Verdicts without every mix's signature.
    verdicts_forged,
    /// Reservations with more than was asked for.
    reservations_excess,
    /// Polls given up because the exit was away or too many were open.
    polls_skipped,
    /// Poll answers of the wrong size or count.
    answers_malformed,
    /// Poll answers dropped because too many were being opened and delivered.
    answers_dropped,
    /// Dummies received.
    letters_dummy,
    /// Letters that do not open, or open to nonsense.
    letters_unopenable,
    /// Letters whose epoch or expiry is out of range.
    letters_expired,
    /// Letters that claim a contact without its tag; shown as anonymous.
    letters_misattributed,
}

impl Counters {
    pub(super) fn add_letters(&mut self, counts: &LetterCounts) {
        self.letters_dummy += counts.dummy;
        self.letters_unopenable += counts.unopenable;
        self.letters_expired += counts.expired;
        self.letters_misattributed += counts.misattributed;
    }
}
