//! The case of a new referral: the one that its sender names, that of the referral which it follows on, or a new one.
//!
//! Invariants: nobody joins a case in which it takes no part, and is not told apart from one that does not exist; nothing joins a closed case;
//! only information and advice stays outside; a chain goes on in its own case; nobody coordinates a case that it opens without having signed
//! the whole covenant.

use uuid::Uuid;

use super::change::{Change, Origin, count_open, new_alias, raising};
use super::store;
use super::types::{Rules, Whole};
use crate::app::App;
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
use crate::lifecycle::case::Command;
use crate::problem::{Code, Problem};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Query, Tx};

/// The one purpose without a case.
const WITHOUT_A_CASE: &str = "information-and-advice";

/// Where a new referral belongs.
#[derive(Clone)]
pub enum Place {
    /// In no case.
    Outside,
    /// In a new one.
    Opens,
    /// In this one.
    Joins {
        /// The case as it was read.
        whole: Box<Whole>,
        /// Its revision, read before.
        revisions: Revisions,
    },
}

impl Place {
    /// Finds it, for a referral that takes over nobody's chain. That of the referral that it is based on only where the caller may know it.
    ///
    /// # Errors
    /// 400 for a case that the caller takes no part in, 409 for one that was closed.
    pub async fn of(
        call: &Call,
        purpose: &str,
        case_id: Option<Uuid>,
        based_on: Option<Uuid>,
    ) -> Result<Self, Problem> {
        let (sender, query) = (&call.caller()?.organisation, &mut call.app.db.reader());
        if purpose == WITHOUT_A_CASE {
            return if case_id.is_none() { Ok(Self::Outside) } else { Err(belongs_to_none()) };
        }
        if let Some(alias) = case_id {
            let id = store::of_alias(query, alias, sender).await?.ok_or_else(unknown)?;
            return match Self::in_case(query, id).await? {
                Self::Joins { whole, .. } if !whole.takes_part(sender) => Err(unknown()),
                Self::Joins { whole, .. } if whole.kept.case.closed_at.is_some() => Err(closed()),
                Self::Joins { whole, revisions } => Ok(Self::Joins { whole, revisions }),
                _ => Err(unknown()),
            };
        }
        let Some(earlier) = based_on else { return Ok(Self::Opens) };
        let Some(id) = store::of_referral(query, earlier, sender).await? else { return Ok(Self::Opens) };
        Ok(match Self::in_case(query, id).await? {
            Self::Joins { whole, revisions } if whole.takes_part(sender) && whole.kept.case.closed_at.is_none() => {
                Self::Joins { whole, revisions }
            }
            _ => Self::Opens,
        })
    }

    /// In the case of the referral whose chain it takes over, whoever takes the step; in a new one where that had none. A chain does not
    /// leave its case.
    ///
    /// # Errors
    /// 400 for a purpose that belongs to no case, 409 when the case was closed.
    pub async fn following(query: &mut impl Query, case: Option<Uuid>, purpose: &str) -> Result<Self, Problem> {
        match case {
            None if purpose == WITHOUT_A_CASE => Ok(Self::Outside),
            None => Ok(Self::Opens),
            Some(_) if purpose == WITHOUT_A_CASE => Err(Problem::invalid_param(
                "purpose",
                "invalid",
                "expected a purpose that belongs to the case: information and advice does not go on with what has ended without help",
            )),
            Some(case) => match Self::in_case(query, case).await? {
                Self::Joins { whole, .. } if whole.kept.case.closed_at.is_some() => Err(closed()),
                place => Ok(place),
            },
        }
    }

    /// As [`Place::following`], for a referral that names a case besides; that must be the same one. What had no case may go on in any.
    ///
    /// # Errors
    /// 400 for another case, and those of [`Place::following`] and [`Place::of`].
    pub async fn going_on(
        call: &Call,
        purpose: &str,
        case_id: Option<Uuid>,
        earlier: Option<Uuid>,
    ) -> Result<Self, Problem> {
        if let Some(alias) = case_id {
            if earlier.is_none() {
                return Self::of(call, purpose, case_id, None).await;
            }
            let found = store::of_alias(&mut call.app.db.reader(), alias, &call.caller()?.organisation).await?;
            if found.is_none() || found != earlier {
                let reason = "expected none, or the case of the referral that it goes on with";
                return Err(Problem::invalid_param("caseId", "invalid", reason));
            }
        }
        Self::following(&mut call.app.db.reader(), earlier, purpose).await
    }

    async fn in_case(query: &mut impl Query, id: Uuid) -> Result<Self, Problem> {
        let mut revisions = Revisions::default();
        revisions.read_also(query, revisions::case(id)).await?;
        Ok(match store::load(query, id).await? {
            Some(whole) => Self::Joins { whole: Box::new(whole), revisions },
            None => Self::Opens,
        })
    }

    /// The case that it joins.
    #[must_use]
    pub fn joined(&self) -> Option<Uuid> {
        if let Self::Joins { whole, .. } = self { Some(whole.kept.id) } else { None }
    }

    /// Makes the entry ready, for a referral by `sender`; none outside of cases. `may_coordinate`: whether that has signed the whole covenant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enter(
        self,
        call: &Call,
        sender: &Oin,
        may_coordinate: bool,
        rules: &Rules,
    ) -> Result<Option<Entry>, Problem> {
        let app = &call.app;
        let (case, known, joins) = match self {
            Self::Outside => return Ok(None),
            Self::Opens => (app.new_id()?, None, None),
            Self::Joins { whole, revisions } => {
                let known = store::alias_of(&mut app.db.reader(), whole.kept.id, sender).await?;
                (whole.kept.id, known, Some(Joins { revisions, is_idle: whole.open == 0 }))
            }
        };
        let alias = known.map_or_else(|| new_alias(app), Ok)?;
        Ok(Some(Entry { case, alias, known, sender: sender.clone(), may_coordinate, joins, rules: rules.clone() }))
    }
}

fn unknown() -> Problem {
    let reason = "expected the id of a case that you take part in; there is none with this id";
    Problem::invalid_param("caseId", "unknown", reason)
}

fn closed() -> Problem {
    Problem::new(
        Code::Conflict,
        "the case was closed; leave caseId out to open a new one, or reopen one of its referrals",
    )
}

fn belongs_to_none() -> Problem {
    Problem::invalid_param("caseId", "not-expected", "expected none: information and advice belongs to no case")
}

/// A referral's entry into its case; written in the transaction that writes the referral.
#[derive(Clone)]
pub struct Entry {
    /// The case.
    pub case: Uuid,
    /// As the sender knows it.
    pub alias: Uuid,
    known: Option<Uuid>,
    sender: Oin,
    may_coordinate: bool,
    /// None where the case is new.
    joins: Option<Joins>,
    rules: Rules,
}

#[derive(Clone)]
struct Joins {
    revisions: Revisions,
    /// Nothing in it was open.
    is_idle: bool,
}

impl Entry {
    /// Names what it rests on: the case as it was read, open and with its sender in it.
    pub fn add_to(&self, ground: &mut Ground) {
        let Some(Joins { revisions, is_idle }) = &self.joins else {
            if !self.may_coordinate {
                ground.raises.extend(raising(self.case).raises);
            }
            return;
        };
        ground.rest_on(revisions);
        if *is_idle {
            ground.raises.extend(raising(self.case).raises);
        }
    }

    /// Writes it, after the referral itself was written in this transaction.
    ///
    /// # Errors
    /// [`Problem::stale`] when another change of the case came first.
    pub async fn apply(&self, tx: &mut Tx, app: &App, now: Timestamp) -> Result<(), Problem> {
        let Some(joins) = &self.joins else {
            store::insert(tx, self.case, &self.sender, self.alias, now);
            return if self.may_coordinate { Ok(()) } else { self.hand_over(tx, app, now).await };
        };
        if self.known.is_none() {
            store::involve(tx, self.case, &self.sender, self.alias).await?;
        }
        if !joins.is_idle {
            return Ok(());
        }
        let whole = store::load(tx, self.case).await?;
        let whole = whole.ok_or_else(|| Problem::internal("a case that was joined is not there"))?;
        let mut change = Change::of(app, &self.rules, Origin::gateway(), whole, now);
        count_open(&mut change)?;
        change.write(tx).await.map(drop)
    }

    /// Has the municipality coordinate a new case whose sender may not: from the first moment on, as whenever a coordinator cannot act.
    async fn hand_over(&self, tx: &mut Tx, app: &App, now: Timestamp) -> Result<(), Problem> {
        let whole = store::load(tx, self.case).await?;
        let whole = whole.ok_or_else(|| Problem::internal("a case that was opened is not there"))?;
        let mut change = Change::of(app, &self.rules, Origin::gateway(), whole, now);
        let replace = Command::ReplaceCoordinator(self.rules.municipality.clone());
        change.take(&replace).map_err(|_| Problem::internal("a new case refused its coordinator"))?;
        change.write(tx).await.map(drop)
    }
}
