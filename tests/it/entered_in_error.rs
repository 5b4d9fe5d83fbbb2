//! What should not have been there is erased before anybody got it, and about nobody for who was not meant.

use serde_json::{Value, json};
use sluis::args;
use sluis::demo::client::Request;
use sluis::storage::Query as _;

use crate::app::{TestApp, with_sections};
use crate::corrections::{content, correction, debts_at_the_bank, finish, id, step};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_entered_in_error_is_erased_and_about_nobody_for_who_was_not_meant() {
    let app = TestApp::start().await;
    let path = debts_at_the_bank(&app, &["question", "finance"]).await;
    let supplement = with_sections(json!({}), &["housing"]);
    let supplement = app.post("gemeente-wassenaar", format!("{path}/supplements"), supplement).await;
    assert_eq!(supplement.status, 201, "{}", supplement.text);
    let supplement = supplement.headers["location"].clone();
    let error = json!({ "status": "entered-in-error", "statusReason": "wrong-resident" });
    let noted =
        app.post("gemeente-wassenaar", format!("{path}/updates"), with_sections(error.clone(), &["contact"])).await;
    assert_eq!((noted.status, noted.text_at("/invalidParams/0/name")), (400, Some("sections")), "{}", noted.text);
    step(&app, "gemeente-wassenaar", &path, error).await;

    let rows = app.app().db.reader();
    let sql = "SELECT part FROM referral_sections WHERE referral = $1";
    assert!(rows.clone().rows(sql, args![id(&path)]).await.unwrap().is_empty());
    let sql = "SELECT wrapped_key FROM referrals WHERE id = $1";
    let row = rows.clone().row(sql, args![id(&path)]).await.unwrap().unwrap();
    assert_eq!(row.opt_bytes("wrapped_key").unwrap(), None, "without its key no backup of it can be read either");
    for who in ["kredietbank", "gemeente-wassenaar"] {
        for part in [&path, &supplement] {
            assert!(content(&app, who, part).await.is_empty(), "{who} {part}");
        }
    }
    let seen = app.get("kredietbank", &path).await;
    assert_eq!((&seen.body["status"], &seen.body["holder"]), (&json!("entered-in-error"), &Value::Null));
    assert_eq!(seen.body["statusReason"], "wrong-resident");
    let listed = app.get("kredietbank", "/v1/referrals").await;
    for hidden in ["purpose", "phase", "legalBasis", "subject", "priority"] {
        assert!(seen.body.get(hidden).is_none() && listed.body["items"][0].get(hidden).is_none(), "{hidden}");
    }
    assert!(app.get("gemeente-wassenaar", &path).await.body.get("subject").is_some(), "its sender knows");
    let retract = correction("wrong-resident", &[], &["finance"]);
    assert_eq!(app.post("gemeente-wassenaar", format!("{path}/corrections"), retract).await.status, 409);
    for (who, status) in [("gemeente-wassenaar", "requested"), ("kredietbank", "accepted")] {
        let again = app.post(who, format!("{path}/updates"), json!({ "status": status })).await;
        assert_eq!(again.status, 409, "{who}");
    }
    app.app().sequence().await.unwrap();
    let feed = app.get("kredietbank", "/v1/events?limit=1000").await;
    assert!(feed.text.contains("entered-in-error"), "the recipient is told: {}", feed.text);
    // The case that it opened holds nothing any more, and its coordinator closes it.
    let case = app.get("gemeente-wassenaar", &path).await.text_at("/caseId").unwrap().to_owned();
    let mut close = Request::get(format!("/v1/cases/{case}/closures"));
    close.method = reqwest::Method::POST;
    close.idempotency_key = Some(app.world().new_key().unwrap());
    let closed = app.ask("gemeente-wassenaar", close).await;
    assert_eq!(closed.status, 201, "{}", closed.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_that_was_read_at_the_last_moment_makes_it_no_error_any_more() {
    let app = TestApp::start().await;
    for _ in 0..8 {
        let path = debts_at_the_bank(&app, &["question"]).await;
        let supplement = with_sections(json!({}), &["housing"]);
        let supplement = app.post("gemeente-wassenaar", format!("{path}/supplements"), supplement).await;
        let supplement = supplement.headers["location"].clone();
        let error = json!({ "status": "entered-in-error", "statusReason": "wrong-recipient" });
        let (read, taken_back) = tokio::join!(
            content(&app, "kredietbank", &supplement),
            app.post("gemeente-wassenaar", format!("{path}/updates"), error),
        );
        assert_eq!(taken_back.status == 201, read.is_empty(), "{}", taken_back.text);
        assert!([201, 409].contains(&taken_back.status), "{}", taken_back.text);
    }
    finish(app).await;
}
