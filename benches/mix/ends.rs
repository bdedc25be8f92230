//! Two ends of a connection, each with a thread of its own.

use std::future::Future;
use std::time::{Duration, Instant};

use mixnet::sim::Threads;
use tokio::runtime::{Builder, Runtime};

/// One end: a runtime of one thread, whose processor time is all that this end costs.
pub(crate) struct End {
    pub(crate) runtime: Runtime,
    threads: Threads,
}

/// Who sends and who receives.
pub(crate) struct Ends {
    pub(crate) sender: End,
    pub(crate) receiver: End,
}

/// What a transfer took.
pub(crate) struct Took {
    /// From its beginning until the receiver has the last byte.
    pub(crate) clock: Duration,
    /// Processor time of the sending end.
    pub(crate) sending: Duration,
    /// Processor time of the receiving end.
    pub(crate) receiving: Duration,
}

impl Took {
    /// Of both ends.
    pub(crate) fn processor(&self) -> Duration {
        self.sending + self.receiving
    }
}

/// A runtime of `workers` threads, all of which join `threads` and live as long as it does.
pub(crate) fn runtime(workers: usize, threads: &Threads) -> Runtime {
    let members = threads.clone();
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).thread_keep_alive(Duration::from_secs(86_400));
    builder.on_thread_start(move || members.join()).enable_all().build().expect("threads")
}

impl End {
    fn new() -> Self {
        let threads = Threads::default();
        Self { runtime: runtime(1, &threads), threads }
    }
}

impl Ends {
    pub(crate) fn new() -> Self {
        Self { sender: End::new(), receiver: End::new() }
    }

    /// Sends and receives at the same time.
    pub(crate) fn transfer<T: Send + 'static>(
        &self,
        send: impl Future<Output = ()> + Send + 'static,
        receive: impl Future<Output = T> + Send + 'static,
    ) -> (Took, T) {
        let Self { sender, receiver } = self;
        let before = (sender.threads.time(), receiver.threads.time());
        let began = Instant::now();
        let receiving = receiver.runtime.spawn(async move { (receive.await, Instant::now()) });
        let sending = sender.runtime.spawn(send);
        let (received, ended) = receiver.runtime.block_on(receiving).expect("it receives");
        sender.runtime.block_on(sending).expect("it sends");
        let (sending, receiving) = (sender.threads.time() - before.0, receiver.threads.time() - before.1);
        (Took { clock: ended - began, sending, receiving }, received)
    }
}
