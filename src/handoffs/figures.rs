//! The figures of a period for one reader, made of what happened to each referral. Pure.
//!
//! Invariants: what is kept of a period holds nothing that may not be shown; the reader's own flows, which it knows exactly, are
//! counted apart from those of others, so that subtracting them leaves nothing; each figure stands for hand-overs that no other figure of
//! the same division stands for, so that figures may be added and never need to be subtracted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::disclosure::{Division, Shown, Star, Threshold, beside_weeks, percentile};
use super::period::Period;
use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::ids::Oin;

closed_list! {
    /// What is counted. The first eight happen in a period, the last three are as they stand at its end; of each three no referral is two.
    Measure {
        /// Handed over.
        Opened = "opened",
        /// Picked up, for the first time.
        Received = "received",
        /// Taken on, for the first time.
        Accepted = "accepted",
        /// Not taken on; of weeks only, for where a rejection ends is not known so soon.
        Rejected = "rejected",
        /// Not taken on, and referred on.
        RejectedReferredOn = "rejected-referred-on",
        /// Not taken on, and resolved by the sender.
        RejectedResolved = "rejected-resolved",
        /// Not taken on, and stepped up.
        RejectedSteppedUp = "rejected-stepped-up",
        /// Not taken on, and nobody has gone on with it.
        RejectedOpen = "rejected-open",
        /// Completed, for the first time.
        Completed = "completed",
        /// Stepped up after another end than a rejection.
        SteppedUp = "stepped-up",
        /// Open, and in time.
        InTime = "in-time",
        /// Open, late, and not stuck.
        Overdue = "overdue",
        /// Open, with two deadlines missed, or with a party that cannot act.
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
    /// What it is counted as in a week.
    #[must_use]
    pub const fn of_week(self) -> Self {
        match self {
            Self::RejectedReferredOn | Self::RejectedResolved | Self::RejectedSteppedUp | Self::RejectedOpen => {
                Self::Rejected
            }
            other => other,
        }
    }

    /// Whether it says how things stand instead of what happened.
    #[must_use]
    pub const fn is_stock(self) -> bool {
        matches!(self, Self::InTime | Self::Overdue | Self::Stuck)
    }

    const fn lead(self) -> Option<Lead> {
        match self.of_week() {
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

/// What everybody knows, whatever was handed over: how many cells there can be.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// The organisations that take part.
    pub organisations: Vec<Oin>,
    /// The purposes of the covenant.
    pub purposes: Vec<String>,
    /// How many purposes lead to a recipient.
    pub purposes_to: BTreeMap<Oin, u64>,
    /// The priorities.
    pub priorities: Vec<String>,
    /// The life domains.
    pub domains: Vec<String>,
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
    /// What is shown.
    pub counts: Vec<Count>,
    /// Percentiles that are shown.
    pub times: Vec<Time>,
    /// What is withheld as a whole.
    pub withheld: Vec<Withheld>,
}

/// A count that is shown: at least so many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Cell {
    /// Whether the reader is a party.
    pub own: bool,
    /// The recipient; none in a week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Oin>,
    /// The division by sender.
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

/// What is withheld as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// Whether of the reader's own flows.
    pub own: bool,
    /// What is counted, as in a week.
    pub measure: Measure,
}

/// What happened, as seen by one reader.
pub struct Making<'a> {
    /// Who reads.
    pub reader: &'a Oin,
    /// What everybody knows.
    pub network: &'a Network,
    /// The threshold of the covenant.
    pub threshold: u32,
    /// When this is made.
    pub now: Timestamp,
}

type Key = String;
/// The stars of what is counted as one in a week.
type Stars = BTreeMap<(Measure, Oin), Star<Key>>;

impl Making<'_> {
    /// The figures of a period. `weeks` are those of the weeks of a quarter, in order, as this reader was shown them.
    #[must_use]
    pub fn figures(&self, period: Period, facts: &[Fact], weeks: &[Figures]) -> Figures {
        let Network { organisations, purposes, priorities, domains, .. } = self.network.clone();
        let mut figures = Figures {
            threshold: self.threshold,
            made_at: self.now,
            organisations,
            purposes,
            priorities,
            domains,
            counts: Vec::new(),
            times: Vec::new(),
            withheld: Vec::new(),
        };
        for own in [false, true] {
            let facts: Vec<&Fact> = facts.iter().filter(|fact| self.is_own(fact) == own).collect();
            if period.is_quarter() {
                self.quarter(own, &facts, weeks, &mut figures);
                self.needs(own, &facts, &mut figures);
            } else {
                self.week(own, &facts, &mut figures);
            }
            self.times(own, &facts, &mut figures);
        }
        figures
    }

    fn is_own(&self, fact: &Fact) -> bool {
        fact.sender == *self.reader || fact.recipient == *self.reader
    }

    fn threshold(&self) -> Threshold {
        Threshold::new(self.threshold)
    }

    fn week(&self, own: bool, facts: &[&Fact], figures: &mut Figures) {
        for (measure, count) in tally(facts, |fact| fact.measure.of_week()) {
            let count = self.threshold().floor(count);
            if count > 0 {
                figures.counts.push(Count { cell: Cell { own, ..Cell::default() }, measure, count });
            }
        }
    }

    fn quarter(&self, own: bool, facts: &[&Fact], weeks: &[Figures], figures: &mut Figures) {
        let groups: BTreeSet<Measure> = Measure::ALL.into_iter().map(Measure::of_week).collect();
        for group in groups {
            let members: Vec<&Fact> = facts.iter().copied().filter(|fact| fact.measure.of_week() == group).collect();
            let mut stars = Stars::new();
            for (key, whole) in tally(&members, |fact| (fact.measure, fact.recipient.clone())) {
                let star: Vec<&Fact> =
                    members.iter().copied().filter(|fact| fact.measure == key.0 && fact.recipient == key.1).collect();
                stars.insert(key.clone(), Star::of(whole, &self.divisions(own, &key.1, &star), self.threshold()));
            }
            // How things stand at the end of a quarter was shown with its last week.
            let shown = weeks.iter().skip(if group.is_stock() { weeks.len().saturating_sub(1) } else { 0 });
            let shown: Vec<Shown> = shown.map(|week| week.shown(own, group)).collect();
            let kinds =
                Measure::ALL.into_iter().filter(|measure| measure.of_week() == group && *measure != Measure::Rejected);
            let recipients = self.network.organisations.iter().filter(|party| own || *party != self.reader);
            let possible = (kinds.count() * recipients.count()) as u64;
            match beside_weeks(stars, &shown, possible, self.threshold()) {
                Some(stars) => figures.counts.extend(stars.into_iter().flat_map(|(key, star)| counts(own, key, star))),
                None => figures.withheld.push(Withheld { own, measure: group }),
            }
        }
    }

    /// The divisions of what one recipient got: by sender, purpose and priority.
    fn divisions(&self, own: bool, recipient: &Oin, facts: &[&Fact]) -> [Division<Key>; 3] {
        let senders = self.network.organisations.iter().filter(|sender| {
            let is_own = *sender == self.reader || recipient == self.reader;
            *sender != recipient && is_own == own
        });
        let purposes = self.network.purposes_to.get(recipient).copied().unwrap_or(1);
        let division = |cells, possible: u64| Division { cells, possible: possible.max(1) };
        [
            division(tally(facts, |fact| fact.sender.to_string()), senders.count() as u64),
            division(tally(facts, |fact| fact.purpose.clone()), purposes),
            division(tally(facts, |fact| fact.priority.clone()), self.network.priorities.len() as u64),
        ]
    }

    /// Life domains are shown within a recipient's purpose, and never more of them than of that.
    fn needs(&self, own: bool, facts: &[&Fact], figures: &mut Figures) {
        let opened = facts.iter().filter(|fact| fact.measure == Measure::Opened);
        let mut needs: BTreeMap<(Oin, String, String), u64> = BTreeMap::new();
        for fact in opened {
            for domain in &fact.domains {
                let key = (fact.recipient.clone(), fact.purpose.clone(), domain.clone());
                *needs.entry(key).or_default() += 1;
            }
        }
        for ((recipient, purpose, domain), count) in needs {
            let within = Cell { own, recipient: Some(recipient), purpose: Some(purpose), ..Cell::default() };
            let count = self.threshold().floor(count).min(figures.count(&within, Measure::Opened));
            if count > 0 {
                let cell = Cell { domain: Some(domain), ..within };
                figures.counts.push(Count { cell, measure: Measure::Opened, count });
            }
        }
    }

    /// Percentiles of sets that do not overlap: of the recipients in a quarter, of all together in a week.
    fn times(&self, own: bool, facts: &[&Fact], figures: &mut Figures) {
        let mut days: BTreeMap<(Lead, Option<Oin>), Vec<u32>> = BTreeMap::new();
        let by_recipient = figures.counts.iter().any(|count| count.cell.recipient.is_some());
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

    fn shown(&self, own: bool, measure: Measure) -> Shown {
        (self.count(&Cell { own, ..Cell::default() }, measure), Threshold::new(self.threshold))
    }
}

fn tally<K: Ord>(facts: &[&Fact], key: impl Fn(&Fact) -> K) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for fact in facts {
        *counts.entry(key(fact)).or_default() += 1;
    }
    counts
}

fn counts(own: bool, (measure, recipient): (Measure, Oin), star: Star<Key>) -> Vec<Count> {
    let cell = Cell { own, recipient: Some(recipient), ..Cell::default() };
    let mut counts = vec![Count { cell: cell.clone(), measure, count: star.whole }];
    for (place, cells) in star.divisions.into_iter().enumerate() {
        for (key, count) in cells {
            let cell = match place {
                // What came from the database as an identifier is one.
                0 => Cell { sender: key.parse().ok(), ..cell.clone() },
                1 => Cell { purpose: Some(key), ..cell.clone() },
                _ => Cell { priority: Some(key), ..cell.clone() },
            };
            counts.push(Count { cell, measure, count });
        }
    }
    counts.retain(|count| count.count > 0);
    counts
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
