//! What a party of an experiment writes down of what it does, a JSON object a line, for whoever has started it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

/// What a malicious process says that it has done.
pub(in crate::sim) struct Journal {
    file: File,
    said: BTreeSet<String>,
}

impl Journal {
    const NAME: &str = "journal";

    pub(super) fn open(home: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(home.join(Self::NAME))?;
        Ok(Self { file, said: BTreeSet::new() })
    }

    /// Says it once.
    pub(super) fn note(&mut self, line: &Value) {
        let line = format!("{line}\n");
        // What cannot be written the experiment misses, and fails.
        if !self.said.contains(&line) && self.file.write_all(line.as_bytes()).is_ok() {
            self.said.insert(line);
        }
    }

    /// What the party of this home has said.
    pub(in crate::sim) fn read(home: &Path) -> Said {
        let text = std::fs::read_to_string(home.join(Self::NAME)).unwrap_or_default();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Said {
            acted: lines.iter().any(|line| line["acted"] == true),
            touched: lines.iter().filter_map(|line| line["touched"].as_u64()).collect(),
            taken: lines.iter().filter_map(|line| line["taken"].as_u64()).collect(),
            loot: lines.iter().any(|line| line["loot"].is_string()),
            released: lines.iter().filter_map(|line| line["released"].as_u64()).collect(),
            published: lines.iter().filter_map(|line| line["published"].as_u64()).collect(),
        }
    }
}

/// A journal.
#[derive(Clone, Debug, Default)]
pub(in crate::sim) struct Said {
    /// It has done what it is there for.
    pub acted: bool,
    /// Rounds in which it put something else in the place of an honest client's packet.
    pub touched: BTreeSet<u64>,
    /// Of these, those in which that was not passed over: the next mix has taken the batch, or the list has the client.
    pub taken: BTreeSet<u64>,
    /// It has got hold of what it must not have.
    pub loot: bool,
    /// Rounds of which a watched mix was about to release its share, or to open them.
    pub released: BTreeSet<u64>,
    /// Rounds of which it was about to publish its onion key.
    pub published: BTreeSet<u64>,
}
