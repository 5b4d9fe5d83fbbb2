//! What was given and was wrong: it is destroyed wherever the gateway put it, who received it is told, and nobody else learns of it.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sluis::args;
use sluis::demo::client::{Answer, Request};
use sluis::storage::Query as _;

use crate::app::{KREDIETBANK, MEE, SMOW, TestApp, by_consent, consent, debts, postgres, with_sections};
use crate::consistency::the_log_holds;
use crate::process::DataFolder;
use crate::tamper::{everything_stored, holds};

const TOLD: &str = "nl.sluis.referral.corrected.v1";
const NO_ID: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001";

/// A referral of debts by the municipality to the credit bank, by its path.
pub async fn debts_at_the_bank(app: &TestApp, categories: &[&str]) -> String {
    let created = app.refer("gemeente-wassenaar", debts(), categories).await;
    assert_eq!(created.status, 201, "{}", created.text);
    created.headers["location"].clone()
}

/// The sections that `who` gets now, as category and content; none where it gets none.
pub async fn content(app: &TestApp, who: &str, path: &str) -> Vec<(String, Value)> {
    let answer = app.get(who, format!("{path}/sections")).await;
    if answer.status == 403 {
        assert_eq!(answer.text_at("/code"), Some("disclosure-refused"), "{}", answer.text);
        return Vec::new();
    }
    assert_eq!(answer.status, 200, "{}", answer.text);
    let sections = answer.body["sections"].as_array().unwrap();
    sections.iter().map(|s| (s["category"].as_str().unwrap().to_owned(), s["content"].clone())).collect()
}

pub fn about(category: &str) -> (String, Value) {
    (category.to_owned(), json!({ "text": format!("about {category}") }))
}

pub fn right(category: &str) -> (String, Value) {
    (category.to_owned(), json!({ "right": category }))
}

/// A correction that replaces sections and retracts others.
pub fn correction(reason: &str, replaced: &[&str], retracted: &[&str]) -> Value {
    let section = |category: &&str| json!({ "category": category, "content": right(category).1 });
    json!({ "reason": reason, "sections": replaced.iter().map(section).collect::<Value>(), "retracted": retracted })
}

pub async fn correct(app: &TestApp, who: &str, path: &str, body: Value) -> Answer {
    let corrected = app.post(who, format!("{path}/corrections"), body).await;
    assert_eq!(corrected.status, 201, "{}", corrected.text);
    corrected
}

pub fn effects(answer: &Value) -> Vec<(&str, &str)> {
    let sections = answer["sections"].as_array().unwrap();
    sections.iter().map(|one| (one["category"].as_str().unwrap(), one["effect"].as_str().unwrap())).collect()
}

/// The corrections that somebody was told of.
pub async fn told(app: &TestApp, who: &str) -> Vec<Value> {
    app.app().sequence().await.unwrap();
    let feed = app.get(who, "/v1/events?limit=1000").await;
    feed.body["items"].as_array().unwrap().iter().filter(|event| event["type"] == TOLD).cloned().collect()
}

pub async fn corrections(app: &TestApp, who: &str, path: &str) -> Vec<Value> {
    let page = app.get(who, format!("{path}/corrections")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page.body["items"].as_array().unwrap().clone()
}

pub async fn records(app: &TestApp, who: &str) -> Vec<Value> {
    let page = app.get(who, "/v1/audit/records?kind=correction").await;
    page.body["items"].as_array().unwrap().clone()
}

pub async fn step(app: &TestApp, who: &str, path: &str, body: Value) -> Answer {
    let taken = app.post(who, format!("{path}/updates"), body).await;
    assert_eq!(taken.status, 201, "{}", taken.text);
    taken
}

/// The sealed form of a section, as somebody with the database finds it.
pub async fn sealed(app: &TestApp, path: &str, category: &str) -> Vec<u8> {
    let sql = "SELECT sealed FROM referral_sections WHERE referral = $1 AND category = $2";
    let row = app.app().db.reader().row(sql, args![id(path), category]).await.unwrap();
    row.map(|row| row.bytes("sealed").unwrap()).unwrap_or_default()
}

pub fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// How many sealed sections are these.
pub async fn kept_with(app: &TestApp, sealed: Vec<u8>) -> usize {
    let sql = "SELECT part FROM referral_sections WHERE sealed = $1";
    app.app().db.reader().rows(sql, args![sealed]).await.unwrap().len()
}

pub async fn finish(app: TestApp) {
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_wrong_is_destroyed_and_who_received_it_is_told_in_codes_alone() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app, &["question", "finance", "housing"]).await;
    assert_eq!(content(&app, "kredietbank", &path).await.len(), 3);
    let (finance, housing) = (sealed(&app, &path, "finance").await, sealed(&app, &path, "housing").await);
    let before = app.get("kredietbank", &path).await;

    let corrected =
        correct(&app, "gemeente-wassenaar", &path, correction("inaccurate", &["finance"], &["housing"])).await;
    assert_eq!(effects(&corrected.body), [("finance", "replaced"), ("housing", "retracted")]);
    assert_eq!(corrected.body["copies"], json!([]));
    assert_eq!(corrected.body["decision"]["outcome"], "permitted");
    assert_eq!((kept_with(&app, finance).await, kept_with(&app, housing).await), (0, 0));

    let events = told(&app, "kredietbank").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"], json!({ "referral": id(&path), "correction": corrected.body["id"] }));
    assert!(told(&app, "gemeente-wassenaar").await.is_empty(), "it knows");
    let seen = corrections(&app, "kredietbank", &path).await;
    assert_eq!(effects(&seen[0]), [("finance", "replaced"), ("housing", "retracted")]);
    assert!(seen[0].get("decision").is_none() && seen[0].get("copies").is_none());
    assert_eq!(app.get("kredietbank", corrected.headers["location"].as_str()).await.body, seen[0]);

    let again = app.get("kredietbank", format!("{path}/sections")).await;
    assert_eq!(content(&app, "kredietbank", &path).await, [about("question"), right("finance")]);
    assert!(again.body["sections"][0].get("correctedAt").is_none());
    assert_eq!(again.body["sections"][1]["correctedAt"], corrected.body["at"]);
    assert_eq!(content(&app, "gemeente-wassenaar", &path).await, [about("question"), right("finance")]);

    // It is no step of the chain.
    let after = app.get("kredietbank", &path).await;
    for same in ["status", "holder", "dueAt", "businessStatus"] {
        assert_eq!(before.body[same], after.body[same], "{same}");
    }
    assert_eq!(after.body["version"].as_i64(), before.body["version"].as_i64().map(|version| version + 1));

    for (who, actions) in [("kredietbank", 2), ("gemeente-wassenaar", 2)] {
        let records = records(&app, who).await;
        assert_eq!(records.len(), actions, "{who}: {records:?}");
        assert!(records.iter().all(|record| record["statusReason"] == "inaccurate"));
        let text = json!(records).to_string();
        assert!(!text.contains("about ") && !text.contains("right\":"), "no content: {text}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_corrects_what_another_gave() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app, &["question", "finance"]).await;
    step(&app, "kredietbank", &path, json!({ "status": "accepted" })).await;
    let post = async |who: &str, path: &str, body: Value| app.post(who, format!("{path}/corrections"), body).await;
    let retract = || correction("inaccurate", &[], &["finance"]);
    let by_recipient = post("kredietbank", &path, retract()).await;
    assert_eq!((by_recipient.status, by_recipient.text_at("/code")), (403, Some("forbidden")));
    // What the recipient asks about categories is not even looked at.
    let unknown = post("kredietbank", &path, correction("inaccurate", &[], &["mental-health"])).await;
    assert_eq!((unknown.status, &unknown.body), (403, &by_recipient.body));
    for who in ["smow", "mee", "jgz"] {
        let foreign = post(who, &path, retract()).await;
        let missing = post(who, &format!("/v1/referrals/{NO_ID}"), retract()).await;
        assert_eq!((foreign.status, &foreign.body), (404, &missing.body), "{who}");
        assert_eq!(app.get(who, format!("{path}/corrections")).await.status, 404, "{who}");
    }
    // A note of the bank is the bank's.
    step(&app, "kredietbank", &path, json!({ "status": "in-progress" })).await;
    let note = with_sections(json!({ "status": "completed", "outcome": "not-helped" }), &["finance"]);
    let note = step(&app, "kredietbank", &path, note).await;
    let on_note = |reason: &str| {
        let mut body = correction(reason, &["finance"], &[]);
        body["updateId"] = note.body["id"].clone();
        body
    };
    assert_eq!(post("gemeente-wassenaar", &path, on_note("inaccurate")).await.status, 403);
    let notes = format!("{path}/updates/{}", note.text_at("/id").unwrap());
    assert_eq!(content(&app, "gemeente-wassenaar", &notes).await, [about("finance")], "as it was");
    correct(&app, "kredietbank", &path, on_note("inaccurate")).await;
    assert_eq!(content(&app, "gemeente-wassenaar", &notes).await, [right("finance")]);
    assert_eq!(told(&app, "gemeente-wassenaar").await.len(), 1);
    assert_eq!(content(&app, "gemeente-wassenaar", &path).await, [about("question"), about("finance")]);
    assert_eq!(told(&app, "kredietbank").await.len(), 0);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_municipality_that_holds_a_referral_of_others_corrects_and_sees_nothing() {
    let app = TestApp::start().await;
    let record = consent(&app, KREDIETBANK, "debt-counselling", &["question", "contact"]);
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
    let created = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["question", "contact"]).await;
    let path = created.headers["location"].clone();
    assert_eq!(content(&app, "kredietbank", &path).await.len(), 2);
    step(&app, "kredietbank", &path, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    let stepped_up = app.post("smow", format!("{path}/step-ups"), json!({ "businessStatus": "stepped-up" })).await;
    assert_eq!(stepped_up.status, 201, "{}", stepped_up.text);
    let refused =
        app.post("gemeente-wassenaar", format!("{path}/corrections"), correction("outdated", &[], &["contact"])).await;
    assert_eq!((refused.status, refused.text_at("/code")), (403, Some("forbidden")));
    let corrected = correct(&app, "smow", &path, correction("outdated", &[], &["contact"])).await;
    assert_eq!(app.get("gemeente-wassenaar", &path).await.status, 200, "it holds it");
    assert!(corrections(&app, "gemeente-wassenaar", &path).await.is_empty());
    assert_eq!(app.get("gemeente-wassenaar", corrected.headers["location"].as_str()).await.status, 404);
    assert!(told(&app, "gemeente-wassenaar").await.is_empty());
    assert!(records(&app, "gemeente-wassenaar").await.is_empty());
    assert_eq!(told(&app, "kredietbank").await.len(), 1, "also of a referral that it rejected");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_picked_up_is_simply_another_content() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app, &["question", "finance", "housing"]).await;
    let wrong = sealed(&app, &path, "finance").await;
    correct(&app, "gemeente-wassenaar", &path, correction("inaccurate", &["finance"], &["housing"])).await;
    assert_eq!(kept_with(&app, wrong).await, 0);
    assert!(told(&app, "kredietbank").await.is_empty());
    assert!(corrections(&app, "kredietbank", &path).await.is_empty());
    assert!(records(&app, "kredietbank").await.is_empty());
    assert_eq!(corrections(&app, "gemeente-wassenaar", &path).await.len(), 1, "who gave sees it");
    let first = app.get("kredietbank", format!("{path}/sections")).await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert!(!first.text.contains("correctedAt") && !first.text.contains("housing"), "{}", first.text);
    assert_eq!(content(&app, "kredietbank", &path).await, [about("question"), right("finance")]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_was_handed_over_in_part_the_recipient_hears_of_that_part() {
    let app = TestApp::start().await;
    let mut given = Vec::new();
    for categories in [["question"], ["social"]] {
        let recorded = app.post("mee", "/v1/consents", consent(&app, SMOW, "welfare-support", &categories)).await;
        assert_eq!(recorded.status, 201, "{}", recorded.text);
        given.push(recorded.headers["location"].clone());
    }
    let created = app.refer("mee", by_consent(SMOW, "welfare-support"), &["question", "social"]).await;
    let path = created.headers["location"].clone();
    app.post("mee", format!("{}/withdrawals", given[1]), json!({ "reasonCode": "resident-asked" })).await;
    assert_eq!(content(&app, "smow", &path).await, [about("question")]);
    correct(&app, "mee", &path, correction("inaccurate", &[], &["question", "social"])).await;
    let seen = corrections(&app, "smow", &path).await;
    assert_eq!(effects(&seen[0]), [("question", "retracted")]);
    let page = app.get("smow", "/v1/audit/records?kind=correction").await;
    assert!(!page.text.contains("social\""), "it never had it: {}", page.text);
    assert_eq!(told(&app, "smow").await.len(), 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_consent_is_gone_only_the_retraction_gets_through() {
    let app = TestApp::start().await;
    let record = || consent(&app, SMOW, "welfare-support", &["question", "social"]);
    let recorded = app.post("mee", "/v1/consents", record()).await;
    let created = app.refer("mee", by_consent(SMOW, "welfare-support"), &["question", "social"]).await;
    let path = created.headers["location"].clone();
    assert_eq!(content(&app, "smow", &path).await.len(), 2);
    let withdrawals = format!("{}/withdrawals", recorded.headers["location"]);
    assert_eq!(app.post("mee", withdrawals, json!({ "reasonCode": "resident-asked" })).await.status, 201);
    let corrected = correct(&app, "mee", &path, correction("inaccurate", &["question"], &[])).await;
    assert_eq!(effects(&corrected.body), [("question", "withheld")]);
    assert_eq!(corrected.text_at("/decision/sections/0/code"), Some("consent-missing"), "{}", corrected.text);
    assert!(sealed(&app, &path, "question").await.is_empty(), "neither the old nor the new content is kept");
    // The recipient cannot tell it from a retraction.
    let seen = app.get("smow", format!("{path}/corrections")).await;
    assert_eq!(effects(&seen.body["items"][0]), [("question", "retracted")]);
    let log = app.get("smow", "/v1/audit/records?kind=correction").await;
    assert_eq!(log.body["items"].as_array().map(Vec::len), Some(1), "{}", log.text);
    for text in [&seen.text, &log.text] {
        assert!(!text.contains("consent-missing") && !text.contains("withheld"), "{text}");
    }
    assert_eq!(told(&app, "smow").await.len(), 1);
    assert!(content(&app, "smow", &path).await.is_empty());
    // A new consent brings back neither what was wrong nor what was destroyed with the former; the sender gives anew.
    assert_eq!(app.post("mee", "/v1/consents", record()).await.status, 201);
    assert!(content(&app, "smow", &path).await.is_empty());
    let anew = correct(&app, "mee", &path, correction("inaccurate", &["question"], &[])).await;
    assert_eq!(effects(&anew.body), [("question", "replaced")]);
    assert_eq!(content(&app, "smow", &path).await, [right("question")]);
    let anew = correct(&app, "mee", &path, correction("outdated", &["social"], &[])).await;
    assert_eq!(effects(&anew.body), [("social", "replaced")]);
    assert_eq!(content(&app, "smow", &path).await, [right("question"), right("social")]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_retracted_is_neither_given_nor_sent_on_again() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app, &["question", "housing"]).await;
    assert_eq!(content(&app, "kredietbank", &path).await.len(), 2);
    correct(&app, "gemeente-wassenaar", &path, correction("wrong-resident", &[], &["housing"])).await;
    let twice = app
        .post("gemeente-wassenaar", format!("{path}/corrections"), correction("inaccurate", &[], &["housing"]))
        .await;
    assert_eq!((twice.status, twice.text_at("/invalidParams/0/code")), (400, Some("not-expected")));
    step(&app, "kredietbank", &path, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    let onward = json!({
        "recipient": SMOW, "purpose": "welfare-support", "legalBasis": "wmo-2015", "onWithheld": "minimise",
    });
    let second = app.post("gemeente-wassenaar", format!("{path}/re-referrals"), onward).await;
    assert_eq!(content(&app, "smow", &second.headers["location"]).await, [about("question")]);
    // All of it: nothing is left that could be copied.
    let whole = debts_at_the_bank(&app, &["question", "housing"]).await;
    step(&app, "kredietbank", &whole, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    correct(&app, "gemeente-wassenaar", &whole, correction("wrong-resident", &[], &["question", "housing"])).await;
    let onward = json!({ "recipient": SMOW, "purpose": "welfare-support", "legalBasis": "wmo-2015" });
    assert_eq!(app.post("gemeente-wassenaar", format!("{whole}/re-referrals"), onward).await.status, 409);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_wrong_with_a_correction_is_said_at_once_and_nothing_happens() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app, &["question", "finance"]).await;
    assert_eq!(content(&app, "kredietbank", &path).await.len(), 2);
    let version = app.get("kredietbank", &path).await.body["version"].clone();
    let corrections_path = format!("{path}/corrections");
    let post = async |body: Value| app.post("gemeente-wassenaar", corrections_path.as_str(), body).await;
    let wrong = post(correction("wrong-recipient", &["finance", "housing"], &["finance", "bsn"])).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text);
    let names: Vec<_> = wrong.body["invalidParams"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["sections", "sections[1].category", "retracted[0]", "retracted[1]"]);
    for (body, name, code) in [
        (json!({ "reason": "inaccurate" }), "sections", "too-few"),
        (json!({ "reason": "typo", "retracted": ["finance"] }), "reason", "unknown-code"),
        (json!({ "retracted": ["finance"] }), "reason", "required"),
        (json!({ "reason": "outdated", "retracted": ["gossip"] }), "retracted[0]", "unknown-code"),
        (json!({ "reason": "outdated", "retracted": ["finance"], "updateId": NO_ID }), "updateId", "unknown"),
    ] {
        let refused = post(body).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.text_at("/invalidParams/0/name"), Some(name), "{}", refused.text);
        assert_eq!(refused.text_at("/invalidParams/0/code"), Some(code), "{}", refused.text);
    }
    let large = json!({ "category": "finance", "content": { "text": "x".repeat(1024 * 1024) } });
    assert_eq!(post(json!({ "reason": "inaccurate", "sections": [large] })).await.status, 413);
    assert_eq!(app.get("kredietbank", &path).await.body["version"], version);
    assert!(told(&app, "kredietbank").await.is_empty());
    assert_eq!(content(&app, "kredietbank", &path).await, [about("question"), about("finance")]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_corrects_nothing_and_of_two_at_once_both_are_kept_in_order() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app, &["question", "finance"]).await;
    assert_eq!(content(&app, "kredietbank", &path).await.len(), 2);
    let request = || {
        let body = correction("inaccurate", &["finance"], &["question"]);
        let mut request = Request::post(format!("{path}/corrections"), body);
        request.idempotency_key = Some("correction-1".into());
        request
    };
    let answers = join_all((0..8).map(|_| app.ask("gemeente-wassenaar", request()))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (201, &answers[0].text));
    }
    assert_eq!(told(&app, "kredietbank").await.len(), 1);
    let others = |text: &str| {
        let section = json!({ "category": "finance", "content": { "text": text } });
        json!({ "reason": "outdated", "sections": [section] })
    };
    let (one, two) = tokio::join!(
        correct(&app, "gemeente-wassenaar", &path, others("one")),
        correct(&app, "gemeente-wassenaar", &path, others("two")),
    );
    let (one, two) = (one.body["version"].as_i64().unwrap(), two.body["version"].as_i64().unwrap());
    assert_ne!(one, two);
    let last = if one > two { "one" } else { "two" };
    assert_eq!(content(&app, "kredietbank", &path).await, [("finance".to_owned(), json!({ "text": last }))]);
    assert_eq!(corrections(&app, "kredietbank", &path).await.len(), 3);
    // Page by page the same.
    let first = app.get("kredietbank", format!("{path}/corrections?limit=2")).await;
    let rest = app.get("kredietbank", first.text_at("/next").unwrap()).await;
    assert_eq!(rest.body["items"].as_array().map(Vec::len), Some(1), "{}", rest.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_got_what_was_wrong_at_the_last_moment_is_told() {
    let app = TestApp::start().await;
    let mut late = 0;
    for _ in 0..12 {
        let path = debts_at_the_bank(&app, &["finance"]).await;
        let before = told(&app, "kredietbank").await.len();
        let (given, _) = tokio::join!(
            content(&app, "kredietbank", &path),
            correct(&app, "gemeente-wassenaar", &path, correction("inaccurate", &["finance"], &[])),
        );
        let had_it = given == [about("finance")];
        assert!(had_it || given == [right("finance")], "{given:?}");
        assert_eq!(told(&app, "kredietbank").await.len() - before, usize::from(had_it), "{path}");
        late += usize::from(had_it);
    }
    println!("{late} of 12 had it before");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_does_not_end_with_the_referral() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app, &["question", "finance"]).await;
    assert_eq!(content(&app, "kredietbank", &path).await.len(), 2);
    step(&app, "kredietbank", &path, json!({ "status": "accepted" })).await;
    step(&app, "kredietbank", &path, json!({ "status": "in-progress" })).await;
    step(&app, "kredietbank", &path, json!({ "status": "completed", "outcome": "helped" })).await;
    app.world().clock().advance(Duration::from_hours(24 * 200));
    correct(&app, "gemeente-wassenaar", &path, correction("inaccurate", &["finance"], &[])).await;
    let seen = app.get("kredietbank", &path).await;
    assert_eq!((&seen.body["status"], &seen.body["holder"]), (&json!("completed"), &Value::Null));
    assert_eq!(content(&app, "kredietbank", &path).await, [about("question"), right("finance")]);
    assert_eq!(told(&app, "kredietbank").await.len(), 1);
    // Called off after it was read: what was wrong is retracted, and nothing is handed over any more.
    let other = debts_at_the_bank(&app, &["question", "finance"]).await;
    assert_eq!(content(&app, "kredietbank", &other).await.len(), 2);
    step(&app, "gemeente-wassenaar", &other, json!({ "status": "cancelled", "statusReason": "sent-in-error" })).await;
    correct(&app, "gemeente-wassenaar", &other, correction("wrong-resident", &[], &["question", "finance"])).await;
    assert!(sealed(&app, &other, "finance").await.is_empty());
    assert_eq!(told(&app, "kredietbank").await.len(), 2);
    for who in ["kredietbank", "gemeente-wassenaar"] {
        assert!(content(&app, who, &other).await.is_empty(), "{who}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_eight_holds_for_corrections_of_client_support() {
    let app = TestApp::start().await;
    let record = consent(&app, MEE, "client-support", &["question", "contact"]);
    assert_eq!(app.post("gemeente-wassenaar", "/v1/consents", record).await.status, 201);
    let created = app.refer("gemeente-wassenaar", by_consent(MEE, "client-support"), &["question", "contact"]).await;
    let path = created.headers["location"].clone();
    assert_eq!(content(&app, "mee", &path).await.len(), 2);
    // The municipality corrects what it gave itself; MEE has given nothing that it could correct towards the municipality.
    correct(&app, "gemeente-wassenaar", &path, correction("inaccurate", &["contact"], &[])).await;
    assert_eq!(content(&app, "mee", &path).await, [about("question"), right("contact")]);
    assert_eq!(told(&app, "mee").await.len(), 1);
    let mut note = with_sections(json!({ "status": "accepted" }), &["contact"]);
    note["onWithheld"] = json!("minimise");
    assert_eq!(app.post("mee", format!("{path}/updates"), note).await.status, 403);
    let by_mee = app.post("mee", format!("{path}/corrections"), correction("inaccurate", &["contact"], &[])).await;
    assert_eq!(by_mee.status, 403);
    assert!(told(&app, "gemeente-wassenaar").await.is_empty());
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_the_database_holds_what_was_wrong() {
    let folder = DataFolder::found("corrected").await;
    let gateway = folder.serve("warn");
    let post = async |path: String, body: Value| {
        let mut request = Request::post(path, body);
        request.idempotency_key = Some(gateway.world.new_key().unwrap());
        let answer = gateway.world.ask("gemeente-wassenaar", request).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.headers["location"].clone()
    };
    // Longer than a page, and shorter.
    let mut referral = with_sections(debts(), &["question", "finance", "housing"]);
    referral["sections"][1]["content"] = json!({ "text": "x".repeat(20_000) });
    let path = post("/v1/referrals".into(), referral).await;
    let read = gateway.world.ask("kredietbank", Request::get(format!("{path}/sections"))).await.unwrap();
    assert_eq!(read.status, 200, "{}", read.text);
    let db = folder.database().await;
    let sql = "SELECT category, sealed FROM referral_sections WHERE referral = $1 ORDER BY category";
    let rows = db.reader().rows(sql, args![id(&path)]).await.unwrap();
    let sealed: Vec<Vec<u8>> = rows.iter().map(|row| row.bytes("sealed").unwrap()).collect();
    drop(db);
    post(format!("{path}/corrections"), correction("inaccurate", &["finance"], &["housing"])).await;
    gateway.stop().await;
    if postgres().is_none() {
        let db = folder.database().await;
        db.reader().rows("PRAGMA wal_checkpoint(TRUNCATE)", args![]).await.unwrap();
    }
    let stored = everything_stored(&folder).await;
    let [finance, housing, question] = sealed.as_slice() else { panic!("{} sections", sealed.len()) };
    assert!(holds(&stored, question), "what stands is found");
    for wrong in [finance, housing] {
        for piece in wrong.chunks(24).filter(|piece| piece.len() == 24).step_by(16) {
            assert!(!holds(&stored, piece), "a piece of what was wrong is still there");
        }
    }
    assert_eq!(folder.verify().0, Some(0));
    folder.remove();
}
