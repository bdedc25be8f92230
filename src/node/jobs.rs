//! Jobs for the thread pool. Submissions that wait for a core are peeled together: small ones fill lanes only so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::crypto::BATCH;
use crate::mix::Event;
use crate::round::Job;

/// Submissions that no core has taken yet.
#[derive(Clone, Default)]
pub(super) struct Jobs(Arc<Mutex<VecDeque<Job>>>);

impl Jobs {
    /// Runs `job` as soon as there is a core; its result goes to `results`.
    pub(super) fn run(&self, job: Job, results: mpsc::UnboundedSender<Event>) {
        if job.submitted() == 0 {
            return rayon::spawn(move || {
                let _ended = results.send(Event::Worked(job.run()));
            });
        }
        self.lock().push_back(job);
        // One task a submission, each of which takes as many as fill a batch: the last ones may find none left. While a core
        // is free a submission waits for nothing.
        let jobs = self.clone();
        rayon::spawn(move || {
            for done in Job::run_together(jobs.take()) {
                let _ended = results.send(Event::Worked(done));
            }
        });
    }

    /// The first ones, until they fill a batch.
    fn take(&self) -> Vec<Job> {
        let mut waiting = self.lock();
        let (mut taken, mut packets) = (Vec::new(), 0);
        while packets < BATCH
            && let Some(job) = waiting.pop_front()
        {
            packets += job.submitted();
            taken.push(job);
        }
        taken
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Job>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
