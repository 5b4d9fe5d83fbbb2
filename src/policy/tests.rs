//! Tests of the policy engine: the example cases, what a broken folder says, and properties over arbitrary requests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use uuid::Uuid;

use super::facts::plus_months;
use super::*;
use crate::covenant::{Bundle, CategoryCode, Covenant, Phase};
use crate::ids::Oin;

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

pub(super) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        Engine::new(&Bundle::from_folder(&folder()).unwrap()).unwrap_or_else(|findings| panic!("{findings}"))
    })
}

pub(super) fn covenant() -> &'static Covenant {
    engine().covenant()
}

pub(super) fn oin(slug: &str) -> Oin {
    covenant().party(slug).unwrap().oin.clone()
}

pub(super) fn code<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// The referral of the contract's example.
pub(super) fn debt_counselling(sections: &[&str]) -> Request {
    let (sender, recipient) = (oin("gemeente-wassenaar"), oin("kredietbank"));
    Request {
        action: Action::Refer,
        giver: sender.clone(),
        giver_standing: Standing::GOOD,
        receiver: recipient.clone(),
        receiver_standing: Standing::GOOD,
        referral: ReferralTerms {
            sender,
            recipient,
            purpose: code("debt-counselling"),
            phase: Phase::Case,
            basis: code("wgs"),
        },
        subject: SubjectFacts { age_group: Some(AgeGroup::Adult), age_group_contradicted: false, by_bsn: true },
        case: CaseFacts::default(),
        break_glass: None,
        rights: RightsFacts::default(),
        sections: sections.iter().map(|section| code(section)).collect(),
        carried: Vec::new(),
        records: Vec::new(),
        now: code("2026-11-15T12:00:00Z"),
    }
}

#[test]
fn the_example_cases_hold() {
    let report = commands::test(&folder()).unwrap_or_else(|findings| panic!("{findings}"));
    assert!(report.ok(), "{report}");
    assert!(report.cases >= 110, "{report}");
    assert!(report.refusals * 2 > report.cases, "refusals must be the majority\n{report}");
    assert_eq!(report.permits_without_case, Vec::<String>::new(), "every permit must be reachable");
    assert_eq!(report.forbids_without_case, Vec::<String>::new(), "every rule must decide in one of them");
}

#[test]
fn the_check_counts_what_is_there() {
    let report = commands::check(&folder()).unwrap();
    assert_eq!((report.parties, report.purposes, report.rows), (13, 14, 24));
    assert_eq!(report.permits, commands::generated(&folder()).unwrap().matches("\npermit (").count());
}

#[test]
fn the_decision_of_the_contracts_example() {
    let decision = engine().decide(&debt_counselling(&["question", "finance", "mental-health", "housing"]));
    let sections = serde_json::to_value(decision.sections()).unwrap();
    assert_eq!(
        sections,
        serde_json::json!([
            {"category": "question", "effect": "permit", "code": null, "rules": ["debt-counselling-core"], "remedy": null, "remedies": []},
            {"category": "finance", "effect": "permit", "code": null, "rules": ["debt-counselling-finance"], "remedy": null, "remedies": []},
            {"category": "mental-health", "effect": "withhold", "code": "category-never-for-recipient",
             "rules": ["credit-bank-no-health"], "remedy": null, "remedies": []},
            {"category": "housing", "effect": "permit", "code": null, "rules": ["debt-counselling-housing"], "remedy": null, "remedies": []},
        ])
    );
    assert_eq!(decision.outcome(OnWithheld::Minimise), Outcome::Minimised);
    assert_eq!(decision.outcome(OnWithheld::Reject), Outcome::Refused);
    assert!(decision.permit(OnWithheld::Reject).is_none());
}

#[test]
fn a_permitted_section_names_the_records_it_rests_on() {
    let mut request = debt_counselling(&["finance", "contact"]);
    request.giver = oin("kwadraad");
    request.referral.sender = oin("kwadraad");
    request.referral.basis = code("consent");
    let release = ConsentRecord { kind: RecordKind::SecrecyRelease, ..record(2, "kwadraad", "kredietbank") };
    let foreign = record(3, "smow", "kredietbank");
    request.records = vec![record(1, "kwadraad", "kredietbank"), release, foreign];
    let decision = engine().decide(&request);
    assert_eq!(decision.consents(), vec![Uuid::from_u128(1), Uuid::from_u128(2)]);
}

#[test]
fn who_gives_must_be_who_refers() {
    let mut request = debt_counselling(&["finance"]);
    request.giver = oin("smow");
    let decision = engine().decide(&request);
    assert_eq!(decision.sections()[0].code(), Some(Code::NotEvaluable));
    assert_eq!(decision.sections()[0].rules(), ["referral-fits-giver-and-receiver"]);
}

#[test]
fn an_explanation_speaks_both_languages() {
    let request = debt_counselling(&["finance", "mental-health"]);
    let decision = engine().decide(&request);
    let explanation = explain::explain(engine(), &request, &decision, OnWithheld::Minimise);
    assert!(
        explanation.en().contains("mental health: is withheld, because this recipient never receives this category.")
    );
    assert!(explanation.nl().contains("psychische gezondheid: gaat niet door"));
    assert!(explanation.nl().contains("credit-bank-no-health: De kredietbank krijgt nooit"));
}

#[test]
fn every_answer_rule_and_remedy_is_a_sentence_in_both_languages() {
    let whole = |label: &crate::covenant::Label| {
        [&label.nl, &label.en].into_iter().all(|text| !text.trim().is_empty() && !text.contains(['{', '}']))
    };
    assert!(Outcome::ALL.into_iter().all(|outcome| whole(&explain::of_the_whole(outcome))));
    let (mut codes, mut rules, mut remedies) = (BTreeSet::new(), BTreeSet::new(), 0);
    for entry in std::fs::read_dir(folder().join("tests")).unwrap() {
        for case in commands::read_cases(&entry.unwrap().path()).unwrap().cases {
            let request = case.request(covenant()).unwrap();
            let decision = engine().decide(&request);
            let explanation = explain::explain(engine(), &request, &decision, case.on_withheld);
            assert!(whole(&explanation.answer) && whole(&explanation.question), "{}", case.name);
            for section in &explanation.sections {
                assert!(whole(&section.answer) && section.rules.iter().all(|rule| whole(&rule.text)), "{}", case.name);
                assert_eq!(
                    section.effect == Effect::Withhold,
                    section.needed.as_ref().is_some_and(whole),
                    "{}",
                    case.name
                );
                assert_eq!(section.remedy.as_ref(), section.remedies.first(), "{}", case.name);
                for remedy in &section.remedies {
                    let needed = section.needed.as_ref().unwrap();
                    assert!(needed.nl.contains(&remedy.nl) && needed.en.contains(&remedy.en), "{needed:?}");
                    remedies += 1;
                }
                codes.extend(section.code);
                rules.extend(section.rules.iter().map(|rule| rule.id.clone()));
            }
        }
    }
    // What stays behind because it was encrypted for somebody else is asked of no rule.
    let request = debt_counselling(&["finance"]);
    let decision = engine().decide(&request).leaving_out(&[code("social")]);
    let left_out = explain::explain(engine(), &request, &decision, OnWithheld::Minimise).sections.pop().unwrap();
    assert!(whole(&left_out.answer) && left_out.needed.as_ref().is_some_and(whole), "{left_out:?}");
    codes.extend(left_out.code);
    // The example cases lead to every rule, and to every reason that the example covenant can give.
    assert!(engine().rules().keys().all(|rule| rules.contains(rule)));
    let unheard: Vec<_> = Code::ALL.iter().filter(|code| !codes.contains(code)).collect();
    assert_eq!(unheard, [&Code::NotEvaluable; 0]);
    assert!(remedies > 50, "{remedies}");
}

#[test]
fn every_policy_and_every_number_is_in_the_documentation() {
    let page = std::fs::read_to_string(folder().join("../docs/policy.md")).unwrap();
    for rule in engine().rules().values().filter(|rule| rule.effect == Effect::Withhold) {
        assert!(page.contains(&format!("`{}`", rule.id)), "{} is not in docs/policy.md", rule.id);
    }
    for rule in HELD_ELSEWHERE {
        assert!(page.contains(&format!("`{}`", rule.id)), "{} is not in docs/policy.md", rule.id);
    }
    for code in Code::ALL {
        assert!(page.contains(&format!("`{code}`")), "{code} is not in docs/policy.md");
    }
    for rule in NUMBERED {
        let line = format!("| {} | {} |", rule.number, rule.en);
        assert!(page.contains(&line), "{line} is not in docs/policy.md");
    }
    for number in 1..=18_u8 {
        let held = engine().rules().values().any(|rule| rule.number == number)
            || HELD_ELSEWHERE.iter().any(|rule| rule.number == number);
        assert!(held, "rule {number} is held nowhere");
    }
}

// ---- what the resident asked by right ----

/// The example as it was before residents' rights could be recorded.
fn before_rights() -> Engine {
    let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
    files.remove("rights.cedar").unwrap();
    let schema = String::from_utf8(files["schema.cedarschema"].clone()).unwrap();
    let facts = ["objectionNotWeighed", "objectionUpheld", "restricted"].map(|fact| format!("  {fact}: Bool,\n"));
    let mut older = facts.iter().fold(schema, |schema, fact| {
        assert!(schema.contains(fact.as_str()), "{fact}");
        schema.replace(fact, "")
    });
    let (from, to) = (older.find("entity Basis in [BasisKind] {").unwrap(), older.find("entity Phase").unwrap());
    older.replace_range(from..to, "entity Basis in [BasisKind];\n\n");
    files.insert("schema.cedarschema".to_owned(), older.into_bytes());
    Engine::new(&Bundle::from_files(files).unwrap()).unwrap_or_else(|findings| panic!("{findings}"))
}

#[test]
fn rules_of_before_there_were_objections_refuse_what_one_is_about() {
    let engine = before_rights();
    let mut request = debt_counselling(&["finance"]);
    let effect = |request: &Request| {
        let decision = engine.decide(request);
        (decision.sections()[0].effect(), decision.sections()[0].code())
    };
    assert_eq!(effect(&request), (Effect::Permit, None), "they decide as they did");
    for rights in [
        RightsFacts { objection: Some(Objection::NotWeighed), restricted: false },
        RightsFacts { objection: Some(Objection::Upheld), restricted: false },
        RightsFacts { objection: None, restricted: true },
    ] {
        request.rights = rights;
        assert_eq!(effect(&request), (Effect::Withhold, Some(Code::NotEvaluable)), "{rights:?}");
    }
}

#[test]
fn a_schema_with_the_facts_but_without_the_rules_refuses_too() {
    let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
    let rules = String::from_utf8(files["rights.cedar"].clone()).unwrap();
    for gone in ["objection-not-weighed", "objection-upheld", "processing-restricted"] {
        let kept: Vec<&str> =
            rules.split("@id(").skip(1).filter(|rule| !rule.starts_with(&format!("\"{gone}\""))).collect();
        assert_eq!(kept.len(), 2);
        files.insert("rights.cedar".to_owned(), format!("@id({}", kept.join("@id(")).into_bytes());
        let engine = Engine::new(&Bundle::from_files(files.clone()).unwrap()).unwrap();
        let rights = RightsFacts { objection: Some(Objection::NotWeighed), restricted: true };
        let decision = engine.decide(&Request { rights, ..debt_counselling(&["finance"]) });
        assert_eq!(decision.sections()[0].code(), Some(Code::NotEvaluable), "without {gone}");
        assert_eq!(engine.decide(&debt_counselling(&["finance"])).sections()[0].effect(), Effect::Permit);
    }
}

#[test]
fn a_schema_with_half_of_the_facts_about_rights_does_not_load() {
    let findings = broken(|files| {
        let schema = String::from_utf8(files["schema.cedarschema"].clone()).unwrap();
        files.insert("schema.cedarschema".to_owned(), schema.replace("  restricted: Bool,\n", "").into_bytes());
    });
    assert!(findings.contains("does not fit the facts"), "{findings}");
}

#[test]
fn a_record_of_before_there_were_objections_is_taken_again_as_if_nothing_was_asked() {
    let request = debt_counselling(&["finance"]);
    let terms = || Terms {
        giver: request.giver.clone(),
        receiver: request.receiver.clone(),
        purpose: request.referral.purpose.clone(),
        phase: request.referral.phase,
        basis: request.referral.basis.clone(),
        sections: request.sections.clone(),
    };
    let kept = serde_json::to_value(KeptFacts::of(&request, OnWithheld::Reject)).unwrap();
    assert!(kept.get("rights").is_none(), "a record in which nothing was asked is as it was: {kept}");
    let again: KeptFacts = serde_json::from_value(kept).unwrap();
    assert_eq!(again.request(terms()), request);
    let rights = RightsFacts { objection: Some(Objection::Upheld), restricted: true };
    let asked = Request { rights, ..request.clone() };
    let kept = serde_json::to_value(KeptFacts::of(&asked, OnWithheld::Reject)).unwrap();
    let again: KeptFacts = serde_json::from_value(kept).unwrap();
    assert_eq!(again.request(terms()), asked);
}

// ---- a broken folder ----

fn broken(change: impl Fn(&mut BTreeMap<String, Vec<u8>>)) -> String {
    let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
    change(&mut files);
    match Bundle::from_files(files).and_then(|bundle| Engine::new(&bundle)) {
        Ok(_) => panic!("a broken folder must not load"),
        Err(findings) => findings.to_string(),
    }
}

fn replaced(file: &str, from: &str, to: &str) -> String {
    broken(|files| {
        let text = String::from_utf8(files[file].clone()).unwrap();
        assert!(text.contains(from), "{from} is not in {file}");
        files.insert(file.to_owned(), text.replacen(from, to, 1).into_bytes());
    })
}

#[test]
fn a_rule_that_mentions_what_the_covenant_lacks_does_not_load() {
    for (from, to, said) in [
        ("Party::\"mee\"", "Party::\"mea\"", "mentions Party \"mea\""),
        ("Purpose::\"safety-concern\"", "Purpose::\"safety\"", "mentions Purpose \"safety\""),
        ("Category::\"finance\"", "Category::\"finances\"", "mentions Category \"finances\""),
        ("BasisKind::\"law\"", "BasisKind::\"laws\"", "mentions BasisKind \"laws\""),
        ("Role::\"municipality\"", "Role::\"mayor\"", "mentions Role \"mayor\""),
    ] {
        let findings = replaced("never.cedar", from, to);
        assert!(findings.contains(said), "{findings}");
    }
}

#[test]
fn a_rule_that_does_not_type_check_does_not_load() {
    for (from, to) in [
        ("principal.mayUseBsn", "principal.mayUseBSN"),
        ("AgeGroup::\"18-plus\"", "AgeGroup::\"18plus\""),
        ("context.sender == context.recipient", "context.sender == context.purpose"),
        ("context.category == Category::\"bsn\"", "context.category == \"bsn\""),
    ] {
        let findings = replaced("never.cedar", from, to);
        assert!(findings.contains("rule "), "{from}: {findings}");
    }
}

#[test]
fn a_rule_without_its_annotations_does_not_load() {
    for (from, to, said) in [
        ("@id(\"sender-is-not-recipient\")\n", "", "needs an @id"),
        ("@code(\"sender-is-recipient\")", "@code(\"because\")", "needs a @code"),
        ("@order(\"100\")", "@order(\"first\")", "needs an @order"),
        ("@order(\"100\")", "@order(\"110\")", "same @order"),
        ("@rule(\"1\")", "@rule(\"19\")", "needs a @rule"),
        ("@en(\"A party does not refer to itself.\")\n", "", "needs @en"),
        ("@id(\"sender-is-not-recipient\")", "@id(\"credit-bank-no-health\")", "same @id"),
        ("@order(\"100\")", "@order(\"100\")\n@colour(\"red\")", "unknown annotation @colour"),
    ] {
        let findings = replaced("never.cedar", from, to);
        assert!(findings.contains(said), "{said} not in\n{findings}");
    }
    let findings = replaced("standing.cedar", "have {giver} sign", "have {gvier} sign");
    assert!(findings.contains("leaves open"), "{findings}");
}

#[test]
fn a_permit_written_by_hand_does_not_load() {
    let findings = broken(|files| {
        let text = "@id(\"mine\") @code(\"consent-missing\") @order(\"999\") @rule(\"1\") @nl(\"x\") @en(\"x\")\n\
                    permit (principal, action in Action::\"give\", resource);";
        files.insert("mine.cedar".to_owned(), text.as_bytes().to_vec());
    });
    assert!(findings.contains("permits come only from the rows"), "{findings}");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let findings = broken(|files| {
        let never = String::from_utf8(files["never.cedar"].clone()).unwrap();
        files.insert("never.cedar".to_owned(), never.replacen("@rule(\"1\")", "@rule(\"0\")", 1).into_bytes());
        let records = String::from_utf8(files["records.cedar"].clone()).unwrap();
        files.insert("records.cedar".to_owned(), records.replace("forbid (", "forbid (( ").into_bytes());
        let covenant = String::from_utf8(files["covenant.toml"].clone()).unwrap();
        files.insert("covenant.toml".to_owned(), covenant.replacen("stat = 20", "stta = 20", 1).into_bytes());
    });
    for place in ["never.cedar", "records.cedar", "priority-percent.stta: unknown key"] {
        assert!(findings.contains(place), "{place} not in\n{findings}");
    }
}

#[test]
fn a_case_with_an_unknown_key_or_party_is_refused() {
    let case = "name = \"x\"\nfrom = \"smow\"\nto = \"mee\"\npurpose = \"client-support\"\nbasis = \"consent\"\n";
    assert!(commands::explain(&folder(), &format!("{case}agegroup = \"18-plus\"\n[expect]\nsocial = \"\"\n")).is_err());
    assert!(commands::explain(&folder(), &case.replace("mee", "mea").replace("basis", "expect = {}\nbasis")).is_err());
    let explanation =
        commands::explain(&folder(), &format!("{case}age-group = \"18-plus\"\n[expect]\nsocial = \"\"\n"));
    assert_eq!(explanation.unwrap().outcome, Outcome::Refused);
}

// ---- months ----

#[test]
fn twelve_months_end_on_the_same_day_or_the_last_of_the_month() {
    let plus = |from: &str, months| plus_months(code(from), months).unwrap().to_string();
    assert_eq!(plus("2026-11-01T10:00:00Z", 12), "2027-11-01T10:00:00Z");
    assert_eq!(plus("2028-02-29T00:00:00Z", 12), "2029-02-28T00:00:00Z");
    assert_eq!(plus("2026-12-31T00:00:00Z", 2), "2027-02-28T00:00:00Z");
}

// ---- minimising ----

#[derive(Debug, PartialEq)]
struct Section(CategoryCode, u32);

impl Categorised for Section {
    fn category(&self) -> &CategoryCode {
        &self.0
    }
}

#[test]
fn only_permitted_sections_pass() {
    let decision = engine().decide(&debt_counselling(&["finance", "mental-health"]));
    let permit = decision.permit(OnWithheld::Minimise).unwrap();
    let sections = vec![Section(code("finance"), 1), Section(code("mental-health"), 2), Section(code("housing"), 3)];
    assert_eq!(minimise(&permit, sections), vec![Section(code("finance"), 1)]);
}

pub(super) fn record(id: u128, by: &str, recipient: &str) -> ConsentRecord {
    ConsentRecord {
        id: Uuid::from_u128(id),
        kind: RecordKind::Consent,
        recorded_by: oin(by),
        given_by: GivenBy::Resident,
        representative: None,
        explicit: false,
        recipients: vec![oin(recipient)],
        purposes: vec![code("debt-counselling")],
        categories: vec![code("finance"), code("contact")],
        valid_from: code("2026-06-01T00:00:00Z"),
        valid_until: code("2027-06-01T00:00:00Z"),
        withdrawn_at: None,
    }
}
