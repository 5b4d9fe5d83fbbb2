//! Tests of reading, checking and digesting a covenant.

use std::path::Path;

use super::*;
use crate::clock::Timestamp;
use crate::lifecycle::terms::{Duty, Terms};

fn example() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/covenant.toml")).unwrap()
}

fn findings_of(text: &str) -> Vec<String> {
    Covenant::parse(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_example_covenant_names_all_parties_and_rows() {
    let covenant = Covenant::parse(&example()).unwrap();
    assert_eq!(covenant.parties.len(), 13);
    assert_eq!(covenant.categories.len(), 15);
    assert_eq!(covenant.purposes.len(), 14);
    assert_eq!(covenant.municipality().unwrap().oin.as_str(), "00000099000000001000");
    let under_secrecy: Vec<_> =
        covenant.parties.iter().filter(|party| party.secrecy_source.is_some()).map(|party| party.id.as_str()).collect();
    assert_eq!(under_secrecy, ["kwadraad", "jgz"]);
    let without_bsn: Vec<_> =
        covenant.parties.iter().filter(|party| party.bsn_law.is_none()).map(|party| party.id.as_str()).collect();
    assert_eq!(without_bsn, ["sjjw"]);
    let acting: Vec<_> = covenant.parties.iter().filter(|party| !party.acts_for.is_empty()).collect();
    assert_eq!(acting.len(), 1);
    assert_eq!(acting[0].id.as_str(), "gemeente-leidschendam-voorburg");
    assert_eq!(acting[0].acts_for, ["work-and-income".parse().unwrap()]);
}

#[test]
fn only_another_municipality_acts_for_the_municipality_and_only_where_a_row_names_it() {
    let line = "acts-for = [\"work-and-income\"]\n";
    let wrong = |from: &str, to: &str| {
        let text = example().replace(line, "").replace(from, to);
        let findings = Covenant::parse(&text).unwrap_err().to_string();
        assert!(findings.contains("acts-for"), "{findings}");
    };
    for party in ["name = \"Gemeente Wassenaar\"\n", "name = \"Kredietbank\"\n", "name = \"Gemeente Voorschoten\"\n"] {
        wrong(party, &format!("{party}{line}"));
    }
    let acting = "name = \"Gemeente Leidschendam-Voorburg\"\n";
    for purposes in ["\"triage\"", "\"work-and-income\", \"marketing\"", "\"Work\""] {
        wrong(acting, &format!("{acting}acts-for = [{purposes}]\n"));
    }
}

#[test]
fn the_values_of_the_example_are_those_agreed_on() {
    let covenant = Covenant::parse(&example()).unwrap();
    assert_eq!(covenant.values.aggregation_threshold, 10);
    assert_eq!(covenant.values.consent_max_months, 12);
    assert_eq!(covenant.deadlines.general.received_working_days, 3);
    assert_eq!(covenant.deadlines.general.decided_working_days, 5);
    assert_eq!(covenant.deadlines.general.sender_acts_working_days, 5);
    assert_eq!(covenant.deadlines.general.extension_weeks, 8);
}

#[test]
fn a_purpose_has_its_own_terms_and_the_general_ones_for_the_rest() {
    let covenant = Covenant::parse(&example()).unwrap();
    let terms = |purpose: &str| covenant.terms(&purpose.parse().unwrap(), 100);
    let (general, debts, safety) = (terms("social-work"), terms("debt-counselling"), terms("safety-concern"));
    assert_eq!((general.received, general.decided, general.sender_acts, general.again), (3, 5, 5, 3));
    assert_eq!((debts.received, debts.decided, debts.sender_acts, debts.again), (1, 10, 5, 3));
    assert_eq!((safety.received, safety.decided, safety.sender_acts, safety.again), (1, 1, 1, 1));
    for own in [&debts, &safety] {
        let rest = |terms: &Terms| (terms.extension_weeks, terms.hold, terms.cancellation, terms.reopen_days);
        assert_eq!((rest(own), &own.pausing), (rest(&general), &general.pausing));
    }
}

#[test]
fn a_priority_shortens_the_terms_of_a_purpose_too() {
    let covenant = Covenant::parse(&example()).unwrap();
    // Monday 23 November 2026.
    let monday: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    let ends = |purpose: &str, percent: u32| {
        let terms = covenant.terms(&purpose.parse().unwrap(), percent);
        let received = terms.due_at(Duty::Receive, monday, monday);
        // At its last moment.
        let decided = terms.due_at(Duty::Decide, monday, received.minus(std::time::Duration::from_secs(1)));
        [received, decided].map(|end| end.to_string()[..10].to_owned())
    };
    // An end is the midnight after the last day, in UTC the evening of that day.
    assert_eq!(ends("debt-counselling", 100), ["2026-11-24", "2026-12-08"], "eleven working days together");
    assert_eq!(ends("debt-counselling", covenant.deadlines.priority_percent.stat), ["2026-11-24", "2026-11-26"]);
    assert_eq!(ends("social-work", 100), ["2026-11-26", "2026-12-03"]);
    assert_eq!(ends("safety-concern", covenant.deadlines.priority_percent.stat), ["2026-11-24", "2026-11-25"]);
}

#[test]
fn every_mistake_in_the_terms_of_purposes_is_named_at_once() {
    let wrong = r#"
[deadlines.purposes.safety-concrn]
received-within-working-days = 1

[deadlines.purposes.steering-information]
decided-within-working-days = 2

[deadlines.purposes.social-work]
received-within-working-days = 0
decided-within-working-days = 101
decided-in-working-days = 3
coordinator-answers-within-working-days = 3
on-hold-pauses-for = ["holiday"]

[deadlines.purposes.youth-health]

[deadlines.purposes.youth-support]
extension-at-most-weeks = 1
received-within-working-days = 2

[deadlines.purposes."Work and income"]
decided-within-working-days = 2

[retention-days]
"#;
    let findings = findings_of(&example().replace("[retention-days]\n", wrong));
    let expected = [
        "purposes.safety-concrn: \"safety-concrn\" is no purpose",
        "purposes.steering-information: no row hands anything over",
        "purposes.social-work.received-within-working-days: must be a whole number from 1 to 100",
        "purposes.social-work.decided-within-working-days: must be a whole number from 1 to 100",
        "purposes.social-work.decided-in-working-days: unknown key",
        "purposes.social-work.coordinator-answers-within-working-days: unknown key",
        "purposes.social-work.on-hold-pauses-for: \"holiday\"",
        "purposes.youth-health: names no term",
        "purposes.youth-support.extension-at-most-weeks: must reach further than",
        "purposes.Work and income: ",
    ];
    for place in expected {
        let place = format!("covenant.toml: deadlines.{place}");
        assert_eq!(
            findings.iter().filter(|finding| finding.starts_with(&place)).count(),
            1,
            "{place} in\n{findings:#?}"
        );
    }
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
}

#[test]
fn an_extension_reaches_further_than_what_it_extends() {
    let findings = findings_of(&example().replace("extension-at-most-weeks = 8", "extension-at-most-weeks = 1"));
    assert!(
        findings[0].starts_with("covenant.toml: deadlines.extension-at-most-weeks: must reach further"),
        "{findings:?}"
    );
}

#[test]
fn without_terms_of_purposes_all_are_the_general_ones() {
    let text = example();
    let (own, kept) =
        (text.find("# Terms that a purpose has").unwrap(), text.find("# Days that something is kept").unwrap());
    let covenant = Covenant::parse(&format!("{}{}", &text[..own], &text[kept..])).unwrap();
    assert!(covenant.deadlines.purposes.is_empty());
    let terms = |purpose: &str| covenant.terms(&purpose.parse().unwrap(), 100);
    assert_eq!(terms("safety-concern"), terms("social-work"));
}

#[test]
fn a_covenant_that_does_not_say_how_long_a_confirmation_takes_gives_ten_working_days() {
    const KEY: &str = "withdrawal-confirmed-within-working-days = 10\n";
    let of = |text: &str| Covenant::parse(text).unwrap().deadlines.confirmation_working_days;
    assert!(example().contains(KEY));
    assert_eq!(of(&example().replace(KEY, "")), 10);
    assert_eq!(of(&example().replace(KEY, "withdrawal-confirmed-within-working-days = 3\n")), 3);
    let findings = findings_of(&example().replace(KEY, "withdrawal-confirmed-within-working-days = 0\n"));
    assert!(findings[0].contains("deadlines.withdrawal-confirmed-within-working-days"), "{findings:?}");
}

#[test]
fn all_errors_are_named_at_once_with_their_place() {
    let text = example()
        .replace("aggregation-threshold = 10", "aggregation-treshold = 10")
        .replace("kind = \"partner\"\nsecrecy-source", "kind = \"partnr\"\nsecrecy-source")
        .replace("phase = \"triage\"\nbases = [\"consent\"", "phase = \"trage\"\nbases = [\"consent\"");
    let findings = findings_of(&text).join("\n");
    for place in [
        "values.aggregation-threshold: must be a whole number",
        "values.aggregation-treshold: unknown key",
        "parties[kwadraad].kind",
        "parties[jgz].kind",
        "purposes[information-and-advice].phase",
    ] {
        assert!(findings.contains(place), "{place} not in\n{findings}");
    }
}

#[test]
fn references_must_resolve() {
    let text = example()
        .replace(
            "to = [\"kredietbank\"]\nbases = [\"consent\"]\nmunicipality-bases = [\"wgs\"]",
            "to = [\"kredietbnk\"]\nbases = [\"consent\"]\nmunicipality-bases = [\"wsg\"]",
        )
        .replace("municipality = \"gemeente-wassenaar\"", "municipality = \"wassenaar\"");
    let findings = findings_of(&text).join("\n");
    for place in [
        "roles.municipality: \"wassenaar\" is no party",
        "rows[debt-counselling].to: \"kredietbnk\" is no party",
        "rows[debt-counselling].bases: the purpose does not accept \"wsg\"",
        "purposes[debt-counselling].bases: no row of this purpose uses \"wgs\"",
    ] {
        assert!(findings.contains(place), "{place} not in\n{findings}");
    }
}

#[test]
fn each_party_receives_for_the_purposes_of_its_rows_and_for_no_emergency_in_ordinary_times() {
    let covenant = Covenant::parse(&example()).unwrap();
    let to = |party: &str| {
        let purposes = covenant.purposes_to(covenant.party(party).unwrap());
        purposes.into_iter().map(PurposeCode::as_str).collect::<Vec<_>>()
    };
    let advice = "information-and-advice";
    assert_eq!(to("kredietbank"), [advice, "debt-counselling", "case-coordination"]);
    assert_eq!(to("jit"), [advice, "youth-support", "case-coordination"]);
    assert_eq!(to("veilig-thuis"), [advice, "case-coordination", "safety-concern"]);
    assert_eq!(to("gemeente-voorschoten"), [advice]);
    let municipality =
        [advice, "triage", "access-investigation", "case-coordination", "process-direction", "safety-concern"];
    assert_eq!(to("gemeente-wassenaar"), municipality);
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    let findings = findings_of("version = \"1\"\neffective-from = = 3\n");
    assert!(findings[0].starts_with("covenant.toml line 2"), "{findings:?}");
}

fn files(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, Vec<u8>> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

#[test]
fn the_digest_follows_the_documented_form() {
    let bundle = Bundle::from_files(files(&[("covenant.toml", "a"), ("schema.cedarschema", "bc")])).unwrap();
    let mut bytes = Vec::new();
    for (name, content) in [("covenant.toml", "a"), ("schema.cedarschema", "bc")] {
        bytes.extend((name.len() as u64).to_be_bytes());
        bytes.extend((content.len() as u64).to_be_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(content.as_bytes());
    }
    let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    assert_eq!(bundle.digest().as_str(), format!("sha-256:{}", hex::encode(expected)));
}

#[test]
fn every_byte_and_every_name_changes_the_digest() {
    let digest = |pairs: &[(&str, &str)]| Bundle::from_files(files(pairs)).unwrap().digest().clone();
    let base = digest(&[("covenant.toml", "a"), ("schema.cedarschema", "b"), ("x.cedar", "cd")]);
    assert_ne!(base, digest(&[("covenant.toml", "a"), ("schema.cedarschema", "b"), ("x.cedar", "ce")]));
    assert_ne!(base, digest(&[("covenant.toml", "a"), ("schema.cedarschema", "b"), ("y.cedar", "cd")]));
    assert_ne!(base, digest(&[("covenant.toml", "ab"), ("schema.cedarschema", ""), ("x.cedar", "cd")]));
}

#[test]
fn a_foreign_or_missing_file_makes_no_bundle() {
    let error = Bundle::from_files(files(&[("covenant.toml", "a"), ("../evil.cedar", "")])).unwrap_err().to_string();
    assert!(
        error.contains("schema.cedarschema: is missing") && error.contains("../evil.cedar: does not belong"),
        "{error}"
    );
}
