//! One network with one villain: some calm, some rounds of attack, calm again.

use std::time::Duration;

use rand::RngExt;

use super::super::{Plan, SimMix, World};
use super::behaviour::{Behaviour, Villain};
use super::{convictions, rogue};
use crate::blame::Guilty;
use crate::client;
use crate::crypto::Defences;
use crate::mix::Event;
use crate::store::MessageState;

/// Rounds that have ended before the attack begins, in seconds of a second each.
const BEFORE: Duration = Duration::from_secs(30);
/// How long it lasts: a few rounds.
const ATTACK: Duration = Duration::from_millis(3300);
/// How long it takes at most to find out whose fault a burnt round is.
const BLAME: Duration = Duration::from_secs(12);
/// How often operators look at their mixes.
const OPERATORS: Duration = Duration::from_secs(4);
/// How often it is looked whether everything has arrived.
const LOOK: Duration = Duration::from_secs(1);
/// How long after it everything accepted must have arrived: rounds that wait for their time-out, and a few resends.
const AFTER: Duration = Duration::from_secs(180);
/// After which nothing comes twice any more.
const QUIET: Duration = Duration::from_secs(2);
/// Rounds of an epoch: so few that what follows an attack goes over its end, so many that its keys are not most of the work.
const EPOCH: u32 = 12;
/// The shortest payload there is.
const PAYLOAD: u32 = 256;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    pub acted: bool,
    pub touched: bool,
    pub released: bool,
    pub leaked: Option<&'static str>,
    pub culprit_named: bool,
    pub honest_named: bool,
    pub delivered: bool,
}

/// Runs it.
pub(super) fn run(behaviour: &Behaviour, mixes: usize, position: usize, seed: u64, defences: Defences) -> Verdict {
    let mut rng = rogue::rng(seed ^ 0x7217);
    let clients = 4 + usize::from(behaviour.is_a_clients());
    let threshold = behaviour.fewer_open.then(|| (mixes - 1).max(2) as u8);
    let plan = Plan {
        mixes,
        clients,
        payload: PAYLOAD,
        packets_per_client: if behaviour.is_a_clients() { 2 } else { 1 },
        epoch_rounds: EPOCH,
        threshold,
        defences,
        seed,
        ..Plan::default()
    };
    let mut world = World::new(plan);
    if behaviour.begins_early() {
        sit_down(&mut world, behaviour, position, seed);
    } else {
        let stored = |world: &World| {
            world.mixes.last().is_some_and(|exit| exit.engine.as_ref().is_some_and(|engine| engine.status().stored > 0))
        };
        world.run_until(BEFORE, stored);
        world.run_for(Duration::from_millis(rng.random_range(0..1000)));
        sit_down(&mut world, behaviour, position, seed);
    }
    let honest = if behaviour.is_a_clients() { clients - 1 } else { clients };
    let content = |from: usize| vec![from as u8 ^ seed as u8; 40];
    for from in 0..honest {
        world.send(from, (from + 1) % honest, &content(from));
    }
    world.run_for(ATTACK);
    // Whoever is accused answers; what it has changed it does not own up to.
    world.run_until(BLAME, |world| !world.mixes.iter().any(SimMix::burns));
    let mut verdict = Verdict::default();
    let guilty = stand_up(&mut world, behaviour, position, &mut verdict);
    let arrived = |world: &World| (0..honest).all(|client| !world.inbox(client).is_empty());
    let settled = |world: &World| {
        let counts = |client: usize| world.clients[client].disk.outbox.counts();
        (0..honest).all(|client| counts(client).is_ok_and(|counts| counts.stored == 1))
    };
    let end = world.now() + AFTER;
    // Where a mix is named the network stands still until its operators have acted; they do, time and again.
    while world.now() < end && !comes_to_be(&mut world, |world| arrived(world) && settled(world)) {
        (0..mixes).for_each(|mix| world.at_mix(mix, Event::Resume));
        ask_users(&world);
    }
    world.run_for(QUIET);
    verdict.delivered = (0..honest).all(|client| {
        let inbox = world.inbox(client);
        inbox.len() == 1 && inbox[0].1 == content((client + honest - 1) % honest)
    });
    let honest_mixes = (0..mixes).filter(|mix| guilty != Guilty::Mix(*mix as u8 + 1));
    let named = convictions(&world, honest_mixes);
    let shown: Vec<Guilty> = (0..honest).flat_map(|client| shown_to_client(&world, client)).collect();
    verdict.culprit_named = named.iter().all(|named| named.contains(&guilty)) || shown.contains(&guilty);
    verdict.honest_named = named.iter().flatten().chain(&shown).any(|named| *named != guilty);
    verdict.touched = world.toll.touched();
    verdict.released = world.toll.opened();
    verdict.leaked = verdict.leaked.or(world.toll.leaks.first().copied());
    verdict
}

/// Runs until it is so, or operators look; whether it is.
fn comes_to_be(world: &mut World, is_so: impl Fn(&World) -> bool) -> bool {
    let until = world.now() + OPERATORS;
    while !is_so(world) {
        if world.now() >= until {
            return false;
        }
        world.run_for(LOOK);
    }
    true
}

/// Whom a client can prove guilty.
fn shown_to_client(world: &World, client: usize) -> Vec<Guilty> {
    let contradictions = world.clients[client].contradictions.iter();
    let evidence = contradictions.flat_map(|found| client::evidence(&world.network, found));
    evidence.filter_map(|evidence| Some(evidence.verify(&world.network).ok()?.guilty)).collect()
}

fn sit_down(world: &mut World, behaviour: &Behaviour, position: usize, seed: u64) {
    match behaviour.villain(position, seed) {
        Villain::Mix(place, rogue) => {
            world.toll.malicious.insert(place);
            world.mixes[place].rogue = Some(rogue);
        }
        Villain::Client(rogue) => {
            let last = world.clients.len() - 1;
            world.clients[last].rogue = Some(rogue);
        }
    }
}

/// Of messages that have failed several times clients ask their users, who want them sent.
fn ask_users(world: &World) {
    for client in &world.clients {
        let (Some(engine), outbox) = (client.engine.as_ref(), &client.disk.outbox) else { continue };
        let held = outbox.list().unwrap_or_default().into_iter().filter(|message| message.state == MessageState::Held);
        for message in held {
            // A disk in memory takes it.
            let _ = outbox.retry(&message.message, engine.status().epoch);
        }
    }
}

/// The attack is over; who made it.
fn stand_up(world: &mut World, behaviour: &Behaviour, position: usize, verdict: &mut Verdict) -> Guilty {
    if behaviour.is_a_clients() {
        let last = world.clients.len() - 1;
        verdict.acted = world.clients[last].rogue.take().is_some_and(|rogue| rogue.has_acted());
        return Guilty::Client(last as u32);
    }
    if let Some(rogue) = world.mixes[position].rogue.take() {
        verdict.acted = rogue.has_acted();
        verdict.leaked = rogue.loot();
    }
    Guilty::Mix(position as u8 + 1)
}
