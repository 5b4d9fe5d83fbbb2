//! What the operator sees: health, readiness that says what is wrong, metrics that say what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluis::demo::client::Request;
use sluis::storage::Tx;
use tokio::sync::oneshot;

use crate::app::{BSN, KREDIETBANK, TestApp, debts, postgres, with_sections};
use crate::wire::Wire;

/// The operator's listener, asked without a certificate.
pub struct Operator {
    http: reqwest::Client,
    base: String,
}

impl Operator {
    pub fn of(app: &TestApp) -> Self {
        Self::at(app.house.operations().unwrap())
    }

    pub fn at(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { http, base: format!("http://{address}") }
    }

    /// Status, media type and text.
    pub async fn get(&self, path: &str) -> (u16, String, String) {
        self.try_get(path).await.unwrap()
    }

    pub async fn try_get(&self, path: &str) -> reqwest::Result<(u16, String, String)> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await?;
        let media_type = answer.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
        Ok((answer.status().as_u16(), media_type, answer.text().await?))
    }

    /// Whether it is ready, and its checks by name.
    pub async fn ready(&self) -> (u16, BTreeMap<String, Value>) {
        let (status, media_type, text) = self.get("/readyz").await;
        assert_eq!(media_type, "application/json");
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["ready"], status == 200, "{text}");
        let checks = body["checks"].as_array().unwrap();
        for check in checks {
            assert!(check["detail"].is_string(), "{check}");
            assert_eq!(
                check["ok"] == false,
                check["remedy"].is_string(),
                "what to do is said where something is: {check}"
            );
        }
        (status, checks.iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone())).collect())
    }

    /// The checks that say no.
    pub async fn wrong(&self) -> Vec<String> {
        let (status, checks) = self.ready().await;
        let wrong: Vec<String> =
            checks.into_iter().filter(|(_, check)| check["ok"] == false).map(|(name, _)| name).collect();
        assert_eq!(status, if wrong.is_empty() { 200 } else { 503 });
        wrong
    }

    pub async fn metrics(&self) -> Metrics {
        let (status, media_type, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert!(text.ends_with("# EOF\n"), "{text}");
        Metrics(text)
    }
}

/// The text of the metrics.
pub struct Metrics(pub String);

impl Metrics {
    /// The value of the series that is written like this.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// The sum over all series of a name that have these labels.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let fits = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        };
        self.0.lines().filter(fits).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Name and type of each metric.
    fn types(&self) -> BTreeMap<&str, &str> {
        self.0.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
    }
}

/// Holds the database so that no change gets through, from a connection of its own, until it is let go.
pub struct Hold {
    let_go: Option<oneshot::Sender<()>>,
    held: tokio::task::JoinHandle<()>,
}

impl Hold {
    pub async fn of(storage: &str) -> Self {
        let settings = sluis::storage::StorageSettings { url: storage.to_owned(), readers: 1, writers: 1 };
        let db = sluis::storage::Db::open(&settings).await.unwrap();
        let (held, holds) = oneshot::channel();
        let (let_go, told) = oneshot::channel::<()>();
        let channels = std::sync::Mutex::new(Some((held, told)));
        let task = tokio::spawn(async move {
            let hold = async move |tx: &mut Tx| {
                if tx.is_postgres() {
                    let lock = "LOCK TABLE feeds, events, referrals, audit_records, idempotency IN EXCLUSIVE MODE";
                    tx.execute(lock, vec![]).await?;
                }
                let taken = channels.lock().unwrap().take();
                if let Some((held, told)) = taken {
                    held.send(()).unwrap();
                    let _ = told.await;
                }
                Ok(())
            };
            db.write("hold", hold).await.unwrap();
        });
        holds.await.unwrap();
        Self { let_go: Some(let_go), held: task }
    }

    pub async fn end(mut self) {
        self.let_go.take().unwrap().send(()).unwrap();
        self.held.await.unwrap();
    }
}

async fn change(app: &TestApp, sql: &'static str) {
    let change = async move |tx: &mut Tx| Ok(tx.execute(sql, vec![]).await.map(drop)?);
    app.app().db.write("test", change).await.unwrap();
}

/// Waits for a condition in real time.
pub async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}: not within half a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_listener_has_three_paths_and_the_api_none_of_them() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    assert_eq!(operator.get("/healthz").await, (200, "text/plain; charset=utf-8".into(), "alive\n".into()));
    assert_eq!(operator.get("/readyz").await.0, 200);
    assert_eq!(operator.get("/metrics").await.0, 200);
    for path in
        ["/", "/v1/openapi.json", "/v1/organisations", "/oauth/jwks", "/log/checkpoint", "/metrics/", "/healthz/x"]
    {
        assert_eq!(operator.get(path).await.0, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        let request = operator.http.request(method.parse().unwrap(), format!("{}/metrics", operator.base));
        assert_eq!(request.send().await.unwrap().status(), 405, "{method}");
    }
    let api = Wire::of(&app, "gemeente-wassenaar");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(api.get(path, None).await.status, 404, "{path}");
    }
    assert!(operator.base.starts_with("http://127.0.0.1:"), "{}", operator.base);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_well_is_ready_and_one_that_stops_is_not() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    // The workers begin with the gateway.
    soon("readiness", async || operator.ready().await.0 == 200).await;
    let (_, checks) = operator.ready().await;
    let names: Vec<&str> = checks.keys().map(String::as_str).collect();
    let all = [
        "authority-certificate",
        "covenant",
        "database",
        "deadlines",
        "deliverer",
        "house-keeping",
        "key-store",
        "running",
        "sequencer",
        "server-certificate",
        "signing-keys",
    ];
    assert_eq!(names, all);
    assert!(checks["server-certificate"]["detail"].as_str().unwrap().ends_with("days left"), "{checks:?}");
    app.app().vitals.leave();
    assert_eq!(operator.wrong().await, ["running"]);
    assert_eq!(app.get("smow", "/v1/referrals").await.status, 200, "until the delay is over it goes on");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_names_the_covenant_and_the_certificates_when_they_are_wrong() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    soon("readiness", async || operator.ready().await.0 == 200).await;
    change(&app, "UPDATE covenants SET effective_from = 9000000000000000").await;
    assert_eq!(operator.wrong().await, ["covenant"]);
    app.world().clock().advance(Duration::from_hours(24 * 366));
    let wrong = operator.wrong().await;
    assert!(wrong.contains(&"server-certificate".to_owned()), "{wrong:?}");
    let days = operator.metrics().await.value(r#"sluis_certificate_days_left{name="server"}"#).unwrap();
    assert!((-2.0..0.0).contains(&days), "{days}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_names_the_deadlines_that_could_not_be_looked_at_until_they_are() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let path = created.headers["location"].clone();
    // What is due has terms of the covenant, and there is none.
    change(&app, "UPDATE covenants SET effective_from = effective_from + 9000000000000000").await;
    app.world().clock().advance(Duration::from_hours(24 * 20));
    let operator = Operator::of(&app);
    let is_named = async || operator.wrong().await.contains(&"deadlines".to_owned());
    soon("the failed look", async || is_named().await).await;
    change(&app, "UPDATE covenants SET effective_from = effective_from - 9000000000000000").await;
    soon("the next look", async || !is_named().await).await;
    assert_eq!(app.get("kredietbank", path).await.body["businessStatus"], "overdue", "what was missed is found then");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_names_a_sequencer_that_refuses_to_go_on() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    soon("readiness", async || operator.ready().await.0 == 200).await;
    app.app().sequence().await.unwrap();
    // The tree no longer gives the root that was signed.
    change(&app, "UPDATE audit_tiles SET hashes = (SELECT seal FROM audit_records LIMIT 1) || substr(hashes, 33)")
        .await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    assert_eq!(created.status, 201, "what is accepted waits: {}", created.text);
    soon("the sequencer's failure", async || operator.wrong().await == ["sequencer"]).await;
    assert!(operator.metrics().await.value("sluis_audit_records_unsequenced").unwrap() >= 1.0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_is_named_in_time_and_found_well_again() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    soon("readiness", async || operator.ready().await.0 == 200).await;
    let hold = Hold::of(&app.storage).await;
    for _ in 0..3 {
        let asked = Instant::now();
        let wrong = operator.wrong().await;
        assert!(wrong.contains(&"database".to_owned()), "{wrong:?}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert_eq!(operator.get("/healthz").await.0, 200);
    }
    // One look waits, however often somebody asked.
    assert!(app.app().db.queue_length() <= 8, "{}", app.app().db.queue_length());
    hold.end().await;
    soon("recovery", async || operator.ready().await.0 == 200).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_count_what_happened() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    let before = operator.metrics().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance", "mental-health"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.text_at("/id").unwrap().to_owned();
    assert_eq!(app.get("kredietbank", format!("/v1/referrals/{id}")).await.status, 200);
    assert_eq!(app.get("smow", format!("/v1/referrals/{id}")).await.status, 404);
    let after = operator.metrics().await;
    let grown = |name: &str, labels: &[&str]| after.sum(name, labels) - before.sum(name, labels);
    let route = r#"route="/v1/referrals/{id}""#;
    for (labels, times) in [
        (&[r#"route="/v1/referrals""#, r#"method="POST""#, r#"status="201""#][..], 1.0),
        (&[route, r#"status="200""#], 1.0),
        (&[route, r#"status="404""#], 1.0),
        (&[route, r#"status="500""#], 0.0),
    ] {
        assert_eq!(grown("sluis_requests_total", labels), times, "{labels:?}");
    }
    assert_eq!(grown("sluis_request_duration_seconds_count", &[route]), 2.0);
    let decision = |effect: &str| grown("sluis_decisions_total", &[r#"action="refer""#, effect]);
    assert_eq!(decision(r#"effect="permit",reason="none""#), 1.0);
    assert_eq!(decision(r#"effect="withhold""#), 1.0);
    assert_eq!(decision(r#"effect="withhold",reason="none""#), 0.0, "what is withheld has a reason");
    assert!(grown("sluis_commit_changes_count", &[]) >= 1.0);
    assert!(grown("sluis_commit_duration_seconds_count", &[]) >= 1.0);
    assert!(grown("sluis_commit_changes_sum", &[]) >= grown("sluis_commit_changes_count", &[]));
    assert!(after.value("sluis_database_pool_connections").unwrap() >= 1.0);
    assert!(after.value("sluis_connections").unwrap() >= 1.0);
    assert!(after.value("process_resident_memory_bytes").unwrap() > 1e6);
    assert!(after.sum("sluis_tls_handshakes_completed_total", &[]) >= after.value("sluis_connections").unwrap());
    soon("a delivery", async || {
        let delivered = [format!("organisation=\"{KREDIETBANK}\""), r#"result="delivered""#.to_owned()];
        let delivered: Vec<&str> = delivered.iter().map(String::as_str).collect();
        operator.metrics().await.sum("sluis_deliveries_total", &delivered) >= 1.0
    })
    .await;
    soon("an empty outbox", async || {
        let metrics = operator.metrics().await;
        metrics.value("sluis_events_unsequenced") == Some(0.0) && metrics.value("sluis_deliveries_pending") == Some(0.0)
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_counted_with_its_age() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    let partner = app.world().partner("kredietbank").unwrap();
    soon("the handshake", async || {
        let page = app.get("kredietbank", "/v1/subscriptions").await;
        page.body["items"][0]["status"] == "active"
    })
    .await;
    partner.down().await;
    assert_eq!(app.refer("gemeente-wassenaar", debts(), &["finance"]).await.status, 201);
    soon("a failed delivery", async || {
        operator.metrics().await.sum("sluis_deliveries_total", &[r#"result="connection-failed""#]) >= 1.0
    })
    .await;
    app.world().clock().advance(Duration::from_secs(90));
    let metrics = operator.metrics().await;
    assert_eq!(metrics.value("sluis_deliveries_pending"), Some(1.0));
    let age = metrics.value("sluis_deliveries_pending_oldest_seconds").unwrap();
    assert!((90.0..150.0).contains(&age), "{age}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_label_holds_what_a_caller_sent() {
    let app = TestApp::start().await;
    let nobody = Wire::nobody(&app);
    for path in ["/secret-path", "/v1/referrals/secret-id", "/v1/organisations?secret-query=1"] {
        for method in ["GET", "POST", "SECRETMETHOD"] {
            nobody.send(nobody.request(method, path)).await;
        }
    }
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let id = created.text_at("/id").unwrap();
    app.get("kredietbank", format!("/v1/referrals/{id}/sections")).await;
    let metrics = Operator::of(&app).metrics().await;
    for secret in ["secret", "SECRET", id, BSN, "about finance", "Bearer", "debt-counselling"] {
        assert!(!metrics.0.contains(secret), "{secret}: {}", metrics.0);
    }
    assert!(metrics.sum("sluis_requests_total", &[r#"route="unmatched""#]) >= 3.0, "{}", metrics.0);
    assert!(metrics.sum("sluis_requests_total", &[r#"method="other""#, r#"status="405""#]) >= 1.0, "{}", metrics.0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_cannot_be_read_shows_as_a_failure_and_the_others_are_there() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    change(&app, "ALTER TABLE audit_records RENAME TO audit_records_away").await;
    let asked = Instant::now();
    let metrics = operator.metrics().await;
    assert!(asked.elapsed() < Duration::from_secs(5));
    let failed = |name: &str| metrics.value(&format!("sluis_scrape_failed{{name=\"{name}\"}}"));
    assert_eq!([failed("events"), failed("deliveries"), failed("records")], [Some(0.0), Some(0.0), Some(1.0)]);
    assert!(metrics.value("sluis_audit_records_unsequenced").unwrap().is_nan());
    assert!(metrics.value("sluis_deliveries_pending").unwrap() >= 0.0);
    change(&app, "ALTER TABLE audit_records_away RENAME TO audit_records").await;
    assert_eq!(operator.metrics().await.value("sluis_scrape_failed{name=\"records\"}"), Some(0.0));
    app.finish().await;
}

/// The rows of the table of metrics: name, type, labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let table = text.split("\n## 3. Metrics").nth(1).unwrap().split("\n### ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.trim_start_matches('|').split('|').map(str::trim);
        let name = cells.next().unwrap().trim_matches('`').to_owned();
        let kind = cells.next().unwrap().to_owned();
        let labels = cells.next().unwrap().split(", ").map(|label| label.trim_matches('`').to_owned());
        (name, (kind, labels.filter(|label| !label.is_empty()).collect()))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documentation_lists_exactly_the_metrics_that_there_are() {
    let app = TestApp::start().await;
    let documented = documented();
    let names: Vec<&str> = documented.keys().map(String::as_str).collect();
    assert_eq!(names, app.app().metrics.names().collect::<Vec<_>>());
    app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let operator = Operator::of(&app);
    soon("a delivery", async || operator.metrics().await.sum("sluis_deliveries_total", &[]) >= 1.0).await;
    let metrics = operator.metrics().await;
    let exported = metrics.types();
    let without_series: BTreeSet<&str> = names.iter().copied().filter(|name| !exported.contains_key(name)).collect();
    assert!(without_series.iter().all(|name| *name == "sluis_revocation_list_days_left"), "{without_series:?}");
    for (name, kind) in exported {
        let (said, labels) = documented.get(name).unwrap_or_else(|| panic!("{name} is not documented"));
        assert_eq!(said, kind, "{name}");
        let given = labels_of(&metrics.0, name);
        assert!(given.is_subset(labels), "{name} has labels {given:?}, documented {labels:?}");
        if name != "sluis_revocation_list_days_left" {
            assert_eq!(given, *labels, "{name}");
        }
    }
    app.finish().await;
}

/// The labels that occur on the series of a metric, without those that belong to its type.
fn labels_of(text: &str, name: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, rest)) = line.split_once('{') else { continue };
        if ["", "_total", "_bucket", "_sum", "_count", "_info"].iter().all(|suffix| series != format!("{name}{suffix}"))
        {
            continue;
        }
        let inside = rest.rsplit_once('}').unwrap().0;
        labels.extend(inside.split("\",").map(|pair| pair.split('=').next().unwrap().to_owned()));
    }
    labels.remove("le");
    labels
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_a_backlog_takes_as_long_for_a_large_one() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app);
    // Deliveries that will never be sent: their subscription does not exist for the deliverer.
    let page = app.get("kredietbank", "/v1/subscriptions").await;
    let id = page.body["items"][0]["id"].as_str().unwrap().to_owned();
    let paused = app
        .ask(
            "kredietbank",
            Request {
                method: reqwest::Method::PATCH,
                ..Request::post(format!("/v1/subscriptions/{id}"), json!({ "status": "paused" }))
            },
        )
        .await;
    assert_eq!(paused.status, 200, "{}", paused.text);
    assert_eq!(app.refer("gemeente-wassenaar", debts(), &["finance"]).await.status, 201);
    app.app().sequence().await.unwrap();
    let many = "INSERT INTO deliveries (subscription, position, event, subject, status, attempts, next_attempt_at, created_at) \
         WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 20000) \
         SELECT subscription, 1000000 + number, event, subject, 'pending', 0, next_attempt_at, created_at FROM \
         (SELECT * FROM deliveries WHERE status = 'pending' LIMIT 1) AS one, numbers";
    change(&app, many).await;
    let asked = Instant::now();
    let metrics = operator.metrics().await;
    assert!(metrics.value("sluis_deliveries_pending").unwrap() > 20_000.0, "{}", metrics.0);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_in_one_process_count_for_themselves() {
    let (one, other) = (TestApp::start().await, TestApp::start().await);
    let before = Operator::of(&other).metrics().await;
    let referral = with_sections(debts(), &["finance"]);
    assert_eq!(one.post("gemeente-wassenaar", "/v1/referrals", referral).await.status, 201);
    let after = Operator::of(&other).metrics().await;
    let posted = [r#"route="/v1/referrals""#];
    assert_eq!(after.sum("sluis_requests_total", &posted), before.sum("sluis_requests_total", &posted));
    assert!(postgres().is_some() || after.sum("sluis_decisions_total", &[]) == 0.0);
    one.finish().await;
    other.finish().await;
}
