//! Who received content about a resident from somebody else informs the resident within a month (art. 14 AVG), or records why that is not owed.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::demo::client::Answer;
use sluis::organisations::Role;
use sluis::rights;

use crate::app::{KREDIETBANK, TestApp, debts};
use crate::consistency::{Neighbour, finish, the_log_holds};
use crate::emergencies::{by, officer_of};
use crate::objections::{DAY, TOWN, moment, told, world_of};
use crate::withdrawal::{items, read, referred};

async fn note(app: &TestApp, who: &str, path: &str, body: Value) -> Answer {
    app.post(who, format!("{path}/notifications"), body).await
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
