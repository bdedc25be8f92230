//! Every text that a person or another member of the network may have written: network files, settings, contacts, keys.
#![no_main]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mixnet::config::{Contact, Contacts, Home, Loading, NetworkFile, Settings};
use mixnet::crypto::Identity;
use mixnet::packet::Geometry;

/// A directory of this process alone, as homes are.
static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("mixnet-fuzz-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("the temporary directory can be written");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("the directory is ours");
    dir
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match kind % 5 {
        0 => network_file(text),
        1 => contact(text),
        2 => home(text),
        3 => key_file(text),
        _ => setting(text),
    }
});

fn network_file(text: &str) {
    match NetworkFile::parse(text, Path::new("network.yaml")) {
        Err(error) => readable(&error.to_string()),
        Ok(file) => {
            let parameters = file.parameters().expect("a file that was read has been checked");
            assert!(Geometry::new(file.mixes.len(), parameters.payload as usize).is_some());
            assert!(parameters.min_clients >= 2);
            // Rounds back to back have no length that submitting could exceed.
            assert!(parameters.round_ms == 0 || parameters.submit_ms <= parameters.round_ms);
            let written = file.to_yaml();
            let again = NetworkFile::parse(&written, Path::new("network.yaml")).expect("what was written can be read");
            assert_eq!(again.parameters().expect("checked").digest(), parameters.digest());
            assert_eq!(again.to_yaml(), written);
        }
    }
}

fn contact(text: &str) {
    match text.parse::<Contact>() {
        Err(error) => readable(&error.to_string()),
        Ok(contact) => {
            let line = contact.to_string();
            // Hexadecimal digits are taken in either case, and nothing else has two forms.
            assert!(line.eq_ignore_ascii_case(text.trim()), "{line}");
            assert_eq!(line.parse::<Contact>().expect("what was written can be read"), contact);
        }
    }
    let path = DIR.join("contacts.txt");
    fs::write(&path, text).expect("writable");
    let contacts = Contacts::at(&path);
    match contacts.list() {
        Err(error) => readable(&error.to_string()),
        Ok(list) => {
            for contact in &list {
                assert_eq!(contacts.by_name(&contact.name).expect("read before").as_ref(), Some(contact));
            }
        }
    }
}

fn home(text: &str) {
    fs::write(DIR.join("config.yaml"), text).expect("writable");
    if let Err(error) = Home::open(&DIR, [("id", "mix-1")]) {
        readable(&error.to_string());
    }
}

/// The key file of a member that we do not control.
fn key_file(text: &str) {
    static FILE: LazyLock<NetworkFile> = LazyLock::new(|| {
        let mut file = NetworkFile::testnet();
        file.keys_dir = Some(DIR.join("keys"));
        fs::create_dir_all(file.keys_dir()).expect("writable");
        file
    });
    let id = &FILE.mixes[0].id;
    fs::write(FILE.keys_dir().join(format!("{id}.mix.pub")), text).expect("writable");
    let key = text.trim_end().strip_prefix("mixnet-mix-v1 mix-1 ").and_then(|key| key.parse::<Identity>().ok());
    match FILE.load() {
        Err(error) => readable(&error.to_string()),
        Ok(Loading::Complete(_)) => panic!("the other keys are missing"),
        Ok(Loading::Missing(missing)) => assert!(key.is_some() && !missing.ids.contains(id), "{text:?}"),
    }
}

fn setting(text: &str) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if let Err(error) = Settings::default().override_with([(name, value)]) {
        readable(&error.to_string());
    }
}

/// Messages say what to do next, and write nothing to a terminal that moves its cursor.
fn readable(message: &str) {
    assert!(message.contains("help: "), "{message}");
    assert!(!message.chars().any(|c| c.is_control() && c != '\n'), "{message:?}");
}
