//! The SQL of cases, invitations, aliases and history.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::types::{Held, Kept, Member, Whole};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::{NoEntropy, Oin};
use crate::lifecycle::case::{Case, HandOver, Proposal, SteppedUp};
use crate::lifecycle::referral::{Unable, is_stuck};
use crate::lifecycle::{Status, StepUpReason};
use crate::problem::Problem;
use crate::storage::{Args, Error, Insert, Otherwise, Query, Row, Tx};

macro_rules! select_cases {
    ($rest:literal) => {
        concat!(
            "SELECT c.id AS id, c.coordinator AS coordinator, c.offered_to AS offered_to, c.offer_due_at AS offer_due_at, ",
            "c.proposal_due_at AS proposal_due_at, c.proposal_overdue AS proposal_overdue, ",
            "c.step_up_reason AS step_up_reason, c.stepped_up_until AS stepped_up_until, ",
            "c.stepped_up_by_director AS stepped_up_by_director, c.idle_until AS idle_until, ",
            "c.opened_at AS opened_at, c.closed_at AS closed_at, c.version AS version FROM cases c ",
            $rest
        )
    };
}

/// Opens a case, known to who opens it by this alias.
pub(super) fn insert(tx: &mut Tx, id: Uuid, coordinator: &Oin, alias: Uuid, now: Timestamp) {
    static CASES: Insert = Insert {
        rank: 1,
        table: "cases",
        columns: &["id", "coordinator", "opened_at", "version"],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    static ALIASES: Insert = Insert {
        rank: 2,
        table: "case_aliases",
        columns: &["alias", "case_id", "organisation"],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    tx.append(&CASES, args![id, coordinator, now, 1_i64]);
    tx.append(&ALIASES, args![alias, id, coordinator]);
}

/// Stores where a case stands after its version `from_version`, unless another change came first; whether it did.
pub(super) async fn advance(tx: &mut Tx, kept: &Kept, from_version: i64) -> Result<bool, Error> {
    let Case { coordinator, hand_over, proposal, stepped_up, idle_until, closed_at, .. } = &kept.case;
    let changed = tx
        .execute(
            "UPDATE cases SET coordinator = $3, offered_to = $4, offer_due_at = $5, proposal_due_at = $6, \
             proposal_overdue = $7, step_up_reason = $8, stepped_up_until = $9, idle_until = $10, closed_at = $11, \
             due_at = $12, version = $13, stepped_up_by_director = $14 WHERE id = $1 AND version = $2",
            args![
                kept.id,
                from_version,
                coordinator,
                hand_over.as_ref().map(|offer| &offer.to),
                hand_over.as_ref().map(|offer| offer.due_at),
                proposal.map(|proposal| proposal.due_at),
                i64::from(proposal.is_some_and(|proposal| proposal.overdue)),
                stepped_up.map(|step_up| step_up.reason.as_str()),
                stepped_up.map(|step_up| step_up.until),
                *idle_until,
                *closed_at,
                kept.case.due_at(),
                kept.version,
                i64::from(stepped_up.is_some_and(|step_up| step_up.by_director)),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Stores who takes part by invitation; `name` makes the id of a new one. What was signed under one that is gone counts no more.
pub(super) async fn invite(
    tx: &mut Tx,
    id: Uuid,
    before: &BTreeSet<Oin>,
    after: &BTreeSet<Oin>,
    name: impl Fn() -> Result<Uuid, NoEntropy>,
    now: Timestamp,
) -> Result<(), Problem> {
    for gone in before.difference(after) {
        tx.execute("DELETE FROM case_invitations WHERE case_id = $1 AND organisation = $2", args![id, gone]).await?;
    }
    for new in after.difference(before) {
        tx.execute(
            "INSERT INTO case_invitations (case_id, organisation, invited_at, id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (case_id, organisation) DO NOTHING",
            args![id, new, now, name()?],
        )
        .await?;
    }
    Ok(())
}

/// A case, with what it needs to be stepped in.
///
/// # Errors
/// When the database fails.
pub async fn load(query: &mut impl Query, id: Uuid) -> Result<Option<Whole>, Error> {
    let Some(row) = query.row(select_cases!("WHERE c.id = $1"), args![id]).await? else { return Ok(None) };
    complete(query, &row).await.map(Some)
}

async fn complete(query: &mut impl Query, row: &Row) -> Result<Whole, Error> {
    let mut kept = read(row)?;
    let invited = "SELECT organisation FROM case_invitations WHERE case_id = $1";
    let invited = query.rows(invited, args![kept.id]).await?;
    kept.case.invited = invited.iter().map(|row| row.parsed("organisation")).collect::<Result<_, _>>()?;
    let members = "SELECT id, sender, recipient, purpose, subject, status, held_from, holder, due_at, chain, missed, \
                   sender_unable, recipient_unable FROM referrals WHERE case_id = $1 ORDER BY id";
    let members = query.rows(members, args![kept.id]).await?;
    Ok(Whole { kept, members: members.iter().map(read_member).collect::<Result<_, _>>()? })
}

/// A page of the cases that an organisation has an alias for, with the alias, newest first.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    before: &str,
    limit: i64,
) -> Result<Vec<(Uuid, Whole)>, Error> {
    let sql =
        "SELECT alias, case_id FROM case_aliases WHERE organisation = $1 AND alias < $2 ORDER BY alias DESC LIMIT $3";
    let rows = query.rows(sql, args![organisation, before, limit]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(whole) = load(query, row.parsed("case_id")?).await? {
            found.push((row.parsed("alias")?, whole));
        }
    }
    Ok(found)
}

/// The case that an organisation knows by this alias.
pub(super) async fn of_alias(query: &mut impl Query, alias: Uuid, organisation: &Oin) -> Result<Option<Uuid>, Error> {
    let sql = "SELECT case_id FROM case_aliases WHERE alias = $1 AND organisation = $2";
    query.row(sql, args![alias, organisation]).await?.map(|row| row.parsed("case_id")).transpose()
}

/// The alias by which an organisation knows a case, if it does.
pub(super) async fn alias_of(query: &mut impl Query, id: Uuid, organisation: &Oin) -> Result<Option<Uuid>, Error> {
    let sql = "SELECT alias FROM case_aliases WHERE case_id = $1 AND organisation = $2";
    query.row(sql, args![id, organisation]).await?.map(|row| row.parsed("alias")).transpose()
}

/// The alias by which an organisation knows a case from now on; `fresh` where it did not.
pub(super) async fn involve(tx: &mut Tx, id: Uuid, organisation: &Oin, fresh: Uuid) -> Result<Uuid, Error> {
    if let Some(alias) = alias_of(tx, id, organisation).await? {
        return Ok(alias);
    }
    tx.execute(
        "INSERT INTO case_aliases (alias, case_id, organisation) VALUES ($1, $2, $3) \
         ON CONFLICT (case_id, organisation) DO NOTHING",
        args![fresh, id, organisation],
    )
    .await?;
    Ok(alias_of(tx, id, organisation).await?.unwrap_or(fresh))
}

/// The aliases by which an organisation knows these cases.
///
/// # Errors
/// When the database fails.
pub async fn aliases(
    query: &mut impl Query,
    organisation: &Oin,
    cases: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Uuid>, Error> {
    const AT_ONCE: usize = 10;
    let sql = "SELECT case_id, alias FROM case_aliases WHERE organisation = $1 \
               AND case_id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let cases: Vec<Uuid> = cases.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut found = HashMap::with_capacity(cases.len());
    for some in cases.chunks(AT_ONCE) {
        let mut args: Args = args![organisation];
        // What is left of the places names the last one again.
        let last = some.last().copied();
        args.extend((0..AT_ONCE).map(|place| some.get(place).copied().or(last).into()));
        for row in query.rows(sql, args).await? {
            found.insert(row.parsed("case_id")?, row.parsed("alias")?);
        }
    }
    Ok(found)
}

/// Who coordinates a case.
pub(super) async fn coordinator(query: &mut impl Query, id: Uuid) -> Result<Option<Oin>, Error> {
    let row = query.row("SELECT coordinator FROM cases WHERE id = $1", args![id]).await?;
    row.map(|row| row.parsed("coordinator")).transpose()
}

/// The case of a referral, for a party to it.
pub(super) async fn of_referral(query: &mut impl Query, referral: Uuid, party: &Oin) -> Result<Option<Uuid>, Error> {
    let row = query.row("SELECT case_id, sender, recipient FROM referrals WHERE id = $1", args![referral]).await?;
    let Some(row) = row else { return Ok(None) };
    let is_party = [row.text("sender")?, row.text("recipient")?].iter().any(|oin| oin == party.as_str());
    if is_party { row.opt_parsed("case_id") } else { Ok(None) }
}

/// Cases of which a deadline has passed, the longest waiting first; `after` is the last one of the step before.
pub(super) async fn due(
    query: &mut impl Query,
    now: Timestamp,
    (after_due, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<(Timestamp, Uuid)>, Error> {
    let sql =
        "SELECT due_at, id FROM cases WHERE due_at <= $1 AND (due_at, id) > ($2, $3) ORDER BY due_at, id LIMIT $4";
    let rows = query.rows(sql, args![now, after_due, after, limit]).await?;
    rows.iter().map(|row| Ok((row.time("due_at")?, row.parsed("id")?))).collect()
}

/// The organisations that are registered and cannot act: not active, or without a signature under this version.
pub(super) async fn unable(query: &mut impl Query, version: &str) -> Result<BTreeSet<Oin>, Error> {
    let sql = "SELECT o.oin AS oin FROM organisations o \
               LEFT JOIN covenant_signatures s ON s.organisation = o.oin AND s.version = $1 \
               WHERE o.status <> 'active' OR s.organisation IS NULL";
    query.rows(sql, args![version]).await?.iter().map(|row| row.parsed("oin")).collect()
}

/// Open cases that an organisation coordinates, in order of the ids.
pub(super) async fn coordinated_by(
    query: &mut impl Query,
    organisation: &Oin,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, Error> {
    let sql = "SELECT id FROM cases WHERE coordinator = $1 AND closed_at IS NULL AND id > $2 ORDER BY id LIMIT $3";
    query.rows(sql, args![organisation, after, limit]).await?.iter().map(|row| row.parsed("id")).collect()
}

/// One thing of a case's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) what: What,
    pub(super) at: Timestamp,
}

/// What is worth remembering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Coordinator { from: Oin, to: Oin },
    SteppedUp { by: Oin, reason: StepUpReason, until: Timestamp },
    SteppedDown,
}

pub(super) fn remember(tx: &mut Tx, id: Uuid, version: i64, events: &[Event]) {
    static HISTORY: Insert = Insert {
        rank: 2,
        table: "case_history",
        columns: &["case_id", "version", "place", "happened", "organisation", "other", "reason", "until", "taken_at"],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    for (place, event) in (0_i64..).zip(events) {
        let (happened, organisation, other, reason, until) = match &event.what {
            What::Coordinator { from, to } => ("coordinator", Some(from), Some(to), None, None),
            What::SteppedUp { by, reason, until } => {
                ("stepped-up", Some(by), None, Some(reason.as_str()), Some(*until))
            }
            What::SteppedDown => ("stepped-down", None, None, None, None),
        };
        tx.append(&HISTORY, args![id, version, place, happened, organisation, other, reason, until, event.at]);
    }
}

/// What happened in a case, in its order.
pub(super) async fn history(query: &mut impl Query, id: Uuid) -> Result<Vec<Event>, Error> {
    let sql = "SELECT happened, organisation, other, reason, until, taken_at FROM case_history WHERE case_id = $1 \
               ORDER BY version, place";
    query.rows(sql, args![id]).await?.iter().map(read_event).collect()
}

fn read_event(row: &Row) -> Result<Event, Error> {
    let what = match row.text("happened")?.as_str() {
        "coordinator" => What::Coordinator { from: row.parsed("organisation")?, to: row.parsed("other")? },
        "stepped-up" => What::SteppedUp {
            by: row.parsed("organisation")?,
            reason: row.parsed("reason")?,
            until: row.time("until")?,
        },
        "stepped-down" => What::SteppedDown,
        _ => return Err(Error::Malformed { column: "happened" }),
    };
    Ok(Event { what, at: row.time("taken_at")? })
}

fn read(row: &Row) -> Result<Kept, Error> {
    let offer = row.opt_parsed("offered_to")?.zip(row.opt_time("offer_due_at")?);
    let overdue = row.flag("proposal_overdue")?;
    let step_up = row.opt_parsed("step_up_reason")?.zip(row.opt_time("stepped_up_until")?);
    let by_director = row.flag("stepped_up_by_director")?;
    Ok(Kept {
        id: row.parsed("id")?,
        case: Case {
            coordinator: row.parsed("coordinator")?,
            invited: BTreeSet::new(),
            hand_over: offer.map(|(to, due_at)| HandOver { to, due_at }),
            proposal: row.opt_time("proposal_due_at")?.map(|due_at| Proposal { due_at, overdue }),
            stepped_up: step_up.map(|(reason, until)| SteppedUp { reason, until, by_director }),
            idle_until: row.opt_time("idle_until")?,
            closed_at: row.opt_time("closed_at")?,
        },
        opened_at: row.time("opened_at")?,
        version: row.int("version")?,
    })
}

fn read_member(row: &Row) -> Result<Member, Error> {
    let (status, held_from): (Status, Option<Status>) = (row.parsed("status")?, row.opt_parsed("held_from")?);
    let unable = Unable { sender: row.flag("sender_unable")?, recipient: row.flag("recipient_unable")? };
    let (holder, missed) = (row.opt_parsed("holder")?, row.int("missed")?);
    let missed = u32::try_from(missed).map_err(|_| Error::Malformed { column: "missed" })?;
    Ok(Member {
        id: row.parsed("id")?,
        sender: row.parsed("sender")?,
        recipient: row.parsed("recipient")?,
        purpose: row.text("purpose")?,
        subject: row.text("subject")?,
        taken_on: status.is_taken_on(held_from),
        stuck: is_stuck(status, unable, row.opt_text("chain")?.is_none(), missed),
        held: row.opt_time("due_at")?.map(|due_at| Held { holder, due_at, missed }),
    })
}
