//! Working days against published calendars, and what holds for every moment from 2024 to 2030.

use proptest::prelude::*;

use super::*;

/// The national holidays as published for 2024 to 2030 (rijksoverheid.nl, "officiële feestdagen"), month and day; those that always fall on
/// a Sunday left out: New Year's Day, Good Friday, Easter Monday, King's Day, 5 May, Ascension Day, Whit Monday, Christmas.
const PUBLISHED: [(i32, [(u8, u8); 9]); 7] = [
    (2024, [(1, 1), (3, 29), (4, 1), (4, 27), (5, 5), (5, 9), (5, 20), (12, 25), (12, 26)]),
    (2025, [(1, 1), (4, 18), (4, 21), (4, 26), (5, 5), (5, 29), (6, 9), (12, 25), (12, 26)]),
    (2026, [(1, 1), (4, 3), (4, 6), (4, 27), (5, 5), (5, 14), (5, 25), (12, 25), (12, 26)]),
    (2027, [(1, 1), (3, 26), (3, 29), (4, 27), (5, 5), (5, 6), (5, 17), (12, 25), (12, 26)]),
    (2028, [(1, 1), (4, 14), (4, 17), (4, 27), (5, 5), (5, 25), (6, 5), (12, 25), (12, 26)]),
    (2029, [(1, 1), (3, 30), (4, 2), (4, 27), (5, 5), (5, 10), (5, 21), (12, 25), (12, 26)]),
    (2030, [(1, 1), (4, 19), (4, 22), (4, 27), (5, 5), (5, 30), (6, 10), (12, 25), (12, 26)]),
];

/// The days in March and October on which the clocks change, as published for the same years.
const CLOCK_CHANGES: [(i32, u8, u8); 7] =
    [(2024, 31, 27), (2025, 30, 26), (2026, 29, 25), (2027, 28, 31), (2028, 26, 29), (2029, 25, 28), (2030, 31, 27)];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(year: i32, month: u8, day: u8) -> Date {
    Date::from_calendar_date(year, Month::try_from(month).unwrap(), day).unwrap()
}

fn is_published(date: Date) -> bool {
    PUBLISHED.iter().any(|(year, days)| days.iter().any(|(month, of_month)| date == day(*year, *month, *of_month)))
}

/// Every day of the years of the tables.
fn every_day() -> impl Iterator<Item = Date> {
    std::iter::successors(Some(day(2024, 1, 1)), |date| date.next_day()).take_while(|date| date.year() <= 2030)
}

/// What [`after_working_days`] says, from the published table, day by day and in local time by the table of clock changes.
fn by_the_tables(local_start: Date, days: u32) -> Timestamp {
    let works = |date: &Date| !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !is_published(*date);
    let later = std::iter::successors(local_start.next_day(), |date| date.next_day()).filter(works);
    let last = later.take(days as usize).last().unwrap_or(local_start);
    let midnight = last.next_day().unwrap();
    let (_, march, october) = CLOCK_CHANGES.into_iter().find(|(year, ..)| *year == midnight.year()).unwrap();
    // The clocks change after midnight, so that the day itself still begins by the old time.
    let summer = day(midnight.year(), 3, march) < midnight && midnight <= day(midnight.year(), 10, october);
    let hours = if summer { 2 } else { 1 };
    Timestamp::from(midnight.midnight().assume_utc()).minus(std::time::Duration::from_hours(hours))
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
fn exactly_the_published_days_are_holidays() {
    for date in every_day() {
        assert_eq!(is_holiday(date), is_published(date), "{date}");
    }
}

#[test]
fn kings_day_moves_to_saturday_when_it_is_a_sunday() {
    assert!(is_holiday(day(2025, 4, 26)) && !is_holiday(day(2025, 4, 27)));
    assert!(!is_holiday(day(2026, 4, 26)) && is_holiday(day(2026, 4, 27)));
}

#[test]
fn the_clocks_change_at_one_o_clock_utc_on_the_published_days() {
    for (year, march, october) in CLOCK_CHANGES {
        for (month, of_month, before, after) in [(3, march, 1, 2), (10, october, 2, 1)] {
            let change = Timestamp::from(day(year, month, of_month).with_hms(1, 0, 0).unwrap().assume_utc());
            assert_eq!(offset_hours(change.minus(std::time::Duration::from_micros(1))), before, "{change}");
            assert_eq!(offset_hours(change), after, "{change}");
        }
    }
}

#[test]
fn a_night_in_amsterdam_belongs_to_the_local_day() {
    // 23:30 UTC on Thursday is Friday in Amsterdam: the next working day is Monday.
    assert_eq!(after_working_days(at("2026-11-19T23:30:00Z"), 1).to_string(), "2026-11-23T23:00:00Z");
    // In summer that begins an hour earlier: 22:30 UTC on Thursday 18 June is Friday.
    assert_eq!(after_working_days(at("2026-06-18T22:30:00Z"), 1).to_string(), "2026-06-22T22:00:00Z");
}

#[test]
fn the_clock_change_moves_the_end_of_the_day() {
    assert_eq!(after_days(at("2026-10-22T10:00:00Z"), 7).to_string(), "2026-10-29T23:00:00Z");
    assert_eq!(after_days(at("2026-03-26T10:00:00Z"), 7).to_string(), "2026-04-02T22:00:00Z");
    // Midnight before the clocks change is still by the old time.
    assert_eq!(after_days(at("2026-10-24T10:00:00Z"), 0).to_string(), "2026-10-24T22:00:00Z");
    assert_eq!(after_days(at("2026-10-25T10:00:00Z"), 0).to_string(), "2026-10-25T23:00:00Z");
}

#[test]
fn the_year_ends_in_the_middle_of_a_term() {
    // Thursday 31 December 2026; New Year's Day is a Friday.
    assert_eq!(after_working_days(at("2026-12-31T10:00:00Z"), 1).to_string(), "2027-01-04T23:00:00Z");
}

/// Any moment of 2024 to 2029, so that a term ends within the tables.
fn any_moment() -> impl Strategy<Value = Timestamp> {
    let range = at("2024-01-01T00:00:00Z").as_micros()..at("2030-01-01T00:00:00Z").as_micros();
    range.prop_map(Timestamp::from_micros)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_term_is_what_the_tables_count_day_by_day(start in any_moment(), days in 0_u32..60) {
        prop_assert_eq!(after_working_days(start, days), by_the_tables(local_date(start), days));
    }

    #[test]
    fn a_term_ends_later_than_it_begins_and_on_a_working_day(start in any_moment(), days in 1_u32..60) {
        let end = after_working_days(start, days);
        prop_assert!(end > start.plus(std::time::Duration::from_hours(23)), "a whole day at least");
        prop_assert!(is_working_day(local_date(end.minus(std::time::Duration::from_micros(1)))));
        prop_assert!(after_days(start, days) <= end, "working days are no shorter than days");
    }

    #[test]
    fn who_begins_later_or_has_more_days_never_ends_earlier(one in any_moment(), other in any_moment(), days in 0_u32..60) {
        let (earlier, later) = if one <= other { (one, other) } else { (other, one) };
        prop_assert!(after_working_days(earlier, days) <= after_working_days(later, days));
        prop_assert!(after_days(earlier, days) <= after_days(later, days));
        prop_assert!(after_working_days(earlier, days) < after_working_days(earlier, days + 1));
        prop_assert!(after_days(earlier, days) < after_days(earlier, days + 1));
    }

    #[test]
    fn no_moment_is_too_far_to_count_from(micros in any::<i64>(), days in 0_u32..400) {
        let start = Timestamp::from_micros(micros);
        let _ = (after_working_days(start, days), after_days(start, days), after_days(start, u32::MAX));
    }
}

#[test]
fn days_late_are_working_days_and_the_present_one_does_not_count() {
    // Due at the end of Friday 20 November 2026.
    let due = at("2026-11-20T23:00:00Z");
    for (now, late) in [("2026-11-20T23:00:01Z", 0), ("2026-11-23T22:59:59Z", 0), ("2026-11-23T23:00:00Z", 1)] {
        assert_eq!(working_days_between(due, at(now)), late, "{now}");
    }
    assert_eq!(working_days_between(due, at("2026-11-30T12:00:00Z")), 5);
    assert_eq!(working_days_between(due, at("2026-11-01T12:00:00Z")), 0);
}
