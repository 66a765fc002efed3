//! Publishing the will of a device whose connection is over (3.1.1 §3.1.2.5, v5 §3.1.2.5).

use std::sync::Arc;

use causeway_model::{Error, Result};
use causeway_platform::uplink::{DeviceContext, Taken};
use causeway_wire::mqtt::{Publish, Version};

use super::letter::{Will, expiry};
use super::outbox::{Origin, Outgoing};
use crate::door::Door;
use crate::topics::is_permitted;
use crate::uplink::publication::{Publication, may_receive, proper_topic};

/// Publishes a will as the device itself would have: to the applications, as a retained message if it says so, and to the
/// subscriptions of its own session if that lives on. A will on a topic that the device may not use is dropped.
pub(crate) async fn publish(door: &Door, device: &Arc<DeviceContext>, will: &Will) {
    let outcome = deliver(door, device, will).await;
    let word = if outcome.is_ok() { "published" } else { "failed" };
    metrics::counter!("causeway_mqtt_wills_total", "outcome" => word).increment(1);
    if let Err(error) = outcome
        && door.log.allow()
    {
        tracing::warn!(device_id = %device.id, ?error, "a will could not be published");
    }
}

async fn deliver(door: &Door, device: &Arc<DeviceContext>, will: &Will) -> Result<()> {
    let publish = will.publish();
    let arrival = door.platform.clock.now();
    let mut taken = Taken::default();
    // In 3.x and 5.0 alike nobody is there to be told that a retained message was not kept.
    let publication = Publication { device, publish: &publish, version: Version::V311, arrival };
    let verdict = publication.take(door, &mut taken).await?;
    if !taken.units.is_empty() {
        let ticket = door.platform.commit(taken.units).await;
        ticket.await.map_err(|_| Error::unavailable("the store stopped before the commit"))??;
    }
    if verdict.is_routed {
        route(door, device, &publish, will);
    }
    Ok(())
}

/// To the session that waits for the device.
fn route(door: &Door, device: &Arc<DeviceContext>, publish: &Publish<'_>, will: &Will) {
    let now = door.platform.clock.now();
    let topic = proper_topic(publish.topic, device.id.as_str());
    if !may_receive(device, topic) {
        return;
    }
    door.places.with_parked(device.no, |session| {
        for copy in session.subscriptions.of_device(topic, |filter| is_permitted(device, filter)) {
            let qos = copy.qos.min(will.qos);
            if qos.bits() == 0 || session.outbox.len() >= door.settings.max_queued as usize {
                continue;
            }
            let letter = session.letter(topic, publish.payload, &publish.properties, &door.budget);
            if letter.is_some() {
                session.outbox.push(Outgoing {
                    letter,
                    qos,
                    retain: copy.retain_as_published && will.retain,
                    identifiers: copy.identifiers,
                    expires_at: expiry(&publish.properties, now),
                    origin: Origin::Own,
                });
            }
        }
    });
}
