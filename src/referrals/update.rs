//! Taking a step in a referral, with or without notes to the other party.
//!
//! Checked in this order: exists for the caller (404), the step (409 with `allowedSteps`), its reason and outcome (400),
//! `If-Match` (412), what the covenant says (403). Invariant: two steps from the same state never both succeed.

use serde_json::json;

use super::access::{self, Access};
use super::create::{due_at, reopen_until};
use super::decide::{Decided, Facts, Question, decide, until_settled};
use super::lifecycle::{self, AllowedStep, Reason, Refusal, Role};
use super::sealing::{self, SealedContent};
use super::types::{Referral, Update, UpdateCreation};
use super::{store, view};
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::covenant::CategoryCode;
use crate::http::{Answer, Call, idempotency};
use crate::policy::{Action, minimise};
use crate::problem::{Code, Problem};
use crate::relay::{self, Event, Happening};
use crate::storage::Tx;
use crate::subjects::Subject;

/// `POST /v1/referrals/{id}/updates`
///
/// # Errors
/// 400, 403, 404, 409, 412.
pub async fn add(call: Call) -> Result<Answer, Problem> {
    // A repeat is answered as the first time, but only to a party.
    access::to_referral(&call).await?;
    match until_settled(async |facts| attempt(&call, facts).await).await {
        Err(problem) => idempotency::or_first(&call, problem).await,
        answer => answer,
    }
}

async fn attempt(call: &Call, facts: Facts) -> Result<Answer, Problem> {
    let wanted: UpdateCreation = call.json()?;
    let access = access::to_referral(call).await?;
    let now = call.app.now();
    let step = take_step(&access, &wanted, now)?;
    call.check_if_match(access.referral.version)?;
    sealing::check_sizes(&wanted.sections)?;
    let decided = decide_notes(call, &access, &wanted, facts, now).await?;
    let receiver = access.referral.party(other(access.role));
    let status_only = access::sees_status_only(&access.referral, receiver, decided.municipality.as_ref());
    let change = Change::prepare(call, access, wanted, step, decided, status_only, now).await?;
    idempotency::once(call, "update-referral", change.decided.ground(), async move |tx: &mut Tx| change.apply(tx).await)
        .await
}

/// The state after the step, or the answer that says what is possible.
fn take_step(access: &Access, wanted: &UpdateCreation, now: Timestamp) -> Result<lifecycle::State, Problem> {
    // The end of the reopening term is set once the covenant's value is known.
    match lifecycle::step(&access.referral.state, access.role, &wanted.command(), now, now) {
        Ok(state) => {
            if wanted.right_organisation.is_some() && wanted.status != lifecycle::Status::Rejected {
                return Err(Problem::invalid_param(
                    "rightOrganisation",
                    "not-expected",
                    "expected only with status rejected",
                ));
            }
            Ok(state)
        }
        Err(Refusal::NotAllowed(steps)) => Err(not_allowed(&steps)),
        Err(Refusal::Reason(reasons)) => Err(Problem::invalid_param("statusReason", "unknown-code", expected(reasons))),
        Err(Refusal::Outcome { needed: true }) => Err(Problem::invalid_param(
            "outcome",
            "required",
            "expected helped, partly-helped, referred-on or not-helped",
        )),
        Err(Refusal::Outcome { needed: false }) => {
            Err(Problem::invalid_param("outcome", "not-expected", "expected only with status completed"))
        }
    }
}

fn not_allowed(steps: &[AllowedStep]) -> Problem {
    Problem::new(
        Code::StepNotAllowed,
        "allowedSteps lists what you may do now; it is empty when the other party must act",
    )
    .with("allowedSteps", json!(steps))
}

fn expected(reasons: &[Reason]) -> String {
    if reasons.is_empty() {
        return "expected none for this step".into();
    }
    let words: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
    format!("expected one of: {}", words.join(", "))
}

/// What the covenant says of the step and its notes. A step without notes is decided too: nothing crosses between parties of
/// which one is suspended or has not signed.
async fn decide_notes(
    call: &Call,
    access: &Access,
    wanted: &UpdateCreation,
    facts: Facts,
    now: Timestamp,
) -> Result<Decided, Problem> {
    let referral = &access.referral;
    let other = other(access.role);
    let giver = referral.party(access.role);
    let carried = store::carried(&mut call.app.db.reader(), referral.id, giver).await?;
    let question = Question {
        action: if access.role == Role::Sender { Action::Refer } else { Action::Note },
        giver: giver.clone(),
        receiver: referral.party(other).clone(),
        terms: referral.terms.clone(),
        subject: Subject::from_stored(referral.subject.clone()),
        age_group: referral.age_group,
        age_is_new: false,
        by_bsn: false,
        sections: wanted.sections.iter().map(|section| section.category.clone()).collect(),
        carried,
    };
    decide(&call.app, question, facts, now).await
}

const fn other(role: Role) -> Role {
    match role {
        Role::Sender => Role::Recipient,
        Role::Recipient => Role::Sender,
    }
}

/// What one transaction writes.
struct Change {
    decided: Decided,
    referral: Referral,
    from_version: i64,
    update: Update,
    content: SealedContent,
    records: Vec<SealedRecord>,
    event: Event,
    answer: serde_json::Value,
    /// Set when the covenant refuses the notes, or that anything crosses: then nothing but the record is written.
    refused: Option<Refused>,
}

/// Why the covenant refuses a step.
enum Refused {
    /// One of the parties is not active, or has not signed: not even a bare status crosses.
    Parties,
    /// The notes may not cross; the decision says why.
    Notes(serde_json::Value),
}

impl Refused {
    fn of(decided: &Decided, decision: Option<&serde_json::Value>, permitted: bool) -> Option<Self> {
        if !decided.parties_may_exchange() {
            return Some(Self::Parties);
        }
        decision.filter(|_| !permitted).cloned().map(Self::Notes)
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Parties => Problem::new(
                Code::Refused,
                "nothing crosses between these parties now: one is not active, or has not signed the covenant in force",
            ),
            Self::Notes(decision) => {
                Problem::new(Code::Refused, "decision says why, section by section; the step was not taken")
                    .with("decision", decision.clone())
            }
        }
    }
}

impl Change {
    async fn prepare(
        call: &Call,
        access: Access,
        wanted: UpdateCreation,
        state: lifecycle::State,
        decided: Decided,
        status_only: bool,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let Access { mut referral, role } = access;
        let from_version = referral.version;
        let command = wanted.command();
        let decision = (!wanted.sections.is_empty()).then(|| decided.to_json(wanted.on_withheld));
        let permit = decided.decision.permit(wanted.on_withheld);
        let refused = Refused::of(&decided, decision.as_ref(), permit.is_some());
        referral.state = state;
        if referral.state.reopen_until.is_some() {
            referral.state.reopen_until = Some(reopen_until(now, decided.reopen_days));
        }
        referral.version += 1;
        referral.updated_at = now;
        referral.right_organisation.clone_from(&wanted.right_organisation);
        referral.due_at = due_at(&decided.deadlines, &referral.state, referral.priority, now);
        let on_withheld = wanted.on_withheld;
        let notes = permit.map(|permit| minimise(&permit, wanted.sections)).unwrap_or_default();
        let categories: Vec<CategoryCode> = notes.iter().map(|section| section.category.clone()).collect();
        let update = Update {
            id: app.new_id()?,
            referral: referral.id,
            version: referral.version,
            organisation: referral.party(role).clone(),
            command,
            right_organisation: referral.right_organisation.clone(),
            taken_at: now,
            holder: referral.holder().cloned(),
            due_at: referral.due_at,
            categories,
            decision,
        };
        let content =
            SealedContent::with_known_key(app, &mut app.db.reader(), referral.id, &update.id.to_string(), &notes)
                .await?;
        let mut record = decided.record(call, audit::Kind::StatusUpdate, on_withheld)?;
        record.status = Some(command.status.as_str().to_owned());
        record.status_reason = command.reason.map(|reason| reason.as_str().to_owned());
        record.referral = Some(referral.id.to_string());
        record.update_id = refused.is_none().then(|| update.id.to_string());
        record.outcome = match refused {
            Some(_) => Some(audit::Outcome::Refused),
            None => record.outcome.filter(|_| !record.sections.is_empty()),
        };
        let event = Event {
            id: app.new_id()?,
            organisation: referral.party(other(role)).clone(),
            happening: Happening::ReferralStatusUpdated {
                referral: referral.id,
                update: update.id,
                status: command.status.as_str().to_owned(),
            },
            time: now,
            trace_parent: Some(call.trace.traceparent()),
        };
        let records = records(call, &referral, role, record, refused.is_some(), status_only, &update)?;
        let answer = view::update(&update, &update.organisation, false);
        Ok(Self { decided, referral, from_version, update, content, records, event, answer, refused })
    }

    async fn apply(&self, tx: &mut Tx) -> Result<Answer, Problem> {
        if self.refused.is_none() && !store::advance(tx, &self.referral, self.from_version).await? {
            return Err(Problem::stale());
        }
        for record in &self.records {
            audit::write(tx, record);
        }
        if let Some(refused) = &self.refused {
            return Ok(refused.problem().into());
        }
        store::insert_update(tx, &self.update);
        store::insert_sections(tx, self.referral.id, &self.update.id.to_string(), &self.content.sections);
        relay::enqueue(tx, &self.event);
        let location = format!("/v1/referrals/{}/updates/{}", self.referral.id, self.update.id);
        Ok(Answer::created(location, &self.answer)?.etag(self.referral.version))
    }
}

/// The record of who took the step, and that of the other party with what reached it.
fn records(
    call: &Call,
    referral: &Referral,
    role: Role,
    mut record: audit::Record,
    refused: bool,
    status_only: bool,
    update: &Update,
) -> Result<Vec<SealedRecord>, Problem> {
    let app = &call.app;
    let subject = Subject::from_stored(referral.subject.clone());
    let (giver, receiver) = (referral.party(role), referral.party(other(role)));
    record.subject = Some(app.pseudonyms.for_organisation(&subject, giver));
    let mut sealed = vec![SealedRecord::new(&record, &app.entropy, &app.sealer)?];
    if refused {
        return Ok(sealed);
    }
    let theirs = Some(app.pseudonyms.for_organisation(&subject, receiver));
    let mut received = if let Some(received) = record.for_recipient(app.new_id()?, receiver.clone(), theirs.clone()) {
        received
    } else {
        let mut received = call.record(audit::Kind::StatusUpdate, receiver.clone(), update.taken_at)?;
        received.client_id = None;
        received.request_id = None;
        received.sender.clone_from(&record.sender);
        received.recipient.clone_from(&record.recipient);
        received.purpose.clone_from(&record.purpose);
        received.phase.clone_from(&record.phase);
        received.legal_basis.clone_from(&record.legal_basis);
        received.processing_activity.clone_from(&record.processing_activity);
        received.covenant_version.clone_from(&record.covenant_version);
        received.policy_digest.clone_from(&record.policy_digest);
        received.status.clone_from(&record.status);
        received.referral.clone_from(&record.referral);
        received.update_id.clone_from(&record.update_id);
        received.subject = theirs;
        received
    };
    received.status_reason = record.status_reason.clone().filter(|_| !status_only);
    sealed.push(SealedRecord::new(&received, &app.entropy, &app.sealer)?);
    Ok(sealed)
}
