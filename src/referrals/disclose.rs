//! Disclosure (verstrekking): the moment a section is really handed over. It is decided again, then recorded, then given.
//!
//! Invariant: content leaves only after the records of the disclosure are on disk, and only through `minimise`.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{self, Access};
use super::decide::{Decided, Facts, Question, decide, until_settled};
use super::noted::Noted;
use super::types::{Part, Party, Referral, Section, Update};
use super::update::or_refused;
use super::{sealing, store, trace, view, withdrawn};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::cases::Aftermath;
use crate::clock::Timestamp;
use crate::consents::{self, Use};
use crate::covenant::CategoryCode;
use crate::emergencies::UnderEmergency;
use crate::http::{Answer, Call};
use crate::incidents;
use crate::lifecycle::Status;
use crate::lifecycle::parties::Moved;
use crate::lifecycle::referral::{Command, Refusal, Role};
use crate::policy::{Action, OnWithheld, Permit, minimise};
use crate::problem::{Code, Problem};
use crate::relay::{self, Event, Happening};
use crate::rights::informing;
use crate::storage::{Ground, Tx};
use crate::subjects::Subject;

/// `GET /v1/referrals/{id}/sections`
///
/// # Errors
/// 404 for everyone but its parties; 403 when nothing may be handed over any more.
pub async fn of_referral(call: Call) -> Result<Answer, Problem> {
    until_settled(async |facts| attempt_referral(&call, facts).await).await
}

/// `GET /v1/referrals/{id}/updates/{updateId}/sections`
///
/// # Errors
/// As [`of_referral`].
pub async fn of_update(call: Call) -> Result<Answer, Problem> {
    until_settled(async |facts| attempt_update(&call, facts).await).await
}

async fn attempt_referral(call: &Call, facts: Facts) -> Result<Answer, Problem> {
    let access = access::to_referral(call).await?;
    let action = Action::Refer;
    hand_over(call, facts, access, (Party::Sender, action), store::WITH_REFERRAL, None).await
}

async fn attempt_update(call: &Call, facts: Facts) -> Result<Answer, Problem> {
    let access = access::to_referral(call).await?;
    let id: Uuid = call.path("updateId")?;
    let update =
        store::find_update(&mut call.app.db.reader(), access.referral.id, id).await?.ok_or_else(Problem::not_found)?;
    let giver = access.referral.party_of(&update.organisation).ok_or_else(Problem::not_found)?;
    let action = if giver == Party::Sender { Action::Refer } else { Action::Note };
    hand_over(call, facts, access, (giver, action), &id.to_string(), Some(&update)).await
}

async fn hand_over(
    call: &Call,
    facts: Facts,
    access: Access,
    (giver, action): (Party, Action),
    part: &str,
    update: Option<&Update>,
) -> Result<Answer, Problem> {
    let Access { referral, party, .. } = access;
    let party = party.ok_or_else(Problem::not_found)?;
    let emergency = referral.emergency;
    let sections = open(&call.app, referral.id, part).await?;
    let part_read = Part { referral: referral.id, update: update.map(|update| update.id) };
    if party == giver {
        // Its own words: nothing is handed over.
        return if sections.is_empty() { Err(nothing_left()) } else { Answer::ok(&shown(&sections, emergency)) };
    }
    // Where all of it was destroyed with a consent that was withdrawn, the question is decided and put on record all the same.
    let gone =
        if sections.is_empty() { withdrawn::gone(&mut call.app.db.reader(), part_read).await? } else { Vec::new() };
    if sections.is_empty() && gone.is_empty() {
        return Err(nothing());
    }
    let now = call.app.now();
    let question = Question {
        action,
        giver: referral.party(giver).clone(),
        receiver: referral.party(party).clone(),
        terms: referral.terms.clone(),
        case: referral.case,
        emergency: referral.emergency.map(|emergency| emergency.access),
        subject: Subject::from_stored(referral.subject.clone()),
        age_group: referral.age_group,
        age_is_new: false,
        by_bsn: false,
        sections: sections.iter().map(|section| section.category.clone()).chain(gone).collect(),
        carried: carried(call, &referral, giver, part_read.update).await?,
    };
    let decided = decide(&call.app, question, facts, now).await?;
    if decided.is_stopped_at_receiver() {
        return stop(call, &referral, &decided, part_read.update).await;
    }
    let is_there = !sections.is_empty() && may_be_read(referral.state.status, giver);
    let permit = decided.decision.permit(OnWithheld::Minimise).filter(|_| is_there);
    let given = permit.as_ref().map(|permit: &Permit| minimise(permit, sections));
    let marked = given.iter().flatten().filter(|section| !section.disclosed).map(|section| section.category.clone());
    let marked = marked.collect();
    let all: Vec<CategoryCode> = given.iter().flatten().map(|section| section.category.clone()).collect();
    let uses = decided.uses(part_read, true, &all);
    let change = Change::prepare(call, (referral, party), &decided, (given.is_some(), marked, uses), update, now)?;
    let (app, ground) = (call.app.clone(), change.ground(&decided));
    call.app.db.write_on(ground, "disclose", async move |tx: &mut Tx| change.apply(tx, &app).await).await?;
    let given: Vec<Section> = given.ok_or_else(nothing)?;
    Answer::ok(&shown(&given, emergency))
}

/// Opens what is to be handed over. What does not open because it was altered is an incident at both parties, also when this reader is its giver.
async fn open(app: &App, referral: Uuid, part: &str) -> Result<Vec<Section>, Problem> {
    match sealing::open(app, &mut app.db.reader(), referral, part).await {
        Err(problem) if sealing::is_altered(app, &mut app.db.reader(), referral, part).await? => {
            incidents::suspect(app, referral).await?;
            Err(problem)
        }
        opened => opened,
    }
}

/// Refuses to who reads what it may not take by what it recorded of the resident's own objection or restriction. For who gave it nothing was asked: no
/// record, no event, as long as nobody picks it up.
async fn stop(call: &Call, referral: &Referral, decided: &Decided, update: Option<Uuid>) -> Result<Answer, Problem> {
    let reader = &call.caller()?.organisation;
    let mut record = call.record(audit::Kind::Disclosure, reader.clone(), call.app.now())?;
    let given_by = referral.party_of(reader).map(|party| referral.party(party.other()).clone());
    (record.sender, record.recipient) = (given_by, Some(reader.clone()));
    record.referral = Some(referral.id.to_string());
    record.update_id = update.map(|id| id.to_string());
    let subject = Subject::from_stored(referral.subject.clone());
    record.subject = Some(call.app.pseudonyms.for_organisation(&subject, reader));
    record.outcome = Some(audit::Outcome::Refused);
    let sealed = SealedRecord::new(&record, &call.app.entropy, &call.app.sealer)?;
    let write = async move |tx: &mut Tx| {
        audit::write(tx, &sealed);
        Ok(())
    };
    call.app.db.write_on(decided.ground(), "stop-disclosure", write).await?;
    let detail = "your organisation recorded that the resident objects, or that processing is restricted: until that is weighed or ends \
                  it takes nothing on this basis";
    Err(Problem::new(Code::DisclosureRefused, detail))
}

/// Sections as they are handed over; those that were given under break-glass say so.
fn shown(sections: &[Section], emergency: Option<UnderEmergency>) -> Value {
    let mut shown = json!({ "sections": sections });
    view::mark(&mut shown, emergency);
    shown
}

/// What went the same way before a note; what came with the referral itself was the first.
async fn carried(
    call: &Call,
    referral: &Referral,
    giver: Party,
    update: Option<Uuid>,
) -> Result<Vec<CategoryCode>, Problem> {
    if update.is_none() {
        return Ok(Vec::new());
    }
    Ok(store::carried(&mut call.app.db.reader(), referral.id, referral.party(giver)).await?)
}

/// Whether content may still be read. What the sender gave: not once the hand-over was called off or turned down. What the recipient gave back,
/// often with that very step: as long as it is there.
const fn may_be_read(status: Status, giver: Party) -> bool {
    match status {
        Status::EnteredInError => false,
        Status::Cancelled | Status::Rejected => matches!(giver, Party::Recipient),
        _ => true,
    }
}

fn nothing() -> Problem {
    Problem::new(Code::DisclosureRefused, "nothing can be handed over; ask who gave it")
}

/// Who gave it is not sent to ask itself.
fn nothing_left() -> Problem {
    let detail = "you gave nothing here, or it was destroyed; the gateway keeps nothing of it";
    Problem::new(Code::DisclosureRefused, detail)
}

/// What a disclosure, or its refusal, writes.
struct Change {
    referral: Referral,
    from_version: i64,
    records: Vec<SealedRecord>,
    /// What the gateway notes before the pick-up.
    noted: Option<Noted>,
    /// The first time: the referral becomes `received`.
    picked_up: Option<Update>,
    events: Vec<Event>,
    /// What the pick-up means for the case.
    aftermath: Option<Aftermath>,
    given: bool,
    /// What is handed over for the first time.
    marked: Vec<CategoryCode>,
    /// Under which records it is handed over.
    uses: Vec<Use>,
    part: Part,
    /// The duty of who reads to inform the resident of what is read for the first time.
    duty: Option<informing::Opening>,
    now: Timestamp,
}

impl Change {
    fn prepare(
        call: &Call,
        (mut referral, reader): (Referral, Party),
        decided: &Decided,
        (given, marked, uses): (bool, Vec<CategoryCode>, Vec<Use>),
        update: Option<&Update>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let (app, from_version) = (&call.app, referral.version);
        let (mut noted, mut picked_up) = (None, None);
        let (mut aftermath, mut former_holder, mut happened) = (None, None, Vec::new());
        let trace_parent = Some(call.trace.traceparent());
        // Whatever of it the recipient reads first, also of what was added later.
        if given && reader == Party::Recipient && referral.state.status == Status::Requested {
            let municipality = decided.municipality.as_ref();
            let moved = or_refused(pick_up(&referral, decided, now))?;
            aftermath = referral.aftermath(&moved.as_one(), &decided.case_rules);
            let standing = Command::Standing(decided.unable());
            let note = |taken| Noted::of(app, &mut referral, standing, taken, municipality, now);
            noted = moved.noted.as_ref().map(note).transpose()?;
            former_holder.clone_from(&referral.holder);
            referral.move_to(moved.taken.state, municipality, now);
            happened = moved.taken.happened;
            picked_up = Some(trace::update(app.new_id()?, &referral, referral.terms.recipient.clone(), PICK_UP));
        }
        let part = Part { referral: referral.id, update: update.map(|update| update.id) };
        let records = records(call, &referral, decided, given, part.update)?;
        // That it was picked up too late happened before it.
        let mut events = trace::clock_events(app, &referral, &happened, decided.municipality.as_ref(), &records, now)?;
        if let Some(taken) = &picked_up {
            let (former, taker) = (former_holder.as_ref(), Some(Party::Recipient));
            events.extend(trace::events(app, &referral, former, taker, taken, trace_parent.as_ref())?);
        }
        if given && update.is_none() {
            let (id, to) = (app.new_id()?, referral.terms.sender.clone().into());
            let happening = Happening::ReferralDisclosed { referral: referral.id };
            events.push(Event { id, to, happening, time: now, trace_parent });
        }
        let duty = if marked.is_empty() { None } else { Some(duty(app, (&referral, reader), decided, update, now)?) };
        Ok(Self {
            referral,
            from_version,
            records,
            noted,
            picked_up,
            events,
            aftermath,
            given,
            marked,
            uses,
            part,
            duty,
            now,
        })
    }

    fn ground(&self, decided: &Decided) -> Ground {
        let mut ground = decided.ground();
        if let Some(aftermath) = &self.aftermath {
            aftermath.add_to(&mut ground);
        }
        ground
    }

    async fn apply(&self, tx: &mut Tx, app: &App) -> Result<(), Problem> {
        let at_version = match &self.picked_up {
            Some(_) => store::advance(tx, &self.referral, self.from_version).await?,
            None => store::is_at_version(tx, self.referral.id, self.from_version).await?,
        };
        if !at_version {
            // It was cancelled, say, since it was read.
            return Err(Problem::stale());
        }
        if self.given && !self.referral.state.disclosed {
            store::mark_disclosed(tx, self.referral.id, self.now).await?;
        }
        if !self.marked.is_empty() {
            // Whoever corrects one of them at this moment finds out, and tells the receiver.
            store::mark_sections(tx, self.part.referral, &self.part.name(), &self.marked, self.now).await?;
        }
        consents::note_uses(tx, &self.uses);
        if let Some(duty) = &self.duty {
            informing::open(tx, duty);
        }
        for record in &self.records {
            audit::write(tx, record);
        }
        if let Some(noted) = &self.noted {
            noted.write(tx);
        }
        if let Some(update) = &self.picked_up {
            store::insert_update(tx, update);
        }
        for event in &self.events {
            relay::enqueue(tx, event);
        }
        match &self.aftermath {
            Some(aftermath) => aftermath.apply(tx, app, self.now).await,
            None => Ok(()),
        }
    }
}

/// The duty of who reads something for the first time: the recipient of what the sender gave, and the sender of what came back with a note, for it got
/// that from somebody else too (art. 14 AVG).
fn duty(
    app: &App,
    (referral, reader): (&Referral, Party),
    decided: &Decided,
    update: Option<&Update>,
    now: Timestamp,
) -> Result<informing::Opening, Problem> {
    // A conversation before the pick-up counts, such as one to which both parties went; of a note not one before it was written.
    let given_at = match reader {
        Party::Recipient => referral.state.created_at,
        Party::Sender => update.map_or(now, |note| note.taken_at),
    };
    Ok(informing::Opening {
        id: app.new_id()?,
        referral: referral.id,
        organisation: referral.party(reader).clone(),
        subject: referral.subject.clone(),
        given_at,
        opened_at: now,
        due_at: now.plus(Duration::from_hours(24) * decided.informed_days()),
    })
}

/// The record of the giver with everything, and that of the receiver with what it received.
fn records(
    call: &Call,
    referral: &Referral,
    decided: &Decided,
    given: bool,
    update: Option<Uuid>,
) -> Result<Vec<SealedRecord>, Problem> {
    let app = &call.app;
    let reader = &call.caller()?.organisation;
    let subject = Subject::from_stored(referral.subject.clone());
    let mut record = decided.record(call, audit::Kind::Disclosure, OnWithheld::Minimise)?;
    record.referral = Some(referral.id.to_string());
    record.update_id = update.map(|id| id.to_string());
    record.subject = record.sender.as_ref().map(|giver| app.pseudonyms.for_organisation(&subject, giver));
    // The giver's record does not say which system of the receiver asked.
    record.client_id = None;
    if !given {
        record.outcome = Some(audit::Outcome::Refused);
        if record.sections.iter().any(|section| section.effect == audit::Effect::Permit) {
            record.status = Some(referral.state.status.as_str().to_owned());
        }
    }
    let theirs = Some(app.pseudonyms.for_organisation(&subject, reader));
    let mut receivers = if given { record.for_recipient(app.new_id()?, reader.clone(), theirs.clone()) } else { None };
    if receivers.is_none() {
        let mut refused = call.record(audit::Kind::Disclosure, reader.clone(), app.now())?;
        refused.sender.clone_from(&record.sender);
        refused.recipient.clone_from(&record.recipient);
        refused.referral.clone_from(&record.referral);
        refused.update_id.clone_from(&record.update_id);
        refused.subject = theirs;
        refused.outcome = Some(audit::Outcome::Refused);
        receivers = Some(refused);
    }
    let mut sealed = vec![SealedRecord::new(&record, &app.entropy, &app.sealer)?];
    if let Some(receivers) = receivers {
        sealed.push(SealedRecord::new(&receivers, &app.entropy, &app.sealer)?);
    }
    Ok(sealed)
}

/// The first pick-up of content makes a referral `received`.
const PICK_UP: Command = Command::Update { status: Status::Received, reason: None, outcome: None };

fn pick_up(referral: &Referral, decided: &Decided, now: Timestamp) -> Result<Moved, Refusal> {
    let terms = decided.terms(&referral.terms.purpose, referral.priority);
    Moved::of(&referral.state, &[Role::Recipient], &PICK_UP, decided.unable(), &terms, now)
}
