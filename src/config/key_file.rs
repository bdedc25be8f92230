//! Public keys as files in a directory that a network's members share: one line of text each.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::crypto::{Identity, MailboxId, PublicKey};
use crate::wire::MailboxEntry;

use super::{FileError, KeyError, files, is_name};

/// A public key file: its name says whose it is, its line begins with its kind and version.
///
/// | name | line |
/// |---|---|
/// | `ID.mix.pub` | `mixnet-mix-v1 ID IDENTITY` |
/// | `ID.client.pub` | `mixnet-client-v1 ID IDENTITY LISTKEY` |
/// | `mailbox-MAILBOX.pub` | `mixnet-mailbox-v1 MAILBOX LETTERKEY` |
///
/// Keys and mailboxes are hexadecimal. A mailbox file names no owner; but who can see when and by which user it was
/// written may guess one, so a directory that all can write to is for networks on one machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyFile {
    /// Of a mix.
    Mix {
        /// Its id.
        id: String,
        /// Who it is.
        identity: Identity,
    },
    /// Of a client.
    Client {
        /// Its id.
        id: String,
        /// Who it is.
        identity: Identity,
        /// The static key of its list records.
        list_key: PublicKey,
    },
    /// Of a mailbox.
    Mailbox(MailboxEntry),
}

impl KeyFile {
    /// The file's name.
    pub fn name(&self) -> String {
        match self {
            Self::Mix { id, .. } => mix_name(id),
            Self::Client { id, .. } => client_name(id),
            Self::Mailbox(mailbox) => format!("{MAILBOX_PREFIX}{}{MAILBOX_SUFFIX}", mailbox.id),
        }
    }

    /// Writes the file into `dir`, which is made if need be, whole and readable by all. Another key under this name
    /// is replaced; the same key is left alone.
    ///
    /// # Errors
    /// If the directory cannot be written.
    pub fn publish(&self, dir: &Path) -> Result<(), KeyError> {
        let path = dir.join(self.name());
        if read(&path).is_ok_and(|there| there.as_ref() == Some(self)) {
            return Ok(());
        }
        std::fs::create_dir_all(dir).map_err(|source| FileError::Write { path: dir.into(), source })?;
        Ok(files::replace(&path, 0o644, format!("{self}\n").as_bytes())?)
    }

    /// Removes the file from `dir` if it holds this very key.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn withdraw(&self, dir: &Path) -> Result<(), KeyError> {
        let path = dir.join(self.name());
        if read(&path).is_ok_and(|there| there.as_ref() == Some(self)) {
            std::fs::remove_file(&path).map_err(|source| FileError::Write { path, source })?;
        }
        Ok(())
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.splitn(5, ' ').collect();
        match fields.as_slice() {
            [MIX_KIND, id, identity] if is_name(id) => {
                Some(Self::Mix { id: (*id).into(), identity: identity.parse().ok()? })
            }
            [CLIENT_KIND, id, identity, list_key] if is_name(id) => Some(Self::Client {
                id: (*id).into(),
                identity: identity.parse().ok()?,
                list_key: list_key.parse().ok()?,
            }),
            [MAILBOX_KIND, id, letter_key] => {
                let id: MailboxId = id.parse().ok()?;
                Some(Self::Mailbox(MailboxEntry { id, letter_key: letter_key.parse().ok()? }))
            }
            _ => None,
        }
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mix { id, identity } => write!(f, "{MIX_KIND} {id} {identity}"),
            Self::Client { id, identity, list_key } => write!(f, "{CLIENT_KIND} {id} {identity} {list_key}"),
            Self::Mailbox(mailbox) => write!(f, "{MAILBOX_KIND} {} {}", mailbox.id, mailbox.letter_key),
        }
    }
}

/// The file of a mix; `None` if there is none yet.
pub(super) fn mix(dir: &Path, id: &str) -> Result<Option<Identity>, KeyError> {
    let path = dir.join(mix_name(id));
    match read(&path)? {
        None => Ok(None),
        Some(KeyFile::Mix { identity, .. }) => Ok(Some(identity)),
        Some(_) => Err(malformed(path)),
    }
}

/// The file of a client; `None` if there is none yet.
pub(super) fn client(dir: &Path, id: &str) -> Result<Option<(Identity, PublicKey)>, KeyError> {
    let path = dir.join(client_name(id));
    match read(&path)? {
        None => Ok(None),
        Some(KeyFile::Client { identity, list_key, .. }) => Ok(Some((identity, list_key))),
        Some(_) => Err(malformed(path)),
    }
}

/// All mailbox files. More than `clients` are an error before the rest is read.
pub(super) fn mailboxes(dir: &Path, clients: usize) -> Result<Vec<MailboxEntry>, KeyError> {
    let unreadable = |source| FileError::Read { path: dir.into(), source };
    let listing = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(unreadable)?,
    };
    let mut found = Vec::new();
    for entry in listing {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(MAILBOX_PREFIX)?.strip_suffix(MAILBOX_SUFFIX));
        if id.is_none_or(|id| id.parse::<MailboxId>().is_err()) {
            continue;
        }
        match read(&entry.path())? {
            // Withdrawn since the listing.
            None => {}
            Some(KeyFile::Mailbox(mailbox)) => found.push(mailbox),
            Some(_) => return Err(malformed(entry.path())),
        }
        if found.len() > clients {
            return Err(KeyError::TooManyMailboxes { dir: dir.into(), found: found.len(), clients });
        }
    }
    Ok(found)
}

const MIX_KIND: &str = "mixnet-mix-v1";
const CLIENT_KIND: &str = "mixnet-client-v1";
const MAILBOX_KIND: &str = "mixnet-mailbox-v1";
const MAILBOX_PREFIX: &str = "mailbox-";
const MAILBOX_SUFFIX: &str = ".pub";
/// The longest line, a client's, has 16 + 1 + 32 + 1 + 64 + 1 + 64 characters.
const MAX_KEY_FILE_BYTES: usize = 256;

fn mix_name(id: &str) -> String {
    format!("{id}.mix.pub")
}

fn client_name(id: &str) -> String {
    format!("{id}.client.pub")
}

/// The key file at `path`, under the name that its content has.
fn read(path: &Path) -> Result<Option<KeyFile>, KeyError> {
    let text = match files::read_text(path, MAX_KEY_FILE_BYTES) {
        Err(FileError::Missing(_)) => return Ok(None),
        text => text?,
    };
    let key = KeyFile::parse(text.trim_end()).filter(|key| path.file_name().is_some_and(|name| *name == *key.name()));
    key.map(Some).ok_or_else(|| malformed(path.into()))
}

fn malformed(path: PathBuf) -> KeyError {
    KeyError::MalformedPublic(path)
}
