//! Limits of the request rate (001, IOTDA.021101 and IOTDA.021102).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use causeway_model::{Code, DeviceNo, Error, Result};
use moka::sync::Cache;

use crate::HttpDoorSettings;

const SECOND_NS: u64 = 1_000_000_000;
/// Devices whose rate is remembered at the same time.
const DEVICES: u64 = 100_000;

/// So many a second, with bursts of one second's worth: the generic cell rate algorithm. A meter holds the moment, in
/// nanoseconds, at which all admitted requests would have been spread out evenly.
struct Rate {
    interval_ns: u64,
}

type Meter = AtomicU64;

impl Rate {
    /// `None` for no limit.
    fn new(per_second: u32) -> Option<Self> {
        (per_second > 0).then(|| Self { interval_ns: SECOND_NS / u64::from(per_second) })
    }

    fn admits(&self, meter: &Meter, now_ns: u64) -> bool {
        let latest = now_ns + SECOND_NS - self.interval_ns;
        let admit = |spread: u64| (spread <= latest).then(|| spread.max(now_ns) + self.interval_ns);
        meter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, admit).is_ok()
    }
}

/// Both limits.
pub(crate) struct Rates {
    start: Instant,
    device: Option<(Rate, Cache<DeviceNo, Arc<Meter>>)>,
    tenant: Option<(Rate, Meter)>,
    tenant_rate: u32,
}

impl Rates {
    pub(crate) fn new(settings: &HttpDoorSettings) -> Self {
        let meters = || Cache::builder().max_capacity(DEVICES).time_to_idle(Duration::from_secs(2)).build();
        Self {
            start: Instant::now(),
            device: Rate::new(settings.device_rate).map(|rate| (rate, meters())),
            tenant: Rate::new(settings.tenant_rate).map(|rate| (rate, Meter::new(0))),
            tenant_rate: settings.tenant_rate,
        }
    }

    /// Counts a request of a device that has shown who it is. A device over its own limit takes nothing from the others.
    ///
    /// # Errors
    /// [`Code::RateLimited`]; [`Code::TenantRateLimited`].
    pub(crate) fn admit(&self, device: DeviceNo) -> Result<()> {
        if self.device.is_none() && self.tenant.is_none() {
            return Ok(());
        }
        let now_ns = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        if let Some((rate, meters)) = &self.device
            && !rate.admits(&meters.get_with(device, Arc::default), now_ns)
        {
            return Err(Error::new(Code::RateLimited, "Request reached the maximum rate limit."));
        }
        if let Some((rate, meter)) = &self.tenant
            && !rate.admits(meter, now_ns)
        {
            let limit = self.tenant_rate;
            let message = format!("The request rate has reached the upper limit of the tenant, limit {limit}.");
            return Err(Error::new(Code::TenantRateLimited, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_admits_its_number_and_no_more() {
        let rate = Rate::new(10).expect("limited");
        let meter = Meter::new(0);
        let admitted = |at_ns| (0..100).filter(|_| rate.admits(&meter, at_ns)).count();
        assert_eq!(admitted(5 * SECOND_NS), 10);
        assert_eq!(admitted(5 * SECOND_NS + SECOND_NS / 10), 1);
        assert_eq!(admitted(5 * SECOND_NS + SECOND_NS / 2), 4);
        assert_eq!(admitted(60 * SECOND_NS), 10);
    }

    #[test]
    fn devices_have_their_own_limit_below_the_tenants() {
        let rates = Rates::new(&HttpDoorSettings { device_rate: 2, tenant_rate: 3, ..Default::default() });
        let code = |device| rates.admit(DeviceNo(device)).map_err(|e| e.code());
        assert_eq!([code(1), code(1), code(1)], [Ok(()), Ok(()), Err(Code::RateLimited)]);
        assert_eq!([code(2), code(2)], [Ok(()), Err(Code::TenantRateLimited)]);
        let free = Rates::new(&HttpDoorSettings::default());
        assert!((0..1000).all(|_| free.admit(DeviceNo(1)).is_ok()));
    }
}
