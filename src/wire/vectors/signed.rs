//! `signed.json`: digests, signed bytes and signatures over them.

use super::*;
use crate::crypto::{Identity, IdentityKey, Label, MailboxId, PublicKey, derive, derive_parts};

#[test]
fn signed_bytes_are_those_of_the_vectors() {
    let file = || {
        let mut all = network_file();
        all.push(mailbox());
        all.extend(members_of_rosters());
        all.push(epoch_document());
        all.push(dealt());
        all.extend(verdicts());
        all.push(batch_header());
        all.push(receipt());
        all.push(attachment());
        Value::Array(all)
    };
    check("signed.json", file, |_: Value| file());
}

fn network_file() -> Vec<Value> {
    let parameters = Parameters {
        network: "vectors".into(),
        messages_per_round: 12,
        start_clients: 4,
        min_clients: 2,
        min_share_permille: 900,
        round_ms: 1000,
        submit_ms: 800,
        mix_delay_ms: (5, 50),
        payload: 65_536,
        packets_per_client: 3,
        noise_packets: 200,
        noise: NoiseLaw::Laplace { mean: 100_500, scale: 20_000 },
        dummies: DummyPolicy::Uniform,
        dummy_payload: b"dummy".into(),
        max_message: 64 << 20,
        epoch_rounds: 60,
        verdict_rounds: 6,
        retention_epochs: 100,
        poll_letters: 16,
        mailbox_letters: 4096,
        history_rounds: 8192,
        threshold: 2,
        sealed: true,
    };
    let roster = Roster {
        mixes: vec![
            MixEntry { id: "mix-1".into(), address: "127.0.0.1:1".into(), identity: keys()[0].identity() },
            MixEntry { id: "mix-2".into(), address: "127.0.0.1:2".into(), identity: keys()[1].identity() },
        ],
        clients: vec![ClientEntry { id: "zoë".into(), identity: Identity([3; 32]), list_key: PublicKey([4; 32]) }],
        mailboxes: vec![
            MailboxEntry { id: MailboxId([5; 16]), letter_key: PublicKey([6; 32]) },
            MailboxEntry { id: MailboxId([7; 16]), letter_key: PublicKey([8; 32]) },
        ],
    };
    let mixes: Vec<Value> =
        roster.mixes.iter().map(|mix| json!({ "id": mix.id, "identity": mix.identity.to_string() })).collect();
    let clients: Vec<Value> = roster
        .clients
        .iter()
        .map(|client| {
            let (identity, list_key) = (client.identity.to_string(), client.list_key.to_string());
            json!({ "id": client.id, "identity": identity, "list_key": list_key })
        })
        .collect();
    let mailboxes: Vec<Value> = roster
        .mailboxes
        .iter()
        .map(|mailbox| json!({ "id": mailbox.id.to_string(), "letter_key": mailbox.letter_key.to_string() }))
        .collect();
    let digests = [roster.digest(), roster.mailboxes_digest()].map(|digest| digest.to_string());
    let covers = [
        (parameters.noise, DummyPolicy::Uniform),
        (NoiseLaw::Constant, DummyPolicy::Dropped),
        (NoiseLaw::None, DummyPolicy::Own),
        (NoiseLaw::Poisson { mean: 40_001 }, DummyPolicy::Uniform),
    ];
    let parameters_of =
        covers.map(|(noise, dummies)| parameters_json(&Parameters { noise, dummies, ..parameters.clone() }));
    let network = Network { parameters, roster, defences: crate::crypto::Defences::default() };
    let mut all =
        vec![json!({ "kind": "network", "name": network.parameters.network, "digest": network.id().to_string() })];
    all.extend(parameters_of);
    all.push(json!({ "kind": "roster", "mixes": mixes, "clients": clients, "digest": digests[0] }));
    all.push(json!({ "kind": "mailboxes", "mailboxes": mailboxes, "digest": digests[1] }));
    all
}

fn parameters_json(parameters: &Parameters) -> Value {
    let fields = json!({
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
    });
    json!({ "kind": "parameters", "fields": fields, "digest": parameters.digest().to_string() })
}

fn mailbox() -> Value {
    let capability = [0xca; 32];
    let digest = derive_parts(Label::Mailbox, &[&network().0, &capability]);
    json!({
        "kind": "mailbox",
        "network": network().to_string(),
        "capability": to_hex(&capability),
        "id": to_hex(&digest.0[..16]),
    })
}

fn members_of_rosters() -> Vec<Value> {
    [(11, MEMBERS.to_vec()), (8, vec![0, 1, 2, 3, 4, 5, 6, 7]), (17, vec![16]), (3, vec![]), (9, vec![7, 8])]
        .into_iter()
        .map(|(size, indices)| {
            let mut members = Members::none(size);
            let mut bitmap = vec![0u8; size.div_ceil(8)];
            for index in &indices {
                members.insert(*index);
                bitmap[*index as usize / 8] |= 1 << (index % 8);
            }
            assert_eq!(derive(Label::Members, &bitmap), members.digest());
            let digest = members.digest().to_string();
            json!({ "kind": "members", "size": size, "indices": indices, "bitmap": to_hex(&bitmap), "digest": digest })
        })
        .collect()
}

/// Who signs, for vectors that every mix signs.
pub(super) fn signed_by(keys: &[IdentityKey], signed: &[u8]) -> Value {
    let signers: Vec<Value> = keys
        .iter()
        .zip(SEEDS)
        .map(|(key, seed)| {
            let (identity, signature) = (key.identity().to_string(), key.sign(signed).to_string());
            json!({ "seed": to_hex(&seed), "identity": identity, "signature": signature })
        })
        .collect();
    json!(signers)
}

fn epoch_document() -> Value {
    let SignedEpoch { document, signatures } = epoch();
    let digest = document.digest();
    let signed = epoch::signed_bytes(&digest);
    for (key, signature) in keys().iter().zip(&signatures) {
        assert!(document.is_signed_by(&key.identity(), signature) && key.sign(&signed) == *signature);
    }
    json!({
        "kind": "epoch",
        "document": epoch_json()["document"],
        "digest": digest.to_string(),
        "signed": to_hex(&signed),
        "signers": signed_by(&keys(), &signed),
    })
}

fn dealt() -> Value {
    let dealt = sub_shares();
    let signed = dealt.signed_bytes(&network(), 2);
    assert!(dealt.is_signed_by(&keys()[0].identity(), &network(), 2));
    json!({
        "kind": "sub_shares",
        "network": network().to_string(),
        "receiver": 2,
        "sub_shares": sub_shares_json(),
        "signed": to_hex(&signed),
        "signers": signed_by(&keys()[..1], &signed),
    })
}

fn verdicts() -> Vec<Value> {
    [
        (Outcome::Stored { refused: 65_537 }, json!({ "Stored": { "refused": 65_537 } })),
        (Outcome::Aborted(AbortReason::Stopping), json!({ "Aborted": "Stopping" })),
        (Outcome::OpenedNotStored, json!("OpenedNotStored")),
    ]
    .into_iter()
    .map(|(outcome, value)| {
        let verdict = verdict(outcome);
        let signed = verdict.signed_bytes();
        assert!(keys().iter().all(|key| verdict.is_signed_by(&key.identity(), &key.sign(&signed))));
        json!({
            "kind": "verdict",
            "verdict": verdict_json(value),
            "signed": to_hex(&signed),
            "signers": signed_by(&keys(), &signed),
        })
    })
    .collect()
}

fn batch_header() -> Value {
    let packets = [[0xa1; 100], [0xa2; 100]];
    let output = batch_digest(&packets.map(|packet| onion_digest(&packet)));
    let header = BatchHeader { output, count: 2, ..batch().header };
    let signed = header.signed_bytes();
    let mut fields = batch_json()["header"].clone();
    fields["output"] = header.output.to_string().into();
    fields["count"] = 2.into();
    let batch = header.sign(&keys()[0]);
    assert!(batch.is_signed_by(&keys()[0].identity()));
    json!({
        "kind": "batch_header",
        "header": fields,
        "packets": packets.map(|packet| to_hex(&packet)),
        "signed": to_hex(&signed),
        "signers": signed_by(&keys()[..1], &signed),
    })
}

fn receipt() -> Value {
    let packets = [[0xa1; 100], [0xa2; 100]];
    let digest = submission_digest(&packets.map(|packet| onion_digest(&packet)));
    let signed = receipt_bytes(&network(), 300, 9, &digest);
    let receipt = Receipt::sign(&keys()[0], &network(), 300, 9, &digest);
    assert!(receipt.verify(&keys()[0].identity(), &network(), 9, &digest));
    json!({
        "kind": "receipt",
        "network": network().to_string(),
        "round": 300,
        "index": 9,
        "packets": packets.map(|packet| to_hex(&packet)),
        "digest": digest.to_string(),
        "signed": to_hex(&signed),
        "signers": signed_by(&keys()[..1], &signed),
    })
}

fn attachment() -> Value {
    let attachment = Attachment { network: network(), client: 9, binding: [0xb1; 32] };
    let (key, signed) = (&keys()[0], attachment.bytes());
    assert!(attachment.is_signed_by(&key.identity(), &attachment.sign(key)));
    json!({
        "kind": "attach",
        "network": network().to_string(),
        "client": 9,
        "binding": to_hex(&attachment.binding),
        "signed": to_hex(&signed),
        "signers": signed_by(&keys()[..1], &signed),
    })
}
