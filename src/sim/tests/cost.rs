//! What sealing costs on the links between mixes.

use super::*;

/// How long messages travel, with nothing else that takes time.
const WAY: Duration = Duration::from_millis(40);
/// Rounds that are looked at.
const ROUNDS: usize = 8;

/// Bytes that mixes say to each other in a round, packets apart, and from the last submission's start to the exit's decision.
fn cost(mixes: usize, packets_per_client: u32, sealed: bool) -> (f64, Duration) {
    let faults = Faults { latency: WAY, jitter: Duration::ZERO, segment: 1 << 16, ..Faults::default() };
    let plan = Plan {
        mixes,
        clients: 16,
        packets_per_client,
        noise_packets: 0,
        round_ms: 4000,
        mix_delay_ms: (0, 0),
        epoch_rounds: 40,
        sealed,
        ..Plan::default()
    };
    let mut world = World::with_faults(plan, faults);
    world.mixes.iter_mut().for_each(|mix| mix.kv.slow(Duration::ZERO));
    assert!(world.run_until(MINUTE, |world| stored(world) >= 3));
    let said = world.tally.said;
    let mut took = Vec::new();
    for round in 1..=ROUNDS {
        assert!(world.run_until(MINUTE, |world| stored(world) >= 3 + round));
        took.push(world.now() - world.tally.submitted);
    }
    took.sort();
    ((world.tally.said - said) as f64 / ROUNDS as f64, took[ROUNDS / 2])
}

#[test]
fn sealing_costs_a_hundred_bytes_a_packet_and_hop() {
    for mixes in [2, 3, 5] {
        // What does not grow with packets cancels.
        let [of_few, of_many] = [2, 10].map(|packets| cost(mixes, packets, true).0 - cost(mixes, packets, false).0);
        let bytes = (of_many - of_few) / (16.0 * 8.0) / (mixes - 1) as f64;
        assert!((1.0..=100.0).contains(&bytes), "{mixes} mixes: {bytes}");
    }
}

/// 2, 2.5 and 3.5: within the three that are asked for up to four mixes.
#[test]
fn sealing_costs_half_a_round_trip_for_each_mix_and_one_more() {
    for mixes in [2, 3, 5] {
        let [without, with] = [false, true].map(|sealed| cost(mixes, 2, sealed).1);
        let trips = (with.as_secs_f64() - without.as_secs_f64()) / (2.0 * WAY.as_secs_f64());
        let most = (mixes as f64 + 2.0) / 2.0 + 0.02;
        assert!((1.0..=most).contains(&trips), "{mixes} mixes: {trips}");
    }
}
