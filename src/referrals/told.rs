//! What a referral tells an organisation of what it received in it, beside what the referral itself holds: that the processing is restricted, and what of
//! it is to be deleted after a review of break-glass.
//!
//! Invariant: it is told to who was told by an event, and names nothing that this reader did not receive.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::types::Referral;
use crate::args;
use crate::covenant::CategoryCode;
use crate::emergencies;
use crate::ids::Oin;
use crate::rights::restrictions::{self, Restricted};
use crate::storage::{Error, Query, Row};

/// What is told of some referrals.
#[derive(Debug, Default)]
pub(super) struct Told {
    restricted: HashMap<Uuid, Restricted>,
    /// Of those of which only a part is to be deleted.
    delete: HashMap<Uuid, BTreeSet<CategoryCode>>,
}

impl Told {
    /// What this reader is told of these.
    pub(super) async fn of(query: &mut impl Query, reader: &Oin, some: &[Referral]) -> Result<Self, Error> {
        let own = || some.iter().filter(|referral| referral.party_of(reader).is_some());
        let restricted = restrictions::told_to(query, reader, own().map(|referral| referral.subject.as_str())).await?;
        let mut delete = HashMap::new();
        for referral in own().filter(|referral| *reader == referral.terms.recipient) {
            if let Some(categories) = to_delete(query, referral).await? {
                delete.insert(referral.id, categories);
            }
        }
        Ok(Self { restricted, delete })
    }

    /// That the processing of what the reader received in this referral is restricted.
    pub(super) fn restricted(&self, referral: Uuid) -> Option<&Restricted> {
        self.restricted.get(&referral)
    }

    /// What of it its recipient has to delete; none where it is everything, or nothing.
    pub(super) fn delete(&self, referral: Uuid) -> Option<&BTreeSet<CategoryCode>> {
        self.delete.get(&referral)
    }
}

/// Which of the categories that were not justified the recipient received; none where all of it was not, or nothing.
async fn to_delete(query: &mut impl Query, referral: &Referral) -> Result<Option<BTreeSet<CategoryCode>>, Error> {
    let Some(emergency) = referral.emergency.filter(|emergency| emergency.delete_at.is_some()) else { return Ok(None) };
    let access = emergencies::find(query, emergency.access).await?;
    let Some(wrong) = access.as_ref().and_then(emergencies::EmergencyAccess::partly_deleted) else { return Ok(None) };
    let given = given_in(query, referral.id, &referral.terms.sender).await?;
    let received = given.into_iter().filter(|section| section.handed_over && wrong.contains(&section.category));
    Ok(Some(received.map(|section| section.category).collect()))
}

/// A section that was given in a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenSection {
    /// Its category.
    pub category: CategoryCode,
    /// Whether it was handed over.
    pub handed_over: bool,
    /// Whether it still stands here.
    pub stands: bool,
}

/// What a party gave in a referral, with it and with its updates.
///
/// # Errors
/// When the database fails.
pub async fn given_in(query: &mut impl Query, referral: Uuid, giver: &Oin) -> Result<Vec<GivenSection>, Error> {
    let sql = "SELECT s.category AS category, s.disclosed_at AS disclosed_at, s.retracted_at AS retracted_at \
               FROM referral_sections s JOIN referrals r ON r.id = s.referral LEFT JOIN referral_updates u ON u.id = s.part \
               WHERE s.referral = $1 AND COALESCE(u.organisation, r.sender) = $2 ORDER BY s.part, s.place";
    let read = |row: &Row| {
        Ok(GivenSection {
            category: row.parsed("category")?,
            handed_over: row.opt_time("disclosed_at")?.is_some(),
            stands: row.opt_time("retracted_at")?.is_none(),
        })
    };
    query.rows(sql, args![referral, giver]).await?.iter().map(read).collect()
}
