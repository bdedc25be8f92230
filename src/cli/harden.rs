//! What a process that holds keys denies itself.

use nix::sys::resource::{Resource, setrlimit};

/// No core dump, and no other process of this user may read this one's memory: secrets are in it.
pub(super) fn harden() {
    // A kernel that knows neither still runs a network; whoever cares reads the log.
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core dumps cannot be turned off");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "the memory cannot be closed to other processes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardened_process_leaves_no_dump() {
        harden();
        let (soft, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_CORE).expect("a limit");
        assert_eq!((soft, hard), (0, 0));
        #[cfg(target_os = "linux")]
        assert!(!nix::sys::prctl::get_dumpable().expect("known"));
    }
}
