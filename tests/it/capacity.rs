//! Capacity notices: who takes nobody in is said before anything is sent, with those who would; and it refuses nothing.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sluis::clock::Timestamp;
use sluis::demo::client::{Answer, Request};
use sluis::demo::world::World;
use sluis::lifecycle::Day;
use sluis::lifecycle::working_days::{after_days, end_of_day, local_date};
use sluis::referrals::watch;

use crate::app::{BSN, KREDIETBANK, MEE, MUNICIPALITY, SMOW, TestApp, consent, debts, with_sections};
use crate::consistency::{Neighbour, clients, post, set_status, the_log_holds};

const KWADRAAD: &str = "00000099000000003000";
const JGZ: &str = "00000099000000005000";
const GGD: &str = "00000099000000010000";
const NOTICES: &str = "/v1/capacity-notices";
const ADVICE: &str = "information-and-advice";

/// The day so many days from today, in Amsterdam.
fn day(app: &TestApp, days: u32) -> String {
    Day::of(after_days(app.app().now(), days).minus(Duration::from_secs(1))).to_string()
}

fn no_intake(purpose: &str, until: &str) -> Value {
    json!({ "purpose": purpose, "kind": "no-intake", "until": until })
}

fn waiting(weeks: u32, until: &str) -> Value {
    json!({ "purpose": ADVICE, "kind": "waiting-list", "expectedWaitWeeks": weeks, "until": until })
}

async fn announced(app: &TestApp, who: &str, body: Value) -> Answer {
    let answer = app.post(who, NOTICES, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer
}

/// Ends the notice at this path early.
fn ending(path: &str, key: String) -> Request {
    Request { body: None, idempotency_key: Some(key), ..Request::post(format!("{path}/endings"), Value::Null) }
}

async fn end(app: &TestApp, who: &str, notice: &Answer) -> Answer {
    app.ask(who, ending(&notice.headers["location"], app.world().new_key().unwrap())).await
}

/// How a resident can be reached, for information and advice; any party may ask any other, the municipality by law.
fn advice(recipient: &str) -> Value {
    let referral = json!({
        "recipient": recipient, "purpose": ADVICE, "phase": "triage", "legalBasis": "wmo-2015",
        "subject": { "bsn": BSN, "ageGroup": "18-plus" }, "onWithheld": "reject",
    });
    with_sections(referral, &["contact"])
}

/// The same by consent.
fn advice_by_consent(recipient: &str) -> Value {
    let mut referral = advice(recipient);
    referral["legalBasis"] = json!("consent");
    referral
}

async fn check(app: &TestApp, who: &str, referral: &Value) -> Answer {
    let answer = app.ask(who, Request::post("/v1/referrals/_check", referral.clone())).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

/// Who is named instead, each with the weeks that people wait there.
fn instead(answer: &Answer) -> Vec<(&str, Option<u64>)> {
    let named = answer.body["capacity"]["alternatives"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    named.iter().map(|one| (one["organisation"].as_str().unwrap(), one["expectedWaitWeeks"].as_u64())).collect()
}

/// The ids of the notices that hold.
async fn listed(app: &TestApp, query: &str) -> Vec<String> {
    let page = app.get("gemeente-wassenaar", format!("{NOTICES}{query}")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page.body["items"].as_array().unwrap().iter().map(|notice| notice["id"].as_str().unwrap().to_owned()).collect()
}

fn id(answer: &Answer) -> &str {
    answer.text_at("/id").unwrap()
}

async fn status(app: &TestApp, notice: &Answer) -> String {
    let seen = app.get("gemeente-wassenaar", &notice.headers["location"]).await;
    seen.text_at("/status").unwrap_or_else(|| panic!("{}", seen.text)).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nobody_in_is_said_beside_the_decision_with_those_who_would_and_refuses_nothing() {
    let app = TestApp::start().await;
    let before = check(&app, "gemeente-wassenaar", &advice(KWADRAAD)).await;
    assert!(before.body.get("capacity").is_none(), "nothing was announced: {}", before.text);
    let notice = announced(&app, "kwadraad", no_intake(ADVICE, &day(&app, 30))).await;
    assert_eq!(notice.body["organisation"], KWADRAAD);
    assert_eq!((&notice.body["status"], &notice.body["expectedWaitWeeks"]), (&json!("active"), &json!(null)));

    let checked = check(&app, "gemeente-wassenaar", &advice(KWADRAAD)).await;
    assert_eq!(checked.body["capacity"]["notice"], notice.body);
    assert_eq!(instead(&checked), [(SMOW, None), (MEE, None), (JGZ, None), (KREDIETBANK, None)]);
    let smow = app.get("jgz", format!("/v1/organisations/{SMOW}")).await;
    assert_eq!(checked.body["capacity"]["alternatives"][0]["name"], smow.body["name"]);
    assert_eq!(checked.body["decision"]["outcome"], "permitted");
    assert_eq!(checked.body["decision"]["sections"], before.body["decision"]["sections"], "it decides nothing");

    let created = app.post("gemeente-wassenaar", "/v1/referrals", advice(KWADRAAD)).await;
    assert_eq!((created.status, &created.body["status"]), (201, &json!("requested")), "{}", created.text);
    assert_eq!(created.body["capacity"], checked.body["capacity"]);
    for who in ["gemeente-wassenaar", "kwadraad"] {
        let seen = app.get(who, &created.headers["location"]).await;
        assert!(seen.status == 200 && seen.body.get("capacity").is_none(), "only where it is created: {}", seen.text);
    }
    // Another recipient, and the same one for another purpose, have nothing to do with it.
    for other in [advice(SMOW), with_sections(debts(), &["finance"])] {
        assert!(check(&app, "gemeente-wassenaar", &other).await.body.get("capacity").is_none());
    }
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instead_comes_who_has_room_then_who_lets_wait_the_shortest_and_nobody_who_cannot() {
    let app = TestApp::start().await;
    let until = day(&app, 30);
    announced(&app, "kwadraad", no_intake(ADVICE, &until)).await;
    announced(&app, "smow", no_intake(ADVICE, &until)).await;
    announced(&app, "mee", waiting(6, &until)).await;
    announced(&app, "jgz", waiting(2, &until)).await;
    // Registered and named in the covenant, but it has not signed.
    let ggd = app.post("administrator", "/v1/organisations", json!({ "id": GGD, "name": "GGD" })).await;
    assert_eq!(ggd.status, 201, "{}", ggd.text);

    let to_kwadraad = async || check(&app, "gemeente-wassenaar", &advice(KWADRAAD)).await;
    let all = [(KREDIETBANK, None), (JGZ, Some(2)), (MEE, Some(6))];
    assert_eq!(instead(&to_kwadraad().await), all);
    let to_mee = check(&app, "gemeente-wassenaar", &advice(MEE)).await;
    assert_eq!(to_mee.body["capacity"]["notice"]["expectedWaitWeeks"], 6);
    assert_eq!(instead(&to_mee), all[..2], "where one waits shorter");
    let to_jgz = check(&app, "gemeente-wassenaar", &advice(JGZ)).await;
    assert_eq!(instead(&to_jgz), all[..1]);

    for (suspended, left) in [(KREDIETBANK, &all[1..]), (JGZ, &all[2..])] {
        assert_eq!(set_status(app.world(), suspended, "suspended").await.status, 200);
        assert_eq!(instead(&to_kwadraad().await), left, "{suspended} is out");
    }
    assert_eq!(listed(&app, "").await.len(), 3, "what one who is out has announced does not matter");
    let to_jgz = check(&app, "gemeente-wassenaar", &advice(JGZ)).await;
    assert_eq!(to_jgz.body["decision"]["outcome"], "refused");
    assert!(to_jgz.body.get("capacity").is_none(), "{}", to_jgz.text);
    assert_eq!(set_status(app.world(), KREDIETBANK, "active").await.status, 200);
    assert_eq!(instead(&to_kwadraad().await), [all[0], all[2]]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_named_to_whom_the_covenant_would_let_nothing_go() {
    let app = TestApp::start().await;
    let until = day(&app, 30);
    for who in ["kwadraad", "gemeente-wassenaar"] {
        announced(&app, who, no_intake(ADVICE, &until)).await;
    }
    announced(&app, "gemeente-wassenaar", no_intake("safety-concern", &until)).await;
    announced(&app, "smow", no_intake("case-coordination", &until)).await;

    // The recipient, the sender and who takes nobody in are not among them; a consent that names another can still be had.
    let refused = app.post("smow", "/v1/referrals", advice_by_consent(KWADRAAD)).await;
    assert_eq!(refused.status, 403, "no consent: {}", refused.text);
    assert_eq!(instead(&refused), [(MEE, None), (JGZ, None), (KREDIETBANK, None)]);
    let by_jgz = check(&app, "jgz", &advice_by_consent(MUNICIPALITY)).await;
    assert_eq!(instead(&by_jgz), [(SMOW, None), (MEE, None), (KREDIETBANK, None)]);
    // A law of the municipality serves what goes to the municipality, and nobody else.
    assert_eq!(instead(&check(&app, "jgz", &advice(MUNICIPALITY)).await), []);
    // Independent client support gives the municipality nothing.
    let notice = app.get("jgz", format!("{NOTICES}?organisation={MUNICIPALITY}&purpose={ADVICE}")).await;
    let path = format!("{NOTICES}/{}", notice.text_at("/items/0/id").unwrap());
    let ended = app.ask("gemeente-wassenaar", ending(&path, app.world().new_key().unwrap())).await;
    assert_eq!(ended.status, 201, "{}", ended.text);
    let by_mee = check(&app, "mee", &advice_by_consent(KWADRAAD)).await;
    assert_eq!(instead(&by_mee), [(SMOW, None), (JGZ, None), (KREDIETBANK, None)]);
    let by_smow = check(&app, "smow", &advice_by_consent(KWADRAAD)).await;
    assert_eq!(instead(&by_smow)[0], (MUNICIPALITY, None));
    // What goes to anybody when a life is at stake makes nobody an alternative.
    let mut concern = advice(MUNICIPALITY);
    for (name, value) in [("purpose", "safety-concern"), ("phase", "case"), ("legalBasis", "wvggz")] {
        concern[name] = json!(value);
    }
    let concern = with_sections(concern, &["safety"]);
    assert_eq!(instead(&check(&app, "smow", &concern).await), []);
    let mut emergency = concern;
    emergency["legalBasis"] = json!("vital-interest");
    assert_eq!(instead(&check(&app, "smow", &emergency).await), []);
    // To whom notes on a case go, the case says.
    let mut notes = advice(SMOW);
    for (name, value) in [("purpose", "case-coordination"), ("phase", "case")] {
        notes[name] = json!(value);
    }
    let notes = with_sections(notes, &["question"]);
    assert_eq!(instead(&check(&app, "gemeente-wassenaar", &notes).await), []);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_holds_until_midnight_in_amsterdam_without_anybody_doing_anything() {
    let app = TestApp::start().await;
    let until = day(&app, 1);
    let notice = announced(&app, "kwadraad", no_intake(ADVICE, &until)).await;
    let midnight: Timestamp = after_days(app.app().now(), 1);
    assert_eq!(midnight, end_of_day(local_date(midnight.minus(Duration::from_secs(1)))));
    let go_to = |moment: Timestamp| {
        let left = moment.as_micros() - app.app().now().as_micros();
        app.world().clock().advance(Duration::from_micros(u64::try_from(left).unwrap()));
    };
    go_to(midnight.minus(Duration::from_mins(1)));
    let told = check(&app, "gemeente-wassenaar", &advice(KWADRAAD)).await;
    assert_eq!(told.body["capacity"]["notice"], notice.body);
    go_to(midnight);
    assert!(check(&app, "gemeente-wassenaar", &advice(KWADRAAD)).await.body.get("capacity").is_none());
    assert_eq!(listed(&app, "").await, [""; 0]);
    assert_eq!(status(&app, &notice).await, "expired");
    assert_eq!(end(&app, "kwadraad", &notice).await.status, 409, "it has ended by itself");
    // The next one does not rewrite how it ended.
    let next = announced(&app, "kwadraad", waiting(3, &day(&app, 10))).await;
    assert_eq!(status(&app, &notice).await, "expired");
    assert_eq!(listed(&app, "").await, [id(&next)]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_notice_replaces_the_earlier_one_and_its_own_organisation_ends_it() {
    let app = TestApp::start().await;
    let until = day(&app, 30);
    let first = announced(&app, "kwadraad", no_intake(ADVICE, &until)).await;
    let other = announced(&app, "kwadraad", no_intake("social-work", &until)).await;
    let second = announced(&app, "kwadraad", waiting(8, &until)).await;
    assert_eq!(status(&app, &first).await, "replaced");
    assert_eq!(status(&app, &other).await, "active", "for another purpose");
    assert_eq!(listed(&app, "").await, [id(&second), id(&other)]);
    assert_eq!(end(&app, "kwadraad", &first).await.status, 409);
    let told = check(&app, "gemeente-wassenaar", &advice(KWADRAAD)).await;
    assert_eq!(told.body["capacity"]["notice"], second.body);

    for who in ["smow", "gemeente-wassenaar"] {
        let refused = end(&app, who, &second).await;
        assert_eq!((refused.status, refused.text_at("/code")), (403, Some("forbidden")), "{who}");
    }
    assert_eq!(status(&app, &second).await, "active");
    let once = ending(&second.headers["location"], "end-1".into());
    let ended = app.ask("kwadraad", once.clone()).await;
    assert_eq!((ended.status, &ended.body["status"]), (201, &json!("ended")), "{}", ended.text);
    assert_eq!(app.get("smow", &ended.headers["location"]).await.body, ended.body);
    assert!(check(&app, "gemeente-wassenaar", &advice(KWADRAAD)).await.body.get("capacity").is_none());
    assert_eq!(app.ask("kwadraad", once).await.text, ended.text, "a repeat gets the first answer");
    assert_eq!(end(&app, "kwadraad", &second).await.status, 409, "twice is once too often");
    let nowhere = format!("{NOTICES}/{}", app.app().new_id().unwrap());
    assert_eq!(app.ask("kwadraad", ending(&nowhere, "end-2".into())).await.status, 404);
    assert_eq!(app.get("smow", nowhere).await.status, 404);
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_announces_what_nobody_would_send_and_all_mistakes_come_together() {
    let app = TestApp::start().await;
    let until = day(&app, 30);
    for (who, purpose) in [
        ("kredietbank", "welfare-support"),
        ("smow", "safety-concern"),
        ("smow", "triage"),
        ("gemeente-wassenaar", "debt-counselling"),
        ("jgz", "steering-information"),
    ] {
        let refused = app.post(who, NOTICES, no_intake(purpose, &until)).await;
        assert_eq!((refused.status, refused.text_at("/code")), (403, Some("forbidden")), "{who} {purpose}");
        let detail = refused.text_at("/detail").unwrap();
        assert!(detail.contains(ADVICE) && !detail.contains(purpose), "says what is possible: {detail}");
    }
    let wrong = |answer: &Answer| -> Vec<(String, String)> {
        assert_eq!(answer.status, 400, "{}", answer.text);
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        let all = answer.body["invalidParams"].as_array().unwrap();
        let mut all: Vec<_> = all.iter().map(|one| (text(one, "name"), text(one, "code"))).collect();
        all.sort();
        all
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<_> {
        pairs.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned())).collect()
    };
    let malformed = json!({
        "purpose": "holidays", "kind": "full", "expectedWaitWeeks": 0, "until": "2026-02-30", "remark": "mevrouw is ziek",
    });
    let malformed = app.post("kwadraad", NOTICES, malformed).await;
    let expected = [
        ("expectedWaitWeeks", "range"),
        ("kind", "unknown-code"),
        ("purpose", "unknown-code"),
        ("remark", "unknown-field"),
        ("until", "format"),
    ];
    assert_eq!(wrong(&malformed), pairs(&expected));
    assert!(!malformed.text.contains("ziek"));
    let mut yesterday = no_intake(ADVICE, &Day::of(app.app().now().minus(Duration::from_hours(25))).to_string());
    yesterday["expectedWaitWeeks"] = json!(4);
    let expected = [("expectedWaitWeeks", "not-expected"), ("until", "range")];
    assert_eq!(wrong(&app.post("kwadraad", NOTICES, yesterday).await), pairs(&expected));
    let mut no_weeks = no_intake(ADVICE, &day(&app, 183));
    no_weeks["kind"] = json!("waiting-list");
    let expected = [("expectedWaitWeeks", "required"), ("until", "range")];
    assert_eq!(wrong(&app.post("kwadraad", NOTICES, no_weeks).await), pairs(&expected));
    assert_eq!(
        wrong(&app.post("kwadraad", NOTICES, waiting(105, &until)).await),
        pairs(&[("expectedWaitWeeks", "range")])
    );
    let mut half = waiting(4, &until);
    half["expectedWaitWeeks"] = json!(4.5);
    assert_eq!(wrong(&app.post("kwadraad", NOTICES, half).await), pairs(&[("expectedWaitWeeks", "type")]));
    let mut whole = waiting(4, &until);
    whole["expectedWaitWeeks"] = serde_json::from_str("4.0").unwrap();
    assert!(app.post("kwadraad", NOTICES, whole).await.status < 500);

    // Who has nothing to receive announces nothing; who reads the directory reads who has room.
    assert_eq!(app.post("monitor", NOTICES, no_intake(ADVICE, &until)).await.status, 403);
    for who in ["monitor", "administrator", "privacy-officer", "mee"] {
        assert_eq!(app.get(who, NOTICES).await.status, 200, "{who}");
    }
    let held = listed(&app, "").await;
    assert!(held.len() <= 1, "nothing that was refused is stored: {held:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_read_page_by_page_and_for_one_organisation_or_purpose() {
    let app = TestApp::start().await;
    let until = day(&app, 30);
    let mut all = Vec::new();
    for (who, purpose) in [
        ("gemeente-wassenaar", "triage"),
        ("smow", ADVICE),
        ("smow", "welfare-support"),
        ("kwadraad", ADVICE),
        ("kwadraad", "social-work"),
    ] {
        all.push(id(&announced(&app, who, no_intake(purpose, &until)).await).to_owned());
    }
    let (mut found, mut next) = (Vec::new(), Some(format!("{NOTICES}?limit=2")));
    while let Some(path) = next {
        let page = app.get("mee", path).await;
        assert!(page.status == 200 && page.body["items"].as_array().unwrap().len() <= 2, "{}", page.text);
        found.extend(page.body["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        next = page.text_at("/next").map(str::to_owned);
    }
    assert_eq!(found, all, "each once, by organisation and purpose");
    assert_eq!(listed(&app, &format!("?organisation={SMOW}")).await, all[1..3]);
    assert_eq!(listed(&app, &format!("?purpose={ADVICE}")).await, [all[1].clone(), all[3].clone()]);
    assert_eq!(listed(&app, &format!("?purpose={ADVICE}&organisation={KWADRAAD}")).await, all[3..4]);
    assert_eq!(app.get("mee", format!("{NOTICES}?cursor=*")).await.status, 400);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_gets_the_notice_of_its_first_time() {
    let app = TestApp::start().await;
    let until = day(&app, 30);
    let announcing =
        |key: &str, body: Value| Request { idempotency_key: Some(key.into()), ..Request::post(NOTICES, body) };
    let notice = app.ask("kwadraad", announcing("a", no_intake(ADVICE, &until))).await;
    let again = app.ask("kwadraad", announcing("a", no_intake(ADVICE, &until))).await;
    assert_eq!((notice.status, &again.text), (201, &notice.text));
    assert_eq!(app.ask("kwadraad", announcing("a", waiting(3, &until))).await.status, 409);

    let sending =
        |key: &str| Request { idempotency_key: Some(key.into()), ..Request::post("/v1/referrals", advice(KWADRAAD)) };
    let created = app.ask("gemeente-wassenaar", sending("b")).await;
    assert_eq!(created.body["capacity"]["notice"], notice.body, "{}", created.text);
    assert_eq!(end(&app, "kwadraad", &notice).await.status, 201);
    assert_eq!(app.ask("gemeente-wassenaar", sending("b")).await.text, created.text, "as it was answered");
    let later = app.ask("gemeente-wassenaar", sending("c")).await;
    assert!(later.status == 201 && later.body.get("capacity").is_none(), "{}", later.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_refers_on_is_not_sent_back_to_who_rejected_it() {
    let app = TestApp::start().await;
    let created = app.post("gemeente-wassenaar", "/v1/referrals", advice(KWADRAAD)).await;
    let path = &created.headers["location"];
    let rejected = json!({ "status": "rejected", "statusReason": "no-capacity" });
    assert_eq!(app.post("kwadraad", format!("{path}/updates"), rejected).await.status, 201);
    let notice = announced(&app, "smow", no_intake(ADVICE, &day(&app, 30))).await;
    let on = app.post("gemeente-wassenaar", format!("{path}/re-referrals"), json!({ "recipient": SMOW })).await;
    assert_eq!(on.status, 201, "{}", on.text);
    assert_eq!(on.body["capacity"]["notice"], notice.body);
    assert_eq!(instead(&on), [(MEE, None), (JGZ, None), (KREDIETBANK, None)]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_moves_a_referral_of_others_learns_nothing_of_what_it_is_for() {
    let app = TestApp::start().await;
    let given = consent(&app, KWADRAAD, ADVICE, &["contact"]);
    assert_eq!(app.post("smow", "/v1/consents", given).await.status, 201);
    let created = app.post("smow", "/v1/referrals", advice_by_consent(KWADRAAD)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    announced(&app, "mee", no_intake(ADVICE, &day(&app, 30))).await;
    watch::parties(app.app()).await.unwrap();
    for suspended in [KWADRAAD, SMOW] {
        assert_eq!(set_status(app.world(), suspended, "suspended").await.status, 200);
        watch::parties(app.app()).await.unwrap();
    }
    assert_eq!(app.get("gemeente-wassenaar", &created.headers["location"]).await.body["holder"], MUNICIPALITY);
    let path = format!("{}/reassignments", created.headers["location"]);
    let moved = app.post("gemeente-wassenaar", &path, json!({ "recipient": MEE })).await;
    assert_eq!(moved.status, 403, "its sender cannot act: {}", moved.text);
    assert!(moved.body.get("capacity").is_none() && moved.body.get("decision").is_none(), "{}", moved.text);
    assert!(!moved.text.contains(ADVICE), "{}", moved.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_parties_are_told_by_reference_and_the_log_has_every_change() {
    let app = TestApp::start().await;
    let until = day(&app, 30);
    assert_eq!(set_status(app.world(), MEE, "suspended").await.status, 200);
    let first = announced(&app, "kwadraad", no_intake(ADVICE, &until)).await;
    let second = announced(&app, "kwadraad", waiting(8, &until)).await;
    assert_eq!(end(&app, "kwadraad", &second).await.status, 201);
    assert_eq!(end(&app, "kwadraad", &second).await.status, 409);
    assert_eq!(set_status(app.world(), MEE, "active").await.status, 200);
    app.app().sequence().await.unwrap();
    let told = async |who: &str| {
        let feed = app.get(who, "/v1/events?limit=1000").await;
        let events = feed.body["items"].as_array().unwrap().iter();
        let events = events.filter(|event| event["type"].as_str().unwrap().starts_with("nl.sluis.capacity."));
        events.cloned().collect::<Vec<Value>>()
    };
    for who in ["gemeente-wassenaar", "smow", "jgz", "kredietbank"] {
        let events = told(who).await;
        let seen: Vec<_> = events.iter().map(|event| (event["type"].as_str().unwrap(), &event["data"])).collect();
        let announced = "nl.sluis.capacity.announced.v1";
        assert_eq!(
            seen,
            [
                (announced, &json!({ "notice": id(&first), "organisation": KWADRAAD, "replaces": null })),
                (announced, &json!({ "notice": id(&second), "organisation": KWADRAAD, "replaces": id(&first) })),
                ("nl.sluis.capacity.ended.v1", &json!({ "notice": id(&second), "organisation": KWADRAAD })),
            ],
            "{who}"
        );
        assert!(events[0]["dataref"].as_str().unwrap().ends_with(&first.headers["location"]), "{}", events[0]);
        assert!(!json!(events).to_string().contains(ADVICE), "what it is for is read where it points to");
    }
    assert_eq!(told("kwadraad").await, [] as [Value; 0], "not to itself");
    assert_eq!(told("mee").await, [] as [Value; 0], "nor to one that was out");

    let own = app.get("kwadraad", "/v1/audit/records?kind=administration&limit=1000").await;
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let records = own.body["items"].as_array().unwrap().iter();
    let records = records.filter(|one| text(one, "action").starts_with("capacity-"));
    let mut records: Vec<_> = records.map(|one| (text(one, "action"), text(one, "resource"))).collect();
    records.sort();
    let expected = [("announced", &first), ("announced", &second), ("ended", &second), ("replaced", &first)];
    let mut expected = expected.map(|(what, notice)| (format!("capacity-{what}"), notice.headers["location"].clone()));
    expected.sort();
    assert_eq!(records, expected, "and nothing of what was refused");
    let foreign = app.get("smow", "/v1/audit/records?kind=administration&limit=1000").await;
    assert!(!foreign.text.contains("capacity-"), "{}", foreign.text);
    the_log_holds(&app).await;
    app.finish().await;
}

/// Whether a referral is created and said to go to somebody who takes nobody in.
async fn warned(world: &World, body: &Value) -> bool {
    let check = world.ask("gemeente-wassenaar", Request::post("/v1/referrals/_check", body.clone())).await.unwrap();
    let created = post(world, "gemeente-wassenaar", "/v1/referrals", body.clone()).await;
    assert_eq!((check.status, created.status), (200, 201), "{} {}", check.text, created.text);
    assert_eq!(check.body.get("capacity"), created.body.get("capacity"));
    created.body.get("capacity").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_announced_or_ended_at_one_gateway_the_next_request_at_another_says() {
    let app = TestApp::start().await;
    let (here, neighbour) = (clients(&app), Neighbour::start(&app, &[]).await);
    let (body, until) = (advice(KWADRAAD), day(&app, 30));
    for _ in 0..3 {
        for world in [&here as &World, &neighbour.world] {
            assert!(!warned(world, &body).await, "both keep that nothing was announced");
        }
        let notice = post(&neighbour.world, "kwadraad", NOTICES, no_intake(ADVICE, &until)).await;
        assert_eq!(notice.status, 201, "{}", notice.text);
        for world in [&here as &World, &neighbour.world] {
            assert!(warned(world, &body).await);
        }
        let ended = here.ask("kwadraad", ending(&notice.headers["location"], here.new_key().unwrap())).await.unwrap();
        assert_eq!(ended.status, 201, "{}", ended.text);
    }
    neighbour.stop().await;
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_notices_that_are_announced_at_once_one_holds_and_each_other_was_replaced() {
    let app = TestApp::start().await;
    let (here, neighbour) = (clients(&app), Neighbour::start(&app, &[]).await);
    let until = day(&app, 30);
    let announce = async |number: usize| {
        let world: &World = if number.is_multiple_of(2) { &here } else { &neighbour.world };
        post(world, "kwadraad", NOTICES, no_intake(ADVICE, &until)).await
    };
    let answers = join_all((0..12).map(announce)).await;
    let held = listed(&app, "").await;
    assert_eq!(held.len(), 1);
    for answer in &answers {
        assert_eq!(answer.status, 201, "{}", answer.text);
        let expected = if held[0] == id(answer) { "active" } else { "replaced" };
        assert_eq!(status(&app, answer).await, expected);
    }
    neighbour.stop().await;
    the_log_holds(&app).await;
    app.finish().await;
}
