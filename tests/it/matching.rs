//! Finding a resident without a BSN: who may, that it leads to the same resident, that it tells nobody anything, and how a wrong link is undone.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluis::demo::client::Answer;
use sluis::demo::scenario::OfCovenant;

use crate::accession::{register, sign};
use crate::app::{BSN, MUNICIPALITY, SMOW, TestApp, consent, postgres, with_sections};
use crate::consistency::{count, rows};

const SJJW: &str = "00000099000000008000";
/// Another test BSN.
const OTHER_BSN: &str = "999990020";

fn noor() -> Value {
    json!({ "givenName": "Noor", "familyName": "van der Zwaluwenburg", "birthDate": "2009-03-01", "postalCode": "2242 AB" })
}

/// The same, as another system writes it.
fn noor_otherwise() -> Value {
    json!({ "givenName": "NOOR Maria", "familyName": "Zwaluwenburg, van der", "birthDate": "2009-03-01", "postalCode": "2242ab" })
}

fn twin() -> Value {
    json!({ "givenName": "Jesse", "familyName": "van der Zwaluwenburg", "birthDate": "2009-03-01", "postalCode": "2242 AB" })
}

/// Youth work, which has signed and has no right to the BSN.
async fn with_youth_work() -> TestApp {
    let mut app = TestApp::start().await;
    register(&mut app, "sjjw").await;
    sign(&mut app, "sjjw", OfCovenant::default()).await;
    app
}

/// A consent for advice by SMOW, about whomever `subject` says.
fn advice_consent(app: &TestApp, subject: Value) -> Value {
    let mut record = consent(app, SMOW, "information-and-advice", &["contact"]);
    record["subject"] = subject;
    record
}

/// A question for advice to SMOW, about whomever `subject` says.
fn advice(subject: Value, basis: &str) -> Value {
    let mut subject = subject;
    subject["ageGroup"] = json!("16-17");
    let referral = json!({
        "recipient": SMOW, "purpose": "information-and-advice", "phase": "triage", "legalBasis": basis,
        "subject": subject, "onWithheld": "reject",
    });
    with_sections(referral, &["contact"])
}

/// Records a consent; the recorder's pseudonym of the resident.
async fn recorded(app: &TestApp, who: &str, subject: Value) -> String {
    let answer = app.post(who, "/v1/consents", advice_consent(app, subject)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.text_at("/subject/pseudonym").unwrap().to_owned()
}

async fn try_to_record(app: &TestApp, who: &str, subject: Value) -> Answer {
    app.post(who, "/v1/consents", advice_consent(app, subject)).await
}

/// Sends a question; the sender's and the recipient's pseudonym of the resident.
async fn sent(app: &TestApp, who: &str, subject: Value) -> (String, String) {
    let basis = if who == "gemeente-wassenaar" { "wmo-2015" } else { "consent" };
    let created = app.post(who, "/v1/referrals", advice(subject, basis)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let seen = app.get("smow", created.headers["location"].clone()).await;
    let pseudonym = |answer: &Answer| answer.text_at("/subject/pseudonym").unwrap().to_owned();
    (pseudonym(&created), pseudonym(&seen))
}

async fn unlink(app: &TestApp, who: &str, data: Value, reason: &str) -> Answer {
    let body = json!({ "subject": { "match": data }, "reasonCode": reason });
    app.post(who, "/v1/subject-matches/_unlink", body).await
}

fn wrong(answer: &Answer) -> (u16, Option<&str>, Option<&str>) {
    (answer.status, answer.text_at("/invalidParams/0/name"), answer.text_at("/invalidParams/0/code"))
}

const CONTRADICTED: (u16, Option<&str>, Option<&str>) = (400, Some("subject.match"), Some("contradicted"));
const AMBIGUOUS: (u16, Option<&str>, Option<&str>) = (400, Some("subject.match"), Some("ambiguous"));

/// Everything that a reader gets of a thing, but for what must differ: ids, moments and pseudonyms.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), shape(member))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(text) if text.len() > 24 => json!("…"),
        Value::String(text) if text.ends_with('Z') => json!("…"),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_without_a_right_to_the_bsn_finds_its_client_again_and_nothing_of_it_is_kept_in_clear() {
    let app = with_youth_work().await;
    let first = recorded(&app, "sjjw", json!({ "match": noor() })).await;
    let (own, _) = sent(&app, "sjjw", json!({ "match": noor_otherwise() })).await;
    assert_eq!(own, first, "however it is written");
    let (by_pseudonym, _) = sent(&app, "sjjw", json!({ "pseudonym": first })).await;
    assert_eq!(by_pseudonym, first);
    assert_ne!(recorded(&app, "sjjw", json!({ "match": twin() })).await, first, "twins are two");
    app.app().sequence().await.unwrap();
    let kept = rows(&app, "SELECT match_key, organisation, subject FROM subject_links").await;
    assert_eq!(kept.len(), 2);
    for row in &kept {
        let (key, subject) = (row.text("match_key").unwrap(), row.text("subject").unwrap());
        assert!(
            [&key, &subject].into_iter().all(|text| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
        );
        assert_ne!(key, subject);
    }
    let mut texts: Vec<String> = Vec::new();
    for path in
        ["/v1/audit/records?limit=1000", "/v1/consents?limit=1000", "/v1/events?limit=1000", "/v1/referrals?limit=1000"]
    {
        for who in ["sjjw", "smow"] {
            texts.push(app.get(who, path).await.text);
        }
    }
    if postgres().is_none() {
        for file in ["sluis.db", "sluis.db-wal"] {
            if let Ok(bytes) = std::fs::read(app.folder.join(file)) {
                texts.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    for text in texts {
        let small = text.to_lowercase();
        for part in ["zwaluwenburg", "2009-03-01", "2242ab", "2242 ab"] {
            assert!(!small.contains(part), "{part} is kept or told");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_use_the_bsn_gives_both_and_who_may_not_reaches_the_same_resident() {
    let app = with_youth_work().await;
    let (_, seen) = sent(&app, "gemeente-wassenaar", json!({ "bsn": BSN, "match": noor() })).await;
    recorded(&app, "sjjw", json!({ "match": noor_otherwise() })).await;
    let (_, same) = sent(&app, "sjjw", json!({ "match": noor() })).await;
    assert_eq!(same, seen, "SMOW gets both for one resident");
    recorded(&app, "sjjw", json!({ "match": twin() })).await;
    let (_, other) = sent(&app, "sjjw", json!({ "match": twin() })).await;
    assert_ne!(other, seen);
    let (_, by_bsn) = sent(&app, "gemeente-wassenaar", json!({ "bsn": BSN })).await;
    assert_eq!(by_bsn, seen);
    // That somebody said so is on record, with who.
    app.app().sequence().await.unwrap();
    let said = app.get("gemeente-wassenaar", "/v1/audit/records?kind=subject").await;
    assert_eq!(said.body["items"].as_array().unwrap().len(), 1, "{}", said.text);
    assert_eq!(said.text_at("/items/0/action"), Some("match-linked"));
    assert_eq!(app.get("sjjw", "/v1/audit/records?kind=subject").await.body["items"], json!([]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_match_nobody_learns_whether_somebody_is_known_elsewhere() {
    let app = with_youth_work().await;
    // MEE knows one resident by BSN, youth work another by match.
    let by_bsn = recorded(&app, "mee", json!({ "bsn": BSN })).await;
    let early = recorded(&app, "sjjw", json!({ "match": twin() })).await;
    let strange =
        json!({ "givenName": "Niemand", "familyName": "Bekend", "birthDate": "2009-03-01", "postalCode": "2242 AB" });
    // Then the municipality says of both whose the data are.
    sent(&app, "gemeente-wassenaar", json!({ "bsn": BSN, "match": noor() })).await;
    sent(&app, "gemeente-wassenaar", json!({ "bsn": OTHER_BSN, "match": twin() })).await;
    for (who, known) in [("mee", noor()), ("sjjw", noor())] {
        let of_known = try_to_record(&app, who, json!({ "match": known.clone() })).await;
        let of_strange = try_to_record(&app, who, json!({ "match": strange.clone() })).await;
        assert_eq!((of_known.status, shape(&of_known.body)), (of_strange.status, shape(&of_strange.body)));
        let check = |data: Value| advice(json!({ "match": data }), "consent");
        let of_known = app.post(who, "/v1/referrals/_check", check(known)).await;
        let of_strange = app.post(who, "/v1/referrals/_check", check(strange.clone())).await;
        assert_eq!((of_known.status, shape(&of_known.body)), (of_strange.status, shape(&of_strange.body)));
    }
    assert_ne!(
        recorded(&app, "mee", json!({ "match": noor() })).await,
        by_bsn,
        "it would learn that another gave BSN and name of its client"
    );
    assert_eq!(recorded(&app, "sjjw", json!({ "match": twin() })).await, early, "nothing changed for it");
    // Nor is it told of others' links when it gives both itself, or takes its own back.
    assert_eq!(recorded(&app, "kredietbank", json!({ "bsn": OTHER_BSN, "match": noor() })).await.len(), by_bsn.len());
    assert_eq!(unlink(&app, "jgz", noor(), "wrong-resident").await.status, 204);
    assert_eq!(unlink(&app, "jgz", strange, "wrong-resident").await.status, 204);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_two_parties_say_different_things_a_third_is_guessed_nobody() {
    let app = with_youth_work().await;
    let (_, first) = sent(&app, "gemeente-wassenaar", json!({ "bsn": BSN, "match": noor() })).await;
    recorded(&app, "mee", json!({ "bsn": OTHER_BSN, "match": noor() })).await;
    let (_, second) = sent(&app, "mee", json!({ "bsn": OTHER_BSN })).await;
    recorded(&app, "sjjw", json!({ "match": noor() })).await;
    let (_, third) = sent(&app, "sjjw", json!({ "match": noor() })).await;
    assert_eq!(BTreeSet::from([&first, &second, &third]).len(), 3, "three residents, kept apart");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_contradicts_what_one_said_oneself_is_refused_until_one_of_both_is_taken_back() {
    let app = with_youth_work().await;
    let first = recorded(&app, "mee", json!({ "bsn": BSN, "match": noor() })).await;
    for (who, subject) in [("mee", json!({ "bsn": OTHER_BSN, "match": noor_otherwise() }))] {
        let refused = try_to_record(&app, who, subject.clone()).await;
        assert_eq!(wrong(&refused), CONTRADICTED, "{}", refused.text);
        for path in ["/v1/referrals", "/v1/referrals/_check"] {
            let refused = app.post(who, path, advice(subject.clone(), "consent")).await;
            assert_eq!(wrong(&refused), CONTRADICTED, "{}", refused.text);
        }
    }
    assert_eq!(recorded(&app, "mee", json!({ "match": noor() })).await, first);
    // The first was wrong: taken back, and what was recorded stays where it was.
    assert_eq!(unlink(&app, "mee", noor(), "wrong-resident").await.status, 204);
    let second = recorded(&app, "mee", json!({ "bsn": OTHER_BSN, "match": noor() })).await;
    assert_ne!(second, first);
    assert_eq!(recorded(&app, "mee", json!({ "match": noor() })).await, second);
    assert_eq!(recorded(&app, "mee", json!({ "bsn": BSN })).await, first, "nothing was merged");
    // No, there are two with these data: then the data lead to nobody, and the resident must be named.
    assert_eq!(unlink(&app, "mee", noor(), "several-residents").await.status, 204);
    let refused = try_to_record(&app, "mee", json!({ "match": noor() })).await;
    assert_eq!(wrong(&refused), AMBIGUOUS, "{}", refused.text);
    assert_eq!(recorded(&app, "mee", json!({ "bsn": BSN, "match": noor() })).await, first);
    assert_eq!(recorded(&app, "mee", json!({ "pseudonym": second, "match": noor() })).await, second);
    // For others it leads to nobody whom MEE named.
    recorded(&app, "sjjw", json!({ "match": noor() })).await;
    let (_, theirs) = sent(&app, "sjjw", json!({ "match": noor() })).await;
    let (_, of_mee) = sent(&app, "mee", json!({ "bsn": BSN })).await;
    assert_ne!(theirs, of_mee);
    app.app().sequence().await.unwrap();
    let said = app.get("mee", "/v1/audit/records?kind=subject&limit=100").await;
    let mut actions: Vec<&str> =
        said.body["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["match-linked", "match-linked", "match-shared", "match-unlinked"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_moves_house_is_found_by_the_new_postcode_too() {
    let app = with_youth_work().await;
    let mut moved = noor();
    moved["postalCode"] = json!("2251 CD");
    let pseudonym = recorded(&app, "sjjw", json!({ "match": noor() })).await;
    let again = recorded(&app, "sjjw", json!({ "pseudonym": pseudonym, "match": moved })).await;
    assert_eq!(again, pseudonym);
    assert_eq!(recorded(&app, "sjjw", json!({ "match": moved })).await, pseudonym);
    assert_eq!(recorded(&app, "sjjw", json!({ "match": noor() })).await, pseudonym, "the former still leads there");
    // What a party says that may not use the BSN links nothing for others.
    let others = recorded(&app, "mee", json!({ "match": moved })).await;
    assert_ne!(others, recorded(&app, "mee", json!({ "match": noor() })).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_age_group_that_the_birth_date_contradicts_is_named_and_nothing_is_kept() {
    let app = with_youth_work().await;
    for stated in ["under-12", "12-15", "18-plus"] {
        let subject = json!({ "match": noor(), "ageGroup": stated });
        let mut referral = advice(subject.clone(), "consent");
        referral["subject"]["ageGroup"] = json!(stated);
        for (path, body) in [("/v1/consents", advice_consent(&app, subject)), ("/v1/referrals", referral)] {
            let refused = app.post("sjjw", path, body).await;
            assert_eq!(wrong(&refused), (400, Some("subject.ageGroup"), Some("contradicted")), "{}", refused.text);
            assert!(!refused.text.contains("2009"), "{}", refused.text);
        }
    }
    let mut wrong_data = noor();
    (wrong_data["givenName"], wrong_data["birthDate"]) = (json!("N."), json!("2090-01-01"));
    let refused =
        try_to_record(&app, "sjjw", json!({ "match": wrong_data, "bsn": BSN, "pseudonym": "x".repeat(43) })).await;
    let named: Vec<_> =
        refused.body["invalidParams"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(named, ["subject", "subject.match.givenName", "subject.match.birthDate"], "{}", refused.text);
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM subject_links").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_age_group_that_others_stated_keeps_residents_apart_and_refuses_nothing() {
    let app = with_youth_work().await;
    let mut adult = advice(json!({ "bsn": BSN }), "wmo-2015");
    adult["subject"]["ageGroup"] = json!("18-plus");
    let created = app.post("gemeente-wassenaar", "/v1/referrals", adult).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let seen = app.get("smow", created.headers["location"].clone()).await;
    let linked = app
        .post("gemeente-wassenaar", "/v1/consents", advice_consent(&app, json!({ "bsn": BSN, "match": noor() })))
        .await;
    assert_eq!(linked.status, 201, "{}", linked.text);
    recorded(&app, "sjjw", json!({ "match": noor() })).await;
    let (_, theirs) = sent(&app, "sjjw", json!({ "match": noor() })).await;
    assert_ne!(Some(theirs.as_str()), seen.text_at("/subject/pseudonym"), "somebody of 17 is not that adult");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_who_may_not_use_the_bsn_it_says_nothing() {
    let app = with_youth_work().await;
    // The municipality refers a resident to youth work, which thereby knows their pseudonym, and says how old they are.
    let mut to_youth_work = with_sections(
        json!({ "recipient": SJJW, "purpose": "youth-support", "phase": "case", "legalBasis": "jeugdwet",
            "subject": { "bsn": BSN, "ageGroup": "16-17" }, "onWithheld": "reject" }),
        &["question"],
    );
    let created = app.post("gemeente-wassenaar", "/v1/referrals", to_youth_work.clone()).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = created.headers["location"].clone();
    let pseudonym = app.get("sjjw", &path).await.text_at("/subject/pseudonym").unwrap().to_owned();
    let received = path.rsplit('/').next().unwrap();
    let mut answers = BTreeSet::new();
    for (bsn, stated, based_on) in [
        (BSN, "16-17", None),
        (BSN, "under-12", None),
        (OTHER_BSN, "16-17", None),
        (BSN, "16-17", Some(received)),
        (OTHER_BSN, "16-17", Some(received)),
    ] {
        for data in [None, Some(noor())] {
            let mut guess = advice(json!({ "bsn": bsn }), "consent");
            guess["subject"]["ageGroup"] = json!(stated);
            guess["basedOn"] = json!(based_on);
            if let Some(data) = data.filter(|_| stated == "16-17") {
                guess["subject"]["match"] = data;
            }
            let checked = app.post("sjjw", "/v1/referrals/_check", guess.clone()).await;
            let sent = app.post("sjjw", "/v1/referrals", guess).await;
            let of = |answer: &Answer| format!("{} {}", answer.status, shape(&answer.body));
            assert!(sent.status == 403 || based_on.is_some(), "{}", sent.text);
            answers.insert((based_on.is_some(), of(&checked), of(&sent)));
        }
    }
    assert_eq!(answers.len(), 2, "the right BSN is answered as the wrong one: {answers:?}");
    let refused = app.post("sjjw", "/v1/consents", advice_consent(&app, json!({ "bsn": BSN, "match": noor() }))).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    app.app().sequence().await.unwrap();
    let records = app.get("sjjw", "/v1/audit/records?limit=1000").await;
    let of_own_questions = records.body["items"].as_array().unwrap().iter();
    let named: Vec<&Value> = of_own_questions
        .filter(|record| matches!(record["kind"].as_str(), Some("check" | "decision")) && record["sender"] == SJJW)
        .map(|record| &record["subject"])
        .collect();
    assert!(named.len() > 3, "{}", records.text);
    assert!(named.iter().all(|subject| *subject == named[0] && **subject != json!(pseudonym)), "{named:?}");
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM subject_links").await, 0);
    // Its own pseudonym serves.
    to_youth_work = advice(json!({ "pseudonym": pseudonym }), "consent");
    let by_pseudonym = app.post("sjjw", "/v1/referrals/_check", to_youth_work).await;
    assert_eq!(by_pseudonym.status, 200, "{}", by_pseudonym.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_party_matches_nobody() {
    let mut app = TestApp::start().await;
    register(&mut app, "sjjw").await;
    // Named, and not signed: the resident is found, and nothing crosses.
    let checked = app.post("sjjw", "/v1/referrals/_check", advice(json!({ "match": noor() }), "consent")).await;
    assert_eq!(checked.text_at("/decision/sections/0/code"), Some("covenant-not-signed"), "{}", checked.text);
    let refused = app.post("sjjw", "/v1/referrals", advice(json!({ "match": noor() }), "consent")).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let mut to_itself = advice(json!({ "match": noor() }), "consent");
    to_itself["recipient"] = json!(MUNICIPALITY);
    assert_eq!(app.post("sjjw", "/v1/referrals", to_itself).await.status, 403);
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM subject_links").await, 1, "where it leads for it");
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM subject_pseudonyms").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tries_many_names_is_held_up_and_its_pseudonyms_go_on() {
    let app =
        TestApp::start_with(&[("SLUIS_LIMITS__MATCH_REQUESTS_PER_SECOND", "1"), ("SLUIS_LIMITS__MATCH_BURST", "2")])
            .await;
    let pseudonym = recorded(&app, "smow", json!({ "match": noor() })).await;
    recorded(&app, "smow", json!({ "match": twin() })).await;
    for answer in [
        try_to_record(&app, "smow", json!({ "match": noor() })).await,
        app.post("smow", "/v1/referrals/_check", advice(json!({ "match": noor() }), "consent")).await,
        unlink(&app, "smow", noor(), "wrong-resident").await,
    ] {
        assert_eq!((answer.status, answer.text_at("/code")), (429, Some("too-many-requests")), "{}", answer.text);
    }
    recorded(&app, "smow", json!({ "pseudonym": pseudonym })).await;
    recorded(&app, "mee", json!({ "match": noor() })).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_match_that_is_said_and_used_at_the_same_moment_one_thing_is_kept() {
    let app = with_youth_work().await;
    for round in 0..5 {
        let mut data = noor();
        data["givenName"] = json!(format!("Noor{}", "abcde".get(round..=round).unwrap()));
        let attempts = (0..8).map(|number| {
            let bsn = if number % 2 == 0 { BSN } else { OTHER_BSN };
            let subject = if number < 4 {
                json!({ "bsn": bsn, "match": data.clone() })
            } else {
                json!({ "match": data.clone() })
            };
            try_to_record(&app, "mee", subject)
        });
        let answers = futures_util::future::join_all(attempts).await;
        let settled = recorded(&app, "mee", json!({ "match": data.clone() })).await;
        for (number, answer) in answers.iter().enumerate() {
            if answer.status == 201 {
                assert_eq!(answer.text_at("/subject/pseudonym"), Some(settled.as_str()), "{number}");
            } else {
                assert_eq!(wrong(answer), CONTRADICTED, "{}", answer.text);
            }
        }
        assert!(answers.iter().any(|answer| answer.status == 201));
    }
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM subject_links").await, 5);
    app.finish().await;
}
