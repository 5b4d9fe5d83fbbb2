//! The clock of an incident, what belongs together in an answer, and that nothing is told twice.

use serde_json::{Value, json};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn knew() -> Timestamp {
    Timestamp::from_micros(1_000_000)
}

fn duty() -> Duty {
    Duty {
        organisation: "00000099000000002000".parse().unwrap(),
        aware_at: knew(),
        assess_due_at: knew().plus(TO_ASSESS),
        assess_told: false,
        assessment: None,
        deletion: Some(Deletion {
            received: Vec::new(),
            due_at: knew().plus(TO_ASSESS).plus(HOUR),
            told: false,
            confirmed: None,
        }),
        version: 1,
    }
}

fn wrong(body: Value, now: Timestamp) -> Vec<(String, String)> {
    let wanted: AssessmentCreation = serde_json::from_value(body).unwrap();
    let wrong = wanted.checked(Uuid::nil(), &duty(), now).err().unwrap_or_default();
    wrong.into_iter().map(|one| (one.name, one.code.into_owned())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned())).collect()
}

#[test]
fn the_clock_is_one_of_hours_and_the_last_moment_is_in_time() {
    let due_at = knew().plus(72 * HOUR);
    assert_eq!(duty().assess_due_at, due_at);
    assert_eq!(duty().assessment_status(Timestamp::from_micros(due_at.as_micros() - 1)), DutyStatus::Open);
    assert_eq!(duty().assessment_status(due_at), DutyStatus::Overdue);
    // Notified at the very deadline needs no reason for a delay, a moment later it does.
    let notified = |at: Timestamp| json!({ "outcome": "notified", "notifiedAt": at, "residents": "informed" });
    let late = Timestamp::from_micros(due_at.as_micros() + 1);
    assert_eq!(wrong(notified(due_at), late), pairs(&[]));
    assert_eq!(wrong(notified(late), late), pairs(&[("delay", "required")]));
}

#[test]
fn what_does_not_belong_together_is_said_all_at_once() {
    let now = knew().plus(HOUR);
    assert_eq!(wrong(json!({ "outcome": "risk-unlikely" }), now), pairs(&[]));
    assert_eq!(
        wrong(json!({ "outcome": "notified" }), now),
        pairs(&[("notifiedAt", "required"), ("residents", "required")])
    );
    let contradiction = json!({
        "outcome": "no-breach", "notifiedAt": now.plus(HOUR), "residents": "informed", "delay": "told-late",
    });
    assert_eq!(
        wrong(contradiction, now),
        pairs(&[
            ("notifiedAt", "not-expected"),
            ("residents", "not-expected"),
            ("delay", "not-expected"),
            ("notifiedAt", "range"),
        ])
    );
    let before = json!({ "outcome": "notified", "notifiedAt": Timestamp::from_micros(0), "residents": "unreadable" });
    assert_eq!(wrong(before, now), pairs(&[("notifiedAt", "range")]));
}

#[test]
fn that_the_authority_was_notified_is_never_taken_back() {
    for before in [None, Some(AssessmentOutcome::RiskUnlikely), Some(AssessmentOutcome::NoBreach)] {
        let duty = Duty { assessment: before, ..duty() };
        assert!(AssessmentOutcome::ALL.into_iter().all(|outcome| duty.may_be_assessed(outcome)), "{before:?}");
    }
    let notified = Duty { assessment: Some(AssessmentOutcome::Notified), ..duty() };
    let may: Vec<_> = AssessmentOutcome::ALL.into_iter().filter(|outcome| notified.may_be_assessed(*outcome)).collect();
    assert_eq!(may, [AssessmentOutcome::Notified]);
}

#[test]
fn each_deadline_is_told_once_and_what_is_done_is_not_told() {
    let mut late = duty();
    assert_eq!(late.alarm_at(), Some(late.assess_due_at));
    assert_eq!(late.take_due(knew()), []);
    assert_eq!(late.version, 1);
    let due_at = late.assess_due_at;
    assert_eq!(late.take_due(due_at), [IncidentNews::AssessmentOverdue]);
    assert_eq!((late.version, late.alarm_at()), (2, Some(due_at.plus(HOUR))));
    assert_eq!(late.take_due(due_at), []);
    assert_eq!(late.take_due(due_at.plus(HOUR)), [IncidentNews::DeletionOverdue]);
    assert_eq!(late.alarm_at(), None);
    assert_eq!(duty().take_due(due_at.plus(HOUR)), [IncidentNews::AssessmentOverdue, IncidentNews::DeletionOverdue]);
    let mut done = Duty { assessment: Some(AssessmentOutcome::NoBreach), ..duty() };
    done.deletion.as_mut().unwrap().confirmed = Some((knew(), PassedOn::Nobody));
    assert_eq!((done.alarm_at(), done.take_due(due_at.plus(HOUR))), (None, vec![]));
}

#[test]
fn who_reports_knew_since_the_referral_was_sent_and_not_in_the_future() {
    let (sent_at, now) = (knew(), knew().plus(HOUR));
    let aware = |at: Option<Timestamp>| {
        let creation = IncidentCreation { referral: Uuid::nil(), kind: IncidentKind::WrongRecipient, aware_at: at };
        creation.aware_at(sent_at, now).ok()
    };
    assert_eq!(aware(None), Some(now));
    assert_eq!(aware(Some(sent_at)), Some(sent_at));
    assert_eq!(aware(Some(Timestamp::from_micros(sent_at.as_micros() - 1))), None);
    assert_eq!(aware(Some(Timestamp::from_micros(now.as_micros() + 1))), None);
}
