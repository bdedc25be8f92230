//! How the world carries out what engines want done.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;

use crate::client;
use crate::mix;
use crate::node::Answer;
use crate::packet::Slots;
use crate::round::{OutgoingBatch, Submission};
use crate::session::{self, Link};
use crate::wire::{
    Members, PeerMessage, Record, Refusal, Reply, Request, SignedBatchHeader, batch_digest, onion_digest,
};

use super::traffic::{Deferred, Incident, Parcel};
use super::{Malice, Party, SimClient, SimMix, World};

/// How long it takes from a commit to whoever asked for it.
const TOLD: Duration = Duration::from_micros(500);
/// How long a client's job takes at least.
const JOB: Duration = Duration::from_millis(1);
/// Pause before a client's disk is asked again for what it has not done.
const AGAIN: Duration = Duration::from_secs(1);

impl World {
    /// Gives an event to a mix and does what it then wants done. A test may call it to play an adversary's part.
    pub fn at_mix(&mut self, own: usize, event: mix::Event) {
        let SimMix { engine: Some(engine), clock, .. } = &mut self.mixes[own] else { return };
        if let Some(waiting) = self.paused.get_mut(&Party::Mix(own)) {
            return waiting.push(Deferred::Mix(Box::new(event)));
        }
        engine.handle(clock.at(self.now), event);
        while let Some(action) = self.mixes[own].engine.as_mut().and_then(mix::Mix::poll_action) {
            match self.springs(own, &action) {
                None => self.mix_action(own, action),
                Some(trap) => {
                    if trap.after {
                        self.mix_action(own, action);
                    }
                    self.crash_mix(own);
                }
            }
        }
        self.wake(Party::Mix(own));
    }

    fn mix_action(&mut self, own: usize, action: mix::Action) {
        let run = self.mixes[own].run;
        let me = Party::Mix(own);
        match action {
            mix::Action::Send { to, message } => {
                if self.mixes[own].rogue.is_some() {
                    return self.says(own, to, message);
                }
                let mix = &self.mixes[own];
                let said = match mix.malice {
                    Some(malice) => malice.say(message, mix.key(), &self.network.id(), to),
                    None => Some(message),
                };
                if let Some(message) = said {
                    self.post(me, Party::Mix(to), || Parcel::Peer(message.clone()));
                }
            }
            mix::Action::Forward { to, batch } => self.forward(own, to, &batch),
            mix::Action::Reply { id, reply } => self.reply(own, id, reply, Vec::new()),
            mix::Action::Poll { id, mailbox, acknowledged, after } => {
                let disk = &self.mixes[own].disk;
                let answer = Answer::begin(disk, &mailbox, after).expect("reading does not fail");
                let (head, letters) = (answer.head(), answer.all(disk).expect("reading does not fail"));
                // What is not deleted comes again and is acknowledged again.
                let _ = disk.acknowledge(&BTreeMap::from([(mailbox, acknowledged)]));
                self.reply(own, id, Reply::Letters(head), letters);
            }
            mix::Action::Work(job) => {
                self.toll.works(own, self.mixes[own].rogue.is_some(), &job);
                if let Some(watch) = self.watch.as_mut() {
                    watch.works(own, self.now, &job);
                }
                let done = match self.stopwatch.as_mut() {
                    Some(stopwatch) => stopwatch.work(job),
                    None => job.run(),
                };
                if let Some(watch) = self.watch.as_mut() {
                    watch.worked(own, self.now, &done);
                }
                let done = match self.mixes[own].malice {
                    Some(malice) => malice.misreport(done),
                    None => done,
                };
                self.overhear(own, &done);
                let done = self.found(own, done);
                let event = Box::new(mix::Event::Worked(done));
                let took = self.faults.work.mul_f64(self.rng.random());
                self.schedule(took, Incident::Mix { mix: own, run, event });
            }
            mix::Action::Persist { token, record } => {
                self.mixes[own].records.push_back((token, record));
                if self.mixes[own].records.len() == 1 {
                    self.disk_begins(me);
                }
            }
            mix::Action::Convicted { finding, .. } => {
                self.mixes[own].convictions.push(finding);
                if let Some(witness) = self.witness.as_mut() {
                    witness.convicted(own, &finding);
                }
            }
            mix::Action::Note(note) => self.mixes[own].notes.push(note),
        }
    }

    fn reply(&mut self, own: usize, id: mix::RequestId, reply: Reply, letters: Vec<u8>) {
        if let Some((client, asked)) = self.mixes[own].requests.remove(&id) {
            let reply = match reply {
                Reply::Receipt(_) if self.lied_to.contains(&client) => Reply::Refused(Refusal::Late),
                honest => honest,
            };
            let reply = self.answered(own, client, reply);
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
        if self.mixes[own].rogue.is_some() {
            return self.hands_on(own, to, header, packets);
        }
        self.toll.hands_on(own, &header, &packets);
        if let Some(watch) = self.watch.as_mut() {
            watch.handed_on(own, batch);
        }
        if let Some(malice) = malice {
            let noise: Vec<usize> = batch.packets.noise().map(|(place, _)| place as usize).collect();
            let mut others = (0..packets.len()).filter(|place| !noise.contains(place));
            let at = [others.next(), others.next()].map(|place| place.expect("clients send more than one packet"));
            malice.touch(geometry, &mut packets, at);
            if malice == Malice::Substitute
                && let Some(packet) = self.mixes[own].made_up_packet(own, header.header.round, &self.plan)
            {
                packets[at[0]] = packet;
            }
            header = self.sign_again(own, &header, malice, &packets);
            self.mixes[own].touched.insert(header.header.round, batch.header.header.output);
            // It tells everybody the same.
            for other in (0..self.mixes.len()).filter(|other| *other != own) {
                let told = PeerMessage::BatchHeader(header.clone());
                self.post(Party::Mix(own), Party::Mix(other), || Parcel::Peer(told.clone()));
            }
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
        let hashes: Vec<_> = packets.iter().map(|packet| onion_digest(packet)).collect();
        header.output = batch_digest(&hashes);
        header.count = packets.len() as u32 + u32::from(malice == Malice::Overcount);
        if malice == Malice::OtherMembers {
            let clients = 0..self.network.roster.clients.len() as u32;
            let absent = clients.clone().find(|client| !header.members.contains(*client));
            let mut named = Members::none(clients.len());
            for client in header.members.iter().skip(1).chain(absent) {
                named.insert(client);
            }
            header.members = named;
        }
        header.sign(self.mixes[own].key())
    }

    pub(super) fn send_batch(&mut self, own: usize, to: usize, header: &SignedBatchHeader, packets: &[Vec<u8>]) {
        let geometry = self.plan.geometry();
        let (from, to) = (Party::Mix(own), Party::Mix(to));
        // Bytes that come twice come on two streams.
        let copies = 1 + usize::from(self.comes_twice(from, to));
        for _ in 0..copies {
            self.next_stream += 1;
            let (stream, round) = (self.next_stream, header.header.round);
            let pieces = packets.chunks(self.faults.segment.max(1)).map(<[Vec<u8>]>::concat);
            let slots = pieces.filter_map(|piece| Slots::from_packets(geometry, &piece));
            let segments = slots.map(|slots| Parcel::Segment { stream, round, slots });
            let parcels = [Parcel::Batch { stream, header: Box::new(header.clone()) }].into_iter().chain(segments);
            self.post_in_order(from, to, parcels.collect());
        }
    }

    fn disk_begins(&mut self, party: Party) {
        let (kv, run) = match party {
            Party::Mix(mix) => (&self.mixes[mix].kv, self.mixes[mix].run),
            Party::Client(client) => (&self.clients[client].kv, self.clients[client].run),
        };
        self.schedule(kv.delay(), Incident::Disk { party, run });
    }

    /// The disk does the first thing it has been asked for.
    pub(super) fn disk_turn(&mut self, party: Party) {
        if let Some(waiting) = self.paused.get_mut(&party) {
            return waiting.push(Deferred::Disk);
        }
        match party {
            Party::Mix(mix) => self.mix_disk_turn(mix),
            Party::Client(client) => self.client_disk_turn(client),
        }
    }

    fn mix_disk_turn(&mut self, own: usize) {
        let mix = &mut self.mixes[own];
        let Some((token, record)) = mix.records.pop_front() else { return };
        let opens = if let Record::Opened { round } = &record { Some(*round) } else { None };
        let result = mix.disk.persist(record);
        if let Some(witness) = self.witness.as_mut() {
            witness.recorded(opens.filter(|_| result.is_ok()));
        }
        let (run, more) = (mix.run, !mix.records.is_empty());
        let event = Box::new(mix::Event::Persisted { token, result });
        self.schedule(TOLD, Incident::Mix { mix: own, run, event });
        if more {
            self.disk_begins(Party::Mix(own));
        }
    }

    fn client_disk_turn(&mut self, own: usize) {
        let client = &mut self.clients[own];
        let (run, Some(chore)) = (client.run, client.chores.front()) else { return };
        let Ok(event) = client.disk.carry_out(chore) else {
            return self.schedule(AGAIN, Incident::Disk { party: Party::Client(own), run });
        };
        if let Some(witness) = self.witness.as_mut() {
            witness.carried_out(own, chore, event.as_ref());
        }
        client.chores.pop_front();
        let more = !client.chores.is_empty();
        if let Some(event) = event.map(Box::new) {
            self.schedule(TOLD, Incident::Client { client: own, run, event });
        }
        if more {
            self.disk_begins(Party::Client(own));
        }
    }

    /// Gives an event to a client and does what it then wants done.
    pub fn at_client(&mut self, own: usize, event: session::Event) {
        let SimClient { engine: Some(engine), clock, disk, submitted, .. } = &mut self.clients[own] else { return };
        if let Some(waiting) = self.paused.get_mut(&Party::Client(own)) {
            return waiting.push(Deferred::Client(Box::new(event)));
        }
        if self.resend_without_receipt {
            resend_unanswered(disk, submitted, &event);
        }
        engine.handle(clock.at(self.now), event);
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
            session::Action::Submit { id, round, packets, records } => {
                if self.clients[own].rogue.is_some() {
                    return self.submits(own, id, round, (packets, records));
                }
                let (packets, records) = self.mischievous(own, round, packets, records);
                let geometry = self.plan.geometry();
                if let Some(watch) = self.watch.as_mut() {
                    watch.submitted(own, self.now, round, &packets, geometry.packet());
                }
                let packets = Slots::from_packets(geometry, &packets);
                let submission = packets.map(|packets| Submission { packets, records });
                self.clients[own].submitted.insert(id, round);
                if let Some(witness) = self.witness.as_mut() {
                    witness.submitted(own, round);
                }
                self.ask(me, Party::Mix(0), id, Request::Submit { round }, submission);
                None
            }
            session::Action::HandOver { id, mix, round, packets, records } => {
                self.hands_over(own, mix, (id, round), (packets, records));
                None
            }
            session::Action::Build(job) => {
                if let Some(watch) = self.watch.as_mut() {
                    watch.builds(own, job.round(), job.carried());
                }
                Some(session::Event::Built(match self.stopwatch.as_mut() {
                    Some(stopwatch) => stopwatch.build(*job),
                    None => job.run(),
                }))
            }
            session::Action::Open(job) => Some(session::Event::Opened(match self.stopwatch.as_mut() {
                Some(stopwatch) => stopwatch.open(*job),
                None => job.run(),
            })),
            session::Action::Note(note) => {
                self.clients[own].notes.push(note);
                None
            }
            session::Action::Contradicted(contradiction) => {
                self.clients[own].contradictions.push(contradiction);
                None
            }
            session::Action::Cancel { .. } | session::Action::Stopped => None,
            chore => {
                self.clients[own].chores.push_back(chore);
                if self.clients[own].chores.len() == 1 {
                    self.disk_begins(me);
                }
                None
            }
        };
        if let Some(event) = event {
            let (run, event) = (self.clients[own].run, Box::new(event));
            let took = JOB + self.faults.work.mul_f64(self.rng.random());
            self.schedule(took, Incident::Client { client: own, run, event });
        }
    }

    pub(super) fn ask(
        &mut self,
        from: Party,
        to: Party,
        id: session::RequestId,
        request: Request,
        mut submission: Option<Submission>,
    ) {
        self.post(from, to, || Parcel::Request { id, request: request.clone(), submission: submission.take() });
    }
}

/// What the protocol forbids: a submission that is refused, or whose link breaks before its receipt, goes again.
fn resend_unanswered(disk: &client::Disk, submitted: &mut BTreeMap<session::RequestId, u64>, event: &session::Event) {
    let unanswered = match event {
        session::Event::Reply { id, reply: Reply::Refused(_), .. } => submitted.remove(id).into_iter().collect(),
        session::Event::Reply { id, .. } => {
            submitted.remove(id);
            return;
        }
        session::Event::LinkDown { link: Link::Entry } => std::mem::take(submitted).into_values().collect::<Vec<_>>(),
        _ => return,
    };
    for round in unanswered {
        // A disk that is full keeps the round; its verdict settles it.
        let _ = disk.outbox.settle(round, false);
    }
}
