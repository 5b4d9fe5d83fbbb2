//! That an expectation which is not met is found out.

use std::sync::LazyLock;

use serde_json::json;

use super::super::policies;
use super::*;
use crate::policy::Engine;

static WORDS: LazyLock<Words> = LazyLock::new(|| Words::of(&Engine::new(&policies::bundle().unwrap()).unwrap()));

fn found(then: &str, body: Value) -> Vec<String> {
    let then: Then = serde_saphyr::from_str(then).unwrap();
    let answer = Answer { status: 200, headers: BTreeMap::new(), text: body.to_string(), body };
    let names = BTreeMap::from([("1".to_owned(), "eerste".to_owned())]);
    differences(&then, &Seen { answer: Some(answer), success: 200, names, ..Seen::default() }, &WORDS)
}

#[test]
fn a_case_that_is_seen_otherwise_is_found_out() {
    let case = json!({
        "status": "open", "roles": ["coordinator"], "coordinator": "00000099000000002000", "steppedUp": null,
        "referrals": ["1"], "offer": null, "stepUpProposal": { "overdue": false }, "openReferrals": 1,
    });
    let right = "case: { status: open, coordinator: smow, roles: [coordinator], stepped-up: false, proposal: waiting, \
                 offered-to: nobody, referrals: [eerste], open: 1 }";
    assert_eq!(found(right, case.clone()), [""; 0]);
    for (said, wrong) in [
        ("status: open", "status: closed"),
        ("coordinator: smow", "coordinator: mee"),
        ("roles: [coordinator]", "roles: []"),
        ("stepped-up: false", "stepped-up: true"),
        ("waiting", "none"),
        ("nobody", "mee"),
        ("[eerste]", "[]"),
        ("open: 1", "open: 0"),
    ] {
        assert_eq!(found(&right.replace(said, wrong), case.clone()).len(), 1, "{wrong}");
    }
}

#[test]
fn what_keeps_a_case_open_is_told_by_name_and_no_more_than_that() {
    let problem = json!({ "openReferrals": ["1"], "otherOpenReferrals": 2 });
    assert_eq!(found("{ still-open: [eerste], still-open-elsewhere: 2 }", problem.clone()), [""; 0]);
    assert_eq!(found("{ still-open: [], still-open-elsewhere: 0 }", problem).len(), 2);
}

#[test]
fn a_term_counts_from_the_step_and_to_the_end_of_its_last_day() {
    // From a Friday in winter: three working days end with Wednesday.
    let step = |due: &str| json!({ "at": "2026-11-20T10:00:00Z", "dueAt": due });
    assert_eq!(found("due: { working-days: 3 }", step("2026-11-25T23:00:00Z")), [""; 0]);
    assert_eq!(found("due: { weeks: 1 }", step("2026-11-27T23:00:00Z")), [""; 0]);
    for wrong in ["2026-11-24T23:00:00Z", "2026-11-25T22:00:00Z"] {
        assert_eq!(found("due: { working-days: 3 }", step(wrong)).len(), 1, "{wrong}");
    }
}

#[test]
fn the_monitor_shows_a_number_however_deep_it_lies() {
    let figures = |count: Value| json!({ "items": [{ "figures": { "opened": { "count": count, "code": null } } }] });
    assert_eq!(found("numbers-shown: false", figures(Value::Null)), [""; 0]);
    assert_eq!(found("numbers-shown: false", figures(json!(10))).len(), 1);
    let line = json!({ "items": [{ "sender": "00000099000000002000", "recipient": "00000099000000004000" }] });
    assert_eq!(found("overdue: [{ from: smow, to: mee }]", line.clone()), [""; 0]);
    for wrong in ["[]", "[{ from: mee, to: smow }]", "[{ from: smow, to: mee }, { from: smow, to: mee }]"] {
        assert_eq!(found(&format!("overdue: {wrong}"), line.clone()).len(), 1, "{wrong}");
    }
}

#[test]
fn a_step_that_is_possible_is_called_by_its_status_only_where_it_is_an_update() {
    let steps = json!({ "allowedSteps": [
        { "operation": "updates", "status": "received" }, { "operation": "supplements", "status": "received" },
        { "operation": "close", "status": null },
    ]});
    assert_eq!(found("allowed-steps: [received, supplements, close]", steps.clone()), [""; 0]);
    assert_eq!(found("allowed-steps: [received]", steps).len(), 1);
}
