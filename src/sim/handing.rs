//! How clients hand over what the entry refuses, and entries that refuse.

use std::time::Duration;

use crate::packet::Slots;
use crate::round::Submission;
use crate::session;
use crate::wire::{Exhibit, Members, PeerMessage, Refusal, Reply, Request};

use super::injury::pair;
use super::traffic::{Incident, Parcel};
use super::{Party, World};

/// How a malicious entry keeps chosen clients out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Refusing {
    /// It says that they are late.
    #[default]
    Openly,
    /// It says nothing.
    Silently,
    /// It breaks their links, which are made anew.
    Cutting,
}

impl World {
    /// From now on the entry does not take the submissions of `clients`, and takes those of all others; of nobody, and
    /// it is as it was.
    pub fn refuse(&mut self, clients: impl IntoIterator<Item = usize>, how: Refusing) {
        self.refused = clients.into_iter().collect();
        self.refusing = how;
    }

    /// A malicious entry does not take this submission.
    pub(super) fn refuses(&mut self, client: usize, id: session::RequestId) {
        let (me, theirs) = (Party::Mix(0), Party::Client(client));
        match self.refusing {
            Refusing::Silently => {}
            Refusing::Openly => {
                let mut reply = Some(Parcel::Reply { id, reply: Reply::Refused(Refusal::Late), letters: Vec::new() });
                self.post(me, theirs, || reply.take().expect("replies to clients are not duplicated"));
            }
            Refusing::Cutting => {
                self.cut(me, theirs);
                self.schedule(self.faults.latency * 2, Incident::Connect { a: me, b: theirs });
            }
        }
    }

    /// A client hands its submission to a mix: over the link that stands, or one that is made for it.
    pub(super) fn hands_over(
        &mut self,
        own: usize,
        to: usize,
        (id, round): (session::RequestId, u64),
        (packets, records): (Vec<u8>, Vec<u8>),
    ) {
        let (me, mix) = (Party::Client(own), Party::Mix(to));
        // Three times the way for a handshake.
        let mut after = Duration::ZERO;
        if to + 1 < self.mixes.len() && !self.links.contains_key(&pair(me, mix)) {
            self.connect(me, mix);
            after = self.faults.latency * 3;
        }
        self.clients[own].handed.insert(id, to);
        if !self.links.contains_key(&pair(me, mix)) {
            return self.hand_overs_fail(own, to);
        }
        let (packets, records) = self.mischievous(own, round, packets, records);
        let packets = Slots::from_packets(self.plan.geometry(), &packets);
        let submission = packets.map(|packets| Submission { packets, records });
        let parcel = Parcel::Request { id, request: Request::HandOver { round }, submission };
        self.post_after(after, me, mix, vec![parcel]);
    }

    /// The link that they went over is gone.
    pub(super) fn hand_overs_fail(&mut self, own: usize, to: usize) {
        let handed = &mut self.clients[own].handed;
        let lost: Vec<_> = handed.iter().filter(|(_, mix)| **mix == to).map(|(id, _)| *id).collect();
        handed.retain(|_, mix| *mix != to);
        for id in lost {
            let (run, event) = (self.clients[own].run, Box::new(session::Event::Failed { id }));
            self.schedule(Duration::ZERO, Incident::Client { client: own, run, event });
        }
    }

    /// What the engine of a malicious entry hears of other mixes' words about hand-overs, and of those that a malicious mix
    /// has changed.
    pub(super) fn overheard(&self, from: usize, message: PeerMessage) -> PeerMessage {
        match message {
            PeerMessage::HandedOver { round, .. } if self.passes_over => {
                PeerMessage::HandedOver { round, clients: Members::none(self.network.roster.clients.len()) }
            }
            PeerMessage::Show { round, exhibit: exhibit @ Exhibit::Submission { .. }, mut piece } => {
                if let Some((_, byte)) = self.spoils.filter(|(mix, _)| *mix == from) {
                    let at = byte.checked_rem_euclid(piece.bytes.len() as isize).unwrap_or(0);
                    let mut bytes = piece.bytes.to_vec();
                    bytes[at as usize] ^= 1;
                    piece.bytes = bytes.into();
                }
                PeerMessage::Show { round, exhibit, piece }
            }
            other => other,
        }
    }
}
