//! The pool: bounded waiting, a thread for each worker, and no mercy for what takes too long.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::fault::{FaultKind, ScriptFault};
use crate::frame::{Request, Response, WireLimits};
use crate::process::{Worker, is_timeout};
use crate::queue::Queue;
use crate::worker::WORKER_ARGUMENT;

/// What a sandbox may use.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Worker processes. They start when first needed.
    pub workers: usize,
    /// Most calls that wait or run.
    pub queue: usize,
    /// How long a call waits for a place in the queue before it is refused as [`FaultKind::Busy`].
    pub patience: Duration,
    /// The program that becomes a worker; this one by default.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            workers: 2,
            queue: 256,
            patience: Duration::from_secs(5),
            // Not a path that an update could have replaced since the start.
            program: "/proc/self/exe".into(),
            arguments: vec![WORKER_ARGUMENT.to_owned()],
        }
    }
}

/// Limits of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time from the beginning of the call to its end, waiting not counted.
    pub time: Duration,
    /// Memory of the engine, bytes; it needs some 200 kB itself.
    pub memory: usize,
    /// Longest result as JSON, bytes.
    pub result: usize,
    /// Most bytes of all lines that are logged; the rest is left out.
    pub log: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(3), memory: 16 << 20, result: 1 << 20, log: 16 << 10 }
    }
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Whose script it is: owners take turns.
    pub owner: &'a Arc<str>,
    /// The script.
    pub source: &'a str,
    /// The function in it, an identifier: declared, or a member of `exports`.
    pub function: &'a str,
    /// Its first argument, JSON.
    pub argument: &'a str,
    /// Its second argument, JSON.
    pub context: &'a str,
    /// What it may use.
    pub limits: Limits,
}

/// How a call went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What the function returned, as JSON; `null` for nothing.
    pub result: Result<String, ScriptFault>,
    /// Lines that the script logged, also before a fault; none when it had to be killed.
    pub log: Vec<String>,
    /// Lines were left out.
    pub log_cut: bool,
    /// How long it ran.
    pub used: Duration,
}

impl Run {
    fn failed(fault: ScriptFault, used: Duration) -> Self {
        Self { result: Err(fault), log: Vec::new(), log_cut: false, used }
    }
}

struct Job {
    request: Request,
    reply: oneshot::Sender<Run>,
    _place: OwnedSemaphorePermit,
}

/// A pool of workers. Its workers end when it is dropped.
pub struct Sandbox {
    queue: Arc<Queue<Job>>,
    places: Arc<Semaphore>,
    patience: Duration,
}

/// The part of the engine's stack that a script may use, bytes.
const STACK: usize = 512 << 10;

/// What a call may take beyond its time limit until its worker is killed: the engine looks at the clock only now and then.
const GRACE: Duration = Duration::from_millis(250);

/// Names that `function` may not be, as they would be read as something else.
fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$');
    starts && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

impl Sandbox {
    /// A pool. Nothing is started yet but its threads.
    ///
    /// # Panics
    /// When the system gives no thread.
    #[must_use]
    pub fn new(settings: SandboxSettings) -> Self {
        let workers = settings.workers.max(1);
        let queue = Arc::new(Queue::new(workers));
        let (places, patience) = (Arc::new(Semaphore::new(settings.queue.max(1))), settings.patience);
        let settings = Arc::new(settings);
        for _ in 0..workers {
            let (queue, settings) = (queue.clone(), settings.clone());
            let thread = thread::Builder::new().name("sandbox".into());
            thread.spawn(move || serve(&queue, &settings)).expect("the system gives threads at the start");
        }
        Self { queue, places, patience }
    }

    /// Runs the script's top level and looks whether the function is there.
    ///
    /// # Errors
    /// The fault, with its place.
    pub async fn check(
        &self,
        owner: &Arc<str>,
        source: &str,
        function: &str,
        limits: Limits,
    ) -> Result<(), ScriptFault> {
        self.submit(owner, source, function, None, limits).await.result.map(|_| ())
    }

    /// Calls a function of a script in a fresh engine. A call whose future is dropped before it began does not begin.
    pub async fn call(&self, call: Call<'_>) -> Run {
        let arguments = (call.argument.to_owned(), call.context.to_owned());
        self.submit(call.owner, call.source, call.function, Some(arguments), call.limits).await
    }

    async fn submit(
        &self,
        owner: &Arc<str>,
        source: &str,
        function: &str,
        arguments: Option<(String, String)>,
        limits: Limits,
    ) -> Run {
        if !is_identifier(function) {
            return Run::failed(
                ScriptFault::new(FaultKind::NoFunction, "the function's name is no identifier"),
                Duration::ZERO,
            );
        }
        let waiting = tokio::time::timeout(self.patience, self.places.clone().acquire_owned());
        let Ok(Ok(place)) = waiting.await else {
            return Run::failed(
                ScriptFault::new(FaultKind::Busy, "too many calls wait; try again later"),
                Duration::ZERO,
            );
        };
        let limits = WireLimits {
            time_ms: u64::try_from(limits.time.as_millis()).unwrap_or(u64::MAX),
            memory: limits.memory,
            stack: STACK,
            result: limits.result,
            log: limits.log,
        };
        let request = Request { source: source.to_owned(), function: function.to_owned(), arguments, limits };
        let (reply, answer) = oneshot::channel();
        self.queue.push(owner, Job { request, reply, _place: place });
        answer.await.unwrap_or_else(|_| Run::failed(ScriptFault::broken("the pool is closed"), Duration::ZERO))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// One thread: one worker at a time.
fn serve(queue: &Queue<Job>, settings: &SandboxSettings) {
    let mut worker = None;
    while let Some((owner, job)) = queue.take() {
        if !job.reply.is_closed() {
            let run = run(&mut worker, settings, &job.request);
            queue.done(&owner);
            let _ = job.reply.send(run);
        } else {
            queue.done(&owner);
        }
    }
}

/// A worker that has taken the request: the one there is, or a new one when it has died while it was idle.
fn hand_over(idle: Option<Worker>, settings: &SandboxSettings, request: &Request) -> io::Result<Worker> {
    if let Some(mut worker) = idle
        && worker.send(request).is_ok()
    {
        return Ok(worker);
    }
    let mut worker = Worker::start(settings)?;
    worker.send(request)?;
    Ok(worker)
}

fn run(place: &mut Option<Worker>, settings: &SandboxSettings, request: &Request) -> Run {
    let mut worker = match hand_over(place.take(), settings, request) {
        Ok(worker) => worker,
        Err(error) => {
            tracing::error!(%error, "a worker for scripts cannot be started");
            return Run::failed(ScriptFault::broken("it cannot be started"), Duration::ZERO);
        }
    };
    let limit = Duration::from_millis(request.limits.time_ms);
    let started = Instant::now();
    match worker.receive(limit + GRACE) {
        Ok(Response { result, log, log_cut, used_us, last }) => {
            if !last {
                *place = Some(worker);
            }
            Run { result, log, log_cut, used: Duration::from_micros(used_us) }
        }
        Err(error) if is_timeout(&error) => {
            let text = format!("the time limit of {} ms is over", request.limits.time_ms);
            Run::failed(ScriptFault::new(FaultKind::Time, text), started.elapsed())
        }
        Err(error) => {
            tracing::warn!(%error, "a worker for scripts broke down; another one takes its place");
            Run::failed(ScriptFault::broken("it ended in the middle of the call"), started.elapsed())
        }
    }
}
