//! Retention: content goes when the covenant's days are over, not before, and what is said of that can be checked.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::clock::Timestamp;
use sluis::storage::{Query as _, Tx};
use sluis::{args, erasures, retention};

use crate::administration::sluis;
use crate::app::{BSN, TestApp, debts};
use crate::consistency::{Neighbour, count, finish};
use crate::corrections::step;
use crate::withdrawal::{items, kept, read, referred};

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
    assert_eq!((&removal["oldestEndedAt"], &removal["newestEndedAt"]), (&json!(end), &json!(end)));
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
            "UPDATE referral_sections SET key_share = 'back' WHERE removal IS NOT NULL AND category = 'finance'",
            "UPDATE referral_sections SET key_share = NULL WHERE removal IS NOT NULL",
        ),
        (
            "a section that lost its mark",
            "UPDATE referral_sections SET place = 77, removal = NULL WHERE category = 'finance'",
            "UPDATE referral_sections SET place = 1, removal = (SELECT MIN(id) FROM retention_removals) WHERE place = 77",
        ),
        (
            "a number that says more",
            "UPDATE retention_removals SET days = days + 1",
            "UPDATE retention_removals SET days = days - 1",
        ),
    ] {
        let change = async |sql: &'static str| {
            let change = async move |tx: &mut Tx| Ok(tx.execute(sql, args![]).await?);
            app.app().db.write("spoil", change).await.unwrap()
        };
        assert!(change(spoil).await > 0, "{what}");
        let (intact, report) = verified(&app);
        assert!(!intact && report["findings"][0]["kind"] == "removal-contradicted", "{what}: {report}");
        change(mend).await;
        assert!(verified(&app).0, "mended after {what}");
    }
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
