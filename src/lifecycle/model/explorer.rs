//! Walks through every state that a model can reach, breadth first, and says by which shortest way a promise is broken.
//!
//! Own, and small, because of one promise: that from *every* state there is a way to an end. That is asked of the whole graph, backwards from its
//! ends; the known checkers in Rust (stateright 0.31) ask of single paths only, and bring a web server along.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Something that moves in steps.
pub trait Model {
    /// Where it stands.
    type State: Clone + Eq + Hash + Debug;
    /// What a step is called, for whoever reads how a promise is broken.
    type Label: Debug;

    /// Where it begins.
    fn initial(&self) -> Self::State;

    /// Every step from here. One that is `helpful` may be counted upon on the way to an end. Fails where a promise about steps is broken.
    fn steps(&self, from: &Self::State, take: &mut dyn FnMut(Self::Label, bool, Self::State)) -> Result<(), String>;

    /// Fails where a promise about states is broken.
    fn check(&self, state: &Self::State) -> Result<(), String>;

    /// Whether everything has come to an end.
    fn is_end(&self, state: &Self::State) -> bool;
}

/// What was explored.
#[derive(Debug, Clone, Copy)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// States in which everything has come to an end.
    pub ends: usize,
}

/// A broken promise, and the shortest way to it.
pub struct Broken {
    /// Which promise.
    pub promise: String,
    /// The steps from the beginning.
    pub path: Vec<String>,
}

impl Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.promise)?;
        self.path.iter().enumerate().try_for_each(|(n, step)| writeln!(f, "  {}. {step}", n + 1))
    }
}

/// A quick hash of what nobody can choose.
#[derive(Default)]
pub struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

struct Graph<S> {
    states: Vec<S>,
    numbers: HashMap<S, usize, BuildHasherDefault<Quick>>,
    /// From which state each was reached first.
    reached_from: Vec<usize>,
    /// Helpful steps, backwards.
    back: Vec<Vec<u32>>,
}

/// Explores all of it; more than `at_most` states are a mistake in the model.
pub fn explore<M: Model>(model: &M, at_most: usize) -> Result<Explored, Broken> {
    let first = model.initial();
    let mut graph = Graph {
        numbers: std::iter::once((first.clone(), 0)).collect(),
        states: vec![first],
        reached_from: vec![0],
        back: vec![Vec::new()],
    };
    let (mut current, mut steps) = (0, 0);
    while let Some(state) = graph.states.get(current).cloned() {
        let outcome = model.check(&state).and_then(|()| {
            model.steps(&state, &mut |_, helpful, next| {
                steps += 1;
                graph.add(current, helpful, next);
            })
        });
        outcome.map_err(|promise| graph.broken(model, current, promise))?;
        assert!(graph.states.len() <= at_most, "more than {at_most} states: the model is not bounded");
        current += 1;
    }
    let ends = graph.every_state_has_a_way_out(model)?;
    Ok(Explored { states: graph.states.len(), steps, ends })
}

impl<S: Clone + Eq + Hash + Debug> Graph<S> {
    fn add(&mut self, from: usize, helpful: bool, next: S) {
        let to = *self.numbers.entry(next).or_insert_with_key(|next| {
            self.states.push(next.clone());
            self.reached_from.push(from);
            self.back.push(Vec::new());
            self.states.len() - 1
        });
        if helpful && to != from {
            self.back[to].push(u32::try_from(from).unwrap());
        }
    }

    fn every_state_has_a_way_out<M: Model<State = S>>(&self, model: &M) -> Result<usize, Broken> {
        let mut leads_to_an_end = vec![false; self.states.len()];
        let mut waiting: Vec<usize> = (0..self.states.len()).filter(|n| model.is_end(&self.states[*n])).collect();
        let ends = waiting.len();
        for end in &waiting {
            leads_to_an_end[*end] = true;
        }
        while let Some(to) = waiting.pop() {
            for from in self.back[to].iter().map(|from| *from as usize) {
                if !std::mem::replace(&mut leads_to_an_end[from], true) {
                    waiting.push(from);
                }
            }
        }
        match leads_to_an_end.iter().position(|leads| !leads) {
            None => Ok(ends),
            Some(lost) => Err(self.broken(model, lost, "from here nothing leads to an end".to_owned())),
        }
    }

    fn broken<M: Model<State = S>>(&self, model: &M, at: usize, promise: String) -> Broken {
        let mut path = Vec::new();
        let mut to = at;
        while to != 0 {
            let from = self.reached_from[to];
            let mut label = None;
            // A step whose promise is broken ends the list, but this one was found before.
            let _ = model.steps(&self.states[from], &mut |step, _, next| {
                if next == self.states[to] && label.is_none() {
                    label = Some(format!("{step:?}"));
                }
            });
            path.push(label.unwrap_or_default());
            to = from;
        }
        path.reverse();
        path.push(format!("{:?}", self.states[at]));
        Broken { promise, path }
    }
}
