//! Secrets in memory that the system is asked never to write to swap.

use zeroize::Zeroize;

use super::{Csprng, SecretKey};

/// A row of secrets, each erasable on its own, their pages locked where the system allows it.
///
/// Locking is best effort: a low `RLIMIT_MEMLOCK` must not keep a mix from running, and
/// [`LockedRow::is_locked`] says how it went. Every secret type clears itself on drop.
pub struct LockedRow<T: Zeroize> {
    slots: Box<[Option<T>]>,
    lock: Option<region::LockGuard>,
}

/// A row of private keys.
pub type LockedKeys = LockedRow<SecretKey>;

impl LockedKeys {
    /// Draws `count` keys.
    pub fn random(rng: &mut Csprng, count: usize) -> Self {
        let mut row = Self::empty(count);
        (0..count).for_each(|position| row.put(position, SecretKey::random(rng)));
        row
    }
}

impl<T: Zeroize> LockedRow<T> {
    /// `count` empty places. Locked before anything is put in, so that no secret was ever in an unlocked page of this
    /// row.
    pub fn empty(count: usize) -> Self {
        let slots: Box<[Option<T>]> = (0..count).map(|_| None).collect();
        let lock = region::lock(slots.as_ptr(), size_of_val(&*slots)).ok();
        Self { slots, lock }
    }

    /// Puts `secret` at `position`; what was there is erased. Beyond the end it is dropped.
    pub fn put(&mut self, position: usize, secret: T) {
        self.erase(position);
        if let Some(slot) = self.slots.get_mut(position) {
            *slot = Some(secret);
        }
    }

    /// The secret at `position`, unless it was erased or never was.
    pub fn get(&self, position: usize) -> Option<&T> {
        self.slots.get(position)?.as_ref()
    }

    /// Erases the secret at `position`; its bytes are overwritten.
    pub fn erase(&mut self, position: usize) {
        if let Some(slot) = self.slots.get_mut(position) {
            if let Some(secret) = slot.as_mut() {
                secret.zeroize();
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
