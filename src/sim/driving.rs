//! How the world carries out what engines want done.

use std::time::Duration;

use crate::mix;
use crate::packet::Slots;
use crate::round::OutgoingBatch;
use crate::session::{self, Link};
use crate::wire::{Reply, Request, SignedBatchHeader, batch_digest};

use super::traffic::{Incident, Parcel};
use super::{Malice, Party, World};

/// Packets of a batch that are handed over together.
const SEGMENT: usize = 64;
/// How long a disk takes.
const DISK: Duration = Duration::from_millis(1);

impl World {
    /// Gives an event to a mix and does what it then wants done. A test may call it to play an adversary's part.
    pub fn at_mix(&mut self, own: usize, event: mix::Event) {
        let Some(engine) = self.mixes[own].engine.as_mut() else { return };
        engine.handle(self.now, event);
        while let Some(action) = self.mixes[own].engine.as_mut().and_then(mix::Mix::poll_action) {
            self.mix_action(own, action);
        }
        self.wake(Party::Mix(own));
    }

    fn mix_action(&mut self, own: usize, action: mix::Action) {
        let run = self.mixes[own].run;
        let me = Party::Mix(own);
        match action {
            mix::Action::Send { to, message } => self.post(me, Party::Mix(to), || Parcel::Peer(message.clone())),
            mix::Action::Forward { to, batch } => self.forward(own, to, &batch),
            mix::Action::Reply { id, reply } => self.reply(own, id, reply, Vec::new()),
            mix::Action::Poll { id, mailbox, acknowledged, after } => {
                let disk = &self.mixes[own].disk;
                let (answer, letters) = disk.answer(&mailbox, after).expect("memory does not fail");
                disk.acknowledge(&mailbox, acknowledged).expect("memory does not fail");
                self.reply(own, id, Reply::Letters(answer), letters);
            }
            mix::Action::Work(job) => {
                let event = Box::new(mix::Event::Worked(job.run()));
                self.schedule(Duration::ZERO, Incident::Mix { mix: own, run, event });
            }
            mix::Action::Persist { token, record } => {
                let result = self.mixes[own].disk.persist(record);
                let event = Box::new(mix::Event::Persisted { token, result });
                self.schedule(DISK, Incident::Mix { mix: own, run, event });
            }
            mix::Action::Note(note) => self.mixes[own].notes.push(note),
        }
    }

    fn reply(&mut self, own: usize, id: mix::RequestId, reply: Reply, letters: Vec<u8>) {
        if let Some((client, asked)) = self.mixes[own].requests.remove(&id) {
            let mut parcel = Some(Parcel::Reply { id: asked, reply, letters });
            self.post(Party::Mix(own), Party::Client(client), || {
                parcel.take().expect("replies to clients are not duplicated")
            });
        }
    }

    fn forward(&mut self, own: usize, to: usize, batch: &OutgoingBatch) {
        let geometry = self.plan.geometry();
        let mut packets: Vec<Vec<u8>> = batch.packets.packets().map(<[u8]>::to_vec).collect();
        let mut header = batch.header.clone();
        let malice = self.mixes[own].malice;
        if let Some(malice) = malice {
            malice.touch(geometry, &mut packets);
            header = self.sign_again(own, &header, malice, &packets);
        }
        if self.recording {
            self.batches.push((own, header.header.round, packets.clone()));
        }
        self.send_batch(own, to, &header, &packets);
        if malice == Some(Malice::RunTwice) {
            packets.reverse();
            let second = self.sign_again(own, &header, Malice::Reverse, &packets);
            self.send_batch(own, to, &second, &packets);
        }
    }

    fn sign_again(
        &self,
        own: usize,
        signed: &SignedBatchHeader,
        malice: Malice,
        packets: &[Vec<u8>],
    ) -> SignedBatchHeader {
        let mut header = signed.header.clone();
        let mut digest = batch_digest();
        packets.iter().for_each(|packet| digest.update(packet));
        header.output = digest.finish();
        header.count = packets.len() as u32 + u32::from(malice == Malice::Overcount);
        header.sign(self.mixes[own].key())
    }

    fn send_batch(&mut self, own: usize, to: usize, header: &SignedBatchHeader, packets: &[Vec<u8>]) {
        let geometry = self.plan.geometry();
        self.next_stream += 1;
        let stream = self.next_stream;
        let segments = |_: ()| -> Vec<Slots> {
            let pieces = packets.chunks(SEGMENT).map(<[Vec<u8>]>::concat);
            pieces.filter_map(|piece| Slots::from_packets(geometry, &piece)).collect()
        };
        self.post(Party::Mix(own), Party::Mix(to), || Parcel::Batch {
            stream,
            header: Box::new(header.clone()),
            segments: segments(()),
        });
    }

    /// Gives an event to a client and does what it then wants done.
    pub fn at_client(&mut self, own: usize, event: session::Event) {
        let Some(engine) = self.clients[own].engine.as_mut() else { return };
        engine.handle(self.now, event);
        while let Some(action) = self.clients[own].engine.as_mut().and_then(session::Session::poll_action) {
            self.client_action(own, action);
        }
        self.wake(Party::Client(own));
    }

    fn client_action(&mut self, own: usize, action: session::Action) {
        let me = Party::Client(own);
        let exit = self.mixes.len() - 1;
        let event = match action {
            session::Action::Request { link, id, request } => {
                let to = Party::Mix(if link == Link::Entry { 0 } else { exit });
                self.ask(me, to, id, request, None);
                None
            }
            session::Action::Submit { id, round, packets } => {
                let packets = Slots::from_packets(self.plan.geometry(), &packets);
                self.ask(me, Party::Mix(0), id, Request::Submit { round }, packets);
                None
            }
            session::Action::Build(job) => Some(session::Event::Built(job.run())),
            session::Action::Open(job) => Some(session::Event::Opened(job.run())),
            session::Action::Note(note) => {
                self.clients[own].notes.push(note);
                None
            }
            session::Action::Cancel { .. } | session::Action::Stopped => None,
            chore => self.clients[own].disk.carry_out(&chore).expect("memory does not fail"),
        };
        if let Some(event) = event {
            let (run, event) = (self.clients[own].run, Box::new(event));
            self.schedule(DISK, Incident::Client { client: own, run, event });
        }
    }

    fn ask(&mut self, from: Party, to: Party, id: session::RequestId, request: Request, mut packets: Option<Slots>) {
        self.post(from, to, || Parcel::Request { id, request: request.clone(), packets: packets.take() });
    }
}
