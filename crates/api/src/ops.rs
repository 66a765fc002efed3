//! What belongs to no project: health, metrics, the clock of laboratories, the document.

use causeway_model::{Code, Error, Result};

use crate::bounded::Int;
use crate::call::{Call, Reply};
use crate::operation::{Built, Success, json};
use crate::shape::{Millis, body, reply};

/// A clock that was moved further than this at once could not be moved back into any useful time: 10 years.
const FARTHEST_MS: i64 = 315_360_000_000;

body! {
    /// How far to move the clock.
    pub(crate) struct MoveClock {
        /// Milliseconds forward.
        advance_ms: Int<0, FARTHEST_MS>,
    }
}

reply! {
    /// The platform's time.
    pub(crate) struct Now {
        /// Now.
        now: Millis,
    }
}

reply! {
    /// State of the platform.
    pub(crate) struct Health {
        /// `ok`.
        status: &'static str,
    }
}

pub(crate) static HEALTH: Built =
    Built::new("Answers while the process lives.", json::<Health>(200), |c| Box::pin(health(c))).open();

async fn health(_: Call) -> Result<Reply> {
    Reply::ok(&Health { status: "ok" })
}

pub(crate) static READINESS: Built =
    Built::new("Answers 200 when the store can serve, 503 when it cannot.", json::<Health>(200), |c| {
        Box::pin(readiness(c))
    })
    .open();

async fn readiness(call: Call) -> Result<Reply> {
    call.platform().store.ping().await?;
    Reply::ok(&Health { status: "ok" })
}

pub(crate) static METRICS: Built = Built::new(
    "Metrics in the Prometheus text format.",
    Success::Text("text/plain; version=0.0.4; charset=utf-8"),
    |c| Box::pin(metrics(c)),
)
.open();

async fn metrics(call: Call) -> Result<Reply> {
    Ok(Reply::of_type("text/plain; version=0.0.4; charset=utf-8", call.state.metrics()))
}

pub(crate) static DOCUMENT: Built =
    Built::new("This document.", Success::Text("application/json"), |c| Box::pin(document(c))).open();

async fn document(call: Call) -> Result<Reply> {
    Ok(Reply::of_type("application/json", call.state.document()))
}

pub(crate) static MOVE_CLOCK: Built = Built::new(
    "Moves the platform's clock forward, where the key clock.movable allows it; 404 elsewhere.",
    json::<Now>(200),
    |c| Box::pin(move_clock(c)),
)
.body::<MoveClock>()
.errors(&[Code::NoSuchPath]);

async fn move_clock(call: Call) -> Result<Reply> {
    if !call.state.clock_movable() {
        return Err(Error::new(Code::NoSuchPath, "There is no such path. The clock of this platform cannot be moved."));
    }
    call.require_everywhere().await?;
    let asked: MoveClock = call.body()?;
    let now = call.platform().clock.advance(asked.advance_ms.0);
    tracing::warn!(advance_ms = asked.advance_ms.0, now = now.millis(), "the platform's clock was moved");
    Reply::ok(&Now { now: Millis(now) })
}
