//! Private keys in memory that the system is asked never to write to swap.

use zeroize::Zeroize;

use super::{Csprng, SecretKey};

/// A row of private keys, each erasable on its own, their pages locked where the system allows it.
///
/// Locking is best effort: a low `RLIMIT_MEMLOCK` must not keep a mix from running, and
/// [`LockedKeys::is_locked`] says how it went.
pub struct LockedKeys {
    keys: Box<[Option<SecretKey>]>,
    lock: Option<region::LockGuard>,
}

impl LockedKeys {
    /// Draws `count` keys.
    pub fn random(rng: &mut Csprng, count: usize) -> Self {
        let mut keys: Box<[Option<SecretKey>]> = (0..count).map(|_| None).collect();
        let lock = region::lock(keys.as_ptr(), size_of_val(&*keys)).ok();
        // Filled only now, so that no key was ever in an unlocked page of this row.
        keys.iter_mut().for_each(|key| *key = Some(SecretKey::random(rng)));
        Self { keys, lock }
    }

    /// The key at `position`, unless it was erased or never was.
    pub fn get(&self, position: usize) -> Option<&SecretKey> {
        self.keys.get(position)?.as_ref()
    }

    /// Erases the key at `position`; its bytes are overwritten.
    pub fn erase(&mut self, position: usize) {
        if let Some(slot) = self.keys.get_mut(position) {
            if let Some(key) = slot.as_mut() {
                key.zeroize();
            }
            *slot = None;
        }
    }

    /// Whether the pages are locked.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn an_erased_key_is_gone_and_the_others_stay() {
        let mut keys = LockedKeys::random(&mut Csprng::seed_from_u64(1), 3);
        let last = *keys.get(2).expect("drawn").expose();
        keys.erase(1);
        keys.erase(1);
        keys.erase(9);
        assert!(keys.get(0).is_some() && keys.get(1).is_none() && keys.get(3).is_none());
        assert_eq!(*keys.get(2).expect("kept").expose(), last);
    }
}
