//! Building a submission: a job for the thread pool.

use std::hint::black_box;
use std::sync::Arc;

use rand::{Rng, RngExt, SeedableRng};
use zeroize::Zeroizing;

use crate::crypto::{Csprng, Digest, MailboxId, PublicKey};
use crate::packet::{Address, Body, Builder, Correspondent, Kind, MessageId, Recipe, permutation};
use crate::wire::{DummyPolicy, EpochDocument, MailboxEntry, NOWHERE, Network, onion_digests, submission_digest};

use super::correspondence::{Correspondence, nearest};
use super::records::RecordKeys;
use super::{Contacts, Fragment};

/// Everything a round's packets are built from. Whatever is carried, the same number of packets goes through the same
/// steps and comes out in an order of its own.
pub struct BuildJob {
    pub(super) network: Arc<Network>,
    pub(super) correspondence: Arc<Correspondence>,
    pub(super) contacts: Arc<Contacts>,
    /// `None` if rounds are not sealed.
    pub(super) records: Option<Arc<RecordKeys>>,
    /// That of the round.
    pub(super) document: Arc<EpochDocument>,
    pub(super) builder: Builder,
    pub(super) index: u32,
    /// Of dummies; inside the encryption, only for form.
    pub(super) expiry: u64,
    /// At most `packets_per_client`.
    pub(super) fragments: Vec<Fragment>,
    pub(super) seed: Zeroizing<[u8; 32]>,
}

/// A submission, ready to go.
pub struct Built {
    pub(super) round: u64,
    pub(super) packets: Vec<u8>,
    pub(super) records: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) unsendable: Vec<MessageId>,
    /// What it carries, to be freed later: that takes time which dummies do not.
    _carried: Vec<Fragment>,
}

/// A fragment or dummy on its way into a recipe.
struct Item<'a> {
    to: Address,
    body: Body<'a>,
    sender: Option<Arc<Correspondent>>,
}

#[cfg(any(test, feature = "sim"))]
impl BuildJob {
    /// For which round.
    pub fn round(&self) -> u64 {
        self.builder.context().round
    }

    /// How many of its packets are parts of messages.
    pub fn carried(&self) -> usize {
        self.fragments.len()
    }
}

#[cfg(any(test, feature = "sim"))]
impl Built {
    /// A copy of what is sent.
    pub fn clone_bytes(&self) -> (Vec<u8>, Vec<u8>) {
        (self.packets.clone(), self.records.clone())
    }
}

/// Where a dummy goes.
struct Cover {
    to: Address,
    message: MessageId,
    /// For whom its tag is made, which nobody sees: as long not written to as somebody to whom a message goes.
    tagged_for: Option<PublicKey>,
}

impl BuildJob {
    /// Builds `packets_per_client` packets; for 3 mixes about ten scalar multiplications each and five passes over the
    /// payload. In a sealed round its records follow, in the order of the packets.
    pub fn run(self) -> Built {
        let mut rng = Csprng::from_seed(*self.seed);
        let count = self.network.parameters.packets_per_client as usize;
        let mut unsendable = Vec::new();
        // As many dummies are drawn whatever is carried, and each item then costs the same.
        let covers: Vec<Cover> = (0..count).map(|_| self.cover(&mut rng)).collect();
        let mut items: Vec<_> = Vec::with_capacity(count);
        for fragment in &self.fragments {
            match self.fragment(fragment) {
                Some(item) => items.push(item),
                None => unsendable.push(fragment.message),
            }
        }
        items.extend(covers.iter().skip(items.len()).map(|cover| self.dummy(cover)));
        let mut packets =
            Vec::with_capacity(self.builder.geometry().packet() * count + self.builder.geometry().stride());
        // A position in the submission must not tell a fragment from a dummy.
        let recipes = permutation(&mut rng, count).into_iter().map(|position| {
            let Item { to, body, sender } = &items[position as usize];
            Recipe { to: *to, body: body.clone(), sender: sender.as_deref() }
        });
        let echoes = Zeroizing::new(self.builder.client_packets(&mut rng, self.index, recipes, &mut packets));
        let context = self.builder.context();
        let onions = onion_digests(packets.chunks_exact(self.builder.geometry().packet()));
        let records =
            self.records.as_ref().map(|keys| keys.records((context, &self.document), self.index, &onions, &echoes));
        let digest = submission_digest(&onions);
        let (round, records) = (context.round, records.unwrap_or_default());
        drop(items);
        Built { round, packets, records, digest, unsendable, _carried: self.fragments }
    }

    /// `None` if the fragment cannot be sealed.
    fn fragment<'a>(&self, fragment: &'a Fragment) -> Option<Item<'a>> {
        let fits = fragment.data.len() <= self.builder.geometry().payload() && fragment.index < fragment.count;
        if !fits || fragment.to.letter_key.check().is_err() {
            return None;
        }
        let body = Body {
            kind: Kind::Fragment,
            message: fragment.message,
            index: fragment.index,
            count: fragment.count,
            expiry: fragment.expiry,
            sender: fragment.named.then(|| self.correspondence.mailbox()),
            data: &fragment.data,
        };
        Some(Item { to: fragment.to, body, sender: Some(self.correspondence.outgoing(&fragment.to.letter_key)?) })
    }

    /// To where the network lets dummies go. A mailbox is drawn all the same, and the letter sealed to one that somebody has: each kind of
    /// dummy costs what a real packet does.
    fn cover(&self, rng: &mut Csprng) -> Cover {
        let (mailboxes, own) = (&self.network.roster.mailboxes, self.correspondence.mailbox());
        // Ours is among them: every client gets the same cover.
        let drawn = mailboxes[rng.random_range(0..mailboxes.len())];
        let entry = match self.network.parameters.dummies {
            DummyPolicy::Uniform => drawn,
            DummyPolicy::Dropped => MailboxEntry { id: NOWHERE, ..drawn },
            DummyPolicy::Own => mailboxes.iter().find(|entry| entry.id == own).copied().unwrap_or(drawn),
        };
        let mut message = MessageId([0; 16]);
        rng.fill_bytes(&mut message.0);
        let contact = nearest(&self.contacts, MailboxId(message.0));
        let to = Address { mailbox: entry.id, letter_key: entry.letter_key };
        Cover { to, message, tagged_for: contact.map(|(_, key)| *key) }
    }

    fn dummy(&self, cover: &Cover) -> Item<'_> {
        let body = Body::dummy(cover.message, self.expiry, &self.network.parameters.dummy_payload);
        // On the roster it is a point that will do; a recipient's key is looked at, and so this one is.
        let _usable = black_box(cover.to.letter_key.check());
        let sender = match &cover.tagged_for {
            Some(contact) => self.correspondence.outgoing(contact),
            None => self.correspondence.ourselves(),
        };
        Item { to: cover.to, body, sender }
    }
}
