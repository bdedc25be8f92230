//! What evidence says: who is guilty of what.

use std::fmt;

use crate::wire::Slot;

/// What verified evidence proves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The round; 0 of two epoch documents, which are of none.
    pub slot: Slot,
    /// Who did it.
    pub guilty: Guilty,
    /// What was done.
    pub offence: Offence,
}

/// A party that signed something which no honest party signs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Guilty {
    /// A client, by its roster index.
    Client(u32),
    /// A mix, by its hop from 1.
    Mix(u8),
}

/// What no honest party does. Hops count from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Offence {
    /// A client's packet does not open at `hop`.
    Layer {
        /// Where it does not open.
        hop: u8,
    },
    /// A client has committed to another echo than its packet causes.
    Commitment,
    /// A mix has not handed on a packet that it took in.
    Dropped,
    /// A mix has signed a batch header that does not fit what it took in.
    Header,
    /// A mix has handed on noise of its own that does not open, or says that something else was its noise.
    Noise,
    /// A mix has handed back another echo than the one that its packet causes.
    Echo,
    /// A mix has accused others of what its own published key shows to be right.
    FalseAccusation,
    /// A mix has signed two statements where there is place for one.
    Equivocation,
    /// A mix has confirmed what is signed by nobody, or another transcript than what it shows for it makes.
    Confirm,
    /// A mix has released another share than the one that it had committed to.
    Share,
    /// A mix has dealt another sub-share than the one that it had committed to.
    SubShare,
}

impl Offence {
    /// The word in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Offence::Layer { .. } => "layer",
            Offence::Commitment => "commitment",
            Offence::Dropped => "dropped",
            Offence::Header => "header",
            Offence::Noise => "noise",
            Offence::Echo => "echo",
            Offence::FalseAccusation => "false_accusation",
            Offence::Equivocation => "equivocation",
            Offence::Confirm => "confirm",
            Offence::Share => "share",
            Offence::SubShare => "sub_share",
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offence::Layer { hop } => write!(f, "it signed for a packet that does not open at mix {hop}"),
            Offence::Commitment => f.write_str("it committed to another echo than its packet causes"),
            Offence::Dropped => f.write_str("it did not hand on a packet that it took in"),
            Offence::Header => f.write_str("it signed a batch header that does not fit what it took in"),
            Offence::Noise => f.write_str("the noise that it says it added does not open, or is none of its own"),
            Offence::Echo => f.write_str("it handed back another echo than its packet causes"),
            Offence::FalseAccusation => f.write_str("it accused others of a fault that is not there"),
            Offence::Equivocation => f.write_str("it signed two different statements where only one can be true"),
            Offence::Confirm => f.write_str("it confirmed a round that nobody's signatures make"),
            Offence::Share => f.write_str("it released another share than the one that it had committed to"),
            Offence::SubShare => f.write_str("it dealt another sub-share than the one that it had committed to"),
        }
    }
}
