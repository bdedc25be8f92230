use super::*;

const EXAMPLE: &str = include_str!("../../../config/network.example.yaml");
const HOME_EXAMPLE: &str = include_str!("../../../config/home.example.yaml");

/// The keys that a struct knows, as serde lists them for an unknown one.
fn known_keys(error: &str) -> Vec<String> {
    let list = error.split("the keys here are ").nth(1).and_then(|rest| rest.lines().next()).expect("a list");
    list.split([',', ' ', '`']).filter(|key| !key.is_empty()).map(Into::into).collect()
}

/// Lines that show a default: `#key: value`.
fn shown_defaults(text: &str) -> Vec<(usize, &str)> {
    let shown =
        |line: &str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
    text.lines().enumerate().filter(|(_, line)| shown(line)).collect()
}

/// `text` with the line at `index` in force.
fn in_force(text: &str, index: usize) -> String {
    let line = |(i, line): (usize, &str)| format!("{}\n", if i == index { &line[1..] } else { line });
    text.lines().enumerate().map(line).collect()
}

#[test]
fn the_example_has_every_key_and_shows_the_defaults() {
    let example = parse(EXAMPLE).expect("valid");
    let top = known_keys(&refusal("zzz", "1"));
    assert_eq!(top.len(), 27);
    for key in &top {
        let stands = |line: &str| line.trim_start_matches('#').starts_with(&format!("{key}:"));
        assert_eq!(EXAMPLE.lines().filter(|line| stands(line)).count(), 1, "{key}");
    }
    for (list, entry) in [("mixes", "[{zzz: 1}]"), ("clients", "[{zzz: 1}]"), ("mailboxes", "[{zzz: 1}]")] {
        for key in refusal(list, entry)
            .split("the keys here are ")
            .nth(1)
            .expect("a list")
            .lines()
            .next()
            .expect("a line")
            .split(", ")
        {
            assert!(EXAMPLE.contains(&format!("{key}: ")), "{list}: {key}");
        }
    }
    let defaults = shown_defaults(EXAMPLE);
    assert_eq!(defaults.len(), 20);
    for (index, line) in defaults {
        let changed = parse(&in_force(EXAMPLE, index)).expect(line);
        if line.starts_with("#mailboxes") {
            changed.mailboxes.expect("some")[0].letter_key.check().expect("a usable key");
            continue;
        }
        assert_eq!(changed.parameters().expect("valid"), example.parameters().expect("valid"), "{line}");
        assert_eq!(
            changed.keys_dir().components().collect::<Vec<_>>(),
            example.keys_dir().components().collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_example_of_a_home_has_every_setting_and_shows_the_defaults() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("mix-1");
    Home::init(&home, Role::Mix, "mix-1", None).expect("writable");
    let open = |text: &str| {
        std::fs::write(home.join("config.yaml"), text).expect("writable");
        Home::open::<&str, &str>(&home, []).expect(text)
    };
    let plain = open("id: mix-1\n");
    assert_eq!(open(HOME_EXAMPLE), plain);
    for key in SETTINGS {
        let stands = |line: &str| line.trim_start_matches('#').starts_with(&format!("{key}:"));
        assert_eq!(HOME_EXAMPLE.lines().filter(|line| stands(line)).count(), 1, "{key}");
    }
    let defaults = shown_defaults(HOME_EXAMPLE);
    assert_eq!(defaults.len(), SETTINGS.len() - 1);
    for (index, line) in defaults {
        let mut changed = open(&in_force(HOME_EXAMPLE, index));
        // `.` is the home under another spelling.
        changed.keys = changed.keys.components().collect();
        assert_eq!(changed, plain, "{line}");
    }
}

#[test]
fn the_test_network_has_its_defaults() {
    let p = NetworkFile::testnet().parameters().expect("valid");
    assert_eq!((p.payload, p.packets_per_client, p.round_ms, p.mix_delay_ms), (65_536, 4, 1000, (0, 50)));
    assert_eq!((p.min_share_permille, p.min_clients, p.start_clients, p.messages_per_round), (500, 2, 4, 16));
    assert_eq!(NetworkFile::testnet().mixes.len(), 3);
}
