//! Many independent trials, a few at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

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

/// What became of `trials`, which are tasks, in the order in which they ended: `at_a_time`, one at least. Each is shown as it comes; one that
/// panics is missing. Dropped, it drops them.
pub(super) async fn tasks<T: Send + 'static>(
    at_a_time: usize,
    trials: impl IntoIterator<Item: Future<Output = T> + Send + 'static>,
    show: impl Fn(&T),
) -> Vec<T> {
    let places = Arc::new(Semaphore::new(at_a_time.max(1)));
    let mut running = JoinSet::new();
    for trial in trials {
        let places = places.clone();
        running.spawn(async move {
            let _place = places.acquire_owned().await.expect("nobody closes it");
            trial.await
        });
    }
    let mut outcomes = Vec::new();
    while let Some(ended) = running.join_next().await {
        if let Ok(outcome) = ended {
            show(&outcome);
            outcomes.push(outcome);
        }
    }
    outcomes
}

/// No invariant spans a panic in here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn so_many_tasks_run_at_a_time_and_one_that_panics_is_missing() {
        let (running, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let trial = |number: u64| {
            let (running, most) = (running.clone(), most.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::Relaxed);
                assert!(number != 3);
                number
            }
        };
        let shown = Mutex::new(0);
        let mut done = tasks(2, (0..8).map(trial), |number| *lock(&shown) += number).await;
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 4, 5, 6, 7]);
        assert_eq!((most.load(Ordering::Relaxed), *lock(&shown)), (2, 25));
    }

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
