//! A consent is withdrawn: what waited is destroyed, who received something is asked and confirms, and nobody else hears of it.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::args;
use sluis::consents;
use sluis::demo::client::Answer;
use sluis::storage::Query as _;

use crate::app::{BSN, KWADRAAD, MEE, MUNICIPALITY, SMOW, TestApp, by_consent, consent, with_sections};
use crate::consistency::{finish, keyed};

const NO_ID: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001";
const ASKED: &str = "nl.sluis.consent.confirmation-requested.v1";
const CONFIRMED: &str = "nl.sluis.consent.confirmed.v1";
const OVERDUE: &str = "nl.sluis.consent.confirmation-overdue.v1";
const UNANSWERED: &str = "nl.sluis.consent.confirmation-unanswered.v1";

/// A record by `who`, by its id.
pub async fn put_on_record(app: &TestApp, who: &str, record: Value) -> String {
    let recorded = app.post(who, "/v1/consents", record).await;
    assert_eq!(recorded.status, 201, "{}", recorded.text);
    recorded.text_at("/id").unwrap().to_owned()
}

/// A referral by `who`, by its path.
pub async fn referred(app: &TestApp, who: &str, referral: Value, categories: &[&str]) -> String {
    let created = app.refer(who, referral, categories).await;
    assert_eq!(created.status, 201, "{}", created.text);
    created.headers["location"].clone()
}

pub async fn read(app: &TestApp, who: &str, path: &str) -> u16 {
    app.get(who, format!("{path}/sections")).await.status
}

pub async fn withdraw(app: &TestApp, who: &str, id: &str) {
    let body = json!({ "reasonCode": "resident-asked" });
    let withdrawn = app.post(who, format!("/v1/consents/{id}/withdrawals"), body).await;
    assert_eq!(withdrawn.status, 201, "{}", withdrawn.text);
}

/// The confirmations of a page.
pub async fn items(app: &TestApp, who: &str, path: impl Into<String>) -> Vec<Value> {
    let page = app.get(who, path).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page.body["items"].as_array().unwrap().clone()
}

pub async fn confirmations(app: &TestApp, who: &str, id: &str) -> Vec<Value> {
    items(app, who, format!("/v1/consents/{id}/confirmations")).await
}

/// The id of the one confirmation that `who` is asked for.
async fn asked(app: &TestApp, who: &str) -> String {
    let open = items(app, who, "/v1/consent-confirmations?status=open").await;
    assert_eq!(open.len(), 1, "{open:?}");
    open[0]["id"].as_str().unwrap().to_owned()
}

async fn confirm(app: &TestApp, who: &str, id: &str, body: Value) -> Answer {
    app.post(who, format!("/v1/consents/{id}/confirmations"), body).await
}

/// The events about consents that somebody was told, by type and data.
pub async fn told(app: &TestApp, who: &str) -> Vec<(String, Value)> {
    app.app().sequence().await.unwrap();
    let feed = items(app, who, "/v1/events?limit=1000").await;
    let about = feed.iter().filter(|event| event["type"].as_str().unwrap().starts_with("nl.sluis.consent."));
    about.map(|event| (event["type"].as_str().unwrap().to_owned(), event["data"].clone())).collect()
}

pub async fn actions(app: &TestApp, who: &str) -> Vec<String> {
    let records = items(app, who, "/v1/audit/records?kind=consent&limit=1000").await;
    let mut actions: Vec<String> = records.iter().map(|record| record["action"].as_str().unwrap().to_owned()).collect();
    actions.reverse();
    actions
}

/// How many bytes of the sealed sections of a referral are kept.
pub async fn kept(app: &TestApp, path: &str) -> usize {
    let id = path.rsplit('/').next().unwrap();
    let sql = "SELECT sealed FROM referral_sections WHERE referral = $1";
    let rows = app.app().db.reader().rows(sql, args![id]).await.unwrap();
    rows.iter().map(|row| row.bytes("sealed").unwrap().len()).sum()
}

/// Everything that an organisation finds in its feed, its lists and its records but who signed the covenant.
pub async fn everything(app: &TestApp, who: &str) -> String {
    app.app().sequence().await.unwrap();
    let mut all = Vec::new();
    for path in ["/v1/events?limit=1000", "/v1/consents", "/v1/consent-confirmations", "/v1/audit/records?limit=1000"] {
        all.extend(items(app, who, path).await);
    }
    let is_of_covenant = |one: &Value| one["data"].get("covenantVersion").is_some();
    all.retain(|one| !is_of_covenant(one));
    json!(all).to_string()
}

/// A consent for SMOW and Kwadraad, recorded by MEE.
fn for_two(app: &TestApp) -> Value {
    let mut record = consent(app, SMOW, "welfare-support", &["question", "social"]);
    record["recipients"] = json!([SMOW, KWADRAAD]);
    record["purposes"] = json!(["welfare-support", "social-work"]);
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_that_received_something_confirms_and_its_recorder_has_one_overview() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", for_two(&app)).await;
    let first = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question", "social"]).await;
    let second = referred(&app, "mee", by_consent(KWADRAAD, "social-work"), &["question"]).await;
    assert_eq!((read(&app, "smow", &first).await, read(&app, "kwadraad", &second).await), (200, 200));
    assert!(confirmations(&app, "mee", &id).await.is_empty(), "before the withdrawal nobody has to confirm anything");
    withdraw(&app, "mee", &id).await;

    let overview = confirmations(&app, "mee", &id).await;
    let of = |organisation: &str| overview.iter().find(|one| one["organisation"] == organisation).unwrap().clone();
    assert_eq!(overview.len(), 2);
    let received = |path: &str, categories: Value| json!([{ "referral": path.rsplit('/').next(), "updateId": null, "categories": categories }]);
    assert_eq!(of(SMOW)["received"], received(&first, json!(["question", "social"])));
    assert_eq!(of(KWADRAAD)["received"], received(&second, json!(["question"])));
    assert!(overview.iter().all(|one| one["status"] == "open" && one["consent"] == id.as_str()), "{overview:?}");
    // The gateway keeps nothing of it, and gives nothing any more.
    assert_eq!((kept(&app, &first).await, kept(&app, &second).await), (0, 0));
    assert_eq!((read(&app, "smow", &first).await, read(&app, "kwadraad", &second).await), (403, 403));

    for (who, organisation) in [("smow", SMOW), ("kwadraad", KWADRAAD)] {
        let own = items(&app, who, "/v1/consent-confirmations").await;
        let expected = json!({ "confirmation": own[0]["id"], "dueAt": own[0]["dueAt"] });
        assert_eq!(told(&app, who).await, [(ASKED.to_owned(), expected)]);
        assert_eq!((own.len(), &own[0]["organisation"]), (1, &json!(organisation)));
        assert_eq!(confirmations(&app, who, own[0]["id"].as_str().unwrap()).await, own);
        let referral = app.get(who, if who == "smow" { &first } else { &second }).await;
        assert_eq!(own[0]["subject"]["pseudonym"], referral.body["subject"]["pseudonym"]);
    }
    let deleted = confirm(&app, "smow", &asked(&app, "smow").await, json!({ "outcome": "deleted" })).await;
    assert_eq!((deleted.status, deleted.text_at("/status")), (201, Some("deleted")), "{}", deleted.text);
    let kept_on = json!({ "outcome": "kept", "legalBasis": "jeugdwet", "retention": "jeugdwet" });
    let kept_on = confirm(&app, "kwadraad", &asked(&app, "kwadraad").await, kept_on).await;
    assert_eq!(kept_on.status, 201, "{}", kept_on.text);

    let overview = confirmations(&app, "mee", &id).await;
    let of = |organisation: &str| overview.iter().find(|one| one["organisation"] == organisation).unwrap().clone();
    assert_eq!(of(SMOW)["status"], "deleted");
    assert_eq!((&of(KWADRAAD)["status"], &of(KWADRAAD)["legalBasis"]), (&json!("kept"), &json!("jeugdwet")));
    assert_eq!(of(KWADRAAD)["confirmedAt"], kept_on.body["confirmedAt"]);
    let types: Vec<String> = told(&app, "mee").await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(types, ["nl.sluis.consent.withdrawn.v1", CONFIRMED, CONFIRMED]);
    assert_eq!(confirmations(&app, "privacy-officer", &id).await.len(), 2);
    assert_eq!(items(&app, "mee", "/v1/consent-confirmations?role=recorder&status=kept").await, [of(KWADRAAD)]);
    assert!(items(&app, "mee", "/v1/consent-confirmations").await.is_empty(), "it has nothing to confirm itself");

    // Of the consent who received something learns nothing, neither its id nor its other recipient.
    for (who, other) in [("smow", KWADRAAD), ("kwadraad", SMOW)] {
        let all = everything(&app, who).await;
        assert!(!all.contains(&id) && !all.contains("DOSSIER") && !all.contains(other), "{who}: {all}");
        assert_eq!(app.get(who, format!("/v1/consents/{id}")).await.status, 404);
    }
    assert_eq!(actions(&app, "smow").await, ["confirmation-requested", "confirmed-deleted"]);
    assert_eq!(actions(&app, "kwadraad").await, ["confirmation-requested", "confirmed-kept"]);
    let mut own = actions(&app, "mee").await;
    own.sort_unstable();
    assert_eq!(
        own,
        [
            "confirmation-requested",
            "confirmation-requested",
            "confirmed-deleted",
            "confirmed-kept",
            "content-destroyed",
            "content-destroyed",
            "recorded",
            "withdrawn"
        ]
    );
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_had_not_picked_it_up_is_not_told_and_what_waited_is_destroyed() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", for_two(&app)).await;
    let picked_up = referred(&app, "mee", by_consent(KWADRAAD, "social-work"), &["question"]).await;
    assert_eq!(read(&app, "kwadraad", &picked_up).await, 200);
    let waiting = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question", "social"]).await;
    let before = (app.get("smow", &waiting).await, everything(&app, "smow").await);
    assert!(kept(&app, &waiting).await > 0);
    withdraw(&app, "mee", &id).await;
    assert_eq!(kept(&app, &waiting).await, 0, "nothing of it is kept");
    let after = (app.get("smow", &waiting).await, everything(&app, "smow").await);
    assert_eq!((&before.0.text, before.0.headers.get("etag")), (&after.0.text, after.0.headers.get("etag")));
    assert_eq!(before.1, after.1, "neither event nor list nor record");
    // Asking for it is answered, and recorded, as ever.
    let refused = app.get("smow", format!("{waiting}/sections")).await;
    assert_eq!((refused.status, refused.text_at("/code")), (403, Some("disclosure-refused")));
    let disclosures = items(&app, "mee", "/v1/audit/records?kind=disclosure").await;
    assert_eq!(disclosures[0]["sections"][0]["code"], "consent-missing", "{disclosures:?}");
    let overview = confirmations(&app, "mee", &id).await;
    assert_eq!((overview.len(), &overview[0]["organisation"]), (1, &json!(KWADRAAD)));
    // What goes on from it has nothing to send; status codes still flow.
    let taken = app.post("smow", format!("{waiting}/updates"), json!({ "status": "accepted" })).await;
    assert_eq!(taken.status, 201, "{}", taken.text);
    finish(app).await;
}

/// That a basis which is refused is not among those that are expected.
async fn consent_is_not_proposed(app: &TestApp, own: &str) {
    let refused = confirm(app, "smow", own, json!({ "outcome": "kept", "legalBasis": "consent" })).await;
    let expected = refused.text_at("/invalidParams/0/reason").unwrap();
    assert!(expected.contains("wmo-2015") && !expected.contains("consent"), "{expected}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_confirms_for_another_or_without_having_been_asked_and_everybody_once() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", for_two(&app)).await;
    let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    referred(&app, "mee", by_consent(KWADRAAD, "social-work"), &["question"]).await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    withdraw(&app, "mee", &id).await;
    let own = asked(&app, "smow").await;
    let deleted = || json!({ "outcome": "deleted" });
    let missing = confirm(&app, "smow", NO_ID, deleted()).await;
    assert_eq!(missing.status, 404);
    for (who, which) in [
        // By the consent's id, by another's confirmation, by who recorded it, by who never received anything.
        ("smow", &id),
        ("kwadraad", &id),
        ("kwadraad", &own),
        ("mee", &id),
        ("mee", &own),
        ("kredietbank", &own),
        ("jgz", &id),
    ] {
        let refused = confirm(&app, who, which, deleted()).await;
        assert_eq!((refused.status, &refused.body), (404, &missing.body), "{who}");
        if who != "mee" {
            let unread = app.get(who, format!("/v1/consents/{which}/confirmations")).await;
            assert_eq!((unread.status, &unread.body), (404, &missing.body), "{who}");
        }
    }
    let wrong = |answer: &Answer| -> Vec<(String, String)> {
        assert_eq!(answer.status, 400, "{}", answer.text);
        let params = answer.body["invalidParams"].as_array().unwrap();
        let text = |param: &Value, name: &str| param[name].as_str().unwrap().to_owned();
        params.iter().map(|param| (text(param, "name"), text(param, "code"))).collect()
    };
    let pair = |name: &str, code: &str| (name.to_owned(), code.to_owned());
    for (body, expected) in [
        (json!({ "outcome": "kept" }), vec![pair("legalBasis", "required")]),
        (json!({ "outcome": "kept", "legalBasis": "consent" }), vec![pair("legalBasis", "unknown-code")]),
        (
            json!({ "outcome": "deleted", "legalBasis": "wgs", "retention": "wgbo" }),
            vec![pair("legalBasis", "not-expected"), pair("retention", "not-expected")],
        ),
    ] {
        assert_eq!(wrong(&confirm(&app, "smow", &own, body).await), expected);
    }
    consent_is_not_proposed(&app, &own).await;
    for body in [
        json!({ "outcome": "kept", "legalBasis": "own-wish" }),
        json!({ "outcome": "lost" }),
        json!({ "outcome": "kept", "legalBasis": "wgs", "retention": "for-ever" }),
        json!({}),
    ] {
        assert_eq!(confirm(&app, "smow", &own, body).await.status, 400);
    }
    assert_eq!(confirmations(&app, "mee", &id).await[0]["status"], "open", "none of it was believed");

    let key = app.world().new_key().unwrap();
    let on = format!("/v1/consents/{own}/confirmations");
    let body = json!({ "outcome": "kept", "legalBasis": "wmo-2015" });
    let first = app.ask("smow", keyed(&on, body.clone(), &key)).await;
    let again = app.ask("smow", keyed(&on, body, &key)).await;
    assert_eq!((first.status, &first.text), (201, &again.text), "a repeat gets the first answer");
    let twice = confirm(&app, "smow", &own, json!({ "outcome": "kept", "legalBasis": "wgs" })).await;
    assert_eq!((twice.status, twice.text_at("/code")), (409, Some("conflict")));
    // What was kept is deleted later; what is deleted is not kept again.
    assert_eq!(confirm(&app, "smow", &own, deleted()).await.status, 201);
    assert_eq!(confirm(&app, "smow", &own, deleted()).await.status, 409);
    assert_eq!(confirm(&app, "smow", &own, json!({ "outcome": "kept", "legalBasis": "wgs" })).await.status, 409);
    let overview = confirmations(&app, "mee", &id).await;
    assert_eq!((&overview[0]["status"], &overview[0]["legalBasis"]), (&json!("deleted"), &Value::Null));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_record_or_a_law_carries_stays_and_nobody_is_asked() {
    let app = TestApp::start().await;
    let record = |categories: &[&str]| consent(&app, SMOW, "welfare-support", categories);
    let former = put_on_record(&app, "mee", record(&["question", "social"])).await;
    let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question", "social"]).await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    // The new record has less than the former: of what it lacks SMOW is asked, of the rest nothing has changed.
    let present = put_on_record(&app, "mee", record(&["question"])).await;
    withdraw(&app, "mee", &former).await;
    let overview = confirmations(&app, "mee", &former).await;
    assert_eq!(overview[0]["received"][0]["categories"], json!(["social"]), "{overview:?}");
    let sections = app.get("smow", format!("{path}/sections")).await;
    assert_eq!(sections.body["sections"].as_array().unwrap().len(), 1, "{}", sections.text);
    assert_eq!(sections.body["sections"][0]["category"], "question");
    // That was given under the record that stands, so it is that one's now.
    withdraw(&app, "mee", &present).await;
    assert_eq!(confirmations(&app, "mee", &present).await[0]["received"][0]["categories"], json!(["question"]));
    assert_eq!(read(&app, "smow", &path).await, 403);

    // The municipality gives under the Youth Act, which carries what concerns the child; the parents' consent is there besides.
    let mut record = consent(&app, "00000099000000005000", "youth-health", &["question", "child-development"]);
    (record["subject"], record["givenBy"]) = (json!({ "bsn": "999990020" }), json!("parent"));
    let besides = put_on_record(&app, "gemeente-wassenaar", record).await;
    let mut referral = by_consent("00000099000000005000", "youth-health");
    referral["legalBasis"] = json!("jeugdwet");
    referral["subject"] = json!({ "bsn": "999990020", "ageGroup": "under-12" });
    let path = referred(&app, "gemeente-wassenaar", referral, &["question", "child-development"]).await;
    assert_eq!(read(&app, "jgz", &path).await, 200);
    withdraw(&app, "gemeente-wassenaar", &besides).await;
    assert!(confirmations(&app, "gemeente-wassenaar", &besides).await.is_empty());
    assert_eq!(read(&app, "jgz", &path).await, 200, "the law carries it");
    assert!(told(&app, "jgz").await.is_empty());
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_release_or_an_agreement_ends_nothing_more_is_given_and_nobody_deletes_anything() {
    let app = TestApp::start().await;
    let of_kind = |kind: &str, recipient: &str, purpose: &str, categories: &[&str]| {
        let mut record = consent(&app, recipient, purpose, categories);
        record["kind"] = json!(kind);
        record
    };
    // Kwadraad is under secrecy: it has a consent and a release.
    put_on_record(&app, "kwadraad", of_kind("consent", SMOW, "welfare-support", &["question", "social"])).await;
    let release =
        put_on_record(&app, "kwadraad", of_kind("secrecy-release", SMOW, "welfare-support", &["question", "social"]))
            .await;
    let read_before = referred(&app, "kwadraad", by_consent(SMOW, "welfare-support"), &["question", "social"]).await;
    let waiting = referred(&app, "kwadraad", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&app, "smow", &read_before).await, 200);
    withdraw(&app, "kwadraad", &release).await;
    assert_eq!((read(&app, "smow", &read_before).await, read(&app, "smow", &waiting).await), (403, 403));
    assert_eq!((kept(&app, &read_before).await, kept(&app, &waiting).await), (0, 0));
    assert!(confirmations(&app, "kwadraad", &release).await.is_empty());
    // The agreement to be helped opens no flow by itself; without it the municipality is given nothing more.
    let agreement = put_on_record(&app, "smow", of_kind("care-agreement", MUNICIPALITY, "triage", &[])).await;
    let mut triage = by_consent(MUNICIPALITY, "triage");
    (triage["phase"], triage["legalBasis"]) = (json!("triage"), json!("wmo-2015"));
    let path = referred(&app, "smow", triage, &["question", "finance"]).await;
    assert_eq!(read(&app, "gemeente-wassenaar", &path).await, 200);
    withdraw(&app, "smow", &agreement).await;
    assert_eq!(read(&app, "gemeente-wassenaar", &path).await, 403);
    assert!(confirmations(&app, "smow", &agreement).await.is_empty());
    for who in ["smow", "gemeente-wassenaar"] {
        let asked: Vec<_> = told(&app, who).await.into_iter().filter(|(kind, _)| kind == ASKED).collect();
        assert!(asked.is_empty(), "{who}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_that_runs_out_asks_nobody_and_can_still_be_withdrawn() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question"])).await;
    let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    app.app().clock.advance(Duration::from_hours(24 * 40));
    app.house.look().await.unwrap();
    assert_eq!(app.get("mee", format!("/v1/consents/{id}")).await.body["status"], "expired");
    assert_eq!(read(&app, "smow", &path).await, 403);
    assert!(confirmations(&app, "mee", &id).await.is_empty() && kept(&app, &path).await > 0);
    withdraw(&app, "mee", &id).await;
    assert_eq!(confirmations(&app, "mee", &id).await.len(), 1);
    assert_eq!(kept(&app, &path).await, 0);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_confirm_in_time_is_listed_and_told_of_once() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", for_two(&app)).await;
    let first = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    let second = referred(&app, "mee", by_consent(KWADRAAD, "social-work"), &["question"]).await;
    assert_eq!((read(&app, "smow", &first).await, read(&app, "kwadraad", &second).await), (200, 200));
    withdraw(&app, "mee", &id).await;
    let late = asked(&app, "smow").await;
    assert_eq!(
        confirm(&app, "kwadraad", &asked(&app, "kwadraad").await, json!({ "outcome": "deleted" })).await.status,
        201
    );
    consents::watch(app.app()).await.unwrap();
    assert!(items(&app, "mee", "/v1/consent-confirmations?role=recorder&status=overdue").await.is_empty());

    app.app().clock.advance(Duration::from_hours(24 * 30));
    // Two gateways, several times.
    let here = app.app();
    let (one, two) = tokio::join!(consents::watch(here), consents::watch(here));
    assert_eq!((one.unwrap(), two.unwrap()), (0, 0));
    app.house.look().await.unwrap();
    let of = async |who: &str, kind: &str| -> Vec<Value> {
        let told = told(&app, who).await.into_iter();
        told.filter(|(found, _)| found == kind).map(|(_, data)| data).collect()
    };
    assert_eq!(of("smow", OVERDUE).await, [json!({ "confirmation": late })]);
    assert_eq!(of("mee", OVERDUE).await, [json!({ "confirmation": late, "consent": id })]);
    assert!(of("kwadraad", OVERDUE).await.is_empty());
    let officers = of("privacy-officer", UNANSWERED).await;
    assert_eq!((officers.len(), &officers[0]["confirmation"]), (1, &json!(late)));
    let record =
        app.get("privacy-officer", format!("/v1/audit/records/{}", officers[0]["record"].as_str().unwrap())).await;
    assert_eq!((record.text_at("/action"), record.text_at("/recipient")), (Some("confirmation-overdue"), Some(SMOW)));
    for (who, list) in [
        ("smow", "/v1/consent-confirmations?status=overdue"),
        ("mee", "/v1/consent-confirmations?role=recorder&status=overdue"),
        ("privacy-officer", "/v1/consent-confirmations?status=overdue"),
    ] {
        let overdue = items(&app, who, list).await;
        assert_eq!((overdue.len(), &overdue[0]["id"]), (1, &json!(late)), "{who}");
    }
    for who in ["kwadraad", "kredietbank"] {
        assert!(items(&app, who, "/v1/consent-confirmations?status=overdue").await.is_empty(), "{who}");
    }
    assert_eq!(app.get("monitor", "/v1/consent-confirmations").await.status, 403);
    // Late is better than never.
    assert_eq!(confirm(&app, "smow", &late, json!({ "outcome": "deleted" })).await.status, 201);
    assert!(items(&app, "mee", "/v1/consent-confirmations?role=recorder&status=overdue").await.is_empty());
    app.house.look().await.unwrap();
    assert_eq!(of("mee", OVERDUE).await.len(), 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_back_in_a_note_and_what_was_added_is_confirmed_too() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question", "social"])).await;
    let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    let added = app.post("mee", format!("{path}/supplements"), with_sections(json!({}), &["social"])).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let supplement = format!("{path}/updates/{}", added.text_at("/id").unwrap());
    assert_eq!(read(&app, "smow", &supplement).await, 200);
    let back = put_on_record(&app, "smow", consent(&app, MEE, "welfare-support", &["question"])).await;
    let note = with_sections(json!({ "status": "accepted" }), &["question"]);
    let noted = app.post("smow", format!("{path}/updates"), note).await;
    assert_eq!(noted.status, 201, "{}", noted.text);
    let note = format!("{path}/updates/{}", noted.text_at("/id").unwrap());
    assert_eq!(read(&app, "mee", &note).await, 200);

    withdraw(&app, "smow", &back).await;
    let overview = confirmations(&app, "smow", &back).await;
    assert_eq!((overview.len(), &overview[0]["organisation"]), (1, &json!(MEE)));
    assert_eq!(overview[0]["received"][0]["updateId"], noted.body["id"]);
    assert_eq!((read(&app, "mee", &note).await, read(&app, "smow", &path).await), (403, 200), "the rest stands");
    withdraw(&app, "mee", &id).await;
    let overview = confirmations(&app, "mee", &id).await;
    assert_eq!(overview.len(), 1, "one confirmation for each organisation");
    let received = overview[0]["received"].as_array().unwrap();
    assert_eq!(received.len(), 2, "{received:?}");
    assert!(received.iter().any(|one| one["updateId"] == added.body["id"] && one["categories"] == json!(["social"])));
    assert_eq!((read(&app, "smow", &path).await, read(&app, "smow", &supplement).await), (403, 403));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_consent_brings_nothing_back_and_what_is_sent_anew_is_given_under_it() {
    let app = TestApp::start().await;
    let record = || consent(&app, SMOW, "welfare-support", &["question"]);
    let id = put_on_record(&app, "mee", record()).await;
    let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    withdraw(&app, "mee", &id).await;
    let again = put_on_record(&app, "mee", record()).await;
    assert_eq!(read(&app, "smow", &path).await, 403, "it was destroyed");
    let anew = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&app, "smow", &anew).await, 200);
    assert!(confirmations(&app, "mee", &again).await.is_empty());
    assert_eq!(confirmations(&app, "mee", &id).await[0]["status"], "open", "of the former it is still asked");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_that_was_cut_off_is_followed_up_once() {
    let app = TestApp::start().await;
    let id = put_on_record(&app, "mee", consent(&app, SMOW, "welfare-support", &["question"])).await;
    let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    // As after a crash right behind the commit of the report: nothing has followed yet, here or at a neighbour.
    let reported = app.post("kredietbank", "/v1/consents/_withdraw", json!({ "subject": { "bsn": BSN } })).await;
    assert_eq!(reported.status, 202, "{}", reported.text);
    assert_eq!(read(&app, "smow", &path).await, 403, "it counts already");
    let here = app.app();
    let (one, two) = tokio::join!(consents::settle(here), consents::settle(here));
    assert_eq!((one.unwrap(), two.unwrap()), (0, 0));
    consents::settle(here).await.unwrap();
    assert_eq!(confirmations(&app, "mee", &id).await.len(), 1);
    assert_eq!(told(&app, "smow").await.len(), 1);
    assert_eq!(told(&app, "kredietbank").await.len(), 0);
    finish(app).await;
}
