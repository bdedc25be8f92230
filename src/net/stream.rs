//! Streams: frames and raw bytes, under limits.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{NetError, connection::Link};
use crate::wire::{
    codec::{self, Decode, Encode},
    frame,
};

/// Datagrams that are taken off a connection at a time, at most: taking one costs a lock of the connection, however
/// many come with it.
const CHUNKS: usize = 32;

/// The sending half of a stream. Dropped before [`Sender::finish`], it tells the receiver that the stream is given up.
///
/// Every operation fails with [`NetError::Slow`] when the peer takes bytes too slowly, as in [`Receiver`].
pub struct Sender {
    stream: quinn::SendStream,
    patience: Patience,
    finished: bool,
    link: Arc<Link>,
}

impl Sender {
    pub(super) fn new(stream: quinn::SendStream, link: Arc<Link>) -> Self {
        let patience = Patience::new(link.limits.stream_idle);
        Self { stream, patience, finished: false, link }
    }

    /// Sends a message as a frame.
    ///
    /// # Errors
    /// The stream's or the connection's end; a slow peer.
    pub async fn message<T: Encode>(&mut self, message: &T) -> Result<(), NetError> {
        self.raw(&frame::write(message)).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As [`Sender::message`].
    pub async fn raw(&mut self, mut bytes: &[u8]) -> Result<(), NetError> {
        while !bytes.is_empty() {
            let sent = self.patience.wait(self.stream.write(bytes)).await??;
            self.patience.earn(sent);
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Sends bytes as they are, without a copy.
    ///
    /// # Errors
    /// As [`Sender::message`].
    pub async fn raw_chunk(&mut self, chunk: Bytes) -> Result<(), NetError> {
        let mut chunks = [chunk];
        while !chunks[0].is_empty() {
            let sent = self.patience.wait(self.stream.write_chunks(&mut chunks)).await??;
            self.patience.earn(sent.bytes);
        }
        Ok(())
    }

    /// Ends the stream, without waiting for the peer; [`super::Endpoint::close`] waits for it.
    ///
    /// # Errors
    /// If the peer has stopped the stream, or the connection is lost.
    pub fn finish(self) -> Result<(), NetError> {
        self.finish_holding(())
    }

    /// [`Sender::finish`]; `held` is dropped when the peer has acknowledged everything, or is gone.
    ///
    /// # Errors
    /// As [`Sender::finish`].
    pub fn finish_holding(mut self, held: impl Send + 'static) -> Result<(), NetError> {
        self.finished = true;
        self.stream.finish().map_err(|_| NetError::Stopped)?;
        let acknowledged = self.stream.stopped();
        self.link.unacknowledged.spawn(async move {
            // Either way the bytes need no more waiting for.
            let _ = acknowledged.await;
            drop(held);
        });
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.finished {
            // Else the receiver would take half a message's end for the stream's. Fails only if it knows already.
            let _ = self.stream.reset(0u32.into());
        }
    }
}

/// The receiving half of a stream. Dropped before its end, it tells the sender to stop.
///
/// A peer may keep us waiting for [`super::Limits::stream_idle`] over the whole life of the stream, and for a second
/// more with each KiB that it sends, but never longer than `stream_idle` at a stretch; then [`NetError::Slow`].
/// So a stream of n bytes is held for at most `stream_idle` + n / 1024 seconds. After an error nothing more can be
/// read.
pub struct Receiver {
    stream: quinn::RecvStream,
    patience: Patience,
    /// What came with what was asked for, and comes next.
    ahead: VecDeque<Bytes>,
    /// A receiver keeps its connection known to the endpoint.
    _link: Arc<Link>,
}

impl Receiver {
    pub(super) fn new(stream: quinn::RecvStream, link: Arc<Link>) -> Self {
        Self { stream, patience: Patience::new(link.limits.stream_idle), ahead: VecDeque::new(), _link: link }
    }

    /// Receives one frame and decodes it strictly. Memory is taken as bytes arrive, not as the frame announces them.
    ///
    /// # Errors
    /// [`NetError::Frame`] if the frame is too long or no encoding of `T`; the stream's end; a slow peer.
    pub async fn message<T: Decode<()> + Encode>(&mut self) -> Result<T, NetError> {
        let mut prefix = [0; frame::PREFIX_BYTES];
        self.raw(&mut prefix).await?;
        self.body(prefix).await
    }

    /// [`Receiver::message`] whose first byte may take as long as the connection stands: an answer held back until
    /// there is something to say.
    ///
    /// # Errors
    /// As [`Receiver::message`].
    pub async fn answer<T: Decode<()> + Encode>(&mut self) -> Result<T, NetError> {
        let mut prefix = [0; frame::PREFIX_BYTES];
        if self.ahead.is_empty() {
            let first = self.stream.read_chunk(1, true).await?.ok_or(NetError::Truncated)?;
            self.ahead.push_back(first.bytes);
        }
        self.raw(&mut prefix).await?;
        self.body(prefix).await
    }

    async fn body<T: Decode<()> + Encode>(&mut self, prefix: [u8; frame::PREFIX_BYTES]) -> Result<T, NetError> {
        let length = frame::length(prefix)?;
        let mut body = Vec::new();
        while body.len() < length {
            body.extend_from_slice(&self.chunk(length - body.len()).await?);
        }
        Ok(codec::decode(&body)?)
    }

    /// Fills `buffer` with the bytes that come next.
    ///
    /// # Errors
    /// [`NetError::Truncated`] if there are fewer; a slow peer; the connection's end.
    pub async fn raw(&mut self, buffer: &mut [u8]) -> Result<(), NetError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let chunk = self.chunk(buffer.len() - filled).await?;
            buffer[filled..filled + chunk.len()].copy_from_slice(&chunk);
            filled += chunk.len();
        }
        Ok(())
    }

    /// Gives the `bytes` bytes that come next to `take`, in order and as they lie in the datagrams that brought them.
    ///
    /// # Errors
    /// As [`Receiver::raw`].
    pub async fn each(&mut self, bytes: usize, mut take: impl FnMut(&[u8])) -> Result<(), NetError> {
        let mut left = bytes;
        let mut came = vec![Bytes::new(); CHUNKS];
        loop {
            while let Some(chunk) = self.ahead(left) {
                take(&chunk);
                left -= chunk.len();
            }
            if left == 0 {
                return Ok(());
            }
            let count = self.patience.wait(self.stream.read_chunks(&mut came)).await??;
            let came = &mut came[..count.ok_or(NetError::Truncated)?];
            self.patience.earn(came.iter().map(Bytes::len).sum());
            self.ahead.extend(came.iter_mut().map(mem::take));
        }
    }

    /// The bytes that come next, at least one and at most `most`, which is not 0.
    async fn chunk(&mut self, most: usize) -> Result<Bytes, NetError> {
        if let Some(chunk) = self.ahead(most) {
            return Ok(chunk);
        }
        let chunk = self.patience.wait(self.stream.read_chunk(most, true)).await??.ok_or(NetError::Truncated)?;
        self.patience.earn(chunk.bytes.len());
        Ok(chunk.bytes)
    }

    /// As [`Receiver::chunk`], of what has been read already; `None` if there is nothing, or nothing is asked for.
    fn ahead(&mut self, most: usize) -> Option<Bytes> {
        let first = self.ahead.front_mut().filter(|_| most > 0)?;
        let chunk = first.split_to(most.min(first.len()));
        if first.is_empty() {
            self.ahead.pop_front();
        }
        Some(chunk)
    }

    /// Waits for the end of the stream, which must be here.
    ///
    /// # Errors
    /// [`NetError::Trailing`] if a byte comes instead; a slow peer; the connection's end.
    pub async fn end(&mut self) -> Result<(), NetError> {
        if !self.ahead.is_empty() {
            return Err(NetError::Trailing);
        }
        match self.patience.wait(self.stream.read_chunk(1, true)).await?? {
            None => Ok(()),
            Some(_) => Err(NetError::Trailing),
        }
    }
}

/// How long the other end of a stream may still keep us waiting; bytes earn it more, up to where it began.
pub(super) struct Patience {
    left: Duration,
    most: Duration,
}

/// What a peer must move in each second that it lets us wait: less than the slowest modem.
const BYTES_PER_SECOND: u32 = 1024;

impl Patience {
    pub(super) fn new(most: Duration) -> Self {
        Self { left: most, most }
    }

    /// # Errors
    /// [`NetError::Slow`] when the patience is spent.
    pub(super) async fn wait<F: IntoFuture>(&mut self, operation: F) -> Result<F::Output, NetError> {
        let start = Instant::now();
        let output = timeout(self.left, operation).await;
        self.left = self.left.saturating_sub(start.elapsed());
        output.map_err(|_| NetError::Slow)
    }

    fn earn(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1) * bytes / BYTES_PER_SECOND;
        self.left = self.most.min(self.left.saturating_add(earned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_is_earned_by_bytes_alone() {
        let mut patience = Patience::new(Duration::from_secs(10));
        for _ in 0..9 {
            assert!(patience.wait(tokio::time::sleep(Duration::from_secs(1))).await.is_ok());
            patience.earn(1);
        }
        // Nine bytes have not bought nine seconds.
        assert!(matches!(patience.wait(tokio::time::sleep(Duration::from_secs(2))).await, Err(NetError::Slow)));

        patience.earn(usize::MAX);
        assert_eq!(patience.left, Duration::from_secs(10));
    }
}
