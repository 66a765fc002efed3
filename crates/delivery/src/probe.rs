//! The connectivity test (002 §5.5): one message, sent for real.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_channels::Channel;
use causeway_platform::Platform;
use causeway_platform::routing::{ProbeFailed, Prober};

use crate::settings::ForwardingSettings;
use crate::target::Item;
use crate::targets::Workshop;

/// Whatever limits a target has of its own, a test ends by now.
const LONGEST: Duration = Duration::from_secs(30);

/// See the module text.
struct Probe {
    /// It is the platform that holds this.
    platform: Weak<Platform>,
    forwarding: ForwardingSettings,
    data: PathBuf,
}

#[async_trait]
impl Prober for Probe {
    async fn probe(&self, channel: &Channel, message: &str) -> Result<(), ProbeFailed> {
        let Some(platform) = self.platform.upgrade() else {
            return Err(ProbeFailed { word: "stopped", text: "the platform is stopping".to_owned() });
        };
        let at = platform.clock.now();
        let settings = platform.settings.push.clone();
        let target = Workshop::new(&settings, self.forwarding.clone(), &self.data, Some(platform))
            .channel(channel)
            .map_err(|why| ProbeFailed { word: "unsound", text: why })?;
        let item = Item { seq: 0, device: None, at, body: Bytes::from(message.to_owned()) };
        match tokio::time::timeout(LONGEST, target.probe(&item)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(ProbeFailed { word: failure.word, text: failure.text }),
            Err(_) => Err(ProbeFailed { word: "timeout", text: "the receiver did not answer in time".to_owned() }),
        }
    }
}

/// What sends the test messages of a platform. `data` is the data folder.
#[must_use]
pub fn prober(platform: &Arc<Platform>, forwarding: ForwardingSettings, data: &Path) -> Arc<dyn Prober> {
    Arc::new(Probe { platform: Arc::downgrade(platform), forwarding, data: data.to_owned() })
}
