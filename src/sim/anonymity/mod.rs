//! The laboratory: experiments that would refute what is claimed of anonymity, each beside a control that must fail.
//!
//! An experiment plays rounds, gives an adversary all that it may see, and comes to an [`Outcome`]: statistics with bounds,
//! and what the same code path came to with one knob turned. [`Report`] writes them down.

mod clockwork;
mod disclosure;
mod finding;
mod laboratory;
mod linkage;
mod memory;
mod report;
mod shuffle;
mod statistics;
mod view;

pub use clockwork::clockwork;
pub use disclosure::{Contrast, Deposits, Discloser, Disclosure, Kind, disclosure};
pub use finding::{Control, Curve, Figure, Finding, Outcome};
pub use laboratory::{Extent, Laboratory, SIMULATED};
pub use linkage::{LinkageGame, LinkageScore, Linker, Tracer, linkage};
pub use memory::forward_secrecy;
pub use report::{Report, ReportError};
pub use shuffle::{uniformity, unlinkability};
pub use statistics::{
    Moments, auc, auc_error, chi_square, correlation, entropy, kolmogorov_smirnov, min_entropy, welch_t,
};
pub use view::{Hop, Round, Rounds, Submitted, View, inverse};

pub(in crate::sim) use clockwork::Stopwatch;
pub(in crate::sim) use view::Watch;
