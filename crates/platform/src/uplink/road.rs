//! The road: a typed device event becomes units for the store.

use std::sync::Arc;

use causeway_model::event::{AnswerKind, DeviceEvent, Heard, Services};
use causeway_model::product::Mismatch;
use causeway_model::{Code, Error, Result};
use causeway_rules::event::write_field;
use smallvec::SmallVec;

use super::{Change, CommitTicket, DeviceContext, ReportRow, Unit};
use crate::Platform;
use crate::downlink::{Answer, EventNotice};
use crate::runlog::{Business, Line, NOTHING};

/// What the road made of an event.
#[derive(Debug, Default)]
pub struct Taken {
    /// Units that must be committed before the event is acknowledged.
    pub units: Vec<Unit>,
    /// Devices of a gateway's report that are not behind it; their values were left out.
    pub foreign: Vec<String>,
    /// Answers to events. What they tell of is committed already.
    pub answers: Vec<EventNotice>,
}

/// What the run log tells of a report.
fn report_line(from: &DeviceContext, device: &DeviceContext, services: &Services<'_>) -> Line<'static> {
    let tail = if from.id == device.id { "properties/report" } else { "gateway/sub_devices/properties/report" };
    let mut request = String::from(r#"{"services":["#);
    for (place, service) in services.iter().enumerate() {
        request.push_str(if place == 0 { "{" } else { ",{" });
        write_field(&mut request, "service_id", &service.service_id);
        request.push_str(r#","properties":"#);
        request.push_str(service.properties);
        request.push('}');
    }
    request.push_str("]}");
    Line {
        business: Business::Property,
        operation: format!("$oc/devices/{}/sys/{tail}", from.id).into(),
        request: request.into(),
        result: NOTHING,
        status: "200",
    }
}

impl Platform {
    /// Takes one event of `from`, adding what must be committed to `taken`. The caller submits the units (several
    /// events may share one submission) and acknowledges after the commit.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when the event contradicts itself (properties that are no object). The connection lives on.
    pub async fn take(
        &self,
        from: &Arc<DeviceContext>,
        event: DeviceEvent<'_>,
        heard: Heard<'_>,
        taken: &mut Taken,
    ) -> Result<()> {
        match event {
            DeviceEvent::Report(services) => self.take_report(from, from, &services, heard, taken),
            DeviceEvent::SubDeviceReport(devices) => {
                for (id, services) in devices {
                    match self.child_of(from, &id).await? {
                        Some(child) => self.take_report(from, &child, &services, heard, taken)?,
                        None => taken.foreign.push(id.into_owned()),
                    }
                }
                Ok(())
            }
            DeviceEvent::Message { topic, object_device_id, payload } => {
                let Some(speaker) = self.subject(from, object_device_id.as_deref(), taken).await? else {
                    return Ok(());
                };
                let mut deliveries = self.tell_message(&speaker, topic, payload, heard);
                deliveries.extend(self.run_line(&speaker, Business::Message, heard, || Line {
                    business: Business::Message,
                    operation: topic.into(),
                    request: String::from_utf8_lossy(payload),
                    result: NOTHING,
                    status: "200",
                }));
                if !deliveries.is_empty() {
                    taken.units.push(Unit { device: speaker.no, arrival: heard.at, change: Change::None, deliveries });
                }
                metrics::counter!("causeway_device_messages_total").increment(1);
                Ok(())
            }
            DeviceEvent::Events(events) => self.take_events(from, events, heard, taken).await,
            DeviceEvent::Answer { kind, request_id, body } => {
                self.take_answer(from, kind, request_id, body).await;
                Ok(())
            }
        }
    }

    /// The device that `from` speaks for: itself, or one behind it. A foreign one is noted, and nobody speaks.
    pub(super) async fn subject(
        &self,
        from: &Arc<DeviceContext>,
        object_device_id: Option<&str>,
        taken: &mut Taken,
    ) -> Result<Option<Arc<DeviceContext>>> {
        match object_device_id {
            // Real SDKs send "" or their own id for themselves (iotda-device-access.md §5).
            None | Some("") => Ok(Some(from.clone())),
            Some(id) if id == from.id.as_str() => Ok(Some(from.clone())),
            Some(id) => {
                let child = self.child_of(from, id).await?;
                if child.is_none() {
                    taken.foreign.push(id.to_owned());
                }
                Ok(child)
            }
        }
    }

    /// Hands units to the store; the ticket resolves after their commit.
    pub async fn commit(&self, units: Vec<Unit>) -> CommitTicket {
        self.store.submit(units).await
    }

    fn take_report(
        &self,
        from: &Arc<DeviceContext>,
        device: &Arc<DeviceContext>,
        services: &Services<'_>,
        heard: Heard<'_>,
        taken: &mut Taken,
    ) -> Result<()> {
        let product = device.product.current();
        let mut rows: SmallVec<[ReportRow; 1]> = SmallVec::new();
        for service in services {
            let properties = product
                .model
                .admit(&service.service_id, service.properties, |mismatch| self.note_mismatch(device, &mismatch))?;
            if !properties.is_empty() {
                rows.push(ReportRow {
                    service_id: service.service_id.as_ref().into(),
                    properties,
                    event_time: service.event_time.unwrap_or(heard.at),
                });
            }
        }
        self.reports.increment(1);
        self.compare_with_desired(device, &rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut deliveries = self.tell_report(device, &rows, heard);
        deliveries.extend(self.consider_report(device, &rows, heard));
        deliveries.extend(self.run_line(device, Business::Property, heard, || report_line(from, device, services)));
        taken.units.push(Unit { device: device.no, arrival: heard.at, change: Change::Report(rows), deliveries });
        Ok(())
    }

    fn note_mismatch(&self, device: &DeviceContext, mismatch: &Mismatch) {
        metrics::counter!("causeway_model_mismatch_total", "reason" => mismatch.reason.as_str()).increment(1);
        if self.mismatch_log.allow() {
            tracing::info!(
                device_id = %device.id,
                service_id = mismatch.service_id.chars().take(64).collect::<String>(),
                property = mismatch.property.as_deref().map(|p| p.chars().take(64).collect::<String>()),
                reason = mismatch.reason.as_str(),
                "a reported value does not match the product model and was left out"
            );
        }
    }

    async fn take_answer(&self, from: &Arc<DeviceContext>, kind: AnswerKind, request_id: &str, body: &[u8]) {
        let answer = Answer { body: body.to_vec() };
        self.bus.answer(&from.id, request_id, answer).await;
        tracing::trace!(device_id = %from.id, ?kind, "answer");
    }

    /// Takes an event and waits for its commit: the whole road for doors that acknowledge one by one.
    ///
    /// # Errors
    /// As [`take`](Self::take); [`Code::Unavailable`] when the commit failed; [`Code::NotASubDevice`] when a gateway
    /// spoke for devices that are not behind it (nothing of the event is committed then).
    pub async fn take_and_commit(&self, from: &Arc<DeviceContext>, event: DeviceEvent<'_>) -> Result<()> {
        let mut taken = Taken::default();
        self.take(from, event, Heard::at(self.clock.now()), &mut taken).await?;
        if let Some(foreign) = taken.foreign.first() {
            let shown: String = foreign.chars().take(128).collect();
            return Err(Error::new(
                Code::NotASubDevice,
                format!("Subdevices in the request does not exist or does not belong to the gateway: '{shown}'."),
            ));
        }
        if taken.units.is_empty() {
            return Ok(());
        }
        let ticket = self.commit(taken.units).await;
        ticket.await.map_err(|_| Error::unavailable("the store stopped before the commit"))?
    }
}
