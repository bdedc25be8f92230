//! Test vectors of messages: `wire.json` (frames), `signed.json` and `seal.json` (layouts, digests, signatures) and `list.json` (what a
//! list is made of).
//!
//! Each stands twice: as the value that the library encodes or signs, and as plain JSON from which the independent
//! decoder in `tests/decoder` arrives at the same bytes.

mod list;
mod samples;
mod seal;
mod sealing;
mod signed;

use serde_json::{Value, json};

use super::codec::{CodecError, Decode, Encode};
use super::frame::{self, FrameError};
use super::*;
use crate::crypto::vectors::check;
use crate::crypto::{Digest, Signature, to_hex};
use samples::*;

#[test]
fn frames_are_those_of_the_vectors() {
    let file = || {
        let mut frames = requests();
        frames.extend(replies());
        frames.extend(peer_messages());
        json!({ "frames": frames, "malformed": malformed() })
    };
    check("wire.json", file, |_: Value| file());
}

/// A frame with what it decodes to.
fn valid<T: Decode<()> + Encode + PartialEq + std::fmt::Debug>(
    kind: &str,
    name: &str,
    message: T,
    value: Value,
) -> Value {
    let bytes = frame::write(&message);
    assert_eq!(frame::read::<T>(&bytes), Ok(message));
    json!({ "name": name, "type": kind, "frame": to_hex(&bytes), "value": value })
}

fn requests() -> Vec<Value> {
    let request = |name: &str, message: Request, value: Value| valid("Request", name, message, value);
    let mut all = vec![
        request("Register", Request::Register, json!("Register")),
        request(
            "NextRound",
            Request::NextRound { epoch: 1, after: 70_000, unsettled: u64::MAX },
            json!({ "NextRound": { "epoch": 1, "after": 70_000, "unsettled": u64::MAX } }),
        ),
        request("Submit", Request::Submit { round: 300 }, json!({ "Submit": { "round": 300 } })),
        request("HandOver", Request::HandOver { round: 300 }, json!({ "HandOver": { "round": 300 } })),
        request(
            "PollMessages",
            Request::PollMessages {
                round: 9,
                capability: [0xca; 32],
                acknowledged: [9, 0, 0, 0, 0, 0, 0, 0],
                after: [1; 8],
            },
            json!({ "PollMessages": { "round": 9, "capability": to_hex(&[0xca; 32]), "acknowledged": to_hex(&[9, 0, 0, 0, 0, 0, 0, 0]), "after": to_hex(&[1; 8]) } }),
        ),
        request(
            "Attach",
            Request::Attach { client: 300, signature: Signature([0x51; 64]) },
            json!({ "Attach": { "client": 300, "signature": to_hex(&[0x51; 64]) } }),
        ),
        request("As", Request::As { client: 300u32.to_le_bytes() }, json!({ "As": { "client": "2c010000" } })),
    ];
    // Both sides of every border between two lengths of a varint.
    for epoch in [0, 250, 251, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
        let name = format!("WaitForStart, epoch {epoch}");
        all.push(request(&name, Request::WaitForStart { epoch }, json!({ "WaitForStart": { "epoch": epoch } })));
    }
    all
}

fn replies() -> Vec<Value> {
    let reply = |name: &str, message: Reply, value: Value| valid("Reply", name, message, value);
    let receipt = Receipt { round: 8, signature: Signature([0x51; 64]) };
    let answer = PollAnswer { count: 3u32.to_le_bytes(), cursor: 77u64.to_le_bytes() };
    let mut all = vec![
        reply("Registered", Reply::Registered { index: 251 }, json!({ "Registered": { "index": 251 } })),
        reply(
            "Start",
            Reply::Start(Start { chain: vec![epoch()], round: 61, starts_in_ms: 1500, round_ms: 1000 }),
            json!({ "Start": { "chain": [epoch_json()], "round": 61, "starts_in_ms": 1500, "round_ms": 1000 } }),
        ),
        reply(
            "Ticket, with nothing new",
            Reply::Ticket(Ticket { round: 62, closes_in_ms: 900, chain: vec![], verdicts: vec![] }),
            json!({ "Ticket": { "round": 62, "closes_in_ms": 900, "chain": [], "verdicts": [] } }),
        ),
        reply(
            "Ticket",
            Reply::Ticket(Ticket {
                round: 62,
                closes_in_ms: 900,
                chain: vec![epoch(), epoch()],
                verdicts: vec![
                    signed_verdict(Outcome::Stored { refused: 2 }),
                    signed_verdict(Outcome::OpenedNotStored),
                ],
            }),
            json!({ "Ticket": {
                "round": 62,
                "closes_in_ms": 900,
                "chain": [epoch_json(), epoch_json()],
                "verdicts": [
                    signed_verdict_json(json!({ "Stored": { "refused": 2 } })),
                    signed_verdict_json(json!("OpenedNotStored")),
                ],
            } }),
        ),
        reply(
            "Receipt",
            Reply::Receipt(receipt),
            json!({ "Receipt": { "round": 8, "signature": to_hex(&[0x51; 64]) } }),
        ),
        reply(
            "Letters",
            Reply::Letters(answer),
            json!({ "Letters": { "count": "03000000", "cursor": "4d00000000000000" } }),
        ),
        reply("Attached", Reply::Attached { index: 300 }, json!({ "Attached": { "index": 300 } })),
        reply("HandedOver", Reply::HandedOver { round: 300 }, json!({ "HandedOver": { "round": 300 } })),
    ];
    for (refusal, name) in REFUSALS {
        all.push(reply(&format!("Refused, {name}"), Reply::Refused(refusal), json!({ "Refused": name })));
    }
    all
}

fn peer_messages() -> Vec<Value> {
    use PeerMessage::*;
    let message = |name: &str, message: PeerMessage, value: Value| valid("PeerMessage", name, message, value);
    let digest = to_hex(&[0xdd; 32]);
    let signature = to_hex(&[0x51; 64]);
    let mut all = vec![
        message(
            "Hello",
            Hello { boot: [0xb0; 16], epoch: 4 },
            json!({ "Hello": { "boot": to_hex(&[0xb0; 16]), "epoch": 4 } }),
        ),
        message(
            "EpochCall, the first",
            EpochCall(super::EpochCall { epoch: 1, previous: None, first_round: 1, rounds: 60 }),
            json!({ "EpochCall": { "epoch": 1, "previous": null, "first_round": 1, "rounds": 60 } }),
        ),
        message(
            "EpochCall",
            EpochCall(super::EpochCall { epoch: 8, previous: Some(epoch()), first_round: 400, rounds: 240 }),
            json!({ "EpochCall": { "epoch": 8, "previous": epoch_json(), "first_round": 400, "rounds": 240 } }),
        ),
        message(
            "EpochKeys",
            EpochKeys { epoch: 8, keys: epoch().document.mixes[1].clone() },
            json!({ "EpochKeys": { "epoch": 8, "keys": epoch_json()["document"]["mixes"][1] } }),
        ),
        message(
            "EpochCommitments",
            EpochCommitments { epoch: 8, dealings: vec![Digest([0xd1; 32]), Digest([0xd2; 32])] },
            json!({ "EpochCommitments": { "epoch": 8, "dealings": [to_hex(&[0xd1; 32]), to_hex(&[0xd2; 32])] } }),
        ),
        message(
            "EpochOpening",
            EpochOpening { epoch: 8, opening: vec![0x0f; 3] },
            json!({ "EpochOpening": { "epoch": 8, "opening": "0f0f0f" } }),
        ),
        message("EpochSubShares", EpochSubShares(sub_shares()), json!({ "EpochSubShares": sub_shares_json() })),
        message(
            "EpochProposal",
            EpochProposal { document: epoch().document, openings: vec![vec![0x0a; 2], vec![0x0b; 2]] },
            json!({ "EpochProposal": { "document": epoch_json()["document"], "openings": ["0a0a", "0b0b"] } }),
        ),
        message(
            "Release",
            Release {
                epoch: 8,
                round: 300,
                transcript: Digest([0xdd; 32]),
                share: SecretPart([0x5a; 32]),
                signature: Signature([0x51; 64]),
            },
            json!({ "Release": {
                "epoch": 8, "round": 300, "transcript": digest, "share": to_hex(&[0x5a; 32]), "signature": signature,
            } }),
        ),
        message("BatchHeader", BatchHeader(batch()), json!({ "BatchHeader": batch_json() })),
        message(
            "EpochSignature",
            EpochSignature { epoch: 8, digest: Digest([0xdd; 32]), signature: Signature([0x51; 64]) },
            json!({ "EpochSignature": { "epoch": 8, "digest": digest, "signature": signature } }),
        ),
        message("EpochComplete", EpochComplete(epoch()), json!({ "EpochComplete": epoch_json() })),
        message("ForwardBatch", ForwardBatch(batch()), json!({ "ForwardBatch": batch_json() })),
        message(
            "BatchAccepted",
            BatchAccepted { round: 300, digest: Digest([0xdd; 32]) },
            json!({ "BatchAccepted": { "round": 300, "digest": digest } }),
        ),
        message(
            "Decision",
            Decision { verdict: verdict(Outcome::Stored { refused: 0 }), signature: Signature([0x51; 64]) },
            json!({ "Decision": { "verdict": verdict_json(json!({ "Stored": { "refused": 0 } })), "signature": signature } }),
        ),
        message(
            "VerdictSignature",
            VerdictSignature { round: 300, signature: Signature([0x51; 64]) },
            json!({ "VerdictSignature": { "round": 300, "signature": signature } }),
        ),
        message(
            "VerdictComplete",
            VerdictComplete(signed_verdict(Outcome::Aborted(AbortReason::LinkDown))),
            json!({ "VerdictComplete": signed_verdict_json(json!({ "Aborted": "LinkDown" })) }),
        ),
    ];
    all.extend(sealing::messages());
    for (reason, name) in EPOCH_REFUSALS {
        let newest = (reason == EpochRefusalReason::Stale).then(epoch);
        let value = json!({ "epoch": 8, "reason": name, "newest": newest.as_ref().map(|_| epoch_json()) });
        let refusal = EpochRefusal { epoch: 8, reason, newest };
        all.push(message(&format!("EpochRefusal, {name}"), refusal, json!({ "EpochRefusal": value })));
    }
    for (reason, name) in ABORT_REASONS {
        let value = json!({ "Abort": { "epoch": 8, "round": 300, "reason": name } });
        all.push(message(&format!("Abort, {name}"), Abort { epoch: 8, round: 300, reason }, value));
    }
    all
}

/// One change to the body of a frame, behind its prefix.
struct Edit {
    name: &'static str,
    at: usize,
    remove: usize,
    insert: Vec<u8>,
    /// If the prefix is not the length of the body.
    prefix: Option<[u8; 4]>,
}

impl Edit {
    /// The broken frame and why it is refused.
    fn of<T: Decode<()> + Encode + std::fmt::Debug>(self, kind: &str, message: &T) -> Value {
        let base = frame::write(message);
        let mut body = base[frame::PREFIX_BYTES..].to_vec();
        let removed: Vec<u8> = body.splice(self.at..self.at + self.remove, self.insert.iter().copied()).collect();
        let prefix = self.prefix.unwrap_or((body.len() as u32).to_le_bytes());
        let bytes = [prefix.as_slice(), &body].concat();
        let error = match frame::read::<T>(&bytes).expect_err(self.name) {
            FrameError::Length => "length",
            FrameError::Codec(CodecError::TooLong) => "too_long",
            FrameError::Codec(CodecError::Malformed) => "malformed",
            FrameError::Codec(CodecError::Trailing) => "trailing",
            FrameError::Codec(CodecError::NotCanonical) => "not_canonical",
        };
        json!({
            "name": self.name,
            "type": kind,
            "base": to_hex(&base),
            "edit": { "at": self.at, "removed": to_hex(&removed), "inserted": to_hex(&self.insert) },
            "prefix": self.prefix.map(|prefix| to_hex(&prefix)),
            "frame": to_hex(&bytes),
            "error": error,
        })
    }
}

fn malformed() -> Vec<Value> {
    let edit = |name, at, remove, insert: &[u8]| Edit { name, at, remove, insert: insert.to_vec(), prefix: None };
    let submit = Request::Submit { round: 5 };
    let register = |name, edit: Edit| Edit { name, ..edit }.of("Request", &Request::Register);
    let ticket = Reply::Ticket(Ticket { round: 0, closes_in_ms: 0, chain: vec![], verdicts: vec![] });
    let call = PeerMessage::EpochCall(EpochCall { epoch: 1, previous: None, first_round: 1, rounds: 60 });
    let forward = PeerMessage::ForwardBatch(batch());
    let length = frame::write(&forward).len() - frame::PREFIX_BYTES;
    let prefixed = |name, prefix: u32| Edit { prefix: Some(prefix.to_le_bytes()), ..edit(name, 0, 0, &[]) };
    vec![
        prefixed("prefix of zero", 0).of("Request", &submit),
        prefixed("prefix above the limit", (1 << 20) + 1).of("Request", &submit),
        prefixed("prefix of 4 GiB", u32::MAX).of("Request", &submit),
        prefixed("prefix longer than the message", 3).of("Request", &submit),
        prefixed("prefix shorter than the message", 1).of("Request", &submit),
        register("empty message", edit("", 0, 1, &[])),
        edit("trailing byte", 2, 0, &[0]).of("Request", &submit),
        edit("trailing byte behind nested values", length, 0, &[0]).of("PeerMessage", &forward),
        edit("truncated", 1, 1, &[]).of("Request", &submit),
        edit("truncated by one byte", length - 1, 1, &[]).of("PeerMessage", &forward),
        edit("truncated in a varint", 1, 1, &[0xfb, 5]).of("Request", &submit),
        edit("unknown request", 0, 1, &[8]).of("Request", &submit),
        register("unknown request, over-long", edit("", 0, 1, &[0xfb, 8, 0])),
        edit("unknown reply", 0, 1, &[8]).of("Reply", &ticket),
        edit("unknown message of a mix", 0, 1, &[13]).of("PeerMessage", &forward),
        edit("unknown refusal", 1, 1, &[10]).of("Reply", &Reply::Refused(Refusal::Late)),
        edit("varint of 2 bytes for 5", 1, 1, &[0xfb, 5, 0]).of("Request", &submit),
        edit("varint of 4 bytes for 5", 1, 1, &[0xfc, 5, 0, 0, 0]).of("Request", &submit),
        edit("varint of 8 bytes for 5", 1, 1, &[0xfd, 5, 0, 0, 0, 0, 0, 0, 0]).of("Request", &submit),
        edit("varint of 2 bytes for 250", 1, 1, &[0xfb, 250, 0]).of("Request", &submit),
        edit("varint of 4 bytes for 65535", 1, 1, &[0xfc, 0xff, 0xff, 0, 0]).of("Request", &submit),
        edit("varint of 8 bytes for 2^32 - 1", 1, 1, &[0xfd, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])
            .of("Request", &submit),
        edit("over-long varint and a trailing byte", 1, 1, &[0xfb, 5, 0, 0]).of("Request", &submit),
        edit("over-long discriminant", 0, 1, &[0xfb, 3, 0]).of("Request", &submit),
        edit("discriminant of 8 bytes", 0, 1, &[0xfd, 3, 0, 0, 0, 0, 0, 0, 0]).of("Request", &submit),
        edit("varint of 16 bytes", 1, 1, &[[0xfe].as_slice(), &[5], &[0; 15]].concat()).of("Request", &submit),
        edit("reserved marker of a varint", 1, 1, &[0xff]).of("Request", &submit),
        edit("u32 above 2^32", 4, 1, &[0xfd, 0, 0, 0, 0, 1, 0, 0, 0]).of("PeerMessage", &call),
        edit("option that is neither 0 nor 1", 2, 1, &[2]).of("PeerMessage", &call),
        edit("option without its value", 2, 1, &[1]).of("PeerMessage", &call),
        edit("list of 2^40 documents", 3, 1, &[0xfd, 0, 0, 0, 0, 0, 1, 0, 0]).of("Reply", &ticket),
        edit("list longer than the message", 4, 1, &[1]).of("Reply", &ticket),
        edit("over-long length of a list", 4, 1, &[0xfb, 0, 0]).of("Reply", &ticket),
    ]
}
