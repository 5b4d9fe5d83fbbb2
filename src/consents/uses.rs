//! What was given under which record: the sections that the gateway keeps, and those that it handed over, because a record of who gives them
//! allowed it.
//!
//! Invariant: it is written in the transaction that keeps or hands over, on the ground of the decision that named the record. So when a withdrawal
//! has been committed, everything that was given under the record stands here, and nothing more is added.

use uuid::Uuid;

use crate::args;
use crate::covenant::CategoryCode;
use crate::referrals::Part;
use crate::storage::{Error, Insert, Otherwise, Query, Tx};

/// A section that is kept, or was handed over, on the strength of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The record.
    pub consent: Uuid,
    /// What the section came with.
    pub part: Part,
    /// Its category.
    pub category: CategoryCode,
    /// Whether it was handed over.
    pub handed_over: bool,
}

/// Notes uses; one that is known already is the same.
pub fn note(tx: &mut Tx, uses: &[Use]) {
    static USES: Insert = Insert {
        rank: 2,
        table: "consent_uses",
        columns: &["consent", "referral", "part", "category", "handed_over"],
        conflict: "ON CONFLICT (consent, referral, part, category, handed_over) DO NOTHING",
        otherwise: Otherwise::Fine,
    };
    for one in uses {
        let (part, handed_over) = (one.part.name(), i64::from(one.handed_over));
        tx.append(&USES, args![one.consent, one.part.referral, part, one.category.as_str(), handed_over]);
    }
}

/// Everything that was given under a record.
///
/// # Errors
/// When the database fails.
pub async fn of_consent(query: &mut impl Query, consent: Uuid) -> Result<Vec<Use>, Error> {
    let sql = "SELECT referral, part, category, handed_over FROM consent_uses WHERE consent = $1 \
               ORDER BY referral, part, category, handed_over";
    let rows = query.rows(sql, args![consent]).await?;
    rows.iter()
        .map(|row| {
            let part = Part::named(row.parsed("referral")?, &row.text("part")?);
            Ok(Use {
                consent,
                part: part.ok_or(Error::Malformed { column: "part" })?,
                category: row.parsed("category")?,
                handed_over: row.flag("handed_over")?,
            })
        })
        .collect()
}
