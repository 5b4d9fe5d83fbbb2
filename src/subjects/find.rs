//! Finding the resident whom a request is about, and keeping how it was found.
//!
//! Invariants: who may not use the BSN finds nobody by it; whom a request leads to, and whether it is refused, depends for who may use the BSN on what it
//! said itself alone, and shows nobody what another recorded. Whoever acts on a [`Named`] commits on its ground, so that nothing is linked on what has changed.

use super::lead::{Asker, Lead, Link, lead};
use super::{MatchKey, Subject, SubjectReference, links, store};
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::covenant::Covenant;
use crate::http::Call;
use crate::ids::Oin;
use crate::lifecycle::Day;
use crate::problem::{Code, InvalidParam, Problem};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Tx};
use crate::subjects::contradicts;

/// How the covenant lets an organisation say which resident it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// It is a party, and may use a match.
    pub party: bool,
    /// A law lets it use the BSN.
    pub bsn: bool,
}

impl Rights {
    /// Those of an organisation under a covenant.
    #[must_use]
    pub fn of(covenant: &Covenant, organisation: &Oin) -> Self {
        let party = covenant.party_by_oin(organisation);
        Self { party: party.is_some(), bsn: party.is_some_and(|party| party.bsn_law.is_some()) }
    }
}

/// The resident whom a request is about.
pub struct Named {
    /// The resident.
    pub subject: Subject,
    /// What finding them rested on; none where they were not named by the request itself.
    pub rights: Option<Rights>,
    revisions: Revisions,
    link: Option<NewLink>,
}

/// A match that is to be kept.
struct NewLink {
    key: MatchKey,
    link: Link,
    /// The revision of what is kept of this match.
    revision: String,
    /// The organisation said whom it leads to, with BSN or pseudonym; its record. Kept only with something that is created.
    said: Option<SealedRecord>,
    now: Timestamp,
}

impl Named {
    /// A resident who is known from something else.
    #[must_use]
    pub fn already(subject: Subject) -> Self {
        Self { subject, rights: None, revisions: Revisions::default(), link: None }
    }

    /// Adds what finding the resident rests on, and what keeping it raises.
    pub fn add_to(&self, ground: &mut Ground) {
        ground.rest_on(&self.revisions);
        ground.raises.extend(self.link.iter().map(|link| link.revision.clone()));
    }

    /// Keeps to whom a match led. What was said of a match counts only `with` something that is created.
    pub fn keep(&self, tx: &mut Tx, with_creation: bool) {
        let Some(NewLink { key, link, revision, said, now }) = &self.link else { return };
        if said.is_some() && !with_creation {
            return;
        }
        links::add(tx, key, link, *now);
        revisions::bump(tx, revision);
        if let Some(record) = said {
            audit::write(tx, record);
        }
    }
}

/// Only a party with the right to use the BSN may name a resident by it (rule 11 of the privacy protocol), only a party by a match.
///
/// # Errors
/// 403.
pub async fn check_rights(call: &Call, reference: &SubjectReference) -> Result<(Rights, Revisions), Problem> {
    let mut covenant = Revisions::default();
    if !reference.by_bsn() && !reference.by_match() {
        return Ok((Rights { party: false, bsn: false }, covenant));
    }
    let query = &mut call.app.db.reader();
    covenant.read_also(query, revisions::covenant()).await?;
    let engine = call.app.covenants.in_force(query, call.app.now()).await?;
    let rights = Rights::of(engine.covenant(), &call.caller()?.organisation);
    let lacks = if reference.by_bsn() && !rights.bsn {
        "the covenant gives your organisation no right to use the BSN; use the resident's pseudonym, or a match"
    } else if reference.by_match() && !rights.party {
        "the covenant does not name your organisation; use the resident's pseudonym"
    } else {
        return Ok((rights, covenant));
    };
    Err(Problem::new(Code::Forbidden, lacks))
}

/// Finds the resident of a request.
///
/// # Errors
/// 400 with everything that is wrong with how the resident is named: also a pseudonym that the caller was never given, a match that leads elsewhere
/// by what the caller said before, and one of which it said that several residents have it.
pub async fn find(call: &Call, reference: &SubjectReference, rights: Rights) -> Result<Named, Problem> {
    let app = &call.app;
    let caller = &call.caller()?.organisation;
    let (now, today) = (app.now(), Day::of(app.now()));
    let (bsn, person) = reference.parse(today).map_err(Problem::invalid)?;
    if (bsn.is_some() && !rights.bsn) || (person.is_some() && !rights.party) {
        // The covenant's rules refuse it. Until they do, nothing is read of the resident, so that the refusal says nothing either.
        let subject = app.pseudonyms.nobody(caller);
        return Ok(Named { rights: Some(rights), ..Named::already(subject) });
    }
    let query = &mut app.db.reader();
    let named = match (bsn, reference.pseudonym()) {
        (Some(bsn), _) => Some(app.pseudonyms.subject(&bsn)),
        (None, Some(pseudonym)) => Some(store::subject_of(query, caller, pseudonym).await?.ok_or_else(unknown)?),
        (None, None) => None,
    };
    let Some(person) = person else {
        return Ok(Named { rights: Some(rights), ..Named::already(named.ok_or_else(unknown)?) });
    };
    let key = app.pseudonyms.match_key(&person);
    let matched = app.pseudonyms.matched(&key);
    let revision = revisions::subject(matched.as_str());
    let mut revisions = Revisions::default();
    revisions.read_also(query, revision.clone()).await?;
    let links = links::of_key(query, &key).await?;
    let own_name = app.pseudonyms.for_organisation(&matched, caller);
    let knows_matched = store::subject_of(query, caller, &own_name).await?.is_some();
    let asker = Asker { organisation: caller, may_use_bsn: rights.bsn, knows_matched };
    let said = named.is_some();
    let mut subject = match lead(&links, asker, named, matched.clone()) {
        Lead::Known(subject) => return Ok(Named { subject, rights: Some(rights), revisions, link: None }),
        Lead::New(subject) => subject,
        Lead::Ambiguous => return Err(ambiguous()),
        Lead::Contradicted => return Err(contradicted()),
    };
    let stated = store::age_stated(query, &subject).await?;
    if !said && stated.is_some_and(|(earlier, at)| contradicts(earlier, at, person.age_group(today), now)) {
        // Somebody else may be meant; and a refusal would tell what another stated.
        subject = matched;
    }
    let said = if said { Some(record(call, "match-linked", Some(&subject))?) } else { None };
    let vouched = said.is_some() && rights.bsn;
    let link = Link { organisation: caller.clone(), subject: Some(subject.clone()), vouched };
    let link = Some(NewLink { key, link, revision, said, now });
    Ok(Named { subject, rights: Some(rights), revisions, link })
}

/// What the caller's match leads to is forgotten, or it leads to nobody from now on.
pub(super) struct Unlinking {
    key: MatchKey,
    revision: String,
    revisions: Revisions,
    organisation: Oin,
    /// Several residents have these data.
    shared: Option<Link>,
    record: SealedRecord,
    now: Timestamp,
}

impl Unlinking {
    /// Checks it.
    ///
    /// # Errors
    /// 400 with everything that is wrong with the data.
    pub(super) async fn prepare(
        call: &Call,
        reference: &SubjectReference,
        shared: bool,
        rights: Rights,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let organisation = call.caller()?.organisation.clone();
        let (_, person) = reference.parse(Day::of(app.now())).map_err(Problem::invalid)?;
        let person = person.ok_or_else(|| {
            Problem::invalid_param("subject.match", "required", "expected the data that lead to the wrong resident")
        })?;
        let key = app.pseudonyms.match_key(&person);
        let revision = revisions::subject(app.pseudonyms.matched(&key).as_str());
        let query = &mut app.db.reader();
        let mut revisions = Revisions::default();
        revisions.read_also(query, revision.clone()).await?;
        let links = links::of_key(query, &key).await?;
        let before = links.iter().find(|link| link.organisation == organisation);
        let before = before.and_then(|link| link.subject.as_ref());
        let record = record(call, if shared { "match-shared" } else { "match-unlinked" }, before)?;
        let shared = shared.then(|| Link { organisation: organisation.clone(), subject: None, vouched: rights.bsn });
        Ok(Self { key, revision, revisions, organisation, shared, record, now: app.now() })
    }

    /// Rests on what was read of the match, and raises it.
    pub(super) fn ground(&self) -> Ground {
        let mut ground = Ground::raising(self.revision.clone());
        ground.rest_on(&self.revisions);
        ground
    }

    /// Does it. Nothing that was recorded under the resident moves.
    pub(super) async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        links::remove(tx, &self.key, &self.organisation).await?;
        if let Some(link) = &self.shared {
            links::add(tx, &self.key, link, self.now);
        }
        revisions::bump(tx, &self.revision);
        audit::write(tx, &self.record);
        Ok(())
    }
}

fn record(call: &Call, action: &str, subject: Option<&Subject>) -> Result<SealedRecord, Problem> {
    let app = &call.app;
    let organisation = call.caller()?.organisation.clone();
    let pseudonym = subject.map(|subject| app.pseudonyms.for_organisation(subject, &organisation));
    let mut record = call.record(audit::Kind::Subject, organisation, app.now())?;
    record.action = Some(action.to_owned());
    record.subject = pseudonym;
    Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
}

fn unknown() -> Problem {
    Problem::invalid_param(
        "subject.pseudonym",
        "unknown",
        "expected a pseudonym that this gateway gave to your organisation",
    )
}

fn ambiguous() -> Problem {
    Problem::invalid(vec![InvalidParam::new(
        "subject.match",
        "ambiguous",
        "your organisation said that several residents have these data; name the resident by pseudonym, or by BSN where you may use it",
    )])
}

fn contradicted() -> Problem {
    Problem::invalid(vec![InvalidParam::new(
        "subject.match",
        "contradicted",
        "by what your organisation said before these data lead to another resident; check both, and leave the match out or take the former back (/v1/subject-matches/_unlink)",
    )])
}
