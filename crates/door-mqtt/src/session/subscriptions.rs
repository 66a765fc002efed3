//! A device's subscriptions and which of them a message goes to.

use std::num::NonZeroU32;

use causeway_platform::session::StoredSubscription;
use causeway_wire::mqtt::topic::{TopicFilter, matches};
use causeway_wire::mqtt::{QoS, RetainHandling, Subscription as Asked, Version};
use smallvec::SmallVec;

use crate::topics::BROADCAST;

/// Subscription identifiers of one delivery.
pub(crate) type Identifiers = SmallVec<[NonZeroU32; 1]>;

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// As the device wrote it, with `$share/{name}/` if there.
    filter: Box<str>,
    /// Where the filter proper begins; not 0 for shared subscriptions.
    start: u16,
    /// Granted.
    qos: QoS,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: u8,
    identifier: Option<NonZeroU32>,
}

impl Subscription {
    /// Makes a subscription of one that was asked for and granted.
    pub(crate) fn new(asked: &Asked<'_>, proper: &str, granted: QoS, identifier: Option<NonZeroU32>) -> Self {
        Self {
            filter: asked.filter.into(),
            // Both come from one packet, whose strings end at 65535 bytes.
            start: u16::try_from(asked.filter.len() - proper.len()).unwrap_or(0),
            qos: granted,
            no_local: asked.no_local,
            retain_as_published: asked.retain_as_published,
            retain_handling: asked.retain_handling as u8,
            identifier,
        }
    }

    fn is_shared(&self) -> bool {
        self.start > 0
    }

    /// The filter without share name.
    fn proper(&self) -> &str {
        &self.filter[usize::from(self.start)..]
    }

    fn matches(&self, topic: &str) -> bool {
        matches(self.proper(), topic)
    }

    fn stored(&self) -> StoredSubscription {
        let flags = u8::from(self.no_local) << 2 | u8::from(self.retain_as_published) << 3 | self.retain_handling << 4;
        StoredSubscription {
            filter: self.filter.to_string(),
            options: self.qos.bits() | flags,
            identifier: self.identifier.map(NonZeroU32::get),
        }
    }

    fn restored(stored: &StoredSubscription, version: Version) -> Option<Self> {
        let proper = TopicFilter::parse(&stored.filter, version).ok()?.filter;
        Some(Self {
            start: u16::try_from(stored.filter.len() - proper.len()).ok()?,
            filter: stored.filter.as_str().into(),
            qos: QoS::from_bits(stored.options & 3)?,
            no_local: stored.options & 4 != 0,
            retain_as_published: stored.options & 8 != 0,
            retain_handling: stored.options >> 4 & 3,
            identifier: stored.identifier.and_then(NonZeroU32::new),
        })
    }

    /// Whether this subscription wants to be given retained messages now (v5 §3.8.3.1, [MQTT-3.8.4-4]).
    pub(crate) fn wants_retained(&self, is_new: bool) -> bool {
        !self.is_shared()
            && match self.retain_handling {
                h if h == RetainHandling::AtSubscribe as u8 => true,
                h if h == RetainHandling::IfNew as u8 => is_new,
                _ => false,
            }
    }
}

/// How one copy of a message goes to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Best QoS of the matching subscriptions [MQTT-3.3.5-1].
    pub(crate) qos: QoS,
    /// A matching subscription wants the retain flag as published.
    pub(crate) retain_as_published: bool,
    /// Of all matching subscriptions [MQTT-3.3.4-3].
    pub(crate) identifiers: Identifiers,
}

impl Copy {
    fn add(copy: &mut Option<Self>, subscription: &Subscription) {
        let copy = copy.get_or_insert_with(|| Self {
            qos: QoS::AtMostOnce,
            retain_as_published: false,
            identifiers: Identifiers::new(),
        });
        copy.qos = copy.qos.max(subscription.qos);
        copy.retain_as_published |= subscription.retain_as_published;
        copy.identifiers.extend(subscription.identifier);
    }
}

/// All subscriptions of a device; few, so that a list serves best.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, filter: &str) -> bool {
        self.0.iter().any(|s| *s.filter == *filter)
    }

    /// Adds a subscription in place of one with the same filter [MQTT-3.8.4-3]. True when there was none.
    pub(crate) fn set(&mut self, subscription: Subscription) -> bool {
        match self.0.iter_mut().find(|s| s.filter == subscription.filter) {
            Some(known) => {
                *known = subscription;
                false
            }
            None => {
                self.0.reserve_exact(1);
                self.0.push(subscription);
                true
            }
        }
    }

    /// Ends a subscription; false when there was none.
    pub(crate) fn remove(&mut self, filter: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|s| *s.filter != *filter);
        self.0.len() < before
    }

    /// The subscription with this filter.
    pub(crate) fn get(&self, filter: &str) -> Option<&Subscription> {
        self.0.iter().find(|s| *s.filter == *filter)
    }

    /// The one copy of what the platform says on a topic; `None` when no subscription matches.
    /// Subscriptions whose filter is not `permitted` any more do not count.
    pub(crate) fn of_platform(&self, topic: &str, permitted: impl Fn(&str) -> bool) -> Option<Copy> {
        let mut copy = None;
        let matching = self.0.iter().filter(|s| s.matches(topic) && permitted(s.proper()));
        matching.for_each(|s| Copy::add(&mut copy, s));
        copy
    }

    /// The copies of what the device itself published: one for all ordinary subscriptions together, one for each shared
    /// subscription, of which the device is the only member (v5 §4.8.2). Subscriptions whose filter is not `permitted` any
    /// more do not count.
    pub(crate) fn of_device(&self, topic: &str, permitted: impl Fn(&str) -> bool) -> SmallVec<[Copy; 1]> {
        let mut copies = SmallVec::new();
        let mut ordinary = None;
        for subscription in self.0.iter().filter(|s| s.matches(topic) && permitted(s.proper())) {
            if subscription.is_shared() {
                let mut copy = None;
                Copy::add(&mut copy, subscription);
                copies.extend(copy);
            } else if !subscription.no_local {
                Copy::add(&mut ordinary, subscription); // v5 [MQTT-3.8.3-3]
            }
        }
        if let Some(ordinary) = ordinary {
            copies.insert(0, ordinary);
        }
        copies
    }

    /// The copy of a retained message for one subscription.
    pub(crate) fn of_retained(&self, filter: &str, topic: &str) -> Option<Copy> {
        let mut copy = None;
        Copy::add(&mut copy, self.get(filter).filter(|s| s.matches(topic))?);
        copy
    }

    /// Whether one of them is for broadcasts.
    pub(crate) fn hear_broadcasts(&self) -> bool {
        self.0.iter().any(|s| s.filter[usize::from(s.start)..].starts_with(BROADCAST))
    }

    /// For the store.
    pub(crate) fn stored(&self) -> Vec<StoredSubscription> {
        self.0.iter().map(Subscription::stored).collect()
    }

    /// From the store; `version` says whether `$share/` means something.
    pub(crate) fn restored(stored: &[StoredSubscription], version: Version) -> Self {
        Self(stored.iter().filter_map(|s| Subscription::restored(s, version)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(_: &str) -> bool {
        true
    }

    fn add(list: &mut Subscriptions, asked: Asked<'_>, identifier: u32) -> bool {
        let proper = TopicFilter::parse(asked.filter, Version::V5).expect("filter").filter;
        list.set(Subscription::new(&asked, proper, asked.qos, NonZeroU32::new(identifier)))
    }

    #[test]
    fn overlapping_subscriptions_make_one_copy() {
        let mut list = Subscriptions::default();
        assert!(add(&mut list, Asked::new("a/#", QoS::AtMostOnce), 1));
        assert!(add(&mut list, Asked::new("a/+", QoS::ExactlyOnce), 2));
        assert!(add(&mut list, Asked { no_local: true, ..Asked::new("a/b", QoS::AtLeastOnce) }, 3));
        assert!(add(&mut list, Asked::new("$share/g/a/b", QoS::AtLeastOnce), 4));
        let ids = |copy: &Copy| copy.identifiers.iter().map(|i| i.get()).collect::<Vec<_>>();
        let copies = list.of_device("a/b", all);
        assert_eq!(copies.iter().map(|c| (c.qos.bits(), ids(c))).collect::<Vec<_>>(), [(2, vec![1, 2]), (1, vec![4])]);
        let one = list.of_platform("a/b", all).expect("matches");
        assert_eq!((one.qos, ids(&one)), (QoS::ExactlyOnce, vec![1, 2, 3, 4]));
        assert!(list.of_platform("a/b", |filter| filter == "x").is_none());
        assert!(list.of_device("a/b", |filter| filter == "x").is_empty());
        assert!(list.of_device("b", all).is_empty() && list.of_platform("b", all).is_none());
        assert!(!add(&mut list, Asked::new("a/#", QoS::AtLeastOnce), 9));
        assert!(list.remove("a/+") && !list.remove("a/+"));
        assert_eq!(
            list.of_device("a/x", all).iter().map(|c| (c.qos.bits(), ids(c))).collect::<Vec<_>>(),
            [(1, vec![9])]
        );
    }

    #[test]
    fn the_store_keeps_everything() {
        let mut list = Subscriptions::default();
        let asked = Asked {
            filter: "$share/g/x/#",
            qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: true,
            retain_handling: RetainHandling::Never,
        };
        add(&mut list, asked, 7);
        add(&mut list, Asked { no_local: true, ..Asked::new("y", QoS::AtLeastOnce) }, 0);
        assert_eq!(list.stored()[0].options, 0x2A);
        assert_eq!(Subscriptions::restored(&list.stored(), Version::V5), list);
        let plain = Subscriptions::restored(&list.stored(), Version::V311);
        assert!(plain.of_device("x/1", all).is_empty(), "3.x knows no shared subscriptions");
    }

    #[test]
    fn retained_messages_are_wanted_by_the_options() {
        let subscription = |filter, retain_handling| {
            let asked = Asked { retain_handling, ..Asked::new(filter, QoS::AtMostOnce) };
            Subscription::new(&asked, filter.strip_prefix("$share/g/").unwrap_or(filter), QoS::AtMostOnce, None)
        };
        assert!(subscription("a", RetainHandling::AtSubscribe).wants_retained(false));
        assert!(subscription("a", RetainHandling::IfNew).wants_retained(true));
        assert!(!subscription("a", RetainHandling::IfNew).wants_retained(false));
        assert!(!subscription("a", RetainHandling::Never).wants_retained(true));
        assert!(!subscription("$share/g/a", RetainHandling::AtSubscribe).wants_retained(true));
    }
}
