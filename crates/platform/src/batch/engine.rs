//! Takes tasks that are due, a few at a time, and writes exports, one at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use causeway_model::batch::BatchTask;
use causeway_model::{RecordNo, Result, Timestamp};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::Platform;
use crate::settings::BatchSettings;

/// What is due by time is looked for so often; what is due at once wakes the engine.
const LOOK: Duration = Duration::from_secs(1);

/// Exports that are too old are looked for so often.
const EXPIRE_EVERY_MS: i64 = 60_000;

/// After a failure of the store.
const PAUSE: Duration = Duration::from_secs(2);

/// What tasks under way share.
pub(crate) struct Engine {
    wake: Notify,
    /// Targets under way. Waiting tasks are served in turn.
    pub(super) places: Arc<Semaphore>,
    /// Spreadsheets being read.
    pub(super) reading: Semaphore,
}

impl Engine {
    pub(crate) fn new(settings: &BatchSettings) -> Self {
        let places = (settings.targets_at_once.max(1) as usize).min(Semaphore::MAX_PERMITS);
        Self { wake: Notify::new(), places: Arc::new(Semaphore::new(places)), reading: Semaphore::new(1) }
    }

    /// There may be something to do.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Platform {
    /// Carries batch tasks out and writes exports until `stop`. What is under way then is begun again at the next start.
    pub async fn run_batch_tasks(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut under_way: HashMap<Id, RecordNo> = HashMap::new();
        let mut exports: JoinSet<()> = JoinSet::new();
        let mut swept = false;
        // An export that ended is no reason to look for others: looking at each end would never rest.
        let mut look_for_exports = true;
        let mut expired_at = Timestamp(0);
        while !stop.is_cancelled() {
            if !swept {
                swept = self.store.drop_half_made_batch_tasks().await.is_ok();
            }
            match self.due_tasks(&under_way).await {
                Ok(due) => {
                    for task in due {
                        let (no, platform, stop) = (task.no, self.clone(), stop.clone());
                        let id = tasks.spawn(async move { platform.carry_out(task, stop).await }).id();
                        under_way.insert(id, no);
                    }
                }
                Err(error) => tracing::warn!(?error, "batch tasks that are due cannot be read; tried again"),
            }
            if look_for_exports && exports.is_empty() {
                look_for_exports = false;
                let platform = self.clone();
                let expire = self.clock.now().0 - expired_at.0 > EXPIRE_EVERY_MS;
                if expire {
                    expired_at = self.clock.now();
                }
                exports.spawn(async move { platform.work_on_exports(expire).await });
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.batch.wake.notified() => look_for_exports = true,
                () = self.clock.tick(LOOK) => look_for_exports = true,
                Some(ended) = tasks.join_next_with_id(), if !tasks.is_empty() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(fault) => {
                            tracing::error!(%fault, "a batch task failed and is taken up again");
                            fault.id()
                        }
                    };
                    under_way.remove(&id);
                }
                () = async { while exports.join_next().await.is_some() {} }, if !exports.is_empty() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn due_tasks(&self, under_way: &HashMap<Id, RecordNo>) -> Result<Vec<BatchTask>> {
        let most = self.settings.batch.tasks_at_once.max(1) as usize;
        let free = most.saturating_sub(under_way.len());
        if free == 0 {
            return Ok(Vec::new());
        }
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        self.store.due_batch_tasks(self.clock.now(), under_way.values().copied().collect(), free).await
    }

    /// Runs a task and keeps a failing store from making it spin.
    async fn carry_out(self: &Arc<Self>, task: BatchTask, stop: CancellationToken) {
        let id = task.id.clone();
        if let Err(error) = self.run_task(task, &stop).await {
            tracing::warn!(task_id = id, ?error, "a batch task broke off and is taken up again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}
