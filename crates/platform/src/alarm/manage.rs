//! What people do with alarms.

use causeway_model::alarm::{Alarm, AlarmFilter, AlarmStatus};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, Result, Spaces, Timestamp};

use crate::Platform;

/// Old alarms removed in one transaction.
const TRIM_SLICE: u32 = 1000;

/// Writers of one alarm that come in each other's way so often stand still for another reason.
const TRIES: usize = 20;

impl Platform {
    /// One alarm of these spaces.
    ///
    /// # Errors
    /// [`Code::AlarmNotFound`].
    pub async fn alarm(&self, spaces: &Spaces, id: &str) -> Result<Alarm> {
        let found = self.store.alarm(id).await?.filter(|alarm| spaces.sees(&alarm.app_id));
        found.ok_or_else(|| {
            let id: String = id.chars().take(64).collect();
            Error::new(Code::AlarmNotFound, format!("The alarm '{id}' does not exist."))
        })
    }

    /// A page of alarms, newest first.
    ///
    /// # Errors
    /// [`Code::TimeOrder`].
    pub async fn list_alarms(&self, filter: &AlarmFilter, page: PageRequest) -> Result<Page<Alarm>> {
        if filter.from.zip(filter.to).is_some_and(|(from, to)| from >= to) {
            return Err(Error::new(Code::TimeOrder, "Invalid input. 'start_time' must be earlier than 'end_time'."));
        }
        self.store.list_alarms(filter, page).await
    }

    /// Notes that `user` has seen an alarm. One that was acknowledged before stays as it is.
    ///
    /// # Errors
    /// [`Code::AlarmNotFound`].
    pub async fn acknowledge_alarm(&self, spaces: &Spaces, id: &str, user: &str) -> Result<Alarm> {
        self.alter(spaces, id, |alarm, now| {
            alarm.acknowledged.is_none().then(|| Alarm { acknowledged: Some((user.to_owned(), now)), ..alarm })
        })
        .await
    }

    /// Clears an alarm in the name of `user`. One that was cleared before stays as it is.
    ///
    /// # Errors
    /// [`Code::AlarmNotFound`].
    pub async fn clear_alarm_by_hand(&self, spaces: &Spaces, id: &str, user: &str) -> Result<Alarm> {
        self.alter(spaces, id, |alarm, now| {
            (alarm.status == AlarmStatus::Active).then(|| Alarm {
                status: AlarmStatus::Cleared,
                cleared: Some((user.to_owned(), now)),
                ..alarm
            })
        })
        .await
    }

    /// Changes an alarm, unless there is nothing to change.
    async fn alter(
        &self,
        spaces: &Spaces,
        id: &str,
        change: impl Fn(Alarm, Timestamp) -> Option<Alarm>,
    ) -> Result<Alarm> {
        for _ in 0..TRIES {
            let found = self.alarm(spaces, id).await?;
            let now = self.clock.now();
            let Some(changed) = change(found.clone(), now) else { return Ok(found) };
            let changed = Alarm { revision: found.revision + 1, ..changed };
            if self.change_alarm(&changed, now).await? {
                return Ok(changed);
            }
        }
        Err(Error::unavailable("an alarm is changed by others all the time"))
    }

    /// Removes alarms that are older than the retention, in slices.
    pub(crate) async fn trim_alarms(&self) -> Result<()> {
        let retention = self.settings.alarm.retention.as_millis();
        if retention == 0 {
            return Ok(());
        }
        let before = self.clock.now().plus_ms(-retention);
        while self.store.trim_alarms(before, TRIM_SLICE).await? == u64::from(TRIM_SLICE) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
