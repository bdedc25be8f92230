//! Packets of other mix networks and ours, each with a check of what comes out and the work that is timed.

pub mod ours;
pub mod outfox;
pub mod sphinx;
