//! The contract against the rest of the gateway: its operations and the routes are the same, its lists of codes are those
//! that the code can answer with. Whether answers fit it is checked wherever a test makes a request.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sluis::audit;
use sluis::covenant::{BasisKind, Covenant};
use sluis::http::contract::Contract;
use sluis::http::routes::ROUTES;
use sluis::policy;
use sluis::problem::Code;
use sluis::relay::EventType;
use sluis::replays;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::built_in().unwrap());

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The codes of a schema, without null.
fn codes(schema: &str) -> BTreeSet<String> {
    let codes = CONTRACT.json()["components"]["schemas"][schema]["enum"].as_array();
    let codes = codes.unwrap_or_else(|| panic!("{schema} is no list of codes"));
    codes.iter().filter_map(|code| code.as_str().map(str::to_owned)).collect()
}

fn set<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    texts.into_iter().map(|text| text.as_ref().to_owned()).collect()
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|given| given == extension) {
            found.push(path);
        }
    }
}

#[test]
fn every_operation_has_one_route_and_every_route_below_the_base_path_has_an_operation() {
    let base = format!("{}/", CONTRACT.base_path());
    let below = ROUTES.iter().filter(|route| route.path.starts_with(&base));
    let mut routes: Vec<String> = below.map(|route| format!("{} {}", route.method, route.path)).collect();
    let operations = CONTRACT.operations();
    let mut operations: Vec<String> = operations
        .map(|operation| format!("{} {}{}", operation.method, CONTRACT.base_path(), operation.path))
        .collect();
    routes.sort();
    operations.sort();
    assert_eq!(routes, operations);
}

#[test]
fn the_lists_of_codes_are_those_of_the_code() {
    assert_eq!(codes("SectionCodeOrNull"), set(policy::Code::ALL.iter().map(|code| code.as_str())));
    assert_eq!(codes("ProblemCode"), set(Code::ALL.iter().map(|code| code.as_str())));
    let explained = CONTRACT.json()["components"]["x-problems"].as_object().unwrap();
    assert_eq!(set(explained.keys()), codes("ProblemCode"), "the `type` of every problem leads to an explanation");
    assert_eq!(codes("EventType"), set(EventType::ALL.iter().map(|kind| kind.as_str())));
    assert_eq!(codes("CovenantChange"), set(replays::Change::ALL.iter().map(|change| change.as_str())));
    assert_eq!(codes("LeftOutCode"), set(replays::LeftOut::ALL.iter().map(|reason| reason.as_str())));
    assert_eq!(codes("AuditKind"), set(audit::Kind::ALL.iter().map(|kind| kind.as_str())));
}

#[test]
fn the_lists_of_codes_are_those_of_the_example_covenant() {
    let text = std::fs::read_to_string(root().join("policies/covenant.toml")).unwrap();
    let covenant = Covenant::parse(&text).unwrap();
    assert_eq!(codes("Purpose"), set(covenant.purposes.iter().map(|purpose| purpose.id.as_str())));
    assert_eq!(codes("Category"), set(covenant.categories.iter().map(|category| category.id.as_str())));
    assert_eq!(codes("LegalBasis"), set(covenant.bases.iter().map(|basis| basis.id.as_str())));
    let no_consent = covenant.bases.iter().filter(|basis| basis.kind != BasisKind::Consent);
    assert_eq!(codes("KeptBasis"), set(no_consent.map(|basis| basis.id.as_str())));
}

#[test]
fn the_remedies_are_those_of_the_rules() {
    let mut rules = Vec::new();
    files(&root().join("policies"), "cedar", &mut rules);
    let mut remedies = BTreeSet::new();
    for rule in rules {
        let text = std::fs::read_to_string(rule).unwrap();
        for annotation in ["@remedy(\"", "@remedy_note(\"", "@remedy_emergency(\""] {
            let after = text.split(annotation).skip(1);
            remedies.extend(after.filter_map(|rest| rest.split_once('"')).map(|(code, _)| code.to_owned()));
        }
    }
    assert!(remedies.len() > 10);
    remedies.insert(policy::ENCRYPT_AGAIN.to_owned());
    assert_eq!(codes("RemedyCode"), remedies);
}

/// The second argument of every call with this name, where it is a text.
fn second_arguments(source: &str, call: &str) -> Vec<String> {
    let argument = |rest: &str| {
        let mut depth = 0;
        let comma = rest.char_indices().find(|(_, c)| {
            depth += match c {
                '(' | '[' | '{' => 1,
                ')' | ']' | '}' => -1,
                _ => 0,
            };
            *c == ',' && depth == 0
        });
        let text = rest.get(comma?.0 + 1..)?.trim_start().strip_prefix('"')?;
        text.split_once('"').map(|(code, _)| code.to_owned())
    };
    source.split(call).skip(1).filter_map(argument).collect()
}

#[test]
fn the_codes_of_invalid_parameters_are_in_the_contract() {
    let mut sources = Vec::new();
    files(&root().join("src"), "rs", &mut sources);
    let (known, mut seen, mut strange) = (codes("InvalidParamCode"), 0, Vec::new());
    for path in sources {
        let source = std::fs::read_to_string(&path).unwrap();
        for call in ["InvalidParam::new(", "invalid_param("] {
            for code in second_arguments(&source, call) {
                seen += 1;
                if !known.contains(&code) {
                    strange.push(format!("{code} in {}", path.display()));
                }
            }
        }
    }
    assert_eq!(strange, [""; 0]);
    assert!(seen > 20, "only {seen} codes were found");
}
