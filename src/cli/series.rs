//! `mixload matrix` and `mixload scale`: series of measurements, with figures.

use std::path::{Path, PathBuf};

use clap::{Args, value_parser};

use crate::load::{Matrix, MatrixOptions, Scale, ScaleOptions, matrix, scale};

use super::error::CliError;
use super::measure::{Bar, make, temporary, write};
use super::{on_all_cores, output};

/// Arguments of `matrix`.
#[derive(Args, Debug)]
pub(super) struct MatrixArgs {
    /// Where matrix.json, metrics_vs_num_of_clients.svg and metrics_vs_message_size.svg go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Numbers of clients
    #[arg(long, value_name = "COUNT,...", value_delimiter = ',', default_value = "2,3,4,5,6,7,8,9,10",
        value_parser = value_parser!(u16).range(2..=1000))]
    clients: Vec<u16>,
    /// Bytes of messages
    #[arg(long, value_name = "BYTES,...", value_delimiter = ',', default_value = "10,100,1000,10000,100000,1000000",
        value_parser = value_parser!(u32).range(1..=4 << 20))]
    sizes: Vec<u32>,
    /// Rounds measured for each; the median counts
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = value_parser!(u16).range(1..=200))]
    rounds: u16,
}

/// Arguments of `scale`.
#[derive(Args, Debug)]
pub(super) struct ScaleArgs {
    /// Where scale.json and scale.svg go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Packets of a round, one network for each
    #[arg(long, value_name = "COUNT,...", value_delimiter = ',', default_value = "1000,10000,100000,1000000",
        value_parser = value_parser!(u64).range(2..=1 << 20))]
    packets: Vec<u64>,
    /// Clients
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = value_parser!(u32).range(64..=65_536))]
    clients: u32,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = value_parser!(u64).range(1..=4 << 20))]
    payload: u64,
    /// Rounds of each
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u64).range(1..=200))]
    rounds: u64,
}

/// Measures every cell, writes and draws.
///
/// # Errors
/// If a network does not start or loses something, or `--out` cannot be written.
pub(super) fn matrices(args: &MatrixArgs) -> Result<(), CliError> {
    let options = MatrixOptions {
        clients: args.clients.iter().map(|count| usize::from(*count)).collect(),
        bytes: args.sizes.iter().map(|bytes| *bytes as usize).collect(),
        rounds: args.rounds.into(),
    };
    make(&args.out)?;
    let found: Matrix = measured(async |dir, tell| matrix(&dir, &options, tell).await)?;
    write(&args.out.join("matrix.json"), &output::json(&found))?;
    found.draw(&args.out)?;
    for cell in &found.cells {
        output::line(&format!(
            "{} clients, {} B: preparation {:.2} ms, mixes {:.1} ms (not sealed {:.1}, unencrypted {:.1}), \
             end to end {:.1} ms (not sealed {:.1}, unencrypted {:.1})",
            cell.clients,
            cell.bytes,
            cell.sealed.prepare_ms,
            cell.sealed.mix_ms,
            cell.unsealed.mix_ms,
            cell.baseline.mix_ms,
            cell.sealed.end_to_end_ms,
            cell.unsealed.end_to_end_ms,
            cell.baseline.end_to_end_ms,
        ))?;
    }
    Ok(())
}

/// Measures every step, writes and draws.
///
/// # Errors
/// If a network does not start, or `--out` cannot be written.
pub(super) fn scales(args: &ScaleArgs) -> Result<(), CliError> {
    let options = ScaleOptions {
        clients: args.clients as usize,
        packets: args.packets.clone(),
        bytes: args.payload as usize,
        rounds: args.rounds,
    };
    make(&args.out)?;
    let found: Scale = measured(async |dir, tell| scale(&dir, &options, tell).await)?;
    write(&args.out.join("scale.json"), &output::json(&found))?;
    found.draw(&args.out)?;
    for step in &found.steps {
        output::line(&format!(
            "{} packets a round: {:.1} us a packet, {:.1} us of the mixes' processors, {} MiB, {} without the store's file, {} lost",
            step.packets,
            step.us_per_packet,
            step.cpu_us_per_packet,
            step.rss_kb >> 10,
            step.anon_kb >> 10,
            step.lost,
        ))?;
    }
    Ok(())
}

/// Runs a series in a directory that goes at the end, with a bar on a terminal.
fn measured<T, E: Into<CliError>>(
    series: impl AsyncFnOnce(PathBuf, &mut dyn FnMut(usize, usize, &str)) -> Result<T, E>,
) -> Result<T, CliError> {
    let dir = temporary()?;
    let bar = Bar::default();
    let shown = bar.clone();
    let found = on_all_cores(async {
        let mut tell = |done: usize, of: usize, what: &str| shown.step(done as u64, of as u64, what);
        series(dir.clone(), &mut tell).await.map_err(Into::into)
    });
    bar.0.finish_and_clear();
    if found.is_ok() {
        remove(&dir)?;
    }
    found
}

fn remove(dir: &Path) -> Result<(), CliError> {
    std::fs::remove_dir_all(dir).map_err(|error| CliError::io(&format!("remove {}", dir.display()), &error))
}
