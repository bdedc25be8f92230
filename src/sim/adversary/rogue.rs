//! What malicious parties are: they know their own keys and what reaches them, and do what they like with what they send.

use std::time::Duration;

use rand::SeedableRng;

use crate::crypto::{Backend, Csprng, IdentityKey, MailboxId, SecretKey};
use crate::mix::Mix;
use crate::node;
use crate::packet::{Address, Body, Builder, Geometry, MessageId, Recipe, RoundContext};
use crate::round::{Done, Submission};
use crate::wire::{
    BatchHeader, EpochDocument, Network, PeerMessage, Reply, SignedBatchHeader, SignedEpoch, batch_digest, onion_digest,
};

/// A mix that somebody has taken over. Its engine runs on as the honest mix's would; whoever has taken it over stands
/// between it and its links.
pub(in crate::sim) trait RogueMix: Send {
    /// Its engine would say this.
    fn says(&mut self, _me: &Insider<'_>, to: usize, message: PeerMessage) -> Vec<Deed> {
        vec![Deed::Say(to, message)]
    }

    /// Its engine would hand on this batch.
    fn hands_on(&mut self, _me: &Insider<'_>, header: SignedBatchHeader, packets: Vec<Vec<u8>>) -> Vec<Deed> {
        vec![Deed::HandOn(header, packets)]
    }

    /// Another mix says this: what the engine hears of it, and what is done at once.
    fn hears(&mut self, _me: &Insider<'_>, _from: usize, message: PeerMessage) -> (Option<PeerMessage>, Vec<Deed>) {
        (Some(message), Vec::new())
    }

    /// A client submits: what the engine gets of it.
    fn takes(&mut self, _me: &Insider<'_>, _client: u32, _round: u64, submission: Submission) -> Option<Submission> {
        Some(submission)
    }

    /// Its engine answers a client: what that client gets.
    fn answers(&mut self, _me: &Insider<'_>, _client: u32, reply: Reply) -> Reply {
        reply
    }

    /// What its engine is told that a job has come to, so that it signs what is false.
    fn finds(&mut self, done: Done) -> Done {
        done
    }

    /// Another mix adds this packet of noise to a round: more than it could know.
    fn overhears(&mut self, _noise: &[u8]) {}

    /// Whether it has done yet what it is there for.
    fn has_acted(&self) -> bool;

    /// What it has got hold of and must not have, in a word.
    fn loot(&self) -> Option<&'static str> {
        None
    }
}

/// What a malicious mix does.
pub(in crate::sim) enum Deed {
    /// Says something to another mix.
    Say(usize, PeerMessage),
    /// Hands on a batch to the next mix.
    HandOn(SignedBatchHeader, Vec<Vec<u8>>),
    /// Breaks the link to the next mix, which is made anew at once, and does these when it is there.
    Cut(Vec<Deed>),
    /// Does these later.
    Later(Duration, Vec<Deed>),
}

/// All that a mix knows, to whoever has taken it over.
pub(in crate::sim) struct Insider<'a> {
    pub(in crate::sim) place: usize,
    pub(in crate::sim) key: &'a IdentityKey,
    pub(in crate::sim) network: &'a Network,
    pub(in crate::sim) geometry: Geometry,
    pub(in crate::sim) disk: &'a node::Disk,
    pub(in crate::sim) engine: Option<&'a Mix>,
}

impl Insider<'_> {
    pub(super) fn document(&self, round: u64) -> Option<EpochDocument> {
        let chain = self.disk.recover().ok()?.chain;
        chain.into_iter().rev().map(|signed| signed.document).find(|document| document.position(round).is_some())
    }

    /// The newest document that all have signed.
    pub(super) fn newest(&self) -> Option<SignedEpoch> {
        self.disk.recover().ok()?.chain.pop()
    }

    pub(super) fn others(&self) -> impl Iterator<Item = usize> {
        let own = self.place;
        (0..self.network.mixes()).filter(move |mix| *mix != own)
    }

    pub(super) fn tell_all(&self, message: &PeerMessage) -> Vec<Deed> {
        self.others().map(|to| Deed::Say(to, message.clone())).collect()
    }

    /// Signs `header` as that of these packets.
    pub(super) fn sign(&self, header: &BatchHeader, packets: &[Vec<u8>]) -> SignedBatchHeader {
        let hashes: Vec<_> = packets.iter().map(|packet| onion_digest(packet)).collect();
        let header = BatchHeader { output: batch_digest(&hashes), count: packets.len() as u32, ..header.clone() };
        header.sign(self.key)
    }

    /// A well-made packet of its own for the next hop.
    pub(super) fn packet(&self, rng: &mut Csprng, round: u64) -> Option<Vec<u8>> {
        let builder = builder(&self.document(round)?, self.geometry, round, None)?;
        let mut packet = Vec::new();
        with_dummy(rng, |rng, recipe| builder.noise_packet(rng, self.place as u8 + 2, recipe, &mut packet));
        Some(packet)
    }
}

/// A builder of packets of a round; with `behind` the layers behind the first are sealed to that key.
pub(super) fn builder(
    document: &EpochDocument,
    geometry: Geometry,
    round: u64,
    behind: Option<usize>,
) -> Option<Builder> {
    let context = RoundContext { network: document.network, epoch: document.epoch, round };
    let (mut onions, envelope) = (document.onion_keys(round)?, document.envelope_key(round)?);
    if let Some(hop) = behind {
        onions[hop] = onions[hop - 1];
    }
    Some(Builder::new(geometry, context, Backend::default(), onions, envelope))
}

/// Makes something with a dummy to nobody.
pub(super) fn with_dummy<T>(rng: &mut Csprng, make: impl FnOnce(&mut Csprng, &Recipe<'_>) -> T) -> T {
    let to = Address { mailbox: MailboxId([9; 16]), letter_key: SecretKey::random(rng).public_key() };
    let body = Body::dummy(MessageId([9; 16]), u64::MAX, b"");
    make(rng, &Recipe { to, body, sender: None })
}

/// A generator of an adversary's own.
pub(super) fn rng(seed: u64) -> Csprng {
    Csprng::seed_from_u64(seed ^ 0xad0e_25a4)
}

/// A malicious client: what goes out in place of a submission of its engine's.
pub(in crate::sim) trait RogueClient: Send {
    /// Its engine would submit this: packets and records behind them.
    fn submits(&mut self, me: &Member<'_>, round: u64, submission: (Vec<u8>, Vec<u8>)) -> Vec<(Vec<u8>, Vec<u8>)>;

    /// Whether it has done yet what it is there for.
    fn has_acted(&self) -> bool;
}

/// All that a client knows.
pub(in crate::sim) struct Member<'a> {
    pub(in crate::sim) index: u32,
    pub(in crate::sim) identity: &'a IdentityKey,
    pub(in crate::sim) list: &'a SecretKey,
    pub(in crate::sim) document: EpochDocument,
    pub(in crate::sim) geometry: Geometry,
    pub(in crate::sim) packets: usize,
}
