//! The documents a mix knows and the secrets it holds for their rounds.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use crate::crypto::{Backend, Csprng, Defence, Digest, LockedKeys, SecretKey};
use crate::packet::{Builder, EnvelopeKey, Geometry, Peeler, RoundContext};
use crate::threshold::{EpochShares, JointKeyError, JointKeys, Opening, Share, Window};
use crate::wire::{CHAIN_KEPT, EpochDocument, ListContext, ListKeys, ListSecret, MixKeys, Network, SignedEpoch};

/// One mix's secrets for the rounds of one epoch. They are never written anywhere.
pub struct EpochKeys {
    own: usize,
    list: SecretKey,
    /// Made when the first list of the epoch needs them.
    clients: OnceLock<Arc<ListKeys>>,
    onion: LockedKeys,
    shares: EpochShares,
    joint: Option<JointKeys>,
    public: MixKeys,
}

impl EpochKeys {
    /// Draws the keys of the mix at place `own` of the cascade, and the opening of its part of the joint keys.
    pub(super) fn draw(rng: &mut Csprng, window: Window, own: usize, boot: [u8; 16]) -> (Self, Opening) {
        let mix = own as u8 + 1;
        let (shares, opening) = EpochShares::draw(rng, window, mix).expect("the own place is one of the cascade's");
        let count = window.rounds().count();
        let (list, onion) = (SecretKey::random(rng), LockedKeys::random(rng, count));
        let public = MixKeys {
            boot,
            list_key: list.public_key(),
            onion_keys: (0..count).filter_map(|i| onion.get(i)).map(SecretKey::public_key).collect(),
            dealing: opening.commitment(&window, mix),
        };
        (Self { own, list, clients: OnceLock::new(), onion, shares, joint: None, public }, opening)
    }

    /// The epoch they were drawn for.
    pub fn epoch(&self) -> u64 {
        self.window().epoch()
    }

    /// The rounds they were drawn for.
    pub fn window(&self) -> &Window {
        self.shares.window()
    }

    /// Whose they are: the place in the cascade.
    pub fn own(&self) -> usize {
        self.own
    }

    /// What the epoch document says of them.
    pub fn public(&self) -> &MixKeys {
        &self.public
    }

    /// The secret of [`MixKeys::list_key`].
    pub fn list_key(&self) -> &SecretKey {
        &self.list
    }

    pub(super) fn shares(&self) -> &EpochShares {
        &self.shares
    }

    pub(super) fn shares_mut(&mut self) -> &mut EpochShares {
        &mut self.shares
    }

    /// Everybody's parts are known.
    pub(super) fn join(&mut self, joint: JointKeys) {
        self.joint = Some(joint);
    }

    fn erase(&mut self, position: usize, round: u64) {
        self.onion.erase(position);
        self.shares.erase(round);
    }
}

/// The chain of documents and the secrets for its last epochs.
pub struct Epochs {
    network: Arc<Network>,
    geometry: Geometry,
    own: usize,
    backend: Backend,
    chain: VecDeque<SignedEpoch>,
    keys: VecDeque<EpochKeys>,
}

/// Epochs whose secrets are kept, each until its rounds' verdicts: with one-round epochs, more than the rounds that are
/// ever under way.
const KEYS_KEPT: usize = 16;

impl Epochs {
    /// The chain recovered from disk, without any secret.
    pub fn new(
        network: Arc<Network>,
        geometry: Geometry,
        own: usize,
        backend: Backend,
        chain: Vec<SignedEpoch>,
    ) -> Self {
        Self { network, geometry, own, backend, chain: chain.into(), keys: VecDeque::new() }
    }

    /// The last complete document.
    pub fn latest(&self) -> Option<&SignedEpoch> {
        self.chain.back()
    }

    /// The last complete epoch's number; 0 for none.
    pub fn latest_epoch(&self) -> u64 {
        self.latest().map_or(0, |signed| signed.document.epoch)
    }

    /// The digest that the next document must name.
    pub fn latest_digest(&self) -> Digest {
        self.latest().map_or(Digest([0; 32]), |signed| signed.document.digest())
    }

    /// The epoch up to which no document is missing among those that mixes keep: the latest, or 0 for a chain with gaps,
    /// which a mix has that lost its disk.
    pub fn whole_up_to(&self) -> u64 {
        let linked = self.chain.iter().zip(self.chain.iter().skip(1));
        let mut linked = linked.map(|(before, next)| next.document.previous == before.document.digest());
        let from_the_first = self.chain.front().is_none_or(|first| first.document.previous == Digest([0; 32]));
        let whole = (from_the_first || self.chain.len() == CHAIN_KEPT) && linked.all(|linked| linked);
        if whole { self.latest_epoch() } else { 0 }
    }

    /// The document of this number.
    pub fn of_number(&self, epoch: u64) -> Option<&SignedEpoch> {
        self.chain.iter().find(|signed| signed.document.epoch == epoch)
    }

    /// The documents after `epoch`, oldest first.
    pub fn chain_after(&self, epoch: u64) -> Vec<SignedEpoch> {
        self.chain.iter().filter(|signed| signed.document.epoch > epoch).cloned().collect()
    }

    /// Appends a verified document. Keys of rounds that it takes over from an earlier document are erased; `keys`
    /// are its own, if this mix still has them.
    pub fn adopt(&mut self, signed: SignedEpoch, keys: Option<EpochKeys>) {
        let first = signed.document.first_round;
        for old in self.chain.iter().filter(|old| old.document.last_round() >= first) {
            for round in first.max(old.document.first_round)..=old.document.last_round() {
                erase(&mut self.keys, &old.document, round);
            }
        }
        self.chain.push_back(signed);
        if self.chain.len() > CHAIN_KEPT {
            self.chain.pop_front();
        }
        if let Some(keys) = keys {
            self.keys.push_back(keys);
            if self.keys.len() > KEYS_KEPT {
                self.keys.pop_front();
            }
        }
    }

    /// Puts a verified document that was missed into its place in the chain: rounds of its time may still need it.
    /// `false` if it is there.
    pub fn backfill(&mut self, signed: SignedEpoch) -> bool {
        let epoch = signed.document.epoch;
        let place = self.chain.partition_point(|known| known.document.epoch < epoch);
        let missing = self.chain.get(place).is_none_or(|known| known.document.epoch != epoch);
        if missing {
            self.chain.insert(place, signed);
            if self.chain.len() > CHAIN_KEPT {
                self.chain.pop_front();
            }
        }
        missing
    }

    /// The document whose keys serve `round`.
    pub fn document(&self, round: u64) -> Option<&EpochDocument> {
        self.chain.iter().rev().map(|signed| &signed.document).find(|document| document.position(round).is_some())
    }

    /// The same with its signatures.
    pub fn signed(&self, round: u64) -> Option<&SignedEpoch> {
        self.chain.iter().rev().find(|signed| signed.document.position(round).is_some())
    }

    /// This mix's onion key of `round`, to be published: the caller has burnt the round, and so has everybody; or it is the
    /// entry, nothing of the round has left it, and its secrets go.
    pub fn onion_key(&self, round: u64) -> Option<[u8; 32]> {
        let (keys, position) = self.secrets(round)?;
        keys.onion.get(position).map(|key| *key.expose())
    }

    /// What seals of `round` are bound to.
    pub fn context(&self, round: u64) -> Option<RoundContext> {
        let document = self.document(round)?;
        Some(RoundContext { network: document.network, epoch: document.epoch, round })
    }

    /// This mix's peeler for `round`; `None` once the key is erased, or if it never had one.
    pub fn peeler(&self, round: u64) -> Option<Peeler> {
        let (keys, position) = self.secrets(round)?;
        let hop = self.own as u8 + 1;
        let secret = keys.onion.get(position)?;
        Some(Peeler::new(self.geometry, self.context(round)?, hop, secret, self.backend))
    }

    /// What the list of `round` is bound to.
    pub fn list_context(&self, round: u64) -> Option<ListContext> {
        let document = self.document(round)?;
        Some(ListContext { network: document.network, epoch: document.epoch, round })
    }

    /// This mix's keys towards all clients in the epoch of `round`, the same ones for all its rounds; `None` if it never
    /// had its secrets.
    pub fn list_keys(&self, round: u64) -> Option<Arc<ListKeys>> {
        let (keys, _) = self.secrets(round)?;
        let made = keys.clients.get_or_init(|| {
            let secret = ListSecret::new(keys.list_key(), self.network.id(), keys.epoch());
            Arc::new(ListKeys::new(secret, self.network.roster.clients.iter().map(|client| client.list_key)))
        });
        Some(made.clone())
    }

    /// This mix's share of the secret of `round`; `None` once it is erased, or if it never had one.
    pub fn share(&self, round: u64) -> Option<Share> {
        self.secrets(round)?.0.shares.share(round).ok()
    }

    /// Checks what the mix at place `from` released; `None` if this mix does not know the round's joint key.
    pub fn check_share(&self, round: u64, from: usize, share: &Share) -> Option<Result<(), JointKeyError>> {
        let joint = self.secrets(round)?.0.joint.as_ref()?;
        Some(joint.check_share(round, from as u8 + 1, share))
    }

    /// What shows which share the mix at place `from` owes for `round` ([`JointKeys::openings`]); nothing if this mix never had the
    /// round's keys.
    pub fn openings(&self, round: u64, from: usize) -> Vec<Opening> {
        let joint = self.secrets(round).and_then(|(keys, _)| keys.joint.as_ref());
        joint.map(|joint| joint.openings(from as u8 + 1)).unwrap_or_default()
    }

    /// The key to the envelopes of `round`, from the shares of t mixes, each with its number from 1.
    ///
    /// # Errors
    /// See [`JointKeys::open`].
    pub fn envelope_key(&self, round: u64, shares: &[(u8, Share)]) -> Result<EnvelopeKey, JointKeyError> {
        let unknown = JointKeyError::UnknownRound(round);
        let joint = self.secrets(round).and_then(|(keys, _)| keys.joint.as_ref()).ok_or(unknown)?;
        let context = self.context(round).ok_or(unknown)?;
        Ok(EnvelopeKey::new(context, &joint.open(round, shares)?, self.backend))
    }

    /// What a client needs to build the packets of `round`.
    pub fn builder(&self, round: u64) -> Option<Builder> {
        let document = self.document(round)?;
        let (onions, envelope) = (document.onion_keys(round)?, document.envelope_key(round)?);
        Some(Builder::new(self.geometry, self.context(round)?, self.backend, onions, envelope))
    }

    /// Erases this mix's share of `round`, and what it was made from.
    pub fn erase_share(&mut self, round: u64) {
        if !self.erases() {
            return;
        }
        if let Some(keys) = self.secrets_mut(round) {
            keys.shares.erase(round);
        }
    }

    /// Erases this mix's onion key of `round`.
    pub fn erase_onion_key(&mut self, round: u64) {
        if !self.erases() {
            return;
        }
        let position = self.document(round).and_then(|document| document.position(round));
        if let (Some(position), Some(keys)) = (position, self.secrets_mut(round)) {
            keys.onion.erase(position);
        }
    }

    /// Erases this mix's secrets of `round`: its verdict is signed.
    pub fn erase(&mut self, round: u64) {
        if !self.erases() {
            return;
        }
        let documents = self.chain.iter().map(|signed| &signed.document);
        for document in documents.filter(|document| document.position(round).is_some()) {
            erase(&mut self.keys, document, round);
        }
    }

    /// Erases every secret: the mix stops.
    pub fn erase_all(&mut self) {
        self.keys.clear();
    }

    /// The network this mix is in.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Always, but in experiments.
    fn erases(&self) -> bool {
        self.network.defences.stands(Defence::Erasure)
    }

    fn secrets_mut(&mut self, round: u64) -> Option<&mut EpochKeys> {
        let epoch = self.document(round)?.epoch;
        self.keys.iter_mut().find(|keys| keys.epoch() == epoch)
    }

    /// The secrets of `round`, which are those of the document that serves it and of no other.
    fn secrets(&self, round: u64) -> Option<(&EpochKeys, usize)> {
        let document = self.document(round)?;
        let keys = self.keys.iter().find(|keys| keys.epoch() == document.epoch)?;
        Some((keys, document.position(round)?))
    }
}

fn erase(keys: &mut VecDeque<EpochKeys>, document: &EpochDocument, round: u64) {
    if let (Some(keys), Some(position)) =
        (keys.iter_mut().find(|keys| keys.epoch() == document.epoch), document.position(round))
    {
        keys.erase(position, round);
    }
}
