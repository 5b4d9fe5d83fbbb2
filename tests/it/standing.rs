//! Parties that cannot act (suspended, retired, without a signature under the covenant in force) hold up nobody and are given nothing; and
//! what the gateway has to note, however much of it, holds up nothing else.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::args;
use sluis::cases;
use sluis::clock::Timestamp;
use sluis::demo::client::Answer;
use sluis::demo::governance;
use sluis::demo::scenario::{Action, OfCovenant};
use sluis::referrals::watch;
use sluis::storage::{Query as _, Tx};

use crate::app::{KREDIETBANK, MEE, SMOW, TestApp, by_consent, consent};
use crate::chain::{begin, debts_at_the_bank, events, let_pass_of, step};
use crate::consistency::{set_status, the_log_holds};
use crate::credentials::new_version;
use crate::operations::{Operator, soon};

const DAY: Duration = Duration::from_hours(24);
/// More than a gateway notes while it starts.
const BACKLOG: i64 = 3_000;

/// How an organisation comes to be one that cannot act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Suspended,
    Retired,
    NotSigned,
}

const WAYS: [Way; 3] = [Way::Suspended, Way::Retired, Way::NotSigned];

/// From here on this party cannot act.
async fn stops(app: &mut TestApp, way: Way, slug: &str, oin: &str) {
    match way {
        Way::Suspended => assert_eq!(set_status(app.world(), oin, "suspended").await.status, 200),
        Way::Retired => assert_eq!(set_status(app.world(), oin, "retired").await.status, 200),
        Way::NotSigned => {
            new_version(app, "2026.2").await;
            app.app().clock.advance(Duration::from_hours(25));
            let sign = Action::SignCovenant(OfCovenant { version: Some("2026.2".into()), ..OfCovenant::default() });
            for party in ["gemeente-wassenaar", "smow", "mee", "kredietbank"].into_iter().filter(|party| *party != slug)
            {
                let (signed, _) = governance::take(party, &sign, &mut app.house.world).await.unwrap();
                assert_eq!(signed.status, 201, "{party}: {}", signed.text);
            }
        }
    }
}

/// The gateway looks at the parties.
async fn look(app: &TestApp) {
    watch::parties(app.app()).await.unwrap();
}

fn rejected() -> Value {
    json!({ "status": "rejected", "statusReason": "no-capacity" })
}

fn failed() -> Value {
    json!({ "status": "failed", "statusReason": "other" })
}

fn called_off() -> Value {
    json!({ "status": "cancelled", "statusReason": "no-longer-needed" })
}

fn for_information() -> Value {
    json!({ "status": "on-hold", "statusReason": "information-requested" })
}

/// A referral by SMOW to the credit bank on which the bank has taken these steps.
async fn at_the_bank(app: &TestApp, steps: &[Value]) -> String {
    let created = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["question"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.headers["location"].clone();
    for body in steps {
        taken(&step(app, "kredietbank", &path, body.clone()).await, "kredietbank");
    }
    path
}

/// Of each status that the bank holds: the steps that lead there, and one that the bank takes next.
fn held_by_the_bank() -> Vec<(Vec<Value>, Value)> {
    let to = |status: &str| json!({ "status": status });
    let waiting = json!({ "status": "on-hold", "statusReason": "waiting-list" });
    vec![
        (vec![], to("received")),
        (vec![], rejected()),
        (vec![to("received")], to("accepted")),
        (vec![to("received")], rejected()),
        (vec![to("accepted")], to("in-progress")),
        (vec![to("accepted")], failed()),
        (vec![to("accepted"), to("in-progress")], waiting.clone()),
        (vec![to("accepted"), to("in-progress")], failed()),
        (vec![to("accepted"), to("in-progress")], json!({ "status": "completed", "outcome": "not-helped" })),
        (vec![to("accepted"), to("in-progress"), waiting.clone()], to("in-progress")),
        (vec![to("accepted"), to("in-progress"), waiting], failed()),
    ]
}

async fn give_consent(app: &TestApp) {
    let mut record = consent(app, KREDIETBANK, "debt-counselling", &["question"]);
    (record["recipients"], record["purposes"]) =
        (json!([KREDIETBANK, MEE]), json!(["debt-counselling", "client-support"]));
    // Longer than any of these stories lasts.
    record["validUntil"] = json!(app.app().now().plus(DAY * 300));
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
}

fn taken(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 201, "{what}: {}", answer.text);
}

fn refused(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text_at("/code")), (403, Some("refused")), "{what}: {}", answer.text);
}

async fn holder(app: &TestApp, who: &str, path: &str) -> Value {
    app.get(who, path).await.body["holder"].clone()
}

/// The steps of a referral: what each was, the oldest first.
async fn operations(app: &TestApp, who: &str, path: &str) -> Vec<String> {
    let updates = app.get(who, format!("{path}/updates?limit=1000")).await;
    let items = updates.body["items"].as_array().unwrap_or_else(|| panic!("{}", updates.text));
    items.iter().map(|item| item["operation"].as_str().unwrap().to_owned()).collect()
}

async fn finish(app: TestApp) {
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_goes_on_to_an_end_although_its_sender_cannot_act() {
    for way in WAYS {
        // Whether the gateway has looked in between makes no difference.
        for looked in [false, true] {
            let mut app = TestApp::start().await;
            give_consent(&app).await;
            let mut paths = Vec::new();
            for (before, next) in held_by_the_bank() {
                paths.push((at_the_bank(&app, &before).await, next));
            }
            look(&app).await;
            stops(&mut app, way, "smow", SMOW).await;
            if looked {
                look(&app).await;
            }
            for (path, next) in paths {
                let what = format!("{way:?} {looked} {next}");
                assert_eq!(holder(&app, "kredietbank", &path).await, KREDIETBANK, "{what}: it is not taken away");
                let mut carrying = next.clone();
                carrying["sections"] = json!([{ "category": "question", "content": { "text": "not for them" } }]);
                refused(&step(&app, "kredietbank", &path, carrying).await, &what);
                assert_eq!(
                    operations(&app, "kredietbank", &path).await.iter().filter(|it| *it == "standing").count(),
                    0
                );
                let answer = step(&app, "kredietbank", &path, next).await;
                taken(&answer, &what);
                assert_eq!(answer.body["holder"], KREDIETBANK, "{what}: never one that cannot act");
                assert_eq!(app.get("kredietbank", &path).await.headers["etag"], answer.headers["etag"], "{what}");
                let last = app.get("kredietbank", &path).await.body["status"].clone();
                let ended = ["rejected", "failed", "completed"].iter().any(|status| last == *status);
                if ended {
                    let resolution = json!({ "outcome": "not-helped" });
                    let resolved = app.post("kredietbank", format!("{path}/resolutions"), resolution).await;
                    taken(&resolved, &what);
                    assert_eq!(resolved.body["holder"], Value::Null, "{what}");
                }
                let noted = operations(&app, "kredietbank", &path).await;
                assert_eq!(noted.iter().filter(|it| *it == "standing").count(), 1, "{what}: once: {noted:?}");
            }
            finish(app).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_whose_coordinator_is_gone_for_ever_is_ended_and_closed() {
    for way in WAYS {
        let mut app = TestApp::start().await;
        give_consent(&app).await;
        let path = at_the_bank(&app, &[json!({ "status": "accepted" }), json!({ "status": "in-progress" })]).await;
        stops(&mut app, way, "smow", SMOW).await;
        look(&app).await;
        cases::sweep(app.app()).await.unwrap();
        app.app().sequence().await.unwrap();
        let feed = app.get("gemeente-wassenaar", "/v1/events?limit=1000").await;
        let changed = feed.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|event| event["type"] == "nl.sluis.case.coordinator-changed.v1");
        let case = format!("/v1/cases/{}", changed.unwrap()["data"]["case"].as_str().unwrap());
        let close = || app.post("gemeente-wassenaar", format!("{case}/closures"), json!({}));
        assert_eq!(close().await.status, 409, "{way:?}: something is open");
        taken(&step(&app, "kredietbank", &path, failed()).await, "the work");
        assert_eq!(close().await.status, 409, "{way:?}: nobody goes on with it yet");
        let resolution = json!({ "outcome": "not-helped" });
        taken(&app.post("kredietbank", format!("{path}/resolutions"), resolution).await, "the chain");
        taken(&close().await, "the case");
        finish(app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_goes_on_to_an_end_although_its_recipient_cannot_act() {
    for way in WAYS {
        let mut app = TestApp::start().await;
        give_consent(&app).await;
        let resolved = at_the_bank(&app, &[rejected()]).await;
        let stepped_up = at_the_bank(&app, &[rejected()]).await;
        let referred_on = at_the_bank(&app, &[rejected()]).await;
        let asked = [json!({ "status": "received" }), for_information()];
        let (called, answered) = (at_the_bank(&app, &asked).await, at_the_bank(&app, &asked).await);
        look(&app).await;
        stops(&mut app, way, "kredietbank", KREDIETBANK).await;
        look(&app).await;
        for path in [&resolved, &stepped_up, &referred_on, &called, &answered] {
            assert_eq!(holder(&app, "smow", path).await, SMOW, "{way:?}");
            assert!(!operations(&app, "smow", path).await.contains(&"standing".to_owned()), "nothing changed");
        }
        let what = format!("{way:?}");
        let section = json!({ "sections": [{ "category": "question", "content": { "text": "more" } }] });
        refused(&app.post("smow", format!("{answered}/supplements"), section).await, &what);
        taken(&app.post("smow", format!("{resolved}/resolutions"), json!({ "outcome": "not-helped" })).await, &what);
        taken(
            &app.post("smow", format!("{stepped_up}/step-ups"), json!({ "businessStatus": "stepped-up" })).await,
            &what,
        );
        let onward = json!({ "recipient": MEE, "purpose": "client-support", "legalBasis": "consent" });
        let onward = app.post("smow", format!("{referred_on}/re-referrals"), onward).await;
        taken(&onward, &what);
        let off = step(&app, "smow", &called, called_off()).await;
        taken(&off, &what);
        assert_eq!(off.body["holder"], SMOW, "{what}: its chain is the sender's");
        let back = step(&app, "smow", &answered, json!({ "status": "received" })).await;
        taken(&back, &what);
        assert_eq!(back.body["holder"], SMOW, "{what}: it stands in, and the referral is not with one that cannot act");
        finish(app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_act_takes_no_step_and_changes_nothing() {
    let mut app = TestApp::start().await;
    give_consent(&app).await;
    let work = [json!({ "status": "accepted" }), json!({ "status": "in-progress" })];
    let (running, ended) = (at_the_bank(&app, &work).await, at_the_bank(&app, &[rejected()]).await);
    let asked = at_the_bank(&app, &[json!({ "status": "received" }), for_information()]).await;
    stops(&mut app, Way::NotSigned, "smow", SMOW).await;
    look(&app).await;
    let with_reason = json!({ "statusReason": "no-longer-needed" });
    let onward = json!({ "recipient": MEE, "purpose": "client-support", "legalBasis": "consent" });
    let attempts = [
        (&running, "cancellation-requests", with_reason),
        (&ended, "resolutions", json!({ "outcome": "helped" })),
        (&ended, "step-ups", json!({ "businessStatus": "stepped-up" })),
        (&ended, "re-referrals", onward),
        (&asked, "updates", called_off()),
        (&asked, "updates", json!({ "status": "received" })),
    ];
    for (path, part, body) in attempts {
        let before = app.get("smow", path).await;
        let answer = app.post("smow", format!("{path}/{part}"), body).await;
        // Of what was handed on, the table says so first.
        assert!([403, 409].contains(&answer.status), "{part}: {}", answer.text);
        let after = app.get("smow", path).await;
        assert_eq!((&after.body, &after.headers["etag"]), (&before.body, &before.headers["etag"]), "{part}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_that_is_back_gets_what_is_open_and_what_was_closed_stays_closed() {
    let mut app = TestApp::start().await;
    give_consent(&app).await;
    let work = [json!({ "status": "accepted" }), json!({ "status": "in-progress" })];
    let (open, closed, held) =
        (at_the_bank(&app, &work).await, at_the_bank(&app, &work).await, at_the_bank(&app, &[rejected()]).await);
    look(&app).await;
    stops(&mut app, Way::Suspended, "smow", SMOW).await;
    look(&app).await;
    assert_eq!(holder(&app, "kredietbank", &held).await, KREDIETBANK, "what it held itself is handed on");
    for path in [&open, &closed] {
        taken(&step(&app, "kredietbank", path, failed()).await, "the work");
    }
    taken(
        &app.post("kredietbank", format!("{closed}/resolutions"), json!({ "outcome": "not-helped" })).await,
        "the chain",
    );
    let before = operations(&app, "kredietbank", &closed).await;
    assert_eq!(set_status(app.world(), SMOW, "active").await.status, 200);
    look(&app).await;
    for path in [&open, &held] {
        assert_eq!(holder(&app, "smow", path).await, SMOW);
    }
    assert_eq!(operations(&app, "smow", &closed).await, before, "nothing is noted in what nobody holds");
    // Opened again, it is theirs who can act now.
    let reopened = step(&app, "smow", &closed, json!({ "status": "in-progress", "statusReason": "reopened" })).await;
    taken(&reopened, "reopened");
    assert_eq!(reopened.body["holder"], KREDIETBANK);
    taken(&step(&app, "kredietbank", &closed, failed()).await, "again");
    assert_eq!(holder(&app, "smow", &closed).await, SMOW, "and not any more as if its sender were away");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_opened_again_is_not_given_to_a_recipient_that_is_gone() {
    let mut app = TestApp::start().await;
    give_consent(&app).await;
    let done = json!({ "status": "completed", "outcome": "helped" });
    let work = [json!({ "status": "accepted" }), json!({ "status": "in-progress" }), done];
    let path = at_the_bank(&app, &work).await;
    stops(&mut app, Way::Retired, "kredietbank", KREDIETBANK).await;
    look(&app).await;
    let reopened = step(&app, "smow", &path, json!({ "status": "in-progress", "statusReason": "reopened" })).await;
    taken(&reopened, "reopened");
    assert_eq!(reopened.body["holder"], SMOW);
    taken(&step(&app, "smow", &path, called_off()).await, "called off");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_takes_nothing_away_by_its_own_lateness() {
    let app = TestApp::start().await;
    give_consent(&app).await;
    let path = at_the_bank(&app, &[json!({ "status": "received" }), for_information()]).await;
    let onward = json!({ "recipient": MEE, "purpose": "client-support", "legalBasis": "consent" });
    let reassign = || app.post("smow", format!("{path}/reassignments"), onward.clone());
    for _ in 0..3 {
        let_pass_of(&app, "smow", &path).await;
        let answer = reassign().await;
        assert_eq!(answer.status, 409, "{}", answer.text);
        let offered = answer.body["allowedSteps"].as_array().unwrap();
        assert!(offered.iter().all(|step| step["operation"] != "reassignments"), "nor is it offered: {}", answer.text);
    }
    assert_eq!(app.get("kredietbank", &path).await.body["status"], "on-hold");
    // Once it has answered, and the recipient is the one who is late, it may.
    taken(&step(&app, "smow", &path, json!({ "status": "received" })).await, "answered");
    let_pass_of(&app, "smow", &path).await;
    assert_eq!(reassign().await.status, 409, "late once");
    let_pass_of(&app, "smow", &path).await;
    taken(&reassign().await, "late twice");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_between_two_looks_gets_its_work_back() {
    let mut app = TestApp::start().await;
    give_consent(&app).await;
    let path = at_the_bank(&app, &[json!({ "status": "accepted" }), json!({ "status": "in-progress" })]).await;
    look(&app).await;
    stops(&mut app, Way::Suspended, "kredietbank", KREDIETBANK).await;
    let asked = json!({ "statusReason": "no-longer-needed" });
    taken(&app.post("smow", format!("{path}/cancellation-requests"), asked).await, "a step that notes it");
    assert_eq!(holder(&app, "smow", &path).await, SMOW, "it stands in");
    assert_eq!(set_status(app.world(), KREDIETBANK, "active").await.status, 200);
    look(&app).await;
    assert_eq!(holder(&app, "smow", &path).await, KREDIETBANK);
    finish(app).await;
}

/// What an organisation was told of a referral: the operations, the oldest first.
async fn told_of(app: &TestApp, who: &str, path: &str) -> Vec<Value> {
    let told = events(app, who).await.into_iter().map(|(_, data)| data);
    told.filter(|data| path.ends_with(data["referral"].as_str().unwrap_or("/")))
        .map(|it| it["operation"].clone())
        .collect()
}

/// A referral by SMOW to the credit bank that the municipality held while neither could act; both can again, and nobody has looked since.
async fn held_in_their_place(app: &mut TestApp, steps: &[Value]) -> String {
    give_consent(app).await;
    let path = at_the_bank(app, steps).await;
    for (slug, oin) in [("smow", SMOW), ("kredietbank", KREDIETBANK)] {
        stops(app, Way::Suspended, slug, oin).await;
    }
    look(app).await;
    assert_eq!(told_of(app, "gemeente-wassenaar", &path).await, [json!("standing")], "it stands in");
    for oin in [SMOW, KREDIETBANK] {
        assert_eq!(set_status(app.world(), oin, "active").await.status, 200);
    }
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stood_in_hears_that_it_does_not_any_more_and_nothing_after_that() {
    let mut app = TestApp::start().await;
    let path = held_in_their_place(&mut app, &[json!({ "status": "accepted" })]).await;
    taken(&step(&app, "kredietbank", &path, failed()).await, "the first step since");
    assert_eq!(operations(&app, "smow", &path).await, ["updates", "standing", "standing", "updates"]);
    assert_eq!(told_of(&app, "gemeente-wassenaar", &path).await, [json!("standing"), json!("standing")]);
    assert_eq!(told_of(&app, "smow", &path).await.last(), Some(&json!("updates")));
    assert_eq!(app.get("gemeente-wassenaar", &path).await.status, 404);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_picks_up_what_was_held_in_its_place_holds_it() {
    let mut app = TestApp::start().await;
    let path = held_in_their_place(&mut app, &[]).await;
    assert_eq!(app.get("kredietbank", format!("{path}/sections")).await.status, 200);
    assert_eq!(holder(&app, "kredietbank", &path).await, KREDIETBANK);
    assert_eq!(operations(&app, "smow", &path).await, ["standing", "standing", "updates"]);
    assert_eq!(told_of(&app, "gemeente-wassenaar", &path).await, [json!("standing"), json!("standing")]);
    assert_eq!(app.get("gemeente-wassenaar", &path).await.status, 404);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_municipality_does_not_step_up_to_itself() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    taken(&step(&app, "kredietbank", &path, rejected()).await, "rejected");
    for late in 0..3 {
        let before = app.get("gemeente-wassenaar", &path).await.body;
        let answer =
            app.post("gemeente-wassenaar", format!("{path}/step-ups"), json!({ "businessStatus": "stepped-up" })).await;
        assert_eq!(answer.status, 409, "{late}: {}", answer.text);
        let offered: Vec<_> =
            answer.body["allowedSteps"].as_array().unwrap().iter().map(|it| &it["operation"]).collect();
        assert!(!offered.contains(&&json!("step-ups")) && offered.contains(&&json!("resolutions")), "{offered:?}");
        assert_eq!(app.get("gemeente-wassenaar", &path).await.body, before, "it has gained no time");
        let_pass_of(&app, "gemeente-wassenaar", &path).await;
    }
    taken(
        &app.post("gemeente-wassenaar", format!("{path}/resolutions"), json!({ "outcome": "not-helped" })).await,
        "end",
    );
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_was_late_is_late_since_then_after_it_had_to_wait_as_well() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app).await;
    begin(&app, &path).await;
    let_pass_of(&app, "gemeente-wassenaar", &path).await;
    app.app().clock.advance(DAY);
    let lines = async || app.get("monitor", "/v1/handoffs").await.body["items"].clone();
    let late = lines().await[0]["workingDaysLate"].as_i64();
    let waiting = json!({ "status": "on-hold", "statusReason": "waiting-list" });
    taken(&step(&app, "kredietbank", &path, waiting).await, "waiting");
    assert_eq!(lines().await, json!([]), "while it waits nobody is late");
    app.app().clock.advance(DAY * 7);
    taken(&step(&app, "kredietbank", &path, json!({ "status": "in-progress" })).await, "at work");
    let line = lines().await[0].clone();
    assert!(line["workingDaysLate"].as_i64() > late, "{line} after {late:?}");
    taken(&step(&app, "kredietbank", &path, json!({ "status": "completed", "outcome": "helped" })).await, "done");
    assert_eq!(lines().await, json!([]));
    finish(app).await;
}

/// Runs a statement on the database behind the gateway's back.
async fn behind_its_back(app: &TestApp, sql: &'static str) {
    let changed = app.app().db.write("spoil", async move |tx: &mut Tx| Ok(tx.execute(sql, args![]).await?)).await;
    assert_eq!(changed.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_noted_holds_up_nothing_else() {
    let mut app = TestApp::start().await;
    give_consent(&app).await;
    // The first one that is due, and the first one that is held.
    at_the_bank(&app, &[]).await;
    behind_its_back(&app, "UPDATE referrals SET chain = 'nonsense', due_at = due_at - 1").await;
    let due = at_the_bank(&app, &[]).await;
    let due_at: Timestamp = app.get("smow", &due).await.text_at("/dueAt").unwrap().parse().unwrap();
    let left = due_at.as_micros() - app.app().now().as_micros();
    app.app().clock.advance(Duration::from_micros(u64::try_from(left).unwrap()));
    for _ in 0..2 {
        assert_eq!(watch::deadlines(app.app()).await.unwrap(), 1, "said, so that somebody mends it");
    }
    assert_eq!(operations(&app, "smow", &due).await, ["deadline"], "once");
    look(&app).await;
    stops(&mut app, Way::Suspended, "kredietbank", KREDIETBANK).await;
    look(&app).await;
    assert_eq!(holder(&app, "smow", &due).await, SMOW);
    assert_eq!(set_status(app.world(), KREDIETBANK, "active").await.status, 200);
    look(&app).await;
    assert_eq!(holder(&app, "smow", &due).await, KREDIETBANK, "and the way back");
    behind_its_back(&app, "UPDATE referrals SET chain = NULL WHERE chain = 'nonsense'").await;
    finish(app).await;
}

/// Puts a step of nobody in the way of the next one of a referral, or takes it away again.
async fn stand_in_the_way(app: &TestApp, path: &str, version: i64, stands: bool) {
    let id = path.rsplit('/').next().unwrap().to_owned();
    let change = async move |tx: &mut Tx| {
        let put = "INSERT INTO referral_updates (id, referral, version, organisation, status, taken_at, categories) \
                   VALUES ('in-the-way', $1, $2, '', 'requested', 0, '[]')";
        let take_away = "DELETE FROM referral_updates WHERE id = 'in-the-way' AND referral = $1 AND version = $2";
        Ok(tx.execute(if stands { put } else { take_away }, args![&id, version]).await?)
    };
    assert_eq!(app.app().db.write("spoil", change).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_written_is_tried_again_at_the_next_look_and_holds_up_nothing_else() {
    let app = TestApp::start().await;
    give_consent(&app).await;
    let [first, spoilt, last] =
        [at_the_bank(&app, &[]).await, at_the_bank(&app, &[]).await, at_the_bank(&app, &[]).await];
    // The second time each means something for its case too.
    for times in 1..=2_usize {
        stand_in_the_way(&app, &spoilt, i64::try_from(times).unwrap() + 1, true).await;
        app.app().clock.advance(DAY * 20);
        for _ in 0..2 {
            assert_eq!(watch::deadlines(app.app()).await.unwrap(), 1, "said, so that somebody mends it");
        }
        for path in [&first, &last] {
            assert_eq!(operations(&app, "smow", path).await, vec!["deadline"; times], "once each time");
        }
        let seen = app.get("smow", &spoilt).await;
        assert_eq!(seen.body["version"], times, "nothing of it was written: {}", seen.text);
        stand_in_the_way(&app, &spoilt, i64::try_from(times).unwrap() + 1, false).await;
        for _ in 0..2 {
            assert_eq!(watch::deadlines(app.app()).await.unwrap(), 0);
        }
        assert_eq!(operations(&app, "smow", &spoilt).await, vec!["deadline"; times], "tried again, once");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_watch_leaves_behind_shows_in_the_metrics_and_takes_no_gateway_out_of_service() {
    const LEFT_BEHIND: &str = r#"sluis_watch_left_behind{name="deadlines"}"#;
    let app = TestApp::start().await;
    give_consent(&app).await;
    at_the_bank(&app, &[]).await;
    let operator = Operator::of(&app);
    soon("the first look", async || operator.metrics().await.value(LEFT_BEHIND) == Some(0.0)).await;
    behind_its_back(&app, "UPDATE referrals SET chain = 'nonsense'").await;
    let app = app.stand_still(DAY * 20).await;
    let operator = Operator::of(&app);
    soon("the next look", async || operator.metrics().await.value(LEFT_BEHIND) == Some(1.0)).await;
    let checks = operator.ready().await.1;
    assert_eq!(checks["deadlines"]["ok"], true, "another gateway would do no better: {checks:?}");
    assert!(checks["deadlines"]["detail"].as_str().unwrap().contains("1 could not be written"), "{checks:?}");
    behind_its_back(&app, "UPDATE referrals SET chain = NULL").await;
    finish(app).await;
}

/// So many more referrals like the only one there is, in no case.
async fn more_like_it(app: &TestApp, count: i64) {
    let copy = async move |tx: &mut Tx| {
        let sql = "INSERT INTO referrals (id, sender, recipient, purpose, phase, legal_basis, subject, age_group, priority, status, holder, \
                   due_at, created_at, updated_at, version, decision, receipt, wrapped_key, duty) \
                   WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < CAST($1 AS BIGINT)) \
                   SELECT '00000000-0000-7000-8000-' || CAST(100000000000 + n AS TEXT), sender, recipient, purpose, phase, legal_basis, \
                   subject, age_group, priority, status, holder, due_at, created_at, updated_at, version, decision, receipt, wrapped_key, \
                   duty FROM referrals, series";
        Ok(tx.execute(sql, args![count]).await?)
    };
    assert_eq!(i64::try_from(app.app().db.write("copy", copy).await.unwrap()).unwrap(), count);
}

/// How many deadlines were noted from this moment on.
async fn noted_since(app: &TestApp, since: Timestamp) -> i64 {
    let sql = "SELECT COUNT(*) AS count FROM referral_updates WHERE operation = 'deadline' AND taken_at >= $1";
    app.app().db.reader().rows(sql, args![since]).await.unwrap()[0].int("count").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_told_to_stop_leaves_what_is_overdue_to_the_next_start() {
    let app = TestApp::start().await;
    give_consent(&app).await;
    at_the_bank(&app, &[]).await;
    more_like_it(&app, BACKLOG).await;
    // It starts with all of it overdue, and stops at once.
    // Not later than its watch first looks.
    let first = app.app().now().plus(DAY * 30);
    let app = app.stand_still(DAY * 30).await;
    let app = app.stand_still(DAY).await;
    watch::deadlines(app.app()).await.unwrap();
    assert!(noted_since(&app, first.plus(DAY)).await > 0, "it noted all of it first");
    // What the gateway's own watch has in hand may still be on its way.
    soon("all of it", async || noted_since(&app, first).await > BACKLOG).await;
    watch::deadlines(app.app()).await.unwrap();
    assert_eq!(noted_since(&app, first).await, BACKLOG + 1, "each once");
    app.finish().await;
}
