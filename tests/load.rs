//! `mixload`: what it says of a network is what happened, and it says so in the fields that scripts read.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn mixload(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mixload")).args(arguments).output().expect("it starts")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_loses_nothing_and_says_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let json = dir.path().join("run.json");
    let (file, out) = (json.to_str().expect("a name"), dir.path().join("out"));
    let output = mixload(&[
        "run",
        "--clients",
        "6",
        "--connections",
        "6",
        "--packets-per-client",
        "3",
        "--payload",
        "300",
        "--rounds",
        "4",
        "--round",
        "0",
        "--json",
        file,
        "--out",
        out.to_str().expect("a name"),
    ]);
    assert!(output.status.success(), "{}", words(&output));
    let found = read(&json);
    for (field, value) in [
        ("schema", 1),
        ("clients", 6),
        ("connections", 6),
        ("packets_per_client", 3),
        ("payload", 300),
        ("rounds", 4),
        ("sent", 72),
        ("delivered", 72),
        ("lost", 0),
        ("duplicates", 0),
        ("wrong", 0),
        ("missed", 0),
        ("not_stored", 0),
    ] {
        assert_eq!(found[field], value, "{field}: {found}");
    }
    assert_eq!(found["errors"], serde_json::json!({}), "{found}");
    for field in ["seconds", "messages_per_s", "build_us"] {
        assert!(found[field].as_f64().is_some_and(|value| value > 0.0), "{field}: {found}");
    }
    let quantiles = ["p50", "p90", "p99", "max"].map(|name| found["latency_ms"][name].as_f64().expect("a number"));
    assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{quantiles:?}");
    let hops = found["hop"].as_array().expect("a list");
    assert_eq!(
        hops.iter().map(|hop| hop["mix"].as_str()).collect::<Vec<_>>(),
        [Some("mix-1"), Some("mix-2"), Some("mix-3")]
    );
    for (before, hop) in hops.iter().enumerate() {
        let number = |field: &str| hop[field].as_f64().expect("known of an own network");
        // Every hop took in every packet once: the 72 that were delivered, in the same time, and two of noise of each mix
        // before it in each of four rounds.
        let ratio = number("packets_per_s") / found["messages_per_s"].as_f64().expect("a number");
        assert!((ratio - (72 + 2 * 4 * before) as f64 / 72.0).abs() < 1e-6, "{hop}");
        assert!(number("cpu_s") >= 0.0 && number("rss_kb") > number("anon_kb"), "{hop}");
        assert!(number("anon_kb") > 1000.0, "{hop}");
    }
    assert!(found["commit"].as_str().is_some_and(|commit| !commit.is_empty()));
    for name in ["latency.svg", "hops.svg"] {
        let text = std::fs::read_to_string(out.join(name)).expect("drawn");
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{name}");
    }
}

#[test]
fn a_few_connections_carry_many_clients_and_lose_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let json = dir.path().join("run.json");
    let file = json.to_str().expect("a name");
    let output = mixload(&[
        "run",
        "--clients",
        "10",
        "--connections",
        "3",
        "--packets-per-client",
        "2",
        "--payload",
        "256",
        "--rounds",
        "3",
        "--warm-up",
        "2",
        "--round",
        "0.5",
        "--json",
        file,
    ]);
    assert!(output.status.success(), "{}", words(&output));
    let found = read(&json);
    for (field, value) in
        [("clients", 10), ("connections", 3), ("rounds", 3), ("sent", 60), ("delivered", 60), ("lost", 0)]
    {
        assert_eq!(found[field], value, "{field}: {found}");
    }
    assert_eq!(found["warm_up"], serde_json::json!({"rounds": 2, "sent": 40, "delivered": 40}), "{found}");
    assert_eq!(found["errors"], serde_json::json!({}), "{found}");
}

/// The processes that `parent` has started.
fn children(parent: u32) -> Vec<i32> {
    let path = format!("/proc/{parent}/task");
    let tasks = std::fs::read_dir(path).into_iter().flatten().flatten();
    let lists = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// The round that the mix of a home is in.
fn round(home: &Path) -> Option<u64> {
    let mut status = Command::new(env!("CARGO_BIN_EXE_mixnode"));
    let output = status.args(["status", "--json", "--home"]).arg(home).output().expect("it starts");
    serde_json::from_slice::<Value>(&output.stdout).ok()?["round"].as_u64()
}

#[test]
fn mixes_that_go_before_any_round_counts_fail_the_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let net = dir.path().join("net");
    let arguments =
        ["run", "--clients", "2", "--packets-per-client", "1", "--round", "0.5", "--warm-up", "200", "--dir"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_mixload"));
    let load =
        command.args(arguments).arg(&net).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let began = Instant::now();
    while round(&net.join("mix-1")).is_none_or(|round| round < 3) {
        assert!(began.elapsed() < Duration::from_secs(60), "no rounds");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mixes = children(load.id());
    assert_eq!(mixes.len(), 3);
    for mix in mixes {
        kill(Pid::from_raw(mix), Signal::SIGTERM).expect("it runs");
    }
    let output = load.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("20 not sent"), "{}", words(&output));
}

#[test]
fn a_matrix_has_every_cell_and_both_figures() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().to_str().expect("a name");
    let output = mixload(&["matrix", "--out", out, "--clients", "2,3", "--sizes", "10,1000", "--rounds", "1"]);
    assert!(output.status.success(), "{}", words(&output));
    let found = read(&dir.path().join("matrix.json"));
    let cells = found["cells"].as_array().expect("a list");
    let shapes: Vec<_> = cells.iter().map(|cell| (cell["clients"].as_u64(), cell["bytes"].as_u64())).collect();
    assert_eq!(shapes, [(2, 10), (3, 10), (2, 1000), (3, 1000)].map(|(clients, bytes)| (Some(clients), Some(bytes))));
    for cell in cells {
        for kind in ["sealed", "unsealed", "baseline"] {
            let ms = |field: &str| cell[kind][field].as_f64().expect("a number");
            assert!(ms("mix_ms") > 0.0 && ms("end_to_end_ms") > 0.0, "{cell}");
            assert_eq!(ms("prepare_ms") > 0.0, kind != "baseline", "{cell}");
        }
        // A round is opened, and its letters are on disk, within what its clients wait for.
        assert!(
            cell["sealed"]["mix_ms"].as_f64() < cell["sealed"]["end_to_end_ms"].as_f64().map(|ms| ms + 50.0),
            "{cell}"
        );
    }
    for name in ["metrics_vs_num_of_clients.svg", "metrics_vs_message_size.svg"] {
        let text = std::fs::read_to_string(dir.path().join(name)).expect("drawn");
        assert!(["Mix latency", "End to end", "milliseconds"].iter().all(|part| text.contains(part)), "{name}");
    }
}

#[test]
fn a_short_scale_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().to_str().expect("a name");
    let output = mixload(&["scale", "--out", out, "--packets", "64,256", "--rounds", "2"]);
    assert!(output.status.success(), "{}", words(&output));
    let found = read(&dir.path().join("scale.json"));
    let steps = found["steps"].as_array().expect("a list");
    assert_eq!(steps.iter().map(|step| step["packets"].as_u64()).collect::<Vec<_>>(), [Some(64), Some(256)]);
    assert!(steps.iter().all(|step| step["lost"] == 0 && step["us_per_packet"].as_f64() > Some(0.0)), "{found}");
    assert!(std::fs::read_to_string(dir.path().join("scale.svg")).expect("drawn").contains("microseconds"));
}

#[test]
fn what_cannot_be_is_refused_with_2_before_anything_starts() {
    for wrong in [
        vec!["run", "--clients", "1"],
        vec!["run", "--round", "-1"],
        vec!["run", "--round", "0.001"],
        vec!["run", "--rounds", "0"],
        vec!["run", "--payload", "0"],
        vec!["run", "--clients", "4", "--connections", "5"],
        vec!["run", "--mtu", "9000"],
        vec!["run", "--part", "3/2"],
        vec!["run", "--homes", "x"],
        vec!["matrix"],
        vec!["scale", "--out", "x", "--packets", "1"],
        vec!["fly"],
    ] {
        let output = mixload(&wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", words(&output));
    }
}
