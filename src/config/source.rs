//! The text of a YAML file: parsing it, and pointing at a place in it.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_saphyr::UserMessageFormatter;

use super::{ConfigError, FileError, MAX_FILE_BYTES, files};

/// A network of 65,536 clients has 14 nodes for each client with its mailbox: 917,504.
const MAX_NODES: usize = 1 << 20;
/// Lists of flat maps in a map; more is no file of ours.
const MAX_DEPTH: usize = 8;

/// A YAML file and where it came from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(FileError::TooLong { path: path.into(), limit: MAX_FILE_BYTES }.into());
        }
        Ok(Self { path: path.into(), text: text.into() })
    }

    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self { path: path.into(), text: files::read_text(path, MAX_FILE_BYTES)? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        // No file of ours needs anchors or merge keys, and every bomb does.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_aliases: 0,
                max_anchors: 0,
                max_depth: MAX_DEPTH,
                max_documents: 1,
                max_events: 2 * MAX_NODES,
                max_merge_keys: 0,
                max_nodes: MAX_NODES,
            },
            strict_booleans: true,
        };
        serde_saphyr::from_str_with_options(&self.text, options).map_err(|error| {
            let name = self.path.display().to_string();
            let render = serde_saphyr::render_options! { formatter: &UserMessageFormatter, source_name: Some(&name) };
            let text = error.render_with_options(render);
            let place = if text.contains(&name) { String::new() } else { format!("{name}: ") };
            let lines = text.trim_end().lines().map(|line| line.split(EXPECTED).next().unwrap_or(line));
            let shown = lines.collect::<Vec<_>>().join("\n");
            ConfigError::Yaml(printable(&format!("{place}{shown}\nhelp: {}", help(&text))))
        })
    }

    /// The line that sets `needle`, or else the first that mentions it, in the form of a compiler's message.
    pub(super) fn place(&self, needle: &str) -> String {
        let content = |line: &str| line.split(" #").next().unwrap_or_default().trim_end().to_owned();
        let lines =
            || self.text.lines().map(content).enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
        let sets = |line: &str| line.trim_start().strip_prefix(needle).is_some_and(|rest| rest.starts_with(':'));
        let found = lines().find(|(_, line)| sets(line)).or_else(|| lines().find(|(_, line)| line.contains(needle)));
        let Some((index, line)) = found.filter(|_| !needle.is_empty()) else {
            let name = self.path.display();
            return if self.text.is_empty() { String::new() } else { format!("\n --> {name}") };
        };
        let value =
            if sets(&line) { line.find(':').map_or(0, |colon| colon + 1) } else { line.find(needle).unwrap_or(0) };
        let column = value + line[value..].len() - line[value..].trim_start().len();
        let width = line[column..].chars().count().max(1);
        let number = (index + 1).to_string();
        let margin = " ".repeat(number.len());
        let shown: String = line.chars().take(MAX_SHOWN).collect();
        let before = line[..column].chars().count();
        let carets = if before < MAX_SHOWN { "^".repeat(width.min(MAX_SHOWN - before)) } else { String::new() };
        printable(&format!(
            "\n{margin}--> {}:{number}:{}\n{margin} |\n{number} | {shown}\n{margin} | {}{carets}",
            self.path.display(),
            before + 1,
            " ".repeat(before.min(MAX_SHOWN)),
        ))
    }
}

/// Characters of a source line that a message repeats.
const MAX_SHOWN: usize = 120;

/// Without control characters: a message may be on a terminal, and a file from anybody.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// What serde puts between an unknown key and all that it knows.
const EXPECTED: &str = ", expected one of ";

/// For an unknown key the one that was probably meant.
fn help(message: &str) -> String {
    let unknown = message.split_once("unknown field `").and_then(|(_, rest)| rest.split_once('`'));
    if let Some((given, rest)) = unknown
        && let Some(known) = rest.strip_prefix(EXPECTED).and_then(|rest| rest.lines().next())
    {
        let near =
            known.split(", ").map(|key| (distance(given, key), key)).min().filter(|(distance, _)| *distance <= 2);
        return near.map_or_else(|| format!("the keys here are {known}"), |(_, key)| format!("did you mean `{key}`?"));
    }
    if message.contains("invalid u64") {
        return "write a whole number in digits, without a unit".into();
    }
    "correct the marked place; network.example.yaml and home.example.yaml in config/ explain every key".into()
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
