//! The messages of sealed rounds.

use super::*;
use crate::crypto::IdentityKey;

fn key() -> IdentityKey {
    keys().remove(0)
}

fn context() -> ListContext {
    ListContext { network: network(), epoch: 7, round: 300 }
}

fn context_json() -> Value {
    json!({ "network": network().to_string(), "epoch": 7, "round": 300 })
}

fn list_header(attempt: u8) -> SignedListHeader {
    ListHeader { context: context(), attempt, count: 70_000, signed: 251, root: Digest([0x1c; 32]) }.sign(&key())
}

fn list_header_json(attempt: u8) -> Value {
    let SignedListHeader { header, signature } = list_header(attempt);
    json!({
        "header": {
            "context": context_json(), "attempt": attempt, "count": 70_000, "signed": 251, "root": header.root.to_string(),
        },
        "signature": signature.to_string(),
    })
}

fn complaint() -> SignedListComplaint {
    ListComplaint { context: context(), hop: 2, root: Digest([0x1c; 32]), clients: members() }.sign(&keys()[1])
}

fn complaint_json() -> Value {
    let SignedListComplaint { complaint, signature } = complaint();
    json!({
        "complaint": { "context": context_json(), "hop": 2, "root": complaint.root.to_string(), "clients": BITMAP },
        "signature": signature.to_string(),
    })
}

fn echo_header() -> SignedEchoHeader {
    let (network, epoch) = (network(), epoch().document.digest());
    let [input, digest] = [0x1e, 0x1d].map(|byte| Digest([byte; 32]));
    EchoHeader { network, epoch, round: 300, hop: 1, input, count: 2, digest }.sign(&key())
}

fn echo_header_json() -> Value {
    let SignedEchoHeader { header, signature } = echo_header();
    json!({
        "header": {
            "network": header.network.to_string(), "epoch": header.epoch.to_string(), "round": 300, "hop": 1,
            "input": header.input.to_string(), "count": 2, "digest": header.digest.to_string(),
        },
        "signature": signature.to_string(),
    })
}

/// One of each, but for what the others have.
pub(super) fn messages() -> Vec<Value> {
    let message = |name: &str, message: PeerMessage, value: Value| valid("PeerMessage", name, message, value);
    let piece = || Piece { number: 251, bytes: vec![0xab; 5].into() };
    let piece_json = json!({ "number": 251, "bytes": "ababababab" });
    let (root, transcript) = (Digest([0x1c; 32]), Digest([0xdd; 32]));
    let signature = ListSignature::sign(&key(), &context(), root);
    let signatures = vec![signature.signature, Signature([0x52; 64])];
    let headers = || Headers { round: 300, batches: vec![batch()], echoes: vec![echo_header()] };
    let headers_json = json!({ "round": 300, "batches": [batch_json()], "echoes": [echo_header_json()] });
    let list = ListComplete { round: 300, root, signatures: signatures.clone() };
    let list_json = json!({ "round": 300, "root": root.to_string(), "signatures": strings(&signatures) });
    let grounds = Grounds { list: list.clone(), headers: headers() };
    let slot = Slot { network: network(), epoch: 7, round: 300 };
    let confirm = Confirm { slot, transcript, grounds: grounds.digest() };
    let confirmed = confirm.sign(&key());
    let accusation = Accusation { slot, mismatch: Mismatch::Layer { hop: 1, place: 251 }, subject: root };
    let accused = accusation.sign(&key());
    let burnt = Burnt { slot };
    let burnt_by = burnt.sign(&key());
    let onion_key = OnionKey { slot, key: [0x5e; 32], noise: vec![3, 250, 251] };
    let published = onion_key.sign(&key());
    let exhibits = [
        (Exhibit::Batch { hop: 1 }, json!({ "Batch": { "hop": 1 } })),
        (Exhibit::Echoes { hop: 2 }, json!({ "Echoes": { "hop": 2 } })),
        (Exhibit::Signatures, json!("Signatures")),
        (Exhibit::Onions { segment: 251 }, json!({ "Onions": { "segment": 251 } })),
        (Exhibit::Noise { hop: 2 }, json!({ "Noise": { "hop": 2 } })),
        (Exhibit::Submission { client: 251 }, json!({ "Submission": { "client": 251 } })),
    ];
    let asks = exhibits.into_iter().map(|(exhibit, named)| {
        let value = json!({ "Ask": { "round": 300, "exhibit": named, "number": 251 } });
        message("Ask", PeerMessage::Ask { round: 300, exhibit, number: 251 }, value)
    });
    let burning = vec![
        message(
            "Accusation",
            PeerMessage::Accusation { accusation, signature: accused },
            json!({ "Accusation": {
                "accusation": {
                    "slot": context_json(), "mismatch": { "Layer": { "hop": 1, "place": 251 } }, "subject": root.to_string(),
                },
                "signature": accused.to_string(),
            } }),
        ),
        message(
            "Burnt",
            PeerMessage::Burnt { burnt, signature: burnt_by },
            json!({ "Burnt": { "burnt": { "slot": context_json() }, "signature": burnt_by.to_string() } }),
        ),
        message(
            "OnionKey",
            PeerMessage::OnionKey { key: onion_key, signature: published },
            json!({ "OnionKey": {
                "key": { "slot": context_json(), "key": to_hex(&[0x5e; 32]), "noise": [3, 250, 251] },
                "signature": published.to_string(),
            } }),
        ),
        message("Headers", PeerMessage::Headers(headers()), json!({ "Headers": headers_json })),
        message(
            "Show",
            PeerMessage::Show { round: 300, exhibit: Exhibit::Batch { hop: 1 }, piece: piece() },
            json!({ "Show": { "round": 300, "exhibit": { "Batch": { "hop": 1 } }, "piece": piece_json } }),
        ),
        message(
            "Evidence",
            PeerMessage::Evidence { file: vec![0xab; 5] },
            json!({ "Evidence": { "file": "ababababab" } }),
        ),
        message(
            "RoundOpened",
            PeerMessage::RoundOpened { epoch: 7, round: 300 },
            json!({ "RoundOpened": { "epoch": 7, "round": 300 } }),
        ),
        message(
            "HandedOver",
            PeerMessage::HandedOver { round: 300, clients: members() },
            json!({ "HandedOver": { "round": 300, "clients": BITMAP } }),
        ),
        message("ListHeader", PeerMessage::ListHeader(list_header(0)), json!({ "ListHeader": list_header_json(0) })),
    ];
    let sealing = vec![
        message(
            "List",
            PeerMessage::List { header: list_header(0), piece: piece() },
            json!({ "List": { "header": list_header_json(0), "piece": piece_json } }),
        ),
        message(
            "SecondList",
            PeerMessage::SecondList(SecondList { header: list_header(1), complaints: vec![complaint()] }),
            json!({ "SecondList": { "header": list_header_json(1), "complaints": [complaint_json()] } }),
        ),
        message(
            "ListSignature",
            PeerMessage::ListSignature(signature.clone()),
            json!({ "ListSignature": {
                "round": 300, "root": root.to_string(), "signature": signature.signature.to_string(),
            } }),
        ),
        message("ListComplaint", PeerMessage::ListComplaint(complaint()), json!({ "ListComplaint": complaint_json() })),
        message("ListComplete", PeerMessage::ListComplete(list), json!({ "ListComplete": list_json })),
        message(
            "Echoes",
            PeerMessage::Echoes { header: echo_header(), piece: piece() },
            json!({ "Echoes": { "header": echo_header_json(), "piece": piece_json } }),
        ),
        message("EchoHeader", PeerMessage::EchoHeader(echo_header()), json!({ "EchoHeader": echo_header_json() })),
        message(
            "Confirm",
            PeerMessage::Confirm { grounds, signature: confirmed, confirm: confirm.clone() },
            json!({ "Confirm": {
                "confirm": {
                    "slot": context_json(), "transcript": transcript.to_string(), "grounds": confirm.grounds.to_string(),
                },
                "grounds": { "list": list_json, "headers": headers_json },
                "signature": confirmed.to_string(),
            } }),
        ),
    ];
    sealing.into_iter().chain(burning).chain(asks).collect()
}
