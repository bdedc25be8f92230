//! Experiment T10: forward secrecy. What a mix that is seized after a round still has in its memory.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;

use zeroize::Zeroizing;

use super::super::Plan;
use super::view::{Round, Rounds};
use super::{Finding, Outcome};
use crate::crypto::{Backend, Defence, Defences, SecretKey};
use crate::packet::{Geometry, Peeler, RoundContext, Slots};

/// Bytes of a secret that are looked for.
const WINDOW: usize = 16;
/// Read at a time.
const CHUNK: usize = 1 << 20;
/// Rounds ahead of which the experiment learns what to look for, before they are used.
const AHEAD: u64 = 4;
/// Rounds after the last one that is recorded, until its verdict is signed everywhere.
const AFTER: usize = 12;

/// Secrets to look for, of which only keyed hashes are kept: the search must not find itself.
struct Wanted {
    hasher: RandomState,
    /// By the hash of the first bytes: mix and round.
    secrets: HashMap<u64, (usize, u64)>,
}

/// Secrets that are there, by mix and round.
type Found = HashMap<(usize, u64), Zeroizing<[u8; 32]>>;

impl Wanted {
    fn new() -> Self {
        Self { hasher: RandomState::new(), secrets: HashMap::new() }
    }

    fn add(&mut self, mix: usize, round: u64, secret: &[u8; 32]) {
        self.secrets.insert(self.hasher.hash_one(&secret[..WINDOW]), (mix, round));
    }

    /// Looks for all secrets in this process's memory; each that is there with its bytes.
    fn search(&self) -> io::Result<Found> {
        let mut found = HashMap::new();
        each_chunk(|bytes| {
            for place in 0..bytes.len().saturating_sub(31) {
                if let Some(whose) = self.secrets.get(&self.hasher.hash_one(&bytes[place..place + WINDOW])) {
                    let secret = bytes[place..place + 32].first_chunk().expect("32 bytes");
                    found.insert(*whose, Zeroizing::new(*secret));
                }
            }
        })?;
        Ok(found)
    }
}

/// Calls `look` with all memory that this process can write, a chunk at a time with 31 bytes of the next.
fn each_chunk(mut look: impl FnMut(&[u8])) -> io::Result<()> {
    let memory = File::open("/proc/self/mem")?;
    let mut buffer = vec![0; CHUNK + 31];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    for line in std::fs::read_to_string("/proc/self/maps")?.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let range = range.split_once('-').map(|(a, b)| (u64::from_str_radix(a, 16), u64::from_str_radix(b, 16)));
        let Some((Ok(start), Ok(end))) = range else { continue };
        if !rights.starts_with("rw") {
            continue;
        }
        for at in (start..end).step_by(CHUNK) {
            let length = ((end - at) as usize).min(buffer.len());
            // What is read into is no part of what is looked at.
            if at < own.end && own.start < at + length as u64 {
                continue;
            }
            // Pages that have gone meanwhile, or cannot be read, hold nothing of ours.
            if memory.read_exact_at(&mut buffer[..length], at).is_ok() {
                look(&buffer[..length]);
            }
        }
    }
    Ok(())
}

/// What a search came to, each as a share of the secrets of that kind.
struct Seized {
    /// Of rounds that are over.
    over: f64,
    /// Of rounds to come: they are there, or the search finds nothing.
    coming: f64,
    /// Recorded packets that the secrets found open.
    opened: u64,
    packets: u64,
}

fn seize(rounds: usize, seed: u64, defences: Defences) -> io::Result<Seized> {
    // Other experiments may run in this process, and networks of one seed have keys in common.
    let seed = seed ^ 0x0005_ec2e_7000;
    let plan = Plan { clients: 8, seed, defences, epoch_rounds: 240, ..Plan::default() };
    let geometry = plan.geometry();
    let mut network = Rounds::of(plan);
    let (mut wanted, mut recorded) = (Wanted::new(), Vec::new());
    for _ in 0..rounds {
        let round = network.next_round().expect("an honest network goes on");
        for (mix, sim) in network.world.mixes.iter().enumerate() {
            let engine = sim.engine.as_ref().expect("it runs");
            if let Some(secret) = engine.own_onion_key(round.number + AHEAD) {
                wanted.add(mix, round.number + AHEAD, &secret);
            }
        }
        recorded.push(round);
    }
    let over = recorded.last().map_or(0, |round| round.number);
    let mut last = over;
    for _ in 0..AFTER {
        last = network.next_round().expect("an honest network goes on").number;
    }
    for (mix, sim) in network.world.mixes.iter().enumerate() {
        let engine = sim.engine.as_ref().expect("it runs");
        (last + AHEAD..last + 2 * AHEAD)
            .filter_map(|round| Some((round, engine.own_onion_key(round)?)))
            .for_each(|(round, secret)| wanted.add(mix, round, &secret));
    }
    let found = wanted.search()?;
    let share = |kind: &dyn Fn(u64) -> bool| {
        let all = wanted.secrets.values().filter(|(_, round)| kind(*round)).count();
        found.keys().filter(|(_, round)| kind(*round)).count() as f64 / all as f64
    };
    let first = |round: &&Round| found.contains_key(&(0, round.number));
    let opened = recorded.iter().filter(first).map(|round| open(geometry, &network, round, &found[&(0, round.number)]));
    let packets = recorded.iter().map(|round| round.received(0).len() as u64).sum();
    Ok(Seized {
        over: share(&|round| round <= over),
        coming: share(&|round| round > last),
        opened: opened.sum(),
        packets,
    })
}

/// How many of a round's packets, as they went over the clients' links, this key of the entry opens.
fn open(geometry: Geometry, network: &Rounds, round: &Round, secret: &[u8; 32]) -> u64 {
    let chain = network.world.mixes[0].disk.recover().expect("memory does not fail").chain;
    let Some(signed) = chain.iter().rev().find(|signed| signed.document.position(round.number).is_some()) else {
        return 0;
    };
    let context = RoundContext { network: signed.document.network, epoch: signed.document.epoch, round: round.number };
    let peeler = Peeler::new(geometry, context, 1, &SecretKey::from_bytes(*secret), Backend::default());
    let opens = |client: u32, packets: &[Vec<u8>]| {
        let slots = Slots::from_packets(geometry, &packets.concat());
        slots.is_some_and(|mut slots| peeler.peel(&mut slots, client).is_ok())
    };
    let opened = round.submissions.iter().filter(|sent| opens(sent.client, &sent.packets));
    opened.map(|sent| sent.packets.len() as u64).sum()
}

/// Experiment T10, over so many rounds.
///
/// # Errors
/// Where a process cannot read its own memory in `/proc`.
///
/// # Panics
/// If the simulated network comes to a halt.
pub fn forward_secrecy(rounds: usize, seed: u64) -> io::Result<Outcome> {
    let sound = seize(rounds, seed, Defences::default())?;
    let kept = seize(rounds, seed, Defences::default().without(Defence::Erasure))?;
    let knob = "round keys are kept";
    Ok(Outcome {
        id: "T10",
        title: "a mix seized after a round",
        text: format!(
            "Three mixes and eight clients in this process, {rounds} rounds whose packets are recorded on the clients' links. After \
             their verdicts all memory that the process can write is searched for the mixes' onion keys of these rounds, and what \
             is found is tried on the recorded packets ({} of them). Keys of rounds to come must be found, or the search is blind.",
            sound.packets
        ),
        findings: vec![
            Finding::new("T10", "share of past rounds' onion keys in memory", sound.over, 0.0..=0.0).against(
                knob,
                kept.over,
                1.0..=1.0,
            ),
            Finding::new("T10", "share of coming rounds' onion keys in memory", sound.coming, 1.0..=1.0),
            Finding::new("T10", "recorded packets that open", sound.opened as f64, 0.0..=0.0).against(
                knob,
                kept.opened as f64,
                1.0..=f64::INFINITY,
            ),
        ],
        figures: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t10_nothing_of_a_past_round_opens_what_was_recorded() {
        let outcome = forward_secrecy(6, 10).expect("memory can be read");
        println!("{outcome:?}");
        assert!(outcome.passes(), "{outcome:?}");
    }
}
