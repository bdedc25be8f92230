//! Public checks that simulations do once.
//!
//! There one thread plays every party, and each of them verifies the same signatures and proofs. A check is a function of public
//! bytes alone, so doing it once for all of them changes nothing but how long an experiment takes. A released program
//! remembers nothing.

#[cfg(any(test, feature = "sim"))]
use std::{cell::RefCell, collections::HashMap};

/// Outcomes kept, 33 bytes each; beyond it all are forgotten, and found anew.
#[cfg(any(test, feature = "sim"))]
const KEPT: usize = 1 << 16;

#[cfg(any(test, feature = "sim"))]
thread_local! {
    static OUTCOMES: RefCell<Option<HashMap<[u8; 32], bool>>> = const { RefCell::new(None) };
}

/// From now on this thread does no check of the same bytes twice.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn remember_checks() {
    OUTCOMES.with_borrow_mut(|outcomes| _ = outcomes.get_or_insert_default());
}

/// What `check`, a function of nothing but `parts`, says.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn remembered(parts: &[&[u8]], check: impl FnOnce() -> bool) -> bool {
    OUTCOMES.with_borrow_mut(|outcomes| {
        let Some(outcomes) = outcomes else { return check() };
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        if outcomes.len() == KEPT {
            outcomes.clear();
        }
        *outcomes.entry(*hasher.finalize().as_bytes()).or_insert_with(check)
    })
}

/// What `check` says.
#[cfg(not(any(test, feature = "sim")))]
pub(crate) fn remembered(_parts: &[&[u8]], check: impl FnOnce() -> bool) -> bool {
    check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_done_once_for_its_bytes_and_again_for_any_others() {
        // On a thread of its own: others remember nothing.
        let asked = std::thread::spawn(|| {
            let mut asked = Vec::new();
            let mut ask = |parts: &[&[u8]], says| {
                remembered(parts, || {
                    asked.push(says);
                    says
                })
            };
            assert!(ask(&[b"ab", b"c"], true));
            assert!(!ask(&[b"ab", b"c"], false), "nothing is remembered yet");
            remember_checks();
            assert!(ask(&[b"ab", b"c"], true));
            assert!(ask(&[b"ab", b"c"], false), "what was found first");
            assert!(!ask(&[b"a", b"bc"], false), "the same bytes, parted elsewhere");
            asked
        });
        assert_eq!(asked.join().expect("it ends well"), [true, false, true, false]);
    }
}
