//! Creating a referral, and asking beforehand what would become of it.
//!
//! Decide, minimise, then one transaction: referral, sealed sections, records, events, the answer for repeats. Invariant: what
//! the decision did not permit is not stored anywhere, not even sealed.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{Access, Sight};
use super::alternatives;
use super::decide::{Decided, Facts, Question, decide, find_subject, until_settled};
use super::encrypted::{self, Way};
use super::onward::{self, BasedOn, Earlier};
use super::sealing::{self, SealedContent};
use super::types::{Creation, Part, Priority, Referral, Section};
use super::{store, view};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::cases::{Entry, Place};
use crate::clock::Timestamp;
use crate::consents::{self, Use};
use crate::covenant::CategoryCode;
use crate::emergencies::{self, UnderEmergency};
use crate::http::trace::Trace;
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::lifecycle::referral::{Command, State};
use crate::policy::{Action, AgeGroup, OnWithheld, ReferralTerms, minimise};
use crate::problem::{Code, Problem};
use crate::relay::{self, Event, Happening};
use crate::storage::{Ground, Tx, revisions};
use crate::subjects::{self, Named, Subject};

/// `POST /v1/referrals`
///
/// # Errors
/// 400, 403 with the decision, 409, 413.
pub async fn create(call: Call) -> Result<Answer, Problem> {
    match until_settled(async |facts| attempt(&call, facts).await).await {
        Err(problem) => idempotency::or_first(&call, problem).await,
        answer => answer,
    }
}

/// `POST /v1/referrals/_check`
///
/// # Errors
/// 400; a refusal is an ordinary answer.
pub async fn check(call: Call) -> Result<Answer, Problem> {
    until_settled(async |facts| attempt_check(&call, facts).await).await
}

async fn attempt_check(call: &Call, facts: Facts) -> Result<Answer, Problem> {
    let (draft, named, _) = Draft::of(call, facts).await?;
    let now = call.app.now();
    let decided = decide(&call.app, draft.question(&named.subject), facts, now).await?;
    if !decided.fits(&named) {
        return Err(Problem::stale());
    }
    decided.check_veto(&call.caller()?.organisation)?;
    draft.check_emergency(&decided)?;
    encrypted::check(&call.app, &draft.sections, &draft.way(), now).await?;
    let mut record = decided.record(call, audit::Kind::Check, draft.on_withheld)?;
    record.subject = Some(call.app.pseudonyms.for_organisation(&named.subject, &draft.terms.sender));
    let record = SealedRecord::new(&record, &call.app.entropy, &call.app.sealer)?;
    let capacity = alternatives::capacity(&call.app, &decided, None).await?;
    let mut ground = decided.ground();
    named.add_to(&mut ground);
    let write = async move |tx: &mut Tx| {
        audit::write(tx, &record);
        named.keep(tx, false);
        Ok(())
    };
    call.app.db.write_on(ground, "check-referral", write).await?;
    let mut answer = json!({ "decision": decided.to_json(draft.on_withheld) });
    view::tell_capacity(&mut answer, capacity.as_ref());
    Answer::ok(&answer)
}

async fn attempt(call: &Call, facts: Facts) -> Result<Answer, Problem> {
    let (draft, named, earlier) = Draft::of(call, facts).await?;
    Box::pin(write(call, draft, named, earlier, facts)).await
}

/// Decides on a draft, and writes what comes of it together with the step in the referral that it follows on.
pub(super) async fn write(
    call: &Call,
    draft: Draft,
    named: Named,
    earlier: Option<(Access, Command)>,
    facts: Facts,
) -> Result<Answer, Problem> {
    let app = &call.app;
    let now = app.now();
    let decided = decide(app, draft.question(&named.subject), facts, now).await?.leaving_out(&draft.left_out);
    if !decided.fits(&named) {
        return Err(Problem::stale());
    }
    decided.check_veto(&call.caller()?.organisation)?;
    draft.check_emergency(&decided)?;
    encrypted::check(app, &draft.sections, &draft.way(), now).await?;
    // The purpose is the sender's to know, and so is whatever is announced for it.
    let capacity = if call.caller()?.organisation == draft.terms.sender {
        let former = earlier.as_ref().map(|(access, _)| &access.referral.terms.recipient);
        alternatives::capacity(app, &decided, former).await?
    } else {
        None
    };
    let earlier = match earlier {
        Some((access, command)) => Some(Earlier::prepare(call, access, command, &decided, now).await?),
        None => None,
    };
    let change = Change::prepare(call, draft, decided, capacity, named, earlier, now).await?;
    let app = app.clone();
    // On the heap: what is written is large.
    let once = idempotency::once(call, "create-referral", change.ground(), async move |tx: &mut Tx| {
        change.apply(tx, &app).await
    });
    Box::pin(once).await
}

/// A referral as it is to be.
pub(super) struct Draft {
    pub(super) terms: ReferralTerms,
    pub(super) age_group: Option<AgeGroup>,
    /// Whether the age group is stated now.
    pub(super) age_is_new: bool,
    pub(super) by_bsn: bool,
    pub(super) priority: Priority,
    pub(super) based_on: Option<Uuid>,
    /// The declaration of break-glass that it is sent under.
    pub(super) emergency: Option<UnderEmergency>,
    /// The case that it opens or joins.
    pub(super) place: Place,
    pub(super) on_withheld: OnWithheld,
    pub(super) sections: Vec<Section>,
    /// What came with an earlier referral and was encrypted for its recipient alone.
    pub(super) left_out: Vec<CategoryCode>,
}

impl Draft {
    /// What the body asks for, about whom, and the step that it is in the referral whose chain it takes over.
    async fn of(call: &Call, facts: Facts) -> Result<(Self, Named, Option<(Access, Command)>), Problem> {
        let creation: Creation = call.json()?;
        let sender = call.caller()?.organisation.clone();
        sealing::check_sizes(&creation.sections)?;
        let based_on = onward::based_on(call, creation.based_on).await?;
        let purpose = creation.purpose.as_str();
        let place = match &based_on {
            Some(earlier) => earlier.place(call, purpose, creation.case_id).await?,
            None => Place::of(call, purpose, creation.case_id, None).await?,
        };
        let named = find_subject(call, &creation.subject, facts).await?;
        if let Some(earlier) = &based_on {
            earlier.check_subject(&named.subject)?;
        }
        let draft = Self {
            age_group: creation.subject.age_group,
            age_is_new: true,
            by_bsn: creation.subject.by_bsn(),
            terms: ReferralTerms {
                sender,
                recipient: creation.recipient,
                purpose: creation.purpose,
                phase: creation.phase,
                basis: creation.legal_basis,
            },
            priority: creation.priority,
            based_on: creation.based_on,
            emergency: emergency(call, creation.emergency_access).await?,
            place,
            on_withheld: creation.on_withheld,
            sections: creation.sections,
            left_out: Vec::new(),
        };
        Ok((draft, named, based_on.and_then(BasedOn::step)))
    }

    /// That a declaration is named only where the basis is a vital interest: nothing else is given under it.
    fn check_emergency(&self, decided: &Decided) -> Result<(), Problem> {
        if self.emergency.is_none() || decided.is_vital_interest() {
            return Ok(());
        }
        let expected = "expected only with a legal basis that is a vital interest";
        Err(Problem::invalid_param("emergencyAccess", "not-expected", expected))
    }

    const fn way(&self) -> Way<'_> {
        let ReferralTerms { sender, recipient, purpose, .. } = &self.terms;
        Way { giver: sender, receiver: recipient, purpose }
    }

    fn question(&self, subject: &Subject) -> Question {
        Question {
            action: Action::Refer,
            giver: self.terms.sender.clone(),
            receiver: self.terms.recipient.clone(),
            terms: self.terms.clone(),
            case: self.place.joined(),
            emergency: self.emergency.map(|emergency| emergency.access),
            subject: subject.clone(),
            age_group: self.age_group,
            age_is_new: self.age_is_new,
            by_bsn: self.by_bsn,
            sections: self.sections.iter().map(|section| section.category.clone()).collect(),
            carried: Vec::new(),
        }
    }
}

/// The declaration that a body names: one of the caller's own. Whether it is good for this is decided with everything else.
async fn emergency(call: &Call, id: Option<Uuid>) -> Result<Option<UnderEmergency>, Problem> {
    let Some(id) = id else { return Ok(None) };
    let declared = emergencies::find(&mut call.app.db.reader(), id).await?;
    let caller = &call.caller()?.organisation;
    let own = declared.filter(|declared| declared.organisation == *caller).map(|declared| declared.mark());
    own.map(Some).ok_or_else(|| {
        let expected = "expected the id of an emergency access that your organisation declared";
        Problem::invalid_param("emergencyAccess", "unknown", expected)
    })
}

/// Everything that one transaction writes; made beforehand, so that running it twice writes the same.
struct Change {
    decided: Decided,
    /// What its sender is told of the recipient's capacity.
    capacity: Option<Value>,
    named: Named,
    /// None when the covenant refuses it.
    created: Option<Created>,
    decision: Value,
    record: SealedRecord,
    new_age: Option<NewAge>,
    /// The step in the referral that this one follows on; taken only when this one is created.
    earlier: Option<Earlier>,
    /// Who asked; not the sender where somebody else reassigns.
    reader: Oin,
    /// Whether that is the sender, whose the decision is.
    by_sender: bool,
    now: Timestamp,
}

/// What a referral states of its resident's age, where that is worth writing down.
#[derive(Clone, Copy)]
struct NewAge {
    group: AgeGroup,
    /// Whether something else, or nothing, was stated before.
    differs: bool,
}

impl NewAge {
    /// A statement that only repeats an earlier one is written down again after this long: it moves the moment that later
    /// statements are compared with. Years count there, so the row need not be written with every referral.
    const REPEATED_AFTER: Duration = Duration::from_hours(24);

    fn of(stated: Option<AgeGroup>, earlier: Option<(AgeGroup, Timestamp)>, now: Timestamp) -> Option<Self> {
        let group = stated?;
        match earlier {
            Some((earlier, at)) if earlier == group => {
                (at.plus(Self::REPEATED_AFTER) <= now).then_some(Self { group, differs: false })
            }
            _ => Some(Self { group, differs: true }),
        }
    }
}

struct Created {
    referral: Referral,
    /// Into the case that it belongs to.
    entry: Option<Entry>,
    /// That case as the caller knows it; whoever reassigns a referral of others is not told how its sender does.
    case_alias: Option<Uuid>,
    content: SealedContent,
    /// Under which records.
    uses: Vec<Use>,
    recipient_record: Option<SealedRecord>,
    /// What the recipient is told: that it arrived, and that it was sent under break-glass where it was.
    events: Vec<Event>,
}

impl Change {
    async fn prepare(
        call: &Call,
        mut draft: Draft,
        decided: Decided,
        capacity: Option<Value>,
        named: Named,
        earlier: Option<Earlier>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let subject = &named.subject;
        let on_withheld = draft.on_withheld;
        let decision = decided.to_json(on_withheld);
        let mut record = decided.record(call, audit::Kind::Decision, on_withheld)?;
        let reader = call.caller()?.organisation.clone();
        let by_sender = reader == draft.terms.sender;
        if !by_sender {
            // The sender's record does not say which system of another organisation asked.
            (record.client_id, record.request_id) = (None, None);
        }
        record.subject = Some(app.pseudonyms.for_organisation(subject, &draft.terms.sender));
        let mut created = None;
        if let Some(permit) = decided.decision.permit(on_withheld) {
            let id = app.new_id()?;
            record.referral = Some(id.to_string());
            let recipient = draft.terms.recipient.clone();
            let theirs = app.pseudonyms.for_organisation(subject, &recipient);
            // What goes on with a resident begins a trace of its own: two recipients must not find that they have the same one.
            let trace = match draft.based_on {
                Some(_) => Trace::continue_from(None, &app.entropy)?,
                None => call.trace.clone(),
            };
            let mut recipient_record = record.for_recipient(app.new_id()?, recipient.clone(), Some(theirs));
            if let Some(record) = &mut recipient_record {
                record.trace.trace_id = Some(trace.trace_id.clone());
            }
            let mut referral = new_referral(call, &draft, &decided, subject, id, &decision, now).await?;
            let place = std::mem::replace(&mut draft.place, Place::Outside);
            let entry = place.enter(call, &draft.terms.sender, decided.giver_is_full, &decided.case_rules).await?;
            referral.case = entry.as_ref().map(|entry| entry.case);
            let sections = minimise(&permit, std::mem::take(&mut draft.sections));
            let given: Vec<CategoryCode> = sections.iter().map(|section| section.category.clone()).collect();
            created = Some(Created {
                content: SealedContent::with_new_key(app, id, store::WITH_REFERRAL, &sections).await?,
                uses: decided.uses(Part { referral: id, update: None }, false, &given),
                recipient_record: recipient_record
                    .map(|record| SealedRecord::new(&record, &app.entropy, &app.sealer))
                    .transpose()?,
                events: arrival(app, &referral, &trace, now)?,
                case_alias: entry.as_ref().map(|entry| entry.alias).filter(|_| by_sender),
                referral,
                entry,
            });
        }
        let record = SealedRecord::new(&record, &app.entropy, &app.sealer)?;
        let new_age = NewAge::of(draft.age_group.filter(|_| draft.age_is_new), decided.earlier_age, now);
        Ok(Self { decided, capacity, named, created, decision, record, new_age, earlier, reader, by_sender, now })
    }

    /// The decision's ground; what it states of the resident's age raises the resident's revision where it is new.
    fn ground(&self) -> Ground {
        let mut ground = self.decided.ground();
        self.named.add_to(&mut ground);
        if self.created.is_some() && self.new_age.is_some_and(|age| age.differs) {
            ground.raises.push(revisions::subject(self.named.subject.as_str()));
        }
        if let (Some(_), Some(earlier)) = (&self.created, &self.earlier) {
            earlier.add_to(&mut ground);
        }
        if let Some(entry) = self.created.as_ref().and_then(|created| created.entry.as_ref()) {
            entry.add_to(&mut ground);
        }
        ground
    }

    async fn apply(&self, tx: &mut Tx, app: &App) -> Result<Answer, Problem> {
        self.named.keep(tx, self.created.is_some());
        let Some(created) = &self.created else {
            audit::write(tx, &self.record);
            let problem = Problem::new(Code::Refused, "decision says why, section by section, and what would help");
            if !self.by_sender {
                return Ok(Problem::new(
                    Code::Refused,
                    "its sender may not refer all of this to this organisation; onWithheld minimise leaves out what may not go",
                )
                .into());
            }
            let problem = problem.with("decision", self.decision.clone());
            return Ok(match &self.capacity {
                Some(capacity) => problem.with("capacity", capacity.clone()).into(),
                None => problem.into(),
            });
        };
        let Created { referral, entry, case_alias, content, uses, recipient_record, events } = created;
        if let Some(earlier) = &self.earlier {
            earlier.apply(tx).await?;
        }
        audit::write(tx, &self.record);
        for organisation in [&referral.terms.sender, &referral.terms.recipient] {
            subjects::remember(tx, &app.pseudonyms, organisation, &self.named.subject);
        }
        if let Some(age) = self.new_age {
            if age.differs {
                // Decisions on what was stated before are taken again: two statements at once may contradict each other.
                revisions::bump(tx, &revisions::subject(self.named.subject.as_str()));
            }
            subjects::state_age(tx, &self.named.subject, age.group, self.now);
        }
        store::insert(tx, referral, content.wrapped_key.clone());
        store::insert_sections(tx, referral.id, store::WITH_REFERRAL, &content.sections);
        consents::note_uses(tx, uses);
        if let Some(record) = recipient_record {
            audit::write(tx, record);
        }
        for event in events {
            relay::enqueue(tx, event);
        }
        if let Some(entry) = entry {
            entry.apply(tx, app, self.now).await?;
        }
        if let Some(earlier) = &self.earlier {
            earlier.settle(tx, app).await?;
        }
        let sight = if referral.party_of(&self.reader).is_some() { Sight::Whole } else { Sight::Route };
        let mut answer = view::referral(app, referral, &self.reader, sight);
        view::name_case(&mut answer, *case_alias);
        view::tell_capacity(&mut answer, self.capacity.as_ref());
        Ok(Answer::created(format!("/v1/referrals/{}", referral.id), &answer)?.etag(referral.version))
    }
}

fn arrival(app: &App, referral: &Referral, trace: &Trace, now: Timestamp) -> Result<Vec<Event>, Problem> {
    let (to, due_at) = (&referral.terms.recipient, referral.due_at());
    let requested = Happening::ReferralRequested { referral: referral.id, due_at };
    let marked = referral.emergency.map(|_| Happening::ReferralUnderBreakGlass { referral: referral.id });
    let event = |happening| {
        let trace_parent = Some(trace.traceparent());
        Ok(Event { id: app.new_id()?, to: to.clone().into(), happening, time: now, trace_parent })
    };
    [requested].into_iter().chain(marked).map(event).collect()
}

async fn new_referral(
    call: &Call,
    draft: &Draft,
    decided: &Decided,
    subject: &Subject,
    id: Uuid,
    decision: &Value,
    now: Timestamp,
) -> Result<Referral, Problem> {
    let terms = &draft.terms;
    let receipt = json!({
        "iss": call.app.issuer(),
        "jti": decided.id,
        "iat": now.as_seconds(),
        "referral": id,
        "sender": terms.sender,
        "recipient": terms.recipient,
        "purpose": terms.purpose,
        "phase": terms.phase,
        "legalBasis": terms.basis,
        "decision": decision,
        "complaints": decided.complaints([&terms.sender, &terms.recipient]),
    });
    Ok(Referral {
        id,
        terms: terms.clone(),
        subject: subject.as_str().to_owned(),
        age_group: draft.age_group,
        priority: draft.priority,
        based_on: draft.based_on,
        emergency: draft.emergency,
        sender_deletes_since: None,
        recipient_deletes_since: None,
        case: None,
        state: State::new(&decided.terms(&terms.purpose, draft.priority), now),
        holder: Some(terms.recipient.clone()),
        right_organisation: None,
        updated_at: now,
        version: 1,
        decision: decision.clone(),
        receipt: call.app.sign_receipt(&receipt).await?,
    })
}
