//! A resident objects (art. 21 AVG): what the party that recorded it gives and gets on a public task stops until its officer has weighed it; nobody else
//! notices anything.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::clock::Timestamp;
use sluis::demo::client::{Answer, Request};
use sluis::organisations::Role;
use sluis::rights;

use crate::app::{BSN, KREDIETBANK, KWADRAAD, MEE, MUNICIPALITY, TestApp, by_consent, consent, debts};
use crate::consistency::{Neighbour, clients, finish, keyed, post, the_log_holds};
use crate::emergencies::{by, officer_of};
use crate::withdrawal::{items, put_on_record, read, referred};

const OTHER_BSN: &str = "999990020";
const OFFICER: &str = "privacy-officer";
pub const TOWN: &str = "gemeente-wassenaar";
pub const DAY: Duration = Duration::from_hours(24);

pub fn objection(app: &TestApp) -> Value {
    json!({ "subject": { "bsn": BSN }, "purposes": ["debt-counselling"], "obtainedAt": app.app().now() })
}

pub async fn objected(app: &TestApp, who: &str, body: Value) -> String {
    let answer = app.post(who, "/v1/objections", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.text_at("/id").unwrap().to_owned()
}

fn overriding(app: &TestApp) -> Value {
    let now = app.app().now();
    json!({ "outcome": "overridden", "ground": "legal-claims", "residentInformedAt": now, "method": "by-letter" })
}

fn upholding(app: &TestApp) -> Value {
    json!({ "outcome": "upheld", "residentInformedAt": app.app().now(), "method": "in-person" })
}

async fn weigh(app: &TestApp, who: &str, id: &str, body: Value) -> Answer {
    app.post(who, format!("/v1/objections/{id}/weighings"), body).await
}

fn taking_back(app: &TestApp) -> Value {
    json!({ "reason": "taken-back", "takenBackAt": app.app().now(), "method": "by-telephone" })
}

/// The resident tells `who` that it takes this objection back.
pub async fn take_back(app: &TestApp, who: &str, id: &str) -> Answer {
    let ended = app.post(who, format!("/v1/objections/{id}/endings"), taking_back(app)).await;
    assert_eq!((ended.status, ended.text_at("/status")), (201, Some("taken-back")), "{}", ended.text);
    ended
}

/// That ending it is refused, with this status.
async fn is_not_ended(app: &TestApp, who: &str, id: &str, status: u16, why: &str) {
    let refused = app.post(who, format!("/v1/objections/{id}/endings"), taking_back(app)).await;
    assert_eq!(refused.status, status, "{why}: {}", refused.text);
}

/// A moment in an answer.
pub fn moment(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Why the first section was withheld.
pub fn code(answer: &Answer) -> Option<&str> {
    answer.text_at("/decision/sections/0/code")
}

pub async fn check(app: &TestApp, who: &str, referral: Value, categories: &[&str]) -> Answer {
    let body = crate::app::with_sections(referral, categories);
    app.ask(who, Request::post("/v1/referrals/_check", body)).await
}

/// The types of what somebody was told but for the covenant, in their order.
pub async fn told(app: &TestApp, who: &str) -> Vec<String> {
    app.app().sequence().await.unwrap();
    let name = |event: &Value| event["type"].as_str().unwrap().trim_start_matches("nl.sluis.").to_owned();
    let names: Vec<String> = items(app, who, "/v1/events?limit=1000").await.iter().map(name).collect();
    names.into_iter().filter(|name| !name.starts_with("covenant.")).collect()
}

/// The same without what differs between two worlds in which the same happens: identifiers, moments, pseudonyms, receipts, and at which leaf of the tree
/// a record stands, which tells that somebody recorded something, as any request does.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| *key != "leafIndex")
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::String(text) => {
            let is_span = |part: &str| part.len() == 16 && part.chars().all(|digit| digit.is_ascii_hexdigit());
            let differs = |part: &str| {
                part.len() >= 30 || is_span(part) || part.starts_with("localhost:") || part.parse::<Timestamp>().is_ok()
            };
            let part = |part: &str| if differs(part) { "…".to_owned() } else { part.to_owned() };
            text.split('/').map(part).collect::<Vec<_>>().join("/").into()
        }
        other => other.clone(),
    }
}

/// Everything that an organisation finds here, without what differs between two worlds.
pub async fn world_of(app: &TestApp, who: &str, paths: &[String]) -> Value {
    app.app().sequence().await.unwrap();
    let lists = [
        "/v1/events?limit=1000",
        "/v1/referrals",
        "/v1/consents",
        "/v1/consent-confirmations",
        "/v1/cases",
        "/v1/objections",
        "/v1/restrictions",
        "/v1/handoffs",
        "/v1/handoffs/summary",
        "/v1/audit/records?limit=1000",
    ];
    let mut seen = Vec::new();
    for path in lists.into_iter().map(str::to_owned).chain(paths.iter().cloned()) {
        let answer = app.get(who, path).await;
        seen.push(json!({ "status": answer.status, "body": plain(&answer.body) }));
    }
    json!(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_recorder_gives_on_a_public_task_stops_until_it_is_overridden() {
    let app = TestApp::start().await;
    let waits = referred(&app, TOWN, debts(), &["question", "finance"]).await;
    let asked = referred(&app, TOWN, debts(), &["question"]).await;
    let hold = json!({ "status": "received" });
    assert_eq!(app.post("kredietbank", format!("{asked}/updates"), hold).await.status, 201);
    let hold = json!({ "status": "on-hold", "statusReason": "information-requested" });
    assert_eq!(app.post("kredietbank", format!("{asked}/updates"), hold).await.status, 201);
    let id = objected(&app, TOWN, objection(&app)).await;

    let checked = check(&app, TOWN, debts(), &["finance"]).await;
    assert_eq!((checked.status, code(&checked)), (200, Some("objection-not-weighed")), "{}", checked.text);
    assert_eq!(checked.text_at("/decision/sections/0/remedy/code"), Some("weigh-objection"), "{}", checked.text);
    let refused = app.refer(TOWN, debts(), &["finance"]).await;
    assert_eq!((refused.status, code(&refused)), (403, Some("objection-not-weighed")), "{}", refused.text);
    let more =
        json!({ "sections": [{ "category": "finance", "content": { "text": "more" } }], "onWithheld": "reject" });
    let more = app.post(TOWN, format!("{asked}/supplements"), more).await;
    assert_eq!((more.status, code(&more)), (403, Some("objection-not-weighed")), "{}", more.text);
    for path in [&waits, &asked] {
        assert_eq!(read(&app, "kredietbank", path).await, 403, "what waits is not handed over");
    }
    // Steps without content go on.
    let accepted = json!({ "status": "received" });
    assert_eq!(app.post("kredietbank", format!("{waits}/updates"), accepted).await.status, 201);

    let weighed = weigh(&app, OFFICER, &id, overriding(&app)).await;
    assert_eq!((weighed.status, weighed.text_at("/status")), (201, Some("overridden")), "{}", weighed.text);
    assert_eq!(weighed.body["dueAt"], Value::Null);
    assert_eq!(read(&app, "kredietbank", &waits).await, 200);
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201);
    assert_eq!(told(&app, OFFICER).await, ["objection.recorded.v1"]);
    assert!(told(&app, TOWN).await.contains(&"objection.weighed.v1".to_owned()));
    let records = items(&app, TOWN, "/v1/audit/records?kind=rights").await;
    let actions: Vec<_> = records.iter().map(|record| record["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["objection-weighed", "objection-recorded"]);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_counts_for_its_recorder_its_resident_its_purposes_and_public_tasks_alone() {
    let app = TestApp::start().await;
    objected(&app, "smow", objection(&app)).await;
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201, "another party's objection");
    objected(&app, TOWN, json!({ "subject": { "bsn": OTHER_BSN }, "obtainedAt": app.app().now() })).await;
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201, "another resident's");
    let mut body = objection(&app);
    body["purposes"] = json!(["social-work"]);
    objected(&app, TOWN, body).await;
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201, "for another purpose");

    // What rests on consent, or on a law without a public task, is not touched, also when the objection is against everything.
    objected(&app, "mee", json!({ "subject": { "bsn": BSN }, "obtainedAt": app.app().now() })).await;
    put_on_record(&app, "mee", consent(&app, KREDIETBANK, "debt-counselling", &["question"])).await;
    let path = referred(&app, "mee", by_consent(KREDIETBANK, "debt-counselling"), &["question"]).await;
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gets_something_takes_it_not_and_who_gave_it_sees_only_that_nobody_picked_it_up() {
    let mut worlds = Vec::new();
    for objects in [true, false] {
        let app = TestApp::start().await;
        let path = referred(&app, TOWN, debts(), &["question", "finance"]).await;
        if objects {
            let mut body = objection(&app);
            body["purposes"] = Value::Null;
            objected(&app, "kredietbank", body).await;
            for _ in 0..2 {
                let refused = app.get("kredietbank", format!("{path}/sections")).await;
                assert_eq!((refused.status, refused.text_at("/code")), (403, Some("disclosure-refused")));
                assert!(refused.text.contains("your organisation recorded"), "{}", refused.text);
            }
            let own = items(&app, "kredietbank", "/v1/audit/records?kind=disclosure").await;
            assert_eq!(own.len(), 2);
            for record in &own {
                assert_eq!((&record["outcome"], record.get("sections")), (&json!("refused"), None), "{record}");
                let whole =
                    app.get("kredietbank", format!("/v1/audit/records/{}", record["id"].as_str().unwrap())).await;
                assert!(!whole.text.contains("objection") && !whole.text.contains("bezwaar"), "{}", whole.text);
            }
        }
        let again = referred(&app, TOWN, debts(), &["finance"]).await;
        assert_eq!(app.get(TOWN, &path).await.body["status"], "requested");
        let paths = [path, again];
        let mut seen = Vec::new();
        for who in [TOWN, "smow", "kwadraad", "mee", "monitor"] {
            seen.push(world_of(&app, who, &paths).await);
        }
        worlds.push(seen);
        the_log_holds(&app).await;
        finish(app).await;
    }
    assert_eq!(worlds[0], worlds[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_recorder_of_an_objection_does_not_give_others_see_as_any_refusal() {
    let app = TestApp::start().await;
    let path = referred(&app, TOWN, debts(), &["question"]).await;
    let id = objected(&app, TOWN, objection(&app)).await;
    let refused = app.get("kredietbank", format!("{path}/sections")).await;
    assert_eq!((refused.status, refused.text_at("/code")), (403, Some("disclosure-refused")), "{}", refused.text);
    assert!(!refused.text.contains("objects"), "{}", refused.text);
    for who in ["kredietbank", "smow", "mee"] {
        let all = world_of(&app, who, &[format!("/v1/objections/{id}")]).await.to_string();
        assert!(!all.contains("objection") && !all.contains("bezwaar"), "{who}: {all}");
    }
    // In its own records the rule is named and explained.
    let own = items(&app, TOWN, "/v1/audit/records?kind=disclosure").await;
    let own = app.get(TOWN, format!("/v1/audit/records/{}", own[0]["id"].as_str().unwrap())).await;
    assert!(own.text.contains("objection-not-weighed") && own.text.contains("bezwaar"), "{}", own.text);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_weighed_once_by_the_officer_of_its_recorder_and_by_nobody_else() {
    let app = TestApp::start().await;
    let id = objected(&app, "kwadraad", objection(&app)).await;
    let (own, theirs) = (
        officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await,
        officer_of(&app, MEE, Role::DataProtectionOfficer).await,
    );
    for who in ["kwadraad", "smow", "monitor", "administrator"] {
        assert_eq!(weigh(&app, who, &id, upholding(&app)).await.status, 403, "{who}: without the scope");
    }
    let path = format!("/v1/objections/{id}/weighings");
    assert_eq!(
        weigh(&app, OFFICER, &id, upholding(&app)).await.status,
        404,
        "the covenant's officer is not this party's"
    );
    assert_eq!(by(&theirs, keyed(&path, upholding(&app), "theirs")).await.status, 404);
    for who in ["smow", MUNICIPALITY] {
        let who = if who == MUNICIPALITY { TOWN } else { who };
        assert_eq!(app.get(who, format!("/v1/objections/{id}")).await.status, 404);
        assert!(items(&app, who, "/v1/objections").await.is_empty());
    }
    assert_eq!(by(&own, Request::get("/v1/objections?status=open")).await.body["items"][0]["id"], json!(id));

    let body = upholding(&app);
    let upheld = by(&own, keyed(&path, body.clone(), "own")).await;
    assert_eq!((upheld.status, upheld.text_at("/status")), (201, Some("upheld")), "{}", upheld.text);
    assert_eq!(by(&own, keyed(&path, body, "own")).await.body, upheld.body, "a repeat");
    let again = by(&own, keyed(&path, overriding(&app), "again")).await;
    assert_eq!(again.status, 409, "{}", again.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_upheld_stays_stopped() {
    let app = TestApp::start().await;
    let id = objected(&app, TOWN, objection(&app)).await;
    assert_eq!(weigh(&app, OFFICER, &id, upholding(&app)).await.status, 201);
    app.app().clock.advance(60 * DAY);
    let refused = app.refer(TOWN, debts(), &["finance"]).await;
    assert_eq!((refused.status, code(&refused)), (403, Some("objection-upheld")), "{}", refused.text);
    assert_eq!(refused.body["decision"]["sections"][0]["remedy"], Value::Null);
    assert!(items(&app, TOWN, "/v1/objections?status=overdue").await.is_empty());
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_it_was_not_weighed_in_time_is_told_once_and_to_nobody_but_the_party_and_its_officer() {
    let app = TestApp::start().await;
    let id = objected(&app, TOWN, objection(&app)).await;
    let seen = app.get(TOWN, format!("/v1/objections/{id}")).await.body;
    assert_eq!(moment(&seen["dueAt"]), moment(&seen["obtainedAt"]).plus(28 * DAY));
    let overdue = async |who: &str, kind: &str| told(&app, who).await.iter().filter(|one| *one == kind).count();
    app.app().clock.advance(27 * DAY + Duration::from_mins(23 * 60 + 59));
    rights::sweep(app.app()).await.unwrap();
    assert_eq!(overdue(TOWN, "objection.overdue.v1").await, 0);
    assert!(items(&app, TOWN, "/v1/objections?status=overdue").await.is_empty());
    app.app().clock.advance(Duration::from_mins(1));
    let neighbour = Neighbour::start(&app, &[]).await;
    let (here, there) = tokio::join!(rights::sweep(app.app()), rights::sweep(neighbour.app()));
    assert_eq!((here.unwrap(), there.unwrap()), (0, 0));
    rights::sweep(app.app()).await.unwrap();
    assert_eq!(overdue(TOWN, "objection.overdue.v1").await, 1);
    assert_eq!(overdue(OFFICER, "objection.weighing-overdue.v1").await, 1);
    for who in ["kredietbank", "smow", "kwadraad", "mee"] {
        assert!(told(&app, who).await.iter().all(|one| !one.starts_with("objection.")), "{who}");
    }
    assert_eq!(items(&app, TOWN, "/v1/objections?status=overdue").await[0]["id"], json!(id));
    // It stops as before.
    assert_eq!(code(&app.refer(TOWN, debts(), &["finance"]).await), Some("objection-not-weighed"));
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_term_is_extended_once_in_time_and_after_the_resident_heard_why() {
    let app = TestApp::start().await;
    let id = objected(&app, TOWN, objection(&app)).await;
    let path = format!("/v1/objections/{id}/extensions");
    let body = || json!({ "reason": "complexity", "residentInformedAt": app.app().now() });
    let before = json!({ "reason": "complexity", "residentInformedAt": app.app().now().minus(DAY) });
    assert_eq!(app.post(OFFICER, &path, before).await.status, 400, "before the objection was made");
    assert_eq!(app.post(TOWN, &path, body()).await.status, 403);
    let extended = app.post(OFFICER, &path, body()).await;
    assert_eq!(extended.status, 201, "{}", extended.text);
    assert_eq!(moment(&extended.body["dueAt"]), moment(&extended.body["obtainedAt"]).plus(84 * DAY));
    assert_eq!(app.post(OFFICER, &path, body()).await.status, 409);
    app.app().clock.advance(60 * DAY);
    rights::sweep(app.app()).await.unwrap();
    assert!(!told(&app, TOWN).await.contains(&"objection.overdue.v1".to_owned()));
    let late = objected(&app, TOWN, objection(&app)).await;
    app.app().clock.advance(28 * DAY);
    let late = app.post(OFFICER, format!("/v1/objections/{late}/extensions"), body()).await;
    assert_eq!(late.status, 409, "{}", late.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_wrong_is_said_at_once_and_records_nothing() {
    let app = TestApp::start().await;
    let later = app.app().now().plus(DAY);
    let body = json!({ "subject": { "bsn": "999990018" }, "purposes": [], "obtainedAt": later, "why": "x" });
    let wrong = app.post(TOWN, "/v1/objections", body).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text);
    assert!(wrong.body["invalidParams"].as_array().unwrap().len() >= 2, "{}", wrong.text);
    let body = json!({ "subject": { "bsn": BSN, "match": {
        "givenName": "N", "familyName": "B", "birthDate": "2090-01-01", "postalCode": "2242 AB" } }, "obtainedAt": later });
    let wrong = app.post(TOWN, "/v1/objections", body).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text);
    assert!(wrong.body["invalidParams"].as_array().unwrap().len() >= 2, "{}", wrong.text);
    assert!(items(&app, TOWN, "/v1/objections").await.is_empty());
    let id = objected(&app, TOWN, objection(&app)).await;
    for (body, names) in [
        (
            json!({ "outcome": "overridden", "residentInformedAt": later, "method": "by-letter" }),
            vec!["ground", "residentInformedAt"],
        ),
        (
            json!({ "outcome": "upheld", "ground": "legal-claims", "residentInformedAt": later, "method": "by-letter" }),
            vec!["ground", "residentInformedAt"],
        ),
    ] {
        let wrong = weigh(&app, OFFICER, &id, body).await;
        let named: Vec<_> =
            wrong.body["invalidParams"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!((wrong.status, named), (400, names), "{}", wrong.text);
    }
    assert_eq!(app.get(TOWN, format!("/v1/objections/{id}")).await.body["status"], "open");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_objection_and_a_pick_up_at_once_happen_one_after_the_other() {
    let app = TestApp::start().await;
    let world = clients(&app);
    for round in 0..6 {
        let bsn = ["999990019", "999990020", "999990032", "999990044", "999990056", "999990068"][round];
        let mut referral = debts();
        referral["subject"]["bsn"] = json!(bsn);
        let created = app.refer(TOWN, referral, &["finance"]).await;
        if created.status == 400 {
            // Not every number of the list passes the eleven-test.
            continue;
        }
        let path = created.headers["location"].clone();
        let body = json!({ "subject": { "bsn": bsn }, "obtainedAt": app.app().now() });
        let (recorder, read_it) = (world.clone(), world.clone());
        let sections = format!("{path}/sections");
        let (recorded, picked_up) =
            tokio::join!(async { post(&recorder, TOWN, "/v1/objections", body).await }, async {
                read_it.ask("kredietbank", Request::get(sections)).await.unwrap()
            });
        assert_eq!(recorded.status, 201, "{}", recorded.text);
        assert!([200, 403].contains(&picked_up.status), "{}", picked_up.text);
        let status = app.get(TOWN, &path).await.body["status"].clone();
        assert_eq!(status == "received", picked_up.status == 200, "{status}");
        assert_eq!(read(&app, "kredietbank", &path).await, 403, "after it was recorded nothing is handed over");
    }
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_at_one_gateway_the_next_request_at_another_knows() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    assert_eq!(check(&app, TOWN, debts(), &["finance"]).await.text_at("/decision/outcome"), Some("permitted"));
    let id = post(&neighbour.world, TOWN, "/v1/objections", objection(&app)).await;
    let id = id.text_at("/id").unwrap().to_owned();
    assert_eq!(code(&check(&app, TOWN, debts(), &["finance"]).await), Some("objection-not-weighed"));
    let weighed = post(&neighbour.world, OFFICER, &format!("/v1/objections/{id}/weighings"), overriding(&app)).await;
    assert_eq!(weighed.status, 201, "{}", weighed.text);
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201);
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_objection_destroys_nothing_when_a_consent_is_withdrawn() {
    let app = TestApp::start().await;
    // A public task carries it, and beside that a consent that names it.
    let id = put_on_record(&app, TOWN, consent(&app, KREDIETBANK, "debt-counselling", &["finance"])).await;
    let path = referred(&app, TOWN, debts(), &["finance"]).await;
    let objection = objected(&app, TOWN, objection(&app)).await;
    crate::withdrawal::withdraw(&app, TOWN, &id).await;
    assert_eq!(weigh(&app, OFFICER, &objection, overriding(&app)).await.status, 201);
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_resident_takes_back_stops_nothing_any_more_and_is_neither_weighed_nor_late() {
    let app = TestApp::start().await;
    let waits = referred(&app, TOWN, debts(), &["question", "finance"]).await;
    let id = objected(&app, TOWN, objection(&app)).await;
    assert_eq!(read(&app, "kredietbank", &waits).await, 403);
    assert_eq!(code(&app.refer(TOWN, debts(), &["finance"]).await), Some("objection-not-weighed"));
    app.app().clock.advance(DAY);
    let ended = take_back(&app, TOWN, &id).await;
    assert_eq!((&ended.body["dueAt"], &ended.body["weighing"]), (&Value::Null, &Value::Null));
    assert_eq!(ended.body["ending"]["method"], "by-telephone");
    let taken_back = moment(&ended.body["ending"]["takenBackAt"]);
    assert!(moment(&ended.body["obtainedAt"]).plus(DAY) < taken_back, "{}", ended.text);
    assert!(taken_back <= moment(&ended.body["ending"]["endedAt"]), "{}", ended.text);
    assert_eq!(app.get(TOWN, format!("/v1/objections/{id}")).await.body, ended.body);

    assert_eq!(read(&app, "kredietbank", &waits).await, 200);
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201);
    for (status, many) in [("taken-back", 1), ("open", 0), ("overdue", 0), ("upheld", 0), ("overridden", 0)] {
        assert_eq!(items(&app, TOWN, format!("/v1/objections?status={status}")).await.len(), many, "{status}");
    }
    assert_eq!(weigh(&app, OFFICER, &id, upholding(&app)).await.status, 409);
    let longer = json!({ "reason": "complexity", "residentInformedAt": app.app().now() });
    assert_eq!(app.post(OFFICER, format!("/v1/objections/{id}/extensions"), longer).await.status, 409);
    app.app().clock.advance(60 * DAY);
    assert_eq!(rights::sweep(app.app()).await.unwrap(), 0);
    assert!(items(&app, TOWN, "/v1/objections?status=overdue").await.is_empty());
    assert!(told(&app, TOWN).await.iter().all(|kind| !kind.starts_with("objection.")), "the system did it itself");
    assert_eq!(told(&app, OFFICER).await, ["objection.recorded.v1", "objection.taken-back.v1"]);
    let records = items(&app, TOWN, "/v1/audit/records?kind=rights").await;
    let actions: Vec<_> = records.iter().map(|record| record["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["objection-ended", "objection-recorded"]);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_late_or_was_upheld_is_taken_back_too_and_its_weighing_stays_to_be_read() {
    let app = TestApp::start().await;
    let late = objected(&app, TOWN, objection(&app)).await;
    app.app().clock.advance(28 * DAY);
    rights::sweep(app.app()).await.unwrap();
    assert_eq!(app.get(TOWN, format!("/v1/objections/{late}")).await.body["status"], "overdue");
    take_back(&app, TOWN, &late).await;
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201);

    let id = objected(&app, TOWN, objection(&app)).await;
    let upheld = weigh(&app, OFFICER, &id, upholding(&app)).await;
    assert_eq!(code(&app.refer(TOWN, debts(), &["finance"]).await), Some("objection-upheld"));
    app.app().clock.advance(DAY);
    let ended = take_back(&app, TOWN, &id).await;
    assert_eq!(ended.body["weighing"], upheld.body["weighing"]);
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201);
    assert!(items(&app, TOWN, "/v1/objections?status=upheld").await.is_empty());
    assert_eq!(items(&app, TOWN, "/v1/objections?status=taken-back").await.len(), 2);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_one_back_leaves_every_other_and_a_restriction_standing() {
    let app = TestApp::start().await;
    let first = objected(&app, TOWN, objection(&app)).await;
    let second = objected(&app, TOWN, objection(&app)).await;
    objected(&app, "kredietbank", objection(&app)).await;
    let restriction = json!({ "subject": { "bsn": BSN }, "ground": "objection-pending" });
    let restriction = app.post(TOWN, "/v1/restrictions", restriction).await.text_at("/id").unwrap().to_owned();
    take_back(&app, TOWN, &first).await;
    assert_eq!(code(&app.refer(TOWN, debts(), &["finance"]).await), Some("objection-not-weighed"), "the second one");
    take_back(&app, TOWN, &second).await;
    assert_eq!(code(&app.refer(TOWN, debts(), &["finance"]).await), Some("processing-restricted"));
    let body = json!({ "residentInformedAt": app.app().now(), "method": "by-letter" });
    assert_eq!(app.post(TOWN, format!("/v1/restrictions/{restriction}/endings"), body).await.status, 201);
    let path = referred(&app, TOWN, debts(), &["finance"]).await;
    assert_eq!(read(&app, "kredietbank", &path).await, 403, "the bank's own objection");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_taken_back_once_by_its_recorder_and_never_after_it_was_overridden() {
    let app = TestApp::start().await;
    let id = objected(&app, "kwadraad", objection(&app)).await;
    let path = format!("/v1/objections/{id}/endings");
    let nowhere = "/v1/objections/01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001/endings";
    for who in [TOWN, "smow", "kredietbank"] {
        let theirs = app.post(who, &path, taking_back(&app)).await;
        let missing = app.post(who, nowhere, taking_back(&app)).await;
        assert_eq!((theirs.status, &theirs.body), (404, &missing.body), "{who}: as one that does not exist");
        // Nor does one's own objection about the same resident, or a body that is wrong, tell it.
        objected(&app, who, objection(&app)).await;
        is_not_ended(&app, who, &id, 404, who).await;
        let early = json!({ "reason": "taken-back", "takenBackAt": app.app().now().plus(DAY), "method": "digital" });
        assert_eq!(app.post(who, &path, early).await.body, missing.body, "{who}");
    }
    let officer = officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await;
    assert_eq!(
        by(&officer, keyed(&path, taking_back(&app), "officer")).await.status,
        403,
        "who weighs does not end it"
    );
    for who in [OFFICER, "monitor", "administrator"] {
        is_not_ended(&app, who, &id, 403, who).await;
    }
    let stale = Request { if_match: Some("\"77\"".into()), ..keyed(&path, taking_back(&app), "stale") };
    assert_eq!(app.ask("kwadraad", stale).await.status, 412);
    assert_eq!(app.get("kwadraad", format!("/v1/objections/{id}")).await.body["status"], "open");

    let body = taking_back(&app);
    let world = clients(&app);
    let once = world.ask("kwadraad", keyed(&path, body.clone(), "once")).await.unwrap();
    assert_eq!(once.status, 201, "{}", once.text);
    assert_eq!(world.ask("kwadraad", keyed(&path, body, "once")).await.unwrap().body, once.body, "a repeat");
    is_not_ended(&app, "kwadraad", &id, 409, "twice").await;

    let id = objected(&app, TOWN, objection(&app)).await;
    assert_eq!(weigh(&app, OFFICER, &id, overriding(&app)).await.status, 201);
    is_not_ended(&app, TOWN, &id, 409, "it stops nothing any more").await;
    assert_eq!(app.get(TOWN, format!("/v1/objections/{id}")).await.body["status"], "overridden");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_back_in_the_future_before_objecting_or_before_hearing_of_the_outcome() {
    let app = TestApp::start().await;
    let id = objected(&app, TOWN, objection(&app)).await;
    let path = format!("/v1/objections/{id}/endings");
    let at = |at: Timestamp| json!({ "reason": "taken-back", "takenBackAt": at, "method": "in-person" });
    let names = async |body: Value| {
        let wrong = app.post(TOWN, &path, body).await;
        let names = wrong.body["invalidParams"].as_array().unwrap_or_else(|| panic!("{}", wrong.text)).iter();
        let names: Vec<String> = names.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        (wrong.status, names)
    };
    let wrong = (400, vec!["takenBackAt".to_owned()]);
    let recorded = app.app().now();
    assert_eq!(names(at(recorded.minus(DAY))).await, wrong, "before objecting");
    assert_eq!(names(at(recorded.plus(DAY))).await, wrong, "in the future");
    app.app().clock.advance(DAY);
    assert_eq!(weigh(&app, OFFICER, &id, upholding(&app)).await.status, 201);
    assert_eq!(names(at(recorded)).await, wrong, "before hearing that it was upheld");
    // Everything at once; no other reason, and nothing that names a resident.
    let body =
        json!({ "reason": "no-longer-relevant", "takenBackAt": "soon", "method": "guess", "subject": { "bsn": BSN } });
    let (status, all) = names(body).await;
    assert_eq!((status, all.len()), (400, 4), "{all:?}");
    assert_eq!(names(json!({})).await.1.len(), 3);
    assert_eq!(code(&app.refer(TOWN, debts(), &["finance"]).await), Some("objection-upheld"), "it stands");
    assert_eq!(items(&app, TOWN, "/v1/audit/records?kind=rights").await.len(), 2);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_one_was_taken_back_nobody_else_notices() {
    let mut worlds = Vec::new();
    for objects in [true, false] {
        let app = TestApp::start().await;
        let path = referred(&app, TOWN, debts(), &["question", "finance"]).await;
        if objects {
            for who in [TOWN, "kredietbank"] {
                let id = objected(&app, who, objection(&app)).await;
                take_back(&app, who, &id).await;
            }
        }
        assert_eq!(read(&app, "kredietbank", &path).await, 200);
        let mut seen = Vec::new();
        for who in ["smow", "kwadraad", "mee"] {
            seen.push(world_of(&app, who, std::slice::from_ref(&path)).await);
        }
        for (who, other) in [(TOWN, "kredietbank"), ("kredietbank", TOWN)] {
            let mine = items(&app, who, "/v1/audit/records?kind=rights").await;
            assert_eq!(mine.len(), if objects { 2 } else { 0 }, "{who} and not {other}");
            assert_eq!(items(&app, who, "/v1/objections").await.len(), usize::from(objects));
        }
        worlds.push(seen);
        the_log_holds(&app).await;
        finish(app).await;
    }
    assert_eq!(worlds[0], worlds[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weighing_and_a_taking_back_at_once_happen_one_after_the_other() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let here = clients(&app);
    for round in 0..6 {
        let id = objected(&app, TOWN, objection(&app)).await;
        let outcome = if round % 2 == 0 { overriding(&app) } else { upholding(&app) };
        let upholds = outcome["outcome"] == "upheld";
        let (weighings, endings) = (format!("/v1/objections/{id}/weighings"), format!("/v1/objections/{id}/endings"));
        let (weighed, ended) = tokio::join!(
            post(&neighbour.world, OFFICER, &weighings, outcome),
            post(&here, TOWN, &endings, taking_back(&app))
        );
        let last = app.get(TOWN, format!("/v1/objections/{id}")).await;
        match (weighed.status, ended.status) {
            (201, 201) => assert!(upholds && last.text_at("/status") == Some("taken-back"), "{}", last.text),
            (201, 409) => assert_eq!(last.text_at("/status"), Some("overridden"), "{}", last.text),
            (409, 201) => {
                let (status, weighing) = (last.text_at("/status"), &last.body["weighing"]);
                assert_eq!((status, weighing), (Some("taken-back"), &Value::Null), "{}", last.text);
            }
            other => panic!("{other:?}: {} {}", weighed.text, ended.text),
        }
        assert_eq!(check(&app, TOWN, debts(), &["finance"]).await.text_at("/decision/outcome"), Some("permitted"));
        let elsewhere = crate::app::with_sections(debts(), &["finance"]);
        let elsewhere = neighbour.world.ask(TOWN, Request::post("/v1/referrals/_check", elsewhere)).await.unwrap();
        assert_eq!(elsewhere.text_at("/decision/outcome"), Some("permitted"), "the other gateway knows at once");
    }
    neighbour.stop().await;
    the_log_holds(&app).await;
    finish(app).await;
}
