//! The SQL of sections that were destroyed because a record was withdrawn.

use crate::args;
use crate::clock::Timestamp;
use crate::covenant::CategoryCode;
use crate::referrals::types::Part;
use crate::storage::{Error, Query, Tx};

/// Overwrites a section with nothing, unless it was retracted before.
pub(super) async fn destroy(tx: &mut Tx, part: Part, category: &CategoryCode, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE referral_sections SET sealed = $5, retracted_at = $4, withdrawn_at = $4 \
               WHERE referral = $1 AND part = $2 AND category = $3 AND retracted_at IS NULL";
    let nothing: Vec<u8> = Vec::new();
    tx.execute(sql, args![part.referral, part.name(), category.as_str(), now, nothing]).await.map(drop)
}

/// The categories of a part that were destroyed so.
pub(super) async fn gone(query: &mut impl Query, part: Part) -> Result<Vec<CategoryCode>, Error> {
    let sql = "SELECT category FROM referral_sections WHERE referral = $1 AND part = $2 AND withdrawn_at IS NOT NULL \
               ORDER BY place";
    let rows = query.rows(sql, args![part.referral, part.name()]).await?;
    rows.iter().map(|row| row.parsed("category")).collect()
}
