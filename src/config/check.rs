//! `check`: everything that can be found wrong before a daemon runs, without touching anything.

use std::fmt;
use std::path::Path;

use crate::crypto::{Identity, PublicKey};
use crate::wire::{MailboxEntry, Network};

use super::{ConfigError, Home, Loading, NetworkFile, Role};

/// Something that keeps a daemon from running as it is configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub what_to_do: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nhelp: {}", self.what, self.what_to_do)
    }
}

/// What is wrong with a network file and the public keys it needs; nothing if the network can run.
pub fn check_network(path: &Path) -> Vec<Finding> {
    load(path).err().unwrap_or_default()
}

/// What is wrong with a home, its network file, and its place in that network; nothing if its daemon can run.
/// `overrides` are those of [`Home::open`]. Files are only read.
pub fn check_home<N, V>(dir: &Path, role: Role, overrides: impl IntoIterator<Item = (N, V)>) -> Vec<Finding>
where
    N: AsRef<str>,
    V: AsRef<str>,
{
    let home = match Home::open(dir, overrides) {
        Ok(home) => home,
        Err(error) => return findings(&error),
    };
    let mut found = Vec::new();
    let network = match load(&home.network) {
        Ok(network) => Some(network),
        Err(findings) => {
            found.extend(findings);
            None
        }
    };
    match role {
        Role::Mix => match home.mix_secrets() {
            Ok(secrets) => found.extend(network.and_then(|n| mix_place(&home, &n, secrets.identity.identity()))),
            Err(error) => found.push(finding(&error)),
        },
        Role::Client => {
            match home.client_secrets() {
                Ok(secrets) => found.extend(network.into_iter().flat_map(|network| {
                    let keys = (secrets.identity.identity(), secrets.list.public_key());
                    client_place(&home, &network, keys, secrets.mailbox(&network.id()))
                })),
                Err(error) => found.push(finding(&error)),
            }
            found.extend(home.contacts().list().err().map(|error| finding(&error)));
        }
    }
    found
}

fn load(path: &Path) -> Result<Network, Vec<Finding>> {
    match NetworkFile::read(path).and_then(|file| file.load()) {
        Ok(Loading::Complete(network)) => Ok(network),
        Ok(Loading::Missing(missing)) => Err(vec![Finding {
            what: missing.to_string(),
            what_to_do: "start those mixes and clients once, or put their public key files there".into(),
        }]),
        Err(error) => Err(findings(&error)),
    }
}

fn mix_place(home: &Home, network: &Network, identity: Identity) -> Option<Finding> {
    match network.roster.mixes.iter().find(|mix| mix.id == home.id) {
        None => Some(not_listed(home, "mixes")),
        // The keys of an ephemeral home are new each time: they have no place yet.
        Some(mix) if mix.identity != identity && !home.ephemeral => Some(other_key(home, "identity", &identity)),
        Some(_) => None,
    }
}

fn client_place(home: &Home, network: &Network, keys: (Identity, PublicKey), mailbox: MailboxEntry) -> Vec<Finding> {
    let Some(client) = network.roster.clients.iter().find(|client| client.id == home.id) else {
        return vec![not_listed(home, "clients")];
    };
    if home.ephemeral {
        return Vec::new();
    }
    let mut found = Vec::new();
    if client.identity != keys.0 {
        found.push(other_key(home, "identity", &keys.0));
    }
    if client.list_key != keys.1 {
        found.push(other_key(home, "list_key", &keys.1));
    }
    if !network.roster.mailboxes.contains(&mailbox) {
        found.push(Finding {
            what: format!("the mailbox of {} is not in the network", home.dir.display()),
            what_to_do: format!(
                "list `{{id: {}, letter_key: {}}}` under `mailboxes`, or start the client once",
                mailbox.id, mailbox.letter_key
            ),
        });
    }
    found
}

fn not_listed(home: &Home, list: &str) -> Finding {
    Finding {
        what: format!("`{}` is not among the {list} of {}", home.id, home.network.display()),
        what_to_do: format!("correct `id`, use the program for the other role, or list it under `{list}`"),
    }
}

fn other_key(home: &Home, key: &str, own: &impl fmt::Display) -> Finding {
    Finding {
        what: format!("the network has another `{key}` for `{}` than {}", home.id, home.keys.display()),
        what_to_do: format!("write `{key}: {own}` in {}, or start it once", home.network.display()),
    }
}

fn findings(error: &ConfigError) -> Vec<Finding> {
    match error {
        ConfigError::Invalid(problems) => problems.iter().map(finding).collect(),
        other => vec![finding(other)],
    }
}

fn finding(error: &impl fmt::Display) -> Finding {
    let text = error.to_string();
    let (what, what_to_do) = text.rsplit_once("\nhelp: ").unwrap_or((&text, "correct it"));
    Finding { what: what.into(), what_to_do: what_to_do.into() }
}
