//! Every field of the bodies that decide about a resident, left out, emptied, of another type or with an unknown value, one at a time: it
//! is said which field is wrong, nothing of it is repeated, and nothing is stored.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{BSN, KREDIETBANK, KWADRAAD, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::chain::debts_at_the_bank;
use crate::consistency::count;
use crate::wire::Wire;

/// Must come back in no answer.
const MARK: &str = "Geheim-4711";

/// Values that fit few fields, by what they are.
fn odd_values() -> Vec<(&'static str, Value)> {
    vec![
        ("null", Value::Null),
        ("true", json!(true)),
        ("a number", json!(471_147)),
        ("less than nothing", json!(-1)),
        ("beyond all numbers", json!(1e300)),
        ("nothing said", json!("")),
        ("a code that does not exist", json!(MARK)),
        ("a long text", json!(MARK.repeat(5_000))),
        ("control characters", json!(format!("\u{0}\u{202e}{MARK}"))),
        ("a day that does not exist", json!("2026-02-30T00:00:00Z")),
        ("an empty list", json!([])),
        ("a list of something", json!([MARK])),
        ("a list in a list", json!([[MARK]])),
        ("an empty object", json!({})),
        ("an object of something", json!({ "unasked": MARK })),
    ]
}

/// The places in a body, as pointers. What is in `content` is nobody's business.
fn places(body: &Value, at: &str, found: &mut Vec<String>) {
    let mut go_on = |name: String, value: &Value| {
        let place = format!("{at}/{name}");
        found.push(place.clone());
        if name != "content" {
            places(value, &place, found);
        }
    };
    match body {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| go_on(name.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| go_on(index.to_string(), item)),
        _ => {}
    }
}

/// A pointer as answers write it: `sections[0].category`.
fn in_words(place: &str) -> String {
    let mut words = String::new();
    for name in place.split('/').skip(1) {
        if name.parse::<usize>().is_ok() {
            words = format!("{words}[{name}]");
        } else {
            if !words.is_empty() {
                words.push('.');
            }
            words += name;
        }
    }
    words
}

fn without(body: &Value, place: &str) -> Value {
    let mut body = body.clone();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.remove(name)),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => unreachable!(),
    }
    body
}

fn with(body: &Value, place: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(place).unwrap() = value;
    body
}

/// Tries all changes; those that were taken nevertheless, as `place: change`.
async fn taken(app: &TestApp, who: &str, path: &str, body: &Value) -> BTreeSet<String> {
    let mut all = Vec::new();
    places(body, "", &mut all);
    let mut changes: Vec<(String, &str, Value)> = Vec::new();
    for place in &all {
        changes.push((place.clone(), "left out", without(body, place)));
        let now = body.pointer(place).unwrap();
        changes.extend(
            odd_values()
                .into_iter()
                .filter(|(_, odd)| odd != now)
                .map(|(what, odd)| (place.clone(), what, with(body, place, odd))),
        );
    }
    let mut unasked = body.clone();
    unasked["unasked"] = json!(MARK);
    changes.push((String::new(), "something unasked", unasked));
    let mut taken = BTreeSet::new();
    for (place, what, changed) in changes {
        let answer = app.post(who, path, changed).await;
        let field = in_words(&place);
        let said = format!("{path} {field}: {what}: {} {}", answer.status, answer.text);
        assert!(answer.status < 300 || !answer.text.contains("4711"), "repeated: {said}");
        match answer.status {
            200 | 201 => assert!(taken.insert(format!("{field}: {what}"))),
            // A combination that the protocol lacks.
            403 => assert!(answer.text_at("/code").is_some(), "{said}"),
            400 => {
                let wrong = answer.body["invalidParams"].as_array();
                let names = wrong.into_iter().flatten().filter_map(|one| one["name"].as_str());
                let fits = |name: &str| name.starts_with(&field) || field.starts_with(name);
                assert!(names.into_iter().any(fits), "the field is not named: {said}");
            }
            // A tag or id that leads nowhere.
            404 | 409 | 413 => assert!(answer.text_at("/code").is_some(), "{said}"),
            _ => panic!("{said}"),
        }
    }
    taken
}

async fn stored(app: &TestApp, who: &str, path: &str) -> usize {
    let mut next = Some(format!("{path}?limit=1000"));
    let mut count = 0;
    while let Some(page) = next {
        let answer = app.get(who, page).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        count += answer.body["items"].as_array().unwrap().len();
        next = answer.text_at("/next").map(ToOwned::to_owned);
    }
    count
}

fn expected(these: &[&str]) -> BTreeSet<String> {
    these.iter().map(|one| (*one).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_referral_is_named_and_nothing_is_handed_over() {
    let app = TestApp::start().await;
    let given = consent(&app, KWADRAAD, "social-work", &["question", "contact"]);
    assert_eq!(app.post("smow", "/v1/consents", given).await.status, 201);
    let mut by_pseudonym = with_sections(by_consent(KWADRAAD, "social-work"), &["question"]);
    let first = app.post("smow", "/v1/referrals", by_pseudonym.clone()).await;
    assert_eq!(first.status, 201, "{}", first.text);
    by_pseudonym["subject"] = json!({ "pseudonym": first.body["subject"]["pseudonym"], "ageGroup": "18-plus" });
    let mut whole = with_sections(debts(), &["question", "finance"]);
    (whole["priority"], whole["caseId"], whole["basedOn"]) = (json!("routine"), Value::Null, Value::Null);
    for (who, body, may) in [
        (
            "gemeente-wassenaar",
            whole,
            expected(&[
                "basedOn: left out",
                "caseId: left out",
                "onWithheld: left out",
                "priority: left out",
                "sections[0].content: an empty object",
                "sections[0].content: an object of something",
                "sections[0]: left out",
                "sections[1].content: an empty object",
                "sections[1].content: an object of something",
                "sections[1]: left out",
                // By law, so that no record has to count.
                "subject.ageGroup: left out",
            ]),
        ),
        (
            "smow",
            by_pseudonym,
            expected(&[
                "onWithheld: left out",
                "sections[0].content: an empty object",
                "sections[0].content: an object of something",
            ]),
        ),
    ] {
        let before = stored(&app, who, "/v1/referrals").await;
        let on_check = taken(&app, who, "/v1/referrals/_check", &body).await;
        assert_eq!(stored(&app, who, "/v1/referrals").await, before, "a question stores nothing");
        let taken = taken(&app, who, "/v1/referrals", &body).await;
        assert_eq!(taken, may, "what may be left out");
        assert_eq!(stored(&app, who, "/v1/referrals").await, before + taken.len(), "only what was answered with 201");
        assert!(on_check.is_superset(&taken), "{on_check:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_request_for_access_is_named_and_nothing_is_composed() {
    let app = TestApp::start().await;
    let now = app.app().now();
    let body = json!({
        "subject": { "bsn": BSN }, "scope": "own", "identification": "identity-document", "requestedBy": "representative",
        "representativeKind": "curator", "period": { "from": now.minus(Duration::from_hours(1)), "until": now },
    });
    let before = stored(&app, "smow", "/v1/audit/records").await;
    let taken = taken(&app, "smow", "/v1/access-reports", &body).await;
    let may = expected(&[
        "period.from: left out",
        "period.from: null",
        "period.until: left out",
        "period.until: null",
        "period: an empty object",
        "period: left out",
    ]);
    assert_eq!(taken, may);
    let records = stored(&app, "smow", "/v1/audit/records").await;
    assert_eq!(records - before, taken.len(), "one record for each that was composed, none for what was wrong");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_consent_release_or_agreement_is_named_and_nothing_is_recorded() {
    let app = TestApp::start().await;
    for kind in ["consent", "secrecy-release", "care-agreement"] {
        let mut body = consent(&app, KREDIETBANK, "debt-counselling", &["finance"]);
        body["kind"] = json!(kind);
        if kind == "care-agreement" {
            body.as_object_mut().unwrap().remove("categories");
        }
        let before = stored(&app, "smow", "/v1/consents").await;
        let taken = taken(&app, "smow", "/v1/consents", &body).await;
        let may = ["evidenceRef: a code that does not exist", "evidenceRef: left out", "explicit: left out"];
        assert_eq!(taken, expected(&may), "{kind}");
        assert_eq!(stored(&app, "smow", "/v1/consents").await, before + taken.len());
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_match_is_named_and_nothing_is_linked() {
    let app = TestApp::start_with(&[("SLUIS_LIMITS__MATCH_REQUESTS_PER_SECOND", "0")]).await;
    let mut body = consent(&app, KREDIETBANK, "debt-counselling", &["finance"]);
    body["subject"] = json!({
        "match": { "givenName": "Noor", "familyName": "Bos", "birthDate": "1990-03-01", "postalCode": "2242 AB" },
        "ageGroup": "18-plus",
    });
    let recorded = taken(&app, "smow", "/v1/consents", &body).await;
    let may = [
        "evidenceRef: a code that does not exist",
        "evidenceRef: left out",
        "explicit: left out",
        "subject.ageGroup: left out",
    ];
    assert_eq!(recorded, expected(&may));
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM subject_links").await, 1, "as it was");
    let unlinking = json!({ "subject": { "match": body["subject"]["match"] }, "reasonCode": "wrong-resident" });
    let unlinked = taken_back(&app, &unlinking).await;
    assert!(unlinked.iter().all(|(status, text)| *status == 400 && !text.contains("4711")), "{unlinked:?}");
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM subject_links").await, 1);
    app.finish().await;
}

/// What is answered to whoever takes a match back and leaves something out, or says it otherwise than it can be said.
async fn taken_back(app: &TestApp, body: &Value) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    let mut changes =
        vec![without(body, "/reasonCode"), with(body, "/reasonCode", json!(MARK)), without(body, "/subject/match")];
    changes.push(with(body, "/subject", json!({ "bsn": "999990019" })));
    for name in ["givenName", "familyName", "birthDate", "postalCode"] {
        let place = format!("/subject/match/{name}");
        changes.push(without(body, &place));
        changes.extend([json!(""), json!(4711), json!("4711"), Value::Null].map(|odd| with(body, &place, odd)));
    }
    for changed in changes {
        let answer = app.post("smow", "/v1/subject-matches/_unlink", changed).await;
        answers.push((answer.status, answer.text));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_says_something_twice_says_nothing() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    let before = app.get("kredietbank", &path).await.body;
    for (who, operation, body, places) in [
        ("kredietbank", "updates", r#"{"status":"received","status":"accepted"}"#, vec!["status"]),
        ("kredietbank", "updates", r#"{"status":"accepted","note":"999990019","note":1}"#, vec!["note"]),
        (
            "gemeente-wassenaar",
            "supplements",
            r#"{"sections":[{"category":"finance","content":{"a":{"b":"999990019","b":2}}}]}"#,
            vec!["sections[0].content.a.b"],
        ),
    ] {
        let token = app.world().client(who).unwrap().token(None).await.unwrap();
        let wire = Wire::of(&app, who);
        let request = wire.request("POST", &format!("{path}/{operation}")).bearer_auth(token);
        let request = request.header("idempotency-key", "twice").header("content-type", "application/json");
        let reply = wire.send(request.body(body)).await;
        assert_eq!((reply.status, reply.code()), (400, "invalid-input"), "{}", reply.text);
        let named = reply.body["invalidParams"].as_array().unwrap().iter();
        let named: Vec<&str> = named.map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(named, places, "that alone: nothing else was looked at");
        assert!(!reply.text.contains("999990019"), "{}", reply.text);
    }
    assert_eq!(app.get("kredietbank", &path).await.body, before, "nothing happened");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_step_is_named_and_no_step_is_taken() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    let version = app.get("kredietbank", &path).await.body["version"].clone();
    let step = json!({ "status": "completed", "statusReason": null, "outcome": "helped", "rightOrganisation": SMOW });
    // It is not time for the step, and what is added may not cross: no change of the rest makes them possible.
    for (who, operation, body) in [
        ("kredietbank", "updates", with_sections(step, &["question"])),
        ("gemeente-wassenaar", "supplements", with_sections(json!({ "onWithheld": "reject" }), &["mental-health"])),
    ] {
        let taken = taken(&app, who, &format!("{path}/{operation}"), &body).await;
        assert_eq!(taken, expected(&[]), "{operation}");
    }
    assert_eq!(app.get("kredietbank", &path).await.body["version"], version, "nothing happened");
    app.app().clock.advance(Duration::from_secs(1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_an_objection_or_a_restriction_is_named_and_nothing_is_recorded() {
    let app = TestApp::start().await;
    let subject = json!({ "bsn": "999990020" });
    for (path, body, may) in [
        (
            "/v1/objections",
            json!({ "subject": subject, "purposes": ["debt-counselling"], "obtainedAt": app.app().now() }),
            // Against everything.
            &["purposes: left out", "purposes: null"][..],
        ),
        ("/v1/restrictions", json!({ "subject": subject, "ground": "accuracy-contested" }), &[]),
    ] {
        let before = stored(&app, "smow", path).await;
        let taken = taken(&app, "smow", path, &body).await;
        assert_eq!(taken, expected(may), "{path}");
        assert_eq!(stored(&app, "smow", path).await, before + taken.len());
    }
    app.finish().await;
}
