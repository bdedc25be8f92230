#![forbid(unsafe_code)]
//! A mix network.
pub mod config;
pub mod crypto;
pub mod epoch;
pub mod mix;
pub mod net;
pub mod packet;
pub mod round;
pub mod session;
pub mod wire;
