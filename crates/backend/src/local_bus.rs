//! The bus of a single node: everything stays in the process.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use causeway_model::{Code, DeviceId, Error};
use causeway_platform::bus::{Bus, BusEar, Changed};
use causeway_platform::downlink::{Answer, Delivered, Downlink};

/// Hands everything straight to the one node.
#[derive(Default)]
pub struct LocalBus {
    ear: OnceLock<Weak<dyn BusEar>>,
}

impl LocalBus {
    fn ear(&self) -> Option<Arc<dyn BusEar>> {
        self.ear.get().and_then(Weak::upgrade)
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn deliver(&self, via: &DeviceId, downlink: Downlink) -> Delivered {
        match self.ear() {
            Some(ear) => ear.deliver_here(via, downlink),
            None => Err(Error::new(Code::DeviceOffline, "Operation not allowed. The device is not online.")),
        }
    }

    async fn answer(&self, via: &DeviceId, request_id: &str, answer: Answer) {
        if let Some(ear) = self.ear() {
            ear.answer_here(via, request_id, answer);
        }
    }

    async fn announce(&self, change: Changed) {
        if let Some(ear) = self.ear() {
            ear.changed(change).await;
        }
    }

    fn join(&self, ear: Arc<dyn BusEar>) {
        // A second node in one process would be a mistake of the composition; the first one stays.
        let _ = self.ear.set(Arc::downgrade(&ear));
    }
}
