//! From the platform's typed downlinks to topics and payloads, and the mailbox between the two.

pub(crate) mod events;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod request;
