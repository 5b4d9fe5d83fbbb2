//! Latencies and what is said of them: exact percentiles of all of them, no buckets.

use std::time::Duration;

use serde::Serialize;

/// What came of one measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// How many were measured.
    pub count: usize,
    /// A second, on average over the whole measurement; none where the rate was given and not found.
    pub per_second: Option<f64>,
    /// Half of them took at most this long, in microseconds.
    pub p50: f64,
    /// 99 of 100 took at most this long, in microseconds.
    pub p99: f64,
}

impl Measured {
    /// Of these latencies, in microseconds, within this time. None when nothing was measured.
    pub fn of(mut latencies: Vec<u32>, time: Duration) -> Option<Self> {
        latencies.sort_unstable();
        let count = latencies.len();
        let (p50, p99) = (percentile(&latencies, 50)?, percentile(&latencies, 99)?);
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let per_second = Some(count as f64 / time.as_secs_f64());
        Some(Self { count, per_second, p50, p99 })
    }

    /// The same, of work that came at a given rate.
    pub fn at_given_rate(latencies: Vec<u32>) -> Option<Self> {
        Some(Self { per_second: None, ..Self::of(latencies, Duration::from_secs(1))? })
    }
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[u32], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().map(f64::from)
}

/// A duration in whole microseconds, as latencies are kept.
pub fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
