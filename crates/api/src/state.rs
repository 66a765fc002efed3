//! What every request needs.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use causeway_platform::Platform;
use tokio::sync::Semaphore;

use crate::settings::ApiSettings;

/// Renders the metrics as Prometheus text.
type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

struct Inner {
    platform: Arc<Platform>,
    metrics: RenderMetrics,
    clock_movable: bool,
    version: String,
    settings: ApiSettings,
    document: OnceLock<Bytes>,
    body_room: Arc<Semaphore>,
}

/// What one permit of [`ApiState::body_room`] stands for, in bytes.
pub(crate) const BODY_UNIT: usize = 1024;

impl ApiState {
    /// `metrics` renders what `/metrics` shows; `clock_movable` opens `POST /debug/clock`; `version` is the platform's.
    #[must_use]
    pub fn new(
        platform: Arc<Platform>,
        metrics: RenderMetrics,
        clock_movable: bool,
        version: String,
        settings: ApiSettings,
    ) -> Self {
        let room = settings
            .body_memory
            .0
            .max(settings.max_body.0)
            .max(settings.max_upload.0)
            .div_ceil(BODY_UNIT)
            .min(Semaphore::MAX_PERMITS);
        let body_room = Arc::new(Semaphore::new(room));
        Self(Arc::new(Inner {
            platform,
            metrics,
            clock_movable,
            version,
            settings,
            document: OnceLock::new(),
            body_room,
        }))
    }

    pub(crate) fn platform(&self) -> &Arc<Platform> {
        &self.0.platform
    }

    pub(crate) fn metrics(&self) -> String {
        (self.0.metrics)()
    }

    pub(crate) fn clock_movable(&self) -> bool {
        self.0.clock_movable
    }

    pub(crate) fn settings(&self) -> &ApiSettings {
        &self.0.settings
    }

    /// Room for bodies of requests under way, one permit for each [`BODY_UNIT`].
    pub(crate) fn body_room(&self) -> &Arc<Semaphore> {
        &self.0.body_room
    }

    /// The OpenAPI document, written once.
    pub(crate) fn document(&self) -> Bytes {
        self.0.document.get_or_init(|| Bytes::from(crate::openapi::document(&self.0.version).to_string())).clone()
    }
}
