//! A new covenant takes over while everybody goes on: no decision is made of two versions, and engines are loaded once and do
//! not pile up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sluis::demo::client::Answer;
use sluis::demo::jws;
use sluis::demo::world::World;

use crate::app::{TestApp, debts, with_sections};
use crate::consistency::{clients, post};

/// How long one version rules.
const TERM: Duration = Duration::from_hours(24);

/// The published text of the version in force.
async fn files(app: &TestApp) -> Value {
    let page = app.get("privacy-officer", "/v1/covenants").await;
    let version = page.body["items"][0]["version"].as_str().unwrap().to_owned();
    app.get("privacy-officer", format!("/v1/covenants/{version}")).await.body["files"].clone()
}

/// The text of a later version; `finance` says whether the row about debts names finance.
fn later(files: &Value, version: &str, from: &str, finance: bool) -> Value {
    let mut files = files.clone();
    let text = files["covenant.toml"].as_str().unwrap();
    let mut in_row = false;
    let line = |line: &str| {
        if line.starts_with("version = ") {
            return format!("version = \"{version}\"\n");
        } else if line.starts_with("effective-from = ") {
            return format!("effective-from = \"{from}\"\n");
        }
        in_row = if line.starts_with("id = ") { line == "id = \"debt-counselling\"" } else { in_row };
        if in_row && line.starts_with("categories = ") && !finance {
            return format!("{}\n", line.replace("\"finance\", ", "").replace(", \"finance\"", ""));
        }
        format!("{line}\n")
    };
    let changed: String = text.lines().map(line).collect();
    files["covenant.toml"] = changed.into();
    files
}

async fn publish(world: &World, files: &Value) -> String {
    let published =
        post(world, "privacy-officer", "/v1/covenants", json!({ "files": files, "withoutProof": true })).await;
    assert_eq!(published.status, 201, "{}", published.text);
    published.body["digest"].as_str().unwrap().to_owned()
}

async fn sign(world: &World, who: &str, version: &str, digest: &str) {
    let signature = jws::detached(digest.as_bytes(), world.identity(who).unwrap()).unwrap();
    let path = format!("/v1/covenants/{version}/signatures");
    let signed = post(world, who, &path, json!({ "jws": signature })).await;
    assert_eq!(signed.status, 201, "{}", signed.text);
}

/// Refers about debts until told to stop; every answer.
fn referring(world: &Arc<World>, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<Answer>> {
    let (world, stop) = (Arc::clone(world), Arc::clone(stop));
    tokio::spawn(async move {
        let mut answers = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let referral = with_sections(debts(), &["question", "finance"]);
            answers.push(post(&world, "gemeente-wassenaar", "/v1/referrals", referral).await);
        }
        answers
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_versions_take_over_every_decision_is_made_of_one_version_alone() {
    let app = TestApp::start().await;
    let world = clients(&app);
    let files = files(&app).await;
    let stop = Arc::new(AtomicBool::new(false));
    let referrers: Vec<_> = (0..4).map(|_| referring(&world, &stop)).collect();
    // Versions that begin with an odd number do not let finance cross.
    let mut digests = std::collections::BTreeMap::new();
    for number in 1_u32..=5 {
        let version = format!("{number}.9");
        let from = app.app().now().plus(TERM).to_string();
        let digest = publish(&world, &later(&files, &version, &from, number % 2 == 0)).await;
        for party in ["gemeente-wassenaar", "kredietbank"] {
            sign(&world, party, &version, &digest).await;
        }
        digests.insert(version, digest);
        tokio::time::sleep(Duration::from_millis(150)).await;
        app.world().clock().advance(TERM);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let answers: Vec<_> = join_all(referrers).await.into_iter().flat_map(Result::unwrap).collect();
    let mut seen = std::collections::BTreeSet::new();
    for answer in answers.iter().filter(|answer| answer.status == 201) {
        let decision = &answer.body["decision"];
        let version = decision["covenantVersion"].as_str().unwrap();
        let Some(digest) = digests.get(version) else { continue };
        assert_eq!(decision["policyDigest"].as_str(), Some(digest.as_str()));
        let finance = &decision["sections"][1];
        let crosses = version.starts_with(['2', '4']);
        assert_eq!(finance["effect"], if crosses { "permit" } else { "withhold" }, "{decision}");
        assert_eq!(finance["code"], if crosses { Value::Null } else { json!("category-not-allowed") }, "{decision}");
        seen.insert(version.to_owned());
    }
    assert!(seen.len() >= 3, "decisions under several versions: {seen:?} in {} answers", answers.len());
    let refused = answers.iter().filter(|answer| !matches!(answer.status, 201 | 401)).count();
    assert!(refused * 10 <= answers.len(), "{refused} of {} were not answered with a decision", answers.len());
    assert!(app.app().covenants.kept() <= 4);
    drop(world);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_many_want_at_once_is_loaded_once_and_only_a_handful_is_kept() {
    let app = TestApp::start().await;
    let world = clients(&app);
    let files = files(&app).await;
    let covenants = &app.app().covenants;
    assert_eq!(app.refer("gemeente-wassenaar", debts(), &["finance"]).await.status, 201);
    for number in 1_u64..=7 {
        let from = app.app().now().plus(TERM * u32::try_from(number).unwrap()).to_string();
        publish(&world, &later(&files, &format!("{number}.9"), &from, true)).await;
        assert!(covenants.kept() <= 4, "{} engines after {number} versions", covenants.kept());
    }
    let page = app.get("privacy-officer", "/v1/covenants").await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 8);
    let before = covenants.loaded();
    // The version in force was not dropped for those to come: it decides without being loaded again.
    assert_eq!(app.refer("gemeente-wassenaar", debts(), &["finance"]).await.status, 201);
    assert_eq!(covenants.loaded(), before, "the version in force was dropped");
    let wanted = (0..100).map(async |_| covenants.of_version(&mut app.app().db.reader(), "1.9").await);
    let engines: Vec<_> = join_all(wanted).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(covenants.loaded(), before + 1, "loaded once for a hundred requests");
    assert!(engines.iter().all(|engine| Arc::ptr_eq(engine, &engines[0])));
    assert!(covenants.kept() <= 4);
    // Whoever gave up waiting leaves nothing half done.
    let given_up = tokio::time::timeout(Duration::ZERO, covenants.of_version(&mut app.app().db.reader(), "2.9")).await;
    assert!(given_up.is_err());
    assert_eq!(covenants.of_version(&mut app.app().db.reader(), "2.9").await.unwrap().covenant().version, "2.9");
    assert!(covenants.of_version(&mut app.app().db.reader(), "3.1").await.is_err());
    drop(engines);
    drop(world);
    app.finish().await;
}
