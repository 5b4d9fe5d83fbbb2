//! Nothing happens twice, nothing happens on what is no longer so, nobody sees less than what happened: repeats, concurrent
//! steps, two gateways on one database, the feed, the audit log. What is taken back in between: `taken_back`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sluis::app::{App, Application, Running};
use sluis::audit::{self, Trust};
use sluis::clock::Clock;
use sluis::demo::client::{Answer, Request};
use sluis::demo::evening::any_port;
use sluis::demo::world::World;
use sluis::replays::{explain_record, take_again};
use sluis::storage::{Query as _, Row};
use sluis::{args, config};

use crate::app::{BSN, KREDIETBANK, SMOW, TestApp, consent, debts, with_sections};
use crate::process::world_of;
use crate::taken_back::{Storm, about_debts};

/// A second gateway on the same database and keys, with a port of its own.
pub struct Neighbour {
    pub world: World,
    running: Running,
}

impl Neighbour {
    pub async fn start(app: &TestApp, more: &[(&str, &str)]) -> Self {
        let port = any_port().unwrap();
        let mut environment = vec![
            ("SLUIS_STORAGE__URL".to_owned(), app.storage.clone()),
            ("SLUIS_API__WORKERS".to_owned(), "1".to_owned()),
            ("SLUIS_API__LISTEN".to_owned(), format!("127.0.0.1:{port}")),
        ];
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = config::load(&app.folder.join("sluis.toml"), environment).unwrap();
        let clock: Clock = app.world().clock().clone();
        let running = Application::build(config, clock.clone()).await.unwrap().start();
        Self { world: world_of(&app.folder, port, &clock), running }
    }

    /// Its parts, to have it look at the clock at a moment that a test chooses.
    pub const fn app(&self) -> &App {
        &self.running.app
    }

    pub async fn stop(self) {
        drop(self.world);
        self.running.stop().await;
    }
}

/// More clients of the same gateway, which tasks of their own may hold.
pub fn clients(app: &TestApp) -> Arc<World> {
    let port = app.app().config.api.listen.port();
    Arc::new(world_of(&app.folder, port, app.world().clock()))
}

pub fn keyed(path: impl Into<String>, body: Value, key: &str) -> Request {
    let mut request = Request::post(path, body);
    request.idempotency_key = Some(key.to_owned());
    request
}

pub async fn post(world: &World, who: &str, path: &str, body: Value) -> Answer {
    world.ask(who, keyed(path, body, &world.new_key().unwrap())).await.unwrap()
}

pub async fn set_status(world: &World, oin: &str, status: &str) -> Answer {
    let path = format!("/v1/organisations/{oin}");
    let request = Request { method: Method::PATCH, ..Request::post(path, json!({ "status": status })) };
    world.ask("administrator", request).await.unwrap()
}

pub async fn rows(app: &TestApp, sql: &'static str) -> Vec<Row> {
    rows_of(app.app(), sql).await
}

async fn rows_of(app: &App, sql: &'static str) -> Vec<Row> {
    app.db.reader().rows(sql, args![]).await.unwrap()
}

pub async fn count(app: &TestApp, sql: &'static str) -> i64 {
    rows(app, sql).await[0].int("count").unwrap()
}

/// How many decisions were taken again, by the kind of their record and how they ended.
pub type Replayed = BTreeMap<(String, String), usize>;

/// Takes every decision of the log again on the facts that it kept, and verifies the log.
pub async fn the_log_holds(app: &TestApp) -> Replayed {
    log_holds(app.app()).await
}

/// The same of any gateway in this process.
pub async fn log_holds(app: &App) -> Replayed {
    app.sequence().await.unwrap();
    let sql = "SELECT id, kind, outcome, sections, status, consent_ids, covenant_version, policy_digest FROM audit_records \
               WHERE covenant_version IS NOT NULL AND sections IS NOT NULL AND organisation = sender";
    let mut replayed = Replayed::new();
    for row in rows_of(app, sql).await {
        let id = row.text("id").unwrap();
        let (taken, again) = take_again(app, &id).await.unwrap_or_else(|problem| panic!("{id}: {problem:?}"));
        // Compared here once more, from the columns and to the letter.
        let recorded: Value = serde_json::from_str(&row.text("sections").unwrap()).unwrap();
        let decided = again.decision.sections().iter().map(|section| {
            json!({
                "category": section.category(), "effect": section.effect(), "code": section.code(), "rules": section.rules(),
            })
        });
        assert_eq!(recorded, decided.collect::<Value>(), "{id}");
        assert_eq!(row.text("covenant_version").unwrap(), again.decision.covenant_version(), "{id}");
        assert_eq!(row.text("policy_digest").unwrap(), again.decision.policy_digest().as_str(), "{id}");
        let relied_on: Vec<String> = {
            let request = &taken.request;
            let own = |id: &uuid::Uuid| {
                request.records.iter().any(|record| record.id == *id && record.recorded_by == request.giver)
            };
            again.decision.consents().iter().filter(|id| own(id)).map(ToString::to_string).collect()
        };
        let recorded = row.opt_text("consent_ids").unwrap();
        let recorded: Vec<String> = recorded.map(|ids| serde_json::from_str(&ids).unwrap()).unwrap_or_default();
        assert_eq!(recorded, relied_on, "{id}");
        let (kind, outcome) = (row.text("kind").unwrap(), row.text("outcome").unwrap());
        // A disclosure from a referral that has ended, and a step between parties that may not exchange, are refused
        // whatever the sections are.
        if again.refused_anyway {
            assert_eq!(outcome, "refused", "{id}");
            assert!(matches!(kind.as_str(), "disclosure" | "status-update"), "{id}: {kind}");
        } else {
            assert_eq!(outcome, again.decision.outcome(taken.on_withheld).to_string(), "{id}");
        }
        let explanation = explain_record(app, &id).await.unwrap_or_else(|problem| panic!("{id}: {problem:?}"));
        assert_eq!(explanation.sections.len(), again.decision.sections().len(), "{id}");
        *replayed.entry((kind, outcome)).or_default() += 1;
    }
    let signer = app.log_signer().await.unwrap();
    let trust = Trust { keys: &signer.known_keys(), seals: &app.sealer, kept: None };
    // What happens in the background may write a record between the two.
    for _ in 0..20 {
        app.sequence().await.unwrap();
        let report = audit::verify(&mut app.db.snapshot().await.unwrap(), &trust).await.unwrap();
        assert!(report.intact, "{report}");
        if report.unsequenced == 0 {
            return replayed;
        }
    }
    panic!("there is always a record without a place in the log");
}

pub async fn finish(app: TestApp) {
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_gets_the_first_answer_and_another_body_is_refused() {
    let app = TestApp::start().await;
    let body = with_sections(debts(), &["finance", "mental-health"]);
    let first = app.ask("gemeente-wassenaar", keyed("/v1/referrals", body.clone(), "key-1")).await;
    let again = app.ask("gemeente-wassenaar", keyed("/v1/referrals", body.clone(), "key-1")).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!((again.status, &again.text), (201, &first.text));
    for header in ["location", "etag", "content-type"] {
        assert_eq!(first.headers[header], again.headers[header]);
    }
    let other =
        app.ask("gemeente-wassenaar", keyed("/v1/referrals", with_sections(debts(), &["finance"]), "key-1")).await;
    assert_eq!((other.status, other.text_at("/code")), (409, Some("idempotency-key-reused")));
    let mut refused_body = with_sections(debts(), &["mental-health"]);
    refused_body["onWithheld"] = json!("reject");
    let refused = app.ask("gemeente-wassenaar", keyed("/v1/referrals", refused_body.clone(), "key-2")).await;
    let refused_again = app.ask("gemeente-wassenaar", keyed("/v1/referrals", refused_body, "key-2")).await;
    assert_eq!((refused.status, &refused.body["decision"]["outcome"]), (403, &json!("refused")));
    assert_eq!((refused_again.status, &refused_again.text), (403, &refused.text), "a refusal is an answer too");
    assert_eq!(refused_again.headers["content-type"], "application/problem+json");
    // The same key of another organisation, on another referral, on another route: other requests.
    let foreign = app.ask("smow", keyed("/v1/referrals", body.clone(), "key-1")).await;
    assert_eq!(foreign.status, 403, "decided as its own: {}", foreign.text);
    let checked = app.ask("gemeente-wassenaar", keyed("/v1/referrals/_check", body, "key-1")).await;
    assert_eq!(checked.status, 200);
    let second = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    for created in [&first, &second] {
        let path = format!("{}/updates", created.headers["location"]);
        let step = app.ask("kredietbank", keyed(path, json!({ "status": "received" }), "key-3")).await;
        assert_eq!(step.status, 201, "{}", step.text);
        assert!(step.headers["location"].starts_with(&created.headers["location"]));
    }
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM referrals").await, 2);
    // After a month the key may be used again.
    app.world().clock().advance(Duration::from_hours(24 * 31));
    let later =
        app.ask("gemeente-wassenaar", keyed("/v1/referrals", with_sections(debts(), &["finance"]), "key-1")).await;
    assert_eq!(later.status, 201, "{}", later.text);
    finish(app).await;
}

/// Twenty times the same request at once; all answers, which must be equal.
async fn twenty_times(app: &TestApp, who: &str, path: &str, body: Value, status: u16) -> Answer {
    let key = app.world().new_key().unwrap();
    let answers = join_all((0..20).map(|_| app.ask(who, keyed(path, body.clone(), &key)))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (status, &answers[0].text), "{path}");
        assert_eq!(answer.headers.get("location"), answers[0].headers.get("location"));
    }
    answers[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_twenty_times_at_once_happens_once() {
    let app = TestApp::start().await;
    let body = with_sections(debts(), &["finance", "mental-health"]);
    let created = twenty_times(&app, "gemeente-wassenaar", "/v1/referrals", body, 201).await;
    let mut refused = with_sections(debts(), &["mental-health"]);
    refused["onWithheld"] = json!("reject");
    twenty_times(&app, "gemeente-wassenaar", "/v1/referrals", refused, 403).await;
    let updates = format!("{}/updates", created.headers["location"]);
    twenty_times(&app, "kredietbank", &updates, json!({ "status": "accepted" }), 201).await;
    let consent = consent(&app, SMOW, "welfare-support", &["question"]);
    let recorded = twenty_times(&app, "mee", "/v1/consents", consent, 201).await;
    let withdrawals = format!("{}/withdrawals", recorded.headers["location"]);
    twenty_times(&app, "mee", &withdrawals, json!({ "reasonCode": "resident-asked" }), 201).await;
    app.app().sequence().await.unwrap();
    for (expected, sql) in [
        (1, "SELECT COUNT(*) AS count FROM referrals"),
        (1, "SELECT COUNT(*) AS count FROM referral_updates"),
        (1, "SELECT COUNT(*) AS count FROM consents"),
        (1, "SELECT COUNT(*) AS count FROM events WHERE type = 'nl.sluis.referral.requested.v1'"),
        (1, "SELECT COUNT(*) AS count FROM events WHERE type = 'nl.sluis.referral.status-updated.v1'"),
        (1, "SELECT COUNT(*) AS count FROM events WHERE type = 'nl.sluis.consent.withdrawn.v1'"),
        // The permitted one for both parties, the refused one for the sender alone.
        (3, "SELECT COUNT(*) AS count FROM audit_records WHERE kind = 'decision'"),
        (2, "SELECT COUNT(*) AS count FROM audit_records WHERE kind = 'status-update'"),
        (2, "SELECT COUNT(*) AS count FROM audit_records WHERE kind = 'consent'"),
    ] {
        assert_eq!(count(&app, sql).await, expected, "{sql}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_steps_from_the_same_state_one_is_taken() {
    let app = TestApp::start().await;
    for _ in 0..4 {
        let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
        let id = created.text_at("/id").unwrap();
        let path = format!("/v1/referrals/{id}/updates");
        let step = |number: usize| match number % 3 {
            0 => json!({ "status": "accepted" }),
            1 => json!({ "status": "rejected", "statusReason": "no-capacity" }),
            _ => json!({ "status": "rejected", "statusReason": "other" }),
        };
        let answers = join_all((0..12).map(|number| app.post("kredietbank", &path, step(number)))).await;
        let taken: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(taken.len(), 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 409 | 412)));
        let referral = app.get("kredietbank", format!("/v1/referrals/{id}")).await;
        assert_eq!((&referral.body["status"], &referral.body["version"]), (&taken[0].body["status"], &json!(2)));
        let steps = app.get("kredietbank", &path).await;
        assert_eq!(steps.body["items"].as_array().unwrap().len(), 1);
    }
    finish(app).await;
}

/// A step with `If-Match`.
async fn step_at(app: &TestApp, who: &str, referral: &str, etag: &str, body: &Value) -> u16 {
    let identity = app.world().identity(who).unwrap();
    let pem = [identity.key.as_slice(), b"\n", &identity.certificate].concat();
    let ca = reqwest::Certificate::from_pem(&std::fs::read(app.folder.join("ca.pem")).unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .identity(reqwest::Identity::from_pem(&pem).unwrap())
        .no_proxy()
        .build()
        .unwrap();
    let address = format!("https://localhost:{}/v1/referrals/{referral}/updates", app.app().config.api.listen.port());
    let request = client
        .post(address)
        .bearer_auth(app.world().client(who).unwrap().token(None).await.unwrap())
        .header("idempotency-key", app.world().new_key().unwrap())
        .header("if-match", etag)
        .json(body);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_on_a_version_that_has_passed_is_refused() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let id = created.text_at("/id").unwrap();
    assert_eq!(created.headers["etag"], "\"1\"");
    let received =
        app.post("kredietbank", format!("/v1/referrals/{id}/updates"), json!({ "status": "received" })).await;
    assert_eq!(received.headers["etag"], "\"2\"");
    let accepted = json!({ "status": "accepted" });
    assert_eq!(step_at(&app, "kredietbank", id, "\"1\"", &accepted).await, 412);
    // The step table comes first: it is no step whatever the version.
    assert_eq!(step_at(&app, "kredietbank", id, "\"1\"", &json!({ "status": "received" })).await, 409);
    assert_eq!(step_at(&app, "kredietbank", id, "\"1\"", &json!({ "status": "rejected" })).await, 400);
    let answers = join_all((0..8).map(|_| step_at(&app, "kredietbank", id, "\"2\"", &accepted))).await;
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 201 | 409 | 412)), "{answers:?}");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_contradicting_age_groups_stated_at_once_one_stands() {
    let app = TestApp::start().await;
    for resident in [BSN, "999990020", "999990032"] {
        let stating = |age: &'static str| {
            let mut referral = debts();
            referral["subject"] = json!({ "bsn": resident, "ageGroup": age });
            app.refer("gemeente-wassenaar", referral, &["finance"])
        };
        let ages = ["18-plus", "12-15", "18-plus", "12-15", "18-plus", "12-15"];
        let answers = join_all(ages.into_iter().map(stating)).await;
        let accepted: Vec<usize> = (0..ages.len()).filter(|index| answers[*index].status == 201).collect();
        assert!(!accepted.is_empty(), "{}", answers[0].text);
        assert!(accepted.iter().all(|index| ages[*index] == ages[accepted[0]]), "both were believed: {accepted:?}");
        assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 403)));
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_added_for_a_suspended_party_is_refused_and_recorded() {
    let app = TestApp::start().await;
    let world = clients(&app);
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let path = format!("{}/supplements", created.headers["location"]);
    assert_eq!(set_status(&world, KREDIETBANK, "suspended").await.status, 200);
    let more = json!({ "sections": [{ "category": "finance", "content": { "text": "what was forgotten" } }] });
    let refused = app.ask("gemeente-wassenaar", keyed(&path, more.clone(), "key-9")).await;
    assert_eq!((refused.status, refused.text_at("/code")), (403, Some("refused")), "{}", refused.text);
    let records = app.get("gemeente-wassenaar", "/v1/audit/records?kind=status-update").await;
    let recorded: Vec<_> =
        records.body["items"].as_array().unwrap().iter().map(|item| item["outcome"].clone()).collect();
    assert_eq!(recorded, ["refused"], "{}", records.text);
    assert_eq!(set_status(&world, KREDIETBANK, "active").await.status, 200);
    let repeated = app.ask("gemeente-wassenaar", keyed(&path, more.clone(), "key-9")).await;
    assert_eq!((repeated.status, &repeated.text), (403, &refused.text), "a repeat is answered as the first time");
    assert_eq!(app.post("gemeente-wassenaar", path, more).await.status, 201);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_is_read_while_many_write_shows_every_event_once_and_in_order() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let neighbour = Arc::new(neighbour);
    let world = clients(&app);
    let other = Arc::new(world_of(&app.folder, neighbour.world_port(), app.world().clock()));
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
        tokio::spawn(async move {
            let (mut seen, mut path) = (Vec::new(), "/v1/events?limit=7".to_owned());
            loop {
                let ending = stop.load(Ordering::SeqCst);
                let page = world.ask("kredietbank", Request::get(path)).await.unwrap();
                assert_eq!(page.status, 200, "{}", page.text);
                path = page.text_at("/next").unwrap().to_owned();
                let items = page.body["items"].as_array().unwrap();
                if ending && items.is_empty() {
                    return seen;
                }
                seen.extend(items.iter().cloned());
            }
        })
    };
    let storms = [
        Storm::begin(&world, 4, "gemeente-wassenaar", about_debts),
        Storm::begin(&other, 4, "gemeente-wassenaar", about_debts),
    ];
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut created: Vec<String> = Vec::new();
    for storm in storms {
        for (_, answer) in storm.end().await {
            assert_eq!(answer.status, 201, "{}", answer.text);
            created.push(answer.text_at("/id").unwrap().to_owned());
        }
    }
    app.app().sequence().await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let seen = reader.await.unwrap();
    let sequences: Vec<u64> = seen.iter().map(|event| event["sequence"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>(), "no gap, no double, in order");
    let mut requested: Vec<String> = seen
        .iter()
        .filter(|event| event["type"] == "nl.sluis.referral.requested.v1")
        .map(|event| event["subject"].as_str().unwrap().to_owned())
        .collect();
    requested.sort();
    created.sort();
    assert_eq!(requested, created, "one event for each referral");
    println!("{} referrals through two gateways", created.len());
    drop(other);
    Arc::into_inner(neighbour).unwrap().stop().await;
    finish(app).await;
}

impl Neighbour {
    pub fn world_port(&self) -> u16 {
        self.running.address.port()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_disclosure_and_refusal_has_its_records() {
    let app = TestApp::start().await;
    let kinds = async |who: &str| {
        let page = app.get(who, "/v1/audit/records?limit=1000").await;
        let items = page.body["items"].as_array().unwrap();
        let mut kinds: Vec<String> = items
            .iter()
            .filter(|item| !matches!(item["kind"].as_str(), Some("administration" | "covenant")))
            .map(|item| format!("{} {}", item["kind"].as_str().unwrap(), item["outcome"].as_str().unwrap_or("-")))
            .collect();
        kinds.sort();
        kinds
    };
    app.post("gemeente-wassenaar", "/v1/referrals/_check", with_sections(debts(), &["finance", "safety"])).await;
    app.post("gemeente-wassenaar", "/v1/referrals/_check", with_sections(debts(), &["safety"])).await;
    assert_eq!(app.refer("gemeente-wassenaar", debts(), &["safety"]).await.status, 403);
    let created = app.refer("gemeente-wassenaar", debts(), &["finance", "safety"]).await;
    let path = created.headers["location"].clone();
    assert_eq!(app.get("kredietbank", format!("{path}/sections")).await.status, 200);
    assert_eq!(app.get("gemeente-wassenaar", format!("{path}/sections")).await.status, 200, "its own words");
    assert_eq!(app.post("kredietbank", format!("{path}/updates"), json!({ "status": "accepted" })).await.status, 201);
    let cancelled = json!({ "status": "cancelled", "statusReason": "no-longer-needed" });
    assert_eq!(app.post("gemeente-wassenaar", format!("{path}/updates"), cancelled).await.status, 201);
    assert_eq!(app.get("kredietbank", format!("{path}/sections")).await.status, 403);
    let senders = kinds("gemeente-wassenaar").await;
    assert_eq!(
        senders,
        [
            "check minimised",
            "check refused",
            "decision minimised",
            "decision refused",
            "disclosure permitted",
            "disclosure refused",
            "status-update -",
            "status-update -",
        ]
    );
    let recipients = kinds("kredietbank").await;
    assert_eq!(
        recipients,
        ["decision permitted", "disclosure permitted", "disclosure refused", "status-update -", "status-update -"]
    );
    let personal = count(&app, "SELECT COUNT(*) AS count FROM audit_records WHERE facts LIKE '%999990019%'").await;
    assert_eq!(personal, 0);
    finish(app).await;
}
