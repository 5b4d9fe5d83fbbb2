//! Processing is restricted (art. 18 AVG): its party merely keeps what it has; who had received something hears that, and never why.

use serde_json::{Value, json};
use sluis::demo::client::Answer;
use sluis::rights::restrictions;

use crate::app::{BSN, KREDIETBANK, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts};
use crate::consistency::{finish, the_log_holds};
use crate::objections::{DAY, TOWN, check, code, told, world_of};
use crate::withdrawal::{items, put_on_record, read, referred};

fn restriction() -> Value {
    json!({ "subject": { "bsn": BSN }, "ground": "accuracy-contested" })
}

async fn restricted(app: &TestApp, who: &str, body: Value) -> Answer {
    let answer = app.post(who, "/v1/restrictions", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer
}

async fn end(app: &TestApp, who: &str, id: &str) -> Answer {
    let body = json!({ "residentInformedAt": app.app().now(), "method": "by-letter" });
    app.post(who, format!("/v1/restrictions/{id}/endings"), body).await
}

async fn stands(app: &TestApp, who: &str) -> bool {
    let subject = app.app().pseudonyms.subject(&BSN.parse().unwrap());
    let query = &mut app.app().db.reader();
    restrictions::stands(query, &who.parse().unwrap(), subject.as_str()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_restricted_goes_on_consent_alone_until_the_restriction_ends() {
    let app = TestApp::start().await;
    let waits = referred(&app, TOWN, debts(), &["finance"]).await;
    assert!(!stands(&app, MUNICIPALITY).await);
    let id = restricted(&app, TOWN, restriction()).await.text_at("/id").unwrap().to_owned();
    assert!(stands(&app, MUNICIPALITY).await && !stands(&app, SMOW).await);
    let refused = app.refer(TOWN, debts(), &["finance"]).await;
    assert_eq!((refused.status, code(&refused)), (403, Some("processing-restricted")), "{}", refused.text);
    assert_eq!(code(&check(&app, TOWN, debts(), &["finance"]).await), Some("processing-restricted"));
    assert_eq!(read(&app, "kredietbank", &waits).await, 403);
    // On consent it goes on; of another party nothing is touched.
    restricted(&app, "mee", restriction()).await;
    put_on_record(&app, "mee", consent(&app, KREDIETBANK, "debt-counselling", &["question"])).await;
    let by_consent = referred(&app, "mee", by_consent(KREDIETBANK, "debt-counselling"), &["question"]).await;
    assert_eq!(read(&app, "kredietbank", &by_consent).await, 200);

    let ended = end(&app, TOWN, &id).await;
    assert_eq!((ended.status, ended.text_at("/status")), (201, Some("ended")), "{}", ended.text);
    assert_eq!(read(&app, "kredietbank", &waits).await, 200);
    assert_eq!(app.refer(TOWN, debts(), &["finance"]).await.status, 201);
    assert_eq!(end(&app, TOWN, &id).await.status, 409);
    assert!(!stands(&app, MUNICIPALITY).await);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_had_received_something_is_told_that_it_is_restricted_and_that_this_ends_and_never_why() {
    let app = TestApp::start().await;
    let had = referred(&app, TOWN, debts(), &["finance"]).await;
    assert_eq!(read(&app, "kredietbank", &had).await, 200);
    let waits = referred(&app, TOWN, debts(), &["question"]).await;
    let first = restricted(&app, TOWN, restriction()).await;
    let referral = had.rsplit('/').next().unwrap();
    assert_eq!(first.body["notices"], json!([{ "referral": referral, "organisation": KREDIETBANK }]), "{}", first.text);
    let count = async |kind: &str| told(&app, "kredietbank").await.iter().filter(|one| *one == kind).count();
    assert_eq!(count("referral.restricted.v1").await, 1);
    let event = items(&app, "kredietbank", "/v1/events?limit=1000").await;
    let event = event.iter().find(|one| one["type"] == "nl.sluis.referral.restricted.v1").unwrap();
    assert_eq!(event["data"], json!({ "referral": referral }));
    // Of a second one nothing new is told, and while one stands not that it ended.
    let mut body = restriction();
    body["ground"] = json!("needed-for-legal-claims");
    let second = restricted(&app, TOWN, body).await;
    assert_eq!(count("referral.restricted.v1").await, 1);
    assert_eq!(end(&app, TOWN, first.text_at("/id").unwrap()).await.status, 201);
    assert_eq!(count("referral.restriction-ended.v1").await, 0);
    assert_eq!(read(&app, "kredietbank", &waits).await, 403, "the second one stands");
    assert_eq!(end(&app, TOWN, second.text_at("/id").unwrap()).await.status, 201);
    assert_eq!(count("referral.restriction-ended.v1").await, 1);

    for who in ["kredietbank", "smow", "mee"] {
        let all = world_of(&app, who, &[had.clone(), waits.clone()]).await.to_string();
        for hidden in ["accuracy-contested", "legal-claims", "processing-restricted"] {
            assert!(!all.contains(hidden), "{who}: {hidden} in {all}");
        }
        assert!(who == "kredietbank" || told(&app, who).await.is_empty(), "{who}");
    }
    the_log_holds(&app).await;
    finish(app).await;
}

/// What an organisation's own log says of restrictions: the actions, oldest first.
async fn on_record(app: &TestApp, who: &str) -> Vec<Value> {
    let mut records = items(app, who, "/v1/audit/records?kind=rights&limit=100").await;
    records.retain(|one| one["action"].as_str().unwrap().starts_with("referral-restrict"));
    records.sort_by_key(|one| one["id"].as_str().unwrap().to_owned());
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_long_as_it_stands_it_shows_in_the_referral_of_who_was_told_and_of_nobody_else() {
    let app = TestApp::start().await;
    let had = referred(&app, TOWN, debts(), &["finance"]).await;
    assert_eq!(read(&app, "kredietbank", &had).await, 200);
    let waits = referred(&app, TOWN, debts(), &["question"]).await;
    put_on_record(&app, "mee", consent(&app, KREDIETBANK, "debt-counselling", &["question"])).await;
    let others = referred(&app, "mee", by_consent(KREDIETBANK, "debt-counselling"), &["question"]).await;
    assert_eq!(read(&app, "kredietbank", &others).await, 200);
    let before = app.get("kredietbank", &had).await;
    assert!(before.body.get("restricted").is_none());

    let first = restricted(&app, TOWN, restriction()).await;
    let mark = json!({ "since": first.body["recordedAt"], "by": MUNICIPALITY });
    let seen = app.get("kredietbank", &had).await;
    assert_eq!(seen.body["restricted"], mark, "{}", seen.text);
    assert_eq!(seen.body["version"], before.body["version"], "nobody else sees that anything changed");
    let listed = items(&app, "kredietbank", "/v1/referrals?limit=100").await;
    let marked: Vec<&Value> = listed.iter().filter(|one| one.get("restricted").is_some()).collect();
    assert_eq!(marked.len(), 1, "{listed:?}");
    assert!(had.ends_with(marked[0]["id"].as_str().unwrap()));
    // Not who restricts, not in what waits, not in what another party gave.
    for (who, path) in [(TOWN, &had), ("kredietbank", &waits), ("kredietbank", &others), ("mee", &others)] {
        let other = app.get(who, path).await;
        assert!(other.status == 200 && other.body.get("restricted").is_none(), "{who}: {}", other.text);
    }
    // A second one changes nothing; that the first one ended ends nothing.
    app.app().clock.advance(DAY);
    let second = restricted(&app, TOWN, restriction()).await;
    assert_eq!(app.get("kredietbank", &had).await.body["restricted"], mark);
    let records = on_record(&app, "kredietbank").await;
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record["action"], "referral-restricted");
    assert!(had.ends_with(record["referral"].as_str().unwrap()));
    assert_eq!((&record["sender"], &record["recipient"]), (&json!(MUNICIPALITY), &json!(KREDIETBANK)));
    assert!(record.get("facts").is_none() && record.get("sections").is_none(), "never why: {record}");
    assert_eq!(end(&app, TOWN, first.text_at("/id").unwrap()).await.status, 201);
    assert_eq!(app.get("kredietbank", &had).await.body["restricted"]["by"], MUNICIPALITY);
    assert_eq!(end(&app, TOWN, second.text_at("/id").unwrap()).await.status, 201);
    assert!(app.get("kredietbank", &had).await.body.get("restricted").is_none());
    let actions: Vec<Value> = on_record(&app, "kredietbank").await.iter().map(|one| one["action"].clone()).collect();
    assert_eq!(actions, ["referral-restricted", "referral-restriction-ended"]);
    for who in [TOWN, "smow", "mee"] {
        assert!(on_record(&app, who).await.is_empty(), "{who}");
    }
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_restricts_takes_nothing_either_and_who_gave_it_learns_nothing() {
    let mut worlds = Vec::new();
    for restricts in [true, false] {
        let app = TestApp::start().await;
        let path = referred(&app, TOWN, debts(), &["finance"]).await;
        if restricts {
            let none = restricted(&app, "kredietbank", restriction()).await;
            assert_eq!(none.body["notices"], json!([]));
            assert_eq!(read(&app, "kredietbank", &path).await, 403);
        }
        let mut seen = Vec::new();
        for who in [TOWN, "smow", "mee", "monitor"] {
            seen.push(world_of(&app, who, std::slice::from_ref(&path)).await);
        }
        worlds.push(seen);
        finish(app).await;
    }
    assert_eq!(worlds[0], worlds[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_only_after_the_resident_heard_and_exists_for_its_party_alone() {
    let app = TestApp::start().await;
    let id = restricted(&app, TOWN, restriction()).await.text_at("/id").unwrap().to_owned();
    let path = format!("/v1/restrictions/{id}");
    for at in [app.app().now().minus(DAY), app.app().now().plus(DAY)] {
        let body = json!({ "residentInformedAt": at, "method": "by-letter" });
        let wrong = app.post(TOWN, format!("{path}/endings"), body).await;
        assert_eq!((wrong.status, wrong.text_at("/invalidParams/0/name")), (400, Some("residentInformedAt")));
    }
    assert_eq!(app.post(TOWN, format!("{path}/endings"), json!({})).await.status, 400);
    for who in ["kredietbank", "smow"] {
        assert_eq!(app.get(who, &path).await.status, 404);
        assert_eq!(end(&app, who, &id).await.status, 404);
        assert!(items(&app, who, "/v1/restrictions").await.is_empty());
    }
    for who in ["privacy-officer", "monitor", "administrator"] {
        assert_eq!(app.get(who, &path).await.status, 403);
    }
    assert_eq!(items(&app, TOWN, "/v1/restrictions?status=active").await.len(), 1);
    assert!(items(&app, TOWN, "/v1/restrictions?status=ended").await.is_empty());
    let wrong = app.post(TOWN, "/v1/restrictions", json!({ "subject": { "bsn": "x" }, "ground": "because" })).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body["invalidParams"].as_array().unwrap().len() >= 2, "{}", wrong.text);
    finish(app).await;
}
