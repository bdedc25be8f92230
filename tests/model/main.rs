//! Every order in which a sealed round can go, for two and three mixes.
//!
//! The model runs the real [`Seal`]s of one round in every interleaving of what can happen to them: messages arrive in any
//! order, late, twice or never; facts reach the disk or do not; processes die at any moment, between the disk and the word
//! too, and start again; time-outs fire whenever they like; a client or a mix makes somebody find a mismatch; and one mix, at
//! each position in turn, may be malicious: it says whatever it could sign, at any time, to anybody.
//!
//! - A world is the state of each honest mix and the set of all that honest mixes ever said. That set only grows: to hear
//!   something late is to hear it in a later world, to hear it never is a world where nobody did, and hearing it twice
//!   changes nothing. What a malicious mix can say is always there to be heard, so that it needs no state.
//! - A mix is its seal, its disk and what is on the way to the disk. Seals are deterministic: what each makes of each input
//!   is computed once and remembered (`Model::turns`), which keeps the search cheap in an unoptimised build.
//! - `Model::check` holds what must be true of each step, `Model::check_end` what must be true where nothing can happen any
//!   more. The search is breadth-first, so that a violation comes with a shortest way to it.
//! - Controls go the same way with one [`Knob`] turned; each must end in a violation.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking; the numbers are part of the result"
)]

mod fold;
mod mix;
mod plan;
mod search;

use plan::{Knob, Plan};
use search::{Found, Model};

/// Explores a sound plan, and says what was seen.
fn holds(name: &str, plan: Plan) -> Found {
    let began = std::time::Instant::now();
    let found = Model::explore(plan);
    println!(
        "{name}: {} worlds, {} steps, {} ways to end: {:?}, {:.1} s",
        found.worlds,
        found.steps,
        found.ends.len(),
        found.endings,
        began.elapsed().as_secs_f32()
    );
    if let Some((what, way)) = &found.violation {
        panic!("{name}: {what}, after\n{}", way.join("\n"));
    }
    found
}

#[test]
fn without_faults_every_order_ends_in_a_stored_round() {
    for mixes in [2, 3] {
        holds(&format!("calm, {mixes} mixes"), Plan { trouble: false, ..Plan::honest(mixes) });
    }
}

#[test]
fn honest_mixes_agree_whatever_is_lost_late_or_killed() {
    holds("2 mixes, 2 crashes each", Plan { crashes: (2, 4), ..Plan::honest(2) });
    holds("3 mixes, 2 crashes", Plan { crashes: (1, 2), ..Plan::honest(3) });
}

#[test]
fn no_malicious_mix_gets_a_share_and_an_onion_key() {
    for liar in 0..2 {
        holds(
            &format!("2 mixes, mix {liar} malicious"),
            Plan { malicious: Some(liar), crashes: (2, 2), ..Plan::honest(2) },
        );
    }
    for liar in 0..3 {
        holds(
            &format!("3 mixes, mix {liar} malicious"),
            Plan { malicious: Some(liar), crashes: (1, 2), ..Plan::honest(3) },
        );
    }
}

#[test]
fn words_heard_late_lead_wherever_words_heard_at_once_lead() {
    for malicious in [None, Some(0), Some(1)] {
        let plan = Plan { malicious, crashes: (1, 2), ..Plan::honest(2) };
        let short = holds("2 mixes", plan);
        let long = holds("2 mixes, word by word", Plan { word_by_word: true, ..plan });
        assert!(short.worlds < long.worlds);
        assert_eq!(short.ends, long.ends, "all that is ever said");
    }
}

#[test]
fn with_fewer_shares_needed_nothing_is_published_and_a_lost_mix_stops_no_verdict() {
    let plan = Plan { threshold: 2, crashes: (1, 1), ..Plan::honest(3) };
    holds("2 of 3, 1 crash", plan);
    for liar in 0..3 {
        holds(&format!("2 of 3, mix {liar} malicious"), Plan { malicious: Some(liar), crashes: (0, 0), ..plan });
    }
}

/// Explores a plan with a knob turned, which must lead to the violation sought.
fn fails(plan: Plan) {
    let Plan { mixes, knob, sought, .. } = plan;
    let found = Model::explore(plan);
    let Some((what, way)) = found.violation else { panic!("{knob:?}, {mixes} mixes: not {sought:?}") };
    println!("{knob:?}, {mixes} mixes, {} worlds: {what}, after\n  {}", found.worlds, way.join("\n  "));
}

#[test]
fn controls_fail() {
    let aborted = "calls a round aborted after a release";
    let refused = "refuses the honest exit's Aborted";
    let both = "an honest share is released and an honest onion key is published";
    for (mixes, knob, sought) in [
        (2, Knob::SayBeforeDisk, aborted),
        (3, Knob::SayBeforeDisk, aborted),
        (2, Knob::ForgetfulDisk, refused),
        (2, Knob::ForgetfulDisk, aborted),
        (2, Knob::KeysOnDisk, both),
        (2, Knob::OneConfirmLess, "before all confirms"),
        (3, Knob::OneConfirmLess, "before all confirms"),
        (2, Knob::OneBurntLess, "before all have burnt"),
        (3, Knob::OneBurntLess, both),
    ] {
        fails(Plan { knob, crashes: (1, 1), sought: Some(sought), ..Plan::honest(mixes) });
    }
}
