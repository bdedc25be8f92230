//! What a session is made of.

use std::sync::Arc;

use crate::crypto::{IdentityKey, MailboxId, SecretKey};
use crate::packet::Geometry;
use crate::wire::{Network, SignedEpoch};

use super::{Contacts, Seat};

/// Everything that a session knows when it starts.
pub struct SessionConfig {
    /// The network file.
    pub network: Arc<Network>,
    /// Who we are on the roster.
    pub identity: Arc<IdentityKey>,
    /// Our mailbox.
    pub mailbox: MailboxId,
    /// What polls it: the secret whose hash the mailbox's id is.
    pub capability: [u8; 32],
    /// Opens our letters.
    pub letter: SecretKey,
    /// Authenticates our records.
    pub list: SecretKey,
    /// The newest epoch documents from disk, oldest first; empty at the very first start.
    pub epochs: Vec<SignedEpoch>,
    /// Every round on disk that is used and not settled, in any order.
    pub unsettled: Vec<u64>,
    /// Our places on the roster of the rounds before now, in the order of rounds; the present place comes last.
    pub seats: Vec<Seat>,
    /// Whose sender tags to check.
    pub contacts: Arc<Contacts>,
}

/// Why a session cannot begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// The own identity is not among the network file's clients.
    #[error(
        "this client is not in the network file: give the operators its public identity, or take their newest file"
    )]
    NotOnRoster,
    /// The list key that the roster has for us is another one: no mix would take our records.
    #[error(
        "this client's list key is not the one in the network file: give the operators this client's public identity again, or restore its key files"
    )]
    ListKey,
    /// The number of mixes or the payload is out of range.
    #[error("the network file's mixes or payload are out of range: run `check` on it")]
    Geometry,
    /// A dummy would not fit, or clients send nothing.
    #[error("the network file's dummy_payload exceeds payload, or packets_per_client is 0: run `check` on it")]
    Parameters,
    /// There is nobody to send dummies to, or a mailbox has an unusable key.
    #[error("the network file has no mailbox, or one with an unusable letter key: run `check` on it")]
    Mailboxes,
}

impl SessionConfig {
    /// The roster index and the packets' shape, if the network file can be used at all.
    pub(super) fn check(&self) -> Result<(u32, Geometry), SessionError> {
        let (parameters, roster) = (&self.network.parameters, &self.network.roster);
        let geometry =
            Geometry::new(self.network.mixes(), parameters.payload as usize).ok_or(SessionError::Geometry)?;
        if parameters.dummy_payload.len() > geometry.payload() || parameters.packets_per_client == 0 {
            return Err(SessionError::Parameters);
        }
        if roster.mailboxes.is_empty() || roster.mailboxes.iter().any(|m| m.letter_key.check().is_err()) {
            return Err(SessionError::Mailboxes);
        }
        let index = roster.client(&self.identity.identity()).ok_or(SessionError::NotOnRoster)?;
        if roster.clients[index as usize].list_key != self.list.public_key() {
            return Err(SessionError::ListKey);
        }
        Ok((index, geometry))
    }
}
