//! Reading what a report is made of: the log, the referrals, what was recorded, declared and confirmed.
//!
//! Invariants: of an organisation's own report nothing is read that another wrote; a record whose seal does not fit is not reported from, and then there is no
//! report; what is more than a report can hold is refused and never cut off.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::flows::{Entry, Texts};
use super::hidden::{Hidden, Stated};
use super::store::{self, Standing};
use super::types::{Period, ReportScope};
use crate::app::App;
use crate::audit::{self, StoredRecord};
use crate::clock::Timestamp;
use crate::consents::{self, Consent, Use};
use crate::emergencies;
use crate::ids::Oin;
use crate::incidents::{self, Incident};
use crate::problem::{Code, Problem};
use crate::rights::{objections, restrictions};
use crate::subjects::Subject;
use crate::vetoes;

/// More records than a report is made of: a resident has tens of hand-overs.
const MOST_RECORDS: usize = 5_000;
/// More of one kind than somebody reads.
pub(super) const MOST_LINES: usize = 500;

/// Whose report, and of what.
pub(super) struct Ask<'a> {
    pub(super) reader: &'a Oin,
    pub(super) subject: &'a Subject,
    pub(super) scope: ReportScope,
    pub(super) period: Period,
}

/// Everything that a report is made of.
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    /// What was erased of it.
    pub(super) erasures: Vec<Entry>,
    pub(super) standings: BTreeMap<Uuid, Standing>,
    pub(super) stated: Stated,
    /// What was given under which of the records.
    pub(super) uses: Vec<Use>,
    pub(super) hidden: Hidden,
    pub(super) asked: Asked,
    pub(super) incidents: Vec<Incident>,
    /// The names of organisations as the directory has them.
    pub(super) names: BTreeMap<Oin, String>,
    pub(super) texts: Texts,
}

/// What the resident asked a party by right.
pub(super) struct Asked {
    pub(super) objections: Vec<objections::Reported>,
    pub(super) restrictions: Vec<restrictions::Reported>,
}

/// There is more than a report holds; it is said instead of left out.
pub(super) fn too_much() -> Problem {
    let expected = "expected a shorter period: there is more in this one than one report holds, and none is cut off";
    Problem::invalid_param("period", "too-large", expected)
}

/// Reads it.
///
/// # Errors
/// 400 when there is more than a report holds, 403 when no covenant is in force, 500 when a record of the log is not as it was written.
pub(super) async fn gather(app: &App, ask: &Ask<'_>, now: Timestamp) -> Result<Found, Problem> {
    let query = &mut app.db.reader();
    let organisations = store::organisations(query).await?;
    let all: Vec<&Oin> = organisations.iter().map(|(oin, _)| oin).collect();
    let owners = match ask.scope {
        ReportScope::Own => vec![ask.reader],
        ReportScope::Full => all,
    };
    let hidden = Hidden::of(vetoes::withheld_from_reports(query, ask.subject).await?, ask);
    let mut entries = Vec::new();
    for owner in owners {
        entries.extend(of_owner(app, ask, owner, MOST_RECORDS - entries.len()).await?);
    }
    entries.retain(|entry| entry.counts(ask.scope) && entry.referral.is_none_or(|id| !hidden.hides(id)));
    let mut standings = BTreeMap::new();
    for referral in entries.iter().filter_map(|entry| entry.referral).collect::<BTreeSet<_>>() {
        if let Some(standing) = store::standing(query, referral).await? {
            standings.insert(referral, standing);
        }
    }
    let erasures = erasures(app, ask, standings.keys()).await?;
    let (stated, uses) = stated(app, ask).await?;
    let asked = asked(app, ask, now).await?;
    let incidents = incidents(app, ask, &hidden).await?;
    let versions = entries.iter().filter_map(|entry| entry.version.clone());
    let versions = versions.chain(stated.declarations.iter().map(|one| one.covenant_version.clone())).collect();
    let texts = texts(app, versions, now).await?;
    Ok(Found {
        entries,
        erasures,
        standings,
        stated,
        uses,
        hidden,
        asked,
        incidents,
        names: organisations.into_iter().collect(),
        texts,
    })
}

/// What was recorded, confirmed and declared, and what was given under which of the records. It is read in the same way whether a veto leaves something
/// out or not.
async fn stated(app: &App, ask: &Ask<'_>) -> Result<(Stated, Vec<Use>), Problem> {
    let (query, subject) = (&mut app.db.reader(), ask.subject.as_str());
    let by = (ask.scope == ReportScope::Own).then_some(ask.reader);
    let mut recordings = consents::about(query, subject, by).await?;
    recordings.retain(|consent| overlaps(consent, ask.period));
    let mut confirmations = consents::confirmations_about(query, subject).await?;
    confirmations.retain(|one| {
        let own = by.is_none_or(|by| one.organisation == *by || one.recorder == *by);
        own && ask.period.holds(one.asked_at)
    });
    let mut declarations = emergencies::about(query, subject).await?;
    declarations.retain(|one| by.is_none_or(|by| one.organisation == *by) && ask.period.holds(one.declared_at));
    let uses = consents::uses_about(query, subject, by).await?;
    Ok((Stated { recordings, confirmations, declarations }, uses))
}

/// Incidents: both parties of one know it, whoever opened it.
async fn incidents(app: &App, ask: &Ask<'_>, hidden: &Hidden) -> Result<Vec<Incident>, Problem> {
    let by = (ask.scope == ReportScope::Own).then_some(ask.reader);
    let mut incidents = incidents::about(&mut app.db.reader(), ask.subject.as_str()).await?;
    incidents.retain(|one| {
        let own = by.is_none_or(|by| one.sender == *by || one.recipient == *by);
        own && !hidden.hides(one.referral) && ask.period.holds(one.opened_at)
    });
    Ok(incidents)
}

/// Objections and restrictions, whatever became of them.
async fn asked(app: &App, ask: &Ask<'_>, now: Timestamp) -> Result<Asked, Problem> {
    let (query, subject) = (&mut app.db.reader(), ask.subject.as_str());
    let is_in_it = |by: &Oin| ask.scope == ReportScope::Full || by == ask.reader;
    let mut objections = objections::about(query, subject, now).await?;
    objections.retain(|one| is_in_it(&one.organisation) && held(ask.period, one.recorded_at, one.ended_at));
    let mut restrictions = restrictions::about(query, subject).await?;
    restrictions.retain(|one| is_in_it(&one.organisation) && held(ask.period, one.recorded_at, one.ended_at));
    if objections.len() > MOST_LINES || restrictions.len() > MOST_LINES {
        return Err(too_much());
    }
    Ok(Asked { objections, restrictions })
}

async fn of_owner(app: &App, ask: &Ask<'_>, owner: &Oin, most: usize) -> Result<Vec<Entry>, Problem> {
    let pseudonym = app.pseudonyms.for_organisation(ask.subject, owner);
    let Period { from, until } = ask.period;
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let records = audit::of_subject(&mut app.db.reader(), &pseudonym, (from, until), limit).await?;
    if records.len() > most {
        return Err(too_much());
    }
    let mut entries = Vec::with_capacity(records.len());
    for record in &records {
        let entry = entry(app, record)?;
        if ask.period.holds(entry.at) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// What was erased of these referrals, whenever that was: of an organisation's own report by its own records, of all flows by those of who had it erased, since who
/// never picked something up has none.
async fn erasures(app: &App, ask: &Ask<'_>, referrals: impl Iterator<Item = &Uuid>) -> Result<Vec<Entry>, Problem> {
    let (query, mut entries) = (&mut app.db.reader(), Vec::new());
    for referral in referrals {
        let records = match ask.scope {
            ReportScope::Own => store::erasures_of(query, *referral, ask.reader).await?,
            ReportScope::Full => store::erasures(query, *referral).await?,
        };
        for id in records {
            if let Some(record) = audit::find(query, &id).await? {
                entries.push(entry(app, &record)?);
            }
        }
    }
    Ok(entries)
}

/// What a record says, if it is as it was written.
fn entry(app: &App, record: &StoredRecord) -> Result<Entry, Problem> {
    let entry = Entry::read(record).filter(|_| !record.refused && record.examine(&app.sealer).is_authentic());
    entry.ok_or_else(|| Problem::internal("a record of the log is not as it was written: sluis audit verify"))
}

/// Whether a record counted, or was made, in the period.
fn overlaps(consent: &Consent, period: Period) -> bool {
    period.until.is_none_or(|until| consent.recorded_at < until)
        && period.from.is_none_or(|from| consent.recording.valid_until > from || consent.recorded_at >= from)
}

/// Whether what was recorded then, and has ended or not, stood or was recorded in the period.
fn held(period: Period, recorded_at: Timestamp, ended_at: Option<Timestamp>) -> bool {
    period.until.is_none_or(|until| recorded_at < until)
        && period.from.is_none_or(|from| recorded_at >= from || ended_at.is_none_or(|ended_at| ended_at >= from))
}

async fn texts(app: &App, versions: BTreeSet<String>, now: Timestamp) -> Result<Texts, Problem> {
    let query = &mut app.db.reader();
    let in_force = app.covenants.in_force(query, now).await?;
    let mut found = BTreeMap::new();
    for version in versions {
        match app.covenants.of_version(query, &version).await {
            Ok(engine) => drop(found.insert(version, engine)),
            // A version that is not published here says nothing; its codes are shown as they are.
            Err(problem) if problem.code() == Code::NotFound => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(Texts { in_force, versions: found })
}
