//! What `sluis policy check`, `test`, `explain` and `prove` do with a folder; they need no configuration.
//!
//! Invariant: a report says everything at once, and `ok` only when there was something to check.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cases::{Case, CaseFile, in_words};
use super::decision::Effect;
use super::engine::Engine;
use super::explain::{Explanation, explain as explain_decision};
use super::prove::{Invariants, Proof, Solver, Unproven};
use crate::covenant::{Bundle, Finding, Findings, PolicyDigest};

/// The folder of the example cases, inside that of the policies.
const CASES: &str = "tests";

/// What a sound folder of policies holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// The version of the covenant.
    pub covenant_version: String,
    /// What the parties sign.
    pub policy_digest: PolicyDigest,
    /// How many parties it names.
    pub parties: usize,
    /// How many purposes.
    pub purposes: usize,
    /// How many rows.
    pub rows: usize,
    /// How many permits the rows make.
    pub permits: usize,
    /// How many hand-written rules withhold.
    pub forbids: usize,
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { covenant_version, policy_digest, parties, purposes, rows, permits, forbids } = self;
        writeln!(f, "covenant {covenant_version}, {policy_digest}")?;
        write!(
            f,
            "{parties} parties, {purposes} purposes, {rows} rows ({permits} permits), {forbids} rules that withhold"
        )
    }
}

/// Whether covenant, schema and rules of a folder fit together.
///
/// # Errors
/// [`Findings`] with everything that is wrong.
pub fn check(folder: &Path) -> Result<CheckReport, Findings> {
    let engine = engine(folder)?;
    let permits = engine.rules().values().filter(|rule| rule.effect == Effect::Permit).count();
    let covenant = engine.covenant();
    Ok(CheckReport {
        covenant_version: covenant.version.clone(),
        policy_digest: engine.digest().clone(),
        parties: covenant.parties.len(),
        purposes: covenant.purposes.len(),
        rows: covenant.rows.len(),
        permits,
        forbids: engine.rules().len() - permits,
    })
}

/// The Cedar permits that the rows of the covenant in this folder stand for.
///
/// # Errors
/// [`Findings`] when the folder does not load.
pub fn generated(folder: &Path) -> Result<String, Findings> {
    Ok(engine(folder)?.generated_permits())
}

/// How the example cases of a folder came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct TestReport {
    /// How many files.
    pub files: usize,
    /// How many cases.
    pub cases: usize,
    /// How many of them expect at least one section to be withheld.
    pub refusals: usize,
    /// What did not come out as expected.
    pub failures: Vec<Failure>,
    /// The permits that no case expects.
    pub permits_without_case: Vec<String>,
    /// The rules that withhold and that no case expects.
    pub forbids_without_case: Vec<String>,
}

/// One expectation that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file.
    pub file: String,
    /// The case.
    pub case: String,
    /// The section, or `outcome`.
    pub what: String,
    /// What the case expects.
    pub expected: String,
    /// What was decided.
    pub decided: String,
}

impl TestReport {
    /// Whether there were cases and all came out as expected.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.cases > 0 && self.failures.is_empty()
    }
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{}: {}: {}", failure.file, failure.case, failure.what)?;
            writeln!(f, "    expected {}", failure.expected)?;
            writeln!(f, "    decided  {}", failure.decided)?;
        }
        for (what, ids) in [("permit", &self.permits_without_case), ("rule", &self.forbids_without_case)] {
            for id in ids {
                writeln!(f, "no case names the {what} {id}")?;
            }
        }
        let Self { files, cases, refusals, failures, .. } = self;
        write!(f, "{cases} cases in {files} files, {refusals} of them refusals, {} failures", failures.len())
    }
}

/// Runs the example cases in `tests/` of a folder of policies.
///
/// # Errors
/// [`Findings`] when the policies do not load or a file of cases cannot be read.
pub fn test(folder: &Path) -> Result<TestReport, Findings> {
    let engine = engine(folder)?;
    let mut report = TestReport::default();
    let mut named = Vec::new();
    let mut findings = Vec::new();
    for path in case_files(folder)? {
        let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        report.files += 1;
        let cases = match read_cases(&path) {
            Ok(cases) => cases,
            Err(message) => {
                findings.push(Finding::new(file, message));
                continue;
            }
        };
        for case in &cases.cases {
            named.extend(case.expect.values().cloned());
            run(&engine, &file, case, &mut report, &mut findings);
        }
    }
    if !findings.is_empty() {
        return Err(Findings(findings));
    }
    let covered = |id: &str| named.iter().any(|words| words.split(' ').any(|word| word == id));
    for rule in engine.rules().values().filter(|rule| !covered(&rule.id)) {
        match rule.effect {
            Effect::Permit => report.permits_without_case.push(rule.id.clone()),
            Effect::Withhold => report.forbids_without_case.push(rule.id.clone()),
        }
    }
    Ok(report)
}

fn run(engine: &Engine, file: &str, case: &Case, report: &mut TestReport, findings: &mut Vec<Finding>) {
    let request = match case.request(engine.covenant()) {
        Ok(request) => request,
        Err(message) => {
            findings.push(Finding::new(format!("{file}: {}", case.name), message));
            return;
        }
    };
    report.cases += 1;
    report.refusals += usize::from(case.expect.values().any(|words| words.starts_with(Effect::Withhold.as_str())));
    let decision = engine.decide(&request);
    let mut compare = |what: &str, expected: &str, decided: String| {
        if expected != decided {
            let (file, case) = (file.to_owned(), case.name.clone());
            let (what, expected) = (what.to_owned(), expected.to_owned());
            report.failures.push(Failure { file, case, what, expected, decided });
        }
    };
    for section in decision.sections() {
        let expected = case.expect.get(section.category()).map_or("", String::as_str);
        compare(section.category().as_str(), expected, in_words(section));
    }
    if let Some(outcome) = case.outcome {
        compare("outcome", outcome.as_str(), decision.outcome(case.on_withheld).to_string());
    }
}

/// Explains the decision on one case, written as in the files of cases (`expect` may hold empty texts).
///
/// # Errors
/// [`Findings`] when the policies do not load or the case cannot be read.
pub fn explain(folder: &Path, case: &str) -> Result<Explanation, Findings> {
    let engine = engine(folder)?;
    let finding = |message: String| Findings(vec![Finding::new("case", message)]);
    // The place and the library's message, never the line itself: a case may be about somebody.
    let case: Case = toml::from_str(case).map_err(|error| {
        let line = error.span().and_then(|span| case.get(..span.start)).map_or(1, |head| head.lines().count().max(1));
        finding(format!("line {line}: {}", error.message()))
    })?;
    let request = case.request(engine.covenant()).map_err(finding)?;
    Ok(explain_decision(&engine, &request, &engine.decide(&request), case.on_withheld))
}

/// Holds the rules of a folder against its invariants, for every request there could be. Takes seconds, and blocks.
///
/// # Errors
/// [`Unproven`], when the folder does not load or there is no solver.
pub fn prove(folder: &Path, solver: &Solver) -> Result<Proof, Unproven> {
    super::prove::prove(&engine(folder)?, &Invariants::from_folder(folder)?, solver)
}

fn engine(folder: &Path) -> Result<Engine, Findings> {
    Engine::new(&Bundle::from_folder(folder)?)
}

fn case_files(folder: &Path) -> Result<Vec<PathBuf>, Findings> {
    let folder = folder.join(CASES);
    let unreadable = |error: std::io::Error| {
        Findings(vec![Finding::new(folder.display().to_string(), format!("cannot be read: {error}"))])
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The cases of one file.
///
/// # Errors
/// A sentence that says what is wrong with the file.
pub fn read_cases(path: &Path) -> Result<CaseFile, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    toml::from_str(&text).map_err(|error| error.to_string())
}
