//! The keys under which a client's records convince one mix and nobody else.

use std::sync::OnceLock;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::{
    Agreement, Backend, Digest, Label, PRF_BYTES, PointError, PrfKey, PublicKey, SecretKey, derive_into, prf, prf_each,
};

use super::{ListRecord, ListRow, RECORD_BYTES};

/// MACs that are computed at a time: they fill lanes, and what they are of stays in the nearest cache.
const SIDE_BY_SIDE: usize = 256;

/// A party's own side of every [`ListKey`] of one epoch: a client's static list key, or a mix's list key of the epoch.
pub struct ListSecret {
    agreement: Agreement,
    public: PublicKey,
    network: Digest,
    epoch: u64,
}

impl ListSecret {
    /// Prepares `secret` for an epoch of a network.
    pub fn new(secret: &SecretKey, network: Digest, epoch: u64) -> Self {
        let agreement = secret.prepare(Backend::default());
        let public = agreement.public_key();
        Self { agreement, public, network, epoch }
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// A client's key towards the mix whose list key is `mix`.
    ///
    /// # Errors
    /// If that is no usable point.
    pub fn with_mix(&self, mix: &PublicKey) -> Result<ListKey, PointError> {
        self.agree(mix, &self.public, mix)
    }

    /// A mix's key towards the client whose list key is `client`.
    ///
    /// # Errors
    /// If that is no usable point.
    pub fn with_client(&self, client: &PublicKey) -> Result<ListKey, PointError> {
        self.agree(client, client, &self.public)
    }

    /// H(ListMac, ss 32 | network 32 | epoch u64 | client's list key 32 | mix's list key 32).
    fn agree(&self, peer: &PublicKey, client: &PublicKey, mix: &PublicKey) -> Result<ListKey, PointError> {
        peer.check()?;
        let secret = self.agreement.agree(peer).ok_or(PointError::LowOrder)?;
        let epoch = self.epoch.to_le_bytes();
        let parts: [&[u8]; 5] = [secret.expose(), &self.network.0, &epoch, &client.0, &mix.0];
        let material = Zeroizing::new(parts.concat());
        let mut key = Zeroizing::new([0; 32]);
        derive_into(Label::ListMac, &material, key.as_mut_slice());
        Ok(ListKey(PrfKey::from_bytes(*key)))
    }
}

/// What a MAC is of: round 8 | record 52.
fn in_round(round: u64, record: &ListRecord) -> [u8; 8 + RECORD_BYTES] {
    let mut message = [0; 8 + RECORD_BYTES];
    message[..8].copy_from_slice(&round.to_le_bytes());
    message[8..].copy_from_slice(&record.to_bytes());
    message
}

/// The MAC key that one client and one mix share for one epoch. Either could have made a MAC under it.
pub struct ListKey(PrfKey);

impl ListKey {
    /// PRF(key, round u64 | record): one compression of the hash.
    pub fn mac(&self, round: u64, record: &ListRecord) -> [u8; PRF_BYTES] {
        prf(&self.0, &[&in_round(round, record)])
    }

    /// Whether the row's MAC is right for `round`. Compared in constant time.
    #[must_use]
    pub fn check(&self, round: u64, row: &ListRow) -> bool {
        self.mac(round, &row.record).ct_eq(&row.mac).into()
    }

    /// The key itself, for test vectors.
    #[cfg(test)]
    pub(in crate::wire) fn expose(&self) -> &[u8; 32] {
        &self.0.0
    }
}

/// A mix's keys towards all clients of the roster in one epoch. Each is agreed when it is first asked for, once: any
/// number of threads may ask.
pub struct ListKeys {
    secret: ListSecret,
    clients: Box<[(PublicKey, OnceLock<Option<ListKey>>)]>,
}

impl ListKeys {
    /// Keys towards `clients`, the list keys in roster order.
    pub fn new(secret: ListSecret, clients: impl IntoIterator<Item = PublicKey>) -> Self {
        Self { secret, clients: clients.into_iter().map(|key| (key, OnceLock::new())).collect() }
    }

    /// The key towards a client; `None` beyond the roster, and for a client whose list key is no usable point: no MAC of
    /// its own is ever right.
    pub fn get(&self, client: u32) -> Option<&ListKey> {
        let (public, key) = self.clients.get(client as usize)?;
        key.get_or_init(|| self.secret.with_client(public).ok()).as_ref()
    }

    /// Whether the MAC of each of `rows`, of any clients, is right for `round`. Computed side by side, compared in constant time.
    #[must_use]
    pub fn check_each(&self, round: u64, rows: &[ListRow]) -> Vec<bool> {
        rows.chunks(SIDE_BY_SIDE).flat_map(|rows| self.check_few(round, rows)).collect()
    }

    fn check_few(&self, round: u64, rows: &[ListRow]) -> Vec<bool> {
        let keys: Vec<Option<&ListKey>> = rows.iter().map(|row| self.get(row.record.index)).collect();
        let known = || keys.iter().zip(rows).filter_map(|(key, row)| Some(((*key)?, row)));
        let messages: Vec<_> = known().map(|(_, row)| in_round(round, &row.record)).collect();
        let messages: Vec<&[u8]> = messages.iter().map(<[u8; _]>::as_slice).collect();
        let macs = prf_each(&known().map(|(key, _)| &key.0).collect::<Vec<_>>(), &messages);
        let mut good = known().zip(macs).map(|((_, row), mac)| bool::from(mac.ct_eq(&row.mac)));
        keys.iter().map(|key| key.is_some() && good.next().is_some_and(|good| good)).collect()
    }
}
