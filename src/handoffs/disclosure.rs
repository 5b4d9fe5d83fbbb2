//! Which counts may be shown: disclosure control (rule 15), pure and without I/O.
//!
//! One figure (handed over, accepted, ...) is shown in tables of the *same* hand-overs: by recipient, and of each recipient by sender; by
//! purpose; by priority; by week. Every number is rounded down to a multiple of the threshold. Rounding alone would not do: ten senders of nine
//! each, all hidden, and a recipient of ninety give all ten away. So there is one rule:
//!
//! **No table adds up to more than any other table of the same hand-overs still can when any one of its cells has nothing beyond what is
//! shown of it** (its *room*). What would be more is shown smaller.
//!
//! Weeks are shown first, so the rule is kept while a quarter runs: a week shows no more than the tables of the quarter so far, which are not
//! published yet, leave room for. As these only grow, the rule can always be kept at the end, and nothing is ever left out *because* of
//! what was shown before.
//!
//! Percentiles have a rule of their own: [`Parted`].
//!
//! Invariant, proved below by trying all small worlds on the code itself: whoever has everything that was ever shown of a figure, and knows
//! this algorithm, still has to count with every number from the one that is shown to that number plus the threshold less one, for
//! every single cell of every table. `docs/monitor.md` has the argument, and what it is not about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a number is rounded down to a multiple of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold(u64);

impl Threshold {
    /// The threshold of the covenant; never less than two, for one would hide nothing.
    #[must_use]
    pub fn new(threshold: u32) -> Self {
        Self(u64::from(threshold).max(2))
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The largest multiple that is not more than the count.
    #[must_use]
    pub const fn floor(self, count: u64) -> u64 {
        count - count % self.0
    }

    /// The most that rounding hides of one count.
    const fn hidden(self) -> u64 {
        self.0 - 1
    }

    /// What a table of which so much is shown can add up to, with any one of its cells at what is shown of it.
    const fn room(self, shown: u64, possible: u64) -> u64 {
        shown + possible.saturating_sub(1) * self.hidden()
    }
}

/// One division of hand-overs: counts by what they are divided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division<K> {
    /// The counts; what is absent is zero.
    pub cells: BTreeMap<K, u64>,
    /// How many cells anybody must count with, whatever the counts are: those that could be more than zero. Too few are safe.
    pub possible: u64,
}

impl<K> Default for Division<K> {
    fn default() -> Self {
        Self { cells: BTreeMap::new(), possible: 1 }
    }
}

fn sum<K>(cells: &BTreeMap<K, u64>) -> u64 {
    cells.values().sum()
}

impl<K: Ord + Clone> Division<K> {
    fn rounded(&self, threshold: Threshold) -> BTreeMap<K, u64> {
        let cells = self.cells.iter().map(|(key, count)| (key.clone(), threshold.floor(*count)));
        cells.filter(|(_, floor)| *floor > 0).collect()
    }
}

/// What is shown of one recipient: all that it got, and from whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Star<K> {
    /// Everything.
    pub whole: u64,
    /// By sender; only what is more than zero.
    pub parts: BTreeMap<K, u64>,
}

impl<K: Ord + Clone> Star<K> {
    /// What may be shown of a whole and its parts.
    #[must_use]
    pub fn of(parts: &Division<K>, threshold: Threshold) -> Self {
        let shown = parts.rounded(threshold);
        let room = threshold.room(sum(&shown), parts.possible);
        Self { whole: threshold.floor(sum(&parts.cells).min(room)), parts: shown }.lowered_to_whole(threshold)
    }

    fn lowered_to_whole(mut self, threshold: Threshold) -> Self {
        lower(&mut self.parts, self.whole, threshold);
        self
    }
}

/// Takes from the largest number, the first of several, until they add up to no more than this multiple of the threshold.
fn lower<K: Ord + Clone>(cells: &mut BTreeMap<K, u64>, most: u64, threshold: Threshold) {
    while sum(cells) > most {
        let Some(count) = cells.values().copied().max().filter(|count| *count > 0) else { return };
        let Some(key) = cells.iter().find(|(_, other)| **other == count).map(|(key, _)| key.clone()) else { return };
        match count.saturating_sub(threshold.number()) {
            0 => cells.remove(&key),
            less => cells.insert(key, less),
        };
    }
}

/// The counts of one figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts<R, K> {
    /// What each recipient got, by sender.
    pub recipients: BTreeMap<R, Division<K>>,
    /// How many recipients anybody must count with.
    pub possible_recipients: u64,
    /// The same hand-overs divided otherwise: by purpose, by priority.
    pub divisions: Vec<Division<K>>,
}

/// What may be shown of one figure; every number is a multiple of the threshold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown<R, K> {
    /// By recipient.
    pub recipients: BTreeMap<R, Star<K>>,
    /// In the order in which they were given; only cells of more than zero.
    pub divisions: Vec<BTreeMap<K, u64>>,
}

impl<R, K> Default for Shown<R, K> {
    fn default() -> Self {
        Self { recipients: BTreeMap::new(), divisions: Vec::new() }
    }
}

/// What was shown of the weeks of a quarter: what it adds up to, and in how many of them there could be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weeks {
    /// The sum of what was shown.
    pub shown: u64,
    /// How many could be more than zero.
    pub possible: u64,
}

impl<R: Ord + Clone, K: Ord + Clone> Counts<R, K> {
    /// Each table by itself, before it is compared with the others.
    fn rounded(&self, threshold: Threshold) -> Shown<R, K> {
        let star = |(recipient, parts): (&R, &Division<K>)| (recipient.clone(), Star::of(parts, threshold));
        Shown {
            recipients: self.recipients.iter().map(star).collect(),
            divisions: self.divisions.iter().map(|division| division.rounded(threshold)).collect(),
        }
    }

    /// The most that every table leaves room for.
    fn room(&self, rounded: &Shown<R, K>, threshold: Threshold) -> u64 {
        let of_divisions = self.divisions.iter().zip(&rounded.divisions);
        let rooms = of_divisions.map(|(division, cells)| threshold.room(sum(cells), division.possible));
        rooms.fold(threshold.room(rounded.total(), self.possible_recipients), u64::min)
    }

    /// What may be shown of a week: these are the counts of its quarter up to the end of the week, `count` is that of the week itself, and
    /// `before` was shown of the weeks before it.
    #[must_use]
    pub fn of_week(&self, count: u64, before: u64, threshold: Threshold) -> u64 {
        let room = self.room(&self.rounded(threshold), threshold).saturating_sub(before);
        threshold.floor(count.min(room))
    }

    /// What may be shown of a quarter beside its weeks. Nothing, where more was shown of the weeks than these counts leave room
    /// for: then they are not of these weeks.
    #[must_use]
    pub fn beside(&self, weeks: Weeks, threshold: Threshold) -> Shown<R, K> {
        let mut shown = self.rounded(threshold);
        let room = self.room(&shown, threshold);
        if weeks.shown > room {
            return Shown::default();
        }
        let most = threshold.floor(room.min(threshold.room(weeks.shown, weeks.possible)));
        let mut wholes = shown.recipients.iter().map(|(key, star)| (key.clone(), star.whole)).collect();
        lower(&mut wholes, most, threshold);
        for (key, star) in &mut shown.recipients {
            star.whole = wholes.get(key).copied().unwrap_or(0);
            lower(&mut star.parts, star.whole, threshold);
        }
        for cells in &mut shown.divisions {
            lower(cells, most, threshold);
        }
        shown
    }
}

impl<R, K> Shown<R, K> {
    /// What the recipients add up to.
    fn total(&self) -> u64 {
        self.recipients.values().map(|star| star.whole).sum()
    }

    /// The most that any table adds up to: at least so many there are.
    #[must_use]
    pub fn most(&self, weeks: Weeks) -> u64 {
        self.divisions.iter().map(sum).fold(self.total().max(weeks.shown), u64::max)
    }
}

/// What is shown of how long something took, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub median: Option<u32>,
    /// The ninetieth percentile.
    pub p90: Option<u32>,
}

/// How long something took in a whole that has parts: what a recipient got, and from whom.
///
/// A percentile says that so many took at most so long and so many at least. Where the threshold lies on both sides it says nothing of any
/// threshold-less-one of them: whatever these took, the others can make up for it. But a percentile of a whole beside those of its parts also says
/// something of the rest, which has none. So the rule is asked of the **rest** too: of a part a percentile is shown only as long as the parts of
/// which none is shown have the threshold on both sides of it together, and one more for each further part of which one is (ranks are
/// rounded). That is decided on shown counts alone.
///
/// And a part's median is never shown above the ninetieth percentile of the whole, nor its ninetieth percentile below the median of the whole:
/// the one with the other could say that *all* of the rest is on one side, however many they are.
#[derive(Debug, Clone)]
pub struct Parted<K> {
    /// The observations of each part, and how many are shown to be.
    pub parts: BTreeMap<K, (Vec<u32>, u64)>,
    /// How many of the whole are shown to be.
    pub shown: u64,
}

impl<K: Ord + Clone> Parted<K> {
    /// What may be shown of the whole.
    #[must_use]
    pub fn whole(&self, threshold: Threshold) -> Percentiles {
        let mut all: Vec<u32> = self.parts.values().flat_map(|(days, _)| days.iter().copied()).collect();
        let mut at = |percent| percentile(&mut all, percent, self.shown, threshold);
        Percentiles { median: at(50), p90: at(90) }
    }

    /// What may be shown of the parts beside it; those of which nothing is are absent.
    #[must_use]
    pub fn parts(&self, threshold: Threshold) -> BTreeMap<K, Percentiles> {
        let whole = self.whole(threshold);
        let told = [50, 90].map(|percent| self.told(percent, threshold));
        let mut parts = BTreeMap::new();
        for (key, (days, shown)) in &self.parts {
            let mut days = days.clone();
            let [median, p90] = [(50, 0), (90, 1)].map(|(percent, place)| {
                let told = told.get(place).is_some_and(|told| told.contains(key));
                told.then(|| percentile(&mut days, percent, *shown, threshold)).flatten()
            });
            let shown = Percentiles {
                median: median.map(|median| whole.p90.map_or(median, |most| median.min(most))),
                p90: p90.map(|p90| whole.median.map_or(p90, |least| p90.max(least))),
            };
            if shown != Percentiles::default() {
                parts.insert(key.clone(), shown);
            }
        }
        parts
    }

    /// The parts of which this percentile is shown: those that have enough, but for the smallest as long as the rest has too few.
    fn told(&self, percent: u64, threshold: Threshold) -> Vec<K> {
        let (enough, few): (Vec<_>, Vec<_>) = self
            .parts
            .iter()
            .map(|(key, (_, shown))| (*shown, key.clone()))
            .partition(|(shown, _)| is_between(percent, *shown, threshold.number()));
        let mut rest: u64 = few.iter().map(|(shown, _)| shown).sum();
        let mut told = enough;
        // The largest first, so that the smallest is the last.
        told.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
        while !is_between(percent, rest, threshold.number() + (told.len() as u64).saturating_sub(1)) {
            let Some((shown, _)) = told.pop() else { break };
            rest += shown;
        }
        told.into_iter().map(|(_, key)| key).collect()
    }
}

/// Whether so many lie on both sides of a percentile of so many observations.
const fn is_between(percent: u64, observations: u64, wanted: u64) -> bool {
    let (below, above) = (observations * percent, observations * (100 - percent));
    below >= wanted * 100 && above >= wanted * 100
}

/// The value that `percent` percent of the observations do not exceed (nearest rank); nothing unless the threshold lies on both
/// sides of it. `shown` is the number of observations that is shown: deciding on it, this says nothing more about their number.
#[must_use]
fn percentile(observations: &mut [u32], percent: u64, shown: u64, threshold: Threshold) -> Option<u32> {
    if !is_between(percent, shown, threshold.number()) {
        return None;
    }
    observations.sort_unstable();
    let rank = (u64::try_from(observations.len()).ok()? * percent).div_ceil(100);
    observations.get(usize::try_from(rank).ok()?.saturating_sub(1)).copied()
}

#[cfg(test)]
#[path = "disclosure_tests.rs"]
mod tests;
