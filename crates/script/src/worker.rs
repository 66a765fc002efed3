//! The worker: a process that runs one call after another for the pool that started it.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::{io, thread};

use rustix::process::{Resource, Rlimit, Signal};

use crate::engine;
use crate::fault::ScriptFault;
use crate::frame::{self, Response};

/// The first argument that makes the program a worker.
pub const WORKER_ARGUMENT: &str = "script-worker";

/// How much less than others it is worth to the scheduler: doors and store go first.
const NICE: i32 = 5;

/// Stack of the thread that scripts run on, bytes: far more than the engine is allowed to use.
const STACK: usize = 8 << 20;

/// Serves the pool at the other end of the standard input until it goes. To be called first thing in `main`, before anything
/// is opened.
///
/// # Errors
/// When the standard input is no socket of a pool.
pub fn run_worker() -> io::Result<()> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    confine();
    let serve = thread::Builder::new().name("script".into()).stack_size(STACK).spawn(move || serve(socket))?;
    serve.join().unwrap_or_else(|_| Err(io::Error::other("the engine panicked")))
}

/// Dies with the pool, leaves no core, writes no file, opens nothing: no file, no socket.
fn confine() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    for resource in [Resource::Core, Resource::Fsize, Resource::Nofile] {
        let _ = rustix::process::setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) });
    }
    let _ = rustix::process::nice(NICE);
}

fn serve(mut socket: UnixStream) -> io::Result<()> {
    io::Write::write_all(&mut socket, &frame::READY)?;
    loop {
        let request = match frame::read(&mut socket) {
            Ok(request) => request,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let ran = std::panic::catch_unwind(|| engine::run(&request));
        let response = ran.unwrap_or_else(|_| Response {
            result: Err(ScriptFault::broken("the engine gave up")),
            log: Vec::new(),
            log_cut: false,
            used_us: 0,
            last: true,
        });
        frame::write(&mut socket, &response)?;
        if response.last {
            // Without destructors: they would walk through what is left.
            std::process::exit(0);
        }
    }
}
