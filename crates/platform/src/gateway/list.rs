//! Telling gateways which devices are behind them (002 §2.1.2.7.1–3): with every change while they are connected, and
//! whatever they missed when they ask.
//!
//! A list has a version that rises with every change; each notice carries the version of the last change in it, so that
//! versions rise from notice to notice. SDKs drop notices whose version they have seen (`iotda-device-access.md` §8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_model::{DeviceId, Result};
use parking_lot::Mutex;

use super::{ChildChange, GatewayNotice, SubDevice};
use crate::Platform;
use crate::bus::Changed;
use crate::downlink::{Downlink, EventNotice, NoticeBody, Refused};
use crate::session::Entry;
use crate::uplink::DeviceContext;

/// Changes read at once.
const PAGE: u32 = 200;
/// Devices in one notice: the C SDK has room for ten (`iotda-device-access.md` §6).
const TOGETHER: usize = 10;
/// While a gateway's connection is busy, its news wait so long at a time, and so often before they are given up. The
/// gateway learns of them when it asks.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
const BUSY_PAUSES: u32 = 600;
/// A gateway may have its list numbered anew so often.
const RENUMBERED: Duration = Duration::from_secs(60);

/// What a connected gateway was told of the devices behind it.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Option<Box<Telling>>>);

#[derive(Debug)]
struct Telling {
    /// Changes up to this version were told.
    cursor: i64,
    /// Rises when the gateway asks: what is told then begins at another place.
    asked: u64,
    is_running: bool,
    /// Something changed since the task looked last.
    has_news: bool,
    renumbered: Option<Instant>,
}

impl Told {
    /// Notes that there is something to tell; true when the caller has to begin telling.
    fn begin(&self, after: i64, is_asked: bool) -> bool {
        let mut state = self.0.lock();
        let telling = state.get_or_insert_with(|| {
            Box::new(Telling { cursor: after, asked: 0, is_running: false, has_news: false, renumbered: None })
        });
        if is_asked {
            telling.cursor = after;
            telling.asked += 1;
        }
        telling.has_news = true;
        !std::mem::replace(&mut telling.is_running, true)
    }

    /// Where to go on: the version told last, and the number of the asking; `None` at the end.
    fn next(&self) -> Option<(i64, u64)> {
        let mut state = self.0.lock();
        let telling = state.as_mut()?;
        if std::mem::take(&mut telling.has_news) {
            return Some((telling.cursor, telling.asked));
        }
        telling.is_running = false;
        None
    }

    /// Changes up to `version` were told. False when the gateway asked for others meanwhile.
    fn advance(&self, version: i64, asked: u64) -> bool {
        let mut state = self.0.lock();
        let Some(telling) = state.as_mut().filter(|t| t.asked == asked) else { return false };
        telling.cursor = version;
        true
    }

    fn go_on(&self) {
        if let Some(telling) = self.0.lock().as_mut() {
            telling.has_news = true;
        }
    }

    fn stop(&self) {
        if let Some(telling) = self.0.lock().as_mut() {
            telling.is_running = false;
        }
    }

    /// Whether the list may be numbered anew now.
    fn may_renumber(&self) -> bool {
        let mut state = self.0.lock();
        let telling = state.get_or_insert_with(|| {
            Box::new(Telling { cursor: 0, asked: 0, is_running: false, has_news: false, renumbered: None })
        });
        let may = telling.renumbered.is_none_or(|at| at.elapsed() >= RENUMBERED);
        if may {
            telling.renumbered = Some(Instant::now());
        }
        may
    }
}

impl Platform {
    /// Devices came behind gateways, moved or went: whoever is connected of the gateways is told. To be called after the
    /// commit, with as many devices at once as there are.
    ///
    /// # Errors
    /// Only the store's; the change stands, and the gateways learn of it when they ask.
    pub async fn children_changed(&self, devices: &[DeviceId], some_are_gone: bool) -> Result<()> {
        for (gateway, version) in self.store.list_versions_of(devices).await? {
            if some_are_gone {
                self.store.forget_deletions(&gateway, self.settings.gateway.kept_deletions).await?;
            }
            self.bus.announce(Changed::Children { gateway, version }).await;
        }
        Ok(())
    }

    /// Like [`children_changed`](Self::children_changed) for callers that have done their work whatever becomes of this.
    pub(crate) async fn tell_of_children(&self, devices: &[DeviceId], some_are_gone: bool) {
        if devices.is_empty() {
            return;
        }
        if let Err(error) = self.children_changed(devices, some_are_gone).await {
            tracing::warn!(?error, "gateways could not be told of their devices; they learn when they ask");
        }
    }

    /// The list of a gateway changed; `version` is the first change.
    pub(crate) fn tell_gateway(&self, gateway: &DeviceId, version: i64) {
        if let Some(entry) = self.directory.get(gateway.as_str()) {
            self.begin_telling(entry, version - 1, false);
        }
    }

    /// A gateway asks for everything after a version (002 §2.1.2.7.3). There is no answer when nothing changed.
    pub(crate) async fn sync_children(&self, gateway: &Arc<DeviceContext>, known: Option<i64>) -> Result<()> {
        let Some(entry) = self.directory.get(gateway.id.as_str()) else { return Ok(()) };
        let known = known.unwrap_or(0).max(0);
        let list = self.store.child_list(gateway.no).await?;
        let after = if known > list.version {
            // It knows versions that never were, of an older platform perhaps: it would drop all that is told it.
            if list.version == 0 || known > HIGHEST || !entry.context.told.may_renumber() {
                return Ok(());
            }
            self.store.raise_child_list(gateway.no, known).await?;
            known
        } else if known < list.floor {
            0
        } else {
            known
        };
        if after != list.version {
            self.begin_telling(entry, after, true);
        }
        Ok(())
    }

    fn begin_telling(&self, entry: Entry, after: i64, is_asked: bool) {
        if entry.context.told.begin(after, is_asked)
            && let Some(platform) = self.itself.upgrade()
        {
            tokio::spawn(async move {
                if let Err(error) = platform.tell(&entry).await {
                    entry.context.told.stop();
                    tracing::warn!(device_id = %entry.context.id, ?error, "a gateway could not be told of its devices");
                }
            });
        }
    }

    /// Tells a gateway what it has not been told, page by page, as fast as its connection takes it.
    async fn tell(&self, entry: &Entry) -> Result<()> {
        let told = &entry.context.told;
        while let Some((cursor, asked)) = told.next() {
            let page = self.store.child_changes(entry.context.no, cursor, PAGE).await?;
            if page.len() == PAGE as usize {
                told.go_on();
            }
            // A gateway that knows nothing needs not hear of what went.
            let is_news = |change: &ChildChange| cursor > 0 || change.device.is_some();
            let page: Vec<ChildChange> = page.into_iter().filter(is_news).collect();
            for part in page.chunk_by(|a, b| a.device.is_some() == b.device.is_some()).flat_map(|c| c.chunks(TOGETHER))
            {
                let Some(version) = part.last().map(|c| c.version) else { continue };
                let notice = self.children_notice(part, version).await?;
                if !self.deliver_patiently(entry, notice).await {
                    told.stop();
                    return Ok(());
                }
                if !told.advance(version, asked) {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn children_notice(&self, changes: &[ChildChange], version: i64) -> Result<GatewayNotice> {
        let mut added = Vec::new();
        for change in changes {
            let Some(device) = &change.device else { continue };
            let product = self.store.product(device.product_no).await?;
            added.push(SubDevice::new(device, &change.parent_id, product.as_ref()));
        }
        if !added.is_empty() {
            return Ok(GatewayNotice::Added { devices: added, version });
        }
        let gone = |c: &ChildChange| (c.parent_id.clone(), c.node_id.clone(), c.device_id.clone());
        Ok(GatewayNotice::Deleted { devices: changes.iter().map(gone).collect(), version })
    }

    /// Hands a notice to a connection, waiting while it is busy; false when it is over.
    async fn deliver_patiently(&self, entry: &Entry, notice: GatewayNotice) -> bool {
        let notice = EventNotice {
            object_device_id: entry.context.id.clone(),
            event_id: None,
            body: NoticeBody::Gateway(notice),
        };
        for _ in 0..BUSY_PAUSES {
            match entry.link.deliver(Downlink::Event(Box::new(notice.clone()))) {
                Ok(()) => return true,
                Err(Refused::Closed) => return false,
                Err(Refused::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            }
        }
        false
    }
}

/// Higher versions are not believed: there must be room above them.
const HIGHEST: i64 = 1 << 52;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_tells_and_hears_of_news_and_of_asking() {
        let told = Told::default();
        assert!(told.begin(4, false), "the first one begins");
        assert!(!told.begin(9, false), "the second one finds it running");
        assert_eq!(told.next(), Some((4, 0)));
        assert!(told.advance(6, 0));
        assert!(!told.begin(1, true), "asking sets it back");
        assert!(!told.advance(7, 0), "what was under way does not count");
        assert_eq!(told.next(), Some((1, 1)));
        assert!(told.advance(8, 1));
        assert_eq!(told.next(), None);
        assert!(told.begin(2, false), "it goes on where it ended");
        assert_eq!(told.next(), Some((8, 1)));
    }

    #[test]
    fn a_list_is_numbered_anew_now_and_then() {
        let told = Told::default();
        assert!(told.may_renumber());
        assert!(!told.may_renumber());
    }
}
