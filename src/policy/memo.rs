//! Answers that were worked out before, by the facts that they follow from: bounded, and shared without waiting.
//!
//! The memory belongs to one [`Engine`](super::Engine), so to the bytes of one digest, and its key is every fact that the
//! rules and the refusal's texts can see: an answer found here is the one that would be worked out again.
//!
//! Invariants: it never holds more than its bound; nothing in it comes from a record, a resident or a text that the
//! covenant does not hold, because [`Facts`] has no place for these.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, RwLock};

use super::decision::Answer;
use super::facts::Facts;

/// Parts with a lock each, so that threads seldom meet.
const PARTS: usize = 32;

/// A bounded memory of answers.
#[derive(Debug)]
pub(super) struct Memo {
    parts: Vec<RwLock<Part>>,
    /// How many answers one generation of one part holds; 0 remembers nothing.
    generation: usize,
    hasher: RandomState,
}

/// Two generations: when the young one is full it becomes the old one, and what was old is forgotten. What is asked for again
/// is young again, so that answers in use stay.
#[derive(Debug, Default)]
struct Part {
    young: HashMap<Facts, Arc<Answer>>,
    old: HashMap<Facts, Arc<Answer>>,
}

impl Memo {
    /// A memory of at most `bound` answers, rounded down to whole generations.
    pub(super) fn of(bound: usize) -> Self {
        let parts = (0..PARTS).map(|_| RwLock::default()).collect();
        Self { parts, generation: bound / (2 * PARTS), hasher: RandomState::new() }
    }

    /// The answer to these facts, if it is remembered.
    pub(super) fn get(&self, facts: &Facts) -> Option<Arc<Answer>> {
        let part = self.part(facts)?;
        let answer = {
            let part = part.read().ok()?;
            if let Some(answer) = part.young.get(facts) {
                return Some(Arc::clone(answer));
            }
            Arc::clone(part.old.get(facts)?)
        };
        self.keep(*facts, &answer);
        Some(answer)
    }

    /// Remembers an answer. A part whose lock was poisoned remembers nothing more.
    pub(super) fn keep(&self, facts: Facts, answer: &Arc<Answer>) {
        if self.generation == 0 {
            return;
        }
        let Some(Ok(mut part)) = self.part(&facts).map(RwLock::write) else { return };
        if part.young.len() >= self.generation && !part.young.contains_key(&facts) {
            part.old = std::mem::take(&mut part.young);
        }
        part.young.insert(facts, Arc::clone(answer));
    }

    /// How many answers it holds, some of them in both generations.
    pub(super) fn len(&self) -> usize {
        let of = |part: &RwLock<Part>| part.read().map_or(0, |part| part.young.len() + part.old.len());
        self.parts.iter().map(of).sum()
    }

    fn part(&self, facts: &Facts) -> Option<&RwLock<Part>> {
        let parts = u64::try_from(self.parts.len()).ok()?;
        let place = self.hasher.hash_one(facts).checked_rem(parts)?;
        self.parts.get(usize::try_from(place).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Effect;
    use crate::policy::facts::Fact;

    fn answer(rule: &str) -> Arc<Answer> {
        Arc::new(Answer { effect: Effect::Permit, code: None, rules: vec![rule.to_owned()], remedies: Vec::new() })
    }

    /// The same number for every fact.
    fn all(number: u32) -> Facts {
        Fact::ALL.into_iter().fold(Facts::FIRST, |facts, fact| facts.with(fact, number))
    }

    #[test]
    fn an_answer_is_found_under_exactly_its_own_facts() {
        for number in [0, 1] {
            let memo = Memo::of(4_096);
            memo.keep(all(number), &answer("own"));
            assert_eq!(memo.get(&all(number)), Some(answer("own")));
            for fact in Fact::ALL {
                let changed = all(number).with(fact, 1 - number);
                assert_eq!(memo.get(&changed), None, "{fact}");
                memo.keep(changed, &answer(fact.as_str()));
            }
            for fact in Fact::ALL {
                assert_eq!(memo.get(&all(number).with(fact, 1 - number)), Some(answer(fact.as_str())));
            }
            assert_eq!(memo.get(&all(number)), Some(answer("own")));
        }
    }

    #[test]
    fn it_never_holds_more_than_its_bound_and_what_is_in_use_stays() {
        let memo = Memo::of(640);
        for number in 0..20_000 {
            memo.keep(all(0).with(Fact::Sender, number), &answer("passing"));
            if number == 0 {
                memo.keep(all(7), &answer("in use"));
            }
            assert!(memo.len() <= 640);
            assert_eq!(memo.get(&all(7)), Some(answer("in use")), "after {number} others");
        }
        assert_eq!(memo.get(&all(0)), None, "the first of them is forgotten");
    }

    #[test]
    fn a_memory_of_nothing_holds_nothing() {
        let memo = Memo::of(0);
        memo.keep(all(0), &answer("any"));
        assert_eq!((memo.get(&all(0)), memo.len()), (None, 0));
    }
}
