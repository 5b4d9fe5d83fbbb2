//! What a case does not do: open a way for residents whom it is not about, let a chain go with something that is not its continuation,
//! or give two readers something to recognise the same resident or the same case by.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::cases;

use crate::app::{KREDIETBANK, MEE, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::cases::{
    Shared, accept, case_of, code, finish, of_smow, of_the_municipality, step, told, update, withheld, within,
};
use crate::wire::Wire;

/// Another resident.
const OTHER_BSN: &str = "999990020";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn about_another(mut referral: Value) -> Value {
    referral["subject"]["bsn"] = json!(OTHER_BSN);
    referral
}

async fn reject(app: &TestApp, referral: &str) {
    update(app, "kredietbank", referral, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
}

/// A rejected referral of the municipality, with its id.
async fn rejected(app: &TestApp, categories: &[&str]) -> (String, Value, String) {
    let created = app.refer("gemeente-wassenaar", debts(), categories).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let referral = created.headers["location"].clone();
    reject(app, &referral).await;
    (referral, created.body["id"].clone(), case_of(&created))
}

async fn is_still_held(app: &TestApp, referral: &str) {
    let seen = app.get("gemeente-wassenaar", referral).await;
    assert_eq!((&seen.body["holder"], &seen.body["businessStatus"]), (&json!(MUNICIPALITY), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_coordination_is_only_about_residents_of_the_case() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let both_ways = [("kredietbank", &banks, MUNICIPALITY), ("gemeente-wassenaar", &coordinators, KREDIETBANK)];
    let coordination =
        |case: &str, to: &str| about_another(with_sections(within(case, to, "case-coordination"), &["finance"]));
    for (who, case, to) in both_ways {
        let checked = app.post(who, "/v1/referrals/_check", coordination(case, to)).await;
        assert_eq!(checked.text_at("/decision/sections/0/code"), Some("case-required"), "{who}: {}", checked.text);
        let refused = app.post(who, "/v1/referrals", coordination(case, to)).await;
        assert_eq!(withheld(&refused), (403, Some("case-required")), "{who}: {}", refused.text);
    }
    // Another member of the household belongs to the case from the moment that somebody helps there, and no earlier.
    let mut second = about_another(debts());
    second["caseId"] = json!(coordinators.rsplit('/').next());
    let second = app.refer("gemeente-wassenaar", second, &["finance"]).await;
    assert_eq!(second.status, 201, "{}", second.text);
    let early = app.post("gemeente-wassenaar", "/v1/referrals", coordination(&coordinators, KREDIETBANK)).await;
    assert_eq!(withheld(&early), (403, Some("case-required")), "asked for help, and nobody helps yet: {}", early.text);
    accept(&app, "kredietbank", &second.headers["location"]).await;
    let sent = app.post("kredietbank", "/v1/referrals", coordination(&banks, MUNICIPALITY)).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let sections = format!("{}/sections", sent.headers["location"]);
    assert_eq!(app.get("gemeente-wassenaar", &sections).await.status, 200);
    let failed = json!({ "status": "failed", "statusReason": "resident-declined" });
    update(&app, "kredietbank", &second.headers["location"], failed).await;
    let stopped = app.get("gemeente-wassenaar", &sections).await;
    assert_eq!(code(&stopped), (403, Some("disclosure-refused")), "{}", stopped.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_direction_is_only_about_residents_of_the_case() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_smow(&app).await;
    let stepped_up = app.post("smow", format!("{coordinators}/step-ups"), json!({ "reason": "disagreement" })).await;
    assert_eq!(stepped_up.status, 201, "{}", stepped_up.text);
    let own = with_sections(within(&banks, MUNICIPALITY, "process-direction"), &["finance"]);
    let direct = async |body: Value| app.post("kredietbank", "/v1/referrals", body).await;
    let refused = direct(about_another(own.clone())).await;
    assert_eq!(withheld(&refused), (403, Some("case-not-stepped-up")), "{}", refused.text);
    assert_eq!(direct(own.clone()).await.status, 201);
    assert_eq!(withheld(&direct(about_another(own.clone())).await).0, 403, "what rests on the case adds nobody to it");
    // That nobody takes the other one on is a reason to step up: its referral need not have been accepted, but it must be open.
    let mut record = consent(&app, MEE, "client-support", &["question"]);
    record["subject"]["bsn"] = json!(OTHER_BSN);
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
    let mut second = about_another(with_sections(by_consent(MEE, "client-support"), &["question"]));
    second["caseId"] = json!(coordinators.rsplit('/').next());
    let second = app.post("smow", "/v1/referrals", second).await;
    assert_eq!(second.status, 201, "{}", second.text);
    // Whoever has nothing to do with that referral does not learn of it by asking; who sent it may give what is known.
    assert_eq!(withheld(&direct(about_another(own.clone())).await), (403, Some("case-not-stepped-up")));
    let known = about_another(with_sections(within(&coordinators, MUNICIPALITY, "process-direction"), &["finance"]));
    let direct = async |body: Value| app.post("smow", "/v1/referrals", body).await;
    assert_eq!(direct(known.clone()).await.status, 201);
    let wrong = json!({ "status": "entered-in-error", "statusReason": "wrong-resident" });
    update(&app, "smow", &second.headers["location"], wrong).await;
    assert_eq!(withheld(&direct(known).await), (403, Some("case-not-stepped-up")));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_goes_on_with_a_resident_by_referring_another() {
    let app = TestApp::start().await;
    let (referral, id, _) = rejected(&app, &["question", "finance"]).await;
    let mut other = about_another(debts());
    other["basedOn"] = id;
    for path in ["/v1/referrals", "/v1/referrals/_check"] {
        let refused = app.post("gemeente-wassenaar", path, with_sections(other.clone(), &["finance"])).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.text);
        assert_eq!(refused.text_at("/invalidParams/0/name"), Some("basedOn"), "{}", refused.text);
    }
    is_still_held(&app, &referral).await;
    // Neither by what has ended already, nor by its recipient.
    let resolved =
        app.post("gemeente-wassenaar", format!("{referral}/resolutions"), json!({ "outcome": "not-helped" })).await;
    assert_eq!(resolved.status, 201, "{}", resolved.text);
    let refused = app.refer("gemeente-wassenaar", other, &["finance"]).await;
    assert_eq!(refused.text_at("/invalidParams/0/name"), Some("basedOn"), "{}", refused.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_does_not_go_on_outside_its_case() {
    let app = TestApp::start().await;
    let (referral, id, case) = rejected(&app, &["contact", "finance"]).await;
    let advice = json!({ "recipient": SMOW, "purpose": "information-and-advice", "phase": "triage", "legalBasis": "wmo-2015", "onWithheld": "minimise" });
    let onward = app.post("gemeente-wassenaar", format!("{referral}/re-referrals"), advice).await;
    assert_eq!((onward.status, onward.text_at("/invalidParams/0/name")), (400, Some("purpose")), "{}", onward.text);
    let mut advice = with_sections(within("/", SMOW, "information-and-advice"), &["contact"]);
    (advice["phase"], advice["caseId"], advice["basedOn"]) = (json!("triage"), Value::Null, id.clone());
    for path in ["/v1/referrals", "/v1/referrals/_check"] {
        let refused = app.post("gemeente-wassenaar", path, advice.clone()).await;
        assert_eq!((refused.status, refused.text_at("/invalidParams/0/name")), (400, Some("purpose")), "{path}");
    }
    // In another case of the sender's it would be another chain.
    let elsewhere = of_the_municipality(&app).await;
    let mut onward = debts();
    (onward["basedOn"], onward["caseId"]) = (id, json!(elsewhere.coordinators.rsplit('/').next()));
    let refused = app.refer("gemeente-wassenaar", onward.clone(), &["finance"]).await;
    assert_eq!((refused.status, refused.text_at("/invalidParams/0/name")), (400, Some("caseId")), "{}", refused.text);
    is_still_held(&app, &referral).await;
    let closure = step(&app, "gemeente-wassenaar", &format!("/v1/cases/{case}/closures")).await;
    assert_eq!(code(&closure), (409, Some("still-open")), "{}", closure.text);
    onward["caseId"] = json!(case);
    let next = app.refer("gemeente-wassenaar", onward, &["finance"]).await;
    assert_eq!((next.status, case_of(&next)), (201, case), "{}", next.text);
    assert_eq!(app.get("gemeente-wassenaar", &referral).await.body["businessStatus"], "referred-on");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_that_never_took_a_referral_on_does_not_learn_to_which_case_it_belongs() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let mut second = debts();
    second["caseId"] = json!(coordinators.rsplit('/').next());
    let second = app.refer("gemeente-wassenaar", second, &["finance"]).await;
    assert_eq!(second.status, 201, "{}", second.text);
    let record = consent(&app, MEE, "client-support", &["question"]);
    assert_eq!(app.post("kredietbank", "/v1/consents", record).await.status, 201);
    let mut own = by_consent(MEE, "client-support");
    own["basedOn"] = second.body["id"].clone();
    let own = app.refer("kredietbank", own, &["question"]).await;
    assert_eq!(own.status, 201, "{}", own.text);
    assert!(
        !banks.ends_with(&case_of(&own)),
        "the bank takes part in the case, and must not see that this one belongs to it"
    );
    // Nor does a coordinator learn by closing that a referral to it belongs to its own case.
    let mut to_the_coordinator = with_sections(within(&banks, MUNICIPALITY, "access-investigation"), &["question"]);
    to_the_coordinator["onWithheld"] = json!("minimise");
    let mut agreement = consent(&app, MUNICIPALITY, "access-investigation", &[]);
    agreement["kind"] = json!("care-agreement");
    let agreement = app.post("kredietbank", "/v1/consents", agreement).await;
    assert_eq!(agreement.status, 201, "{}", agreement.text);
    let sent = app.post("kredietbank", "/v1/referrals", to_the_coordinator).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let open = step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await;
    assert_eq!(code(&open), (409, Some("still-open")), "{}", open.text);
    assert!(!open.text.contains(sent.text_at("/id").unwrap()), "{}", open.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_answers_what_creating_would() {
    let app = TestApp::start().await;
    let Shared { referral, coordinators, .. } = of_the_municipality(&app).await;
    crate::cases::complete(&app, "kredietbank", &referral).await;
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await.status, 201);
    let mut joining = with_sections(debts(), &["finance"]);
    joining["caseId"] = json!(coordinators.rsplit('/').next());
    let mut of_others = with_sections(by_consent(MEE, "client-support"), &["question"]);
    of_others["basedOn"] = json!(referral.rsplit('/').next());
    for (who, body, expected) in [("gemeente-wassenaar", joining, 409), ("smow", of_others, 400)] {
        let created = app.post(who, "/v1/referrals", body.clone()).await;
        let checked = app.post(who, "/v1/referrals/_check", body).await;
        assert_eq!((created.status, checked.status), (expected, expected), "{}", checked.text);
        assert_eq!(created.body, checked.body);
    }
    finish(app).await;
}

/// The trace ids of an organisation's events and records about a resource.
async fn traces(app: &TestApp, who: &str, id: &str) -> Vec<String> {
    app.app().sequence().await.unwrap();
    let feed = app.get(who, "/v1/events?limit=1000").await;
    let of_feed = feed.body["items"].as_array().unwrap().iter().filter(|event| event.to_string().contains(id));
    let mut all: Vec<String> =
        of_feed.filter_map(|event| event["traceparent"].as_str()?.split('-').nth(1).map(str::to_owned)).collect();
    let records = app.get(who, "/v1/audit/records?limit=1000").await;
    let of_log = records.body["items"].as_array().unwrap().iter().filter(|record| record.to_string().contains(id));
    all.extend(of_log.filter_map(|record| Some(record["traceId"].as_str()?.to_owned()).filter(|id| !id.is_empty())));
    assert!(!all.is_empty(), "{who} hears of it");
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_recipient_hears_of_a_resident_in_a_trace_of_its_own() {
    let app = TestApp::start().await;
    let wire = Wire::of(&app, "gemeente-wassenaar");
    let token = app.world().client("gemeente-wassenaar").unwrap().token(None).await.unwrap();
    let in_one_trace = async |path: String, body: Value| {
        let request = wire.request("POST", &path).bearer_auth(&token).json(&body);
        let request = request.header("idempotency-key", app.world().new_key().unwrap());
        let reply = wire.send(request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply
    };
    let welfare =
        json!({ "recipient": SMOW, "purpose": "welfare-support", "legalBasis": "wmo-2015", "onWithheld": "minimise" });
    for based_on in [false, true] {
        let (referral, id, _) = rejected(&app, &["question", "finance"]).await;
        let next = if based_on {
            let mut body = with_sections(debts(), &["question"]);
            body.as_object_mut().unwrap().extend(welfare.as_object().unwrap().clone());
            body["basedOn"] = id.clone();
            in_one_trace("/v1/referrals".into(), body).await
        } else {
            in_one_trace(format!("{referral}/re-referrals"), welfare.clone()).await
        };
        let next_id = next.body["id"].as_str().unwrap();
        assert_eq!(app.get("smow", format!("/v1/referrals/{next_id}")).await.status, 200);
        let (earlier, later) =
            (traces(&app, "kredietbank", id.as_str().unwrap()).await, traces(&app, "smow", next_id).await);
        assert!(!later.iter().any(|trace| earlier.contains(trace)), "{earlier:?} {later:?}");
        assert!(!later.iter().any(|trace| trace == TRACE), "the sender's own trace leads from the one to the other");
        let own = traces(&app, "gemeente-wassenaar", next_id).await;
        assert!(own.iter().any(|trace| trace == TRACE), "the sender finds its own request in its own log: {own:?}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_a_case_belongs_to_nobodys_trace() {
    let app = TestApp::start().await;
    let Shared { referral, coordinators, .. } = of_the_municipality(&app).await;
    let invitation = json!({ "organisation": SMOW });
    assert_eq!(app.post("gemeente-wassenaar", format!("{coordinators}/participants"), invitation).await.status, 201);
    let stepped_up =
        app.post("gemeente-wassenaar", format!("{coordinators}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(stepped_up.status, 201, "{}", stepped_up.text);
    crate::cases::complete(&app, "kredietbank", &referral).await;
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await.status, 201);
    for (who, kinds) in
        [("smow", &["participant-invited", "stepped-up", "closed"][..]), ("kredietbank", &["stepped-up", "closed"])]
    {
        for kind in kinds {
            let events = told(&app, who, kind).await;
            assert_eq!(events.len(), 1, "{who} {kind}");
            assert!(events[0].get("traceparent").is_none(), "{who}: {}", events[0]);
        }
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_participant_sees_nothing_of_a_case_that_changes_with_what_it_does_not_see() {
    let app = TestApp::start().await;
    let Shared { referral, coordinators, banks } = of_the_municipality(&app).await;
    let tag = async |who: &str, path: &str| app.get(who, path).await.headers["etag"].clone();
    let (before, coordinators_before) =
        (tag("kredietbank", &banks).await, tag("gemeente-wassenaar", &coordinators).await);
    assert_ne!(before, coordinators_before, "two readers cannot recognise a case by its tag");
    let participants = format!("{coordinators}/participants");
    assert_eq!(app.post("gemeente-wassenaar", &participants, json!({ "organisation": SMOW })).await.status, 201);
    let offer = json!({ "organisation": SMOW });
    assert_eq!(app.post("gemeente-wassenaar", format!("{coordinators}/coordinators"), offer).await.status, 201);
    assert_eq!(tag("kredietbank", &banks).await, before, "who else is invited, or asked, is the coordinator's affair");
    assert_ne!(tag("gemeente-wassenaar", &coordinators).await, coordinators_before);
    let seen = app.get("kredietbank", &banks).await;
    assert!(seen.body.get("version").is_none(), "{}", seen.text);
    crate::cases::complete(&app, "kredietbank", &referral).await;
    assert_eq!(tag("kredietbank", &banks).await, before, "that nothing is open in it is the coordinator's affair too");
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await.status, 201);
    assert_ne!(tag("kredietbank", &banks).await, before, "that it was closed is not");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_before_a_participant_came_and_why_is_not_its_affair() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let step_ups = format!("{coordinators}/step-ups");
    let up = async || app.post("gemeente-wassenaar", &step_ups, json!({ "reason": "disagreement" })).await;
    assert_eq!(up().await.status, 201);
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{coordinators}/step-downs")).await.status, 201);
    app.app().clock.advance(Duration::from_hours(24));
    assert_eq!(up().await.status, 201);
    let invitation = json!({ "organisation": SMOW });
    assert_eq!(app.post("gemeente-wassenaar", format!("{coordinators}/participants"), invitation).await.status, 201);
    let smows = told(&app, "smow", "participant-invited").await[0]["data"]["case"].as_str().unwrap().to_owned();
    let coordinators_list = app.get("gemeente-wassenaar", &step_ups).await;
    assert_eq!(coordinators_list.body["items"].as_array().unwrap().len(), 2, "{}", coordinators_list.text);
    assert_eq!(coordinators_list.body["items"][0]["reason"], "disagreement");
    for (who, path) in [("smow", format!("/v1/cases/{smows}")), ("kredietbank", banks)] {
        let list = app.get(who, format!("{path}/step-ups")).await;
        let items = list.body["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "that it is stepped up now: {}", list.text);
        let case = app.get(who, &path).await;
        assert!(case.body["steppedUp"]["until"].is_string(), "{}", case.text);
        for shown in [&items[0]["reason"], &case.body["steppedUp"]["reason"]] {
            assert_eq!(*shown, Value::Null, "{who}: why is between the coordinator and the director");
        }
        let present = app.get(who, format!("{path}/coordinators")).await;
        let since = present.text_at("/items/0/since").unwrap();
        let own = app.get("gemeente-wassenaar", format!("{coordinators}/coordinators")).await;
        assert_ne!(since, own.text_at("/items/0/since").unwrap(), "the day, not the moment");
        for moment in [since, items[0]["at"].as_str().unwrap()] {
            let moment: sluis::clock::Timestamp = moment.parse().unwrap();
            assert_eq!(moment.as_micros() % 3_600_000_000, 0, "{who}: a day, not a moment");
        }
    }
    for event in told(&app, "kredietbank", "stepped-up").await {
        assert!(event["data"].get("reason").is_none(), "{event}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliases_of_one_moment_are_not_to_be_recognised_by_it() {
    let app = TestApp::start().await;
    let mut milliseconds = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
        for path in [&coordinators, &banks] {
            let alias: uuid::Uuid = path.rsplit('/').next().unwrap().parse().unwrap();
            let (seconds, nanoseconds) = alias.get_timestamp().unwrap().to_unix();
            assert_eq!((seconds % 86_400, nanoseconds), (0, 0), "{path}: the day alone");
            milliseconds.insert(seconds);
        }
        app.app().clock.advance(Duration::from_hours(1));
    }
    assert!(milliseconds.len() <= 2);
    cases::sweep(app.app()).await.unwrap();
    let listed = app.get("kredietbank", "/v1/cases").await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 3, "{}", listed.text);
    finish(app).await;
}
