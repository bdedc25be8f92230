//! A short chaos on real processes, so that every change meets it; `mixlab chaos` runs as many seeds as there is time for.

use std::time::Duration;

use mixnet::sim::{Chaos, Profile};
use mixnet::testnet::Programs;
use tokio::sync::mpsc;

fn chaos(dir: &tempfile::TempDir) -> Chaos {
    Chaos {
        programs: Programs {
            mixnode: env!("CARGO_BIN_EXE_mixnode").into(),
            mixclient: env!("CARGO_BIN_EXE_mixclient").into(),
        },
        dir: dir.path().into(),
        seed: 1,
        seeds: 1,
        time: Duration::from_secs(10),
        clients: 3,
        mixes: 3,
        parallel: 1,
        profile: Profile::All,
        file: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_dies() {
    let dir = tempfile::tempdir().expect("a directory");
    let (say, mut said) = mpsc::unbounded_channel();
    let report = chaos(&dir).run(say).await;
    let mut lines = Vec::new();
    while let Ok(line) = said.try_recv() {
        lines.push(line);
    }
    let json = report.json();
    assert!(report.is_good(), "{json}\n{}", lines.join("\n"));
    // It has seen something: faults, and messages through them.
    assert!(json["accepted"].as_u64() > Some(3) && json["kills"].as_u64() > Some(0), "{json}");
    assert!(json["datagrams"]["dropped"].as_u64() > Some(0), "{json}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0, "what passed is deleted");
}
