//! Oracles: whether what is kept from chosen clients shows in what others see of them.

use super::*;

fn row(oracle: Oracle) -> OracleRow {
    Oracles { seeds: 1, seed: 4, threads: 1 }.run(&[oracle])[0]
}

#[test]
fn receipts_kept_from_half_of_the_clients_name_no_sender_unless_clients_send_again_without_them() {
    let row = row(Oracle::Receipts);
    assert_eq!((row.named, row.control_named), (0, 1));
}

#[test]
fn answers_kept_from_half_of_the_clients_change_no_poll_unless_clients_ask_again_without_them() {
    let row = row(Oracle::Answers);
    assert_eq!((row.named, row.control_named), (0, 1));
}

#[test]
fn submissions_refused_to_half_of_the_clients_name_no_sender_unless_no_other_mix_takes_them() {
    let row = row(Oracle::Submissions);
    assert_eq!((row.named, row.control_named), (0, 1));
}
