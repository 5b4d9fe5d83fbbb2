//! The scenarios of `tests/scenarios/`, played with the same runner as `sluis demo`, each on a gateway of its own.

use std::collections::BTreeMap;

use serde_json::Value;
use sluis::clock::Timestamp;
use sluis::demo::client::{Client, Request};
use sluis::demo::narration::Console;
use sluis::demo::words::{Language, MEMBERS};
use sluis::demo::{runner, scenarios};

use crate::app::TestApp;
use crate::consistency::{Replayed, the_log_holds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_ends_as_it_says() {
    let mut wrong = Vec::new();
    let mut replayed = Replayed::new();
    for scenario in scenarios::all().unwrap() {
        let mut app = TestApp::start().await;
        let mut told = Vec::new();
        let mut console = Console::plain(&mut told, Language::En);
        let report = runner::play(&scenario, &mut app.house, &mut console, Language::En).await;
        if let Some(failure) = &report.failure {
            wrong.push(format!("{}: {failure}\n{}", scenario.title.en, String::from_utf8_lossy(&told)));
        }
        // Every decision that it led to comes out again as it is on record.
        for (kind, count) in the_log_holds(&app).await {
            *replayed.entry(kind).or_default() += count;
        }
        wrong.extend(nowhere(&app).await.into_iter().map(|event| format!("{}: {event}", scenario.title.en)));
        app.finish().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    for (kind, outcome) in [
        ("check", "minimised"),
        ("check", "refused"),
        ("decision", "permitted"),
        ("decision", "minimised"),
        ("decision", "refused"),
        ("disclosure", "permitted"),
        ("disclosure", "refused"),
        ("status-update", "permitted"),
    ] {
        assert!(replayed.contains_key(&(kind.to_owned(), outcome.to_owned())), "no {kind} {outcome}: {replayed:?}");
    }
}

/// The events that lead their reader nowhere. Where the reader was told later of the same that it has nothing to do with it any more, or gave it
/// out of its hands itself, the earlier ones may.
async fn nowhere(app: &TestApp) -> Vec<String> {
    app.app().sequence().await.unwrap();
    let mut nowhere = Vec::new();
    for who in MEMBERS.into_iter().chain(["privacy-officer"]) {
        let Ok(client) = app.world().client(who) else { continue };
        let page = client.send(&authorised(client, "/v1/events?limit=1000").await).await.unwrap();
        // Whoever was suspended or has left reads nothing.
        let events = page.body["items"].as_array().cloned().unwrap_or_default();
        for (place, event) in events.iter().enumerate() {
            let Some((_, path)) = event["dataref"].as_str().and_then(|address| address.split_once("/v1/")) else {
                continue;
            };
            let answer = client.send(&authorised(client, &format!("/v1/{path}")).await).await.unwrap();
            let ended = |later: &Value| later["subject"] == event["subject"] && later.get("dataref").is_none();
            if matches!(answer.status, 200 | 403) || has_acted_since(client, event).await {
                continue;
            }
            if !events[place..].iter().any(ended) {
                nowhere.push(format!("{who}: {} {event}", answer.status));
            }
        }
    }
    nowhere
}

/// Whether the reader took a step itself, after the event, in the referral that it is about.
async fn has_acted_since(client: &Client, event: &Value) -> bool {
    let time = |of: &Value| of["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let path = format!("/v1/audit/records?kind=status-update&referral={}", event["subject"].as_str().unwrap());
    let page = client.send(&authorised(client, &path).await).await.unwrap();
    let records = page.body["items"].as_array().cloned().unwrap_or_default();
    records.iter().any(|record| record.get("clientId").is_some() && time(record) > time(event))
}

async fn authorised(client: &Client, path: &str) -> Request {
    Request { token: client.token(None).await.ok(), ..Request::get(path) }
}

#[test]
fn every_partner_is_the_main_actor_of_at_least_two() {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let all = scenarios::all().unwrap();
    for scenario in &all {
        for actor in &scenario.main {
            *count.entry(actor.clone()).or_default() += 1;
        }
    }
    assert!(all.len() >= 15);
    for member in MEMBERS {
        assert!(count.get(member).copied().unwrap_or(0) >= 2, "{member}: {count:?}");
    }
}
