//! What decisions rest on, kept between requests: the covenant's versions, how parties stand and what they announced, what is recorded about a
//! resident.
//!
//! Every piece is kept with the revision that it was read at, and a decision on kept pieces names these revisions as its ground
//! ([`crate::storage::Ground`]). Invariant: nothing is trusted because it was kept. The transaction that writes the decision down
//! finds out whether a revision has moved, wherever that happened; then the decision is taken again on what is read afresh.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use super::decide::Question;
use crate::capacity::{self, Notice};
use crate::clock::Timestamp;
use crate::consents;
use crate::covenant::{self, Accession, Published};
use crate::ids::Oin;
use crate::policy::{AgeGroup, ConsentRecord};
use crate::problem::Problem;
use crate::rights::{self, Asked};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Error, Query};
use crate::{subjects, vetoes};

/// How many parties and how many residents are kept at most.
const KEPT: usize = 4_096;

/// What was read, for any number of decisions.
#[derive(Default)]
pub struct Known {
    versions: RwLock<Option<(i64, Arc<[Published]>)>>,
    parties: RwLock<HashMap<(String, Oin), Party>>,
    residents: RwLock<HashMap<String, Resident>>,
}

#[derive(Clone)]
struct Party {
    covenant_revision: i64,
    revision: i64,
    /// What it has signed, but for single cases: what follows from one rests on that case and is read for each decision.
    accession: Accession,
    /// What it has announced of its capacity.
    notices: Arc<[Notice]>,
}

#[derive(Clone, Default)]
struct Resident {
    revision: i64,
    age: Option<(AgeGroup, Timestamp)>,
    /// By the organisation that recorded it.
    said: HashMap<Oin, Said>,
    /// The objections and restrictions that stand, by whomever they were recorded.
    asked: Arc<[Asked]>,
}

/// What one organisation has said about a resident.
#[derive(Clone, Default)]
struct Said {
    records: Arc<[ConsentRecord]>,
    /// That using the channel for the resident is not safe.
    vetoed: bool,
}

impl Resident {
    fn is_vetoed_by(&self, giver: &Oin) -> bool {
        self.said.get(giver).is_some_and(|said| said.vetoed)
    }
}

/// What one decision rests on.
pub(super) struct Found {
    pub(super) revisions: Revisions,
    pub(super) published: Published,
    pub(super) giver: Accession,
    pub(super) receiver: Accession,
    /// What the receiver has announced of its capacity, also what holds no more.
    pub(super) notices: Arc<[Notice]>,
    pub(super) age: Option<(AgeGroup, Timestamp)>,
    pub(super) records: Vec<ConsentRecord>,
    /// Whether the giver has said that using the channel for the resident is not safe.
    pub(super) vetoed: bool,
    pub(super) asked: Arc<[Asked]>,
}

impl Known {
    /// The version of the covenant that rules, as far as is kept; nothing was compared with the database.
    pub(super) fn ruling(&self, now: Timestamp) -> Option<Published> {
        let versions = self.versions.read().unwrap_or_else(PoisonError::into_inner);
        versions.as_ref().and_then(|(_, versions)| covenant::in_force_of(versions, now)).cloned()
    }

    /// What is kept, if everything that the question needs is; nothing was compared with the database.
    pub(super) fn recall(&self, question: &Question, recorders: &[&Oin], now: Timestamp) -> Option<Found> {
        let (covenant_revision, versions) = self.versions.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let published = covenant::in_force_of(&versions, now)?.clone();
        let parties = [&question.giver, &question.receiver].map(|party| {
            let parties = self.parties.read().unwrap_or_else(PoisonError::into_inner);
            let known = parties.get(&(published.version.clone(), party.clone())).cloned();
            known.filter(|known| known.covenant_revision == covenant_revision)
        });
        let [Some(giver), Some(receiver)] = parties else { return None };
        let residents = self.residents.read().unwrap_or_else(PoisonError::into_inner);
        let resident = residents.get(question.subject.as_str())?;
        let said: Option<Vec<_>> = recorders.iter().map(|recorder| resident.said.get(*recorder)).collect();
        let mut revisions = Revisions::default();
        revisions.note(revisions::covenant(), covenant_revision);
        revisions.note(revisions::organisation(&question.giver), giver.revision);
        revisions.note(revisions::organisation(&question.receiver), receiver.revision);
        revisions.note(revisions::subject(question.subject.as_str()), resident.revision);
        Some(Found {
            revisions,
            published,
            giver: giver.accession,
            receiver: receiver.accession,
            notices: receiver.notices,
            age: resident.age,
            records: said?.into_iter().flat_map(|said| said.records.iter().cloned()).collect(),
            vetoed: resident.is_vetoed_by(&question.giver),
            asked: Arc::clone(&resident.asked),
        })
    }

    /// Reads the revisions, and with them whatever has moved since it was kept.
    pub(super) async fn learn(
        &self,
        query: &mut impl Query,
        question: &Question,
        recorders: &[&Oin],
        now: Timestamp,
    ) -> Result<Found, Problem> {
        let keys = [
            revisions::covenant(),
            revisions::organisation(&question.giver),
            revisions::organisation(&question.receiver),
            revisions::subject(question.subject.as_str()),
        ];
        let revisions = Revisions::read(query, &keys).await?;
        let versions = self.versions(query, revisions.of(&revisions::covenant())).await?;
        let published = covenant::in_force_of(&versions, now).cloned().ok_or_else(covenant::none_in_force)?;
        let [giver, receiver] = self.parties(query, &published.version, question, &revisions).await?;
        let resident = self.resident(query, question, recorders, revisions.of(&keys[3])).await?;
        let said = recorders.iter().filter_map(|recorder| resident.said.get(*recorder));
        let records = said.flat_map(|said| said.records.iter().cloned()).collect();
        let vetoed = resident.is_vetoed_by(&question.giver);
        let (giver, receiver, notices) = (giver.accession, receiver.accession, receiver.notices);
        Ok(Found {
            revisions,
            published,
            giver,
            receiver,
            notices,
            age: resident.age,
            records,
            vetoed,
            asked: resident.asked,
        })
    }

    async fn versions(&self, query: &mut impl Query, revision: i64) -> Result<Arc<[Published]>, Error> {
        let kept = self.versions.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, versions)) = kept.filter(|(kept, _)| *kept == revision) {
            return Ok(versions);
        }
        let versions: Arc<[Published]> = covenant::versions(query).await?.into();
        *self.versions.write().unwrap_or_else(PoisonError::into_inner) = Some((revision, Arc::clone(&versions)));
        Ok(versions)
    }

    async fn parties(
        &self,
        query: &mut impl Query,
        version: &str,
        question: &Question,
        revisions: &Revisions,
    ) -> Result<[Party; 2], Error> {
        let parties = [&question.giver, &question.receiver];
        let covenant_revision = revisions.of(&revisions::covenant());
        let kept = parties.map(|party| {
            let kept = self.parties.read().unwrap_or_else(PoisonError::into_inner);
            let kept = kept.get(&(version.to_owned(), party.clone())).cloned();
            kept.filter(|kept| {
                kept.covenant_revision == covenant_revision
                    && kept.revision == revisions.of(&revisions::organisation(party))
            })
        });
        if let [Some(giver), Some(receiver)] = kept {
            return Ok([giver, receiver]);
        }
        let standings = covenant::standing(query, version, parties).await?;
        let notices = capacity::of_parties(query, parties).await?;
        let learned = |oin: &Oin| {
            let revision = revisions.of(&revisions::organisation(oin));
            let notices = notices.iter().filter(|notice| notice.organisation == *oin).cloned().collect();
            let party = Party { covenant_revision, revision, accession: standings.of(oin).clone(), notices };
            keep(&self.parties, (version.to_owned(), oin.clone()), party.clone());
            party
        };
        Ok([learned(&question.giver), learned(&question.receiver)])
    }

    async fn resident(
        &self,
        query: &mut impl Query,
        question: &Question,
        recorders: &[&Oin],
        revision: i64,
    ) -> Result<Resident, Error> {
        let subject = question.subject.as_str();
        let kept = self.residents.read().unwrap_or_else(PoisonError::into_inner).get(subject).cloned();
        let mut resident = match kept.filter(|kept| kept.revision == revision) {
            Some(kept) => kept,
            // What nothing ever raised has neither records nor a veto nor a stated age group, and asked nothing.
            None if revision == 0 => Resident::default(),
            None => Resident {
                revision,
                age: subjects::age_stated(query, &question.subject).await?,
                asked: rights::about(query, subject).await?.into(),
                ..Resident::default()
            },
        };
        let mut missing = recorders.iter().filter(|recorder| !resident.said.contains_key(**recorder)).peekable();
        if missing.peek().is_none() {
            return Ok(resident);
        }
        let missing: Vec<Oin> = missing.map(|recorder| (*recorder).clone()).collect();
        for recorder in missing {
            let said = if revision == 0 {
                Said::default()
            } else {
                let records = consents::for_decision(query, subject, &recorder).await?.into();
                Said { records, vetoed: vetoes::blocks(query, subject, &recorder).await? }
            };
            resident.said.insert(recorder, said);
        }
        keep(&self.residents, subject.to_owned(), resident.clone());
        Ok(resident)
    }
}

/// Keeps a piece; when there are too many, all others go: they are read again when they are needed.
fn keep<K: Hash + Eq, V>(pieces: &RwLock<HashMap<K, V>>, key: K, piece: V) {
    let mut pieces = pieces.write().unwrap_or_else(PoisonError::into_inner);
    if pieces.len() >= KEPT && !pieces.contains_key(&key) {
        pieces.clear();
    }
    pieces.insert(key, piece);
}
