//! What devices tell of themselves, kept and shown (002 §2.1.2.2.2).

use causeway_model::registry::{Page, PageRequest};
use causeway_model::service_event::LogReport;
use causeway_model::{DeviceId, RecordNo, Result, Timestamp};

use super::{LogKept, LogLine};
use crate::Platform;
use crate::uplink::Speaker;

impl Platform {
    pub(crate) async fn take_log(
        &self,
        speaker: &Speaker<'_>,
        log: LogReport<'_>,
        at: Option<Timestamp>,
    ) -> Result<()> {
        let settings = &self.settings.device_log;
        let received_at = speaker.heard.at;
        let line = LogLine {
            no: RecordNo(0),
            at: log.at.or(at).unwrap_or(received_at),
            received_at,
            kind: log.kind,
            content: log.content.into_owned(),
        };
        let kept = LogKept { lines: settings.lines, bytes: settings.size.0 as u64 };
        self.store.add_log_line(speaker.subject.no, line, kept).await
    }

    /// A page of a device's log, newest first; of one kind when it is named.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`](causeway_model::Code::DeviceNotFound).
    pub async fn device_log(&self, id: &DeviceId, kind: Option<String>, page: PageRequest) -> Result<Page<LogLine>> {
        let device = self.device(id).await?;
        self.store.log_lines(device.no, kind, page).await
    }

    /// Drops lines that are too old.
    pub(crate) async fn trim_logs(&self) -> Result<()> {
        let retention = self.settings.device_log.retention.as_millis();
        if retention > 0 {
            self.store.trim_logs(self.clock.now().plus_ms(-retention)).await?;
        }
        Ok(())
    }
}
