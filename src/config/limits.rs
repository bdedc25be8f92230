//! The ranges of a network file's values, and what must hold between them.

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;

use crate::wire::{CHAIN_KEPT, DummyPolicy, MAX_EPOCH_ROUNDS, NoiseLaw, Parameters};

use super::invalid::Invalid;
use super::{DummyLine, NetworkFile, NoiseLine};

/// The most clients of a network: the bitmap of a round's members has 8 KiB then, and a message holds 128 of them.
pub const MAX_CLIENTS: usize = 65_536;
/// The most packets of a round, clients times `packets_per_client`: counts and indices stay far inside 32 bits.
pub const MAX_ROUND_PACKETS: u64 = 1 << 24;

/// As in a packet's geometry: one mix hides nothing from itself, more than seven add delay and no trust.
const MIXES: RangeInclusive<u64> = 2..=7;
/// As in a packet's geometry, in bytes.
const PAYLOAD: RangeInclusive<u64> = 256..=4 << 20;
/// From the scheduler's own jitter to a day, in milliseconds; 0 stands for rounds back to back.
const ROUND_MS: RangeInclusive<u64> = 10..=86_400_000;
/// Of a round back to back, which closes when everybody has submitted: as long as slow clients may keep the others waiting.
const BACK_TO_BACK_SUBMIT_MS: u32 = 10_000;
/// A message of 4 GiB has 2^24 fragments at the least payload.
const MAX_MESSAGE: u64 = u32::MAX as u64;
/// The default of `poll_letters` stays below its own bound.
const MAX_PACKETS_PER_CLIENT: u64 = 16_384;
/// Noise has to be a crowd to one client, not to all: 4,096 packets are the packets of 1,024 clients of the test network, and
/// those of six mixes a seven-hundredth of the largest round. When a round burns their places take 16 KiB of a message.
const MAX_NOISE_PACKETS: u64 = 4096;
/// Rounds of a day last 2,700 years at this many epochs; the bound is for arithmetic.
const MAX_RETENTION_EPOCHS: u64 = 1_000_000;
/// For arithmetic; a mailbox of this many letters of the least payload has 6 GB.
const MAX_MAILBOX_LETTERS: u64 = 1 << 24;
/// Half a gigabyte of verdicts at 1,000 clients.
const MAX_HISTORY_ROUNDS: u64 = 1 << 20;
/// A poll answer of this many letters of the least payload has 29 MB.
const MAX_POLL_LETTERS: u64 = 65_536;
/// A name is hashed and shown, nothing else.
pub(super) const MAX_NETWORK_BYTES: usize = 64;

/// Whether `text` may name a mix, a client or a contact: 1 to 32 of a-z, 0-9 and -, not beginning with -. Safe as a
/// file name, an argument and a field of a line.
pub fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// `poll_letters` unless the file says otherwise: three times what arrives, so that a client that was away catches up, and one.
pub fn default_poll_letters(packets: u64, noise: u64, mixes: usize, clients: u64) -> u64 {
    arrivals(packets, noise, mixes, clients).saturating_mul(3).saturating_add(1).min(MAX_POLL_LETTERS)
}

/// Letters that a mailbox gets a round on average at most, cover and noise together, rounded up: clients and mixes draw uniformly
/// from all mailboxes, of which each client has one, and the exit adds nothing.
fn arrivals(packets: u64, noise: u64, mixes: usize, clients: u64) -> u64 {
    let noise = (mixes.saturating_sub(1) as u64).saturating_mul(noise);
    packets.saturating_add(noise.div_ceil(clients.max(1)))
}

/// The parameters of a file, or every rule it breaks. What must hold between values is looked at when each is in its
/// range.
pub(super) fn parameters(file: &NetworkFile) -> Result<Parameters, Vec<Invalid>> {
    let mut rules = Rules::default();
    rules.lists(file);
    let all = file.clients.len().min(MAX_CLIENTS) as u64;
    let packets = rules.number("packets_per_client", file.packets_per_client, 1..=MAX_PACKETS_PER_CLIENT, 4);
    let noise = rules.number("noise_packets", file.noise_packets, 0..=MAX_NOISE_PACKETS, 2);
    let round_ms = match file.round_seconds {
        0.0 => 0,
        given => rules.thousandths("round_seconds", given, ROUND_MS, 1000),
    };
    let parameters = Parameters {
        network: file.network.clone(),
        messages_per_round: match file.messages_per_round {
            Some(given) => rules.number("messages_per_round", given, 1..=MAX_ROUND_PACKETS, 16),
            None => u32::try_from(all * u64::from(packets)).unwrap_or(u32::MAX),
        },
        start_clients: rules.threshold("start_clients", file.start_clients.unwrap_or(all.max(2)), all),
        min_clients: rules.threshold("min_clients", file.min_clients, all),
        min_share_permille: rules.share(file.min_share),
        round_ms,
        submit_ms: match file.submit_seconds {
            Some(given) => rules.thousandths("submit_seconds", given, 1..=*ROUND_MS.end(), 800),
            None if round_ms == 0 => BACK_TO_BACK_SUBMIT_MS,
            None => round_ms * 4 / 5,
        },
        mix_delay_ms: (
            rules.number("mix_delay_ms", file.mix_delay_ms.0, 0..=*ROUND_MS.end(), 0),
            rules.number("mix_delay_ms", file.mix_delay_ms.1, 0..=*ROUND_MS.end(), 50),
        ),
        payload: rules.number("payload", file.payload, PAYLOAD, 65_536),
        packets_per_client: packets,
        noise_packets: noise,
        noise: rules.noise(file.noise),
        dummies: rules.dummies(file.dummies),
        dummy_payload: file.dummy_payload.clone().into_bytes(),
        max_message: u64::from(rules.number("max_message", file.max_message, 1..=MAX_MESSAGE, 64 << 20)),
        epoch_rounds: rules.number("epoch_rounds", file.epoch_rounds, 1..=u64::from(MAX_EPOCH_ROUNDS), 60),
        verdict_rounds: {
            let default = file.mixes.len() as u64 + 3;
            let given = file.verdict_rounds.unwrap_or(default.min(*MIXES.end() + 3));
            rules.number("verdict_rounds", given, 1..=u64::from(MAX_EPOCH_ROUNDS), default)
        },
        retention_epochs: rules.number("retention_epochs", file.retention_epochs, 1..=MAX_RETENTION_EPOCHS, 1440),
        poll_letters: {
            let default = default_poll_letters(packets.into(), noise.into(), file.mixes.len(), all);
            rules.number("poll_letters", file.poll_letters.unwrap_or(default), 1..=MAX_POLL_LETTERS, default)
        },
        mailbox_letters: rules.number("mailbox_letters", file.mailbox_letters, 1..=MAX_MAILBOX_LETTERS, 65_536),
        threshold: {
            let all = file.mixes.len() as u64;
            rules.number("threshold", file.threshold.unwrap_or(all.clamp(2, *MIXES.end())), 2..=*MIXES.end(), all)
        },
        sealed: file.sealed,
        history_rounds: rules.number("history_rounds", file.history_rounds, 1..=MAX_HISTORY_ROUNDS, 16_384),
    };
    if rules.broken.is_empty() {
        rules.between(&parameters, all, file.mixes.len());
    }
    if rules.broken.is_empty() { Ok(parameters) } else { Err(rules.broken) }
}

/// The rules broken so far.
#[derive(Default)]
struct Rules {
    broken: Vec<Invalid>,
}

impl Rules {
    fn lists(&mut self, file: &NetworkFile) {
        let printable = file.network.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        self.unless(printable && (1..=MAX_NETWORK_BYTES).contains(&file.network.len()), || Invalid::Network);
        self.unless(MIXES.contains(&(file.mixes.len() as u64)), || Invalid::Mixes(file.mixes.len()));
        self.unless(file.clients.len() <= MAX_CLIENTS, || Invalid::TooManyClients(file.clients.len()));
        if let Some(mailboxes) = &file.mailboxes {
            self.unless((1..=MAX_CLIENTS).contains(&mailboxes.len()), || Invalid::Mailboxes(mailboxes.len()));
        }
        let (mut ids, mut addresses) = (HashSet::new(), HashSet::new());
        for id in file.mixes.iter().map(|mix| &mix.id).chain(file.clients.iter().map(|client| &client.id)) {
            self.unless(is_name(id), || Invalid::Id(id.clone()));
            self.unless(ids.insert(id), || Invalid::IdTwice(id.clone()));
        }
        for address in file.mixes.iter().map(|mix| &mix.address) {
            self.unless(is_address(address), || Invalid::Address(address.clone()));
            self.unless(addresses.insert(address), || Invalid::AddressTwice(address.clone()));
        }
    }

    fn between(&mut self, p: &Parameters, clients: u64, mixes: usize) {
        let given = p.threshold;
        self.unless(given as usize <= mixes, || Invalid::ThresholdBeyondMixes { given, mixes });
        let packets = u64::from(p.packets_per_client);
        let left = MAX_ROUND_PACKETS - mixes.saturating_sub(1) as u64 * u64::from(p.noise_packets);
        self.unless(clients * packets <= left, || Invalid::TooManyPackets {
            given: p.packets_per_client,
            clients,
            most: left / clients.max(1),
        });
        let (mean, most) = (p.noise.mean(p.noise_packets), p.noise_packets);
        self.unless(mean <= u64::from(most) * 1000, || Invalid::NoiseBeyondMost { mean: mean as f64 / 1000.0, most });
        let least = u64::from(p.min_clients) * packets;
        self.unless(u64::from(p.messages_per_round) >= least, || Invalid::ClosesTooEarly {
            given: p.messages_per_round,
            least,
        });
        self.unless(p.start_clients >= p.min_clients, || Invalid::StartBelowMinimum {
            start: p.start_clients,
            min: p.min_clients,
        });
        let round_ms = p.span_ms();
        self.unless(p.submit_ms <= round_ms, || Invalid::SubmitBeyondRound { submit_ms: p.submit_ms, round_ms });
        let (lo, hi) = p.mix_delay_ms;
        self.unless(lo <= hi, || Invalid::DelayOrder(lo, hi));
        self.unless(lo > hi || hi <= round_ms, || Invalid::DelayBeyondRound { hi, round_ms });
        let bytes = p.dummy_payload.len();
        self.unless(bytes as u64 <= u64::from(p.payload), || Invalid::DummyTooLong { bytes, payload: p.payload });
        let (poll, cover) = (p.poll_letters, arrivals(packets, p.noise_packets.into(), mixes, clients));
        self.unless(u64::from(poll) > cover, || Invalid::PollBelowCover { given: poll, cover });
        let given = p.mailbox_letters;
        self.unless(given >= poll, || Invalid::MailboxBelowPoll { given, poll });
        // Nobody can be asked for a verdict that is forgotten.
        let least = CHAIN_KEPT as u64 * u64::from(p.epoch_rounds);
        let given = p.history_rounds;
        self.unless(u64::from(given) >= least, || Invalid::ShortHistory { given, least });
    }

    fn threshold(&mut self, key: &'static str, given: u64, clients: u64) -> u32 {
        let value = self.number(key, given, 2..=u64::from(u32::MAX), 2);
        self.unless(given < 2 || given <= clients, || Invalid::MoreThanClients { key, given, clients });
        value
    }

    fn share(&mut self, given: f64) -> u32 {
        let inside = (0.0..=1.0).contains(&given);
        self.unless(inside, || range("min_share", given, 0, 1, 0.9));
        if inside { (given * 1000.0).round() as u32 } else { 0 }
    }

    /// What is whole in thousandths only: times in seconds, and means.
    fn thousandths(&mut self, key: &'static str, given: f64, allowed: RangeInclusive<u64>, write: u64) -> u32 {
        // NaN becomes 0, too much becomes u64::MAX: both outside.
        let value = (given * 1000.0).round() as u64;
        let inside = given >= 0.0 && allowed.contains(&value);
        let [least, most, write] = [*allowed.start(), *allowed.end(), write].map(|value| value as f64 / 1000.0);
        self.unless(inside, || range(key, given, least, most, write));
        if inside { value as u32 } else { 0 }
    }

    fn dummies(&mut self, line: DummyLine) -> DummyPolicy {
        self.unless(line != DummyLine::Own, || Invalid::DummiesToSelf);
        match line {
            DummyLine::Dropped => DummyPolicy::Dropped,
            DummyLine::Uniform | DummyLine::Own => DummyPolicy::Uniform,
        }
    }

    fn noise(&mut self, line: NoiseLine) -> NoiseLaw {
        const ALLOWED: RangeInclusive<u64> = 1..=MAX_NOISE_PACKETS * 1000;
        match line {
            NoiseLine::Constant => NoiseLaw::Constant,
            NoiseLine::None => NoiseLaw::None,
            NoiseLine::Poisson { mean } => NoiseLaw::Poisson { mean: self.thousandths("mean", mean, ALLOWED, 40_000) },
            NoiseLine::Laplace { mean, scale } => NoiseLaw::Laplace {
                mean: self.thousandths("mean", mean, ALLOWED, 40_000),
                scale: self.thousandths("scale", scale, ALLOWED, 5000),
            },
        }
    }

    fn number(&mut self, key: &'static str, given: u64, allowed: RangeInclusive<u64>, write: u64) -> u32 {
        let value = u32::try_from(given).ok().filter(|_| allowed.contains(&given));
        self.unless(value.is_some(), || range(key, given, allowed.start(), allowed.end(), write));
        value.unwrap_or(0)
    }

    fn unless(&mut self, holds: bool, rule: impl FnOnce() -> Invalid) {
        // Nobody reads more, and a hostile file could break as many as it has lines.
        if !holds && self.broken.len() < 20 {
            self.broken.push(rule());
        }
    }
}

fn range(
    key: &'static str,
    given: impl ToString,
    least: impl ToString,
    most: impl ToString,
    write: impl ToString,
) -> Invalid {
    let write = if key == "mix_delay_ms" { "[0, 50]".into() } else { write.to_string() };
    Invalid::Range { key, given: given.to_string(), least: least.to_string(), most: most.to_string(), write }
}

/// `host:port` with a name, an IPv4 address or a bracketed IPv6 address.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => (1..=253).contains(&host.len()) && name(host),
    };
    host_fits && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse().is_ok_and(|port: u16| port != 0)
}
