//! The trace of a request, from the header that brings it to the webhook that it causes; and what the log says on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sluis::demo::client::{Answer, Identity, Request};
use sluis::demo::partner::PARTNER_HOST;
use sluis::demo::world::World;

use crate::app::{BSN, KREDIETBANK, TestApp, debts, with_sections};
use crate::operations::soon;
use crate::process::DataFolder;
use crate::wire::Wire;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_names_its_trace() {
    let app = TestApp::start().await;
    let wire = Wire::of(&app, "smow");
    let given = format!("00-{TRACE}-{PARENT}-00");
    for path in ["/v1/openapi.json", "/v1/organisations", "/nothing"] {
        let request = wire.request("GET", path).header("traceparent", &given).header("tracestate", "vendor=secret");
        let reply = wire.send(request).await;
        let named = reply.header("traceresponse");
        assert!(named.starts_with(&format!("00-{TRACE}-")) && named.ends_with("-00"), "{path}: {named}");
        assert!(!named.contains(PARENT), "a span of its own");
        assert!(!reply.headers.contains_key("tracestate"));
    }
    let fresh = wire.send(wire.request("GET", "/v1/openapi.json").header("traceparent", "nonsense")).await;
    assert_eq!(fresh.header("traceresponse").len(), given.len());
    app.finish().await;
}

/// What was told, with its headers.
pub type Seen = Arc<Mutex<Vec<(BTreeMap<String, String>, Value)>>>;

/// A partner's system that keeps the headers of what it is told.
pub fn listen(identity: &Identity, seen: &Seen) -> (String, actix_web::dev::ServerHandle) {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&identity.certificate).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&identity.key).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(sluis::tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let agree = async |request: HttpRequest| {
        let origin = request.headers().get("webhook-request-origin").unwrap().clone();
        HttpResponse::Ok().insert_header(("webhook-allowed-origin", origin)).finish()
    };
    let listener = std::net::TcpListener::bind((PARTNER_HOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::clone(seen);
    let routes = move || {
        let seen = Arc::clone(&seen);
        let take = move |request: HttpRequest, body: web::Json<Value>| {
            let seen = Arc::clone(&seen);
            async move {
                let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap().to_owned();
                let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
                seen.lock().unwrap().push((headers, body.into_inner()));
                HttpResponse::NoContent().finish()
            }
        };
        let json = web::JsonConfig::default().content_type(|_| true);
        App::new().app_data(json).service(
            web::resource("/hook")
                .route(web::post().to(take))
                .route(web::method(actix_web::http::Method::OPTIONS).to(agree)),
        )
    };
    let server = HttpServer::new(routes).workers(1).disable_signals().listen_rustls_0_23(listener, tls).unwrap().run();
    let handle = server.handle();
    tokio::spawn(server);
    (format!("https://{PARTNER_HOST}:{port}/hook"), handle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_from_the_request_through_the_event_to_the_webhook() {
    let app = TestApp::start().await;
    let seen = Seen::default();
    let (sink, server) = listen(app.world().identity("kredietbank").unwrap(), &seen);
    let created = app.post("kredietbank", "/v1/subscriptions", json!({ "sink": sink })).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.headers["location"].clone();
    soon("the handshake", async || app.get("kredietbank", &path).await.body["status"] == "active").await;
    let wire = Wire::of(&app, "gemeente-wassenaar");
    let token = app.world().client("gemeente-wassenaar").unwrap().token(None).await.unwrap();
    let mut expected = Vec::new();
    let good = format!("00-{TRACE}-{PARENT}-01");
    for given in [good.as_str(), "00-zz-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"]
    {
        let request = wire.request("POST", "/v1/referrals").bearer_auth(&token).header("traceparent", given);
        let request = request.header("tracestate", "vendor=secret-state").header("content-type", "application/json");
        let request = request.header("idempotency-key", app.world().new_key().unwrap());
        let reply = wire.send(request.body(with_sections(debts(), &["finance"]).to_string())).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let trace = reply.header("traceresponse").split('-').nth(1).unwrap().to_owned();
        assert_eq!(trace == TRACE, given == good, "a malformed one is replaced");
        expected.push((reply.body["id"].as_str().unwrap().to_owned(), trace, reply.header("traceresponse").to_owned()));
    }
    soon("the webhooks", async || seen.lock().unwrap().len() >= expected.len()).await;
    let seen = seen.lock().unwrap().clone();
    for (referral, trace, answered) in expected {
        let (headers, event) = seen.iter().find(|(_, event)| event["subject"] == json!(referral)).unwrap();
        assert_eq!(headers["traceparent"].split('-').nth(1), Some(trace.as_str()));
        assert_eq!(event["traceparent"], json!(answered), "the event's parent is the span of the request");
        assert!(!headers.contains_key("tracestate"));
        assert!(!event.to_string().contains("secret-state"));
    }
    server.stop(false).await;
    app.finish().await;
}

/// The objects of a log, each of which must be one line of JSON.
fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

const MARK: &str = "mevrouw-Geheim-huurschuld";

/// Answers in which there is something that no log may hold.
struct Played {
    consented: Answer,
    created: Answer,
    shown: Answer,
    records: Answer,
    subscribed: Answer,
}

/// A consent, a referral, its disclosure and rejection, a subscription; and requests that are refused.
async fn play(world: &World) -> Played {
    let ask = async |who: &str, request: Request| world.ask(who, request).await.unwrap();
    let post = |path: &str, body: Value| Request {
        idempotency_key: Some(world.new_key().unwrap()),
        ..Request::post(path, body)
    };
    let now = world.clock().now();
    let consent = json!({
        "kind": "consent", "subject": { "bsn": BSN }, "givenBy": "resident", "explicit": true,
        "recipients": [KREDIETBANK], "purposes": ["debt-counselling"], "categories": ["finance"],
        "validFrom": now.minus(Duration::from_mins(1)), "validUntil": now.plus(Duration::from_hours(48)),
        "obtainedAt": now.minus(Duration::from_mins(2)), "method": "signed-form", "evidenceRef": "DOSSIER-GEHEIM",
    });
    let consented = ask("gemeente-wassenaar", post("/v1/consents", consent)).await;
    let mut referral = with_sections(debts(), &["finance", "mental-health"]);
    referral["sections"][0]["content"]["text"] = json!(MARK);
    let created = ask("gemeente-wassenaar", post("/v1/referrals", referral)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.text_at("/id").unwrap();
    let shown = ask("kredietbank", Request::get(format!("/v1/referrals/{id}"))).await;
    let disclosed = ask("kredietbank", Request::get(format!("/v1/referrals/{id}/sections"))).await;
    assert_eq!(disclosed.status, 200, "{}", disclosed.text);
    let rejected = json!({ "status": "rejected", "statusReason": "not-our-task" });
    ask("kredietbank", post(&format!("/v1/referrals/{id}/updates"), rejected)).await;
    let records = ask("gemeente-wassenaar", Request::get("/v1/audit/records?limit=50")).await;
    let subscription = ask("smow", Request::get("/v1/subscriptions")).await;
    let sink = json!({ "sink": subscription.body["items"][0]["sink"] });
    let subscribed = ask("smow", post("/v1/subscriptions", sink)).await;
    let wrong = json!({ "subject": { "bsn": "999990018" }, "recipient": MARK });
    assert_eq!(ask("gemeente-wassenaar", post("/v1/referrals", wrong)).await.status, 400);
    ask("smow", Request::get(format!("/v1/organisations/{MARK}?q={MARK}"))).await;
    Played { consented, created, shown, records, subscribed }
}

/// Everything that must not be in the log.
async fn secrets(world: &World, folder: &DataFolder, played: &Played) -> Vec<String> {
    let mut secrets: Vec<String> = [
        BSN,
        "999990018",
        MARK,
        "Geheim",
        "huurschuld",
        "DOSSIER-GEHEIM",
        "about mental-health",
        "Bearer ",
        "PRIVATE KEY",
    ]
    .map(str::to_owned)
    .to_vec();
    for who in ["gemeente-wassenaar", "kredietbank", "smow"] {
        let token = world.client(who).unwrap().token(None).await.unwrap();
        secrets.push(token.rsplit('.').next().unwrap().to_owned());
    }
    for file in ["key-encryption.key", "pseudonym.key"] {
        secrets.push(std::fs::read_to_string(folder.path.join(file)).unwrap().trim().to_owned());
    }
    for (answer, pointer) in [
        (&played.shown, "/subject/pseudonym"),
        (&played.created, "/subject/pseudonym"),
        (&played.consented, "/subject/pseudonym"),
        (&played.subscribed, "/secret"),
        (&played.created, "/receipt"),
    ] {
        secrets.extend(answer.text_at(pointer).map(str::to_owned));
    }
    for record in played.records.body["items"].as_array().unwrap() {
        secrets.extend(record["subject"].as_str().map(str::to_owned));
    }
    assert!(secrets.len() > 16, "pseudonyms, receipt and secret are looked for too: {}", secrets.len());
    secrets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_scenario_logged_as_json_holds_nothing_personal() {
    let folder = DataFolder::found("json-log").await;
    let mut gateway = folder.serve_with("trace", &[("SLUIS_LOG__FORMAT", "json")]);
    let played = play(&gateway.world).await;
    let secrets = secrets(&gateway.world, &folder, &played).await;
    gateway.terminate();
    assert!(gateway.ended(Duration::from_secs(20)).await.success());
    let log = folder.said();
    for secret in &secrets {
        let place = log.lines().find(|line| line.contains(secret.as_str()));
        assert!(place.is_none(), "{secret} is in the log: {place:?}");
    }
    check_spans(&lines(&log));
    folder.remove();
}

/// One span per request, with all that it must say.
fn check_spans(lines: &[Value]) {
    let answered: Vec<&Value> = lines.iter().filter(|line| line["message"] == "answered").collect();
    let created =
        answered.iter().find(|line| line["span"]["route"] == "/v1/referrals" && line["span"]["status"] == 201);
    let span = &created.unwrap_or_else(|| panic!("{answered:?}"))["span"];
    for field in ["request_id", "trace_id", "method", "organisation"] {
        assert!(span[field].is_string(), "{field}: {span}");
    }
    assert!(span["milliseconds"].is_number() && span["method"] == "POST", "{span}");
    assert_eq!(span["organisation"], crate::app::MUNICIPALITY);
    assert!(answered.iter().all(|line| line["span"]["status"].is_number()), "one span per request");
    let ids: std::collections::BTreeSet<&str> =
        answered.iter().map(|line| line["span"]["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), answered.len());
    assert!(lines.iter().any(|line| line["level"] == "TRACE"), "it is the most talkative log");
}
