//! Who received content about a resident from somebody else informs the resident within a month (art. 14 AVG), or records why that is not owed: the
//! recipient of a referral, and its sender of what comes back.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::demo::client::Answer;
use sluis::organisations::Role;
use sluis::rights;

use sluis::encryption::{Curve, PrivateKey};

use crate::app::{KREDIETBANK, MUNICIPALITY, TestApp, debts};
use crate::chain::begin;
use crate::consistency::{Neighbour, clients, finish, the_log_holds};
use crate::emergencies::{by, officer_of};
use crate::encryption::{encrypted, key_of, label, publish};
use crate::objections::{DAY, TOWN, moment, objected, told, world_of};
use crate::withdrawal::{items, read, referred};

async fn note(app: &TestApp, who: &str, path: &str, body: Value) -> Answer {
    app.post(who, format!("{path}/notifications"), body).await
}

/// A referral of the town that the bank has read and works on, by its path.
async fn under_way(app: &TestApp) -> String {
    let path = referred(app, TOWN, debts(), &["question", "finance"]).await;
    assert_eq!(read(app, "kredietbank", &path).await, 200);
    begin(app, &path).await;
    path
}

/// A note of the bank to the town with a step that leaves the referral open, by the path of the step.
async fn noted(app: &TestApp, path: &str, sections: Value) -> String {
    let body = json!({ "status": "on-hold", "statusReason": "information-requested", "sections": sections });
    let step = app.post("kredietbank", format!("{path}/updates"), body).await;
    assert_eq!(step.status, 201, "{}", step.text);
    let resumed = app.post("kredietbank", format!("{path}/updates"), json!({ "status": "in-progress" })).await;
    assert_eq!(resumed.status, 201, "{}", resumed.text);
    step.headers["location"].clone()
}

fn budget() -> Value {
    json!([{ "category": "finance", "content": { "text": "a budget" } }])
}

fn informed(app: &TestApp) -> Value {
    json!({ "outcome": "informed", "informedAt": app.app().now(), "method": "in-person" })
}

async fn duties(app: &TestApp, who: &str, status: &str) -> Vec<Value> {
    items(app, who, format!("/v1/informing-duties?status={status}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duty_opens_with_the_first_content_that_the_recipient_reads_and_once() {
    let app = TestApp::start().await;
    let path = referred(&app, TOWN, debts(), &["question", "finance"]).await;
    assert!(items(&app, "kredietbank", "/v1/informing-duties").await.is_empty(), "nothing was picked up");
    assert_eq!(app.get("kredietbank", format!("{path}/notifications")).await.status, 404);
    assert_eq!(note(&app, "kredietbank", &path, informed(&app)).await.status, 404);
    assert_eq!(app.post("kredietbank", format!("{path}/updates"), json!({ "status": "received" })).await.status, 201);
    assert!(items(&app, "kredietbank", "/v1/informing-duties").await.is_empty(), "a step is no content");

    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    app.app().clock.advance(DAY);
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    let open = duties(&app, "kredietbank", "open").await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(moment(&open[0]["dueAt"]), moment(&open[0]["openedAt"]).plus(28 * DAY));
    assert_eq!(open[0]["referral"], json!(path.rsplit('/').next().unwrap()));
    let own = app.get("kredietbank", &path).await;
    assert_eq!(open[0]["subject"]["pseudonym"], own.body["subject"]["pseudonym"], "by its own pseudonym");
    // Who gave it has none, also where it reads its own words.
    assert_eq!(read(&app, TOWN, &path).await, 200);
    assert!(items(&app, TOWN, "/v1/informing-duties").await.is_empty());
    assert_eq!(app.get(TOWN, format!("{path}/notifications")).await.status, 404);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_ends_it_and_informing_somebody_who_need_not_be_is_recorded_too() {
    let app = TestApp::start().await;
    for (outcome, then) in [
        ("already-informed", 201),
        ("disproportionate", 201),
        ("law-provides", 201),
        ("secrecy", 201),
        ("informed", 409),
    ] {
        let path = referred(&app, TOWN, debts(), &["finance"]).await;
        assert_eq!(read(&app, "kredietbank", &path).await, 200);
        let body = if outcome == "informed" { informed(&app) } else { json!({ "outcome": outcome }) };
        let noted = note(&app, "kredietbank", &path, body).await;
        assert_eq!((noted.status, noted.text_at("/outcome")), (201, Some(outcome)), "{}", noted.text);
        let status = if outcome == "informed" { "informed" } else { "exempt" };
        assert_eq!(duties(&app, "kredietbank", status).await[0]["outcome"], json!(outcome));
        assert_eq!(note(&app, "kredietbank", &path, json!({ "outcome": "secrecy" })).await.status, 409);
        assert_eq!(note(&app, "kredietbank", &path, informed(&app)).await.status, then, "{outcome}");
        let listed = items(&app, "kredietbank", format!("{path}/notifications")).await;
        assert_eq!(listed.len(), if then == 201 { 2 } else { 1 });
    }
    assert!(duties(&app, "kredietbank", "open").await.is_empty());
    app.app().clock.advance(40 * DAY);
    rights::sweep(app.app()).await.unwrap();
    assert!(told(&app, "kredietbank").await.iter().all(|kind| kind != "informing-duty.overdue.v1"));
    let records = items(&app, "kredietbank", "/v1/audit/records?kind=rights").await;
    assert_eq!(records.len(), 9);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_it_is_overdue_is_told_once_to_whose_duty_it_is_and_its_officer_alone() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, KREDIETBANK, Role::DataProtectionOfficer).await;
    let path = referred(&app, TOWN, debts(), &["finance"]).await;
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    let count = async |who: &str, kind: &str| told(&app, who).await.iter().filter(|one| *one == kind).count();
    app.app().clock.advance(27 * DAY + Duration::from_mins(23 * 60 + 59));
    rights::sweep(app.app()).await.unwrap();
    assert_eq!(count("kredietbank", "informing-duty.overdue.v1").await, 0);
    assert!(duties(&app, "kredietbank", "overdue").await.is_empty());
    app.app().clock.advance(Duration::from_mins(1));
    let neighbour = Neighbour::start(&app, &[]).await;
    let (here, there) = tokio::join!(rights::sweep(app.app()), rights::sweep(neighbour.app()));
    assert_eq!((here.unwrap(), there.unwrap()), (0, 0));
    rights::sweep(app.app()).await.unwrap();
    assert_eq!(count("kredietbank", "informing-duty.overdue.v1").await, 1);
    let overdue = duties(&app, "kredietbank", "overdue").await;
    assert_eq!(overdue.len(), 1);
    let feed = by(&officer, sluis::demo::client::Request::get("/v1/events")).await;
    let told_officer = feed.body["items"].as_array().unwrap().clone();
    let duty = overdue[0]["id"].as_str().unwrap();
    assert_eq!(told_officer.len(), 1, "{}", feed.text);
    assert_eq!(told_officer[0]["data"], json!({ "informingDuty": duty }));
    let read = by(&officer, sluis::demo::client::Request::get(format!("/v1/informing-duties/{duty}"))).await;
    assert_eq!((read.status, read.text_at("/status")), (200, Some("overdue")), "{}", read.text);
    for who in [TOWN, "smow", "mee", "privacy-officer"] {
        assert!(told(&app, who).await.iter().all(|kind| !kind.starts_with("informing-duty")), "{who}");
    }
    // Late is better than never.
    assert_eq!(note(&app, "kredietbank", &path, informed(&app)).await.status, 201);
    assert!(duties(&app, "kredietbank", "overdue").await.is_empty());
    neighbour.stop().await;
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gave_it_learns_nothing_of_whether_the_resident_was_informed() {
    let mut worlds = Vec::new();
    for informs in [true, false] {
        let app = TestApp::start().await;
        let path = referred(&app, TOWN, debts(), &["finance"]).await;
        assert_eq!(read(&app, "kredietbank", &path).await, 200);
        if informs {
            assert_eq!(note(&app, "kredietbank", &path, informed(&app)).await.status, 201);
        }
        app.app().clock.advance(28 * DAY);
        rights::sweep(app.app()).await.unwrap();
        let mut seen = Vec::new();
        for who in [TOWN, "smow", "monitor"] {
            let paths = [path.clone(), format!("{path}/notifications"), "/v1/informing-duties".to_owned()];
            seen.push(world_of(&app, who, &paths).await);
        }
        worlds.push(seen);
        finish(app).await;
    }
    // What passes with the clock passes in both.
    assert_eq!(worlds[0], worlds[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_wrong_is_said_at_once_and_others_find_nothing() {
    let app = TestApp::start().await;
    let path = referred(&app, TOWN, debts(), &["finance"]).await;
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    let names = |answer: &Answer| -> Vec<String> {
        let wrong = answer.body["invalidParams"].as_array().unwrap().iter();
        wrong.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let wrong = note(&app, "kredietbank", &path, json!({ "outcome": "informed" })).await;
    assert_eq!(
        (wrong.status, names(&wrong)),
        (400, vec!["informedAt".to_owned(), "method".to_owned()]),
        "{}",
        wrong.text
    );
    let later = app.app().now().plus(DAY);
    let wrong =
        note(&app, "kredietbank", &path, json!({ "outcome": "secrecy", "informedAt": later, "method": "digital" }))
            .await;
    let expected = ["informedAt", "method", "informedAt"].map(str::to_owned).to_vec();
    assert_eq!((wrong.status, names(&wrong)), (400, expected), "{}", wrong.text);
    assert_eq!(note(&app, "kredietbank", &path, json!({ "outcome": "postponed" })).await.status, 400);
    let duty = duties(&app, "kredietbank", "open").await[0]["id"].as_str().unwrap().to_owned();
    for who in ["smow", "mee", TOWN] {
        assert_eq!(note(&app, who, &path, informed(&app)).await.status, 404, "{who}");
        assert_eq!(app.get(who, format!("/v1/informing-duties/{duty}")).await.status, 404, "{who}");
    }
    for who in ["monitor", "administrator"] {
        assert_eq!(app.get(who, "/v1/informing-duties").await.status, 403, "{who}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_has_a_duty_of_its_own_from_the_first_note_that_it_reads_and_each_party_has_one() {
    let app = TestApp::start().await;
    let path = under_way(&app).await;
    let (first, second) = (noted(&app, &path, budget()).await, noted(&app, &path, budget()).await);
    assert!(items(&app, TOWN, "/v1/informing-duties").await.is_empty(), "what waits was not received");
    assert_eq!(note(&app, TOWN, &path, informed(&app)).await.status, 404);
    assert_eq!(read(&app, "kredietbank", &first).await, 200);
    assert!(items(&app, TOWN, "/v1/informing-duties").await.is_empty(), "the bank reads its own words");

    app.app().clock.advance(DAY);
    let world = clients(&app);
    let read_it = async |part: &str| {
        let request = sluis::demo::client::Request::get(format!("{part}/sections"));
        world.ask(TOWN, request).await.unwrap().status
    };
    assert_eq!(tokio::join!(read_it(&first), read_it(&second)), (200, 200), "both at once");
    let open = duties(&app, TOWN, "open").await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(moment(&open[0]["dueAt"]), moment(&open[0]["openedAt"]).plus(28 * DAY));
    assert!(moment(&open[0]["openedAt"]) > moment(&app.get(TOWN, &path).await.body["createdAt"]).plus(DAY), "{open:?}");
    assert_eq!(open[0]["referral"], json!(path.rsplit('/').next().unwrap()));
    assert_eq!(open[0]["subject"]["pseudonym"], app.get(TOWN, &path).await.body["subject"]["pseudonym"]);

    // What the town adds is from the town: the bank has the duty that it had, and no second one.
    let hold = json!({ "status": "on-hold", "statusReason": "information-requested" });
    assert_eq!(app.post("kredietbank", format!("{path}/updates"), hold).await.status, 201);
    let more = json!({ "sections": [{ "category": "housing", "content": { "text": "more" } }] });
    let more = app.post(TOWN, format!("{path}/supplements"), more).await;
    assert_eq!(more.status, 201, "{}", more.text);
    assert_eq!(read(&app, "kredietbank", &more.headers["location"]).await, 200);
    assert_eq!(items(&app, "kredietbank", "/v1/informing-duties").await.len(), 1);
    let resumed = app.post("kredietbank", format!("{path}/updates"), json!({ "status": "in-progress" })).await;
    assert_eq!(resumed.status, 201, "{}", resumed.text);

    // Each ends its own and finds its own.
    assert_eq!(note(&app, TOWN, &path, json!({ "outcome": "already-informed" })).await.status, 201);
    assert_eq!(duties(&app, "kredietbank", "open").await.len(), 1);
    assert!(items(&app, "kredietbank", format!("{path}/notifications")).await.is_empty());
    assert_eq!(items(&app, TOWN, format!("{path}/notifications")).await.len(), 1);
    let third = noted(&app, &path, budget()).await;
    assert_eq!(read(&app, TOWN, &third).await, 200);
    assert!(duties(&app, TOWN, "open").await.is_empty(), "one for each referral and party");
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_only_its_reader_can_open_counts_too() {
    let app = TestApp::start().await;
    let path = under_way(&app).await;
    let key = PrivateKey::generate("sections-2026", Curve::X25519).unwrap();
    publish(&app, TOWN, MUNICIPALITY, &[key.public_jwk()]).await;
    let key = key_of(&app, "kredietbank", TOWN, MUNICIPALITY).await;
    let back = label(KREDIETBANK, MUNICIPALITY, "debt-counselling", "finance");
    let jwe = encrypted(&app, b"{\"monthlyPayment\":85}", &back, &key);
    let sealed = noted(&app, &path, json!([{ "category": "finance", "jwe": jwe }])).await;
    assert!(items(&app, TOWN, "/v1/informing-duties").await.is_empty());
    assert_eq!(read(&app, TOWN, &sealed).await, 200);
    assert_eq!(duties(&app, TOWN, "open").await.len(), 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_withheld_retracted_or_held_no_content_opens_no_duty_for_its_sender() {
    let app = TestApp::start().await;
    let path = under_way(&app).await;
    let none = async |why: &str| {
        assert!(items(&app, TOWN, "/v1/informing-duties").await.is_empty(), "{why}");
        assert_eq!(app.get(TOWN, format!("{path}/notifications")).await.status, 404, "{why}");
    };
    // Withheld when it was written: the step is not taken.
    let hold = json!({ "status": "on-hold", "statusReason": "information-requested", "onWithheld": "minimise",
                       "sections": [{ "category": "mental-health", "content": { "text": "x" } }] });
    let withheld = app.post("kredietbank", format!("{path}/updates"), hold).await;
    assert_eq!(withheld.status, 403, "{}", withheld.text);
    none("a note of which nothing crossed").await;

    // Withheld when it is read: by what the bank recorded since, or the town itself.
    let waits = noted(&app, &path, budget()).await;
    let objection = || json!({ "subject": { "bsn": crate::app::BSN }, "obtainedAt": app.app().now() });
    let of_the_bank = objected(&app, "kredietbank", objection()).await;
    assert_eq!(read(&app, TOWN, &waits).await, 403);
    none("the bank's objection").await;
    crate::objections::take_back(&app, "kredietbank", &of_the_bank).await;
    let of_the_town = objected(&app, TOWN, objection()).await;
    assert_eq!(read(&app, TOWN, &waits).await, 403);
    none("the town's own").await;
    crate::objections::take_back(&app, TOWN, &of_the_town).await;

    // Retracted before it was read.
    let mistaken = noted(&app, &path, budget()).await;
    let update = mistaken.rsplit('/').next().unwrap();
    let retracted = json!({ "reason": "inaccurate", "updateId": update, "retracted": ["finance"] });
    let retracted = app.post("kredietbank", format!("{path}/corrections"), retracted).await;
    assert_eq!(retracted.status, 201, "{}", retracted.text);
    assert_eq!(read(&app, TOWN, &mistaken).await, 403);
    none("what was retracted").await;

    let bare = json!({ "status": "completed", "outcome": "helped" });
    let bare = app.post("kredietbank", format!("{path}/updates"), bare).await;
    assert_eq!(bare.status, 201, "{}", bare.text);
    assert_eq!(read(&app, TOWN, &bare.headers["location"]).await, 403);
    none("a step is no content").await;
    assert_eq!(read(&app, TOWN, &waits).await, 200);
    assert_eq!(duties(&app, TOWN, "open").await.len(), 1);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_before_the_note_was_written_did_not_tell_the_resident_of_it() {
    let app = TestApp::start().await;
    let path = under_way(&app).await;
    app.app().clock.advance(DAY);
    let before = app.app().now();
    app.app().clock.advance(DAY);
    let part = noted(&app, &path, budget()).await;
    app.app().clock.advance(DAY);
    assert_eq!(read(&app, TOWN, &part).await, 200);
    let body = |at| json!({ "outcome": "informed", "informedAt": at, "method": "in-person" });
    for at in [before, app.app().now().plus(DAY)] {
        let wrong = note(&app, TOWN, &path, body(at)).await;
        assert_eq!((wrong.status, wrong.text_at("/invalidParams/0/name")), (400, Some("informedAt")), "{}", wrong.text);
    }
    // Of what the town sent the bank may have told then, and of what came back the two of them before the town read it.
    assert_eq!(note(&app, "kredietbank", &path, body(before)).await.status, 201);
    assert_eq!(note(&app, TOWN, &path, body(app.app().now().minus(DAY))).await.status, 201);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_a_sender_informs_or_neglects_it_nobody_learns_but_its_officer() {
    let mut worlds = Vec::new();
    for informs in [true, false] {
        let app = TestApp::start().await;
        let path = under_way(&app).await;
        let part = noted(&app, &path, budget()).await;
        assert_eq!(read(&app, TOWN, &part).await, 200);
        let duty = duties(&app, TOWN, "open").await[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(note(&app, "kredietbank", &path, informed(&app)).await.status, 201);
        if informs {
            assert_eq!(note(&app, TOWN, &path, informed(&app)).await.status, 201);
        }
        app.app().clock.advance(28 * DAY);
        assert_eq!(rights::sweep(app.app()).await.unwrap(), 0);
        let late = |kind: &str| !informs && kind.starts_with("informing-duty");
        for (who, kind) in [(TOWN, "informing-duty.overdue.v1"), ("privacy-officer", "informing-duty.neglected.v1")] {
            let kinds = told(&app, who).await;
            let neglected: Vec<_> = kinds.iter().filter(|one| one.starts_with("informing-duty")).collect();
            assert_eq!(neglected, if late(kind) { vec![kind] } else { vec![] }, "{who}");
        }
        for who in ["kredietbank", "smow", "mee"] {
            assert_eq!(app.get(who, format!("/v1/informing-duties/{duty}")).await.status, 404, "{who}");
        }
        let mut seen = Vec::new();
        for who in ["kredietbank", "smow", "mee"] {
            let paths =
                [path.clone(), part.clone(), format!("{path}/notifications"), "/v1/informing-duties".to_owned()];
            seen.push(world_of(&app, who, &paths).await);
            assert!(who != "kredietbank" || !seen[0].to_string().contains("informing-overdue"));
        }
        worlds.push(seen);
        finish(app).await;
    }
    assert_eq!(worlds[0], worlds[1]);
}
