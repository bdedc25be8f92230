//! How the world lets malicious parties act.

use std::time::Duration;

use crate::crypto::{IdentityKey, SecretKey};
use crate::packet::Slots;
use crate::round::{Done, Submission};
use crate::session;
use crate::wire::{PeerMessage, Reply, Request, SignedBatchHeader};

use super::super::traffic::{Incident, Parcel};
use super::super::{Party, World};
use super::{Deed, Insider, Member, RogueMix};

/// How long a link takes to come back, and a little more.
const RECONNECT: Duration = Duration::from_millis(15);

impl World {
    fn as_rogue<T>(&mut self, own: usize, act: impl FnOnce(&mut dyn RogueMix, &Insider<'_>) -> T) -> Option<T> {
        let geometry = self.plan.geometry();
        self.mixes[own].as_rogue(&self.network, geometry, own, act)
    }

    /// A malicious mix's engine would say this.
    pub(in crate::sim) fn says(&mut self, own: usize, to: usize, message: PeerMessage) {
        let deeds = self.as_rogue(own, |rogue, me| rogue.says(me, to, message));
        self.carry_out(own, deeds.unwrap_or_default());
    }

    /// A malicious mix's engine would hand on this batch.
    pub(in crate::sim) fn hands_on(
        &mut self,
        own: usize,
        _to: usize,
        header: SignedBatchHeader,
        packets: Vec<Vec<u8>>,
    ) {
        let (round, output, honest) = (header.header.round, header.header.output, packets.clone());
        let deeds = self.as_rogue(own, |rogue, me| rogue.hands_on(me, header, packets)).unwrap_or_default();
        self.mixes[own].touched.insert(round, output);
        self.note(&honest, &deeds);
        self.carry_out(own, deeds);
    }

    fn note(&mut self, honest: &[Vec<u8>], deeds: &[Deed]) {
        for deed in deeds {
            match deed {
                Deed::HandOn(header, packets) => self.toll.sends(honest, header, packets),
                Deed::Later(_, deeds) | Deed::Cut(deeds) => self.note(honest, deeds),
                _ => {}
            }
        }
    }

    /// What a mix hears of what another says.
    pub(in crate::sim) fn heard(&mut self, own: usize, from: usize, message: PeerMessage) -> Option<PeerMessage> {
        if self.mixes[own].rogue.is_none() {
            return Some(message);
        }
        let (heard, deeds) = self.as_rogue(own, |rogue, me| rogue.hears(me, from, message))?;
        self.carry_out(own, deeds);
        heard
    }

    /// What a mix's engine is told of a job.
    pub(in crate::sim) fn found(&mut self, own: usize, done: Done) -> Done {
        let Some(mut rogue) = self.mixes[own].rogue.take() else { return done };
        let done = rogue.finds(done);
        self.mixes[own].rogue = Some(rogue);
        done
    }

    /// A mix has made a batch: malicious ones are told what of it is noise.
    pub(in crate::sim) fn overhear(&mut self, maker: usize, done: &Done) {
        let Done::Shuffled { batch, .. } = done else { return };
        let others = self.mixes.iter_mut().enumerate().filter(|(mix, _)| *mix != maker);
        for rogue in others.filter_map(|(_, mix)| mix.rogue.as_mut()) {
            batch.noise().for_each(|(_, packet)| rogue.overhears(packet));
        }
    }

    /// What a mix's engine gets of what a client asks.
    pub(in crate::sim) fn asked(
        &mut self,
        own: usize,
        client: usize,
        request: Request,
        submission: Option<Submission>,
    ) -> Option<(Request, Option<Submission>)> {
        let (Request::Submit { round }, Some(given)) = (&request, &submission) else {
            return Some((request, submission));
        };
        if self.mixes[own].rogue.is_none() {
            return Some((request, submission));
        }
        let (round, before) = (*round, given.packets.received(0).to_vec());
        let taken = self.as_rogue(own, |rogue, me| rogue.takes(me, client as u32, round, submission?))??;
        if taken.packets.received(0) != before {
            self.toll.forges(round, client as u32);
        }
        Some((request, Some(taken)))
    }

    /// What a client gets of what a mix's engine answers it.
    pub(in crate::sim) fn answered(&mut self, own: usize, client: usize, reply: Reply) -> Reply {
        if self.mixes[own].rogue.is_none() {
            return reply;
        }
        let given = reply.clone();
        self.as_rogue(own, |rogue, me| rogue.answers(me, client as u32, given)).unwrap_or(reply)
    }

    /// A malicious mix acts.
    pub(in crate::sim) fn carry_out(&mut self, own: usize, deeds: Vec<Deed>) {
        let next = own + 1;
        for deed in deeds {
            match deed {
                Deed::Say(to, message) => self.post(Party::Mix(own), Party::Mix(to), || Parcel::Peer(message.clone())),
                Deed::HandOn(header, packets) => self.send_batch(own, next, &header, &packets),
                Deed::Cut(deeds) => {
                    self.cut(Party::Mix(own), Party::Mix(next));
                    let (a, b) = (Party::Mix(own), Party::Mix(next));
                    self.schedule(self.faults.latency, Incident::Connect { a, b });
                    self.schedule(RECONNECT, Incident::Deeds { mix: own, deeds });
                }
                Deed::Later(after, deeds) => self.schedule(after, Incident::Deeds { mix: own, deeds }),
            }
        }
    }

    /// A malicious client's engine would submit this.
    pub(in crate::sim) fn submits(
        &mut self,
        own: usize,
        id: session::RequestId,
        round: u64,
        submission: (Vec<u8>, Vec<u8>),
    ) {
        let geometry = self.plan.geometry();
        let packets = self.plan.packets_per_client as usize;
        let client = &mut self.clients[own];
        let epochs = client.disk.epochs().unwrap_or_default();
        let document = epochs.into_iter().rev().map(|signed| signed.document);
        let document = document.into_iter().find(|document| document.position(round).is_some());
        let (Some(document), Some(mut rogue)) = (document, client.rogue.take()) else { return };
        let identity = IdentityKey::from_seed(&client.secrets.identity);
        let list = SecretKey::from_bytes(client.secrets.list);
        let me = Member { index: own as u32, identity: &identity, list: &list, document, geometry, packets };
        let sent = rogue.submits(&me, round, submission);
        client.rogue = Some(rogue);
        for (packets, records) in sent {
            let packets = Slots::from_packets(geometry, &packets);
            let submission = packets.map(|packets| Submission { packets, records });
            self.ask(Party::Client(own), Party::Mix(0), id, Request::Submit { round }, submission);
        }
    }
}
