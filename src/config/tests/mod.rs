mod examples;
mod homes;
mod keys;

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::wire::{DummyPolicy, NoiseLaw};

const SMALL: &str = "network: n\nmin_clients: 2\nround_seconds: 1\npayload: 256\npackets_per_client: 2\n\
    mixes: [{id: m1, address: 'a:1'}, {id: m2, address: 'a:2'}]\nclients: [{id: c1}, {id: c2}, {id: c3}]\n";

fn parse(text: &str) -> Result<NetworkFile, String> {
    NetworkFile::parse(text, Path::new("dir/network.yaml")).map_err(|error| error.to_string())
}

/// `SMALL` with another value for a key.
fn with(key: &str, value: &str) -> String {
    let kept: String =
        SMALL.lines().filter(|line| !line.starts_with(&format!("{key}:"))).map(|l| format!("{l}\n")).collect();
    format!("{kept}{key}: {value}\n")
}

fn refusal(key: &str, value: &str) -> String {
    parse(&with(key, value)).expect_err(value)
}

#[test]
fn defaults_follow_from_the_rest() {
    let p = parse(SMALL).expect("valid").parameters().expect("valid");
    assert_eq!((p.messages_per_round, p.start_clients, p.min_clients), (6, 3, 2));
    assert_eq!((p.round_ms, p.submit_ms, p.mix_delay_ms), (1000, 800, (0, 50)));
    assert_eq!((p.min_share_permille, p.epoch_rounds, p.verdict_rounds), (900, 60, 5));
    assert_eq!((p.noise_packets, p.poll_letters, p.mailbox_letters, p.retention_epochs), (2, 10, 65_536, 1440));
    assert_eq!((p.noise, p.dummies), (NoiseLaw::Constant, DummyPolicy::Uniform));
    assert_eq!((p.history_rounds, p.threshold, p.sealed), (16_384, 2, true));
    assert_eq!((p.max_message, p.dummy_payload), (64 << 20, Vec::new()));
}

#[test]
fn a_typo_is_marked_and_the_right_key_named() {
    let error = refusal("paylod", "3");
    assert!(error.contains("dir/network.yaml:8:1"), "{error}");
    assert!(error.contains("8 | paylod: 3\n  | ^"), "{error}");
    assert!(error.ends_with("help: did you mean `payload`?"), "{error}");
}

#[test]
fn what_is_not_the_right_yaml_is_refused_where_it_stands() {
    let refused = [
        (with("dummies", "all"), "unknown variant `all`"),
        (with("noise", "loud"), "unknown variant `loud`"),
        (with("noise", "{poisson: {scale: 3}}"), "unknown field `scale`"),
        (with("noise", "{laplace: {mean: 3}}"), "missing field `scale`"),
        (with("colour", "blue"), "unknown field `colour`"),
        (with("payload", "64 KiB"), "| payload: 64 KiB"),
        (with("payload", "-1"), "| payload: -1"),
        (with("mix_delay_ms", "[1, 2, 3]"), "| mix_delay_ms: [1, 2, 3]"),
        (with("clients", "[{id: c1, identity: 00ff}]"), "64 hexadecimal digits"),
        (with("clients", "[{id: c1, owner: me}]"), "unknown field `owner`"),
        (with("mailboxes", "[{id: 00, letter_key: 00, owner: me}]"), "32 hexadecimal digits"),
        (format!("{SMALL}payload: 256\n"), "duplicate"),
        (SMALL.replace("payload: 256\n", ""), "missing field `payload`"),
        (with("dummy_payload", "&a x"), "anchor"),
        (String::new(), "dir/network.yaml"),
        ("- a\n".into(), "| - a"),
        (with("\"\\e[2Jx\"", "1"), "unknown field"),
    ];
    for (text, part) in refused {
        let error = parse(&text).expect_err(&text);
        assert!(error.contains(part) && error.contains("\nhelp: "), "{part}: {error}");
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}

#[test]
fn every_number_out_of_range_is_named_marked_and_given_a_value() {
    let refused = [
        ("messages_per_round", "0"),
        ("start_clients", "1"),
        ("min_clients", "1"),
        ("min_share", "1.5"),
        ("min_share", "-0.1"),
        ("min_share", ".nan"),
        ("round_seconds", "0.009"),
        ("round_seconds", "86401"),
        ("round_seconds", ".inf"),
        ("round_seconds", ".nan"),
        ("round_seconds", "-1"),
        ("submit_seconds", "0"),
        ("mix_delay_ms", "[0, 86400001]"),
        ("payload", "255"),
        ("payload", "4194305"),
        ("payload", "99999999999"),
        ("packets_per_client", "0"),
        ("packets_per_client", "16385"),
        ("noise_packets", "4097"),
        ("max_message", "0"),
        ("max_message", "4294967296"),
        ("epoch_rounds", "0"),
        ("epoch_rounds", "241"),
        ("verdict_rounds", "0"),
        ("verdict_rounds", "241"),
        ("retention_epochs", "0"),
        ("retention_epochs", "1000001"),
        ("poll_letters", "0"),
        ("poll_letters", "65537"),
        ("mailbox_letters", "0"),
        ("mailbox_letters", "16777217"),
        ("history_rounds", "0"),
        ("history_rounds", "1048577"),
        ("threshold", "1"),
        ("threshold", "8"),
    ];
    for (key, value) in refused {
        let error = refusal(key, value);
        assert!(error.starts_with(&format!("error: `{key}` is ")), "{error}");
        assert!(
            error.contains(&format!("8 | {key}: {value}\n")) || error.contains(&format!(" | {key}: {value}\n")),
            "{error}"
        );
        assert!(error.contains("^\nhelp: write "), "{error}");
        assert_eq!(error.matches("error: ").count(), 1, "{error}");
        // The value that the message gives is one that works.
        let advice = error.split(&format!("`{key}: ")).nth(1).and_then(|rest| rest.split('`').next()).expect("advice");
        let text = with(key, advice);
        let fits = parse(&text).is_ok() || key == "messages_per_round" || advice == "5";
        assert!(fits, "{text}: {:?}", parse(&text));
    }
}

#[test]
fn contradictions_are_named() {
    let refused = [
        ("network", "''", "`network` is not a name"),
        ("network", "\"a\\tb\"", "`network` is not a name"),
        ("mixes", "[{id: m1, address: 'a:1'}]", "there are 1 mixes"),
        ("mailboxes", "[]", "there are 0 mailboxes"),
        ("start_clients", "4", "`start_clients: 3`"),
        ("min_clients", "4", "`min_clients: 3`"),
        ("messages_per_round", "3", "`messages_per_round: 4`"),
        ("submit_seconds", "1.5", "`submit_seconds: 0.8`"),
        ("mix_delay_ms", "[9, 3]", "`mix_delay_ms: [3, 9]`"),
        ("mix_delay_ms", "[0, 1001]", "`mix_delay_ms: [0, 1000]`"),
        ("dummy_payload", &"x".repeat(257), "`payload: 257`"),
        ("dummies", "self", "`dummies: uniform`"),
        ("noise", "{poisson: {mean: 2.001}}", "`noise_packets: 5`"),
        ("noise", "{laplace: {mean: 3000, scale: 1}}", "`noise_packets: 4096`"),
        ("noise", "{laplace: {mean: 0, scale: 1}}", "`mean` is 0, not 0.001 to 4096"),
        ("noise", "{laplace: {mean: 1, scale: .nan}}", "`scale` is NaN, not 0.001 to 4096"),
        ("poll_letters", "3", "cover and noise alone bring 3 letters a round"),
        ("poll_letters", "2", "`poll_letters: 10`"),
        ("mailbox_letters", "3", "`mailbox_letters: 65536`"),
        ("history_rounds", "3839", "`history_rounds: 3840`"),
        ("threshold", "3", "`threshold: 2`"),
        ("clients", "[{id: ../c1}, {id: c2}]", "`../c1` is not an id"),
        ("clients", "[{id: ''}, {id: c2}]", "`` is not an id"),
        ("clients", "[{id: -c}, {id: c2}]", "`-c` is not an id"),
        ("clients", "[{id: m1}, {id: c2}]", "`m1` is the id of two"),
        ("mixes", "[{id: m1, address: 'a:1'}, {id: m2, address: 'a:1'}]", "address of two"),
    ];
    for (key, value, part) in refused {
        let error = refusal(key, value);
        assert!(error.contains(part) && error.contains("\nhelp: "), "{part}: {error}");
    }
    let start = format!("{SMALL}start_clients: 2\n").replace("min_clients: 2", "min_clients: 3");
    assert!(parse(&start).expect_err("start below min").contains("`start_clients: 3`"));
    for address in ["a", "a:", ":1", "a:0", "a:65536", "a:+1", "::1:5", "[::g]:5", "a b:5", "a/b:5"] {
        let error = refusal("mixes", &format!("[{{id: m1, address: '{address}'}}, {{id: m2, address: 'a:2'}}]"));
        assert!(error.contains("is not an address"), "{error}");
    }
    parse(&with("mixes", "[{id: m1, address: '[::1]:5'}, {id: m2, address: 'a-b.c:5'}]")).expect("valid addresses");
    let crowd: String = (0..2000).map(|i| format!("  - {{id: c{i}}}\n")).collect();
    let text = format!("{}clients:\n{crowd}", SMALL.replace("packets_per_client: 2", "packets_per_client: 16384"))
        .replace("clients: [{id: c1}, {id: c2}, {id: c3}]\n", "");
    assert!(parse(&text).expect_err("too many packets").contains("`packets_per_client: 8388`"));
}

#[test]
fn dummies_go_where_the_file_says() {
    for (line, policy) in [("uniform", DummyPolicy::Uniform), ("dropped", DummyPolicy::Dropped)] {
        assert_eq!(parse(&with("dummies", line)).expect(line).parameters().expect("valid").dummies, policy);
    }
}

#[test]
fn noise_is_what_the_file_says_in_thousandths() {
    for (line, law) in [
        ("constant", NoiseLaw::Constant),
        ("none", NoiseLaw::None),
        ("{poisson: {mean: 40}}", NoiseLaw::Poisson { mean: 40_000 }),
        ("{laplace: {mean: 70.5, scale: 0.001}}", NoiseLaw::Laplace { mean: 70_500, scale: 1 }),
        ("\n  laplace: {mean: 100, scale: 15}", NoiseLaw::Laplace { mean: 100_000, scale: 15_000 }),
    ] {
        let file = parse(&with("noise_packets", &format!("100\nnoise: {line}"))).expect(line);
        assert_eq!(file.parameters().expect("valid").noise, law);
        assert_eq!(parse(&file.to_yaml()).expect("its own text").parameters().expect("valid").noise, law);
    }
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let error = refusal("round_seconds", "0.001\nepoch_rounds: 0\nmin_share: 2");
    assert_eq!(error.matches("\nhelp: ").count(), 3, "{error}");
}

proptest! {
    #[test]
    fn any_text_is_refused_or_taken_without_a_panic(text in "\\PC*") {
        let _ = parse(&text);
        let _ = text.parse::<Contact>();
        let source = source::Source::new(Path::new("config.yaml"), &text).expect("short");
        let _ = source.parse::<Settings>();
        let _ = source.place(&text);
    }

    #[test]
    fn any_value_for_a_key_is_refused_or_taken_without_a_panic(
        key in prop::sample::select(vec![
            "network", "messages_per_round", "start_clients", "min_clients", "min_share", "round_seconds",
            "submit_seconds", "mix_delay_ms", "payload", "packets_per_client", "noise_packets", "noise", "dummies", "dummy_payload", "max_message",
            "epoch_rounds", "verdict_rounds", "retention_epochs", "poll_letters", "mailbox_letters", "history_rounds", "threshold", "sealed", "keys_dir",
            "mixes", "clients", "mailboxes",
        ]),
        value in prop_oneof![
            "[-+0-9.e_]{1,24}", "\\[[0-9]{1,20}, ?[0-9]{1,20}\\]", "[\\[\\]{}&*!|>'\":, a-z\n-]{0,40}",
            any::<f64>().prop_map(|x| x.to_string()), any::<u64>().prop_map(|x| x.to_string()),
        ],
    ) {
        if let Ok(file) = parse(&with(key, &value)) {
            let p = file.parameters().expect("it was checked");
            prop_assert!(p.min_clients >= 2 && p.submit_ms <= p.span_ms() && p.mix_delay_ms.1 <= p.span_ms());
            prop_assert!(p.poll_letters > p.packets_per_client && p.min_share_permille <= 1000);
            prop_assert_eq!(parse(&file.to_yaml()).expect("its own text").parameters().expect("valid"), p);
        }
    }
}
