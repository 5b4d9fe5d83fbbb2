//! The rules of the house, held by reading the sources: who may import what, which files stay pure, what every file begins with, and
//! that the documents speak of things that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with this extension, as paths from the root with `/`.
fn files(folder: &str, extension: &str) -> Vec<String> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|given| given == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), extension, &mut found);
    let relative = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
    let mut names: Vec<String> = found.iter().map(relative).collect();
    names.sort();
    names
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The lines that are code: no comments, and nothing from the tests at the end of a file.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| *line != "mod tests {").filter(|line| !line.trim_start().starts_with("//"))
}

/// Whether a line names this crate or path, as a path of its own and not as the end of another word.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("tests.rs") || file.starts_with("src/lifecycle/model")
}

/// What may be named where; everything else is a fault. A folder ends with `/`.
const WALLS: &[(&str, &[&str])] = &[
    (
        "actix_web",
        &["src/http/", "src/tls/", "src/app.rs", "src/monitoring/http.rs", "src/demo/partner.rs", "src/cli/mod.rs"],
    ),
    ("actix_tls", &["src/tls/"]),
    ("sqlx", &["src/storage/"]),
    ("prometheus_client", &["src/monitoring/"]),
    ("governor", &["src/http/limits.rs"]),
    ("askama", &["src/covenant/render/", "src/access_reports/page.rs", "src/consents/receipts/page.rs"]),
    ("unicode_normalization", &["src/subjects/normal.rs"]),
    ("cedar_policy", &["src/policy/"]),
    ("cedar_policy_symcc", &["src/policy/prove/"]),
    // Nothing else starts a process.
    ("process::Command", &["src/policy/prove/solver.rs"]),
    ("jsonwebtoken", &["src/organisations/credentials/"]),
    ("reqwest", &["src/relay/egress.rs", "src/demo/", "src/cli/token.rs"]),
];

#[test]
fn each_library_stays_behind_its_wall() {
    let mut faults = Vec::new();
    for file in files("src", "rs").iter().filter(|file| !is_test(file)) {
        let text = read(file);
        for (library, allowed) in WALLS {
            let inside = allowed.iter().any(|place| file == place || (place.ends_with('/') && file.starts_with(place)));
            if !inside && code(&text).any(|line| names(line, library)) {
                faults.push(format!("{file} names {library}, which belongs in {}", allowed.join(", ")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What production code takes from `App` or does in another way; the rest is in `clippy.toml`, which cannot except tests.
const BANNED: &[(&str, &str)] = &[
    ("now_v7", "App::new_id"),
    ("new_v4", "App::new_id"),
    ("thread::sleep", "tokio::time::sleep"),
    ("println", "the functions of src/cli/mod.rs, or tracing"),
    ("eprintln", "the functions of src/cli/mod.rs, or tracing"),
];

#[test]
fn time_and_identifiers_are_injected_and_nothing_sleeps_or_prints_by_itself() {
    let mut faults = Vec::new();
    for file in files("src", "rs").iter().filter(|file| !is_test(file)) {
        let text = read(file);
        for (banned, instead) in BANNED {
            if code(&text).any(|line| names(line, banned)) {
                faults.push(format!("{file} uses {banned}: use {instead}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Files that only compute.
const PURE: &[&str] = &["types.rs", "decision.rs", "facts.rs", "minimise.rs", "merkle.rs"];
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "tokio",
    "sqlx",
    "actix_web",
    "reqwest",
    "crate::app",
    "crate::storage::Db",
    "Clock",
    "Entropy",
    "SystemTime",
    "Instant",
];

#[test]
fn what_only_computes_touches_neither_files_nor_network_nor_database_nor_clock() {
    let mut faults = Vec::new();
    for file in files("src", "rs") {
        if !PURE.contains(&file.rsplit('/').next().unwrap()) && !file.starts_with("src/lifecycle/") {
            continue;
        }
        let text = read(&file);
        for line in code(&text) {
            faults.extend(
                IMPURE.iter().filter(|impure| names(line, impure)).map(|impure| format!("{file} names {impure}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    let mut sources = files("src", "rs");
    sources.extend(files("tests", "rs"));
    let silent: Vec<_> = sources.iter().filter(|file| !read(file).starts_with("//! ")).collect();
    assert!(silent.is_empty(), "no //! at the top of {silent:?}");
}

#[test]
fn there_are_no_drawers_and_nothing_is_left_for_later() {
    let mut faults = Vec::new();
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    for file in files("src", "rs").iter().chain(&files("tests", "rs")) {
        let parts: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
        if parts.iter().any(|part| ["util", "utils", "helpers", "common", "misc"].contains(part)) {
            faults.push(format!("{file} is a drawer: name what is in it"));
        }
        let text = read(file);
        faults.extend(
            marks
                .iter()
                .filter(|mark| text.lines().any(|line| names(line, mark)))
                .map(|mark| format!("{file}: {mark}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A file that is longer holds more than one thing.
const LONGEST_FILE: usize = 600;

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<String> = files("src", "rs")
        .into_iter()
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, file)| format!("{file} has {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn the_map_of_the_code_names_every_folder_and_none_that_is_gone() {
    let map = read("ARCHITECTURE.md");
    let named: BTreeSet<&str> = spans(&map).filter(|span| span.starts_with("src/")).collect();
    let gone: Vec<_> = named.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names {gone:?}, which does not exist");
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let folder = entry.file_type().unwrap().is_dir();
        let path = format!("src/{}{}", entry.file_name().to_string_lossy(), if folder { "/" } else { "" });
        assert!(named.contains(path.as_str()), "ARCHITECTURE.md does not name {path}");
    }
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let map = read("ARCHITECTURE.md");
    let sources: Vec<String> = files("src", "rs").iter().chain(&files("tests", "rs")).map(|file| read(file)).collect();
    // Names of tests are sentences; no other name in that document has as many words.
    let tests: Vec<&str> =
        spans(&map).filter(|span| span.matches('_').count() >= 3 && !span.contains([' ', '/', '='])).collect();
    assert!(tests.len() > 20, "the invariants name the tests that hold them");
    for test in tests {
        let function = format!("fn {test}(");
        assert!(
            sources.iter().any(|source| source.contains(&function)),
            "ARCHITECTURE.md names the test {test}, which does not exist"
        );
    }
}

#[test]
fn the_files_and_tests_that_hold_rules_which_are_no_policies_exist() {
    let sources: Vec<String> = files("src", "rs").iter().chain(&files("tests", "rs")).map(|file| read(file)).collect();
    for rule in sluis::policy::HELD_ELSEWHERE {
        assert_eq!(rule.files.is_empty(), rule.tests.is_empty(), "{}: what is held is tested", rule.id);
        for file in rule.files {
            assert!(root().join(file).is_file(), "{} names {file}, which does not exist", rule.id);
        }
        for test in rule.tests {
            let function = format!("fn {test}(");
            assert!(
                sources.iter().any(|source| source.contains(&function)),
                "{} names the test {test}, which does not exist",
                rule.id
            );
        }
    }
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut documents = files("docs", "md");
    documents.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned));
    for document in documents {
        let text = read(&document);
        let folder = Path::new(&document).parent().unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            if file.is_empty() || target.contains("://") {
                continue;
            }
            assert!(root().join(folder).join(file).exists(), "{document} links to {target}, which does not exist");
        }
    }
}

/// The texts between single backquotes.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("```")).flat_map(|line| line.split('`').skip(1).step_by(2))
}
