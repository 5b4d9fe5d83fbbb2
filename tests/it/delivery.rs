//! Webhooks from end to end: the gateway's deliverer, and the systems of partners that listen, are down, or are gone.

use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sluis::demo::client::{Identity, Request};
use sluis::demo::partner::{PARTNER_HOST, Partner};

use crate::app::{SMOW, TestApp, by_consent, consent, debts};
use crate::consistency::Neighbour;

/// How long something that is due may take in real time.
const PATIENCE: Duration = Duration::from_mins(1);

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The only subscription of a partner, and its status.
async fn subscription(app: &TestApp, who: &str) -> (String, String) {
    let page = app.get(who, "/v1/subscriptions").await;
    let items = page.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{}", page.text);
    (items[0]["id"].as_str().unwrap().to_owned(), items[0]["status"].as_str().unwrap().to_owned())
}

async fn active(app: &TestApp, who: &str) -> String {
    until("the handshake", async || {
        let (id, status) = subscription(app, who).await;
        (status == "active").then_some(id)
    })
    .await
}

async fn deliveries(app: &TestApp, who: &str, subscription: &str, status: &str) -> Vec<Value> {
    let page = app.get(who, format!("/v1/subscriptions/{subscription}/deliveries?limit=1000&status={status}")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page.body["items"].as_array().unwrap().clone()
}

fn partner<'a>(app: &'a TestApp, who: &str) -> &'a Partner {
    app.world().partner(who).unwrap()
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["id"].as_str().unwrap()).collect()
}

/// The events about a referral in an organisation's own feed, once all of them have their position.
async fn in_feed(app: &TestApp, who: &str, referral: &str) -> Vec<Value> {
    app.app().sequence().await.unwrap();
    let feed = app.get(who, "/v1/events?limit=1000").await;
    let events = feed.body["items"].as_array().unwrap();
    events.iter().filter(|event| event["subject"] == referral).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_a_referral_is_pushed_once_and_in_order() {
    let app = TestApp::start().await;
    active(&app, "mee").await;
    let categories = ["question", "social"];
    let recorded = app.post("mee", "/v1/consents", consent(&app, SMOW, "welfare-support", &categories)).await;
    assert_eq!(recorded.status, 201, "{}", recorded.text);
    let mut referrals = Vec::new();
    for _ in 0..4 {
        let created = app.refer("mee", by_consent(SMOW, "welfare-support"), &categories).await;
        assert_eq!(created.status, 201, "{}", created.text);
        referrals.push(created.text_at("/id").unwrap().to_owned());
    }
    let steps = [
        json!({ "status": "received" }),
        json!({ "status": "accepted" }),
        json!({ "status": "in-progress" }),
        json!({ "status": "completed", "outcome": "helped" }),
    ];
    let take_all = referrals.iter().map(async |id| {
        for step in &steps {
            let taken = app.post("smow", format!("/v1/referrals/{id}/updates"), step.clone()).await;
            assert_eq!(taken.status, 201, "{}", taken.text);
        }
    });
    futures_util::future::join_all(take_all).await;
    for id in &referrals {
        let expected = in_feed(&app, "mee", id).await;
        assert_eq!(expected.len(), steps.len());
        let arrived = until("the deliveries", async || {
            let arrived = partner(&app, "mee").events_about(id);
            (arrived.len() >= steps.len()).then_some(arrived)
        })
        .await;
        assert_eq!(arrived, expected, "the same events in the same order as in the feed");
        let told: Vec<_> = arrived.iter().map(|event| event["data"]["status"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told, ["received", "accepted", "in-progress", "completed"]);
        let requested = until("the arrival", async || {
            let arrived = partner(&app, "smow").events_about(id);
            (!arrived.is_empty()).then_some(arrived)
        })
        .await;
        assert_eq!(requested.len(), 1);
        assert_eq!(requested[0]["type"], "nl.sluis.referral.requested.v1");
    }
    for who in ["mee", "smow"] {
        assert_eq!(partner(&app, who).repeats_and_refusals(), (0, 0), "{who}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_was_down_gets_everything_later() {
    let app = TestApp::start().await;
    let subscription = active(&app, "kredietbank").await;
    partner(&app, "kredietbank").down().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let id = created.text_at("/id").unwrap().to_owned();
    let waiting = until("the first attempt", async || {
        let waiting = deliveries(&app, "kredietbank", &subscription, "pending").await;
        waiting
            .into_iter()
            .find(|delivery| delivery["attempts"].as_i64() > Some(0) && !delivery["lastFailure"].is_null())
    })
    .await;
    assert_eq!(waiting["lastFailure"], "connection-failed");
    assert!(waiting["nextAttemptAt"].as_str() > waiting["lastAttemptAt"].as_str(), "{waiting}");
    // Meanwhile it can pull what it cannot be pushed.
    assert_eq!(in_feed(&app, "kredietbank", &id).await.len(), 1);
    let cancelled = json!({ "status": "cancelled", "statusReason": "no-longer-needed" });
    let cancelled = app.post("gemeente-wassenaar", format!("/v1/referrals/{id}/updates"), cancelled).await;
    assert_eq!(cancelled.status, 201, "{}", cancelled.text);
    partner(&app, "kredietbank").up().unwrap();
    app.world().clock().advance(Duration::from_mins(2));
    let arrived = until("the deliveries", async || {
        let arrived = partner(&app, "kredietbank").events_about(&id);
        (arrived.len() >= 2).then_some(arrived)
    })
    .await;
    assert_eq!(arrived, in_feed(&app, "kredietbank", &id).await, "in order although the first one failed");
    until("the end of the queue", async || {
        deliveries(&app, "kredietbank", &subscription, "pending").await.is_empty().then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_after_three_days_is_listed_and_can_be_sent_again() {
    let app = TestApp::start().await;
    let subscription = active(&app, "kredietbank").await;
    partner(&app, "kredietbank").down().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let id = created.text_at("/id").unwrap().to_owned();
    let event = in_feed_soon(&app, "kredietbank", &id).await;
    let mut attempts = 0;
    let start = app.app().now();
    let dead = loop {
        let dead = deliveries(&app, "kredietbank", &subscription, "dead").await;
        if let Some(dead) = dead.into_iter().find(|delivery| delivery["event"] == event) {
            break dead;
        }
        attempts = until("the next attempt", async || {
            let page = deliveries(&app, "kredietbank", &subscription, "pending").await;
            match page.iter().find(|delivery| delivery["event"] == event) {
                Some(delivery) if delivery["lastFailure"].is_null() => None,
                Some(delivery) => delivery["attempts"].as_i64().filter(|now| *now > attempts),
                None => Some(attempts),
            }
        })
        .await;
        assert!(attempts < 30, "it is never given up");
        app.world().clock().advance(Duration::from_hours(9));
    };
    let passed = (app.app().now().as_micros() - start.as_micros()) / 3_600_000_000;
    assert!((72..=90).contains(&passed), "given up after {passed} hours");
    assert!(dead["nextAttemptAt"].is_null() && dead["attempts"].as_i64() > Some(5), "{dead}");
    assert_eq!(dead["lastFailure"], "connection-failed");

    partner(&app, "kredietbank").up().unwrap();
    let unknown = json!({ "deliveries": ["01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001"] });
    let path = format!("/v1/subscriptions/{subscription}/replays");
    assert_eq!(app.post("kredietbank", &path, unknown).await.status, 400);
    assert_eq!(app.post("smow", &path, json!({ "deliveries": [event] })).await.status, 404);
    let replayed = app.post("kredietbank", &path, json!({ "deliveries": [event] })).await;
    assert_eq!((replayed.status, &replayed.body), (202, &json!({ "queued": 1 })));
    let arrived = until("the replay", async || {
        let arrived = partner(&app, "kredietbank").events_about(&id);
        (!arrived.is_empty()).then_some(arrived)
    })
    .await;
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0]["id"], event, "under the id that it always had");
    until("the settlement", async || {
        let delivered = deliveries(&app, "kredietbank", &subscription, "delivered").await;
        delivered.iter().any(|delivery| delivery["event"] == event).then_some(())
    })
    .await;
    app.finish().await;
}

/// The id of the event about a referral, once it has its position.
async fn in_feed_soon(app: &TestApp, who: &str, referral: &str) -> Value {
    until("the event", async || in_feed(app, who, referral).await.first().map(|event| event["id"].clone())).await
}

/// A system that agrees to be told, and answers 410 to everything that it is told.
fn gone(identity: &Identity) -> (String, actix_web::dev::ServerHandle) {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&identity.certificate).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&identity.key).unwrap();
    let tls =
        rustls::ServerConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
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
    let routes = move || {
        App::new().service(
            web::resource("/gone")
                .route(web::post().to(async || HttpResponse::Gone().finish()))
                .route(web::method(actix_web::http::Method::OPTIONS).to(agree)),
        )
    };
    let server = HttpServer::new(routes).workers(1).disable_signals().listen_rustls_0_23(listener, tls).unwrap().run();
    let handle = server.handle();
    tokio::spawn(server);
    (format!("https://{PARTNER_HOST}:{port}/gone"), handle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_gone_ends_its_subscription() {
    let app = TestApp::start().await;
    let (sink, server) = gone(app.world().identity("kredietbank").unwrap());
    let created = app.post("kredietbank", "/v1/subscriptions", json!({ "sink": sink })).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(created.body["status"], "pending");
    let path = created.headers["location"].clone();
    let status = async |wanted: &str| {
        until("its status", async || (app.get("kredietbank", &path).await.body["status"] == wanted).then_some(()))
            .await;
    };
    status("active").await;
    let handed_over = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    assert_eq!(handed_over.status, 201);
    status("ended").await;
    let id = created.text_at("/id").unwrap();
    assert!(deliveries(&app, "kredietbank", id, "pending").await.is_empty());
    let dead = deliveries(&app, "kredietbank", id, "dead").await;
    assert_eq!((dead.len(), &dead[0]["lastResponseStatus"]), (1, &json!(410)));
    // The other subscription of the same partner is not touched.
    let referral = handed_over.text_at("/id").unwrap();
    until("the other delivery", async || {
        (!partner(&app, "kredietbank").events_about(referral).is_empty()).then_some(())
    })
    .await;
    assert_eq!(ids(&partner(&app, "kredietbank").events_about(referral)).len(), 1);
    server.stop(false).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_the_demo_nothing_on_this_machine_or_a_private_network_is_a_target() {
    let app = TestApp::start().await;
    let strict = Neighbour::start(&app, &[("SLUIS_RELAY__ALLOW_LOOPBACK", "false")]).await;
    for sink in [
        "https://127.0.0.1:8443/webhook",
        "https://[::1]/webhook",
        "https://localhost/webhook",
        "https://10.0.0.8/webhook",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "http://example.org/webhook",
        "https://user:word@example.org/",
    ] {
        let mut request = Request::post("/v1/subscriptions", json!({ "sink": sink }));
        request.idempotency_key = Some(strict.world.new_key().unwrap());
        let refused = strict.world.ask("smow", request).await.unwrap();
        assert_eq!(refused.status, 400, "{sink}: {}", refused.text);
        assert_eq!(refused.body["invalidParams"][0]["name"], "sink", "{sink}: {}", refused.text);
    }
    // What was accepted by the demo's configuration is not sent by this one either: it is checked at every connection.
    let page = strict.world.ask("smow", Request::get("/v1/subscriptions")).await.unwrap();
    assert_eq!(page.body["items"].as_array().unwrap().len(), 1, "nothing was created: {}", page.text);
    strict.stop().await;
    app.finish().await;
}
