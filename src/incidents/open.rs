//! Opening an incident: a party reports it, or the gateway finds content that was altered.
//!
//! Invariant: what was received by mistake is destroyed at the gateway in the same transaction, and the version of the referral is raised first, so that
//! whoever reads it at this moment has read it before and is asked to delete it, or reads nothing any more.

use serde_json::json;
use uuid::Uuid;

use super::types::{Deletion, Duty, Incident, IncidentCreation, IncidentKind, Received, TO_ASSESS};
use super::{store, trace, view};
use crate::app::App;
use crate::audit;
use crate::clock::Timestamp;
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::problem::{Code, InvalidParam, Problem, until_settled};
use crate::referrals::{self, Misdirected};
use crate::relay::{self, IncidentNews};
use crate::storage::{Ground, Tx};

/// `POST /v1/incidents`
///
/// # Errors
/// 400 with everything that is wrong, also for a referral in which the caller is no party; 409 when there is one already, or nothing was received yet.
pub async fn report(call: Call) -> Result<Answer, Problem> {
    if let Some(answer) = idempotency::earlier(&call).await? {
        return Ok(answer);
    }
    until_settled(async || attempt(&call).await).await
}

async fn attempt(call: &Call) -> Result<Answer, Problem> {
    let wanted: IncidentCreation = call.json()?;
    let (app, now) = (call.app.clone(), call.app.now());
    let caller = call.caller()?.organisation.clone();
    let referral = referrals::misdirected(&mut app.db.reader(), wanted.referral).await?;
    let referral = referral.filter(|referral| [&referral.sender, &referral.recipient].contains(&&caller));
    let mut wrong = Vec::new();
    if referral.is_none() {
        let expected = "expected the id of a referral of which your organisation is the sender or the recipient";
        wrong.push(InvalidParam::new("referral", "unknown", expected));
    }
    // Of somebody else's referral not even the moment may show.
    let sent_at = referral.as_ref().map_or(Timestamp::from_micros(i64::MIN), |referral| referral.sent_at);
    let aware_at = wanted.aware_at(sent_at, now).map_err(|mistake| wrong.push(mistake));
    let (Some(referral), Ok(aware_at)) = (referral, aware_at) else { return Err(Problem::invalid(wrong)) };
    let municipality = app.covenants.municipality(&mut app.db.reader(), now).await?;
    let opening = Opening::new(&app, &referral, wanted.kind, Some((&caller, aware_at)), municipality, now)?;
    let mut own = opening.record(&app, &caller)?;
    trace::asked(call, &mut own)?;
    let others = opening.record(&app, opening.incident.other(&caller))?;
    let records = [trace::sealed(&app, &own)?, trace::sealed(&app, &others)?];
    idempotency::once(call, "open-incident", Ground::default(), async move |tx: &mut Tx| {
        let duties = opening.apply(tx, &app).await?.ok_or_else(|| {
            let detail = "there is an incident of this kind about this referral already; GET /v1/incidents lists it";
            Problem::new(Code::AlreadyExists, detail)
        })?;
        for record in &records {
            audit::write(tx, record);
        }
        let body = view::whole(&app, &opening.incident, &caller, &duties, now);
        Ok(Answer::created(format!("/v1/incidents/{}", opening.incident.id), &body)?.etag(1))
    })
    .await
}

/// Content that the gateway keeps of this referral was altered or moved: opens an incident at both parties, once.
///
/// # Errors
/// When the database fails.
pub async fn suspect(app: &App, referral: Uuid) -> Result<(), Problem> {
    let now = app.now();
    let Some(referral) = referrals::misdirected(&mut app.db.reader(), referral).await? else { return Ok(()) };
    let municipality = app.covenants.municipality(&mut app.db.reader(), now).await?;
    let opening = Opening::new(app, &referral, IncidentKind::FailedVerification, None, municipality, now)?;
    let seal = |owner| trace::sealed(app, &opening.record(app, owner)?);
    let records = [seal(&referral.sender)?, seal(&referral.recipient)?];
    let gateway = app.clone();
    app.db
        .write("open-incident", async move |tx: &mut Tx| {
            if opening.apply(tx, &gateway).await?.is_some() {
                for record in &records {
                    audit::write(tx, record);
                }
            }
            Ok::<_, Problem>(())
        })
        .await
}

/// What one transaction writes.
struct Opening {
    incident: Incident,
    /// When the reporter knew; the other party knows from now on.
    reporter_knew: Option<Timestamp>,
    was_disclosed: bool,
    municipality: Option<Oin>,
    now: Timestamp,
}

impl Opening {
    fn new(
        app: &App,
        referral: &Misdirected,
        kind: IncidentKind,
        reporter: Option<(&Oin, Timestamp)>,
        municipality: Option<Oin>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let incident = Incident {
            id: app.new_id()?,
            referral: referral.id,
            kind,
            sender: referral.sender.clone(),
            recipient: referral.recipient.clone(),
            subject: referral.subject.clone(),
            reported_by: reporter.map(|(reporter, _)| reporter.clone()),
            opened_at: now,
        };
        let reporter_knew = reporter.map(|(_, aware_at)| aware_at);
        Ok(Self { incident, reporter_knew, was_disclosed: referral.was_disclosed, municipality, now })
    }

    fn record(&self, app: &App, owner: &Oin) -> Result<audit::Record, Problem> {
        let Incident { kind, reported_by, .. } = &self.incident;
        let facts = json!({ "kind": kind, "reportedBy": reported_by });
        trace::record(app, &self.incident, owner, ("opened", Some(facts)), self.now)
    }

    /// Writes it, and answers for what both parties owe; nothing where there is one already.
    async fn apply(&self, tx: &mut Tx, app: &App) -> Result<Option<Vec<Duty>>, Problem> {
        let (incident, now) = (&self.incident, self.now);
        let mut received = Vec::new();
        if incident.kind.asks_deletion() {
            // The lock on the referral comes first: whoever hands something over meanwhile comes before it or finds another version.
            referrals::raise(tx, incident.referral, now).await?;
            received = referrals::received(tx, incident.referral).await?;
            if received.is_empty() && !self.was_disclosed {
                let detail = "nothing of this referral was handed over yet: its sender ends it with entered-in-error";
                return Err(Problem::new(Code::Conflict, detail));
            }
            referrals::destroy_all(tx, incident.referral, now).await?;
        }
        if !store::insert(tx, incident).await? {
            return Ok(None);
        }
        let mut duties = Vec::with_capacity(2);
        for organisation in [&incident.sender, &incident.recipient] {
            let duty = self.duty(organisation, &received);
            store::insert_duty(tx, incident.id, &duty).await?;
            duties.push(duty);
        }
        let told = [&incident.sender, &incident.recipient];
        for event in trace::tell(app, incident, IncidentNews::Opened, told, self.municipality.as_ref(), now)? {
            relay::enqueue(tx, &event);
        }
        Ok(Some(duties))
    }

    fn duty(&self, organisation: &Oin, received: &[referrals::ReceivedPart]) -> Duty {
        let (incident, now) = (&self.incident, self.now);
        let own = incident.reported_by.as_ref() == Some(organisation);
        let aware_at = self.reporter_knew.filter(|_| own).unwrap_or(now);
        let theirs: Vec<Received> = received
            .iter()
            .filter(|one| one.receiver == *organisation)
            .map(|one| Received { update_id: one.part.update, categories: one.categories.clone() })
            .collect();
        // What was read may have been destroyed before; who read it has it all the same.
        let read_it = *organisation == incident.recipient && self.was_disclosed;
        let deletes = incident.kind.asks_deletion() && (read_it || !theirs.is_empty());
        let deletion =
            deletes.then(|| Deletion { received: theirs, due_at: now.plus(TO_ASSESS), told: false, confirmed: None });
        Duty {
            organisation: organisation.clone(),
            aware_at,
            assess_due_at: aware_at.plus(TO_ASSESS),
            assess_told: false,
            assessment: None,
            deletion,
            version: 1,
        }
    }
}
