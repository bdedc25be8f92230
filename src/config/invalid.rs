//! What is wrong with the values of a network file, and what to write instead.

use crate::wire::CHAIN_KEPT;

use super::limits::{MAX_CLIENTS, MAX_NETWORK_BYTES, MAX_ROUND_PACKETS};

/// A rule that a network file breaks: what is wrong, and behind `help:` what to write instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A number is out of its range.
    #[error("`{key}` is {given}, not {least} to {most}\nhelp: write for example `{key}: {write}`")]
    Range {
        /// The key.
        key: &'static str,
        /// The value in the file.
        given: String,
        /// The least allowed.
        least: String,
        /// The greatest allowed.
        most: String,
        /// A sensible value.
        write: String,
    },
    /// The network's name is empty, too long, or not printable ASCII.
    #[error(
        "`network` is not a name\nhelp: write 1 to {MAX_NETWORK_BYTES} printable ASCII characters, `network: my-network`"
    )]
    Network,
    /// An id is unsafe as a file name or an argument.
    #[error("`{}` is not an id\nhelp: use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit", shown(.0))]
    Id(String),
    /// Two mixes or clients have one id.
    #[error("`{}` is the id of two\nhelp: give every mix and every client an id of its own", shown(.0))]
    IdTwice(String),
    /// Not `host:port`.
    #[error("`{}` is not an address\nhelp: write `address: HOST:PORT`, an IPv6 host in brackets, a port from 1 to 65535", shown(.0))]
    Address(String),
    /// Two mixes have one address.
    #[error("`{}` is the address of two mixes\nhelp: give every mix a host or port of its own", shown(.0))]
    AddressTwice(String),
    /// The number of mixes is out of range.
    #[error("there are {0} mixes, not 2 to 7\nhelp: list 3 under `mixes`; one honest mix is enough, one mix is not")]
    Mixes(usize),
    /// More clients than a network can have.
    #[error("there are {0} clients, more than {MAX_CLIENTS}\nhelp: make two networks")]
    TooManyClients(usize),
    /// `mailboxes` is there and empty, or too long.
    #[error(
        "there are {0} mailboxes, not 1 to {MAX_CLIENTS}\nhelp: list every mailbox, or leave `mailboxes` out to take the files of `keys_dir`"
    )]
    Mailboxes(usize),
    /// A threshold that can never be reached.
    #[error(
        "`{key}` is {given}, but there are {clients} clients\nhelp: write at most `{key}: {clients}`, or list more `clients`"
    )]
    MoreThanClients {
        /// The key.
        key: &'static str,
        /// The value in the file.
        given: u64,
        /// The number of clients.
        clients: u64,
    },
    /// The network would start with rounds that can only abort.
    #[error(
        "`start_clients` is {start}, below `min_clients` ({min}): the first rounds could only abort\nhelp: write `start_clients: {min}` or more"
    )]
    StartBelowMinimum {
        /// `start_clients`.
        start: u32,
        /// `min_clients`.
        min: u32,
    },
    /// A round would close before it holds enough clients.
    #[error(
        "`messages_per_round` is {given}, less than `min_clients` clients send\nhelp: write `messages_per_round: {least}` or more, or leave it out"
    )]
    ClosesTooEarly {
        /// `messages_per_round`.
        given: u32,
        /// `min_clients` times `packets_per_client`.
        least: u64,
    },
    /// More packets in a round than counts can hold.
    #[error(
        "`packets_per_client` is {given}: {clients} clients and the noise of the mixes are more than {MAX_ROUND_PACKETS} packets a round\nhelp: write at most `packets_per_client: {most}`"
    )]
    TooManyPackets {
        /// `packets_per_client`.
        given: u32,
        /// The number of clients.
        clients: u64,
        /// The most for so many clients.
        most: u64,
    },
    /// Submissions would be taken after the round.
    #[error("`submit_seconds` is {} s, longer than the round of {} s\nhelp: write `submit_seconds: {}`, or leave it out", seconds(*submit_ms), seconds(*round_ms), seconds(round_ms * 4 / 5))]
    SubmitBeyondRound {
        /// `submit_seconds` in milliseconds.
        submit_ms: u32,
        /// `round_seconds` in milliseconds.
        round_ms: u32,
    },
    /// The lower bound of the delay is above the upper.
    #[error("`mix_delay_ms` goes from {0} down to {1}\nhelp: write `mix_delay_ms: [{1}, {0}]`")]
    DelayOrder(u32, u32),
    /// A mix would still wait when the next round comes.
    #[error(
        "`mix_delay_ms` goes up to {hi} ms, beyond the round of {round_ms} ms\nhelp: write at most `mix_delay_ms: [0, {round_ms}]`, or longer rounds"
    )]
    DelayBeyondRound {
        /// The upper bound.
        hi: u32,
        /// `round_seconds` in milliseconds.
        round_ms: u32,
    },
    /// A dummy's content does not fit into a packet.
    #[error(
        "`dummy_payload` has {bytes} bytes, more than `payload` ({payload})\nhelp: shorten it, or write `payload: {bytes}` or more"
    )]
    DummyTooLong {
        /// Its length.
        bytes: usize,
        /// `payload`.
        payload: u32,
    },
    /// Dummies would tell the exit in which rounds each client has something to say.
    #[error(
        "`dummies: self` shows the exit who sends in which round, and to whom\nhelp: write `dummies: uniform`, or leave it out"
    )]
    DummiesToSelf,
    /// Noise would be cut off where it should have its middle.
    #[error(
        "`noise` has a mean of {mean}, but `noise_packets` lets a mix add {most}\nhelp: write `noise_packets: {}` or more, so that little is cut off", (2.0 * mean).ceil().min(4096.0)
    )]
    NoiseBeyondMost {
        /// Of the law.
        mean: f64,
        /// `noise_packets`.
        most: u32,
    },
    /// Cover and noise alone would fill a mailbox faster than its owner can empty it.
    #[error("`poll_letters` is {given}, but cover and noise alone bring {cover} letters a round\nhelp: write `poll_letters: {}`, or leave it out", 3 * cover + 1)]
    PollBelowCover {
        /// `poll_letters`.
        given: u32,
        /// `packets_per_client` and a mailbox's part of all noise.
        cover: u64,
    },
    /// A mailbox holds less than one answer.
    #[error("`mailbox_letters` is {given}, less than `poll_letters` ({poll})\nhelp: write `mailbox_letters: 65536`")]
    MailboxBelowPoll {
        /// `mailbox_letters`.
        given: u32,
        /// `poll_letters`.
        poll: u32,
    },
    /// More mixes than there are would have to open a round.
    #[error("`threshold` is {given}, but there are {mixes} mixes\nhelp: write `threshold: {mixes}`, or leave it out")]
    ThresholdBeyondMixes {
        /// `threshold`.
        given: u32,
        /// The number of mixes.
        mixes: usize,
    },
    /// A round's document would be kept longer than its verdict.
    #[error(
        "`history_rounds` is {given}, less than {CHAIN_KEPT} epochs\nhelp: write `history_rounds: {least}` or more"
    )]
    ShortHistory {
        /// `history_rounds`.
        given: u32,
        /// [`CHAIN_KEPT`] times `epoch_rounds`.
        least: u64,
    },
}

impl Invalid {
    /// The key or value to look for in the source.
    pub(super) fn key(&self) -> String {
        let key: &str = match self {
            Self::Range { key, .. } | Self::MoreThanClients { key, .. } => key,
            Self::Id(text) | Self::IdTwice(text) | Self::Address(text) | Self::AddressTwice(text) => text,
            Self::Network => "network",
            Self::Mixes(_) => "mixes",
            Self::TooManyClients(_) => "clients",
            Self::Mailboxes(_) => "mailboxes",
            Self::StartBelowMinimum { .. } => "start_clients",
            Self::ClosesTooEarly { .. } => "messages_per_round",
            Self::TooManyPackets { .. } => "packets_per_client",
            Self::SubmitBeyondRound { .. } => "submit_seconds",
            Self::DelayOrder(..) | Self::DelayBeyondRound { .. } => "mix_delay_ms",
            Self::DummyTooLong { .. } => "dummy_payload",
            Self::DummiesToSelf => "dummies",
            Self::NoiseBeyondMost { .. } => "noise",
            Self::PollBelowCover { .. } => "poll_letters",
            Self::MailboxBelowPoll { .. } => "mailbox_letters",
            Self::ThresholdBeyondMixes { .. } => "threshold",
            Self::ShortHistory { .. } => "history_rounds",
        };
        key.to_owned()
    }
}

/// Text from a file, short and without control characters: a message may be on a terminal.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

fn seconds(ms: u32) -> f64 {
    f64::from(ms) / 1000.0
}
