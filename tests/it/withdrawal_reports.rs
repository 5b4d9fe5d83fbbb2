//! A withdrawal that somebody merely heard of: it counts at once, and whoever reports it learns nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluis::consents;
use sluis::demo::client::{Answer, Request};

use crate::app::{BSN, KREDIETBANK, KWADRAAD, SMOW, TestApp, by_consent, consent, with_sections};
use crate::consistency::{Neighbour, clients, finish, post};
use crate::taken_back::{Storm, nothing_after};
use crate::withdrawal::{
    actions, confirmations, everything, items, kept, put_on_record, read, referred, told, withdraw,
};

/// A resident of whom nobody has ever heard.
const STRANGER: &str = "999990500";

async fn report(app: &TestApp, who: &str, body: Value) -> Answer {
    app.ask(who, Request::post("/v1/consents/_withdraw", body)).await
}

async fn reported(app: &TestApp, who: &str, body: Value) {
    let answer = report(app, who, body).await;
    assert_eq!((answer.status, answer.text.as_str()), (202, "{\"status\":\"received\"}"));
    consents::settle(app.app()).await.unwrap();
}

fn about(bsn: &str) -> Value {
    json!({ "subject": { "bsn": bsn } })
}

/// What an answer shows, without what differs between any two of them.
fn shown(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let varies = ["date", "traceresponse", "x-request-id"];
    let headers = answer.headers.iter().filter(|(name, _)| !varies.contains(&name.as_str()));
    (answer.status, answer.text.clone(), headers.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_heard_counts_at_once_and_the_recorder_sees_who_said_it() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question"])).await;
    let given = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    let waiting = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&app, "smow", &given).await, 200);
    // The resident tells the youth nurse, who has nothing to do with it.
    reported(&app, "jgz", about(BSN)).await;
    assert_eq!((read(&app, "smow", &given).await, read(&app, "smow", &waiting).await), (403, 403));
    assert_eq!((kept(&app, &given).await, kept(&app, &waiting).await), (0, 0));
    let seen = app.get("mee", format!("/v1/consents/{id}")).await;
    assert_eq!(seen.body["status"], "withdrawn");
    let jgz = "00000099000000005000";
    assert_eq!(seen.body["withdrawal"]["reported"], json!({ "by": jgz, "recipient": null, "purpose": null }));
    assert_eq!(seen.body["withdrawal"]["reasonCode"], "resident-asked");
    assert_eq!(told(&app, "mee").await, [("nl.sluis.consent.withdrawn.v1".to_owned(), json!({ "consent": id }))]);
    assert_eq!(confirmations(&app, "mee", &id).await.len(), 1);
    let mut recorders = actions(&app, "mee").await;
    recorders[2..].sort_unstable();
    let expected = ["recorded", "withdrawn", "confirmation-requested", "content-destroyed", "content-destroyed"];
    assert_eq!(recorders, expected);
    // The recipient is told that something is to be confirmed, and not who reported it.
    assert!(!everything(&app, "smow").await.contains(jgz));
    // Said again it changes nothing: the recorder is told once, and what it recorded since stands until it is said again.
    let version = seen.headers["etag"].clone();
    let twice = app.post("mee", format!("/v1/consents/{id}/withdrawals"), json!({ "reasonCode": "other" })).await;
    assert_eq!(twice.status, 409);
    reported(&app, "jgz", about(BSN)).await;
    assert_eq!(app.get("mee", format!("/v1/consents/{id}")).await.headers["etag"], version);
    assert_eq!((told(&app, "mee").await.len(), told(&app, "smow").await.len()), (1, 1));
    let anew = put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question"])).await;
    let given = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&app, "smow", &given).await, 200, "who recorded may record a new one");
    assert_eq!(app.get("mee", format!("/v1/consents/{anew}")).await.body["status"], "active");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reports_learns_nothing_from_answer_list_event_or_record() {
    // Of one resident MEE holds a consent under which much was given; of the other nobody has ever heard.
    let (with, without) = (TestApp::start().await, TestApp::start().await);
    let id = put_on_record(&with, "mee", consent(&with, SMOW, "welfare-support", &["question"])).await;
    let path = referred(&with, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&with, "smow", &path).await, 200);
    let mut seen = Vec::new();
    for app in [&with, &without] {
        let first = report(app, "kredietbank", about(BSN)).await;
        consents::settle(app.app()).await.unwrap();
        let again = report(app, "kredietbank", about(BSN)).await;
        let other = json!({ "subject": { "bsn": BSN }, "recipient": SMOW, "purpose": "welfare-support" });
        let narrow = report(app, "kredietbank", other).await;
        for answer in [&again, &narrow] {
            assert_eq!(shown(&first), shown(answer));
        }
        assert!(!first.headers.contains_key("etag") && !first.headers.contains_key("location"), "{:?}", first.headers);
        app.app().sequence().await.unwrap();
        let mut records = items(app, "kredietbank", "/v1/audit/records?kind=consent").await;
        let of_both: Vec<Value> = records
            .iter_mut()
            .map(|record| {
                let record = record.as_object_mut().unwrap();
                // What names this moment and this resident at this gateway, whose keys differ.
                let present: Vec<bool> =
                    ["subject", "id", "time", "traceId"].iter().map(|one| record.contains_key(*one)).collect();
                for varies in ["id", "time", "subject", "traceId", "spanId", "parentSpanId", "requestId", "leafIndex"] {
                    record.remove(varies);
                }
                json!([record.clone(), present])
            })
            .collect();
        assert_eq!(of_both.len(), 3, "{of_both:?}");
        let lists = [
            app.get("kredietbank", "/v1/consents").await.text,
            app.get("kredietbank", "/v1/consent-confirmations").await.text,
            app.get("kredietbank", "/v1/consent-confirmations?role=recorder").await.text,
            format!("{:?}", told(app, "kredietbank").await),
            app.get("kredietbank", "/v1/referrals").await.text,
        ];
        seen.push((shown(&first), of_both, lists));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(confirmations(&with, "mee", &id).await.len(), 1, "and yet there was something");
    // A pseudonym that the caller was never given is one that nobody knows.
    let unknown = json!({ "subject": { "pseudonym": "gT4Zc1vWm0Jq7s9XyLk2aQeR5uBhN8dFpM3oTiUwVxY" } });
    let unknown = report(&with, "kredietbank", unknown).await;
    assert_eq!(shown(&unknown), seen[0].0);
    assert_eq!(shown(&report(&with, "kredietbank", about(STRANGER)).await), seen[0].0);
    // What is wrong with a request does not depend on what is recorded.
    for body in [json!({}), about("123456789"), json!({ "subject": { "bsn": BSN }, "recipient": "SMOW" })] {
        let (one, two) =
            (report(&with, "kredietbank", body.clone()).await, report(&without, "kredietbank", body).await);
        assert_eq!((one.status, &one.body), (400, &two.body));
    }
    finish(with).await;
    finish(without).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_withdraws_what_it_names_of_whoever_recorded_it() {
    let app = TestApp::start().await;
    let record = |recipient: &str, purpose: &str| consent(&app, recipient, purpose, &["question"]);
    let mees = put_on_record(&app, "mee", record(SMOW, "welfare-support")).await;
    let mut both = record(SMOW, "welfare-support");
    (both["recipients"], both["purposes"]) = (json!([SMOW, KWADRAAD]), json!(["welfare-support", "social-work"]));
    let both = put_on_record(&app, "jgz", both).await;
    let other = put_on_record(&app, "mee", record(KREDIETBANK, "debt-counselling")).await;
    let mut release = record(SMOW, "welfare-support");
    release["kind"] = json!("secrecy-release");
    let release = put_on_record(&app, "jgz", release).await;
    let mut somebody_else = record(SMOW, "welfare-support");
    somebody_else["subject"] = about(STRANGER)["subject"].clone();
    let somebody_else = put_on_record(&app, "mee", somebody_else).await;

    let status = async |who: &str, id: &str| {
        app.get(who, format!("/v1/consents/{id}")).await.text_at("/status").unwrap().to_owned()
    };
    let narrow = json!({ "subject": { "bsn": BSN }, "recipient": SMOW, "purpose": "welfare-support" });
    reported(&app, "kredietbank", narrow).await;
    assert_eq!((status("mee", &mees).await, status("jgz", &both).await), ("withdrawn".into(), "withdrawn".into()));
    for (who, id) in [("mee", &other), ("jgz", &release), ("mee", &somebody_else)] {
        assert_eq!(status(who, id).await, "active");
    }
    // One that named more is withdrawn as a whole; its recorder sees what was meant.
    let seen = app.get("jgz", format!("/v1/consents/{both}")).await;
    assert_eq!(seen.body["withdrawal"]["reported"]["recipient"], SMOW);
    let body = json!({ "subject": { "bsn": BSN }, "kind": "secrecy-release" });
    reported(&app, "kredietbank", body).await;
    assert_eq!(status("jgz", &release).await, "withdrawn");
    assert_eq!(status("mee", &other).await, "active");
    // By who recorded it, it is a withdrawal of its own.
    reported(&app, "mee", about(BSN)).await;
    let own = app.get("mee", format!("/v1/consents/{other}")).await;
    assert_eq!(own.body["status"], "withdrawn");
    assert!(own.body["withdrawal"].get("reported").is_none(), "{}", own.text);
    assert_eq!(status("mee", &somebody_else).await, "active");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knows_the_resident_reports_by_its_own_pseudonym() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question"])).await;
    let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    let pseudonym = app.get("smow", &path).await.body["subject"]["pseudonym"].clone();
    // Of another organisation it is worth nothing.
    reported(&app, "kwadraad", json!({ "subject": { "pseudonym": pseudonym } })).await;
    assert_eq!(app.get("mee", format!("/v1/consents/{id}")).await.body["status"], "active");
    reported(&app, "smow", json!({ "subject": { "pseudonym": pseudonym } })).await;
    assert_eq!(app.get("mee", format!("/v1/consents/{id}")).await.body["status"], "withdrawn");
    assert!(told(&app, "smow").await.is_empty(), "it had received nothing");
    let records = items(&app, "smow", "/v1/audit/records?kind=consent").await;
    assert_eq!((records[0]["action"].as_str(), &records[0]["subject"]), (Some("withdrawal-reported"), &pseudonym));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reports_too_much_waits_whatever_there_was_to_withdraw() {
    let app = TestApp::start_with(&[("SLUIS_LIMITS__REPORTED_WITHDRAWALS_PER_HOUR", "2")]).await;
    for _ in 0..2 {
        assert_eq!(report(&app, "kredietbank", about(STRANGER)).await.status, 202);
    }
    let id = put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question"])).await;
    for bsn in [STRANGER, BSN] {
        let refused = report(&app, "kredietbank", about(bsn)).await;
        assert_eq!((refused.status, refused.text_at("/code")), (429, Some("too-many-requests")), "{}", refused.text);
        assert!(refused.headers.contains_key("retry-after"));
    }
    assert_eq!(app.get("mee", format!("/v1/consents/{id}")).await.body["status"], "active");
    assert_eq!(report(&app, "smow", about(BSN)).await.status, 202, "its neighbour does not wait");
    // Its own records everybody withdraws as often as it needs to.
    for _ in 0..3 {
        let id = put_on_record(&app, "kredietbank", consent(&app, SMOW, "welfare-support", &["question"])).await;
        withdraw(&app, "kredietbank", &id).await;
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_report_at_one_gateway_is_answered_nothing_is_handed_over_at_either() {
    let app = TestApp::start().await;
    let world = clients(&app);
    let neighbour = Neighbour::start(&app, &[]).await;
    let mut handed_over = 0;
    for round in 0..6_u64 {
        let id = put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question"])).await;
        let created = app.refer("mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let path = created.headers["location"].clone();
        let sections = format!("{path}/sections");
        let storm = Storm::begin(&world, 4, "smow", move |_| Request::get(sections.clone()));
        storm.blow(Duration::from_millis(13 * round)).await;
        let body = json!({ "subject": { "bsn": BSN } });
        let answer = neighbour.world.ask("jgz", Request::post("/v1/consents/_withdraw", body)).await.unwrap();
        let moment = Instant::now();
        assert_eq!(answer.status, 202, "{}", answer.text);
        handed_over += nothing_after(moment, &storm.end().await, 200).len();
        let refused = post(
            &neighbour.world,
            "mee",
            "/v1/referrals",
            with_sections(by_consent(SMOW, "welfare-support"), &["question"]),
        )
        .await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        consents::settle(app.app()).await.unwrap();
        // However the two met: what was handed over is confirmed, and nothing is left.
        assert_eq!((confirmations(&app, "mee", &id).await.len(), kept(&app, &path).await), (1, 0));
    }
    assert!(handed_over > 0, "nothing was handed over before either: this says nothing");
    neighbour.stop().await;
    finish(app).await;
}
