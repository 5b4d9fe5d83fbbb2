//! Concluding a review: once, outside the party that declared, and with what follows from it.
//!
//! Invariant: what was not rightly given is destroyed here in the same transaction, and whoever received it is told to delete it.

use std::collections::BTreeSet;

use serde_json::json;

use super::types::{Concluded, Conclusion, ConclusionCreation, EmergencyAccess, Status};
use super::{readers, store, trace, view};
use crate::app::App;
use crate::audit::{self, Effect, Kind, Record, SealedRecord, SectionOutcome};
use crate::clock::Timestamp;
use crate::covenant::CategoryCode;
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::problem::{Code, Problem, until_settled};
use crate::referrals;
use crate::relay::{self, EmergencyNews, Event, Happening};
use crate::storage::{Ground, Tx, revisions};
use crate::subjects::Subject;

/// `POST /v1/reviews/{id}/conclusions`
///
/// # Errors
/// 400, 403 for who does not review it, 404 for whom it does not concern, 409 when it was concluded, or can still be given under.
pub async fn conclude(call: Call) -> Result<Answer, Problem> {
    until_settled(async || {
        let access = readers::reviewed(&call).await?;
        readers::check_reviewer(&call, &access).await?;
        if let Some(answer) = idempotency::earlier(&call).await? {
            return Ok(answer);
        }
        match attempt(&call, access).await {
            Err(problem) if !problem.is_stale() => idempotency::or_first(&call, problem).await,
            answer => answer,
        }
    })
    .await
}

async fn attempt(call: &Call, mut access: EmergencyAccess) -> Result<Answer, Problem> {
    let (app, now) = (&call.app, call.app.now());
    let wanted: ConclusionCreation = call.json()?;
    let deleted = wanted.deleted(&access.categories).map_err(Problem::invalid)?;
    if access.review.concluded.is_some() {
        return Err(Problem::new(Code::Conflict, "it was concluded already"));
    }
    if access.status(now) == Status::Active {
        if wanted.conclusion != Conclusion::NotJustified {
            let detail =
                "something can still be given under it: conclude when it is over, or not-justified, which ends it";
            return Err(Problem::new(Code::Conflict, detail));
        }
        access.ended_at = Some(now);
    }
    let from_version = access.version;
    access.version += 1;
    let by = call.caller()?.organisation.clone();
    let (conclusion, measures) = (wanted.conclusion, wanted.measures);
    let concluded = Concluded { conclusion, measures, deleted, by, at: now };
    access.review.concluded = Some(concluded.clone());
    let readers = store::readers(&mut app.db.reader(), access.id).await?;
    let municipality = readers::municipality(app, &mut app.db.reader(), now).await?;
    let mut events = trace::tell_officers(app, &access, EmergencyNews::ReviewConcluded, &readers, &municipality, now)?;
    events.push(trace::event(app, &access, EmergencyNews::Concluded, access.organisation.clone().into(), now)?);
    let records = records(call, &access, &concluded, now)?;
    let body = view::conclusion(&concluded);
    let change = Change { access, from_version, concluded, records, events };
    let (app, id) = (app.clone(), change.access.id);
    idempotency::once(call, "conclude-review", Ground::raising(revisions::emergency(id)), async move |tx: &mut Tx| {
        change.apply(tx, &app).await?;
        Answer::created(format!("/v1/reviews/{id}/conclusions"), &body)
    })
    .await
}

/// The reviewer's record and that of the declaring party.
fn records(
    call: &Call,
    access: &EmergencyAccess,
    concluded: &Concluded,
    now: Timestamp,
) -> Result<Vec<SealedRecord>, Problem> {
    let mut records = Vec::new();
    for owner in [&concluded.by, &access.organisation] {
        let mut record = trace::record(call, access, owner, "concluded", now)?;
        let Concluded { conclusion, measures, deleted, .. } = concluded;
        record.facts = Some(json!({ "conclusion": conclusion, "measures": measures, "notJustified": deleted }));
        records.push(trace::sealed(&call.app, &record)?);
    }
    Ok(records)
}

/// What one transaction writes.
struct Change {
    access: EmergencyAccess,
    from_version: i64,
    concluded: Concluded,
    records: Vec<SealedRecord>,
    events: Vec<Event>,
}

impl Change {
    async fn apply(&self, tx: &mut Tx, app: &App) -> Result<(), Problem> {
        let Self { access, concluded, .. } = self;
        revisions::bump(tx, &revisions::emergency(access.id));
        if !store::advance(tx, access, self.from_version).await? {
            return Err(Problem::stale());
        }
        for record in &self.records {
            audit::write(tx, record);
        }
        for event in &self.events {
            relay::enqueue(tx, event);
        }
        if !concluded.deleted.is_empty() {
            self.delete(tx, app).await?;
        }
        Ok(())
    }

    /// Destroys what was not rightly given, in every referral under the declaration. No new one comes: the ground of each names the declaration.
    async fn delete(&self, tx: &mut Tx, app: &App) -> Result<(), Problem> {
        let Self { access, concluded, .. } = self;
        let all = concluded.conclusion == Conclusion::NotJustified;
        for referral in store::referrals(tx, access.id).await? {
            let given = referrals::given_in(tx, referral.id, &access.organisation).await?;
            let wrong = given.into_iter().filter(|section| all || concluded.deleted.contains(&section.category));
            let (destroyed, received) =
                wrong.fold((BTreeSet::new(), BTreeSet::new()), |(mut here, mut there), section| {
                    here.extend(section.stands.then(|| section.category.clone()));
                    there.extend(section.handed_over.then_some(section.category));
                    (here, there)
                });
            if all {
                store::destroy(tx, referral.id, concluded.at).await?;
            } else if !store::destroy_some(tx, referral.id, &concluded.deleted, concluded.at).await? {
                continue;
            }
            // Each reads what it knows: what was destroyed here, and what was received of it.
            for (owner, sections) in [(&access.organisation, destroyed), (&access.recipient, received)] {
                audit::write(tx, &self.deletion(app, owner, &referral.id.to_string(), sections)?);
            }
            let happening = Happening::ReferralDeletionRequired { referral: referral.id };
            let (id, to) = (app.new_id()?, access.recipient.clone().into());
            relay::enqueue(tx, &Event { id, to, happening, time: concluded.at, trace_parent: None });
        }
        Ok(())
    }

    /// A party's record that these sections of a referral were destroyed, and that their recipient deletes what it has of them.
    fn deletion(
        &self,
        app: &App,
        owner: &Oin,
        referral: &str,
        sections: BTreeSet<CategoryCode>,
    ) -> Result<SealedRecord, Problem> {
        let Self { access, concluded, .. } = self;
        let mut record = Record::new(app.new_id()?, Kind::Emergency, concluded.at, owner.clone());
        record.action = Some("content-destroyed".to_owned());
        record.resource = Some(format!("/v1/referrals/{referral}"));
        record.sender = Some(access.organisation.clone());
        record.recipient = Some(access.recipient.clone());
        record.referral = Some(referral.to_owned());
        let gone = |category: CategoryCode| SectionOutcome {
            category: category.to_string(),
            effect: Effect::Withhold,
            code: None,
            rules: Vec::new(),
        };
        record.sections = sections.into_iter().map(gone).collect();
        let subject = Subject::from_stored(access.subject.clone());
        record.subject = Some(app.pseudonyms.for_organisation(&subject, owner));
        trace::sealed(app, &record)
    }
}
