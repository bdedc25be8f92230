//! Every message type: it decodes from exactly the bytes it encodes to, and nothing that is done with it first panics.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mixnet::control::{Answer, Ask};
use mixnet::crypto::{Digest, Identity, Signature};
use mixnet::threshold::{Commitments, Opening, Scheme, Window};
use mixnet::wire::codec::{Decode, Encode, decode, encode};
use mixnet::wire::{
    ClientRecords, EpochDocument, ListContext, Members, Network, PeerMessage, Reply, Request, SignedBatchHeader,
    SignedEpoch, SignedVerdict, Verdict,
};
use mixnet_fuzz::network;

static NETWORK: LazyLock<Network> = LazyLock::new(network);
static MIXES: LazyLock<Vec<Identity>> = LazyLock::new(|| NETWORK.mix_identities());

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 9 {
        0 => drop(message::<Request>(bytes)),
        1 => message::<Reply>(bytes).into_iter().for_each(reply),
        2 => message::<PeerMessage>(bytes).into_iter().for_each(peer),
        3 => drop(message::<Ask>(bytes)),
        4 => drop(message::<Answer>(bytes)),
        5 => message::<SignedEpoch>(bytes).into_iter().for_each(epoch),
        6 => message::<SignedVerdict>(bytes).into_iter().for_each(|signed| verdict(&signed)),
        7 => message::<SignedBatchHeader>(bytes).into_iter().for_each(|signed| batch(&signed)),
        _ => records(bytes),
    }
});

fn message<T: Decode<()> + Encode>(bytes: &[u8]) -> Option<T> {
    let message = decode::<T>(bytes).ok()?;
    assert_eq!(encode(&message), bytes, "one message has one encoding");
    Some(message)
}

fn reply(reply: Reply) {
    match reply {
        Reply::Start(start) => start.chain.into_iter().for_each(epoch),
        Reply::Ticket(ticket) => {
            ticket.chain.into_iter().for_each(epoch);
            ticket.verdicts.iter().for_each(verdict);
        }
        Reply::Receipt(receipt) => {
            assert!(!receipt.verify(&MIXES[0], &NETWORK.id(), 1, &Digest([7; 32])), "nobody has signed it");
        }
        Reply::Registered { .. }
        | Reply::Letters(_)
        | Reply::Refused(_)
        | Reply::Attached { .. }
        | Reply::HandedOver { .. } => {}
    }
}

fn peer(message: PeerMessage) {
    match message {
        PeerMessage::EpochCall(call) => call.previous.into_iter().for_each(epoch),
        PeerMessage::EpochOpening { opening, .. } => self::opening(opening),
        PeerMessage::EpochSubShares(dealt) => {
            assert!(!dealt.is_signed_by(&MIXES[1], &NETWORK.id(), 1), "nobody has signed it");
        }
        PeerMessage::EpochProposal { mut document, openings } => {
            self::document(&mut document);
            openings.into_iter().for_each(opening);
        }
        PeerMessage::EpochSignature { digest, signature, .. } => assert!(!MIXES[1].verify(&digest.0, &signature)),
        PeerMessage::EpochRefusal { newest, .. } => newest.into_iter().for_each(epoch),
        PeerMessage::EpochComplete(signed) => epoch(signed),
        PeerMessage::ForwardBatch(signed) => batch(&signed),
        PeerMessage::Decision { verdict, signature } => decision(&verdict, &signature),
        PeerMessage::VerdictComplete(signed) => verdict(&signed),
        _ => {}
    }
}

/// Of two rounds and three mixes, as if it had been committed to: whoever reads it judges it.
fn opening(bytes: Vec<u8>) {
    for threshold in [2, 3] {
        let scheme = Scheme::new(threshold, 3).expect("t of L");
        let window = Window::new(NETWORK.id(), 1, 1, 2, scheme).expect("two rounds");
        let opening = Opening::from_bytes(bytes.clone());
        let commitments = Commitments::new(window, vec![opening.commitment(&window, 1); 3]).expect("one of each mix");
        if commitments.open(1, &opening).is_ok() {
            assert_eq!(bytes.len(), Opening::length(&window));
        }
    }
}

fn epoch(mut signed: SignedEpoch) {
    assert!(signed.verify(&NETWORK).is_err(), "no mix has signed it");
    document(&mut signed.document);
    assert!(signed.verify(&NETWORK).is_err(), "no mix has signed it");
}

/// Names the network it is checked against, so that its shape and its keys are looked at; what passes is used.
fn document(document: &mut EpochDocument) {
    document.network = NETWORK.id();
    document.parameters = NETWORK.parameters.digest();
    document.roster = NETWORK.roster.digest();
    document.mailboxes = NETWORK.roster.mailboxes_digest();
    document.digest();
    for round in [0, document.first_round, u64::MAX] {
        document.position(round);
        document.onion_keys(round);
        document.envelope_key(round);
    }
    if document.check(&NETWORK).is_ok() {
        let last = document.last_round();
        assert!(document.onion_keys(last).is_some_and(|keys| keys.len() == NETWORK.mixes()));
        assert!(document.envelope_key(last).is_some());
        assert!(document.position(last + 1).is_none());
    }
}

fn verdict(signed: &SignedVerdict) {
    assert!(!signed.verify(&MIXES), "no mix has signed it");
    decision(&signed.verdict, &Signature([0; 64]));
}

fn decision(verdict: &Verdict, signature: &Signature) {
    assert!(!verdict.is_signed_by(&MIXES[2], signature), "the exit has not signed it");
    verdict.settles(0);
    verdict.settles(u32::MAX);
    members(&verdict.members);
}

fn batch(signed: &SignedBatchHeader) {
    assert!(!signed.is_signed_by(&MIXES[0]), "the entry has not signed it");
    members(&signed.header.members);
}

/// Behind a submission: bytes of the one length that there is are read, and are what would be sent.
fn records(bytes: &[u8]) {
    let (mixes, packets) = (NETWORK.mixes(), NETWORK.parameters.packets_per_client as usize);
    let onions = vec![Digest([7; 32]); packets];
    let Ok(records) = ClientRecords::parse(bytes, 1, &onions, mixes) else {
        return assert_ne!(bytes.len(), ClientRecords::length(packets, mixes));
    };
    assert_eq!(records.to_bytes(), bytes);
    assert!((0..mixes).all(|mix| records.rows(mix).count() == packets));
    assert_eq!(records.rows(mixes).count(), 0);
    let context = ListContext { network: NETWORK.id(), epoch: 1, round: 1 };
    assert!(!records.is_signed_by(&NETWORK.roster.clients[1].identity, &context), "nobody has signed it");
}

fn members(members: &Members) {
    members.digest();
    let size = NETWORK.roster.clients.len();
    let listed = (0..=u32::from(u8::MAX)).filter(|index| members.contains(*index)).count();
    if members.fits(size) {
        assert_eq!(listed, members.count() as usize);
        assert!(listed <= size);
    }
}
