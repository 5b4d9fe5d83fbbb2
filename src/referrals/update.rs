//! Taking a step in a referral, with or without sections for the other party.
//!
//! Every step takes this road, whichever sub-resource it is posted to. Checked in this order: exists for the caller (404), the step
//! (409 with `allowedSteps`), its reason and outcome (400), `If-Match` (412), what the covenant says (403). Invariants: two steps from the
//! same state never both succeed; what the table of [`crate::lifecycle`] does not allow is not written.

use serde_json::{Value, json};

use super::access::{self, Access};
use super::decide::{Decided, Facts, Question, decide, until_settled};
use super::encrypted::{self, Way};
use super::noted::Noted;
use super::sealing::{self, SealedContent};
use super::types::{Part, Party, Priority, Referral, Section, Update, UpdateCreation};
use super::{store, trace, view};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::cases::Aftermath;
use crate::clock::Timestamp;
use crate::consents::{self, Use};
use crate::covenant::CategoryCode;
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::lifecycle::parties::{Crossing, Moved};
use crate::lifecycle::referral::{AllowedStep, Command, Refusal, allowed_steps, step};
use crate::lifecycle::terms::Terms;
use crate::lifecycle::{Reason, Status};
use crate::policy::{Action, OnWithheld, minimise};
use crate::problem::{Code, InvalidParam, Problem};
use crate::relay::{self, Event};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Tx};
use crate::subjects::Subject;
use crate::vetoes::{self, Veto};

/// A step as it is asked for.
pub(super) struct Wanted {
    pub(super) command: Command,
    /// With a rejection: who would be right.
    pub(super) right_organisation: Option<Oin>,
    pub(super) on_withheld: OnWithheld,
    pub(super) sections: Vec<Section>,
    /// Whether its sender calls it off because using the channel is not safe, which nobody else learns.
    pub(super) veto: bool,
}

impl From<Command> for Wanted {
    fn from(command: Command) -> Self {
        Self { command, right_organisation: None, on_withheld: OnWithheld::Reject, sections: Vec::new(), veto: false }
    }
}

/// `POST /v1/referrals/{id}/updates`
///
/// # Errors
/// 400, 403, 404, 409, 412.
pub async fn add(call: Call) -> Result<Answer, Problem> {
    take(call, |call| {
        let wanted: UpdateCreation = call.json()?;
        Ok(Wanted {
            command: wanted.command(),
            right_organisation: wanted.right_organisation,
            on_withheld: wanted.on_withheld,
            sections: wanted.sections,
            veto: false,
        })
    })
    .await
}

/// Takes the step that `read` finds in the request.
///
/// # Errors
/// 400, 403, 404, 409, 412.
pub(super) async fn take(call: Call, read: impl Fn(&Call) -> Result<Wanted, Problem>) -> Result<Answer, Problem> {
    match until_settled(async |facts| attempt(&call, read(&call)?, facts).await).await {
        // Whoever lost sight of it by the step itself gets its own first answer all the same.
        Err(problem) => idempotency::or_first(&call, problem).await,
        answer => answer,
    }
}

async fn attempt(call: &Call, wanted: Wanted, facts: Facts) -> Result<Answer, Problem> {
    let access = access::to_referral(call).await?;
    let now = call.app.now();
    check_step(&access, &wanted, now)?;
    call.check_if_match(access.referral.version)?;
    sealing::check_sizes(&wanted.sections)?;
    let decided = decide_on(call, &access, &wanted, facts, now).await?;
    if !wanted.sections.is_empty() {
        decided.check_veto(&call.caller()?.organisation)?;
    }
    check_right_organisation(&access.referral, &wanted, &decided)?;
    let (giver, referral) = (access.party.unwrap_or(Party::Sender), &access.referral);
    let way =
        Way { giver: referral.party(giver), receiver: referral.party(giver.other()), purpose: &referral.terms.purpose };
    encrypted::check(&call.app, &wanted.sections, &way, now).await?;
    let change = Change::prepare(call, access, wanted, decided, now).await?;
    let app = call.app.clone();
    idempotency::once(call, "update-referral", change.ground(), async move |tx: &mut Tx| change.apply(tx, &app).await)
        .await
}

/// Whether the step may be taken, before anything is decided on: that does not depend on how long the terms are.
fn check_step(access: &Access, wanted: &Wanted, now: Timestamp) -> Result<(), Problem> {
    if wanted.veto && access.party != Some(Party::Sender) {
        return Err(not_allowed(&allowed_steps(&access.referral.state, &access.roles, now)));
    }
    or_refused(step(&access.referral.state, &access.roles, &wanted.command, &Terms::default(), now))?;
    let to = if let Command::Update { status, .. } = wanted.command { Some(status) } else { None };
    let mut wrong = Vec::new();
    if wanted.right_organisation.is_some() && to != Some(Status::Rejected) {
        wrong.push(InvalidParam::new("rightOrganisation", "not-expected", "expected only with status rejected"));
    }
    if access.party.is_none() && !wanted.sections.is_empty() {
        wrong.push(InvalidParam::new("sections", "not-expected", "expected none: you are no party to it"));
    }
    if to == Some(Status::EnteredInError) && !wanted.sections.is_empty() {
        wrong.push(InvalidParam::new("sections", "not-expected", "expected none: what was given is erased"));
    }
    if to == Some(Status::Cancelled) && access.party == Some(Party::Sender) && !wanted.sections.is_empty() {
        wrong.push(InvalidParam::new("sections", "not-expected", "expected none: nobody reads what was called off"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Problem::invalid(wrong)) }
}

/// Whether the organisation that would be right is a third one of the covenant: anything else would be words that no policy has weighed.
fn check_right_organisation(referral: &Referral, wanted: &Wanted, decided: &Decided) -> Result<(), Problem> {
    let Some(right) = &wanted.right_organisation else { return Ok(()) };
    if referral.party_of(right).is_none() && decided.is_named(right) {
        return Ok(());
    }
    let reason =
        "expected the OIN of an organisation that the covenant in force names, other than the sender and the recipient";
    Err(Problem::invalid_param("rightOrganisation", "unknown", reason))
}

/// The step, or the answer that says what is possible instead.
pub(super) fn or_refused<T>(step: Result<T, Refusal>) -> Result<T, Problem> {
    match step {
        Ok(taken) => Ok(taken),
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
        "allowedSteps lists what you may do now; it is empty when somebody else must act",
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

/// What the covenant says of the step and its sections. A step without sections is decided too: nothing crosses between parties of
/// which one is suspended or has not signed.
async fn decide_on(
    call: &Call,
    access: &Access,
    wanted: &Wanted,
    facts: Facts,
    now: Timestamp,
) -> Result<Decided, Problem> {
    let referral = &access.referral;
    let giver = access.party.unwrap_or(Party::Sender);
    let carried = store::carried(&mut call.app.db.reader(), referral.id, referral.party(giver)).await?;
    let question = Question {
        action: if giver == Party::Sender { Action::Refer } else { Action::Note },
        giver: referral.party(giver).clone(),
        receiver: referral.party(giver.other()).clone(),
        terms: referral.terms.clone(),
        case: referral.case,
        emergency: referral.emergency.map(|emergency| emergency.access),
        subject: Subject::from_stored(referral.subject.clone()),
        age_group: referral.age_group,
        age_is_new: false,
        by_bsn: false,
        sections: wanted.sections.iter().map(|section| section.category.clone()).collect(),
        carried,
    };
    decide(&call.app, question, facts, now).await
}

/// The veto that the sender sets with the step.
fn veto(app: &App, referral: &Referral, decided: &Decided, now: Timestamp) -> Result<Veto, Problem> {
    let days = decided.terms(&referral.terms.purpose, Priority::Routine).sender_acts;
    let (sender, subject) = (referral.terms.sender.clone(), referral.subject.clone());
    Ok(Veto::new(app.new_id()?, sender, subject, Some(referral.id), days, now))
}

/// What one transaction writes.
struct Change {
    decided: Decided,
    referral: Referral,
    from_version: i64,
    /// Of the case by which the step is the caller's.
    case_revision: Revisions,
    /// What the gateway notes before the step.
    noted: Option<Noted>,
    update: Update,
    content: SealedContent,
    /// Under which records.
    uses: Vec<Use>,
    records: Vec<SealedRecord>,
    events: Vec<Event>,
    /// What it means for the case.
    aftermath: Option<Aftermath>,
    /// The sender's veto that it is called off by.
    veto: Option<Veto>,
    answer: Value,
    /// Set when the covenant refuses the sections, or that anything crosses: then nothing but the record is written.
    refused: Option<Refused>,
}

/// Why the covenant refuses a step.
enum Refused {
    /// Who takes the step is not active or has not signed, or the other party, and the step carries something.
    Parties,
    /// The sections may not cross; the decision says why.
    Sections(Value),
}

impl Refused {
    fn of(access: &Access, decided: &Decided, decision: Option<&Value>, permitted: bool) -> Option<Self> {
        let may_step = match decided.unable().lets(access.party.map(Party::role)) {
            Crossing::Everything => true,
            Crossing::BareSteps => decision.is_none(),
            Crossing::Nothing => false,
        };
        if !may_step {
            return Some(Self::Parties);
        }
        decision.filter(|_| !permitted).cloned().map(Self::Sections)
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Parties => Problem::new(
                Code::Refused,
                "nothing crosses between these parties now: one is not active, or has not signed the covenant in force",
            ),
            Self::Sections(decision) => {
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
        wanted: Wanted,
        decided: Decided,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let taker = call.caller()?.organisation.clone();
        let decision = (!wanted.sections.is_empty()).then(|| decided.to_json(wanted.on_withheld));
        let permit = decided.decision.permit(wanted.on_withheld);
        let refused = Refused::of(&access, &decided, decision.as_ref(), permit.is_some());
        let Access { mut referral, party, roles, case_revision } = access;
        let from_version = referral.version;
        let terms = decided.terms(&referral.terms.purpose, referral.priority);
        // Of a refused step nothing is written, so nothing is noted before it.
        let unable = if refused.is_some() { referral.state.unable } else { decided.unable() };
        let moved = or_refused(Moved::of(&referral.state, &roles, &wanted.command, unable, &terms, now))?;
        let aftermath = referral.aftermath(&moved.as_one(), &decided.case_rules);
        let municipality = decided.municipality.as_ref();
        let note = |taken| Noted::of(app, &mut referral, Command::Standing(unable), taken, municipality, now);
        let noted = moved.noted.as_ref().map(note).transpose()?;
        // Whoever held it before that was noted is told of that, and of nothing after it.
        let former_holder = referral.holder.clone();
        referral.move_to(moved.taken.state, municipality, now);
        let right_organisation = wanted.right_organisation.clone();
        if right_organisation.is_some() {
            referral.right_organisation.clone_from(&right_organisation);
        }
        let sections = permit.map(|permit| minimise(&permit, wanted.sections)).unwrap_or_default();
        let categories: Vec<CategoryCode> = sections.iter().map(|section| section.category.clone()).collect();
        let update = Update {
            right_organisation,
            categories,
            decision,
            ..trace::update(app.new_id()?, &referral, taker, wanted.command)
        };
        let content =
            SealedContent::with_known_key(app, &mut app.db.reader(), referral.id, &update.id.to_string(), &sections)
                .await?;
        let part = Part { referral: referral.id, update: Some(update.id) };
        let uses = if refused.is_some() { Vec::new() } else { decided.uses(part, false, &update.categories) };
        let veto = if wanted.veto && refused.is_none() { Some(veto(app, &referral, &decided, now)?) } else { None };
        let outcome = (refused.is_some(), veto.as_ref().map(|veto| veto.id));
        let records = trace::records(call, &referral, party, &update, &decided, wanted.on_withheld, outcome)?;
        let trace_parent = Some(call.trace.traceparent());
        // That it came too late happened before it.
        let mut events = trace::clock_events(app, &referral, &moved.taken.happened, municipality, &records, now)?;
        events.extend(trace::events(app, &referral, former_holder.as_ref(), party, &update, trace_parent.as_ref())?);
        let sight = access::sight_of(&referral, &update.organisation, municipality);
        let answer = match &veto {
            Some(veto) => vetoes::view(&app.pseudonyms, veto, now),
            None => view::update(&update, &update.organisation, sight),
        };
        Ok(Self {
            decided,
            referral,
            from_version,
            case_revision,
            noted,
            update,
            content,
            uses,
            records,
            events,
            aftermath,
            veto,
            answer,
            refused,
        })
    }

    fn ground(&self) -> Ground {
        let mut ground = self.decided.ground();
        ground.rest_on(&self.case_revision);
        if let Some(aftermath) = &self.aftermath {
            aftermath.add_to(&mut ground);
        }
        ground.raises.extend(self.veto.iter().map(|veto| revisions::subject(&veto.subject)));
        ground
    }

    async fn apply(&self, tx: &mut Tx, app: &App) -> Result<Answer, Problem> {
        if self.refused.is_none() && !store::advance(tx, &self.referral, self.from_version).await? {
            return Err(Problem::stale());
        }
        for record in &self.records {
            audit::write(tx, record);
        }
        if let Some(refused) = &self.refused {
            return Ok(refused.problem().into());
        }
        if let Some(noted) = &self.noted {
            noted.write(tx);
        }
        store::insert_update(tx, &self.update);
        store::insert_sections(tx, self.referral.id, &self.update.id.to_string(), &self.content.sections);
        consents::note_uses(tx, &self.uses);
        for event in &self.events {
            relay::enqueue(tx, event);
        }
        let is_error = self.referral.state.status == Status::EnteredInError;
        if is_error && !store::erase(tx, self.referral.id, self.update.taken_at).await? {
            // Something of it was handed over since it was read.
            return Err(Problem::stale());
        }
        if let Some(aftermath) = &self.aftermath {
            aftermath.apply(tx, app, self.referral.updated_at).await?;
        }
        if let Some(veto) = &self.veto {
            revisions::bump(tx, &revisions::subject(&veto.subject));
            vetoes::insert(tx, veto).await?;
            return Ok(Answer::created(format!("/v1/vetoes/{}", veto.id), &self.answer)?.etag(veto.version));
        }
        let location = format!("/v1/referrals/{}/updates/{}", self.referral.id, self.update.id);
        Ok(Answer::created(location, &self.answer)?.etag(self.referral.version))
    }
}
