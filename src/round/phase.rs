//! The phases of a round.

/// Where a round stands at one mix.
///
/// List, Echo, Confirm and Open are the places of sealed rounds: list follows collecting, echo and confirm follow
/// forwarding, and nothing opens before every confirm is in. Until they are built a round passes them at once.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// The entry takes submissions; another mix takes in its batch.
    Collect,
    /// Who is in is settled.
    List,
    /// Packets are peeled and shuffled; the mix delay runs.
    Mix,
    /// The batch is on its way to the next mix, or was taken by it.
    Forward,
    /// Echoes travel back.
    Echo,
    /// Mixes confirm one transcript.
    Confirm,
    /// The exit opens envelopes and stores letters.
    Open,
    /// The verdict is being signed.
    Verdict,
}

impl Phase {
    /// The word in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Collect => "collect",
            Phase::List => "list",
            Phase::Mix => "mix",
            Phase::Forward => "forward",
            Phase::Echo => "echo",
            Phase::Confirm => "confirm",
            Phase::Open => "open",
            Phase::Verdict => "verdict",
        }
    }
}
