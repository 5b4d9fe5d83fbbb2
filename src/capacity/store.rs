//! The SQL of capacity notices.

use super::types::{Capacity, Ending, Kind, Notice, Other};
use crate::args;
use crate::clock::Timestamp;
use crate::covenant::PurposeCode;
use crate::ids::Oin;
use crate::lifecycle::Day;
use crate::storage::{Error, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT n.id AS id, n.organisation AS organisation, n.purpose AS purpose, n.kind AS kind, ",
            "n.expected_wait_weeks AS expected_wait_weeks, n.until AS until, n.announced_at AS announced_at ",
            $rest
        )
    };
}

/// Puts a notice in the place of any other of the same organisation and purpose.
pub(super) async fn put(tx: &mut Tx, notice: &Notice) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO capacity_notices (organisation, purpose, id, kind, expected_wait_weeks, until, announced_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organisation, purpose) DO UPDATE SET id = excluded.id, \
         kind = excluded.kind, expected_wait_weeks = excluded.expected_wait_weeks, until = excluded.until, \
         announced_at = excluded.announced_at",
        args![
            &notice.organisation,
            notice.purpose.as_str(),
            notice.id,
            notice.capacity.kind().as_str(),
            notice.capacity.expected_wait_weeks().map(i64::from),
            notice.until.to_string(),
            notice.announced_at,
        ],
    )
    .await
    .map(drop)
}

/// Takes away the notice of an organisation and purpose.
pub(super) async fn remove(tx: &mut Tx, notice: &Notice) -> Result<(), Error> {
    let sql = "DELETE FROM capacity_notices WHERE organisation = $1 AND purpose = $2";
    tx.execute(sql, args![&notice.organisation, notice.purpose.as_str()]).await.map(drop)
}

/// Keeps a notice that another one followed upon, or that was ended.
pub(super) async fn set_aside(tx: &mut Tx, notice: &Notice) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO capacity_history (id, organisation, purpose, kind, expected_wait_weeks, until, announced_at, \
         ending, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            notice.id,
            &notice.organisation,
            notice.purpose.as_str(),
            notice.capacity.kind().as_str(),
            notice.capacity.expected_wait_weeks().map(i64::from),
            notice.until.to_string(),
            notice.announced_at,
            notice.ended.map(|(ending, _)| ending.as_str()),
            notice.ended.map(|(_, at)| at),
        ],
    )
    .await
    .map(drop)
}

/// The last notice of an organisation for a purpose, unless it was ended.
pub(super) async fn last(
    query: &mut impl Query,
    organisation: &Oin,
    purpose: &PurposeCode,
) -> Result<Option<Notice>, Error> {
    let sql = select!("FROM capacity_notices n WHERE n.organisation = $1 AND n.purpose = $2");
    query.row(sql, args![organisation, purpose.as_str()]).await?.as_ref().map(read).transpose()
}

/// A notice, whether it still holds or not.
pub(super) async fn find(query: &mut impl Query, id: &str) -> Result<Option<Notice>, Error> {
    if let Some(row) = query.row(select!("FROM capacity_notices n WHERE n.id = $1"), args![id]).await? {
        return read(&row).map(Some);
    }
    let sql = select!(", n.ending AS ending, n.ended_at AS ended_at FROM capacity_history n WHERE n.id = $1");
    let Some(row) = query.row(sql, args![id]).await? else { return Ok(None) };
    let ended: Option<Timestamp> = row.opt_time("ended_at")?;
    let ended = match ended {
        None => None,
        Some(at) => Some((row.parsed::<Ending>("ending")?, at)),
    };
    Ok(Some(Notice { ended, ..read(&row)? }))
}

/// Which notices to list.
pub(super) struct Filter<'a> {
    /// One organisation's; everyone's when absent.
    pub(super) organisation: Option<&'a str>,
    /// For one purpose; for every one when absent.
    pub(super) purpose: Option<&'a str>,
    /// Those that hold on this day.
    pub(super) today: Day,
}

/// A page of the notices that hold, of organisations that take part, by organisation and purpose.
pub(super) async fn list(
    query: &mut impl Query,
    filter: &Filter<'_>,
    (organisation, purpose): (&str, &str),
    limit: i64,
) -> Result<Vec<Notice>, Error> {
    let sql = select!(
        "FROM capacity_notices n JOIN organisations o ON o.oin = n.organisation WHERE o.status = 'active' \
         AND n.until >= $1 AND (n.organisation > $2 OR (n.organisation = $2 AND n.purpose > $3)) \
         AND ($4 = '' OR n.organisation = $4) AND ($5 = '' OR n.purpose = $5) \
         ORDER BY n.organisation, n.purpose LIMIT $6"
    );
    let only = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (of, serving) = (only(filter.organisation), only(filter.purpose));
    let rows = query.rows(sql, args![filter.today.to_string(), organisation, purpose, of, serving, limit]).await?;
    rows.iter().map(read).collect()
}

/// The last notices of two organisations, for whatever purpose; also those whose last day is over.
///
/// # Errors
/// When the database fails.
pub async fn of_parties(query: &mut impl Query, parties: [&Oin; 2]) -> Result<Vec<Notice>, Error> {
    let sql = select!("FROM capacity_notices n WHERE n.organisation IN ($1, $2)");
    let [first, second] = parties;
    query.rows(sql, args![first, second]).await?.iter().map(read).collect()
}

/// The organisations that take part and have signed this version of the covenant, as a whole or for the purpose, with what they have
/// announced for it.
///
/// # Errors
/// When the database fails.
pub async fn others(
    query: &mut impl Query,
    version: &str,
    purpose: &PurposeCode,
    today: Day,
) -> Result<Vec<Other>, Error> {
    let sql = "SELECT o.oin AS oin, o.name AS name, n.kind AS kind, n.expected_wait_weeks AS expected_wait_weeks \
               FROM organisations o \
               LEFT JOIN capacity_notices n ON n.organisation = o.oin AND n.purpose = $2 AND n.until >= $3 \
               LEFT JOIN covenant_signatures s ON s.organisation = o.oin AND s.version = $1 \
               LEFT JOIN covenant_purpose_signatures p ON p.organisation = o.oin AND p.version = $1 AND p.purpose = $2 \
               WHERE o.status = 'active' AND (s.organisation IS NOT NULL OR p.organisation IS NOT NULL) ORDER BY o.oin";
    let rows = query.rows(sql, args![version, purpose.as_str(), today.to_string()]).await?;
    rows.iter()
        .map(|row| {
            let kind: Option<Kind> = row.opt_parsed("kind")?;
            let capacity = kind.map(|kind| read_capacity(row, kind)).transpose()?;
            Ok(Other { organisation: row.parsed("oin")?, name: row.text("name")?, capacity })
        })
        .collect()
}

fn read_capacity(row: &Row, kind: Kind) -> Result<Capacity, Error> {
    let malformed = || Error::Malformed { column: "expected_wait_weeks" };
    let weeks = row.opt_int("expected_wait_weeks")?.map(u32::try_from).transpose().map_err(|_| malformed())?;
    Capacity::of(kind, weeks).ok_or_else(malformed)
}

fn read(row: &Row) -> Result<Notice, Error> {
    Ok(Notice {
        id: row.parsed("id")?,
        organisation: row.parsed("organisation")?,
        purpose: row.parsed("purpose")?,
        capacity: read_capacity(row, row.parsed("kind")?)?,
        until: row.parsed("until")?,
        announced_at: row.time("announced_at")?,
        ended: None,
    })
}
