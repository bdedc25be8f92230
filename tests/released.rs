//! No released binary holds the simulation: the feature `sim` is off unless it is asked for.

use std::path::Path;
use std::process::Command;

/// The binary that the simulation is for; it names the feature it requires.
const LABORATORY: &str = "mixlab";

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO"));
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// This package in `cargo metadata`.
fn package() -> serde_json::Value {
    let metadata = cargo(&["metadata", "--format-version=1", "--no-deps", "--offline", "--locked"]);
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).expect("metadata are JSON");
    metadata["packages"][0].clone()
}

/// The names of the binaries that a plain build makes.
fn released() -> Vec<String> {
    let package = package();
    let targets = package["targets"].as_array().expect("a list").iter();
    let binaries = targets.filter(|target| target["kind"][0] == "bin");
    let plain = binaries.filter(|target| target["required-features"].as_array().is_none_or(Vec::is_empty));
    plain.map(|target| target["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn no_default_feature_turns_the_simulation_on() {
    let package = package();
    assert_eq!(package["features"]["default"], serde_json::json!([]));
    assert!(package["features"]["sim"].is_array());
    assert!(!released().iter().any(|name| name == LABORATORY), "{LABORATORY} requires the feature");
}

#[test]
fn a_plain_build_resolves_without_it() {
    // Tests turn it on by a development dependency of the package on itself, which a plain build leaves out.
    let tree = |edges| {
        let lines = cargo(&["tree", "--edges", edges, "--depth=1", "--format={p}|{f}", "--offline", "--locked"]);
        String::from_utf8(lines).expect("text")
    };
    let features = |tree: &str| {
        let root = tree.lines().next().and_then(|line| line.split_once('|')).expect("a package and its features");
        root.1.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(features(&tree("normal,dev")).contains(&"sim".to_owned()));
    assert!(!features(&tree("normal,build")).contains(&"sim".to_owned()));
}

#[test]
fn no_binary_of_a_release_build_holds_a_trace_of_it() {
    // The tests' own binaries are built with the feature: the search finds what it looks for.
    let marker = mixnet::sim::MARKER.as_bytes();
    assert!(holds(Path::new(env!("CARGO_BIN_EXE_mixnode")), marker));

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target directory");
    let released = released();
    assert!(!released.is_empty());
    for name in released {
        let path = target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        // Building it takes minutes; where releases are checked it has been.
        assert!(path.exists() || std::env::var_os("CI").is_none(), "build the release first: {}", path.display());
        if path.exists() {
            assert!(!holds(&path, marker), "built with the feature `sim`, build it again: {}", path.display());
        }
    }
}

fn holds(path: &Path, marker: &[u8]) -> bool {
    let bytes = std::fs::read(path).expect("the binary is there");
    bytes.windows(marker.len()).any(|window| window == marker)
}
