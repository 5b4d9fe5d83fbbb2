//! Finds the rules that can apply to given facts: one row of bits per value of each fact, a bit per rule.
//!
//! What is shared by many parties is held once per value and not per pair of parties, so that the index of a covenant with
//! hundreds of organisations stays small; a decision is the conjunction of one row per fact.
//!
//! Invariant: a rule is left out only by a row of its own [`Reach`].

use super::facts::{Fact, Facts};
use super::reach::Reach;
use super::vocabulary::Vocabulary;

/// The facts whose rows are joined first, because they leave out most.
const FIRST: [Fact; 6] =
    [Fact::Purpose, Fact::Recipient, Fact::Category, Fact::Receiver, Fact::Basis, Fact::CovenantInForce];

/// Which of the rules of one covenant can apply to which facts.
#[derive(Debug)]
pub(super) struct Index {
    /// Numbers of 64 bits in one row.
    words: usize,
    /// Per fact its rows one after another; a fact that leaves out nothing is not in it.
    facts: Vec<(Fact, Vec<u64>)>,
}

impl Index {
    /// The index of rules with these reaches, in their order.
    pub(super) fn of(vocabulary: &Vocabulary, reaches: &[Reach]) -> Self {
        let words = reaches.len().div_ceil(64);
        let mut order = Fact::ALL;
        order.sort_by_key(|fact| FIRST.iter().position(|first| first == fact).unwrap_or(FIRST.len()));
        let speaks = |fact: &&Fact| **fact == Fact::Purpose || reaches.iter().any(|reach| reach.of(**fact).is_some());
        let rows_of = |fact: &Fact| {
            let values = if fact.is_flag() { 2 } else { vocabulary.kind(*fact).entities().len() };
            (*fact, rows(reaches, *fact, values, words))
        };
        Self { words, facts: order.iter().filter(speaks).map(rows_of).collect() }
    }

    /// The places of the rules that can apply, ascending.
    pub(super) fn candidates(&self, facts: &Facts) -> impl Iterator<Item = usize> {
        (0..self.words).flat_map(move |word| places(word * 64, self.bits(facts, word)))
    }

    /// The bits of 64 rules. A number that is no value of its fact leaves all of them out, the permits too.
    fn bits(&self, facts: &Facts, word: usize) -> u64 {
        let mut bits = u64::MAX;
        for (fact, rows) in &self.facts {
            let row = usize::try_from(facts.number(*fact)).unwrap_or(usize::MAX);
            bits &= row.checked_mul(self.words).and_then(|row| rows.get(row + word)).copied().unwrap_or(0);
            if bits == 0 {
                break;
            }
        }
        bits
    }
}

/// The places of the bits that are set, counted from `first`.
fn places(first: usize, mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| first + bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        place
    })
}

/// One row per value of a fact, with the bit of every rule that can apply with that value.
fn rows(reaches: &[Reach], fact: Fact, values: usize, words: usize) -> Vec<u64> {
    let mut rows = vec![0; values * words];
    for (rule, reach) in reaches.iter().enumerate() {
        let can = reach.of(fact);
        for value in 0..values {
            if can.is_none_or(|can| can.get(value).copied().unwrap_or(false))
                && let Some(word) = rows.get_mut(value * words + rule / 64)
            {
                *word |= 1 << (rule % 64);
            }
        }
    }
    rows
}
