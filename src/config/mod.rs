//! Configuration: YAML to [`Network`](crate::wire::Network), homes, key files, contacts.
//!
//! Two files: `network.yaml` is shared by everybody ([`NetworkFile`]), `config.yaml` is one daemon's own and
//! lies in its [`Home`] beside its keys and contacts. Public keys stand in the network file or are files in a
//! directory that all share ([`KeyFile`]); until the last one has appeared the network is [`Loading::Missing`].
//!
//! Errors here are read by people: the first line says what is wrong, the last, after `help:`, what to do.

mod check;
mod contacts;
mod error;
mod files;
mod hex_text;
mod home;
mod invalid;
mod key_file;
mod limits;
mod network_file;
mod roster;
mod secrets;
mod settings;
mod source;

pub use check::{Finding, check_home, check_network};
pub use contacts::{Contact, ContactError, Contacts, MAX_CONTACTS};
pub use error::{ConfigError, KeyError, Problem};
pub use files::FileError;
pub(crate) use files::replace;
pub use home::{Home, INBOX_BYTES, OUTBOX_BYTES, Role};
pub use invalid::Invalid;
pub use key_file::KeyFile;
pub use limits::{MAX_CLIENTS, MAX_ROUND_PACKETS, default_poll_letters, is_name};
pub use network_file::{ClientLine, DummyLine, MailboxLine, MixLine, NetworkFile, NoiseLine};
pub use roster::{Loading, Missing};
pub use secrets::{Capability, ClientSecrets, MixSecrets};
pub use settings::{LogFormat, LogLevel, Metrics, SETTINGS, Settings, environment};

/// The longest configuration file that is read: 50,000 clients with all keys in it have 16 MB. Larger networks keep
/// their keys in files.
pub const MAX_FILE_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests;
