//! Consent, secrecy release and care agreement at the running gateway: none stands in for another, each only from who can give it and for what it
//! says. Every substitution is tried, each with a resident of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{KWADRAAD, MEE, MUNICIPALITY, SMOW, TestApp, with_sections};

const JGZ: &str = "00000099000000005000";
const KINDS: [&str; 3] = ["care-agreement", "consent", "secrecy-release"];
const DAY: Duration = Duration::from_hours(24);

/// A hand-over of one section, and the kinds of record that it needs.
#[derive(Clone, Copy)]
struct Situation {
    who: &'static str,
    recipient: &'static str,
    purpose: &'static str,
    phase: &'static str,
    basis: &'static str,
    category: &'static str,
    needs: &'static [&'static str],
}

/// Under secrecy, by consent, and special.
const SPECIAL_UNDER_SECRECY: Situation = Situation {
    who: "kwadraad",
    recipient: SMOW,
    purpose: "welfare-support",
    phase: "case",
    basis: "consent",
    category: "meaning",
    needs: &["consent", "secrecy-release"],
};
/// Under secrecy, by law, where the resident must agree to be helped.
const TRIAGE_UNDER_SECRECY: Situation = Situation {
    who: "kwadraad",
    recipient: MUNICIPALITY,
    purpose: "triage",
    phase: "triage",
    basis: "wmo-2015",
    category: "question",
    needs: &["care-agreement", "secrecy-release"],
};
/// By consent alone.
const BY_CONSENT: Situation = Situation {
    who: "mee",
    recipient: SMOW,
    purpose: "welfare-support",
    phase: "case",
    basis: "consent",
    category: "question",
    needs: &["consent"],
};
/// By law, special, and the covenant lists no ground.
const SPECIAL_BY_LAW: Situation = Situation {
    who: "gemeente-wassenaar",
    recipient: JGZ,
    purpose: "youth-health",
    phase: "case",
    basis: "jeugdwet",
    category: "physical-health",
    needs: &["consent"],
};
const SITUATIONS: [Situation; 4] = [SPECIAL_UNDER_SECRECY, TRIAGE_UNDER_SECRECY, BY_CONSENT, SPECIAL_BY_LAW];

impl Situation {
    /// The code with which it is refused when this is the first kind that it lacks.
    fn refusal(&self, lacks: &str) -> &'static str {
        match lacks {
            "care-agreement" => "care-agreement-missing",
            "secrecy-release" => "secrecy-release-missing",
            _ if self.basis == "consent" => "consent-missing",
            _ => "explicit-consent-missing",
        }
    }

    /// A record of this kind with which it is permitted.
    fn record(&self, app: &TestApp, kind: &str, bsn: &str) -> Value {
        let now = app.app().now();
        let mut record = json!({
            "kind": kind, "subject": { "bsn": bsn }, "givenBy": "resident", "explicit": true,
            "recipients": [self.recipient], "purposes": [self.purpose],
            "validFrom": now.minus(DAY), "validUntil": now.plus(DAY), "obtainedAt": now.minus(DAY), "method": "digital",
        });
        if kind != "care-agreement" {
            record["categories"] = json!([self.category]);
        }
        record
    }

    /// The code with which the section is withheld; none when it is permitted.
    async fn asked(&self, app: &TestApp, bsn: &str, age_group: &str) -> Option<String> {
        let referral = json!({
            "recipient": self.recipient, "purpose": self.purpose, "phase": self.phase, "legalBasis": self.basis,
            "subject": { "bsn": bsn, "ageGroup": age_group }, "onWithheld": "reject",
        });
        let referral = with_sections(referral, &[self.category]);
        let checked = app.post(self.who, "/v1/referrals/_check", referral).await;
        assert_eq!(checked.status, 200, "{}", checked.text);
        checked.text_at("/decision/sections/0/code").map(str::to_owned)
    }
}

async fn record(app: &TestApp, who: &str, record: Value) -> String {
    let recorded = app.post(who, "/v1/consents", record).await;
    assert_eq!(recorded.status, 201, "{}", recorded.text);
    recorded.headers["location"].clone()
}

/// Test numbers that nobody else has: 99999 and four digits that pass the eleven-test.
struct Residents(std::ops::Range<u32>);

impl Residents {
    const fn new() -> Self {
        Self(999_991_000..1_000_000_000)
    }

    fn next(&mut self) -> String {
        let passes = |number: &u32| {
            let digits = number.to_string();
            let weights = [9, 8, 7, 6, 5, 4, 3, 2, -1];
            let sum: i32 = digits.bytes().zip(weights).map(|(digit, weight)| i32::from(digit - b'0') * weight).sum();
            sum % 11 == 0
        };
        self.0.find(passes).unwrap().to_string()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kind_of_record_stands_in_for_another() {
    let app = TestApp::start().await;
    let mut residents = Residents::new();
    let mut permitted = 0;
    for situation in SITUATIONS {
        for chosen in 0..8_u8 {
            let kinds: Vec<&str> =
                KINDS.into_iter().enumerate().filter(|(at, _)| chosen & (1 << at) != 0).map(|(_, kind)| kind).collect();
            let bsn = residents.next();
            for kind in &kinds {
                // Twice: two of a kind are no more than one.
                for _ in 0..2 {
                    record(&app, situation.who, situation.record(&app, kind, &bsn)).await;
                }
            }
            let lacks = KINDS.into_iter().find(|kind| situation.needs.contains(kind) && !kinds.contains(kind));
            let expected = lacks.map(|kind| situation.refusal(kind));
            let found = situation.asked(&app, &bsn, "18-plus").await;
            assert_eq!(found.as_deref(), expected, "{} with {kinds:?}", situation.purpose);
            permitted += usize::from(found.is_none());
        }
    }
    assert_eq!(permitted, 2 + 2 + 4 + 4, "each with what it needs, whatever else there is");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_counts_only_from_who_can_give_it_at_that_age() {
    let app = TestApp::start().await;
    let mut residents = Residents::new();
    let givers = [
        ("resident", None),
        ("parent", None),
        ("parent-and-child", None),
        ("representative", Some("guardian")),
        ("representative", Some("curator")),
        ("representative", Some("mentor")),
    ];
    let valid: BTreeSet<(&str, &str)> =
        [("under-12", "parent"), ("12-15", "parent-and-child"), ("16-17", "resident"), ("18-plus", "resident")].into();
    for situation in [SPECIAL_UNDER_SECRECY, TRIAGE_UNDER_SECRECY] {
        for kind in situation.needs {
            for age in ["under-12", "12-15", "16-17", "18-plus"] {
                for (giver, representative) in givers {
                    let bsn = residents.next();
                    for other in situation.needs {
                        let mut given = situation.record(&app, other, &bsn);
                        // Whoever represents the resident can give the others at any age.
                        given["givenBy"] = json!("representative");
                        given["representativeKind"] = json!("guardian");
                        if other == kind {
                            (given["givenBy"], given["representativeKind"]) = (json!(giver), json!(representative));
                        }
                        record(&app, situation.who, given).await;
                    }
                    let counts = representative.is_some() || valid.contains(&(age, giver));
                    let expected = (!counts).then(|| situation.refusal(kind));
                    let found = situation.asked(&app, &bsn, age).await;
                    assert_eq!(found.as_deref(), expected, "{kind} by {giver} {representative:?} at {age}");
                }
            }
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_records_do_not_make_parent_and_child_nor_one_that_names_all() {
    let app = TestApp::start().await;
    let mut residents = Residents::new();
    let situation = BY_CONSENT;
    let bsn = residents.next();
    for giver in ["parent", "resident"] {
        let mut given = situation.record(&app, "consent", &bsn);
        given["givenBy"] = json!(giver);
        record(&app, situation.who, given).await;
    }
    assert_eq!(situation.asked(&app, &bsn, "12-15").await.as_deref(), Some("consent-missing"));
    // One names the recipient, another the category.
    let bsn = residents.next();
    let mut recipient = situation.record(&app, "consent", &bsn);
    recipient["categories"] = json!(["contact"]);
    let mut category = situation.record(&app, "consent", &bsn);
    category["recipients"] = json!([KWADRAAD]);
    record(&app, situation.who, recipient).await;
    record(&app, situation.who, category).await;
    assert_eq!(situation.asked(&app, &bsn, "18-plus").await.as_deref(), Some("consent-missing"));
    app.finish().await;
}

/// Ways in which a record is not what is needed, each by itself.
const DEFECTS: &[&str] = &[
    "of another resident",
    "by another organisation",
    "for another recipient",
    "for another purpose",
    "of another category",
    "run out",
    "not yet valid",
    "withdrawn",
    "not explicit",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_counts_only_for_what_it_says() {
    let app = TestApp::start().await;
    let mut residents = Residents::new();
    let now = app.app().now();
    for situation in SITUATIONS {
        for kind in situation.needs {
            for defect in DEFECTS {
                let special = situation.category != "question";
                if (*defect == "of another category" && *kind == "care-agreement")
                    || (*defect == "not explicit" && !(*kind == "consent" && special))
                {
                    continue;
                }
                let bsn = residents.next();
                for other in situation.needs.iter().filter(|other| *other != kind) {
                    record(&app, situation.who, situation.record(&app, other, &bsn)).await;
                }
                let mut given = situation.record(&app, kind, &bsn);
                let mut recorder = situation.who;
                match *defect {
                    "of another resident" => given["subject"]["bsn"] = json!(residents.next()),
                    "by another organisation" => recorder = "kredietbank",
                    "for another recipient" => given["recipients"] = json!([MEE]),
                    "for another purpose" => given["purposes"] = json!(["information-and-advice"]),
                    "of another category" => given["categories"] = json!(["contact"]),
                    "run out" => given["validUntil"] = json!(now.minus(Duration::from_secs(1))),
                    "not yet valid" => given["validFrom"] = json!(now.plus(Duration::from_hours(1))),
                    "not explicit" => given["explicit"] = json!(false),
                    _ => {}
                }
                let path = record(&app, recorder, given).await;
                if *defect == "withdrawn" {
                    let reason = json!({ "reasonCode": "resident-asked" });
                    assert_eq!(app.post(recorder, format!("{path}/withdrawals"), reason).await.status, 201);
                }
                let code = if *defect == "not explicit" { "explicit-consent-missing" } else { situation.refusal(kind) };
                let found = situation.asked(&app, &bsn, "18-plus").await;
                assert_eq!(found.as_deref(), Some(code), "{} with a {kind} {defect}", situation.purpose);
                // With one that says what is needed it is permitted.
                record(&app, situation.who, situation.record(&app, kind, &bsn)).await;
                assert_eq!(situation.asked(&app, &bsn, "18-plus").await, None, "{} {kind}", situation.purpose);
            }
        }
    }
    app.finish().await;
}
