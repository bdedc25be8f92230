//! The laboratory: experiments that would refute what is claimed of anonymity, each beside a control that must fail.
//!
//! An experiment plays rounds, gives an adversary all that it may see, and comes to an [`Outcome`]: statistics with bounds,
//! and what the same code path came to with one knob turned. [`Report`] writes them down.

mod finding;
mod report;
mod statistics;
mod wire;

pub use finding::{Control, Curve, Figure, Finding, Outcome};
pub use report::{Report, ReportError};
pub use statistics::{
    Moments, auc, auc_error, chi_square, correlation, entropy, kolmogorov_smirnov, min_entropy, welch_t,
};
pub use wire::{CaptureError, Captures, ROUND_SECONDS};
