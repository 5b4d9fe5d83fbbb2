//! Stopping, seen from outside; and two gateways on one database, of which one goes away while both have work to do.
//!
//! Two gateways take a database server: without `SLUIS_TEST_POSTGRES` that test says that it did not run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluis::demo::client::Request;
use sluis::demo::world::World;
use sluis::storage::Tx;

use crate::app::{debts, postgres, with_sections};
use crate::crash::{all_items, counts, whole_feed};
use crate::operations::{Operator, soon};
use crate::process::{DataFolder, Gateway};
use crate::traces::{Seen, listen};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_announced_before_it_happens_and_idle_connections_do_not_delay_it() {
    let folder = DataFolder::found("drain").await;
    let mut gateway = folder.serve_with("info", &[("SLUIS_API__DRAIN_DELAY_SECONDS", "2")]);
    let operator = Operator::at(gateway.operations.unwrap());
    soon("readiness", async || operator.ready().await.0 == 200).await;
    // Connections of HTTP/2, which stay open and have nothing to do.
    for who in ["smow", "mee", "kredietbank"] {
        assert_eq!(gateway.world.ask(who, Request::get("/v1/referrals")).await.unwrap().status, 200);
    }
    gateway.terminate();
    let told = Instant::now();
    soon("the announcement", async || operator.wrong().await == ["running"]).await;
    assert!(told.elapsed() < Duration::from_secs(1), "it is announced at once: {:?}", told.elapsed());
    let asked = gateway.world.ask("jgz", Request::get("/v1/referrals")).await.unwrap();
    assert_eq!(asked.status, 200, "until the delay is over new connections are taken");
    let status = gateway.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    let took = told.elapsed();
    assert!(took >= Duration::from_secs(2), "not before the delay is over: {took:?}");
    assert!(took < Duration::from_secs(5), "nobody was waited for: {took:?}");
    assert!(operator.try_get("/healthz").await.is_err(), "the operator's listener is gone too");
    folder.remove();
}

/// How a gateway goes away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Departure {
    Sigterm,
    Sigkill,
}

/// A client that sends one referral after another to the first gateway that takes it, each with its own key.
async fn send_to_either(
    worlds: [Arc<World>; 2],
    client: usize,
    accepted: Arc<AtomicUsize>,
    enough: usize,
) -> Vec<String> {
    let mut ids = Vec::new();
    while accepted.load(Ordering::SeqCst) < enough {
        let mut request = Request::post("/v1/referrals", with_sections(debts(), &["finance"]));
        request.idempotency_key = Some(worlds[0].new_key().unwrap());
        let start = Instant::now();
        let answer = 'sent: loop {
            for turn in 0..2 {
                match worlds[(client + turn) % 2].ask("gemeente-wassenaar", request.clone()).await {
                    Ok(answer) if answer.status == 503 => assert!(answer.headers.contains_key("retry-after")),
                    Ok(answer) => break 'sent answer,
                    // It is gone, or went away meanwhile: the other one gets the same request.
                    Err(_) => {}
                }
            }
            assert!(start.elapsed() < Duration::from_secs(30), "neither gateway answers");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(answer.status, 201, "{}", answer.text);
        ids.push(answer.text_at("/id").unwrap().to_owned());
        accepted.fetch_add(1, Ordering::SeqCst);
    }
    ids
}

/// The ids of the events that arrived, and how often.
fn arrived(seen: &Seen) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    for (_, event) in seen.lock().unwrap().iter() {
        *arrived.entry(event["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    arrived
}

/// Lets a minute pass for the leases of webhooks, which a gateway that was killed cannot give back.
async fn a_minute_passes_for_leases(folder: &DataFolder) {
    let pass = async |tx: &mut Tx| {
        let sql = "UPDATE deliveries SET claimed_until = claimed_until - 60000000 WHERE claimed_until IS NOT NULL";
        Ok(tx.execute(sql, vec![]).await.map(drop)?)
    };
    folder.database().await.write("test", pass).await.unwrap();
}

async fn subscribe(gateway: &Gateway, seen: &Seen) -> actix_web::dev::ServerHandle {
    let world = &gateway.world;
    let (sink, server) = listen(world.identity("kredietbank").unwrap(), seen);
    let mut request = Request::post("/v1/subscriptions", json!({ "sink": sink }));
    request.idempotency_key = Some(world.new_key().unwrap());
    let created = world.ask("kredietbank", request).await.unwrap();
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.headers["location"].clone();
    soon("the handshake", async || {
        world.ask("kredietbank", Request::get(path.clone())).await.unwrap().body["status"] == "active"
    })
    .await;
    server
}

/// How many referrals were accepted, and how many of their webhooks were sent more than once.
async fn one_goes_away(departure: Departure) -> (usize, usize) {
    const CLIENTS: usize = 4;
    // So many that they go on for longer than an orderly stop takes.
    const REFERRALS: usize = 600;
    let folder = DataFolder::found(&format!("takeover-{departure:?}").to_lowercase()).await;
    let (mut leaves, stays) = (folder.serve("info"), folder.serve("info"));
    let seen = Seen::default();
    let server = subscribe(&leaves, &seen).await;
    let operator = Operator::at(stays.operations.unwrap());
    soon("readiness", async || operator.ready().await.0 == 200).await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let worlds = [Arc::clone(&leaves.world), Arc::clone(&stays.world)];
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(send_to_either(worlds.clone(), client, Arc::clone(&accepted), REFERRALS)))
        .collect();
    soon("the first answers", async || accepted.load(Ordering::SeqCst) >= 40).await;
    match departure {
        Departure::Sigterm => {
            leaves.terminate();
            let status = leaves.ended(Duration::from_secs(15)).await;
            assert!(status.success(), "{status}");
        }
        Departure::Sigkill => leaves.kill(),
    }
    assert!(accepted.load(Ordering::SeqCst) < REFERRALS, "it went away under load");
    assert_eq!(operator.ready().await.0, 200, "the other one does not mind");
    let mut ids = Vec::new();
    for client in clients {
        ids.extend(client.await.unwrap());
    }
    let unique: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(unique.len(), ids.len(), "no two requests got the same referral");
    let once: BTreeMap<&str, usize> = unique.iter().map(|id| (*id, 1)).collect();
    let received = all_items(&stays.world, "kredietbank", "/v1/referrals?limit=1000&role=recipient").await;
    assert_eq!(counts(&received, "/id"), once, "neither lost nor doubled");
    let feed = whole_feed(&stays.world, "kredietbank", ids.len()).await;
    let positions: Vec<&str> = feed.iter().map(|event| event["sequence"].as_str().unwrap()).collect();
    let gapless: Vec<String> = (1..=feed.len()).map(|number| number.to_string()).collect();
    assert_eq!(positions, gapless, "positions without a gap");
    let requested: Vec<Value> =
        feed.iter().filter(|event| event["type"] == "nl.sluis.referral.requested.v1").cloned().collect();
    assert_eq!(counts(&requested, "/subject"), once, "one event for each");
    if departure == Departure::Sigkill {
        a_minute_passes_for_leases(&folder).await;
    }
    let owed: BTreeSet<&str> = requested.iter().map(|event| event["id"].as_str().unwrap()).collect();
    // Less than the minute that a lease takes: one that left in order holds none.
    soon("every webhook", async || {
        let arrived = arrived(&seen);
        owed.iter().all(|id| arrived.contains_key(*id))
    })
    .await;
    let arrived = arrived(&seen);
    let repeated = owed.iter().filter(|id| arrived[**id] > 1).count();
    stays.stop().await;
    server.stop(false).await;
    let (code, report) = folder.verify();
    assert_eq!((code, &report["unsequenced"]), (Some(0), &json!(0)), "{report}");
    folder.remove();
    (ids.len(), repeated)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_gateway_goes_on_when_one_is_stopped_or_killed() {
    if postgres().is_none() {
        println!("NOT CHECKED: two gateways take PostgreSQL; name a server in SLUIS_TEST_POSTGRES");
        return;
    }
    for departure in [Departure::Sigterm, Departure::Sigkill] {
        let (referrals, repeated) = one_goes_away(departure).await;
        println!("{departure:?}: {referrals} referrals, {repeated} webhooks sent twice");
    }
}
