//! Experiments T1 and T2: what leaves a mix is in uniformly random order, and nothing of a packet's bits survives.

use std::collections::HashSet;

use rand::SeedableRng;

use super::super::Plan;
use super::view::Rounds;
use super::{Finding, Outcome, chi_square};
use crate::crypto::Csprng;
use crate::packet::{Geometry, Slots};
use crate::round::{Noise, Shuffled};

/// A batch of `count` packets in two segments whose peeled packets carry their place of arrival; the order out.
fn order(rng: &mut Csprng, count: usize, shuffle: bool) -> Vec<usize> {
    let geometry = Geometry::new(2, 256).expect("valid");
    let half = count / 2;
    let segments = [0..half, half..count]
        .map(|places| {
            let mut slots = Slots::zeroed(geometry, places.len());
            places.enumerate().for_each(|(slot, place)| slots.peeled_mut(slot)[0] = place as u8);
            slots
        })
        .into();
    let batch = match shuffle {
        true => Shuffled::new(rng, geometry, segments),
        false => Shuffled::in_order(geometry, segments, Noise::none(geometry)),
    };
    batch.packets().map(|packet| usize::from(packet[0])).collect()
}

/// Chi-square over all 120 orders of five packets, with `skipped` of 100 rounds not shuffled.
fn permutations(seed: u64, skipped: u32) -> f64 {
    let mut rng = Csprng::seed_from_u64(seed);
    let mut counts = [0; 120];
    for round in 0..120_000u32 {
        let order = order(&mut rng, 5, round % 100 >= skipped);
        // The order's number: each place counts the later packets that come before it.
        let number = (0..5).fold(0, |number, at| {
            number * (5 - at) + order[at + 1..].iter().filter(|later| **later < order[at]).count()
        });
        counts[number] += 1;
    }
    chi_square(&counts)
}

/// Chi-square over places in and out of 16 packets; (N - 1) / N for the table's fixed margins.
fn places(seed: u64, skipped: u32) -> f64 {
    let mut rng = Csprng::seed_from_u64(seed);
    let mut counts = [0; 256];
    for round in 0..20_000u32 {
        let order = order(&mut rng, 16, round % 100 >= skipped);
        order.iter().enumerate().for_each(|(out, place)| counts[out * 16 + place] += 1);
    }
    chi_square(&counts) * 15.0 / 16.0
}

/// Experiment T1, of a mix's own shuffle: all 120 orders of five packets over 120,000 rounds, and the places of sixteen over
/// 20,000. Bounds are those at which a sound shuffle fails once in a thousand runs.
pub fn uniformity(seed: u64) -> Outcome {
    let knob = "a round in a hundred unshuffled";
    let orders = Finding::new("T1", "orders of five, chi2(119)", permutations(seed, 0), 70.0..=185.1);
    let table = Finding::new("T1", "places of sixteen, chi2(225)", places(seed, 0), 154.5..=312.6);
    Outcome {
        id: "T1",
        title: "the shuffle is uniform",
        text: "The shuffle that mixes do, on batches that come in two pieces: how often each of the 120 orders of five packets \
               came in 120,000 rounds, and which of sixteen places in went to which out in 20,000."
            .into(),
        findings: vec![
            orders.against(knob, permutations(seed, 1), 185.1..=f64::INFINITY),
            table.against(knob, places(seed, 1), 312.6..=f64::INFINITY),
        ],
        figures: Vec::new(),
    }
}

/// Bytes that no two sides of a mix may have in common.
const COMMON: usize = 8;

/// How much of what came is in what left, over pairs of packets.
#[derive(Default)]
struct Likeness {
    pairs: u64,
    common: u64,
    distant: u64,
    bytes: Vec<u64>,
}

impl Likeness {
    fn compare(&mut self, came: &[u8], left: &[u8]) {
        self.pairs += 1;
        let windows: HashSet<&[u8]> = came.windows(COMMON).collect();
        self.common += u64::from(left.windows(COMMON).any(|window| windows.contains(window)));
        let bits = came.len() as f64 * 8.0;
        let distance: u32 = came.iter().zip(left).map(|(a, b)| (a ^ b).count_ones()).sum();
        self.distant += u64::from((f64::from(distance) - bits / 2.0).abs() > 5.0 * (bits / 4.0).sqrt());
        self.bytes.resize(256, 0);
        // All but the top byte of the ephemeral key, whose top bit is always clear.
        left.iter().enumerate().filter(|(at, _)| *at != 31).for_each(|(_, byte)| self.bytes[usize::from(*byte)] += 1);
    }
}

/// Experiment T2: at least 1,000 packets through each mix before the exit, and what they became.
///
/// # Panics
/// If the simulated network comes to a halt.
pub fn unlinkability(seed: u64) -> Outcome {
    let plan = Plan { clients: 16, packets_per_client: 4, noise: Some(0), seed, ..Plan::default() };
    let mixes = plan.mixes;
    let mut rounds = Rounds::of(plan);
    let mut found: Vec<[Likeness; 2]> = (1..mixes).map(|_| Default::default()).collect();
    while found.iter().any(|[peeled, _]| peeled.pairs < 1000) {
        let round = rounds.next_round().expect("an honest network goes on");
        // All say the very same.
        for client in 0..16 {
            rounds.world.send(client, 0, b"the same");
        }
        for (mix, [peeled, unpeeled]) in found.iter_mut().enumerate() {
            let came = round.received(mix);
            for (left, from) in round.hops[mix].sent.iter().zip(&round.hops[mix].order) {
                let came = came[from.expect("there is no noise") as usize];
                peeled.compare(came, left);
                unpeeled.compare(came, came);
            }
        }
    }
    let findings = (1..).zip(&found).flat_map(|(mix, [peeled, unpeeled])| {
        let of_all = |what: &str, count: fn(&Likeness) -> u64| {
            let share = |likeness: &Likeness| count(likeness) as f64 / likeness.pairs as f64;
            Finding::new("T2", format!("share {what}, mix {mix}"), share(peeled), 0.0..=0.0).against(
                "a layer forwarded unpeeled",
                share(unpeeled),
                1.0..=1.0,
            )
        };
        [
            of_all("with 8 bytes in common", |likeness| likeness.common),
            of_all("further than 5 sigma from half the bits", |likeness| likeness.distant),
            // p = 1e-4 at 255 degrees of freedom.
            Finding::new(
                "T2",
                format!("bytes that leave mix {mix}, chi2(255)"),
                chi_square(&peeled.bytes),
                0.0..=345.0,
            ),
        ]
    });
    Outcome {
        id: "T2",
        title: "no bit of a packet survives a mix",
        text: "Packets of 16 clients that all write the same to the same recipient, before and behind each mix whose batch goes \
               on, in pairs that only the mix knows."
            .into(),
        findings: findings.collect(),
        figures: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t1_the_shuffle_is_uniform_and_a_hundredth_without_it_shows() {
        let outcome = uniformity(120);
        println!("{outcome:?}");
        assert!(outcome.passes(), "{outcome:?}");
    }

    #[test]
    fn t2_a_packets_bits_do_not_survive_a_mix_and_an_unpeeled_one_shows() {
        let outcome = unlinkability(2);
        println!("{outcome:?}");
        assert!(outcome.passes(), "{outcome:?}");
    }
}
