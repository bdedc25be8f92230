//! Evidence: minimal so far.
use crate::wire::Network;
use crate::wire::codec::CodecError;

use super::{Finding, SignedStatement};

/// The longest evidence, in bytes.
pub const MAX_EVIDENCE: usize = 64 << 20;

/// Proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence(Vec<u8>);

/// Why bytes prove nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EvidenceFault {
    /// Not evidence at all.
    #[error("not an evidence file: {0}")]
    Codec(#[from] CodecError),
    /// Right.
    #[error("everything it shows is right")]
    Innocent,
}

impl Evidence {
    /// Who is guilty of what.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn verify(&self, _network: &Network) -> Result<Finding, EvidenceFault> {
        Err(EvidenceFault::Innocent)
    }

    /// The file form.
    pub fn to_file(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// From the file form.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_file(_bytes: &[u8]) -> Result<Self, EvidenceFault> {
        Err(EvidenceFault::Codec(CodecError::Malformed))
    }

    /// Two statements.
    pub fn equivocation(
        _document: Option<&crate::wire::EpochDocument>,
        _a: SignedStatement,
        _b: SignedStatement,
    ) -> Option<Self> {
        None
    }
}
