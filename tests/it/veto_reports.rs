//! Access reports and what is told, with a safety veto: what led to a vetoed referral is hidden with it, everybody else's report is as it would be without the
//! veto, and what goes on after it says nothing of it.

use serde_json::{Value, json};
use sluis::consents;
use sluis::demo::client::{Client, Request};
use sluis::erasures;
use sluis::organisations::Role;

use crate::access_reports::{OFFICER, asking, codes, full, normalised, own, page, way, ways};
use crate::app::{BSN, KWADRAAD, MEE, SMOW, TestApp, by_consent, consent};
use crate::consistency::{finish, the_log_holds};
use crate::emergencies::{JGZ, by, concern, declaration, declared, officer_of, sent};
use crate::vetoes::{MINUTE, VETOES, are_the_same, officers, seen, set, step, two_worlds};
use crate::withdrawal::{items, put_on_record, read, referred, withdraw};

/// Sets a veto on a referral; its id.
async fn veto(app: &TestApp, who: &str, path: &str) -> String {
    let set = app.post(who, format!("{path}/vetoes"), Value::Null).await;
    assert_eq!(set.status, 201, "{}", set.text);
    set.text_at("/id").unwrap().to_owned()
}

async fn call_off(app: &TestApp, who: &str, path: &str) {
    step(app, who, path, json!({ "status": "cancelled", "statusReason": "no-longer-needed" })).await;
}

async fn weigh(officer: &Client, id: &str, weighing: &str) {
    let weigh = Request {
        idempotency_key: Some(format!("{weighing}:{id}")),
        ..Request::post(format!("{VETOES}/{id}/weighings"), json!({ "weighing": weighing }))
    };
    let weighed = by(officer, weigh).await;
    assert_eq!(weighed.status, 201, "{}", weighed.text);
}

/// How many there are of each part: hand-overs, recordings, confirmations, declarations.
fn sizes(report: &Value) -> [usize; 4] {
    ["flows", "recordings", "confirmations", "emergencyAccesses"].map(|part| report[part].as_array().unwrap().len())
}

fn named(report: &Value) -> Vec<&str> {
    report["parties"].as_array().unwrap().iter().map(|party| party["organisation"].as_str().unwrap()).collect()
}

/// In neither the report of who set the veto nor the full one there is anything, and nobody is named but who composed it.
async fn show_nothing(app: &TestApp, who: &str) {
    for report in [own(app, who).await, full(app).await] {
        assert_eq!(sizes(&report), [0; 4], "{report}");
        assert_eq!(named(&report), [report["composedBy"].as_str().unwrap()], "{report}");
    }
}

/// What any partner may declare.
fn urgent() -> Value {
    let mut body = declaration(JGZ);
    body["role"] = json!("manager-on-duty");
    body
}

/// A consent and a secrecy release for SMOW, the ids of both.
async fn permitted(app: &TestApp, who: &str) -> [String; 2] {
    let may = consent(app, SMOW, "welfare-support", &["question", "social"]);
    let mut release = may.clone();
    release["kind"] = json!("secrecy-release");
    [put_on_record(app, who, may).await, put_on_record(app, who, release).await]
}

async fn sent_to_smow(app: &TestApp, who: &str) -> String {
    referred(app, who, by_consent(SMOW, "welfare-support"), &["question", "social"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_declaration_under_which_a_vetoed_referral_was_sent_is_hidden_with_it() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await;
    let access = declared(&app, "kwadraad", declaration(JGZ)).await;
    let path = sent(&app, "kwadraad", concern(JGZ, Some(&access), &["contact", "safety"])).await;
    assert_eq!(read(&app, "jgz", &path).await, 200);
    assert_eq!(sizes(&full(&app).await), [1, 0, 0, 1]);
    let id = veto(&app, "kwadraad", &path).await;
    show_nothing(&app, "kwadraad").await;
    for (who, scope) in [("kwadraad", "own"), (OFFICER, "full")] {
        let html = page(&app, who, &asking(scope, BSN)).await;
        for hidden in ["Jeugdgezondheidszorg", "levensgevaar", "bewusteloos", JGZ] {
            assert!(!html.contains(hidden), "{who}: {hidden} in {html}");
        }
    }
    assert_eq!(ways(&own(&app, "jgz").await), [way(KWADRAAD, JGZ, &["contact", "safety"])], "it answers for it");
    let body = json!({ "subject": { "bsn": BSN }, "ground": "no-longer-necessary" });
    assert_eq!(app.post("kwadraad", "/v1/erasures", body).await.status, 201);
    show_nothing(&app, "kwadraad").await;
    weigh(&officer, &id, "must-not-be-reported").await;
    show_nothing(&app, "kwadraad").await;
    weigh(&officer, &id, "may-be-reported").await;
    for report in [own(&app, "kwadraad").await, full(&app).await] {
        assert_eq!(sizes(&report), [1, 0, 0, 1]);
        assert_eq!(codes(&report["flows"][0]["erased"][0]["categories"]), ["contact", "safety"]);
        assert_eq!(
            codes(&report["emergencyAccesses"][0]["categories"]),
            ["contact", "question", "safety", "physical-health"]
        );
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_under_which_nothing_was_sent_is_hidden_by_a_veto_that_was_set_beforehand() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await;
    declared(&app, "kwadraad", declaration(JGZ)).await;
    declared(&app, "mee", urgent()).await;
    let before = full(&app).await;
    let answer = app.post("kwadraad", VETOES, json!({ "subject": { "bsn": BSN } })).await;
    let id = answer.text_at("/id").unwrap();
    assert_eq!(sizes(&own(&app, "kwadraad").await), [0; 4]);
    let after = full(&app).await;
    assert_eq!(sizes(&after), [0, 0, 0, 1], "what another declared stays");
    assert_eq!(after["emergencyAccesses"][0]["declaredBy"], MEE);
    assert!(!after.to_string().contains(KWADRAAD));
    weigh(&officer, id, "may-be-reported").await;
    assert_eq!(normalised(&full(&app).await.to_string()), normalised(&before.to_string()));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consent_and_the_release_on_which_a_vetoed_referral_rests_are_hidden_with_what_is_confirmed_of_them() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await;
    let [consent, release] = permitted(&app, "kwadraad").await;
    let path = sent_to_smow(&app, "kwadraad").await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    let before = own(&app, "smow").await;
    assert_eq!(sizes(&full(&app).await), [1, 2, 0, 0]);
    let id = veto(&app, "kwadraad", &path).await;
    show_nothing(&app, "kwadraad").await;
    for id in [consent, release] {
        withdraw(&app, "kwadraad", &id).await;
    }
    consents::settle(app.app()).await.unwrap();
    show_nothing(&app, "kwadraad").await;
    // Who received it answers for that, and for what it is asked to confirm.
    let after = own(&app, "smow").await;
    assert_eq!((ways(&after), sizes(&after)), (ways(&before), [1, 0, 1, 0]));
    weigh(&officer, &id, "must-not-be-reported").await;
    show_nothing(&app, "kwadraad").await;
    weigh(&officer, &id, "may-be-reported").await;
    for report in [own(&app, "kwadraad").await, full(&app).await] {
        assert_eq!(sizes(&report), [1, 2, 1, 0]);
        assert!(!report.to_string().contains("veto"), "{report}");
    }
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_records_that_nothing_was_given_under_a_veto_set_beforehand_leaves_none() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await;
    permitted(&app, "kwadraad").await;
    put_on_record(&app, "smow", consent(&app, MEE, "client-support", &["question"])).await;
    let answer = app.post("kwadraad", VETOES, json!({ "subject": { "bsn": BSN } })).await;
    let id = answer.text_at("/id").unwrap();
    assert_eq!(sizes(&own(&app, "kwadraad").await), [0; 4]);
    let all = full(&app).await;
    assert_eq!(
        (sizes(&all), &all["recordings"][0]["recordedBy"]),
        ([0, 1, 0, 0], &json!(SMOW)),
        "what others recorded stays"
    );
    assert_eq!(named(&all).len(), 3, "who composed it, SMOW and MEE: {all}");
    weigh(&officer, id, "may-be-reported").await;
    assert_eq!((sizes(&own(&app, "kwadraad").await), sizes(&full(&app).await)), ([0, 2, 0, 0], [0, 3, 0, 0]));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_carries_what_is_shown_and_what_is_hidden_shows_as_far_as_the_former_goes() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, MEE, Role::DataProtectionOfficer).await;
    let mut both = consent(&app, SMOW, "welfare-support", &["contact", "question", "social"]);
    both["recipients"] = json!([SMOW, KWADRAAD]);
    both["purposes"] = json!(["welfare-support", "social-work"]);
    let record = put_on_record(&app, "mee", both).await;
    let shown = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["question"]).await;
    let hidden = referred(&app, "mee", by_consent(KWADRAAD, "social-work"), &["question", "social"]).await;
    for (who, path) in [("smow", &shown), ("kwadraad", &hidden)] {
        assert_eq!(read(&app, who, path).await, 200);
    }
    let id = veto(&app, "mee", &hidden).await;
    // Kwadraad says that the resident withdrew it: that it was Kwadraad is hidden too.
    let said = json!({ "subject": { "bsn": BSN }, "kind": "consent" });
    assert_eq!(app.post("kwadraad", "/v1/consents/_withdraw", said).await.status, 202);
    consents::settle(app.app()).await.unwrap();
    for report in [own(&app, "mee").await, full(&app).await] {
        assert_eq!(ways(&report), [way(MEE, SMOW, &["question"])]);
        let one = &report["recordings"][0];
        assert_eq!(
            (&one["recipients"], codes(&one["purposes"]), codes(&one["categories"])),
            (&json!([SMOW]), vec!["welfare-support"], vec!["question"])
        );
        assert_eq!((&one["withdrawal"]["reportedBy"], sizes(&report)), (&Value::Null, [1, 1, 1, 0]));
        assert_eq!(report["confirmations"][0]["organisation"], SMOW);
        let text = report.to_string();
        assert!(!text.contains(KWADRAAD) && !text.contains("Kwadraad"), "{report}");
    }
    weigh(&officer, &id, "may-be-reported").await;
    for report in [own(&app, "mee").await, full(&app).await] {
        assert_eq!(
            (report["recordings"][0]["recipients"].clone(), sizes(&report)),
            (json!([SMOW, KWADRAAD]), [2, 1, 2, 0])
        );
        assert_eq!(report["recordings"][0]["withdrawal"]["reportedBy"], KWADRAAD);
    }
    assert!(
        app.get("mee", format!("/v1/consents/{record}")).await.text.contains("withdrawn"),
        "its record is as it was"
    );
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_that_carries_what_is_shown_and_what_is_hidden_shows_as_far_as_the_former_goes() {
    let app = TestApp::start().await;
    let access = declared(&app, "kwadraad", declaration(JGZ)).await;
    let shown = sent(&app, "kwadraad", concern(JGZ, Some(&access), &["contact"])).await;
    let hidden = sent(&app, "kwadraad", concern(JGZ, Some(&access), &["safety", "physical-health"])).await;
    for path in [&shown, &hidden] {
        assert_eq!(read(&app, "jgz", path).await, 200);
    }
    veto(&app, "kwadraad", &hidden).await;
    for report in [own(&app, "kwadraad").await, full(&app).await] {
        assert_eq!(ways(&report), [way(KWADRAAD, JGZ, &["contact"])]);
        assert_eq!(codes(&report["emergencyAccesses"][0]["categories"]), ["contact"]);
        assert!(!report["emergencyAccesses"].to_string().contains("health"), "{report}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_on_a_vetoed_referral_does_not_name_it() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await;
    permitted(&app, "kwadraad").await;
    let hidden = sent_to_smow(&app, "kwadraad").await;
    let id = veto(&app, "kwadraad", &hidden).await;
    let safe = json!({ "conclusion": "channel-safe-again" });
    assert_eq!(app.post("kwadraad", format!("{VETOES}/{id}/conclusions"), safe).await.status, 201);
    let mut next = by_consent(SMOW, "welfare-support");
    next["basedOn"] = json!(hidden.rsplit('/').next());
    referred(&app, "kwadraad", next, &["question"]).await;
    for report in [own(&app, "kwadraad").await, full(&app).await] {
        assert_eq!((sizes(&report), codes(&report["flows"][0]["waiting"])), ([1, 2, 0, 0], vec!["question"]));
        assert!(!report.to_string().contains(hidden.rsplit('/').next().unwrap()), "{report}");
    }
    weigh(&officer, &id, "may-be-reported").await;
    assert_eq!(own(&app, "kwadraad").await["flows"][0]["basedOn"], json!(hidden.rsplit('/').next()));
    finish(app).await;
}

/// The reports of everybody but MEE and the covenant's privacy officer.
async fn of_others(app: &TestApp) -> Vec<String> {
    let mut reports = Vec::new();
    for who in ["smow", "kwadraad", "jgz", "kredietbank", "gemeente-wassenaar", OFFICER] {
        reports.push(normalised(&own(app, who).await.to_string()));
        app.app().clock.advance(MINUTE);
    }
    reports
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reports_of_others_and_what_is_told_after_a_veto_are_as_after_any_cancellation() {
    let [with, without] = two_worlds().await;
    let mut found = Vec::new();
    for (app, vetoed) in [(&with, true), (&without, false)] {
        let officers = officers(app).await;
        let access = declared(app, "mee", urgent()).await;
        let [consent, _] = permitted(app, "mee").await;
        app.app().clock.advance(MINUTE);
        // One after the other, so that identifiers come in the same order.
        let read_by_smow = sent_to_smow(app, "mee").await;
        app.app().clock.advance(MINUTE);
        let waits = sent_to_smow(app, "mee").await;
        app.app().clock.advance(MINUTE);
        let urgent = sent(app, "mee", concern(JGZ, Some(&access), &["contact", "safety"])).await;
        app.app().clock.advance(MINUTE);
        assert_eq!((read(app, "smow", &read_by_smow).await, read(app, "jgz", &urgent).await), (200, 200));
        for path in [&read_by_smow, &waits, &urgent] {
            app.app().clock.advance(MINUTE);
            if vetoed { drop(veto(app, "mee", path).await) } else { call_off(app, "mee", path).await }
        }
        app.app().clock.advance(MINUTE);
        let mut reports = of_others(app).await;
        // It is a withdrawal and an erasure as any other: who received something hears of it, and who did not hears nothing.
        withdraw(app, "mee", &consent).await;
        consents::settle(app.app()).await.unwrap();
        app.app().clock.advance(MINUTE);
        let body = json!({ "subject": { "bsn": BSN }, "ground": "consent-withdrawn" });
        let erased = app.post("mee", "/v1/erasures", body).await;
        assert_eq!((erased.status, &erased.body["told"]), (201, &json!(1)), "{}", erased.text);
        erasures::destroy(app.app()).await.unwrap();
        app.app().clock.advance(MINUTE);
        reports.extend(of_others(app).await);
        app.app().sequence().await.unwrap();
        for (who, kind, told) in [
            ("smow", "nl.sluis.consent.confirmation-requested.v1", 1),
            ("jgz", "nl.sluis.referral.deletion-required.v1", 1),
            ("kwadraad", "nl.sluis.consent.confirmation-requested.v1", 0),
        ] {
            let feed = items(app, who, "/v1/events?limit=1000").await;
            assert_eq!(feed.iter().filter(|event| event["type"] == kind).count(), told, "{who} {kind}");
        }
        found.push((reports, seen(app, &officers).await));
    }
    assert_eq!(found[0].0, found[1].0);
    are_the_same(&found[0].1, &found[1].1);
    for app in [with, without] {
        the_log_holds(&app).await;
        finish(app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_veto_set_beforehand_takes_nothing_from_what_was_given_before_it() {
    let app = TestApp::start().await;
    permitted(&app, "kwadraad").await;
    let path = sent_to_smow(&app, "kwadraad").await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    let before = [own(&app, "kwadraad").await, full(&app).await];
    set(&app, "kwadraad").await;
    // Nor does it show that there is one.
    let after = [own(&app, "kwadraad").await, full(&app).await];
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(normalised(&after.to_string()), normalised(&before.to_string()));
    }
    finish(app).await;
}
