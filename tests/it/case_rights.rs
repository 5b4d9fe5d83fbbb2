//! Who may do what in a case when somebody does not do their part: a coordinator that is late itself, who was removed, who has not signed, and
//! who was away for a while.

use std::time::Duration;

use serde_json::{Value, json};
use sluis::cases;
use sluis::demo::governance;
use sluis::demo::scenario::{Action, OfCovenant};
use sluis::referrals::watch;

use crate::app::{KREDIETBANK, MEE, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::cases::{DAY, Shared, case_of, code, finish, let_pass, of_smow, of_the_municipality, step, told, update};
use crate::consistency::set_status;
use crate::credentials::new_version;

/// A referral of SMOW's that the bank has not taken on, and the case as SMOW knows it.
async fn waiting_at_the_bank(app: &TestApp) -> (String, String) {
    let record = consent(app, KREDIETBANK, "debt-counselling", &["question", "finance"]);
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
    let created = app.refer("smow", by_consent(KREDIETBANK, "debt-counselling"), &["finance"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    (created.headers["location"].clone(), format!("/v1/cases/{}", case_of(&created)))
}

/// The case of somebody's first event of this kind, as it knows it.
async fn told_of(app: &TestApp, who: &str, kind: &str) -> String {
    format!("/v1/cases/{}", told(app, who, kind).await[0]["data"]["case"].as_str().unwrap())
}

/// Lets ten days pass, and the gateway look.
async fn wait(app: &TestApp) {
    app.app().clock.advance(10 * DAY);
    watch::deadlines(app.app()).await.unwrap();
    cases::sweep(app.app()).await.unwrap();
}

/// Lets a proposal wait too long; gives the case as the municipality knows it.
async fn let_the_proposal_wait(app: &TestApp) -> String {
    wait(app).await;
    told_of(app, "gemeente-wassenaar", "coordinator-overdue").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_is_late_itself_does_not_refuse_to_step_up() {
    let app = TestApp::start().await;
    let (referral, case) = waiting_at_the_bank(&app).await;
    update(&app, "kredietbank", &referral, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    for _ in 0..2 {
        let_pass(&app, &referral).await;
    }
    assert_eq!(told(&app, "smow", "step-up-proposed").await.len(), 1);
    let refusal = format!("{case}/step-ups/refusals");
    let refused = step(&app, "smow", &refusal).await;
    assert_eq!(code(&refused), (409, Some("step-not-allowed")), "it lets its own duty wait: {}", refused.text);
    assert!(!refused.text.contains("refuse-step-up"), "{}", refused.text);
    // Nor does it step up for a moment only.
    let up = app.post("smow", format!("{case}/step-ups"), json!({ "reason": "overdue" })).await;
    assert_eq!(up.status, 201, "{}", up.text);
    let down = step(&app, "smow", &format!("{case}/step-downs")).await;
    assert_eq!(code(&down), (409, Some("step-not-allowed")), "{}", down.text);
    // Once it goes on with the resident it may say that nobody need direct the case any more.
    let onward = app.post("smow", format!("{referral}/resolutions"), json!({ "outcome": "not-helped" })).await;
    assert_eq!(onward.status, 201, "{}", onward.text);
    let down = step(&app, "smow", &format!("{case}/step-downs")).await;
    assert_eq!(down.status, 201, "{}", down.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_in_time_lasts_until_the_next_deadline_is_missed() {
    let app = TestApp::start().await;
    let (referral, case) = waiting_at_the_bank(&app).await;
    for _ in 0..2 {
        let_pass(&app, &referral).await;
    }
    let refusal = format!("{case}/step-ups/refusals");
    for proposals in 1..4 {
        assert_eq!(told(&app, "smow", "step-up-proposed").await.len(), proposals);
        assert_eq!(step(&app, "smow", &refusal).await.status, 201, "the bank is late, and SMOW weighs it");
        let_pass(&app, &referral).await;
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_coordinator_let_wait_it_does_not_take_from_the_process_director() {
    let app = TestApp::start().await;
    let (referral, case) = waiting_at_the_bank(&app).await;
    for _ in 0..2 {
        let_pass(&app, &referral).await;
    }
    let directors = let_the_proposal_wait(&app).await;
    let refused = step(&app, "smow", &format!("{case}/step-ups/refusals")).await;
    assert_eq!(code(&refused), (409, Some("step-not-allowed")), "{}", refused.text);
    let up = app.post("gemeente-wassenaar", format!("{directors}/step-ups"), json!({ "reason": "overdue" })).await;
    assert_eq!(up.status, 201, "{}", up.text);
    // Nor does it end what was taken from it.
    let down = step(&app, "smow", &format!("{case}/step-downs")).await;
    assert_eq!(code(&down), (409, Some("step-not-allowed")), "{}", down.text);
    let renewed = app.post("smow", format!("{case}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(renewed.status, 201, "{}", renewed.text);
    let down = step(&app, "smow", &format!("{case}/step-downs")).await;
    assert_eq!(code(&down), (409, Some("step-not-allowed")), "a renewal makes it nobody else's: {}", down.text);
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{directors}/step-downs")).await.status, 201);
    // The bank is still late: the next missed deadline proposes again.
    let before = told(&app, "smow", "step-up-proposed").await.len();
    let_pass(&app, &referral).await;
    assert_eq!(told(&app, "smow", "step-up-proposed").await.len(), before + 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_director_may_let_it_be_and_hears_when_the_case_is_closed() {
    let app = TestApp::start().await;
    let (referral, case) = waiting_at_the_bank(&app).await;
    for _ in 0..2 {
        let_pass(&app, &referral).await;
    }
    let directors = let_the_proposal_wait(&app).await;
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{directors}/step-ups/refusals")).await.status, 201);
    assert_eq!(app.get("gemeente-wassenaar", &directors).await.status, 404);
    let up = app.post("gemeente-wassenaar", format!("{directors}/step-ups"), json!({ "reason": "overdue" })).await;
    assert_eq!(up.status, 404, "{}", up.text);
    // It is proposed again, waits again, and the chain comes to an end before the director did anything.
    let_pass(&app, &referral).await;
    wait(&app).await;
    assert_eq!(app.get("gemeente-wassenaar", &directors).await.status, 200);
    let cancelled = json!({ "status": "cancelled", "statusReason": "no-longer-needed" });
    update(&app, "smow", &referral, cancelled).await;
    let resolved = app.post("smow", format!("{referral}/resolutions"), json!({ "outcome": "not-helped" })).await;
    assert_eq!(resolved.status, 201, "{}", resolved.text);
    assert_eq!(step(&app, "smow", &format!("{case}/closures")).await.status, 201);
    assert_eq!(told(&app, "gemeente-wassenaar", "closed").await.len(), 1, "its right has ended");
    assert_eq!(app.get("gemeente-wassenaar", &directors).await.status, 404);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_no_longer_takes_part_is_no_longer_asked_to_coordinate() {
    let app = TestApp::start().await;
    let Shared { referral, coordinators, banks } = of_the_municipality(&app).await;
    let (participants, offers) = (format!("{coordinators}/participants"), format!("{coordinators}/coordinators"));
    let invite = async || {
        let invited = app.post("gemeente-wassenaar", &participants, json!({ "organisation": SMOW })).await;
        assert_eq!(invited.status, 201, "{}", invited.text);
    };
    let offer = async |to: &str| {
        let offered = app.post("gemeente-wassenaar", &offers, json!({ "organisation": to })).await;
        assert_eq!(offered.status, 201, "{}", offered.text);
    };
    invite().await;
    let smows = told_of(&app, "smow", "participant-invited").await;
    for (round, left) in
        [("gemeente-wassenaar", &participants), ("smow", &format!("{smows}/participants"))].into_iter().enumerate()
    {
        if round > 0 {
            invite().await;
        }
        offer(SMOW).await;
        assert_eq!(step(&app, left.0, &format!("{}/{SMOW}/removals", left.1)).await.status, 201);
        assert_eq!(app.get("smow", &smows).await.status, 404, "{round}");
        assert_eq!(step(&app, "smow", &format!("{smows}/coordinators/acceptances")).await.status, 404, "{round}");
        let ended = told(&app, "smow", "offer-ended").await;
        assert_eq!((ended.len(), &ended[round]["data"]["reason"]), (round + 1, &json!("revoked")));
        assert_eq!(app.get("gemeente-wassenaar", &coordinators).await.body["offer"], Value::Null);
    }
    // The same for a participant whose referral came to nothing, and for one that was asked before the case was closed.
    offer(KREDIETBANK).await;
    let failed = json!({ "status": "failed", "statusReason": "other" });
    update(&app, "kredietbank", &referral, failed).await;
    assert_eq!(step(&app, "kredietbank", &format!("{banks}/coordinators/acceptances")).await.status, 404);
    assert_eq!(app.get("gemeente-wassenaar", &coordinators).await.body["offer"], Value::Null);
    assert_eq!(told(&app, "kredietbank", "offer-ended").await.len(), 1);
    invite().await;
    offer(SMOW).await;
    let resolved =
        app.post("gemeente-wassenaar", format!("{referral}/resolutions"), json!({ "outcome": "not-helped" })).await;
    assert_eq!(resolved.status, 201, "{}", resolved.text);
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await.status, 201);
    assert_eq!(told(&app, "smow", "offer-ended").await.len(), 3);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_of_a_coordinator_that_was_replaced_is_taken_back() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_smow(&app).await;
    let offered =
        app.post("smow", format!("{coordinators}/coordinators"), json!({ "organisation": KREDIETBANK })).await;
    assert_eq!(offered.status, 201, "{}", offered.text);
    assert_eq!(set_status(app.world(), SMOW, "suspended").await.status, 200);
    cases::sweep(app.app()).await.unwrap();
    assert_eq!(told(&app, "kredietbank", "offer-ended").await.len(), 1);
    let taken = step(&app, "kredietbank", &format!("{banks}/coordinators/acceptances")).await;
    assert_eq!(code(&taken), (409, Some("step-not-allowed")), "{}", taken.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_signed_the_version_in_force_does_nothing_in_a_case_and_is_not_asked_to() {
    let mut app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let other = of_smow(&app).await;
    let invitation = |who: &str| json!({ "organisation": who });
    let participants = format!("{coordinators}/participants");
    assert_eq!(app.post("gemeente-wassenaar", &participants, invitation(SMOW)).await.status, 201);
    let smows = told_of(&app, "smow", "participant-invited").await;
    assert_eq!(
        app.post("gemeente-wassenaar", format!("{coordinators}/coordinators"), invitation(SMOW)).await.status,
        201
    );
    new_version(&mut app, "2026.2").await;
    app.app().clock.advance(Duration::from_hours(25));
    let sign = Action::SignCovenant(OfCovenant { version: Some("2026.2".into()), ..OfCovenant::default() });
    for party in ["gemeente-wassenaar", "kredietbank"] {
        let (signed, _) = governance::take(party, &sign, &mut app.house.world).await.unwrap();
        assert_eq!(signed.status, 201, "{}", signed.text);
    }
    // SMOW has not: neither as the one asked, nor as a participant, nor as a coordinator.
    for path in [
        format!("{smows}/coordinators/acceptances"),
        format!("{}/closures", other.coordinators),
        format!("{}/step-ups", other.coordinators),
    ] {
        let refused =
            app.post("smow", &path, if path.ends_with("ups") { json!({ "reason": "other" }) } else { json!({}) }).await;
        assert_eq!(code(&refused), (403, Some("refused")), "{path}: {}", refused.text);
    }
    // Nor is anybody called to a meeting that has not; it may be invited, and is that only.
    let refused =
        app.post("gemeente-wassenaar", format!("{coordinators}/meetings"), json!({ "organisations": [MEE] })).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(refused.text_at("/invalidParams/0/code"), Some("unknown"), "{}", refused.text);
    assert_eq!(told(&app, "mee", "participant-invited").await, [Value::Null; 0]);
    assert_eq!(app.post("gemeente-wassenaar", &participants, invitation(MEE)).await.status, 201);
    let mees = told_of(&app, "mee", "participant-invited").await;
    assert_eq!(app.get("mee", &mees).await.text_at("/coordinator"), None);
    // Its coordinator takes its question back, and who has signed goes on.
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{coordinators}/coordinators/revocations")).await.status, 201);
    assert_eq!(
        app.post("gemeente-wassenaar", format!("{coordinators}/coordinators"), invitation(KREDIETBANK)).await.status,
        201
    );
    assert_eq!(step(&app, "kredietbank", &format!("{banks}/coordinators/refusals")).await.status, 201);
    let asked = app.post("gemeente-wassenaar", format!("{coordinators}/coordinators"), invitation(SMOW)).await;
    assert_eq!(asked.status, 400, "{}", asked.text);
    let (signed, _) = governance::take("smow", &sign, &mut app.house.world).await.unwrap();
    assert_eq!(signed.status, 201, "{}", signed.text);
    assert_eq!(step(&app, "smow", &format!("{smows}/participants/{SMOW}/removals")).await.status, 201);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_was_away_for_a_while_still_takes_part() {
    let app = TestApp::start().await;
    let (referral, case) = waiting_at_the_bank(&app).await;
    assert_eq!(set_status(app.world(), SMOW, "suspended").await.status, 200);
    cases::sweep(app.app()).await.unwrap();
    assert_eq!(set_status(app.world(), SMOW, "active").await.status, 200);
    let seen = app.get("smow", &case).await;
    assert_eq!((seen.status, &seen.body["roles"]), (200, &json!(["invited"])), "{}", seen.text);
    let municipalitys = told_of(&app, "gemeente-wassenaar", "coordinator-changed").await;
    // Once it is not wanted any more it is out; its chain goes on in the same case all the same.
    let removal = format!("{municipalitys}/participants/{SMOW}/removals");
    assert_eq!(step(&app, "gemeente-wassenaar", &removal).await.status, 201);
    assert_eq!(app.get("smow", &case).await.status, 404);
    update(&app, "kredietbank", &referral, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    let mut again = with_sections(by_consent(KREDIETBANK, "debt-counselling"), &["finance"]);
    again["basedOn"] = json!(referral.rsplit('/').next());
    let again = app.post("smow", "/v1/referrals", again).await;
    assert_eq!((again.status, case_of(&again)), (201, case.rsplit('/').next().unwrap().to_owned()), "{}", again.text);
    let municipalitys = app.get("gemeente-wassenaar", &municipalitys).await;
    assert_eq!(municipalitys.body["openReferrals"], 1, "{}", municipalitys.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_director_of_its_own_case_steps_down_as_before() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let case = format!("/v1/cases/{}", case_of(&created));
    let up = app.post("gemeente-wassenaar", format!("{case}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(up.status, 201, "{}", up.text);
    assert_eq!(app.get("gemeente-wassenaar", &case).await.text_at("/coordinator"), Some(MUNICIPALITY));
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{case}/step-downs")).await.status, 201);
    finish(app).await;
}
