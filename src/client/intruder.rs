//! The place between a client's engine and its links, where an experiment puts a malicious member. Empty in a released
//! program.

use crate::session::Action;

#[cfg(any(test, feature = "sim"))]
pub use member::Intruder;
#[cfg(any(test, feature = "sim"))]
pub(super) use member::Intrusion;

/// Nobody.
#[derive(Default)]
#[cfg(not(any(test, feature = "sim")))]
pub(super) struct Intrusion {}

#[cfg(not(any(test, feature = "sim")))]
impl Intrusion {
    /// What the engine wants done is done.
    pub(super) fn does(&mut self, action: Action) -> [Action; 1] {
        [action]
    }
}

#[cfg(any(test, feature = "sim"))]
mod member {
    use std::sync::Arc;

    use super::super::Disk;
    use super::Action;

    /// A malicious member: its engine runs on as an honest client's would.
    pub trait Intruder: Send {
        /// The engine wants this done: what is done in its place.
        fn does(&mut self, disk: &Disk, action: Action) -> Vec<Action>;
    }

    /// Who stands between the engine and its links, if anybody does.
    #[derive(Default)]
    pub(in crate::client) struct Intrusion(pub Option<(Box<dyn Intruder>, Arc<Disk>)>);

    impl Intrusion {
        /// What is done in place of what the engine wants.
        pub(in crate::client) fn does(&mut self, action: Action) -> Vec<Action> {
            match &mut self.0 {
                Some((intruder, disk)) => intruder.does(disk, action),
                None => vec![action],
            }
        }
    }
}
