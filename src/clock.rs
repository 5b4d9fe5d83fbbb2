//! Time as the gateway sees it: one injected clock, one timestamp type.
//!
//! Invariant: nothing else in the crate reads the system clock, so that a test can move time without sleeping.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC, in microseconds since 1970-01-01T00:00:00Z; written as RFC 3339 with `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 date-time with an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an RFC 3339 date-time such as 2026-11-01T00:00:00Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The moment that lies this many microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch: the form in which the databases keep a moment.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as JWT claims count (RFC 7519 section 2, `NumericDate`).
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Milliseconds since the Unix epoch, never negative; the part of a version 7 UUID that tells the time.
    #[must_use]
    pub fn as_unix_millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000)).unwrap_or(0)
    }

    /// The moment `duration` later; stops at the end of representable time instead of wrapping.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The moment `duration` earlier; stops at the start of representable time instead of wrapping.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The same moment as the `time` crate's type; moments outside its range become the epoch.
    #[must_use]
    pub fn to_offset_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(moment: OffsetDateTime) -> Self {
        Self(i64::try_from(moment.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_offset_date_time().format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Accepts any offset (API Design Rules, `/core/date-time/timezone`).
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        OffsetDateTime::parse(text, &Rfc3339).map(Self::from).map_err(|_| InvalidTimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the gateway reads the time: the system's clock, or one that a test or a scenario moves by hand.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Shifted(Arc<AtomicI64>),
    Still(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that runs with the machine's, and that [`Clock::advance`] moves ahead.
    #[must_use]
    pub fn movable() -> Self {
        Self(Source::Shifted(Arc::new(AtomicI64::new(0))))
    }

    /// A clock that stands still, and that [`Clock::advance`] moves ahead: for moments that must be hit exactly.
    #[must_use]
    pub fn still(at: Timestamp) -> Self {
        Self(Source::Still(Arc::new(AtomicI64::new(at.0))))
    }

    /// The present moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn now(&self) -> Timestamp {
        let system = || Timestamp::from(OffsetDateTime::now_utc());
        match &self.0 {
            Source::System => system(),
            Source::Shifted(shift) => Timestamp(system().0.saturating_add(shift.load(Ordering::SeqCst))),
            Source::Still(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a movable clock, and every copy of it, ahead; the system's clock is left alone.
    pub fn advance(&self, duration: Duration) {
        if let Source::Shifted(moved) | Source::Still(moved) = &self.0 {
            moved.fetch_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_is_read_and_utc_is_written() {
        let moment: Timestamp = "2026-11-01T02:00:00+02:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-01T00:00:00Z");
    }

    #[test]
    fn a_date_without_a_time_is_refused() {
        assert_eq!("2026-11-01".parse::<Timestamp>(), Err(InvalidTimestamp));
    }

    #[test]
    fn a_movable_clock_moves_for_everyone_who_holds_it() {
        let clock = Clock::movable();
        let copy = clock.clone();
        let before = copy.now();
        clock.advance(Duration::from_hours(48));
        assert!(copy.now() >= before.plus(Duration::from_hours(48)));
    }

    #[test]
    fn a_clock_that_stands_still_shows_exactly_the_moment_that_it_was_moved_to() {
        let start = Timestamp::from_micros(1_780_000_000_000_001);
        let clock = Clock::still(start);
        let copy = clock.clone();
        assert_eq!(copy.now(), start);
        clock.advance(Duration::from_micros(5));
        assert_eq!(copy.now(), Timestamp::from_micros(1_780_000_000_000_006));
    }
}
