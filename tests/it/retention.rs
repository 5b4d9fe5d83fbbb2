//! Retention: content goes when the covenant's days are over, not before, and what is said of that can be checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sluis::audit::{self, Field};
use sluis::clock::Timestamp;
use sluis::problem::Code;
use sluis::replays::take_again;
use sluis::storage::{Query as _, Tx};
use sluis::{args, consents, erasures, retention};

use crate::administration::sluis;
use crate::app::{BSN, KWADRAAD, TestApp, by_consent, consent, debts};
use crate::consistency::{Neighbour, count, finish};
use crate::corrections::step;
use crate::withdrawal::{items, kept, put_on_record, read, referred, withdraw};

const WASSENAAR: &str = "gemeente-wassenaar";
/// Of the example covenant.
const DAYS: u64 = 30;

/// A referral that was picked up and has ended, by its path.
async fn ended(app: &TestApp, categories: &[&str]) -> String {
    let path = referred(app, WASSENAAR, debts(), categories).await;
    assert_eq!(read(app, "kredietbank", &path).await, 200);
    step(app, "kredietbank", &path, json!({ "status": "accepted" })).await;
    step(app, "kredietbank", &path, json!({ "status": "in-progress" })).await;
    step(app, "kredietbank", &path, json!({ "status": "completed", "outcome": "helped" })).await;
    path
}

async fn ended_at(app: &TestApp, path: &str) -> Timestamp {
    let row = app.app().db.reader();
    let id = path.rsplit('/').next().unwrap();
    let row = { row }.row("SELECT ended_at FROM referrals WHERE id = $1", args![id]).await.unwrap().unwrap();
    row.time("ended_at").unwrap()
}

/// Moves the clock so that this moment is so far away.
fn move_to(app: &TestApp, moment: Timestamp) {
    let micros = moment.as_micros() - app.app().now().as_micros();
    app.world().clock().advance(Duration::from_micros(u64::try_from(micros).unwrap()));
}

async fn removals(app: &TestApp) -> Vec<Value> {
    items(app, "privacy-officer", "/v1/retention-removals").await
}

fn verified(app: &TestApp) -> (bool, Value) {
    let output = sluis(app, &["audit", "verify", "--output", "json"]);
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap())
}

async fn change(app: &TestApp, sql: &'static str) -> u64 {
    let change = async move |tx: &mut Tx| Ok(tx.execute(sql, args![]).await?);
    app.app().db.write("spoil", change).await.unwrap()
}

fn contradicted(app: &TestApp, what: &str) {
    let (intact, report) = verified(app);
    assert!(!intact && report["findings"][0]["kind"] == "removal-contradicted", "{what}: {report}");
}

/// Lets so many days pass and removes what has had its term.
async fn days_later(app: &TestApp, days: u64) {
    app.world().clock().advance(Duration::from_hours(24 * days));
    retention::sweep(app.app()).await.unwrap();
}

/// What was removed of each kind: how many, as the removals say.
async fn removed(app: &TestApp) -> BTreeMap<String, i64> {
    let sql = "SELECT kind, number FROM retention_removals";
    let mut removed = BTreeMap::new();
    for row in app.app().db.reader().rows(sql, args![]).await.unwrap() {
        *removed.entry(row.text("kind").unwrap()).or_default() += row.int("number").unwrap();
    }
    removed
}

/// Says in everybody's name that the residents were informed.
async fn all_informed(app: &TestApp) {
    change(app, "UPDATE informing_duties SET outcome = 'informed'").await;
}

async fn close(app: &TestApp, path: &str) {
    let case = app.get(WASSENAAR, path).await.body["caseId"].as_str().unwrap().to_owned();
    let closed = app.post(WASSENAAR, format!("/v1/cases/{case}/closures"), json!({})).await;
    assert_eq!(closed.status, 201, "{}", closed.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_category_with_days_of_its_own_goes_before_the_rest() {
    let app = TestApp::start().await;
    let record = consent(&app, KWADRAAD, "social-work", &["question", "mental-health", "social"]);
    put_on_record(&app, "smow", record).await;
    let categories = ["question", "mental-health", "social"];
    let path = referred(&app, "smow", by_consent(KWADRAAD, "social-work"), &categories).await;
    assert_eq!(read(&app, "kwadraad", &path).await, 200);
    let steps = [
        json!({ "status": "accepted" }),
        json!({ "status": "in-progress" }),
        json!({ "status": "completed", "outcome": "helped" }),
    ];
    for body in steps {
        step(&app, "kwadraad", &path, body).await;
    }
    let left = "SELECT COUNT(*) AS count FROM referral_sections WHERE LENGTH(sealed) > 0";
    days_later(&app, 13).await;
    assert_eq!(count(&app, left).await, 3, "nothing has had its term");
    days_later(&app, 2).await;
    let of_health =
        "SELECT COUNT(*) AS count FROM referral_sections WHERE LENGTH(sealed) > 0 AND category = 'mental-health'";
    assert_eq!((count(&app, left).await, count(&app, of_health).await), (2, 0), "fourteen days, not thirty");
    let sections = app.get("smow", format!("{path}/sections")).await;
    assert!(sections.status == 200 && !sections.text.contains("about mental-health"), "{}", sections.text);
    let shown = removals(&app).await;
    assert_eq!((&shown[0]["days"], &shown[0]["number"]), (&json!(14), &json!(1)));
    retention::sweep(app.app()).await.unwrap();
    assert_eq!(removals(&app).await.len(), 1, "each goes once");
    days_later(&app, 16).await;
    assert_eq!(count(&app, left).await, 0);
    let shown = removals(&app).await;
    assert_eq!((&shown[0]["days"], &shown[0]["number"], shown.len()), (&json!(30), &json!(2), 2));
    app.app().sequence().await.unwrap();
    assert!(verified(&app).0);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_goes_with_its_case_when_nobody_has_anything_left_to_do_and_the_monitor_has_counted_it() {
    let app = TestApp::start().await;
    let path = ended(&app, &["question", "finance"]).await;
    let open_case = ended(&app, &["question"]).await;
    let working = referred(&app, WASSENAAR, debts(), &["question"]).await;
    close(&app, &path).await;
    let there = "SELECT COUNT(*) AS count FROM referrals";
    days_later(&app, 729).await;
    assert_eq!(count(&app, there).await, 3, "not a day before");
    days_later(&app, 2).await;
    assert_eq!(count(&app, there).await, 3, "whoever received has not informed the resident");
    all_informed(&app).await;
    let two_years = "UPDATE referrals SET updated_at = updated_at + 63158400000000";
    change(&app, two_years).await;
    retention::sweep(app.app()).await.unwrap();
    assert_eq!(count(&app, there).await, 3, "the monitor has not counted what was touched in this quarter");
    change(&app, "UPDATE referrals SET updated_at = updated_at - 63158400000000").await;
    retention::sweep(app.app()).await.unwrap();
    let left = app.app().db.reader().rows("SELECT id FROM referrals ORDER BY id", args![]).await.unwrap();
    let left: Vec<String> = left.iter().map(|row| row.text("id").unwrap()).collect();
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    assert_eq!(left, [id(&open_case), id(&working)], "a case that goes on keeps its referrals");
    for table in ["referral_updates", "referral_sections", "informing_duties"] {
        let sql = format!("SELECT COUNT(*) AS count FROM {table} WHERE referral = '{}'", id(&path));
        assert_eq!(count(&app, sql.leak()).await, 0, "{table}");
    }
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM cases").await, 2);
    let removed = removed(&app).await;
    assert_eq!((removed["content"], removed["referral"]), (3, 2), "one referral and its case: {removed:?}");
    // The proof of the content that went two years ago still holds, without its referral.
    app.app().sequence().await.unwrap();
    let (intact, report) = verified(&app);
    assert!(intact, "{report}");
    change(
        &app,
        "INSERT INTO cases (id, coordinator, opened_at, version) SELECT REPLACE(names, 'cases/', ''), '', 1, 1 \
         FROM retention_removals WHERE names LIKE 'cases/%'",
    )
    .await;
    contradicted(&app, "a case that is back");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_goes_after_it_ended_and_not_while_somebody_has_not_confirmed_its_withdrawal() {
    let app = TestApp::start().await;
    let record = |categories: &[&str]| consent(&app, KWADRAAD, "social-work", categories);
    let expired = put_on_record(&app, "smow", record(&["question"])).await;
    let used = put_on_record(&app, "mee", record(&["question", "social"])).await;
    let path = referred(&app, "mee", by_consent(KWADRAAD, "social-work"), &["question", "social"]).await;
    assert_eq!(read(&app, "kwadraad", &path).await, 200);
    withdraw(&app, "mee", &used).await;
    consents::settle(app.app()).await.unwrap();
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM consent_confirmations").await, 1);
    let there = "SELECT COUNT(*) AS count FROM consents";
    days_later(&app, 730).await;
    assert_eq!(count(&app, there).await, 2, "it held for thirty days, and its term began then");
    days_later(&app, 31).await;
    let left = app.app().db.reader().rows("SELECT id FROM consents", args![]).await.unwrap();
    assert_eq!(left.iter().map(|row| row.text("id").unwrap()).collect::<Vec<_>>(), [used.as_str()]);
    change(&app, "UPDATE consent_confirmations SET outcome = 'deleted', confirmed_at = 1").await;
    retention::sweep(app.app()).await.unwrap();
    for table in ["consents", "consent_uses", "consent_confirmations"] {
        assert_eq!(count(&app, format!("SELECT COUNT(*) AS count FROM {table}").leak()).await, 0, "{table}");
    }
    assert_eq!(removed(&app).await["consent"], 2);
    app.app().sequence().await.unwrap();
    assert!(verified(&app).0);
    change(
        &app,
        "INSERT INTO consents SELECT r.names, '', '', 'consent', 'resident', NULL, 1, '', '', '', 1, 1, 1, 'by-letter', NULL, 1, NULL, NULL, 1, \
         NULL, NULL, NULL, NULL FROM retention_removals r WHERE r.kind = 'consent' AND r.names NOT LIKE '%\n%' LIMIT 1",
    )
    .await;
    contradicted(&app, &format!("a consent that is back: {expired}"));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_what_leads_to_a_person_in_the_log_go_and_the_log_stays_whole() {
    let app = TestApp::start().await;
    ended(&app, &["question", "finance"]).await;
    app.app().sequence().await.unwrap();
    let events = "SELECT COUNT(*) AS count FROM events";
    let before = count(&app, events).await;
    days_later(&app, 89).await;
    assert_eq!(count(&app, events).await, before);
    days_later(&app, 2).await;
    assert_eq!((count(&app, events).await, removed(&app).await["event"]), (0, before));

    let personal = "SELECT COUNT(*) AS count FROM audit_records WHERE subject IS NOT NULL OR referral IS NOT NULL OR facts IS NOT NULL";
    let leading =
        "SELECT COUNT(*) AS count FROM audit_records WHERE kind NOT IN ('covenant', 'administration', 'retention')";
    let records = count(&app, leading).await;
    days_later(&app, 1826 - 91 - 1).await;
    assert!(count(&app, personal).await > 0 && !removed(&app).await.contains_key("audit"), "not a day before");
    let all = count(&app, "SELECT COUNT(*) AS count FROM audit_records").await;
    days_later(&app, 2).await;
    let left = "SELECT COUNT(*) AS count FROM audit_records WHERE kind NOT IN ('covenant', 'administration', 'retention') \
                AND (subject IS NOT NULL OR consent_ids IS NOT NULL OR referral IS NOT NULL OR update_id IS NOT NULL OR consent IS NOT NULL \
                OR facts IS NOT NULL)";
    assert_eq!(
        (count(&app, left).await, removed(&app).await["audit"]),
        (0, records),
        "whoever it was about cannot be told any more"
    );
    assert!(count(&app, "SELECT COUNT(*) AS count FROM audit_records").await > all, "no record goes");
    app.app().sequence().await.unwrap();
    let (intact, report) = verified(&app);
    assert!(intact && report["erasedRecords"] == json!(records), "{report}");
    // The kept facts of removals and of the covenant stay: the next look finds nothing more to do.
    let removals = removed(&app).await;
    retention::sweep(app.app()).await.unwrap();
    assert_eq!(removed(&app).await, removals);

    // A decision that has lost its facts says so, and is not guessed.
    let decided = "SELECT id FROM audit_records WHERE kind = 'decision' ORDER BY id LIMIT 1";
    let id = app.app().db.reader().row(decided, args![]).await.unwrap().unwrap().text("id").unwrap();
    let problem = take_again(app.app(), &id).await.err().unwrap();
    assert_eq!(problem.code(), Code::Conflict, "{problem:?}");

    for (what, spoil, mend) in [
        (
            "an event that is back",
            "INSERT INTO events (id, organisation, type, subject, data, path, time) SELECT SUBSTR(names, 1, 36), '', '', '', '', '', 1 \
          FROM retention_removals WHERE kind = 'event' LIMIT 1",
            "DELETE FROM events",
        ),
        (
            "places that reach further",
            "UPDATE retention_removals SET first_place = first_place + 1 WHERE kind = 'audit'",
            "UPDATE retention_removals SET first_place = first_place - 1 WHERE kind = 'audit'",
        ),
    ] {
        assert!(change(&app, spoil).await > 0, "{what}");
        contradicted(&app, what);
        change(&app, mend).await;
        assert!(verified(&app).0, "mended after {what}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_erases_from_the_log_without_a_removal_is_found() {
    let app = TestApp::start().await;
    ended(&app, &["question"]).await;
    app.app().sequence().await.unwrap();
    assert!(verified(&app).0);
    let decided = "SELECT id FROM audit_records WHERE kind = 'decision' ORDER BY id LIMIT 1";
    let id = app.app().db.reader().row(decided, args![]).await.unwrap().unwrap().text("id").unwrap();
    let erase = async move |tx: &mut Tx| audit::erase(tx, &id, &[Field::Facts]).await;
    app.app().db.write("erase", erase).await.unwrap();
    contradicted(&app, "an erased value that no removal tells of");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_goes_when_its_days_are_over_and_not_a_minute_before_and_what_is_open_stays() {
    let app = TestApp::start().await;
    let path = ended(&app, &["question", "finance"]).await;
    let open = referred(&app, WASSENAAR, debts(), &["question"]).await;
    let end = ended_at(&app, &path).await;
    let over = end.plus(Duration::from_hours(24 * DAYS));
    move_to(&app, over.minus(Duration::from_mins(1)));
    retention::sweep(app.app()).await.unwrap();
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    assert!(removals(&app).await.is_empty());

    move_to(&app, over.plus(Duration::from_secs(1)));
    retention::sweep(app.app()).await.unwrap();
    erasures::destroy(app.app()).await.unwrap();
    assert_eq!((read(&app, "kredietbank", &path).await, read(&app, WASSENAAR, &path).await), (403, 403));
    assert_eq!(kept(&app, &path).await, 0);
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM key_destructions WHERE destroyed_at IS NOT NULL").await, 2);
    assert_eq!(read(&app, WASSENAAR, &open).await, 200, "what has not ended has no term");
    assert_eq!(app.get("kredietbank", &path).await.status, 200, "the referral itself is kept longer");

    let removals = removals(&app).await;
    assert_eq!(removals.len(), 1);
    let removal = &removals[0];
    assert_eq!((&removal["number"], &removal["days"], &removal["kind"]), (&json!(2), &json!(30), &json!("content")));
    assert_eq!((&removal["oldestTermBegan"], &removal["newestTermBegan"]), (&json!(end), &json!(end)));
    let id = path.rsplit('/').next().unwrap();
    assert!(!removal.to_string().contains(id), "which referral it was is in the digest alone");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_be_removed_is_held_against_what_is_there() {
    let app = TestApp::start().await;
    let path = ended(&app, &["question", "finance"]).await;
    move_to(&app, ended_at(&app, &path).await.plus(Duration::from_hours(24 * DAYS + 1)));
    retention::sweep(app.app()).await.unwrap();
    app.app().sequence().await.unwrap();
    let (intact, report) = verified(&app);
    assert!(intact, "{report}");
    assert_eq!(report["removals"], 1);

    for (what, spoil, mend) in [
        (
            "a section that is back",
            "UPDATE referral_sections SET key_share = 'back' WHERE category = 'finance'",
            "UPDATE referral_sections SET key_share = NULL",
        ),
        (
            "a removal that names less",
            "UPDATE retention_removals SET names = REPLACE(names, 'finance', 'contact')",
            "UPDATE retention_removals SET names = REPLACE(names, 'contact', 'finance')",
        ),
        (
            "a number that says more",
            "UPDATE retention_removals SET days = days + 1",
            "UPDATE retention_removals SET days = days - 1",
        ),
        (
            "a removal of which only the record is left",
            "UPDATE retention_removals SET record = 'another'",
            "UPDATE retention_removals SET record = (SELECT id FROM audit_records WHERE kind = 'retention')",
        ),
    ] {
        assert!(change(&app, spoil).await > 0, "{what}");
        contradicted(&app, what);
        change(&app, mend).await;
        assert!(verified(&app).0, "mended after {what}");
    }
    // Whoever takes the removal away cannot take its record away.
    change(&app, "DELETE FROM retention_removals").await;
    contradicted(&app, "a removal that is gone");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_removed_once_by_whichever_gateway_and_seen_by_the_privacy_officer_alone() {
    let app = TestApp::start().await;
    let other = Neighbour::start(&app, &[]).await;
    let path = ended(&app, &["question"]).await;
    move_to(&app, ended_at(&app, &path).await.plus(Duration::from_hours(24 * DAYS + 1)));
    let (one, two) = tokio::join!(retention::sweep(app.app()), retention::sweep(other.app()));
    one.and(two).unwrap();
    retention::sweep(app.app()).await.unwrap();
    assert_eq!(removals(&app).await.len(), 1);
    assert_eq!(app.get("kredietbank", "/v1/retention-removals").await.status, 403);
    let events = items(&app, "kredietbank", "/v1/events?limit=1000").await;
    assert!(events.iter().all(|event| event["type"] != "nl.sluis.referral.deletion-required.v1"));
    other.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_one_of_the_two_parties_restricts_the_processing_nothing_of_it_goes() {
    let app = TestApp::start().await;
    let path = ended(&app, &["question"]).await;
    let claimed = json!({ "subject": { "bsn": BSN }, "ground": "needed-for-legal-claims" });
    let restricted = app.post("kredietbank", "/v1/restrictions", claimed).await;
    assert_eq!(restricted.status, 201, "{}", restricted.text);
    let over = ended_at(&app, &path).await.plus(Duration::from_hours(24 * (DAYS + 1)));
    move_to(&app, over);
    retention::sweep(app.app()).await.unwrap();
    assert!(kept(&app, &path).await > 0 && removals(&app).await.is_empty());
    // Nor does who restricts it erase it; the other party may, for what it gave is its own.
    let erasing = json!({ "subject": { "bsn": BSN }, "ground": "no-longer-necessary" });
    let refused = app.post("kredietbank", "/v1/erasures", erasing).await;
    assert_eq!((refused.status, refused.text_at("/code")), (409, Some("conflict")), "{}", refused.text);
    assert!(kept(&app, &path).await > 0);

    let informed = json!({ "residentInformedAt": app.app().now(), "method": "by-letter" });
    let endings = format!("{}/endings", restricted.headers["location"]);
    assert_eq!(app.post("kredietbank", endings, informed).await.status, 201);
    retention::sweep(app.app()).await.unwrap();
    assert_eq!((kept(&app, &path).await, removals(&app).await.len()), (0, 1));
    finish(app).await;
}
