//! The clients that are played.

use std::path::Path;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use zeroize::Zeroizing;

use crate::config::{Capability, ClientSecrets, Home};
use crate::crypto::{Csprng, IdentityKey, SecretKey};
use crate::packet::{Address, Geometry};
use crate::wire::Network;

use super::LoadError;

/// A client that is played.
pub(super) struct Member {
    /// Its roster index.
    pub index: u32,
    /// All that it alone knows.
    pub secrets: ClientSecrets,
    /// Signs its records.
    pub identity: Arc<IdentityKey>,
    /// Where letters to it go.
    pub address: Address,
}

/// The clients that are played, in roster order.
pub struct Crew {
    pub(super) network: Arc<Network>,
    pub(super) geometry: Geometry,
    pub(super) members: Vec<Member>,
}

/// The secrets of `count` clients that follow from a seed: nothing but the seed need be kept, and several processes can
/// play parts of one crew.
pub(super) fn secrets(seed: &[u8; 32], count: usize) -> Vec<ClientSecrets> {
    let mut rng = Csprng::from_seed(*seed);
    let mut draw = || {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        bytes
    };
    let mut one = || ClientSecrets {
        identity: IdentityKey::from_seed(&draw()),
        letter: SecretKey::from_bytes(*draw()),
        list: SecretKey::from_bytes(*draw()),
        capability: Capability::from_bytes(*draw()),
    };
    (0..count).map(|_| one()).collect()
}

impl Crew {
    /// The clients of `network` whose secrets are `secrets`, in the order of the roster.
    ///
    /// # Errors
    /// If one is not on the roster, or packets of such a network cannot be.
    pub(super) fn new(
        network: Arc<Network>,
        secrets: impl IntoIterator<Item = ClientSecrets>,
    ) -> Result<Self, LoadError> {
        let geometry = Geometry::new(network.mixes(), network.parameters.payload as usize)
            .ok_or_else(|| LoadError::Options("the network file's mixes or payload are out of range".into()))?;
        let id = network.id();
        let indices: std::collections::HashMap<_, _> =
            (0..).zip(&network.roster.clients).map(|(index, client)| (client.identity, index)).collect();
        let mut members = Vec::new();
        for secrets in secrets {
            let identity = IdentityKey::from_pkcs8(secrets.identity.expose_pkcs8()).expect("a key is its own encoding");
            let index = *indices.get(&identity.identity()).ok_or_else(|| {
                LoadError::Options("a client's key is not the one in the network file\nhelp: see --homes".into())
            })?;
            let mailbox = secrets.mailbox(&id);
            let address = Address { mailbox: mailbox.id, letter_key: mailbox.letter_key };
            members.push(Member { index, secrets, identity: Arc::new(identity), address });
        }
        members.sort_unstable_by_key(|member| member.index);
        Ok(Self { network, geometry, members })
    }

    /// The first `count` clients of the roster, whose homes are `homes/NAME`.
    ///
    /// # Errors
    /// If fewer are there.
    pub(super) fn at_home(network: Arc<Network>, homes: &Path, count: usize) -> Result<Self, LoadError> {
        let names = network.roster.clients.iter().take(count).map(|client| homes.join(&client.id));
        let there: Vec<_> = names.filter(|dir| dir.is_dir()).collect();
        if there.len() < count {
            return Err(LoadError::Homes { dir: homes.into(), found: there.len(), wanted: count });
        }
        let secrets = there.iter().map(|dir| Ok(Home::open::<&str, &str>(dir, [])?.client_secrets()?));
        let secrets = secrets.collect::<Result<Vec<_>, LoadError>>()?;
        Self::new(network, secrets)
    }

    /// Keeps the part `number` of `of`, from 1: clients next to each other on the roster.
    pub fn keep_part(&mut self, number: usize, of: usize) {
        let all = self.members.len();
        self.members.truncate(all * number / of);
        self.members.drain(..all * (number - 1) / of);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}
