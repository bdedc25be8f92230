//! The specification, the vectors and the independent decoder: `wire-spec.md` lists what the code uses; the decoder, in
//! plain Python along its text, agrees with the vectors and notices when they change.
#![expect(clippy::panic, clippy::print_stderr, reason = "a test fails by panicking and says what it leaves out")]

use std::process::Command;

use mixnet::crypto::LABELS;
use mixnet::packet::Geometry;

/// Runs a script of `tests/decoder` on `arguments` and returns what it printed.
///
/// Without python3 the test says so and passes, but in CI, where `CI` is set, python3 must be there.
fn python(script: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("python3");
    command.arg(format!("tests/decoder/{script}")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: {script} was not run, as there is no python3");
            return None;
        }
        Err(error) => panic!("python3 cannot be run: {error}"),
    };
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{stdout}{stderr}", output.status);
    Some(stdout.into_owned())
}

#[test]
fn the_decoder_agrees_with_every_vector() {
    if let Some(lines) = python("decode.py", &["tests/vectors"]) {
        let files = [
            "packet.json",
            "noise.json",
            "reject.json",
            "wire.json",
            "signed.json",
            "list.json",
            "echo.json",
            "seal.json",
            "evidence.json",
        ];
        for file in files {
            assert!(lines.lines().any(|line| line.starts_with(file) && line.ends_with("vectors checked")), "{lines}");
        }
    }
}

#[test]
fn the_decoder_notices_every_change() {
    python("test_mutation.py", &["tests/vectors"]);
}

#[test]
fn the_decoders_primitives_are_those_of_their_specifications() {
    python("test_primitives.py", &[]);
}

#[test]
fn the_specification_lists_every_label_and_the_sizes_of_packets() {
    let spec = include_str!("../wire-spec.md");
    for (label, context) in LABELS {
        assert!(spec.contains(&format!("| {label:?} | `{context}` |")), "{label:?}");
    }
    let thousands = |n: usize| match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{},{:03}", n / 1_000, n % 1_000),
        _ => format!("{},{:03},{:03}", n / 1_000_000, n / 1_000 % 1_000, n % 1_000),
    };
    for payload in [256, 1_024, 2_048, 65_536, 4 << 20] {
        let sizes = [2, 3, 5, 7].map(|mixes| thousands(Geometry::new(mixes, payload).expect("valid").packet()));
        let row = format!("| {} | {} |", thousands(payload), sizes.join(" | "));
        assert!(spec.contains(&row), "{row}");
    }
}
