//! Whatever the mixes answer, in whatever order: no panic, no stall, no growth.

use proptest::prelude::*;

use super::driver::*;
use super::fake::*;
use crate::crypto::{Digest, Signature};
use crate::session::*;
use crate::wire::*;

/// A step of a script: what is answered to which request, and how much time passes.
#[derive(Clone, Debug)]
enum Step {
    Answer { which: usize, reply: Reply, letters: usize },
    Fail { which: usize },
    Link { link: Link, up: bool },
    Stray { round: u64, used: bool },
    Pass { ms: u64 },
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..30u64, 19_990..20_030u64, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
}

fn document() -> impl Strategy<Value = SignedEpoch> {
    (number(), number(), number(), any::<u32>(), 0..5u8).prop_map(|(epoch, first_round, other, rounds, how)| {
        let fake = Fake::new();
        let mut signed = match how {
            // Real ones, so that scripts get further than the first check.
            0 | 1 => fake.first_epoch(),
            2 => fake.epoch(epoch, first_round % (1 << 40), Digest([0; 32])),
            _ => fake.epoch(2, 10, fake.first_epoch().document.digest()),
        };
        if how > 2 {
            signed.document.rounds = rounds;
            signed.document.first_round = other;
            signed = fake.sign(signed.document);
        }
        signed
    })
}

fn verdict() -> impl Strategy<Value = SignedVerdict> {
    (number(), any::<bool>(), 0..4usize).prop_map(|(round, real, signatures)| {
        let mut verdict = Fake::new().stored(round);
        if !real {
            verdict.signatures.resize(signatures, Signature([3; 64]));
            verdict.verdict.members = codec::decode(&[1, 0xff]).unwrap_or_default();
        }
        verdict
    })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    use Refusal::*;
    prop::sample::select(vec![
        Malformed,
        WrongRound,
        Late,
        Duplicate,
        Full,
        NotOnRoster,
        NotRegistered,
        WrongMix,
        Stopping,
    ])
}

fn reply() -> impl Strategy<Value = Reply> {
    let documents = || prop::collection::vec(document(), 0..3);
    prop_oneof![
        2 => (0..3u32).prop_map(|index| Reply::Registered { index }),
        1 => any::<u32>().prop_map(|index| Reply::Registered { index }),
        3 => (documents(), number(), any::<u64>(), any::<u32>()).prop_map(|(chain, round, starts_in_ms, round_ms)| {
            Reply::Start(Start { chain, round, starts_in_ms, round_ms })
        }),
        4 => (number(), any::<u64>(), documents(), prop::collection::vec(verdict(), 0..4)).prop_map(
            |(round, closes_in_ms, chain, verdicts)| Reply::Ticket(Ticket { round, closes_in_ms, chain, verdicts })
        ),
        1 => number().prop_map(|round| Reply::Receipt(Receipt { round, signature: Signature([1; 64]) })),
        2 => (0..POLL_LETTERS + 3, any::<u64>()).prop_map(|(count, cursor)| {
            Reply::Letters(PollAnswer { count: count.to_le_bytes(), cursor: cursor.to_le_bytes() })
        }),
        1 => refusal().prop_map(Reply::Refused),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let link = prop_oneof![3 => Just(Link::Entry), 1 => Just(Link::Exit)];
    prop_oneof![
        8 => (0..12usize, reply(), any::<bool>()).prop_map(|(which, reply, whole)| {
            let place = LETTER_HEADER_BYTES + Fake::new().geometry().letter();
            let letters = matches!(reply, Reply::Letters(_)) && whole;
            Step::Answer { which, reply, letters: if letters { place * POLL_LETTERS as usize } else { 0 } }
        }),
        1 => (0..12usize).prop_map(|which| Step::Fail { which }),
        1 => (link, any::<bool>()).prop_map(|(link, up)| Step::Link { link, up }),
        1 => (number(), any::<bool>()).prop_map(|(round, used)| Step::Stray { round, used }),
        3 => (0..3000u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// Every request so far; the newest first, so that small numbers hit open ones.
fn requests(client: &Client) -> Vec<RequestId> {
    let id = |seen: &Seen| match seen {
        Seen::Ask(id, _) | Seen::Poll { id, .. } | Seen::Submit { id, .. } => Some(*id),
        _ => None,
    };
    client.seen.iter().rev().filter_map(id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_answer_stops_or_bloats_a_session(steps in prop::collection::vec(step(), 1..40), joined: bool) {
        let fake = Fake::new();
        let mut client = if joined { Client::joined(&fake, 50) } else { Client::new(fake.config(0), 50) };
        client.outbox.extend((0..20).map(|i| fragment(1, i)));
        for step in steps {
            match step {
                Step::Answer { which, reply, letters } => {
                    if let Some(id) = requests(&client).get(which) {
                        client.tell(Event::Reply { id: *id, reply, letters: vec![7; letters] });
                    }
                }
                Step::Fail { which } => {
                    if let Some(id) = requests(&client).get(which) {
                        client.tell(Event::Failed { id: *id });
                    }
                }
                Step::Link { link, up: true } => client.tell(Event::LinkUp { link, post_quantum: false }),
                Step::Link { link, up: false } => client.tell(Event::LinkDown { link }),
                Step::Stray { round, used } => {
                    client.tell(Event::Reserved { round, result: if used { Err(AlreadyUsed) } else { Ok(Vec::new()) } });
                    client.tell(Event::Settled { round });
                }
                Step::Pass { ms: duration } => client.pass(ms(duration)),
            }
            prop_assert!(client.session.pending.len() <= 1 + 2 * (DELAY as usize + 2));
            prop_assert!(client.session.status().rounds.len() <= 32);
        }
        let mut submitted = client.submitted();
        submitted.dedup();
        prop_assert_eq!(&submitted, &client.submitted(), "no round twice");
        prop_assert!(submitted.is_sorted());
        let mut settled: Vec<_> = client.settled().into_iter().map(|(round, _)| round).collect();
        let settlements = settled.len();
        settled.sort_unstable();
        settled.dedup();
        prop_assert_eq!(settled.len(), settlements, "no round settled twice");

        // And it still takes part with an honest entry.
        client.tell(Event::LinkUp { link: Link::Entry, post_quantum: true });
        prop_assert_eq!(client.last_ask(), Request::Register);
        client.pass(ms(100_000));
        client.reply(Reply::Registered { index: 0 });
        let registered = matches!(client.last_ask(), Request::WaitForStart { .. });
        prop_assert!(registered);
    }
}
