//! What everybody in a network agrees on: parameters, mixes, clients and mailboxes, as plain data.

use crate::crypto::{Defence, Defences, Digest, Identity, Label, MailboxId, PublicKey, derive};

use super::{ClientRecords, DummyPolicy, Layout, NoiseLaw, PIECE_BYTES, RECORD_BYTES};

/// The parameters of a network file, validated, in the units of the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parameters {
    /// The network's name.
    pub network: String,
    /// Packets that close a round before its deadline.
    pub messages_per_round: u32,
    /// Clients that must have registered before the very first epoch.
    pub start_clients: u32,
    /// Distinct clients below which a round aborts; at least 2.
    pub min_clients: u32,
    /// The share of the epoch's members, in thousandths, below which a round aborts.
    pub min_share_permille: u32,
    /// Milliseconds from the start of one round to the next; 0: it opens when the one before is collected.
    pub round_ms: u32,
    /// Milliseconds from a round's start in which submissions are taken; at most `round_ms`, unless that is 0.
    pub submit_ms: u32,
    /// Bounds of a mix's random delay before forwarding.
    pub mix_delay_ms: (u32, u32),
    /// User bytes in a packet.
    pub payload: u32,
    /// Packets that each client sends in each round.
    pub packets_per_client: u32,
    /// Packets of its own that each mix but the exit may add to a round.
    pub noise_packets: u32,
    /// How many of them it adds.
    pub noise: NoiseLaw,
    /// Where dummies go.
    pub dummies: DummyPolicy,
    /// The bytes a dummy carries; at most `payload`.
    pub dummy_payload: Vec<u8>,
    /// The largest message in bytes.
    pub max_message: u64,
    /// Rounds whose keys one epoch document publishes.
    pub epoch_rounds: u32,
    /// D: the verdict of round r is part of the ticket of round r + D.
    pub verdict_rounds: u32,
    /// Epochs for which letters and message ids are kept.
    pub retention_epochs: u32,
    /// Letters in every poll answer.
    pub poll_letters: u32,
    /// Letters that one mailbox may hold.
    pub mailbox_letters: u32,
    /// Rounds whose verdicts mixes keep, so that clients that were away learn what became of theirs.
    pub history_rounds: u32,
    /// t: how many mixes together open a round, 2 to all.
    pub threshold: u32,
    /// Whether rounds are sealed: opened only when every client's packet is proven to have passed every honest mix.
    pub sealed: bool,
}

impl Parameters {
    /// What epoch documents name: nobody can be in a network with other parameters unawares.
    pub fn digest(&self) -> Digest {
        let layout = Layout::new("mixnet v1 parameters")
            .variable(self.network.as_bytes())
            .u32(self.messages_per_round)
            .u32(self.start_clients)
            .u32(self.min_clients)
            .u32(self.min_share_permille)
            .u32(self.round_ms)
            .u32(self.submit_ms)
            .u32(self.mix_delay_ms.0)
            .u32(self.mix_delay_ms.1)
            .u32(self.payload)
            .u32(self.packets_per_client)
            .variable(&self.dummy_payload)
            .u64(self.max_message)
            .u32(self.epoch_rounds)
            .u32(self.verdict_rounds)
            .u32(self.retention_epochs)
            .u32(self.poll_letters)
            .u32(self.mailbox_letters)
            .u32(self.history_rounds)
            .u32(self.threshold)
            .u8(self.sealed.into())
            .u32(self.noise_packets);
        let layout = self.dummies.lay_out(self.noise.lay_out(layout));
        derive(Label::Parameters, &layout.finish())
    }

    /// Milliseconds that a round may take from its start to the next: what clocks of the protocol are multiples of.
    pub fn span_ms(&self) -> u32 {
        if self.round_ms == 0 { self.submit_ms } else { self.round_ms }
    }

    /// Rounds before the end of an epoch at which the next one is made: enough for an attempt that fails, at most half.
    pub fn renewal_rounds(&self) -> u32 {
        (self.verdict_rounds + 2).min(self.epoch_rounds / 2)
    }

    /// Distinct clients that a round needs in an epoch of `members`: `min_clients` and `min_share` both.
    pub fn quorum(&self, members: u32) -> u32 {
        let share = (u64::from(members) * u64::from(self.min_share_permille)).div_ceil(1000);
        self.min_clients.max(u32::try_from(share).unwrap_or(u32::MAX))
    }
}

/// A mix of the cascade.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MixEntry {
    /// Its name.
    pub id: String,
    /// Where it listens: `host:port`.
    pub address: String,
    /// Who it is.
    pub identity: Identity,
}

/// A client that the network admits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientEntry {
    /// Its name.
    pub id: String,
    /// Who it is.
    pub identity: Identity,
    /// The static key of its list records.
    pub list_key: PublicKey,
}

/// A mailbox, without its owner.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct MailboxEntry {
    /// Where letters go.
    pub id: MailboxId,
    /// Whom they are sealed to.
    pub letter_key: PublicKey,
}

/// Who is in the network.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Roster {
    /// The cascade, entry first, exit last.
    pub mixes: Vec<MixEntry>,
    /// The clients; a client's position is its roster index.
    pub clients: Vec<ClientEntry>,
    /// The mailboxes, sorted by their bytes so that no position tells an owner.
    pub mailboxes: Vec<MailboxEntry>,
}

impl Roster {
    /// The roster index of a client.
    pub fn client(&self, identity: &Identity) -> Option<u32> {
        let position = self.clients.iter().position(|client| client.identity == *identity)?;
        u32::try_from(position).ok()
    }

    /// The position in the cascade of a mix, from 0.
    pub fn mix(&self, identity: &Identity) -> Option<usize> {
        self.mixes.iter().position(|mix| mix.identity == *identity)
    }

    /// Of mixes and clients, in order.
    pub fn digest(&self) -> Digest {
        let mut layout = Layout::new("mixnet v1 roster").u32(self.mixes.len() as u32).u32(self.clients.len() as u32);
        for mix in &self.mixes {
            layout = layout.variable(mix.id.as_bytes()).fixed(&mix.identity.0);
        }
        for client in &self.clients {
            layout = layout.variable(client.id.as_bytes()).fixed(&client.identity.0).fixed(&client.list_key.0);
        }
        derive(Label::Roster, &layout.finish())
    }

    /// Of the mailboxes, in order.
    pub fn mailboxes_digest(&self) -> Digest {
        let mut layout = Layout::new("mixnet v1 mailboxes").u32(self.mailboxes.len() as u32);
        for mailbox in &self.mailboxes {
            layout = layout.fixed(&mailbox.id.0).fixed(&mailbox.letter_key.0);
        }
        derive(Label::Mailboxes, &layout.finish())
    }
}

/// A network as its file describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Network {
    /// The parameters.
    pub parameters: Parameters,
    /// Who is in it.
    pub roster: Roster,
    /// Which defences its mixes have: all, but in experiments.
    pub defences: Defences,
}

impl Network {
    /// The 32 bytes that every seal and signature is bound to, derived from the network's name.
    pub fn id(&self) -> Digest {
        derive(Label::Network, self.parameters.network.as_bytes())
    }

    /// L.
    pub fn mixes(&self) -> usize {
        self.roster.mixes.len()
    }

    /// How many packets a list of `clients` holds; too many for any header if they do not fit a u32.
    pub fn listed(&self, clients: u32) -> u32 {
        clients.saturating_mul(self.parameters.packets_per_client)
    }

    /// The most packets that the mix at `hop` hands on: those of all clients, and the noise of all mixes up to it.
    pub fn most_packets(&self, hop: usize) -> usize {
        let Parameters { packets_per_client, noise_packets, .. } = self.parameters;
        self.roster.clients.len() * packets_per_client as usize + hop * noise_packets as usize
    }

    /// How many rounds overlap, each in a batch of slots of `slot` bytes: two, so that one is collected while one is mixed, and
    /// more as long as all of them take no more than `bytes`; at most D.
    pub fn overlap(&self, slot: usize, bytes: u64) -> usize {
        let batch = self.most_packets(self.mixes()) as u64 * slot as u64;
        let fit = (bytes / batch.max(1)).max(2);
        fit.min(self.parameters.verdict_rounds.into()) as usize
    }

    /// The bytes behind the packets of every submission: the client's records if rounds are sealed, else none.
    pub fn records_length(&self) -> usize {
        let packets = self.parameters.packets_per_client as usize;
        if self.parameters.sealed { ClientRecords::length(packets, self.mixes()) } else { 0 }
    }

    /// Whether clients hand what the entry does not take to the other mixes, which sign no list without it.
    ///
    /// Only where rounds are sealed, for else there is no list, and where all mixes are needed to open one: what is handed over
    /// and does not open at hop 1 convicts its client, and that costs the entry's onion key of the round. And only if that
    /// evidence always fits into a message: the epoch document, a client's records, its packet, and 4 KiB for all the rest.
    pub fn hands_over(&self) -> bool {
        let p = &self.parameters;
        let (mixes, rounds, packets) = (self.mixes(), p.epoch_rounds as usize, p.packets_per_client as usize);
        let document = (mixes + 1) * (32 * rounds + 256);
        let evidence = document + packets * RECORD_BYTES + p.payload as usize + 48 * mixes + (4 << 10);
        p.sealed && p.threshold as usize == mixes && evidence <= PIECE_BYTES && self.defences.stands(Defence::HandOver)
    }

    /// The mixes' identities in cascade order: whose signatures documents and verdicts need.
    pub fn mix_identities(&self) -> Vec<Identity> {
        self.roster.mixes.iter().map(|mix| mix.identity).collect()
    }
}
