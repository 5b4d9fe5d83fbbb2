//! The covenant, the privacy protocol and the register of processing activities as one document that people read, sign and file (art. 26, 28, 30 AVG).
//!
//! It is made of the files that the gateway enforces and of nothing else, and names the digest that is signed. Pure: the same files give the
//! same bytes. Invariants: every party, row, rule, invariant and reason code has one anchor, so that an id in an audit record leads to one place;
//! what the covenant leaves open is said to be left open; texts are escaped, and one that would read otherwise than it is written is
//! a finding.

mod activities;
mod lists;
mod protocol;
mod said;
mod terms;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use askama::Template;
use aws_lc_rs::digest::SHA256;

use super::bundle::{Bundle, SCHEMA_FILE};
use super::findings::{Finding, Findings};
use super::types::Covenant;
use crate::policy::prove::Invariants;
use crate::policy::{Engine, Paper};
use activities::{ActivityView, RegisterView};
use lists::{BasisView, CategoryView, PartyView, PurposeView};
use protocol::{CodeView, ElsewhereView, GroundView, InvariantView, NumberView, RowView, RuleGroup};
use said::{Gap, Gaps, Link, Said};
use terms::{MandateView, RetentionView, TermsView};
pub use words::day;

/// The document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One page of HTML that needs nothing else.
    pub html: String,
    /// How many places the covenant leaves open; the document lists them.
    pub left_open: usize,
}

/// Writes the document of these files and the invariants beside them.
///
/// # Errors
/// [`Findings`] with everything for which the gateway would not run them, and with each text that people would read otherwise than the
/// gateway does.
pub fn render(bundle: &Bundle, invariants: &Invariants) -> Result<Rendered, Findings> {
    let mut findings = unreadable(bundle, invariants);
    let engine = Engine::new(bundle).map_err(|errors| findings.extend(errors.0)).ok();
    let rendered = engine.map(|engine| of_engine(&engine, bundle, invariants));
    match rendered {
        Some(Err(errors)) => findings.extend(errors.0),
        Some(Ok(rendered)) if findings.is_empty() => return Ok(rendered),
        _ => {}
    }
    Err(Findings(findings))
}

/// Writes what this engine, made of this bundle, enforces.
fn of_engine(engine: &Engine, bundle: &Bundle, invariants: &Invariants) -> Result<Rendered, Findings> {
    let paper = &Paper::of(engine);
    let read = paper.invariants(invariants)?;
    let covenant = engine.covenant();
    let mut gaps = Gaps::default();
    let front = section("voorblad", "het voorblad");
    let status = gaps.text("status van de tekst", &front, covenant.status.map(words::status));
    let (rows, common) = protocol::matrix(covenant, paper);
    let document = Document {
        covenant,
        digest: bundle.digest().as_str(),
        invariants_digest: invariants.digest().as_str(),
        status,
        warning: covenant.status.and_then(words::warning),
        effective_day: words::day(covenant.effective_from),
        example: Example::of(&rows),
        parties: lists::parties(covenant, &mut gaps),
        purposes: lists::purposes(covenant, &mut gaps),
        categories: lists::categories(covenant),
        bases: lists::bases(covenant),
        rules: protocol::rules(paper, &rows, &common),
        elsewhere: protocol::elsewhere(),
        numbers: protocol::numbers(paper, &read),
        grounds: protocol::grounds(covenant, paper),
        codes: protocol::codes(paper),
        rows,
        common,
        terms: terms::terms(covenant),
        coordinator_answers: terms::working_days(covenant.deadlines.coordinator_working_days),
        step_up: words::count(covenant.deadlines.step_up_weeks, "week", "weken"),
        withdrawal_confirmed: terms::working_days(covenant.deadlines.confirmation_working_days),
        mandates: terms::mandates(covenant),
        emergency_reviewed: terms::working_days(covenant.emergency.reviewed_working_days),
        emergency_informed: terms::working_days(covenant.emergency.informed_working_days),
        objection_weighed: terms::days(covenant.rights.objection_days),
        objection_extended: terms::days(covenant.rights.extension_days),
        resident_informed: terms::days(covenant.rights.informed_days),
        longest_record: words::count(covenant.values.consent_max_months, "maand", "maanden"),
        reopened_within: words::count(covenant.values.reopen_days, "dag", "dagen"),
        retention: terms::retention(covenant),
        invariants: protocol::invariants(read),
        register: activities::register(covenant, &mut gaps),
        activities: activities::activities(covenant, &mut gaps),
        files: files(bundle.files()),
        schema: bundle.text(SCHEMA_FILE),
        gaps: gaps.into_list(),
    };
    let left_open = document.gaps.iter().map(|gap| gap.places.len()).sum();
    let html = document.render().map_err(|error| Findings(vec![Finding::new("the document", error.to_string())]))?;
    match invisible_in(&html) {
        Some(finding) => Err(Findings(vec![finding])),
        None => Ok(Rendered { html, left_open }),
    }
}

/// Everything that the page shows.
#[derive(Template)]
#[template(path = "covenant/document.html")]
struct Document<'a> {
    covenant: &'a Covenant,
    digest: &'a str,
    invariants_digest: &'a str,
    status: Said,
    warning: Option<&'static str>,
    effective_day: String,
    example: Option<Example>,
    parties: Vec<PartyView<'a>>,
    purposes: Vec<PurposeView<'a>>,
    categories: Vec<CategoryView<'a>>,
    bases: Vec<BasisView<'a>>,
    rows: Vec<RowView<'a>>,
    common: Vec<Link>,
    rules: Vec<RuleGroup<'a>>,
    elsewhere: Vec<ElsewhereView>,
    numbers: Vec<NumberView>,
    grounds: Vec<GroundView>,
    terms: Vec<TermsView>,
    coordinator_answers: String,
    withdrawal_confirmed: String,
    step_up: String,
    mandates: Vec<MandateView<'a>>,
    emergency_reviewed: String,
    emergency_informed: String,
    objection_weighed: String,
    objection_extended: String,
    resident_informed: String,
    longest_record: String,
    reopened_within: String,
    retention: Vec<RetentionView>,
    invariants: Vec<InvariantView>,
    codes: Vec<CodeView>,
    register: RegisterView,
    activities: Vec<ActivityView<'a>>,
    gaps: Vec<Gap>,
    files: Vec<FileView<'a>>,
    schema: &'a str,
}

/// How a reader finds a rule of an audit record, shown with the first permit.
struct Example {
    permit: Link,
    row: Link,
}

impl Example {
    fn of(rows: &[RowView<'_>]) -> Option<Self> {
        let row = rows.first()?;
        let permit = row.permits.first()?;
        Some(Self { permit: protocol::rule_link(&permit.id), row: lists::row_link(&row.row.id) })
    }
}

/// One of the signed files.
struct FileView<'a> {
    name: &'a str,
    bytes: usize,
    digest: String,
}

fn files(files: &BTreeMap<String, Vec<u8>>) -> Vec<FileView<'_>> {
    files
        .iter()
        .map(|(name, content)| FileView {
            name,
            bytes: content.len(),
            digest: hex::encode(aws_lc_rs::digest::digest(&SHA256, content)),
        })
        .collect()
}

fn section(anchor: &str, text: &str) -> Link {
    Link { anchor: anchor.to_owned(), text: text.to_owned() }
}

/// A text that shows otherwise than it is written would be signed as one thing and enforced as another.
fn unreadable(bundle: &Bundle, invariants: &Invariants) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, content) in bundle.files().iter().chain(invariants.files()) {
        let text = std::str::from_utf8(content).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            if let Some(character) = line.chars().find(|character| is_invisible(*character)) {
                findings.push(Finding::new(format!("{name} line {}", number + 1), says_otherwise(character)));
            }
        }
    }
    findings
}

/// The same in what was made: TOML and Cedar can write a character by its number, which no line of a file shows.
fn invisible_in(html: &str) -> Option<Finding> {
    const BEFORE: usize = 60;
    let (at, character) = html.char_indices().find(|(_, one)| *one != '\n' && is_invisible(*one))?;
    let mut before: Vec<char> = html.get(..at)?.chars().rev().take_while(|one| *one != '\n').take(BEFORE).collect();
    before.reverse();
    let before = String::from_iter(before);
    Some(Finding::new(format!("what comes after \"{}\"", before.trim()), says_otherwise(character)))
}

fn says_otherwise(character: char) -> String {
    format!(
        "holds the character U+{:04X}, which is not seen or moves what is; remove it, or people read something else than the gateway",
        u32::from(character)
    )
}

/// Controls, and characters that are not seen or change the direction of what is (Unicode categories Cc and Cf, line and paragraph
/// separators, and fillers that look like nothing).
const fn is_invisible(character: char) -> bool {
    match character {
        '\t' => false,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}
