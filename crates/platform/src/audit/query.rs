//! Reading the audit log.

use causeway_model::audit::{AuditFilter, AuditLevel, AuditRecord};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceId, Error, Result, Spaces, Timestamp};

use crate::Platform;

/// Old records removed in one transaction.
const TRIM_SLICE: u32 = 2000;

/// What somebody looks for; absent fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Kind of thing.
    pub resource_type: Option<String>,
    /// Its id.
    pub resource_id: Option<String>,
    /// Id or name of a user.
    pub user: Option<String>,
    /// Level.
    pub level: Option<AuditLevel>,
    /// Operation, id or event name.
    pub operation: Option<String>,
    /// From here, inclusive; as long before the end as one query may reach when absent.
    pub from: Option<Timestamp>,
    /// Up to here, exclusive; now when absent.
    pub to: Option<Timestamp>,
}

impl Platform {
    /// A page of records, newest first.
    ///
    /// # Errors
    /// [`Code::TimeOrder`]; [`Code::AuditRange`] when the time asked for is longer than `audit.max_range`.
    pub async fn audit_records(&self, query: AuditQuery, page: PageRequest) -> Result<Page<AuditRecord>> {
        let longest = self.settings.audit.max_range.as_millis();
        // What happens in this millisecond is already in the log.
        let now = self.clock.now().plus_ms(1);
        let (from, to) = match (query.from, query.to) {
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => (from, Timestamp(now.0.min(from.0.saturating_add(longest)).max(from.0 + 1))),
            (None, Some(to)) => (to.plus_ms(-longest), to),
            (None, None) => (now.plus_ms(-longest), now),
        };
        if from >= to {
            return Err(Error::new(Code::TimeOrder, "Invalid input. 'start_time' must be earlier than 'end_time'."));
        }
        if to.0 - from.0 > longest {
            return Err(Error::new(
                Code::AuditRange,
                format!(
                    "Invalid input. 'start_time' and 'end_time' may be at most {} hours apart.",
                    longest / 3_600_000
                ),
            ));
        }
        let filter = AuditFilter {
            spaces: query.spaces,
            resource_type: query.resource_type,
            resource_id: query.resource_id,
            user: query.user,
            level: query.level,
            operation: query.operation,
            from,
            to,
        };
        self.store.audit_records(&filter, page).await
    }

    /// The space of a device, for the record of a call about it.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn space_of_device(&self, id: &DeviceId) -> Result<Option<AppId>> {
        if let Some(entry) = self.directory.get(id.as_str()) {
            return Ok(Some(entry.context.app_id.clone()));
        }
        if let Some(child) = self.children.get(id.as_str()) {
            return Ok(Some(child.app_id.clone()));
        }
        Ok(self.store.device(id).await?.map(|d| d.app_id))
    }

    /// Removes what is older than the retention, in slices.
    pub(crate) async fn trim_audit(&self) -> Result<()> {
        let retention = self.settings.audit.retention.as_millis();
        if retention == 0 {
            return Ok(());
        }
        let before = self.clock.now().plus_ms(-retention);
        while self.store.trim_audit(before, TRIM_SLICE).await? == u64::from(TRIM_SLICE) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
