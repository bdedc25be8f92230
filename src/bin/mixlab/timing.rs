//! `timing`: whether the time of X25519 tells scalars apart.

use std::process::ExitCode;

use clap::Args;
use mixnet::crypto::Backend;
use mixnet::sim::{T_BOUND, Timing, timing};

/// Arguments of `timing`.
#[derive(Args)]
#[command(
    after_help = "Every backend that this processor has, fixed against random scalars in random order, and a control whose
time depends on the scalar by nanoseconds. Exit 1 if the default backend shows |t| of 4.5 or more, or the control less."
)]
pub(super) struct TimingArgs {
    /// Samples of each backend
    #[arg(long, value_name = "COUNT", default_value_t = 200_000)]
    samples: usize,
    /// What the scalars follow from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// Measures, and prints a line for each.
pub(super) fn run(args: &TimingArgs) -> ExitCode {
    let mut sound = true;
    let backends = Backend::ALL.into_iter().filter(|backend| backend.is_available()).map(|backend| (backend, false));
    for (backend, control) in backends.chain([(Backend::default(), true)]) {
        let Timing { t, samples, means } = timing(backend, args.samples, args.seed, control);
        let shows = t.abs() >= T_BOUND;
        sound &= backend != Backend::default() || shows == control;
        let json = serde_json::json!({
            "schema": 1,
            "backend": backend.to_string(),
            "control": control,
            "t": t,
            "shows": shows,
            "samples": { "fixed": samples[0], "random": samples[1] },
            "mean_ns": { "fixed": means[0], "random": means[1] },
        });
        println!("{json}");
    }
    ExitCode::from(u8::from(!sound))
}
