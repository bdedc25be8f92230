//! Many clients over real QUIC in one process: real nodes, real client daemons, loopback, stores in memory.
//!
//! For counting what a machine carries and whether memory stays flat; the mixes run in the same process, so its
//! memory is everybody's.

use std::time::{Duration, Instant};

use crate::node::Observer;

use super::{Loopback, LoopbackError, Plan};

/// A crowd to run.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// The network; its mix addresses are chosen when it starts.
    pub plan: Plan,
    /// How long to run after the first round has been stored.
    pub time: Duration,
}

/// Why a crowd did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrowdError {
    /// The network did not start.
    #[error(transparent)]
    Start(#[from] LoopbackError),
    /// No directory can be had for its sockets.
    #[error("no directory for sockets: {0}")]
    Io(#[from] std::io::Error),
    /// No round was stored within two minutes.
    #[error("no round was stored within two minutes: run fewer clients or longer rounds")]
    NoRounds,
}

/// What a crowd did.
#[derive(Clone, Debug)]
pub struct CrowdReport {
    /// Rounds stored while it was watched.
    pub stored: u64,
    /// Rounds that ended otherwise.
    pub aborted: u64,
    /// Packets that reached the exit.
    pub packets: u64,
    /// Whatever any mix refused, by reason.
    pub rejected: Vec<(String, u64)>,
    /// Clients registered at the end.
    pub registered: u32,
    /// Resident memory of the process at every sample, MiB.
    pub memory_mib: Vec<f64>,
    /// How long it was watched.
    pub seconds: f64,
}

/// Memory samples of a run.
const SAMPLES: u32 = 12;
/// Clients that start at the same moment; the rest a little later, as after a restart.
const TOGETHER: usize = 50;

impl Crowd {
    /// Runs it in the present tokio runtime.
    ///
    /// # Errors
    /// If it does not come to a first stored round.
    pub async fn run(&self) -> Result<CrowdReport, CrowdError> {
        let home = std::env::temp_dir().join(format!("mixlab-{}", std::process::id()));
        std::fs::create_dir_all(&home)?;
        let mut network = Loopback::start(&self.plan, &home)?;
        for client in 0..self.plan.clients {
            network.start_client(client).await?;
            if client % TOGETHER == TOGETHER - 1 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let observers: Vec<Observer> = (0..self.plan.mixes).filter_map(|mix| network.observer(mix)).collect();
        let report = self.watch(&observers).await;
        network.stop().await;
        // Sockets of a run that is over; what cannot be removed is the system's to clean.
        let _ = std::fs::remove_dir_all(&home);
        report
    }

    async fn watch(&self, observers: &[Observer]) -> Result<CrowdReport, CrowdError> {
        let exit = observers.last().ok_or(CrowdError::NoRounds)?;
        let patience = Instant::now() + Duration::from_secs(120);
        let first = loop {
            match exit.status().await {
                Some(status) if status.mix.stored > 0 => break status.mix,
                _ if Instant::now() > patience => return Err(CrowdError::NoRounds),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let began = Instant::now();
        let mut memory_mib = Vec::new();
        for _ in 0..SAMPLES {
            tokio::time::sleep(self.time / SAMPLES).await;
            memory_mib.push(resident_mib());
        }
        let last = exit.status().await.ok_or(CrowdError::NoRounds)?.mix;
        let mut rejected = Vec::new();
        let mut registered = 0;
        for (place, observer) in observers.iter().enumerate() {
            let Some(status) = observer.status().await else { continue };
            registered = registered.max(status.mix.registered);
            let named =
                status.mix.rejected.into_iter().map(|(reason, count)| (format!("mix-{} {reason}", place + 1), count));
            rejected.extend(named);
        }
        let not_stored = |status: &crate::mix::Status| status.not_stored + status.aborted.values().sum::<u64>();
        Ok(CrowdReport {
            stored: last.stored - first.stored,
            aborted: not_stored(&last) - not_stored(&first),
            packets: last.packets_in - first.packets_in,
            rejected,
            registered,
            memory_mib,
            seconds: began.elapsed().as_secs_f64(),
        })
    }
}

/// Resident memory of this process.
fn resident_mib() -> f64 {
    // statm: size resident ..., in pages of 4 KiB on every platform this runs on.
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0);
    pages * 4096.0 / (1 << 20) as f64
}
