//! What a withdrawal means for what was given: which sections rested on the record and on nothing else, and that the gateway destroys them.
//!
//! A section rests on a record when the decision that kept it or handed it over named the record, and when the same decision taken now, without the
//! record, would withhold it. What another record that still stands or a law carries is left alone: nothing has changed for it. Invariant: nothing of
//! this shows in the referral, neither in its version nor in its times, so that who never picked it up learns nothing.

mod store;

use std::collections::{BTreeMap, BTreeSet};

use super::decide::{Facts, Question, weigh};
use super::destroyed;
use super::store as referrals;
use super::types::{Part, Party};
use crate::app::App;
use crate::clock::Timestamp;
use crate::consents::Use;
use crate::covenant::CategoryCode;
use crate::ids::Oin;
use crate::policy::Action;
use crate::problem::Problem;
use crate::storage::{Error, Ground, Query, Tx};
use crate::subjects::Subject;

/// What of one part of a referral rested on a record and on nothing else.
#[derive(Debug, Clone)]
pub struct Resting {
    /// The part.
    pub part: Part,
    /// Who received it, or would have.
    pub receiver: Oin,
    /// The categories.
    pub categories: Vec<CategoryCode>,
    /// Those of them that were handed over.
    pub handed_over: Vec<CategoryCode>,
}

/// What of all this rests on nothing else any more, now that `giver` may not count on the record; and what that finding rests on.
///
/// # Errors
/// When the database fails, or no covenant is in force.
pub async fn resting_on(
    app: &App,
    giver: &Oin,
    uses: &[Use],
    now: Timestamp,
) -> Result<(Vec<Resting>, Ground), Problem> {
    let (mut found, mut ground) = (Vec::new(), Ground::default());
    for (part, categories) in by_part(uses) {
        let query = &mut app.db.reader();
        let Some(referral) = referrals::find(query, part.referral).await? else { continue };
        let Some(party) = referral.party_of(giver) else { continue };
        let carried = match part.update {
            None => Vec::new(),
            Some(_) => referrals::carried(query, referral.id, giver).await?,
        };
        let receiver = referral.party(party.other()).clone();
        let question = Question {
            action: if party == Party::Sender { Action::Refer } else { Action::Note },
            giver: giver.clone(),
            receiver: receiver.clone(),
            terms: referral.terms.clone(),
            case: referral.case,
            emergency: referral.emergency.map(|emergency| emergency.access),
            subject: Subject::from_stored(referral.subject.clone()),
            age_group: referral.age_group,
            age_is_new: false,
            by_bsn: false,
            sections: categories.into_iter().collect(),
            carried,
        };
        let decided = weigh(app, question, Facts::Fresh, now).await?;
        ground.join(decided.ground());
        let categories = decided.not_carried();
        if categories.is_empty() {
            continue;
        }
        let handed_over = handed_over(uses, part, &categories);
        found.push(Resting { part, receiver, categories, handed_over });
    }
    Ok((found, ground))
}

fn by_part(uses: &[Use]) -> BTreeMap<Part, BTreeSet<CategoryCode>> {
    let mut parts: BTreeMap<Part, BTreeSet<CategoryCode>> = BTreeMap::new();
    for one in uses {
        parts.entry(one.part).or_default().insert(one.category.clone());
    }
    parts
}

fn handed_over(uses: &[Use], part: Part, categories: &[CategoryCode]) -> Vec<CategoryCode> {
    let went = |category: &&CategoryCode| {
        uses.iter().any(|one| one.handed_over && one.part == part && one.category == **category)
    };
    categories.iter().filter(went).cloned().collect()
}

/// Destroys what the gateway still keeps of it.
///
/// # Errors
/// When the database fails.
pub async fn destroy(tx: &mut Tx, resting: &Resting, now: Timestamp) -> Result<(), Error> {
    for category in &resting.categories {
        destroyed::section(tx, resting.part, category, None, now).await?;
    }
    Ok(())
}

/// The categories of a part that were destroyed because a record was withdrawn.
pub(super) async fn gone(query: &mut impl Query, part: Part) -> Result<Vec<CategoryCode>, Error> {
    store::gone(query, part).await
}
