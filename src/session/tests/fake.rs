//! A network of real keys whose entry and exit say what a test tells them, and a client with its driver.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;

use crate::crypto::{Backend, Csprng, Digest, IdentityKey, Label, MailboxId, SecretKey, derive};
use crate::packet::{Address, EnvelopeKey, Geometry, MessageId, NO_EXTRA, Peeler, RoundContext, SEAL_BYTES, Slots};
use crate::session::*;
use crate::wire::*;

pub const PACKETS: u32 = 4;
pub const DELAY: u64 = 3;
pub const POLL_LETTERS: u32 = 6;
pub const CLIENTS: usize = 3;

/// The network, with all its secrets.
pub struct Fake {
    pub network: Arc<Network>,
    mixes: Vec<IdentityKey>,
}

fn client_key(client: usize) -> IdentityKey {
    IdentityKey::from_seed(&[100 + client as u8; 32])
}

pub fn letter_secret(client: usize) -> SecretKey {
    SecretKey::from_bytes([150 + client as u8; 32])
}

pub fn address(client: usize) -> Address {
    Address { mailbox: MailboxId([client as u8 + 1; 16]), letter_key: letter_secret(client).public_key() }
}

fn secret(what: &str, mix: usize, epoch: u64, round: u64) -> SecretKey {
    SecretKey::from_bytes(derive(Label::Hop, format!("{what} {mix} {epoch} {round}").as_bytes()).0)
}

impl Fake {
    pub fn new() -> Self {
        Self::named("test")
    }

    pub fn named(name: &str) -> Self {
        let mixes: Vec<_> = (1..=2).map(|i| IdentityKey::from_seed(&[i; 32])).collect();
        let parameters = Parameters {
            network: name.to_owned(),
            messages_per_round: 1000,
            start_clients: 2,
            min_clients: 2,
            min_share_permille: 500,
            round_ms: 1000,
            submit_ms: 500,
            mix_delay_ms: (0, 0),
            payload: 256,
            packets_per_client: PACKETS,
            dummy_payload: b"dummy".to_vec(),
            max_message: 10_000,
            epoch_rounds: 20,
            verdict_rounds: DELAY as u32,
            retention_epochs: 8,
            poll_letters: POLL_LETTERS,
            mailbox_letters: 100,
        };
        let entry = |(i, key): (usize, &IdentityKey)| MixEntry {
            id: format!("mix-{}", i + 1),
            address: String::new(),
            identity: key.identity(),
        };
        let client = |i| ClientEntry {
            id: format!("client-{i}"),
            identity: client_key(i).identity(),
            list_key: letter_secret(i).public_key(),
        };
        let mailbox = |i| MailboxEntry { id: address(i).mailbox, letter_key: address(i).letter_key };
        let roster = Roster {
            mixes: mixes.iter().enumerate().map(entry).collect(),
            clients: (0..CLIENTS).map(client).collect(),
            mailboxes: (0..CLIENTS).map(mailbox).collect(),
        };
        Self { network: Arc::new(Network { parameters, roster }), mixes }
    }

    pub fn geometry(&self) -> Geometry {
        Geometry::new(self.mixes.len(), 256).expect("valid")
    }

    pub fn config(&self, client: usize) -> SessionConfig {
        let others = (0..CLIENTS).filter(|other| *other != client);
        SessionConfig {
            network: self.network.clone(),
            identity: client_key(client).identity(),
            mailbox: address(client).mailbox,
            capability: [client as u8; 32],
            letter: letter_secret(client),
            epochs: Vec::new(),
            unsettled: Vec::new(),
            contacts: Arc::new(others.map(|i| (address(i).mailbox, address(i).letter_key)).collect()),
        }
    }

    pub fn epoch(&self, epoch: u64, first_round: u64, previous: Digest) -> SignedEpoch {
        let rounds = self.network.parameters.epoch_rounds;
        let keys = |what, mix| {
            (first_round..first_round + u64::from(rounds))
                .map(|round| secret(what, mix, epoch, round).public_key())
                .collect::<Vec<_>>()
        };
        let mix = |mix| MixKeys {
            boot: [mix as u8; 16],
            onion_keys: keys("onion", mix),
            envelope_keys: if mix + 1 == self.mixes.len() { keys("envelope", mix) } else { Vec::new() },
        };
        let document = EpochDocument {
            network: self.network.id(),
            epoch,
            previous,
            first_round,
            rounds,
            members: CLIENTS as u32,
            parameters: self.network.parameters.digest(),
            roster: self.network.roster.digest(),
            mailboxes: self.network.roster.mailboxes_digest(),
            proposed_at_ms: 0,
            mixes: (0..self.mixes.len()).map(mix).collect(),
        };
        self.sign(document)
    }

    pub fn sign(&self, document: EpochDocument) -> SignedEpoch {
        let signatures = self.mixes.iter().map(|key| document.sign(key)).collect();
        SignedEpoch { document, signatures }
    }

    /// Epoch 1: rounds 1 to 20.
    pub fn first_epoch(&self) -> SignedEpoch {
        self.epoch(1, 1, Digest([0; 32]))
    }

    pub fn verdict(&self, round: u64, outcome: Outcome, clients: &[u32]) -> SignedVerdict {
        let mut members = Members::none(CLIENTS);
        clients.iter().for_each(|client| assert!(members.insert(*client)));
        let verdict = Verdict { network: self.network.id(), epoch: 1, round, members, outcome };
        let signatures = self.mixes.iter().map(|key| verdict.sign(key)).collect();
        SignedVerdict { verdict, signatures }
    }

    pub fn stored(&self, round: u64) -> SignedVerdict {
        self.verdict(round, Outcome::Stored { refused: 0 }, &[0, 1, 2])
    }

    pub fn receipt(&self, round: u64, index: u32, packets: &[u8]) -> Reply {
        let digest = derive(Label::Submission, packets);
        Reply::Receipt(Receipt::sign(&self.mixes[0], &self.network.id(), round, index, &digest))
    }

    /// Peels a submission through all mixes and opens it: for each packet, in order, its mailbox and letter.
    pub fn travel(&self, epoch: u64, round: u64, index: u32, packets: &[u8]) -> Vec<(MailboxId, StoredLetter)> {
        let geometry = self.geometry();
        let context = RoundContext { network: self.network.id(), epoch, round };
        let mut slots = Slots::from_packets(geometry, packets).expect("whole packets");
        for mix in 0..self.mixes.len() {
            let key = secret("onion", mix, epoch, round);
            let peeler = Peeler::new(geometry, context, mix as u8 + 1, &key, Backend::default());
            peeler.peel(&mut slots, if mix == 0 { index } else { NO_EXTRA }).expect("peels");
            let peeled: Vec<u8> = (0..slots.len()).flat_map(|i| slots.peeled(i).to_vec()).collect();
            slots = Slots::from_packets(geometry, &peeled).expect("whole packets");
        }
        let key =
            EnvelopeKey::new(context, &secret("envelope", self.mixes.len() - 1, epoch, round), Backend::default());
        let mut open = |i| {
            let opened = key.open(geometry, slots.received_mut(i)).expect("opens");
            (opened.mailbox, StoredLetter { epoch, round, letter: opened.letter.to_vec() })
        };
        (0..packets.len() / geometry.packet()).map(&mut open).collect()
    }

    /// The answer to a poll.
    pub fn answer(&self, letters: &[StoredLetter], cursor: u64) -> (Reply, Vec<u8>) {
        let mut bytes = Vec::new();
        for stored in letters {
            bytes.extend_from_slice(&stored.epoch.to_le_bytes());
            bytes.extend_from_slice(&stored.round.to_le_bytes());
            bytes.extend_from_slice(&stored.letter);
        }
        bytes.resize(POLL_LETTERS as usize * (LETTER_HEADER_BYTES + self.geometry().letter()), 0);
        let count = (letters.len() as u32).to_le_bytes();
        (Reply::Letters(PollAnswer { count, cursor: cursor.to_le_bytes() }), bytes)
    }
}

pub fn fragment(to: usize, number: u8) -> Fragment {
    Fragment {
        message: MessageId([number; 16]),
        index: 0,
        count: 1,
        expiry: 9,
        to: address(to),
        named: true,
        data: vec![number; usize::from(number)],
    }
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a client did that the test has to see; everything else its driver does by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Ask(RequestId, Request),
    Poll { id: RequestId, round: u64, acknowledged: u64 },
    Submit { id: RequestId, round: u64, packets: Vec<u8> },
    Cancel(RequestId),
    Settle(u64, bool),
    Abandon(u64),
    Epoch(u64),
    Deliver(RequestId, Vec<Arrival>),
    Note(Note),
    Stopped,
}

/// A session with a driver: an outbox, an inbox that commits at once unless told not to, and a clock.
pub struct Client {
    pub session: Session,
    pub now: Duration,
    pub outbox: VecDeque<Fragment>,
    pub used: BTreeSet<u64>,
    pub commits: bool,
    pub builds: bool,
    pub held: Vec<Event>,
    pub seen: Vec<Seen>,
    /// Time, kind and size of every action.
    pub trace: Vec<(Duration, String)>,
    pub asked: Option<RequestId>,
}

impl Client {
    pub fn new(config: SessionConfig, seed: u64) -> Self {
        Self {
            session: Session::new(config, Csprng::seed_from_u64(seed)).expect("a usable configuration"),
            now: ms(5000),
            outbox: VecDeque::new(),
            used: BTreeSet::new(),
            commits: true,
            builds: true,
            held: Vec::new(),
            seen: Vec::new(),
            trace: Vec::new(),
            asked: None,
        }
    }

    /// A client that has joined epoch 1 and asks for a ticket.
    pub fn joined(fake: &Fake, seed: u64) -> Self {
        let mut client = Self::new(fake.config(0), seed);
        client.join(vec![fake.first_epoch()]);
        client
    }

    pub fn join(&mut self, chain: Vec<SignedEpoch>) {
        self.tell(Event::LinkUp { link: Link::Exit, post_quantum: false });
        self.tell(Event::LinkUp { link: Link::Entry, post_quantum: true });
        self.reply(Reply::Registered { index: 0 });
        self.reply(Reply::Start(Start { chain, round: 1, starts_in_ms: 0, round_ms: 1000 }));
        assert!(matches!(self.last_ask(), Request::NextRound { .. }));
    }

    pub fn tell(&mut self, event: Event) {
        self.session.handle(self.now, event);
        while let Some(action) = self.session.poll_action() {
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        let (text, seen) = match action {
            Action::Request { request: Request::PollMessages { round, acknowledged, .. }, id, link } => {
                assert_eq!(link, Link::Exit);
                (format!("poll {round} {acknowledged}"), Some(Seen::Poll { id, round, acknowledged }))
            }
            Action::Request { id, request, link } => {
                assert_eq!(link, Link::Entry);
                self.asked = Some(id);
                (format!("{request:?}"), Some(Seen::Ask(id, request)))
            }
            Action::Submit { id, round, packets } => {
                (format!("submit {round} {}", packets.len()), Some(Seen::Submit { id, round, packets }))
            }
            Action::Cancel { id } => (format!("cancel {id:?}"), Some(Seen::Cancel(id))),
            Action::Reserve { round, expiry, count } => {
                let result = match self.used.insert(round) {
                    true => Ok(self.outbox.drain(..self.outbox.len().min(count as usize)).collect()),
                    false => Err(AlreadyUsed),
                };
                self.local(Event::Reserved { round, result }, true);
                (format!("reserve {round} {expiry} {count}"), None)
            }
            Action::Settle { round, carried } => {
                self.local(Event::Settled { round }, true);
                (format!("settle {round} {carried}"), Some(Seen::Settle(round, carried)))
            }
            Action::Abandon { round } => (format!("abandon {round}"), Some(Seen::Abandon(round))),
            Action::RememberEpoch(signed) => {
                (format!("epoch {}", signed.document.epoch), Some(Seen::Epoch(signed.document.epoch)))
            }
            Action::Deliver { id, arrivals, .. } => {
                self.local(Event::Delivered { id }, self.commits);
                (format!("deliver {id:?}"), Some(Seen::Deliver(id, arrivals)))
            }
            Action::Build(job) => {
                self.local(Event::Built(job.run()), self.builds);
                ("build".to_owned(), None)
            }
            Action::Open(job) => {
                self.local(Event::Opened(job.run()), true);
                ("open".to_owned(), None)
            }
            Action::Note(note) => (format!("{note:?}"), Some(Seen::Note(note))),
            Action::Stopped => ("stopped".to_owned(), Some(Seen::Stopped)),
        };
        self.trace.push((self.now, text));
        self.seen.extend(seen);
    }

    fn local(&mut self, event: Event, at_once: bool) {
        // Handled behind the actions already queued, as a driver would.
        if at_once { self.session.handle(self.now, event) } else { self.held.push(event) }
    }

    /// Hands back what was held.
    pub fn release(&mut self) {
        for event in std::mem::take(&mut self.held) {
            self.tell(event);
        }
    }

    /// Answers the outstanding request to the entry.
    pub fn reply(&mut self, reply: Reply) {
        let id = self.asked.take().expect("a request is outstanding");
        self.tell(Event::Reply { id, reply, letters: Vec::new() });
    }

    pub fn ticket(&mut self, round: u64, verdicts: Vec<SignedVerdict>) {
        self.ticket_with(Ticket { round, closes_in_ms: 500, chain: Vec::new(), verdicts });
    }

    pub fn ticket_with(&mut self, ticket: Ticket) {
        self.reply(Reply::Ticket(ticket));
    }

    /// Lets time pass, with every time-out on the way.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            assert!(at >= self.now, "a time-out in the past was not dealt with");
            self.now = at;
            self.tell(Event::Timeout);
        }
        self.now = until;
    }

    pub fn last_ask(&self) -> Request {
        let asks =
            self.seen.iter().filter_map(|seen| if let Seen::Ask(_, request) = seen { Some(request) } else { None });
        asks.last().expect("something was asked").clone()
    }

    pub fn submissions(&self) -> Vec<(RequestId, u64, Vec<u8>)> {
        let submission = |seen: &Seen| match seen {
            Seen::Submit { id, round, packets } => Some((*id, *round, packets.clone())),
            _ => None,
        };
        self.seen.iter().filter_map(submission).collect()
    }

    pub fn submitted(&self) -> Vec<u64> {
        self.submissions().iter().map(|(_, round, _)| *round).collect()
    }

    pub fn settled(&self) -> Vec<(u64, bool)> {
        self.seen.iter().filter_map(|s| if let Seen::Settle(r, c) = s { Some((*r, *c)) } else { None }).collect()
    }

    pub fn polls(&self) -> Vec<(RequestId, u64, u64)> {
        let poll = |seen: &Seen| match seen {
            Seen::Poll { id, round, acknowledged } => Some((*id, *round, *acknowledged)),
            _ => None,
        };
        self.seen.iter().filter_map(poll).collect()
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        let delivered = |s: &Seen| if let Seen::Deliver(_, arrivals) = s { Some(arrivals.clone()) } else { None };
        self.seen.iter().filter_map(delivered).flatten().collect()
    }

    pub fn notes(&self) -> Vec<Note> {
        self.seen.iter().filter_map(|s| if let Seen::Note(note) = s { Some(note.clone()) } else { None }).collect()
    }

    pub fn counters(&self) -> Counters {
        self.session.status().counters
    }
}

pub fn packet_bytes(fake: &Fake) -> usize {
    debug_assert_eq!(fake.geometry().packet() - fake.geometry().envelope(), SEAL_BYTES * 2);
    fake.geometry().packet()
}
