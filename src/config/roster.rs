//! From a network file and the public key files beside it to the network.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use crate::crypto::{Identity, PublicKey};
use crate::wire::{ClientEntry, MailboxEntry, MixEntry, Network, Roster};

use super::{ConfigError, KeyError, NetworkFile, key_file};

/// What came of loading a network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Loading {
    /// Every public key is there.
    Complete(Network),
    /// Some are not there yet; a daemon waits and loads again.
    Missing(Missing),
}

/// Whose public keys a network lacks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// The ids of mixes and clients, in the order of the network file.
    pub ids: Vec<String>,
    /// How many mailboxes are missing; whose nobody knows.
    pub mailboxes: usize,
    /// Where their files should appear.
    pub keys_dir: PathBuf,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<String> = self.ids.iter().take(SHOWN).cloned().collect();
        if self.ids.len() > SHOWN {
            names.push(format!("{} others", self.ids.len() - SHOWN));
        }
        match self.mailboxes {
            0 => {}
            1 => names.push("one mailbox".into()),
            n => names.push(format!("{n} mailboxes")),
        }
        let keys = if self.ids.len() + self.mailboxes == 1 { "key" } else { "keys" };
        write!(f, "waiting for the {keys} of {} in {}", names.join(", "), self.keys_dir.display())
    }
}

/// Names that a message lists.
const SHOWN: usize = 8;

pub(super) fn load(file: &NetworkFile) -> Result<Loading, ConfigError> {
    let parameters = file.parameters()?;
    let keys_dir = file.keys_dir();
    let mut missing = Missing { ids: Vec::new(), mailboxes: 0, keys_dir: keys_dir.clone() };
    let mut roster = Roster::default();
    for line in &file.mixes {
        let identity = match line.identity {
            Some(identity) => Some(identity),
            None => key_file::mix(&keys_dir, &line.id)?,
        };
        match identity {
            Some(identity) => {
                roster.mixes.push(MixEntry { id: line.id.clone(), address: line.address.clone(), identity });
            }
            None => missing.ids.push(line.id.clone()),
        }
    }
    for line in &file.clients {
        let keys = match (line.identity, line.list_key) {
            (Some(identity), Some(list_key)) => Some((identity, list_key)),
            _ => key_file::client(&keys_dir, &line.id)?,
        };
        match keys {
            Some((identity, list_key)) => {
                let other = line.identity.is_some_and(|given| given != identity)
                    || line.list_key.is_some_and(|given| given != list_key);
                if other {
                    let path = keys_dir.join(format!("{}.client.pub", line.id));
                    return Err(KeyError::Disagrees { path, id: line.id.clone() }.into());
                }
                roster.clients.push(ClientEntry { id: line.id.clone(), identity, list_key });
            }
            None => missing.ids.push(line.id.clone()),
        }
    }
    roster.mailboxes = match &file.mailboxes {
        Some(lines) => lines.iter().map(|line| MailboxEntry { id: line.id, letter_key: line.letter_key }).collect(),
        None => {
            let found = key_file::mailboxes(&keys_dir, file.clients.len())?;
            missing.mailboxes = file.clients.len() - found.len();
            found
        }
    };
    roster.mailboxes.sort_unstable();
    check_keys(&roster)?;
    if missing.ids.is_empty() && missing.mailboxes == 0 {
        Ok(Loading::Complete(Network { parameters, roster, defences: crate::crypto::Defences::default() }))
    } else {
        Ok(Loading::Missing(missing))
    }
}

/// Every key usable and nobody's twice: a client would be counted as two, a mix would be two mixes.
fn check_keys(roster: &Roster) -> Result<(), KeyError> {
    let mut identities: HashMap<Identity, &str> = HashMap::new();
    let mixes = roster.mixes.iter().map(|mix| (mix.identity, mix.id.as_str()));
    for (identity, id) in mixes.chain(roster.clients.iter().map(|client| (client.identity, client.id.as_str()))) {
        if let Some(first) = identities.insert(identity, id) {
            return Err(KeyError::Twice { first: first.into(), second: id.into() });
        }
    }
    let mut points: HashMap<PublicKey, String> = HashMap::new();
    let lists = roster.clients.iter().map(|client| (client.list_key, client.id.clone()));
    let letters = roster.mailboxes.iter().map(|mailbox| (mailbox.letter_key, format!("mailbox {}", mailbox.id)));
    for (point, owner) in lists.chain(letters) {
        point.check().map_err(|source| KeyError::Unusable { owner: owner.clone(), source })?;
        if let Some(first) = points.insert(point, owner.clone()) {
            return Err(KeyError::Twice { first, second: owner });
        }
    }
    if let Some(pair) = roster.mailboxes.windows(2).find(|pair| pair[0].id == pair[1].id) {
        let name = format!("mailbox {}", pair[0].id);
        return Err(KeyError::Twice { first: name.clone(), second: name });
    }
    Ok(())
}
