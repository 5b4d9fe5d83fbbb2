//! What a declaration is good for, at its edges, and which duties are left after it.

use super::*;

const GIVER: &str = "00000099000000003000";
const RECEIVER: &str = "00000099000000005000";

fn at(hours: i64) -> Timestamp {
    let start: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    Timestamp::from_micros(start.as_micros() + hours * 3_600_000_000)
}

fn declared() -> EmergencyAccess {
    EmergencyAccess {
        id: Uuid::nil(),
        organisation: GIVER.parse().unwrap(),
        recipient: RECEIVER.parse().unwrap(),
        subject: "resident".into(),
        role: "manager-on-duty".into(),
        reason: EmergencyReason::DangerToLife,
        cannot_consent: Some(CannotConsent::Unconscious),
        categories: vec!["safety".parse().unwrap(), "contact".parse().unwrap()],
        covenant_version: "2026.1".into(),
        declared_at: at(0),
        valid_until: at(24),
        ended_at: None,
        review: Review { reviewer: RECEIVER.parse().unwrap(), due_at: at(100), told: false, concluded: None },
        duty: Duty { due_at: Some(at(80)), told: false, days: 5, last: None },
        version: 1,
    }
}

fn opens(access: &EmergencyAccess, now: Timestamp) -> bool {
    access.opens(&access.organisation, &access.recipient, &access.subject, now).is_some()
}

#[test]
fn it_opens_what_it_names_for_a_day_and_not_a_moment_longer() {
    let access = declared();
    let glass = access.opens(&access.organisation, &access.recipient, "resident", at(1)).unwrap();
    assert_eq!(glass, BreakGlass { categories: access.categories.clone(), cannot_consent: true });
    let moment = Duration::from_micros(1);
    for (now, open) in [(at(0).minus(moment), false), (at(0), true), (at(24).minus(moment), true), (at(24), false)] {
        assert_eq!(opens(&access, now), open, "{now}");
    }
    let shorter = EmergencyAccess { valid_until: at(2), ..declared() };
    assert!(opens(&shorter, at(1)) && !opens(&shorter, at(2)));
    let longer = EmergencyAccess { valid_until: at(48), ..declared() };
    assert!(!opens(&longer, at(24)), "whatever is stored");
    assert_eq!(longer.mark().valid_until, at(24));
}

#[test]
fn it_opens_nothing_for_others_nor_after_it_was_ended() {
    let access = declared();
    let (giver, receiver) = (&access.organisation, &access.recipient);
    for (from, to, subject) in [(receiver, giver, "resident"), (giver, giver, "resident"), (giver, receiver, "another")]
    {
        assert_eq!(access.opens(from, to, subject, at(1)), None);
    }
    let ended = EmergencyAccess { ended_at: Some(at(1)), ..declared() };
    assert!(!opens(&ended, at(1)) && !opens(&ended, at(0)), "also for a clock that is behind");
    assert_eq!((ended.status(at(2)), ended.status(at(30))), (Status::Ended, Status::Ended));
    let unexplained = EmergencyAccess { cannot_consent: None, ..declared() };
    let glass = unexplained.opens(&unexplained.organisation, &unexplained.recipient, "resident", at(1)).unwrap();
    assert!(!glass.cannot_consent);
}

fn notification(outcome: Notified, recorded_at: Timestamp) -> Notification {
    Notification { id: Uuid::nil(), outcome, informed_at: None, method: None, reason: None, recorded_at }
}

#[test]
fn informing_is_owed_until_it_is_done_or_cannot_be_and_putting_it_off_gives_another_deadline() {
    let mut access = declared();
    assert_eq!((access.duty_status(at(79)), access.duty_status(at(80))), (DutyStatus::Open, DutyStatus::Overdue));
    access.duty.told = true;
    assert!(access.notify(&notification(Notified::Postponed, at(81))));
    assert_eq!(access.duty_status(at(82)), DutyStatus::Postponed);
    assert!(access.duty.due_at.is_some_and(|due_at| due_at > at(81)) && !access.duty.told);
    assert_eq!(access.duty_status(access.duty.due_at.unwrap()), DutyStatus::Overdue);
    assert!(access.notify(&notification(Notified::NotPossible, at(200))));
    assert_eq!((access.duty_status(at(9_999)), access.duty.due_at), (DutyStatus::NotPossible, None));
    assert!(!access.notify(&notification(Notified::Postponed, at(201))), "it is not owed any more");
    assert!(access.notify(&notification(Notified::Informed, at(202))), "who was lost may turn up");
    for outcome in Notified::ALL {
        assert!(!access.notify(&notification(outcome, at(203))), "{outcome}");
    }
}

#[test]
fn the_first_deadline_that_was_not_told_is_the_next() {
    let mut access = declared();
    assert_eq!(access.alarm_at(), Some(at(80)));
    access.duty.told = true;
    assert_eq!(access.alarm_at(), Some(at(100)));
    access.review.told = true;
    assert_eq!(access.alarm_at(), None);
    let concluded = Concluded {
        conclusion: Conclusion::Justified,
        measures: vec![],
        deleted: vec![],
        by: access.recipient,
        at: at(1),
    };
    let review = Review { concluded: Some(concluded), ..declared().review };
    assert_eq!(EmergencyAccess { review, ..declared() }.alarm_at(), Some(at(80)));
}

fn mistakes(body: serde_json::Value) -> Vec<(String, String)> {
    let creation: NotificationCreation = serde_json::from_value(body).unwrap();
    let wrong = creation.checked(Uuid::nil(), at(0), at(10)).err().unwrap_or_default();
    wrong.into_iter().map(|wrong| (wrong.name, wrong.code.into_owned())).collect()
}

#[test]
fn what_is_said_of_informing_belongs_together_and_all_mistakes_come_at_once() {
    use serde_json::json;
    assert_eq!(mistakes(json!({ "outcome": "informed", "informedAt": at(1), "method": "in-person" })), []);
    assert_eq!(mistakes(json!({ "outcome": "postponed", "reason": "endangers-others" })), []);
    assert_eq!(mistakes(json!({ "outcome": "not-possible", "reason": "deceased" })), []);
    let code = |name: &str, code: &str| (name.to_owned(), code.to_owned());
    assert_eq!(
        mistakes(json!({ "outcome": "informed", "reason": "deceased" })),
        [code("informedAt", "required"), code("method", "required"), code("reason", "not-expected")]
    );
    for moment in [at(-1), at(11)] {
        let body = json!({ "outcome": "informed", "informedAt": moment, "method": "by-letter" });
        assert_eq!(mistakes(body), [code("informedAt", "range")], "{moment}");
    }
    for (outcome, reason) in [("postponed", "deceased"), ("not-possible", "endangers-resident")] {
        assert_eq!(mistakes(json!({ "outcome": outcome, "reason": reason })), [code("reason", "unknown-code")]);
    }
    assert_eq!(mistakes(json!({ "outcome": "postponed" })), [code("reason", "required")]);
}

#[test]
fn what_is_not_justified_is_named_exactly_where_only_a_part_is_not() {
    use serde_json::json;
    let declared = declared().categories;
    let deleted = |body: serde_json::Value| {
        let creation: ConclusionCreation = serde_json::from_value(body).unwrap();
        creation.deleted(&declared).map_err(|wrong| wrong[0].code.to_string())
    };
    assert_eq!(deleted(json!({ "conclusion": "justified" })), Ok(vec![]));
    assert_eq!(deleted(json!({ "conclusion": "not-justified" })), Ok(declared.clone()));
    let partly = |named: serde_json::Value| deleted(json!({ "conclusion": "partly-justified", "notJustified": named }));
    assert_eq!(partly(json!(["safety"])), Ok(vec!["safety".parse().unwrap()]));
    assert_eq!(partly(json!([])), Err("required".into()));
    assert_eq!(partly(json!(["finance"])), Err("invalid".into()));
    assert_eq!(partly(json!(["contact", "safety"])), Err("invalid".into()), "that is all of it");
    assert_eq!(deleted(json!({ "conclusion": "justified", "notJustified": ["safety"] })), Err("not-expected".into()));
}
