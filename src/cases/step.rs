//! Taking a step in a case.
//!
//! Checked in this order: exists for the caller (404), whether the caller may act at all (403), the step (409 with `allowedSteps`, or with what
//! is still open), whom it names (400), `If-Match` (412). Invariants: what the table of cases does not allow is not written; nobody steps in a
//! case that is not active or has not signed the whole covenant in force, but to leave; nobody else is asked to coordinate, and nobody is asked
//! into a case whom the covenant does not name.

use std::collections::BTreeSet;
use std::iter;

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::accession;
use super::change::{Change, Origin, raising};
use super::http::{Access, access};
use super::store;
use super::types::{Rules, Seen, Whole};
use super::view::{self, Reader};
use crate::clock::Timestamp;
use crate::covenant::Standings;
use crate::http::{Answer, Call, idempotency};
use crate::ids::Oin;
use crate::lifecycle::StepUpReason;
use crate::lifecycle::case::{Command, Operation, Refusal};
use crate::problem::{Code, Problem, until_settled};
use crate::storage::revisions::{self, Revisions};
use crate::storage::{Ground, Tx};

/// What is asked for: steps that are taken together, and the organisations that they name, with their places in the body.
struct Wanted {
    commands: Vec<Command<Oin>>,
    named: Vec<(String, Oin)>,
    /// A meeting: everyone named hears of it, also who takes part already.
    meeting: bool,
}

impl From<Command<Oin>> for Wanted {
    fn from(command: Command<Oin>) -> Self {
        Self { commands: vec![command], named: Vec::new(), meeting: false }
    }
}

/// `POST /v1/cases/{id}/coordinators`
///
/// # Errors
/// 400, 404, 409, 412; so for every step.
pub async fn offer_coordination(call: Call) -> Result<Answer, Problem> {
    take(call, |call, _| Ok(naming(organisation(call)?, Command::OfferCoordination))).await
}

/// `POST /v1/cases/{id}/coordinators/acceptances`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn accept_coordination(call: Call) -> Result<Answer, Problem> {
    take(call, |_, _| Ok(Command::AcceptCoordination.into())).await
}

/// `POST /v1/cases/{id}/coordinators/refusals`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn decline_coordination(call: Call) -> Result<Answer, Problem> {
    take(call, |_, _| Ok(Command::DeclineCoordination.into())).await
}

/// `POST /v1/cases/{id}/coordinators/revocations`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn revoke_offer(call: Call) -> Result<Answer, Problem> {
    take(call, |_, _| Ok(Command::RevokeOffer.into())).await
}

/// `POST /v1/cases/{id}/participants`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn invite(call: Call) -> Result<Answer, Problem> {
    take(call, |call, _| Ok(naming(organisation(call)?, Command::Invite))).await
}

/// `POST /v1/cases/{id}/participants/{organisation}/removals`: by the coordinator, or by the participant itself.
///
/// # Errors
/// As [`offer_coordination`].
pub async fn remove(call: Call) -> Result<Answer, Problem> {
    take(call, |call, _| {
        let who: Oin = call.path("organisation")?;
        let own = who == call.caller()?.organisation;
        Ok(if own { Command::Leave } else { Command::Remove(who) }.into())
    })
    .await
}

/// `POST /v1/cases/{id}/meetings`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn call_meeting(call: Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        organisations: Vec<Oin>,
    }
    take(call, |call, whole| {
        let Body { organisations } = call.json()?;
        let place = |(place, who): (usize, Oin)| (format!("organisations[{place}]"), who);
        let named: Vec<_> = organisations.into_iter().enumerate().map(place).collect();
        let coordinator = &whole.kept.case.coordinator;
        if let Some((place, _)) = named.iter().find(|(_, who)| who == coordinator) {
            return Err(Problem::invalid_param(place, "invalid", "expected whom the coordinator invites, not itself"));
        }
        // Who was invited before stays so; who takes part by a referral goes on to when that ends.
        let new = named.iter().filter(|(_, who)| !whole.kept.case.invited.contains(who));
        let commands = new.map(|(_, who)| Command::Invite(who.clone())).collect();
        Ok(Wanted { commands, named, meeting: true })
    })
    .await
}

/// `POST /v1/cases/{id}/step-ups`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn step_up(call: Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        reason: StepUpReason,
    }
    take(call, |call, _| Ok(Command::StepUp(call.json::<Body>()?.reason).into())).await
}

/// `POST /v1/cases/{id}/step-ups/refusals`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn refuse_step_up(call: Call) -> Result<Answer, Problem> {
    take(call, |_, _| Ok(Command::RefuseStepUp.into())).await
}

/// `POST /v1/cases/{id}/step-downs`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn step_down(call: Call) -> Result<Answer, Problem> {
    take(call, |_, _| Ok(Command::StepDown.into())).await
}

/// `POST /v1/cases/{id}/closures`
///
/// # Errors
/// As [`offer_coordination`].
pub async fn close(call: Call) -> Result<Answer, Problem> {
    take(call, |_, _| Ok(Command::Close.into())).await
}

fn organisation(call: &Call) -> Result<Oin, Problem> {
    #[derive(Deserialize)]
    struct Body {
        organisation: Oin,
    }
    Ok(call.json::<Body>()?.organisation)
}

fn naming(organisation: Oin, command: impl Fn(Oin) -> Command<Oin>) -> Wanted {
    let named = vec![("organisation".to_owned(), organisation.clone())];
    Wanted { commands: vec![command(organisation)], named, meeting: false }
}

/// Takes the steps that `read` finds in the request.
async fn take(call: Call, read: impl Fn(&Call, &Whole) -> Result<Wanted, Problem>) -> Result<Answer, Problem> {
    match until_settled(async || attempt(&call, &read).await).await {
        // Who left by the step itself does not see the case any more, and gets its own first answer all the same.
        Err(problem) => idempotency::or_first(&call, problem).await,
        answer => answer,
    }
}

async fn attempt(call: &Call, read: &impl Fn(&Call, &Whole) -> Result<Wanted, Problem>) -> Result<Answer, Problem> {
    let now = call.app.now();
    let access = access(call, now).await?;
    let wanted = read(call, &access.seen.whole)?;
    let caller = call.caller()?.organisation.clone();
    let parties = Parties::of(call, &access, &wanted, now).await?;
    let leaves = matches!(wanted.commands.as_slice(), [Command::Leave]);
    if !parties.standings.of(&caller).is_full() && !leaves {
        return Err(Problem::new(
            Code::Refused,
            "whoever steps in a case has signed the whole covenant in force and is active; you have not, or are not, and may only leave",
        ));
    }
    let reader = access.reader(call)?;
    let tag = tag(&access.seen, &reader, &access.rules, now);
    let outside = reader.outside;
    let Access { seen, mut revisions, rules, .. } = access;
    for (key, revision) in parties.revisions.iter() {
        revisions.note_earliest(key.clone(), revision);
    }
    let id = seen.whole.kept.id;
    let mut change = Change::of(&call.app, &rules, Origin::of(call)?, seen.whole.clone(), now);
    for command in &wanted.commands {
        if let Err(refusal) = change.take(command) {
            return Err(refused(&refusal, command, call, id).await?);
        }
    }
    if wanted.meeting && wanted.commands.is_empty() {
        // Everyone takes part already: whether the caller may invite is asked of the table all the same.
        may_invite(&change)?;
    }
    for (place, who) in &wanted.named {
        if let Some(reason) = parties.refuse(&wanted, id, who) {
            return Err(Problem::invalid_param(place, "unknown", reason));
        }
    }
    call.check_if_match(tag)?;
    if wanted.meeting {
        wanted.named.into_iter().for_each(|(_, who)| change.call_to_meeting(caller.clone(), who));
    }
    let operation = wanted.commands.first().map_or(Operation::Invite, Command::operation);
    let ground = Ground { revisions, ..raising(id) };
    idempotency::once(call, "step-in-case", ground, async move |tx: &mut Tx| {
        let seen = Seen { whole: change.clone().write(tx).await?, ..seen.clone() };
        let step = json!({ "case": seen.alias, "operation": operation, "at": now });
        let roles = seen.whole.roles(&caller, &rules, now);
        let tag = self::tag(&seen, &Reader { organisation: &caller, roles, outside }, &rules, now);
        Ok(Answer::created(format!("/v1/cases/{}", seen.alias), &step)?.etag(tag))
    })
    .await
}

/// What tells the caller whether the case has changed for it.
fn tag(seen: &Seen, reader: &Reader<'_>, rules: &Rules, now: Timestamp) -> String {
    view::tag(&view::case(seen, reader, rules, now), &seen.whole, reader)
}

/// How the caller and those named stand.
struct Parties {
    standings: Standings,
    /// Those of them that the covenant in force names.
    named: BTreeSet<Oin>,
    /// What that rests on.
    revisions: Revisions,
}

impl Parties {
    async fn of(call: &Call, access: &Access, wanted: &Wanted, now: Timestamp) -> Result<Self, Problem> {
        let query = &mut call.app.db.reader();
        let mut found = Revisions::default();
        found.read_also(query, revisions::covenant()).await?;
        let named = wanted.named.iter().map(|(_, who)| who);
        let all: BTreeSet<&Oin> = iter::once(&call.caller()?.organisation).chain(named).collect();
        for who in &all {
            found.read_also(query, revisions::organisation(who)).await?;
        }
        let engine = call.app.covenants.in_force(query, now).await?;
        let covenant = engine.covenant();
        let (version, case) = (&covenant.version, access.seen.whole.kept.id);
        let standings = accession::standings_in(query, version, case, all.iter().copied()).await?;
        let named = all.into_iter().filter(|who| covenant.party_by_oin(who).is_some()).cloned().collect();
        Ok(Self { standings, named, revisions: found })
    }

    /// Why an organisation cannot be asked for this, if so.
    fn refuse(&self, wanted: &Wanted, case: Uuid, who: &Oin) -> Option<&'static str> {
        let accession = self.standings.of(who);
        let asked_to_coordinate = wanted.commands.iter().any(|one| matches!(one, Command::OfferCoordination(_)));
        // A meeting is more than an invitation: whoever is asked to it takes part, or can at once.
        let (fine, reason) = if asked_to_coordinate {
            (
                accession.is_full(),
                "expected the OIN of an organisation that is active and has signed the whole covenant in force",
            )
        } else if wanted.meeting {
            let reason = "expected the OIN of an organisation that is active and has signed the covenant in force, as a whole or for this case";
            (accession.belongs_to(case), reason)
        } else {
            let reason = "expected the OIN of an organisation that is active and that the covenant in force names";
            (accession.active && self.named.contains(who), reason)
        };
        (!fine).then_some(reason)
    }
}

/// Whether the table lets the caller invite at all.
fn may_invite(change: &Change) -> Result<(), Problem> {
    // Inviting who is invited is refused because of whom it names only where the step itself is allowed.
    let whole = change.whole();
    let Some(already) = whole.kept.case.invited.first() else { return Ok(()) };
    match change.clone().take(&Command::Invite(already.clone())) {
        Err(Refusal::NotAllowed(steps)) => Err(not_allowed(&steps)),
        _ => Ok(()),
    }
}

async fn refused(refusal: &Refusal, command: &Command<Oin>, call: &Call, case: Uuid) -> Result<Problem, Problem> {
    Ok(match refusal {
        Refusal::NotAllowed(steps) => not_allowed(steps),
        Refusal::StillOpen(open) => still_open(*open, call, case).await?,
        Refusal::Party => {
            let reason = match command {
                Command::OfferCoordination(_) => {
                    "expected an organisation that takes part in the case, or the municipality"
                }
                Command::Remove(_) => return Ok(Problem::not_found()),
                _ => "expected an organisation that is not invited already and does not coordinate the case",
            };
            Problem::invalid_param("organisation", "invalid", reason)
        }
    })
}

fn not_allowed(steps: &[Operation]) -> Problem {
    let detail = "allowedSteps lists what you may do now; it is empty when somebody else must act";
    let step = |operation: &Operation| json!({ "operation": operation, "status": null, "statusReasons": [] });
    Problem::new(Code::StepNotAllowed, detail).with("allowedSteps", steps.iter().map(step).collect())
}

/// Says what is open: the caller's own by their ids, of the others how many.
async fn still_open(open: usize, call: &Call, case: Uuid) -> Result<Problem, Problem> {
    let own = store::open_known_to(&mut call.app.db.reader(), case, &call.caller()?.organisation).await?;
    let others = open.saturating_sub(own.len());
    Ok(Problem::new(Code::StillOpen, "end each open chain first: with help, with an outcome, or with another referral")
        .with("openReferrals", json!(own))
        .with("otherOpenReferrals", json!(others)))
}
