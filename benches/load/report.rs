//! The one table: ratios first, then what was measured, then what it was measured against.
//!
//! Invariant: a figure stands in it only when this run measured it; what failed or was left out says so in its place.

use std::path::Path;

use serde_json::{Value, json};

use crate::Outcome;
use crate::database::Kind;
use crate::machine::Machine;
use crate::statistics::Measured;

/// What was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// A rate and latencies, or latencies alone.
    Measured(Measured),
    /// One value.
    Value(f64, &'static str),
    /// It went wrong.
    Failed(String),
    /// It was not measured, and why.
    Skipped(String),
}

impl From<Outcome<Measured>> for Found {
    fn from(outcome: Outcome<Measured>) -> Self {
        outcome.map_or_else(|failure| Self::Failed(failure.to_string()), Self::Measured)
    }
}

impl Found {
    /// A value, or how it went wrong.
    pub fn value(outcome: Outcome<f64>, unit: &'static str) -> Self {
        outcome.map_or_else(|failure| Self::Failed(failure.to_string()), |value| Self::Value(value, unit))
    }

    fn text(&self) -> String {
        match self {
            Self::Measured(measured) => {
                let latencies = format!("p50 {}, p99 {}", time(measured.p50), time(measured.p99));
                match measured.per_second {
                    Some(rate) => format!("{}/s, {latencies}", number(rate)),
                    None => latencies,
                }
            }
            Self::Value(value, unit) => format!("{} {unit}", number(*value)),
            Self::Failed(why) => format!("FAILED: {why}"),
            Self::Skipped(why) => format!("not measured: {why}"),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Measured(measured) => json!({
                "perSecond": measured.per_second, "p50Microseconds": measured.p50, "p99Microseconds": measured.p99,
                "count": measured.count,
            }),
            Self::Value(value, unit) => json!({ "value": value, "unit": unit }),
            Self::Failed(why) => json!({ "failed": why }),
            Self::Skipped(why) => json!({ "notMeasured": why }),
        }
    }

    /// How this compares: rates to rates, else half of the latencies to half of the latencies.
    fn ratio(&self, reference: &Self) -> Option<(f64, &'static str)> {
        let (ours, theirs, meaning) = match (self, reference) {
            (Self::Measured(ours), Self::Measured(theirs)) => match (ours.per_second, theirs.per_second) {
                (Some(ours), Some(theirs)) => (ours, theirs, "of the rate"),
                _ => (ours.p50, theirs.p50, "times the p50"),
            },
            (Self::Value(ours, _), Self::Value(theirs, _)) => (*ours, *theirs, "times"),
            _ => return None,
        };
        (theirs > 0.0).then(|| (ours / theirs, meaning))
    }
}

/// Something that the gateway is compared with.
#[derive(Debug, Clone)]
pub struct Reference {
    /// What it is.
    pub name: String,
    /// What it did.
    pub found: Found,
}

impl Reference {
    /// A reference under this name.
    pub fn new(name: impl Into<String>, found: impl Into<Found>) -> Self {
        Self { name: name.into(), found: found.into() }
    }
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Line {
    /// The part of the table.
    pub part: &'static str,
    /// What was measured.
    pub what: String,
    /// On which database, if on one.
    pub kind: Option<Kind>,
    /// What was found.
    pub found: Found,
    /// What it is compared with.
    pub references: Vec<Reference>,
}

impl Line {
    /// A row without references.
    pub fn new(part: &'static str, what: impl Into<String>, kind: Option<Kind>, found: impl Into<Found>) -> Self {
        Self { part, what: what.into(), kind, found: found.into(), references: Vec::new() }
    }

    /// With something to compare it with.
    #[must_use]
    pub fn against(mut self, name: impl Into<String>, found: impl Into<Found>) -> Self {
        self.references.push(Reference::new(name, found));
        self
    }

    fn cells(&self) -> [String; 5] {
        let ratio = |reference: &Reference| {
            let (ratio, meaning) = self.found.ratio(&reference.found)?;
            Some(format!("{} {meaning} of {}", precise(ratio), reference.name))
        };
        let ratios: Vec<String> = self.references.iter().filter_map(ratio).collect();
        let references: Vec<String> =
            self.references.iter().map(|reference| format!("{}: {}", reference.name, reference.found.text())).collect();
        [
            self.what.clone(),
            self.kind.map_or("-", Kind::name).to_owned(),
            if ratios.is_empty() { "-".to_owned() } else { ratios.join("; ") },
            self.found.text(),
            if references.is_empty() { "-".to_owned() } else { references.join("; ") },
        ]
    }

    fn json(&self) -> Value {
        let references: Vec<Value> = self
            .references
            .iter()
            .map(|reference| {
                let ratio = self.found.ratio(&reference.found).map(|(ratio, _)| ratio);
                json!({ "name": reference.name, "ratio": ratio, "found": reference.found.json() })
            })
            .collect();
        json!({
            "part": self.part, "what": self.what, "database": self.kind.map(Kind::name), "found": self.found.json(),
            "references": references,
        })
    }
}

/// Everything that a run found.
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// The rows, in the order in which they were measured.
    pub lines: Vec<Line>,
}

/// A cell that is wider sticks out, so that the others stay readable.
const WIDEST: usize = 70;
const HEAD: [&str; 5] = ["what", "database", "ratio", "measured", "reference"];

impl Report {
    /// Adds a row, and says it at once.
    pub fn add(&mut self, line: Line) {
        let [what, kind, ratio, measured, _] = line.cells();
        crate::say(&format!("{}: {what} ({kind}): {ratio} | {measured}", line.part));
        self.lines.push(line);
    }

    /// Adds a row behind the last one about the same thing, where there is one.
    pub fn add_beside(&mut self, line: Line, same: &str) {
        let beside = |known: &Line| known.kind == line.kind && known.part == line.part && known.what.starts_with(same);
        let last = self.lines.iter().rposition(beside);
        self.add(line);
        if let Some(place) = last
            && let Some(line) = self.lines.pop()
        {
            self.lines.insert(place + 1, line);
        }
    }

    /// Whether nothing failed.
    pub fn is_fine(&self) -> bool {
        let failed = |found: &Found| matches!(found, Found::Failed(_));
        !self
            .lines
            .iter()
            .any(|line| failed(&line.found) || line.references.iter().any(|reference| failed(&reference.found)))
    }

    /// The table as Markdown, which is also how it is printed.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.machine.facts() {
            text.extend(["- ", name, ": ", value, "\n"]);
        }
        let mut parts: Vec<&str> = Vec::new();
        for line in &self.lines {
            if !parts.contains(&line.part) {
                parts.push(line.part);
            }
        }
        for part in parts {
            let rows: Vec<[String; 5]> = self.lines.iter().filter(|line| line.part == part).map(Line::cells).collect();
            text.extend(["\n### ", part, "\n\n", &table(&rows)]);
        }
        text
    }

    /// Everything as JSON.
    pub fn json(&self) -> Value {
        let machine: serde_json::Map<String, Value> =
            self.machine.facts().map(|(name, value)| (name.to_owned(), value.clone().into())).collect();
        json!({ "machine": machine, "lines": self.lines.iter().map(Line::json).collect::<Vec<_>>() })
    }

    /// Writes it to a file, as JSON when the name ends in `.json`.
    pub fn write(&self, file: &Path) -> Outcome<()> {
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        let text = if is_json { serde_json::to_string_pretty(&self.json())? } else { self.markdown() };
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()).into())
    }
}

fn table(rows: &[[String; 5]]) -> String {
    let head = HEAD.map(str::to_owned);
    let width = |place: usize| {
        let cells = std::iter::once(&head).chain(rows).filter_map(|row| row.get(place));
        cells.map(|cell| cell.chars().count()).filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    // The last column may be as long as it likes.
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|place| if place + 1 == HEAD.len() { 0 } else { width(place) }).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat((*width).max(3))).collect();
    let body: String = rows.iter().map(line).collect();
    format!("{}|-{}-|\n{body}", line(&head), rule.join("-|-"))
}

/// A number with as many digits as mean something.
fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn precise(ratio: f64) -> String {
    if ratio >= 10.0 { format!("{ratio:.1}") } else { format!("{ratio:.2}") }
}

/// Microseconds in a unit that can be read.
fn time(micros: f64) -> String {
    if micros < 1_000.0 {
        format!("{micros:.0} µs")
    } else if micros < 1_000_000.0 {
        format!("{:.2} ms", micros / 1_000.0)
    } else {
        format!("{:.2} s", micros / 1_000_000.0)
    }
}
