//! The SQL of consents.

use uuid::Uuid;

use super::types::{Consent, Method, Recording, Report, Withdrawal, WithdrawalReason};
use crate::args;
use crate::clock::Timestamp;
use crate::covenant::PurposeCode;
use crate::ids::Oin;
use crate::policy::{ConsentRecord, GivenBy, RecordKind, RepresentativeKind};
use crate::storage::window::{self, Found, WINDOW};
use crate::storage::{Error, Query, Row, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, organisation, subject, kind, given_by, representative_kind, explicit, recipients, purposes, ",
            "categories, valid_from, valid_until, obtained_at, method, recorded_at, withdrawn_at, withdrawal_reason, ",
            "version, withdrawn_by, reported_recipient, reported_purpose FROM consents ",
            $rest
        )
    };
}

pub(super) async fn insert(tx: &mut Tx, consent: &Consent, sealed_evidence: Option<Vec<u8>>) -> Result<(), Error> {
    let recording = &consent.recording;
    let list = |values: Vec<&str>| serde_json::Value::from(values).to_string();
    tx.execute(
        "INSERT INTO consents (id, organisation, subject, kind, given_by, representative_kind, explicit, recipients, \
         purposes, categories, valid_from, valid_until, obtained_at, method, evidence_ref, recorded_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1)",
        args![
            consent.id,
            &consent.organisation,
            &consent.subject,
            recording.kind.as_str(),
            recording.given_by.as_str(),
            recording.representative_kind.map(RepresentativeKind::as_str),
            recording.explicit,
            list(recording.recipients.iter().map(Oin::as_str).collect()),
            list(recording.purposes.iter().map(super::super::covenant::types::PurposeCode::as_str).collect()),
            list(recording.categories.iter().map(super::super::covenant::types::CategoryCode::as_str).collect()),
            recording.valid_from,
            recording.valid_until,
            recording.obtained_at,
            recording.method.as_str(),
            sealed_evidence,
            consent.recorded_at,
        ],
    )
    .await
    .map(drop)
}

pub(super) async fn find(query: &mut impl Query, id: &str) -> Result<Option<Consent>, Error> {
    query.row(select!("WHERE id = $1"), args![id]).await?.as_ref().map(read).transpose()
}

/// Withdraws it unless it is withdrawn, and notes that what follows from that is still to be done; whether it did.
pub(super) async fn withdraw(tx: &mut Tx, id: &str, withdrawal: &Withdrawal) -> Result<bool, Error> {
    let report = withdrawal.report.as_ref();
    let changed = tx
        .execute(
            "UPDATE consents SET withdrawn_at = $2, to_settle = $2, withdrawal_reason = $3, withdrawn_by = $4, \
             reported_recipient = $5, reported_purpose = $6, version = version + 1 \
             WHERE id = $1 AND withdrawn_at IS NULL",
            args![
                id,
                withdrawal.at,
                withdrawal.reason.as_str(),
                report.map(|report| &report.by),
                report.and_then(|report| report.recipient.as_ref()),
                report.and_then(|report| report.purpose.as_ref()).map(PurposeCode::as_str),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// The records about a resident that were not withdrawn, by whomever, also those that have run out.
pub(super) async fn of_subject(query: &mut impl Query, subject: &str) -> Result<Vec<Consent>, Error> {
    let sql = select!("WHERE subject = $1 AND withdrawn_at IS NULL");
    let mut found: Vec<Consent> = query.rows(sql, args![subject]).await?.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|consent| consent.id);
    Ok(found)
}

/// Every record about a resident, in whatever state; one organisation's, or everyone's.
///
/// # Errors
/// When the database fails.
pub async fn about(query: &mut impl Query, subject: &str, by: Option<&Oin>) -> Result<Vec<Consent>, Error> {
    let rows = match by {
        Some(by) => query.rows(select!("WHERE subject = $1 AND organisation = $2"), args![subject, by]).await?,
        None => query.rows(select!("WHERE subject = $1"), args![subject]).await?,
    };
    let mut found: Vec<Consent> = rows.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|consent| consent.id);
    Ok(found)
}

/// Withdrawn records whose withdrawal has not been followed up, the longest waiting first; `after` is the last one of the page before.
pub(super) async fn to_settle(
    query: &mut impl Query,
    (after_at, after): (Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<(Timestamp, Uuid)>, Error> {
    let sql = "SELECT id, to_settle FROM consents WHERE to_settle IS NOT NULL AND (to_settle, id) > ($1, $2) \
               ORDER BY to_settle, id LIMIT $3";
    let rows = query.rows(sql, args![after_at, after, limit]).await?;
    rows.iter().map(|row| Ok((row.time("to_settle")?, row.parsed("id")?))).collect()
}

/// Notes that everything that follows from the withdrawal was written; whether nobody did so before.
pub(super) async fn settled(tx: &mut Tx, id: Uuid) -> Result<bool, Error> {
    let sql = "UPDATE consents SET to_settle = NULL WHERE id = $1 AND to_settle IS NOT NULL";
    Ok(tx.execute(sql, args![id]).await? == 1)
}

/// Which records to list.
pub(super) struct Filter<'a> {
    /// One organisation's; everyone's when absent.
    pub(super) organisation: Option<&'a Oin>,
    pub(super) kind: Option<&'a str>,
    pub(super) status: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// A page of records, newest first. One with a kind or a status looks at a window of them.
pub(super) async fn list(
    query: &mut impl Query,
    filter: &Filter<'_>,
    before: Option<&str>,
    limit: i64,
) -> Result<Found<Consent>, Error> {
    macro_rules! filtered {
        ($owner:literal) => {
            concat!(
                select!("WHERE "),
                $owner,
                "id < $1 AND id >= $3 AND ($4 = '' OR kind = $4) AND ($5 = '' \
                 OR ($5 = 'withdrawn' AND withdrawn_at IS NOT NULL) \
                 OR ($5 = 'upcoming' AND withdrawn_at IS NULL AND valid_from > $6) \
                 OR ($5 = 'active' AND withdrawn_at IS NULL AND valid_from <= $6 AND valid_until > $6) \
                 OR ($5 = 'expired' AND withdrawn_at IS NULL AND valid_from <= $6 AND valid_until <= $6)) \
                 ORDER BY id DESC LIMIT $2"
            )
        };
    }
    let before = before.unwrap_or(window::AFTER_ALL);
    let mut args = args![before, limit];
    let mut end = None;
    let narrow = filter.kind.is_some() || filter.status.is_some();
    if narrow {
        end = window_end(query, filter.organisation, before).await?;
        let (kind, status) = (filter.kind.unwrap_or_default(), filter.status.unwrap_or_default());
        args.extend(args![end.as_deref().unwrap_or_default(), kind, status, filter.now]);
    }
    let sql = match (filter.organisation, narrow) {
        (None, false) => select!("WHERE id < $1 ORDER BY id DESC LIMIT $2"),
        (Some(_), false) => select!("WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT $2"),
        (None, true) => filtered!(""),
        (Some(_), true) => filtered!("organisation = $7 AND "),
    };
    args.extend(filter.organisation.map(Into::into));
    let items = query.rows(sql, args).await?.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Found::new(items, limit, end))
}

async fn window_end(query: &mut impl Query, organisation: Option<&Oin>, before: &str) -> Result<Option<String>, Error> {
    const OWN: &str = "SELECT id FROM consents WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    const ALL: &str = "SELECT id FROM consents WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    let mut args = args![before, WINDOW - 1];
    let Some(organisation) = organisation else { return window::end(query, ALL, args).await };
    args.push(organisation.into());
    window::end(query, OWN, args).await
}

/// The records about a resident by this organisation that a decision may rest on.
///
/// # Errors
/// When the database fails.
pub async fn for_decision(
    query: &mut impl Query,
    subject: &str,
    organisation: &Oin,
) -> Result<Vec<ConsentRecord>, Error> {
    let sql = select!("WHERE subject = $1 AND organisation = $2 AND withdrawn_at IS NULL");
    let rows = query.rows(sql, args![subject, organisation]).await?;
    let mut records = rows.iter().map(|row| read(row).map(into_record)).collect::<Result<Vec<_>, _>>()?;
    // Here and not in the statement: SQLite would walk along all consents of the organisation to have them in this order.
    records.sort_unstable_by_key(|record| record.id);
    Ok(records)
}

fn into_record(consent: Consent) -> ConsentRecord {
    let recording = consent.recording;
    ConsentRecord {
        id: consent.id,
        kind: recording.kind,
        recorded_by: consent.organisation,
        given_by: recording.given_by,
        representative: recording.representative_kind,
        explicit: recording.explicit,
        recipients: recording.recipients,
        purposes: recording.purposes,
        categories: recording.categories,
        valid_from: recording.valid_from,
        valid_until: recording.valid_until,
        withdrawn_at: consent.withdrawal.map(|withdrawal| withdrawal.at),
    }
}

fn read(row: &Row) -> Result<Consent, Error> {
    let withdrawn_at: Option<Timestamp> = row.opt_time("withdrawn_at")?;
    let withdrawal = match withdrawn_at {
        None => None,
        Some(at) => {
            let report = match row.opt_parsed("withdrawn_by")? {
                None => None,
                Some(by) => Some(Report {
                    by,
                    recipient: row.opt_parsed("reported_recipient")?,
                    purpose: row.opt_parsed("reported_purpose")?,
                }),
            };
            Some(Withdrawal { at, reason: row.parsed::<WithdrawalReason>("withdrawal_reason")?, report })
        }
    };
    Ok(Consent {
        id: row.parsed("id")?,
        organisation: row.parsed("organisation")?,
        subject: row.text("subject")?,
        recording: Recording {
            kind: row.parsed::<RecordKind>("kind")?,
            given_by: row.parsed::<GivenBy>("given_by")?,
            representative_kind: row.opt_parsed::<RepresentativeKind>("representative_kind")?,
            explicit: row.flag("explicit")?,
            recipients: row.json("recipients")?,
            purposes: row.json("purposes")?,
            categories: row.json("categories")?,
            valid_from: row.time("valid_from")?,
            valid_until: row.time("valid_until")?,
            obtained_at: row.time("obtained_at")?,
            method: row.parsed::<Method>("method")?,
            evidence_ref: None,
        },
        recorded_at: row.time("recorded_at")?,
        withdrawal,
        version: row.int("version")?,
    })
}

/// The sealed reference to the evidence.
pub(super) async fn evidence(query: &mut impl Query, id: &str) -> Result<Option<Vec<u8>>, Error> {
    let row = query.row("SELECT evidence_ref FROM consents WHERE id = $1", args![id]).await?;
    row.map_or(Ok(None), |row| row.opt_bytes("evidence_ref"))
}
