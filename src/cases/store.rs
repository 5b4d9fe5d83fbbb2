//! The SQL of cases, invitations, aliases and history.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use uuid::Uuid;

use super::types::{Kept, Resident, Rules, SHOWN, Seen, Shown, Whole};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::{NoEntropy, Oin};
use crate::lifecycle::StepUpReason;
use crate::lifecycle::case::{Case, HandOver, Proposal, SteppedUp};
use crate::policy::CaseFacts;
use crate::problem::Problem;
use crate::storage::{Args, Error, Insert, Otherwise, Query, Row, Tx};

// A case with all that a step in it asks of its referrals, in one statement: each part is found at its place in an index, or stops after so
// many, however many referrals there are (of the open ones a thousand are counted). Whoever takes part by a referral has an alias.
macro_rules! select_cases {
    ($rest:literal) => {
        concat!(
            "SELECT c.id AS id, c.coordinator AS coordinator, c.offered_to AS offered_to, c.offer_due_at AS offer_due_at, ",
            "c.proposal_due_at AS proposal_due_at, c.proposal_overdue AS proposal_overdue, ",
            "c.step_up_reason AS step_up_reason, c.stepped_up_until AS stepped_up_until, ",
            "c.stepped_up_by_director AS stepped_up_by_director, c.idle_until AS idle_until, ",
            "c.opened_at AS opened_at, c.closed_at AS closed_at, c.version AS version, ",
            "(SELECT string_agg(i.organisation, ',') FROM case_invitations i WHERE i.case_id = c.id) AS invited, ",
            "(SELECT string_agg(p.organisation, ',') FROM case_aliases p WHERE p.case_id = c.id AND COALESCE(",
            "(SELECT 1 FROM referrals r WHERE r.case_id = p.case_id AND r.sender = p.organisation ",
            "AND r.rests_on_case = 0 AND r.taken_on = 1 LIMIT 1), ",
            "(SELECT 1 FROM referrals r WHERE r.case_id = p.case_id AND r.recipient = p.organisation ",
            "AND r.rests_on_case = 0 AND r.taken_on = 1 LIMIT 1)) = 1) AS participants, ",
            "(SELECT COUNT(*) FROM (SELECT r.id FROM referrals r WHERE r.case_id = c.id AND r.due_at IS NOT NULL ",
            "LIMIT 1000) AS counted) AS open_referrals, ",
            "CAST(COALESCE((SELECT 1 FROM referrals r WHERE r.case_id = c.id AND r.holder = c.coordinator ",
            "AND r.missed >= 2 AND r.late_since IS NOT NULL LIMIT 1), 0) AS BIGINT) AS coordinator_late, ",
            "(SELECT r.due_at FROM referrals r WHERE r.case_id = c.id AND r.holder = c.coordinator ",
            "AND r.missed = 1 AND r.late_since IS NOT NULL ORDER BY r.due_at LIMIT 1) AS coordinator_late_from ",
            $rest
        )
    };
}

// The same with what a reader, `$1`, is shown of its referrals: the newest of those that it may know, and the oldest that are stuck.
macro_rules! select_seen {
    ($rest:literal) => {
        concat!(
            select_cases!(", a.alias AS alias, (SELECT string_agg(k.id, ',') FROM (SELECT r.id AS id FROM referrals r WHERE r.case_id = c.id \
             AND r.sender = $1 ORDER BY r.id DESC LIMIT 100) AS k) AS sent, \
             (SELECT string_agg(k.id, ',') FROM (SELECT r.id AS id FROM referrals r WHERE r.case_id = c.id AND r.recipient = $1 \
             AND r.rests_on_case = 0 AND r.taken_on = 1 ORDER BY r.id DESC LIMIT 100) AS k) AS received, \
             (SELECT string_agg(k.id, ',') FROM (SELECT r.id AS id FROM referrals r WHERE r.case_id = c.id AND r.recipient = $1 \
             AND r.rests_on_case = 1 AND r.taken_on = 1 ORDER BY r.id DESC LIMIT 100) AS k) AS received_for_the_case, \
             (SELECT string_agg(k.id, ',') FROM (SELECT r.id AS id FROM referrals r WHERE r.case_id = c.id AND r.stuck = 1 \
             ORDER BY r.id LIMIT 100) AS k) AS stuck \
             FROM case_aliases a JOIN cases c ON c.id = a.case_id "),
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
    let row = query.row(select_cases!("FROM cases c WHERE c.id = $1"), args![id]).await?;
    row.as_ref().map(read).transpose()
}

/// A page of the cases that an organisation has an alias for, newest first.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    before: &str,
    limit: i64,
) -> Result<Vec<Seen>, Error> {
    let sql = select_seen!("WHERE a.organisation = $1 AND a.alias < $2 ORDER BY a.alias DESC LIMIT $3");
    query.rows(sql, args![organisation, before, limit]).await?.iter().map(read_seen).collect()
}

/// The case that an organisation knows by this alias, as far as it is shown to it.
pub(super) async fn see(query: &mut impl Query, alias: Uuid, organisation: &Oin) -> Result<Option<Seen>, Error> {
    let sql = select_seen!("WHERE a.organisation = $1 AND a.alias = $2");
    query.row(sql, args![organisation, alias]).await?.as_ref().map(read_seen).transpose()
}

/// What a decision about a resident may rest on in a case.
///
/// # Errors
/// When the database fails.
pub async fn facts(
    query: &mut impl Query,
    id: Uuid,
    (parties, sender): ([&Oin; 2], &Oin),
    subject: &str,
    rules: &Rules,
    now: Timestamp,
) -> Result<CaseFacts, Error> {
    let Some(whole) = load(query, id).await? else { return Ok(CaseFacts::default()) };
    let sql = "SELECT CAST(COALESCE((SELECT 1 FROM referrals r WHERE r.case_id = $1 AND r.subject = $2 \
               AND r.rests_on_case = 0 AND r.taken_on = 1 LIMIT 1), 0) AS BIGINT) AS is_helped, \
               CAST(COALESCE((SELECT 1 FROM referrals r WHERE r.case_id = $1 AND r.subject = $2 \
               AND r.rests_on_case = 0 AND r.due_at IS NOT NULL LIMIT 1), 0) AS BIGINT) AS is_waited_for, \
               CAST(COALESCE((SELECT 1 FROM referrals r WHERE r.sender = $3 AND r.case_id = $1 AND r.subject = $2 LIMIT 1), \
               (SELECT 1 FROM referrals r WHERE r.recipient = $3 AND r.case_id = $1 AND r.subject = $2 \
               AND r.taken_on = 1 LIMIT 1), 0) AS BIGINT) AS is_known";
    let Some(row) = query.row(sql, args![id, subject, sender]).await? else { return Ok(CaseFacts::default()) };
    let resident = Resident {
        is_helped: row.flag("is_helped")?,
        is_waited_for: row.flag("is_waited_for")?,
        is_known: row.flag("is_known")?,
    };
    Ok(whole.facts(parties, sender, resident, rules, now))
}

/// Open referrals of a case that an organisation may know, at most a hundred of the newest.
pub(super) async fn open_known_to(query: &mut impl Query, id: Uuid, organisation: &Oin) -> Result<Vec<Uuid>, Error> {
    let sql = "SELECT id FROM (SELECT * FROM (SELECT id, due_at FROM referrals WHERE case_id = $1 AND sender = $2 \
               ORDER BY id DESC LIMIT 1000) AS sent UNION SELECT * FROM (SELECT id, due_at FROM referrals WHERE case_id = $1 \
               AND recipient = $2 AND rests_on_case = 0 AND taken_on = 1 ORDER BY id DESC LIMIT 1000) AS received \
               UNION SELECT * FROM (SELECT id, due_at FROM referrals WHERE case_id = $1 AND recipient = $2 \
               AND rests_on_case = 1 AND taken_on = 1 ORDER BY id DESC LIMIT 1000) AS received_for_the_case) AS known \
               WHERE due_at IS NOT NULL ORDER BY id DESC LIMIT 100";
    let rows = query.rows(sql, args![id, organisation]).await?;
    let mut open: Vec<Uuid> = rows.iter().map(|row| row.parsed("id")).collect::<Result<_, _>>()?;
    open.reverse();
    Ok(open)
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

/// The case of a referral, for a party that may know it: its sender, and its recipient once it has taken it on.
pub(super) async fn of_referral(query: &mut impl Query, referral: Uuid, party: &Oin) -> Result<Option<Uuid>, Error> {
    let sql = "SELECT case_id, sender, recipient, taken_on FROM referrals WHERE id = $1";
    let Some(row) = query.row(sql, args![referral]).await? else { return Ok(None) };
    let is = |column| Ok::<_, Error>(row.text(column)? == party.as_str());
    if is("sender")? || (is("recipient")? && row.flag("taken_on")?) { row.opt_parsed("case_id") } else { Ok(None) }
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

fn read(row: &Row) -> Result<Whole, Error> {
    let offer = row.opt_parsed("offered_to")?.zip(row.opt_time("offer_due_at")?);
    let overdue = row.flag("proposal_overdue")?;
    let step_up = row.opt_parsed("step_up_reason")?.zip(row.opt_time("stepped_up_until")?);
    let by_director = row.flag("stepped_up_by_director")?;
    let kept = Kept {
        id: row.parsed("id")?,
        case: Case {
            coordinator: row.parsed("coordinator")?,
            invited: several(row, "invited")?,
            hand_over: offer.map(|(to, due_at)| HandOver { to, due_at }),
            proposal: row.opt_time("proposal_due_at")?.map(|due_at| Proposal { due_at, overdue }),
            stepped_up: step_up.map(|(reason, until)| SteppedUp { reason, until, by_director }),
            idle_until: row.opt_time("idle_until")?,
            closed_at: row.opt_time("closed_at")?,
        },
        opened_at: row.time("opened_at")?,
        version: row.int("version")?,
    };
    let open =
        usize::try_from(row.int("open_referrals")?).map_err(|_| Error::Malformed { column: "open_referrals" })?;
    let participants: BTreeSet<Oin> = several(row, "participants")?;
    Ok(Whole {
        kept,
        participants: participants.into_iter().collect(),
        open,
        coordinator_late_from: if row.flag("coordinator_late")? {
            Some(Timestamp::from_micros(i64::MIN))
        } else {
            row.opt_time("coordinator_late_from")?
        },
    })
}

fn read_seen(row: &Row) -> Result<Seen, Error> {
    let mut referrals: BTreeSet<Uuid> = several(row, "sent")?;
    referrals.append(&mut several(row, "received")?);
    referrals.append(&mut several(row, "received_for_the_case")?);
    let older = referrals.len().saturating_sub(SHOWN);
    let referrals = referrals.into_iter().skip(older).collect();
    let stuck = several(row, "stuck")?.into_iter().collect();
    Ok(Seen { alias: row.parsed("alias")?, whole: read(row)?, shown: Shown { referrals, stuck } })
}

/// What was put together in one text; nothing where there was none.
fn several<T: Ord + FromStr>(row: &Row, column: &'static str) -> Result<BTreeSet<T>, Error> {
    let text = row.opt_text(column)?.unwrap_or_default();
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| part.parse().map_err(|_| Error::Malformed { column })).collect()
}
