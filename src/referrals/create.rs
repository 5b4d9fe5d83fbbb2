//! Creating a referral, and asking beforehand what would become of it.
//!
//! Decide, minimise, then one transaction: referral, sealed sections, records, events, the answer for repeats. Invariant: what
//! the decision did not permit is not stored anywhere, not even sealed.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::decide::{Decided, Facts, Question, decide, until_settled};
use super::lifecycle::State;
use super::sealing::{self, SealedContent};
use super::types::{Creation, Priority, Referral};
use super::{deadlines, store, view};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::clock::Timestamp;
use crate::http::{Answer, Call, idempotency};
use crate::policy::{Action, AgeGroup, ReferralTerms, minimise};
use crate::problem::{Code, Problem};
use crate::relay::{self, Event, Happening};
use crate::storage::{Ground, Tx, revisions};
use crate::subjects::{self, Subject};

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
    let creation: Creation = call.json()?;
    let now = call.app.now();
    let (question, subject) = question(call, &creation).await?;
    let decided = decide(&call.app, question, facts, now).await?;
    let mut record = decided.record(call, audit::Kind::Check, creation.on_withheld)?;
    record.subject = Some(call.app.pseudonyms.for_organisation(&subject, &call.caller()?.organisation));
    let record = SealedRecord::new(&record, &call.app.entropy, &call.app.sealer)?;
    let write = async move |tx: &mut Tx| {
        audit::write(tx, &record);
        Ok(())
    };
    call.app.db.write_on(decided.ground(), "check-referral", write).await?;
    Answer::ok(&json!({ "decision": decided.to_json(creation.on_withheld) }))
}

async fn attempt(call: &Call, facts: Facts) -> Result<Answer, Problem> {
    let creation: Creation = call.json()?;
    let app = &call.app;
    let now = app.now();
    let (question, subject) = question(call, &creation).await?;
    check_based_on(call, &creation).await?;
    let decided = decide(app, question, facts, now).await?;
    let change = Change::prepare(call, creation, decided, subject, now).await?;
    let app = app.clone();
    idempotency::once(call, "create-referral", change.ground(), async move |tx: &mut Tx| change.apply(tx, &app)).await
}

async fn question(call: &Call, creation: &Creation) -> Result<(Question, Subject), Problem> {
    let sender = &call.caller()?.organisation;
    sealing::check_sizes(&creation.sections)?;
    if creation.case_id.is_some() {
        return Err(Problem::invalid_param(
            "caseId",
            "unknown",
            "expected the id of a case that you take part in; there is none with this id",
        ));
    }
    let subject = creation.subject.resolve(&mut call.app.db.reader(), &call.app.pseudonyms, sender).await?;
    let question = Question {
        action: Action::Refer,
        giver: sender.clone(),
        receiver: creation.recipient.clone(),
        terms: ReferralTerms {
            sender: sender.clone(),
            recipient: creation.recipient.clone(),
            purpose: creation.purpose.clone(),
            phase: creation.phase,
            basis: creation.legal_basis.clone(),
        },
        subject: subject.clone(),
        age_group: creation.subject.age_group,
        age_is_new: true,
        by_bsn: creation.subject.by_bsn(),
        sections: creation.sections.iter().map(|section| section.category.clone()).collect(),
        carried: Vec::new(),
    };
    Ok((question, subject))
}

/// Only a referral that the caller took part in can be followed on; what others exchanged is not even confirmed to exist.
async fn check_based_on(call: &Call, creation: &Creation) -> Result<(), Problem> {
    let Some(id) = creation.based_on else { return Ok(()) };
    let earlier = store::find(&mut call.app.db.reader(), id).await?;
    let caller = &call.caller()?.organisation;
    if earlier.is_some_and(|earlier| earlier.role_of(caller).is_some()) {
        return Ok(());
    }
    Err(Problem::invalid_param("basedOn", "unknown", "expected the id of a referral that you sent or received"))
}

/// Everything that one transaction writes; made beforehand, so that running it twice writes the same.
struct Change {
    decided: Decided,
    subject: Subject,
    /// None when the covenant refuses it.
    created: Option<Created>,
    decision: Value,
    record: SealedRecord,
    new_age: Option<NewAge>,
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
    content: SealedContent,
    recipient_record: Option<SealedRecord>,
    event: Event,
}

impl Change {
    async fn prepare(
        call: &Call,
        creation: Creation,
        decided: Decided,
        subject: Subject,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let on_withheld = creation.on_withheld;
        let decision = decided.to_json(on_withheld);
        let mut record = decided.record(call, audit::Kind::Decision, on_withheld)?;
        record.subject = Some(app.pseudonyms.for_organisation(&subject, &call.caller()?.organisation));
        let mut created = None;
        if let Some(permit) = decided.decision.permit(on_withheld) {
            let id = app.new_id()?;
            record.referral = Some(id.to_string());
            let recipient = creation.recipient.clone();
            let theirs = app.pseudonyms.for_organisation(&subject, &recipient);
            let recipient_record = record.for_recipient(app.new_id()?, recipient.clone(), Some(theirs));
            let referral = new_referral(call, &creation, &decided, &subject, id, &decision, now).await?;
            let sections = minimise(&permit, creation.sections);
            created = Some(Created {
                content: SealedContent::with_new_key(app, id, store::WITH_REFERRAL, &sections)?,
                recipient_record: recipient_record
                    .map(|record| SealedRecord::new(&record, &app.entropy, &app.sealer))
                    .transpose()?,
                event: Event {
                    id: app.new_id()?,
                    organisation: recipient,
                    happening: Happening::ReferralRequested { referral: id, due_at: referral.due_at },
                    time: now,
                    trace_parent: Some(call.trace.traceparent()),
                },
                referral,
            });
        }
        let record = SealedRecord::new(&record, &app.entropy, &app.sealer)?;
        let new_age = NewAge::of(creation.subject.age_group, decided.earlier_age, now);
        Ok(Self { decided, subject, created, decision, record, new_age, now })
    }

    /// The decision's ground; what it states of the resident's age raises the resident's revision where it is new.
    fn ground(&self) -> Ground {
        let mut ground = self.decided.ground();
        if self.created.is_some() && self.new_age.is_some_and(|age| age.differs) {
            ground.raises.push(revisions::subject(self.subject.as_str()));
        }
        ground
    }

    fn apply(&self, tx: &mut Tx, app: &App) -> Result<Answer, Problem> {
        audit::write(tx, &self.record);
        let Some(created) = &self.created else {
            let problem = Problem::new(Code::Refused, "decision says why, section by section, and what would help");
            return Ok(problem.with("decision", self.decision.clone()).into());
        };
        let Created { referral, content, recipient_record, event } = created;
        for organisation in [&referral.terms.sender, &referral.terms.recipient] {
            subjects::remember(tx, &app.pseudonyms, organisation, &self.subject);
        }
        if let Some(age) = self.new_age {
            if age.differs {
                // Decisions on what was stated before are taken again: two statements at once may contradict each other.
                revisions::bump(tx, &revisions::subject(self.subject.as_str()));
            }
            subjects::state_age(tx, &self.subject, age.group, self.now);
        }
        store::insert(tx, referral, content.wrapped_key.clone());
        store::insert_sections(tx, referral.id, store::WITH_REFERRAL, &content.sections);
        if let Some(record) = recipient_record {
            audit::write(tx, record);
        }
        relay::enqueue(tx, event);
        let answer = view::referral(app, referral, &referral.terms.sender, false);
        Ok(Answer::created(format!("/v1/referrals/{}", referral.id), &answer)?.etag(referral.version))
    }
}

async fn new_referral(
    call: &Call,
    creation: &Creation,
    decided: &Decided,
    subject: &Subject,
    id: Uuid,
    decision: &Value,
    now: Timestamp,
) -> Result<Referral, Problem> {
    let sender = call.caller()?.organisation.clone();
    let receipt = json!({
        "iss": call.app.issuer(),
        "jti": decided.id,
        "iat": now.as_seconds(),
        "referral": id,
        "sender": sender,
        "recipient": creation.recipient,
        "purpose": creation.purpose,
        "phase": creation.phase,
        "legalBasis": creation.legal_basis,
        "decision": decision,
    });
    Ok(Referral {
        id,
        terms: ReferralTerms {
            sender,
            recipient: creation.recipient.clone(),
            purpose: creation.purpose.clone(),
            phase: creation.phase,
            basis: creation.legal_basis.clone(),
        },
        subject: subject.as_str().to_owned(),
        age_group: creation.subject.age_group,
        priority: creation.priority,
        based_on: creation.based_on,
        state: State::NEW,
        right_organisation: None,
        due_at: due_at(&decided.deadlines, &State::NEW, creation.priority, now),
        created_at: now,
        updated_at: now,
        version: 1,
        decision: decision.clone(),
        receipt: call.app.sign_receipt(&receipt).await?,
    })
}

/// Until when the holder of a referral in this state has: the covenant's term, shortened by the priority.
pub(super) fn due_at(
    terms: &crate::covenant::Deadlines,
    state: &State,
    priority: Priority,
    now: Timestamp,
) -> Option<Timestamp> {
    use super::lifecycle::{Role, Status};
    let percent = match priority {
        Priority::Routine => terms.priority_percent.routine,
        Priority::Urgent => terms.priority_percent.urgent,
        Priority::Asap => terms.priority_percent.asap,
        Priority::Stat => terms.priority_percent.stat,
    };
    // At least a day is left, whatever the priority.
    let shortened = |days: u32| days.saturating_mul(percent).div_ceil(100).max(1);
    let holder = state.holder()?;
    Some(match (holder, state.status) {
        (Role::Sender, _) => deadlines::after_working_days(now, shortened(terms.sender_acts_working_days)),
        (Role::Recipient, Status::Requested) => {
            deadlines::after_working_days(now, shortened(terms.received_working_days))
        }
        (Role::Recipient, Status::Received) => {
            deadlines::after_working_days(now, shortened(terms.decided_working_days))
        }
        (Role::Recipient, _) => deadlines::after_weeks(now, terms.extension_weeks),
    })
}

/// The end of the term within which a referral that ends now can be reopened.
pub(super) fn reopen_until(now: Timestamp, days: u32) -> Timestamp {
    now.plus(Duration::from_hours(24 * u64::from(days)))
}
