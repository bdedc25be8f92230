use super::*;
use crate::crypto::{PointError, PublicKey, SecretKey};
use crate::wire::Members;
use crate::wire::codec::{CodecError, decode, encode};

const NETWORK: Digest = Digest([0x4e; 32]);
const CONTEXT: ListContext = ListContext { network: NETWORK, epoch: 7, round: 300 };

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes([seed; 32])
}

fn client(epoch: u64) -> ListSecret {
    ListSecret::new(&secret(1), NETWORK, epoch)
}

fn record(index: u32) -> ListRecord {
    ListRecord { index, onion: onion_digest(b"packet"), commitment: [0xc0; 16] }
}

/// The keys of one client towards three mixes.
fn keys() -> Vec<ListKey> {
    [11, 12, 13].map(|mix| client(7).with_mix(&secret(mix).public_key()).expect("a point")).into()
}

#[test]
fn both_sides_agree_on_one_key_and_nobody_else_has_it() {
    let mix = ListSecret::new(&secret(11), NETWORK, 7);
    let mac = mix.with_client(&client(7).public_key()).expect("a point").mac(300, &record(5));
    let of = |secret: &ListSecret, mix: u8| secret.with_mix(&self::secret(mix).public_key()).expect("a point");
    assert_eq!(of(&client(7), 11).mac(300, &record(5)), mac);
    let other_network = ListSecret::new(&secret(1), Digest([0; 32]), 7);
    let other_client = ListSecret::new(&secret(2), NETWORK, 7);
    for other in [of(&client(7), 12), of(&client(8), 11), of(&other_network, 11), of(&other_client, 11)] {
        assert_ne!(other.mac(300, &record(5)), mac);
    }
    // The mix in the place of the client: the same agreement, another key.
    assert_ne!(mix.with_mix(&client(7).public_key()).expect("a point").mac(300, &record(5)), mac);
}

#[test]
fn a_mac_holds_for_one_round_and_record() {
    let key = &keys()[0];
    let row = ListRow { record: record(5), mac: key.mac(300, &record(5)) };
    assert!(key.check(300, &row) && !key.check(301, &row) && !keys()[1].check(300, &row));
    for at in 0..ROW_BYTES {
        let mut bytes = row.to_bytes();
        bytes[at] ^= 1;
        assert!(!key.check(300, &ListRow::from_bytes(&bytes)), "byte {at}");
    }
}

#[test]
fn macs_of_many_are_right_or_wrong_each_by_itself() {
    let mix = ListSecret::new(&secret(11), NETWORK, 7);
    let list_key = |client: u8| if client % 16 == 9 { PublicKey([0; 32]) } else { secret(client + 1).public_key() };
    let keys = ListKeys::new(mix, (0..150).map(list_key));
    let row = |row: u32| {
        let record = record(row / 2);
        let own = ListSecret::new(&secret(record.index as u8 + 1), NETWORK, 7);
        let key = own.with_mix(&secret(11).public_key()).expect("a point");
        ListRow { record, mac: key.mac(if row % 7 == 3 { 301 } else { 300 }, &record) }
    };
    let rows: Vec<ListRow> = (0..310).map(row).collect();
    let expected = |row: u32| row % 7 != 3 && row / 2 % 16 != 9 && row / 2 < 150;
    for (row, good) in (0..).zip(keys.check_each(300, &rows)) {
        assert_eq!(good, expected(row), "row {row}");
    }
}

#[test]
fn points_of_no_use_make_no_key() {
    assert_eq!(client(7).with_mix(&PublicKey([0; 32])).err(), Some(PointError::LowOrder));
    assert_eq!(client(7).with_client(&PublicKey([0xff; 32])).err(), Some(PointError::NonCanonical));
    let keys = ListKeys::new(client(7), [PublicKey([0; 32]), secret(2).public_key()]);
    assert!(keys.get(0).is_none() && keys.get(1).is_some() && keys.get(2).is_none());
}

#[test]
fn rows_are_read_as_they_were_written() {
    let row = ListRow { record: record(0x0102_0304), mac: [0xaa; 16] };
    let bytes = row.to_bytes();
    assert_eq!(bytes[..4], [4, 3, 2, 1]);
    assert_eq!(bytes[4..36], onion_digest(b"packet").0);
    assert_eq!((&bytes[36..52], &bytes[52..]), ([0xc0; 16].as_slice(), [0xaa; 16].as_slice()));
    assert_eq!(ListRow::from_bytes(&bytes), row);
    let signature = ClientSignature { index: 9, signature: Signature([7; 64]) };
    assert_eq!(ClientSignature::from_bytes(&signature.to_bytes()), signature);
}

#[test]
fn records_behind_a_submission_have_one_length() {
    let identity = IdentityKey::from_seed(&[3; 32]);
    let records = vec![record(5), ListRecord { onion: onion_digest(b"other"), ..record(5) }];
    let onions: Vec<Digest> = records.iter().map(|record| record.onion).collect();
    let made = ClientRecords::make(&CONTEXT, records, &keys(), &identity);
    let bytes = made.to_bytes();
    assert_eq!(bytes.len(), 2 * (16 + 3 * 16) + 64);
    assert_eq!(ClientRecords::parse(&bytes, 5, &onions, 3), Ok(made.clone()));
    assert!(made.is_signed_by(&identity.identity(), &CONTEXT));
    for (mix, key) in keys().iter().enumerate() {
        assert_eq!(made.rows(mix).filter(|row| key.check(300, row)).count(), 2, "mix {mix}");
    }
    assert_eq!(made.rows(3).count(), 0);

    let longer = [bytes.as_slice(), &[0]].concat();
    let parse = |bytes: &[u8], onions: &[Digest], mixes| ClientRecords::parse(bytes, 5, onions, mixes);
    assert_eq!(parse(&longer, &onions, 3), Err(RecordsError::Length));
    assert_eq!(parse(&bytes[1..], &onions, 3), Err(RecordsError::Length));
    assert_eq!(parse(&[], &onions, 3), Err(RecordsError::Length));
    assert_eq!(parse(&bytes, &onions[1..], 3), Err(RecordsError::Length));
    assert_eq!(parse(&bytes, &onions, 2), Err(RecordsError::Length));
}

#[test]
fn a_clients_signature_holds_for_all_its_records_in_their_round_and_for_no_others() {
    let identity = IdentityKey::from_seed(&[3; 32]);
    let records = vec![record(5), ListRecord { commitment: [1; 16], ..record(5) }];
    let made = ClientRecords::make(&CONTEXT, records.clone(), &keys(), &identity);
    let holds = |context: &ListContext, records: &[ListRecord]| {
        ClientRecords::verify(&identity.identity(), context, records, made.signature())
    };
    assert!(holds(&CONTEXT, &records));
    assert!(!holds(&CONTEXT, &records[..1]));
    assert!(!holds(&CONTEXT, &[records[1], records[0]]));
    assert!(!holds(&ListContext { round: 301, ..CONTEXT }, &records));
    assert!(!holds(&ListContext { epoch: 8, ..CONTEXT }, &records));
    assert!(!holds(&ListContext { network: Digest([0; 32]), ..CONTEXT }, &records));
    assert!(!made.is_signed_by(&IdentityKey::from_seed(&[4; 32]).identity(), &CONTEXT));
}

#[test]
fn a_root_is_of_the_records_in_order_and_of_the_signatures() {
    let root = |context: &ListContext, records: &[ListRecord], signatures: &[ClientSignature]| {
        let mut root = ListRoot::new(context, records.len() as u32);
        records.iter().for_each(|record| root.record(record));
        root.finish(signatures)
    };
    let records = [record(1), record(2)];
    let signature = ClientSignature { index: 1, signature: Signature([7; 64]) };
    let all = [
        root(&CONTEXT, &records, &[]),
        root(&CONTEXT, &[record(2), record(1)], &[]),
        root(&CONTEXT, &records[..1], &[]),
        root(&CONTEXT, &records, &[signature]),
        root(&ListContext { round: 301, ..CONTEXT }, &records, &[]),
        root(&ListContext { epoch: 8, ..CONTEXT }, &records, &[]),
    ];
    for (i, one) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|other| other != one), "{i}");
    }
}

#[test]
fn what_is_said_of_a_list_decodes_strictly_and_is_signed_for_one_list() {
    let key = IdentityKey::from_seed(&[3; 32]);
    let stranger = IdentityKey::from_seed(&[4; 32]).identity();
    let mut clients = Members::none(9);
    clients.insert(4);
    let root = Digest([6; 32]);
    let header = ListHeader { context: CONTEXT, attempt: 1, count: 8, signed: 1, root }.sign(&key);
    let complaint = ListComplaint { context: CONTEXT, hop: 2, root, clients }.sign(&key);
    let second = SecondList { header: header.clone(), complaints: vec![complaint.clone()] };
    assert!(header.is_signed_by(&key.identity()) && !header.is_signed_by(&stranger));
    assert!(complaint.is_signed_by(&key.identity()) && !complaint.is_signed_by(&stranger));

    let bytes = encode(&second);
    assert_eq!(decode::<SecondList>(&bytes), Ok(second.clone()));
    assert_eq!(decode::<SecondList>(&[bytes.as_slice(), &[0]].concat()), Err(CodecError::Trailing));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let Ok(changed) = decode::<SecondList>(&changed) else { continue };
        let holds = |second: &SecondList| {
            second.header.is_signed_by(&key.identity())
                && second.complaints.len() == 1
                && second.complaints[0].is_signed_by(&key.identity())
        };
        assert!(holds(&second) && !holds(&changed), "byte {at}");
    }

    let signature = ListSignature::sign(&key, &CONTEXT, root);
    let context = ListContext { round: 301, ..CONTEXT };
    assert!(signature.is_signed_by(&key.identity(), &CONTEXT) && !signature.is_signed_by(&stranger, &CONTEXT));
    assert!(!signature.is_signed_by(&key.identity(), &context));
    // Signed for the one round, and said of the other.
    assert!(!ListSignature { round: 301, ..signature.clone() }.is_signed_by(&key.identity(), &CONTEXT));
    assert!(!ListSignature { round: 301, ..signature.clone() }.is_signed_by(&key.identity(), &context));
    let complete = ListComplete { round: 300, root, signatures: vec![signature.signature; 2] };
    assert!(complete.verify(&[key.identity(); 2], &CONTEXT));
    assert!(!complete.verify(&[key.identity(); 3], &CONTEXT) && !complete.verify(&[key.identity()], &CONTEXT));
    assert!(!complete.verify(&[key.identity(), stranger], &CONTEXT));
    assert!(!complete.verify(&[key.identity(); 2], &context));
    assert!(!ListComplete { round: 301, ..complete }.verify(&[key.identity(); 2], &CONTEXT));
}
