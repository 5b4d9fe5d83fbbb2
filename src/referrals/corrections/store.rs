//! The SQL of corrections, and of where copies of a section stand.

use uuid::Uuid;

use super::types::{Correction, Standing};
use crate::args;
use crate::clock::Timestamp;
use crate::covenant::CategoryCode;
use crate::referrals::destroyed;
use crate::referrals::types::Part;
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx};

macro_rules! select_standing {
    ($rest:literal) => {
        concat!(
            "SELECT referral, part, category, origin, disclosed_at, corrected_at, retracted_at, withdrawn_at ",
            "FROM referral_sections ",
            $rest
        )
    };
}

macro_rules! select_corrections {
    ($rest:literal) => {
        concat!(
            "SELECT id, referral, version, update_id, organisation, reason, corrected_at, sections, decision ",
            "FROM referral_corrections ",
            $rest
        )
    };
}

/// What stands in a part, also what was retracted.
pub(super) async fn standing(query: &mut impl Query, part: Part) -> Result<Vec<Standing>, Error> {
    let sql = select_standing!("WHERE referral = $1 AND part = $2 ORDER BY place");
    query.rows(sql, args![part.referral, part.name()]).await?.iter().map(read_standing).collect()
}

/// The copies of what was first given there.
pub(super) async fn copies(query: &mut impl Query, origin: Part) -> Result<Vec<Standing>, Error> {
    let sql = select_standing!("WHERE origin = $1 ORDER BY referral, part, place");
    query.rows(sql, args![origin.to_string()]).await?.iter().map(read_standing).collect()
}

fn read_standing(row: &Row) -> Result<Standing, Error> {
    let part = Part::named(row.parsed("referral")?, &row.text("part")?).ok_or(Error::Malformed { column: "part" })?;
    Ok(Standing {
        part,
        category: row.parsed("category")?,
        origin: row.opt_parsed("origin")?.unwrap_or(part),
        disclosed_at: row.opt_time("disclosed_at")?,
        corrected_at: row.opt_time("corrected_at")?,
        // What was destroyed because a consent was withdrawn was not wrong for that: whoever had it is told when it was.
        retracted: row.opt_int("retracted_at")?.is_some() && row.opt_int("withdrawn_at")?.is_none(),
    })
}

/// What a section becomes.
pub(super) struct Mended {
    pub(super) category: CategoryCode,
    /// What is there from now on; nothing where it is retracted.
    pub(super) sealed: Option<Vec<u8>>,
    /// The share of the key of what is there from now on.
    pub(super) key_share: Option<Uuid>,
    /// What was read of it.
    pub(super) disclosed_at: Option<Timestamp>,
    pub(super) corrected_at: Option<Timestamp>,
}

/// Overwrites a section, unless it was handed over for the first time since it was read; whether it did.
pub(super) async fn mend(tx: &mut Tx, part: Part, mended: &Mended, now: Timestamp) -> Result<bool, Error> {
    destroyed::of_section(tx, part, &mended.category, None, now).await?;
    let sql = "UPDATE referral_sections SET sealed = $4, key_share = $8, corrected_at = $5, retracted_at = $6, withdrawn_at = NULL \
               WHERE referral = $1 AND part = $2 AND category = $3 AND COALESCE(disclosed_at, 0) = $7";
    let changed = tx
        .execute(
            sql,
            args![
                part.referral,
                part.name(),
                mended.category.as_str(),
                mended.sealed.clone().unwrap_or_default(),
                mended.corrected_at,
                mended.sealed.is_none().then_some(now),
                mended.disclosed_at.map_or(0, Timestamp::as_micros),
                mended.key_share,
            ],
        )
        .await?;
    Ok(changed == 1)
}

pub(super) fn insert(tx: &mut Tx, correction: &Correction, sections: String) {
    static CORRECTIONS: Insert = Insert {
        rank: 2,
        table: "referral_corrections",
        columns: &[
            "id",
            "referral",
            "version",
            "update_id",
            "organisation",
            "reason",
            "corrected_at",
            "sections",
            "decision",
        ],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    tx.append(
        &CORRECTIONS,
        args![
            correction.id,
            correction.part.referral,
            correction.version,
            correction.part.update,
            &correction.organisation,
            correction.reason.as_str(),
            correction.corrected_at,
            sections,
            correction.decision.as_ref().map(ToString::to_string),
        ],
    );
}

/// A page of a referral's corrections, in their order.
pub(super) async fn list(
    query: &mut impl Query,
    referral: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<Correction>, Error> {
    let sql = select_corrections!("WHERE referral = $1 AND version > $2 ORDER BY version LIMIT $3");
    query.rows(sql, args![referral, after, limit]).await?.iter().map(read).collect()
}

pub(super) async fn find(query: &mut impl Query, referral: Uuid, id: Uuid) -> Result<Option<Correction>, Error> {
    let row = query.row(select_corrections!("WHERE referral = $1 AND id = $2"), args![referral, id]).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Correction, Error> {
    let decision = row.opt_text("decision")?.map(|text| serde_json::from_str(&text));
    Ok(Correction {
        id: row.parsed("id")?,
        part: Part { referral: row.parsed("referral")?, update: row.opt_parsed("update_id")? },
        version: row.int("version")?,
        organisation: row.parsed("organisation")?,
        reason: row.parsed("reason")?,
        corrected_at: row.time("corrected_at")?,
        sections: row.json("sections")?,
        decision: decision.transpose().map_err(|_| Error::Malformed { column: "decision" })?,
    })
}
