//! OFFLINE, one minute late (002 §3.4): devices that left, in the order of leaving.

use std::collections::{HashMap, VecDeque};

use causeway_model::status::{DeviceStatus, StatusEvent};
use causeway_model::{DeviceId, DeviceNo, Error, Result, Timestamp};
use parking_lot::Mutex;

use crate::Platform;

/// Devices shown OFFLINE with one commit.
const TOGETHER: usize = 256;

/// Devices that left and are not OFFLINE yet.
#[derive(Default)]
pub(crate) struct Departures(Mutex<Left>);

#[derive(Default)]
struct Left {
    /// Leaving times; a device that came back is no longer in `since`, its place here is skipped.
    order: VecDeque<(Timestamp, DeviceId)>,
    since: HashMap<DeviceId, (Timestamp, DeviceNo)>,
}

/// A device whose delay has passed.
struct Departed {
    no: DeviceNo,
    id: DeviceId,
    at: Timestamp,
}

impl Departures {
    /// The device left at `at`.
    pub(crate) fn note(&self, no: DeviceNo, id: DeviceId, at: Timestamp) {
        let mut left = self.0.lock();
        left.order.push_back((at, id.clone()));
        left.since.insert(id, (at, no));
        metrics::counter!("causeway_device_departures_total").increment(1);
    }

    /// The device came back.
    pub(crate) fn forget(&self, id: &DeviceId) {
        self.0.lock().since.remove(id);
    }

    /// Devices that left before `before`, taken out.
    fn due(&self, before: Timestamp) -> Vec<Departed> {
        let mut left = self.0.lock();
        let mut due = Vec::new();
        while left.order.front().is_some_and(|(at, _)| *at <= before) {
            let Some((at, id)) = left.order.pop_front() else { break };
            if left.since.get(&id).is_some_and(|(noted, _)| *noted == at)
                && let Some((_, no)) = left.since.remove(&id)
            {
                due.push(Departed { no, id, at });
            }
        }
        due
    }

    /// Puts devices back whose turn failed, unless they left again meanwhile.
    fn put_back(&self, departed: impl DoubleEndedIterator<Item = Departed>) {
        let mut left = self.0.lock();
        for Departed { no, id, at } in departed.rev() {
            if !left.since.contains_key(&id) {
                left.order.push_front((at, id.clone()));
                left.since.insert(id, (at, no));
            }
        }
    }
}

impl Platform {
    /// Devices that the store shows ONLINE at the start lost their connections with the previous process.
    pub(crate) async fn adopt_departed(&self, started: Timestamp) -> Result<()> {
        for (no, id) in self.store.devices_with_status(DeviceStatus::Online).await? {
            if self.directory.get(id.as_str()).is_none() {
                self.departures.note(no, id, started);
            }
        }
        Ok(())
    }

    /// Shows devices OFFLINE whose delay has passed.
    pub(crate) async fn mark_offline(&self) -> Result<()> {
        let before = self.clock.now().plus_ms(-self.settings.device.offline_delay.as_millis());
        let mut due = self.departures.due(before);
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(TOGETHER));
            if let Err(error) = self.mark_these_offline(&due).await {
                self.departures.put_back(due.into_iter().chain(rest));
                return Err(error);
            }
            due = rest;
        }
        Ok(())
    }

    async fn mark_these_offline(&self, departed: &[Departed]) -> Result<()> {
        let mut units = Vec::new();
        let mut shown = Vec::new();
        for Departed { no, id, .. } in departed {
            if self.directory.get(id.as_str()).is_some() {
                continue;
            }
            let Some(device) = self.store.device_by_no(*no).await? else { continue };
            let connection = device.connection;
            let Some(context) = self.context_of(device).await? else { continue };
            if let Some(unit) = self.status_unit(&context, connection, StatusEvent::Gone) {
                units.push(unit);
                shown.push(id);
            }
        }
        if units.is_empty() {
            return Ok(());
        }
        let ticket = self.store.submit(units).await;
        ticket.await.map_err(|_| Error::unavailable("the store stopped before the commit"))??;
        // A device that came back while this was committed read its old status and changed nothing.
        for id in shown {
            if let Some(entry) = self.directory.get(id.as_str()) {
                self.change_status(&entry.context, DeviceStatus::Offline, StatusEvent::Connected).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_due_in_order_unless_they_came_back() {
        let departures = Departures::default();
        let id = |n: i64| DeviceId::parse(&format!("d{n}")).expect("id");
        for n in 0..4 {
            departures.note(DeviceNo(n), id(n), Timestamp(n * 10));
        }
        departures.forget(&id(1));
        let due = departures.due(Timestamp(20));
        assert_eq!(due.iter().map(|d| d.no.0).collect::<Vec<_>>(), [0, 2]);
        departures.note(DeviceNo(0), id(0), Timestamp(50));
        departures.put_back(due.into_iter());
        assert_eq!(departures.due(Timestamp(20)).iter().map(|d| d.no.0).collect::<Vec<_>>(), [2]);
        assert_eq!(departures.due(Timestamp(99)).iter().map(|d| d.no.0).collect::<Vec<_>>(), [3, 0]);
    }
}
