//! A change under way: statements inside the transaction that a change shares with its neighbours.
//!
//! Invariants: a change that fails leaves nothing behind and takes no neighbour with it; what was appended is written before the
//! next statement runs, so a change sees its own rows and those of its neighbours before it.

use std::collections::BTreeSet;

use super::append::{Insert, Otherwise, Pending};
use super::connection::Connection;
use super::ground::{Ground, Survey};
use super::{Args, Error, Query, Row};

/// A change under way.
pub struct Tx {
    connection: Connection,
    /// Set by what other workers wait for (events, audit records): wakes them after the commit.
    wakes_sequencer: bool,
    survey: Survey,
    /// Rows of the changes before the running one.
    earlier: Pending,
    /// The running change.
    own: Own,
    /// Whether the transaction carries one change: then it needs no savepoint.
    alone: bool,
    /// Whether the transaction as a whole can no longer go on.
    spoiled: bool,
}

/// What the running change has done so far.
#[derive(Default)]
struct Own {
    rows: Pending,
    raised: BTreeSet<String>,
    saved: bool,
    failed: bool,
    wakes_sequencer: bool,
}

/// How a change went, as the transaction sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its rows and statements stay.
    Kept,
    /// Nothing of it is left.
    Undone,
}

impl Tx {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            wakes_sequencer: false,
            survey: Survey::default(),
            earlier: Pending::default(),
            own: Own::default(),
            alone: true,
            spoiled: false,
        }
    }

    /// Runs a statement that changes rows; answers how many.
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn execute(&mut self, sql: &'static str, args: Args) -> Result<u64, Error> {
        self.write_appended(true).await?;
        let changed = self.connection.execute(sql, args).await;
        self.own.failed |= changed.is_err();
        changed
    }

    /// Adds a row, together with the rows that neighbours add to the same table: before the next statement or the commit.
    pub fn append(&mut self, insert: &'static Insert, row: Args) {
        self.own.rows.add(insert, row);
    }

    /// Whether this is `PostgreSQL`, where changes of several writers and gateways run at the same time and rows or
    /// advisory locks must be taken; on `SQLite` there is one writer.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.connection.is_postgres()
    }

    /// Asks that committed events and audit records be sequenced as soon as this change is durable.
    pub fn wake_sequencer(&mut self) {
        self.own.wakes_sequencer = true;
    }

    /// Runs statements that have no parameters: migrations.
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), Error> {
        self.connection.script(sql).await
    }

    /// Notes that the change raises a revision; whether nothing in this transaction did so before.
    pub(super) fn raise(&mut self, key: &str) -> bool {
        !self.survey.is_raised(key) && self.own.raised.insert(key.to_owned())
    }

    pub(super) async fn begin(&mut self, alone: bool) -> Result<(), Error> {
        (self.earlier, self.own, self.survey) = Default::default();
        (self.alone, self.spoiled, self.wakes_sequencer) = (alone, false, false);
        // SQLite: a deferred BEGIN would fail when it turns into a write; there is one writer, so take the lock at once.
        self.connection.script(if self.is_postgres() { "BEGIN" } else { "BEGIN IMMEDIATE" }).await
    }

    /// Finds out what the changes of this transaction rest on.
    pub(super) async fn take_survey(&mut self, grounds: &[&Ground]) -> Result<(), Error> {
        self.survey = Survey::take(&mut self.connection, grounds).await?;
        Ok(())
    }

    /// Whether nothing that this change rests on has moved.
    pub(super) fn holds(&mut self, ground: &Ground) -> bool {
        self.survey.holds(ground)
    }

    /// Whether a statement of the running change has failed: then the change fails, whatever it answers. `PostgreSQL` takes no
    /// further statement, and `SQLite` shall not behave otherwise.
    pub(super) fn has_failed(&self) -> bool {
        self.own.failed || self.spoiled
    }

    /// Ends the running change.
    ///
    /// # Errors
    /// When the transaction as a whole is lost; its changes can be run again, each alone.
    pub(super) async fn end(&mut self, ended: Ended) -> Result<(), Error> {
        let own = std::mem::take(&mut self.own);
        if self.spoiled {
            return Err(Error::Conflict);
        }
        match ended {
            Ended::Kept => {
                self.earlier.append(own.rows);
                self.survey.note_raised(own.raised);
                self.wakes_sequencer |= own.wakes_sequencer;
                if own.saved { self.connection.script("RELEASE SAVEPOINT change").await } else { Ok(()) }
            }
            Ended::Undone if own.saved => {
                self.connection.script("ROLLBACK TO SAVEPOINT change; RELEASE SAVEPOINT change").await
            }
            // Without a savepoint nothing but reads and rows that wait have happened, unless one of the reads failed.
            Ended::Undone if own.failed => Err(Error::Conflict),
            Ended::Undone => Ok(()),
        }
    }

    /// Writes what waits and makes all of it durable; whether the sequencer has something to do.
    pub(super) async fn commit(&mut self) -> Result<bool, Error> {
        let rows = std::mem::take(&mut self.earlier);
        self.write(rows).await?;
        self.connection.script("COMMIT").await?;
        Ok(self.wakes_sequencer)
    }

    /// Undoes everything; whether the connection can be used again.
    pub(super) async fn roll_back(&mut self) -> bool {
        (self.earlier, self.own) = Default::default();
        self.connection.script("ROLLBACK").await.is_ok()
    }

    /// Before a statement runs: what was appended must be there.
    async fn write_appended(&mut self, changes: bool) -> Result<(), Error> {
        if !self.earlier.is_empty() {
            // Outside the savepoint: they stay when the running change fails.
            let rows = std::mem::take(&mut self.earlier);
            if let Err(error) = self.write(rows).await {
                self.spoiled = true;
                return Err(error);
            }
        }
        let waiting = !self.own.rows.is_empty();
        if (changes || waiting) && !self.alone && !self.own.saved {
            self.connection.script("SAVEPOINT change").await?;
            self.own.saved = true;
        }
        if waiting {
            let rows = std::mem::take(&mut self.own.rows);
            let written = self.write(rows).await;
            self.own.failed |= written.is_err();
            written?;
        }
        Ok(())
    }

    async fn write(&mut self, mut pending: Pending) -> Result<(), Error> {
        for (insert, rows) in pending.take() {
            let wanted = rows.len() as u64;
            let added = self.connection.insert(insert, rows).await?;
            if added < wanted && insert.otherwise == Otherwise::Lost {
                return Err(Error::Lost);
            }
        }
        Ok(())
    }
}

impl Query for Tx {
    async fn rows(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>, Error> {
        self.write_appended(false).await?;
        let rows = self.connection.rows(sql, args).await;
        self.own.failed |= rows.is_err();
        rows
    }
}
