//! Tests of reading, checking and digesting a covenant.

use std::path::Path;

use super::*;

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
}

#[test]
fn the_values_of_the_example_are_those_agreed_on() {
    let covenant = Covenant::parse(&example()).unwrap();
    assert_eq!(covenant.values.aggregation_threshold, 10);
    assert_eq!(covenant.values.consent_max_months, 12);
    assert_eq!(covenant.deadlines.received_working_days, 3);
    assert_eq!(covenant.deadlines.decided_working_days, 5);
    assert_eq!(covenant.deadlines.sender_acts_working_days, 5);
    assert_eq!(covenant.deadlines.extension_weeks, 8);
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
