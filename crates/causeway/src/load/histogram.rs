//! A latency histogram with logarithmic buckets: fixed memory, no allocation per sample, percentiles within 1 %.

use std::time::Duration;

use serde::Serialize;

/// Linear steps in each power of two, as a power of two: 7 gives buckets at most 1/128 (0.8 %) wide.
const STEP_BITS: u32 = 7;
const STEPS: usize = 1 << STEP_BITS;
/// One linear range below `STEPS`, then one range for each further power of two of a `u64`.
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS;

/// Counts of durations in nanoseconds.
///
/// A value falls into a bucket that is at most 0.8 % wide; a percentile is the upper edge of its bucket (never less
/// than the true value, never more than the largest value recorded). Minimum, maximum, and mean are exact.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    sum_ns: u128,
    min_ns: u64,
    max_ns: u64,
}

fn bucket_of(ns: u64) -> usize {
    if ns < STEPS as u64 {
        return ns as usize;
    }
    let exponent = 63 - ns.leading_zeros();
    let shift = exponent - STEP_BITS;
    // The leading one bit is implied by the range; the next STEP_BITS bits choose the step inside it.
    let step = (ns >> shift) as usize & (STEPS - 1);
    (shift as usize + 1) * STEPS + step
}

/// Largest value that falls into `bucket`.
fn upper_edge(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let shift = (bucket / STEPS - 1) as u32;
    let lower = ((STEPS + bucket % STEPS) as u64) << shift;
    lower + ((1_u64 << shift) - 1)
}

impl Histogram {
    /// An empty histogram (58 kB).
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into_boxed_slice(), count: 0, sum_ns: 0, min_ns: u64::MAX, max_ns: 0 }
    }

    /// Adds one duration; more than 584 years is counted as 584 years.
    pub(crate) fn record(&mut self, duration: Duration) {
        self.record_ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    fn record_ns(&mut self, ns: u64) {
        self.buckets[bucket_of(ns)] += 1;
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds all samples of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Forgets all samples, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.buckets.fill(0);
        self.count = 0;
        self.sum_ns = 0;
        self.min_ns = u64::MAX;
        self.max_ns = 0;
    }

    /// Number of samples.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The smallest duration that at least `quantile` (0 to 1) of the samples do not exceed; zero when empty.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        let rank = ((quantile.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        for (bucket, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return Duration::from_nanos(upper_edge(bucket).clamp(self.min_ns, self.max_ns));
            }
        }
        Duration::from_nanos(self.max_ns)
    }

    /// The figures that reports print; all zero when empty.
    pub(crate) fn summary(&self) -> LatencySummary {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        LatencySummary {
            samples: self.count,
            mean_ms: if self.count == 0 { 0.0 } else { self.sum_ns as f64 / self.count as f64 / 1e6 },
            p50_ms: ms(self.quantile(0.5)),
            p90_ms: ms(self.quantile(0.9)),
            p99_ms: ms(self.quantile(0.99)),
            p999_ms: ms(self.quantile(0.999)),
            max_ms: self.max_ns as f64 / 1e6,
        }
    }
}

/// Latency figures of one measurement, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LatencySummary {
    /// Number of samples behind the figures.
    pub(crate) samples: u64,
    /// Arithmetic mean.
    pub(crate) mean_ms: f64,
    /// Median.
    pub(crate) p50_ms: f64,
    /// 90th percentile.
    pub(crate) p90_ms: f64,
    /// 99th percentile.
    pub(crate) p99_ms: f64,
    /// 99.9th percentile.
    pub(crate) p999_ms: f64,
    /// Longest sample.
    pub(crate) max_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_the_whole_range() {
        for bucket in 0..BUCKETS {
            let edge = upper_edge(bucket);
            assert_eq!(bucket_of(edge), bucket, "upper edge of bucket {bucket}");
            if let Some(next) = edge.checked_add(1) {
                assert_eq!(bucket_of(next), bucket + 1, "one past bucket {bucket}");
            } else {
                assert_eq!(bucket, BUCKETS - 1, "only the last bucket ends at the largest value");
            }
        }
    }

    /// Compares with the exact answer by sorting, on a skewed distribution as latencies have it.
    #[test]
    fn percentiles_stay_within_one_percent_of_the_exact_ones() {
        let mut histogram = Histogram::new();
        let mut exact = Vec::new();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..50_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
            let ns = (20_000.0 * (-(1.0 - uniform).ln()).exp()) as u64;
            histogram.record_ns(ns);
            exact.push(ns);
        }
        exact.sort_unstable();
        for quantile in [0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let rank = ((quantile * exact.len() as f64).ceil() as usize).max(1) - 1;
            let (want, got) = (exact[rank] as f64, histogram.quantile(quantile).as_nanos() as f64);
            assert!(got >= want && got <= want * 1.01, "quantile {quantile}: {got} against {want}");
        }
    }

    #[test]
    fn one_sample_is_every_percentile() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_micros(1234));
        let summary = histogram.summary();
        for ms in [summary.mean_ms, summary.p50_ms, summary.p999_ms, summary.max_ms] {
            assert!((ms - 1.234).abs() < 1e-9, "{summary:?}");
        }
        assert_eq!(summary.samples, 1);
    }

    #[test]
    fn merged_halves_equal_the_whole() {
        let (mut whole, mut left, mut right) = (Histogram::new(), Histogram::new(), Histogram::new());
        for ns in (0..10_000_u64).map(|i| i * i) {
            whole.record_ns(ns);
            if ns % 2 == 0 { left.record_ns(ns) } else { right.record_ns(ns) }
        }
        left.merge(&right);
        assert_eq!(left.buckets, whole.buckets);
        assert_eq!((left.count, left.sum_ns, left.min_ns, left.max_ns), (10_000, whole.sum_ns, 0, 9_999 * 9_999));
        left.clear();
        assert_eq!(left.quantile(0.5), Duration::ZERO);
    }
}
