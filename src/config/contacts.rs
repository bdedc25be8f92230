//! Contacts: a name, a mailbox and a letter key, one line of text that people exchange.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::crypto::{MailboxId, PointError, PublicKey};

use super::{FileError, MAX_CLIENTS, MAX_FILE_BYTES, files, is_name};

/// The most contacts of a home: everybody in the largest network.
pub const MAX_CONTACTS: usize = MAX_CLIENTS;

/// Whom one can write to; as text `mixnet-contact-v1 NAME MAILBOX LETTERKEY`, the last two hexadecimal: in lower case, and read
/// in either.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contact {
    /// What the owner of the list calls it: a [name](super::is_name).
    pub name: String,
    /// Where its letters go.
    pub mailbox: MailboxId,
    /// Whom they are sealed to: a usable point.
    pub letter_key: PublicKey,
}

/// A contact, or a list of them, that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContactError {
    /// The list cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not of the form of a contact.
    #[error(
        "this is no contact\nhelp: give the whole line, `mixnet-contact-v1 NAME MAILBOX LETTERKEY`, as its owner sent it"
    )]
    Form,
    /// The name is unsafe.
    #[error("the contact's name is no name\nhelp: use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit")]
    Name,
    /// Letters cannot be sealed to the key.
    #[error("the contact's letter key cannot be used: {0}\nhelp: ask its owner for the line again")]
    Key(#[from] PointError),
    /// The list has another contact of this name.
    #[error("there is another contact called `{0}`\nhelp: remove that one first, or give the new one another name")]
    NameTaken(String),
    /// The list has this mailbox under another name.
    #[error("this mailbox is the one of `{0}`\nhelp: use that name, or remove that contact first")]
    MailboxTaken(String),
    /// The list is full.
    #[error("there are {MAX_CONTACTS} contacts\nhelp: remove some first")]
    Full,
    /// A line of the list is wrong.
    #[error("{}:{line}: {}\nhelp: correct or remove this line", path.display(), what(reason))]
    Line {
        /// The list.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: Box<ContactError>,
    },
}

/// The contacts of a home, in a file of one line each; empty lines and lines that begin with # stay and mean nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contacts {
    path: PathBuf,
}

impl Contacts {
    /// Those in the file at `path`, which need not exist yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// All of them, in the order in which they were added.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is wrong or contradicts an earlier one.
    pub fn list(&self) -> Result<Vec<Contact>, ContactError> {
        self.parse(&self.text()?)
    }

    /// The contact of this name.
    ///
    /// # Errors
    /// As [`Contacts::list`].
    pub fn by_name(&self, name: &str) -> Result<Option<Contact>, ContactError> {
        Ok(self.list()?.into_iter().find(|contact| contact.name == name))
    }

    /// The contact with this mailbox.
    ///
    /// # Errors
    /// As [`Contacts::list`].
    pub fn by_mailbox(&self, mailbox: &MailboxId) -> Result<Option<Contact>, ContactError> {
        Ok(self.list()?.into_iter().find(|contact| contact.mailbox == *mailbox))
    }

    /// Adds a contact, on disk when this returns; `false` if the very same one is there.
    ///
    /// # Errors
    /// If its name or mailbox is taken, it is not usable, or the file cannot be read or written.
    pub fn add(&self, contact: &Contact) -> Result<bool, ContactError> {
        contact.check()?;
        self.edit(|text, known| {
            if known.contains(contact) {
                return Ok(None);
            }
            let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            let longer = format!("{text}{newline}{contact}\n");
            match self.parse(&longer) {
                // The lines before are right: it is the new one.
                Err(ContactError::Line { reason, .. }) => Err(*reason),
                parsed => parsed.map(|_| Some(longer)),
            }
        })
    }

    /// Removes the contact of this name, on disk when this returns; `false` if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn remove(&self, name: &str) -> Result<bool, ContactError> {
        self.edit(|text, known| {
            let Some(contact) = known.iter().find(|contact| contact.name == name) else { return Ok(None) };
            let others = text.lines().filter(|line| line.parse::<Contact>().ok().as_ref() != Some(contact));
            Ok(Some(others.map(|line| format!("{line}\n")).collect()))
        })
    }

    /// Writes what `change` makes of the file, alone among all processes, whole or not at all.
    fn edit(
        &self,
        change: impl FnOnce(&str, &[Contact]) -> Result<Option<String>, ContactError>,
    ) -> Result<bool, ContactError> {
        let write = |source| FileError::Write { path: self.path.clone(), source };
        let lock = self.path.with_extension("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock).map_err(write)?;
        lock.lock().map_err(write)?;
        let text = self.text()?;
        let changed = change(&text, &self.parse(&text)?)?;
        if let Some(text) = &changed {
            files::replace(&self.path, 0o600, text.as_bytes())?;
        }
        Ok(changed.is_some())
    }

    fn text(&self) -> Result<String, ContactError> {
        match files::read_text(&self.path, MAX_FILE_BYTES) {
            Err(FileError::Missing(_)) => Ok(String::new()),
            text => Ok(text?),
        }
    }

    fn parse(&self, text: &str) -> Result<Vec<Contact>, ContactError> {
        let mut contacts: Vec<Contact> = Vec::new();
        let (mut names, mut mailboxes) = (HashSet::new(), HashMap::new());
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let added = line.parse::<Contact>().and_then(|contact| {
                if contacts.len() == MAX_CONTACTS {
                    return Err(ContactError::Full);
                }
                if !names.insert(contact.name.clone()) {
                    return Err(ContactError::NameTaken(contact.name));
                }
                if let Some(name) = mailboxes.insert(contact.mailbox, contact.name.clone()) {
                    return Err(ContactError::MailboxTaken(name));
                }
                contacts.push(contact);
                Ok(())
            });
            added.map_err(|reason| ContactError::Line {
                path: self.path.clone(),
                line: index + 1,
                reason: Box::new(reason),
            })?;
        }
        Ok(contacts)
    }
}

impl Contact {
    fn check(&self) -> Result<(), ContactError> {
        if !is_name(&self.name) {
            return Err(ContactError::Name);
        }
        Ok(self.letter_key.check()?)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KIND} {} {} {}", self.name, self.mailbox, self.letter_key)
    }
}

impl FromStr for Contact {
    type Err = ContactError;

    /// Takes one line, with or without white space around it.
    fn from_str(line: &str) -> Result<Self, ContactError> {
        let fields: Vec<&str> = line.trim().splitn(5, ' ').collect();
        let [KIND, name, mailbox, letter_key] = fields.as_slice() else { return Err(ContactError::Form) };
        let (Ok(mailbox), Ok(letter_key)) = (mailbox.parse(), letter_key.parse()) else {
            return Err(ContactError::Form);
        };
        let contact = Self { name: (*name).into(), mailbox, letter_key };
        contact.check()?;
        Ok(contact)
    }
}

const KIND: &str = "mixnet-contact-v1";

/// A message without its advice.
fn what(error: &ContactError) -> String {
    let text = error.to_string();
    text.split_once("\nhelp: ").map_or(text.clone(), |(what, _)| what.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    fn contact(name: &str, seed: u8) -> Contact {
        let letter_key = SecretKey::from_bytes([seed; 32]).public_key();
        Contact { name: name.into(), mailbox: MailboxId([seed; 16]), letter_key }
    }

    #[test]
    fn contacts_are_kept_found_and_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let contacts = Contacts::at(&dir.path().join("contacts.txt"));
        assert_eq!(contacts.list().expect("none yet"), []);
        let (anna, bob) = (contact("anna", 1), contact("bob", 2));
        std::fs::write(dir.path().join("contacts.txt"), "# friends").expect("writable");
        assert!(contacts.add(&anna).expect("new"));
        assert!(contacts.add(&bob).expect("new"));
        assert!(!contacts.add(&bob).expect("known"));
        assert_eq!(contacts.by_name("anna").expect("readable"), Some(anna.clone()));
        assert_eq!(contacts.by_mailbox(&bob.mailbox).expect("readable"), Some(bob.clone()));
        assert_eq!(contacts.by_name("carl").expect("readable"), None);
        assert!(contacts.remove("anna").expect("there"));
        assert!(!contacts.remove("anna").expect("gone"));
        assert_eq!(contacts.list().expect("readable"), std::slice::from_ref(&bob));
        let text = std::fs::read_to_string(dir.path().join("contacts.txt")).expect("there");
        assert_eq!(text, format!("# friends\n{bob}\n"));
    }

    #[test]
    fn nobody_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let contacts = Contacts::at(&dir.path().join("contacts.txt"));
        contacts.add(&contact("anna", 1)).expect("new");
        let before = contacts.list().expect("readable");
        assert!(matches!(contacts.add(&contact("anna", 2)), Err(ContactError::NameTaken(name)) if name == "anna"));
        assert!(matches!(contacts.add(&contact("eve", 1)), Err(ContactError::MailboxTaken(name)) if name == "anna"));
        assert_eq!(contacts.list().expect("readable"), before);
    }

    #[test]
    fn a_line_reads_as_it_was_written() {
        let anna = contact("anna-2", 3);
        assert_eq!(format!(" {anna}\r\n").parse::<Contact>().expect("valid"), anna);
        assert!(anna.to_string().len() < 150);
        let [mailbox, key] = [anna.mailbox.to_string(), anna.letter_key.to_string()].map(|text| text.to_uppercase());
        assert_eq!(format!("{KIND} anna-2 {mailbox} {key}").parse::<Contact>().expect("valid"), anna);
    }

    #[test]
    fn hostile_lines_are_refused() {
        let (mailbox, key) = ("01".repeat(16), SecretKey::from_bytes([1; 32]).public_key().to_string());
        let lines = [
            (String::new(), "no contact"),
            (format!("mixnet-contact-v2 anna {mailbox} {key}"), "no contact"),
            (format!("mixnet-contact-v1 anna {mailbox}"), "no contact"),
            (format!("mixnet-contact-v1 anna {mailbox} {key} more"), "no contact"),
            (format!("mixnet-contact-v1  anna {mailbox} {key}"), "no contact"),
            (format!("mixnet-contact-v1 anna {mailbox}00 {key}"), "no contact"),
            (format!("mixnet-contact-v1 anna {mailbox} {key}00"), "no contact"),
            (format!("mixnet-contact-v1 anna zz{} {key}", &mailbox[2..]), "no contact"),
            (format!("mixnet-contact-v1 ../anna {mailbox} {key}"), "no name"),
            (format!("mixnet-contact-v1 --anna {mailbox} {key}"), "no name"),
            (format!("mixnet-contact-v1 \u{1b}[2J {mailbox} {key}"), "no name"),
            (format!("mixnet-contact-v1 Anna {mailbox} {key}"), "no name"),
            (format!("mixnet-contact-v1 {} {mailbox} {key}", "a".repeat(33)), "no name"),
            (format!("mixnet-contact-v1 anna {mailbox} {}", "00".repeat(32)), "low order"),
            (format!("mixnet-contact-v1 anna {mailbox} {}", "ff".repeat(32)), "not canonically"),
        ];
        let dir = tempfile::tempdir().expect("a directory");
        let contacts = Contacts::at(&dir.path().join("contacts.txt"));
        for (line, part) in lines {
            let error = line.parse::<Contact>().expect_err(&line).to_string();
            assert!(error.contains(part) && error.contains("help: "), "{line}: {error}");
            if !line.is_empty() {
                std::fs::write(dir.path().join("contacts.txt"), format!("\n{line}\n")).expect("writable");
                let error = contacts.list().expect_err(&line).to_string();
                assert!(error.contains("contacts.txt:2: ") && error.contains(part), "{error}");
            }
        }
        let mut unusable = contact("anna", 1);
        unusable.letter_key.0 = [0; 32];
        assert!(matches!(contacts.add(&unusable), Err(ContactError::Key(PointError::LowOrder))));
    }
}
