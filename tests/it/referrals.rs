//! Referrals over HTTP: what crosses, what does not, and who learns of it.

use serde_json::json;

use crate::app::{KREDIETBANK, MEE, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts, with_sections};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credit_bank_gets_what_the_protocol_allows_and_never_learns_of_the_rest() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["question", "finance", "mental-health", "housing"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(created.body["decision"]["outcome"], "minimised");
    let withheld = &created.body["decision"]["sections"][2];
    assert_eq!(withheld["effect"], "withhold");
    assert_eq!(withheld["code"], "category-never-for-recipient");
    assert_eq!(withheld["rules"], json!(["credit-bank-no-health"]));
    assert_eq!(withheld["remedy"], json!(null));
    let path = created.headers["location"].clone();

    let seen = app.get("kredietbank", &path).await;
    assert_eq!(seen.status, 200);
    assert!(seen.body.get("decision").is_none() && seen.body.get("receipt").is_none());
    assert_ne!(seen.body["subject"]["pseudonym"], created.body["subject"]["pseudonym"]);
    let sections = app.get("kredietbank", format!("{path}/sections")).await;
    assert_eq!(sections.status, 200, "{}", sections.text);
    let categories: Vec<_> =
        sections.body["sections"].as_array().unwrap().iter().map(|section| section["category"].clone()).collect();
    assert_eq!(categories, ["question", "finance", "housing"]);
    assert_eq!(sections.body["sections"][1]["content"], json!({ "text": "about finance" }));

    let records = app.get("kredietbank", "/v1/audit/records").await;
    assert_eq!(records.status, 200);
    assert!(!records.body["items"].as_array().unwrap().is_empty());
    for text in [seen.text, sections.text, records.text] {
        assert!(!text.contains("mental-health") && !text.contains("999990019"), "{text}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_withheld_section_refuses_the_whole_unless_minimising_was_asked() {
    let app = TestApp::start().await;
    let mut referral = debts();
    referral["onWithheld"] = json!("reject");
    let refused = app.refer("gemeente-wassenaar", referral, &["finance", "safety"]).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.body["code"], "refused");
    assert_eq!(refused.body["decision"]["outcome"], "refused");
    let nothing = app.refer("gemeente-wassenaar", debts(), &["safety"]).await;
    assert_eq!(nothing.status, 403, "no permitted section: refused whatever was asked");
    let inbox = app.get("kredietbank", "/v1/referrals").await;
    assert_eq!(inbox.body["items"], json!([]));
    let events = app.get("kredietbank", "/v1/events").await;
    let about_referrals = events.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .any(|event| event["type"].as_str().unwrap().contains("referral"));
    assert!(!about_referrals, "{}", events.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_says_exactly_what_creating_would_say_and_stores_nothing_but_its_record() {
    let app = TestApp::start().await;
    let referral = with_sections(debts(), &["question", "finance", "mental-health"]);
    let checked = app.post("gemeente-wassenaar", "/v1/referrals/_check", referral.clone()).await;
    assert_eq!(checked.status, 200, "{}", checked.text);
    let created = app.post("gemeente-wassenaar", "/v1/referrals", referral).await;
    assert_eq!(checked.body["decision"]["sections"], created.body["decision"]["sections"]);
    let sent = app.get("gemeente-wassenaar", "/v1/referrals?role=sender").await;
    assert_eq!(sent.body["items"].as_array().unwrap().len(), 1);
    let records = app.get("gemeente-wassenaar", "/v1/audit/records?kind=check").await;
    assert_eq!(records.body["items"].as_array().unwrap().len(), 1, "{}", records.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_a_stranger_a_referral_does_not_exist() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let path = created.headers["location"].clone();
    let update = created.body["id"].as_str().unwrap();
    for who in ["smow", "mee", "jgz", "kwadraad"] {
        let foreign = app.get(who, &path).await;
        let missing = app.get(who, "/v1/referrals/01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001").await;
        assert_eq!((foreign.status, &foreign.body), (404, &missing.body));
        assert_eq!(app.get(who, format!("{path}/sections")).await.status, 404);
        assert_eq!(app.get(who, format!("{path}/updates")).await.status, 404);
        assert_eq!(app.get(who, format!("{path}/updates/{update}")).await.status, 404);
        let step = app.post(who, format!("{path}/updates"), json!({ "status": "accepted" })).await;
        assert_eq!(step.status, 404);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_consent_stops_the_disclosure_and_the_record_says_so() {
    let app = TestApp::start().await;
    let recorded =
        app.post("mee", "/v1/consents", consent(&app, SMOW, "welfare-support", &["question", "social"])).await;
    assert_eq!(recorded.status, 201, "{}", recorded.text);
    let created = app.refer("mee", by_consent(SMOW, "welfare-support"), &["question", "social"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.headers["location"].clone();
    let consent_path = recorded.headers["location"].clone();
    let withdrawn =
        app.post("mee", format!("{consent_path}/withdrawals"), json!({ "reasonCode": "resident-asked" })).await;
    assert_eq!(withdrawn.status, 201, "{}", withdrawn.text);
    let sections = app.get("smow", format!("{path}/sections")).await;
    assert_eq!(sections.status, 403);
    assert!(sections.body.get("decision").is_none(), "the recipient does not learn why");
    let own = app.get("smow", "/v1/audit/records?kind=disclosure").await;
    assert_eq!(own.body["items"][0]["outcome"], "refused");
    let givers = app.get("mee", "/v1/audit/records?kind=disclosure").await;
    assert_eq!(givers.body["items"][0]["sections"][0]["code"], "consent-missing", "{}", givers.text);
    let accepted = app.post("smow", format!("{path}/updates"), json!({ "status": "accepted" })).await;
    assert_eq!(accepted.status, 201, "status codes still flow: {}", accepted.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_its_recorder_and_the_privacy_officer_sees_a_consent() {
    let app = TestApp::start().await;
    let recorded = app.post("mee", "/v1/consents", consent(&app, SMOW, "welfare-support", &["question"])).await;
    let path = recorded.headers["location"].clone();
    assert_eq!(app.get("mee", &path).await.body["evidenceRef"], "DOSSIER-1");
    assert_eq!(app.get("smow", &path).await.status, 404);
    let officer = app.get("privacy-officer", &path).await;
    assert_eq!(officer.status, 200, "{}", officer.text);
    assert!(officer.body.get("evidenceRef").is_none() && !officer.text.contains("DOSSIER-1"));
    assert_ne!(officer.body["subject"], recorded.body["subject"], "the officer has a pseudonym of its own");
    let all = app.get("privacy-officer", "/v1/consents").await;
    assert_eq!(all.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(app.get("monitor", &path).await.status, 403);
    let foreign = app.post("smow", format!("{path}/withdrawals"), json!({ "reasonCode": "other" })).await;
    assert_eq!(foreign.status, 404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_are_checked_in_the_order_exists_step_reason_version() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let updates = format!("{}/updates", created.headers["location"]);
    let wrong_step = app.post("kredietbank", &updates, json!({ "status": "completed", "outcome": "helped" })).await;
    assert_eq!(wrong_step.status, 409);
    let allowed: Vec<_> =
        wrong_step.body["allowedSteps"].as_array().unwrap().iter().map(|step| step["status"].clone()).collect();
    assert_eq!(allowed, ["received", "accepted", "rejected"], "all of them updates");
    let wrong_actor = app.post("gemeente-wassenaar", &updates, json!({ "status": "accepted" })).await;
    assert_eq!(wrong_actor.status, 409);
    let no_reason = app.post("kredietbank", &updates, json!({ "status": "rejected" })).await;
    assert_eq!(no_reason.status, 400);
    assert_eq!(no_reason.body["invalidParams"][0]["name"], "statusReason");
    // What looks like an OIN could be a number of a resident, and neither party is the right one.
    for other in ["99999001900000000000", "00000099000000077000", KREDIETBANK, MUNICIPALITY] {
        let rejected =
            json!({ "status": "rejected", "statusReason": "wrong-organisation", "rightOrganisation": other });
        let refused = app.post("kredietbank", &updates, rejected).await;
        let named = (refused.text_at("/invalidParams/0/name"), refused.text_at("/invalidParams/0/code"));
        assert_eq!((refused.status, named), (400, (Some("rightOrganisation"), Some("unknown"))), "{other}");
    }
    let rejected = json!({ "status": "rejected", "statusReason": "wrong-organisation", "rightOrganisation": MEE });
    let rejected = app.post("kredietbank", &updates, rejected).await;
    assert_eq!(rejected.status, 201, "{}", rejected.text);
    assert_eq!(rejected.body["holder"], MUNICIPALITY, "the chain is not closed: the sender must act");
    let seen = app.get("gemeente-wassenaar", created.headers["location"].as_str()).await;
    assert_eq!(seen.body["status"], "rejected");
    let again = app.post("kredietbank", &updates, json!({ "status": "rejected", "statusReason": "other" })).await;
    assert_eq!(again.status, 409, "a repeated status is no step");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_municipality_sees_of_client_support_only_the_status() {
    let app = TestApp::start().await;
    let consent = consent(&app, MEE, "client-support", &["question", "contact"]);
    assert_eq!(app.post("gemeente-wassenaar", "/v1/consents", consent).await.status, 201);
    let created = app.refer("gemeente-wassenaar", by_consent(MEE, "client-support"), &["question", "contact"]).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.headers["location"].clone();
    let rejected = json!({ "status": "rejected", "statusReason": "no-capacity", "rightOrganisation": KREDIETBANK });
    assert_eq!(app.post("mee", format!("{path}/updates"), rejected).await.status, 201);
    let seen = app.get("gemeente-wassenaar", &path).await;
    let updates = app.get("gemeente-wassenaar", format!("{path}/updates")).await;
    let records = app.get("gemeente-wassenaar", "/v1/audit/records?kind=status-update").await;
    assert_eq!(seen.body["status"], "rejected");
    assert_eq!(updates.body["items"][0]["status"], "rejected");
    for text in [seen.text, updates.text, records.text] {
        assert!(
            !text.contains("no-capacity") && !text.contains(&format!("\"rightOrganisation\":\"{KREDIETBANK}")),
            "{text}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_to_an_unknown_party_or_to_oneself_is_refused_not_malformed() {
    let app = TestApp::start().await;
    for recipient in ["00000099000000077000", SMOW] {
        let refused = app.refer("smow", by_consent(recipient, "welfare-support"), &["question"]).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        assert_eq!(refused.body["decision"]["outcome"], "refused");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_wrong_with_a_body_is_said_at_once_without_repeating_it() {
    let app = TestApp::start().await;
    let body = json!({
        "recipient": "secret-recipient", "purpose": "gossip", "phase": "case", "legalBasis": "wgs",
        "subject": { "bsn": "999990018" }, "surprise": true,
        "sections": [{ "category": "finance", "content": {} }, { "category": "finance", "content": {} }],
    });
    let refused = app.post("gemeente-wassenaar", "/v1/referrals", body).await;
    assert_eq!(refused.status, 400);
    let names: Vec<_> =
        refused.body["invalidParams"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    for name in ["recipient", "purpose", "subject.bsn", "surprise"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(names.iter().any(|name| name.starts_with("sections")), "{names:?}");
    for value in ["secret-recipient", "gossip", "999990018"] {
        assert!(!refused.text.contains(value), "{}", refused.text);
    }
    app.finish().await;
}
