//! Reading bodies: bounded in size, time, and in memory over all connections.

use std::sync::Arc;

use bytes::Bytes;
use causeway_model::settings::Span;
use causeway_model::{Code, Error, Result};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is handed out in pieces of this size.
const PIECE: usize = 1024;

/// Memory for bodies that are being taken, shared by all connections.
#[derive(Clone)]
pub(crate) struct BodyMemory {
    room: Arc<Semaphore>,
    pieces: usize,
}

/// A whole body, with its share of the memory.
pub(crate) struct WholeBody {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl WholeBody {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.bytes).map_err(|e| {
            Error::invalid(format!("Invalid input data. The body is not UTF-8 from byte {} on.", e.valid_up_to()))
        })
    }
}

impl BodyMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        let pieces = (bytes / PIECE).clamp(1, Semaphore::MAX_PERMITS);
        Self { room: Arc::new(Semaphore::new(pieces)), pieces }
    }

    /// Reads a body of at most `limit` bytes. A longer one that says so beforehand is refused with `too_large` before
    /// anything is read, so a client that waits for `100 Continue` sends nothing.
    pub(crate) async fn read(
        &self,
        body: Incoming,
        limit: usize,
        time: Span,
        too_large: impl Fn() -> Error,
    ) -> Result<WholeBody> {
        let announced = body.size_hint().exact().map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        if announced.is_some_and(|n| n > limit) {
            return Err(too_large());
        }
        let share = self.share_of(announced.unwrap_or(limit));
        let share = tokio::time::timeout(time.0, share).await.map_err(|_| {
            Error::unavailable("bodies wait for 'device_http.body_memory' longer than 'device_http.body_timeout'")
        })?;
        let bytes =
            tokio::time::timeout(time.0, collect(body, announced, limit, too_large)).await.map_err(|_| {
                Error::new(Code::InvalidInput, format!("Invalid input data. The body did not arrive within {time}."))
            })??;
        Ok(WholeBody { bytes, _share: share })
    }

    async fn share_of(&self, bytes: usize) -> OwnedSemaphorePermit {
        let pieces = bytes.div_ceil(PIECE).clamp(1, self.pieces);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        self.room.clone().acquire_many_owned(pieces).await.expect("the semaphore is never closed")
    }
}

/// A body of one frame is not copied.
async fn collect(
    mut body: Incoming,
    announced: Option<usize>,
    limit: usize,
    too_large: impl Fn() -> Error,
) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| Error::invalid("Invalid input data. The body ended early or is not well-formed HTTP."))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_large());
        }
        if rest.is_empty() && first.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(announced.unwrap_or(first.len() + data.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}
