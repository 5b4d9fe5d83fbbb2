//! How far a correction reaches: every copy that the gateway made of a section, up to where it was first given and down from there.
//!
//! A copy knows where its section was first given (`origin`); nothing is recognised by its content. What an organisation sends on in a referral
//! of its own, typed again, is no copy that anybody could know.

use std::collections::{BTreeMap, BTreeSet};

use super::store;
use super::types::{Standing, Wanted};
use crate::covenant::CategoryCode;
use crate::ids::Oin;
use crate::problem::Problem;
use crate::referrals::store as referrals;
use crate::referrals::types::{Part, Party, Referral, Section};
use crate::storage::{Error, Query};

/// In how many referrals copies of a section stand at most: one transaction can correct them all. What would be one more is not copied.
const MOST_COPIES: usize = 32;

/// Whether one of these sections was copied as often as is possible.
pub(in crate::referrals) async fn is_copied_too_often(
    query: &mut impl Query,
    sections: &[Section],
) -> Result<bool, Error> {
    let origins: BTreeSet<Part> = sections.iter().filter_map(|section| section.origin).collect();
    for origin in origins {
        let copies: BTreeSet<Part> = store::copies(query, origin).await?.iter().map(|copy| copy.part).collect();
        if copies.len() >= MOST_COPIES {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is corrected in one part of one referral.
pub(super) struct Place {
    pub(super) referral: Referral,
    /// Who gave what came with this part.
    pub(super) giver: Party,
    pub(super) part: Part,
    pub(super) standing: Vec<Standing>,
}

impl Place {
    /// Who gave.
    pub(super) const fn giver(&self) -> &Oin {
        self.referral.party(self.giver)
    }

    /// To whom.
    pub(super) const fn receiver(&self) -> &Oin {
        self.referral.party(self.giver.other())
    }
}

/// Who gave what came with a part of a referral; nobody where there is no such part, or where who took that step is no party.
pub(super) async fn giver(query: &mut impl Query, referral: &Referral, part: Part) -> Result<Option<Party>, Error> {
    let Some(update) = part.update else { return Ok(Some(Party::Sender)) };
    let update = referrals::find_update(query, referral.id, update).await?;
    Ok(update.and_then(|update| referral.party_of(&update.organisation)))
}

/// Where else a correction of what stands `here` reaches.
///
/// # Errors
/// [`Problem::stale`] when there is another copy than a moment ago.
pub(super) async fn copies(query: &mut impl Query, here: &Place, wanted: &Wanted) -> Result<Vec<Place>, Problem> {
    let mut roots: BTreeMap<Part, Vec<&CategoryCode>> = BTreeMap::new();
    for standing in here.standing.iter().filter(|standing| standing.is_followed(wanted.reason)) {
        roots.entry(standing.origin).or_default().push(&standing.category);
    }
    let found = standing_elsewhere(query, here.part, &roots).await?;
    let mut places = Vec::with_capacity(found.len());
    for part in found.keys() {
        places.extend(place(query, here.giver(), *part).await?);
    }
    // What stands there is read after the versions of the referrals, so that whatever changes it later, or copies it on, changes a version.
    let mut standing = standing_elsewhere(query, here.part, &roots).await?;
    if standing.keys().ne(found.keys()) {
        return Err(Problem::stale());
    }
    for place in &mut places {
        place.standing = standing.remove(&place.part).unwrap_or_default();
    }
    Ok(places)
}

/// What stands of these sections in other parts, by part.
async fn standing_elsewhere(
    query: &mut impl Query,
    here: Part,
    roots: &BTreeMap<Part, Vec<&CategoryCode>>,
) -> Result<BTreeMap<Part, Vec<Standing>>, Error> {
    let mut found: BTreeMap<Part, Vec<Standing>> = BTreeMap::new();
    for (root, categories) in roots {
        let mut copies = store::copies(query, *root).await?;
        copies.extend(store::standing(query, *root).await?);
        let is_copy = |copy: &Standing| {
            copy.origin == *root && copy.part != here && !copy.retracted && categories.contains(&&copy.category)
        };
        for copy in copies.into_iter().filter(is_copy) {
            found.entry(copy.part).or_default().push(copy);
        }
    }
    Ok(found)
}

/// A part of a referral, where this organisation gave what came with it.
async fn place(query: &mut impl Query, giver: &Oin, part: Part) -> Result<Option<Place>, Problem> {
    let Some(referral) = referrals::find(query, part.referral).await? else { return Ok(None) };
    let Some(party) = self::giver(query, &referral, part).await? else { return Ok(None) };
    // A copy is given by who gave the original. What was erased needs no correction.
    let is_theirs = referral.party(party) == giver;
    let stands = is_theirs && referrals::wrapped_key(query, referral.id).await?.is_some();
    Ok(stands.then_some(Place { referral, giver: party, part, standing: Vec::new() }))
}
