//! The control socket: how local programs talk to a daemon of the same user.
//!
//! A Unix socket in the daemon's home, 0600, in a directory that only its owner may enter; a connection of any other
//! user is closed unread. The same frames as on the network, with raw bytes behind those that announce them.

mod message;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::wire::codec::{self, Decode, Encode};
use crate::wire::frame::{self, FrameError, PREFIX_BYTES};

pub use message::{Answer, Ask, Crowd, Failure, Incoming, Listed, MessageKind, Outgoing, Place, Progress};

/// Why a control connection does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody listens.
    #[error("no daemon answers at {}; start it with `run --home HOME`", .0.display())]
    NotRunning(PathBuf),
    /// The path does not fit into a socket address, and neither does its last part alone.
    #[error("the path {0} is too long for a control socket; set `control` in the home's config.yaml to a shorter one")]
    TooLong(String),
    /// Another daemon listens.
    #[error("another daemon uses {0}; stop it first")]
    InUse(String),
    /// The other side sent no valid frame.
    #[error("the control connection broke a rule: {0}")]
    Frame(#[from] FrameError),
    /// The connection ended, or the socket fails.
    #[error("the control connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Where a daemon listens; the socket's file goes when it is dropped.
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// The user whose connections are served: this process's own.
    owner: u32,
}

/// A Unix socket's address holds 108 bytes, the last of them zero.
const MAX_PATH: usize = 107;

impl Listener {
    /// Listens at `path`; a socket that nobody answers is replaced.
    ///
    /// # Errors
    /// If the path is too long, in use, or cannot be written.
    pub async fn bind(path: &Path) -> Result<Self, ControlError> {
        let address = Address::of(path)?;
        if UnixStream::connect(&address.path).await.is_ok() {
            return Err(ControlError::InUse(path.display().to_string()));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let socket = UnixListener::bind(&address.path)?;
        // The home is 0700 and every connection's user is checked: no window between these two lines is open.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { socket, path: path.to_owned(), owner: nix::unistd::geteuid().as_raw() })
    }

    /// The next connection of this process's own user; others are closed.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn accept(&self) -> Result<Stream, ControlError> {
        loop {
            let (stream, _) = self.socket.accept().await?;
            if stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner) {
                return Ok(Stream(stream));
            }
            tracing::warn!("refused a control connection of another user");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A socket's path in a form that fits into a socket address.
struct Address {
    path: PathBuf,
    /// Open for as long as `path` leads through it.
    _parent: Option<File>,
}

impl Address {
    /// The path itself, or the way to it through an open directory: a home may lie deep.
    fn of(path: &Path) -> Result<Self, ControlError> {
        if path.as_os_str().len() <= MAX_PATH {
            return Ok(Self { path: path.to_owned(), _parent: None });
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ControlError::TooLong(path.display().to_string()));
        };
        let parent = File::open(parent)?;
        let short = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(name);
        if short.as_os_str().len() > MAX_PATH || !short.parent().is_some_and(Path::is_dir) {
            return Err(ControlError::TooLong(path.display().to_string()));
        }
        Ok(Self { path: short, _parent: Some(parent) })
    }
}

/// One control connection.
pub struct Stream(UnixStream);

impl Stream {
    /// Connects to the daemon that listens at `path`.
    ///
    /// # Errors
    /// If none does.
    pub async fn connect(path: &Path) -> Result<Self, ControlError> {
        let Ok(address) = Address::of(path) else { return Err(ControlError::NotRunning(path.to_owned())) };
        match UnixStream::connect(&address.path).await {
            Ok(stream) => Ok(Self(stream)),
            Err(_) => Err(ControlError::NotRunning(path.to_owned())),
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send<T: Encode>(&mut self, message: &T) -> Result<(), ControlError> {
        self.raw(&frame::write(message)).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn raw(&mut self, bytes: &[u8]) -> Result<(), ControlError> {
        Ok(self.0.write_all(bytes).await?)
    }

    /// Receives a message.
    ///
    /// # Errors
    /// If the connection is gone or the bytes are no such message.
    pub async fn receive<T: Decode<()> + Encode>(&mut self) -> Result<T, ControlError> {
        let mut prefix = [0; PREFIX_BYTES];
        self.0.read_exact(&mut prefix).await?;
        let body = self.bytes(frame::length(prefix)? as u64).await?;
        Ok(codec::decode(&body).map_err(FrameError::from)?)
    }

    /// Receives `count` bytes; memory is taken as they come.
    ///
    /// # Errors
    /// If the connection is gone before.
    pub async fn bytes(&mut self, count: u64) -> Result<Vec<u8>, ControlError> {
        let mut bytes = Vec::new();
        let read = (&mut self.0).take(count).read_to_end(&mut bytes).await?;
        if read as u64 == count { Ok(bytes) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_one_daemon_listens_and_its_socket_is_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control.sock");
        let listener = Listener::bind(&path).await.expect("free");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(Listener::bind(&path).await, Err(ControlError::InUse(_))));
        drop(listener);
        assert!(matches!(Stream::connect(&path).await, Err(ControlError::NotRunning(_))));
        std::fs::write(&path, b"left behind").expect("writable");
        Listener::bind(&path).await.expect("what was left behind is replaced");
        let long = dir.path().join("x".repeat(200));
        assert!(matches!(Listener::bind(&long).await, Err(ControlError::TooLong(_))));
    }

    #[tokio::test]
    async fn another_user_gets_no_answer_even_where_the_files_let_it_in() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control.sock");
        let mut listener = Listener::bind(&path).await.expect("free");
        listener.owner += 1;
        let mut stranger = Stream::connect(&path).await.expect("listening");
        let asked = async {
            // The connection may be closed before the question is out.
            let _ = stranger.send(&Ask::Status).await;
            stranger.receive::<Answer>().await
        };
        tokio::select! {
            _ = listener.accept() => unreachable!("it would be served"),
            answer = asked => assert!(answer.is_err(), "closed unread"),
        }
    }

    #[tokio::test]
    async fn a_home_may_lie_deep() {
        let dir = tempfile::tempdir().expect("a directory");
        let deep = dir.path().join("x".repeat(100)).join("y".repeat(100));
        std::fs::create_dir_all(&deep).expect("writable");
        let path = deep.join("control.sock");
        let listener = Listener::bind(&path).await.expect("free");
        let (stream, served) = tokio::join!(Stream::connect(&path), listener.accept());
        stream.expect("listening").send(&Ask::Status).await.expect("sent");
        assert_eq!(served.expect("ours").receive::<Ask>().await.expect("whole"), Ask::Status);
        assert!(matches!(Listener::bind(&path).await, Err(ControlError::InUse(_))));
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control.sock");
        let listener = Listener::bind(&path).await.expect("free");
        for bytes in [[0xff; 8].as_slice(), &[1, 0, 0, 0, 99], &[9, 0, 0, 0]] {
            let mut stream = Stream::connect(&path).await.expect("listening");
            let mut served = listener.accept().await.expect("ours");
            stream.raw(bytes).await.expect("sent");
            drop(stream);
            assert!(served.receive::<Ask>().await.is_err());
        }
    }
}
