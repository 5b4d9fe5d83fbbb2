//! Figures as a reader sees them: lines of a table, in JSON and as CSV. Pure.
//!
//! Invariant: a line is made by adding figures that are shown, and of nothing else; a filter chooses among them and is never applied to
//! referrals. So no combination of filters says more than the figures without any.

use serde_json::{Map, Value, json};

use super::disclosure::Percentiles;
use super::figures::{Cell, Count, Figures};
use super::types::{Lead, Measure};
use crate::codes::closed_list;
use crate::ids::Oin;
use crate::lifecycle::StepUpReason;

closed_list! {
    /// By what a line sums up.
    Dimension {
        /// Everything.
        All = "all",
        /// What a recipient got.
        Recipient = "recipient",
        /// What a sender sent.
        Sender = "sender",
        /// What a sender sent to a recipient.
        Route = "route",
        /// What was sent for a purpose.
        Purpose = "purpose",
        /// What was sent with a priority.
        Priority = "priority",
        /// Which cases were stepped up for a reason.
        StepUpReason = "step-up-reason",
    }
}

/// Which hand-overs a line is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only from this sender.
    pub sender: Option<String>,
    /// Only to this recipient.
    pub recipient: Option<String>,
    /// Only for this purpose.
    pub purpose: Option<String>,
    /// Only with this priority.
    pub priority: Option<String>,
    /// Only cases stepped up for this reason; not asked for by readers, who have few enough lines of it.
    pub reason: Option<StepUpReason>,
}

/// The columns, and of which figures each is the sum.
pub const COLUMNS: &[(&str, &[Measure])] = &[
    ("opened", &[Measure::Opened]),
    ("received", &[Measure::Received]),
    ("accepted", &[Measure::Accepted]),
    ("rejected", &[Measure::Rejected]),
    ("rejectedReferredOn", &[Measure::RejectedReferredOn]),
    ("rejectedResolved", &[Measure::RejectedResolved]),
    ("rejectedSteppedUp", &[Measure::RejectedSteppedUp]),
    ("completed", &[Measure::Completed]),
    ("steppedUp", &[Measure::SteppedUp]),
    ("casesSteppedUp", &[Measure::CasesSteppedUp]),
    ("open", &[Measure::InTime, Measure::Overdue, Measure::Stuck]),
    ("overdue", &[Measure::Overdue, Measure::Stuck]),
    ("stuck", &[Measure::Stuck]),
];

/// Of which table figures are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    All,
    Recipients,
    Routes,
    Purposes,
    Priorities,
    Reasons,
}

impl Table {
    fn of(cell: &Cell) -> Option<Self> {
        match (&cell.recipient, &cell.sender, &cell.purpose, &cell.priority, &cell.domain) {
            (None, None, None, None, None) if cell.reason.is_some() => Some(Self::Reasons),
            (None, None, None, None, None) => Some(Self::All),
            (Some(_), None, None, None, None) => Some(Self::Recipients),
            (Some(_), Some(_), None, None, None) => Some(Self::Routes),
            (None, None, Some(_), None, None) => Some(Self::Purposes),
            (None, None, None, Some(_), None) => Some(Self::Priorities),
            _ => None,
        }
    }

    const fn has(self, measure: Measure) -> bool {
        match self {
            Self::All => true,
            Self::Reasons => measure.is_of_cases(),
            // A case has no route, purpose or priority.
            Self::Recipients | Self::Routes => !measure.is_of_cases(),
            Self::Purposes | Self::Priorities => measure.has_purposes(),
        }
    }
}

impl Filter {
    /// The table whose figures answer it; none where no figures do.
    fn table(&self) -> Option<Table> {
        match (&self.recipient, &self.sender, &self.purpose, &self.priority) {
            (None, None, None, None) if self.reason.is_some() => Some(Table::Reasons),
            _ if self.reason.is_some() => None,
            (None, None, None, None) => Some(Table::All),
            (Some(_), None, None, None) => Some(Table::Recipients),
            (_, Some(_), None, None) => Some(Table::Routes),
            (None, None, Some(_), None) => Some(Table::Purposes),
            (None, None, None, Some(_)) => Some(Table::Priorities),
            _ => None,
        }
    }

    fn takes(&self, cell: &Cell) -> bool {
        let fits = |wanted: &Option<String>, given: Option<&str>| wanted.is_none() || wanted.as_deref() == given;
        fits(&self.sender, cell.sender.as_ref().map(Oin::as_str))
            && fits(&self.recipient, cell.recipient.as_ref().map(Oin::as_str))
            && fits(&self.purpose, cell.purpose.as_deref())
            && fits(&self.priority, cell.priority.as_deref())
            && self.reason == cell.reason
    }

    /// The filter of a line: this one, and what the line is about; none when they exclude each other.
    fn and(&self, line: &Self) -> Option<Self> {
        let both = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => Some(one.clone().or_else(|| other.clone())),
        };
        Some(Self {
            sender: both(&self.sender, &line.sender)?,
            recipient: both(&self.recipient, &line.recipient)?,
            purpose: both(&self.purpose, &line.purpose)?,
            priority: both(&self.priority, &line.priority)?,
            reason: line.reason,
        })
    }
}

/// One line: what it is about, and its figures.
#[derive(Debug, Clone)]
pub struct Line {
    dimension: Dimension,
    own: bool,
    about: Filter,
    figures: Map<String, Value>,
    times: Map<String, Value>,
}

/// The lines of a period: everything together, and one for each recipient, sender, route, purpose, priority and reason of a
/// step-up, as far as the filter leaves them and a table answers both: purposes and priorities are counted of everything, not of a recipient or a sender.
/// Every line has those of others and the reader's own apart. Routes of which nothing is shown have no line.
#[must_use]
pub fn lines(figures: &Figures, quarter: bool, filter: &Filter) -> Vec<Line> {
    let mut lines = Vec::new();
    for (dimension, about) in abouts(figures, quarter) {
        let Some(wanted) = filter.and(&about) else { continue };
        let Some(table) = wanted.table() else { continue };
        if !quarter && wanted != Filter::default() {
            continue;
        }
        for own in [false, true] {
            let line = line(figures, (dimension, own), quarter, &wanted, table);
            let shows = line.figures.values().any(|figure| figure.get("count").is_some_and(|count| !count.is_null()));
            if dimension != Dimension::Route || shows {
                lines.push(line);
            }
        }
    }
    lines
}

/// What lines there are, whatever is shown.
fn abouts(figures: &Figures, quarter: bool) -> Vec<(Dimension, Filter)> {
    let none = Filter::default;
    let mut abouts = vec![(Dimension::All, none())];
    if !quarter {
        return abouts;
    }
    let parties: Vec<String> = figures.organisations.iter().map(ToString::to_string).collect();
    for recipient in &parties {
        abouts.push((Dimension::Recipient, Filter { recipient: Some(recipient.clone()), ..none() }));
    }
    for sender in &parties {
        abouts.push((Dimension::Sender, Filter { sender: Some(sender.clone()), ..none() }));
    }
    for sender in &parties {
        let others = parties.iter().filter(|recipient| *recipient != sender);
        abouts.extend(others.map(|recipient| {
            (Dimension::Route, Filter { sender: Some(sender.clone()), recipient: Some(recipient.clone()), ..none() })
        }));
    }
    for purpose in &figures.purposes {
        abouts.push((Dimension::Purpose, Filter { purpose: Some(purpose.clone()), ..none() }));
    }
    for priority in &figures.priorities {
        abouts.push((Dimension::Priority, Filter { priority: Some(priority.clone()), ..none() }));
    }
    for reason in StepUpReason::ALL.into_iter().filter(|_| figures.has_cases_and_routes()) {
        abouts.push((Dimension::StepUpReason, Filter { reason: Some(reason), ..none() }));
    }
    abouts
}

fn line(figures: &Figures, (dimension, own): (Dimension, bool), quarter: bool, wanted: &Filter, table: Table) -> Line {
    let cells = figures.counts.iter().filter(|count| count.cell.own == own);
    let chosen: Vec<&Count> =
        cells.filter(|count| Table::of(&count.cell) == Some(table) && wanted.takes(&count.cell)).collect();
    let figure = |measures: &[Measure]| {
        let was_counted = |measure: &Measure| !measure.is_of_cases() || figures.has_cases_and_routes();
        let is_made = figures.comparable && measures.iter().any(|measure| table.has(*measure) && was_counted(measure));
        let sum: u64 = chosen.iter().filter(|count| measures.contains(&count.measure)).map(|count| count.count).sum();
        let code = match sum {
            1.. => None,
            0 if !is_made => Some("not-published"),
            0 => Some("fewer-than-threshold"),
        };
        json!({ "count": (sum > 0).then_some(sum), "code": code })
    };
    let figures_of = COLUMNS.iter().map(|(name, measures)| ((*name).to_owned(), figure(measures))).collect();
    let times = Lead::ALL.into_iter().map(|lead| (lead.as_str().to_owned(), time(figures, own, quarter, wanted, lead)));
    Line { dimension, own, about: wanted.clone(), figures: figures_of, times: times.collect() }
}

/// Percentiles cannot be added: they are shown for one recipient or one route in a quarter, and for everything in a week.
fn time(figures: &Figures, own: bool, quarter: bool, wanted: &Filter, lead: Lead) -> Value {
    let Filter { recipient, sender, .. } = wanted;
    let one = Filter { recipient: recipient.clone(), sender: sender.clone(), ..Filter::default() } == *wanted;
    let was_made = sender.is_none() || (recipient.is_some() && figures.has_cases_and_routes());
    let is_made = figures.comparable && one && was_made && recipient.is_some() == quarter;
    let same = |cell: &Cell| {
        let text = |party: &Option<Oin>| party.as_ref().map(ToString::to_string);
        cell.own == own && text(&cell.recipient) == *recipient && text(&cell.sender) == *sender
    };
    let found = figures.times.iter().find(|time| is_made && time.lead == lead && same(&time.cell));
    let Percentiles { median, p90 } = found.map(|time| time.days).unwrap_or_default();
    let code = |value: Option<u32>| match value {
        Some(_) => None,
        None if is_made => Some("fewer-than-threshold"),
        None => Some("not-published"),
    };
    json!({ "medianDays": median, "medianCode": code(median), "p90Days": p90, "p90Code": code(p90) })
}

impl Line {
    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let Filter { sender, recipient, purpose, priority, reason } = &self.about;
        json!({
            "dimension": self.dimension, "flows": flows(self.own), "sender": sender, "recipient": recipient, "purpose": purpose,
            "priority": priority, "stepUpReason": reason, "figures": self.figures, "times": self.times,
        })
    }

    /// As fields of CSV, in the order of [`summary_header`].
    #[must_use]
    pub fn fields(&self, period: &str) -> Vec<String> {
        let Filter { sender, recipient, purpose, priority, reason } = &self.about;
        let mut fields = vec![period.to_owned(), self.dimension.as_str().to_owned(), flows(self.own).to_owned()];
        fields.extend([sender, recipient, purpose, priority].map(|about| about.clone().unwrap_or_default()));
        fields.push(reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default());
        fields.extend(COLUMNS.iter().map(|(name, _)| shown(self.figures.get(*name), "count", "code")));
        for lead in Lead::ALL {
            let time = self.times.get(lead.as_str());
            fields.extend([shown(time, "medianDays", "medianCode"), shown(time, "p90Days", "p90Code")]);
        }
        fields
    }
}

const fn flows(own: bool) -> &'static str {
    if own { "own" } else { "others" }
}

/// A number, or the code that stands for it.
fn shown(figure: Option<&Value>, number: &str, code: &str) -> String {
    let of = |name| figure.and_then(|figure| figure.get(name)).filter(|value| !value.is_null());
    of(number).map(ToString::to_string).or_else(|| of(code)?.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The names of the fields of a line.
#[must_use]
pub fn summary_header() -> Vec<String> {
    let about = ["period", "dimension", "flows", "sender", "recipient", "purpose", "priority", "stepUpReason"];
    let mut header: Vec<String> = about.map(str::to_owned).to_vec();
    header.extend(COLUMNS.iter().map(|(name, _)| (*name).to_owned()));
    header.extend(Lead::ALL.iter().flat_map(|lead| [format!("{lead}MedianDays"), format!("{lead}P90Days")]));
    header
}

/// What residents ask for: each purpose and life domain, of others and own.
#[must_use]
pub fn needs(figures: &Figures, purpose: Option<&str>) -> Vec<Value> {
    let mut needs = Vec::new();
    for of in figures.purposes.iter().filter(|of| purpose.is_none_or(|purpose| purpose == *of)) {
        for domain in &figures.domains {
            for own in [false, true] {
                let same = |cell: &Cell| {
                    cell.own == own && cell.purpose.as_ref() == Some(of) && cell.domain.as_ref() == Some(domain)
                };
                let sum: u64 = figures.counts.iter().filter(|count| same(&count.cell)).map(|count| count.count).sum();
                let none = if figures.comparable { "fewer-than-threshold" } else { "not-published" };
                let code = (sum == 0).then_some(none);
                let figure = json!({ "count": (sum > 0).then_some(sum), "code": code });
                needs.push(json!({ "purpose": of, "category": domain, "flows": flows(own), "referrals": figure }));
            }
        }
    }
    needs
}

/// CSV (RFC 4180), each field in quotes. One that a spreadsheet would take for a formula begins with an apostrophe.
#[must_use]
pub fn csv<'a>(header: &'a [String], lines: impl IntoIterator<Item = &'a Vec<String>>) -> Vec<u8> {
    let mut text = String::new();
    for fields in std::iter::once(header).chain(lines.into_iter().map(Vec::as_slice)) {
        for (place, field) in fields.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            let harmless = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
            text.extend(["\"", harmless, &field.replace('"', "\"\""), "\""]);
        }
        text.push_str("\r\n");
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula_or_breaks_out_of_its_quotes() {
        let header = ["a".to_owned(), "=SUM(A1)".to_owned()];
        let line = vec!["@x".to_owned(), "say \"no\", now\r\n".to_owned()];
        let expected = "\"a\",\"'=SUM(A1)\"\r\n\"'@x\",\"say \"\"no\"\", now\r\n\"\r\n";
        assert_eq!(String::from_utf8(csv(&header, [&line])).unwrap(), expected);
    }
}
