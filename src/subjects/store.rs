//! Which resident an organisation's pseudonym stands for, and the age group last stated.

use super::{Pseudonyms, Subject};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::policy::AgeGroup;
use crate::storage::{Error, Insert, Otherwise, Query, Tx};

/// The resident whom `organisation` knows by this pseudonym; none when it was never given one.
///
/// # Errors
/// When the database fails.
pub async fn subject_of(query: &mut impl Query, organisation: &Oin, pseudonym: &str) -> Result<Option<Subject>, Error> {
    let sql = "SELECT subject FROM subject_pseudonyms WHERE organisation = $1 AND pseudonym = $2";
    let row = query.row(sql, args![organisation, pseudonym]).await?;
    row.map(|row| row.text("subject").map(Subject)).transpose()
}

/// Remembers that `organisation` knows the resident, so that it can use its pseudonym later.
pub fn remember(tx: &mut Tx, pseudonyms: &Pseudonyms, organisation: &Oin, subject: &Subject) {
    static PSEUDONYMS: Insert = Insert {
        rank: 1,
        table: "subject_pseudonyms",
        columns: &["organisation", "pseudonym", "subject"],
        conflict: "ON CONFLICT (organisation, pseudonym) DO NOTHING",
        otherwise: Otherwise::Fine,
    };
    let pseudonym = pseudonyms.for_organisation(subject, organisation);
    tx.append(&PSEUDONYMS, args![organisation, pseudonym, subject.as_str()]);
}

/// The age group last stated for a resident, and when.
///
/// # Errors
/// When the database fails.
pub async fn age_stated(query: &mut impl Query, subject: &Subject) -> Result<Option<(AgeGroup, Timestamp)>, Error> {
    let row =
        query.row("SELECT age_group, stated_at FROM subject_ages WHERE subject = $1", args![subject.as_str()]).await?;
    let Some(row) = row else { return Ok(None) };
    let group = AgeGroup::from_word(&row.text("age_group")?).ok_or(Error::Malformed { column: "age_group" })?;
    Ok(Some((group, row.time("stated_at")?)))
}

/// Keeps the age group stated on a referral that is created.
pub fn state_age(tx: &mut Tx, subject: &Subject, group: AgeGroup, now: Timestamp) {
    static AGES: Insert = Insert {
        rank: 1,
        table: "subject_ages",
        columns: &["subject", "age_group", "stated_at"],
        conflict: "ON CONFLICT (subject) DO UPDATE SET age_group = excluded.age_group, stated_at = excluded.stated_at",
        otherwise: Otherwise::Fine,
    };
    tx.append(&AGES, args![subject.as_str(), group.as_str(), now]);
}

/// Keeps the check value of the pseudonym key at the first start; later, whether it is still the same.
///
/// # Errors
/// When the database fails.
pub async fn key_mark(tx: &mut Tx, check_value: &str) -> Result<bool, Error> {
    tx.execute(
        "INSERT INTO gateway_marks (name, value) VALUES ('pseudonym-key', $1) ON CONFLICT (name) DO NOTHING",
        args![check_value],
    )
    .await?;
    let row = tx.row("SELECT value FROM gateway_marks WHERE name = 'pseudonym-key'", args![]).await?;
    row.map_or(Ok(false), |row| Ok(row.text("value")? == check_value))
}
