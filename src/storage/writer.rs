//! Group commit: changes of concurrent requests share transactions, so that durability does not cost throughput.
//!
//! Each writer is a thread with a database connection of its own. It takes every job that is waiting (one that is alone
//! does not wait for company), runs them one after another in one transaction, each inside a savepoint, commits once,
//! and only then answers. Invariant: a caller that gets an `Ok` knows that its change is on disk; a job that failed
//! has left nothing behind.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, mpsc, oneshot};

use super::connection::Connection;
use super::{Error, Meters, Tx};
use crate::problem::Problem;

/// At most this many jobs share one transaction.
const BATCH: usize = 128;
/// Jobs that may wait before callers are held back.
pub(super) const QUEUE: usize = 1_024;
/// How often a job whose transaction was lost to a conflict or a broken connection is run again.
const ATTEMPTS: u32 = 5;

type Outcome = Result<Box<dyn Any + Send>, Problem>;

/// A job as the writer sees it, whatever its result's type.
pub(super) trait Job: Send {
    fn name(&self) -> &'static str;
    fn run<'a>(&'a self, tx: &'a mut Tx) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;
}

pub(super) struct Named<F> {
    pub(super) name: &'static str,
    pub(super) job: F,
}

impl<F, T> Job for Named<F>
where
    F: AsyncFn(&mut Tx) -> Result<T, Problem> + Send,
    T: Send + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn run<'a>(&'a self, tx: &'a mut Tx) -> Pin<Box<dyn Future<Output = Outcome> + 'a>> {
        Box::pin(async move {
            let result = (self.job)(tx).await?;
            Ok(Box::new(result) as Box<dyn Any + Send>)
        })
    }
}

pub(super) struct Submission {
    pub(super) job: Box<dyn Job>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// Runs jobs until every sender is gone. `connect` makes the writer's connection, again after it broke.
pub(super) async fn run<C, F>(
    mut jobs: mpsc::Receiver<Submission>,
    connect: C,
    committed: Arc<Notify>,
    meters: Meters,
) where
    C: Fn() -> F,
    F: Future<Output = Result<Connection, Error>>,
{
    let mut tx: Option<Tx> = None;
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let mut left = std::mem::take(&mut batch);
        for attempt in 1..=ATTEMPTS {
            left = match attempt_batch(&mut tx, left, &connect, &committed, &meters).await {
                Ok(()) => break,
                // Something in the batch conflicts with another writer: run the jobs one by one, so that one of them
                // can not take its neighbours down.
                Err((jobs, error)) if attempt < ATTEMPTS && error.is_transient() => {
                    tx = None;
                    tracing::debug!(%error, attempt, "transaction lost, running its jobs again");
                    run_singly(&mut tx, jobs, &connect, &committed, &meters).await
                }
                Err((jobs, error)) => {
                    tx = None;
                    fail(jobs, &error);
                    break;
                }
            };
            if left.is_empty() {
                break;
            }
        }
    }
}

async fn run_singly<C, F>(
    tx: &mut Option<Tx>,
    jobs: Vec<Submission>,
    connect: &C,
    committed: &Notify,
    meters: &Meters,
) -> Vec<Submission>
where
    C: Fn() -> F,
    F: Future<Output = Result<Connection, Error>>,
{
    let mut left = Vec::new();
    for job in jobs {
        if let Err((jobs, error)) = attempt_batch(tx, vec![job], connect, committed, meters).await {
            *tx = None;
            if error.is_transient() {
                left.extend(jobs);
            } else {
                fail(jobs, &error);
            }
        }
    }
    left
}

fn fail(jobs: Vec<Submission>, error: &Error) {
    for submission in jobs {
        tracing::error!(job = submission.job.name(), %error, "change not stored");
        // The caller may have gone; then nobody is misled.
        let _ = submission.reply.send(Err(Problem::storage(error)));
    }
}

/// One transaction. Gives the jobs back when the transaction as a whole was lost.
async fn attempt_batch<C, F>(
    slot: &mut Option<Tx>,
    jobs: Vec<Submission>,
    connect: &C,
    committed: &Notify,
    meters: &Meters,
) -> Result<(), (Vec<Submission>, Error)>
where
    C: Fn() -> F,
    F: Future<Output = Result<Connection, Error>>,
{
    let tx = match slot {
        Some(tx) => tx,
        None => match connect().await {
            Ok(connection) => slot.insert(Tx::new(connection)),
            Err(error) => return Err((jobs, error)),
        },
    };
    let begun = Instant::now();
    match perform(tx, &jobs).await {
        Ok(outcomes) => {
            meters.committed(jobs.len(), begun.elapsed());
            for (submission, outcome) in jobs.into_iter().zip(outcomes) {
                // A caller that stopped waiting (closed connection) is no reason to undo a durable change.
                let _ = submission.reply.send(outcome);
            }
            if std::mem::take(&mut tx.wakes_sequencer) {
                committed.notify_one();
            }
            Ok(())
        }
        Err(error) => Err((jobs, error)),
    }
}

async fn perform(tx: &mut Tx, jobs: &[Submission]) -> Result<Vec<Outcome>, Error> {
    tx.wakes_sequencer = false;
    // SQLite: a deferred BEGIN would fail when it turns into a write; there is one writer, so take the lock at once.
    let begin = if tx.is_postgres() { "BEGIN" } else { "BEGIN IMMEDIATE" };
    tx.connection.script(begin).await?;
    let mut outcomes = Vec::with_capacity(jobs.len());
    for submission in jobs {
        tx.connection.script("SAVEPOINT job").await?;
        tx.failed = false;
        // A job that panics must not take the writer with it: its savepoint is undone like that of any failed job.
        let outcome = std::panic::AssertUnwindSafe(submission.job.run(tx)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| {
            tracing::error!(job = submission.job.name(), "a change panicked");
            Err(Problem::internal("a change panicked"))
        });
        let outcome = match outcome {
            Ok(_) if tx.failed => {
                tracing::error!(job = submission.job.name(), "a change went on after a statement had failed");
                Err(Problem::internal("a change went on after a statement had failed"))
            }
            outcome => outcome,
        };
        match &outcome {
            Ok(_) => tx.connection.script("RELEASE SAVEPOINT job").await?,
            Err(problem) if problem.is_transient() => return Err(Error::Conflict),
            Err(_) => tx.connection.script("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job").await?,
        }
        outcomes.push(outcome);
    }
    tx.connection.script("COMMIT").await?;
    Ok(outcomes)
}
