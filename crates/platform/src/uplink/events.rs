//! Events of services: each goes to the use case of its service. What an answer tells of is committed before it is given.

use std::sync::Arc;

use causeway_model::event::Heard;
use causeway_model::service_event::{EventBody, Events, ServiceEvent};
use causeway_model::{Kind, Result};

use super::road::Taken;
use super::{Change, DeviceContext, Unit};
use crate::Platform;
use crate::downlink::{EventNotice, NoticeBody, TimeNotice};
use crate::file::FileAsk;
use crate::outbox::notification::ModelEvent;

/// Who speaks and of whom, for the events of one envelope.
pub(crate) struct Speaker<'a> {
    /// The connected device.
    pub(crate) from: &'a Arc<DeviceContext>,
    /// The device that the events are about: itself, or one behind it.
    pub(crate) subject: &'a Arc<DeviceContext>,
    /// When and under which id the envelope came.
    pub(crate) heard: Heard<'a>,
}

impl Platform {
    /// Serves the events of an envelope one after another. What a device says wrong is no error: it is counted, and the
    /// other events of the envelope count.
    pub(super) async fn take_events(
        &self,
        from: &Arc<DeviceContext>,
        events: Events<'_>,
        heard: Heard<'_>,
        taken: &mut Taken,
    ) -> Result<()> {
        let Some(subject) = self.subject(from, events.object_device_id.as_deref(), taken).await? else {
            return Ok(());
        };
        let speaker = Speaker { from, subject: &subject, heard };
        for event in events.list {
            match self.take_event(&speaker, event, taken).await {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Internal | Kind::Overloaded) => {
                    return Err(error);
                }
                Err(error) => {
                    metrics::counter!("causeway_refused_events_total").increment(1);
                    if self.mismatch_log.allow() {
                        tracing::info!(device_id = %from.id, %error, "an event of a device was refused");
                    }
                }
            }
        }
        Ok(())
    }

    async fn take_event(&self, speaker: &Speaker<'_>, event: ServiceEvent<'_>, taken: &mut Taken) -> Result<()> {
        let event_id = event.event_id.as_deref().map(Box::from);
        let answer = match event.body {
            EventBody::TimeSync { device_send_time } => {
                Some(NoticeBody::Time(TimeNotice { device_send_time, received: speaker.heard.at }))
            }
            EventBody::DeviceInfo(versions) | EventBody::VersionReport(versions) => {
                self.note_versions(speaker.subject.no, versions).await?;
                None
            }
            EventBody::FileUrl { transfer, name, attributes } => {
                let ask = FileAsk { name: &name, attributes };
                let url = self.device_file_url(speaker, transfer, ask).await?;
                url.map(|url| NoticeBody::File { transfer, url })
            }
            EventBody::FileResult(result) => {
                self.take_file_result(speaker, result).await?;
                None
            }
            EventBody::Gateway(said) => {
                self.take_gateway_event(speaker, event_id, said, taken).await?;
                return Ok(());
            }
            EventBody::Log(log) => {
                self.take_log(speaker, log, event.event_time).await?;
                None
            }
            EventBody::Model { service_id, event_type, paras } => {
                let event =
                    ModelEvent { service_id: &service_id, event_type: &event_type, paras, at: event.event_time };
                self.take_model_event(speaker, &event, taken)?;
                None
            }
            EventBody::Unserved => {
                metrics::counter!("causeway_unserved_events_total").increment(1);
                tracing::debug!(device_id = %speaker.from.id, "an event that nobody serves");
                None
            }
        };
        if let Some(body) = answer {
            taken.answers.push(EventNotice { object_device_id: speaker.subject.id.clone(), event_id, body });
        }
        Ok(())
    }

    /// An event of the product model goes to the applications as a device message: they know no other kind
    /// (`iotda-v5-api.md` §3).
    fn take_model_event(&self, speaker: &Speaker<'_>, event: &ModelEvent<'_>, taken: &mut Taken) -> Result<()> {
        let subject = speaker.subject;
        subject.product.current().model.check_service(event.service_id)?;
        let deliveries = self.tell_model_event(subject, &speaker.from.id, event, speaker.heard);
        if !deliveries.is_empty() {
            taken.units.push(Unit { device: subject.no, arrival: speaker.heard.at, change: Change::None, deliveries });
        }
        Ok(())
    }
}
