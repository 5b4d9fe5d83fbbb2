//! Which resident an organisation's pseudonym stands for, and the age group last stated.

use super::{Pseudonyms, Subject};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::policy::AgeGroup;
use crate::storage::{Error, Query, Tx};

/// The resident whom `organisation` knows by this pseudonym; none when it was never given one.
///
/// # Errors
/// When the database fails.
pub async fn subject_of(query: &mut impl Query, organisation: &Oin, pseudonym: &str) -> Result<Option<Subject>, Error> {
    let sql = "SELECT subject FROM subject_pseudonyms WHERE organisation = $1 AND pseudonym = $2";
    let row = query.row(sql, args![organisation, pseudonym]).await?;
    row.map(|row| row.text("subject").map(Subject)).transpose()
}

/// Remembers that `organisation` knows the resident, so that it can use its pseudonym later; gives the pseudonym.
///
/// # Errors
/// When the database fails.
pub async fn remember(
    tx: &mut Tx,
    pseudonyms: &Pseudonyms,
    organisation: &Oin,
    subject: &Subject,
) -> Result<String, Error> {
    let pseudonym = pseudonyms.for_organisation(subject, organisation);
    tx.execute(
        "INSERT INTO subject_pseudonyms (organisation, pseudonym, subject) VALUES ($1, $2, $3) \
         ON CONFLICT (organisation, pseudonym) DO NOTHING",
        args![organisation, &pseudonym, subject.as_str()],
    )
    .await?;
    Ok(pseudonym)
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
///
/// # Errors
/// When the database fails.
pub async fn state_age(tx: &mut Tx, subject: &Subject, group: AgeGroup, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO subject_ages (subject, age_group, stated_at) VALUES ($1, $2, $3) \
         ON CONFLICT (subject) DO UPDATE SET age_group = excluded.age_group, stated_at = excluded.stated_at",
        args![subject.as_str(), group.as_str(), now],
    )
    .await
    .map(drop)
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
