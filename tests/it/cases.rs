//! Cases over HTTP: who has anything to do with one, and who may do what in it.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::cases;
use sluis::demo::client::{Answer, Request};
use sluis::referrals::watch;

use crate::app::{BSN, KREDIETBANK, MEE, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::consistency::{Neighbour, post, set_status, the_log_holds};
use crate::wire::Wire;

pub const DAY: Duration = Duration::from_hours(24);
const NO_ID: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001";

/// Has `who` take a step that needs no body.
pub async fn step(app: &TestApp, who: &str, path: &str) -> Answer {
    let mut request = Request::get(path);
    request.method = reqwest::Method::POST;
    request.idempotency_key = Some(app.world().new_key().unwrap());
    app.ask(who, request).await
}

pub fn case_of(answer: &Answer) -> String {
    answer.text_at("/caseId").unwrap_or_else(|| panic!("no case in {}", answer.text)).to_owned()
}

pub async fn update(app: &TestApp, who: &str, referral: &str, body: Value) -> Answer {
    let answer = app.post(who, format!("{referral}/updates"), body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer
}

/// The recipient's alias, after it took the referral on.
pub async fn accept(app: &TestApp, who: &str, referral: &str) -> String {
    update(app, who, referral, json!({ "status": "accepted" })).await;
    format!("/v1/cases/{}", case_of(&app.get(who, referral).await))
}

pub async fn complete(app: &TestApp, who: &str, referral: &str) {
    update(app, who, referral, json!({ "status": "in-progress" })).await;
    update(app, who, referral, json!({ "status": "completed", "outcome": "helped" })).await;
}

/// A case in which the credit bank takes part, coordinated by who referred to it.
pub struct Shared {
    pub referral: String,
    /// The case, as each of the two knows it.
    pub coordinators: String,
    pub banks: String,
}

/// Coordinated by the municipality.
pub async fn of_the_municipality(app: &TestApp) -> Shared {
    let created = app.refer("gemeente-wassenaar", debts(), &["question", "finance"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let referral = created.headers["location"].clone();
    let banks = accept(app, "kredietbank", &referral).await;
    Shared { referral, coordinators: format!("/v1/cases/{}", case_of(&created)), banks }
}

/// Coordinated by SMOW, so that the municipality has nothing to do with it.
pub async fn of_smow(app: &TestApp) -> Shared {
    let record = consent(app, KREDIETBANK, "debt-counselling", &["question", "finance"]);
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
    let created = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["question", "finance"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let referral = created.headers["location"].clone();
    let banks = accept(app, "kredietbank", &referral).await;
    Shared { referral, coordinators: format!("/v1/cases/{}", case_of(&created)), banks }
}

/// A referral in a case, of this purpose, under the municipality's law.
pub fn within(case: &str, recipient: &str, purpose: &str) -> Value {
    json!({
        "recipient": recipient, "purpose": purpose, "phase": "case", "legalBasis": "wmo-2015",
        "subject": { "bsn": BSN, "ageGroup": "18-plus" }, "onWithheld": "reject",
        "caseId": case.rsplit('/').next().unwrap(),
    })
}

pub fn code(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.text_at("/code"))
}

pub fn withheld(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.text_at("/decision/sections/0/code"))
}

/// The events of this kind in a feed.
pub async fn told(app: &TestApp, who: &str, kind: &str) -> Vec<Value> {
    app.app().sequence().await.unwrap();
    let feed = app.get(who, "/v1/events?limit=1000").await;
    let kind = format!("nl.sluis.case.{kind}.v1");
    feed.body["items"].as_array().unwrap().iter().filter(|event| event["type"] == kind.as_str()).cloned().collect()
}

pub async fn finish(app: TestApp) {
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_learns_of_the_case_by_taking_the_referral_on_and_under_a_name_of_its_own() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["question", "finance"]).await;
    let (referral, own) = (created.headers["location"].clone(), case_of(&created));
    assert_eq!(app.get("gemeente-wassenaar", &referral).await.text_at("/caseId"), Some(own.as_str()));
    assert_eq!(app.get("kredietbank", format!("{referral}/sections")).await.status, 200);
    let before = app.get("kredietbank", &referral).await;
    assert_eq!(before.body["caseId"], json!(null), "picked up, not taken on");
    assert_eq!(app.get("kredietbank", "/v1/referrals").await.body["items"][0]["caseId"], json!(null));
    assert_eq!(app.get("kredietbank", "/v1/cases").await.body["items"], json!([]));
    let banks = accept(&app, "kredietbank", &referral).await;
    assert!(!banks.ends_with(&own), "an alias for each reader");
    let seen = app.get("kredietbank", &banks).await;
    assert_eq!((seen.status, &seen.body["roles"]), (200, &json!(["participant"])), "{}", seen.text);
    assert_eq!(seen.body["referrals"], json!([created.body["id"]]));
    for hidden in ["openReferrals", "openedAt", "offer", "stepUpProposal"] {
        assert!(seen.body.get(hidden).is_none(), "{hidden} is the coordinator's");
    }
    let list = app.get("kredietbank", "/v1/referrals").await;
    assert!(banks.ends_with(list.text_at("/items/0/caseId").unwrap()));
    // The alias of another reader is as unknown as one that nobody has.
    for (who, path) in [
        ("kredietbank", format!("/v1/cases/{own}")),
        ("gemeente-wassenaar", banks.clone()),
        ("smow", banks.clone()),
        ("smow", format!("/v1/cases/{own}")),
    ] {
        for part in ["", "/participants", "/coordinators", "/step-ups"] {
            let refused = app.get(who, format!("{path}{part}")).await;
            let missing = app.get(who, format!("/v1/cases/{NO_ID}{part}")).await;
            assert_eq!((refused.status, &refused.body), (404, &missing.body), "{who} {part}");
        }
        assert_eq!(step(&app, who, &format!("{path}/closures")).await.status, 404);
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn information_and_advice_opens_no_case_and_joins_none() {
    let app = TestApp::start().await;
    let case = of_the_municipality(&app).await;
    let advice = |case: Value| {
        let mut body = with_sections(within("/", SMOW, "information-and-advice"), &["contact"]);
        (body["phase"], body["caseId"]) = (json!("triage"), case);
        body
    };
    let alone = app.post("gemeente-wassenaar", "/v1/referrals", advice(json!(null))).await;
    assert_eq!((alone.status, &alone.body["caseId"]), (201, &json!(null)), "{}", alone.text);
    let joining = advice(json!(case.coordinators.rsplit('/').next()));
    let joining = app.post("gemeente-wassenaar", "/v1/referrals", joining).await;
    assert_eq!((joining.status, joining.text_at("/invalidParams/0/name")), (400, Some("caseId")), "{}", joining.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_joins_a_case_without_taking_part_in_it() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["question", "finance"]).await;
    let (referral, own) = (created.headers["location"].clone(), case_of(&created));
    let joining = |case: &str| {
        let mut body = with_sections(by_consent(MEE, "client-support"), &["question"]);
        body["caseId"] = json!(case);
        body
    };
    let banks = accept(&app, "kredietbank", &referral).await;
    let banks = banks.rsplit('/').next().unwrap();
    for (who, case) in [("smow", own.as_str()), ("smow", banks), ("kredietbank", &own), ("gemeente-wassenaar", banks)] {
        for path in ["/v1/referrals", "/v1/referrals/_check"] {
            let refused = app.post(who, path, joining(case)).await;
            let missing = app.post(who, path, joining(NO_ID)).await;
            assert_eq!((refused.status, &refused.body), (400, &missing.body), "{who} {path}");
            assert_eq!(refused.text_at("/invalidParams/0/name"), Some("caseId"));
        }
    }
    // Those who take part join, each by its own alias, and see the referrals that they are a party to.
    let mut debts = debts();
    debts["caseId"] = json!(own);
    let second = app.refer("gemeente-wassenaar", debts, &["finance"]).await;
    assert_eq!((second.status, case_of(&second)), (201, own.clone()), "{}", second.text);
    let shown = app.get("gemeente-wassenaar", format!("/v1/cases/{own}")).await;
    assert_eq!(shown.body["openReferrals"], 2);
    let banks = app.get("kredietbank", format!("/v1/cases/{banks}")).await;
    assert_eq!(banks.body["referrals"], json!([created.body["id"]]), "the second was not taken on");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_that_follows_on_another_stays_in_its_case() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["question", "finance"]).await;
    let referral = created.headers["location"].clone();
    let rejected = json!({ "status": "rejected", "statusReason": "no-capacity" });
    update(&app, "kredietbank", &referral, rejected).await;
    let mut onward = debts();
    onward["basedOn"] = created.body["id"].clone();
    let next = app.refer("gemeente-wassenaar", onward.clone(), &["finance"]).await;
    assert_eq!((next.status, case_of(&next)), (201, case_of(&created)), "{}", next.text);
    let case = app.get("gemeente-wassenaar", format!("/v1/cases/{}", case_of(&created))).await;
    assert_eq!(case.body["openReferrals"], 1, "{}", case.text);
    assert_eq!(case.body["idleUntil"], json!(null));
    // A recipient that never took it on opens a case of its own, and does not learn of the other.
    let record = consent(&app, MEE, "client-support", &["question"]);
    assert_eq!(app.post("kredietbank", "/v1/consents", record).await.status, 201);
    let mut own = by_consent(MEE, "client-support");
    own["basedOn"] = created.body["id"].clone();
    let own = app.refer("kredietbank", own, &["question"]).await;
    assert_eq!(own.status, 201, "{}", own.text);
    let own = app.get("kredietbank", format!("/v1/cases/{}", case_of(&own))).await;
    assert_eq!(own.text_at("/coordinator"), Some(KREDIETBANK));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_closed_only_by_its_coordinator_and_only_when_nothing_is_open() {
    let app = TestApp::start().await;
    let Shared { referral, coordinators, banks } = of_the_municipality(&app).await;
    let id = referral.rsplit('/').next().unwrap().to_owned();
    let open = step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await;
    assert_eq!(code(&open), (409, Some("still-open")), "{}", open.text);
    assert_eq!((&open.body["openReferrals"], &open.body["otherOpenReferrals"]), (&json!([id]), &json!(0)));
    let other = step(&app, "kredietbank", &format!("{banks}/closures")).await;
    assert_eq!(code(&other), (409, Some("step-not-allowed")), "{}", other.text);
    assert_eq!(other.body["allowedSteps"], json!([]));
    complete(&app, "kredietbank", &referral).await;
    let idle = app.get("gemeente-wassenaar", &coordinators).await;
    assert!(idle.body["idleUntil"].is_string(), "{}", idle.text);
    let mut stale = Request::post(format!("{coordinators}/closures"), json!({}));
    stale.idempotency_key = Some(app.world().new_key().unwrap());
    let closed = app.ask("gemeente-wassenaar", stale.clone()).await;
    assert_eq!((closed.status, closed.text_at("/operation")), (201, Some("close")), "{}", closed.text);
    assert_eq!(app.ask("gemeente-wassenaar", stale).await.text, closed.text, "a repeat happens once");
    assert_eq!(told(&app, "kredietbank", "closed").await.len(), 1);
    // Nothing joins it, nobody is invited to it, nobody closes it twice.
    let mut joining = debts();
    joining["caseId"] = json!(coordinators.rsplit('/').next());
    assert_eq!(code(&app.refer("gemeente-wassenaar", joining, &["finance"]).await), (409, Some("conflict")));
    let invitation = json!({ "organisation": SMOW });
    for (path, body) in [
        ("participants", invitation.clone()),
        ("coordinators", json!({ "organisation": KREDIETBANK })),
        ("meetings", json!({ "organisations": [SMOW] })),
        ("step-ups", json!({ "reason": "other" })),
    ] {
        let refused = app.post("gemeente-wassenaar", format!("{coordinators}/{path}"), body).await;
        assert_eq!(code(&refused), (409, Some("step-not-allowed")), "{path}: {}", refused.text);
    }
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await.status, 409);
    // What is reopened opens it.
    update(&app, "kredietbank", &referral, json!({ "status": "in-progress", "statusReason": "reopened" })).await;
    let again = app.get("gemeente-wassenaar", &coordinators).await;
    assert_eq!((again.text_at("/status"), &again.body["openReferrals"]), (Some("open"), &json!(1)), "{}", again.text);
    assert_eq!(told(&app, "gemeente-wassenaar", "reopened").await.len(), 1);
    assert_eq!(code(&step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await).0, 409);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coordination_is_taken_on_only_by_who_was_asked() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let offers = format!("{coordinators}/coordinators");
    for answer in ["acceptances", "refusals", "revocations"] {
        let refused = step(&app, "kredietbank", &format!("{banks}/coordinators/{answer}")).await;
        assert_eq!(code(&refused), (409, Some("step-not-allowed")), "{answer}: {}", refused.text);
    }
    for (whom, status) in [(SMOW, 400), (MUNICIPALITY, 400), ("00000099000000077000", 400), (KREDIETBANK, 201)] {
        let offered = app.post("gemeente-wassenaar", &offers, json!({ "organisation": whom })).await;
        assert_eq!(offered.status, status, "{whom}: {}", offered.text);
    }
    let by_another = app.post("kredietbank", format!("{banks}/coordinators"), json!({ "organisation": KREDIETBANK }));
    assert_eq!(code(&by_another.await), (409, Some("step-not-allowed")));
    let twice = app.post("gemeente-wassenaar", &offers, json!({ "organisation": KREDIETBANK })).await;
    assert_eq!(code(&twice), (409, Some("step-not-allowed")));
    assert_eq!(told(&app, "kredietbank", "coordination-offered").await.len(), 1);
    // Not answered in time: the coordinator stays.
    app.app().clock.advance(10 * DAY);
    cases::sweep(app.app()).await.unwrap();
    let late = step(&app, "kredietbank", &format!("{banks}/coordinators/acceptances")).await;
    assert_eq!(code(&late), (409, Some("step-not-allowed")), "{}", late.text);
    assert_eq!(told(&app, "gemeente-wassenaar", "offer-ended").await[0]["data"]["reason"], "lapsed");
    // Asked again, and taken on.
    assert_eq!(app.post("gemeente-wassenaar", &offers, json!({ "organisation": KREDIETBANK })).await.status, 201);
    assert_eq!(step(&app, "kredietbank", &format!("{banks}/coordinators/acceptances")).await.status, 201);
    let own = step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await;
    assert_eq!(code(&own), (409, Some("step-not-allowed")), "no longer its: {}", own.text);
    let seen = app.get("gemeente-wassenaar", &coordinators).await;
    assert_eq!(seen.text_at("/coordinator"), Some(KREDIETBANK));
    assert_eq!(seen.body["roles"], json!(["invited", "participant"]));
    let history = app.get("kredietbank", format!("{banks}/coordinators")).await;
    let who: Vec<_> =
        history.body["items"].as_array().unwrap().iter().map(|item| item["organisation"].clone()).collect();
    assert_eq!(who, [MUNICIPALITY, KREDIETBANK]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_part_is_seen_by_the_coordinator_and_by_nobody_else() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let participants = format!("{coordinators}/participants");
    for (whom, status) in
        [("00000099000000077000", 400), (MUNICIPALITY, 400), (SMOW, 201), (SMOW, 400), (KREDIETBANK, 201)]
    {
        let invited = app.post("gemeente-wassenaar", &participants, json!({ "organisation": whom })).await;
        assert_eq!(invited.status, status, "{whom}: {}", invited.text);
    }
    assert_eq!(set_status(app.world(), MEE, "suspended").await.status, 200);
    let suspended = app.post("gemeente-wassenaar", &participants, json!({ "organisation": MEE })).await;
    assert_eq!(suspended.status, 400, "only who is active");
    let by_participant =
        app.post("kredietbank", format!("{banks}/participants"), json!({ "organisation": SMOW })).await;
    assert_eq!(code(&by_participant), (409, Some("step-not-allowed")));
    let all = app.get("gemeente-wassenaar", &participants).await;
    assert_eq!(all.body["items"].as_array().unwrap().len(), 3, "{}", all.text);
    let few = app.get("kredietbank", format!("{banks}/participants")).await;
    assert!(!few.text.contains(SMOW) && few.text.contains(MUNICIPALITY), "{}", few.text);
    // SMOW knows it by the event alone, under an alias of its own, and may leave; then there is nothing any more.
    let invited = told(&app, "smow", "participant-invited").await;
    let smows = format!("/v1/cases/{}", invited[0]["data"]["case"].as_str().unwrap());
    assert_eq!(app.get("smow", &smows).await.body["roles"], json!(["invited"]));
    let bank = step(&app, "smow", &format!("{smows}/participants/{KREDIETBANK}/removals")).await;
    assert_eq!(code(&bank), (409, Some("step-not-allowed")), "only itself");
    let mut leave = Request::post(format!("{smows}/participants/{SMOW}/removals"), json!({}));
    leave.idempotency_key = Some("leaving".into());
    let left = app.ask("smow", leave.clone()).await;
    assert_eq!((left.status, left.text_at("/operation")), (201, Some("leave")), "{}", left.text);
    assert_eq!(app.get("smow", &smows).await.status, 404);
    assert_eq!(app.get("smow", "/v1/cases").await.body["items"], json!([]));
    assert_eq!(app.ask("smow", leave).await.text, left.text, "its own answer, also now");
    assert_eq!(told(&app, "gemeente-wassenaar", "participant-left").await.len(), 1);
    // Whoever takes part by a referral goes on when it is uninvited.
    let removal = step(&app, "gemeente-wassenaar", &format!("{participants}/{KREDIETBANK}/removals")).await;
    assert_eq!(removal.status, 201, "{}", removal.text);
    assert_eq!(app.get("kredietbank", &banks).await.body["roles"], json!(["participant"]));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meeting_invites_all_or_nobody() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let meetings = format!("{coordinators}/meetings");
    for bad in [json!([SMOW, MUNICIPALITY]), json!([SMOW, "00000099000000077000"])] {
        let refused = app.post("gemeente-wassenaar", &meetings, json!({ "organisations": bad })).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.text_at("/invalidParams/0/name"), Some("organisations[1]"));
    }
    let by_participant = app.post("kredietbank", format!("{banks}/meetings"), json!({ "organisations": [SMOW] })).await;
    assert_eq!(code(&by_participant), (409, Some("step-not-allowed")));
    assert_eq!(told(&app, "smow", "participant-invited").await, [Value::Null; 0]);
    for _ in 0..2 {
        let called = app.post("gemeente-wassenaar", &meetings, json!({ "organisations": [SMOW, KREDIETBANK] })).await;
        assert_eq!(called.status, 201, "{}", called.text);
    }
    assert_eq!(told(&app, "smow", "participant-invited").await.len(), 1);
    assert_eq!(told(&app, "smow", "meeting-called").await.len(), 2);
    // Both meetings are on record for all three, also the one that invited nobody any more.
    for (who, to) in [("smow", vec![SMOW; 2]), ("kredietbank", vec![KREDIETBANK; 2])] {
        assert_eq!(meetings_on_record(&app, who).await, to, "{who}");
    }
    let both = [[SMOW; 2], [KREDIETBANK; 2]].concat();
    assert_eq!(meetings_on_record(&app, "gemeente-wassenaar").await, both);
    finish(app).await;
}

/// Whom the meetings were for that the reader's own records tell of, in order.
async fn meetings_on_record(app: &TestApp, who: &str) -> Vec<String> {
    let page = app.get(who, "/v1/audit/records?kind=case&limit=1000").await;
    let own = page.body["items"].as_array().unwrap().iter().filter(|record| record["action"] == "call-meeting");
    let mut to: Vec<String> = own
        .map(|record| {
            assert_eq!(record["sender"], MUNICIPALITY, "{record}");
            record["recipient"].as_str().unwrap().to_owned()
        })
        .collect();
    to.sort_unstable();
    to
}

/// Lets the running deadline of a referral pass, and the gateway look.
pub async fn let_pass(app: &TestApp, referral: &str) {
    let due = app.get("smow", referral).await.text_at("/dueAt").unwrap().to_owned();
    let due: sluis::clock::Timestamp = due.parse().unwrap();
    let left = due.as_micros() - app.app().now().as_micros();
    app.world().clock().advance(Duration::from_micros(u64::try_from(left).unwrap()));
    watch::deadlines(app.app()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_comes_first_a_closed_case_holds_nothing_open() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    for _ in 0..4 {
        let Shared { referral, coordinators, .. } = of_the_municipality(&app).await;
        complete(&app, "kredietbank", &referral).await;
        let mut joining = with_sections(debts(), &["finance"]);
        joining["caseId"] = json!(coordinators.rsplit('/').next());
        let closing = format!("{coordinators}/closures");
        let reopening = json!({ "status": "in-progress", "statusReason": "reopened" });
        let (closed, joined, reopened) = tokio::join!(
            step(&app, "gemeente-wassenaar", &closing),
            post(&neighbour.world, "gemeente-wassenaar", "/v1/referrals", joining),
            app.post("kredietbank", format!("{referral}/updates"), reopening),
        );
        assert!([201, 409].contains(&closed.status), "{}", closed.text);
        assert!([201, 409].contains(&joined.status), "{}", joined.text);
        assert_eq!(reopened.status, 201, "{}", reopened.text);
        let case = app.get("gemeente-wassenaar", &coordinators).await;
        let open = 1 + u64::from(joined.status == 201);
        assert_eq!(
            (case.text_at("/status"), &case.body["openReferrals"]),
            (Some("open"), &json!(open)),
            "{}",
            case.text
        );
        assert_eq!(case.body["idleUntil"], json!(null), "{}", case.text);
    }
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_step_at_once_on_two_gateways_the_second_sees_what_the_first_did() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    for _ in 0..3 {
        let offer = json!({ "organisation": KREDIETBANK });
        let path = format!("{coordinators}/coordinators");
        assert_eq!(app.post("gemeente-wassenaar", &path, offer).await.status, 201);
        let (refusal, revocation) = (format!("{banks}/coordinators/refusals"), format!("{path}/revocations"));
        let (refused, revoked) = tokio::join!(
            step(&app, "kredietbank", &refusal),
            post(&neighbour.world, "gemeente-wassenaar", &revocation, json!({})),
        );
        let mut statuses = [refused.status, revoked.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", refused.text, revoked.text);
    }
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_on_what_has_changed_are_refused() {
    let app = TestApp::start().await;
    let Shared { coordinators, .. } = of_the_municipality(&app).await;
    let etag = app.get("gemeente-wassenaar", &coordinators).await.headers["etag"].clone();
    let path = format!("{coordinators}/participants");
    assert_eq!(app.post("gemeente-wassenaar", &path, json!({ "organisation": SMOW })).await.status, 201);
    assert_ne!(app.get("gemeente-wassenaar", &coordinators).await.headers["etag"], etag);
    let wire = Wire::of(&app, "gemeente-wassenaar");
    let token = app.world().client("gemeente-wassenaar").unwrap().token(None).await.unwrap();
    let stale = wire.request("POST", &path).bearer_auth(&token).header("idempotency-key", "stale");
    let stale = stale.header("if-match", &etag).json(&json!({ "organisation": MEE }));
    let stale = wire.send(stale).await;
    assert_eq!((stale.status, stale.code()), (412, "precondition-failed"), "{}", stale.text);
    // The same key for another step is another step; the same with another body is refused.
    let mut request = Request::post(path, json!({ "organisation": MEE }));
    request.idempotency_key = Some("twice".into());
    let first = app.ask("gemeente-wassenaar", request.clone()).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(app.ask("gemeente-wassenaar", request.clone()).await.text, first.text);
    request.body = Some(json!({ "organisation": KREDIETBANK }));
    assert_eq!(code(&app.ask("gemeente-wassenaar", request).await), (409, Some("idempotency-key-reused")));
    finish(app).await;
}
