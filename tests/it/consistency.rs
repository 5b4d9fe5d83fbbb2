//! Nothing happens twice, nothing happens on what is no longer so, nobody sees less than what happened: repeats, concurrent
//! steps, withdrawals and suspensions in between, two gateways on one database, the feed, the audit log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sluis::app::{App, Application, Running};
use sluis::args;
use sluis::audit::{self, Trust};
use sluis::clock::Clock;
use sluis::config;
use sluis::demo::client::{Answer, Request};
use sluis::demo::evening::any_port;
use sluis::demo::world::World;
use sluis::referrals::explain_record;
use sluis::storage::{Query as _, Row};

use crate::app::{BSN, KREDIETBANK, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::process::world_of;

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

fn keyed(path: impl Into<String>, body: Value, key: &str) -> Request {
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

async fn rows(app: &TestApp, sql: &'static str) -> Vec<Row> {
    rows_of(app.app(), sql).await
}

async fn rows_of(app: &App, sql: &'static str) -> Vec<Row> {
    app.db.reader().rows(sql, args![]).await.unwrap()
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    rows(app, sql).await[0].int("count").unwrap()
}

/// Takes every decision of the log again on the facts that it kept, and verifies the log.
pub async fn the_log_holds(app: &TestApp) {
    log_holds(app.app()).await;
}

/// The same of any gateway in this process.
pub async fn log_holds(app: &App) {
    app.sequence().await.unwrap();
    let sql = "SELECT id, kind, outcome, sections, status, covenant_version, policy_digest FROM audit_records \
               WHERE facts IS NOT NULL AND sections IS NOT NULL";
    for row in rows_of(app, sql).await {
        let id = row.text("id").unwrap();
        let again = explain_record(app, &id).await.unwrap_or_else(|problem| panic!("{id}: {problem:?}"));
        let recorded: Vec<Value> = serde_json::from_str(&row.text("sections").unwrap()).unwrap();
        let short = |section: &Value, rules: Value| json!([section["category"], section["effect"], rules]);
        let recorded: Vec<Value> = recorded.iter().map(|section| short(section, section["rules"].clone())).collect();
        let again_sections = serde_json::to_value(&again.sections).unwrap();
        let decided: Vec<Value> = again_sections
            .as_array()
            .unwrap()
            .iter()
            .map(|section| {
                short(section, section["rules"].as_array().unwrap().iter().map(|rule| rule["id"].clone()).collect())
            })
            .collect();
        assert_eq!(recorded, decided, "{id}");
        assert_eq!(row.text("covenant_version").unwrap(), again.covenant_version, "{id}");
        assert_eq!(row.text("policy_digest").unwrap(), again.policy_digest.as_str(), "{id}");
        // A disclosure from a referral that has ended, and a step between parties that may not exchange, are refused
        // whatever the sections are.
        let refused = row.opt_text("outcome").unwrap().as_deref() == Some("refused");
        if !refused || matches!(row.text("kind").unwrap().as_str(), "decision" | "check") {
            assert_eq!(row.opt_text("outcome").unwrap().unwrap(), again.outcome.to_string(), "{id}");
        }
    }
    let signer = app.log_signer().await.unwrap();
    let trust = Trust { keys: &signer.known_keys(), seals: &app.sealer, kept: None };
    let report = audit::verify(&mut app.db.snapshot().await.unwrap(), &trust).await.unwrap();
    assert!(report.intact && report.unsequenced == 0, "{report}");
}

async fn finish(app: TestApp) {
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

/// When a request was sent, and how it was answered.
type Attempt = (Instant, Answer);

/// Sends requests in as many tasks until it is told to stop.
struct Storm {
    stop: Arc<AtomicBool>,
    /// How many succeeded so far.
    succeeded: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Attempt>>>,
}

impl Storm {
    fn begin(
        world: &Arc<World>,
        tasks: usize,
        who: &'static str,
        make: impl Fn(&World) -> Request + Clone + Send + Sync + 'static,
    ) -> Self {
        let (stop, succeeded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&succeeded);
        let one = |world: Arc<World>, stop: Arc<AtomicBool>, make: Box<dyn Fn(&World) -> Request + Send + Sync>| {
            let counter = Arc::clone(&counter);
            async move {
                let mut attempts = Vec::new();
                loop {
                    let last = stop.load(Ordering::SeqCst);
                    let (sent, request) = (Instant::now(), make(&world));
                    let answer = world.ask(who, request).await.unwrap();
                    counter.fetch_add(usize::from(answer.status < 300), Ordering::SeqCst);
                    attempts.push((sent, answer));
                    if last {
                        return attempts;
                    }
                }
            }
        };
        let tasks = (0..tasks)
            .map(|_| tokio::spawn(one(Arc::clone(world), Arc::clone(&stop), Box::new(make.clone()))))
            .collect();
        Self { stop, succeeded, tasks }
    }

    /// Waits until something has succeeded, and then a little longer, so that what comes next falls into the midst of it.
    async fn blow(&self, longer: Duration) {
        let begun = Instant::now();
        while self.succeeded.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < Duration::from_mins(1), "nothing succeeds");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(longer).await;
    }

    /// Ends it; each task sends one more request, after what has just happened.
    async fn end(self) -> Vec<Attempt> {
        self.stop.store(true, Ordering::SeqCst);
        let mut attempts = Vec::new();
        for task in self.tasks {
            attempts.extend(task.await.unwrap());
        }
        attempts
    }
}

/// Of what was sent after `moment`, nothing may have succeeded; something must have been tried. Gives what succeeded before.
fn nothing_after(moment: Instant, attempts: &[Attempt], success: u16) -> Vec<&Answer> {
    let (after, before): (Vec<_>, Vec<_>) = attempts.iter().partition(|(sent, _)| *sent > moment);
    assert!(!after.is_empty(), "nothing was tried afterwards");
    for (_, answer) in &after {
        assert_eq!(answer.status, 403, "{}", answer.text);
    }
    for (_, answer) in &before {
        assert!(answer.status == success || answer.status == 403, "{} {}", answer.status, answer.text);
    }
    before.into_iter().map(|(_, answer)| answer).filter(|answer| answer.status == success).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_withdrawal_is_answered_nothing_is_handed_over() {
    let app = TestApp::start().await;
    let world = clients(&app);
    let mut handed_over = 0;
    for round in 0..12_u64 {
        let recorded = app.post("mee", "/v1/consents", consent(&app, SMOW, "welfare-support", &["question"])).await;
        let created = app.refer("mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let sections = format!("{}/sections", created.headers["location"]);
        let storm = Storm::begin(&world, 6, "smow", move |_| Request::get(sections.clone()));
        storm.blow(Duration::from_millis(13 * round)).await;
        let path = format!("{}/withdrawals", recorded.headers["location"]);
        let withdrawn = post(&world, "mee", &path, json!({ "reasonCode": "resident-asked" })).await;
        let moment = Instant::now();
        assert_eq!(withdrawn.status, 201, "{}", withdrawn.text);
        handed_over += nothing_after(moment, &storm.end().await, 200).len();
    }
    assert!(handed_over > 0, "nothing was handed over before either: this says nothing");
    app.app().sequence().await.unwrap();
    // The log tells the same story: no disclosure behind the withdrawal of the consent that it rests on.
    let sql = "SELECT COUNT(*) AS count FROM audit_records given JOIN audit_records withdrawn \
               ON withdrawn.action = 'withdrawn' AND given.consent_ids LIKE '%' || withdrawn.consent || '%' \
               WHERE given.kind = 'disclosure' AND given.outcome = 'permitted' AND given.leaf_index > withdrawn.leaf_index";
    assert_eq!(count(&app, sql).await, 0);
    let told = count(&app, "SELECT COUNT(*) AS count FROM events WHERE type = 'nl.sluis.referral.disclosed.v1'").await;
    assert_eq!(told, i64::try_from(handed_over).unwrap(), "every disclosure was told to the sender, no refusal was");
    finish(app).await;
}

/// Asks for a referral about debts.
fn about_debts(world: &World) -> Request {
    keyed("/v1/referrals", with_sections(debts(), &["finance"]), &world.new_key().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_suspension_is_answered_nothing_is_created() {
    let app = TestApp::start().await;
    let world = clients(&app);
    for round in 0..5_u64 {
        let storm = Storm::begin(&world, 6, "gemeente-wassenaar", about_debts);
        storm.blow(Duration::from_millis(31 * round)).await;
        let suspended = set_status(&world, KREDIETBANK, "suspended").await;
        let moment = Instant::now();
        assert_eq!(suspended.status, 200, "{}", suspended.text);
        let created = nothing_after(moment, &storm.end().await, 201).len();
        assert!(created > 0, "round {round}: nothing was created before either");
        assert_eq!(set_status(&world, KREDIETBANK, "active").await.status, 200);
    }
    app.app().sequence().await.unwrap();
    // Between a suspension and the resumption after it the log has no permitted decision.
    let mut suspended = false;
    let sql = "SELECT kind, action, outcome FROM audit_records WHERE kind IN ('decision', 'administration') ORDER BY leaf_index";
    let mut turns = 0;
    for row in rows(&app, sql).await {
        let action = row.opt_text("action").unwrap().unwrap_or_default();
        match (row.text("kind").unwrap().as_str(), action.as_str()) {
            ("administration", action) if action.contains("suspended") => (suspended, turns) = (true, turns + 1),
            ("administration", action) if action.contains("resumed") => suspended = false,
            ("decision", _) if suspended => assert_eq!(row.text("outcome").unwrap(), "refused"),
            _ => {}
        }
    }
    assert_eq!(turns, 5, "the suspensions are in the log");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_new_covenant_version_is_published_nothing_crosses_under_the_former_one() {
    let app = TestApp::start().await;
    let world = clients(&app);
    let in_force = app.get("privacy-officer", "/v1/covenants").await;
    let version = in_force.body["items"][0]["version"].as_str().unwrap().to_owned();
    let mut files = app.get("privacy-officer", format!("/v1/covenants/{version}")).await.body["files"].clone();
    let storm = Storm::begin(&world, 6, "gemeente-wassenaar", about_debts);
    storm.blow(Duration::from_millis(50)).await;
    let renewed = |line: &str| match line.split(" = ").next() {
        Some("version") => "version = \"9.9\"\n".to_owned(),
        Some("effective-from") => format!("effective-from = \"{}\"\n", app.app().now()),
        _ => format!("{line}\n"),
    };
    files["covenant.toml"] = files["covenant.toml"].as_str().unwrap().lines().map(renewed).collect::<String>().into();
    let published =
        post(&world, "privacy-officer", "/v1/covenants", json!({ "files": files, "withoutProof": true })).await;
    let moment = Instant::now();
    assert_eq!(published.status, 201, "{}", published.text);
    let attempts = storm.end().await;
    assert!(!nothing_after(moment, &attempts, 201).is_empty());
    for (_, answer) in &attempts {
        let decision = &answer.body["decision"];
        let by_former = decision["covenantVersion"] == version;
        assert_eq!(answer.status == 201, by_former, "permitted under the former version alone: {decision}");
    }
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
async fn what_one_gateway_takes_back_the_next_request_at_another_knows() {
    let app = TestApp::start().await;
    let here = clients(&app);
    let neighbour = Neighbour::start(&app, &[]).await;
    let there = &neighbour.world;
    let ask = async |world: &World, who: &str, path: &str| world.ask(who, Request::get(path)).await.unwrap();
    for round in 0..6 {
        let (one, two): (&World, &World) = if round % 2 == 0 { (&here, there) } else { (there, &here) };
        // A consent: recorded and used here, withdrawn there.
        let recorded = post(one, "mee", "/v1/consents", consent(&app, SMOW, "welfare-support", &["question"])).await;
        let body = with_sections(by_consent(SMOW, "welfare-support"), &["question"]);
        let created = post(two, "mee", "/v1/referrals", body.clone()).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let sections = format!("{}/sections", created.headers["location"]);
        assert_eq!(ask(one, "smow", &sections).await.status, 200);
        let path = format!("{}/withdrawals", recorded.headers["location"]);
        assert_eq!(post(two, "mee", &path, json!({ "reasonCode": "resident-asked" })).await.status, 201);
        assert_eq!(ask(one, "smow", &sections).await.status, 403);
        assert_eq!(post(one, "mee", "/v1/referrals", body).await.status, 403);
        // A request with a key that was used at the other.
        let body = with_sections(debts(), &["finance"]);
        let key = here.new_key().unwrap();
        let first = one.ask("gemeente-wassenaar", keyed("/v1/referrals", body.clone(), &key)).await.unwrap();
        let again = two.ask("gemeente-wassenaar", keyed("/v1/referrals", body, &key)).await.unwrap();
        assert_eq!((first.status, &first.text), (201, &again.text));
        // A suspension.
        assert_eq!(ask(two, "smow", "/v1/referrals").await.status, 200);
        assert_eq!(set_status(one, SMOW, "suspended").await.status, 200);
        let refused = ask(two, "smow", "/v1/referrals").await;
        assert_eq!(
            (refused.status, refused.text_at("/code")),
            (401, Some("organisation-suspended")),
            "{}",
            refused.text
        );
        assert_eq!(set_status(two, SMOW, "active").await.status, 200);
        assert_eq!(ask(one, "smow", "/v1/referrals").await.status, 200);
    }
    // A certificate, on connections that are open.
    assert_eq!(ask(&here, "jgz", "/v1/referrals").await.status, 200);
    assert_eq!(ask(there, "jgz", "/v1/referrals").await.status, 200);
    let oin = "00000099000000005000";
    let certificates = ask(&here, "administrator", &format!("/v1/organisations/{oin}/certificates")).await;
    let serial = certificates.text_at("/items/0/serial").unwrap_or_else(|| panic!("{}", certificates.text)).to_owned();
    let path = format!("/v1/organisations/{oin}/certificates/{serial}/revocations");
    let revoked = post(there, "administrator", &path, json!({ "reasonCode": "key-compromise" })).await;
    assert_eq!(revoked.status, 201, "{}", revoked.text);
    for world in [&here as &World, there] {
        let refused = ask(world, "jgz", "/v1/referrals").await;
        assert_eq!((refused.status, refused.text_at("/code")), (401, Some("certificate-revoked")), "{}", refused.text);
    }
    neighbour.stop().await;
    finish(app).await;
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
