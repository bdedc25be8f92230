//! `evidence.json`: evidence of every kind with what it proves, and what is to be refused.

use serde_json::{Value, json};

use super::mutations::every_kind;
use super::*;
use crate::blame::accused::Shown;
use crate::blame::proof::Proof;
use crate::crypto::to_hex;
use crate::crypto::vectors::check;
use crate::wire::codec::CodecError;
use crate::wire::{Mismatch, Network};

#[test]
fn evidence_is_that_of_the_vectors() {
    let file = || {
        let (round, kinds) = every_kind();
        let proven: Vec<Value> = kinds.iter().map(|(name, evidence, _)| proven(&round, name, evidence)).collect();
        let mut refused = Vec::new();
        for (name, evidence, _) in &kinds {
            // Places all over the file: magic, claim, document, proof, the last byte.
            let file = evidence.to_file();
            let places = [0, 19, 60, file.len() / 3, file.len() / 2, file.len() * 4 / 5, file.len() - 1];
            refused.extend(places.map(|at| changed(&round, name, &file, at)));
        }
        let innocent: Vec<Value> = innocent(&round, &kinds)
            .into_iter()
            .map(|(name, evidence)| {
                assert_eq!(evidence.verify(&round.network), Err(EvidenceFault::Innocent), "{name}");
                json!({ "name": name, "file": to_hex(&evidence.to_file()), "refused": "innocent" })
            })
            .collect();
        json!({ "network": network_json(&round.network), "proven": proven, "changed": refused, "innocent": innocent })
    };
    check("evidence.json", file, |_: Value| file());
}

fn proven(round: &BurntRound, name: &str, evidence: &Evidence) -> Value {
    let found = evidence.verify(&round.network).expect("it verifies");
    let (party, number) = match found.guilty {
        Guilty::Client(index) => ("client", index),
        Guilty::Mix(hop) => ("mix", hop.into()),
    };
    json!({
        "name": name,
        "file": to_hex(&evidence.to_file()),
        "party": party,
        "number": number,
        "offence": found.offence.name(),
        "network": found.slot.network.to_string(),
        "epoch": found.slot.epoch,
        "round": found.slot.round,
    })
}

/// With the lowest bit of one byte flipped.
fn changed(round: &BurntRound, of: &str, file: &[u8], at: usize) -> Value {
    let mut changed = file.to_vec();
    changed[at] ^= 1;
    let fault = Evidence::from_file(&changed).and_then(|evidence| evidence.verify(&round.network));
    json!({ "name": format!("{of}, byte {at}"), "of": of, "at": at, "refused": word(fault.expect_err("it is refused")) })
}

/// Good statements that prove nothing wrong.
fn innocent(round: &BurntRound, kinds: &[(&'static str, Evidence, Guilty)]) -> Vec<(&'static str, Evidence)> {
    let of = |name: &str| kinds.iter().find(|(known, ..)| *known == name).expect("there is one").1.clone();
    let changed = |name, change: &dyn Fn(&mut Proof)| {
        let mut evidence = of(name);
        change(evidence.proof_mut().expect("of a round"));
        evidence
    };
    let fewer = |proof: &mut Proof| {
        if let Proof::Client(proof) = proof {
            proof.keys.pop();
        }
    };
    let nothing = |proof: &mut Proof| {
        if let Proof::FalseAccusation(proof) = proof {
            proof.shown = Shown::Nothing;
        }
    };
    // An accuser who is right.
    let mut right = BurntRound::new(&plan(3));
    right.submitted[5].commitment[0] ^= 1;
    right.run(|_, _, _| {}, |_, _| {});
    assert_eq!(right.accusations[0].1.mismatch, Mismatch::Echo { place: 5 });
    assert_eq!(right.network, round.network);
    vec![
        ("a layer that opens", changed("layer", &fewer)),
        ("an accusation alone", changed("false accusation, echo", &nothing)),
        ("an accuser who is right", accusation_shown(&right)),
    ]
}

/// The accusation of a round with everything that it is about, whether false or not.
fn accusation_shown(round: &BurntRound) -> Evidence {
    use crate::blame::accused::FalseProof;
    use crate::blame::taken::ListShown;
    let (hop, accusation, signature) = round.accusations[0].clone();
    let (header, echoes) = &round.echoes[2];
    let list = ListShown::new(&round.records(), &[]);
    let shown = Shown::Echo { header: header.header.clone(), echoes: echoes.clone(), list };
    let proof = Proof::FalseAccusation(FalseProof { hop, accusation, signature, shown });
    Evidence::of_round(&round.document, round.context.round, proof)
}

fn network_json(network: &Network) -> Value {
    let (parameters, roster) = (&network.parameters, &network.roster);
    let mixes: Vec<Value> =
        roster.mixes.iter().map(|mix| json!({ "id": mix.id, "identity": mix.identity.to_string() })).collect();
    let client = |client: &crate::wire::ClientEntry| json!({ "id": client.id, "identity": client.identity.to_string(), "list_key": client.list_key.to_string() });
    let mailbox = |mailbox: &crate::wire::MailboxEntry| json!({ "id": mailbox.id.to_string(), "letter_key": mailbox.letter_key.to_string() });
    json!({
        "parameters": {
            "network": parameters.network,
            "messages_per_round": parameters.messages_per_round,
            "start_clients": parameters.start_clients,
            "min_clients": parameters.min_clients,
            "min_share_permille": parameters.min_share_permille,
            "round_ms": parameters.round_ms,
            "submit_ms": parameters.submit_ms,
            "mix_delay_ms": parameters.mix_delay_ms,
            "payload": parameters.payload,
            "packets_per_client": parameters.packets_per_client,
            "noise_packets": parameters.noise_packets,
            "noise": parameters.noise.json(),
            "dummies": parameters.dummies.json(),
            "dummy_payload": to_hex(&parameters.dummy_payload),
            "max_message": parameters.max_message,
            "epoch_rounds": parameters.epoch_rounds,
            "verdict_rounds": parameters.verdict_rounds,
            "retention_epochs": parameters.retention_epochs,
            "history_rounds": parameters.history_rounds,
            "threshold": parameters.threshold,
            "sealed": parameters.sealed,
            "poll_letters": parameters.poll_letters,
            "mailbox_letters": parameters.mailbox_letters,
        },
        "mixes": mixes,
        "clients": roster.clients.iter().map(client).collect::<Vec<_>>(),
        "mailboxes": roster.mailboxes.iter().map(mailbox).collect::<Vec<_>>(),
        "id": network.id().to_string(),
        "parameters_digest": parameters.digest().to_string(),
        "roster_digest": roster.digest().to_string(),
        "mailboxes_digest": roster.mailboxes_digest().to_string(),
    })
}

/// The words of `wire-spec.md`.
fn word(fault: EvidenceFault) -> &'static str {
    match fault {
        EvidenceFault::Codec(CodecError::TooLong) => "too_long",
        EvidenceFault::Codec(CodecError::Malformed) => "malformed",
        EvidenceFault::Codec(CodecError::Trailing) => "trailing",
        EvidenceFault::Codec(CodecError::NotCanonical) => "not_canonical",
        EvidenceFault::Document(_) => "document",
        EvidenceFault::Slot => "slot",
        EvidenceFault::Signature => "signature",
        EvidenceFault::ClientSignature => "client_signature",
        EvidenceFault::Records => "records",
        EvidenceFault::Key => "key",
        EvidenceFault::Digest => "digest",
        EvidenceFault::Packet => "packet",
        EvidenceFault::Layer(_) => "layer",
        EvidenceFault::Innocent => "innocent",
    }
}
