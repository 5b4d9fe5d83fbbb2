//! The periods over which figures are made: ISO weeks, and quarters of whole ISO weeks, in Amsterdam.
//!
//! A week belongs to the quarter in which its Thursday lies, as it belongs to the year in which that lies (ISO 8601). So a quarter is
//! exactly its weeks, and no figure of a part of a week can be had by subtracting one from the other. Pure.

use std::fmt;
use std::str::FromStr;

use time::{Date, Duration, Weekday};

use crate::clock::Timestamp;
use crate::lifecycle::working_days::{end_of_day, local_date};

/// Weeks and quarters; a week comes before the quarter that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// An ISO week, such as `2026-W46`.
    Week {
        /// The ISO year.
        year: i32,
        /// Its number.
        week: u8,
    },
    /// A quarter of whole weeks, such as `2026-Q3`.
    Quarter {
        /// The year.
        year: i32,
        /// Its number.
        quarter: u8,
    },
}

/// A text that names no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a week such as 2026-W46 or a quarter such as 2026-Q3")]
pub struct InvalidPeriod;

fn monday(year: i32, week: u8) -> Option<Date> {
    Date::from_iso_week_date(year, week, Weekday::Monday).ok()
}

fn quarter_of(thursday: Date) -> u8 {
    (u8::from(thursday.month()) - 1) / 3 + 1
}

/// Midnight at the start of a day.
fn start_of_day(date: Date) -> Timestamp {
    end_of_day(date.previous_day().unwrap_or(date))
}

impl Period {
    /// The week of a moment.
    #[must_use]
    pub fn week_of(moment: Timestamp) -> Self {
        let (year, week, _) = local_date(moment).to_iso_week_date();
        Self::Week { year, week }
    }

    /// The quarter of a moment.
    #[must_use]
    pub fn quarter_of(moment: Timestamp) -> Self {
        let date = local_date(moment);
        let (year, week, _) = date.to_iso_week_date();
        let thursday = Date::from_iso_week_date(year, week, Weekday::Thursday).unwrap_or(date);
        Self::Quarter { year, quarter: quarter_of(thursday) }
    }

    /// Whether it is a quarter.
    #[must_use]
    pub const fn is_quarter(self) -> bool {
        matches!(self, Self::Quarter { .. })
    }

    /// The quarter that it belongs to; a quarter is its own.
    #[must_use]
    pub fn quarter(self) -> Option<Self> {
        self.bounds().map(|(from, _)| Self::quarter_of(from))
    }

    /// The weeks of a quarter, in order; of a week, itself.
    #[must_use]
    pub fn weeks(self) -> Vec<Self> {
        match self {
            Self::Week { .. } => vec![self],
            Self::Quarter { year, quarter } => (1..=53)
                .filter(|week| {
                    let thursday = Date::from_iso_week_date(year, *week, Weekday::Thursday);
                    thursday.is_ok_and(|thursday| thursday.year() == year && quarter_of(thursday) == quarter)
                })
                .map(|week| Self::Week { year, week })
                .collect(),
        }
    }

    /// The first and the last day.
    #[must_use]
    pub fn days(self) -> Option<(Date, Date)> {
        let weeks = self.weeks();
        let (Some(Self::Week { year, week }), Some(Self::Week { week: last, .. })) = (weeks.first(), weeks.last())
        else {
            return None;
        };
        Some((monday(*year, *week)?, monday(*year, *last)?.checked_add(Duration::days(6))?))
    }

    /// The first moment, and the first one after it.
    #[must_use]
    pub fn bounds(self) -> Option<(Timestamp, Timestamp)> {
        self.days().map(|(first, last)| (start_of_day(first), end_of_day(last)))
    }

    /// The period of the same kind before this one.
    #[must_use]
    pub fn before(self) -> Option<Self> {
        let (first, _) = self.bounds()?;
        let earlier = first.minus(std::time::Duration::from_hours(1));
        Some(if self.is_quarter() { Self::quarter_of(earlier) } else { Self::week_of(earlier) })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Week { year, week } => write!(f, "{year:04}-W{week:02}"),
            Self::Quarter { year, quarter } => write!(f, "{year:04}-Q{quarter}"),
        }
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let (year, number) = text.split_once('-').ok_or(InvalidPeriod)?;
        let year: i32 = year.parse().map_err(|_| InvalidPeriod)?;
        let number_of = |rest: &str| rest.parse::<u8>().map_err(|_| InvalidPeriod);
        let period = match (number.strip_prefix('W'), number.strip_prefix('Q')) {
            (Some(week), _) => Self::Week { year, week: number_of(week)? },
            (_, Some(quarter)) => Self::Quarter { year, quarter: number_of(quarter)? },
            _ => return Err(InvalidPeriod),
        };
        if period.to_string() == text && period.days().is_some() { Ok(period) } else { Err(InvalidPeriod) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Period {
        text.parse().unwrap()
    }

    fn bounds(text: &str) -> (String, String) {
        let (from, until) = period(text).bounds().unwrap();
        (from.to_string(), until.to_string())
    }

    #[test]
    fn weeks_begin_on_monday_in_amsterdam() {
        assert_eq!(bounds("2026-W46"), ("2026-11-08T23:00:00Z".into(), "2026-11-15T23:00:00Z".into()));
        // Summer time ends in it: an hour longer.
        assert_eq!(bounds("2026-W43"), ("2026-10-18T22:00:00Z".into(), "2026-10-25T23:00:00Z".into()));
        assert_eq!(bounds("2026-W01").0, "2025-12-28T23:00:00Z");
    }

    #[test]
    fn quarters_are_whole_weeks_without_gaps_or_overlaps() {
        let mut quarter = period("2031-Q4");
        let (mut weeks, mut lengths) = (Vec::new(), std::collections::BTreeSet::new());
        for _ in 0..40 {
            let earlier = quarter.before().unwrap();
            assert_eq!(earlier.bounds().unwrap().1, quarter.bounds().unwrap().0, "{earlier} {quarter}");
            for week in quarter.weeks() {
                let (from, _) = week.bounds().unwrap();
                assert_eq!(Period::quarter_of(from), quarter, "{week}");
                assert_eq!((week.quarter(), quarter.quarter()), (Some(quarter), Some(quarter)));
                weeks.push(week);
            }
            lengths.insert(quarter.weeks().len());
            quarter = earlier;
        }
        assert_eq!(lengths, [12, 13, 14].into());
        weeks.sort();
        weeks.dedup();
        assert_eq!(weeks.len(), 521, "ten years, one of them with 53");
    }

    #[test]
    fn only_periods_that_exist_are_read() {
        for wrong in [
            "", "2026", "2026-W00", "2026-W54", "2027-W53", "2026-W4", "2026-Q0", "2026-Q5", "2026-w46", "-W01",
            "2026-Q",
        ] {
            assert_eq!(wrong.parse::<Period>(), Err(InvalidPeriod), "{wrong:?}");
        }
        assert_eq!(period("2026-W53").to_string(), "2026-W53");
    }

    #[test]
    fn the_week_and_the_quarter_of_a_moment_are_those_in_amsterdam() {
        let sunday_night: Timestamp = "2026-11-15T22:59:59Z".parse().unwrap();
        assert_eq!(Period::week_of(sunday_night), period("2026-W46"));
        assert_eq!(Period::week_of(sunday_night.plus(std::time::Duration::from_secs(1))), period("2026-W47"));
        // Wednesday 30 September 2026; the Thursday of its week is 1 October.
        assert_eq!(Period::quarter_of("2026-09-30T12:00:00Z".parse().unwrap()), period("2026-Q4"));
    }
}
