//! The shape of the source: who imports whom, how long files are, what stands in one place only.
//!
//! `ARCHITECTURE.md` shows the same table in prose. Tests may import what they like.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module and which others it may import: data flows one way.
const TABLE: &[(&str, &[&str])] = &[
    ("crypto", &[]),
    ("threshold", &["crypto"]),
    ("packet", &["crypto"]),
    ("wire", &["crypto"]),
    ("epoch", &["crypto", "threshold", "packet", "wire"]),
    ("blame", &["crypto", "threshold", "packet", "wire"]),
    ("round", &["crypto", "packet", "wire", "blame"]),
    ("mix", &["crypto", "threshold", "packet", "wire", "epoch", "round", "blame"]),
    ("session", &["crypto", "packet", "wire"]),
    ("store", &["crypto", "wire"]),
    ("config", &["crypto", "wire"]),
    ("net", &["crypto", "wire"]),
    ("control", &["wire"]),
    ("node", &["crypto", "packet", "wire", "round", "blame", "mix", "store", "net", "control"]),
    ("client", &["crypto", "packet", "wire", "blame", "session", "store", "config", "net", "control"]),
    ("testnet", &["crypto", "config", "control"]),
    ("load", &["crypto", "packet", "wire", "session", "config", "net", "control", "testnet"]),
    ("sim", ALL_BUT_CLI),
    ("cli", ALL),
];
const ALL: &[&str] = &[
    "crypto",
    "threshold",
    "packet",
    "wire",
    "epoch",
    "round",
    "blame",
    "mix",
    "session",
    "store",
    "config",
    "net",
    "control",
    "node",
    "client",
    "testnet",
    "load",
];
const ALL_BUT_CLI: &[&str] = ALL;

/// Modules whose code takes bytes, `now` and randomness and returns what is to be done.
const SANS_IO: [&str; 9] = ["crypto", "threshold", "packet", "wire", "epoch", "round", "blame", "mix", "session"];
/// What such code does not name.
const IO: [&str; 10] = [
    "Instant::now",
    "SystemTime",
    "UNIX_EPOCH",
    "tokio",
    "rayon",
    "std::thread",
    "std::fs",
    "std::net",
    "std::env",
    "async fn",
];

const MAX_LINES: usize = 400;
const MAX_BIN_LINES: usize = 150;

/// A file under `src`.
struct File {
    /// Relative to `src`.
    path: PathBuf,
    text: String,
}

impl File {
    fn is_test(&self) -> bool {
        let stems = self.path.iter().filter_map(|part| Path::new(part).file_stem()?.to_str());
        stems.into_iter().any(|stem| matches!(stem, "tests" | "vectors"))
    }

    fn module(&self) -> Option<&str> {
        let first = self.path.iter().next()?.to_str()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "bin")).then_some(name)
    }

    /// Its lines without comments and without the test module at its end.
    fn code(&self) -> impl Iterator<Item = &str> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..end].lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    /// The modules of this crate that its code names.
    fn imports(&self) -> BTreeSet<String> {
        let code: String = self.code().collect::<Vec<_>>().join("\n");
        let mut found = BTreeSet::new();
        for (at, root) in code.match_indices("crate::").chain(code.match_indices("mixnet::")) {
            let whole_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
            if whole_word {
                found.extend(names(&code[at + root.len()..]));
            }
        }
        found
    }
}

/// The first names of a path, or of a group of paths.
fn names(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 1;
    let mut found = vec![name(group.trim_start())];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => found.push(name(group[at + 1..].trim_start())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn source() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("src can be read");
                files.push(File { path: path.strip_prefix(&root).expect("it lies in src").into(), text });
            }
        }
    }
    assert!(files.len() > 50, "src is where it was");
    files
}

fn may_import(module: &str) -> &'static [&'static str] {
    let row = TABLE.iter().find(|(name, _)| *name == module);
    row.unwrap_or_else(|| panic!("the module `{module}` is missing in the table and in ARCHITECTURE.md")).1
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for file in source().iter().filter(|file| !file.is_test()) {
        let Some(module) = file.module() else { continue };
        let allowed = may_import(module);
        let modules = TABLE.iter().map(|(name, _)| *name);
        let known: BTreeSet<&str> = modules.filter(|name| *name != module).collect();
        for import in file.imports() {
            if known.contains(import.as_str()) && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports crate::{import}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_has_no_cycle() {
    // A module may import only rows above it, whatever else is listed.
    for (i, (module, allowed)) in TABLE.iter().enumerate() {
        let above: Vec<&str> = TABLE[..i].iter().map(|(name, _)| *name).collect();
        assert!(allowed.iter().all(|name| above.contains(name)), "{module}");
    }
}

#[test]
fn the_architecture_lists_every_module() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).expect("it is there");
    let modules: BTreeSet<String> = source().iter().filter_map(|file| file.module().map(str::to_owned)).collect();
    for module in modules {
        assert!(text.contains(&format!("| `{module}` |")), "ARCHITECTURE.md has no row for `{module}`");
    }
}

#[test]
fn long_files_say_why() {
    for file in source() {
        let lines = file.text.lines().count();
        let is_bin = file.path.starts_with("bin");
        let says_why = file.text.lines().take(30).any(|line| line.starts_with("// Long because "));
        assert!(!is_bin || lines <= MAX_BIN_LINES, "{} has {lines} lines: a binary is thin", file.path.display());
        assert!(lines <= MAX_LINES || says_why, "{} has {lines} lines and no reason", file.path.display());
        assert!(lines > MAX_LINES || !says_why, "{} is not long any more", file.path.display());
    }
}

#[test]
fn one_file_names_bincode() {
    let named: Vec<PathBuf> = source()
        .into_iter()
        .filter(|file| !file.is_test() && file.code().any(|line| line.contains("bincode")))
        .map(|file| file.path)
        .collect();
    assert_eq!(named, [PathBuf::from("wire/codec.rs")]);
}

#[test]
fn one_module_does_curve_arithmetic() {
    let named: BTreeSet<String> = source()
        .iter()
        .filter(|file| !file.is_test() && file.code().any(|line| line.contains("curve25519_dalek")))
        .filter_map(|file| file.module().map(str::to_owned))
        .collect();
    assert_eq!(Vec::from_iter(named), ["threshold"]);
}

#[test]
fn the_core_does_no_io() {
    for file in source().iter().filter(|file| !file.is_test()) {
        if file.module().is_some_and(|module| SANS_IO.contains(&module)) {
            for line in file.code() {
                let named = IO.iter().find(|word| line.contains(*word));
                assert!(named.is_none(), "{}: {line}", file.path.display());
            }
        }
    }
}

#[test]
fn unsafe_code_stands_in_three_places() {
    let words = ["unsafe_code", "unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    let unsafe_code =
        |file: &File| !file.is_test() && file.code().any(|line| words.iter().any(|word| line.contains(word)));
    let named: BTreeSet<PathBuf> = source().into_iter().filter(unsafe_code).map(|file| file.path).collect();
    let known = ["crypto/blake3_lanes/lanes.rs", "crypto/x25519/lanes/mod.rs", "store/lmdb.rs"];
    assert_eq!(named, known.into_iter().map(PathBuf::from).collect());
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "\
        //! [`crate::comment`]\n\
        use crate::alpha;\n\
        use crate::beta::{self, Thing};\n\
        use crate::{gamma, delta::{One, Two}, epsilon};\n\
        fn f(x: crate::zeta::X) { mixnet::eta::g(); other_crate::no(); $crate::no(); }\n\
        #[cfg(test)]\nmod tests {\n    use crate::theta;\n}\n";
    let file = File { path: "x/y.rs".into(), text: text.into() };
    assert_eq!(Vec::from_iter(file.imports()), ["alpha", "beta", "delta", "epsilon", "eta", "gamma", "zeta"],);
}
