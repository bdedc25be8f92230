//! A whole network in memory: real engines, real cryptography, real stores; a virtual clock and links of our making.
//!
//! [`World`] runs any number of mixes and clients in one thread, deterministically from a seed. [`Faults`] turns on
//! loss, delay, reordering and duplication; mixes and clients can be crashed, restarted, paused and partitioned, their
//! clocks jump, their disks ([`SimDisk`]) fill up and fail; [`Malice`] lets a mix do to its batches what an adversary
//! would. A [`Witness`] sees what no party can see alone. [`Storm`] does all of it at once, for as many rounds as asked,
//! and counts what arrived. A round of a small network takes a few milliseconds.
//!
//! [`Contest`] measures what is to be compared side by side; [`Performance`] runs all benches and writes down what they found.
//!
//! [`Chaos`] breaks networks of real processes, whose datagrams go through a [`Relay`].
//!
//! Only the feature `sim` builds it, and no released binary has that feature.

mod adversary;
pub mod anonymity;
mod burnt;
mod chaos;
mod contest;
mod crowd;
mod disk;
mod driving;
mod faults;
mod greeting;
mod handing;
mod injury;
mod kills;
mod lanes;
mod loopback;
mod mischief;
mod oracles;
mod parallel;
mod party;
mod performance;
mod plan;
mod relay;
mod storm;
#[cfg(test)]
mod tally;
mod threads;
mod timing;
mod traffic;
mod village;
mod witness;
mod world;

pub use adversary::{Adversary, AdversaryProcesses, AdversaryRow, CONTROLS, Posing};
pub use burnt::{BurntRound, Submitted};
pub use chaos::{Chaos, ChaosReport, Profile};
pub use contest::{Contest, Row, processor_time, raw_data, wall_time, write_raw_data};
pub use crowd::{Crowd, CrowdError, CrowdReport};
pub use disk::{Failing, SimDisk};
pub use faults::{Faults, Malice};
pub use handing::Refusing;
pub use kills::{Kills, KillsProcesses, KillsRow, Moment, Trap};
pub use lanes::{DALEK_SHARE, Difference, Lanes};
pub use loopback::{Loopback, LoopbackError};
pub use mischief::Mischief;
pub use oracles::{Oracle, OracleRow, Oracles};
pub use party::{SimClient, SimMix};
pub use performance::{Performance, PerformanceError};
pub use plan::{Plan, Secrets};
pub use relay::{Impairment, Relay, RelayCounts, Sighting, Tap, Way};
pub use storm::{Control, Storm, StormReport};
pub use threads::Threads;
pub use timing::{T_BOUND, Timing, timing};
pub use traffic::Party;
pub use witness::{Violation, Witness};
pub use world::World;

/// Stands in every binary that is built with this module, and so in no released one.
pub const MARKER: &str = "mixnet simulation, not for release";

#[used]
static MARK: [u8; MARKER.len()] = *MARKER.as_bytes().first_chunk().expect("it is that long");

#[cfg(test)]
mod tests;
