//! Device shadows: per service what the device reported and what the applications desire (002 §3.6).

use crate::error::{Code, Error};
use crate::properties::{ObjectBuilder, PropertyObject};
use crate::time::Timestamp;

/// One side of one service of a shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowSide {
    /// Names and values.
    pub properties: PropertyObject,
    /// When the values were reported or desired.
    pub event_time: Timestamp,
}

/// The shadow of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceShadow {
    /// The service of the product model.
    pub service_id: String,
    /// What the device reported last.
    pub reported: Option<ShadowSide>,
    /// What the applications want.
    pub desired: Option<ShadowSide>,
    /// Rises by one with each change of the desired side; starts at 0.
    pub version: i64,
}

impl ServiceShadow {
    /// A shadow that nobody has written yet.
    #[must_use]
    pub fn new(service_id: impl Into<String>) -> Self {
        Self { service_id: service_id.into(), reported: None, desired: None, version: 0 }
    }

    /// Lays a report over the reported side. Reports are laid in order of arrival; the event time is shown, not judged,
    /// because a device with a wrong clock would otherwise freeze its own shadow.
    pub fn report(&mut self, properties: &PropertyObject, event_time: Timestamp) {
        let merged = match &self.reported {
            Some(side) => side.properties.merged(properties),
            None => properties.clone(),
        };
        self.reported = Some(ShadowSide { properties: merged, event_time });
    }

    /// Changes the desired side: `{}` clears it, a `null` removes one name, everything else is set.
    ///
    /// # Errors
    /// [`Code::ShadowVersion`] when `expected_version` is given and is not the current one.
    pub fn desire(
        &mut self,
        patch: &PropertyObject,
        expected_version: Option<i64>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if let Some(expected) = expected_version
            && expected != self.version
        {
            return Err(Error::new(
                Code::ShadowVersion,
                format!(
                    "The version {expected} of service '{}' is not the current one, {}. Read the shadow and try again.",
                    self.service_id, self.version
                ),
            ));
        }
        if patch.is_empty() {
            self.desired = None;
        } else {
            let mut builder = ObjectBuilder::default();
            if let Some(side) = &self.desired {
                side.properties.for_each(|n, v| builder.set(n, v));
            }
            patch.for_each(|n, v| {
                if v == "null" {
                    builder.remove(n);
                } else {
                    builder.set(n, v);
                }
            });
            let properties = builder.finish();
            self.desired = (!properties.is_empty()).then_some(ShadowSide { properties, event_time: now });
        }
        self.version += 1;
        Ok(())
    }

    /// The desired properties that the reported side does not show yet; `None` when all match.
    #[must_use]
    pub fn unmatched(&self) -> Option<PropertyObject> {
        let desired = self.desired.as_ref()?;
        let mut open = ObjectBuilder::default();
        let mut any = false;
        desired.properties.for_each(|name, want| {
            let have = self.reported.as_ref().and_then(|r| r.properties.get(name));
            if !have.is_some_and(|have| same_value(want, &have)) {
                open.set(name, want);
                any = true;
            }
        });
        any.then(|| open.finish())
    }
}

/// Whether two raw JSON values mean the same (numbers by value, objects without regard to order).
#[must_use]
pub fn same_value(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (Ok(a), Ok(b)) = (serde_json::from_str::<serde_json::Value>(a), serde_json::from_str::<serde_json::Value>(b))
    else {
        return false;
    };
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) => x == y,
        _ => a == b,
    }
}

/// Refuses names that a shadow may not hold (002 §3.6): `.`, `$`, NUL, and the empty name.
#[must_use]
pub fn is_shadow_key(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', '$', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> PropertyObject {
        PropertyObject::parse(text).expect("test object")
    }

    #[test]
    fn desire_merges_removes_clears_and_counts() {
        let now = Timestamp(5);
        let mut s = ServiceShadow::new("s");
        s.desire(&object(r#"{"a":1,"b":2}"#), Some(0), now).expect("first");
        assert!(s.desire(&object(r#"{"a":1}"#), Some(0), now).is_err());
        s.desire(&object(r#"{"a":null,"c":3}"#), Some(1), now).expect("second");
        assert_eq!(s.desired.as_ref().map(|d| d.properties.as_str().to_owned()).as_deref(), Some(r#"{"b":2,"c":3}"#));
        s.desire(&object("{}"), None, now).expect("clear");
        assert_eq!((s.desired, s.version), (None, 3));
    }

    #[test]
    fn unmatched_is_what_the_device_has_not_shown() {
        let mut s = ServiceShadow::new("s");
        s.desire(&object(r#"{"a":1.0,"b":"x"}"#), None, Timestamp(0)).expect("desire");
        s.report(&object(r#"{"a":1}"#), Timestamp(0));
        assert_eq!(s.unmatched(), Some(object(r#"{"b":"x"}"#)));
        s.report(&object(r#"{"b":"x"}"#), Timestamp(0));
        assert_eq!(s.unmatched(), None);
    }

    #[test]
    fn keys() {
        assert!(is_shadow_key("level") && is_shadow_key("温度"));
        assert!(!is_shadow_key("a.b") && !is_shadow_key("$a") && !is_shadow_key("a\0") && !is_shadow_key(""));
    }
}
