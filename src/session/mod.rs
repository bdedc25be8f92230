//! The client's engine: it takes part in rounds, submits, polls, and says what became of what it carried.
//!
//! Events in, actions out: the driver brings the links, the disk, the thread pool and the clock (`now`, a
//! [`std::time::Duration`] since any monotonic zero), calls [`Session::handle`], drains [`Session::poll_action`], and
//! comes back at [`Session::poll_timeout`].
//!
//! Two rules carry everything. *What is sent, and when, is a function of public facts and of this engine's own
//! generator, never of what the user does*: moments and seeds are drawn before the outbox is asked, and a round of
//! dummies takes the same path as a full one. *Content goes again if and only if a verdict signed by every mix says
//! that its round was not stored with us in it*: no timer, lost link or missing receipt ever makes a resend. A submission
//! without a receipt goes to the other mixes, within its round and byte for byte: that is the same packets once more, and
//! depends on the entry alone.

mod action;
mod build;
mod chain;
mod config;
pub mod content;
mod contradiction;
mod correspondence;
mod engine;
mod entry;
mod exit;
mod ledger;
mod open;
mod polls;
mod records;
mod status;
mod turn;

pub use action::{Action, AlreadyUsed, Arrival, Contacts, Event, Fragment, Link, Note, RequestId};
pub use build::{BuildJob, Built};
pub use config::{SessionConfig, SessionError};
pub use contradiction::Contradiction;
pub use engine::Session;
pub use ledger::Seat;
pub use open::{LetterCounts, OpenJob, Opened};
pub use records::client_records;
pub use status::{Counters, RoundResult, Status};

#[cfg(test)]
mod tests;
