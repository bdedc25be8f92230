//! Many independent trials, a few at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `work` made of each of `items`, in their order: on `threads` threads, one at least.
///
/// # Panics
/// If `work` does.
pub(super) fn each<T: Send, R: Send>(
    threads: usize,
    items: impl IntoIterator<Item = T, IntoIter: Send>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let (waiting, done) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::new()));
    // The lock is held for as long as this takes, not while there is work on what it gave.
    let next = || lock(&waiting).next();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some((place, item)) = next() {
                    let result = work(item);
                    lock(&done).push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// No invariant spans a panic in here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_what_they_are_made_of() {
        let slowest_first = |number: u64| {
            std::thread::sleep(std::time::Duration::from_millis(8 - number));
            number * number
        };
        for threads in [0, 1, 3, 20] {
            assert_eq!(each(threads, 0..8, slowest_first), [0, 1, 4, 9, 16, 25, 36, 49]);
        }
    }
}
