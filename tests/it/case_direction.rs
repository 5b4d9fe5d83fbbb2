//! What of a case decisions rest on, who directs it, and what the clock and the register of organisations do to it.

use std::time::Duration;

use serde_json::json;
use sluis::cases;
use sluis::referrals::watch;

use crate::app::{KREDIETBANK, MUNICIPALITY, SMOW, TestApp, by_consent, consent, with_sections};
use crate::cases::{
    DAY, Shared, case_of, code, complete, finish, let_pass, of_smow, of_the_municipality, step, told, update, withheld,
    within,
};
use crate::consistency::{Neighbour, post, set_status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_coordination_runs_with_who_takes_part_and_stops_when_it_does_not() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let to_smow = with_sections(within(&coordinators, SMOW, "case-coordination"), &["question"]);
    let to_bank = with_sections(within(&coordinators, KREDIETBANK, "case-coordination"), &["finance"]);
    for path in ["/v1/referrals", "/v1/referrals/_check"] {
        let early = app.post("gemeente-wassenaar", path, to_smow.clone()).await;
        assert_eq!(early.text_at("/decision/sections/0/code"), Some("case-required"), "{path}: {}", early.text);
    }
    assert_eq!(app.post("gemeente-wassenaar", "/v1/referrals", to_bank).await.status, 201, "takes part");
    let back = with_sections(within(&banks, MUNICIPALITY, "case-coordination"), &["finance"]);
    assert_eq!(app.post("kredietbank", "/v1/referrals", back).await.status, 201, "and back");
    // Without naming the case there is none.
    let mut alone = with_sections(within(&coordinators, KREDIETBANK, "case-coordination"), &["finance"]);
    alone["caseId"] = json!(null);
    let alone = app.post("gemeente-wassenaar", "/v1/referrals", alone).await;
    assert_eq!(withheld(&alone), (403, Some("case-required")), "{}", alone.text);
    let invitation = json!({ "organisation": SMOW });
    for round in 0..2 {
        let path = format!("{coordinators}/participants");
        assert_eq!(post(&neighbour.world, "gemeente-wassenaar", &path, invitation.clone()).await.status, 201);
        let sent = app.post("gemeente-wassenaar", "/v1/referrals", to_smow.clone()).await;
        assert_eq!(sent.status, 201, "{round}: {}", sent.text);
        let sections = format!("{}/sections", sent.headers["location"]);
        assert_eq!(app.get("smow", &sections).await.status, 200);
        // Taking it on does not keep it there: the one rests on the other.
        update(&app, "smow", &sent.headers["location"], json!({ "status": "accepted" })).await;
        let removal = format!("{path}/{SMOW}/removals");
        assert_eq!(post(&neighbour.world, "gemeente-wassenaar", &removal, json!({})).await.status, 201);
        let stopped = app.get("smow", &sections).await;
        assert_eq!(code(&stopped), (403, Some("disclosure-refused")), "{round}: {}", stopped.text);
        let refused = app.post("gemeente-wassenaar", "/v1/referrals", to_smow.clone()).await;
        assert_eq!(withheld(&refused), (403, Some("case-required")), "{}", refused.text);
    }
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_direction_lasts_from_the_step_up_to_the_step_down_and_six_weeks_at_most() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let Shared { coordinators, banks, .. } = of_smow(&app).await;
    let direction = with_sections(within(&banks, MUNICIPALITY, "process-direction"), &["finance"]);
    let refer = async || app.post("kredietbank", "/v1/referrals", direction.clone()).await;
    assert_eq!(withheld(&refer().await), (403, Some("case-not-stepped-up")));
    assert_eq!(app.get("gemeente-wassenaar", "/v1/cases").await.body["items"], json!([]), "nothing to do with it");
    let by_participant = app.post("kredietbank", format!("{banks}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(code(&by_participant), (409, Some("step-not-allowed")), "{}", by_participant.text);
    let step_ups = format!("{coordinators}/step-ups");
    assert_eq!(app.post("smow", &step_ups, json!({ "reason": "nonsense" })).await.status, 400);
    let mut ended = Vec::new();
    for ending in ["step-down", "six weeks"] {
        let stepped_up = post(&neighbour.world, "smow", &step_ups, json!({ "reason": "disagreement" })).await;
        assert_eq!(stepped_up.status, 201, "{}", stepped_up.text);
        let events = told(&app, "gemeente-wassenaar", "stepped-up").await;
        let directors = format!("/v1/cases/{}", events[0]["data"]["case"].as_str().unwrap());
        let seen = app.get("gemeente-wassenaar", &directors).await;
        assert_eq!(seen.body["roles"], json!(["process-director"]), "{}", seen.text);
        assert_eq!(seen.body["referrals"], json!([]), "it is a party to none");
        assert!(!app.get("gemeente-wassenaar", format!("{directors}/participants")).await.text.contains(KREDIETBANK));
        let sent = refer().await;
        assert_eq!(sent.status, 201, "{}", sent.text);
        let sections = format!("{}/sections", sent.headers["location"]);
        assert_eq!(app.get("gemeente-wassenaar", &sections).await.status, 200);
        if ending == "step-down" {
            let down = post(&neighbour.world, "smow", &format!("{coordinators}/step-downs"), json!({})).await;
            assert_eq!(down.status, 201, "{}", down.text);
        } else {
            app.app().clock.advance(Duration::from_hours(42 * 24 - 1));
            assert_eq!(app.get("gemeente-wassenaar", &sections).await.status, 200, "the last day counts");
            app.app().clock.advance(DAY + Duration::from_hours(1));
        }
        let stopped = app.get("gemeente-wassenaar", &sections).await;
        assert_eq!(code(&stopped), (403, Some("disclosure-refused")), "{ending}: {}", stopped.text);
        assert_eq!(withheld(&refer().await), (403, Some("case-not-stepped-up")), "{ending}");
        assert_eq!(app.get("gemeente-wassenaar", &directors).await.status, 404, "{ending}");
        let renewal =
            app.post("gemeente-wassenaar", format!("{directors}/step-ups"), json!({ "reason": "other" })).await;
        assert_eq!(renewal.status, 404, "{ending}: only while it lasts");
        ended.push(sections);
    }
    cases::sweep(app.app()).await.unwrap();
    assert_eq!(told(&app, "kredietbank", "stepped-down").await.len(), 2);
    let list = app.get("smow", &step_ups).await;
    assert!(list.body["items"].as_array().unwrap().iter().all(|item| item["endedAt"].is_string()), "{}", list.text);
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_director_steps_up_alone_only_when_the_coordinator_let_the_proposal_wait() {
    let app = TestApp::start().await;
    let record = consent(&app, KREDIETBANK, "debt-counselling", &["question", "finance"]);
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
    let created = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["finance"]).await;
    let (referral, case) = (created.headers["location"].clone(), format!("/v1/cases/{}", case_of(&created)));
    let refusal = format!("{case}/step-ups/refusals");
    assert_eq!(code(&step(&app, "smow", &refusal).await), (409, Some("step-not-allowed")), "nothing was proposed");
    let_pass(&app, &referral).await;
    assert_eq!(told(&app, "smow", "step-up-proposed").await.len(), 0, "once is no reason");
    let_pass(&app, &referral).await;
    watch::deadlines(app.app()).await.unwrap();
    assert_eq!(told(&app, "smow", "step-up-proposed").await.len(), 1);
    assert_eq!(told(&app, "kredietbank", "step-up-proposed").await.len(), 0, "it has not taken anything on");
    let seen = app.get("smow", &case).await;
    assert_eq!(seen.body["stepUpProposal"]["overdue"], false, "{}", seen.text);
    assert_eq!(app.get("gemeente-wassenaar", "/v1/cases").await.body["items"], json!([]), "not yet its business");
    app.app().clock.advance(10 * DAY);
    for swept in futures_util::future::join_all((0..3).map(|_| cases::sweep(app.app()))).await {
        swept.unwrap();
    }
    assert_eq!(told(&app, "smow", "coordinator-overdue").await.len(), 1);
    let events = told(&app, "gemeente-wassenaar", "coordinator-overdue").await;
    let directors = format!("/v1/cases/{}", events[0]["data"]["case"].as_str().unwrap());
    let seen = app.get("gemeente-wassenaar", &directors).await;
    assert_eq!(seen.body["roles"], json!(["process-director"]), "{}", seen.text);
    for (who, path) in [("gemeente-wassenaar", "closures"), ("gemeente-wassenaar", "step-downs")] {
        let refused = step(&app, who, &format!("{directors}/{path}")).await;
        assert_eq!(code(&refused), (409, Some("step-not-allowed")), "{path}");
        assert_eq!(refused.body["allowedSteps"][0]["operation"], "step-up", "{}", refused.text);
    }
    let step_ups = format!("{directors}/step-ups");
    assert_eq!(app.post("gemeente-wassenaar", &step_ups, json!({ "reason": "overdue" })).await.status, 201);
    assert_eq!(told(&app, "privacy-officer", "stepped-up-by-director").await.len(), 1);
    for who in ["smow", "gemeente-wassenaar"] {
        assert_eq!(told(&app, who, "stepped-up").await[0]["data"]["reason"], "overdue", "{who}");
    }
    assert_eq!(told(&app, "kredietbank", "stepped-up").await.len(), 0, "it takes no part");
    // Renewed by the director while it lasts, and ended by it.
    assert_eq!(app.post("gemeente-wassenaar", &step_ups, json!({ "reason": "other" })).await.status, 201);
    assert_eq!(told(&app, "privacy-officer", "stepped-up-by-director").await.len(), 1, "a renewal is none");
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{directors}/step-downs")).await.status, 201);
    assert_eq!(app.get("gemeente-wassenaar", &directors).await.status, 404);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_of_a_case_is_one_and_the_same_record_whoever_finds_that_it_passed() {
    for by_a_step_in_a_referral in [false, true] {
        let app = TestApp::start().await;
        let record = consent(&app, KREDIETBANK, "debt-counselling", &["finance"]);
        assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
        let created = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["finance"]).await;
        let referral = created.headers["location"].clone();
        for _ in 0..2 {
            let_pass(&app, &referral).await;
        }
        // Past the answer to the proposal, and past the next deadline of the referral.
        app.app().clock.advance(10 * DAY);
        if by_a_step_in_a_referral {
            watch::deadlines(app.app()).await.unwrap();
        }
        cases::sweep(app.app()).await.unwrap();
        watch::deadlines(app.app()).await.unwrap();
        app.app().sequence().await.unwrap();
        let page = app.get("privacy-officer", "/v1/audit/records?kind=case&limit=100").await;
        let mut steps: Vec<(&str, bool)> = page.body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| (record["action"].as_str().unwrap(), record.get("clientId").is_some()))
            .collect();
        steps.sort_unstable();
        assert_eq!(steps, [("deadline", false), ("propose-step-up", false)], "{by_a_step_in_a_referral}");
        finish(app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_coordinator_is_reported_once_by_whichever_gateway() {
    let app = TestApp::start().await;
    let neighbour = Neighbour::start(&app, &[]).await;
    let Shared { referral, coordinators, .. } = of_smow(&app).await;
    complete(&app, "kredietbank", &referral).await;
    cases::sweep(app.app()).await.unwrap();
    assert_eq!(told(&app, "smow", "coordinator-overdue").await.len(), 0, "not yet");
    app.app().clock.advance(9 * DAY);
    let sweeps = (0..4).map(|_| cases::sweep(app.app()));
    for swept in futures_util::future::join_all(sweeps).await {
        swept.unwrap();
    }
    assert_eq!(told(&app, "smow", "coordinator-overdue").await.len(), 1);
    let events = told(&app, "gemeente-wassenaar", "coordinator-overdue").await;
    assert_eq!((events.len(), &events[0]["data"]["coordinator"]), (1, &json!(SMOW)));
    // That nobody goes on with a case gives the municipality no view of it, and no right to direct it.
    let municipalitys = format!("/v1/cases/{}", events[0]["data"]["case"].as_str().unwrap());
    assert_eq!(app.get("gemeente-wassenaar", &municipalitys).await.status, 404);
    let taken =
        app.post("gemeente-wassenaar", format!("{municipalitys}/step-ups"), json!({ "reason": "overdue" })).await;
    assert_eq!(taken.status, 404);
    assert_eq!(step(&app, "smow", &format!("{coordinators}/closures")).await.status, 201);
    app.app().clock.advance(30 * DAY);
    cases::sweep(app.app()).await.unwrap();
    assert_eq!(told(&app, "smow", "coordinator-overdue").await.len(), 1, "a closed case has no deadline");
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_can_no_longer_act_is_replaced_by_the_municipality() {
    let app = TestApp::start().await;
    let Shared { banks, .. } = of_smow(&app).await;
    cases::sweep(app.app()).await.unwrap();
    assert_eq!(app.get("kredietbank", &banks).await.text_at("/coordinator"), Some(SMOW));
    assert_eq!(set_status(app.world(), SMOW, "suspended").await.status, 200);
    for _ in 0..2 {
        cases::sweep(app.app()).await.unwrap();
    }
    assert_eq!(app.get("kredietbank", &banks).await.text_at("/coordinator"), Some(MUNICIPALITY));
    let events = told(&app, "gemeente-wassenaar", "coordinator-changed").await;
    assert_eq!(events.len(), 1);
    assert_eq!(told(&app, "kredietbank", "coordinator-changed").await.len(), 1);
    let municipalitys = format!("/v1/cases/{}", events[0]["data"]["case"].as_str().unwrap());
    let seen = app.get("gemeente-wassenaar", &municipalitys).await;
    assert_eq!((seen.status, &seen.body["roles"]), (200, &json!(["coordinator"])), "{}", seen.text);
    assert_eq!(set_status(app.world(), SMOW, "active").await.status, 200);
    cases::sweep(app.app()).await.unwrap();
    assert_eq!(app.get("kredietbank", &banks).await.text_at("/coordinator"), Some(MUNICIPALITY), "it stays");
    finish(app).await;
}
