//! `blame`: how long it takes to find who broke a round.

use std::process::ExitCode;

use clap::{Args, value_parser};
use mixnet::sim::{BurntRound, Plan};

/// Arguments of `blame`.
#[derive(Args)]
#[command(
    after_help = "The round is honest, so that every packet is replayed. One thread; the whole of it is in memory.
Exit 1 if anybody is found guilty."
)]
pub(super) struct BlameArgs {
    /// How many packets, one of each client
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = value_parser!(u32).range(2..=65_536))]
    packets: u32,
    /// User bytes in a packet
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = value_parser!(u32).range(256..=4_194_304))]
    payload: u32,
    /// Mixes, 2 to 7
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u16).range(2..=7))]
    mixes: u16,
}

/// Bytes of all packets together: they are held three times over.
const MOST: u64 = 1 << 30;
/// Packets in a job.
const SEGMENT: usize = 256;

/// Makes a round, replays it, and prints the time of the replay.
pub(super) fn run(args: &BlameArgs) -> ExitCode {
    let BlameArgs { packets, payload, mixes } = *args;
    if u64::from(packets) * u64::from(payload) > MOST {
        return super::broken(&format!("packets x payload is above {MOST} bytes"));
    }
    let (clients, mixes) = (packets as usize, usize::from(mixes));
    let mut round = BurntRound::new(&Plan { mixes, clients, payload, packets_per_client: 1, ..Plan::default() });
    round.run(|_, _, _| {}, |_, _| {});
    match round.timed_replay(SEGMENT) {
        Ok((ruling, took)) => {
            let seconds = took.as_secs_f64();
            let json = serde_json::json!({
                "schema": 1,
                "packets": packets,
                "payload": payload,
                "mixes": mixes,
                "seconds": seconds,
                "packets_per_second": f64::from(packets) / seconds,
            });
            println!("{json}");
            ExitCode::from(u8::from(ruling.is_some()))
        }
        Err(fault) => super::broken(&fault.to_string()),
    }
}
