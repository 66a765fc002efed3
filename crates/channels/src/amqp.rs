//! An AMQP queue of the platform (002 §4.6.3).

use crate::field::length;

channel! {
    /// Puts each event into an AMQP queue of the platform, where consumers take it.
    pub struct AmqpForwarding in "AMQP_FORWARDING" "amqp_forwarding" {
        /// Name of the queue.
        queue_name: String,
    }
    check |c| length("queue_name", &c.queue_name, 8, 128)
}
