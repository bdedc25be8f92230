//! The processor time of some of a process's threads, wherever it is asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;

/// Threads whose processor time is counted together: those of one mix among several in a process.
#[derive(Clone, Default)]
pub struct Threads(Arc<Mutex<Vec<ClockId>>>);

impl Threads {
    /// The calling thread is one of them from now on. It must live as long as their time is asked for.
    pub fn join(&self) {
        // The kernel's name for the clock of a thread, as the C library makes it: the thread's number inverted, above
        // three bits that say "of one thread" (4) and "as the scheduler counts it" (2).
        let clock = ClockId::from_raw((!gettid().as_raw() << 3) | 6);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(clock);
    }

    /// What each of them has had of a processor since it began, in the order in which they joined.
    ///
    /// # Panics
    /// If one of them has ended.
    pub fn times(&self) -> Vec<Duration> {
        let clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clocks.iter().map(|clock| clock_gettime(*clock).expect("the thread lives").into()).collect()
    }

    /// What all of them together have had.
    ///
    /// # Panics
    /// As [`Threads::times`].
    pub fn time(&self) -> Duration {
        self.times().into_iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_work_of_joined_threads_counts_and_no_other() {
        let (threads, joined) = (Threads::default(), Threads::default());
        let (work, works) = mpsc::channel::<()>();
        let (done, finished) = mpsc::channel();
        let member = joined.clone();
        let worker = std::thread::spawn(move || {
            member.join();
            let _ = done.send(());
            while works.recv().is_ok() {
                let began = member.time();
                while member.time() < began + Duration::from_millis(20) {}
                let _ = done.send(());
            }
        });
        finished.recv().expect("it has joined");
        threads.join();
        let (own, before) = (threads.time(), joined.time());
        work.send(()).expect("it waits");
        finished.recv().expect("it works");
        assert!(joined.time() >= before + Duration::from_millis(20));
        assert!(threads.time() < own + Duration::from_millis(20), "waiting is no work");
        drop(work);
        worker.join().expect("it ends");
    }
}
