//! Incidental accession: who has signed the covenant for one purpose or one case only, or is only invited, takes part in no more than that; and
//! nobody else learns of the case.

use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use sluis::cases as sweeping;
use sluis::covenant::Scope;
use sluis::demo::client::{Answer, Identity, Request};
use sluis::demo::deeds::OfOrganisation;
use sluis::demo::scenario::{Action, OfCovenant};
use sluis::demo::world::World;
use sluis::demo::{governance, jws};
use sluis::referrals::watch;

use crate::administration::sluis;
use crate::app::{BSN, KREDIETBANK, MUNICIPALITY, SMOW, TestApp, debts, with_sections};
use crate::cases::{Shared, case_of, code, finish, of_the_municipality, step, told, update, withheld, within};
use crate::consistency::{Neighbour, clients, post, set_status};
use crate::credentials::new_version;

/// School advice and youth work: named in the covenant, and not signed.
const SAD: &str = "00000099000000007000";
const SJJW: &str = "00000099000000008000";
const NOBODYS: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001";

pub async fn register(app: &mut TestApp, slug: &str) {
    let register = Action::RegisterOrganisation(OfOrganisation { organisation: slug.to_owned() });
    let (registered, _) = governance::take("administrator", &register, &mut app.house.world).await.unwrap();
    assert_eq!(registered.status, 201, "{}", registered.text);
}

fn for_case(case: &str) -> OfCovenant {
    OfCovenant { case: Some(case.rsplit('/').next().unwrap().to_owned()), ..OfCovenant::default() }
}

fn for_purpose(purpose: &str) -> OfCovenant {
    OfCovenant { purpose: Some(purpose.to_owned()), ..OfCovenant::default() }
}

async fn try_to_sign(app: &mut TestApp, who: &str, of: OfCovenant) -> Answer {
    let (answer, _) = governance::take(who, &Action::SignCovenant(of), &mut app.house.world).await.unwrap();
    answer
}

pub async fn sign(app: &mut TestApp, who: &str, of: OfCovenant) {
    let signed = try_to_sign(app, who, of).await;
    assert_eq!(signed.status, 201, "{}", signed.text);
}

async fn try_to_invite(app: &TestApp, by: &str, case: &str, who: &str) -> Answer {
    app.post(by, format!("{case}/participants"), json!({ "organisation": who })).await
}

/// The coordinator of this case invites school advice; the case as that knows it.
async fn invite(app: &TestApp, case: &str) -> String {
    let invited = try_to_invite(app, "gemeente-wassenaar", case, SAD).await;
    assert_eq!(invited.status, 201, "{}", invited.text);
    let told = told(app, "sad", "participant-invited").await;
    format!("/v1/cases/{}", told.last().unwrap()["data"]["case"].as_str().unwrap())
}

async fn remove(app: &TestApp, case: &str) {
    let removed = step(app, "gemeente-wassenaar", &format!("{case}/participants/{SAD}/removals")).await;
    assert_eq!(removed.status, 201, "{}", removed.text);
}

/// A case of the municipality's and the credit bank's, to which school advice is invited.
struct Invited {
    shared: Shared,
    /// The case as school advice knows it.
    sads: String,
}

async fn invited(app: &mut TestApp) -> Invited {
    let shared = of_the_municipality(app).await;
    register(app, "sad").await;
    let sads = invite(app, &shared.coordinators).await;
    Invited { shared, sads }
}

/// The same, and it has signed for the case.
async fn acceded(app: &mut TestApp) -> Invited {
    let case = invited(app).await;
    sign(app, "sad", for_case(&case.sads)).await;
    case
}

/// A question of the municipality's to school advice in this case.
fn youth(case: &str) -> Value {
    let mut referral = within(case, SAD, "youth-support");
    referral["legalBasis"] = json!("jeugdwet");
    with_sections(referral, &["question"])
}

/// The same in no case yet.
fn youth_alone() -> Value {
    let mut referral = youth(NOBODYS);
    referral["caseId"] = json!(null);
    referral
}

async fn refer(app: &TestApp, who: &str, referral: Value) -> Answer {
    app.post(who, "/v1/referrals", referral).await
}

async fn crosses(app: &TestApp, who: &str, referral: Value) -> String {
    let created = refer(app, who, referral).await;
    assert_eq!(created.status, 201, "{}", created.text);
    created.headers["location"].clone()
}

const NOT_SIGNED: (u16, Option<&str>) = (403, Some("covenant-not-signed"));

async fn does_not_cross(app: &TestApp, who: &str, referral: Value, why: &str) {
    let refused = refer(app, who, referral).await;
    assert_eq!(withheld(&refused), NOT_SIGNED, "{why}: {}", refused.text);
}

/// All that somebody's events say.
async fn feed(app: &TestApp, who: &str) -> Vec<Value> {
    app.app().sequence().await.unwrap();
    app.get(who, "/v1/events?limit=1000").await.body["items"].as_array().unwrap().clone()
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_only_invited_sees_that_and_nothing_crosses() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = invited(&mut app).await;
    let seen = app.get("sad", &sads).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(names(&seen.body), ["id", "status", "roles", "referrals"]);
    assert_eq!((&seen.body["roles"], &seen.body["referrals"]), (&json!(["invited"]), &json!([])));
    assert_eq!(app.get("sad", "/v1/cases").await.body["items"], json!([seen.body]));
    for part in ["participants", "coordinators", "step-ups"] {
        let refused = app.get("sad", format!("{sads}/{part}")).await;
        assert_eq!(code(&refused), (403, Some("refused")), "{part}: {}", refused.text);
    }
    let case = &shared.coordinators;
    let up = app.post("gemeente-wassenaar", format!("{case}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(up.status, 201, "{}", up.text);
    assert_eq!(app.get("sad", &sads).await.headers["etag"], seen.headers["etag"], "nor that something happened");
    // Neither to it nor from it, and it takes no step.
    does_not_cross(&app, "gemeente-wassenaar", youth(case), "only invited").await;
    let back = with_sections(within(&sads, MUNICIPALITY, "case-coordination"), &["question"]);
    does_not_cross(&app, "sad", back, "only invited").await;
    for (path, body) in [
        ("step-ups", json!({ "reason": "other" })),
        ("closures", json!({})),
        ("coordinators/acceptances", json!({})),
        ("participants", json!({ "organisation": SMOW })),
        ("meetings", json!({ "organisations": [SMOW] })),
    ] {
        let refused = app.post("sad", format!("{sads}/{path}"), body).await;
        assert_eq!(code(&refused), (403, Some("refused")), "{path}: {}", refused.text);
    }
    for (path, body) in
        [("coordinators", json!({ "organisation": SAD })), ("meetings", json!({ "organisations": [SAD] }))]
    {
        let refused = app.post("gemeente-wassenaar", format!("{case}/{path}"), body).await;
        assert_eq!(code(&refused), (400, Some("invalid-input")), "{path}: {}", refused.text);
    }
    // Of all that happened in the case it was told one thing, and nowhere by whom.
    let kinds: Vec<Value> = feed(&app, "sad").await.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["nl.sluis.case.participant-invited.v1"]);
    let records = app.get("sad", "/v1/audit/records?limit=1000").await;
    let of_case = |record: &&Value| record["kind"] == "case";
    let of_case: Vec<&Value> = records.body["items"].as_array().unwrap().iter().filter(of_case).collect();
    assert!(!of_case.is_empty(), "{}", records.text);
    assert!(of_case.iter().all(|record| !record.to_string().contains(MUNICIPALITY)), "{of_case:?}");
    // It leaves, and the case is gone for it.
    assert_eq!(step(&app, "sad", &format!("{sads}/participants/{SAD}/removals")).await.status, 201);
    assert_eq!(app.get("sad", &sads).await.status, 404);
    assert_eq!(told(&app, "gemeente-wassenaar", "participant-left").await.len(), 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signed_for_a_case_takes_part_in_that_case_and_nowhere_else() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = acceded(&mut app).await;
    let case = &shared.coordinators;
    let question = crosses(&app, "gemeente-wassenaar", youth(case)).await;
    assert_eq!(app.get("sad", format!("{question}/sections")).await.status, 200);
    update(&app, "sad", &question, json!({ "status": "accepted" })).await;
    let note = json!({ "status": "in-progress", "onWithheld": "reject",
        "sections": [{ "category": "question", "content": { "text": "we begin" } }] });
    update(&app, "sad", &question, note).await;
    let back = with_sections(within(&sads, MUNICIPALITY, "case-coordination"), &["question"]);
    crosses(&app, "sad", back).await;
    let seen = app.get("sad", &sads).await;
    assert_eq!(seen.text_at("/coordinator"), Some(MUNICIPALITY), "{}", seen.text);
    let own = app.get("sad", format!("{sads}/participants")).await;
    let signed = |page: &Answer, who: &str| {
        let items = page.body["items"].as_array().unwrap().clone();
        items.iter().find(|item| item["organisation"] == who).map(|item| item["signed"].clone())
    };
    assert_eq!((signed(&own, SAD), signed(&own, MUNICIPALITY)), (Some(json!("case")), Some(json!(null))));
    let all = app.get("gemeente-wassenaar", format!("{case}/participants")).await;
    assert_eq!((signed(&all, SAD), signed(&all, KREDIETBANK)), (Some(json!("case")), Some(json!("covenant"))));

    // Another case of the same coordinator, to which it is invited as well, about somebody else.
    let mut other = debts();
    other["subject"]["bsn"] = json!("999990020");
    let other = app.refer("gemeente-wassenaar", other, &["question"]).await;
    let other = format!("/v1/cases/{}", case_of(&other));
    let others = invite(&app, &other).await;
    assert_ne!(others, sads);
    let elsewhere = |mut referral: Value| {
        referral["subject"]["bsn"] = json!("999990020");
        referral
    };
    does_not_cross(&app, "gemeente-wassenaar", elsewhere(youth(&other)), "another case").await;
    does_not_cross(&app, "gemeente-wassenaar", youth_alone(), "no case").await;
    let mut advice = within(NOBODYS, SAD, "information-and-advice");
    (advice["caseId"], advice["phase"]) = (json!(null), json!("triage"));
    does_not_cross(&app, "gemeente-wassenaar", with_sections(advice, &["contact"]), "outside of cases").await;
    let back = with_sections(within(&others, MUNICIPALITY, "case-coordination"), &["question"]);
    does_not_cross(&app, "sad", elsewhere(back), "another case").await;
    // A reassignment takes the case of what it goes on with.
    let waiting = crosses(&app, "gemeente-wassenaar", with_sections(elsewhere(debts()), &["question"])).await;
    update(&app, "kredietbank", &waiting, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    let onward = json!({ "recipient": SAD, "purpose": "youth-support", "legalBasis": "jeugdwet" });
    let refused = app.post("gemeente-wassenaar", format!("{waiting}/re-referrals"), onward).await;
    assert_eq!(withheld(&refused), NOT_SIGNED, "{}", refused.text);

    // In its own case it coordinates nothing, is not asked to, and steers nothing.
    let offered = app.post("gemeente-wassenaar", format!("{case}/coordinators"), json!({ "organisation": SAD })).await;
    assert_eq!(code(&offered), (400, Some("invalid-input")), "{}", offered.text);
    for (path, body) in [
        ("step-ups", json!({ "reason": "other" })),
        ("participants", json!({ "organisation": SMOW })),
        ("closures", json!({})),
    ] {
        let refused = app.post("sad", format!("{sads}/{path}"), body).await;
        assert_eq!(code(&refused), (403, Some("refused")), "{path}: {}", refused.text);
    }
    let met = app.post("gemeente-wassenaar", format!("{case}/meetings"), json!({ "organisations": [SAD] })).await;
    assert_eq!(met.status, 201, "{}", met.text);
    finish(app).await;
}

/// What somebody signs for a scope, under the version in force.
async fn signature(app: &TestApp, who: &str, oin: &str, scope: &Scope) -> String {
    let versions = app.get(who, "/v1/covenants").await;
    let payload = scope.payload(versions.text_at("/items/0/digest").unwrap(), &oin.parse().unwrap());
    jws::detached(payload.as_bytes(), app.world().identity(who).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_for_one_thing_serves_for_no_other() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = invited(&mut app).await;
    register(&mut app, "sjjw").await;
    let other = app.refer("gemeente-wassenaar", debts(), &["question"]).await;
    let others = invite(&app, &format!("/v1/cases/{}", case_of(&other))).await;
    let id = |case: &str| case.rsplit('/').next().unwrap().to_owned();
    let case = |case: &str| Scope::Case(id(case).parse().unwrap());
    let purpose = |code: &str| Scope::Purpose(code.parse().unwrap());
    let body = |scope: &Scope| match scope {
        Scope::Covenant => json!({}),
        Scope::Purpose(purpose) => json!({ "purpose": purpose }),
        Scope::Case(alias) => json!({ "caseId": alias }),
    };
    let scopes = [Scope::Covenant, purpose("youth-support"), purpose("case-coordination"), case(&sads), case(&others)];
    let path = "/v1/covenants/2026.1/signatures";
    for signed in &scopes {
        let jws = signature(&app, "sad", SAD, signed).await;
        for claimed in scopes.iter().filter(|claimed| *claimed != signed) {
            let mut body = body(claimed);
            body["jws"] = json!(jws);
            let refused = app.post("sad", path, body).await;
            assert_eq!(
                (refused.status, refused.text_at("/invalidParams/0/code")),
                (400, Some("signature")),
                "{signed:?} as {claimed:?}: {}",
                refused.text
            );
        }
    }
    // Nor does what another organisation signed, whatever name is in it.
    for (signer, name) in [("sjjw", SJJW), ("sjjw", SAD)] {
        let jws = signature(&app, signer, name, &case(&sads)).await;
        let refused = app.post("sad", path, json!({ "jws": jws, "caseId": id(&sads) })).await;
        assert_eq!(code(&refused), (400, Some("invalid-input")), "{}", refused.text);
    }
    // A case that it was not invited to and one that nobody has are the same to it, also by the name that others have for it.
    let mut unknown = Vec::new();
    for alias in [id(&shared.coordinators), id(&shared.banks), NOBODYS.to_owned()] {
        let jws = signature(&app, "sad", SAD, &Scope::Case(alias.parse().unwrap())).await;
        unknown.push(app.post("sad", path, json!({ "jws": jws, "caseId": alias })).await);
        // Nor is the invitation of another one any use.
        let jws = signature(&app, "sjjw", SJJW, &case(&sads)).await;
        unknown.push(app.post("sjjw", path, json!({ "jws": jws, "caseId": id(&sads) })).await);
    }
    for refused in &unknown {
        assert_eq!(refused.text_at("/invalidParams/0/code"), Some("unknown"), "{}", refused.text);
        assert_eq!(refused.body, unknown[0].body);
    }
    let jws = signature(&app, "sad", SAD, &case(&sads)).await;
    let both = json!({ "jws": jws, "caseId": id(&sads), "purpose": "youth-support" });
    assert_eq!(code(&app.post("sad", path, both).await), (400, Some("invalid-input")));
    let none = json!({ "jws": signature(&app, "sad", SAD, &purpose("no-purpose")).await, "purpose": "no-purpose" });
    assert_eq!(app.post("sad", path, none).await.text_at("/invalidParams/0/code"), Some("unknown-code"));
    // After all this nothing was signed.
    does_not_cross(&app, "gemeente-wassenaar", youth(&shared.coordinators), "nothing was signed").await;
    let listed = app.get("sad", format!("{path}?limit=1000")).await;
    assert!(!listed.text.contains(SAD), "{}", listed.text);
    let given = app.post("sad", path, json!({ "jws": jws, "caseId": id(&sads) })).await;
    assert_eq!((given.status, &given.body["caseId"]), (201, &json!(id(&sads))), "{}", given.text);
    assert_eq!(app.post("sad", path, json!({ "jws": jws, "caseId": id(&sads) })).await.status, 409, "once");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_for_a_case_ends_with_the_invitation() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = acceded(&mut app).await;
    let case = &shared.coordinators;
    let question = crosses(&app, "gemeente-wassenaar", youth(case)).await;
    update(&app, "sad", &question, json!({ "status": "accepted" })).await;
    let still = crosses(&app, "gemeente-wassenaar", youth(case)).await;
    remove(&app, case).await;
    // At once, before anybody has looked at anything: neither what waits nor what is new, in either direction.
    for waiting in [&question, &still] {
        let refused = app.get("sad", format!("{waiting}/sections")).await;
        assert_eq!(code(&refused), (403, Some("disclosure-refused")), "{}", refused.text);
        let note = json!({ "status": "rejected", "statusReason": "other", "sections": [] });
        let refused = app.post("sad", format!("{waiting}/updates"), note).await;
        assert!([403, 409].contains(&refused.status), "{}", refused.text);
    }
    let bare = app.post("sad", format!("{still}/updates"), json!({ "status": "received" })).await;
    assert_eq!(code(&bare), (403, Some("refused")), "{}", bare.text);
    does_not_cross(&app, "gemeente-wassenaar", youth(case), "removed").await;
    let seen = app.get("sad", &sads).await;
    assert_eq!(names(&seen.body), ["id", "status", "roles", "referrals"], "a party to a referral, and no more");
    assert_eq!(app.get("sad", format!("{sads}/coordinators")).await.status, 403);
    let changed = app.post("gemeente-wassenaar", format!("{case}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(changed.status, 201, "{}", changed.text);
    assert_eq!(told(&app, "sad", "stepped-up").await, [Value::Null; 0]);
    // What it held comes to who stands in, by the gateway's own look.
    watch::parties(app.app()).await.unwrap();
    for waiting in [&question, &still] {
        let held = app.get("gemeente-wassenaar", waiting).await;
        assert_eq!(held.text_at("/holder"), Some(MUNICIPALITY), "{}", held.text);
    }
    // A new invitation revives nothing: it signs anew, and takes up what it held.
    assert_eq!(invite(&app, case).await, sads, "under the same name");
    does_not_cross(&app, "gemeente-wassenaar", youth(case), "invited again, not signed again").await;
    let listed = app.get("sad", "/v1/covenants/2026.1/signatures").await;
    let own: Vec<&Value> =
        listed.body["items"].as_array().unwrap().iter().filter(|item| item["organisation"] == SAD).collect();
    assert_eq!((own.len(), &own[0]["counts"]), (1, &json!(false)), "{}", listed.text);
    sign(&mut app, "sad", for_case(&sads)).await;
    watch::parties(app.app()).await.unwrap();
    let held = app.get("gemeente-wassenaar", &still).await;
    assert_eq!(held.text_at("/holder"), Some(SAD), "{}", held.text);
    assert_eq!(app.get("sad", format!("{still}/sections")).await.status, 200);
    // By leaving it ends as well.
    assert_eq!(step(&app, "sad", &format!("{sads}/participants/{SAD}/removals")).await.status, 201);
    assert_eq!(app.get("sad", format!("{still}/sections")).await.status, 403);
    does_not_cross(&app, "gemeente-wassenaar", youth(case), "it left").await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_for_a_case_ends_when_that_is_closed_also_when_it_is_opened_again() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = acceded(&mut app).await;
    let case = &shared.coordinators;
    register(&mut app, "sjjw").await;
    assert_eq!(try_to_invite(&app, "gemeente-wassenaar", case, SJJW).await.status, 201);
    let question = crosses(&app, "gemeente-wassenaar", youth(case)).await;
    for (who, referral) in [("sad", &question), ("kredietbank", &shared.referral)] {
        if who == "sad" {
            update(&app, who, referral, json!({ "status": "accepted" })).await;
        }
        crate::cases::complete(&app, who, referral).await;
    }
    assert_eq!(step(&app, "gemeente-wassenaar", &format!("{case}/closures")).await.status, 201);
    assert_eq!(app.get("sad", format!("{question}/sections")).await.status, 403);
    assert_eq!(told(&app, "sad", "closed").await.len(), 1);
    // Who had only been invited hears that it is so no more, and not what became of the case.
    assert_eq!(told(&app, "sjjw", "closed").await, [Value::Null; 0]);
    assert_eq!(told(&app, "sjjw", "participant-left").await[0]["data"]["organisation"], SJJW);
    let refused = try_to_sign(&mut app, "sad", for_case(&sads)).await;
    assert_eq!(refused.text_at("/invalidParams/0/code"), Some("unknown"), "{}", refused.text);
    let reopened = json!({ "status": "in-progress", "statusReason": "reopened" });
    let by_itself = app.post("sad", format!("{question}/updates"), reopened.clone()).await;
    assert_eq!(code(&by_itself), (403, Some("refused")), "{}", by_itself.text);
    update(&app, "kredietbank", &shared.referral, reopened).await;
    assert_eq!(app.get("gemeente-wassenaar", case).await.text_at("/status"), Some("open"));
    does_not_cross(&app, "gemeente-wassenaar", youth(case), "it is not invited to what was opened again").await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_needs_a_new_signature_for_the_same() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = acceded(&mut app).await;
    register(&mut app, "sjjw").await;
    sign(&mut app, "sjjw", for_purpose("youth-support")).await;
    let case = &shared.coordinators;
    let question = crosses(&app, "gemeente-wassenaar", youth(case)).await;
    let for_youth_work = |mut referral: Value| {
        referral["recipient"] = json!(SJJW);
        referral
    };
    crosses(&app, "gemeente-wassenaar", for_youth_work(youth_alone())).await;
    new_version(&mut app, "2026.2").await;
    // Signed beforehand, so that nothing stops when it rules.
    let coming = |of: OfCovenant| OfCovenant { version: Some("2026.2".into()), ..of };
    sign(&mut app, "gemeente-wassenaar", coming(OfCovenant::default())).await;
    app.app().clock.advance(Duration::from_hours(25));
    assert_eq!(app.get("sad", format!("{question}/sections")).await.status, 403);
    does_not_cross(&app, "gemeente-wassenaar", youth(case), "signed the version before").await;
    does_not_cross(&app, "gemeente-wassenaar", for_youth_work(youth_alone()), "signed the version before").await;
    let seen = app.get("sad", &sads).await;
    assert_eq!(names(&seen.body), ["id", "status", "roles", "referrals"]);
    sign(&mut app, "sad", coming(for_case(&sads))).await;
    sign(&mut app, "sjjw", coming(for_purpose("youth-support"))).await;
    assert_eq!(app.get("sad", format!("{question}/sections")).await.status, 200);
    crosses(&app, "gemeente-wassenaar", youth(case)).await;
    crosses(&app, "gemeente-wassenaar", for_youth_work(youth_alone())).await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signed_for_a_purpose_takes_part_in_that_purpose_only_and_coordinates_nothing() {
    let mut app = TestApp::start().await;
    let shared = of_the_municipality(&app).await;
    register(&mut app, "sad").await;
    register(&mut app, "sjjw").await;
    for who in ["sad", "sjjw"] {
        sign(&mut app, who, for_purpose("youth-support")).await;
    }
    let question = crosses(&app, "gemeente-wassenaar", youth_alone()).await;
    assert_eq!(app.get("sad", format!("{question}/sections")).await.status, 200);
    let sads = crate::cases::accept(&app, "sad", &question).await;
    let seen = app.get("sad", &sads).await;
    assert_eq!((&seen.body["roles"], seen.text_at("/coordinator")), (&json!(["participant"]), Some(MUNICIPALITY)));
    // Another purpose, also where it takes part in the case.
    let case = format!("/v1/cases/{}", case_of(&app.get("gemeente-wassenaar", &question).await));
    let coordination = with_sections(within(&case, SAD, "case-coordination"), &["question"]);
    does_not_cross(&app, "gemeente-wassenaar", coordination, "another purpose").await;
    let mut advice = within(NOBODYS, SAD, "information-and-advice");
    (advice["caseId"], advice["phase"]) = (json!(null), json!("triage"));
    does_not_cross(&app, "gemeente-wassenaar", with_sections(advice, &["contact"]), "another purpose").await;
    let refused = app.post("sad", format!("{sads}/step-ups"), json!({ "reason": "other" })).await;
    assert_eq!(code(&refused), (403, Some("refused")), "{}", refused.text);
    // Invited into a case, it is a guest there like any other.
    let others = invite(&app, &shared.coordinators).await;
    let seen = app.get("sad", &others).await;
    assert_eq!(names(&seen.body), ["id", "status", "roles", "referrals"], "{}", seen.text);
    let coordination = with_sections(within(&shared.coordinators, SAD, "case-coordination"), &["question"]);
    does_not_cross(&app, "gemeente-wassenaar", coordination, "another purpose").await;
    // What it sends opens a case, which the municipality coordinates from the first moment.
    let mut consent = crate::app::consent(&app, SJJW, "youth-support", &["question"]);
    consent["purposes"] = json!(["youth-support"]);
    assert_eq!(app.post("sad", "/v1/consents", consent).await.status, 201);
    let mut own = youth_alone();
    (own["recipient"], own["legalBasis"]) = (json!(SJJW), json!("consent"));
    own["subject"] =
        json!({ "pseudonym": app.get("sad", &question).await.text_at("/subject/pseudonym"), "ageGroup": "18-plus" });
    let created = refer(&app, "sad", own.clone()).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let opened = format!("/v1/cases/{}", case_of(&created));
    let seen = app.get("sad", &opened).await;
    assert_eq!(seen.body["roles"], json!(["invited"]), "{}", seen.text);
    let told = told(&app, "gemeente-wassenaar", "coordinator-changed").await;
    let municipalitys = format!("/v1/cases/{}", told[0]["data"]["case"].as_str().unwrap());
    let seen = app.get("gemeente-wassenaar", &municipalitys).await;
    assert_eq!(seen.body["roles"], json!(["coordinator"]), "{}", seen.text);
    assert_eq!(sweeping::sweep(app.app()).await.unwrap().replaced, 0, "nothing is left to be mended");
    // Nor does it coordinate while the municipality is suspended: then nobody does, until that is back.
    assert_eq!(set_status(app.world(), MUNICIPALITY, "suspended").await.status, 200);
    let created = refer(&app, "sad", own).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let opened = format!("/v1/cases/{}", case_of(&created));
    assert_eq!(app.get("sad", &opened).await.body["roles"], json!(["invited"]));
    assert_eq!(code(&step(&app, "sad", &format!("{opened}/closures")).await), (403, Some("refused")));
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_coordinator_and_the_signer_learns_who_signed_for_a_case() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = acceded(&mut app).await;
    let id = |case: &str| case.rsplit('/').next().unwrap().to_owned();
    for who in ["kredietbank", "smow", "mee", "jgz", "kwadraad"] {
        let told = feed(&app, who).await;
        let of_sad = |event: &&Value| event["data"]["organisation"] == SAD;
        assert_eq!(told.iter().filter(of_sad).count(), 0, "{who}: {told:?}");
        let records = app.get(who, "/v1/audit/records?limit=1000").await;
        assert!(!records.text.contains(SAD), "{who}: {}", records.text);
    }
    // The municipality coordinates, and still does not find it among the signatures of the version.
    for who in ["kredietbank", "smow", "gemeente-wassenaar"] {
        let listed = app.get(who, "/v1/covenants/2026.1/signatures?limit=1000").await;
        assert!(!listed.text.contains(SAD), "{who}: {}", listed.text);
        // The text names it as a party.
        let version = app.get(who, "/v1/covenants/2026.1").await;
        assert!(!version.body["signatures"].to_string().contains(SAD), "{who}: {}", version.body["signatures"]);
    }
    let coordinators = told(&app, "gemeente-wassenaar", "participant-signed").await;
    assert_eq!(coordinators[0]["data"], json!({ "case": id(&shared.coordinators), "organisation": SAD }));
    assert_eq!(told(&app, "sad", "participant-signed").await[0]["data"]["case"], id(&sads));
    // The other participant sees the coordinator and itself; a stranger nothing, also not by the names that others have for it.
    let banks = app.get("kredietbank", format!("{}/participants", shared.banks)).await;
    assert!(!banks.text.contains(SAD), "{}", banks.text);
    for case in [&sads, &shared.coordinators, &shared.banks] {
        assert_eq!(app.get("smow", case).await.status, 404);
    }
    // The signer finds its own.
    let own = app.get("sad", "/v1/covenants/2026.1/signatures?limit=1").await;
    assert_eq!(own.body["items"].as_array().unwrap().last().unwrap()["caseId"], id(&sads), "{}", own.text);
    let next = app.get("sad", own.text_at("/next").unwrap()).await;
    assert_eq!((&next.body["items"], &next.body["next"]), (&json!([]), &json!(null)));
    // A purpose is everybody's to know.
    register(&mut app, "sjjw").await;
    sign(&mut app, "sjjw", for_purpose("youth-support")).await;
    let kinds: Vec<Value> = feed(&app, "mee").await.iter().map(|event| event["type"].clone()).collect();
    assert!(kinds.contains(&json!("nl.sluis.covenant.signed-for-purpose.v1")), "{kinds:?}");
    let listed = app.get("mee", "/v1/covenants/2026.1/signatures").await;
    let found = listed.body["items"].as_array().unwrap().iter().find(|item| item["organisation"] == SJJW).cloned();
    assert_eq!(found.map(|item| item["purpose"].clone()), Some(json!("youth-support")), "{}", listed.text);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_signed_for_less_may_sign_wider_and_not_narrower() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = acceded(&mut app).await;
    does_not_cross(&app, "gemeente-wassenaar", youth_alone(), "for the case only").await;
    sign(&mut app, "sad", for_purpose("youth-support")).await;
    crosses(&app, "gemeente-wassenaar", youth_alone()).await;
    assert_eq!(try_to_sign(&mut app, "sad", for_purpose("youth-support")).await.status, 409);
    sign(&mut app, "sad", OfCovenant::default()).await;
    let advice = || {
        let mut advice = within(NOBODYS, SAD, "information-and-advice");
        (advice["caseId"], advice["phase"]) = (json!(null), json!("triage"));
        with_sections(advice, &["contact"])
    };
    crosses(&app, "gemeente-wassenaar", advice()).await;
    for less in [for_purpose("case-coordination"), for_case(&sads), OfCovenant::default()] {
        let refused = try_to_sign(&mut app, "sad", less).await;
        assert_eq!(code(&refused), (409, Some("already-exists")), "{}", refused.text);
    }
    // A party to the whole is not undone by leaving one case, and may be asked to coordinate another.
    remove(&app, &shared.coordinators).await;
    crosses(&app, "gemeente-wassenaar", advice()).await;
    invite(&app, &shared.coordinators).await;
    let offers = format!("{}/coordinators", shared.coordinators);
    assert_eq!(app.post("gemeente-wassenaar", offers, json!({ "organisation": SAD })).await.status, 201);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_invited_whom_the_covenant_does_not_name_or_that_is_not_active() {
    let mut app = TestApp::start().await;
    let shared = of_the_municipality(&app).await;
    register(&mut app, "sad").await;
    let unnamed = "00000099000000077000";
    let body = json!({ "id": unnamed, "name": "Vereniging zonder convenant" });
    assert_eq!(app.post("administrator", "/v1/organisations", body).await.status, 201);
    for who in [unnamed, SJJW] {
        let refused = try_to_invite(&app, "gemeente-wassenaar", &shared.coordinators, who).await;
        assert_eq!(refused.text_at("/invalidParams/0/code"), Some("unknown"), "{who}: {}", refused.text);
    }
    assert_eq!(set_status(app.world(), SAD, "suspended").await.status, 200);
    let refused = try_to_invite(&app, "gemeente-wassenaar", &shared.coordinators, SAD).await;
    assert_eq!(refused.text_at("/invalidParams/0/code"), Some("unknown"), "{}", refused.text);
    assert_eq!(set_status(app.world(), SAD, "active").await.status, 200);
    // Only the coordinator invites.
    let refused = try_to_invite(&app, "kredietbank", &shared.banks, SAD).await;
    assert_eq!(code(&refused), (409, Some("step-not-allowed")), "{}", refused.text);
    // Suspended after it signed, it stands nowhere, and where it stood once it is back.
    let sads = invite(&app, &shared.coordinators).await;
    sign(&mut app, "sad", for_case(&sads)).await;
    assert_eq!(set_status(app.world(), SAD, "suspended").await.status, 200);
    let refused = refer(&app, "gemeente-wassenaar", youth(&shared.coordinators)).await;
    assert_eq!(withheld(&refused), (403, Some("party-not-active")), "{}", refused.text);
    assert_eq!(set_status(app.world(), SAD, "active").await.status, 200);
    crosses(&app, "gemeente-wassenaar", youth(&shared.coordinators)).await;
    finish(app).await;
}

fn admit(world: &mut World, identity: &Identity) {
    let identity = Identity { certificate: identity.certificate.clone(), key: identity.key.clone() };
    world.admit("sad", identity).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_or_ended_at_one_gateway_the_next_request_at_another_knows() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = invited(&mut app).await;
    let (here, mut neighbour) = (clients(&app), Neighbour::start(&app, &[]).await);
    admit(&mut neighbour.world, app.world().identity("sad").unwrap());
    let body = youth(&shared.coordinators);
    let mut pseudonymous = youth_alone();
    pseudonymous["subject"] = json!({ "bsn": BSN, "ageGroup": "18-plus" });
    for _ in 0..2 {
        for world in [&here as &World, &neighbour.world] {
            let refused = post(world, "gemeente-wassenaar", "/v1/referrals", body.clone()).await;
            assert_eq!(withheld(&refused), NOT_SIGNED, "both keep that it has not signed: {}", refused.text);
        }
        sign(&mut app, "sad", for_case(&sads)).await;
        let there = post(&neighbour.world, "gemeente-wassenaar", "/v1/referrals", body.clone()).await;
        assert_eq!(there.status, 201, "signed here, permitted there: {}", there.text);
        let removals = format!("{}/participants/{SAD}/removals", shared.coordinators);
        let removed = step(&app, "gemeente-wassenaar", &removals).await;
        assert_eq!(removed.status, 201, "{}", removed.text);
        let sections = Request::get(format!("{}/sections", there.headers["location"]));
        let refused = neighbour.world.ask("sad", sections).await.unwrap();
        assert_eq!(refused.status, 403, "removed here, refused there: {}", refused.text);
        let path = format!("{}/participants", shared.coordinators);
        let invited = post(&neighbour.world, "gemeente-wassenaar", &path, json!({ "organisation": SAD })).await;
        assert_eq!(invited.status, 201, "{}", invited.text);
    }
    for world in [&here as &World, &neighbour.world] {
        let refused = post(world, "gemeente-wassenaar", "/v1/referrals", pseudonymous.clone()).await;
        assert_eq!(withheld(&refused), NOT_SIGNED, "{}", refused.text);
    }
    let of = Action::SignCovenant(for_purpose("youth-support"));
    let (signed, _) = governance::take("sad", &of, &mut neighbour.world).await.unwrap();
    assert_eq!(signed.status, 201, "{}", signed.text);
    let next = post(&here, "gemeente-wassenaar", "/v1/referrals", pseudonymous).await;
    assert_eq!(next.status, 201, "for the purpose, elsewhere: {}", next.text);
    neighbour.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_signs_for_one_case_or_purpose_and_says_for_what() {
    let mut app = TestApp::start().await;
    let Invited { shared, sads } = invited(&mut app).await;
    let (key, certificate) = (app.folder.join("sad-key.pem"), app.folder.join("sad.pem"));
    let identity = app.world().identity("sad").unwrap();
    std::fs::write(&certificate, &identity.certificate).unwrap();
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&key).unwrap();
    std::fs::write(&key, identity.key.as_slice()).unwrap();
    let sign = |scope: &[&str]| {
        let files = [key.to_str().unwrap(), certificate.to_str().unwrap()];
        let mut arguments = vec!["covenant", "sign", "--version", "2026.1", "--key", files[0], "--cert", files[1]];
        arguments.extend(scope);
        let output = sluis(&app, &arguments);
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let status = || String::from_utf8_lossy(&sluis(&app, &["covenant", "status"]).stdout).into_owned();
    let line = |status: &str| status.lines().find(|line| line.contains(SAD)).unwrap().to_owned();
    assert!(line(&status()).ends_with("not signed"), "{}", status());
    let id = sads.rsplit('/').next().unwrap();
    assert!(!sign(&["--case", id, "--purpose", "youth-support"]).0, "one of them");
    assert!(!sign(&["--case", NOBODYS]).0 && !sign(&["--purpose", "no-purpose"]).0);
    does_not_cross(&app, "gemeente-wassenaar", youth(&shared.coordinators), "nothing was signed").await;
    // Over the API it says just as well what has to be mended.
    let ca = app.folder.join("gateway-ca.pem");
    std::fs::write(&ca, app.app().credentials.ca_pem()).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sluis"));
    command.args(["covenant", "sign", "--version", "2026.1", "--case", NOBODYS, "--url", app.app().issuer()]);
    command.arg("--key").arg(&key).arg("--cert").arg(&certificate).arg("--ca").arg(&ca);
    let output = tokio::task::block_in_place(|| command.output()).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("400 invalid-input: caseId: expected the id of a case"),
        "{said}"
    );
    let (signed, said) = sign(&["--case", id]);
    assert!(signed && said.contains("for case"), "{said}");
    crosses(&app, "gemeente-wassenaar", youth(&shared.coordinators)).await;
    assert!(line(&status()).ends_with("signed for 1 case only") && !status().contains(id), "{}", status());
    let (signed, said) = sign(&["--purpose", "youth-support"]);
    assert!(signed && said.contains("for purpose youth-support only"), "{said}");
    assert!(line(&status()).contains("for youth-support only"), "{}", status());
    finish(app).await;
}
