#![forbid(unsafe_code)]
//! A mix network.
pub mod config;
pub mod crypto;
pub mod packet;
pub mod wire;
