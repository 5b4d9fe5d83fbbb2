//! What a gateway keeps between requests is never believed: the very next request knows of a change that was made at another
//! gateway on the same database. Every test first makes both gateways keep what is about to change.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::demo::client::{Answer, Request};
use sluis::demo::governance;
use sluis::demo::scenario::{Action, OfCovenant};
use sluis::demo::world::World;

use crate::app::{BSN, KREDIETBANK, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::consistency::{Neighbour, clients, post, set_status, the_log_holds};
use crate::credentials::new_version;
use crate::wire::Wire;

async fn refer(world: &World, who: &str, body: &Value) -> Answer {
    post(world, who, "/v1/referrals", body.clone()).await
}

/// The code that the first section was withheld with.
fn code(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.text_at("/decision/sections/0/code"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_party_is_suspended_elsewhere_and_nothing_more_reaches_it() {
    let app = TestApp::start().await;
    let (here, neighbour) = (clients(&app), Neighbour::start(&app, &[]).await);
    let body = with_sections(debts(), &["finance"]);
    for _ in 0..3 {
        for world in [&here as &World, &neighbour.world] {
            assert_eq!(refer(world, "gemeente-wassenaar", &body).await.status, 201);
        }
        assert_eq!(set_status(&neighbour.world, KREDIETBANK, "suspended").await.status, 200);
        let refused = refer(&here, "gemeente-wassenaar", &body).await;
        assert_eq!(code(&refused), (403, Some("party-not-active")), "{}", refused.text);
        let check = here.ask("gemeente-wassenaar", Request::post("/v1/referrals/_check", body.clone())).await.unwrap();
        assert_eq!(check.text_at("/decision/outcome"), Some("refused"), "{}", check.text);
        assert_eq!(set_status(&here, KREDIETBANK, "active").await.status, 200);
        let there = refer(&neighbour.world, "gemeente-wassenaar", &body).await;
        assert_eq!(there.status, 201, "resumed here, permitted there: {}", there.text);
    }
    neighbour.stop().await;
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_counts_from_the_moment_it_is_recorded_elsewhere_until_it_is_withdrawn_elsewhere() {
    let app = TestApp::start().await;
    let (here, neighbour) = (clients(&app), Neighbour::start(&app, &[]).await);
    let body = with_sections(by_consent(SMOW, "welfare-support"), &["question"]);
    for _ in 0..3 {
        for world in [&here as &World, &neighbour.world] {
            assert_eq!(refer(world, "mee", &body).await.status, 403, "both keep that there is none");
        }
        let consent = consent(&app, SMOW, "welfare-support", &["question"]);
        let recorded = post(&neighbour.world, "mee", "/v1/consents", consent).await;
        let created = refer(&here, "mee", &body).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let path = format!("{}/withdrawals", recorded.headers["location"]);
        let withdrawn = post(&neighbour.world, "mee", &path, json!({ "reasonCode": "resident-asked" })).await;
        assert_eq!(withdrawn.status, 201, "{}", withdrawn.text);
        assert_eq!(refer(&here, "mee", &body).await.status, 403);
        let sections = Request::get(format!("{}/sections", created.headers["location"]));
        assert_eq!(here.ask("smow", sections).await.unwrap().status, 403);
    }
    neighbour.stop().await;
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_age_group_stated_elsewhere_is_contradicted_nowhere() {
    let app = TestApp::start().await;
    let (here, neighbour) = (clients(&app), Neighbour::start(&app, &[]).await);
    let stating = |age: &str| {
        let mut body = with_sections(debts(), &["finance"]);
        body["subject"] = json!({ "bsn": BSN, "ageGroup": age });
        body
    };
    // Here it is kept that nothing was stated.
    let unknown =
        here.ask("gemeente-wassenaar", Request::post("/v1/referrals/_check", stating("12-15"))).await.unwrap();
    assert_eq!(unknown.status, 200, "{}", unknown.text);
    assert_eq!(refer(&neighbour.world, "gemeente-wassenaar", &stating("18-plus")).await.status, 201);
    let refused = refer(&here, "gemeente-wassenaar", &stating("12-15")).await;
    assert_eq!(code(&refused), (403, Some("age-group-contradicted")), "{}", refused.text);
    neighbour.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_rules_from_its_moment_and_for_a_party_from_its_signature_elsewhere() {
    let mut app = TestApp::start().await;
    let here = clients(&app);
    let mut neighbour = Neighbour::start(&app, &[]).await;
    let body = with_sections(debts(), &["finance"]);
    for world in [&here as &World, &neighbour.world] {
        assert_eq!(refer(world, "gemeente-wassenaar", &body).await.status, 201);
    }
    new_version(&mut app, "2026.2").await;
    let before = refer(&here, "gemeente-wassenaar", &body).await;
    assert_ne!(before.text_at("/decision/covenantVersion"), Some("2026.2"), "it does not rule yet");
    assert_eq!(before.status, 201);
    // Nothing is written when a version begins to rule: time alone does it.
    app.app().clock.advance(Duration::from_hours(25));
    for world in [&here as &World, &neighbour.world] {
        let refused = refer(world, "gemeente-wassenaar", &body).await;
        assert_eq!(code(&refused), (403, Some("covenant-not-signed")), "{}", refused.text);
    }
    let sign = Action::SignCovenant(OfCovenant { version: Some("2026.2".into()), ..OfCovenant::default() });
    for (party, status) in [("gemeente-wassenaar", 403), ("kredietbank", 201)] {
        let (answer, _) = governance::take(party, &sign, &mut neighbour.world).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
        let next = refer(&here, "gemeente-wassenaar", &body).await;
        assert_eq!(next.status, status, "after {party} signed: {}", next.text);
        assert_eq!(next.text_at("/decision/covenantVersion"), Some("2026.2"));
    }
    neighbour.stop().await;
    the_log_holds(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_revoked_elsewhere_is_refused_although_it_was_verified_here() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let identity = app.world().identity("kredietbank").unwrap();
    let there = format!("https://localhost:{}", neighbour.world_port());
    let (here, there) = (Wire::of(&app, "kredietbank"), Wire::at(&there, &app, Some(identity), |builder| builder));
    let (token, other) = (here.token(KREDIETBANK).await, here.token(KREDIETBANK).await);
    for wire in [&here, &there] {
        assert_eq!(wire.get("/v1/referrals", Some(&token)).await.status, 200);
    }
    assert_eq!(there.form("/oauth/revoke", &[("token", &token)]).await.status, 200);
    for wire in [&here, &there] {
        let refused = wire.get("/v1/referrals", Some(&token)).await;
        assert_eq!((refused.status, refused.code()), (401, "token-revoked"), "{}", refused.text);
        assert_eq!(wire.get("/v1/referrals", Some(&other)).await.status, 200, "another token goes on");
    }
    drop((here, there));
    neighbour.stop().await;
    app.finish().await;
}
