//! Values for the vectors, each with its JSON.

use super::*;
use crate::crypto::{IdentityKey, PublicKey, SecretKey};

pub(super) const REFUSALS: [(Refusal, &str); 10] = [
    (Refusal::Malformed, "Malformed"),
    (Refusal::WrongRound, "WrongRound"),
    (Refusal::Late, "Late"),
    (Refusal::Duplicate, "Duplicate"),
    (Refusal::Full, "Full"),
    (Refusal::NotOnRoster, "NotOnRoster"),
    (Refusal::NotRegistered, "NotRegistered"),
    (Refusal::WrongMix, "WrongMix"),
    (Refusal::Stopping, "Stopping"),
    (Refusal::Evicted, "Evicted"),
];

pub(super) const EPOCH_REFUSALS: [(EpochRefusalReason, &str); 5] = [
    (EpochRefusalReason::Parameters, "Parameters"),
    (EpochRefusalReason::Stale, "Stale"),
    (EpochRefusalReason::Signed, "Signed"),
    (EpochRefusalReason::Document, "Document"),
    (EpochRefusalReason::Dealing, "Dealing"),
];

pub(super) const ABORT_REASONS: [(AbortReason, &str); 14] = [
    (AbortReason::TooFewClients, "TooFewClients"),
    (AbortReason::LinkDown, "LinkDown"),
    (AbortReason::Lost, "Lost"),
    (AbortReason::BadLayer, "BadLayer"),
    (AbortReason::Replay, "Replay"),
    (AbortReason::SecondBatch, "SecondBatch"),
    (AbortReason::BadBatch, "BadBatch"),
    (AbortReason::Timeout, "Timeout"),
    (AbortReason::Stopping, "Stopping"),
    (AbortReason::WrongShare, "WrongShare"),
    (AbortReason::BadList, "BadList"),
    (AbortReason::BadEcho, "BadEcho"),
    (AbortReason::Transcript, "Transcript"),
    (AbortReason::LeftOut, "LeftOut"),
];

/// The seeds of the mixes' identity keys.
pub(super) const SEEDS: [[u8; 32]; 2] = [[0x11; 32], [0x22; 32]];

pub(super) fn keys() -> Vec<IdentityKey> {
    SEEDS.iter().map(IdentityKey::from_seed).collect()
}

fn public_key(seed: u8) -> PublicKey {
    SecretKey::from_bytes([seed; 32]).public_key()
}

/// Two mixes, two rounds.
pub(super) fn epoch() -> SignedEpoch {
    let document = EpochDocument {
        network: network(),
        epoch: 7,
        previous: Digest([0x07; 32]),
        first_round: 61,
        rounds: 2,
        members: 300,
        parameters: Digest([0x0a; 32]),
        roster: Digest([0x0b; 32]),
        mailboxes: Digest([0x0c; 32]),
        proposed_at_ms: 1_767_225_600_000,
        mixes: vec![
            MixKeys {
                boot: [0xb1; 16],
                list_key: public_key(7),
                onion_keys: vec![public_key(1), public_key(2)],
                dealing: Digest([0xd1; 32]),
            },
            MixKeys {
                boot: [0xb2; 16],
                list_key: public_key(8),
                onion_keys: vec![public_key(3), public_key(4)],
                dealing: Digest([0xd2; 32]),
            },
        ],
        envelope_keys: vec![public_key(5), public_key(6)],
    };
    let signatures = keys().iter().map(|key| document.sign(key)).collect();
    SignedEpoch { document, signatures }
}

pub(super) fn epoch_json() -> Value {
    let SignedEpoch { document, signatures } = epoch();
    let mixes: Vec<Value> = document
        .mixes
        .iter()
        .map(|mix| {
            json!({
                "boot": to_hex(&mix.boot),
                "list_key": mix.list_key.to_string(),
                "onion_keys": strings(&mix.onion_keys),
                "dealing": mix.dealing.to_string(),
            })
        })
        .collect();
    json!({
        "document": {
            "network": document.network.to_string(),
            "epoch": document.epoch,
            "previous": document.previous.to_string(),
            "first_round": document.first_round,
            "rounds": document.rounds,
            "members": document.members,
            "parameters": document.parameters.to_string(),
            "roster": document.roster.to_string(),
            "mailboxes": document.mailboxes.to_string(),
            "proposed_at_ms": document.proposed_at_ms,
            "mixes": mixes,
            "envelope_keys": strings(&document.envelope_keys),
        },
        "signatures": strings(&signatures),
    })
}

pub(super) fn network() -> Digest {
    crate::crypto::derive(crate::crypto::Label::Network, b"vectors")
}

/// Clients 0, 3 and 9 of a roster of 11.
pub(super) fn members() -> Members {
    let mut members = Members::none(11);
    for index in MEMBERS {
        members.insert(index);
    }
    members
}

pub(super) const MEMBERS: [u32; 3] = [0, 3, 9];
pub(super) const BITMAP: &str = "0902";

pub(super) fn verdict(outcome: Outcome) -> Verdict {
    let members = members();
    Verdict { network: network(), epoch: 7, round: 300, members, outcome }
}

pub(super) fn verdict_json(outcome: Value) -> Value {
    json!({
        "network": network().to_string(),
        "epoch": 7,
        "round": 300,
        "members": BITMAP,
        "outcome": outcome,
    })
}

pub(super) fn signed_verdict(outcome: Outcome) -> SignedVerdict {
    let signatures = vec![Signature([0x51; 64]), Signature([0x52; 64])];
    SignedVerdict { verdict: verdict(outcome), signatures }
}

pub(super) fn signed_verdict_json(outcome: Value) -> Value {
    let signatures = [to_hex(&[0x51; 64]), to_hex(&[0x52; 64])];
    json!({ "verdict": verdict_json(outcome), "signatures": signatures })
}

pub(super) fn batch() -> SignedBatchHeader {
    let header = BatchHeader {
        network: network(),
        epoch: epoch().document.digest(),
        round: 300,
        hop: 1,
        count: 70_000,
        noise: 250,
        members: members(),
        input: Digest([0x1a; 32]),
        output: Digest([0x1b; 32]),
    };
    header.sign(&keys()[0])
}

pub(super) fn batch_json() -> Value {
    let SignedBatchHeader { header, signature } = batch();
    json!({
        "header": {
            "network": header.network.to_string(),
            "epoch": header.epoch.to_string(),
            "round": header.round,
            "hop": header.hop,
            "count": header.count,
            "noise": header.noise,
            "members": BITMAP,
            "input": header.input.to_string(),
            "output": header.output.to_string(),
        },
        "signature": signature.to_string(),
    })
}

/// What the first mix deals to the second.
pub(super) fn sub_shares() -> SubShares {
    let values = [0xe1, 0xe2].map(|byte| SecretPart([byte; 32])).into();
    SubShares::sign(&keys()[0], &network(), 8, Digest([0xd1; 32]), 2, values)
}

pub(super) fn sub_shares_json() -> Value {
    let SubShares { epoch, dealing, values, signature } = sub_shares();
    let values: Vec<String> = values.iter().map(|value| to_hex(&value.0)).collect();
    json!({ "epoch": epoch, "dealing": dealing.to_string(), "values": values, "signature": signature.to_string() })
}

pub(super) fn strings<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}
