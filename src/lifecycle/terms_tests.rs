//! What holds of terms whatever the covenant says.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn terms(days: u32, percent: u32) -> Terms {
    Terms {
        received: days,
        decided: days,
        extension_weeks: days,
        sender_acts: days,
        hold: days,
        cancellation: days,
        again: days,
        pausing: vec![Reason::WaitingList],
        reopen_days: days,
        percent,
    }
}

fn moment() -> impl Strategy<Value = Timestamp> {
    // 2024 to 2030.
    (1_704_067_200_000_000_i64..1_893_456_000_000_000).prop_map(Timestamp::from_micros)
}

#[test]
fn a_decision_within_five_days_has_three_when_the_priority_leaves_half() {
    // Monday 23 November 2026.
    let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    let due_at = |percent| terms(5, percent).due_at(Duty::Decide, now, now).to_string();
    assert_eq!(due_at(100), "2026-11-30T23:00:00Z");
    assert_eq!(due_at(50), "2026-11-26T23:00:00Z", "rounded up");
    assert_eq!(due_at(1), "2026-11-24T23:00:00Z", "a day is left");
    assert_eq!(due_at(0), "2026-11-24T23:00:00Z", "a day is left");
}

#[test]
fn an_examination_reaches_from_the_referral_and_leaves_a_day_all_the_same() {
    let created: Timestamp = "2026-09-01T10:00:00Z".parse().unwrap();
    let asked: Timestamp = "2026-09-03T10:00:00Z".parse().unwrap();
    let late: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    assert_eq!(terms(8, 100).due_at(Duty::Examine, created, asked).to_string(), "2026-10-27T23:00:00Z");
    assert_eq!(terms(8, 100).due_at(Duty::Examine, created, late).to_string(), "2026-11-24T23:00:00Z");
}

#[test]
fn the_term_for_reopening_ends_with_its_last_day_in_amsterdam_over_the_change_of_the_clock_too() {
    let until = |now: &str| terms(90, 100).reopen_until(now.parse().unwrap()).to_string();
    assert_eq!(until("2026-11-23T10:00:00Z"), "2027-02-21T23:00:00Z", "the whole of 21 February");
    assert_eq!(until("2026-12-31T22:59:59Z"), "2027-03-31T22:00:00Z", "summer time by then");
    assert_eq!(until("2026-12-31T23:00:00Z"), "2027-04-01T22:00:00Z", "it is the next day in Amsterdam already");
    assert_eq!(until("2026-08-01T21:00:00Z"), "2026-10-30T23:00:00Z", "winter time by then");
}

#[test]
fn only_what_the_covenant_names_pauses_and_only_on_hold() {
    let terms = terms(5, 100);
    for status in Status::ALL {
        for reason in Reason::ALL {
            let pauses = status == Status::OnHold && reason == Reason::WaitingList;
            assert_eq!(terms.pauses(status, Some(reason)), pauses, "{status} {reason}");
        }
        assert!(!terms.pauses(status, None), "{status}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_duty_has_a_day_at_least(created in moment(), now in moment(), days in 0_u32..80, percent in 0_u32..200) {
        let terms = terms(days, percent);
        let a_day_later = now.plus(Duration::from_hours(23));
        for duty in Duty::ALL {
            prop_assert!(terms.due_at(duty, created, now) > a_day_later, "{}", duty);
        }
        prop_assert!(terms.due_again_at(now) > a_day_later);
    }

    #[test]
    fn more_days_or_less_hurry_never_leave_less_time(now in moment(), days in 0_u32..80, percent in 0_u32..200) {
        for duty in Duty::ALL {
            let due_at = terms(days, percent).due_at(duty, now, now);
            prop_assert!(due_at <= terms(days + 1, percent).due_at(duty, now, now), "{}", duty);
            prop_assert!(due_at <= terms(days, percent + 1).due_at(duty, now, now), "{}", duty);
            prop_assert!(due_at <= terms(days, percent).due_at(duty, now, now.plus(Duration::from_hours(1))), "{}", duty);
        }
    }

    #[test]
    fn a_clock_that_stood_still_has_lost_nothing(due in moment(), stopped in moment(), resumed in moment(), missed in 0_u32..9) {
        let running = Deadline { duty: Duty::Work, due_at: due, missed };
        let again = running.pause(stopped).resume(resumed);
        let left = |deadline: Deadline, now: Timestamp| deadline.due_at.as_micros() - now.as_micros();
        prop_assert_eq!(left(again, resumed), left(running, stopped));
        prop_assert_eq!(again.missed, missed);
    }

    #[test]
    fn the_largest_terms_do_not_overflow(now in moment()) {
        let terms = terms(u32::MAX / 8, u32::MAX);
        prop_assert!(terms.reopen_until(now) > now);
        prop_assert!(terms.due_at(Duty::Work, now, now) > now);
    }
}
