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

/// The end of the day that lies this many days after `start`.
#[must_use]
pub fn after_days(start: Timestamp, days: u32) -> Timestamp {
    let date = local_date(start);
    end_of_day(date.checked_add(Duration::days(i64::from(days))).unwrap_or(date))
}

/// How many working days lie from `start` until the day of `end`, which is left out; at most a thousand.
#[must_use]
pub fn working_days_between(start: Timestamp, end: Timestamp) -> u32 {
    let (mut date, last) = (local_date(start), local_date(end));
    let mut days = 0;
    while date < last && days < 1_000 {
        days += u32::from(is_working_day(date));
        let Some(next) = date.next_day() else { break };
        date = next;
    }
    days
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

/// The day in Amsterdam.
#[must_use]
pub fn local_date(utc: Timestamp) -> Date {
    (utc.to_offset_date_time() + Duration::hours(offset_hours(utc))).date()
}

/// Hours and minutes in Amsterdam.
#[must_use]
pub fn local_clock(utc: Timestamp) -> (u8, u8) {
    let local = utc.to_offset_date_time() + Duration::hours(offset_hours(utc));
    (local.hour(), local.minute())
}

/// Midnight at the end of the local day, in UTC.
#[must_use]
pub fn end_of_day(date: Date) -> Timestamp {
    let midnight = Timestamp::from(date.next_day().unwrap_or(date).midnight().assume_utc());
    // Clocks change at 01:00 UTC, never between the two candidates for local midnight.
    let an_hour_before = midnight.minus(std::time::Duration::from_hours(1));
    midnight.minus(std::time::Duration::from_hours(u64::try_from(offset_hours(an_hour_before)).unwrap_or(1)))
}

#[cfg(test)]
#[path = "working_days_tests.rs"]
mod tests;
