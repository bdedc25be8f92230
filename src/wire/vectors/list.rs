//! `list.json`: the records of two clients towards three mixes, and what is said of the list of both.

use super::super::list::{signed_records, signed_root};
use super::*;
use crate::crypto::{Identity, IdentityKey, SecretKey};
use crate::packet::{RoundContext, commitment};

const MIXES: usize = 3;
const EPOCH: u64 = 7;
const ROUND: u64 = 300;
/// The roster indices of the clients.
const CLIENTS: [u32; 2] = [3, 258];
/// Of a roster of this size.
const ROSTER: usize = 300;

#[test]
fn lists_are_those_of_the_vectors() {
    let file = || {
        let mut all: Vec<Value> =
            CLIENTS.into_iter().flat_map(|client| (0..MIXES).map(move |mix| list_key(client, mix))).collect();
        all.extend(CLIENTS.map(submission));
        all.push(list("of both clients", 0, &CLIENTS, &[]));
        all.push(list("with the signature of a client that was struck out before", 0, &CLIENTS, &CLIENTS[..1]));
        all.push(list("the second, without a client that was struck out", 1, &CLIENTS[..1], &[]));
        all.push(complaint());
        all.push(second_list());
        all.push(list_signature());
        all.push(list_complete());
        all.extend(refused_rows());
        all.extend(refused_signatures());
        Value::Array(all)
    };
    check("list.json", file, |_: Value| file());
}

fn context() -> ListContext {
    ListContext { network: network(), epoch: EPOCH, round: ROUND }
}

fn context_json() -> Value {
    json!({ "network": network().to_string(), "epoch": EPOCH, "round": ROUND })
}

fn client_secret(client: u32) -> SecretKey {
    SecretKey::from_bytes([0x60 + client as u8; 32])
}

fn mix_secret(mix: usize) -> SecretKey {
    SecretKey::from_bytes([0x51 + mix as u8; 32])
}

fn client_seed(client: u32) -> [u8; 32] {
    [0xc0 + client as u8; 32]
}

fn client_identity(client: u32) -> IdentityKey {
    IdentityKey::from_seed(&client_seed(client))
}

fn mix_seed(mix: usize) -> [u8; 32] {
    [0x11 * (mix as u8 + 1); 32]
}

fn mix_identity(mix: usize) -> IdentityKey {
    IdentityKey::from_seed(&mix_seed(mix))
}

fn key(client: u32, mix: usize) -> ListKey {
    let secret = ListSecret::new(&client_secret(client), network(), EPOCH);
    secret.with_mix(&mix_secret(mix).public_key()).expect("a point")
}

fn packets(client: u32) -> [[u8; 100]; 2] {
    [[0xa0 + client as u8; 100], [0xb0 + client as u8; 100]]
}

fn echoes(client: u32) -> [[u8; 16]; 2] {
    [[0xe0 + client as u8; 16], [0xf0 + client as u8; 16]]
}

/// What the client sends behind its packets.
fn records(client: u32) -> ClientRecords {
    let round = RoundContext { network: network(), epoch: EPOCH, round: ROUND };
    let record = |(packet, echo): (&[u8; 100], &[u8; 16])| ListRecord {
        index: client,
        onion: onion_digest(packet),
        commitment: commitment(&round, client, echo),
    };
    let records = packets(client).iter().zip(&echoes(client)).map(record).collect();
    let keys: Vec<ListKey> = (0..MIXES).map(|mix| key(client, mix)).collect();
    ClientRecords::make(&context(), records, &keys, &client_identity(client))
}

fn list_key(client: u32, mix: usize) -> Value {
    let (client, mix) = (client_secret(client), mix_secret(mix));
    let (client_key, mix_key) = (client.public_key(), mix.public_key());
    let shared = client.prepare(Default::default()).agree(&mix_key).expect("a point");
    let of = |secret: &SecretKey| ListSecret::new(secret, network(), EPOCH);
    let key = of(&client).with_mix(&mix_key).expect("a point");
    assert_eq!(key.expose(), of(&mix).with_client(&client_key).expect("a point").expose());
    json!({
        "kind": "list_key",
        "network": network().to_string(),
        "epoch": EPOCH,
        "client_secret": to_hex(client.expose()),
        "client_key": client_key.to_string(),
        "mix_secret": to_hex(mix.expose()),
        "mix_key": mix_key.to_string(),
        "shared_secret": to_hex(shared.expose()),
        "key": to_hex(key.expose()),
    })
}

fn submission(client: u32) -> Value {
    let made = records(client);
    let bytes = made.to_bytes();
    let onions: Vec<Digest> = made.records().iter().map(|record| record.onion).collect();
    assert_eq!(ClientRecords::parse(&bytes, client, &onions, MIXES), Ok(made.clone()));
    assert!(made.is_signed_by(&client_identity(client).identity(), &context()));
    let macs: Vec<Vec<String>> = (0..made.records().len())
        .map(|at| (0..MIXES).map(|mix| to_hex(&made.rows(mix).nth(at).expect("a row").mac)).collect())
        .collect();
    let keys: Vec<String> = (0..MIXES).map(|mix| to_hex(key(client, mix).expose())).collect();
    json!({
        "kind": "submission",
        "context": context_json(),
        "index": client,
        "packets": packets(client).map(|packet| to_hex(&packet)),
        "echoes": echoes(client).map(|echo| to_hex(&echo)),
        "keys": keys,
        "seed": to_hex(&client_seed(client)),
        "identity": client_identity(client).identity().to_string(),
        "records": made.records().iter().map(|record| to_hex(&record.to_bytes())).collect::<Vec<_>>(),
        "macs": macs,
        "signed": to_hex(&signed_records(&context(), made.records())),
        "signature": made.signature().to_string(),
        "behind": to_hex(&bytes),
    })
}

/// The header of a list of `clients` that holds the signatures of `signed`.
fn header(attempt: u8, clients: &[u32], signed: &[u32]) -> ListHeader {
    let submissions: Vec<ClientRecords> = clients.iter().map(|client| records(*client)).collect();
    let all: Vec<ListRecord> = submissions.iter().flat_map(ClientRecords::records).copied().collect();
    let signatures: Vec<ClientSignature> = signed.iter().map(|client| client_signature(*client)).collect();
    let mut root = ListRoot::new(&context(), all.len() as u32);
    all.iter().for_each(|record| root.record(record));
    let (count, signed) = (all.len() as u32, signed.len() as u32);
    ListHeader { context: context(), attempt, count, signed, root: root.finish(&signatures) }
}

fn client_signature(client: u32) -> ClientSignature {
    ClientSignature { index: client, signature: *records(client).signature() }
}

fn header_json(header: &ListHeader) -> Value {
    json!({
        "context": context_json(),
        "attempt": header.attempt,
        "count": header.count,
        "signed": header.signed,
        "root": header.root.to_string(),
    })
}

fn signed_header_json(signed: &SignedListHeader) -> Value {
    json!({ "header": header_json(&signed.header), "signature": signed.signature.to_string() })
}

/// A list with the rows for every mix behind the entry.
fn list(name: &str, attempt: u8, clients: &[u32], signed: &[u32]) -> Value {
    let header = header(attempt, clients, signed);
    let records: Vec<ClientRecords> = clients.iter().map(|client| records(*client)).collect();
    let signatures: Vec<[u8; ROW_BYTES]> = signed.iter().map(|client| client_signature(*client).to_bytes()).collect();
    let rows = |mix: usize| records.iter().flat_map(move |records| records.rows(mix));
    let body =
        |mix| to_hex(&rows(mix).map(|row| row.to_bytes()).chain(signatures.clone()).collect::<Vec<_>>().concat());
    let macs = |mix| rows(mix).map(|row| to_hex(&row.mac)).collect::<Vec<String>>();
    // No rows follow a second list.
    let mixes = if attempt == 0 { 1..MIXES } else { 0..0 };
    let (macs, bodies): (Vec<Vec<String>>, Vec<String>) = mixes.map(|mix| (macs(mix), body(mix))).unzip();
    let each = records.iter().flat_map(ClientRecords::records);
    let signed_bytes = header.signed_bytes();
    let value = header_json(&header);
    let message = header.sign(&mix_identity(0));
    json!({
        "kind": "list",
        "name": name,
        "header": value,
        "records": each.map(|record| to_hex(&record.to_bytes())).collect::<Vec<_>>(),
        "macs": macs,
        "signatures": signed.iter().map(|client| {
            json!({ "index": client, "signature": client_signature(*client).signature.to_string() })
        }).collect::<Vec<_>>(),
        "bodies": bodies,
        "signed": to_hex(&signed_bytes),
        "signers": [signer(mix_seed(0), &signed_bytes)],
        "message": to_hex(&codec::encode(&message)),
    })
}

fn signer(seed: [u8; 32], signed: &[u8]) -> Value {
    let key = IdentityKey::from_seed(&seed);
    let signature = key.sign(signed);
    json!({ "seed": to_hex(&seed), "identity": key.identity().to_string(), "signature": signature.to_string() })
}

/// Of the second mix, about the second client.
fn made_complaint() -> SignedListComplaint {
    let mut clients = Members::none(ROSTER);
    clients.insert(CLIENTS[1]);
    let root = header(0, &CLIENTS, &[]).root;
    ListComplaint { context: context(), hop: 2, root, clients }.sign(&mix_identity(1))
}

fn complaint_json(complaint: &ListComplaint) -> Value {
    let mut bitmap = vec![0u8; ROSTER.div_ceil(8)];
    complaint.clients.iter().for_each(|client| bitmap[client as usize / 8] |= 1 << (client % 8));
    json!({
        "context": context_json(),
        "hop": complaint.hop,
        "root": complaint.root.to_string(),
        "clients": to_hex(&bitmap),
    })
}

fn complaint() -> Value {
    let made = made_complaint();
    let signed = made.complaint.signed_bytes();
    json!({
        "kind": "list_complaint",
        "complaint": complaint_json(&made.complaint),
        "indices": [CLIENTS[1]],
        "roster": ROSTER,
        "signed": to_hex(&signed),
        "signers": [signer(mix_seed(1), &signed)],
        "message": to_hex(&codec::encode(&made)),
    })
}

fn second_list() -> Value {
    let header = header(1, &CLIENTS[..1], &[]).sign(&mix_identity(0));
    let made = made_complaint();
    let complaint = json!({ "complaint": complaint_json(&made.complaint), "signature": made.signature.to_string() });
    let value = json!({ "header": signed_header_json(&header), "complaints": [complaint] });
    let second = SecondList { header, complaints: vec![made] };
    let identities: Vec<String> = (0..2).map(|mix| mix_identity(mix).identity().to_string()).collect();
    json!({
        "kind": "second_list",
        "second": value,
        "identities": identities,
        "message": to_hex(&codec::encode(&second)),
    })
}

fn list_signature() -> Value {
    let root = header(0, &CLIENTS, &[]).root;
    let made = ListSignature::sign(&mix_identity(2), &context(), root);
    let signed = signed_root(&context(), &root);
    json!({
        "kind": "list_signature",
        "context": context_json(),
        "root": root.to_string(),
        "signed": to_hex(&signed),
        "signers": [signer(mix_seed(2), &signed)],
        "message": to_hex(&codec::encode(&made)),
    })
}

fn list_complete() -> Value {
    let root = header(0, &CLIENTS, &[]).root;
    let signed = signed_root(&context(), &root);
    let signatures = (0..MIXES).map(|mix| ListSignature::sign(&mix_identity(mix), &context(), root).signature);
    let complete = ListComplete { round: ROUND, root, signatures: signatures.collect() };
    let mixes: Vec<Identity> = (0..MIXES).map(|mix| mix_identity(mix).identity()).collect();
    assert!(complete.verify(&mixes, &context()));
    json!({
        "kind": "list_complete",
        "context": context_json(),
        "root": root.to_string(),
        "signed": to_hex(&signed),
        "signers": (0..MIXES).map(|mix| signer(mix_seed(mix), &signed)).collect::<Vec<_>>(),
        "message": to_hex(&codec::encode(&complete)),
    })
}

/// A good row, and rows that differ from it or are taken for something else.
fn refused_rows() -> Vec<Value> {
    let row = records(CLIENTS[0]).rows(1).next().expect("a row");
    let flipped = |name: &str, at: usize| refused_row(name, &row, Some(at), ROUND, (CLIENTS[0], 1));
    vec![
        flipped("the first bit of a MAC", 52),
        flipped("the last byte of a MAC", ROW_BYTES - 1),
        flipped("another client", 0),
        flipped("another packet", 4),
        flipped("another commitment", 36),
        refused_row("another round", &row, None, ROUND + 1, (CLIENTS[0], 1)),
        refused_row("under the key of another client", &row, None, ROUND, (CLIENTS[1], 1)),
        refused_row("under the key of another mix", &row, None, ROUND, (CLIENTS[0], 2)),
    ]
}

fn refused_row(name: &str, base: &ListRow, flip: Option<usize>, round: u64, of: (u32, usize)) -> Value {
    let mut bytes = base.to_bytes();
    if let Some(at) = flip {
        bytes[at] ^= 1;
    }
    let row = ListRow::from_bytes(&bytes);
    let (base_key, key) = (key(CLIENTS[0], 1), key(of.0, of.1));
    assert!(base_key.check(ROUND, base) && !key.check(round, &row), "{name}");
    json!({
        "kind": "refused_row",
        "name": name,
        "base": { "key": to_hex(base_key.expose()), "round": ROUND, "row": to_hex(&base.to_bytes()) },
        "flip": flip,
        "key": to_hex(key.expose()),
        "round": round,
        "row": to_hex(&bytes),
        "mac": to_hex(&key.mac(round, &row.record)),
    })
}

/// A client's signature that is taken for another round's, and one of fewer records.
fn refused_signatures() -> Vec<Value> {
    let made = records(CLIENTS[0]);
    let identity = client_identity(CLIENTS[0]).identity();
    let refused = |name: &str, round: u64, count: usize| {
        let claimed = ListContext { round, ..context() };
        let records = &made.records()[..count];
        assert!(!ClientRecords::verify(&identity, &claimed, records, made.signature()), "{name}");
        json!({
            "kind": "refused_signature",
            "name": name,
            "context": context_json(),
            "records": made.records().iter().map(|record| to_hex(&record.to_bytes())).collect::<Vec<_>>(),
            "identity": identity.to_string(),
            "signature": made.signature().to_string(),
            "round": round,
            "count": count,
            "signed": to_hex(&signed_records(&claimed, records)),
        })
    };
    vec![refused("another round", ROUND + 1, 2), refused("fewer records", ROUND, 1)]
}
