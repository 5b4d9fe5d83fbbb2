//! Incidents: what reached the wrong organisation, is about the wrong resident, or does not verify. Both parties of the referral are told, each assesses
//! within 72 hours, what was received is deleted and that is confirmed; nobody else learns that there was anything.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::args;
use sluis::clock::Timestamp;
use sluis::demo::client::{Answer, Client, Request};
use sluis::incidents;
use sluis::organisations::Role;
use sluis::storage::Tx;

use crate::app::{BSN, KREDIETBANK, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::consistency::{count, finish};
use crate::emergencies::{by, events, officer_of, told};

const INCIDENTS: &str = "/v1/incidents";
const WASSENAAR: &str = "gemeente-wassenaar";
const OFFICER: &str = "privacy-officer";
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A referral of somebody with debts that the credit bank has read.
async fn read_by_the_bank(app: &TestApp) -> String {
    let sent = app.refer(WASSENAAR, debts(), &["question", "finance"]).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let path = sent.headers["location"].clone();
    let read = app.get("kredietbank", format!("{path}/sections")).await;
    assert_eq!(read.status, 200, "{}", read.text);
    path
}

fn reporting(path: &str, kind: &str) -> Value {
    json!({ "referral": path.trim_start_matches("/v1/referrals/"), "kind": kind })
}

async fn opened(app: &TestApp, who: &str, path: &str, kind: &str) -> String {
    let answer = app.post(who, INCIDENTS, reporting(path, kind)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.headers["location"], format!("{INCIDENTS}/{}", answer.text_at("/id").unwrap()));
    answer.headers["location"].clone()
}

/// How many events about incidents somebody was told, by kind.
fn of_incidents(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().filter_map(|(name, _)| name.strip_prefix("incident.")).collect()
}

async fn heard(app: &TestApp, who: &str) -> Vec<String> {
    of_incidents(&events(app, who).await).into_iter().map(str::to_owned).collect()
}

async fn officer_heard(app: &TestApp, officer: &Client) -> Vec<String> {
    app.app().sequence().await.unwrap();
    let page = by(officer, Request::get("/v1/events?limit=1000")).await;
    of_incidents(&told(&page)).into_iter().map(str::to_owned).collect()
}

fn conflicts(answer: &Answer) {
    assert_eq!(answer.status, 409, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reached_the_wrong_organisation_is_destroyed_told_assessed_and_deleted() {
    let app = TestApp::start().await;
    let banks_officer = officer_of(&app, KREDIETBANK, Role::DataProtectionOfficer).await;
    let path = read_by_the_bank(&app).await;
    let noticed = app.app().now();
    app.app().clock.advance(2 * HOUR);
    let mut body = reporting(&path, "wrong-recipient");
    body["awareAt"] = json!(noticed);
    let answer = app.post("kredietbank", INCIDENTS, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let incident = answer.headers["location"].clone();

    // At both, with a clock for each from when it knew.
    let (theirs, ours) = (app.get(WASSENAAR, &incident).await, app.get("kredietbank", &incident).await);
    assert_eq!((&ours.body, &ours.body["assessment"]["awareAt"]), (&answer.body, &json!(noticed)));
    assert_eq!(ours.body["assessment"]["dueAt"], json!(noticed.plus(72 * HOUR)));
    let opened_at: Timestamp = theirs.text_at("/openedAt").unwrap().parse().unwrap();
    assert_eq!(theirs.body["assessment"]["dueAt"], json!(opened_at.plus(72 * HOUR)), "{}", theirs.text);
    assert!(opened_at > noticed.plus(HOUR));
    assert_eq!(theirs.body["reportedBy"], KREDIETBANK);
    assert_eq!((&ours.body["deletionStatus"], &theirs.body["deletionStatus"]), (&json!("open"), &Value::Null));
    assert_ne!(ours.body["subject"], theirs.body["subject"]);
    let received = json!([{ "updateId": null, "categories": ["question", "finance"] }]);
    assert_eq!(theirs.body["deletions"][0]["received"], received, "{}", theirs.text);
    for who in [WASSENAAR, "kredietbank", OFFICER] {
        assert_eq!(heard(&app, who).await, ["opened.v1"], "{who}");
    }
    assert_eq!(officer_heard(&app, &banks_officer).await, ["opened.v1"]);
    // Its privacy officer sees it too.
    let listed = by(&banks_officer, Request::get(format!("{INCIDENTS}?deletion=open"))).await;
    assert_eq!(listed.body["items"][0]["id"], ours.body["id"], "{}", listed.text);

    // Nothing of it is left at the gateway, and the referral itself goes on.
    for who in [WASSENAAR, "kredietbank"] {
        let sections = app.get(who, format!("{path}/sections")).await;
        assert_eq!(sections.status, 403, "{}", sections.text);
        assert_eq!(app.get(who, &path).await.body["status"], "received");
    }
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM referral_sections").await, 0);
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM referrals WHERE wrapped_key IS NOT NULL").await, 0);

    // Each assesses for itself; the other one does not see it.
    let unlikely = app.post(WASSENAAR, format!("{incident}/assessments"), json!({ "outcome": "risk-unlikely" })).await;
    assert_eq!(unlikely.status, 201, "{}", unlikely.text);
    assert_eq!(app.get("kredietbank", &incident).await.body["assessment"]["outcome"], Value::Null);
    assert_eq!(app.get("kredietbank", format!("{incident}/assessments")).await.body["items"], json!([]));
    let notified = json!({ "outcome": "notified", "notifiedAt": app.app().now(), "residents": "no-high-risk" });
    let mut assessing = Request::post(format!("{incident}/assessments"), notified);
    assessing.idempotency_key = Some("assess-1".to_owned());
    let by_officer = by(&banks_officer, assessing.clone()).await;
    assert_eq!((by_officer.status, &by(&banks_officer, assessing).await.text), (201, &by_officer.text));
    assert_eq!(app.get("kredietbank", &incident).await.body["assessment"]["status"], "done");
    conflicts(&app.post("kredietbank", format!("{incident}/assessments"), json!({ "outcome": "no-breach" })).await);
    assert_eq!(app.get(WASSENAAR, format!("{incident}/assessments")).await.body["items"][0], unlikely.body);

    // Whoever received it says that it is deleted, once; the other one has nothing to delete and is told.
    let deleted = json!({ "passedOn": "inside" });
    conflicts(&app.post(WASSENAAR, format!("{incident}/confirmations"), deleted.clone()).await);
    let confirmed = app.post("kredietbank", format!("{incident}/confirmations"), deleted.clone()).await;
    assert_eq!((confirmed.status, &confirmed.body["status"]), (201, &json!("done")), "{}", confirmed.text);
    conflicts(&app.post("kredietbank", format!("{incident}/confirmations"), deleted).await);
    assert_eq!(app.get(WASSENAAR, format!("{incident}/confirmations")).await.body["items"][0], confirmed.body);
    assert_eq!(heard(&app, WASSENAAR).await, ["opened.v1", "deletion-confirmed.v1"]);
    assert_eq!(heard(&app, "kredietbank").await, ["opened.v1"]);

    // Nothing of it becomes late any more.
    app.app().clock.advance(100 * HOUR);
    assert_eq!(incidents::sweep(app.app()).await.unwrap(), 0);
    assert_eq!(heard(&app, WASSENAAR).await.len(), 2);
    let records = app.get("kredietbank", "/v1/audit/records?kind=incident").await;
    let actions: Vec<_> =
        records.body["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["confirmed-deleted", "assessed", "opened"], "{}", records.text);
    let municipality = app.get(WASSENAAR, "/v1/audit/records?kind=incident").await;
    assert!(!municipality.text.contains("\"notified\""), "how the other one assessed it is in none of one's records");
    for hidden in [BSN, "about finance"] {
        assert!(!records.text.contains(hidden) && !ours.text.contains(hidden), "{hidden}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_everybody_else_there_is_no_incident() {
    let app = TestApp::start().await;
    let path = read_by_the_bank(&app).await;
    let incident = opened(&app, WASSENAAR, &path, "wrong-resident").await;
    let unknown = format!("{INCIDENTS}/01932d5a-7c1e-7b3f-9d42-6f1f0a7cffff");
    for who in ["smow", "mee", "jgz"] {
        assert_eq!(app.get(who, INCIDENTS).await.body["items"], json!([]), "{who}");
        assert!(heard(&app, who).await.is_empty(), "{who}");
        for part in ["", "/assessments", "/confirmations"] {
            let theirs = app.get(who, format!("{incident}{part}")).await;
            let nobodys = app.get(who, format!("{unknown}{part}")).await;
            assert_eq!((theirs.status, theirs.body["detail"].clone()), (404, nobodys.body["detail"].clone()), "{who}");
        }
        let assessed = app.post(who, format!("{incident}/assessments"), json!({ "outcome": "no-breach" })).await;
        let confirmed = app.post(who, format!("{incident}/confirmations"), json!({ "passedOn": "nobody" })).await;
        assert_eq!((assessed.status, confirmed.status), (404, 404), "{who}");
        // Somebody else's referral and none at all are the same answer, also about when it was sent.
        let mut foreign = reporting(&path, "wrong-recipient");
        foreign["awareAt"] = json!(app.app().now().minus(HOUR));
        let mut none = foreign.clone();
        none["referral"] = json!("01932d5a-7c1e-7b3f-9d42-6f1f0a7cffff");
        let (foreign, none) = (app.post(who, INCIDENTS, foreign).await, app.post(who, INCIDENTS, none).await);
        assert_eq!((foreign.status, &foreign.body["invalidParams"]), (400, &none.body["invalidParams"]), "{who}");
    }
    // The monitor has no scope for it, and its figures know nothing of it.
    assert_eq!(app.get("monitor", INCIDENTS).await.status, 403);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_anything_was_handed_over_there_is_nothing_to_report() {
    let app = TestApp::start().await;
    let sent = app.refer(WASSENAAR, debts(), &["question", "finance"]).await;
    let path = sent.headers["location"].clone();
    for (who, kind) in [(WASSENAAR, "wrong-recipient"), ("kredietbank", "wrong-resident")] {
        conflicts(&app.post(who, INCIDENTS, reporting(&path, kind)).await);
    }
    // It was rolled back as a whole: the bank reads it still, and it is of the version that it was.
    assert_eq!(app.get("kredietbank", &path).await.headers["etag"], sent.headers["etag"]);
    assert_eq!(app.get("kredietbank", format!("{path}/sections")).await.status, 200);
    // That something does not verify can be said at any moment; nothing is destroyed then.
    let incident = opened(&app, "kredietbank", &path, "failed-verification").await;
    let seen = app.get(WASSENAAR, &incident).await;
    assert_eq!((&seen.body["deletions"], &seen.body["deletionStatus"]), (&json!([]), &Value::Null));
    assert_eq!(app.get("kredietbank", format!("{path}/sections")).await.status, 200);
    // One of a kind for each referral.
    let again = app.post(WASSENAAR, INCIDENTS, reporting(&path, "failed-verification")).await;
    assert_eq!((again.status, again.text_at("/code")), (409, Some("already-exists")), "{}", again.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_both_received_of_each_other_both_delete() {
    let app = TestApp::start().await;
    let path = read_by_the_bank(&app).await;
    let noted = async |body: Value| app.post("kredietbank", format!("{path}/updates"), body).await;
    for status in ["accepted", "in-progress"] {
        assert_eq!(noted(json!({ "status": status })).await.status, 201);
    }
    let note = with_sections(json!({ "status": "completed", "outcome": "not-helped" }), &["finance"]);
    let note = noted(note).await;
    assert_eq!(note.status, 201, "{}", note.text);
    // What nobody read nobody has to delete.
    let update = note.headers["location"].clone();
    assert_eq!(app.get(WASSENAAR, format!("{update}/sections")).await.status, 200);
    let incident = opened(&app, WASSENAAR, &path, "wrong-resident").await;
    let seen = app.get(WASSENAAR, &incident).await;
    let by_party: Vec<_> = seen.body["deletions"].as_array().unwrap().iter().map(|one| &one["organisation"]).collect();
    assert_eq!(by_party, [&json!(MUNICIPALITY), &json!(KREDIETBANK)], "{}", seen.text);
    let id = update.rsplit('/').next().unwrap();
    assert_eq!(
        seen.body["deletions"][0]["received"],
        json!([{ "updateId": id, "categories": ["finance"] }]),
        "{}",
        seen.text
    );
    assert_eq!(app.get(WASSENAAR, format!("{update}/sections")).await.status, 403);
    // Another incident of the same referral: who read it has it still, though the gateway keeps nothing of it any more.
    let other = opened(&app, "kredietbank", &path, "wrong-recipient").await;
    let seen = app.get("kredietbank", &other).await;
    assert_eq!(seen.body["deletions"].as_array().map(Vec::len), Some(1), "{}", seen.text);
    assert_eq!(seen.body["deletions"][0]["received"], json!([]));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_late_is_told_once_and_to_whom_it_concerns() {
    let app = TestApp::start().await;
    let path = read_by_the_bank(&app).await;
    let banks_officer = officer_of(&app, KREDIETBANK, Role::DataProtectionOfficer).await;
    let incident = opened(&app, WASSENAAR, &path, "wrong-recipient").await;
    let none = async || {
        assert_eq!(incidents::sweep(app.app()).await.unwrap(), 0);
    };
    app.app().clock.advance(71 * HOUR + 59 * MINUTE);
    none().await;
    assert_eq!(heard(&app, "kredietbank").await, ["opened.v1"]);
    app.app().clock.advance(2 * MINUTE);
    for _ in 0..3 {
        none().await;
    }
    // That it is not deleted both are told; that somebody did not assess it only itself.
    let bank = ["opened.v1", "assessment-overdue.v1", "deletion-overdue.v1"];
    assert_eq!(heard(&app, "kredietbank").await, bank);
    assert_eq!(officer_heard(&app, &banks_officer).await, bank);
    for who in [WASSENAAR, OFFICER] {
        let mut heard = heard(&app, who).await;
        heard.sort_unstable();
        assert_eq!(heard, ["assessment-overdue.v1", "deletion-overdue.v1", "opened.v1"], "{who}");
    }
    let list = async |query: &str| app.get("kredietbank", format!("{INCIDENTS}{query}")).await.body["items"].clone();
    assert_eq!(list("?assessment=overdue&deletion=overdue").await.as_array().map(Vec::len), Some(1));
    assert_eq!(list("?assessment=open").await, json!([]));
    // Done late is done.
    let due_at = app.get("kredietbank", &incident).await.body["assessment"]["dueAt"].clone();
    let late = json!({ "outcome": "notified", "notifiedAt": due_at, "residents": "informed" });
    let in_time = app.post("kredietbank", format!("{incident}/assessments"), late.clone()).await;
    assert_eq!(in_time.status, 201, "at the deadline itself: {}", in_time.text);
    let mut later = late;
    later["notifiedAt"] = json!(app.app().now());
    let without_reason = app.post("kredietbank", format!("{incident}/assessments"), later.clone()).await;
    assert_eq!(without_reason.text_at("/invalidParams/0/name"), Some("delay"), "{}", without_reason.text);
    later["delay"] = json!("told-late");
    assert_eq!(app.post("kredietbank", format!("{incident}/assessments"), later).await.status, 201);
    assert_eq!(app.get("kredietbank", format!("{incident}/assessments")).await.body["items"][1]["delay"], "told-late");
    assert_eq!(list("?assessment=overdue").await, json!([]));
    assert_eq!(list("?assessment=done&deletion=overdue").await.as_array().map(Vec::len), Some(1));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_was_altered_is_not_given_and_is_an_incident_at_both_once() {
    let app = TestApp::start().await;
    let sent = app.refer(WASSENAAR, debts(), &["question", "finance"]).await;
    let path = sent.headers["location"].clone();
    let intact = app.get("kredietbank", format!("{path}/sections")).await;
    assert_eq!(intact.status, 200);
    // Two sections change places: each is a good seal, in the wrong place.
    let swap = "UPDATE referral_sections SET sealed = (SELECT other.sealed FROM referral_sections other \
                WHERE other.category = 'question') WHERE category = 'finance'";
    let swap = async move |tx: &mut Tx| Ok(tx.execute(swap, args![]).await?);
    assert_eq!(app.app().db.write("tampering", swap).await.unwrap(), 1);
    for _ in 0..2 {
        let read = app.get("kredietbank", format!("{path}/sections")).await;
        assert_eq!(read.status, 500, "{}", read.text);
    }
    for who in [WASSENAAR, "kredietbank"] {
        let listed = app.get(who, INCIDENTS).await;
        let items = listed.body["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{}", listed.text);
        assert_eq!((&items[0]["kind"], &items[0]["reportedBy"]), (&json!("failed-verification"), &Value::Null));
        assert_eq!(heard(&app, who).await, ["opened.v1"], "{who}");
    }
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM referral_sections").await, 2, "it is what is looked into");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_at_that_moment_is_asked_to_delete_or_reads_nothing() {
    let app = TestApp::start().await;
    let smow_may = consent(&app, SMOW, "welfare-support", &["contact", "question"]);
    assert_eq!(app.post("mee", "/v1/consents", smow_may).await.status, 201);
    for round in 0..6 {
        let referral = by_consent(SMOW, "welfare-support");
        let sent = app.refer("mee", referral, &["contact", "question"]).await;
        let path = sent.headers["location"].clone();
        // Taken on without having been read: the first reading then raises no version.
        for status in ["received", "accepted"] {
            assert_eq!(app.post("smow", format!("{path}/updates"), json!({ "status": status })).await.status, 201);
        }
        let (read, reported) = tokio::join!(
            app.get("smow", format!("{path}/sections")),
            app.post("mee", INCIDENTS, reporting(&path, "wrong-recipient"))
        );
        match reported.status {
            201 => {
                assert_eq!(read.status, 200, "round {round}: {}", read.text);
                assert_eq!(reported.body["deletions"][0]["received"][0]["categories"], json!(["contact", "question"]));
            }
            409 => {
                // Nothing was handed over yet when it was reported, so it stands and may be read.
                assert_eq!(read.status, 200, "round {round}: {}", read.text);
                assert_eq!(
                    app.get("mee", format!("{INCIDENTS}?referral={}", &path[14..])).await.body["items"],
                    json!([])
                );
            }
            other => panic!("round {round}: {other} {}", reported.text),
        }
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_is_wrong_says_everything_at_once() {
    let app = TestApp::start().await;
    let path = read_by_the_bank(&app).await;
    let names = |answer: &Answer| -> Vec<String> {
        assert_eq!(answer.status, 400, "{}", answer.text);
        let wrong = answer.body["invalidParams"].as_array().unwrap().iter();
        wrong.map(|one| format!("{} {}", one["name"].as_str().unwrap(), one["code"].as_str().unwrap())).collect()
    };
    let tomorrow = json!(app.app().now().plus(24 * HOUR));
    let unknown = json!({
        "referral": "01932d5a-7c1e-7b3f-9d42-6f1f0a7cffff", "kind": "wrong-resident", "awareAt": tomorrow,
    });
    assert_eq!(names(&app.post("kredietbank", INCIDENTS, unknown).await), ["referral unknown", "awareAt range"]);
    let mut before = reporting(&path, "wrong-resident");
    before["awareAt"] = json!("2020-01-01T00:00:00Z");
    assert_eq!(names(&app.post("kredietbank", INCIDENTS, before).await), ["awareAt range"]);
    let malformed = json!({ "referral": 7, "kind": "lost", "text": "about Mrs. de Vries" });
    let answer = app.post("kredietbank", INCIDENTS, malformed).await;
    assert_eq!(names(&answer).len(), 3, "{}", answer.text);
    assert!(!answer.text.contains("de Vries"));
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM incidents").await, 0);
    let incident = opened(&app, "kredietbank", &path, "wrong-resident").await;
    for (part, body) in [
        ("assessments", json!({})),
        ("assessments", json!({ "outcome": "notified" })),
        ("assessments", json!({ "outcome": "risk-unlikely", "delay": "told-late" })),
        ("confirmations", json!({})),
        ("confirmations", json!({ "passedOn": "everybody" })),
    ] {
        assert_eq!(app.post("kredietbank", format!("{incident}/{part}"), body.clone()).await.status, 400, "{body}");
    }
    finish(app).await;
}
