//! The place between a mix's engine and its links, where an experiment puts whoever has taken the mix over.
//!
//! In a released program it is empty, as is everything that this file adds to the driver.

use crate::mix::{Action, Event};

use super::engine::Engine;

#[cfg(any(test, feature = "sim"))]
pub(super) use taken::Intrusion;
#[cfg(any(test, feature = "sim"))]
pub use taken::{Deed, Intruder};

/// Nobody.
#[derive(Default)]
#[cfg(not(any(test, feature = "sim")))]
pub(super) struct Intrusion {}

#[cfg(not(any(test, feature = "sim")))]
impl Engine {
    /// What the engine wants done is done.
    pub(super) fn acts(&mut self, action: Action) {
        self.carry_out(action);
    }

    /// The engine hears what happens.
    pub(super) fn hears(&mut self, event: Event) -> Option<Event> {
        Some(event)
    }
}

#[cfg(any(test, feature = "sim"))]
mod taken {
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use tokio::sync::mpsc::WeakSender;

    use super::super::Disk;
    use super::super::engine::Input;
    use super::{Action, Engine, Event};
    use crate::mix::Mix;
    use crate::net::CloseReason;

    /// Whoever has taken a mix over: its engine runs on as the honest mix's would, and what goes between it and its links
    /// goes through here.
    pub trait Intruder: Send {
        /// The engine wants this done: what is done in its place.
        fn does(&mut self, mix: &Mix, disk: &Disk, action: Action) -> Vec<Deed>;

        /// This happens to the mix: what its engine hears of it, and what is done at once.
        fn hears(&mut self, mix: &Mix, disk: &Disk, event: Event) -> (Option<Event>, Vec<Deed>);
    }

    /// What an intruder does.
    pub enum Deed {
        /// What the engine might have wanted.
        Do(Box<Action>),
        /// Closes the link to the mix at this place, which is made anew.
        Cut(usize),
        /// These, after a while.
        Later(Duration, Vec<Deed>),
        /// Ends the process as kill -9 does.
        Die,
    }

    /// Who stands between the engine and its links, if anybody does, and the way back to the engine's task.
    #[derive(Default)]
    pub(in crate::node) struct Intrusion(pub Option<(Box<dyn Intruder>, WeakSender<Input>)>);

    impl Engine {
        /// What the engine wants done is done, or what whoever has taken the mix over makes of it.
        pub(in crate::node) fn acts(&mut self, action: Action) {
            match self.intrusion.0.as_mut() {
                None => self.carry_out(action),
                Some((intruder, _)) => {
                    let deeds = intruder.does(&self.mix, &self.disk, action);
                    self.misbehave(deeds);
                }
            }
        }

        /// What the engine hears of what happens.
        pub(in crate::node) fn hears(&mut self, event: Event) -> Option<Event> {
            let Some((intruder, _)) = self.intrusion.0.as_mut() else { return Some(event) };
            let (heard, deeds) = intruder.hears(&self.mix, &self.disk, event);
            self.misbehave(deeds);
            heard
        }

        pub(in crate::node) fn misbehave(&mut self, deeds: Vec<Deed>) {
            for deed in deeds {
                match deed {
                    Deed::Do(action) => self.carry_out(*action),
                    Deed::Cut(mix) => {
                        if let Some(peer) = self.peers.get(&mix) {
                            peer.connection.close(CloseReason::Done);
                        }
                    }
                    Deed::Die => {
                        // What was handed to other threads before may come to something, or not.
                        let _dead = kill(Pid::this(), Signal::SIGKILL);
                    }
                    Deed::Later(after, deeds) => {
                        let inputs = self.intrusion.0.as_ref().map(|(_, inputs)| inputs.clone());
                        tokio::spawn(async move {
                            tokio::time::sleep(after).await;
                            if let Some(inputs) = inputs.and_then(|inputs| inputs.upgrade()) {
                                let _ended = inputs.send(Input::Deeds(deeds)).await;
                            }
                        });
                    }
                }
            }
        }
    }
}
