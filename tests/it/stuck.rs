//! Referrals that their parties do not get further: whoever coordinates the case or directs it may, sees no more than it must, and what
//! became late is found whenever a gateway looks, by however many.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sluis::args;
use sluis::cases;
use sluis::demo::client::{Answer, Request};
use sluis::referrals::watch;
use sluis::storage::Query as _;

use crate::app::{KREDIETBANK, KWADRAAD, MEE, MUNICIPALITY, SMOW, TestApp, by_consent, consent};
use crate::chain::{count, debts_at_the_bank, events, let_pass_of, step};
use crate::consistency::{Neighbour, set_status, the_log_holds};
use crate::operations::soon;

const DAY: Duration = Duration::from_hours(24);
const NO_ID: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001";
/// What nobody sees of a referral of others.
const HIDDEN: [&str; 11] = [
    "purpose",
    "phase",
    "legalBasis",
    "subject",
    "priority",
    "statusReason",
    "outcome",
    "decision",
    "receipt",
    "basedOn",
    "sections",
];

/// A case that SMOW coordinates, in which the credit bank takes part and has sent on to somebody else.
struct Household {
    /// The case, as SMOW knows it and as the bank does.
    smows: String,
    banks: String,
    /// What the bank sent.
    referral: String,
}

fn step_up() -> Value {
    json!({ "businessStatus": "stepped-up" })
}

fn case_of(answer: &Answer) -> String {
    format!("/v1/cases/{}", answer.text_at("/caseId").unwrap())
}

fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// A referral by SMOW to the credit bank, by its path, and the case that SMOW opened with it.
async fn from_smow(app: &TestApp) -> (String, String) {
    let record = consent(app, KREDIETBANK, "debt-counselling", &["question"]);
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
    let created = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["question"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    (created.headers["location"].clone(), case_of(&created))
}

/// The bank sends to `recipient`, for which it has the resident's consent; the same for going on to MEE.
async fn household(app: &TestApp, recipient: &str, purpose: &str) -> Household {
    let (first, smows) = from_smow(app).await;
    assert_eq!(step(app, "kredietbank", &first, json!({ "status": "accepted" })).await.status, 201);
    let banks = case_of(&app.get("kredietbank", &first).await);
    let mut record = consent(app, recipient, purpose, &["question"]);
    if recipient != MEE {
        record["recipients"] = json!([recipient, MEE]);
        record["purposes"] = json!([purpose, "client-support"]);
    }
    assert_eq!(app.post("kredietbank", "/v1/consents", record).await.status, 201);
    let mut onward = by_consent(recipient, purpose);
    onward["caseId"] = json!(id_of(&banks));
    let created = app.refer("kredietbank", onward, &["question"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    Household { smows, banks, referral: created.headers["location"].clone() }
}

async fn reject(app: &TestApp, who: &str, referral: &str) {
    let rejected = step(app, who, referral, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    assert_eq!(rejected.status, 201, "{}", rejected.text);
}

async fn twice_late(app: &TestApp, party: &str, referral: &str) {
    let_pass_of(app, party, referral).await;
    let_pass_of(app, party, referral).await;
}

/// What everybody gets for whom it does not exist.
async fn does_not_exist_for(app: &TestApp, who: &str, referral: &str) {
    for part in ["", "/updates", "/sections", "/supplements"] {
        let refused = app.get(who, format!("{referral}{part}")).await;
        let missing = app.get(who, format!("/v1/referrals/{NO_ID}{part}")).await;
        assert_eq!((refused.status, &refused.body), (404, &missing.body), "{who} {part}");
    }
    let elsewhere = json!({ "recipient": MEE, "purpose": "client-support", "legalBasis": "consent" });
    for (part, body) in [
        ("step-ups", step_up()),
        ("reassignments", elsewhere),
        ("resolutions", json!({ "outcome": "not-helped" })),
        ("updates", json!({ "status": "cancelled", "statusReason": "party-cannot-act" })),
    ] {
        let refused = app.post(who, format!("{referral}/{part}"), body.clone()).await;
        let missing = app.post(who, format!("/v1/referrals/{NO_ID}/{part}"), body).await;
        assert_eq!((refused.status, &refused.body), (404, &missing.body), "{who} {part}: {}", refused.text);
    }
}

/// That `who`, no party, sees status and route and nothing else.
async fn sees_the_route_only(app: &TestApp, who: &str, referral: &str, words: &[&str]) -> Answer {
    let seen = app.get(who, referral).await;
    assert_eq!(seen.status, 200, "{who}: {}", seen.text);
    for hidden in HIDDEN {
        assert!(seen.body.get(hidden).is_none(), "{who} sees {hidden}");
    }
    assert_eq!(seen.body["caseId"], json!(null));
    let steps = app.get(who, format!("{referral}/updates")).await;
    assert_eq!(steps.status, 200, "{}", steps.text);
    for update in steps.body["items"].as_array().unwrap() {
        assert_eq!(update["categories"], json!([]), "{update}");
        let single = app.get(who, format!("{referral}/updates/{}", update["id"].as_str().unwrap())).await;
        for of in [update, &single.body] {
            assert!(of.get("statusReason").is_none_or(Value::is_null) && of.get("decision").is_none(), "{of}");
            assert!(of["dueAt"].is_null() || of["holder"].as_str() == oin_of(who), "terms tell of purposes: {of}");
        }
        assert_eq!(
            app.get(who, format!("{referral}/updates/{}/sections", update["id"].as_str().unwrap())).await.status,
            404
        );
    }
    assert_eq!(app.get(who, format!("{referral}/sections")).await.status, 404, "no content");
    for word in words {
        assert!(!seen.text.contains(word) && !steps.text.contains(word), "{who} sees {word}");
    }
    seen
}

fn oin_of(who: &str) -> Option<&'static str> {
    [("smow", SMOW), ("gemeente-wassenaar", MUNICIPALITY)]
        .into_iter()
        .find_map(|(slug, oin)| (slug == who).then_some(oin))
}

async fn stuck_of(app: &TestApp, who: &str, case: &str) -> Value {
    let seen = app.get(who, case).await;
    assert_eq!(seen.status, 200, "{who}: {}", seen.text);
    seen.body["stuckReferrals"].clone()
}

async fn finish(app: TestApp) {
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_is_no_party_gets_a_stuck_referral_further_and_sees_status_and_route_only() {
    let app = TestApp::start().await;
    let Household { smows, banks, referral } = household(&app, MEE, "client-support").await;
    reject(&app, "mee", &referral).await;
    twice_late(&app, "kredietbank", &referral).await;
    assert_eq!(stuck_of(&app, "smow", &smows).await, json!([id_of(&referral)]));
    assert_eq!(stuck_of(&app, "kredietbank", &banks).await, json!(null), "the coordinator's");
    let seen = sees_the_route_only(&app, "smow", &referral, &["client-support", "no-capacity"]).await;
    assert_eq!((&seen.body["sender"], &seen.body["recipient"]), (&json!(KREDIETBANK), &json!(MEE)));
    assert_eq!((&seen.body["holder"], &seen.body["dueAt"]), (&json!(KREDIETBANK), &json!(null)));
    for who in ["jgz", "gemeente-wassenaar", "kwadraad"] {
        does_not_exist_for(&app, who, &referral).await;
    }
    // Of its steps there is one; the parties have none that is not theirs.
    let resolve = app.post("smow", format!("{referral}/resolutions"), json!({ "outcome": "not-helped" })).await;
    assert_eq!(resolve.status, 409, "{}", resolve.text);
    assert_eq!(resolve.body["allowedSteps"], json!([{ "operation": "step-ups", "status": null, "statusReasons": [] }]));
    assert_eq!(app.post("mee", format!("{referral}/step-ups"), step_up()).await.status, 409, "not its recipient");
    let mut request = Request::post(format!("{referral}/step-ups"), step_up());
    request.idempotency_key = Some("once".into());
    let stepped_up = app.ask("smow", request.clone()).await;
    assert_eq!((stepped_up.status, &stepped_up.body["holder"]), (201, &json!(MUNICIPALITY)), "{}", stepped_up.text);
    assert_eq!(stepped_up.body["dueAt"], json!(null));
    // Neither is it the coordinator's any more, nor does the municipality that holds it now see more than that did.
    does_not_exist_for(&app, "smow", &referral).await;
    assert_eq!(app.ask("smow", request).await.text, stepped_up.text, "its own answer, also now");
    assert_eq!(stuck_of(&app, "smow", &smows).await, json!([]));
    let seen = sees_the_route_only(&app, "gemeente-wassenaar", &referral, &["client-support", "no-capacity"]).await;
    assert!(seen.body["dueAt"].is_string(), "its own deadline");
    for who in ["kredietbank", "mee", "gemeente-wassenaar"] {
        let told = events(&app, who).await;
        assert!(told.iter().any(|(_, data)| data["operation"] == "step-ups"), "{who}: {told:?}");
    }
    let sql = "SELECT id FROM audit_records WHERE referral = $1 AND organisation IN ($2, $3) \
               AND COALESCE(purpose, subject, sections, decision, legal_basis, status_reason) IS NOT NULL";
    let told_more = app.app().db.reader().rows(sql, args![id_of(&referral), SMOW, MUNICIPALITY]).await.unwrap();
    assert_eq!(told_more.len(), 0, "nor do their records");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_that_is_not_stuck_exists_for_its_parties_alone() {
    let app = TestApp::start().await;
    let Household { smows, referral, .. } = household(&app, MEE, "client-support").await;
    does_not_exist_for(&app, "smow", &referral).await;
    reject(&app, "mee", &referral).await;
    does_not_exist_for(&app, "smow", &referral).await;
    let_pass_of(&app, "kredietbank", &referral).await;
    does_not_exist_for(&app, "smow", &referral).await;
    assert_eq!(stuck_of(&app, "smow", &smows).await, json!([]), "once is no silence");
    let_pass_of(&app, "kredietbank", &referral).await;
    assert_eq!(app.get("smow", &referral).await.status, 200);
    // Somebody else coordinates: it is theirs to know, and no longer the former one's.
    let offer = json!({ "organisation": KREDIETBANK });
    assert_eq!(app.post("smow", format!("{smows}/coordinators"), offer).await.status, 201);
    let banks = case_of(&app.get("kredietbank", &referral).await);
    let accept = app.post("kredietbank", format!("{banks}/coordinators/acceptances"), json!({})).await;
    assert_eq!(accept.status, 201, "{}", accept.text);
    does_not_exist_for(&app, "smow", &referral).await;
    assert_eq!(stuck_of(&app, "smow", &smows).await, json!(null));
    assert_eq!(stuck_of(&app, "kredietbank", &banks).await, json!([id_of(&referral)]));
    // The one who was silent acts: nobody has to help any more.
    let resolved = app.post("kredietbank", format!("{referral}/resolutions"), json!({ "outcome": "not-helped" })).await;
    assert_eq!(resolved.status, 201, "{}", resolved.text);
    assert_eq!(stuck_of(&app, "kredietbank", &banks).await, json!([]));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_reassigns_in_the_name_of_the_sender_without_seeing_what_is_decided() {
    let app = TestApp::start().await;
    let Household { smows, referral, .. } = household(&app, KWADRAAD, "social-work").await;
    twice_late(&app, "kredietbank", &referral).await;
    assert_eq!(stuck_of(&app, "smow", &smows).await, json!([id_of(&referral)]));
    let elsewhere =
        |recipient: &str, purpose: &str| json!({ "recipient": recipient, "purpose": purpose, "legalBasis": "consent" });
    let reassign = |who: &'static str, body: Value| app.post(who, format!("{referral}/reassignments"), body);
    assert_eq!(reassign("kwadraad", elsewhere(MEE, "client-support")).await.status, 409, "not its recipient");
    assert_eq!(reassign("jgz", elsewhere(MEE, "client-support")).await.status, 404);
    let refused = reassign("smow", elsewhere(SMOW, "welfare-support")).await;
    assert_eq!((refused.status, refused.body.get("decision")), (403, None), "no consent, and no word of why");
    assert_eq!(app.get("kredietbank", &referral).await.body["status"], "requested", "nothing has changed");
    let child = reassign("smow", elsewhere(MEE, "client-support")).await;
    assert_eq!((child.status, &child.body["sender"]), (201, &json!(KREDIETBANK)), "{}", child.text);
    for hidden in HIDDEN {
        assert!(child.body.get(hidden).is_none(), "{hidden}");
    }
    assert_eq!((&child.body["caseId"], &child.body["dueAt"]), (&json!(null), &json!(null)));
    let new = child.headers["location"].clone();
    for gone in [&new, &referral] {
        does_not_exist_for(&app, "smow", gone).await;
    }
    // Its sender has it, and is told; whoever had it before is not told who has it now.
    let senders = app.get("kredietbank", &new).await;
    assert_eq!(
        (&senders.body["purpose"], &senders.body["basedOn"]),
        (&json!("client-support"), &json!(id_of(&referral)))
    );
    assert!(senders.body["decision"].is_object() && senders.body["receipt"].is_string(), "{}", senders.text);
    assert_eq!(case_of(&senders), case_of(&app.get("kredietbank", &referral).await));
    for who in ["kredietbank", "kwadraad"] {
        let told = events(&app, who).await;
        assert!(told.iter().any(|(_, data)| data["operation"] == "reassignments"), "{who}: {told:?}");
    }
    let parents = app.get("kwadraad", &referral).await;
    assert_eq!(parents.body["statusReason"], "reassigned");
    assert!(!parents.text.contains(MEE));
    let sql = "SELECT organisation FROM audit_records WHERE organisation <> $1 AND client_id = $1";
    let named = app.app().db.reader().rows(sql, args![SMOW]).await.unwrap();
    assert_eq!(named.len(), 0, "no record of others names the system that asked");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_coordinator_is_passed_over_by_the_process_director_and_an_overdue_municipality_is_reported() {
    const REPORTED: &str = "nl.sluis.handoff.overdue-at-municipality.v1";
    let app = TestApp::start().await;
    let (referral, smows) = from_smow(&app).await;
    reject(&app, "kredietbank", &referral).await;
    twice_late(&app, "smow", &referral).await;
    does_not_exist_for(&app, "gemeente-wassenaar", &referral).await;
    // It is first the coordinator's turn; that stays silent too.
    app.app().clock.advance(10 * DAY);
    watch::deadlines(app.app()).await.unwrap();
    cases::sweep(app.app()).await.unwrap();
    let told = events(&app, "gemeente-wassenaar").await;
    let (_, overdue) = told.iter().find(|(kind, _)| kind == "nl.sluis.case.coordinator-overdue.v1").unwrap();
    let directors = format!("/v1/cases/{}", overdue["case"].as_str().unwrap());
    assert_eq!(stuck_of(&app, "gemeente-wassenaar", &directors).await, json!([id_of(&referral)]));
    sees_the_route_only(&app, "gemeente-wassenaar", &referral, &["debt-counselling", "no-capacity"]).await;
    does_not_exist_for(&app, "mee", &referral).await;
    let stepped_up = app.post("gemeente-wassenaar", format!("{referral}/step-ups"), step_up()).await;
    assert_eq!((stepped_up.status, &stepped_up.body["holder"]), (201, &json!(MUNICIPALITY)), "{}", stepped_up.text);
    assert_eq!(stuck_of(&app, "smow", &smows).await, json!([]), "somebody has it");
    sees_the_route_only(&app, "gemeente-wassenaar", &referral, &["debt-counselling", "no-capacity"]).await;
    // The municipality has a deadline like everybody, and its privacy officer hears when it passes.
    assert_eq!(count(&app, "privacy-officer", REPORTED).await, 0);
    for times in 1..=2 {
        let_pass_of(&app, "gemeente-wassenaar", &referral).await;
        watch::deadlines(app.app()).await.unwrap();
        assert_eq!(count(&app, "privacy-officer", REPORTED).await, times);
    }
    let told = events(&app, "privacy-officer").await;
    let (_, report) = told.iter().find(|(kind, _)| kind == REPORTED).unwrap();
    assert_ne!(report["handoff"].as_str().unwrap(), id_of(&referral), "by an id of its own");
    assert_eq!(count(&app, "gemeente-wassenaar", REPORTED).await, 0, "not over who was late");
    for who in ["smow", "kredietbank"] {
        assert_eq!(count(&app, who, REPORTED).await, 0, "{who}");
        assert_eq!(count(&app, who, "nl.sluis.referral.overdue.v1").await, 5, "{who}: told of each as a party");
    }
    let again = app.post("gemeente-wassenaar", format!("{referral}/step-ups"), step_up()).await;
    assert_eq!(again.status, 409, "no time is gained: {}", again.text);
    let resolved =
        app.post("gemeente-wassenaar", format!("{referral}/resolutions"), json!({ "outcome": "not-helped" }));
    assert_eq!(resolved.await.status, 201);
    does_not_exist_for(&app, "gemeente-wassenaar", &referral).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_else_may_have_the_process_director_gives_back_to_its_sender() {
    let app = TestApp::start().await;
    let (referral, smows) = from_smow(&app).await;
    assert_eq!(step(&app, "kredietbank", &referral, json!({ "status": "accepted" })).await.status, 201);
    twice_late(&app, "smow", &referral).await;
    let call_off = json!({ "status": "cancelled", "statusReason": "party-cannot-act" });
    assert_eq!(step(&app, "smow", &referral, call_off.clone()).await.status, 400, "not a reason of a party");
    assert_eq!(app.post("smow", format!("{smows}/step-ups"), json!({ "reason": "overdue" })).await.status, 201);
    let given_back = step(&app, "gemeente-wassenaar", &referral, call_off).await;
    assert_eq!((given_back.status, &given_back.body["holder"]), (201, &json!(SMOW)), "{}", given_back.text);
    does_not_exist_for(&app, "gemeente-wassenaar", &referral).await;
    assert_eq!(app.get("kredietbank", &referral).await.body["status"], "cancelled");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_late_while_no_gateway_ran_is_found_with_the_first_look_and_told_once() {
    const OVERDUE: &str = "nl.sluis.referral.overdue.v1";
    const PROPOSED: &str = "nl.sluis.case.step-up-proposed.v1";
    let mut app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    for times in 1..=2 {
        app = app.stand_still(20 * DAY).await;
        // Nobody asks it to look.
        soon("the first look", async || count(&app, "kredietbank", OVERDUE).await == times).await;
        watch::deadlines(app.app()).await.unwrap();
        for who in ["gemeente-wassenaar", "kredietbank"] {
            assert_eq!(count(&app, who, OVERDUE).await, times, "{who}: once, however many terms would have fitted");
        }
        assert_eq!(count(&app, "gemeente-wassenaar", "nl.sluis.handoff.overdue.v1").await, times);
        assert_eq!(count(&app, "gemeente-wassenaar", PROPOSED).await, usize::from(times == 2), "to the coordinator");
        let seen = app.get("kredietbank", &path).await;
        assert_eq!((&seen.body["holder"], &seen.body["businessStatus"]), (&json!(KREDIETBANK), &json!("overdue")));
        let due: sluis::clock::Timestamp = seen.body["dueAt"].as_str().unwrap().parse().unwrap();
        assert!(due > app.app().now(), "a deadline lies ahead again");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_that_look_at_once_tell_a_missed_deadline_once() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let paths = [debts_at_the_bank(&app).await, debts_at_the_bank(&app).await, debts_at_the_bank(&app).await];
    for times in 1..=2 {
        app.app().clock.advance(20 * DAY);
        let looks = (0..6).map(|turn| watch::deadlines(if turn % 2 == 0 { app.app() } else { neighbour.app() }));
        join_all(looks).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        let told = paths.len() * times;
        for who in ["gemeente-wassenaar", "kredietbank"] {
            assert_eq!(count(&app, who, "nl.sluis.referral.overdue.v1").await, told, "{who}");
        }
        assert_eq!(count(&app, "gemeente-wassenaar", "nl.sluis.handoff.overdue.v1").await, told);
        let proposals = if times == 2 { paths.len() } else { 0 };
        assert_eq!(count(&app, "gemeente-wassenaar", "nl.sluis.case.step-up-proposed.v1").await, proposals);
    }
    // A holder that cannot act any more is replaced once too.
    assert_eq!(set_status(app.world(), KREDIETBANK, "suspended").await.status, 200);
    let looks = tokio::join!(watch::parties(app.app()), watch::parties(neighbour.app()));
    looks.0.and(looks.1).unwrap();
    for path in &paths {
        let steps = app.get("gemeente-wassenaar", format!("{path}/updates")).await;
        let of = |operation: &str| {
            steps.body["items"].as_array().unwrap().iter().filter(|update| update["operation"] == operation).count()
        };
        assert_eq!((of("deadline"), of("standing")), (2, 1), "{}", steps.text);
        assert_eq!(app.get("gemeente-wassenaar", path).await.body["holder"], MUNICIPALITY);
    }
    // Nor is the one who stands in forgotten, or told of twice.
    app.app().clock.advance(20 * DAY);
    let looks = (0..4).map(|turn| watch::deadlines(if turn % 2 == 0 { app.app() } else { neighbour.app() }));
    join_all(looks).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let reported = count(&app, "privacy-officer", "nl.sluis.handoff.overdue-at-municipality.v1").await;
    assert_eq!(reported, paths.len());
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purpose_with_terms_of_its_own_has_those_of_the_covenant_in_force() {
    let app = TestApp::start().await;
    let mut days = Vec::new();
    for (recipient, purpose) in [(KREDIETBANK, "debt-counselling"), (KWADRAAD, "social-work")] {
        let record = consent(&app, recipient, purpose, &["question"]);
        assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
        let sent = app.refer("smow", by_consent(recipient, purpose), &["question"]).await;
        assert_eq!(sent.status, 201, "{}", sent.text);
        let due = |answer: &Answer| answer.text_at("/dueAt").unwrap().parse::<sluis::clock::Timestamp>().unwrap();
        let between = |from, to| sluis::lifecycle::working_days::working_days_between(from, to);
        let received = between(app.app().now(), due(&sent));
        let path = sent.headers["location"].as_str();
        let slug = if recipient == KREDIETBANK { "kredietbank" } else { "kwadraad" };
        let picked_up = step(&app, slug, path, json!({ "status": "received" })).await;
        assert_eq!(picked_up.status, 201, "{}", picked_up.text);
        days.push((received, between(app.app().now(), due(&picked_up))));
    }
    // The day of the referral itself, where people work on it, is counted too.
    let today = u32::from(sluis::lifecycle::working_days::is_working_day(sluis::lifecycle::working_days::local_date(
        app.app().now(),
    )));
    assert_eq!(days, [(1, 10), (3, 5)].map(|(received, decided)| (received + today, decided + today)));
    finish(app).await;
}
