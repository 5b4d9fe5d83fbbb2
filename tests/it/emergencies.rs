//! Break-glass: where a life is at stake something is given for a day, to one party, about one resident; everybody who watches hears of it at once, and
//! it is answered for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use sluis::demo::client::{Answer, Client, Identity, Request};
use sluis::demo::folder::Folder;
use sluis::demo::governance::signing_request;
use sluis::emergencies;
use sluis::ids::Oin;
use sluis::organisations::credentials::csr::ProvenKey;
use sluis::organisations::service::{self, CertificateWish};
use sluis::organisations::{Actor, Role, http};
use sluis::storage::Tx;

use crate::app::{BSN, KREDIETBANK, KWADRAAD, MEE, MUNICIPALITY, SMOW, TestApp, consent, with_sections};
use crate::consistency::{Neighbour, finish, set_status, the_log_holds};

pub const JGZ: &str = "00000099000000005000";
const OTHER_BSN: &str = "999990020";
const OFFICER: &str = "privacy-officer";
const ACCESSES: &str = "/v1/emergency-accesses";
const HOUR: Duration = Duration::from_hours(1);

/// What kwadraad declares when a resident is found unconscious, so that the youth nurse knows.
pub fn declaration(recipient: &str) -> Value {
    json!({
        "recipient": recipient, "subject": { "bsn": BSN }, "role": "social-worker-on-duty", "reason": "danger-to-life",
        "cannotConsent": "unconscious", "categories": ["contact", "question", "safety", "physical-health"],
    })
}

pub async fn declared(app: &TestApp, who: &str, body: Value) -> String {
    let answer = app.post(who, ACCESSES, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.text_at("/id").unwrap().to_owned()
}

/// A concern about safety under a declaration, with these sections.
pub fn concern(recipient: &str, access: Option<&str>, categories: &[&str]) -> Value {
    let referral = json!({
        "recipient": recipient, "purpose": "safety-concern", "phase": "case", "legalBasis": "vital-interest",
        "subject": { "bsn": BSN, "ageGroup": "18-plus" }, "onWithheld": "reject", "emergencyAccess": access,
    });
    with_sections(referral, categories)
}

pub async fn sent(app: &TestApp, who: &str, referral: Value) -> String {
    let answer = app.post(who, "/v1/referrals", referral).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.headers["location"].clone()
}

/// Why each section was withheld.
fn withheld(answer: &Answer) -> Vec<(&str, &str)> {
    let sections = answer.body["decision"]["sections"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    let withheld = sections.iter().filter(|section| section["effect"] == "withhold");
    withheld.map(|one| (one["category"].as_str().unwrap(), one["code"].as_str().unwrap())).collect()
}

fn is_refused(answer: &Answer, category: &str) {
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert!(withheld(answer).contains(&(category, "break-glass-required")), "{}", answer.text);
}

/// The client of a role of a partner.
pub async fn officer_of(app: &TestApp, oin: &str, role: Role) -> Client {
    let key = Folder::open(&app.folder).unwrap().key(&app.folder.join(format!("officer-{oin}.pem"))).unwrap();
    let proven = ProvenKey::from_pem(&signing_request(&key, "officer", &[]).unwrap()).unwrap();
    let (gateway, oin, now) = (app.app().clone(), oin.parse::<Oin>().unwrap(), app.app().now());
    let client_id = role.client_id(&oin);
    let issue = async move |tx: &mut Tx| {
        let actor = Actor::operator(&gateway.entropy, &gateway.sealer);
        let client_id = service::ensure_client(tx, &oin, role, &actor, now).await?;
        let wish =
            CertificateWish { client_id, key: proven.clone(), server: false, server_names: Vec::new(), lifetime: None };
        service::issue_certificate(tx, &gateway.credentials, &oin, &wish, &actor, now).await
    };
    let issued = app.app().db.write("officer", issue).await.unwrap();
    let identity = Identity { certificate: http::pem(&issued.der).into_bytes(), key };
    let base = app.app().config.gateway.public_url.as_str().trim_end_matches('/').to_owned();
    let ca = std::fs::read(app.folder.join("ca.pem")).unwrap();
    Client::new(&base, &ca, Some(&identity), &client_id, app.world().clock().clone()).unwrap()
}

pub async fn by(client: &Client, mut request: Request) -> Answer {
    request.token = Some(client.token(None).await.unwrap());
    client.send(&request).await.unwrap()
}

fn concluding(id: &str, body: Value, key: &str) -> Request {
    let path = format!("/v1/reviews/{id}/conclusions");
    Request { idempotency_key: Some(key.to_owned()), ..Request::post(path, body) }
}

fn conclusion(code: &str) -> Value {
    json!({ "conclusion": code, "measures": [] })
}

async fn conclude(app: &TestApp, id: &str, body: Value) -> Answer {
    app.post(OFFICER, format!("/v1/reviews/{id}/conclusions"), body).await
}

/// The events in somebody's feed, with their type and data.
pub async fn events(app: &TestApp, who: &str) -> Vec<(String, Value)> {
    app.app().sequence().await.unwrap();
    let page = app.get(who, "/v1/events?limit=1000").await;
    told(&page)
}

pub fn told(page: &Answer) -> Vec<(String, Value)> {
    assert_eq!(page.status, 200, "{}", page.text);
    // That the covenant was published and signed everybody is told when the gateway begins.
    let items = page.body["items"].as_array().unwrap().iter();
    let items = items.filter(|event| !event["type"].as_str().unwrap().starts_with("nl.sluis.covenant."));
    let name = |event: &Value| event["type"].as_str().unwrap().trim_start_matches("nl.sluis.").to_owned();
    items.map(|event| (name(event), event["data"].clone())).collect()
}

async fn count(app: &TestApp, who: &str, kind: &str) -> usize {
    events(app, who).await.iter().filter(|(name, _)| name == kind).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_under_break_glass_is_marked_told_at_once_reviewed_and_answered_for() {
    let app = TestApp::start().await;
    let own = officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await;
    let theirs = officer_of(&app, JGZ, Role::DataProtectionOfficer).await;
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let access = app.get("kwadraad", format!("{ACCESSES}/{id}")).await;
    assert_eq!((&access.body["status"], &access.body["review"]["reviewer"]), (&json!("active"), &json!(MUNICIPALITY)));
    // At once, before anything is given.
    app.app().sequence().await.unwrap();
    let news = ("emergency.declared.v1".to_owned(), json!({ "review": id }));
    assert_eq!(events(&app, OFFICER).await, std::slice::from_ref(&news));
    for officer in [&own, &theirs] {
        assert_eq!(told(&by(officer, Request::get("/v1/events")).await), std::slice::from_ref(&news));
    }
    assert_eq!(count(&app, "jgz", "emergency.declared.v1").await, 0);

    let path = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["contact", "safety", "physical-health"])).await;
    let kinds: Vec<String> = events(&app, "jgz").await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(kinds, ["referral.requested.v1", "referral.under-break-glass.v1"]);
    let seen = app.get("jgz", &path).await;
    assert_eq!(seen.body["breakGlass"]["reason"], "danger-to-life");
    assert_eq!(seen.body["breakGlass"]["validUntil"], access.body["validUntil"]);
    assert!(seen.body.get("emergencyAccess").is_none(), "{}", seen.text);
    assert_eq!(app.get("kwadraad", &path).await.body["emergencyAccess"], json!(id));
    let content = app.get("jgz", format!("{path}/sections")).await;
    assert_eq!((content.status, content.body["sections"].as_array().map(Vec::len)), (200, Some(3)), "{}", content.text);
    assert_eq!(content.body["breakGlass"], seen.body["breakGlass"], "also where it is read");
    // In a second referral more of the same scope.
    let second = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["question"])).await;

    let review = app.get(OFFICER, format!("/v1/reviews/{id}")).await;
    assert_eq!(
        (&review.body["status"], &review.body["kind"]),
        (&json!("open"), &json!("break-glass")),
        "{}",
        review.text
    );
    let referrals = review.body["referrals"].as_array().unwrap();
    let ids: Vec<_> =
        referrals.iter().map(|one| format!("/v1/referrals/{}", one["referral"].as_str().unwrap())).collect();
    assert_eq!(ids, [path.clone(), second]);
    let disclosed = &referrals[0]["disclosures"][0];
    assert_eq!(disclosed["categories"], json!(["contact", "safety", "physical-health"]), "{}", review.text);
    let record = app.get(OFFICER, format!("/v1/audit/records/{}", disclosed["record"].as_str().unwrap())).await;
    assert_eq!((&record.body["kind"], &record.body["organisation"]), (&json!("disclosure"), &json!(KWADRAAD)));
    assert_eq!(referrals[1]["disclosures"], json!([]));
    for hidden in [BSN, "about safety"] {
        assert!(!review.text.contains(hidden), "{hidden} in {}", review.text);
    }
    let by_recipient = by(&theirs, Request::get(format!("/v1/reviews/{id}"))).await;
    assert!(by_recipient.body["referrals"][0]["disclosures"][0].get("record").is_none(), "{}", by_recipient.text);
    let pseudonyms = [&review, &by_recipient, &access].map(|one| {
        one.text_at("/declaration/subject/pseudonym").or_else(|| one.text_at("/subject/pseudonym")).unwrap()
    });
    assert!(pseudonyms[0] != pseudonyms[1] && pseudonyms[1] != pseudonyms[2]);

    app.app().clock.advance(25 * HOUR);
    let informed = json!({ "outcome": "informed", "informedAt": app.app().now(), "method": "in-person" });
    let notified = app.post("kwadraad", format!("{ACCESSES}/{id}/notifications"), informed).await;
    assert_eq!((notified.status, &notified.body["dueAt"]), (201, &Value::Null), "{}", notified.text);
    let answer = json!({ "conclusion": "justified", "measures": ["procedure-changed"] });
    let concluded = conclude(&app, &id, answer).await;
    assert_eq!((concluded.status, &concluded.body["concludedBy"]), (201, &json!(MUNICIPALITY)), "{}", concluded.text);
    let last = app.get("kwadraad", format!("{ACCESSES}/{id}")).await;
    assert_eq!(last.body["review"]["conclusion"], concluded.body);
    assert_eq!((&last.body["status"], &last.body["notification"]["status"]), (&json!("expired"), &json!("informed")));
    assert_eq!(count(&app, "kwadraad", "emergency.concluded.v1").await, 1);
    assert_eq!(count(&app, OFFICER, "review.concluded.v1").await, 1);
    assert_eq!(count(&app, "jgz", "referral.deletion-required.v1").await, 0);
    let records = app.get("kwadraad", "/v1/audit/records?kind=emergency").await;
    let actions: Vec<_> =
        records.body["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["concluded", "resident-informed", "declared"]);
    assert_eq!(records.body["items"][2]["facts"]["categories"], access.body["categories"]);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_is_good_for_what_it_names_and_for_nothing_else() {
    let app = TestApp::start().await;
    let body = json!({
        "recipient": JGZ, "subject": { "bsn": BSN }, "role": "social-worker-on-duty", "reason": "danger-to-life",
        "cannotConsent": "unconscious", "categories": ["contact", "safety"],
    });
    let id = declared(&app, "kwadraad", body.clone()).await;
    let refer = async |who: &str, referral: Value| app.post(who, "/v1/referrals", referral).await;
    let check = async |referral: Value| app.ask("kwadraad", Request::post("/v1/referrals/_check", referral)).await;
    // Without one, for another recipient, about another resident, with another category.
    is_refused(&refer("kwadraad", concern(JGZ, None, &["safety"])).await, "safety");
    is_refused(&refer("kwadraad", concern(SMOW, Some(&id), &["safety"])).await, "safety");
    let mut other = concern(JGZ, Some(&id), &["safety"]);
    other["subject"]["bsn"] = json!(OTHER_BSN);
    is_refused(&refer("kwadraad", other).await, "safety");
    is_refused(&refer("kwadraad", concern(JGZ, Some(&id), &["safety", "physical-health"])).await, "physical-health");
    let checked = check(concern(JGZ, Some(&id), &["safety", "physical-health"])).await;
    assert_eq!(withheld(&checked), [("physical-health", "break-glass-required")], "{}", checked.text);
    // What no row has under a vital interest, whoever declares.
    let minimal = |categories: &[&str]| {
        let mut referral = concern(JGZ, Some(&id), categories);
        referral["onWithheld"] = json!("minimise");
        referral
    };
    assert_eq!(withheld(&check(minimal(&["safety", "finance", "bsn"])).await).len(), 2);
    // Somebody else's, one that does not exist, or a name for the body of another basis: no difference is shown between the first two.
    let nobodys = "01932d5a-7c1e-7b3f-9d42-6f1f0a7cffff";
    let (theirs, unknown) = (
        refer("smow", concern(JGZ, Some(&id), &["safety"])).await,
        refer("smow", concern(JGZ, Some(nobodys), &["safety"])).await,
    );
    assert_eq!((theirs.status, theirs.text_at("/invalidParams/0/name")), (400, Some("emergencyAccess")));
    assert_eq!(theirs.body["invalidParams"], unknown.body["invalidParams"]);
    let mut by_consent = concern(JGZ, Some(&id), &["contact"]);
    (by_consent["purpose"], by_consent["legalBasis"]) = (json!("youth-health"), json!("consent"));
    let misused = refer("kwadraad", by_consent).await;
    assert_eq!(misused.text_at("/invalidParams/0/code"), Some("not-expected"), "{}", misused.text);
    // The resident could consent, or nobody says why not: nothing special crosses.
    let mut body = declaration(JGZ);
    body["cannotConsent"] = Value::Null;
    let unexplained = declared(&app, "kwadraad", body).await;
    let partly = app
        .ask(
            "kwadraad",
            Request::post("/v1/referrals/_check", concern(JGZ, Some(&unexplained), &["safety", "physical-health"])),
        )
        .await;
    assert_eq!(withheld(&partly).iter().map(|one| one.0).collect::<Vec<_>>(), ["physical-health"], "{}", partly.text);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_or_when_it_is_ended_nothing_is_given_or_read_under_it_any_more() {
    let app = TestApp::start().await;
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let path = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety"])).await;
    let unread = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety"])).await;
    assert_eq!(app.get("jgz", format!("{path}/sections")).await.status, 200);
    app.app().clock.advance(24 * HOUR);
    for path in [&path, &unread] {
        let late = app.get("jgz", format!("{path}/sections")).await;
        assert_eq!((late.status, late.text_at("/code")), (403, Some("disclosure-refused")), "{}", late.text);
    }
    is_refused(&app.post("kwadraad", "/v1/referrals", concern(JGZ, Some(&id), &["safety"])).await, "safety");
    let ended = app.post("kwadraad", format!("{ACCESSES}/{id}/endings"), Value::Null).await;
    assert_eq!(ended.status, 409, "it is over: {}", ended.text);

    // Ended early, at another gateway: the very next request knows.
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let path = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety"])).await;
    assert_eq!(app.get("jgz", format!("{path}/sections")).await.status, 200);
    let neighbour = Neighbour::start(&app, &[]).await;
    let ending = Request {
        body: None,
        idempotency_key: Some("end".into()),
        ..Request::post(format!("{ACCESSES}/{id}/endings"), Value::Null)
    };
    let ended = neighbour.world.ask("kwadraad", ending).await.unwrap();
    assert_eq!((ended.status, &ended.body["status"]), (201, &json!("ended")), "{}", ended.text);
    assert_eq!(app.get("jgz", format!("{path}/sections")).await.status, 403);
    is_refused(&app.post("kwadraad", "/v1/referrals", concern(JGZ, Some(&id), &["safety"])).await, "safety");
    // Steps without content go on.
    let accepted = app.post("jgz", format!("{path}/updates"), json!({ "status": "accepted" })).await;
    assert_eq!(accepted.status, 201, "{}", accepted.text);
    neighbour.stop().await;
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_back_or_on_or_is_added_under_a_declaration_that_does_not_name_it() {
    let app = TestApp::start().await;
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let path = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety"])).await;
    // Back: it names one recipient, and that is not who declared.
    let note = json!({ "status": "accepted", "sections": [{ "category": "safety", "content": { "text": "seen" } }] });
    is_refused(&app.post("jgz", format!("{path}/updates"), note).await, "safety");
    let asked = json!({ "status": "received" });
    assert_eq!(app.post("jgz", format!("{path}/updates"), asked).await.status, 201);
    let asked = json!({ "status": "on-hold", "statusReason": "information-requested" });
    assert_eq!(app.post("jgz", format!("{path}/updates"), asked).await.status, 201);
    let more = |category: &str| json!({ "sections": [{ "category": category, "content": { "text": "more" } }] });
    is_refused(&app.post("kwadraad", format!("{path}/supplements"), more("mental-health")).await, "mental-health");
    let supplemented = app.post("kwadraad", format!("{path}/supplements"), more("physical-health")).await;
    assert_eq!(supplemented.status, 201, "of the same scope: {}", supplemented.text);
    // On, to another one.
    let rejected = json!({ "status": "rejected", "statusReason": "wrong-organisation" });
    assert_eq!(app.post("jgz", format!("{path}/updates"), rejected).await.status, 201);
    for recipient in [SMOW, MUNICIPALITY] {
        let on = app.post("kwadraad", format!("{path}/re-referrals"), json!({ "recipient": recipient })).await;
        is_refused(&on, "safety");
    }
    // A declaration of its own for the next one.
    let next = declared(&app, "kwadraad", declaration(SMOW)).await;
    let mut referral = concern(SMOW, Some(&next), &["safety"]);
    referral["basedOn"] = json!(path.rsplit('/').next());
    sent(&app, "kwadraad", referral).await;
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_rules_hold_under_break_glass() {
    let app = TestApp::start().await;
    let manager = |recipient: &str, categories: Value| {
        let mut body = declaration(recipient);
        (body["role"], body["categories"]) = (json!("manager-on-duty"), categories);
        body
    };
    // 7: the credit bank gets nothing special and nothing of safety, and its privacy officer hears of nobody who is in danger.
    for never in ["safety", "mental-health"] {
        let refused = app.post("kwadraad", ACCESSES, manager(KREDIETBANK, json!(["contact", never]))).await;
        assert_eq!(refused.status, 403, "{never}: {}", refused.text);
        assert!(refused.text_at("/detail").unwrap().contains("never"), "{}", refused.text);
    }
    let id = declared(&app, "kwadraad", manager(KREDIETBANK, json!(["contact"]))).await;
    let check = async |who: &str, referral: Value| app.ask(who, Request::post("/v1/referrals/_check", referral)).await;
    let checked = check("kwadraad", concern(KREDIETBANK, Some(&id), &["contact", "safety", "mental-health"])).await;
    let found = withheld(&checked);
    assert_eq!(
        found.iter().map(|(category, _)| *category).collect::<BTreeSet<_>>(),
        ["mental-health", "safety"].into()
    );
    // 11: no BSN.
    let bsn = app.post("kwadraad", ACCESSES, manager(JGZ, json!(["bsn"]))).await;
    assert_eq!(bsn.status, 403, "no row has it: {}", bsn.text);
    // 9: of an adult no development of a child.
    let id = declared(&app, "jgz", manager(SMOW, json!(["child-development", "safety"]))).await;
    let checked = check("jgz", concern(SMOW, Some(&id), &["child-development", "safety"])).await;
    assert_eq!(
        withheld(&checked).iter().map(|one| one.0).collect::<Vec<_>>(),
        ["child-development"],
        "{}",
        checked.text
    );
    // 2: a party that is suspended gives and gets nothing, and nothing is declared towards it.
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let path = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety"])).await;
    assert_eq!(set_status(app.world(), KWADRAAD, "suspended").await.status, 200);
    assert_eq!(app.get("jgz", format!("{path}/sections")).await.status, 403);
    let towards = app.post("smow", ACCESSES, declaration(KWADRAAD)).await;
    assert_eq!((towards.status, towards.text_at("/code")), (403, Some("forbidden")), "{}", towards.text);
    assert_eq!(app.post("kwadraad", ACCESSES, declaration(JGZ)).await.status, 401);
    assert_eq!(set_status(app.world(), KWADRAAD, "active").await.status, 200);
    assert_eq!(app.get("jgz", format!("{path}/sections")).await.status, 200);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_declare_what_and_for_how_long_is_the_covenants_to_say() {
    let app = TestApp::start().await;
    let with = |name: &str, value: Value| {
        let mut body = declaration(JGZ);
        body[name] = value;
        body
    };
    let codes = |answer: &Answer| -> Vec<(String, String)> {
        let wrong = answer.body["invalidParams"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        wrong.iter().map(|one| (text(one, "name"), text(one, "code"))).collect()
    };
    let now = app.app().now();
    for (name, value, code) in [
        ("role", json!("mayor"), "unknown-code"),
        ("validUntil", json!(now.plus(25 * HOUR)), "range"),
        ("validUntil", json!(now.minus(HOUR)), "range"),
        ("recipient", json!(KWADRAAD), "invalid"),
    ] {
        let answer = app.post("kwadraad", ACCESSES, with(name, value)).await;
        assert_eq!((answer.status, codes(&answer)), (400, vec![(name.to_owned(), code.to_owned())]), "{}", answer.text);
    }
    let mut all = with("role", json!("mayor"));
    (all["validUntil"], all["recipient"]) = (json!(now), json!(KWADRAAD));
    assert_eq!(codes(&app.post("kwadraad", ACCESSES, all).await).len(), 3, "all at once");
    for (name, value) in [
        ("reason", json!("because")),
        ("cannotConsent", json!("because")),
        ("categories", json!([])),
        ("categories", json!(["everything"])),
        ("explanation", json!("something that somebody typed")),
    ] {
        assert_eq!(app.post("kwadraad", ACCESSES, with(name, value)).await.status, 400, "{name}");
    }
    for (who, body, why) in [
        ("kwadraad", with("role", json!("youth-nurse-on-duty")), "a role of another party"),
        ("gemeente-wassenaar", with("role", json!("manager-on-duty")), "of partners alone"),
        ("kwadraad", with("categories", json!(["safety", "finance"])), "no row"),
        ("kwadraad", declaration("00000099000000010000"), "has not signed"),
        ("kwadraad", declaration("00000099000000077000"), "is no party"),
    ] {
        let answer = app.post(who, ACCESSES, body).await;
        assert_eq!((answer.status, answer.text_at("/code")), (403, Some("forbidden")), "{why}: {}", answer.text);
    }
    let mut unknown = declaration(JGZ);
    unknown["subject"] = json!({ "pseudonym": "A".repeat(43) });
    assert_eq!(app.post("kwadraad", ACCESSES, unknown).await.status, 400);
    assert_eq!(app.get("kwadraad", ACCESSES).await.body["items"], json!([]), "nothing of it was stored");
    assert_eq!(events(&app, OFFICER).await, []);
    // Shorter than a day, and asked for twice under one key.
    let request = |body: Value| Request { idempotency_key: Some("once".into()), ..Request::post(ACCESSES, body) };
    let short = with("validUntil", json!(now.plus(HOUR)));
    let first = app.ask("kwadraad", request(short.clone())).await;
    assert_eq!((first.status, &app.ask("kwadraad", request(short)).await.text), (201, &first.text));
    assert_eq!(app.ask("kwadraad", request(declaration(JGZ))).await.status, 409);
    assert_eq!(count(&app, OFFICER, "emergency.declared.v1").await, 1);
    let path = sent(&app, "kwadraad", concern(JGZ, first.text_at("/id"), &["safety"])).await;
    app.app().clock.advance(HOUR);
    assert_eq!(app.get("jgz", format!("{path}/sections")).await.status, 403);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_is_concluded_once_and_never_by_the_party_that_declared() {
    let app = TestApp::start().await;
    let (own, theirs, other) = (
        officer_of(&app, KWADRAAD, Role::DataProtectionOfficer).await,
        officer_of(&app, JGZ, Role::DataProtectionOfficer).await,
        officer_of(&app, MEE, Role::DataProtectionOfficer).await,
    );
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let running = conclude(&app, &id, conclusion("justified")).await;
    assert_eq!(running.status, 409, "something can still be given: {}", running.text);
    app.app().clock.advance(24 * HOUR);
    for (officer, status) in [(&own, 403), (&theirs, 403), (&other, 404)] {
        let answer = by(officer, concluding(&id, conclusion("justified"), "a")).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    assert_eq!(
        app.post("kwadraad", format!("/v1/reviews/{id}/conclusions"), conclusion("justified")).await.status,
        403
    );
    for wrong in [
        json!({ "conclusion": "fine", "measures": [] }),
        json!({ "conclusion": "justified" }),
        json!({ "conclusion": "justified", "measures": ["a party"] }),
        json!({ "conclusion": "justified", "measures": [], "remark": "typed" }),
        json!({ "conclusion": "partly-justified", "measures": [] }),
        json!({ "conclusion": "partly-justified", "measures": [], "notJustified": ["finance"] }),
        json!({ "conclusion": "justified", "measures": [], "notJustified": ["safety"] }),
    ] {
        assert_eq!(conclude(&app, &id, wrong.clone()).await.status, 400, "{wrong}");
    }
    let key = |key: &str| concluding(&id, conclusion("justified"), key);
    let first = app.ask(OFFICER, key("k")).await;
    assert_eq!((first.status, &app.ask(OFFICER, key("k")).await.text), (201, &first.text), "a repeat");
    for code in ["justified", "not-justified"] {
        assert_eq!(conclude(&app, &id, conclusion(code)).await.status, 409, "{code}");
    }
    assert_eq!(by(&theirs, Request::get(format!("/v1/reviews/{id}/conclusions"))).await.body["items"][0], first.body);

    // What the municipality declares its own privacy officer does not conclude.
    let mut body = declaration(JGZ);
    body["role"] = json!("crisis-coordinator");
    let id = declared(&app, "gemeente-wassenaar", body).await;
    assert_eq!(app.get(OFFICER, format!("/v1/reviews/{id}")).await.body["reviewer"], json!(JGZ));
    app.app().clock.advance(24 * HOUR);
    assert_eq!(conclude(&app, &id, conclusion("justified")).await.status, 403);
    assert_eq!(by(&own, concluding(&id, conclusion("justified"), "b")).await.status, 404, "no affair of kwadraad");
    let concluded = by(&theirs, concluding(&id, conclusion("justified"), "c")).await;
    assert_eq!((concluded.status, &concluded.body["concludedBy"]), (201, &json!(JGZ)), "{}", concluded.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_justified_is_ended_destroyed_and_to_be_deleted_by_who_has_it() {
    let app = TestApp::start().await;
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let read = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety", "contact"])).await;
    let unread = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety"])).await;
    assert_eq!(app.get("jgz", format!("{read}/sections")).await.status, 200);
    let concluded =
        conclude(&app, &id, json!({ "conclusion": "not-justified", "measures": ["breach-reported"] })).await;
    assert_eq!(concluded.status, 201, "also while it lasts: {}", concluded.text);
    assert_eq!(app.get("kwadraad", format!("{ACCESSES}/{id}")).await.body["status"], "ended");
    for path in [&read, &unread] {
        assert_eq!(app.get("jgz", format!("{path}/sections")).await.status, 403);
        assert_eq!(app.get("kwadraad", format!("{path}/sections")).await.status, 403, "nothing is left of it");
        assert_eq!(app.get("jgz", path).await.body["breakGlass"]["deleteSince"], concluded.body["concludedAt"]);
    }
    assert_eq!(count(&app, "jgz", "referral.deletion-required.v1").await, 2);
    is_refused(&app.post("kwadraad", "/v1/referrals", concern(JGZ, Some(&id), &["safety"])).await, "safety");
    let left = crate::consistency::count(&app, "SELECT COUNT(*) AS count FROM referral_sections");
    assert_eq!(left.await, 0);

    // A part of it.
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let both = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety", "physical-health"])).await;
    let fine = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["contact"])).await;
    app.app().clock.advance(24 * HOUR);
    let partly = json!({ "conclusion": "partly-justified", "measures": [], "notJustified": ["physical-health"] });
    assert_eq!(conclude(&app, &id, partly).await.status, 201);
    let own = app.get("kwadraad", format!("{both}/sections")).await;
    assert_eq!(own.body["sections"].as_array().unwrap().len(), 1, "{}", own.text);
    let unread = app.get("jgz", &both).await.body["breakGlass"].clone();
    assert!(!unread["deleteSince"].is_null());
    assert_eq!(unread["deleteCategories"], json!([]), "of what it never read it is told nothing");
    assert!(app.get("jgz", &fine).await.body["breakGlass"]["deleteSince"].is_null());
    let again =
        json!({ "reason": "inaccurate", "sections": [{ "category": "physical-health", "content": { "text": "x" } }] });
    let corrected = app.post("kwadraad", format!("{both}/corrections"), again).await;
    let own = app.get("kwadraad", format!("{both}/sections")).await;
    assert_eq!(own.body["sections"].as_array().unwrap().len(), 1, "nor by way of a correction: {}", corrected.text);
    the_log_holds(&app).await;
    finish(app).await;
}

/// The categories in the one record of an organisation that content of this referral was destroyed after a review.
async fn destroyed(app: &TestApp, who: &str, path: &str) -> Vec<String> {
    let records = app.get(who, "/v1/audit/records?kind=emergency&limit=100").await;
    let items = records.body["items"].as_array().unwrap().clone();
    let referral = path.rsplit('/').next().unwrap();
    let [record] = &items
        .iter()
        .filter(|one| one["action"] == "content-destroyed" && one["referral"] == referral)
        .collect::<Vec<_>>()[..]
    else {
        panic!("{}", records.text)
    };
    let sections = record["sections"].as_array().cloned().unwrap_or_default();
    sections.iter().map(|section| section["category"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_received_a_part_that_was_not_justified_is_told_which_part_and_of_nothing_that_it_never_read() {
    let app = TestApp::start().await;
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let read = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["contact", "safety"])).await;
    let unread = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["safety", "physical-health"])).await;
    assert_eq!(app.get("jgz", format!("{read}/sections")).await.status, 200);
    app.app().clock.advance(24 * HOUR);
    assert!(app.get("jgz", &read).await.body["breakGlass"].get("deleteCategories").is_none());
    let not_justified = ["safety", "physical-health"];
    let partly = json!({ "conclusion": "partly-justified", "measures": [], "notJustified": not_justified });
    assert_eq!(conclude(&app, &id, partly).await.status, 201);

    assert_eq!(app.get("jgz", &read).await.body["breakGlass"]["deleteCategories"], json!(["safety"]));
    let listed = app.get("jgz", "/v1/referrals?role=recipient").await;
    let listed = listed.body["items"].as_array().unwrap();
    let of = |path: &str| listed.iter().find(|one| path.ends_with(one["id"].as_str().unwrap())).unwrap().clone();
    assert_eq!(of(&read)["breakGlass"]["deleteCategories"], json!(["safety"]));
    assert_eq!(of(&unread)["breakGlass"]["deleteCategories"], json!([]));
    assert_eq!(destroyed(&app, "jgz", &read).await, ["safety"]);
    assert!(destroyed(&app, "jgz", &unread).await.is_empty());
    let jgzs = app.get("jgz", "/v1/audit/records?kind=emergency&limit=100").await;
    assert!(!jgzs.text.contains("physical-health"), "{}", jgzs.text);
    // Who gave it knows what was there, and deletes nothing.
    assert_eq!(destroyed(&app, "kwadraad", &unread).await, ["physical-health", "safety"]);
    let own = app.get("kwadraad", &read).await.body["breakGlass"].clone();
    assert!(own.get("deleteCategories").is_none() && !own["deleteSince"].is_null(), "{own}");
    // All of it: nothing is singled out.
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let all = sent(&app, "kwadraad", concern(JGZ, Some(&id), &["contact", "safety"])).await;
    assert_eq!(app.get("jgz", format!("{all}/sections")).await.status, 200);
    let nothing = json!({ "conclusion": "not-justified", "measures": [] });
    assert_eq!(conclude(&app, &id, nothing).await.status, 201);
    assert!(app.get("jgz", &all).await.body["breakGlass"].get("deleteCategories").is_none());
    assert_eq!(destroyed(&app, "jgz", &all).await, ["contact", "safety"]);
    the_log_holds(&app).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_learns_that_anything_was_declared() {
    let app = TestApp::start().await;
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let stranger = officer_of(&app, SMOW, Role::DataProtectionOfficer).await;
    for who in ["jgz", "smow", "gemeente-wassenaar"] {
        let (one, none) = (
            app.get(who, format!("{ACCESSES}/{id}")).await,
            app.get(who, format!("{ACCESSES}/01932d5a-7c1e-7b3f-9d42-6f1f0a7cffff")).await,
        );
        assert_eq!((one.status, &one.body["detail"]), (404, &none.body["detail"]), "{who}");
        for part in ["notifications", "endings"] {
            let path = format!("{ACCESSES}/{id}/{part}");
            let body = if part == "endings" {
                Value::Null
            } else {
                json!({ "outcome": "postponed", "reason": "not-reached-yet" })
            };
            assert_eq!(app.post(who, path, body).await.status, 404, "{who} {part}");
        }
        assert_eq!(app.get(who, format!("{ACCESSES}/{id}/notifications")).await.status, 404);
        assert_eq!(app.get(who, ACCESSES).await.body["items"], json!([]), "{who}");
        // Nothing was sent in the end: the recipient's own system has nothing to see either.
        assert_eq!(events(&app, who).await, [], "{who}");
        assert_eq!(app.get(who, "/v1/audit/records?kind=emergency").await.body["items"], json!([]), "{who}");
        assert_eq!(app.get(who, "/v1/reviews").await.text_at("/code"), Some("insufficient-scope"), "{who}");
    }
    assert_eq!(by(&stranger, Request::get("/v1/reviews")).await.body["items"], json!([]));
    for part in ["", "/conclusions"] {
        assert_eq!(by(&stranger, Request::get(format!("/v1/reviews/{id}{part}"))).await.status, 404);
    }
    assert_eq!(told(&by(&stranger, Request::get("/v1/events")).await), []);
    // The officer of a party sees reviews, and no records or consents of anybody.
    let theirs = officer_of(&app, JGZ, Role::DataProtectionOfficer).await;
    assert_eq!(by(&theirs, Request::get("/v1/reviews")).await.body["items"].as_array().unwrap().len(), 1);
    for path in ["/v1/referrals", "/v1/consents", ACCESSES] {
        assert_eq!(by(&theirs, Request::get(path)).await.text_at("/code"), Some("insufficient-scope"), "{path}");
    }
    let records = by(&theirs, Request::get("/v1/audit/records?limit=1000")).await;
    let others = records.body["items"].as_array().unwrap().iter().filter(|one| one["organisation"] != JGZ).count();
    assert_eq!(others, 0, "{}", records.text);
    for who in ["monitor", "administrator", "mee"] {
        assert_eq!(
            app.get(who, format!("/v1/reviews/{id}")).await.text_at("/code"),
            Some("insufficient-scope"),
            "{who}"
        );
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_owed_and_not_done_in_time_is_told_once_and_listed_until_it_is() {
    let app = TestApp::start().await;
    let id = declared(&app, "kwadraad", declaration(JGZ)).await;
    let listed = async |who: &str, path: &str| app.get(who, path).await.body["items"].as_array().unwrap().len();
    let notifications = format!("{ACCESSES}/{id}/notifications");
    assert_eq!(emergencies::sweep(app.app()).await.unwrap(), 0);
    assert_eq!(listed(OFFICER, "/v1/reviews?status=overdue").await, 0);
    app.app().clock.advance(24 * HOUR * 12);
    // Overdue by the clock alone; told by whichever gateway looks.
    assert_eq!(listed(OFFICER, "/v1/reviews?status=overdue").await, 1);
    assert_eq!(listed(OFFICER, "/v1/reviews?notification=overdue").await, 1);
    assert_eq!(listed("kwadraad", &format!("{ACCESSES}?notification=overdue")).await, 1);
    assert_eq!(listed("kwadraad", &format!("{ACCESSES}?status=active")).await, 0);
    let neighbour = Neighbour::start(&app, &[]).await;
    let (here, there) = tokio::join!(emergencies::sweep(app.app()), emergencies::sweep(neighbour.app()));
    assert_eq!((here.unwrap(), there.unwrap()), (0, 0));
    emergencies::sweep(app.app()).await.unwrap();
    neighbour.stop().await;
    assert_eq!(count(&app, OFFICER, "review.overdue.v1").await, 1);
    assert_eq!(count(&app, OFFICER, "review.notification-overdue.v1").await, 1);
    assert_eq!(count(&app, "kwadraad", "emergency.notification-overdue.v1").await, 1);
    for who in ["jgz", "smow", "gemeente-wassenaar"] {
        assert_eq!(events(&app, who).await, [], "{who}");
    }
    // Put off: another deadline, which counts for itself.
    let postponed = json!({ "outcome": "postponed", "reason": "endangers-resident" });
    let answer = app.post("kwadraad", &notifications, postponed.clone()).await;
    assert!(answer.status == 201 && !answer.body["dueAt"].is_null(), "{}", answer.text);
    assert_eq!(listed("kwadraad", &format!("{ACCESSES}?notification=postponed")).await, 1);
    app.app().clock.advance(24 * HOUR * 12);
    emergencies::sweep(app.app()).await.unwrap();
    assert_eq!(count(&app, "kwadraad", "emergency.notification-overdue.v1").await, 2);
    assert_eq!(count(&app, OFFICER, "review.overdue.v1").await, 1, "that was told");
    for wrong in [
        json!({ "outcome": "informed", "reason": "deceased" }),
        json!({ "outcome": "informed", "informedAt": app.app().now().plus(HOUR), "method": "by-letter" }),
        json!({ "outcome": "not-possible", "reason": "endangers-others" }),
        json!({ "outcome": "not-possible", "reason": "deceased", "remark": "typed" }),
    ] {
        assert_eq!(app.post("kwadraad", &notifications, wrong.clone()).await.status, 400, "{wrong}");
    }
    let gone = json!({ "outcome": "not-possible", "reason": "untraceable" });
    assert_eq!(app.post("kwadraad", &notifications, gone.clone()).await.status, 201);
    assert_eq!(app.post("kwadraad", &notifications, gone).await.status, 409);
    assert_eq!(app.get("kwadraad", &notifications).await.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(conclude(&app, &id, conclusion("justified")).await.status, 201);
    assert_eq!(listed(OFFICER, "/v1/reviews?status=overdue").await, 0);
    assert_eq!(listed(OFFICER, "/v1/reviews?status=concluded").await, 1);
    app.app().clock.advance(24 * HOUR * 100);
    emergencies::sweep(app.app()).await.unwrap();
    assert_eq!(count(&app, OFFICER, "review.overdue.v1").await, 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_and_a_declaration_do_not_stand_in_for_each_other() {
    let app = TestApp::start().await;
    let id = declared(&app, "smow", declaration(JGZ)).await;
    let record = consent(&app, JGZ, "safety-concern", &["safety"]);
    assert_eq!(app.post("smow", "/v1/consents", record).await.status, 201);
    // Not without the declaration, whatever the resident agreed to.
    is_refused(&app.post("smow", "/v1/referrals", concern(JGZ, None, &["safety"])).await, "safety");
    // And nothing of help under the declaration.
    let mut help = concern(KWADRAAD, Some(&id), &["contact"]);
    help["purpose"] = json!("social-work");
    let refused = app.post("smow", "/v1/referrals", help).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    finish(app).await;
}
