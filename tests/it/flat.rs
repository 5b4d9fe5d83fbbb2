//! Pages of what is rare among much: a page looks at a window, may end before it is full, and its `next` goes on until everything was seen once.

use serde_json::Value;
use sluis::args;
use sluis::storage::Tx;

use crate::app::{KREDIETBANK, MUNICIPALITY, TestApp, consent, debts};

/// More than two windows.
const MANY: i64 = 12_000;

/// Runs a statement of which `$1` is an identifier, for the numbers from 1 to `MANY`; `n` is the number and `older_id` an identifier that is older than
/// every real one and grows with it.
pub async fn fill(app: &TestApp, statement: &str, id: &str) {
    let series = format!("WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {MANY})");
    let statement = statement
        .replace("series_of_many", &series)
        .replace("older_id", "'00000000-0000-7000-8000-' || CAST(100000000000 + n AS TEXT)");
    let (statement, id): (&'static str, _) = (Box::leak(statement.into_boxed_str()), id.to_owned());
    let fill = async move |tx: &mut Tx| Ok(tx.execute(statement, args![&id]).await?);
    assert_eq!(app.app().db.write("fill", fill).await.unwrap(), MANY.unsigned_abs());
}

/// The identifiers on each page of a collection, from the first to the one without `next`.
async fn pages(app: &TestApp, who: &str, path: &str) -> Vec<Vec<String>> {
    let (mut pages, mut next) = (Vec::new(), path.to_owned());
    loop {
        let page = app.get(who, &next).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let items = page.body["items"].as_array().unwrap();
        pages.push(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect());
        match &page.body["next"] {
            Value::Null => return pages,
            address => address.as_str().unwrap().clone_into(&mut next),
        }
        assert!(pages.len() < 20, "{path} never ends: {pages:?}");
    }
}

fn oldest() -> String {
    "00000000-0000-7000-8000-100000000001".into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_one_referral_in_a_state_is_found_behind_twelve_thousand_others() {
    let app = TestApp::start().await;
    let sent = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let (id, status) = (sent.text_at("/id").unwrap().to_owned(), sent.text_at("/status").unwrap().to_owned());
    let columns = "sender, recipient, purpose, phase, legal_basis, subject, age_group, priority, created_at, updated_at, version, decision, receipt";
    let copies = format!(
        "INSERT INTO referrals (id, status, {columns}) series_of_many SELECT older_id, \
         CASE WHEN n = 1 THEN status ELSE 'completed' END, {columns} FROM referrals, series WHERE id = $1"
    );
    fill(&app, &copies, &id).await;
    for (who, role) in [
        ("gemeente-wassenaar", "role=sender&"),
        ("gemeente-wassenaar", ""),
        ("kredietbank", "role=recipient&"),
        ("kredietbank", ""),
    ] {
        let found = pages(&app, who, &format!("/v1/referrals?{role}status={status}")).await;
        assert_eq!(found, [vec![id.clone()], vec![], vec![oldest()]], "{who} {role}");
        let first = app.get(who, format!("/v1/referrals?{role}limit=50")).await;
        assert_eq!(first.body["items"].as_array().unwrap().len(), 50, "without a state a page is full");
    }
    assert_eq!(pages(&app, "jgz", &format!("/v1/referrals?status={status}")).await, [vec![""; 0]]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_one_valid_consent_is_found_behind_twelve_thousand_withdrawn_ones() {
    let app = TestApp::start().await;
    let body = consent(&app, KREDIETBANK, "debt-counselling", &["finance"]);
    let recorded = app.post("gemeente-wassenaar", "/v1/consents", body).await;
    assert_eq!(recorded.status, 201, "{}", recorded.text);
    let id = recorded.text_at("/id").unwrap().to_owned();
    let columns = "organisation, subject, kind, given_by, explicit, recipients, purposes, categories, valid_from, valid_until, obtained_at, method, \
                   recorded_at, version";
    let copies = format!(
        "INSERT INTO consents (id, withdrawn_at, withdrawal_reason, {columns}) series_of_many SELECT older_id, \
         CASE WHEN n > 1 THEN 1 END, CASE WHEN n > 1 THEN 'resident-asked' END, {columns} FROM consents, series WHERE id = $1"
    );
    fill(&app, &copies, &id).await;
    for who in ["gemeente-wassenaar", "privacy-officer"] {
        let found = pages(&app, who, "/v1/consents?status=active").await;
        assert_eq!(found, [vec![id.clone()], vec![], vec![oldest()]], "{who}");
    }
    assert_eq!(pages(&app, "kredietbank", "/v1/consents?status=active").await, [vec![""; 0]]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_of_an_hour_are_found_behind_twelve_thousand_of_another() {
    let app = TestApp::start().await;
    app.app().clock.advance(std::time::Duration::from_hours(1));
    let from = app.app().now();
    let sent = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let copies = "INSERT INTO audit_records (id, kind, time, organisation, salts, commitments, seal, refused) series_of_many \
                  SELECT older_id, 'check', n, $1, seal, seal, seal, 1 FROM series, (SELECT seal FROM audit_records LIMIT 1) AS one";
    fill(&app, copies, MUNICIPALITY).await;
    // The time stands in the identifiers, so the window is not spent on what is older.
    for who in ["gemeente-wassenaar", "privacy-officer"] {
        let found = pages(&app, who, &format!("/v1/audit/records?from={from}&kind=decision")).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found[0].is_empty());
        assert_eq!(
            pages(&app, who, &format!("/v1/audit/records?until={from}&kind=disclosure")).await.concat(),
            [""; 0]
        );
    }
    app.finish().await;
}
