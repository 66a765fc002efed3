//! A worker as the pool sees it.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::frame::{self, Request, Response};
use crate::pool::SandboxSettings;

/// How long a worker may take to say that it is there.
const START: Duration = Duration::from_secs(20);

/// How long a worker may take to read what it is to do.
const WRITE: Duration = Duration::from_secs(5);

/// A live worker. Killed when dropped.
pub(crate) struct Worker {
    child: Child,
    socket: UnixStream,
}

impl Worker {
    /// Starts one. It sees nothing of this process: no environment, no descriptors.
    pub(crate) fn start(settings: &SandboxSettings) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(&settings.program)
            .args(&settings.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut worker = Self { child, socket: ours };
        worker.socket.set_read_timeout(Some(START))?;
        worker.socket.set_write_timeout(Some(WRITE))?;
        let mut hello = frame::READY;
        worker.socket.read_exact(&mut hello)?;
        if hello != frame::READY {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the program is no worker"));
        }
        Ok(worker)
    }

    /// Hands a call over. Fails when the worker has died since its last one.
    pub(crate) fn send(&mut self, request: &Request) -> io::Result<()> {
        frame::write(&mut self.socket, request)
    }

    /// Waits for its end. A [timeout](is_timeout) after `patience` means that the worker is lost.
    pub(crate) fn receive(&mut self, patience: Duration) -> io::Result<Response> {
        self.socket.set_read_timeout(Some(patience))?;
        frame::read(&mut self.socket)
    }
}

/// Whether an error says that the time was over.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Nothing to be saved: a worker keeps no state.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
