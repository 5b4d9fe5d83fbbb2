//! The SMT solver: cvc5 as a child process, found by `CVC5` or on `PATH`, asked one question at a time.
//!
//! Invariants: this is the only file of the gateway that starts a process. Every question has a time limit; no answer, an answer
//! that cannot be read and `unknown` are [`Unanswered`] and never a yes. A solver that failed is ended, and the next question gets a new one.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use cedar_policy_symcc::CedarSymCompiler;
use cedar_policy_symcc::solver::LocalSolver;
use tokio::process::Command;

/// The variable of the environment that names the program.
const VARIABLE: &str = "CVC5";
/// What is looked for on `PATH` where it names none.
const USUAL: &str = "cvc5";
/// How long one question may take; of the example's none takes a second.
const LIMIT: Duration = Duration::from_mins(1);
/// How long it may take to say its version.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Where the solver is.
#[derive(Debug, Clone)]
pub struct Solver {
    program: OsString,
    limit: Duration,
}

/// There is no solver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the solver cvc5 is missing ({0}); install it (Debian: apt-get install cvc5) or name its program in the variable {VARIABLE}"
)]
pub struct NoSolver(String);

/// A question without an answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unanswered(pub String);

impl Solver {
    /// The solver that the environment names, or else the one on `PATH`.
    #[must_use]
    pub fn of_environment() -> Self {
        Self::at(std::env::var_os(VARIABLE).filter(|program| !program.is_empty()).unwrap_or_else(|| USUAL.into()))
    }

    /// The solver that is this program.
    #[must_use]
    pub fn at(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), limit: LIMIT }
    }

    /// The same with another time limit for each question.
    #[cfg(test)]
    #[must_use]
    pub(super) fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// What it calls itself, such as `cvc5 1.0.3`; that it answers shows that it is there.
    pub(super) async fn version(&self) -> Result<String, NoSolver> {
        let mut command = self.command();
        command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null());
        let told = tokio::time::timeout(START_LIMIT, command.output());
        let output = match told.await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(NoSolver(error.kind().to_string())),
            Err(_) => return Err(NoSolver("it does not say its version".to_owned())),
        };
        // `This is cvc5 version 1.0.3` or `cvc5 1.3.1`, and more lines.
        let said = String::from_utf8_lossy(&output.stdout);
        let mut words = said.lines().next().unwrap_or_default().split_whitespace();
        let number = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        match number.filter(|_| said.contains("cvc5")) {
            Some(number) => Ok(format!("cvc5 {number}")),
            None => Err(NoSolver("the program that is named is no cvc5".to_owned())),
        }
    }

    /// The program, without what the environment says of the gateway, such as its secrets.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().kill_on_drop(true);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    fn start(&self) -> Result<CedarSymCompiler<LocalSolver>, Unanswered> {
        let mut command = self.command();
        command.args(["--lang", "smt", &format!("--tlimit-per={}", self.limit.as_millis())]);
        let failed = |error: &dyn std::error::Error| Unanswered(format!("the solver does not start: {error}"));
        let solver = LocalSolver::from_command(&mut command).map_err(|error| failed(&error))?;
        CedarSymCompiler::new(solver).map_err(|error| failed(&error))
    }
}

/// A solver that is being asked.
pub(super) struct Session<'a> {
    solver: &'a Solver,
    running: Option<CedarSymCompiler<LocalSolver>>,
}

impl<'a> Session<'a> {
    pub(super) const fn new(solver: &'a Solver) -> Self {
        Self { solver, running: None }
    }

    /// Asks one question.
    pub(super) async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut CedarSymCompiler<LocalSolver>) -> cedar_policy_symcc::err::Result<T>,
    ) -> Result<T, Unanswered> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.solver.start()?,
        };
        // A little more than it has itself, so that it can say that it found nothing.
        let limit = self.solver.limit + self.solver.limit / 4;
        match tokio::time::timeout(limit, question(&mut running)).await {
            Ok(Ok(answer)) => {
                self.running = Some(running);
                Ok(answer)
            }
            // What is not put back is dropped, and its process ends.
            Ok(Err(error)) => Err(Unanswered(format!("the solver gives no answer: {error}"))),
            Err(_) => Err(Unanswered(format!("the solver gives no answer within {} seconds", limit.as_secs()))),
        }
    }
}
