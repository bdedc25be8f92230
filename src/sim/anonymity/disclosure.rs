//! Experiment T6: who writes to whom, for an exit that counts letters by mailbox over many rounds and sees who is there.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::super::{Party, Plan};
use super::view::{Round, Rounds};
use super::{Curve, Figure, Finding, Outcome};
use crate::crypto::Csprng;
use crate::wire::DummyPolicy;

/// One round as the exit and whoever watches the clients' links know it together.
pub struct Deposits {
    /// By client: whether it took part.
    pub present: Vec<bool>,
    /// By client: letters for its mailbox. With direct polling the exit knows whose it is.
    pub letters: Vec<u32>,
}

/// An adversary of the disclosure experiment: implement it, and [`Disclosure::play`] says how good it is.
pub trait Discloser {
    /// Sees one more round.
    fn observe(&mut self, round: &Deposits);

    /// To whom, after all that it has seen, this client writes: another client.
    fn partner(&mut self, client: usize) -> usize;
}

/// The experiment: every client has one other to whom it writes, nobody else writes to that one, and the adversary looks
/// for it.
///
/// Three mixes, one packet of each client a round. Each mix but the exit adds two packets of noise to mailboxes drawn
/// from all, whatever clients' dummies do; they are among [`Deposits::letters`]. What is written to somebody who is
/// away waits in its mailbox, and what is written faster than it can leave waits at its sender.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// Clients, N.
    pub clients: usize,
    /// Rounds after which the adversary is asked, ascending.
    pub rounds: Vec<u64>,
    /// Where dummies go.
    pub dummies: DummyPolicy,
    /// How likely a client that is there has written a message since the last round.
    pub writes: f64,
    /// The share of clients that are away at any moment, each for five rounds on average.
    pub away: f64,
    /// Networks, each with other partners: every client of each is a trial.
    pub worlds: u64,
    /// Everything random follows from it.
    pub seed: u64,
}

/// What an adversary found after so many rounds.
#[derive(Clone, Copy, Debug)]
pub struct Disclosed {
    /// So many.
    pub rounds: u64,
    /// The share of all clients whose partner it found.
    pub found: f64,
    /// The share in the network in which it found the fewest. Clients of one network are not independent, so that how
    /// far networks differ says how much the share is to be trusted.
    pub least: f64,
    /// The share in the network in which it found the most.
    pub most: f64,
}

/// Rounds for which a client that goes is away, on average.
const AWAY_ROUNDS: f64 = 5.0;

impl Disclosure {
    /// How many partners the adversary found after each number of rounds. `make` is given how many clients there are;
    /// it is called once for each network.
    ///
    /// # Panics
    /// If a network comes to a halt.
    pub fn play<D: Discloser + 'static>(&self, make: impl Fn(usize) -> D) -> Vec<Disclosed> {
        self.play_all(|clients| vec![Box::new(make(clients))]).pop().unwrap_or_default()
    }

    /// As [`Disclosure::play`] of several adversaries in the same rounds of the same networks; nothing without a network.
    ///
    /// # Panics
    /// As there, or if `make` does not make as many for each network.
    pub fn play_all(&self, make: impl Fn(usize) -> Vec<Box<dyn Discloser>>) -> Vec<Vec<Disclosed>> {
        let networks: Vec<Vec<Vec<usize>>> =
            (0..self.worlds).map(|world| self.world(self.seed + world, make(self.clients))).collect();
        let share = |found: usize, networks: u64| found as f64 / (self.clients as u64 * networks) as f64;
        let disclosed = |adversary: usize, at: usize| {
            let found = || networks.iter().map(|counts| counts[adversary][at]);
            Disclosed {
                rounds: self.rounds[at],
                found: share(found().sum(), self.worlds),
                least: share(found().min().unwrap_or(0), 1),
                most: share(found().max().unwrap_or(0), 1),
            }
        };
        let adversaries = 0..networks.first().map_or(0, Vec::len);
        adversaries.map(|who| (0..self.rounds.len()).map(|at| disclosed(who, at)).collect()).collect()
    }

    /// One network: how many partners each adversary finds after each number of rounds.
    fn world(&self, seed: u64, mut adversaries: Vec<Box<dyn Discloser>>) -> Vec<Vec<usize>> {
        let mut rounds = Rounds::of(Plan {
            clients: self.clients,
            packets_per_client: 1,
            min_share_permille: 100,
            dummies: self.dummies,
            seed,
            ..Plan::default()
        });
        let mut rng = Csprng::seed_from_u64(seed ^ 0xd15c);
        let partners = partners(&mut rng, self.clients);
        let mut found = vec![Vec::new(); adversaries.len()];
        for number in 1..=self.rounds.last().copied().unwrap_or(0) {
            let round = rounds.next_round().expect("an honest network goes on");
            let seen = deposits(&round, self.clients);
            adversaries.iter_mut().for_each(|adversary| adversary.observe(&seen));
            for (client, partner) in partners.iter().enumerate() {
                self.come_and_go(&mut rounds, &mut rng, client);
                if rounds.world.runs(Party::Client(client)) && rng.random_bool(self.writes) {
                    rounds.world.send(client, *partner, b"to you");
                }
            }
            if self.rounds.contains(&number) {
                for (adversary, found) in adversaries.iter_mut().zip(&mut found) {
                    let right = |client: &usize| adversary.partner(*client) == partners[*client];
                    found.push((0..self.clients).filter(right).count());
                }
            }
        }
        found
    }

    /// Clients go and come back, so that the share that is away stays the same.
    fn come_and_go(&self, rounds: &mut Rounds, rng: &mut Csprng, client: usize) {
        let back = 1.0 / AWAY_ROUNDS;
        if !rounds.world.runs(Party::Client(client)) {
            if rng.random_bool(back) {
                rounds.world.start_client(client);
            }
        } else if rng.random_bool(back * self.away / (1.0 - self.away)) {
            rounds.world.crash_client(client);
        }
    }
}

/// A partner for everybody, never itself: a random order, each writing to the next.
fn partners(rng: &mut Csprng, clients: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..clients).collect();
    order.shuffle(rng);
    let mut partners = vec![0; clients];
    order.iter().zip(order.iter().cycle().skip(1)).for_each(|(from, to)| partners[*from] = *to);
    partners
}

fn deposits(round: &Round, clients: usize) -> Deposits {
    let mut seen = Deposits { present: vec![false; clients], letters: vec![0; clients] };
    round.submissions.iter().for_each(|sent| seen.present[sent.client as usize] = true);
    round.recipients.iter().flatten().for_each(|owner| seen.letters[*owner as usize] += 1);
    seen
}

/// Which of two kinds a round is for a client: `true` for those in which its partner gets more. `None` says nothing.
pub type Kind = fn(&Deposits, usize) -> Option<bool>;

/// Whose mailbox gets more in one kind of a client's rounds than in the other (statistical disclosure, Danezis 2003). Where
/// there is only one kind, the mailbox that gets most.
pub struct Contrast {
    kind: Kind,
    /// By client: rounds of either kind.
    rounds: Vec<[f64; 2]>,
    /// By client and recipient: letters in them.
    letters: Vec<Vec<[f64; 2]>>,
}

impl Contrast {
    /// Among so many clients.
    pub fn new(clients: usize, kind: Kind) -> Self {
        Self { kind, rounds: vec![[0.0; 2]; clients], letters: vec![vec![[0.0; 2]; clients]; clients] }
    }

    /// Rounds in which the client is there, against those in which it is not.
    pub fn presence(clients: usize) -> Self {
        Self::new(clients, |round, client| Some(round.present[client]))
    }
}

impl Discloser for Contrast {
    fn observe(&mut self, round: &Deposits) {
        for client in 0..self.rounds.len() {
            let Some(kind) = (self.kind)(round, client).map(usize::from) else { continue };
            self.rounds[client][kind] += 1.0;
            for (letters, count) in self.letters[client].iter_mut().zip(&round.letters) {
                letters[kind] += f64::from(*count);
            }
        }
    }

    fn partner(&mut self, client: usize) -> usize {
        let rounds = self.rounds[client];
        let mean = |letters: &[f64; 2], kind: usize| letters[kind] / rounds[kind].max(1.0);
        let scores = self.letters[client].iter().map(|letters| mean(letters, 1) - mean(letters, 0)).enumerate();
        let others = scores.filter(|(other, _)| *other != client);
        let best = |best: (usize, f64), other: (usize, f64)| if other.1 > best.1 { other } else { best };
        others.fold((client, f64::NEG_INFINITY), best).0
    }
}

/// Letters of a mailbox in a round that are told apart; more are as many.
const COUNTS: usize = 16;

/// Whose mailbox gets one letter more in one kind of a client's rounds than what it gets in the other lets expect, by
/// the quotient of likelihoods: whoever gets none when the client must have written is not its partner. As no two
/// clients have one partner, the pairs for which most speaks come first, and who is taken is nobody else's.
pub struct OneMore {
    kind: Kind,
    /// By client and recipient: how often it got so many letters in a round of either kind.
    letters: Vec<Vec<[[u32; COUNTS]; 2]>>,
}

impl OneMore {
    /// Among so many clients.
    pub fn new(clients: usize, kind: Kind) -> Self {
        Self { kind, letters: vec![vec![[[0; COUNTS]; 2]; clients]; clients] }
    }

    /// Rounds in which the client's own mailbox gets nothing, against others: finds those who write to themselves when they
    /// have nothing to say.
    pub fn own_dummies(clients: usize) -> Self {
        Self::new(clients, |round, client| round.present[client].then(|| round.letters[client] == 0))
    }
}

impl Discloser for OneMore {
    fn observe(&mut self, round: &Deposits) {
        for (client, letters) in self.letters.iter_mut().enumerate() {
            let Some(kind) = (self.kind)(round, client).map(usize::from) else { continue };
            for (seen, count) in letters.iter_mut().zip(&round.letters) {
                seen[kind][(*count as usize).min(COUNTS - 1)] += 1;
            }
        }
    }

    fn partner(&mut self, client: usize) -> usize {
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for (from, letters) in self.letters.iter().enumerate() {
            let scores = letters.iter().map(Self::score).enumerate().filter(|(to, _)| *to != from);
            pairs.extend(scores.map(|(to, score)| (score, from, to)));
        }
        pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
        let (mut placed, mut taken) = (vec![false; self.letters.len()], vec![false; self.letters.len()]);
        for (_, from, to) in pairs {
            if placed[from] || taken[to] {
                continue;
            }
            if from == client {
                return to;
            }
            (placed[from], taken[to]) = (true, true);
        }
        // Whoever is left has only itself.
        client
    }
}

impl OneMore {
    /// What speaks for a recipient, given what it got in rounds of either kind.
    fn score([usual, more]: &[[u32; COUNTS]; 2]) -> f64 {
        // Nothing is impossible because it was not seen: a tenth of a round for each number of letters.
        let likely = |count: Option<usize>| count.map_or(0.0, |count| f64::from(usual[count])) + 0.1;
        let quotient = |count: usize| (likely(count.checked_sub(1)) / likely(Some(count))).ln();
        more.iter().enumerate().map(|(count, rounds)| f64::from(*rounds) * quotient(count)).sum()
    }
}

/// 1/64 and three standard errors of 200 trials.
const BASELINE: f64 = 0.042;
/// The share of partners that must be found of clients who write to themselves, after [`CONTROL_ROUNDS`].
const CONTROL_FINDS: f64 = 0.9;
const CONTROL_ROUNDS: u64 = 50;
/// Rounds after which the adversary is asked.
const ASKED: [u64; 9] = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

fn curve(name: impl Into<String>, disclosed: &[Disclosed]) -> Curve {
    Curve { name: name.into(), points: disclosed.iter().map(|it| (it.rounds as f64, it.found)).collect() }
}

/// The share in the end, in percent, and in the networks by themselves.
fn percent(disclosed: &[Disclosed]) -> String {
    let Disclosed { found, least, most, .. } = disclosed[disclosed.len() - 1];
    format!("{:.0} % ({:.0} to {:.0} % in single networks)", found * 100.0, least * 100.0, most * 100.0)
}

/// Experiment T6: 64 clients in each of so many networks, asked for after 10 to `rounds` rounds, at least 50.
pub fn disclosure(rounds: u64, worlds: u64, seed: u64) -> Outcome {
    let asked: Vec<u64> = ASKED.into_iter().filter(|at| *at <= rounds).collect();
    let dummies = DummyPolicy::Uniform;
    let setting = Disclosure { clients: 64, rounds: asked, dummies, writes: 0.2, away: 0.0, worlds, seed };
    let both = |clients| -> Vec<Box<dyn Discloser>> {
        vec![Box::new(Contrast::presence(clients)), Box::new(OneMore::own_dummies(clients))]
    };
    let present = setting.play_all(both);
    let [few, many] = [0.01, 0.1].map(|away| Disclosure { away, ..setting.clone() }.play(Contrast::presence));
    let dropped = Disclosure { dummies: DummyPolicy::Dropped, ..setting.clone() };
    let mut curves = vec![
        curve("presence, 0 % away", &present[0]),
        curve("presence, 1 % away", &few),
        curve("presence, 10 % away", &many),
        curve("own dummies, nobody away", &present[1]),
        curve("dropped dummies, nobody away", &dropped.play(Contrast::presence)),
    ];
    let selfish = Disclosure {
        dummies: DummyPolicy::Own,
        rounds: ASKED.into_iter().filter(|at| *at <= CONTROL_ROUNDS).collect(),
        ..setting
    };
    let control = curve("control: dummies to oneself", &selfish.play(OneMore::own_dummies));
    let end = |curve: &Curve| curve.points.last().map_or(f64::NAN, |(_, found)| *found);
    let finding = |curve: &Curve| {
        let statistic = format!("partners found after {rounds} rounds: {}", curve.name);
        let finding = Finding::new("T6", statistic, end(curve), 0.0..=BASELINE);
        finding.against("idle clients write to themselves, 50 rounds", end(&control), CONTROL_FINDS..=1.0)
    };
    let findings = vec![finding(&curves[0]), finding(&curves[3]), finding(&curves[4])];
    let text = format!(
        "{} networks of 64 clients. Each writes to one other, in a fifth of the rounds in which it is there, and fills up with dummies to \
         mailboxes drawn from all. The adversary is the exit, which counts letters by mailbox and knows whose each is, together with \
         whoever watches the clients' links. *Presence* (statistical disclosure): whose mailbox gets more in rounds with a client than \
         in rounds without it. *Own dummies*: whose gets one more when the client's own gets nothing. A guess finds one in 64.\n\n\
         **What leaks.** Where nobody is ever away there is nothing to compare, and both stay at a guess. Of clients who come and go \
         presence finds more and more: with 10 % away at any moment {} of partners after {rounds} rounds, with 1 % {}. No bound is \
         set for those curves; they are what being away costs. That a mailbox gets letters at all, and how many, the exit sees in any case.",
        worlds,
        percent(&many),
        percent(&few),
    );
    curves.push(control);
    Outcome {
        id: "T6",
        title: "who writes to whom, over many rounds",
        text,
        findings,
        figures: vec![Figure {
            name: "t6-disclosure",
            title: "Partners found by an exit that counts letters".into(),
            x: ("rounds", true),
            y: ("share of clients", false),
            curves,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_dummies_to_oneself_name_the_partner_and_dummies_to_anybody_do_not() {
        let play = |dummies: DummyPolicy| {
            let game =
                Disclosure { clients: 16, rounds: vec![60], dummies, writes: 0.2, away: 0.0, worlds: 2, seed: 6 };
            game.play(OneMore::own_dummies)[0].found
        };
        let (sound, selfish) = (play(DummyPolicy::Uniform), play(DummyPolicy::Own));
        // A guess finds one in 16; 32 trials, four standard errors.
        assert!(sound < 1.0 / 16.0 + 4.0 * (15.0f64 / 16.0 / 16.0 / 32.0).sqrt(), "{sound}");
        assert!(selfish > 0.8, "{selfish}");
    }
}
