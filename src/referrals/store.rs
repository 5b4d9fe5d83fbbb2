//! The SQL of referrals, updates and sections.

use uuid::Uuid;

use super::destroyed;
use super::types::{Part, Priority, Referral, Update};
use crate::args;
use crate::cases;
use crate::clock::Timestamp;
use crate::covenant::{CategoryCode, Phase};
use crate::emergencies::UnderEmergency;
use crate::ids::Oin;
use crate::lifecycle::referral::{Chain, State, Unable, is_stuck};
use crate::lifecycle::terms::{Deadline, Duty, Paused};
use crate::lifecycle::{Outcome, Reason, Status};
use crate::policy::{AgeGroup, ReferralTerms};
use crate::storage::window::{self, Found, WINDOW};
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

macro_rules! select_referrals {
    ($rest:literal) => {
        concat!(
            "SELECT id, sender, recipient, purpose, phase, legal_basis, subject, age_group, priority, based_on, status, ",
            "status_reason, outcome, held_from, right_organisation, disclosed_at, reopen_until, due_at, created_at, ",
            "updated_at, version, decision, receipt, case_id, holder, extended, cancellation, chain, resolution, ",
            "sender_unable, recipient_unable, duty, missed, paused_left, paused_missed, emergency_access, emergency_reason, ",
            "emergency_declared_at, emergency_valid_until, emergency_delete_at, sender_deletes_since, ",
            "recipient_deletes_since FROM referrals ",
            $rest
        )
    };
}

macro_rules! select_updates {
    ($rest:literal) => {
        concat!(
            "SELECT id, referral, version, organisation, status, status_reason, outcome, right_organisation, taken_at, ",
            "holder, due_at, categories, decision, operation FROM referral_updates ",
            $rest
        )
    };
}

/// The part of what came with the referral itself.
pub(super) const WITH_REFERRAL: &str = Part::WITH_REFERRAL;

pub(super) fn insert(tx: &mut Tx, referral: &Referral, wrapped_key: Vec<u8>) {
    static REFERRALS: Insert = Insert {
        rank: 1,
        table: "referrals",
        columns: &[
            "id",
            "sender",
            "recipient",
            "purpose",
            "phase",
            "legal_basis",
            "subject",
            "age_group",
            "priority",
            "based_on",
            "status",
            "holder",
            "due_at",
            "created_at",
            "updated_at",
            "version",
            "decision",
            "receipt",
            "wrapped_key",
            "case_id",
            "duty",
            "rests_on_case",
            "emergency_access",
            "emergency_reason",
            "emergency_declared_at",
            "emergency_valid_until",
        ],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    let Referral { terms, state, .. } = referral;
    tx.append(
        &REFERRALS,
        args![
            referral.id,
            &terms.sender,
            &terms.recipient,
            terms.purpose.as_str(),
            terms.phase.as_str(),
            terms.basis.as_str(),
            &referral.subject,
            referral.age_group.map(AgeGroup::as_str),
            referral.priority.as_str(),
            referral.based_on,
            state.status.as_str(),
            referral.holder.as_ref(),
            referral.due_at(),
            state.created_at,
            referral.updated_at,
            referral.version,
            referral.decision.to_string(),
            &referral.receipt,
            wrapped_key,
            referral.case,
            state.deadline.map(|deadline| deadline.duty.as_str()),
            i64::from(cases::rests_on_case(terms.purpose.as_str())),
            referral.emergency.map(|emergency| emergency.access),
            referral.emergency.map(|emergency| emergency.reason.as_str()),
            referral.emergency.map(|emergency| emergency.declared_at),
            referral.emergency.map(|emergency| emergency.valid_until),
        ],
    );
}

/// Stores what a step changed, unless another step came first; whether it did.
pub(super) async fn advance(tx: &mut Tx, referral: &Referral, from_version: i64) -> Result<bool, Error> {
    let State { status, reason, outcome, held_from, reopen_until, deadline, paused, unable, .. } = referral.state;
    let (chain, resolution) = referral.state.chain.map(chain_words).unzip();
    // What its case asks of it, by an index: as the table of steps answers it, so that nobody says it again in SQL.
    let missed = deadline.map_or(0, |deadline| deadline.missed);
    let stuck = is_stuck(status, unable, chain.is_none(), missed);
    let changed = tx
        .execute(
            "UPDATE referrals SET status = $3, status_reason = $4, outcome = $5, held_from = $6, reopen_until = $7, \
             right_organisation = $8, holder = $9, due_at = $10, updated_at = $11, version = $12, extended = $13, \
             cancellation = $14, chain = $15, resolution = $16, sender_unable = $17, recipient_unable = $18, duty = $19, \
             missed = $20, paused_left = $21, paused_missed = $22, case_id = $23, \
             taken_on = $24, stuck = $25, \
             late_since = CASE WHEN CAST($20 AS BIGINT) + COALESCE(CAST($22 AS BIGINT), 0) = 0 THEN NULL \
             ELSE COALESCE(late_since, due_at) END, \
             ended_at = CASE WHEN CAST($26 AS BIGINT) = 1 THEN COALESCE(ended_at, $11) END, \
             content_removed_at = CASE WHEN CAST($26 AS BIGINT) = 1 THEN content_removed_at END \
             WHERE id = $1 AND version = $2",
            args![
                referral.id,
                from_version,
                status.as_str(),
                reason.map(Reason::as_str),
                outcome.map(Outcome::as_str),
                held_from.map(Status::as_str),
                reopen_until,
                referral.right_organisation.as_ref(),
                referral.holder.as_ref(),
                referral.due_at(),
                referral.updated_at,
                referral.version,
                i64::from(referral.state.extended),
                referral.state.cancellation.map(Reason::as_str),
                chain,
                resolution.flatten(),
                i64::from(unable.sender),
                i64::from(unable.recipient),
                deadline.map(|deadline| deadline.duty.as_str()),
                i64::from(missed),
                paused.map(|paused| paused.left),
                paused.map(|paused| i64::from(paused.missed)),
                referral.case,
                i64::from(status.is_taken_on(held_from)),
                i64::from(stuck),
                i64::from(referral.state.is_closed()),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Marks that content was handed over; only the first time counts.
pub(super) async fn mark_disclosed(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE referrals SET disclosed_at = $2 WHERE id = $1 AND disclosed_at IS NULL", args![id, now])
        .await
        .map(drop)
}

pub(super) fn insert_update(tx: &mut Tx, update: &Update) {
    static UPDATES: Insert = Insert {
        rank: 2,
        table: "referral_updates",
        columns: &[
            "id",
            "referral",
            "version",
            "organisation",
            "status",
            "status_reason",
            "outcome",
            "right_organisation",
            "taken_at",
            "holder",
            "due_at",
            "categories",
            "decision",
            "operation",
        ],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    let categories: Vec<_> =
        update.categories.iter().map(super::super::covenant::types::CategoryCode::as_str).collect();
    tx.append(
        &UPDATES,
        args![
            update.id,
            update.referral,
            update.version,
            &update.organisation,
            update.status.as_str(),
            update.reason.map(Reason::as_str),
            update.outcome.map(Outcome::as_str),
            update.right_organisation.as_ref(),
            update.taken_at,
            update.holder.as_ref(),
            update.due_at,
            serde_json::Value::from(categories).to_string(),
            update.decision.as_ref().map(ToString::to_string),
            update.operation.as_str(),
        ],
    );
}

/// Marks which sections of a part were handed over; only the first time counts.
pub(super) async fn mark_sections(
    tx: &mut Tx,
    referral: Uuid,
    part: &str,
    given: &[CategoryCode],
    now: Timestamp,
) -> Result<(), Error> {
    // A category in quotation marks is no part of another one.
    let sql = "UPDATE referral_sections SET disclosed_at = $4 WHERE referral = $1 AND part = $2 AND disclosed_at IS NULL \
               AND $3 LIKE '%\"' || category || '\"%'";
    let given = given.iter().map(CategoryCode::as_str).collect::<serde_json::Value>().to_string();
    tx.execute(sql, args![referral, part, given, now]).await.map(drop)
}

/// Destroys what was given, key and sections, unless something of it was handed over; whether it did.
pub(super) async fn erase(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE referrals SET wrapped_key = NULL WHERE id = $1 AND disclosed_at IS NULL";
    if tx.execute(sql, args![id]).await? == 0 {
        return Ok(false);
    }
    destroyed::everything(tx, id, now).await?;
    Ok(true)
}

/// One section, sealed.
pub(super) struct SealedSection {
    pub(super) category: String,
    pub(super) sealed: Vec<u8>,
    /// The share of its key that is in the key store; none in what was given before there was one.
    pub(super) key_share: Option<Uuid>,
    /// Where it was first given, of a copy.
    pub(super) origin: Option<Part>,
    pub(super) disclosed_at: Option<Timestamp>,
    pub(super) corrected_at: Option<Timestamp>,
}

pub(super) fn insert_sections(tx: &mut Tx, referral: Uuid, part: &str, sections: &[SealedSection]) {
    static SECTIONS: Insert = Insert {
        rank: 2,
        table: "referral_sections",
        columns: &["referral", "part", "category", "place", "sealed", "origin", "key_share"],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    for (place, section) in (0_i64..).zip(sections) {
        let origin = section.origin.map(|origin| origin.to_string());
        let (sealed, key_share) = (section.sealed.clone(), section.key_share);
        tx.append(&SECTIONS, args![referral, part, &section.category, place, sealed, origin, key_share]);
    }
}

/// What came with a part, without what was retracted.
pub(super) async fn sections(query: &mut impl Query, referral: Uuid, part: &str) -> Result<Vec<SealedSection>, Error> {
    let sql = "SELECT category, sealed, key_share, origin, disclosed_at, corrected_at FROM referral_sections \
               WHERE referral = $1 AND part = $2 AND retracted_at IS NULL ORDER BY place";
    let rows = query.rows(sql, args![referral, part]).await?;
    let read = |row: &Row| {
        Ok(SealedSection {
            category: row.text("category")?,
            sealed: row.bytes("sealed")?,
            key_share: row.opt_parsed("key_share")?,
            origin: row.opt_parsed("origin")?,
            disclosed_at: row.opt_time("disclosed_at")?,
            corrected_at: row.opt_time("corrected_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The parts of a referral with which this party added something that still stands, in their order.
pub(super) async fn added(query: &mut impl Query, referral: Uuid, giver: &Oin) -> Result<Vec<String>, Error> {
    let sql = "SELECT DISTINCT u.version AS version, s.part AS part FROM referral_sections s \
               JOIN referral_updates u ON u.id = s.part \
               WHERE s.referral = $1 AND u.organisation = $2 AND s.retracted_at IS NULL ORDER BY 1";
    query.rows(sql, args![referral, giver]).await?.iter().map(|row| row.text("part")).collect()
}

/// The categories that went from one party to the other before, with the referral and with its updates; what was retracted before it was
/// handed over never went.
pub(super) async fn carried(query: &mut impl Query, referral: Uuid, giver: &Oin) -> Result<Vec<CategoryCode>, Error> {
    let sql = "SELECT DISTINCT s.category AS category FROM referral_sections s \
               JOIN referrals r ON r.id = s.referral LEFT JOIN referral_updates u ON u.id = s.part \
               WHERE s.referral = $1 AND COALESCE(u.organisation, r.sender) = $2 \
               AND (s.retracted_at IS NULL OR s.disclosed_at IS NOT NULL) ORDER BY 1";
    let rows = query.rows(sql, args![referral, giver]).await?;
    rows.iter().map(|row| row.parsed("category")).collect()
}

/// The wrapped data key; none once it was destroyed.
pub(super) async fn wrapped_key(query: &mut impl Query, referral: Uuid) -> Result<Option<Vec<u8>>, Error> {
    let row = query.row("SELECT wrapped_key FROM referrals WHERE id = $1", args![referral]).await?;
    row.map_or(Ok(None), |row| row.opt_bytes("wrapped_key"))
}

pub(super) async fn find(query: &mut impl Query, id: Uuid) -> Result<Option<Referral>, Error> {
    query.row(select_referrals!("WHERE id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

/// Which referrals of an organisation are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    Sent,
    Received,
    SentOrReceived,
    /// In which it must act now, also without being a party.
    Held,
}

/// A page of an organisation's referrals, newest first. One with a status looks at a window of them.
pub(super) async fn list(
    query: &mut impl Query,
    organisation: &Oin,
    role: Listed,
    status: Option<&str>,
    before: Option<&str>,
    limit: i64,
) -> Result<Found<Referral>, Error> {
    // Two walks along an index, each no longer than the page, instead of one along the whole table. An organisation that is both
    // sender and recipient has the referral once.
    macro_rules! in_both_roles {
        ($rest:literal) => {
            concat!(
                "SELECT * FROM (SELECT * FROM (",
                select_referrals!("WHERE sender = $1 AND "),
                $rest,
                ") AS sent UNION SELECT * FROM (",
                select_referrals!("WHERE recipient = $1 AND "),
                $rest,
                ") AS received) AS both_roles ORDER BY id DESC LIMIT $3"
            )
        };
    }
    let before = before.unwrap_or(window::AFTER_ALL);
    let mut args = args![organisation, before, limit];
    let Some(status) = status else {
        let sql = match role {
            Listed::Sent => select_referrals!("WHERE sender = $1 AND id < $2 ORDER BY id DESC LIMIT $3"),
            Listed::Received => select_referrals!("WHERE recipient = $1 AND id < $2 ORDER BY id DESC LIMIT $3"),
            Listed::Held => select_referrals!("WHERE holder = $1 AND id < $2 ORDER BY id DESC LIMIT $3"),
            Listed::SentOrReceived => in_both_roles!("id < $2 ORDER BY id DESC LIMIT $3"),
        };
        let items = query.rows(sql, args).await?.iter().map(read).collect::<Result<_, _>>()?;
        return Ok(Found::new(items, limit, None));
    };
    let sql = match role {
        Listed::Sent => {
            select_referrals!("WHERE sender = $1 AND id < $2 AND id >= $4 AND status = $5 ORDER BY id DESC LIMIT $3")
        }
        Listed::Received => {
            select_referrals!("WHERE recipient = $1 AND id < $2 AND id >= $4 AND status = $5 ORDER BY id DESC LIMIT $3")
        }
        Listed::Held => {
            select_referrals!("WHERE holder = $1 AND id < $2 AND id >= $4 AND status = $5 ORDER BY id DESC LIMIT $3")
        }
        Listed::SentOrReceived => in_both_roles!("id < $2 AND id >= $4 AND status = $5 ORDER BY id DESC LIMIT $3"),
    };
    let end = window_end(query, organisation, role, before).await?;
    args.extend(args![end.as_deref().unwrap_or_default(), status]);
    let items = query.rows(sql, args).await?.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Found::new(items, limit, end))
}

/// How far a page with a status looks; in both roles as far as both windows reach.
async fn window_end(
    query: &mut impl Query,
    organisation: &Oin,
    role: Listed,
    before: &str,
) -> Result<Option<String>, Error> {
    const SENT: &str = "SELECT id FROM referrals WHERE sender = $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $3";
    const RECEIVED: &str =
        "SELECT id FROM referrals WHERE recipient = $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $3";
    const HELD: &str = "SELECT id FROM referrals WHERE holder = $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET $3";
    let walks: &[&str] = match role {
        Listed::Sent => &[SENT],
        Listed::Received => &[RECEIVED],
        Listed::SentOrReceived => &[SENT, RECEIVED],
        Listed::Held => &[HELD],
    };
    let mut end = None;
    for sql in walks {
        end = end.max(window::end(query, sql, args![organisation, before, WINDOW - 1]).await?);
    }
    Ok(end)
}

pub(super) async fn find_update(query: &mut impl Query, referral: Uuid, id: Uuid) -> Result<Option<Update>, Error> {
    let row = query.row(select_updates!("WHERE referral = $1 AND id = $2"), args![referral, id]).await?;
    row.as_ref().map(read_update).transpose()
}

/// A page of a referral's steps, in their order.
pub(super) async fn updates(
    query: &mut impl Query,
    referral: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<Update>, Error> {
    let sql = select_updates!("WHERE referral = $1 AND version > $2 ORDER BY version LIMIT $3");
    query.rows(sql, args![referral, after, limit]).await?.iter().map(read_update).collect()
}

fn word<T>(text: Option<String>, column: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
    text.map(|text| parse(&text).ok_or(Error::Malformed { column })).transpose()
}

fn read_emergency(row: &Row) -> Result<Option<UnderEmergency>, Error> {
    let Some(access) = row.opt_parsed("emergency_access")? else { return Ok(None) };
    Ok(Some(UnderEmergency {
        access,
        reason: row.parsed("emergency_reason")?,
        declared_at: row.time("emergency_declared_at")?,
        valid_until: row.time("emergency_valid_until")?,
        delete_at: row.opt_time("emergency_delete_at")?,
    }))
}

fn read(row: &Row) -> Result<Referral, Error> {
    Ok(Referral {
        id: row.parsed("id")?,
        terms: ReferralTerms {
            sender: row.parsed("sender")?,
            recipient: row.parsed("recipient")?,
            purpose: row.parsed("purpose")?,
            phase: Phase::from_word(&row.text("phase")?).ok_or(Error::Malformed { column: "phase" })?,
            basis: row.parsed("legal_basis")?,
        },
        subject: row.text("subject")?,
        age_group: word(row.opt_text("age_group")?, "age_group", AgeGroup::from_word)?,
        priority: Priority::from_word(&row.text("priority")?).ok_or(Error::Malformed { column: "priority" })?,
        based_on: row.opt_parsed("based_on")?,
        emergency: read_emergency(row)?,
        sender_deletes_since: row.opt_time("sender_deletes_since")?,
        recipient_deletes_since: row.opt_time("recipient_deletes_since")?,
        state: State {
            status: row.parsed("status")?,
            reason: row.opt_parsed("status_reason")?,
            outcome: row.opt_parsed("outcome")?,
            held_from: row.opt_parsed("held_from")?,
            disclosed: row.opt_int("disclosed_at")?.is_some(),
            reopen_until: row.opt_time("reopen_until")?,
            created_at: row.time("created_at")?,
            extended: row.int("extended")? != 0,
            cancellation: row.opt_parsed("cancellation")?,
            chain: read_chain(row)?,
            unable: Unable { sender: row.int("sender_unable")? != 0, recipient: row.int("recipient_unable")? != 0 },
            deadline: read_clock(row)?,
            paused: read_paused(row)?,
        },
        case: row.opt_parsed("case_id")?,
        holder: row.opt_parsed("holder")?,
        right_organisation: row.opt_parsed("right_organisation")?,
        updated_at: row.time("updated_at")?,
        version: row.int("version")?,
        decision: row.json("decision")?,
        receipt: row.text("receipt")?,
    })
}

const fn chain_words(chain: Chain) -> (&'static str, Option<&'static str>) {
    match chain {
        Chain::ReferredOn => ("referred-on", None),
        Chain::Resolved(outcome) => ("resolved", Some(outcome.as_str())),
        Chain::SteppedUp => ("stepped-up", None),
    }
}

fn read_chain(row: &Row) -> Result<Option<Chain>, Error> {
    let resolution: Option<Outcome> = row.opt_parsed("resolution")?;
    Ok(match (row.opt_text("chain")?.as_deref(), resolution) {
        (None, None) => None,
        (Some("referred-on"), None) => Some(Chain::ReferredOn),
        (Some("resolved"), Some(outcome)) => Some(Chain::Resolved(outcome)),
        (Some("stepped-up"), None) => Some(Chain::SteppedUp),
        _ => return Err(Error::Malformed { column: "chain" }),
    })
}

fn read_clock(row: &Row) -> Result<Option<Deadline>, Error> {
    let (duty, due_at): (Option<Duty>, _) = (row.opt_parsed("duty")?, row.opt_time("due_at")?);
    let missed = count(row.int("missed")?, "missed")?;
    match (duty, due_at) {
        (None, None) => Ok(None),
        (Some(duty), Some(due_at)) => Ok(Some(Deadline { duty, due_at, missed })),
        _ => Err(Error::Malformed { column: "duty" }),
    }
}

fn read_paused(row: &Row) -> Result<Option<Paused>, Error> {
    let Some(left) = row.opt_int("paused_left")? else { return Ok(None) };
    Ok(Some(Paused { left, missed: count(row.opt_int("paused_missed")?.unwrap_or_default(), "paused_missed")? }))
}

fn count(number: i64, column: &'static str) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::Malformed { column })
}

fn read_update(row: &Row) -> Result<Update, Error> {
    let decision = row.opt_text("decision")?;
    Ok(Update {
        id: row.parsed("id")?,
        referral: row.parsed("referral")?,
        version: row.int("version")?,
        organisation: row.parsed("organisation")?,
        operation: row.parsed("operation")?,
        status: row.parsed("status")?,
        reason: row.opt_parsed("status_reason")?,
        outcome: row.opt_parsed("outcome")?,
        right_organisation: row.opt_parsed("right_organisation")?,
        taken_at: row.time("taken_at")?,
        holder: row.opt_parsed("holder")?,
        due_at: row.opt_time("due_at")?,
        categories: row.json("categories")?,
        decision: word(decision, "decision", |text| serde_json::from_str(text).ok())?,
    })
}

/// A referral that a walk came by. That one cannot be read is no reason to stop there.
pub(super) struct Passed {
    pub(super) id: Uuid,
    pub(super) due_at: Timestamp,
    pub(super) referral: Result<Referral, Error>,
}

fn come_by(row: &Row) -> Result<Passed, Error> {
    let due_at = row.time("due_at")?;
    Ok(Passed { id: row.parsed("id")?, due_at, referral: read(row) })
}

/// What is due, the earliest first; `after` is the last one of the step before.
pub(super) async fn due(
    query: &mut impl Query,
    now: Timestamp,
    (after_due, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Passed>, Error> {
    let sql = select_referrals!("WHERE due_at <= $1 AND (due_at, id) > ($2, $3) ORDER BY due_at, id LIMIT $4");
    query.rows(sql, args![now, after_due, after, limit]).await?.iter().map(come_by).collect()
}

/// What an organisation holds as a party, in order of the ids.
pub(super) async fn held_by(
    query: &mut impl Query,
    holder: &Oin,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Passed>, Error> {
    let sql = select_referrals!("WHERE holder = $1 AND id > $2 ORDER BY id LIMIT $3");
    query.rows(sql, args![holder, after, limit]).await?.iter().map(come_by).collect()
}

/// What is open and has a party that could not act when it was last looked at, in order of the ids.
pub(super) async fn with_unable(query: &mut impl Query, after: Uuid, limit: i64) -> Result<Vec<Passed>, Error> {
    let sql = select_referrals!(
        "WHERE sender_unable + recipient_unable > 0 AND duty IS NOT NULL AND id > $1 ORDER BY id LIMIT $2"
    );
    query.rows(sql, args![after, limit]).await?.iter().map(come_by).collect()
}

/// Whether no step was taken since this version; holds it so until the transaction ends.
pub(super) async fn is_at_version(tx: &mut Tx, id: Uuid, version: i64) -> Result<bool, Error> {
    let sql = if tx.is_postgres() {
        "SELECT version FROM referrals WHERE id = $1 AND version = $2 FOR SHARE"
    } else {
        "SELECT version FROM referrals WHERE id = $1 AND version = $2"
    };
    Ok(tx.row(sql, args![id, version]).await?.is_some())
}
