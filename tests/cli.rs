//! The command line from outside: texts, exit codes, and what lies on disk afterwards.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Help, usage errors and findings, word for word; `TRYCMD=overwrite cargo test --test cli` writes them anew.
#[test]
fn texts_are_as_written_down() {
    trycmd::TestCases::new().env("HOME", "/home/anna").case("tests/cmd/*.trycmd");
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let path = match program {
        "mixnode" => env!("CARGO_BIN_EXE_mixnode"),
        _ => env!("CARGO_BIN_EXE_mixclient"),
    };
    Command::new(path).args(arguments).env_remove("MIXNET_HOME").output().expect("runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// Runs it, and holds it to an exit code; errors say what to do and leave stdout alone.
fn fails(program: &str, arguments: &[&str], code: i32) -> String {
    let output = run(program, arguments);
    let error = text(&output.stderr).to_owned();
    assert_eq!(output.status.code(), Some(code), "{program} {arguments:?}: {error}");
    assert_eq!(text(&output.stdout), "", "{program} {arguments:?}");
    assert!(error.starts_with("error: "), "{error}");
    error
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value["schema"], 1);
    value
}

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn exit_codes_tell_causes_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let (home, none) = (dir.path().join("home"), dir.path().join("none"));
    let (home, none) = (path(&home), path(&none));
    assert!(fails("mixnode", &["run", "--home", none], 3).contains("help: make it with `init"));
    assert!(fails("mixclient", &["send", "--home", none, "bob", "hello"], 3).contains("no home directory"));
    fails("mixclient", &["frobnicate"], 2);
    assert!(run("mixclient", &["init", "--home", home, "anna"]).status.success());
    // A home without a network file, then one that is none.
    assert!(fails("mixclient", &["run", "--home", home], 3).contains("there is no network file"));
    std::fs::write(dir.path().join("network.yaml"), "network: [").expect("writable");
    assert!(fails("mixclient", &["check", "--home", home], 3).contains("network.yaml"));
    fails("mixclient", &["status", "--home", home], 75);
    assert!(fails("mixclient", &["send", "--home", home, "bob", "hello"], 75).contains("no daemon answers"));
    fails("mixclient", &["recv", "--home", home], 75);
    fails("mixclient", &["contact", "--home", home, "add", "nonsense"], 3);
    fails("mixclient", &["contact", "--home", home, "remove", "bob"], 2);
    std::fs::remove_file(dir.path().join("network.yaml")).expect("there");
    std::fs::copy("config/testnet.yaml", dir.path().join("network.yaml")).expect("writable");
    assert!(fails("mixclient", &["run", "--home", home], 3).contains("`anna` is not among the clients"));
    // Somebody else could have read the key.
    let letter_key = dir.path().join("home/letter.key");
    std::fs::set_permissions(&letter_key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("ours");
    assert!(fails("mixclient", &["run", "--home", home, "--id", "client-1"], 5).contains("chmod 600"));
    assert!(fails("mixclient", &["contact", "own", "--home", home], 5).contains("chmod 600"));
}

#[test]
fn a_home_is_made_checked_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("client-1");
    let home = path(&home);
    let made = json(&run("mixclient", &["--json", "init", "--home", home, "client-1"]));
    assert_eq!((&made["id"], &made["home"]), (&"client-1".into(), &home.into()));
    std::fs::copy("config/testnet.yaml", dir.path().join("network.yaml")).expect("writable");
    let again = run("mixclient", &["init", "--home", home, "client-1"]);
    assert!(again.status.success() && text(&again.stdout).contains("is the home of client-1"));
    fails("mixclient", &["init", "--home", home, "client-2"], 3);

    let checked = run("mixclient", &["check", "--home", home, "--json"]);
    assert_eq!(checked.status.code(), Some(1));
    let checked: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert_eq!(checked["ok"], false);
    let what = checked["findings"][0]["what"].as_str().expect("a finding");
    assert!(what.starts_with("waiting for the keys of mix-1, mix-2"), "{what}");
    assert!(!dir.path().join("client-1.client.pub").exists(), "checking changes nothing");

    let own = json(&run("mixclient", &["contact", "own", "--home", home, "--json"]));
    let line = own["line"].as_str().expect("a line").to_owned();
    assert!(line.starts_with("mixnet-contact-v1 client-1 "), "{line}");
    let added = json(&run("mixclient", &["--home", home, "contact", "add", &line, "--name", "me", "--json"]));
    assert_eq!((&added["name"], &added["changed"]), (&"me".into(), &true.into()));
    let words: Vec<&str> =
        ["contact", "--home", home, "add", "--name", "me", "--"].into_iter().chain(line.split(' ')).collect();
    assert_eq!(text(&run("mixclient", &words).stdout), "me was a contact already\n");
    let listed = run("mixclient", &["contact", "list", "--home", home]);
    assert_eq!(text(&listed.stdout), format!("{}\n", line.replace("client-1", "me")));
    assert!(run("mixclient", &["contact", "remove", "me", "--home", home]).status.success());
    assert_eq!(text(&run("mixclient", &["contact", "list", "--home", home]).stdout), "");
}

#[test]
fn settings_come_from_flags_before_the_environment() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("home");
    assert!(run("mixclient", &["init", "--home", path(&home), "anna"]).status.success());
    let mixclient = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixclient"));
        command.env("MIXNET_HOME", &home).env("MIXNET_NETWORK", "/from/the/environment").args(arguments);
        text(&command.output().expect("runs").stderr).to_owned()
    };
    assert!(mixclient(&["check"]).contains("/from/the/environment"));
    assert!(mixclient(&["check", "--network", "/from/a/flag"]).contains("/from/a/flag"));
    assert!(mixclient(&["check", "--log", "xml"]).contains("`log` cannot be `xml`"));
    assert!(mixclient(&["check", "--metrics", "192.0.2.1:9000"]).contains("metrics_public"));
}

#[test]
fn a_store_that_cannot_be_used_says_so_at_once_and_stays_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::copy("config/testnet.yaml", dir.path().join("network.yaml")).expect("writable");
    for (program, id) in [("mixnode", "mix-1"), ("mixclient", "client-1")] {
        let home = dir.path().join(id);
        assert!(run(program, &["init", "--home", path(&home), id]).status.success());
        // A full disk, as far as one file goes: an error, not the end by a signal.
        let binary = if program == "mixnode" { env!("CARGO_BIN_EXE_mixnode") } else { env!("CARGO_BIN_EXE_mixclient") };
        let script = format!("ulimit -f 8 && exec {binary} run --home {}", path(&home));
        let full = Command::new("sh").args(["-c", &script]).env_remove("MIXNET_HOME").output().expect("runs");
        assert_eq!(full.status.code(), Some(75), "{full:?}");
        assert!(text(&full.stderr).contains("the store is full; free space"), "{full:?}");
        // What is no store.
        let data = home.join("store/data.mdb");
        std::fs::write(&data, vec![7; 100_000]).expect("writable");
        std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
        let error = fails(program, &["run", "--home", path(&home)], 1);
        assert!(
            error.contains("data.mdb is damaged") && error.contains("restore the directory from a copy"),
            "{error}"
        );
        assert_eq!(std::fs::read(&data).expect("there"), vec![7; 100_000]);
    }
}

/// A network file of the plan's network, whose names need no key files.
fn network_yaml(network: &mixnet::wire::Network) -> String {
    use mixnet::config::{ClientLine, MailboxLine, MixLine, NetworkFile};
    let (parameters, roster) = (&network.parameters, &network.roster);
    let mut file = NetworkFile::testnet();
    file.network.clone_from(&parameters.network);
    file.messages_per_round = Some(parameters.messages_per_round.into());
    file.start_clients = Some(parameters.start_clients.into());
    file.min_clients = parameters.min_clients.into();
    file.min_share = f64::from(parameters.min_share_permille) / 1000.0;
    file.round_seconds = f64::from(parameters.round_ms) / 1000.0;
    file.submit_seconds = Some(f64::from(parameters.submit_ms) / 1000.0);
    file.mix_delay_ms = (parameters.mix_delay_ms.0.into(), parameters.mix_delay_ms.1.into());
    file.payload = parameters.payload.into();
    file.packets_per_client = parameters.packets_per_client.into();
    file.noise_packets = parameters.noise_packets.into();
    assert_eq!(parameters.noise, mixnet::wire::NoiseLaw::Constant, "the default of both");
    assert_eq!(parameters.dummies, mixnet::wire::DummyPolicy::Uniform, "the default of both");
    file.dummy_payload = String::from_utf8(parameters.dummy_payload.clone()).expect("text");
    file.max_message = parameters.max_message;
    file.epoch_rounds = parameters.epoch_rounds.into();
    file.verdict_rounds = Some(parameters.verdict_rounds.into());
    file.retention_epochs = parameters.retention_epochs.into();
    file.poll_letters = Some(parameters.poll_letters.into());
    file.mailbox_letters = parameters.mailbox_letters.into();
    file.history_rounds = parameters.history_rounds.into();
    file.threshold = Some(parameters.threshold.into());
    file.sealed = parameters.sealed;
    let mixes = roster.mixes.iter();
    file.mixes = mixes
        .map(|mix| MixLine { id: mix.id.clone(), address: mix.address.clone(), identity: Some(mix.identity) })
        .collect();
    let line = |client: &mixnet::wire::ClientEntry| ClientLine {
        id: client.id.clone(),
        identity: Some(client.identity),
        list_key: Some(client.list_key),
        address: None,
    };
    file.clients = roster.clients.iter().map(line).collect();
    let mailbox = |it: &mixnet::wire::MailboxEntry| MailboxLine { id: it.id, letter_key: it.letter_key };
    file.mailboxes = Some(roster.mailboxes.iter().map(mailbox).collect());
    file.to_yaml()
}

#[test]
fn evidence_is_verified_by_a_process_that_has_nothing_else() {
    use mixnet::blame::Ruling;
    use mixnet::sim::{BurntRound, Plan};

    let dir = tempfile::tempdir().expect("a directory");
    let (network, evidence) = (dir.path().join("network.yaml"), dir.path().join("evidence"));
    let ruled = |round: &BurntRound| {
        std::fs::write(&network, network_yaml(&round.network)).expect("writable");
        match round.timed_replay(4).expect("everything is shown").0 {
            Some(Ruling::Guilty(found)) => found.to_file(),
            _ => panic!("somebody is guilty"),
        }
    };
    let verify = |more: &[&str]| {
        let mut arguments = vec!["verify-evidence", path(&evidence), "--network", path(&network)];
        arguments.extend(more);
        run("mixnode", &arguments)
    };

    let mut round = BurntRound::new(&Plan::default());
    round.submitted[5].commitment[0] ^= 1;
    round.run(|_, _, _| {}, |_, _| {});
    std::fs::write(&evidence, ruled(&round)).expect("writable");
    let said = "client-3 (client, roster index 2) is guilty: it committed to another echo than its packet causes\n\
                in round 300 of epoch 5\n";
    let output = verify(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), said);

    let mut round = BurntRound::new(&Plan::default());
    round.run(|_, _, _| {}, |at, echoes| echoes[2][5] ^= u8::from(at == 2));
    let mut file = ruled(&round);
    std::fs::write(&evidence, &file).expect("writable");
    let said = json(&verify(&["--json"]));
    assert_eq!((&said["proven"], &said["party"], &said["name"]), (&true.into(), &"mix".into(), &"mix-2".into()));
    assert_eq!((&said["number"], &said["offence"], &said["round"]), (&2.into(), &"echo".into(), &300.into()));

    // A changed byte, no evidence at all, another network, nothing there.
    *file.last_mut().expect("bytes") ^= 1;
    std::fs::write(&evidence, &file).expect("writable");
    let output = verify(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("it proves nothing: "), "{}", text(&output.stdout));
    std::fs::write(&evidence, b"network: evidence").expect("writable");
    let output = verify(&["--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains(r#""proven":false,"why":"this is no evidence file"#));
    std::fs::write(&evidence, ruled(&round)).expect("writable");
    let other = BurntRound::new(&Plan { seed: 2, ..Plan::default() });
    std::fs::write(&network, network_yaml(&other.network)).expect("writable");
    assert_eq!(verify(&[]).status.code(), Some(1));
    std::fs::remove_file(&evidence).expect("it was there");
    assert_eq!(verify(&[]).status.code(), Some(1));
    fails("mixnode", &["verify-evidence", path(&evidence)], 2);
}
