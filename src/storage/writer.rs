//! Group commit: changes of concurrent requests share transactions, so that durability does not cost throughput.
//!
//! Each writer is a thread with a database connection of its own. It takes every change that is waiting (one that is alone does not
//! wait for company), checks at once what they rest on, runs them one after another in one transaction, commits once, and only then
//! answers. While one transaction waits for the disk, the next writer works on the next. Invariant: a caller that gets an `Ok` knows
//! that its change is on disk; a change that failed has left nothing behind.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::connection::Connection;
use super::ground::Ground;
use super::tx::Ended;
use super::{Error, Meters, Tx};
use crate::problem::Problem;

/// At most this many changes share one transaction.
const BATCH: usize = 128;
/// Changes that may wait before callers are held back.
pub(super) const QUEUE: usize = 1_024;
/// How often a change whose transaction was lost to a conflict or a broken connection is run again.
const ATTEMPTS: u32 = 5;

type Outcome = Result<Box<dyn Any + Send>, Problem>;

/// A change as the writer sees it, whatever its result's type.
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
    pub(super) ground: Ground,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// The changes that wait; all writers take from it.
pub(super) type Queue = Arc<Mutex<mpsc::Receiver<Submission>>>;

/// Runs changes until every sender is gone. `connect` makes the writer's connection, again after it broke.
pub(super) async fn run<C, F>(queue: Queue, connect: C, committed: watch::Sender<u64>, meters: Meters)
where
    C: Fn() -> F,
    F: Future<Output = Result<Connection, Error>>,
{
    let mut writer = Writer { connect, committed, meters, tx: None };
    let mut batch = Vec::with_capacity(BATCH);
    // The lock is held while waiting: the writer that has it takes all that come.
    while { queue.lock().await.recv_many(&mut batch, BATCH).await } > 0 {
        let changes = std::mem::take(&mut batch);
        if let Err((changes, error)) = writer.commit_together(changes).await {
            tracing::debug!(%error, changes = changes.len(), "transaction lost, running its changes again");
            for change in changes {
                writer.commit_alone(change).await;
            }
        }
    }
}

struct Writer<C> {
    connect: C,
    committed: watch::Sender<u64>,
    meters: Meters,
    tx: Option<Tx>,
}

impl<C, F> Writer<C>
where
    C: Fn() -> F,
    F: Future<Output = Result<Connection, Error>>,
{
    /// Something in its transaction failed: alone, it can not take its neighbours down, and the failure is its own.
    async fn commit_alone(&mut self, change: Submission) {
        let mut change = change;
        for attempt in 1..=ATTEMPTS {
            let Err((mut left, error)) = self.commit_together(vec![change]).await else { return };
            let Some(back) = left.pop() else { return };
            if attempt == ATTEMPTS || !error.is_transient() {
                if !matches!(error, Error::Lost) {
                    tracing::error!(change = back.job.name(), %error, "change not stored");
                }
                // The caller may have gone; then nobody is misled.
                let _ = back.reply.send(Err(Problem::storage(&error)));
                return;
            }
            change = back;
        }
    }

    /// One transaction. Gives the changes back when the transaction as a whole was lost.
    async fn commit_together(&mut self, changes: Vec<Submission>) -> Result<(), (Vec<Submission>, Error)> {
        let mut tx = match self.tx.take() {
            Some(tx) => tx,
            None => match (self.connect)().await {
                Ok(connection) => Tx::new(connection),
                Err(error) => return Err((changes, error)),
            },
        };
        let begun = Instant::now();
        match perform(&mut tx, &changes).await {
            Ok((outcomes, wakes_sequencer)) => {
                self.meters.committed(changes.len(), begun.elapsed());
                self.tx = Some(tx);
                for (change, outcome) in changes.into_iter().zip(outcomes) {
                    // A caller that stopped waiting (closed connection) is no reason to undo a durable change.
                    let _ = change.reply.send(outcome);
                }
                if wakes_sequencer {
                    self.committed.send_modify(|count| *count = count.wrapping_add(1));
                }
                Ok(())
            }
            Err(error) => {
                // A connection that cannot even roll back is made anew.
                self.tx = if tx.roll_back().await { Some(tx) } else { None };
                Err((changes, error))
            }
        }
    }
}

async fn perform(tx: &mut Tx, changes: &[Submission]) -> Result<(Vec<Outcome>, bool), Error> {
    let alone = changes.len() == 1;
    tx.begin(alone).await?;
    let grounds: Vec<&Ground> = changes.iter().map(|change| &change.ground).collect();
    tx.take_survey(&grounds).await?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        if !tx.holds(&change.ground) {
            outcomes.push(Err(Problem::stale()));
            continue;
        }
        let outcome = run_one(tx, change).await;
        match &outcome {
            Ok(_) => tx.end(Ended::Kept).await?,
            Err(problem) if problem.is_transient() => return Err(Error::Conflict),
            Err(_) if alone => {
                return if tx.roll_back().await { Ok((vec![outcome], false)) } else { Err(Error::Conflict) };
            }
            Err(_) => tx.end(Ended::Undone).await?,
        }
        outcomes.push(outcome);
    }
    let wakes_sequencer = tx.commit().await?;
    Ok((outcomes, wakes_sequencer))
}

async fn run_one(tx: &mut Tx, change: &Submission) -> Outcome {
    // A change that panics must not take the writer with it: it is undone like any that fails.
    let outcome = std::panic::AssertUnwindSafe(change.job.run(tx)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| {
        tracing::error!(change = change.job.name(), "a change panicked");
        Err(Problem::internal("a change panicked"))
    });
    match outcome {
        Ok(_) if tx.has_failed() => {
            tracing::error!(change = change.job.name(), "a change went on after a statement had failed");
            Err(Problem::internal("a change went on after a statement had failed"))
        }
        outcome => outcome,
    }
}
