#![forbid(unsafe_code)]
//! A mix network.
pub mod crypto;
pub mod net;
pub mod packet;
pub mod wire;
