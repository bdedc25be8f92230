// Denied, not forbidden: opening a memory map has no safe form; `store::lmdb` allows that one call.
#![deny(unsafe_code)]
//! A mix network.
pub mod crypto;
pub mod packet;
pub mod store;
pub mod wire;
