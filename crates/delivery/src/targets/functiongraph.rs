//! Functions of the platform: `FUNCTIONGRAPH_FORWARDING`. What a function throws is a failure like any other: the event is
//! tried again, later each time.

use std::sync::Arc;

use async_trait::async_trait;
use causeway_channels::FunctiongraphForwarding;
use causeway_model::Code;
use causeway_platform::Platform;

use super::Workshop;
use crate::target::{Feeding, Item, Sent, Target};

/// So often a call is tried anew while the sandbox is full, until it counts as a failure.
const BUSY: u32 = 20;

/// See the module text.
pub(crate) struct FunctionTarget {
    platform: Arc<Platform>,
    urn: String,
    concurrency: u32,
}

impl FunctionTarget {
    pub(crate) fn new(workshop: &Workshop, to: &FunctiongraphForwarding) -> Result<Self, String> {
        let platform = workshop.platform.clone().ok_or_else(|| "there is no platform to call".to_owned())?;
        Ok(Self { platform, urn: to.func_urn.clone(), concurrency: workshop.concurrency })
    }
}

#[async_trait]
impl Target for FunctionTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Lanes { concurrency: self.concurrency, host: self.urn.clone() }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let Some(item) = items.first() else { return Sent::default() };
        let Ok(event) = std::str::from_utf8(&item.body) else {
            return Sent::failed("failed", "the event is no text");
        };
        let mut busy = 0;
        loop {
            // Which functions a rule may name was checked when its action was made.
            let error = match self.platform.invoke_function(None, &self.urn, event).await {
                Ok(_) => return Sent::all(items),
                Err(error) => error,
            };
            let word = match error.code() {
                // The sandbox has no place, which is no fault of this function: it must not be left alone for that. Each try
                // has waited for `script.wait`.
                Code::TooManyPending if busy < BUSY => {
                    busy += 1;
                    continue;
                }
                Code::TooManyPending => "busy",
                Code::FunctionFailed => "failed",
                Code::FunctionNotFound => "not_found",
                _ => "unavailable",
            };
            return Sent::failed(word, error.message());
        }
    }
}
