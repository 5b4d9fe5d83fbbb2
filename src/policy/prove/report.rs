//! What came out of a proof, for people and for programs.
//!
//! Invariant: `ok` only when every invariant was shown to hold and every rule was shown never to fail.

use std::fmt;

use serde::Serialize;

use super::super::engine::Engine;
use super::super::explain::RuleExplanation;
use super::counterexample::Counterexample;
use super::invariants::Invariants;
use crate::covenant::{Finding, Label, PolicyDigest};

/// How the rules of a covenant stand towards the invariants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The version of the covenant.
    pub covenant_version: String,
    /// What the parties sign.
    pub policy_digest: PolicyDigest,
    /// The digest of the invariants.
    pub invariants_digest: PolicyDigest,
    /// The solver.
    pub solver: String,
    /// How many rules were shown never to fail, that the covenant is as it is counted as one.
    pub rules: usize,
    /// What is wrong with the rules as such.
    pub findings: Vec<Finding>,
    /// Each invariant.
    pub invariants: Vec<InvariantReport>,
}

/// How the rules stand towards one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InvariantReport {
    /// Its id.
    pub id: String,
    /// The number of the rule of the covenant that it guards.
    pub rule: u8,
    /// What it says.
    pub text: Label,
    /// What came out.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came out of one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// No request breaks it.
    Holds,
    /// This one does.
    Broken {
        /// The request.
        counterexample: Box<Counterexample>,
    },
    /// It forbids nothing that could be asked, so that it says nothing.
    SaysNothing,
    /// It can fail when it is evaluated, and then forbids nothing.
    CanFail,
    /// It is not known.
    Undecided {
        /// Why.
        reason: String,
    },
}

impl Proof {
    /// One in which nothing was shown yet.
    pub(super) fn of(engine: &Engine, invariants: &Invariants, solver: String) -> Self {
        Self {
            covenant_version: engine.covenant().version.clone(),
            policy_digest: engine.digest().clone(),
            invariants_digest: invariants.digest().clone(),
            solver,
            rules: 0,
            findings: Vec::new(),
            invariants: Vec::new(),
        }
    }

    pub(super) fn finding(&mut self, place: &str, message: impl Into<String>) {
        self.findings.push(Finding::new(place, message));
    }

    /// Whether every invariant was shown to hold.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.findings.is_empty() && self.failures().next().is_none() && !self.invariants.is_empty()
    }

    /// The invariants that were not shown to hold.
    pub fn failures(&self) -> impl Iterator<Item = &InvariantReport> {
        self.invariants.iter().filter(|invariant| invariant.outcome != Outcome::Holds)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for invariant in &self.invariants {
            writeln!(f, "{invariant}")?;
        }
        let held = self.invariants.len() - self.failures().count();
        writeln!(f, "covenant {}, {}", self.covenant_version, self.policy_digest)?;
        writeln!(f, "invariants {}", self.invariants_digest)?;
        write!(
            f,
            "{held} of {} invariants hold for all requests, {} rules never fail ({})",
            self.invariants.len(),
            self.rules,
            self.solver
        )
    }
}

impl fmt::Display for InvariantReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, rule, text, outcome } = self;
        let word = match outcome {
            Outcome::Holds => "holds",
            Outcome::Broken { .. } => "BROKEN",
            Outcome::SaysNothing => "SAYS NOTHING",
            Outcome::CanFail => "CAN FAIL",
            Outcome::Undecided { .. } => "NOT KNOWN",
        };
        write!(f, "{word:<6} {id} (rule {rule}): {} | {}", text.nl, text.en)?;
        match outcome {
            Outcome::Holds => Ok(()),
            Outcome::Broken { counterexample } => write!(f, "\n{counterexample}"),
            Outcome::SaysNothing => write!(f, "\n    no request could break it; correct its condition"),
            Outcome::CanFail => write!(f, "\n    it can fail when it is evaluated; write it so that it cannot"),
            Outcome::Undecided { reason } => write!(f, "\n    {reason}"),
        }
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: [fn(&Label) -> &String; 2] = [|label| &label.nl, |label| &label.en];
        let titles = [["Wel zo", "Niet zo", "Het mag volgens"], ["Holds", "Does not hold", "It is permitted by"]];
        for (of, [holding, missing, by]) in words.into_iter().zip(titles) {
            let joined =
                |labels: &[Label]| labels.iter().map(|label| of(label).as_str()).collect::<Vec<_>>().join(", ");
            writeln!(f, "    {}", of(&self.request))?;
            writeln!(f, "      {holding}: {}.", joined(&self.holds))?;
            writeln!(f, "      {missing}: {}.", joined(&self.does_not_hold))?;
            for RuleExplanation { id, text } in &self.permitted_by {
                writeln!(f, "      {by} {id}: {}.", of(text))?;
            }
        }
        match &self.case {
            Some(case) => {
                writeln!(
                    f,
                    "    As a case for `sluis policy explain --case` and, with what is expected of it, for the tests:"
                )?;
                write!(
                    f,
                    "{}",
                    case.trim_end().lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
                )
            }
            None => write!(
                f,
                "    It is no example case: the records and parties of a request never make these facts together."
            ),
        }
    }
}
