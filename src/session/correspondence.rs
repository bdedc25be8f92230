//! Our letter key, and the tag keys that we share with correspondents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::{Agreement, Backend, Digest, MailboxId, PublicKey, SecretKey};
use crate::packet::Correspondent;

use super::Contacts;

/// Tag keys kept at a time. Deriving one costs three scalar multiplications, a tenth of a millisecond; when there are
/// too many all are dropped.
const KEPT: usize = 1024;

/// Our side of every correspondence; shared by the jobs.
pub(super) struct Correspondence {
    network: Digest,
    mailbox: MailboxId,
    letter: SecretKey,
    own: PublicKey,
    known: Mutex<HashMap<(PublicKey, bool), Arc<Correspondent>>>,
}

impl Correspondence {
    /// With tag keys of `contacts` ready, as far as they are kept: the first message to one must not take longer than
    /// another, nor longer than a dummy.
    pub(super) fn new(network: Digest, mailbox: MailboxId, letter: SecretKey, contacts: &Contacts) -> Self {
        let own = letter.public_key();
        let correspondence = Self { network, mailbox, letter, own, known: Mutex::default() };
        for key in contacts.values().take(KEPT / 2 - 1) {
            // Of a contact whose key is no usable point there is none.
            let _ = (correspondence.outgoing(key), correspondence.incoming(key));
        }
        correspondence
    }

    /// The network that all is bound to.
    pub(super) fn network(&self) -> Digest {
        self.network
    }

    /// Our own mailbox: the name that letters give as their sender.
    pub(super) fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// The letter key, ready to open letters.
    pub(super) fn agreement(&self) -> Agreement {
        self.letter.prepare(Backend::default())
    }

    /// The key of tags on letters to `peer`; `None` if its key is not a usable point.
    pub(super) fn outgoing(&self, peer: &PublicKey) -> Option<Arc<Correspondent>> {
        self.find(peer, true)
    }

    /// The key of tags on letters from `peer`; `None` if its key is not a usable point.
    pub(super) fn incoming(&self, peer: &PublicKey) -> Option<Arc<Correspondent>> {
        self.find(peer, false)
    }

    /// A tag key that we share with ourselves, for work whose result nobody sees: so that a dummy costs what a message does.
    pub(super) fn ourselves(&self) -> Option<Arc<Correspondent>> {
        self.find(&self.own, true)
    }

    /// Whether the key of tags on letters to `peer` is kept.
    #[cfg(test)]
    pub(super) fn has_outgoing(&self, peer: &PublicKey) -> bool {
        self.known.lock().expect("not poisoned").contains_key(&(*peer, true))
    }

    fn find(&self, peer: &PublicKey, own_is_sender: bool) -> Option<Arc<Correspondent>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&(*peer, own_is_sender)) {
            return Some(found.clone());
        }
        let made = Arc::new(Correspondent::new(&self.network, &self.letter, peer, own_is_sender).ok()?);
        if known.len() == KEPT {
            known.clear();
        }
        known.insert((*peer, own_is_sender), made.clone());
        Some(made)
    }
}

/// The contact at `id`, or else the next one around the circle: somebody drawn, if the id is. `None` without contacts.
pub(super) fn nearest(contacts: &Contacts, id: MailboxId) -> Option<(&MailboxId, &PublicKey)> {
    contacts.range(id..).next().or_else(|| contacts.first_key_value())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::crypto::Csprng;

    #[test]
    fn the_number_of_kept_keys_is_bounded() {
        let mut rng = Csprng::seed_from_u64(1);
        let own = SecretKey::random(&mut rng);
        let correspondence = Correspondence::new(Digest([1; 32]), MailboxId([2; 16]), own, &Contacts::default());
        for _ in 0..KEPT + 10 {
            let peer = SecretKey::random(&mut rng).public_key();
            assert!(correspondence.outgoing(&peer).is_some());
        }
        assert_eq!(correspondence.known.lock().expect("not poisoned").len(), 10);
        assert!(correspondence.outgoing(&PublicKey([0; 32])).is_none());
    }
}
