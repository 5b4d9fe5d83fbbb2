//! Access reports: a resident is told who received what; each organisation of itself, the covenant's privacy officer of all; and nobody learns of others by it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sluis::args;
use sluis::demo::client::{Answer, Request};
use sluis::organisations::Role;
use sluis::storage::Tx;

use crate::app::{BSN, KREDIETBANK, KWADRAAD, MEE, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts};
use crate::consistency::finish;
use crate::corrections::{correct, correction, id};
use crate::emergencies::{JGZ, by, concern, declaration, declared, officer_of, sent};
use crate::objections::{DAY, objected, objection, take_back};
use crate::wire::Wire;
use crate::withdrawal::{put_on_record, read, referred, withdraw};

pub const PATH: &str = "/v1/access-reports";
pub const OFFICER: &str = "privacy-officer";
const NOBODY: &str = "999990020";

pub fn asking(scope: &str, bsn: &str) -> Value {
    json!({ "subject": { "bsn": bsn }, "scope": scope, "identification": "identity-document", "requestedBy": "resident" })
}

pub async fn report(app: &TestApp, who: &str, body: Value) -> Value {
    let answer = app.ask(who, Request::post(PATH, body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

pub async fn own(app: &TestApp, who: &str) -> Value {
    report(app, who, asking("own", BSN)).await
}

pub async fn full(app: &TestApp) -> Value {
    report(app, OFFICER, asking("full", BSN)).await
}

/// The same report as a page.
pub async fn page(app: &TestApp, who: &str, body: &Value) -> String {
    let token = app.world().client(who).unwrap().token(None).await.unwrap();
    let wire = Wire::of(app, who);
    let request = wire.request("POST", PATH).bearer_auth(token).header("accept", "text/html");
    let reply = wire.send(request.header("content-type", "application/json").body(body.to_string())).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/html; charset=utf-8"), "{}", reply.text);
    reply.text
}

pub fn codes(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

/// What went between whom: giver, receiver, what was received.
pub fn ways(report: &Value) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let flows = report["flows"].as_array().unwrap().iter();
    flows
        .map(|flow| {
            let received = flow["received"].as_array().unwrap().iter();
            let received = received.flat_map(|one| codes(&one["categories"])).map(str::to_owned).collect();
            (text(&flow["giver"]), text(&flow["receiver"]), received)
        })
        .collect()
}

pub fn way(giver: &str, receiver: &str, received: &[&str]) -> (String, String, Vec<String>) {
    (giver.to_owned(), receiver.to_owned(), received.iter().map(ToString::to_string).collect())
}

/// The text with identifiers, pseudonyms and moments by the order in which they come.
pub fn normalised(text: &str) -> String {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = String::new();
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String, names: &mut BTreeMap<String, usize>| {
        let is_id = uuid::Uuid::try_parse(word).is_ok() || (word.len() == 43 && !word.contains(['.', ':']));
        let is_moment = word.len() >= 20 && word.ends_with('Z') && word.contains('T');
        if is_id {
            let next = names.len();
            out.push('#');
            out.push_str(&names.entry(word.clone()).or_insert(next).to_string());
        } else if is_moment {
            out.push_str("@moment");
        } else {
            out.push_str(word);
        }
        word.clear();
    };
    for c in text.chars() {
        if is_word(c) {
            word.push(c);
        } else {
            flush(&mut word, &mut out, &mut names);
            out.push(c);
        }
    }
    flush(&mut word, &mut out, &mut names);
    out
}

async fn restricted(app: &TestApp, who: &str) {
    let body = json!({ "subject": { "bsn": BSN }, "ground": "accuracy-contested" });
    assert_eq!(app.post(who, "/v1/restrictions", body).await.status, 201);
}

/// An incident of this kind about a referral, opened by `who`.
async fn incident(app: &TestApp, who: &str, path: &str, kind: &str) {
    let opened = app.post(who, "/v1/incidents", json!({ "referral": id(path), "kind": kind })).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
}

/// How many objections, restrictions and incidents a report names.
fn asked(report: &Value) -> [usize; 3] {
    ["objections", "restrictions", "incidents"].map(|part| report[part].as_array().unwrap().len())
}

/// The municipality hands debts over to the bank, which picks them up; health stays behind.
async fn about_debts(app: &TestApp) -> String {
    let path = referred(app, "gemeente-wassenaar", debts(), &["question", "finance", "mental-health"]).await;
    assert_eq!(read(app, "kredietbank", &path).await, 200);
    path
}

/// MEE refers to SMOW and Kwadraad by consent; SMOW picks up, Kwadraad does not.
async fn by_mee(app: &TestApp) -> String {
    let mut record = consent(app, SMOW, "welfare-support", &["question", "social"]);
    record["recipients"] = json!([SMOW, KWADRAAD]);
    record["purposes"] = json!(["welfare-support", "social-work"]);
    let id = put_on_record(app, "mee", record).await;
    let first = referred(app, "mee", by_consent(SMOW, "welfare-support"), &["question", "social"]).await;
    referred(app, "mee", by_consent(KWADRAAD, "social-work"), &["question"]).await;
    assert_eq!(read(app, "smow", &first).await, 200);
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_says_who_received_what_when_why_and_by_which_rules() {
    let app = TestApp::start().await;
    let path = about_debts(&app).await;
    app.app().clock.advance(Duration::from_hours(1));
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    let given = own(&app, "gemeente-wassenaar").await;
    assert_eq!(ways(&given), [way(MUNICIPALITY, KREDIETBANK, &["question", "finance"])]);
    let flow = &given["flows"][0];
    assert_eq!(
        (&flow["purpose"]["label"]["nl"], &flow["legalBasis"]["source"]),
        (&json!("schuldhulpverlening"), &json!("art. 6.1.e AVG, Wgs"))
    );
    let received = &flow["received"][0];
    assert_eq!((&received["times"], flow["referral"].as_str()), (&json!(2), Some(id(&path))));
    assert!(received["rules"].as_array().unwrap().iter().all(|rule| !rule["text"]["nl"].as_str().unwrap().is_empty()));
    assert!(!received["rules"].as_array().unwrap().is_empty());
    assert_eq!(codes(&json!([flow["withheld"][0]["category"]])), ["mental-health"]);
    assert_eq!(flow["withheld"][0]["reason"]["code"], "category-never-for-recipient");
    // Who received it knows nothing of what stayed behind.
    let got = own(&app, "kredietbank").await;
    assert_eq!(ways(&got), ways(&given));
    for who in [&got, &full(&app).await] {
        let flows = who["flows"].to_string();
        assert!(who["flows"][0].get("withheld").is_none() && !flows.contains("mental-health"), "{who}");
    }
    for one in [&given, &got] {
        for party in one["parties"].as_array().unwrap() {
            assert!(party["complaints"].as_str().unwrap().starts_with("klachten@"), "{party}");
        }
        assert!(!one.to_string().contains(BSN) && !one.to_string().contains("about finance"), "{one}");
    }
    assert_ne!(given["subject"], got["subject"]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_shows_to_who_gave_it_and_to_no_recipient() {
    let app = TestApp::start().await;
    let consent = by_mee(&app).await;
    let before = own(&app, "kwadraad").await;
    assert_eq!((ways(&before), &before["recordings"]), (vec![], &json!([])));
    let mees = own(&app, "mee").await;
    assert_eq!(ways(&mees), [way(MEE, SMOW, &["question", "social"]), way(MEE, KWADRAAD, &[])]);
    assert_eq!(codes(&mees["flows"][1]["waiting"]), ["question"]);
    assert_eq!(codes(&full(&app).await["flows"][1]["waiting"]), ["question"]);
    withdraw(&app, "mee", &consent).await;
    // Who never picked it up sees nothing come or go.
    let after = own(&app, "kwadraad").await;
    assert_eq!(normalised(&after.to_string()), normalised(&before.to_string()));
    let mees = own(&app, "mee").await;
    assert_eq!(ways(&mees), [way(MEE, SMOW, &["question", "social"])]);
    assert_eq!(mees["recordings"][0]["withdrawal"]["reason"], "resident-asked");
    assert_eq!(
        (&mees["confirmations"][0]["organisation"], &mees["confirmations"][0]["status"]),
        (&json!(SMOW), &json!("open"))
    );
    let smows = own(&app, "smow").await;
    assert_eq!(smows["confirmations"], mees["confirmations"]);
    assert_eq!(smows["recordings"], json!([]), "what another recorded is not its own");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_report_is_the_same_whatever_others_gave_got_or_recorded() {
    let (alone, among) = (TestApp::start().await, TestApp::start().await);
    about_debts(&alone).await;
    by_mee(&among).await;
    about_debts(&among).await;
    objected(&among, "smow", objection(&among)).await;
    restricted(&among, "mee").await;
    for who in ["gemeente-wassenaar", "kredietbank", "jgz"] {
        let (one, other) = (own(&alone, who).await, own(&among, who).await);
        assert_eq!(normalised(&one.to_string()), normalised(&other.to_string()), "{who}");
    }
    // The difference is there for who may see it.
    assert_eq!(
        (full(&alone).await["flows"].as_array().unwrap().len(), full(&among).await["flows"].as_array().unwrap().len()),
        (1, 3)
    );
    finish(alone).await;
    finish(among).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resident_whom_nobody_knows_gets_the_same_form() {
    let app = TestApp::start().await;
    about_debts(&app).await;
    for (who, scope) in [("gemeente-wassenaar", "own"), ("smow", "own"), (OFFICER, "full")] {
        let nobody = report(&app, who, asking(scope, NOBODY)).await;
        assert_eq!(nobody["flows"], json!([]));
        let parties = nobody["parties"].as_array().unwrap();
        assert_eq!((parties.len(), &parties[0]["organisation"]), (1, &nobody["composedBy"]));
    }
    // Whom others know and the caller does not is like whom nobody knows.
    let (known, unknown) = (own(&app, "smow").await, report(&app, "smow", asking("own", NOBODY)).await);
    assert_eq!(normalised(&known.to_string()), normalised(&unknown.to_string()));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_full_report_is_for_the_covenants_privacy_officer_and_nobody_else() {
    let app = TestApp::start().await;
    by_mee(&app).await;
    about_debts(&app).await;
    assert_eq!(
        ways(&full(&app).await),
        [
            way(MEE, SMOW, &["question", "social"]),
            way(MEE, KWADRAAD, &[]),
            way(MUNICIPALITY, KREDIETBANK, &["question", "finance"]),
        ]
    );
    assert_eq!(full(&app).await["recordings"][0]["recordedBy"], MEE);
    for who in ["gemeente-wassenaar", "mee", "smow", "kredietbank"] {
        let refused = app.ask(who, Request::post(PATH, asking("full", BSN))).await;
        assert_eq!((refused.status, refused.text_at("/code")), (403, Some("forbidden")), "{who} {}", refused.text);
    }
    for who in ["monitor", "administrator"] {
        let refused = app.ask(who, Request::post(PATH, asking("own", BSN))).await;
        assert_eq!((refused.status, refused.text_at("/code")), (403, Some("insufficient-scope")), "{who}");
    }
    // The same role of another party is none.
    let of_mee = officer_of(&app, MEE, Role::PrivacyOfficer).await;
    let refused = by(&of_mee, Request::post(PATH, asking("full", BSN))).await;
    assert_eq!((refused.status, refused.text_at("/code")), (403, Some("forbidden")), "{}", refused.text);
    let own = by(&of_mee, Request::post(PATH, asking("own", BSN))).await;
    assert_eq!((own.status, ways(&own.body).len()), (200, 2), "its own it may");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_wrong_is_said_at_once_and_leaves_no_record() {
    let app = TestApp::start().await;
    let mut wrong = asking("own", "999990018");
    wrong["requestedBy"] = json!("representative");
    wrong["period"] = json!({ "from": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z" });
    let answer = app.ask("smow", Request::post(PATH, wrong)).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    // The contract finds what it can say; the rest is said once that is mended.
    assert_eq!(names(&answer), ["subject.bsn"]);
    let mut wrong = asking("own", BSN);
    wrong["requestedBy"] = json!("representative");
    wrong["period"] = json!({ "from": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z" });
    assert_eq!(names(&app.ask("smow", Request::post(PATH, wrong)).await), ["representativeKind", "period.until"]);
    let mut strange = asking("own", BSN);
    strange["subject"] = json!({ "pseudonym": "gT4Zc1vWm0Jq7s9XyLk2aQeR5uBhN8dFpM3oTiUwVxY" });
    assert_eq!(names(&app.ask("smow", Request::post(PATH, strange)).await), ["subject.pseudonym"]);
    assert_eq!(app.get("smow", "/v1/audit/records?kind=access-report").await.body["items"], json!([]));
    app.finish().await;
}

fn names(answer: &Answer) -> Vec<&str> {
    let wrong = answer.body["invalidParams"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    wrong.iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_on_record_before_anybody_sees_it_and_without_the_record_there_is_none() {
    let app = TestApp::start().await;
    about_debts(&app).await;
    let first = own(&app, "kredietbank").await;
    let records = app.get("kredietbank", "/v1/audit/records?kind=access-report").await;
    let record = &records.body["items"][0];
    assert_eq!((&record["action"], &record["subject"]), (&json!("composed-own"), &first["subject"]["pseudonym"]));
    assert_eq!(record["facts"]["identification"], "identity-document");
    assert!(!record.to_string().contains("finance"), "not what is in it: {record}");
    assert_eq!(app.get("smow", "/v1/audit/records?kind=access-report").await.body["items"], json!([]));
    // From now on there is room for one such record of each client only.
    let refuse = async |tx: &mut Tx| {
        let sql = "CREATE UNIQUE INDEX no_second_report ON audit_records (client_id) WHERE kind = 'access-report'";
        Ok(tx.execute(sql, args![]).await?)
    };
    app.app().db.write("refuse", refuse).await.unwrap();
    let second = app.ask("kredietbank", Request::post(PATH, asking("own", BSN))).await;
    assert!(second.status >= 500 && second.body.get("flows").is_none(), "{}", second.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_altered_is_not_reported_from() {
    let app = TestApp::start().await;
    about_debts(&app).await;
    let alter = async |tx: &mut Tx| {
        let sql = "UPDATE audit_records SET purpose = 'triage' WHERE kind = 'disclosure' AND organisation = $1";
        Ok(tx.execute(sql, args![KREDIETBANK]).await?)
    };
    app.app().db.write("alter", alter).await.unwrap();
    let refused = app.ask("kredietbank", Request::post(PATH, asking("own", BSN))).await;
    assert_eq!((refused.status, refused.body.get("flows")), (500, None), "{}", refused.text);
    assert_eq!(
        own(&app, "gemeente-wassenaar").await["flows"].as_array().unwrap().len(),
        1,
        "its own records are as they were"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_shows_to_who_had_what_was_wrong() {
    let app = TestApp::start().await;
    let path = about_debts(&app).await;
    correct(&app, "gemeente-wassenaar", &path, correction("inaccurate", &[], &["finance"])).await;
    for report in [own(&app, "kredietbank").await, own(&app, "gemeente-wassenaar").await, full(&app).await] {
        let one = &report["flows"][0]["corrections"][0];
        assert_eq!((&one["effect"], &one["reason"]), (&json!("retracted"), &json!("inaccurate")), "{report}");
        assert_eq!(codes(&one["categories"]), ["finance"]);
        assert_eq!(ways(&report), [way(MUNICIPALITY, KREDIETBANK, &["question", "finance"])], "received it was");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_shows_with_when_also_where_nobody_had_picked_it_up() {
    let app = TestApp::start().await;
    let had = about_debts(&app).await;
    let waited = referred(&app, "gemeente-wassenaar", debts(), &["question"]).await;
    let before = own(&app, "kredietbank").await;
    assert!(
        before["flows"][0]["erased"] == json!([])
            && !page(&app, OFFICER, &asking("full", BSN)).await.contains("gewist")
    );
    let body = json!({ "subject": { "bsn": BSN }, "ground": "no-longer-necessary" });
    let erased = app.post("gemeente-wassenaar", "/v1/erasures", body).await;
    assert_eq!(erased.status, 201, "{}", erased.text);
    for report in [own(&app, "gemeente-wassenaar").await, full(&app).await] {
        assert_eq!(
            ways(&report),
            [way(MUNICIPALITY, KREDIETBANK, &["question", "finance"]), way(MUNICIPALITY, KREDIETBANK, &[])]
        );
        for (flow, (path, gone)) in report["flows"]
            .as_array()
            .unwrap()
            .iter()
            .zip([(&had, vec!["finance", "question"]), (&waited, vec!["question"])])
        {
            assert_eq!((flow["referral"].as_str(), &flow["waiting"]), (Some(id(path)), &json!([])));
            assert_eq!((flow["erased"].as_array().unwrap().len(), codes(&flow["erased"][0]["categories"])), (1, gone));
            assert_eq!(flow["erased"][0]["at"], erased.body["requestedAt"]);
        }
    }
    // Who was to receive it sees nothing of what it never picked up.
    let after = own(&app, "kredietbank").await;
    assert_eq!((ways(&after), after["flows"][0]["referral"].as_str()), (ways(&before), Some(id(&had))));
    assert_eq!(codes(&after["flows"][0]["erased"][0]["categories"]), ["finance", "question"]);
    assert!(!after.to_string().contains(id(&waited)), "{after}");
    let html = page(&app, OFFICER, &asking("full", BSN)).await;
    assert_eq!((html.matches("Later gewist").count(), html.matches("gevraagd het ook te verwijderen").count()), (2, 1));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_period_narrows_it_and_what_is_gone_from_the_database_still_stands_in_the_log() {
    let app = TestApp::start().await;
    let path = about_debts(&app).await;
    app.app().clock.advance(Duration::from_hours(48));
    let mut later = asking("own", BSN);
    later["period"] = json!({ "from": app.app().now().minus(Duration::from_hours(1)) });
    assert_eq!(report(&app, "kredietbank", later.clone()).await["flows"], json!([]));
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    let since = report(&app, "kredietbank", later).await;
    assert_eq!(since["flows"][0]["received"][0]["times"], 1);
    // As retention will: the referral is gone, the log is not.
    let referral = id(&path).to_owned();
    let forget = async move |tx: &mut Tx| {
        for sql in [
            "DELETE FROM consent_uses WHERE referral = $1",
            "DELETE FROM referral_sections WHERE referral = $1",
            "DELETE FROM referral_updates WHERE referral = $1",
            "DELETE FROM referrals WHERE id = $1",
        ] {
            tx.execute(sql, args![&referral]).await?;
        }
        Ok(())
    };
    app.app().db.write("forget", forget).await.unwrap();
    let gone = own(&app, "kredietbank").await;
    assert_eq!(ways(&gone), [way(MUNICIPALITY, KREDIETBANK, &["question", "finance"])]);
    assert_eq!(gone["flows"][0]["status"], Value::Null);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_what_the_json_has_and_needs_nothing_else() {
    let app = TestApp::start().await;
    by_mee(&app).await;
    let debts = about_debts(&app).await;
    incident(&app, "kredietbank", &debts, "failed-verification").await;
    let taken_back = objected(&app, "smow", objection(&app)).await;
    take_back(&app, "smow", &taken_back).await;
    objected(&app, "jgz", json!({ "subject": { "bsn": BSN }, "obtainedAt": app.app().now() })).await;
    restricted(&app, "mee").await;
    let body = asking("full", BSN);
    let (json, html) = (report(&app, OFFICER, body.clone()).await, page(&app, OFFICER, &body).await);
    assert_eq!(html.matches(". Van ").count(), json["flows"].as_array().unwrap().len());
    for flow in json["flows"].as_array().unwrap() {
        assert!(html.contains(flow["referral"].as_str().unwrap()), "{html}");
        assert!(html.contains(flow["purpose"]["label"]["nl"].as_str().unwrap()));
    }
    assert_eq!(asked(&json), [2, 1, 1]);
    for shown in
        ["ingetrokken door de inwoner", "wordt nog gewogen", "de juistheid wordt betwist", "kan zijn veranderd"]
    {
        assert_eq!(html.matches(shown).count(), 1, "{shown}");
    }
    for party in json["parties"].as_array().unwrap() {
        assert!(html.contains(party["complaints"].as_str().unwrap()), "{party}");
    }
    for banned in
        ["<script", "<img", "<link", "http://", "https://", "url(", "onclick", "<form", "<iframe", "javascript:"]
    {
        assert!(!html.contains(banned), "{banned}");
    }
    assert!(html.contains("<html lang=\"nl\">") && html.contains("<caption>") && html.contains("scope=\"col\""));
    assert!(!html.contains(BSN));
    insta::assert_snapshot!("access_report_json", normalised(&serde_json::to_string_pretty(&json).unwrap()));
    insta::assert_snapshot!("access_report_html", normalised(&without_moments(&html)));
    finish(app).await;
}

/// Without what a page says of when: day, month, year and time before each `uur`.
fn without_moments(html: &str) -> String {
    let mut parts: Vec<String> = html.split(" uur").map(str::to_owned).collect();
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        let words: Vec<&str> = part.rsplitn(4, ' ').collect();
        if let [_, _, month, before] = words[..] {
            assert!(month.chars().all(char::is_alphabetic), "{month}");
            *part = format!("{}@moment", before.trim_end_matches(|c: char| c.is_ascii_digit()));
        }
    }
    parts.join("")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn break_glass_shows_with_whether_the_resident_was_informed() {
    let app = TestApp::start().await;
    let access = declared(&app, "kwadraad", declaration(JGZ)).await;
    let path = sent(&app, "kwadraad", concern(JGZ, Some(&access), &["contact", "safety"])).await;
    assert_eq!(read(&app, "jgz", &path).await, 200);
    let informed = json!({ "outcome": "informed", "informedAt": app.app().now(), "method": "in-person" });
    for (expected, next) in [("open", Some(informed)), ("informed", None)] {
        for report in [own(&app, "kwadraad").await, full(&app).await] {
            let declared = &report["emergencyAccesses"][0];
            assert_eq!((&declared["declaredBy"], &declared["notification"]), (&json!(KWADRAAD), &json!(expected)));
            assert_eq!(report["flows"][0]["breakGlass"]["reason"], "danger-to-life");
        }
        // Who received it knows that it was given so, and not what its sender still owes.
        let got = own(&app, "jgz").await;
        assert_eq!(
            (&got["emergencyAccesses"], &got["flows"][0]["breakGlass"]["reason"]),
            (&json!([]), &json!("danger-to-life"))
        );
        if let Some(body) = next {
            let noted = app.post("kwadraad", format!("/v1/emergency-accesses/{access}/notifications"), body).await;
            assert_eq!(noted.status, 201, "{}", noted.text);
        }
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_veto_was_set_on_is_in_no_report_but_of_who_received_it_until_it_is_weighed() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, MEE, Role::DataProtectionOfficer).await;
    let may = consent(&app, SMOW, "welfare-support", &["contact", "question"]);
    assert_eq!(app.post("mee", "/v1/consents", may).await.status, 201);
    let sent = app.refer("mee", by_consent(SMOW, "welfare-support"), &["contact", "question"]).await;
    let path = sent.headers["location"].clone();
    assert_eq!(app.get("smow", format!("{path}/sections")).await.status, 200);
    app.app().sequence().await.unwrap();
    let flows = async || {
        let count = |report: Value| report["flows"].as_array().map(Vec::len).unwrap();
        (count(own(&app, "mee").await), count(own(&app, "smow").await), count(full(&app).await))
    };
    assert_eq!(flows().await, (1, 1, 1));
    let set = app.post("mee", format!("{path}/vetoes"), Value::Null).await;
    assert_eq!(set.status, 201, "{}", set.text);
    // Who received it answers for what it received, as of any referral that was called off.
    assert_eq!(flows().await, (0, 1, 0));
    let weighing = format!("/v1/vetoes/{}/weighings", set.text_at("/id").unwrap());
    for (weighed, shown) in [("must-not-be-reported", (0, 1, 0)), ("may-be-reported", (1, 1, 1))] {
        let weigh = Request {
            idempotency_key: Some(weighed.to_owned()),
            ..Request::post(&*weighing, json!({ "weighing": weighed }))
        };
        assert_eq!(by(&officer, weigh).await.status, 201);
        assert_eq!(flows().await, shown, "{weighed}");
    }
    for report in [own(&app, "mee").await, own(&app, "smow").await, full(&app).await] {
        assert!(!report.to_string().contains("veto"), "{report}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_resident_asked_by_right_shows_to_whom_it_was_said_and_in_the_full_report() {
    let app = TestApp::start().await;
    let taken_back = objected(&app, "kredietbank", objection(&app)).await;
    take_back(&app, "kredietbank", &taken_back).await;
    let everything = json!({ "subject": { "bsn": BSN }, "obtainedAt": app.app().now() });
    objected(&app, "smow", everything).await;
    let other = json!({ "subject": { "bsn": NOBODY }, "obtainedAt": app.app().now() });
    objected(&app, "kredietbank", other).await;
    restricted(&app, "mee").await;
    let banks = own(&app, "kredietbank").await;
    let one = &banks["objections"][0];
    assert_eq!((&one["recordedBy"], &one["status"]), (&json!(KREDIETBANK), &json!("taken-back")), "{banks}");
    assert_eq!(codes(&one["purposes"]), ["debt-counselling"]);
    assert!(one["endedAt"].is_string() && asked(&banks) == [1, 0, 0], "{banks}");
    let smows = own(&app, "smow").await;
    let one = &smows["objections"][0];
    assert_eq!((&one["status"], &one["purposes"], &one["endedAt"]), (&json!("open"), &Value::Null, &Value::Null));
    assert_eq!((asked(&smows), asked(&own(&app, "mee").await)), ([1, 0, 0], [0, 1, 0]));
    for who in ["gemeente-wassenaar", "kwadraad", "jgz"] {
        assert_eq!(asked(&own(&app, who).await), [0, 0, 0], "{who}");
    }
    let full = full(&app).await;
    assert_eq!(asked(&full), [2, 1, 0]);
    assert_eq!(
        (&full["restrictions"][0]["recordedBy"], &full["restrictions"][0]["endedAt"]),
        (&json!(MEE), &Value::Null)
    );
    let parties: Vec<_> = full["parties"].as_array().unwrap().iter().map(|party| &party["organisation"]).collect();
    assert_eq!(parties, [MUNICIPALITY, SMOW, MEE, KREDIETBANK]);
    // What has ended before a period is not of it, what stands is.
    app.app().clock.advance(2 * DAY);
    let mut later = asking("full", BSN);
    later["period"] = json!({ "from": app.app().now().minus(DAY) });
    assert_eq!(asked(&report(&app, OFFICER, later).await), [1, 1, 0]);
    let mut before = asking("full", BSN);
    before["period"] = json!({ "until": app.app().now().minus(10 * DAY) });
    assert_eq!(asked(&report(&app, OFFICER, before).await), [0, 0, 0]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_shows_to_both_parties_and_in_the_full_report_without_how_it_was_assessed() {
    let app = TestApp::start().await;
    let path = about_debts(&app).await;
    incident(&app, "kredietbank", &path, "wrong-recipient").await;
    by_mee(&app).await;
    for report in [own(&app, "kredietbank").await, own(&app, "gemeente-wassenaar").await, full(&app).await] {
        let one = &report["incidents"][0];
        assert_eq!((asked(&report), &one["kind"]), ([0, 0, 1], &json!("wrong-recipient")), "{report}");
        assert_eq!((&one["openedBy"], &one["referral"]), (&json!(KREDIETBANK), &json!(id(&path))));
        assert_eq!((&one["sender"], &one["recipient"]), (&json!(MUNICIPALITY), &json!(KREDIETBANK)));
        assert_eq!(one.as_object().unwrap().len(), 6, "{one}");
    }
    for who in ["mee", "smow", "jgz"] {
        assert_eq!(asked(&own(&app, who).await), [0, 0, 0], "{who}");
    }
    let html = page(&app, OFFICER, &asking("full", BSN)).await;
    assert!(html.contains("waarvoor het niet was bedoeld") && html.contains(id(&path)), "{html}");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_of_what_a_veto_was_set_on_is_hidden_with_it() {
    let app = TestApp::start().await;
    let officer = officer_of(&app, MEE, Role::DataProtectionOfficer).await;
    let may = consent(&app, SMOW, "welfare-support", &["contact", "question"]);
    assert_eq!(app.post("mee", "/v1/consents", may).await.status, 201);
    let path = referred(&app, "mee", by_consent(SMOW, "welfare-support"), &["contact", "question"]).await;
    assert_eq!(read(&app, "smow", &path).await, 200);
    incident(&app, "smow", &path, "failed-verification").await;
    let shown = async || {
        let count = |report: Value| asked(&report)[2];
        (count(own(&app, "mee").await), count(own(&app, "smow").await), count(full(&app).await))
    };
    assert_eq!(shown().await, (1, 1, 1));
    let set = app.post("mee", format!("{path}/vetoes"), Value::Null).await;
    assert_eq!(set.status, 201, "{}", set.text);
    assert_eq!(shown().await, (0, 1, 0));
    assert!(!full(&app).await.to_string().contains(id(&path)), "nowhere in it");
    let weighing = format!("/v1/vetoes/{}/weighings", set.text_at("/id").unwrap());
    let weigh = Request {
        idempotency_key: Some("may".to_owned()),
        ..Request::post(&*weighing, json!({ "weighing": "may-be-reported" }))
    };
    assert_eq!(by(&officer, weigh).await.status, 201);
    assert_eq!(shown().await, (1, 1, 1));
    finish(app).await;
}
