//! The figures of a period for one reader, made of what happened to each referral. Pure.
//!
//! Invariants: what is kept of a period holds nothing that may not be shown; the reader's own flows, which it knows exactly, are
//! counted apart from those of others, so that subtracting them leaves nothing; what a column adds (open, overdue) stands for different
//! hand-overs, and nothing ever needs to be subtracted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::disclosure::{Counts, Division, Parted, Percentiles, Shown, Threshold, Weeks};
use super::period::Period;
use super::types::{Fact, Happened, Lead, Measure, Network, SteppedUpCase};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::lifecycle::StepUpReason;

/// How many cells anybody must count with, whatever was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Possible {
    /// How many organisations can send to a recipient.
    pub senders_to: BTreeMap<Oin, u64>,
    /// For how many purposes.
    pub purposes: u64,
}

impl Possible {
    fn of<'a>(routes: impl Iterator<Item = (&'a (Oin, Oin), &'a BTreeSet<String>)>) -> Self {
        let (mut senders_to, mut purposes) = (BTreeMap::new(), BTreeSet::new());
        for ((_, recipient), leading) in routes {
            *senders_to.entry(recipient.clone()).or_default() += 1;
            purposes.extend(leading);
        }
        Self { senders_to, purposes: purposes.len() as u64 }
    }

    /// What was possible in one or the other time, at least.
    fn or(mut self, other: &Self) -> Self {
        for (recipient, senders) in &other.senders_to {
            let of = self.senders_to.entry(recipient.clone()).or_default();
            *of = (*of).max(*senders);
        }
        self.purposes = self.purposes.max(other.purposes);
        self
    }
}

/// What may be shown of a period, to one reader. A count that is absent is not shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Which figures there were when they were made, so that one that was not counted is not taken for one that is hidden.
    #[serde(default)]
    pub edition: u32,
    /// The threshold at that time.
    pub threshold: u32,
    /// When they were made.
    pub made_at: Timestamp,
    /// The organisations, purposes, priorities and domains of that time, for which there is a line whether anything is shown or not.
    pub organisations: Vec<Oin>,
    /// See [`Figures::organisations`].
    pub purposes: Vec<String>,
    /// See [`Figures::organisations`].
    pub priorities: Vec<String>,
    /// See [`Figures::organisations`].
    pub domains: Vec<String>,
    /// How many cells there could be in this time, of others and of the reader's own.
    pub possible: [Possible; 2],
    /// False for a quarter in which the threshold was raised: its figures could be compared with those of its weeks, and are not made.
    pub comparable: bool,
    /// What is shown; of the last week of a quarter also the tables of how things stood, which are shown with the quarter.
    pub counts: Vec<Count>,
    /// Percentiles that are shown.
    pub times: Vec<Time>,
}

/// A count that is shown: at least so many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Cell {
    /// Whether the reader is a party.
    pub own: bool,
    /// The recipient; none in a week, and where everything, a purpose or a priority is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Oin>,
    /// The sender, of what the recipient got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Oin>,
    /// The division by purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The division by priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// The reason of a step-up, which divides cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StepUpReason>,
    /// The life domain, within a purpose; not a division, for a referral may have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// A count that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Of which hand-overs.
    #[serde(flatten)]
    pub cell: Cell,
    /// What is counted.
    pub measure: Measure,
    /// At least so many.
    pub count: u64,
}

/// Percentiles that are shown, in days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    /// Of which hand-overs.
    #[serde(flatten)]
    pub cell: Cell,
    /// Of what.
    pub lead: Lead,
    /// Those.
    #[serde(flatten)]
    pub days: Percentiles,
}

/// The figures that are made now: 1 has step-ups of cases and percentiles of routes.
const EDITION: u32 = 1;

/// What happened, as seen by one reader.
pub struct Making<'a> {
    /// Who reads.
    pub reader: &'a Oin,
    /// What everybody knows.
    pub network: &'a Network,
    /// The threshold: the highest of any covenant that ruled in the period and its quarter up to then.
    pub threshold: u32,
    /// When this is made.
    pub now: Timestamp,
}

impl Making<'_> {
    /// The figures of a period. `weeks` are what this reader was shown of the weeks of its quarter, in order: those before this one, or all.
    #[must_use]
    pub fn figures(&self, period: Period, happened: &Happened, weeks: &[Figures]) -> Figures {
        let Network { organisations, purposes, priorities, domains, .. } = self.network.clone();
        // Who took part in an earlier week keeps its lines.
        let parties = organisations.into_iter().chain(weeks.iter().flat_map(|week| week.organisations.iter().cloned()));
        let mut figures = Figures {
            edition: EDITION,
            threshold: self.threshold,
            made_at: self.now,
            organisations: parties.collect::<BTreeSet<_>>().into_iter().collect(),
            purposes,
            priorities,
            domains,
            possible: [false, true].map(|own| self.possible(own)),
            comparable: !period.is_quarter() || weeks.iter().all(|week| week.threshold == self.threshold),
            counts: Vec::new(),
            times: Vec::new(),
        };
        if !figures.comparable {
            return figures;
        }
        for own in [false, true] {
            let facts = happened.facts.iter().filter(|fact| self.is_own(&fact.sender, &fact.recipient) == own);
            let cases = happened.cases.iter().filter(|case| case.own == own);
            let so_far = Side { own, facts: facts.collect(), cases: cases.collect() };
            if period.is_quarter() {
                self.quarter(&so_far, weeks, &mut figures);
                self.needs(own, &so_far.facts, &mut figures);
                self.times_of_quarter(own, &so_far.facts, &mut figures);
            } else {
                let of_week = so_far.since(period.bounds().map(|(from, _)| from));
                self.week((&so_far, &of_week), (period, weeks), &mut figures);
                self.times_of_week(own, &of_week.facts, &mut figures);
            }
        }
        figures
    }

    fn is_own(&self, sender: &Oin, recipient: &Oin) -> bool {
        sender == self.reader || recipient == self.reader
    }

    fn threshold(&self) -> Threshold {
        Threshold::new(self.threshold)
    }

    fn possible(&self, own: bool) -> Possible {
        Possible::of(
            self.network.routes.iter().filter(|((sender, recipient), _)| self.is_own(sender, recipient) == own),
        )
    }

    /// Of a week: everything together. At the end of a quarter also how things stand, in tables that the quarter shows.
    fn week(
        &self,
        (so_far, of_week): (&Side<'_>, &Side<'_>),
        (period, weeks): (Period, &[Figures]),
        figures: &mut Figures,
    ) {
        let own = so_far.own;
        let is_last = period.quarter().is_some_and(|quarter| quarter.weeks().last() == Some(&period));
        for measure in Measure::ALL {
            let number = of_week.number(measure);
            let counts = self.counts(measure, so_far, weeks);
            // What stands in one week stands in the next as well: such weeks do not add up to anything.
            let before = if measure.is_stock() { 0 } else { shown_of(weeks, own, measure).shown };
            let count = counts.of_week(number, before, self.threshold());
            figures.push(Cell { own, ..Cell::default() }, measure, count);
            if measure.is_stock() && is_last {
                let shown = counts.beside(Weeks { shown: count, possible: 1 }, self.threshold());
                figures.push_tables(own, measure, shown);
            }
        }
    }

    /// Of a quarter: every recipient and, where they are made, purposes and priorities, beside the weeks that were shown.
    fn quarter(&self, side: &Side<'_>, weeks: &[Figures], figures: &mut Figures) {
        let own = side.own;
        for measure in Measure::ALL.into_iter().filter(|measure| !measure.is_stock()) {
            let of_weeks = shown_of(weeks, own, measure);
            let shown = self.counts(measure, side, weeks).beside(of_weeks, self.threshold());
            figures.push(Cell { own, ..Cell::default() }, measure, shown.most(of_weeks));
            figures.push_tables(own, measure, shown);
        }
        let standing = weeks.last().into_iter().flat_map(|week| &week.counts);
        figures.counts.extend(standing.filter(|count| count.cell.own == own && count.measure.is_stock()).cloned());
    }

    fn counts(&self, measure: Measure, side: &Side<'_>, weeks: &[Figures]) -> Counts<Whole, String> {
        let own = side.own;
        let possible = weeks.iter().fold(self.possible(own), |possible, week| possible.or(week.possible_of(own)));
        if measure.is_of_cases() {
            return of_cases(&side.cases, !possible.senders_to.is_empty());
        }
        let facts: Vec<&Fact> = side.facts.iter().copied().filter(|fact| fact.measure == measure).collect();
        let mut recipients: BTreeMap<Whole, Division<String>> = BTreeMap::new();
        for fact in &facts {
            let of = recipients.entry(Whole::Recipient(fact.recipient.clone())).or_default();
            *of.cells.entry(fact.sender.to_string()).or_default() += 1;
            of.possible = possible.senders_to.get(&fact.recipient).copied().unwrap_or(0).max(1);
        }
        let divisions = if measure.has_purposes() {
            vec![
                Division { cells: tally(&facts, |fact| fact.purpose.clone()), possible: possible.purposes },
                Division {
                    cells: tally(&facts, |fact| fact.priority.clone()),
                    possible: self.network.priorities.len() as u64,
                },
            ]
        } else {
            Vec::new()
        };
        Counts { recipients, possible_recipients: possible.senders_to.len() as u64, divisions }
    }

    /// Life domains are shown within a purpose, and never more of them than of that.
    fn needs(&self, own: bool, facts: &[&Fact], figures: &mut Figures) {
        let opened = facts.iter().filter(|fact| fact.measure == Measure::Opened);
        let mut needs: BTreeMap<(String, String), u64> = BTreeMap::new();
        for fact in opened {
            for domain in &fact.domains {
                *needs.entry((fact.purpose.clone(), domain.clone())).or_default() += 1;
            }
        }
        for ((purpose, domain), count) in needs {
            let within = Cell { own, purpose: Some(purpose), ..Cell::default() };
            let count = self.threshold().floor(count).min(figures.count(&within, Measure::Opened));
            figures.push(Cell { domain: Some(domain), ..within }, Measure::Opened, count);
        }
    }

    /// Percentiles of a week: of everything together.
    fn times_of_week(&self, own: bool, facts: &[&Fact], figures: &mut Figures) {
        let all = Cell { own, ..Cell::default() };
        for lead in Lead::ALL {
            let parts = BTreeMap::from([((), (days_of(facts, lead).collect(), 0))]);
            let shown = figures.shown_of(&all, lead);
            figures.push_times(all.clone(), lead, Parted { parts, shown }.whole(self.threshold()));
        }
    }

    /// Percentiles of a quarter: of each recipient, and of its routes as far as the rest of them allows.
    fn times_of_quarter(&self, own: bool, facts: &[&Fact], figures: &mut Figures) {
        let recipients: BTreeSet<&Oin> = facts.iter().map(|fact| &fact.recipient).collect();
        for (lead, recipient) in Lead::ALL.into_iter().flat_map(|lead| recipients.iter().map(move |one| (lead, *one))) {
            let to_it: Vec<&Fact> = facts.iter().copied().filter(|fact| fact.recipient == *recipient).collect();
            let whole = Cell { own, recipient: Some(recipient.clone()), ..Cell::default() };
            let mut parts: BTreeMap<Oin, (Vec<u32>, u64)> = BTreeMap::new();
            for sender in to_it.iter().map(|fact| &fact.sender).collect::<BTreeSet<_>>() {
                let from_it: Vec<&Fact> = to_it.iter().copied().filter(|fact| fact.sender == *sender).collect();
                let route = Cell { sender: Some(sender.clone()), ..whole.clone() };
                let days = days_of(&from_it, lead).collect();
                parts.insert(sender.clone(), (days, figures.shown_of(&route, lead)));
            }
            let parted = Parted { parts, shown: figures.shown_of(&whole, lead) };
            figures.push_times(whole.clone(), lead, parted.whole(self.threshold()));
            for (sender, days) in parted.parts(self.threshold()) {
                figures.push_times(Cell { sender: Some(sender), ..whole.clone() }, lead, days);
            }
        }
    }
}

/// What happened to others, or to the reader's own.
struct Side<'a> {
    own: bool,
    facts: Vec<&'a Fact>,
    cases: Vec<&'a SteppedUpCase>,
}

impl Side<'_> {
    fn since(&self, from: Option<Timestamp>) -> Self {
        Self {
            own: self.own,
            facts: self.facts.iter().copied().filter(|fact| Some(fact.at) >= from).collect(),
            cases: self.cases.iter().copied().filter(|case| Some(case.at) >= from).collect(),
        }
    }

    fn number(&self, measure: Measure) -> u64 {
        if measure.is_of_cases() {
            return self.cases.len() as u64;
        }
        self.facts.iter().filter(|fact| fact.measure == measure).count() as u64
    }
}

/// What a table has lines for whose parts may be shown too: the recipients of hand-overs, and the reasons of step-ups, which have no parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Whole {
    Recipient(Oin),
    Reason(StepUpReason),
}

/// Cases are divided by the reason of their step-up, each of which anybody can give as soon as there can be cases at all.
fn of_cases(cases: &[&SteppedUpCase], can_be: bool) -> Counts<Whole, String> {
    let mut reasons: BTreeMap<Whole, Division<String>> = BTreeMap::new();
    for case in cases {
        let of = reasons.entry(Whole::Reason(case.reason)).or_default();
        *of.cells.entry(String::new()).or_default() += 1;
    }
    let possible_recipients = if can_be { StepUpReason::ALL.len() as u64 } else { 0 };
    Counts { recipients: reasons, possible_recipients, divisions: Vec::new() }
}

fn days_of(facts: &[&Fact], lead: Lead) -> impl Iterator<Item = u32> {
    facts.iter().filter(move |fact| fact.measure.lead() == Some(lead)).filter_map(|fact| fact.days)
}

impl Figures {
    /// What is shown of exactly this; 0 where nothing is.
    #[must_use]
    pub fn count(&self, cell: &Cell, measure: Measure) -> u64 {
        let same = |count: &&Count| count.cell == *cell && count.measure == measure;
        self.counts.iter().find(same).map_or(0, |count| count.count)
    }

    /// Of how many that took this time at least something is shown.
    fn shown_of(&self, cell: &Cell, lead: Lead) -> u64 {
        let of_lead = Measure::ALL.into_iter().filter(|measure| measure.lead() == Some(lead));
        of_lead.map(|measure| self.count(cell, measure)).sum()
    }

    /// Whether percentiles of routes and step-ups of cases were made.
    #[must_use]
    pub const fn has_cases_and_routes(&self) -> bool {
        self.edition >= EDITION
    }

    fn push_times(&mut self, cell: Cell, lead: Lead, days: Percentiles) {
        if days != Percentiles::default() {
            self.times.push(Time { cell, lead, days });
        }
    }

    fn possible_of(&self, own: bool) -> &Possible {
        let [others, of_own] = &self.possible;
        if own { of_own } else { others }
    }

    fn push(&mut self, cell: Cell, measure: Measure, count: u64) {
        if count > 0 {
            self.counts.push(Count { cell, measure, count });
        }
    }

    fn push_tables(&mut self, own: bool, measure: Measure, shown: Shown<Whole, String>) {
        for (whole, star) in shown.recipients {
            let none = Cell { own, ..Cell::default() };
            let cell = match whole {
                Whole::Recipient(recipient) => Cell { recipient: Some(recipient), ..none },
                Whole::Reason(reason) => Cell { reason: Some(reason), ..none },
            };
            let is_recipient = cell.recipient.is_some();
            self.push(cell.clone(), measure, star.whole);
            for (sender, count) in star.parts.into_iter().filter(|_| is_recipient) {
                // What came from the database as an identifier is one.
                if let Ok(sender) = sender.parse() {
                    self.push(Cell { sender: Some(sender), ..cell.clone() }, measure, count);
                }
            }
        }
        for (place, cells) in shown.divisions.into_iter().enumerate() {
            for (key, count) in cells {
                let none = Cell { own, ..Cell::default() };
                let cell = match place {
                    0 => Cell { purpose: Some(key), ..none },
                    _ => Cell { priority: Some(key), ..none },
                };
                self.push(cell, measure, count);
            }
        }
    }
}

/// What was shown of weeks; possible are those in which anybody could hand anything over.
fn shown_of(weeks: &[Figures], own: bool, measure: Measure) -> Weeks {
    let cell = Cell { own, ..Cell::default() };
    Weeks {
        shown: weeks.iter().map(|week| week.count(&cell, measure)).sum(),
        possible: weeks.iter().filter(|week| !week.possible_of(own).senders_to.is_empty()).count() as u64,
    }
}

fn tally<K: Ord>(facts: &[&Fact], key: impl Fn(&Fact) -> K) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for fact in facts {
        *counts.entry(key(fact)).or_default() += 1;
    }
    counts
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
