//! A day of the calendar in Amsterdam.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::working_days::local_date;
use crate::clock::Timestamp;

/// A day of the calendar in Amsterdam, written as RFC 3339 `full-date`: `2026-11-22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

/// A text that names no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a day such as 2026-11-22")]
pub struct InvalidDay;

const FULL_DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

impl Day {
    /// The day that it is in Amsterdam at this moment.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        Self(local_date(moment))
    }

    /// How many days later the other one is; fewer than none when it is earlier.
    #[must_use]
    pub fn days_until(self, other: Self) -> i64 {
        (other.0 - self.0).whole_days()
    }

    /// How many birthdays somebody who was born on this day has had on the other one, negative before birth. Who was born on 29 February has one on
    /// 1 March in other years.
    #[must_use]
    pub fn years_until(self, other: Self) -> i32 {
        let in_year = |date: Date| (u8::from(date.month()), date.day());
        other.0.year() - self.0.year() - i32::from(in_year(other.0) < in_year(self.0))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(FULL_DATE).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        // A year with a sign is none of RFC 3339.
        let plain = text.len() == 10 && text.starts_with(|first: char| first.is_ascii_digit());
        let day = Date::parse(text, FULL_DATE).ok().filter(|_| plain);
        day.map(Self).ok_or(InvalidDay)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_and_written_in_one_form() {
        for good in ["2026-11-22", "2028-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(good.parse::<Day>().unwrap().to_string(), good);
        }
        for bad in ["2026-02-29", "2026-13-01", "2026-1-1", "20261122", "+2026-11-22", "-026-11-22", "2026-11-22T", ""]
        {
            assert_eq!(bad.parse::<Day>(), Err(InvalidDay), "{bad}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_in_amsterdam_in_winter_and_in_summer() {
        let day = |moment: &str| Day::of(moment.parse().unwrap()).to_string();
        assert_eq!(day("2026-11-22T22:59:59Z"), "2026-11-22");
        assert_eq!(day("2026-11-22T23:00:00Z"), "2026-11-23");
        assert_eq!(day("2026-07-01T21:59:59Z"), "2026-07-01");
        assert_eq!(day("2026-07-01T22:00:00Z"), "2026-07-02");
    }

    #[test]
    fn days_are_counted_over_the_change_of_the_clock() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        assert_eq!(day("2026-10-20").days_until(day("2026-11-03")), 14);
        assert_eq!(day("2026-11-03").days_until(day("2026-11-02")), -1);
    }
}
