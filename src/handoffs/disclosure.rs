//! Which counts may be shown: disclosure control (rule 15), pure and without I/O.
//!
//! Counts are shown rounded down to a multiple of the threshold, and only in tables whose relations form a tree: per recipient a *star*, the
//! whole and its division by sender, by purpose and by priority; the recipients together add up to the same number as the weeks of the
//! quarter, which were shown before. Rounding alone would not do: ten parts of nine each, all hidden, and a whole of ninety give all parts
//! away. So a whole is never shown larger than its parts could still be with any one of them empty (*slack*), and where it
//! would be, it and its other divisions are shown smaller.
//!
//! Invariant, proved below by trying all small worlds on the code itself: whoever has everything that was ever shown, and knows this
//! algorithm, still has to count with every number from the one that is shown to that number plus the threshold less one, for
//! every single cell. `docs/monitor.md` has the argument.

use std::collections::BTreeMap;

/// A count less one step of it: what a number is rounded down to, and how much it hides.
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
}

/// The counts of one division of a whole, by what it is divided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division<K> {
    /// The counts; what is absent is zero.
    pub cells: BTreeMap<K, u64>,
    /// How many cells anybody must count with, whatever the counts are: those that could be more than zero.
    pub possible: u64,
}

impl<K> Default for Division<K> {
    fn default() -> Self {
        Self { cells: BTreeMap::new(), possible: 1 }
    }
}

/// A whole and its divisions, as they are shown: every number is a multiple of the threshold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Star<K> {
    /// The whole.
    pub whole: u64,
    /// Its divisions, in the order in which they were given; only cells of more than zero.
    pub divisions: Vec<BTreeMap<K, u64>>,
}

fn sum<K>(cells: &BTreeMap<K, u64>) -> u64 {
    cells.values().sum()
}

impl<K: Ord + Clone> Star<K> {
    /// What may be shown of a whole and its divisions.
    #[must_use]
    pub fn of(whole: u64, divisions: &[Division<K>], threshold: Threshold) -> Self {
        let floors = |division: &Division<K>| {
            let cells = division.cells.iter().map(|(key, count)| (key.clone(), threshold.floor(*count)));
            cells.filter(|(_, floor)| *floor > 0).collect::<BTreeMap<_, _>>()
        };
        let shown: Vec<_> = divisions.iter().map(floors).collect();
        let most = divisions
            .iter()
            .zip(&shown)
            .map(|(division, cells)| sum(cells) + division.possible.saturating_sub(1) * threshold.hidden());
        let most = most.min().unwrap_or(u64::MAX);
        let mut star = Self { whole, divisions: shown };
        star.lower(threshold.floor(whole.min(most)), threshold);
        star
    }

    /// Shows no more than this, which is a multiple of the threshold: a whole and divisions that could be somebody else's just as well.
    fn lower(&mut self, whole: u64, threshold: Threshold) {
        self.whole = whole;
        for cells in &mut self.divisions {
            let mut excess = sum(cells).saturating_sub(whole);
            while excess > 0 {
                let Some(largest) = largest(cells) else { break };
                take_from(cells, &largest, threshold.number());
                excess = excess.saturating_sub(threshold.number());
            }
        }
    }
}

/// The key of the largest number, the first of several.
fn largest<K: Ord + Clone>(cells: &BTreeMap<K, u64>) -> Option<K> {
    let most = cells.values().max()?;
    cells.iter().find(|(_, count)| *count == most).map(|(key, _)| key.clone())
}

fn take_from<K: Ord>(cells: &mut BTreeMap<K, u64>, key: &K, step: u64) {
    if let Some(count) = cells.get_mut(key) {
        *count = count.saturating_sub(step);
        if *count == 0 {
            cells.remove(key);
        }
    }
}

/// A number that was shown of one week, and the threshold of that time.
pub type Shown = (u64, Threshold);

/// What may be shown of a quarter, of whose weeks these numbers were shown before: nothing of it (`None`) where its numbers and those of
/// the weeks would together give something away. `possible` is how many stars anybody must count with.
#[must_use]
pub fn beside_weeks<R: Ord + Clone, K: Ord + Clone>(
    mut stars: BTreeMap<R, Star<K>>,
    weeks: &[Shown],
    possible: u64,
    threshold: Threshold,
) -> Option<BTreeMap<R, Star<K>>> {
    let of_weeks: u64 = weeks.iter().map(|(shown, _)| shown).sum();
    if !weeks.is_empty() {
        let hidden = weeks.iter().map(|(_, threshold)| threshold.hidden());
        let one = hidden.clone().max().unwrap_or(0).max(threshold.hidden());
        let most = threshold.floor(of_weeks + hidden.sum::<u64>().saturating_sub(one));
        let mut wholes: BTreeMap<R, u64> = stars.iter().map(|(key, star)| (key.clone(), star.whole)).collect();
        while sum(&wholes) > most {
            let Some(largest) = largest(&wholes) else { break };
            take_from(&mut wholes, &largest, threshold.number());
        }
        for (key, star) in &mut stars {
            star.lower(wholes.get(key).copied().unwrap_or(0), threshold);
        }
    }
    let shown: u64 = stars.values().map(|star| star.whole).sum();
    (of_weeks <= shown + possible.saturating_sub(1) * threshold.hidden()).then_some(stars)
}

/// The value that `percent` percent of the observations do not exceed (nearest rank); nothing unless the threshold lies on both
/// sides of it. `shown` is the number of observations that is shown: deciding on it, this says nothing more about their number.
#[must_use]
pub fn percentile(observations: &mut [u32], percent: u64, shown: u64, threshold: Threshold) -> Option<u32> {
    let (below, above) = (shown * percent, shown * (100 - percent));
    if below.min(above) < threshold.number() * 100 {
        return None;
    }
    observations.sort_unstable();
    let rank = (u64::try_from(observations.len()).ok()? * percent).div_ceil(100);
    observations.get(usize::try_from(rank).ok()?.saturating_sub(1)).copied()
}

#[cfg(test)]
#[path = "disclosure_tests.rs"]
mod tests;
