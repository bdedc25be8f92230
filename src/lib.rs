//! A mix network: it hides who talks to whom, as long as one of its mixes is honest.
//!
//! Time is cut into rounds. In each, every client sends the same number of packets of the same size, real or dummy;
//! each mix of a fixed cascade peels one layer off every packet, shuffles the whole batch and hands it on; the last puts
//! letters into mailboxes, which their owners poll. `wire-spec.md` gives every byte, `ARCHITECTURE.md` the way through
//! the code, `SECURITY.md` what each party learns.
//!
//! | layer | modules |
//! |---|---|
//! | bytes | [`crypto`]: primitives; [`packet`]: onions; [`threshold`]: joint round keys; [`wire`]: messages, codec, what is signed |
//! | engines, without I/O | [`mix`] with [`epoch`], [`round`] and [`blame`]: a mix; [`session`]: a client |
//! | the world outside | [`net`]: QUIC; [`store`]: disk; [`config`]: files; [`control`]: local programs |
//! | daemons | [`node`]: a mix; [`client`]: a client; [`testnet`]: a network of child processes; [`load`]: how much one carries |
//! | people | [`cli`]: the command lines |
//!
//! The feature `sim` adds `sim`: the same engines and stores, any number of them, on a virtual clock. Tests have it on,
//! no released binary has it. One message through three mixes, with real cryptography:
//!
//! ```
//! use std::time::Duration;
//!
//! use mixnet::sim::{Plan, World};
//!
//! // Three mixes and four clients, from a seed; everybody starts at moment zero.
//! let mut world = World::new(Plan { mixes: 3, clients: 4, ..Plan::default() });
//! world.send(0, 1, b"meet me at noon");
//!
//! // An epoch is agreed, a round opens, all four submit, three mixes peel and shuffle, the exit stores, all sign.
//! let arrived = world.run_until(Duration::from_secs(10), |world| !world.inbox(1).is_empty());
//! assert!(arrived);
//!
//! let sender = Some(world.clients[0].mailbox());
//! assert_eq!(world.inbox(1), [(sender, b"meet me at noon".to_vec())]);
//! assert!(world.inbox(2).is_empty(), "the others got cover, and dropped it");
//! ```
pub mod blame;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod crypto;
pub mod epoch;
pub mod load;
pub mod mix;
pub mod net;
pub mod node;
pub mod packet;
pub mod round;
pub mod session;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod store;
pub mod testnet;
pub mod threshold;
pub mod wire;
