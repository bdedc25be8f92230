//! The laboratory: experiments that would refute what is claimed of anonymity, each beside a control that must fail.
//!
//! An experiment plays rounds of a simulated network, with the engines, the cryptography and the stores of the real one,
//! gives an adversary all that it may see, and comes to an [`Outcome`]: statistics with bounds, and what the same code path
//! came to with one knob turned. [`Laboratory`] runs ours; [`Report`] writes them down.
//!
//! | experiment | asks | attacked in |
//! |---|---|---|
//! | T1, T2 | whether a mix's order is uniform, and its output like its input | [`uniformity`], [`unlinkability`] |
//! | T3, T11 | what datagrams of real processes tell of messages, and of who talks to whom | [`Captures`] |
//! | T4, T5 | which letter is whose, and how sure an adversary may be | [`linkage`] |
//! | T6 | who writes to whom, over many rounds | [`disclosure`](fn@disclosure) |
//! | T8 | whether time tells what is carried | [`clockwork`](fn@clockwork) |
//! | T9 | whether noise buys the privacy that is reckoned | [`NoiseAudit`] |
//! | T10 | what keys and memory taken later open | [`forward_secrecy`] |
//!
//! T7, mixes and clients that act against the protocol, is not measured but decided: `mixlab adversary`.
//!
//! # An adversary of your own
//!
//! There are three ways in, from the most convenient to the most general.
//!
//! - **Who sent this letter?** Implement [`Linker`] and play it with [`LinkageGame`]. It sees each round as a [`View`]: every
//!   packet on every link and when it went, the shuffles of all mixes but the honest one, whose mailbox each letter went to.
//!   It is told the truth of some rounds, to learn from, and is then asked for every packet of others. A guess finds one in N.
//! - **Who writes to whom?** Implement [`Discloser`] and play it with [`Disclosure`]: by round, who was there and how many
//!   letters each mailbox got. A guess finds one in N, too. Several play at once with [`Disclosure::play_all`].
//! - **Anything else.** [`Rounds`] plays a network of any [`Plan`](super::Plan) and gives each [`Round`] whole, with the truth of
//!   how many packets of each client were real; between two of them do with its [`World`](super::World) what you like: send,
//!   stop and start clients, cut links.
//!
//! ```
//! use mixnet::crypto::Defences;
//! use mixnet::sim::anonymity::{LinkageGame, Linker, View};
//!
//! /// Believes that packets come out in the order in which they went in.
//! struct FirstInFirstOut;
//!
//! impl Linker for FirstInFirstOut {
//!     fn learn(&mut self, _: &View<'_>, _: &[u32]) {}
//!
//!     fn guess(&mut self, view: &View<'_>, target: usize) -> Vec<f64> {
//!         (0..view.mailboxes().len()).map(|place| if place == target { 1.0 } else { 0.0 }).collect()
//!     }
//! }
//!
//! let game = LinkageGame { clients: 8, mixes: 3, lessons: 0, rounds: 10, defences: Defences::default(), seed: 1 };
//! // It owns the first mix and the last.
//! let scores = game.play(&mut [(Some(1), Box::new(FirstInFirstOut))]);
//! assert_eq!(scores[0].trials, 80);
//! assert!(scores[0].success < 0.4, "one in eight");
//! ```
//!
//! An experiment that cannot fail shows nothing. Positive controls take a defence out of all mixes, which exists in no
//! released program, and play the same adversary; here it must find everybody:
//!
//! ```
//! # use mixnet::crypto::{Defence, Defences};
//! # use mixnet::sim::anonymity::{LinkageGame, Linker, View};
//! # struct FirstInFirstOut;
//! # impl Linker for FirstInFirstOut {
//! #     fn learn(&mut self, _: &View<'_>, _: &[u32]) {}
//! #     fn guess(&mut self, view: &View<'_>, target: usize) -> Vec<f64> {
//! #         (0..view.mailboxes().len()).map(|place| if place == target { 1.0 } else { 0.0 }).collect()
//! #     }
//! # }
//! let defences = Defences::default().without(Defence::Shuffle);
//! let game = LinkageGame { clients: 8, mixes: 3, lessons: 0, rounds: 10, defences, seed: 1 };
//! let scores = game.play(&mut [(Some(1), Box::new(FirstInFirstOut))]);
//! assert_eq!(scores[0].success, 1.0);
//! ```
//!
//! What packets and their order tell depends on [`Defence::Shuffle`](crate::crypto::Defence::Shuffle), what memory tells on
//! `Erasure`, what the entry learns by leaving clients out on `HandOver` and on [`Plan`](super::Plan)'s `min_clients` and
//! `min_share_permille` together: without `HandOver` alone the network comes to a halt. Where dummies go is a knob of the
//! plan, not a defence. The other defences are those of `mixlab adversary`.

mod clockwork;
mod disclosure;
mod finding;
mod interval;
mod laboratory;
mod linkage;
mod memory;
mod noise;
mod report;
mod shuffle;
mod statistics;
mod view;
mod wire;

pub use clockwork::clockwork;
pub use disclosure::{Contrast, Deposits, Disclosed, Discloser, Disclosure, Kind, OneMore, disclosure};
pub use finding::{Control, Curve, Figure, Finding, Outcome};
pub use interval::{lower_bound, upper_bound};
pub use laboratory::{Extent, Laboratory, SIMULATED};
pub use linkage::{LinkageGame, LinkageScore, Linker, Tracer, linkage};
pub use memory::forward_secrecy;
pub use noise::NoiseAudit;
pub use report::{Report, ReportError};
pub use shuffle::{uniformity, unlinkability};
pub use statistics::{
    Moments, auc, auc_error, chi_square, correlation, entropy, kolmogorov_smirnov, min_entropy, rank_correlation,
    undisturbed, welch_t,
};
pub use view::{Hop, Round, Rounds, Submitted, View, inverse};
pub use wire::{CaptureError, Captures, PAYLOAD, ROUND_SECONDS};

pub(in crate::sim) use clockwork::Stopwatch;
pub(in crate::sim) use view::Watch;
