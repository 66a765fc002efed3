//! Custom topics of a product, `$oc/devices/{id}/user/{topic}` (002 §4.2).

use causeway_model::registry::CustomTopic;

/// Whether the product lets its devices publish on the topic.
pub(crate) fn may_publish(declared: &[CustomTopic], suffix: &str) -> bool {
    declared.iter().any(|t| t.right.may_publish() && t.topic == suffix)
}

/// Whether the product lets its devices subscribe to a topic that `wanted` picks.
pub(crate) fn may_subscribe(declared: &[CustomTopic], wanted: impl Fn(&str) -> bool) -> bool {
    declared.iter().any(|t| t.right.may_subscribe() && wanted(&t.topic))
}
