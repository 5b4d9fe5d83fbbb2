//! The case of a new referral: the one that its sender names, that of the referral which it follows on, or a new one.
//!
//! Invariants: nobody joins a case in which it takes no part, and is not told apart from one that does not exist; nothing joins a closed case;
//! only information and advice stays outside.

use uuid::Uuid;

use super::change::{Change, Origin, count_open, raising};
use super::store;
use super::types::{Rules, Whole};
use crate::app::App;
use crate::clock::Timestamp;
use crate::http::Call;
use crate::ids::Oin;
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
    /// Finds it.
    ///
    /// # Errors
    /// 400 for a case that the caller takes no part in.
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
                Self::Joins { whole, revisions } if whole.takes_part(sender) => Ok(Self::Joins { whole, revisions }),
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

    /// In the case of the referral that it follows on by a step in that, whoever takes the step; in a new one where that had none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn following(query: &mut impl Query, case: Option<Uuid>, purpose: &str) -> Result<Self, Problem> {
        match case {
            _ if purpose == WITHOUT_A_CASE => Ok(Self::Outside),
            Some(case) => Self::in_case(query, case).await,
            None => Ok(Self::Opens),
        }
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

    /// Makes the entry ready, for a referral by `sender`; none outside of cases.
    ///
    /// # Errors
    /// 409 when the case was closed.
    pub async fn enter(self, call: &Call, sender: &Oin, rules: &Rules) -> Result<Option<Entry>, Problem> {
        let app = &call.app;
        let (case, known, joins) = match self {
            Self::Outside => return Ok(None),
            Self::Opens => (app.new_id()?, None, None),
            Self::Joins { whole, revisions } => {
                if whole.kept.case.closed_at.is_some() {
                    let detail =
                        "the case was closed; leave caseId out to open a new one, or reopen one of its referrals";
                    return Err(Problem::new(Code::Conflict, detail));
                }
                let known = store::alias_of(&mut app.db.reader(), whole.kept.id, sender).await?;
                (whole.kept.id, known, Some(Joins { revisions, is_idle: whole.open() == 0 }))
            }
        };
        let alias = known.map_or_else(|| app.new_id(), Ok)?;
        let trace_parent = Some(call.trace.traceparent());
        Ok(Some(Entry { case, alias, known, sender: sender.clone(), joins, rules: rules.clone(), trace_parent }))
    }
}

fn unknown() -> Problem {
    let reason = "expected the id of a case that you take part in; there is none with this id";
    Problem::invalid_param("caseId", "unknown", reason)
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
    /// None where the case is new.
    joins: Option<Joins>,
    rules: Rules,
    trace_parent: Option<String>,
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
        let Some(Joins { revisions, is_idle }) = &self.joins else { return };
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
            return Ok(());
        };
        if self.known.is_none() {
            store::involve(tx, self.case, &self.sender, self.alias).await?;
        }
        if !joins.is_idle {
            return Ok(());
        }
        let whole = store::load(tx, self.case).await?;
        let whole = whole.ok_or_else(|| Problem::internal("a case that was joined is not there"))?;
        let mut change = Change::of(app, &self.rules, Origin::gateway(self.trace_parent.clone()), whole, now);
        count_open(&mut change)?;
        change.write(tx).await.map(drop)
    }
}
