//! The SQL of declarations, their reviews and notifications, and of the referrals that were sent under them.

use uuid::Uuid;

use super::types::{
    CannotConsent, Concluded, Conclusion, Duty, EmergencyAccess, Measure, Notification, Notified, Review,
};
use crate::args;
use crate::clock::Timestamp;
use crate::covenant::CategoryCode;
use crate::ids::Oin;
use crate::referrals;
use crate::storage::{Error, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT e.id AS id, e.organisation AS organisation, e.recipient AS recipient, e.subject AS subject, e.role AS role, ",
            "e.reason AS reason, e.cannot_consent AS cannot_consent, e.categories AS categories, ",
            "e.covenant_version AS covenant_version, e.declared_at AS declared_at, e.valid_until AS valid_until, ",
            "e.ended_at AS ended_at, e.reviewer AS reviewer, e.review_due_at AS review_due_at, e.review_told AS review_told, ",
            "e.conclusion AS conclusion, e.measures AS measures, e.deleted_categories AS deleted_categories, ",
            "e.concluded_by AS concluded_by, e.concluded_at AS concluded_at, e.inform_due_at AS inform_due_at, ",
            "e.inform_told AS inform_told, e.inform_days AS inform_days, e.notification AS notification, e.version AS version ",
            $rest
        )
    };
}

fn list<'a>(codes: impl Iterator<Item = &'a str>) -> String {
    codes.collect::<serde_json::Value>().to_string()
}

fn categories(codes: &[CategoryCode]) -> String {
    list(codes.iter().map(CategoryCode::as_str))
}

/// Stores a new declaration, and who reads its review.
pub(super) async fn insert(tx: &mut Tx, access: &EmergencyAccess, readers: &[Oin]) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO emergency_accesses (id, organisation, recipient, subject, role, reason, cannot_consent, categories, \
         covenant_version, declared_at, valid_until, reviewer, review_due_at, review_told, inform_due_at, inform_told, \
         inform_days, alarm_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, $14, 0, $15, $16, $17)",
        args![
            access.id,
            &access.organisation,
            &access.recipient,
            &access.subject,
            &access.role,
            access.reason.as_str(),
            access.cannot_consent.map(CannotConsent::as_str),
            categories(&access.categories),
            &access.covenant_version,
            access.declared_at,
            access.valid_until,
            &access.review.reviewer,
            access.review.due_at,
            access.duty.due_at,
            i64::from(access.duty.days),
            access.alarm_at(),
            access.version,
        ],
    )
    .await?;
    for reader in readers {
        tx.execute("INSERT INTO emergency_readers (organisation, access) VALUES ($1, $2)", args![reader, access.id])
            .await?;
    }
    Ok(())
}

/// Stores what changed, unless another change came first; whether it did.
pub(super) async fn advance(tx: &mut Tx, access: &EmergencyAccess, from_version: i64) -> Result<bool, Error> {
    let concluded = access.review.concluded.as_ref();
    let changed = tx
        .execute(
            "UPDATE emergency_accesses SET ended_at = $3, review_told = $4, conclusion = $5, measures = $6, \
             deleted_categories = $7, concluded_by = $8, concluded_at = $9, inform_due_at = $10, inform_told = $11, \
             notification = $12, alarm_at = $13, version = $14 WHERE id = $1 AND version = $2",
            args![
                access.id,
                from_version,
                access.ended_at,
                i64::from(access.review.told),
                concluded.map(|concluded| concluded.conclusion.as_str()),
                concluded.map(|concluded| list(concluded.measures.iter().map(|measure| measure.as_str()))),
                concluded.map(|concluded| categories(&concluded.deleted)),
                concluded.map(|concluded| concluded.by.to_string()),
                concluded.map(|concluded| concluded.at),
                access.duty.due_at,
                i64::from(access.duty.told),
                access.duty.last.map(Notified::as_str),
                access.alarm_at(),
                access.version,
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// A declaration.
///
/// # Errors
/// When the database fails.
pub async fn find(query: &mut impl Query, id: Uuid) -> Result<Option<EmergencyAccess>, Error> {
    query.row(select!("FROM emergency_accesses e WHERE e.id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

/// What was declared about a resident.
///
/// # Errors
/// When the database fails.
pub async fn about(query: &mut impl Query, subject: &str) -> Result<Vec<EmergencyAccess>, Error> {
    let rows = query.rows(select!("FROM emergency_accesses e WHERE e.subject = $1"), args![subject]).await?;
    let mut found: Vec<EmergencyAccess> = rows.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|access| access.id);
    Ok(found)
}

/// Whether the privacy officers of this organisation read the review.
pub(super) async fn is_reader(query: &mut impl Query, id: Uuid, organisation: &Oin) -> Result<bool, Error> {
    let sql = "SELECT 1 AS found FROM emergency_readers WHERE organisation = $1 AND access = $2";
    Ok(query.row(sql, args![organisation, id]).await?.is_some())
}

/// Whose privacy officers read the review.
pub(super) async fn readers(query: &mut impl Query, id: Uuid) -> Result<Vec<Oin>, Error> {
    let sql = "SELECT organisation FROM emergency_readers WHERE access = $1";
    query.rows(sql, args![id]).await?.iter().map(|row| row.parsed("organisation")).collect()
}

/// A page of what an organisation declared, newest first.
pub(super) async fn declared_by(
    query: &mut impl Query,
    organisation: &Oin,
    before: &str,
    limit: i64,
) -> Result<Vec<EmergencyAccess>, Error> {
    let sql = select!("FROM emergency_accesses e WHERE e.organisation = $1 AND e.id < $2 ORDER BY e.id DESC LIMIT $3");
    query.rows(sql, args![organisation, before, limit]).await?.iter().map(read).collect()
}

/// A page of the reviews that an organisation's privacy officer reads, newest first.
pub(super) async fn read_by(
    query: &mut impl Query,
    organisation: &Oin,
    before: &str,
    limit: i64,
) -> Result<Vec<EmergencyAccess>, Error> {
    let sql = select!(
        "FROM emergency_readers r JOIN emergency_accesses e ON e.id = r.access \
         WHERE r.organisation = $1 AND r.access < $2 ORDER BY r.access DESC LIMIT $3"
    );
    query.rows(sql, args![organisation, before, limit]).await?.iter().map(read).collect()
}

/// Of which a deadline has passed and was not told, the longest waiting first; `after` is the last one of the step before.
pub(super) async fn due(
    query: &mut impl Query,
    now: Timestamp,
    (after_due, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<(Timestamp, Uuid)>, Error> {
    let sql = "SELECT alarm_at, id FROM emergency_accesses WHERE alarm_at <= $1 AND (alarm_at, id) > ($2, $3) \
               ORDER BY alarm_at, id LIMIT $4";
    let rows = query.rows(sql, args![now, after_due, after, limit]).await?;
    rows.iter().map(|row| Ok((row.time("alarm_at")?, row.parsed("id")?))).collect()
}

pub(super) async fn insert_notification(
    tx: &mut Tx,
    access: &EmergencyAccess,
    notification: &Notification,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO emergency_notifications (id, access, version, outcome, informed_at, method, reason, recorded_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            notification.id,
            access.id,
            access.version,
            notification.outcome.as_str(),
            notification.informed_at,
            notification.method.map(crate::rights::Method::as_str),
            notification.reason.map(super::types::NotInformed::as_str),
            notification.recorded_at,
        ],
    )
    .await
    .map(drop)
}

/// What was recorded of informing the resident, in its order.
pub(super) async fn notifications(query: &mut impl Query, id: Uuid) -> Result<Vec<Notification>, Error> {
    let sql = "SELECT id, outcome, informed_at, method, reason, recorded_at FROM emergency_notifications \
               WHERE access = $1 ORDER BY version";
    let rows = query.rows(sql, args![id]).await?;
    rows.iter()
        .map(|row| {
            Ok(Notification {
                id: row.parsed("id")?,
                outcome: row.parsed("outcome")?,
                informed_at: row.opt_time("informed_at")?,
                method: row.opt_parsed("method")?,
                reason: row.opt_parsed("reason")?,
                recorded_at: row.time("recorded_at")?,
            })
        })
        .collect()
}

/// A referral that was sent under a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: Uuid,
    /// When it was sent.
    pub created_at: Timestamp,
}

/// The referrals that were sent under a declaration, in their order.
pub(super) async fn referrals(query: &mut impl Query, id: Uuid) -> Result<Vec<Known>, Error> {
    let sql = "SELECT id, created_at FROM referrals WHERE emergency_access = $1 ORDER BY id";
    let rows = query.rows(sql, args![id]).await?;
    rows.iter().map(|row| Ok(Known { id: row.parsed("id")?, created_at: row.time("created_at")? })).collect()
}

/// What was handed over of a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Disclosed {
    pub(super) record: String,
    pub(super) at: String,
    /// The column of the record: a JSON array of outcomes.
    pub(super) sections: String,
}

/// The giver's records of what was handed over of a referral.
pub(super) async fn disclosures(query: &mut impl Query, referral: Uuid, giver: &Oin) -> Result<Vec<Disclosed>, Error> {
    let sql = "SELECT id, time, sections FROM audit_records WHERE referral = $1 AND organisation = $2 \
               AND kind = 'disclosure' AND outcome <> 'refused' AND sections IS NOT NULL";
    let rows = query.rows(sql, args![referral, giver]).await?;
    let read = |row: &Row| {
        Ok(Disclosed { record: row.text("id")?, at: row.time("time")?.to_string(), sections: row.text("sections")? })
    };
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>, Error>>()?;
    found.sort_by(|one, other| one.record.cmp(&other.record));
    Ok(found)
}

/// Destroys what was given in a referral, all of it, and says in it that its recipient deletes what it has. Whoever decided on the referral as
/// it was finds another version.
pub(super) async fn destroy(tx: &mut Tx, referral: Uuid, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE referrals SET wrapped_key = NULL, emergency_delete_at = $2, updated_at = $2, version = version + 1 \
               WHERE id = $1";
    tx.execute(sql, args![referral, now]).await?;
    referrals::destroy_everything(tx, referral, now).await
}

/// The same for some categories, where one of them stands there; whether it does.
pub(super) async fn destroy_some(
    tx: &mut Tx,
    referral: Uuid,
    some: &[CategoryCode],
    now: Timestamp,
) -> Result<bool, Error> {
    if !referrals::destroy_categories(tx, referral, some, now).await? {
        return Ok(false);
    }
    let sql = "UPDATE referrals SET emergency_delete_at = $2, updated_at = $2, version = version + 1 WHERE id = $1";
    tx.execute(sql, args![referral, now]).await?;
    Ok(true)
}

fn read(row: &Row) -> Result<EmergencyAccess, Error> {
    let conclusion: Option<Conclusion> = row.opt_parsed("conclusion")?;
    let concluded = match conclusion {
        None => None,
        Some(conclusion) => Some(Concluded {
            conclusion,
            measures: row.json::<Vec<Measure>>("measures")?,
            deleted: row.json("deleted_categories")?,
            by: row.parsed("concluded_by")?,
            at: row.time("concluded_at")?,
        }),
    };
    let days = u32::try_from(row.int("inform_days")?).map_err(|_| Error::Malformed { column: "inform_days" })?;
    Ok(EmergencyAccess {
        id: row.parsed("id")?,
        organisation: row.parsed("organisation")?,
        recipient: row.parsed("recipient")?,
        subject: row.text("subject")?,
        role: row.text("role")?,
        reason: row.parsed("reason")?,
        cannot_consent: row.opt_parsed("cannot_consent")?,
        categories: row.json("categories")?,
        covenant_version: row.text("covenant_version")?,
        declared_at: row.time("declared_at")?,
        valid_until: row.time("valid_until")?,
        ended_at: row.opt_time("ended_at")?,
        review: Review {
            reviewer: row.parsed("reviewer")?,
            due_at: row.time("review_due_at")?,
            told: row.flag("review_told")?,
            concluded,
        },
        duty: Duty {
            due_at: row.opt_time("inform_due_at")?,
            told: row.flag("inform_told")?,
            days,
            last: row.opt_parsed("notification")?,
        },
        version: row.int("version")?,
    })
}
