//! Who sees what no party can see alone, and whether it fits together.

use std::collections::{BTreeMap, BTreeSet};

use crate::blame::Finding;
use crate::session;
use crate::store::MessageName;
use crate::wire::{PeerMessage, Reply, SignedVerdict, Verdict};

use super::traffic::Parcel;

/// What must never be seen.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Violation {
    /// One round has two different verdicts or decisions.
    TwoVerdicts,
    /// A client submitted twice to one round.
    SubmittedTwice,
    /// A client's disk handed out one round twice.
    RoundUsedTwice,
    /// A fragment went again although no complete verdict said that its round did not store it.
    ResentWithoutVerdict,
    /// A round was settled otherwise than its verdict says.
    SettledAgainstVerdict,
    /// A client gave up waiting for a round's verdict.
    Abandoned,
    /// A verdict says stored, and its letters never arrived.
    StoredAndGone,
    /// A letter arrived that no verdict says is stored.
    ArrivedUnstored,
    /// Something that must stay bounded has grown.
    Grown,
    /// A mix has convicted somebody, where nobody is guilty.
    Convicted,
    /// Of one round a share was released and an onion key published.
    ReleasedAndPublished,
}

impl Violation {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Violation::TwoVerdicts => "two_verdicts",
            Violation::SubmittedTwice => "submitted_twice",
            Violation::RoundUsedTwice => "round_used_twice",
            Violation::ResentWithoutVerdict => "resent_without_verdict",
            Violation::SettledAgainstVerdict => "settled_against_verdict",
            Violation::Abandoned => "abandoned",
            Violation::StoredAndGone => "stored_and_gone",
            Violation::ArrivedUnstored => "arrived_unstored",
            Violation::Grown => "grown",
            Violation::Convicted => "convicted",
            Violation::ReleasedAndPublished => "released_and_published",
        }
    }
}

/// A fragment, wherever it travels.
type Piece = (MessageName, u32);

/// Looks at what goes over links and onto disks, and keeps what must fit together.
#[derive(Default)]
pub struct Witness {
    opened: u64,
    decided: BTreeMap<u64, Verdict>,
    complete: BTreeMap<u64, Verdict>,
    submitted: BTreeSet<(usize, u64)>,
    carried: BTreeMap<(usize, u64), Vec<Piece>>,
    travels: BTreeMap<Piece, Vec<u64>>,
    arrived: BTreeSet<(Piece, u64)>,
    /// Rounds of which a share has left an honest mix, and those of which an onion key has.
    released: BTreeSet<u64>,
    published: BTreeSet<u64>,
    /// Somebody is guilty here: convictions are as it should be.
    expects_guilt: bool,
    violations: BTreeMap<Violation, u64>,
    details: Vec<String>,
}

/// Descriptions that are kept: the first say most.
const DETAILS: usize = 12;

impl Witness {
    /// One where somebody is guilty: convictions are as it should be.
    pub fn of_guilt() -> Self {
        Self { expects_guilt: true, ..Self::default() }
    }

    /// Rounds whose numbers have been spent.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Rounds with a complete verdict.
    pub fn complete(&self) -> usize {
        self.complete.len()
    }

    /// What was seen that must not be, and how often.
    pub fn violations(&self) -> &BTreeMap<Violation, u64> {
        &self.violations
    }

    /// The first of them in words.
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// How many letters of a message have reached its recipient, those that came again included.
    pub fn arrivals(&self, message: &MessageName) -> usize {
        self.arrived.iter().filter(|((name, _), _)| name == message).count()
    }

    /// Where a message's fragments have been: (fragment, rounds that carried it, how they ended).
    pub fn journey(&self, message: &MessageName) -> Vec<String> {
        let pieces = self.travels.range((*message, 0)..=(*message, u32::MAX));
        let ended = |round: &u64| match self.complete.get(round) {
            Some(verdict) => format!("{round} {:?} {}", verdict.outcome, verdict.members.count()),
            None => format!("{round} without verdict"),
        };
        pieces
            .map(|((_, index), rounds)| format!("{index}: {}", rounds.iter().map(ended).collect::<Vec<_>>().join(", ")))
            .collect()
    }

    /// Notes a violation.
    pub fn object(&mut self, violation: Violation, detail: String) {
        *self.violations.entry(violation).or_default() += 1;
        if self.details.len() < DETAILS {
            self.details.push(format!("{}: {detail}", violation.name()));
        }
    }

    /// All is over and everything on its way has arrived: what was stored is there, what was not is not.
    pub fn conclude(&mut self) {
        let mut found = Vec::new();
        for ((client, round), pieces) in &self.carried {
            let verdict = self.complete.get(round);
            let stored = verdict.is_some_and(|verdict| verdict.settles(*client as u32));
            for piece in pieces {
                let there = self.arrived.contains(&(*piece, *round));
                let what = || format!("client {client} round {round} fragment {} of {:02x?}", piece.1, &piece.0[..4]);
                match (stored, there) {
                    (true, false) => found.push((Violation::StoredAndGone, what())),
                    (false, true) => found.push((Violation::ArrivedUnstored, what())),
                    _ => {}
                }
            }
        }
        found.into_iter().for_each(|(violation, detail)| self.object(violation, detail));
    }

    /// A mix's disk has done something; perhaps spent a round's number.
    pub(super) fn recorded(&mut self, opened: Option<u64>) {
        self.opened += u64::from(opened.is_some());
    }

    /// A client hands a submission to its link.
    pub(super) fn submitted(&mut self, client: usize, round: u64) {
        if !self.submitted.insert((client, round)) {
            self.object(Violation::SubmittedTwice, format!("client {client} round {round}"));
        }
    }

    /// A parcel is on its way.
    pub(super) fn posted(&mut self, parcel: &Parcel) {
        match parcel {
            Parcel::Peer(PeerMessage::Decision { verdict, .. }) => self.decided(verdict),
            Parcel::Peer(PeerMessage::VerdictComplete(signed)) => self.completed(signed),
            Parcel::Peer(PeerMessage::Release { round, transcript, .. }) if transcript.0 != [0; 32] => {
                self.released.insert(*round);
                self.exclude(*round);
            }
            Parcel::Peer(PeerMessage::OnionKey { key, .. }) => {
                self.published.insert(key.slot.round);
                self.exclude(key.slot.round);
            }
            Parcel::Reply { reply: Reply::Ticket(ticket), .. } => {
                ticket.verdicts.iter().for_each(|signed| self.completed(signed));
            }
            _ => {}
        }
    }

    fn exclude(&mut self, round: u64) {
        if self.released.contains(&round) && self.published.contains(&round) {
            self.object(Violation::ReleasedAndPublished, format!("round {round}"));
        }
    }

    /// A mix has convicted somebody.
    pub(super) fn convicted(&mut self, mix: usize, finding: &Finding) {
        if !self.expects_guilt {
            self.object(Violation::Convicted, format!("mix {mix}: {finding:?}"));
        }
    }

    /// A client's disk has done something.
    pub(super) fn carried_out(&mut self, client: usize, chore: &session::Action, event: Option<&session::Event>) {
        match (chore, event) {
            (_, Some(session::Event::Reserved { round, result: Ok(fragments) })) => {
                let pieces = fragments.iter().map(|fragment| (fragment.message.0, fragment.index)).collect();
                self.reserved(client, *round, pieces);
            }
            (session::Action::Settle { round, carried }, _) => self.settled(client, *round, *carried),
            (session::Action::Abandon { round }, _) => {
                self.object(Violation::Abandoned, format!("client {client} round {round}"));
            }
            (session::Action::Deliver { arrivals, .. }, _) => {
                let pieces = arrivals.iter().map(|arrival| ((arrival.message.0, arrival.index), arrival.round));
                self.arrived.extend(pieces);
            }
            _ => {}
        }
    }

    fn reserved(&mut self, client: usize, round: u64, pieces: Vec<Piece>) {
        for piece in &pieces {
            let before = self.travels.entry(*piece).or_default();
            let open = before.iter().find(|earlier| {
                let verdict = self.complete.get(earlier);
                verdict.is_none_or(|verdict| verdict.settles(client as u32))
            });
            let open = open.copied();
            before.push(round);
            if let Some(earlier) = open {
                let detail = format!("client {client} fragment {} of round {earlier} in round {round}", piece.1);
                self.object(Violation::ResentWithoutVerdict, detail);
            }
        }
        if self.carried.insert((client, round), pieces).is_some() {
            self.object(Violation::RoundUsedTwice, format!("client {client} round {round}"));
        }
    }

    fn settled(&mut self, client: usize, round: u64, carried: bool) {
        let said = self.complete.get(&round).map(|verdict| verdict.settles(client as u32));
        if said != Some(carried) {
            let detail = format!("client {client} round {round}: {carried}, the verdict says {said:?}");
            self.object(Violation::SettledAgainstVerdict, detail);
        }
    }

    fn decided(&mut self, verdict: &Verdict) {
        let first = self.decided.entry(verdict.round).or_insert_with(|| verdict.clone());
        if first != verdict {
            let detail = format!("round {}: {:?}, then {:?}", verdict.round, first.outcome, verdict.outcome);
            self.object(Violation::TwoVerdicts, detail);
        }
    }

    fn completed(&mut self, signed: &SignedVerdict) {
        self.decided(&signed.verdict);
        self.complete.entry(signed.verdict.round).or_insert_with(|| signed.verdict.clone());
    }
}
