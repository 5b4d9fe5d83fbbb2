//! Going on with another organisation: after an end without help, or in the place of a recipient that does not act.
//!
//! Invariants: the new referral is the original sender's, about the same resident and in the same case, and is decided anew for its recipient;
//! it is written together with the step in the earlier one, or neither is; what was encrypted for the earlier recipient stays behind, and
//! the sender's decision says so.

use serde::Deserialize;
use uuid::Uuid;

use super::access::{self, Access};
use super::create::{self, Draft};
use super::decide::{Decided, Facts, until_settled};
use super::noted::Noted;
use super::types::{Content, Party, Priority, Referral, Section, Update};
use super::update::or_refused;
use super::{corrections, sealing, store, trace};
use crate::app::App;
use crate::audit::{self, SealedRecord};
use crate::cases::{Aftermath, Place};
use crate::clock::Timestamp;
use crate::covenant::{BasisCode, Phase, PurposeCode};
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::lifecycle::parties::Moved;
use crate::lifecycle::referral::{Command, Role, step};
use crate::lifecycle::terms::Terms;
use crate::policy::{OnWithheld, ReferralTerms};
use crate::problem::{Code, Problem};
use crate::relay::{self, Event};
use crate::storage::revisions::Revisions;
use crate::storage::{Ground, Tx};
use crate::subjects::{Named, Subject};

/// What is different about the new referral; the rest is taken from the earlier one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Onward {
    recipient: Oin,
    purpose: Option<PurposeCode>,
    phase: Option<Phase>,
    legal_basis: Option<BasisCode>,
    priority: Option<Priority>,
    #[serde(default = "reject")]
    on_withheld: OnWithheld,
}

const fn reject() -> OnWithheld {
    OnWithheld::Reject
}

/// `POST /v1/referrals/{id}/re-referrals`
///
/// # Errors
/// 400, 403 with the decision, 404, 409, 412.
pub async fn refer_on(call: Call) -> Result<Answer, Problem> {
    go_on(call, Command::ReferOn).await
}

/// `POST /v1/referrals/{id}/reassignments`
///
/// # Errors
/// As [`refer_on`].
pub async fn reassign(call: Call) -> Result<Answer, Problem> {
    go_on(call, Command::Reassign).await
}

async fn go_on(call: Call, command: Command) -> Result<Answer, Problem> {
    match until_settled(async |facts| attempt(&call, command, facts).await).await {
        // Whoever lost sight of it by the step itself gets its own first answer all the same.
        Err(problem) => idempotency::or_first(&call, problem).await,
        answer => answer,
    }
}

async fn attempt(call: &Call, command: Command, facts: Facts) -> Result<Answer, Problem> {
    let onward: Onward = call.json()?;
    let access = access::to_referral(call).await?;
    let now = call.app.now();
    or_refused(step(&access.referral.state, &access.roles, &command, &Terms::default(), now))?;
    call.check_if_match(access.referral.version)?;
    if matches!(command, Command::Reassign) && onward.recipient == access.referral.terms.recipient {
        // It would only get time: the deadlines that it missed would count for nothing.
        return Err(Problem::invalid_param(
            "recipient",
            "not-expected",
            "expected another organisation than the one that does not act",
        ));
    }
    let subject = Subject::from_stored(access.referral.subject.clone());
    let draft = draft(call, &access.referral, command, onward).await?;
    Box::pin(create::write(call, draft, Named::already(subject), Some((access, command)), facts)).await
}

/// What the sender gave with a referral and has added to it. Each category can be sent once: where one was added that had been given, the sender
/// says anew what is to be sent; who reassigns cannot, so that what came with the referral goes, and the sender adds the rest again.
async fn given(call: &Call, earlier: &Referral, command: Command) -> Result<Vec<Section>, Problem> {
    let (app, mut reader) = (&call.app, call.app.db.reader());
    let mut sections = sealing::open(app, &mut reader, earlier.id, store::WITH_REFERRAL).await?;
    for part in store::added(&mut reader, earlier.id, &earlier.terms.sender).await? {
        for section in sealing::open(app, &mut reader, earlier.id, &part).await? {
            if sections.iter().all(|given| given.category != section.category) {
                sections.push(section);
            } else if matches!(command, Command::ReferOn) {
                return Err(Problem::new(
                    Code::Conflict,
                    "a category was given with it and added again, and can be sent once; send the sections to /v1/referrals with basedOn",
                ));
            }
        }
    }
    Ok(sections)
}

async fn draft(call: &Call, earlier: &Referral, command: Command, onward: Onward) -> Result<Draft, Problem> {
    let sections = given(call, earlier, command).await?;
    if sections.is_empty() {
        return Err(Problem::new(
            Code::Conflict,
            "its sections were erased; send them again to /v1/referrals with basedOn",
        ));
    }
    // What is encrypted was encrypted for one recipient and one purpose, and is not copied: the decision names it.
    let (encrypted, sections): (Vec<Section>, Vec<Section>) =
        sections.into_iter().partition(|section| matches!(section.content, Content::Jwe(_)));
    if corrections::is_copied_too_often(&mut call.app.db.reader(), &sections).await? {
        return Err(Problem::new(
            Code::Conflict,
            "its sections were copied as often as one correction reaches; send them again to /v1/referrals with basedOn",
        ));
    }
    let terms = &earlier.terms;
    let purpose = onward.purpose.unwrap_or_else(|| terms.purpose.clone());
    let place = Place::following(&mut call.app.db.reader(), earlier.case, purpose.as_str()).await?;
    Ok(Draft {
        place,
        terms: ReferralTerms {
            sender: terms.sender.clone(),
            recipient: onward.recipient,
            purpose,
            phase: onward.phase.unwrap_or(terms.phase),
            basis: onward.legal_basis.unwrap_or_else(|| terms.basis.clone()),
        },
        age_group: earlier.age_group,
        age_is_new: false,
        by_bsn: false,
        priority: onward.priority.unwrap_or(earlier.priority),
        based_on: Some(earlier.id),
        // A declaration names one recipient: for another one it is good for nothing.
        emergency: None,
        on_withheld: onward.on_withheld,
        sections,
        left_out: encrypted.into_iter().map(|section| section.category.clone()).collect(),
    })
}

/// The referral that a new one names as `basedOn`.
pub(super) struct BasedOn {
    referral: Referral,
    party: Party,
    /// Whether the new one takes over its chain: it is open, and the caller its sender.
    goes_on: bool,
}

impl BasedOn {
    /// Where the new referral belongs.
    ///
    /// # Errors
    /// Those of [`Place::of`] and [`Place::going_on`].
    pub(super) async fn place(&self, call: &Call, purpose: &str, case_id: Option<Uuid>) -> Result<Place, Problem> {
        if self.goes_on {
            Place::going_on(call, purpose, case_id, self.referral.case).await
        } else {
            Place::of(call, purpose, case_id, Some(self.referral.id)).await
        }
    }

    /// That the new one is about the same resident: nobody is let go of because somebody else was referred.
    ///
    /// # Errors
    /// 400.
    pub(super) fn check_subject(&self, subject: &Subject) -> Result<(), Problem> {
        if self.referral.subject == subject.as_str() {
            return Ok(());
        }
        Err(Problem::invalid_param("basedOn", "invalid", "expected the id of a referral about the same resident"))
    }

    /// The step that the new one is in it, where it is one.
    pub(super) fn step(self) -> Option<(Access, Command)> {
        let Self { referral, party, goes_on } = self;
        let access =
            || Access { referral, party: Some(party), roles: vec![Role::Sender], case_revision: Revisions::default() };
        goes_on.then(|| (access(), Command::ReferOn))
    }
}

/// The referral that a new one names as `basedOn`. Only one that the caller took part in can be followed on; what others exchanged is not
/// even confirmed to exist. Where its chain is closed, or the caller was not its sender, following on is no step in it.
pub(super) async fn based_on(call: &Call, id: Option<Uuid>) -> Result<Option<BasedOn>, Problem> {
    let Some(id) = id else { return Ok(None) };
    let caller = &call.caller()?.organisation;
    let earlier = store::find(&mut call.app.db.reader(), id).await?;
    let Some((referral, party)) =
        earlier.and_then(|earlier| Some((earlier.party_of(caller)?, earlier))).map(|(p, r)| (r, p))
    else {
        return Err(Problem::invalid_param(
            "basedOn",
            "unknown",
            "expected the id of a referral that you sent or received",
        ));
    };
    let taken = step(&referral.state, &[party.role()], &Command::ReferOn, &Terms::default(), call.app.now());
    Ok(Some(BasedOn { referral, party, goes_on: taken.is_ok() }))
}

/// The step in the earlier referral, ready to be written.
pub(super) struct Earlier {
    referral: Referral,
    from_version: i64,
    /// Of the case by which the step is the caller's, and of the parties.
    revisions: Revisions,
    /// What the gateway notes before the step.
    noted: Option<Noted>,
    update: Update,
    records: Vec<SealedRecord>,
    events: Vec<Event>,
    aftermath: Option<Aftermath>,
    now: Timestamp,
}

impl Earlier {
    /// Takes the step; `decided` is the decision on the new referral, under the same covenant.
    pub(super) async fn prepare(
        call: &Call,
        access: Access,
        command: Command,
        decided: &Decided,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let app = &call.app;
        let Access { mut referral, party, roles, case_revision: mut revisions } = access;
        let from_version = referral.version;
        // Those of this one: the new one may have another purpose.
        let terms = decided.terms(&referral.terms.purpose, referral.priority);
        let unable = decided.unable_of(app, &referral, &mut revisions).await?;
        let moved = or_refused(Moved::of(&referral.state, &roles, &command, unable, &terms, now))?;
        let trace_parent = Some(call.trace.traceparent());
        let aftermath = referral.aftermath(&moved.as_one(), &decided.case_rules);
        let municipality = decided.municipality.as_ref();
        let note = |taken| Noted::of(app, &mut referral, Command::Standing(unable), taken, municipality, now);
        let noted = moved.noted.as_ref().map(note).transpose()?;
        // Whoever held it before that was noted is told of that, and of nothing after it.
        let former_holder = referral.holder.clone();
        referral.move_to(moved.taken.state, municipality, now);
        let taker = call.caller()?.organisation.clone();
        let update = trace::update(app.new_id()?, &referral, taker, command);
        let records = trace::onward_records(call, &referral, party, &update)?;
        // To whom the new referral goes is no affair of the earlier recipient; that this one has moved on is, and its sender's too
        // where somebody else has it move on. That the step came too late happened before it.
        let mut events = trace::clock_events(app, &referral, &moved.taken.happened, municipality, &records, now)?;
        events.extend(trace::events(app, &referral, former_holder.as_ref(), party, &update, trace_parent.as_ref())?);
        Ok(Self { referral, from_version, revisions, noted, update, records, events, aftermath, now })
    }

    /// Names the case that the step has to do with.
    pub(super) fn add_to(&self, ground: &mut Ground) {
        ground.rest_on(&self.revisions);
        if let Some(aftermath) = &self.aftermath {
            aftermath.add_to(ground);
        }
    }

    /// What the step means for its case: after the new referral was written, which goes on in the same one.
    pub(super) async fn settle(&self, tx: &mut Tx, app: &App) -> Result<(), Problem> {
        if let Some(aftermath) = &self.aftermath { aftermath.apply(tx, app, self.now).await } else { Ok(()) }
    }

    /// Writes it, unless another step came first.
    pub(super) async fn apply(&self, tx: &mut Tx) -> Result<(), Problem> {
        if !store::advance(tx, &self.referral, self.from_version).await? {
            return Err(Problem::stale());
        }
        if let Some(noted) = &self.noted {
            noted.write(tx);
        }
        store::insert_update(tx, &self.update);
        for record in &self.records {
            audit::write(tx, record);
        }
        for event in &self.events {
            relay::enqueue(tx, event);
        }
        Ok(())
    }
}
