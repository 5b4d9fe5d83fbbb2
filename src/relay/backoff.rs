//! When a delivery that failed is tried again: exponential steps with jitter, `Retry-After` honoured, three days at most.
//!
//! Pure. Invariant: the next attempt lies after the present and never later than the horizon; at the horizon it is over.

use std::time::Duration;

use time::PrimitiveDateTime;
use time::macros::format_description;

use crate::clock::Timestamp;

/// How long a delivery is tried before it becomes a dead letter, counted from its first attempt.
pub const DELIVERY_HORIZON: Duration = Duration::from_hours(72);

/// How long a new subscription's handshake is tried before the subscription has failed.
pub const HANDSHAKE_HORIZON: Duration = Duration::from_hours(24);

/// The pause after the first failure; each further failure doubles it.
const FIRST_STEP: Duration = Duration::from_secs(2);

/// No pause of the schedule itself is longer.
const LONGEST_STEP: Duration = Duration::from_hours(8);

/// The longest wait that a receiver can ask for with `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The pause after this many failed attempts (1 or more), before jitter: 2 s, 4 s, 8 s … 8 h, 8 h.
#[must_use]
pub fn step(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    (FIRST_STEP * (1 << doublings)).min(LONGEST_STEP)
}

/// A pause spread evenly over 80 % to 120 % of `pause`, so that what failed together does not come back together.
#[must_use]
pub fn jitter(pause: Duration, random: u32) -> Duration {
    // 0 ..= 400 per mille
    let share = u64::from(random) * 401 / (u64::from(u32::MAX) + 1);
    let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(micros / 1_000 * (800 + share))
}

/// When to try again after a failure at `now`, or nothing when the horizon after the `first` attempt has been reached.
///
/// A receiver's `Retry-After` can make the wait longer, never shorter. The last attempt falls on the horizon itself.
#[must_use]
pub fn next_attempt(
    first: Timestamp,
    failures: u32,
    now: Timestamp,
    retry_after: Option<Duration>,
    horizon: Duration,
    random: u32,
) -> Option<Timestamp> {
    let end = first.plus(horizon);
    if now >= end {
        return None;
    }
    let pause = jitter(step(failures), random).max(retry_after.unwrap_or_default());
    Some(now.plus(pause).min(end))
}

/// The wait that a `Retry-After` header asks for (RFC 9110 section 10.2.3): seconds, or an HTTP date; at most a day.
/// Nothing when it is malformed or lies in the past.
#[must_use]
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // more digits than a u64 holds is still a number of seconds, only a very long one
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let until = http_date(value)?.as_micros().checked_sub(now.as_micros())?;
        Duration::from_micros(u64::try_from(until).ok()?)
    };
    (!wait.is_zero()).then_some(wait.min(LONGEST_RETRY_AFTER))
}

/// An `HTTP-date` in its preferred form, `Sun, 06 Nov 1994 08:49:37 GMT`, or one of the two obsolete ones (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let preferred =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let asctime = format_description!(
        "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
    );
    PrimitiveDateTime::parse(text, preferred)
        .or_else(|_| PrimitiveDateTime::parse(text, asctime))
        .ok()
        .or_else(|| rfc_850_date(text))
        .map(|moment| Timestamp::from(moment.assume_utc()))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`. The two digits of the year are read in this century: what is older has passed anyway.
fn rfc_850_date(text: &str) -> Option<PrimitiveDateTime> {
    let (_weekday, rest) = text.split_once(", ")?;
    let (day, rest) = rest.split_at_checked(7)?;
    let format = format_description!("[day]-[month repr:short]-[year] [hour]:[minute]:[second] GMT");
    PrimitiveDateTime::parse(&format!("{day}20{rest}"), format).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: &str = "2026-11-21T12:00:00Z";

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The times at which attempts fall, seconds after the first, when a receiver never answers.
    fn attempts(random: u32) -> Vec<i64> {
        let first = moment(NOON);
        let mut times = vec![0];
        let mut now = first;
        let mut failures = 1;
        while let Some(next) = next_attempt(first, failures, now, None, DELIVERY_HORIZON, random) {
            times.push(next.as_seconds() - first.as_seconds());
            (now, failures) = (next, failures + 1);
        }
        times
    }

    #[test]
    fn the_schedule_without_jitter_is_the_documented_one() {
        let middle = u32::MAX / 2;
        assert_eq!(
            attempts(middle),
            [
                0, 2, 6, 14, 30, 62, 126, 254, 510, 1022, 2046, 4094, 8190, 16382, 32766, 61566, 90366, 119_166,
                147_966, 176_766, 205_566, 234_366, 259_200
            ]
        );
    }

    #[test]
    fn retry_after_is_read_in_each_form() {
        let now = moment("1994-11-06T08:49:07Z");
        let thirty = Some(Duration::from_secs(30));
        assert_eq!(retry_after("30", now), thirty);
        assert_eq!(retry_after(" 30 ", now), thirty);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), thirty);
        assert_eq!(retry_after("Sun Nov  6 08:49:37 1994", now), thirty);
        assert_eq!(retry_after("Saturday, 21-Nov-26 12:00:30 GMT", moment(NOON)), thirty);
    }

    #[test]
    fn retry_after_is_capped_and_nonsense_ignored() {
        let now = moment(NOON);
        let day = Some(Duration::from_hours(24));
        assert_eq!(retry_after("99999999999999999999999999", now), day);
        assert_eq!(retry_after("Fri, 21 Nov 2036 12:00:00 GMT", now), day);
        for nonsense in
            ["", "0", "-5", "soon", "1.5", "30s", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 2027 08:49:37 GMT"]
        {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense:?}");
        }
    }

    proptest! {
        #[test]
        fn steps_never_shrink_and_stay_in_bounds(failures in any::<u32>()) {
            prop_assert!(step(failures) <= step(failures.saturating_add(1)));
            prop_assert!(step(failures) >= FIRST_STEP && step(failures) <= LONGEST_STEP);
        }

        #[test]
        fn jitter_stays_within_a_fifth(seconds in 1..1_000_000_u64, random in any::<u32>()) {
            let pause = Duration::from_secs(seconds);
            prop_assert!(jitter(pause, random) >= pause * 4 / 5);
            prop_assert!(jitter(pause, random) <= pause * 6 / 5);
        }

        #[test]
        fn an_attempt_comes_after_now_and_not_after_the_horizon(
            elapsed in 0..400_000_000_000_i64, failures in 1..100_u32, wait in proptest::option::of(1..200_000_u64), random in any::<u32>(),
        ) {
            let first = moment(NOON);
            let now = Timestamp::from_micros(first.as_micros() + elapsed);
            let asked = wait.map(Duration::from_secs);
            match next_attempt(first, failures, now, asked, DELIVERY_HORIZON, random) {
                None => prop_assert!(now >= first.plus(DELIVERY_HORIZON)),
                Some(next) => {
                    prop_assert!(next > now && next <= first.plus(DELIVERY_HORIZON));
                    let earliest = now.plus(asked.unwrap_or_default()).min(first.plus(DELIVERY_HORIZON));
                    prop_assert!(next >= earliest);
                }
            }
        }

        #[test]
        fn any_schedule_ends_at_the_horizon_within_thirty_attempts(random in any::<u32>()) {
            let times = attempts(random);
            prop_assert_eq!(*times.last().unwrap(), 259_200);
            prop_assert!(times.len() < 30, "{}", times.len());
        }

        #[test]
        fn no_header_makes_it_panic(value in ".{0,40}") {
            let wait = retry_after(&value, moment(NOON));
            prop_assert!(wait.is_none_or(|wait| wait <= LONGEST_RETRY_AFTER));
        }
    }
}
