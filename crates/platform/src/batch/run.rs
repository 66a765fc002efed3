//! One task from its first target to its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use causeway_model::batch::{BatchTask, TargetStatus, TaskStatus};
use causeway_model::{Code, Error, RecordNo, Result};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::target::{Claimed, Done};
use super::{Job, TargetOutcome, TaskMove};
use crate::Platform;

/// Outcomes are written so long after the first of them at the latest …
const FLUSH_AFTER: Duration = Duration::from_millis(100);
/// … or when there are so many.
const FLUSH_COUNT: usize = 500;
/// Most targets claimed in one transaction.
const CLAIM: usize = 500;
/// With targets under way, a claim waits so long for more places: one transaction for many targets, not one for each.
const GATHER: Duration = Duration::from_millis(10);

/// A task under way.
struct Run {
    platform: Arc<Platform>,
    task: BatchTask,
    job: Arc<Job>,
    /// Targets are begun when those before them have ended.
    in_order: bool,
    /// Targets of this task under way at once.
    most: usize,
    flying: JoinSet<Vec<Done>>,
    /// The targets of each member of `flying`, with their attempts.
    aboard: HashMap<Id, Vec<(RecordNo, u32)>>,
    /// How many targets are in `flying`.
    in_flight: usize,
    done: Vec<TargetOutcome>,
    flush_at: Option<Instant>,
    /// The last claim found nothing.
    exhausted: bool,
}

impl Platform {
    /// Carries a task out until it is over, waits for a later try, or `stop`.
    ///
    /// # Errors
    /// The store's; the task is as due as before.
    pub(super) async fn run_task(self: &Arc<Self>, mut task: BatchTask, stop: &CancellationToken) -> Result<()> {
        // One run a task: what is under way was left so by a process that ended.
        self.store.release_batch_targets(task.no).await?;
        if task.status == TaskStatus::Waitting {
            task.status = TaskStatus::Processing;
            let change = TaskMove {
                no: task.no,
                from: &[TaskStatus::Waitting],
                to: TaskStatus::Processing,
                desc: None,
                only_ended: false,
                due_at: None,
                deliveries: self.task_notifications(&task),
            };
            if !self.store.move_batch_task(change).await? {
                return Ok(());
            }
        } else if task.status == TaskStatus::Stopping {
            // The process may have ended between the task's change and that of its targets.
            self.store.stop_batch_targets(task.no, None).await?;
        }
        let job = Arc::new(Job::read(&task.job)?);
        let at_once = self.settings.batch.targets_at_once.max(1);
        let most =
            if job.waits_for_devices() { at_once } else { at_once.min(self.settings.batch.writes_at_once.max(1)) };
        // Rows of new devices go to the store many at a time, but in their order: one may be the gateway of the next.
        let in_order = matches!(*job, Job::CreateDevices);
        let most = if in_order { at_once } else { most };
        let run = Run {
            platform: self.clone(),
            task,
            job,
            in_order,
            most: most as usize,
            flying: JoinSet::new(),
            aboard: HashMap::new(),
            in_flight: 0,
            done: Vec::new(),
            flush_at: None,
            exhausted: false,
        };
        run.run_to_its_end(stop).await
    }
}

impl Run {
    async fn run_to_its_end(mut self, stop: &CancellationToken) -> Result<()> {
        loop {
            if self.exhausted && self.in_flight == 0 {
                self.flush().await?;
                if self.settle().await? {
                    return Ok(());
                }
                self.exhausted = false;
            }
            let places = self.platform.batch.places.clone();
            let due = self.flush_at.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.break_off().await,
                () = tokio::time::sleep_until(due), if self.flush_at.is_some() => self.flush().await?,
                Some(ended) = self.flying.join_next_with_id(), if !self.flying.is_empty() => self.land(ended, stop),
                place = places.acquire_owned(), if self.may_claim() => {
                    if let Ok(place) = place {
                        self.claim(place).await?;
                    }
                }
            }
            if self.done.len() >= FLUSH_COUNT {
                self.flush().await?;
            }
        }
    }

    fn may_claim(&self) -> bool {
        !self.exhausted && self.in_flight < self.most && !(self.in_order && self.in_flight > 0)
    }

    /// Takes what came of some targets.
    fn land(&mut self, ended: std::result::Result<(Id, Vec<Done>), JoinError>, stop: &CancellationToken) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let aboard = self.aboard.remove(&id).unwrap_or_default();
        self.in_flight -= aboard.len();
        let done = match ended {
            Ok((_, done)) => done,
            Err(fault) => aboard
                .into_iter()
                .map(|(no, attempts)| Done { no, attempts, result: Err(Error::internal(&fault)) })
                .collect(),
        };
        // While the platform stops, waiting calls are given up and connections closed: that says nothing of a target.
        let stopping = stop.is_cancelled();
        let done = done.into_iter().filter(|d| !stopping || d.result.is_ok());
        let now = self.platform.clock.now();
        let outcomes: Vec<TargetOutcome> = done.map(|d| outcome(&self.platform, &self.task, d, now)).collect();
        if !outcomes.is_empty() {
            self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH_AFTER);
            self.done.extend(outcomes);
        }
    }

    /// Begins as many targets as there are places.
    async fn claim(&mut self, first: OwnedSemaphorePermit) -> Result<()> {
        let room = (self.most - self.in_flight).min(CLAIM);
        if self.in_flight > 0 {
            tokio::time::sleep(GATHER).await;
        }
        let mut places = vec![first];
        while places.len() < room {
            let Ok(place) = self.platform.batch.places.clone().try_acquire_owned() else { break };
            places.push(place);
        }
        let (now, limit) = (self.platform.clock.now(), u32::try_from(places.len()).unwrap_or(u32::MAX));
        let targets = self.platform.store.claim_batch_targets(self.task.no, now, limit).await?;
        self.exhausted = targets.len() < places.len();
        self.in_flight += targets.len();
        let task = Arc::new(self.task.clone());
        let claimed = targets.into_iter().zip(places).map(|(target, place)| Claimed { target, place });
        if self.in_order {
            let claimed: Vec<Claimed> = claimed.collect();
            if !claimed.is_empty() {
                let aboard = claimed.iter().map(|c| (c.target.no, c.target.attempts)).collect();
                let platform = self.platform.clone();
                let id = self.flying.spawn(async move { platform.create_devices(&task, claimed).await }).id();
                self.aboard.insert(id, aboard);
            }
            return Ok(());
        }
        for claimed in claimed {
            let (platform, task, job) = (self.platform.clone(), task.clone(), self.job.clone());
            let aboard = vec![(claimed.target.no, claimed.target.attempts)];
            let work = async move { vec![platform.carry_out_target(&task, &job, claimed).await] };
            let id = self.flying.spawn(work).id();
            self.aboard.insert(id, aboard);
        }
        Ok(())
    }

    /// Writes the outcomes there are.
    async fn flush(&mut self) -> Result<()> {
        self.flush_at = None;
        if !self.done.is_empty() {
            let done = std::mem::take(&mut self.done);
            self.task.progress = self.platform.store.finish_batch_targets(self.task.no, done).await?;
        }
        Ok(())
    }

    /// Ends the task, or lets it wait for a later try. False when there is something to do at once.
    async fn settle(&mut self) -> Result<bool> {
        let store = &self.platform.store;
        let Some(mut task) = store.batch_task(&self.task.id).await? else { return Ok(true) };
        if task.status.is_final() {
            return Ok(true);
        }
        if !task.progress.has_ended() {
            store.postpone_batch_task(task.no).await?;
            // The engine takes it up again when it is due, at once if need be.
            return Ok(true);
        }
        task.status = TaskStatus::of_ended(&task.progress, task.status == TaskStatus::Stopping);
        let change = TaskMove {
            no: task.no,
            from: &[TaskStatus::Processing, TaskStatus::Stopping],
            to: task.status,
            desc: None,
            only_ended: true,
            due_at: None,
            deliveries: self.platform.task_notifications(&task),
        };
        store.move_batch_task(change).await
    }

    /// The platform stops: what has ended is recorded, the rest is begun again at the next start.
    async fn break_off(mut self) -> Result<()> {
        let stopped = CancellationToken::new();
        stopped.cancel();
        while let Some(ended) = self.flying.try_join_next_with_id() {
            self.land(ended, &stopped);
        }
        self.flying.abort_all();
        self.flush().await
    }
}

/// What the store is to remember of a target that has ended.
fn outcome(platform: &Platform, task: &BatchTask, done: Done, now: causeway_model::Timestamp) -> TargetOutcome {
    let Done { no, attempts, result } = done;
    match result {
        Ok(output) => {
            let output = (!output.is_empty()).then(|| platform.secrets.seal(output.as_bytes()));
            TargetOutcome { no, status: TargetStatus::Success, output, error: None, retry_at: None }
        }
        Err(error) => {
            if error.code() == Code::Internal {
                tracing::error!(task_id = task.id, ?error, "a target of a batch task failed");
            }
            let again = attempts <= task.policy.retry_count.unwrap_or(0);
            let pause_ms = i64::from(task.policy.retry_interval.unwrap_or(0)) * 60_000;
            TargetOutcome {
                no,
                status: if again { TargetStatus::FailWaitRetry } else { TargetStatus::Fail },
                output: None,
                error: Some((error.code().as_str().to_owned(), error.message().to_owned())),
                retry_at: again.then(|| now.plus_ms(pause_ms)),
            }
        }
    }
}
