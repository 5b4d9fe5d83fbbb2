//! What is taken back stops at once what rests on it: consents, suspensions and covenant versions, in the midst of a storm of requests, here and
//! at another gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sluis::demo::client::{Answer, Request};
use sluis::demo::world::World;

use crate::app::{KREDIETBANK, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::consistency::{Neighbour, clients, count, finish, keyed, post, rows, set_status};

/// When a request was sent, and how it was answered.
pub type Attempt = (Instant, Answer);

/// Sends requests in as many tasks until it is told to stop.
pub struct Storm {
    stop: Arc<AtomicBool>,
    /// How many succeeded so far.
    succeeded: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Attempt>>>,
}

impl Storm {
    pub fn begin(
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
    pub async fn blow(&self, longer: Duration) {
        let begun = Instant::now();
        while self.succeeded.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed() < Duration::from_mins(1), "nothing succeeds");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(longer).await;
    }

    /// Ends it; each task sends one more request, after what has just happened.
    pub async fn end(self) -> Vec<Attempt> {
        self.stop.store(true, Ordering::SeqCst);
        let mut attempts = Vec::new();
        for task in self.tasks {
            attempts.extend(task.await.unwrap());
        }
        attempts
    }
}

/// Of what was sent after `moment`, nothing may have succeeded; something must have been tried. Gives what succeeded before.
pub fn nothing_after(moment: Instant, attempts: &[Attempt], success: u16) -> Vec<&Answer> {
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
pub fn about_debts(world: &World) -> Request {
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
