//! Changes of organisations: each is in the audit log and is told to those whom it concerns, over the API and by command alike.

use std::process::{Command, Output};

use reqwest::Method;
use serde_json::{Value, json};
use sluis::demo::client::{Answer, Request};
use sluis::demo::governance::{new_key, signing_request};

use crate::app::{KREDIETBANK, MEE, MUNICIPALITY, SMOW, TestApp};
use crate::wire::Wire;

const ADMINISTRATOR: &str = "00000099000000001000-administrator";

/// Changes an organisation as the administrator.
async fn patch(app: &TestApp, oin: &str, change: Value) -> Answer {
    let request = Request::post(format!("/v1/organisations/{oin}"), change);
    app.ask("administrator", Request { method: Method::PATCH, ..request }).await
}

/// The administration records about an organisation, newest first, as the privacy officer sees them.
async fn records(app: &TestApp, oin: &str) -> Vec<Value> {
    let path = format!("/v1/audit/records?kind=administration&organisation={oin}&limit=1000");
    let page = app.get("privacy-officer", path).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page.body["items"].as_array().unwrap().clone()
}

/// The types of the events about an organisation in somebody's feed, in order.
async fn told(app: &TestApp, who: &str, oin: &str) -> Vec<String> {
    app.app().sequence().await.unwrap();
    let feed = app.get(who, "/v1/events?limit=1000").await;
    assert_eq!(feed.status, 200, "{}", feed.text);
    let events = feed.body["items"].as_array().unwrap().iter().filter(|event| event["subject"] == oin);
    events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// Runs `sluis` on the data of this gateway, while it runs.
pub fn sluis(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
    command.args(arguments).arg("--config").arg(app.folder.join("sluis.toml")).env("SLUIS_STORAGE__URL", &app.storage);
    tokio::task::block_in_place(|| command.output()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspending_resuming_and_retiring_are_recorded_and_told_to_the_others() {
    let app = TestApp::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let wire = Wire::of(&app, "administrator");
    let token = wire.token(ADMINISTRATOR).await;
    let request = wire.request("PATCH", &format!("/v1/organisations/{KREDIETBANK}")).bearer_auth(&token);
    let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-00"));
    let reply = wire.send(request.json(&json!({ "status": "suspended" }))).await;
    assert_eq!(reply.status, 200, "{}", reply.text);

    let record = &records(&app, KREDIETBANK).await[0];
    assert_eq!(record["action"], "suspended");
    assert_eq!(record["organisation"], KREDIETBANK);
    assert_eq!(record["clientId"], ADMINISTRATOR);
    assert_eq!(record["resource"], format!("/v1/organisations/{KREDIETBANK}"));
    assert_eq!((&record["traceId"], &record["parentSpanId"]), (&json!(trace), &json!("00f067aa0ba902b7")));
    assert_eq!(record["requestId"], reply.header("x-request-id"));

    assert_eq!(patch(&app, MEE, json!({ "status": "suspended" })).await.status, 200);
    assert_eq!(patch(&app, MEE, json!({ "status": "active" })).await.status, 200);
    assert_eq!(patch(&app, KREDIETBANK, json!({ "status": "active" })).await.status, 200);
    assert_eq!(patch(&app, KREDIETBANK, json!({ "status": "active" })).await.status, 200, "again changes nothing");
    assert_eq!(patch(&app, SMOW, json!({ "status": "retired" })).await.status, 200);
    assert_eq!(patch(&app, SMOW, json!({ "name": "Another" })).await.status, 409);

    let [suspended, resumed, retired] =
        ["suspended", "resumed", "retired"].map(|what| format!("nl.sluis.organisation.{what}.v1"));
    for who in ["gemeente-wassenaar", "kwadraad", "jgz"] {
        assert_eq!(told(&app, who, KREDIETBANK).await, [suspended.clone(), resumed.clone()], "{who}");
        assert_eq!(told(&app, who, MEE).await, [suspended.clone(), resumed.clone()], "{who}");
        assert_eq!(told(&app, who, SMOW).await, std::slice::from_ref(&retired), "{who}");
    }
    assert_eq!(told(&app, "kredietbank", KREDIETBANK).await, [""; 0], "not to the organisation itself");
    assert_eq!(told(&app, "kredietbank", MEE).await, [""; 0], "nor to one that is out itself");
    let feed = app.get("jgz", "/v1/events?limit=1000").await;
    let event = feed.body["items"].as_array().unwrap().iter().find(|event| event["subject"] == KREDIETBANK).unwrap();
    assert_eq!(event["data"], json!({ "organisation": KREDIETBANK }));
    assert!(event["traceparent"].as_str().unwrap().starts_with(&format!("00-{trace}-")), "{event}");

    let actions = |records: &[Value]| -> Vec<String> {
        records.iter().map(|record| record["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actions(&records(&app, SMOW).await)[0], "retired", "what was refused leaves no record");
    let bank = records(&app, KREDIETBANK).await;
    assert_eq!(actions(&bank), ["resumed", "suspended", "certificate-issued", "registered"]);
    // The organisation sees what was done to it; others do not.
    let own = app.get("kredietbank", "/v1/audit/records?kind=administration").await;
    assert_eq!(actions(own.body["items"].as_array().unwrap()), actions(&bank));
    let foreign = app.get("jgz", format!("/v1/audit/records?kind=administration&organisation={KREDIETBANK}")).await;
    assert_eq!(foreign.body["items"], json!([]));
    let id = bank[0]["id"].as_str().unwrap();
    assert_eq!(app.get("jgz", format!("/v1/audit/records/{id}")).await.status, 404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_certifying_revoking_and_new_keys_are_recorded() {
    let app = TestApp::start().await;
    let ggd = "00000099000000010000";
    let registered = app.post("administrator", "/v1/organisations", json!({ "id": ggd, "name": "GGD" })).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    assert_eq!(patch(&app, ggd, json!({ "name": "GGD Hollands Midden" })).await.status, 200);
    let csr = signing_request(&new_key().unwrap(), "GGD", &[]).unwrap();
    let issued =
        app.post("administrator", format!("/v1/organisations/{ggd}/certificates"), json!({ "csr": csr })).await;
    assert_eq!(issued.status, 201, "{}", issued.text);
    let certificate = format!("/v1/organisations/{ggd}/certificates/{}", issued.text_at("/serial").unwrap());
    let revocations = format!("{certificate}/revocations");
    for status in [201, 409] {
        let revoked = app.post("administrator", &revocations, json!({ "reasonCode": "superseded" })).await;
        assert_eq!(revoked.status, status, "{}", revoked.text);
    }
    let found = records(&app, ggd).await;
    let seen: Vec<_> = found.iter().map(|record| (record["action"].clone(), record["resource"].clone())).collect();
    let whole = format!("/v1/organisations/{ggd}");
    let expected = [
        ("certificate-revoked", &certificate),
        ("certificate-issued", &certificate),
        ("changed", &whole),
        ("registered", &whole),
    ];
    assert_eq!(seen, expected.map(|(action, resource)| (json!(action), json!(resource))));
    assert!(found.iter().all(|record| record["clientId"] == ADMINISTRATOR));

    let path = format!("/v1/organisations/{KREDIETBANK}/keys");
    let request = Request { method: Method::PUT, ..Request::post(&path, json!({ "keys": [] })) };
    assert_eq!(app.ask("kredietbank", request).await.status, 200);
    let record = &records(&app, KREDIETBANK).await[0];
    assert_eq!((&record["action"], &record["resource"]), (&json!("keys-replaced"), &json!(path)));
    assert_eq!(record["clientId"], KREDIETBANK);

    // A repeated request is one change.
    let key = app.world().new_key().unwrap();
    for _ in 0..2 {
        let mut request =
            Request::post("/v1/organisations", json!({ "id": "00000099000000011000", "name": "Veilig Thuis" }));
        request.idempotency_key = Some(key.clone());
        assert_eq!(app.ask("administrator", request).await.status, 201);
    }
    assert_eq!(records(&app, "00000099000000011000").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_beside_the_running_gateway_leaves_the_same_traces_and_works_at_once() {
    let app = TestApp::start().await;
    let added = records(&app, MUNICIPALITY).await;
    let clients = added.iter().filter(|record| record["action"] == "client-added").count();
    assert_eq!(clients, 3, "the roles of the municipality were added by command");
    assert!(added.iter().all(|record| record["clientId"] == "operator"));

    let suspended = sluis(&app, &["organisation", "suspend", "kredietbank"]);
    assert!(suspended.status.success(), "{}", String::from_utf8_lossy(&suspended.stderr));
    let token = app.world().client("kredietbank").unwrap().token(None).await;
    assert!(token.is_err() || app.get("kredietbank", "/v1/referrals").await.status == 401);
    let record = &records(&app, KREDIETBANK).await[0];
    assert_eq!((&record["action"], &record["clientId"]), (&json!("suspended"), &json!("operator")));
    assert!(record.get("traceId").is_none() && record.get("requestId").is_none(), "{record}");
    assert_eq!(told(&app, "smow", KREDIETBANK).await, ["nl.sluis.organisation.suspended.v1"]);
    let resumed = sluis(&app, &["organisation", "resume", "kredietbank"]);
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert_eq!(app.get("kredietbank", "/v1/referrals").await.status, 200);

    let path = format!("/v1/organisations/{KREDIETBANK}/certificates");
    let serial = app.get("kredietbank", path).await.text_at("/items/0/serial").unwrap().to_owned();
    let revoked = sluis(&app, &["pki", "revoke", &serial]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    let record = &records(&app, KREDIETBANK).await[0];
    assert_eq!(record["action"], "certificate-revoked");
    assert_eq!(record["resource"], format!("/v1/organisations/{KREDIETBANK}/certificates/{serial}"));

    app.app().sequence().await.unwrap();
    let verified = sluis(&app, &["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    app.finish().await;
}
