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
