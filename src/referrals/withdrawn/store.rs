//! The SQL of sections that were destroyed because a record was withdrawn.

use crate::args;
use crate::covenant::CategoryCode;
use crate::referrals::types::Part;
use crate::storage::{Error, Query};

/// The categories of a part that were destroyed so.
pub(super) async fn gone(query: &mut impl Query, part: Part) -> Result<Vec<CategoryCode>, Error> {
    let sql = "SELECT category FROM referral_sections WHERE referral = $1 AND part = $2 AND withdrawn_at IS NOT NULL \
               ORDER BY place";
    let rows = query.rows(sql, args![part.referral, part.name()]).await?;
    rows.iter().map(|row| row.parsed("category")).collect()
}
