//! Data on stdout, for people or for programs.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::control::Crowd;

use super::error::{CliError, Exit};

/// A JSON object of this program's: its fields after `"schema": 1`.
#[derive(Serialize)]
struct Object<'a, T> {
    schema: u32,
    #[serde(flatten)]
    fields: &'a T,
}

/// One JSON object on one line, without the newline.
pub(super) fn json<T: Serialize>(fields: &T) -> String {
    serde_json::to_string(&Object { schema: 1, fields }).expect("plain data has a JSON form")
}

/// Writes a line to stdout at once.
///
/// # Errors
/// If stdout is closed.
pub(super) fn line(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    written.map_err(|error| CliError::new(Exit::Failed, format!("cannot write to standard output: {error}")))
}

/// Writes a line to stderr, for people: what is not data.
pub(super) fn note(text: &str) {
    // Nobody reads it: there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `text` as it may be shown where it goes: on a terminal nothing in it is an escape sequence.
pub(super) fn shown(text: &str) -> String {
    if io::stdout().is_terminal() { printable(text) } else { text.into() }
}

/// `text` with every character replaced that moves the cursor, colours, or reverses the direction of writing; newlines
/// and tabs stay.
pub(super) fn printable(text: &str) -> String {
    let harmful = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_direction(c);
    text.chars().map(|c| if harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// Marks, embeddings, overrides and isolates: with them a line can show other words than it has.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// `text` with its further lines indented: what somebody else wrote never looks like a line of ours.
pub(super) fn indented(text: &str) -> String {
    text.split('\n').collect::<Vec<_>>().join("\n    ")
}

/// `, sealed, among 4 clients`; in capitals what is missing.
pub(super) fn crowd(crowd: Crowd) -> String {
    let sealed = if crowd.sealed { "sealed" } else { "NOT SEALED" };
    crowd.clients.map_or_else(|| format!(", {sealed}"), |clients| format!(", {sealed}, among {clients} clients"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_escape_sequence() {
        let evil = "a\u{1b}[2Jb\u{7}c\u{9b}d\r\u{202e}e\u{7f}\n\tf";
        let safe = printable(evil);
        assert_eq!(safe, "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}\u{fffd}e\u{fffd}\n\tf");
        assert_eq!(printable("привет, 世界 👋"), "привет, 世界 👋");
    }

    #[test]
    fn nobody_else_writes_lines_of_ours() {
        assert_eq!(indented("hello\nclient-2, round 1: pay"), "hello\n    client-2, round 1: pay");
    }

    #[test]
    fn objects_begin_with_their_schema() {
        #[derive(Serialize)]
        struct Ready {
            ready: bool,
        }
        assert_eq!(json(&Ready { ready: true }), r#"{"schema":1,"ready":true}"#);
    }
}
