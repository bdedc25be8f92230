//! Two attacks of the list, and a kill of each mix, on real processes, so that every change meets them; `mixlab adversary
//! --processes` and `mixlab kills --processes` run all.

use mixnet::sim::{AdversaryProcesses, AdversaryRow, KillsProcesses};
use mixnet::testnet::Programs;

fn programs() -> Programs {
    Programs { mixnode: env!("CARGO_BIN_EXE_mixnode").into(), mixclient: env!("CARGO_BIN_EXE_mixclient").into() }
}

async fn attack(behaviour: &str, position: usize) -> AdversaryRow {
    let dir = tempfile::tempdir().expect("a directory");
    let adversary = AdversaryProcesses {
        programs: programs(),
        rogue: env!("CARGO_BIN_EXE_mixlab").into(),
        dir: dir.path().into(),
        seed: 1,
        parallel: 1,
        mixes: 3,
        behaviours: vec![behaviour.into()],
        position: Some(position),
    };
    let mut rows = adversary.run(|_| {}).await;
    assert_eq!(rows.len(), 1, "{behaviour} is tried in {position}");
    rows.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_that_replaces_a_packet_is_named_by_every_other_process() {
    let row = attack("well-made", 1).await;
    assert!(row.is_sound() && row.touched == 1 && row.culprit_named == 1 && row.delivered_later == 1, "{}", row.json());
    assert!(row.json()["released"] == 0, "{}", row.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_seals_garbage_is_named_by_every_mix_process() {
    let row = attack("bad-layer", 2).await;
    assert!(row.is_sound() && row.culprit_named == 1 && row.delivered_later == 1, "{}", row.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mix_process_killed_at_a_moment_of_a_round_releases_nothing_that_burns_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let kills = KillsProcesses {
        programs: programs(),
        rogue: env!("CARGO_BIN_EXE_mixlab").into(),
        dir: dir.path().into(),
        seed: 1,
        seeds: 1,
        parallel: 1,
        mixes: 3,
    };
    let (summary, is_good) = kills.run(|_| {}).await;
    assert!(is_good, "{summary}");
    assert!(summary["both"] == 0 && summary["kills"].as_u64() >= Some(1), "{summary}");
    assert!(summary["rounds_released"].as_u64() >= Some(1), "{summary}");
}
