//! The figures of a period for one reader, made of what happened to each referral. Pure.
//!
//! Invariants: what is kept of a period holds nothing that may not be shown; the reader's own flows, which it knows exactly, are
//! counted apart from those of others, so that subtracting them leaves nothing; what a column adds (open, overdue) stands for different
//! hand-overs, and nothing ever needs to be subtracted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::disclosure::{Counts, Division, Shown, Threshold, Weeks, percentile};
use super::period::Period;
use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;

closed_list! {
    /// What is counted. The first nine happen in a period, the last three are as they stand at its end; of these three no referral is two.
    Measure {
        /// Handed over.
        Opened = "opened",
        /// Picked up, for the first time.
        Received = "received",
        /// Taken on, for the first time.
        Accepted = "accepted",
        /// Not taken on.
        Rejected = "rejected",
        /// Referred on after it was not taken on.
        RejectedReferredOn = "rejected-referred-on",
        /// Resolved after it was not taken on.
        RejectedResolved = "rejected-resolved",
        /// Stepped up after it was not taken on.
        RejectedSteppedUp = "rejected-stepped-up",
        /// Completed, for the first time.
        Completed = "completed",
        /// Stepped up, after whatever end.
        SteppedUp = "stepped-up",
        /// Open, and in time.
        InTime = "in-time",
        /// Open and late, and not stuck.
        Overdue = "overdue",
        /// Open, with two terms or more missed.
        Stuck = "stuck",
    }
}

closed_list! {
    /// What takes time, counted in days from the hand-over.
    Lead {
        /// Until it was picked up.
        Received = "received",
        /// Until it was decided on.
        Decided = "decided",
        /// Until it was completed.
        Completed = "completed",
    }
}

impl Measure {
    /// Whether it says how things stand instead of what happened.
    #[must_use]
    pub const fn is_stock(self) -> bool {
        matches!(self, Self::InTime | Self::Overdue | Self::Stuck)
    }

    /// Whether it is divided by purpose and priority. Of what is late the single lines tell the exact number, and what is stepped up the
    /// municipality holds itself and may end: beside an exact number rounded parts would say what the others are.
    #[must_use]
    pub const fn has_purposes(self) -> bool {
        matches!(self, Self::Opened | Self::Received | Self::Accepted | Self::Rejected | Self::Completed | Self::InTime)
    }

    const fn lead(self) -> Option<Lead> {
        match self {
            Self::Received => Some(Lead::Received),
            Self::Accepted | Self::Rejected => Some(Lead::Decided),
            Self::Completed => Some(Lead::Completed),
            _ => None,
        }
    }
}

/// One thing that is counted about one referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What.
    pub measure: Measure,
    /// When it happened; of what stands, the moment at which it does.
    pub at: Timestamp,
    /// Who handed over.
    pub sender: Oin,
    /// To whom.
    pub recipient: Oin,
    /// Why.
    pub purpose: String,
    /// How fast.
    pub priority: String,
    /// The life domains that came with it; of what was handed over.
    pub domains: Vec<String>,
    /// How many days it took, where it took time.
    pub days: Option<u32>,
}

/// What everybody knows, whatever was handed over: who can send what to whom.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// The organisations that take part.
    pub organisations: Vec<Oin>,
    /// For which purposes a sender can hand over to a recipient; pairs that can for none are absent.
    pub routes: BTreeMap<(Oin, Oin), BTreeSet<String>>,
    /// The purposes of the covenant.
    pub purposes: Vec<String>,
    /// The priorities.
    pub priorities: Vec<String>,
    /// The life domains.
    pub domains: Vec<String>,
}

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
    /// The median.
    pub median: u32,
    /// The ninetieth percentile.
    pub p90: Option<u32>,
}

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
    /// The figures of a period. `facts` are what happened from the beginning of its quarter until its end, and how things stood at its
    /// end; `weeks` what this reader was shown of the weeks of the quarter, in order: those before this one, or all.
    #[must_use]
    pub fn figures(&self, period: Period, facts: &[Fact], weeks: &[Figures]) -> Figures {
        let Network { organisations, purposes, priorities, domains, .. } = self.network.clone();
        // Who took part in an earlier week keeps its lines.
        let parties = organisations.into_iter().chain(weeks.iter().flat_map(|week| week.organisations.iter().cloned()));
        let mut figures = Figures {
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
            let facts: Vec<&Fact> =
                facts.iter().filter(|fact| self.is_own(&fact.sender, &fact.recipient) == own).collect();
            if period.is_quarter() {
                self.quarter(own, &facts, weeks, &mut figures);
                self.needs(own, &facts, &mut figures);
                self.times(own, &facts, true, &mut figures);
            } else {
                let from = period.bounds().map(|(from, _)| from);
                let of_week: Vec<&Fact> = facts.iter().copied().filter(|fact| Some(fact.at) >= from).collect();
                self.week(own, (&facts, &of_week), (period, weeks), &mut figures);
                self.times(own, &of_week, false, &mut figures);
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
        own: bool,
        (so_far, of_week): (&[&Fact], &[&Fact]),
        (period, weeks): (Period, &[Figures]),
        figures: &mut Figures,
    ) {
        let is_last = period.quarter().is_some_and(|quarter| quarter.weeks().last() == Some(&period));
        for measure in Measure::ALL {
            let number = of_week.iter().filter(|fact| fact.measure == measure).count() as u64;
            let counts = self.counts(own, measure, so_far, weeks);
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
    fn quarter(&self, own: bool, facts: &[&Fact], weeks: &[Figures], figures: &mut Figures) {
        for measure in Measure::ALL.into_iter().filter(|measure| !measure.is_stock()) {
            let of_weeks = shown_of(weeks, own, measure);
            let shown = self.counts(own, measure, facts, weeks).beside(of_weeks, self.threshold());
            figures.push(Cell { own, ..Cell::default() }, measure, shown.most(of_weeks));
            figures.push_tables(own, measure, shown);
        }
        let standing = weeks.last().into_iter().flat_map(|week| &week.counts);
        figures.counts.extend(standing.filter(|count| count.cell.own == own && count.measure.is_stock()).cloned());
    }

    fn counts(&self, own: bool, measure: Measure, facts: &[&Fact], weeks: &[Figures]) -> Counts<Oin, String> {
        let possible = weeks.iter().fold(self.possible(own), |possible, week| possible.or(week.possible_of(own)));
        let facts: Vec<&Fact> = facts.iter().copied().filter(|fact| fact.measure == measure).collect();
        let mut recipients: BTreeMap<Oin, Division<String>> = BTreeMap::new();
        for fact in &facts {
            let of = recipients.entry(fact.recipient.clone()).or_default();
            *of.cells.entry(fact.sender.to_string()).or_default() += 1;
        }
        for (recipient, of) in &mut recipients {
            of.possible = possible.senders_to.get(recipient).copied().unwrap_or(0).max(1);
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

    /// Percentiles of sets that do not overlap: of the recipients in a quarter, of all together in a week.
    fn times(&self, own: bool, facts: &[&Fact], by_recipient: bool, figures: &mut Figures) {
        let mut days: BTreeMap<(Lead, Option<Oin>), Vec<u32>> = BTreeMap::new();
        for fact in facts {
            if let (Some(lead), Some(taken)) = (fact.measure.lead(), fact.days) {
                let recipient = by_recipient.then(|| fact.recipient.clone());
                days.entry((lead, recipient)).or_default().push(taken);
            }
        }
        for ((lead, recipient), mut days) in days {
            let cell = Cell { own, recipient, ..Cell::default() };
            let of_lead = Measure::ALL.into_iter().filter(|measure| measure.lead() == Some(lead));
            let shown = of_lead.map(|measure| figures.count(&cell, measure)).sum();
            let mut at = |percent| percentile(&mut days, percent, shown, self.threshold());
            if let Some(median) = at(50) {
                let p90 = at(90);
                figures.times.push(Time { cell, lead, median, p90 });
            }
        }
    }
}

impl Figures {
    /// What is shown of exactly this; 0 where nothing is.
    #[must_use]
    pub fn count(&self, cell: &Cell, measure: Measure) -> u64 {
        let same = |count: &&Count| count.cell == *cell && count.measure == measure;
        self.counts.iter().find(same).map_or(0, |count| count.count)
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

    fn push_tables(&mut self, own: bool, measure: Measure, shown: Shown<Oin, String>) {
        for (recipient, star) in shown.recipients {
            let cell = Cell { own, recipient: Some(recipient), ..Cell::default() };
            self.push(cell.clone(), measure, star.whole);
            for (sender, count) in star.parts {
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
