//! When the holder must have acted: working days in the Netherlands, and the end of the day in Amsterdam.
//!
//! Pure computation. Working days are those that the Algemene termijnenwet (articles 1 to 3) leaves: no Saturdays, Sundays,
//! New Year's Day, Good Friday, Easter Monday, King's Day, 5 May, Ascension Day, Whit Monday, Christmas and Boxing Day.

use time::{Date, Duration, Month, Time, Weekday};

use crate::clock::Timestamp;

/// The end of the working day that lies this many working days after `start`.
#[must_use]
pub fn after_working_days(start: Timestamp, days: u32) -> Timestamp {
    let mut date = local_date(start);
    let mut left = days;
    while left > 0 {
        let Some(next) = date.next_day() else { break };
        date = next;
        if is_working_day(date) {
            left -= 1;
        }
    }
    end_of_day(date)
}

/// The end of the day that lies this many weeks after `start`.
#[must_use]
pub fn after_weeks(start: Timestamp, weeks: u32) -> Timestamp {
    let date = local_date(start);
    end_of_day(date.checked_add(Duration::weeks(i64::from(weeks))).unwrap_or(date))
}

/// Whether people work on this day.
#[must_use]
pub fn is_working_day(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !is_holiday(date)
}

fn is_holiday(date: Date) -> bool {
    let fixed =
        matches!((date.month(), date.day()), (Month::January, 1) | (Month::May, 5) | (Month::December, 25 | 26));
    let after_easter = easter(date.year()).map(|easter| (date - easter).whole_days());
    // Good Friday, Easter Monday, Ascension Day, Whit Monday.
    fixed || matches!(after_easter, Some(-2 | 1 | 39 | 50)) || Some(date) == kings_day(date.year())
}

/// 27 April, or the day before when that is a Sunday.
fn kings_day(year: i32) -> Option<Date> {
    let day = Date::from_calendar_date(year, Month::April, 27).ok()?;
    if day.weekday() == Weekday::Sunday { day.previous_day() } else { Some(day) }
}

/// Easter Sunday of the Gregorian calendar (the anonymous algorithm of Meeus, Jones and Butcher).
fn easter(year: i32) -> Option<Date> {
    let (golden, century, rest) = (year % 19, year / 100, year % 100);
    let epact = (19 * golden + century - century / 4 - (century - (century + 8) / 25 + 1) / 3 + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (rest / 4) - epact - rest % 4) % 7;
    let shift = (golden + 11 * epact + 22 * weekday) / 451;
    let sum = epact + weekday - 7 * shift + 114;
    let month = Month::try_from(u8::try_from(sum / 31).ok()?).ok()?;
    Date::from_calendar_date(year, month, u8::try_from(sum % 31 + 1).ok()?).ok()
}

/// Summer time begins and ends at 01:00 UTC on the last Sundays of March and October (Directive 2000/84/EC).
fn offset_hours(utc: Timestamp) -> i64 {
    let moment = utc.to_offset_date_time();
    let boundary = |month| {
        let last = Date::from_calendar_date(moment.year(), month, 31).ok()?;
        let sunday = last - Duration::days(i64::from(last.weekday().number_days_from_sunday()));
        Some(sunday.with_time(Time::from_hms(1, 0, 0).ok()?).assume_utc())
    };
    match (boundary(Month::March), boundary(Month::October)) {
        (Some(begins), Some(ends)) if begins <= moment && moment < ends => 2,
        _ => 1,
    }
}

fn local_date(utc: Timestamp) -> Date {
    (utc.to_offset_date_time() + Duration::hours(offset_hours(utc))).date()
}

/// Midnight at the end of the local day, in UTC.
fn end_of_day(date: Date) -> Timestamp {
    let midnight = Timestamp::from(date.next_day().unwrap_or(date).midnight().assume_utc());
    // Clocks change at 01:00 UTC, never between the two candidates for local midnight.
    let an_hour_before = midnight.minus(std::time::Duration::from_hours(1));
    midnight.minus(std::time::Duration::from_hours(u64::try_from(offset_hours(an_hour_before)).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn three_working_days_pass_over_a_weekend() {
        // A Thursday; Friday, Monday, Tuesday.
        assert_eq!(after_working_days(at("2026-11-19T10:00:00Z"), 3).to_string(), "2026-11-24T23:00:00Z");
    }

    #[test]
    fn easter_and_kings_day_are_free() {
        // Maundy Thursday 2 April 2026; Good Friday and Easter Monday are free: 7, 8, 9 April, in summer time.
        assert_eq!(after_working_days(at("2026-04-02T10:00:00Z"), 3).to_string(), "2026-04-09T22:00:00Z");
        // 26 April 2026 is a Sunday, 27 April King's Day.
        assert_eq!(after_working_days(at("2026-04-24T10:00:00Z"), 1).to_string(), "2026-04-28T22:00:00Z");
    }

    #[test]
    fn holidays_fall_where_the_published_calendars_have_them() {
        let published = [
            (2024, (3, 31), (4, 27)),
            (2025, (4, 20), (4, 26)),
            (2026, (4, 5), (4, 27)),
            (2027, (3, 28), (4, 27)),
            (2028, (4, 16), (4, 27)),
            (2029, (4, 1), (4, 27)),
            (2030, (4, 21), (4, 27)),
        ];
        for (year, sunday, king) in published {
            let day =
                |(month, day): (u8, u8)| Date::from_calendar_date(year, Month::try_from(month).unwrap(), day).unwrap();
            assert_eq!(easter(year), Some(day(sunday)));
            assert_eq!(kings_day(year), Some(day(king)));
        }
    }

    #[test]
    fn a_night_in_amsterdam_belongs_to_the_local_day() {
        // 23:30 UTC on Thursday is Friday in Amsterdam: the next working day is Monday.
        assert_eq!(after_working_days(at("2026-11-19T23:30:00Z"), 1).to_string(), "2026-11-23T23:00:00Z");
    }

    #[test]
    fn the_clock_change_moves_the_end_of_the_day() {
        assert_eq!(after_weeks(at("2026-10-22T10:00:00Z"), 1).to_string(), "2026-10-29T23:00:00Z");
        assert_eq!(after_weeks(at("2026-03-26T10:00:00Z"), 1).to_string(), "2026-04-02T22:00:00Z");
    }
}
