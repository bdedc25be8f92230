//! Where there are no lanes: the interface of `lanes`, of which nothing can be made.

use super::batch::Scalars;
use super::{Backend, PublicKey};

#[derive(Clone, Copy)]
pub(super) enum Lanes {}

impl Lanes {
    pub(super) fn of(_: Backend) -> Option<Self> {
        None
    }

    pub(super) fn count(self) -> usize {
        match self {}
    }

    pub(super) fn multiply(self, _: Scalars<'_>, _: &[PublicKey], _: &mut [[u8; 32]]) {
        match self {}
    }
}
