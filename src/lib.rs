#![forbid(unsafe_code)]
//! A mix network.
pub mod crypto;
pub mod packet;
pub mod session;
pub mod wire;
