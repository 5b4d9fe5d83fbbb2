//! The SQL of access reports: who takes part, and what stands in a referral now.

use uuid::Uuid;

use crate::args;
use crate::clock::Timestamp;
use crate::covenant::CategoryCode;
use crate::emergencies::EmergencyReason;
use crate::ids::Oin;
use crate::lifecycle::Status;
use crate::storage::{Error, Query, Row};

/// Every organisation that ever took part, also those that left.
pub(super) async fn organisations(query: &mut impl Query) -> Result<Vec<(Oin, String)>, Error> {
    let rows = query.rows("SELECT oin, name FROM organisations ORDER BY oin", args![]).await?;
    rows.iter().map(|row| Ok((row.parsed("oin")?, row.text("name")?))).collect()
}

/// Where a referral stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) sender: Oin,
    pub(super) status: Status,
    pub(super) based_on: Option<Uuid>,
    /// The declaration of break-glass under which it was sent.
    pub(super) declaration: Option<Uuid>,
    /// Why break-glass was declared, when, and since when its recipient deletes what it has.
    pub(super) emergency: Option<(EmergencyReason, Timestamp, Option<Timestamp>)>,
    /// What was never handed over, with who gave it.
    pub(super) waiting: Vec<(Oin, CategoryCode)>,
}

/// Where a referral stands; none once it was removed.
pub(super) async fn standing(query: &mut impl Query, referral: Uuid) -> Result<Option<Standing>, Error> {
    let sql = "SELECT sender, status, based_on, emergency_access, emergency_reason, emergency_declared_at, emergency_delete_at \
               FROM referrals WHERE id = $1";
    let Some(row) = query.row(sql, args![referral]).await? else { return Ok(None) };
    let waiting = "SELECT COALESCE(u.organisation, r.sender) AS giver, s.category AS category FROM referral_sections s \
                   JOIN referrals r ON r.id = s.referral LEFT JOIN referral_updates u ON u.id = s.part \
                   WHERE s.referral = $1 AND s.disclosed_at IS NULL AND s.retracted_at IS NULL \
                   AND r.wrapped_key IS NOT NULL ORDER BY s.part, s.place";
    let waiting = query.rows(waiting, args![referral]).await?;
    let waits = |row: &Row| Ok((row.parsed("giver")?, row.parsed("category")?));
    Ok(Some(Standing {
        sender: row.parsed("sender")?,
        status: row.parsed("status")?,
        based_on: row.opt_parsed("based_on")?,
        declaration: row.opt_parsed("emergency_access")?,
        emergency: match row.opt_parsed("emergency_reason")? {
            None => None,
            Some(reason) => Some((reason, row.time("emergency_declared_at")?, row.opt_time("emergency_delete_at")?)),
        },
        waiting: waiting.iter().map(waits).collect::<Result<_, Error>>()?,
    }))
}

/// An organisation's own records, by their ids, of what was erased of a referral: what it had erased, and what it received and has to delete.
pub(super) async fn erasures_of(query: &mut impl Query, referral: Uuid, owner: &Oin) -> Result<Vec<String>, Error> {
    let sql = "SELECT id FROM audit_records WHERE referral = $1 AND organisation = $2 AND kind = 'erasure' \
               AND sections IS NOT NULL ORDER BY id";
    query.rows(sql, args![referral, owner]).await?.iter().map(|row| row.text("id")).collect()
}

/// The records, by their ids, of those who had something erased of a referral.
pub(super) async fn erasures(query: &mut impl Query, referral: Uuid) -> Result<Vec<String>, Error> {
    let sql = "SELECT id FROM audit_records WHERE referral = $1 AND kind = 'erasure' AND organisation = sender \
               AND sections IS NOT NULL ORDER BY id";
    query.rows(sql, args![referral]).await?.iter().map(|row| row.text("id")).collect()
}
