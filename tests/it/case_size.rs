//! However many referrals a case has, and however many cases a page: what an answer costs, and what it shows, has a bound.

use serde_json::json;

use crate::app::{KREDIETBANK, SMOW, TestApp, debts};
use crate::cases::{Shared, accept, code, finish, of_the_municipality, step};
use crate::flat::fill;

/// The statements that reading this takes. What the gateway does besides is counted too, so of several times the least counts.
async fn statements(app: &TestApp, who: &str, path: &str) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..6 {
        let before = app.app().db.statements_read();
        let answer = app.get(who, path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        least = least.min(app.app().db.statements_read() - before);
    }
    least
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_cases_takes_as_many_statements_as_one_case() {
    let app = TestApp::start().await;
    let Shared { coordinators, banks, .. } = of_the_municipality(&app).await;
    let readers = [("gemeente-wassenaar", &coordinators), ("kredietbank", &banks)];
    let mut one = Vec::new();
    for (who, case) in readers {
        one.push((statements(&app, who, "/v1/cases").await, statements(&app, who, case).await));
    }
    for _ in 0..11 {
        of_the_municipality(&app).await;
    }
    let invitation = json!({ "organisation": SMOW });
    assert_eq!(app.post("gemeente-wassenaar", format!("{coordinators}/participants"), invitation).await.status, 201);
    for ((who, case), (page, view)) in readers.into_iter().zip(one) {
        let listed = app.get(who, "/v1/cases").await;
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 12, "{}", listed.text);
        let twelve = statements(&app, who, "/v1/cases").await;
        println!("{who}: a page of one {page}, of twelve {twelve}; one by itself {view}");
        assert_eq!(twelve, page, "{who}");
        assert_eq!(statements(&app, who, case).await, view, "{who}");
        // What every request takes, who may ask and under which covenant, is among them; then what the reader has signed, and the cases.
        let who_asks = statements(&app, who, "/v1/referrals?role=holder&limit=1").await;
        assert!(page <= who_asks + 3 && view <= who_asks + 3, "{page} and {view}, beside {who_asks}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_with_twelve_thousand_referrals_is_stepped_in_and_shown_like_any_other() {
    let app = TestApp::start().await;
    let Shared { referral, coordinators, banks } = of_the_municipality(&app).await;
    let (id, few) = (referral.rsplit('/').next().unwrap(), statements(&app, "kredietbank", &banks).await);
    let columns = "sender, recipient, purpose, phase, legal_basis, subject, age_group, priority, status, holder, due_at, duty, created_at, \
                   updated_at, version, decision, receipt, case_id, rests_on_case, taken_on";
    let copies = format!(
        "INSERT INTO referrals (id, {columns}) series_of_many SELECT older_id, {columns} FROM referrals, series WHERE id = $1"
    );
    fill(&app, &copies, id).await;
    for (who, case) in [("gemeente-wassenaar", &coordinators), ("kredietbank", &banks)] {
        let seen = app.get(who, case).await;
        let shown = seen.body["referrals"].as_array().unwrap();
        assert_eq!((shown.len(), shown.last().unwrap()), (100, &json!(id)), "{who}: the newest");
    }
    assert_eq!(statements(&app, "kredietbank", &banks).await, few);
    let seen = app.get("gemeente-wassenaar", &coordinators).await;
    assert_eq!((&seen.body["openReferrals"], &seen.body["stuckReferrals"]), (&json!(1000), &json!([])));
    let refused = step(&app, "gemeente-wassenaar", &format!("{coordinators}/closures")).await;
    assert_eq!(code(&refused), (409, Some("still-open")), "{}", refused.text);
    let own = refused.body["openReferrals"].as_array().unwrap();
    assert_eq!((own.len(), own.last().unwrap()), (100, &json!(id)));
    assert_eq!(refused.body["otherOpenReferrals"], 900, "of a thousand");
    // Who takes part is known all the same, and it goes on like any other case.
    let participants = app.get("gemeente-wassenaar", format!("{coordinators}/participants")).await;
    let names: Vec<_> = participants.body["items"].as_array().unwrap().iter().map(|one| &one["organisation"]).collect();
    assert_eq!(names.len(), 2, "{}", participants.text);
    assert!(names.contains(&&json!(KREDIETBANK)), "{}", participants.text);
    let invitation = json!({ "organisation": SMOW });
    let invited = app.post("gemeente-wassenaar", format!("{coordinators}/participants"), invitation).await;
    assert_eq!(invited.status, 201, "{}", invited.text);
    let mut next = debts();
    next["caseId"] = json!(coordinators.rsplit('/').next());
    let next = app.refer("gemeente-wassenaar", next, &["finance"]).await;
    assert_eq!(next.status, 201, "{}", next.text);
    assert_eq!(accept(&app, "kredietbank", &next.headers["location"]).await, banks);
    let seen = app.get("kredietbank", &banks).await;
    assert_eq!(seen.body["referrals"].as_array().unwrap().last(), next.body.get("id"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_case_asks_is_written_with_each_step_and_taken_back_with_each() {
    let app = TestApp::start().await;
    let Shared { referral, coordinators, banks } = of_the_municipality(&app).await;
    let failed = json!({ "status": "failed", "statusReason": "could-not-be-reached" });
    crate::cases::update(&app, "kredietbank", &referral, failed).await;
    let seen = app.get("kredietbank", &banks).await;
    assert_eq!(seen.status, 404, "it takes no part any more, and was not invited: {}", seen.text);
    assert_eq!(app.get("kredietbank", "/v1/cases").await.body["items"], json!([]));
    let coordinators_view = app.get("gemeente-wassenaar", &coordinators).await;
    assert_eq!(coordinators_view.body["openReferrals"], 1, "its sender goes on");
    let again = json!({ "status": "in-progress", "statusReason": "reopened" });
    crate::cases::update(&app, "kredietbank", &referral, again).await;
    assert_eq!(app.get("kredietbank", &banks).await.status, 200, "under the same name");
    finish(app).await;
}
