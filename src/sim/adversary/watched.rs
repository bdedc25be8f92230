//! An honest mix as a process that says in a journal what leaves it, and dies where a trap is set.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::mix::{Action, Event, Mix};
use crate::node;
use crate::sim::kills::{Moment, Trap};

use super::journal::Journal;

/// How long it takes until what a mix has said has left it.
const DONE: Duration = Duration::from_millis(5);

/// An honest mix that is watched.
pub(in crate::sim) struct Watched {
    trap: PathBuf,
    journal: Journal,
}

impl Watched {
    /// Where a trap is set: a file in the home that names the moment, and whether to die after it.
    const TRAP: &str = "trap";

    pub(super) fn new(home: &Path, journal: Journal) -> Self {
        Self { trap: home.join(Self::TRAP), journal }
    }

    /// Sets a trap for the mix of this home.
    pub(in crate::sim) fn set_trap(home: &Path, trap: Trap) -> io::Result<()> {
        let when = if trap.after { "after" } else { "before" };
        // Whole or not at all.
        let draft = home.join("trap.new");
        std::fs::write(&draft, format!("{} {when}", trap.moment.name()))?;
        std::fs::rename(draft, home.join(Self::TRAP))
    }

    /// Takes the trap away; whether it was still there.
    pub(in crate::sim) fn take_trap(home: &Path) -> bool {
        std::fs::remove_file(home.join(Self::TRAP)).is_ok()
    }

    /// Whether to die at this moment, and then after it. The trap is gone then.
    fn dies_at(&self, moment: Moment) -> Option<bool> {
        let set = std::fs::read_to_string(&self.trap).ok()?;
        let (name, when) = set.split_once(' ')?;
        (name == moment.name() && std::fs::remove_file(&self.trap).is_ok()).then(|| when == "after")
    }
}

impl node::Intruder for Watched {
    fn does(&mut self, _mix: &Mix, _disk: &node::Disk, action: Action) -> Vec<node::Deed> {
        let Some((moment, round)) = Moment::of(&action) else { return vec![node::Deed::Do(Box::new(action))] };
        let dies = self.dies_at(moment);
        if dies == Some(false) {
            return vec![node::Deed::Die];
        }
        // First the word, then the deed: what has left the mix is in the journal whatever happens.
        match moment {
            Moment::Release => self.journal.note(&json!({ "released": round })),
            Moment::Publish => self.journal.note(&json!({ "published": round })),
            _ => {}
        }
        let mut deeds = vec![node::Deed::Do(Box::new(action))];
        if dies == Some(true) {
            deeds.push(node::Deed::Later(DONE, vec![node::Deed::Die]));
        }
        deeds
    }

    fn hears(&mut self, _mix: &Mix, _disk: &node::Disk, event: Event) -> (Option<Event>, Vec<node::Deed>) {
        (Some(event), Vec::new())
    }
}
