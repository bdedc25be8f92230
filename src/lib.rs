//! A mix network.
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod crypto;
pub mod epoch;
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
pub mod wire;
