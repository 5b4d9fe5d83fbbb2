//! What was given under which record: the sections that the gateway keeps, and those that it handed over, because a record of who gives them
//! allowed it.
//!
//! Invariant: it is written in the transaction that keeps or hands over, on the ground of the decision that named the record. So when a withdrawal
//! has been committed, everything that was given under the record stands here, and nothing more is added.

use uuid::Uuid;

use crate::args;
use crate::covenant::CategoryCode;
use crate::ids::Oin;
use crate::referrals::Part;
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

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
    let sql = "SELECT consent, referral, part, category, handed_over FROM consent_uses WHERE consent = $1 \
               ORDER BY referral, part, category, handed_over";
    query.rows(sql, args![consent]).await?.iter().map(read).collect()
}

/// What was given under the records about a resident; those of one organisation, or of everyone.
///
/// # Errors
/// When the database fails.
pub async fn about(query: &mut impl Query, subject: &str, by: Option<&Oin>) -> Result<Vec<Use>, Error> {
    macro_rules! select {
        ($rest:literal) => {
            concat!(
                "SELECT u.consent AS consent, u.referral AS referral, u.part AS part, u.category AS category, ",
                "u.handed_over AS handed_over FROM consents c JOIN consent_uses u ON u.consent = c.id WHERE c.subject = $1",
                $rest
            )
        };
    }
    let rows = match by {
        Some(by) => query.rows(select!(" AND c.organisation = $2"), args![subject, by]).await?,
        None => query.rows(select!(""), args![subject]).await?,
    };
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Use, Error> {
    let part = Part::named(row.parsed("referral")?, &row.text("part")?);
    Ok(Use {
        consent: row.parsed("consent")?,
        part: part.ok_or(Error::Malformed { column: "part" })?,
        category: row.parsed("category")?,
        handed_over: row.flag("handed_over")?,
    })
}
