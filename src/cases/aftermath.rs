//! What a step in a referral means for its case; written in the transaction of the step.
//!
//! Invariants: a case knows whether anything in it is open; who takes a referral on takes part, under an alias of its own, from that moment;
//! a case whose referral is reopened is open.

use uuid::Uuid;

use super::change::{Change, Origin, count_open, new_alias, raising};
use super::store;
use super::types::Rules;
use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::lifecycle::case::{Command, Refusal};
use crate::lifecycle::referral::{Happened, State, Taken};
use crate::problem::Problem;
use crate::storage::{Ground, Tx, revisions};

/// What a step in a referral means for its case.
#[derive(Clone)]
pub struct Aftermath {
    case: Uuid,
    /// Who takes part from now on.
    joins: Option<Oin>,
    /// Whether what decisions rest on has changed: who takes part, and which residents the case is about.
    changes_facts: bool,
    /// Whether two deadlines in a row were missed, or more.
    proposed: bool,
    rules: Rules,
}

impl Aftermath {
    /// What the step from `before` means for the case of the referral; nothing where it makes no difference.
    #[must_use]
    pub fn of(case: Option<Uuid>, recipient: &Oin, before: &State, taken: &Taken, rules: &Rules) -> Option<Self> {
        let after = &taken.state;
        let is_taken_on = |state: &State| state.status.is_taken_on(state.held_from);
        let changes_facts = is_taken_on(before) != is_taken_on(after) || before.is_closed() != after.is_closed();
        let proposed = taken.happened.contains(&Happened::StepUpProposed);
        case.filter(|_| changes_facts || proposed).map(|case| Self {
            case,
            joins: is_taken_on(after).then(|| recipient.clone()),
            changes_facts,
            proposed,
            rules: rules.clone(),
        })
    }

    /// Names the case's key in the ground of the step: steps in one case come one after the other.
    pub fn add_to(&self, ground: &mut Ground) {
        ground.raises.extend(raising(self.case).raises);
    }

    /// Writes it, after the referral itself was written in this transaction.
    ///
    /// # Errors
    /// [`Problem::stale`] when another change of the case came first.
    pub async fn apply(&self, tx: &mut Tx, app: &App, now: Timestamp) -> Result<(), Problem> {
        // Before the case is read: who takes part is known to it by an alias.
        if let Some(recipient) = &self.joins {
            store::involve(tx, self.case, recipient, new_alias(app)?).await?;
        }
        let whole = store::load(tx, self.case).await?;
        let whole = whole.ok_or_else(|| Problem::internal("a referral names a case that is not there"))?;
        if self.changes_facts {
            revisions::bump(tx, &revisions::case(self.case));
        }
        let mut change = Change::of(app, &self.rules, Origin::gateway(), whole, now);
        count_open(&mut change)?;
        if self.proposed {
            match change.take(&Command::ProposeStepUp) {
                // It was proposed, or done, already; in a closed case nothing is open that could be late.
                Ok(()) | Err(Refusal::NotAllowed(_)) => {}
                Err(_) => return Err(Problem::internal("a case refused a proposal")),
            }
        }
        change.write(tx).await.map(drop)
    }
}
