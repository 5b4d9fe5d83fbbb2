//! Proves, for every request there could be, that the rules give nothing that an invariant forbids.
//!
//! For each action of the schema: the permits of the rows, the rules that withhold and the covenant as it is (`world`) together imply
//! "everything but what the invariant forbids". Cedar's symbolic compiler writes that as a question to an SMT solver; a request that breaks
//! it is shown in the words of the covenant (`counterexample`). The proof is about rules *given* the facts; that those are right is
//! tested in `properties.rs`.
//!
//! Invariants: what the solver cannot say, or says in contradiction to the engine, is a failure and never a pass; an invariant that forbids nothing
//! that could be asked is one too, and so are rules that permit nothing, because of them everything is true.

mod counterexample;
mod invariants;
mod report;
mod solver;
mod world;

#[cfg(test)]
mod mutant_tests;
#[cfg(test)]
mod tests;

use cedar_policy::{Policy, PolicyId, PolicySet, RequestEnv};
use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet};

pub use counterexample::Counterexample;
pub use invariants::Invariants;
pub use report::{InvariantReport, Outcome, Proof};
pub use solver::{NoSolver, Solver};

use super::engine::Engine;
use crate::covenant::{Finding, Findings};
pub(super) use invariants::Invariant;
use solver::{Session, Unanswered};

/// How deep the compiler's recursion may go: every rule of a covenant is one level of it.
const STACK: usize = 256 << 20;
/// The name of the statement that permits everything.
const EVERYTHING: &str = "everything";

/// Why nothing was proven or refuted.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// There is nothing to ask.
    #[error(transparent)]
    NoSolver(#[from] NoSolver),
    /// The invariants do not fit the covenant.
    #[error(transparent)]
    Findings(#[from] Findings),
    /// The machine.
    #[error("the proof cannot be made: {0}")]
    Machine(String),
}

/// Holds the rules of an engine against these invariants. Takes seconds, and blocks.
///
/// # Errors
/// [`Unproven`].
pub fn prove(engine: &Engine, invariants: &Invariants, solver: &Solver) -> Result<Proof, Unproven> {
    with_session(solver, async |session, version| {
        let rules = engine.loaded_rules();
        let read = invariants.read(engine.covenant(), rules.schema())?;
        let mut proof = Proof::of(engine, invariants, version);
        let theory = Theory::new(engine)?;
        theory.check(session, &mut proof).await;
        proof.invariants = theory.weigh_all(session, &read).await;
        Ok(proof)
    })
}

/// Runs on a thread of its own with a deep stack, where the solver's process is also waited for.
fn with_session<T: Send>(
    solver: &Solver,
    work: impl AsyncFnOnce(&mut Session<'_>, String) -> Result<T, Unproven> + Send,
) -> Result<T, Unproven> {
    let machine = |error: std::io::Error| Unproven::Machine(error.to_string());
    let on_thread = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(machine)?;
        runtime.block_on(async {
            let version = solver.version().await?;
            work(&mut Session::new(solver), version).await
        })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("prover".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, on_thread).map_err(machine)?;
        thread.join().map_err(|_| Unproven::Machine("the symbolic compiler ended in a panic".to_owned()))?
    })
}

/// What is known of one action: the rules, compiled.
struct Situation {
    env: RequestEnv,
    /// The rules in the world.
    rules: CompiledPolicySet,
}

/// The rules of one engine, ready to be asked about.
struct Theory<'a> {
    engine: &'a Engine,
    world: Policy,
    situations: Vec<Situation>,
}

impl<'a> Theory<'a> {
    fn new(engine: &'a Engine) -> Result<Self, Unproven> {
        Self::of(engine, engine.loaded_rules().policies().cloned())
    }

    /// The same for these rules in the place of the engine's own, in the same world.
    fn of(engine: &'a Engine, rules: impl Iterator<Item = Policy>) -> Result<Self, Unproven> {
        let loaded = engine.loaded_rules();
        let schema = loaded.schema();
        let unfit = |message: String| Findings(vec![Finding::new("the rules together", message)]);
        let world = world::world(loaded.vocabulary(), loaded.entities(), schema).map_err(unfit)?;
        let in_the_world = set(rules.chain([world.clone()]))?;
        let mut situations = Vec::new();
        for env in schema.request_envs() {
            let rules = CompiledPolicySet::compile(&in_the_world, &env, schema);
            situations.push(Situation { rules: rules.map_err(|error| unfit(error.to_string()))?, env });
        }
        Ok(Self { engine, world, situations })
    }

    /// Whether every rule always has an answer, and whether anything is given at all.
    async fn check(&self, session: &mut Session<'_>, proof: &mut Proof) {
        let rules = self.engine.loaded_rules().policies();
        for policy in rules.chain([&self.world]) {
            match self.never_fails(session, policy).await {
                Ok(true) => proof.rules += 1,
                Ok(false) => {
                    proof.finding(policy.id().as_ref(), "can fail when it is evaluated; write it so that it cannot");
                }
                Err(Unanswered(reason)) => proof.finding(policy.id().as_ref(), reason),
            }
        }
        for situation in &self.situations {
            let place = format!("the rules together, {}", situation.env.action().id().unescaped());
            match session.ask(async |solver| solver.check_always_denies_opt(&situation.rules).await).await {
                Ok(false) => {}
                Ok(true) => proof.finding(&place, "permit nothing, so that everything could be proven of them"),
                Err(Unanswered(reason)) => proof.finding(&place, reason),
            }
        }
    }

    async fn never_fails(&self, session: &mut Session<'_>, policy: &Policy) -> Result<bool, Unanswered> {
        let schema = self.engine.loaded_rules().schema();
        for situation in &self.situations {
            let compiled = CompiledPolicy::compile(policy, &situation.env, schema).map_err(uncompiled)?;
            if !session.ask(async |solver| solver.check_never_errors_opt(&compiled).await).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the rules imply each invariant. All of them are one question first, because they mostly hold; who breaks them
    /// is only asked when that is not so.
    async fn weigh_all(&self, session: &mut Session<'_>, invariants: &[Invariant]) -> Vec<InvariantReport> {
        let together = self.imply(session, invariants).await == Ok(true);
        let mut reports = Vec::new();
        for invariant in invariants {
            reports.push(self.weigh(session, invariant, together).await);
        }
        reports
    }

    /// Whether the rules imply one invariant; `known`: it is known that they do, if it never fails.
    async fn weigh(&self, session: &mut Session<'_>, invariant: &Invariant, known: bool) -> InvariantReport {
        let outcome = match self.decide(session, invariant, known).await {
            Ok(outcome) => outcome,
            Err(Unanswered(reason)) => Outcome::Undecided { reason },
        };
        InvariantReport { id: invariant.id.clone(), rule: invariant.number, text: invariant.text.clone(), outcome }
    }

    async fn decide(
        &self,
        session: &mut Session<'_>,
        invariant: &Invariant,
        known: bool,
    ) -> Result<Outcome, Unanswered> {
        if !self.never_fails(session, &invariant.policy).await? {
            return Ok(Outcome::CanFail);
        }
        if !known {
            for situation in &self.situations {
                let goal = self.goal(std::slice::from_ref(invariant), situation)?;
                let rules = &situation.rules;
                let ask = async |solver: &mut Solving| solver.check_implies_with_counterexample_opt(rules, &goal).await;
                if let Some(found) = session.ask(ask).await? {
                    let shown = counterexample::of(self.engine, invariant, &found).map_err(Unanswered)?;
                    return Ok(Outcome::Broken { counterexample: Box::new(shown) });
                }
            }
        }
        Ok(if counterexample::speaks(self.engine, invariant) { Outcome::Holds } else { Outcome::SaysNothing })
    }

    /// Whether the rules imply these invariants, all of them.
    async fn imply(&self, session: &mut Session<'_>, invariants: &[Invariant]) -> Result<bool, Unanswered> {
        for situation in &self.situations {
            let goal = self.goal(invariants, situation)?;
            let rules = &situation.rules;
            if !session.ask(async |solver| solver.check_implies_opt(rules, &goal).await).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Everything but what the invariants forbid.
    fn goal(&self, invariants: &[Invariant], situation: &Situation) -> Result<CompiledPolicySet, Unanswered> {
        let forbids = invariants.iter().map(|invariant| invariant.policy.clone());
        let whole = everything().and_then(|everything| set(forbids.chain([everything])));
        let whole = whole.map_err(|error| Unanswered(error.to_string()))?;
        CompiledPolicySet::compile(&whole, &situation.env, self.engine.loaded_rules().schema()).map_err(uncompiled)
    }
}

/// The solver as it is asked.
type Solving = cedar_policy_symcc::CedarSymCompiler<cedar_policy_symcc::solver::LocalSolver>;

#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped by")]
fn uncompiled(error: cedar_policy_symcc::err::Error) -> Unanswered {
    Unanswered(format!("it cannot be put to the solver: {error}"))
}

fn everything() -> Result<Policy, Unproven> {
    Policy::parse(Some(PolicyId::new(EVERYTHING)), "permit (principal, action, resource);")
        .map_err(|error| Unproven::Machine(error.to_string()))
}

fn set(policies: impl IntoIterator<Item = Policy>) -> Result<PolicySet, Unproven> {
    PolicySet::from_policies(policies).map_err(|error| Unproven::Machine(error.to_string()))
}
