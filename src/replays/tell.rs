//! What a draft would change, as a table for people.

use std::fmt;

use super::types::{Change, Ending, Flow, Impact, LeftOut, Named, Said, Tally, Unknown};
use crate::policy::Effect;

impl LeftOut {
    const fn words(self) -> &'static str {
        match self {
            Self::FactsErased => "its facts were erased",
            Self::Unreadable => "its facts cannot be read",
            Self::Altered => "the record is not as it was written: sluis audit verify",
            Self::VersionUnusable => "the version that decided is not published here, or does not load",
            Self::NotReproduced => "it does not come out as recorded under its own version: sluis audit verify",
            Self::CaseNotRecorded => "the draft looks at the case, of which nothing was recorded",
            Self::RefusedAnyway => "refused because of where the referral or its parties stood, whatever the rules say",
        }
    }
}

impl Change {
    const fn words(self) -> &'static str {
        match self {
            Self::NowRefused => "would be refused now",
            Self::NewlyAllowed => "would be allowed now",
            Self::OtherRules => "the same, by other rules",
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { effect, code, rules } = self;
        match code {
            Some(code) if *effect == Effect::Withhold => write!(f, "{effect} {code} ({})", rules.join(", ")),
            _ => write!(f, "{effect} ({})", rules.join(", ")),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Named::Party => "party",
            Named::Purpose => "purpose",
            Named::Basis => "legal basis",
            Named::Category => "category",
        };
        write!(f, "the draft names no {kind} {}", self.code)
    }
}

/// Examples behind what they are examples of.
fn records(tally: &Tally) -> String {
    if tally.examples.is_empty() { String::new() } else { format!("  such as {}", tally.examples.join(" ")) }
}

fn kinds(tally: &Tally) -> String {
    tally.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

/// Columns as wide as their widest cell; the last is not filled up.
fn table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        writeln!(f, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn flow_row(impact: &Impact, (flow, tally): (&Flow, &Tally)) -> Vec<String> {
    let Flow { change: _, sender, recipient, purpose, category, before, after, unknown } = flow;
    let said: Vec<String> =
        [format!("{before} -> {after}")].into_iter().chain(unknown.iter().map(ToString::to_string)).collect();
    vec![
        tally.count.to_string(),
        format!("{} -> {}", impact.name(sender), impact.name(recipient)),
        purpose.to_string(),
        category.to_string(),
        said.join("; "),
        format!("[{}]{}", kinds(tally), records(tally)),
    ]
}

fn ending_row(impact: &Impact, (ending, tally): (&Ending, &Tally)) -> Vec<String> {
    let Ending { sender, recipient, purpose, before, after } = ending;
    vec![
        tally.count.to_string(),
        format!("{} -> {}", impact.name(sender), impact.name(recipient)),
        purpose.to_string(),
        format!("{before} -> {after}"),
        format!("[{}]{}", kinds(tally), records(tally)),
    ]
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { draft, since, records: read, decisions, sections, unchanged, changes, outcomes, left_out, .. } =
            self;
        writeln!(f, "draft {}, {}", draft.version, draft.digest)?;
        writeln!(
            f,
            "since {since}: {read} records looked at, {decisions} decisions with {sections} sections taken again, {unchanged} sections unchanged"
        )?;
        for change in Change::ALL {
            let rows: Vec<_> =
                changes.iter().filter(|(flow, _)| flow.change == change).map(|row| flow_row(self, row)).collect();
            if !rows.is_empty() {
                writeln!(f, "{}: {} sections", change.words(), self.count(change))?;
                table(f, &rows)?;
            }
        }
        if !outcomes.is_empty() {
            writeln!(f, "hand-overs of which something else would become:")?;
            table(f, &outcomes.iter().map(|row| ending_row(self, row)).collect::<Vec<_>>())?;
        }
        if !left_out.is_empty() {
            writeln!(f, "not taken again:")?;
            let row = |(reason, tally): (&LeftOut, &Tally)| {
                let reason = format!("{reason}: {}", reason.words());
                vec![tally.count.to_string(), reason, format!("[{}]{}", kinds(tally), records(tally))]
            };
            table(f, &left_out.iter().map(row).collect::<Vec<_>>())?;
        }
        let (refused, allowed) = (self.count(Change::NowRefused), self.count(Change::NewlyAllowed));
        write!(f, "{refused} sections would be refused that were permitted, {allowed} permitted that were refused")
    }
}
