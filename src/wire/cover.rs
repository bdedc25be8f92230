//! What hides how many letters a mailbox gets, as far as all in a network must agree on it.

use crate::crypto::MailboxId;

use super::Layout;

/// Nobody's mailbox, of no capability: what is addressed to it the exit drops, where dummies are [`DummyPolicy::Dropped`].
pub const NOWHERE: MailboxId = MailboxId([0; 16]);

/// What each mix draws how much noise it adds to a round from, once for each; never more than `noise_packets`, for whatever
/// lies beyond them becomes `noise_packets`. Means and scales are in thousandths of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NoiseLaw {
    /// `noise_packets` in every round.
    #[default]
    Constant,
    /// Nothing.
    None,
    /// Poisson's distribution.
    Poisson {
        /// Its mean.
        mean: u32,
    },
    /// Laplace's distribution, rounded to the nearest whole number; what lies below zero becomes zero.
    Laplace {
        /// Its middle.
        mean: u32,
        /// Its scale, 0.71 of its standard deviation.
        scale: u32,
    },
}

impl NoiseLaw {
    /// The mean before anything is cut off, in thousandths, of a network whose mixes add at most `most`.
    pub fn mean(self, most: u32) -> u64 {
        match self {
            Self::Constant => u64::from(most) * 1000,
            Self::None => 0,
            Self::Poisson { mean } | Self::Laplace { mean, .. } => mean.into(),
        }
    }

    /// Kind, mean, scale; zero where the kind has none.
    pub(super) fn lay_out(self, layout: Layout) -> Layout {
        let (kind, mean, scale) = match self {
            Self::Constant => (0, 0, 0),
            Self::None => (1, 0, 0),
            Self::Poisson { mean } => (2, mean, 0),
            Self::Laplace { mean, scale } => (3, mean, scale),
        };
        layout.u8(kind).u32(mean).u32(scale)
    }

    /// As it stands in vectors.
    #[cfg(test)]
    pub(crate) fn json(self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::Constant => json!("Constant"),
            Self::None => json!("None"),
            Self::Poisson { mean } => json!({ "Poisson": { "mean": mean } }),
            Self::Laplace { mean, scale } => json!({ "Laplace": { "mean": mean, "scale": scale } }),
        }
    }
}

/// Where clients address their dummies to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DummyPolicy {
    /// Each to a mailbox drawn uniformly from all.
    #[default]
    Uniform,
    /// [`NOWHERE`]: nobody polls them, and the exit sees how many messages every mailbox gets.
    Dropped,
    /// To the client's own mailbox: the exit sees in which rounds an owner has sent something. No network file may say so; it is what
    /// experiments must notice.
    Own,
}

impl DummyPolicy {
    pub(super) fn lay_out(self, layout: Layout) -> Layout {
        layout.u8(match self {
            Self::Uniform => 0,
            Self::Dropped => 1,
            Self::Own => 2,
        })
    }

    /// As it stands in vectors.
    #[cfg(test)]
    pub(crate) fn json(self) -> serde_json::Value {
        format!("{self:?}").into()
    }
}
