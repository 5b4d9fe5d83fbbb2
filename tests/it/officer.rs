//! The privacy officer is told by the gateway, over a feed of its own: what is reported to it and nothing else, and nobody else hears it.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::args;
use sluis::cases;
use sluis::demo::client::Request;
use sluis::referrals::watch;
use sluis::storage::Tx;

use crate::app::{KREDIETBANK, MUNICIPALITY, TestApp, by_consent, consent, debts};
use crate::cases::{DAY, case_of, let_pass};
use crate::chain::{let_pass_of, step};
use crate::operations::soon;
use crate::traces::{Seen, listen};
use crate::wire::Wire;

const OFFICER: &str = "privacy-officer";
const BY_DIRECTOR: &str = "nl.sluis.case.stepped-up-by-director.v1";
const OVERDUE: &str = "nl.sluis.handoff.overdue-at-municipality.v1";

/// The events that an actor has, all of them.
async fn feed(app: &TestApp, who: &str) -> Vec<Value> {
    app.app().sequence().await.unwrap();
    let page = app.get(who, "/v1/events?limit=1000").await;
    assert_eq!(page.status, 200, "{who}: {}", page.text);
    page.body["items"].as_array().unwrap().clone()
}

async fn of_type(app: &TestApp, who: &str, kind: &str) -> Vec<Value> {
    feed(app, who).await.into_iter().filter(|event| event["type"] == kind).collect()
}

/// A case of others that the municipality steps up because its coordinator let the proposal wait; its address, as the municipality knows it.
async fn stepped_up_by_the_director(app: &TestApp) -> String {
    let record = consent(app, KREDIETBANK, "debt-counselling", &["finance"]);
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
    let created = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["finance"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert!(!case_of(&created).is_empty());
    for _ in 0..2 {
        let_pass(app, &created.headers["location"]).await;
    }
    app.app().clock.advance(10 * DAY);
    cases::sweep(app.app()).await.unwrap();
    let told = of_type(app, "gemeente-wassenaar", "nl.sluis.case.coordinator-overdue.v1").await;
    let case = format!("/v1/cases/{}", told.last().unwrap()["data"]["case"].as_str().unwrap());
    let body = json!({ "reason": "overdue" });
    let stepped_up = app.post("gemeente-wassenaar", format!("{case}/step-ups"), body).await;
    assert_eq!(stepped_up.status, 201, "{}", stepped_up.text);
    case
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_the_process_director_stepped_up_by_itself_is_told_to_the_privacy_officer_and_to_nobody_else() {
    let app = TestApp::start().await;
    assert_eq!(feed(&app, OFFICER).await, [json!(null); 0]);
    let case = stepped_up_by_the_director(&app).await;
    let told = feed(&app, OFFICER).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let event = &told[0];
    assert_eq!((&event["type"], &event["sequence"]), (&json!(BY_DIRECTOR), &json!("1")));
    assert_eq!(format!("/v1/cases/{}", event["data"]["case"].as_str().unwrap()), case, "as its municipality knows it");
    assert!(event.get("traceparent").is_none());
    for hidden in ["debt-counselling", "overdue", "999990019", KREDIETBANK] {
        assert!(!event.to_string().contains(hidden), "{hidden} in {event}");
    }
    // Where it leads is the record of the step, which the privacy officer may see, and the municipality's system may too: it is its own.
    let path = event["dataref"].as_str().unwrap().split_once("/v1/").unwrap().1.to_owned();
    let record = app.get(OFFICER, format!("/v1/{path}")).await;
    assert_eq!((record.status, &record.body["action"]), (200, &json!("step-up")), "{}", record.text);
    assert_eq!((&record.body["organisation"], &record.body["resource"]), (&json!(MUNICIPALITY), &json!(case)));
    for who in ["gemeente-wassenaar", "smow", "kredietbank", "mee"] {
        assert_eq!(of_type(&app, who, BY_DIRECTOR).await, [json!(null); 0], "{who}");
    }
    // Nor does it hear when a step-up is renewed or ended, or anything that is told to the municipality.
    let renewed = app.post("gemeente-wassenaar", format!("{case}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(renewed.status, 201, "{}", renewed.text);
    assert_eq!(crate::cases::step(&app, "gemeente-wassenaar", &format!("{case}/step-downs")).await.status, 201);
    assert!(feed(&app, "gemeente-wassenaar").await.len() > 3);
    assert_eq!(feed(&app, OFFICER).await.len(), 1);
    for who in ["monitor", "administrator"] {
        assert_eq!(app.get(who, "/v1/events").await.body["code"], "insufficient-scope", "{who}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_coordinator_steps_up_itself_is_not_reported() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let case = format!("/v1/cases/{}", case_of(&created));
    let stepped_up = app.post("gemeente-wassenaar", format!("{case}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(stepped_up.status, 201, "{}", stepped_up.text);
    assert_eq!(feed(&app, OFFICER).await, [json!(null); 0]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_deadline_that_the_municipality_lets_pass_is_told_to_its_privacy_officer_and_no_others_is() {
    let app = TestApp::start().await;
    // The credit bank lets one pass: no affair of the privacy officer.
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let referral = created.headers["location"].clone();
    let_pass_of(&app, "gemeente-wassenaar", &referral).await;
    watch::deadlines(app.app()).await.unwrap();
    assert_eq!(feed(&app, OFFICER).await, [json!(null); 0]);
    let rejected = json!({ "status": "rejected", "statusReason": "no-capacity" });
    assert_eq!(step(&app, "kredietbank", &referral, rejected).await.status, 201);
    for times in 1..=2 {
        let_pass_of(&app, "gemeente-wassenaar", &referral).await;
        watch::deadlines(app.app()).await.unwrap();
        let told = feed(&app, OFFICER).await;
        assert_eq!(told.len(), times, "{told:?}");
        let path = told[times - 1]["dataref"].as_str().unwrap().split_once("/v1/").unwrap().1.to_owned();
        let record = app.get(OFFICER, format!("/v1/{path}")).await;
        assert_eq!((record.status, &record.body["action"]), (200, &json!("deadline")), "{}", record.text);
        assert!(referral.ends_with(record.body["referral"].as_str().unwrap()));
    }
    // One that a step comes too late for is told before that step, in its record.
    let left = {
        let due: sluis::clock::Timestamp =
            app.get("gemeente-wassenaar", &referral).await.text_at("/dueAt").unwrap().parse().unwrap();
        Duration::from_micros(u64::try_from(due.as_micros() - app.app().now().as_micros()).unwrap())
    };
    app.app().clock.advance(left + Duration::from_secs(1));
    let resolved = json!({ "outcome": "not-helped" });
    assert_eq!(app.post("gemeente-wassenaar", format!("{referral}/resolutions"), resolved).await.status, 201);
    assert_eq!(of_type(&app, OFFICER, OVERDUE).await.len(), 3);
    assert_eq!(of_type(&app, "gemeente-wassenaar", OVERDUE).await, [json!(null); 0]);
    assert!(
        of_type(&app, "gemeente-wassenaar", "nl.sluis.handoff.overdue.v1").await.len() >= 3,
        "that it hears itself"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_privacy_officer_is_pushed_to_over_a_subscription_of_its_own_that_its_organisation_does_not_reach() {
    let app = TestApp::start().await;
    let seen = Seen::default();
    let (sink, server) = listen(app.world().identity("kredietbank").unwrap(), &seen);
    let refused = json!({ "sink": sink, "types": [BY_DIRECTOR, "nl.sluis.case.stepped-up.v1"] });
    let refused = app.post(OFFICER, "/v1/subscriptions", refused).await;
    assert_eq!((refused.status, refused.text_at("/invalidParams/0/name")), (400, Some("types[1]")), "{}", refused.text);
    let refused =
        app.post("gemeente-wassenaar", "/v1/subscriptions", json!({ "sink": sink, "types": [OVERDUE] })).await;
    assert_eq!((refused.status, refused.text_at("/invalidParams/0/name")), (400, Some("types[0]")), "{}", refused.text);

    let key = app.world().new_key().unwrap();
    let wanted = |sink: &str| Request {
        idempotency_key: Some(key.clone()),
        ..Request::post("/v1/subscriptions", json!({ "sink": sink }))
    };
    let created = app.ask(OFFICER, wanted(&sink)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let types: Vec<&str> =
        created.body["types"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    assert!(types.len() == 16 && [BY_DIRECTOR, OVERDUE].iter().all(|kind| types.contains(kind)), "{types:?}");
    // Another client of the organisation with the same key and body gets no answer that was not its own, least of all the secret.
    let own = app.ask("gemeente-wassenaar", wanted(&sink)).await;
    assert_eq!(own.status, 201, "{}", own.text);
    assert!(own.body["secret"] != created.body["secret"] && own.body["id"] != created.body["id"]);
    let officers = created.headers["location"].clone();
    soon("the handshake", async || app.get(OFFICER, &officers).await.body["status"] == "active").await;
    for part in ["", "/deliveries"] {
        assert_eq!(app.get("gemeente-wassenaar", format!("{officers}{part}")).await.status, 404, "{part}");
        assert_eq!(app.get(OFFICER, format!("{}{part}", own.headers["location"])).await.status, 404, "{part}");
    }
    let listed = app.get("gemeente-wassenaar", "/v1/subscriptions").await;
    assert!(!listed.text.contains(created.text_at("/id").unwrap()), "{}", listed.text);
    let ended = Request { method: reqwest::Method::DELETE, ..Request::get(own.headers["location"].clone()) };
    assert_eq!(app.ask("gemeente-wassenaar", ended).await.status, 204);

    stepped_up_by_the_director(&app).await;
    app.app().sequence().await.unwrap();
    soon("the webhook", async || !seen.lock().unwrap().is_empty()).await;
    let told = feed(&app, OFFICER).await;
    let arrived: Vec<Value> = seen.lock().unwrap().iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(arrived, told, "this and nothing that the municipality is told");
    server.stop(false).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_and_a_waiting_request_of_the_privacy_officer_are_good_for_its_own_feed_while_it_has_its_rights() {
    let app = TestApp::start().await;
    stepped_up_by_the_director(&app).await;
    app.app().sequence().await.unwrap();
    let page = app.get(OFFICER, "/v1/events").await;
    let next = page.text_at("/next").unwrap().to_owned();
    assert_eq!(app.get(OFFICER, &next).await.body["items"], json!([]));
    assert_eq!(app.get("gemeente-wassenaar", &next).await.status, 400, "not a cursor of its feed");
    let own = app.get("gemeente-wassenaar", "/v1/events").await.text_at("/next").unwrap().to_owned();
    assert_eq!(app.get(OFFICER, &own).await.status, 400);
    // The scope is taken away while it waits.
    let wire = Wire::of(&app, OFFICER);
    let token = app.world().client(OFFICER).unwrap().token(None).await.unwrap();
    let cursor = next.split_once("cursor=").unwrap().1;
    let path = format!("/v1/events?wait=30&cursor={cursor}");
    let take_away = async |scopes: &'static str| {
        let write = async move |tx: &mut Tx| {
            let sql = "UPDATE clients SET scopes = $1 WHERE client_id = $2";
            assert_eq!(tx.execute(sql, args![scopes, format!("{MUNICIPALITY}-{OFFICER}")]).await?, 1);
            Ok(())
        };
        app.app().db.write("take the scope away", write).await.unwrap();
    };
    let began = std::time::Instant::now();
    let waits = wire.get(&path, Some(&token));
    let (reply, ()) = tokio::join!(waits, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        take_away("audit:read").await;
    });
    assert_eq!((reply.status, reply.code()), (403, "insufficient-scope"));
    assert!(began.elapsed() < Duration::from_secs(5));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_given_the_scope_has_its_own_feed_and_not_that_of_its_organisation() {
    let app = TestApp::start().await;
    stepped_up_by_the_director(&app).await;
    let write = async move |tx: &mut Tx| {
        let sql = "UPDATE clients SET scopes = scopes || ' events' WHERE client_id = $1";
        assert_eq!(tx.execute(sql, args![format!("{MUNICIPALITY}-monitor")]).await?, 1);
        Ok(())
    };
    app.app().db.write("give the scope", write).await.unwrap();
    assert_eq!(feed(&app, "monitor").await, [json!(null); 0]);
    assert_eq!(feed(&app, OFFICER).await.len(), 1);
    app.finish().await;
}
