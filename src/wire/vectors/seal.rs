//! `seal.json`: transcripts, and each statement of a sealed round, signed.

use super::signed::signed_by;
use super::*;

#[test]
fn sealed_rounds_are_those_of_the_vectors() {
    let file = || {
        let mut all: Vec<Value> = (2..=4).map(a_transcript).collect();
        all.push(statement(
            "confirm",
            &confirm(),
            json!({ "transcript": confirm().transcript.to_string(), "grounds": confirm().grounds.to_string() }),
        ));
        all.push(release());
        all.extend(MISMATCHES.map(|(mismatch, name)| accusation(mismatch, name)));
        all.push(statement("burnt", &Burnt { slot: slot() }, json!({})));
        all.push(onion_key());
        Value::Array(all)
    };
    check("seal.json", file, |_: Value| file());
}

const MISMATCHES: [(Mismatch, &str); 7] = [
    (Mismatch::Layer { hop: 1, place: 70_000 }, "layer"),
    (Mismatch::Replay { hop: 2, place: 3 }, "replay"),
    (Mismatch::Noise { hop: 2, place: 0 }, "noise"),
    (Mismatch::Echo { place: 250 }, "echo"),
    (Mismatch::Equivocation { hop: 7 }, "equivocation"),
    (Mismatch::Transcript { hop: 3 }, "transcript"),
    (Mismatch::Header { hop: 2 }, "header"),
];

fn slot() -> Slot {
    Slot { network: network(), epoch: 7, round: 300 }
}

/// The fields of a round and those of a statement.
fn fields(mut more: Value) -> Value {
    let Slot { network, epoch, round } = slot();
    more["network"] = network.to_string().into();
    more["epoch"] = epoch.into();
    more["round"] = round.into();
    more
}

/// A statement as both mixes sign it.
fn statement(kind: &str, statement: &dyn Statement, more: Value) -> Value {
    let signed = statement.signed_bytes();
    for key in keys() {
        assert!(statement.is_signed_by(&key.identity(), &key.sign(&signed)));
    }
    json!({ "kind": kind, "fields": fields(more), "signed": to_hex(&signed), "signers": signed_by(&keys(), &signed) })
}

/// What is signed in a round of `mixes`: a header from each mix but the last, the signed bytes of echo headers from all.
fn a_transcript(mixes: u8) -> Value {
    let header = |hop| BatchHeader { hop, output: Digest([0x20 + hop; 32]), ..batch().header };
    let batches: Vec<BatchHeader> = (1..mixes).map(header).collect();
    // Of any length, as far as a transcript goes.
    let echoes: Vec<Vec<u8>> = (1..=mixes).rev().map(|hop| vec![0xe0 + hop; usize::from(hop) * 5]).collect();
    let (document, list) = (epoch().document.digest(), Digest([0x11; 32]));
    let signed: Vec<String> = batches.iter().map(|header| to_hex(&header.signed_bytes())).collect();
    let digest = transcript(&document, &list, &batches, &echoes);
    json!({
        "kind": "transcript",
        "document": document.to_string(),
        "list": list.to_string(),
        "batches": signed,
        "echoes": echoes.iter().map(|bytes| to_hex(bytes)).collect::<Vec<_>>(),
        "digest": digest.to_string(),
    })
}

fn confirm() -> Confirm {
    Confirm { slot: slot(), transcript: Digest([0x7a; 32]), grounds: Digest([0x67; 32]) }
}

fn release() -> Value {
    let (transcript, share) = (confirm().transcript, ReleasedShare::from_bytes([0x5e; 32]));
    let more = json!({ "transcript": transcript.to_string(), "share": to_hex(share.expose()) });
    statement("release", &Release { slot: slot(), transcript, share }, more)
}

fn accusation(mismatch: Mismatch, name: &str) -> Value {
    assert_eq!(mismatch.name(), name);
    let mut more = json!({ "mismatch": name });
    match mismatch {
        Mismatch::Layer { hop, place } | Mismatch::Replay { hop, place } | Mismatch::Noise { hop, place } => {
            more["hop"] = hop.into();
            more["place"] = place.into();
        }
        Mismatch::Echo { place } => more["place"] = place.into(),
        Mismatch::Equivocation { hop } | Mismatch::Transcript { hop } | Mismatch::Header { hop } => {
            more["hop"] = hop.into();
        }
    }
    more["subject"] = subject().to_string().into();
    statement("accusation", &Accusation { slot: slot(), mismatch, subject: subject() }, more)
}

/// Of a batch header.
fn subject() -> Digest {
    batch().header.subject()
}

fn onion_key() -> Value {
    let published = OnionKey { slot: slot(), key: [0x03; 32], noise: vec![0, 7, 70_000] };
    let public = epoch().document.mixes[1].onion_keys[0];
    assert!(published.belongs_to(&public));
    let more = json!({ "key": to_hex(&published.key), "noise": published.noise, "public": public.to_string() });
    statement("onion_key", &published, more)
}
