use super::*;
use crate::crypto::{IdentityKey, SecretKey};
use crate::wire::Network;

/// The key files of everybody in `SMALL`: mixes, then each client and its mailbox.
fn everybody(file: &NetworkFile) -> Vec<KeyFile> {
    let secrets = |id: &str| ClientSecrets {
        identity: IdentityKey::from_seed(&[id.as_bytes()[1]; 32]),
        letter: SecretKey::from_bytes([id.as_bytes()[1]; 32]),
        list: SecretKey::from_bytes([id.as_bytes()[1] + 100; 32]),
        capability: Capability::from_bytes([id.as_bytes()[1]; 32]),
    };
    let mix = |line: &MixLine| KeyFile::Mix {
        id: line.id.clone(),
        identity: IdentityKey::from_seed(&[line.id.as_bytes()[1] + 50; 32]).identity(),
    };
    let clients = file.clients.iter().flat_map(|line| secrets(&line.id).key_files(&line.id, &file.id()));
    file.mixes.iter().map(mix).chain(clients).collect()
}

fn small_in(dir: &Path) -> NetworkFile {
    let path = dir.join("network.yaml");
    std::fs::write(&path, SMALL).expect("writable");
    NetworkFile::read(&path).expect("valid")
}

fn complete(file: &NetworkFile) -> Network {
    match file.load().expect("loads") {
        Loading::Complete(network) => network,
        Loading::Missing(missing) => panic!("{missing}"),
    }
}

#[test]
fn a_network_is_complete_when_the_last_key_file_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = small_in(dir.path());
    let missing = |file: &NetworkFile| match file.load().expect("loads") {
        Loading::Missing(missing) => missing,
        Loading::Complete(_) => panic!("keys are missing"),
    };
    assert_eq!(missing(&file).ids, ["m1", "m2", "c1", "c2", "c3"]);
    assert_eq!(missing(&file).mailboxes, 3);
    let files = everybody(&file);
    let (last, first) = files.split_last().expect("some");
    for key in first {
        key.publish(dir.path()).expect("writable");
    }
    let waiting = missing(&file).to_string();
    assert_eq!(waiting, format!("waiting for the key of one mailbox in {}", dir.path().display()));
    last.publish(dir.path()).expect("writable");
    let network = complete(&file);
    assert_eq!(network.id(), file.id());
    assert_eq!(network.roster.clients.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), ["c1", "c2", "c3"]);
    assert!(network.roster.mailboxes.is_sorted());
    let mailbox = files.iter().find(|file| file.name().starts_with("mailbox-")).expect("one");
    assert!(!mailbox.to_string().contains(" c"), "{mailbox}");
    files[2].withdraw(dir.path()).expect("there");
    assert_eq!(missing(&file).to_string(), format!("waiting for the key of c1 in {}", dir.path().display()));
}

#[test]
fn keys_may_stand_in_the_file_and_a_written_file_reads_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = small_in(dir.path());
    for key in everybody(&file) {
        key.publish(dir.path()).expect("writable");
    }
    let network = complete(&file);
    let mut full = file.clone();
    for (line, mix) in full.mixes.iter_mut().zip(&network.roster.mixes) {
        line.identity = Some(mix.identity);
    }
    for (line, client) in full.clients.iter_mut().zip(&network.roster.clients) {
        (line.identity, line.list_key) = (Some(client.identity), Some(client.list_key));
    }
    let lines = network.roster.mailboxes.iter().rev();
    full.mailboxes =
        Some(lines.map(|mailbox| MailboxLine { id: mailbox.id, letter_key: mailbox.letter_key }).collect());
    let elsewhere = NetworkFile::parse(&full.to_yaml(), Path::new("/nowhere/network.yaml")).expect("valid");
    assert_eq!(complete(&elsewhere), network);

    full.clients[0].identity = Some(network.roster.clients[1].identity);
    assert!(full.load().expect_err("c1 is c2").to_string().contains("c1 and c2 have the same key"));
    full.clients[0].list_key = None;
    assert!(full.load().expect_err("not the file's").to_string().contains("another key than the network file"));
    full.clients[0].identity = None;
    full.mailboxes.as_mut().expect("some")[0].letter_key.0 = [0; 32];
    assert!(full.load().expect_err("low order").to_string().contains("low order"));
}

#[test]
fn key_files_that_lie_or_are_too_many_are_errors() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = small_in(dir.path());
    let files = everybody(&file);
    for key in &files {
        key.publish(dir.path()).expect("writable");
    }
    complete(&file);
    let path = dir.path().join(files[2].name());
    let right = files[2].to_string();
    let lies = [
        right.replace("v1", "v2"),
        right.replace(" c1 ", " c2 "),
        format!("{right} more"),
        format!("{right}00"),
        files[0].to_string(),
        String::new(),
        "x".repeat(1000),
        right.replacen(' ', "  ", 1),
    ];
    for lie in lies {
        std::fs::write(&path, &lie).expect("writable");
        let error = file.load().expect_err(&lie).to_string();
        assert!(error.contains("c1.client.pub") && error.contains("\nhelp: "), "{error}");
    }
    files[2].publish(dir.path()).expect("writable");
    complete(&file);
    let extra = ClientSecrets::generate().expect("keys").key_files("c4", &file.id());
    extra[1].publish(dir.path()).expect("writable");
    assert!(matches!(file.load(), Err(ConfigError::Key(KeyError::TooManyMailboxes { found: 4, clients: 3, .. }))));
    extra[1].withdraw(dir.path()).expect("there");
    complete(&file);
}

#[test]
fn another_ones_file_is_not_withdrawn() {
    let dir = tempfile::tempdir().expect("a directory");
    let [old, new] =
        [1, 2].map(|seed| KeyFile::Mix { id: "m1".into(), identity: IdentityKey::from_seed(&[seed; 32]).identity() });
    old.publish(dir.path()).expect("writable");
    new.publish(dir.path()).expect("writable");
    old.withdraw(dir.path()).expect("not its own");
    assert_eq!(std::fs::read_to_string(dir.path().join("m1.mix.pub")).expect("there"), format!("{new}\n"));
    new.withdraw(dir.path()).expect("its own");
    assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
}
