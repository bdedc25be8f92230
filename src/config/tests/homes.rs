use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::*;

const CLIENT_KEYS: [&str; 4] = ["identity.pem", "letter.key", "capability.key", "list.key"];

fn init(dir: &Path) -> Home {
    Home::init(dir, Role::Client, "client-1", None).expect("writable")
}

fn refusal<T>(result: Result<T, KeyError>) -> String {
    result.err().expect("refused").to_string()
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>, i64)> {
    let file = |path: PathBuf| {
        (path.clone(), fs::read(&path).expect("readable"), fs::metadata(&path).expect("there").mtime_nsec())
    };
    let mut all: Vec<_> = fs::read_dir(dir).expect("there").map(|entry| file(entry.expect("there").path())).collect();
    all.sort();
    all
}

#[test]
fn init_makes_private_files_and_a_second_one_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("homes/client-1");
    let home = init(&dir);
    assert_eq!(fs::metadata(&dir).expect("there").mode() & 0o7777, 0o700);
    for name in CLIENT_KEYS {
        assert_eq!(fs::metadata(dir.join(name)).expect("there").mode() & 0o7777, 0o600, "{name}");
    }
    let before = contents(&dir);
    assert_eq!(before.len(), CLIENT_KEYS.len() + 1);
    assert_eq!(init(&dir), home);
    assert_eq!(contents(&dir), before);
    home.client_secrets().expect("complete");
}

#[test]
fn a_half_made_home_is_completed_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("client-1");
    let secrets = init(&dir).client_secrets().expect("complete");
    fs::remove_file(dir.join("letter.key")).expect("there");
    fs::remove_file(dir.join("config.yaml")).expect("there");
    let again = init(&dir).client_secrets().expect("complete");
    assert_eq!(again.identity.identity(), secrets.identity.identity());
    assert_eq!(again.capability.expose(), secrets.capability.expose());
    assert_eq!(again.list.expose(), secrets.list.expose());
    assert_ne!(again.letter.expose(), secrets.letter.expose());
}

#[test]
fn keys_that_others_can_read_are_refused_with_the_command_that_helps() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("client-1");
    let home = init(&dir);
    for name in CLIENT_KEYS {
        let path = dir.join(name);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("ours");
        assert!(refusal(home.client_secrets()).ends_with(&format!("help: chmod 600 {}", path.display())));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
    }
    home.client_secrets().expect("tight again");
    fs::set_permissions(&dir, Permissions::from_mode(0o711)).expect("ours");
    let error = Home::open::<&str, &str>(&dir, []).expect_err("open to others").to_string();
    assert!(error.ends_with(&format!("help: chmod 700 {}", dir.display())), "{error}");
    assert!(Home::init(&dir, Role::Client, "client-1", None).is_err());
}

#[test]
fn keys_that_are_links_or_nonsense_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("client-1");
    let home = init(&dir);
    for name in CLIENT_KEYS {
        let (path, aside) = (dir.join(name), dir.join("aside"));
        fs::rename(&path, &aside).expect("ours");
        assert!(refusal(home.client_secrets()).contains("does not exist"), "{name}");
        std::os::unix::fs::symlink(&aside, &path).expect("ours");
        assert!(refusal(home.client_secrets()).contains("is a symbolic link"), "{name}");
        fs::remove_file(&path).expect("ours");
        let text = fs::read_to_string(&aside).expect("ours");
        for wrong in
            [String::new(), text.replace("v1", "v2").replace("PRIVATE", "PUBLIC"), text[..text.len() - 8].into()]
        {
            files::create_secret(&path, wrong.as_bytes()).expect("ours");
            assert!(refusal(home.client_secrets()).contains("is not `"), "{name}: {wrong}");
            fs::remove_file(&path).expect("ours");
        }
        fs::rename(&aside, &path).expect("ours");
    }
    home.client_secrets().expect("restored");
}

#[test]
fn an_empty_directory_is_closed_and_another_ones_home_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("it's \"here\"");
    fs::create_dir(&dir).expect("ours");
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("ours");
    let network = Path::new("a: b #.yaml");
    let home = Home::init(&dir, Role::Mix, "mix-1", Some(network)).expect("writable");
    assert_eq!(home.network, std::path::absolute(network).expect("a path"));
    assert_eq!(fs::metadata(&dir).expect("there").mode() & 0o777, 0o700);
    assert!(!dir.join("letter.key").exists());
    let error = Home::init(&dir, Role::Mix, "mix-2", None).expect_err("not its home");
    assert!(matches!(error, ConfigError::OtherId { .. }));
    assert!(matches!(Home::init(&dir, Role::Mix, "../mix", None), Err(ConfigError::BadId(_))));
    assert!(matches!(Home::open::<&str, &str>(&dir.join("none"), []), Err(ConfigError::NoHome(_))));
}

#[test]
fn an_ephemeral_home_has_new_keys_each_time_and_none_on_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("client-1");
    files::create_dir(&dir).expect("ours");
    fs::write(dir.join("config.yaml"), "id: client-1\nephemeral: true\n").expect("ours");
    let home = Home::init(&dir, Role::Client, "client-1", None).expect("writable");
    let [a, b] = [(); 2].map(|()| home.client_secrets().expect("made"));
    assert_ne!(a.identity.identity(), b.identity.identity());
    assert_ne!(a.capability.expose(), b.capability.expose());
    assert_eq!(fs::read_dir(&dir).expect("there").count(), 1);
}

#[test]
fn metrics_stay_on_loopback_unless_told_otherwise() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("mix-1");
    Home::init(&dir, Role::Mix, "mix-1", None).expect("writable");
    let open = |overrides: &[(&str, &str)]| Home::open(&dir, overrides.iter().copied());
    assert_eq!(open(&[]).expect("valid").metrics, None);
    assert!(open(&[("metrics", "[::1]:9000")]).expect("loopback").metrics.is_some());
    assert!(matches!(open(&[("metrics", "0.0.0.0:9000")]), Err(ConfigError::MetricsPublic(_))));
    assert!(open(&[("metrics", "0.0.0.0:9000"), ("metrics-public", "true")]).expect("told").metrics.is_some());
}

#[test]
fn a_mailbox_is_the_start_of_the_hash_of_network_and_capability() {
    use crate::crypto::{Digest, Label, derive};
    let capability = Capability::from_bytes([7; 32]);
    let digest = derive(Label::Mailbox, &[[9; 32], [7; 32]].concat());
    assert_eq!(capability.mailbox(&Digest([9; 32])).0, digest.0[..16]);
    assert_ne!(capability.mailbox(&Digest([8; 32])), capability.mailbox(&Digest([9; 32])));
}

#[test]
fn check_finds_what_would_stop_a_daemon_and_touches_nothing() {
    let top = tempfile::tempdir().expect("a directory");
    let (dir, path) = (top.path().join("client-1"), top.path().join("network.yaml"));
    let whats = |dir: &Path, role| {
        let found = check_home::<&str, &str>(dir, role, []);
        assert!(found.iter().all(|finding| !finding.what_to_do.is_empty()));
        found.into_iter().map(|finding| finding.what).collect::<Vec<_>>().join("\n")
    };
    assert!(whats(&dir, Role::Client).contains("is no home directory"));
    let home = init(&dir);
    assert!(whats(&dir, Role::Client).contains("there is no network file"));
    let mut file = NetworkFile::testnet();
    file.clients.truncate(2);
    fs::write(
        &path,
        file.to_yaml().replace("payload: 65536", "payload: 1").replace("round_seconds: 1", "round_seconds: -1"),
    )
    .expect("ours");
    assert_eq!(check_home::<&str, &str>(&dir, Role::Client, []).len(), 2);
    fs::write(&path, file.to_yaml()).expect("ours");
    let before = contents(&dir);
    assert!(
        whats(&dir, Role::Client)
            .contains("waiting for the keys of mix-1, mix-2, mix-3, client-1, client-2, 2 mailboxes")
    );

    let id = file.id();
    let others = ClientSecrets::generate().expect("made");
    let secrets = home.client_secrets().expect("complete");
    for mix in &file.mixes {
        MixSecrets::generate().expect("made").key_file(&mix.id).publish(top.path()).expect("ours");
    }
    for key in secrets.key_files("client-1", &id).iter().chain(&others.key_files("client-2", &id)) {
        key.publish(top.path()).expect("ours");
    }
    assert_eq!(whats(&dir, Role::Client), "");
    assert!(whats(&dir, Role::Mix).contains("is not among the mixes"));
    fs::remove_file(top.path().join(others.key_files("client-2", &id)[1].name())).expect("ours");
    let third = ClientSecrets::generate().expect("made");
    secrets.key_files("client-1", &id)[1].withdraw(top.path()).expect("ours");
    for other in [&others, &third] {
        other.key_files("client-2", &id)[1].publish(top.path()).expect("ours");
    }
    third.key_files("client-1", &id)[0].publish(top.path()).expect("ours");
    let found = whats(&dir, Role::Client);
    for part in ["another `identity`", "another `list_key`", "the mailbox of"] {
        assert!(found.contains(part), "{found}");
    }
    assert_eq!(contents(&dir), before);
    fs::set_permissions(dir.join("list.key"), Permissions::from_mode(0o604)).expect("ours");
    fs::write(dir.join("contacts.txt"), "nonsense\n").expect("ours");
    let found = whats(&dir, Role::Client);
    assert!(found.contains("list.key is open to other users") && found.contains("contacts.txt:1: "), "{found}");
}
