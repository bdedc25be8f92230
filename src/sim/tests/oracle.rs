//! Oracles: whether what chosen clients are told shows in what reaches a recipient.

use super::*;

const CLIENTS: usize = 64;
/// log2 of them.
const LETTERS: usize = 6;

/// The entry keeps receipts from half of the clients, another half for each letter, and the recipient, who is in league
/// with it, counts how often that letter comes: more than once, and the sender is in that half. The name so found.
fn halving(sender: usize, resend_without_receipt: bool) -> usize {
    let plan = Plan { clients: CLIENTS, packets_per_client: 1, seed: 900 + sender as u64, ..Plan::default() };
    let mut world = World::new(plan);
    world.witness = Some(Witness::default());
    world.resend_without_receipt = resend_without_receipt;
    let mut named = 0;
    for letter in 0..LETTERS {
        world.lied_to = (0..CLIENTS).filter(|client| client >> letter & 1 == 1).collect();
        let message = world.send(sender, 0, &[letter as u8; 32]);
        // To its arrival, and for as long as a verdict takes to bring it again, had it not arrived.
        let arrivals = |world: &World| world.witness.as_ref().map_or(0, |witness| witness.arrivals(&message.0));
        assert!(world.run_until(MINUTE, |world| arrivals(world) > 0), "letter {letter} arrives");
        world.run_for(Duration::from_secs(10));
        named |= usize::from(arrivals(&world) > 1) << letter;
    }
    named
}

#[test]
fn receipts_kept_from_half_of_the_clients_name_no_sender() {
    for sender in [37, 62] {
        assert_eq!(halving(sender, false), 0, "no letter came twice, whoever had no receipt");
    }
}

#[test]
fn clients_that_sent_again_without_a_receipt_would_be_named_by_six_letters() {
    assert_eq!(halving(37, true), 37);
}
