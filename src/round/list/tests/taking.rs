//! What a mix makes of a first list.

use super::*;
use crate::wire::codec::{decode, encode};
use crate::wire::{ClientSignature, ListHeader};

/// A list as an entry without scruples makes it: any rows, under a header that fits them.
struct Forged {
    rows: Vec<ListRow>,
    signatures: Vec<ClientSignature>,
}

impl Forged {
    /// Honest to begin with, for the second mix.
    fn honest(world: &World) -> Self {
        let rows = world.everybody(ROUND).values().flat_map(|records| records.rows(1).collect::<Vec<_>>()).collect();
        Self { rows, signatures: vec![] }
    }

    fn body(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().flat_map(ClientSignature::to_bytes);
        self.rows.iter().flat_map(ListRow::to_bytes).chain(signatures).collect()
    }

    fn header(&self, world: &World) -> ListHeader {
        let context = world.rules(ROUND).context;
        let (count, signed) = (self.rows.len() as u32, self.signatures.len() as u32);
        let mut root = ListRoot::new(&context, count);
        self.rows.iter().for_each(|row| root.record(&row.record));
        ListHeader { context, attempt: 0, count, signed, root: root.finish(&self.signatures) }
    }

    fn take(&self, world: &World) -> Result<TakenList, ListFault> {
        world.take_bytes(self.header(world).sign(&mix_key(0)), &self.body())
    }

    fn fault(&self, world: &World) -> Option<ListFault> {
        self.take(world).err()
    }
}

/// What becomes of an honest list that `change` has changed and the entry has signed so.
fn fault(change: impl FnOnce(&World, &mut Forged)) -> Option<ListFault> {
    let world = World::new();
    let mut forged = Forged::honest(&world);
    change(&world, &mut forged);
    forged.fault(&world)
}

/// What becomes of an honest list whose header `change` has changed and the entry has signed so.
fn header_fault(change: impl FnOnce(&mut ListHeader)) -> Option<ListFault> {
    let world = World::new();
    let forged = Forged::honest(&world);
    let mut header = forged.header(&world);
    change(&mut header);
    world.take_bytes(header.sign(&mix_key(0)), &forged.body()).err()
}

fn signature(world: &World, client: u32) -> ClientSignature {
    ClientSignature { index: client, signature: *world.records(client, ROUND).signature() }
}

#[test]
fn an_honest_list_is_signed_by_every_mix() {
    let world = World::new();
    let entry = world.assemble(ROUND, world.everybody(ROUND), &world.struck());
    for mix in 1..MIXES {
        let taken = world.take(&entry, mix, &world.struck()).expect("a good list");
        assert_eq!(taken.list(), entry.list());
        assert_eq!(*taken.list().members(), members(&[0, 1, 2, 3, 4]));
        let ListAnswer::Signature(signature) = taken.answer(&mix_key(mix)) else { panic!("it is good") };
        assert!(signature.is_signed_by(&mix_key(mix).identity(), &world.rules(ROUND).context));
        assert_eq!(signature.root, entry.header().header.root);
    }
    assert!(Forged::honest(&world).take(&world).is_ok(), "what the other tests change is good");
}

#[test]
fn any_changed_byte_of_a_row_is_noticed() {
    let world = World::new();
    let entry = world.assemble(ROUND, world.everybody(ROUND), &world.struck());
    let body = entry.body(1);
    for at in 0..body.len() {
        for bit in [0x01, 0x80] {
            let mut changed = body.to_vec();
            changed[at] ^= bit;
            match world.take_bytes(entry.header().clone(), &changed) {
                // The MACs are not in the root: their client is out, and nobody else.
                Ok(taken) => {
                    assert!(at % ROW_BYTES >= 52, "byte {at}");
                    let client = (at / ROW_BYTES / PACKETS) as u32;
                    let ListAnswer::Complaint(complaint) = taken.answer(&mix_key(1)) else { panic!("byte {at}") };
                    assert_eq!(complaint.complaint.clients, members(&[client]), "byte {at}");
                }
                Err(fault) => {
                    use ListFault::{Onion, Order, Partial, Root, Unknown};
                    assert!(at % ROW_BYTES < 52 && matches!(fault, Onion | Order | Partial | Root | Unknown), "{at}");
                }
            }
        }
    }
}

#[test]
fn any_changed_byte_of_a_clients_signature_is_noticed() {
    let world = World::new();
    let mut forged = Forged::honest(&world);
    forged.signatures = vec![signature(&world, 1), signature(&world, 3)];
    assert!(forged.take(&world).is_ok());
    let header = forged.header(&world);
    for at in forged.rows.len() * ROW_BYTES..forged.body().len() {
        let mut changed = forged.body();
        changed[at] ^= 1;
        assert!(world.take_bytes(header.clone().sign(&mix_key(0)), &changed).is_err(), "byte {at}");
    }
}

#[test]
fn any_changed_byte_of_the_header_is_noticed() {
    let world = World::new();
    let entry = world.assemble(ROUND, world.everybody(ROUND), &world.struck());
    let (bytes, body) = (encode(entry.header()), entry.body(1));
    let take = |bytes: &[u8]| {
        let header: SignedListHeader = decode(bytes).ok()?;
        world.take_bytes(header, &body).ok()
    };
    assert!(take(&bytes).is_some());
    for at in 0..bytes.len() {
        for bit in [0x01, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= bit;
            assert!(take(&changed).is_none(), "byte {at}");
        }
    }
}

#[test]
fn only_the_entry_makes_lists_and_each_for_its_round() {
    let world = World::new();
    let forged = Forged::honest(&world);
    let by_another = world.take_bytes(forged.header(&world).sign(&mix_key(1)), &forged.body());
    assert_eq!(by_another.err(), Some(ListFault::Signer));
    assert_eq!(header_fault(|header| header.context.round += 1), Some(ListFault::Context));
    assert_eq!(header_fault(|header| header.context.epoch += 1), Some(ListFault::Context));
    assert_eq!(header_fault(|header| header.context.network = Digest([0; 32])), Some(ListFault::Context));
    assert_eq!(header_fault(|header| header.attempt = 1), Some(ListFault::Attempt));
    assert_eq!(header_fault(|header| header.root = Digest([0; 32])), Some(ListFault::Root));
}

#[test]
fn a_list_is_bounded_by_the_roster_before_it_is_read() {
    assert_eq!(header_fault(|header| header.count = 13), Some(ListFault::Size));
    assert_eq!(header_fault(|header| header.signed = 7), Some(ListFault::Size));
    assert_eq!(header_fault(|header| (header.count, header.signed) = (u32::MAX, u32::MAX)), Some(ListFault::Size));
    let world = World::new();
    let header = Forged::honest(&world).header(&world).sign(&mix_key(0));
    assert_eq!(TakenList::body_bytes(&world.rules(ROUND), &header), Ok(10 * 68));
}

#[test]
fn a_list_has_the_rows_that_its_header_announces() {
    let world = World::new();
    let forged = Forged::honest(&world);
    let (header, body) = (forged.header(&world).sign(&mix_key(0)), forged.body());
    for body in [&body[1..], &body[..body.len() - 68], &[body.as_slice(), &[0]].concat(), &[]] {
        assert_eq!(world.take_bytes(header.clone(), body).err(), Some(ListFault::Length));
    }
    assert_eq!(header_fault(|header| header.count = 12), Some(ListFault::Length));
    // A row more or less than it should be: the rows are taken for signatures, or the other way round.
    assert!(header_fault(|header| (header.count, header.signed) = (9, 1)).is_some());
}

#[test]
fn all_of_a_clients_packets_are_in_it_or_none() {
    assert_eq!(fault(|_, list| list.rows.truncate(9)), Some(ListFault::Partial));
    assert_eq!(fault(|_, list| list.rows = [&list.rows[..3], &list.rows[4..]].concat()), Some(ListFault::Partial));
    assert_eq!(
        fault(|world, list| {
            let mut third = list.rows[0];
            third.record.onion = onion_digest(b"third");
            third.mac = world.keys[1].get(0).expect("a key").mac(ROUND, &third.record);
            list.rows.insert(2, third);
        }),
        Some(ListFault::Partial)
    );
    assert_eq!(fault(|_, list| list.rows.swap(1, 2)), Some(ListFault::Partial));
}

#[test]
fn clients_ascend_and_are_on_the_roster() {
    assert_eq!(fault(|_, list| list.rows.rotate_left(2)), Some(ListFault::Order));
    assert_eq!(
        fault(|_, list| {
            let again: Vec<ListRow> = list.rows[8..].to_vec();
            list.rows.extend(again);
        }),
        Some(ListFault::Order)
    );
    for index in [6, u32::MAX] {
        let unknown = fault(|_, list| list.rows[8..].iter_mut().for_each(|row| row.record.index = index));
        assert_eq!(unknown, Some(ListFault::Unknown));
    }
}

#[test]
fn no_packet_is_in_it_twice() {
    assert_eq!(fault(|_, list| list.rows[1].record.onion = list.rows[0].record.onion), Some(ListFault::Onion));
    assert_eq!(fault(|_, list| list.rows[9].record.onion = list.rows[0].record.onion), Some(ListFault::Onion));
}

#[test]
fn a_list_of_too_few_clients_is_refused() {
    assert_eq!(fault(|_, list| list.rows.truncate(6)), None, "three clients are a quorum");
    assert_eq!(fault(|_, list| list.rows.truncate(4)), Some(ListFault::Quorum));
    assert_eq!(fault(|_, list| list.rows.clear()), Some(ListFault::Quorum));
}

#[test]
fn signatures_in_a_list_ascend_and_hold() {
    let signed = |clients: &[u32]| {
        let clients = clients.to_vec();
        fault(move |world, list| list.signatures = clients.iter().map(|client| signature(world, *client)).collect())
    };
    assert_eq!(signed(&[0, 4]), None);
    assert_eq!(signed(&[4, 0]), Some(ListFault::Order));
    assert_eq!(signed(&[4, 4]), Some(ListFault::Order));
    assert_eq!(signed(&[5]), Some(ListFault::Unknown));
    let of_another = |world: &World, list: &mut Forged| {
        list.signatures = vec![ClientSignature { index: 1, ..signature(world, 2) }];
    };
    assert_eq!(fault(of_another), Some(ListFault::ClientSignature));
}

#[test]
fn when_no_macs_are_right_it_is_the_entry_who_is_wrong() {
    let world = World::new();
    let submissions = (0..5).map(|client| (client, world.bad_mac(client, ROUND, 1))).collect();
    let entry = world.assemble(ROUND, submissions, &world.struck());
    assert_eq!(world.take(&entry, 1, &world.struck()).err(), Some(ListFault::Everybody));
    assert!(world.take(&entry, 2, &world.struck()).is_ok());
}
