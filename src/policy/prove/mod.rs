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
mod mutants;
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
use invariants::Invariant;
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
        for invariant in &read {
            proof.invariants.push(theory.weigh(session, invariant).await);
        }
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
    /// The world alone, in which everything is given.
    world: CompiledPolicySet,
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
        let alone = set([everything()?, world.clone()])?;
        let compile = |set: &PolicySet, env: &RequestEnv| {
            CompiledPolicySet::compile(set, env, schema).map_err(|error| unfit(error.to_string()))
        };
        let mut situations = Vec::new();
        for env in schema.request_envs() {
            situations.push(Situation {
                rules: compile(&in_the_world, &env)?,
                world: compile(&alone, &env)?,
                env,
            });
        }
        Ok(Self { engine, world, situations })
    }

    /// Whether every rule always has an answer, and whether anything is given at all.
    async fn check(&self, session: &mut Session<'_>, proof: &mut Proof) {
        let rules = self.engine.loaded_rules().policies();
        for policy in rules.chain([&self.world]) {
            match self.never_fails(session, policy).await {
                Ok(true) => proof.rules += 1,
                Ok(false) => proof.finding(policy.id().as_ref(), "can fail when it is evaluated; write it so that it cannot"),
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

    /// Whether the rules imply an invariant.
    async fn weigh(&self, session: &mut Session<'_>, invariant: &Invariant) -> InvariantReport {
        let outcome = match self.decide(session, invariant).await {
            Ok(outcome) => outcome,
            Err(Unanswered(reason)) => Outcome::Undecided { reason },
        };
        InvariantReport { id: invariant.id.clone(), rule: invariant.number, text: invariant.text.clone(), outcome }
    }

    async fn decide(&self, session: &mut Session<'_>, invariant: &Invariant) -> Result<Outcome, Unanswered> {
        if !self.never_fails(session, &invariant.policy).await? {
            return Ok(Outcome::CanFail);
        }
        let mut speaks = false;
        let goal = goal(invariant)?;
        for situation in &self.situations {
            let schema = self.engine.loaded_rules().schema();
            let goal = CompiledPolicySet::compile(&goal, &situation.env, schema).map_err(uncompiled)?;
            let rules = &situation.rules;
            let broken = async |solver: &mut Solving| solver.check_implies_with_counterexample_opt(rules, &goal).await;
            if let Some(found) = session.ask(broken).await? {
                let shown = counterexample::of(self.engine, invariant, &found).map_err(Unanswered)?;
                return Ok(Outcome::Broken { counterexample: Box::new(shown) });
            }
            speaks |= !session.ask(async |solver| solver.check_implies_opt(&situation.world, &goal).await).await?;
        }
        Ok(if speaks { Outcome::Holds } else { Outcome::SaysNothing })
    }
}

/// The solver as it is asked.
type Solving = cedar_policy_symcc::CedarSymCompiler<cedar_policy_symcc::solver::LocalSolver>;

fn uncompiled(error: cedar_policy_symcc::err::Error) -> Unanswered {
    Unanswered(format!("it cannot be put to the solver: {error}"))
}

/// Everything but what the invariant forbids.
fn goal(invariant: &Invariant) -> Result<PolicySet, Unanswered> {
    let whole = everything().and_then(|everything| set([everything, invariant.policy.clone()]));
    whole.map_err(|error| Unanswered(error.to_string()))
}

fn everything() -> Result<Policy, Unproven> {
    Policy::parse(Some(PolicyId::new(EVERYTHING)), "permit (principal, action, resource);")
        .map_err(|error| Unproven::Machine(error.to_string()))
}

fn set(policies: impl IntoIterator<Item = Policy>) -> Result<PolicySet, Unproven> {
    PolicySet::from_policies(policies).map_err(|error| Unproven::Machine(error.to_string()))
}
