//! The SQL of the audit log, and nothing else.
//!
//! Invariant: rows are read without belief. A value of an unexpected form, which only a hand outside the gateway can have put
//! there, reads as a value that fits no commitment, so that verification names the record instead of failing.

use std::time::Duration;

use super::merkle::Hash;
use super::record::{FIELDS, SealedRecord, StoredRecord};
use super::tiles::TileId;
use super::types::Field;
use crate::args;
use crate::clock::Timestamp;
use crate::storage::window::{self, Found, WINDOW};
use crate::storage::{Error, Insert, Otherwise, Query, Row, Tx, Value};

/// Stands for a value that cannot be read.
const UNREADABLE: &str = "\u{fffd}";

macro_rules! select_records {
    ($rest:literal) => {
        concat!(
            "SELECT entry, id, kind, time, organisation, client_id, request_id, trace_id, span_id, parent_span_id, action, \
             resource, sender, recipient, purpose, phase, legal_basis, processing_activity, covenant_version, policy_digest, \
             outcome, sections, consent_ids, subject, referral, update_id, decision, consent, status, status_reason, facts, salts, commitments, seal, refused, \
             leaf_index FROM audit_records ",
            $rest
        )
    };
}

/// A checkpoint as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredCheckpoint {
    pub tree_size: i64,
    pub root: Vec<u8>,
    pub created_at: Timestamp,
    pub previous: Vec<u8>,
    pub note: String,
    pub link: Vec<u8>,
}

/// A tile as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredTile {
    pub width: i64,
    pub hashes: Vec<u8>,
}

/// What the sequencer needs of a record.
#[derive(Debug, Clone)]
pub(super) struct Unsequenced {
    pub entry: i64,
    pub id: Option<String>,
    pub salts: Vec<u8>,
    pub commitments: Vec<u8>,
    pub seal: Vec<u8>,
}

/// Which records to list.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    pub organisation: Option<String>,
    pub referral: Option<String>,
    pub kind: Option<String>,
    pub purpose: Option<String>,
    pub trace_id: Option<String>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub before: Option<String>,
    pub limit: i64,
}

pub(super) fn insert(tx: &mut Tx, record: &SealedRecord) {
    static RECORDS: Insert = Insert {
        rank: 1,
        table: "audit_records",
        columns: &[
            "id",
            "kind",
            "time",
            "organisation",
            "client_id",
            "request_id",
            "trace_id",
            "span_id",
            "parent_span_id",
            "action",
            "resource",
            "sender",
            "recipient",
            "purpose",
            "phase",
            "legal_basis",
            "processing_activity",
            "covenant_version",
            "policy_digest",
            "outcome",
            "sections",
            "consent_ids",
            "subject",
            "referral",
            "update_id",
            "decision",
            "consent",
            "status",
            "status_reason",
            "facts",
            "salts",
            "commitments",
            "seal",
        ],
        conflict: "",
        otherwise: Otherwise::Fine,
    };
    let mut args: Vec<Value> = Field::ALL
        .iter()
        .zip(&record.values)
        .map(|(field, value)| if *field == Field::Time { record.time.into() } else { value.clone().into() })
        .collect();
    args.extend(args![record.salts.clone(), record.commitments.clone(), record.seal.clone()]);
    tx.append(&RECORDS, args);
}

fn read_record(row: &Row) -> Result<StoredRecord, Error> {
    let values: [Option<String>; FIELDS] = Field::ALL.map(|field| {
        let value = match field {
            Field::Time => row.time(field.as_str()).map(|time| Some(time.to_string())),
            _ => row.opt_text(field.as_str()),
        };
        value.unwrap_or_else(|_| Some(UNREADABLE.to_owned()))
    });
    Ok(StoredRecord {
        entry: row.int("entry")?,
        // Beyond every place that exists, so that verification finds it.
        leaf_index: row.opt_int("leaf_index").unwrap_or(Some(i64::MAX)),
        refused: row.flag("refused").unwrap_or(true),
        values,
        salts: row.bytes("salts").unwrap_or_default(),
        commitments: row.bytes("commitments").unwrap_or_default(),
        seal: row.bytes("seal").unwrap_or_default(),
    })
}

/// The records with a place in the log, from place `first` on, `limit` at most; of one place, those after `entry`.
pub(super) async fn sequenced_records(
    query: &mut impl Query,
    first: i64,
    entry: i64,
    limit: i64,
) -> Result<Vec<StoredRecord>, Error> {
    let sql = select_records!(
        "WHERE leaf_index >= $1 AND (leaf_index > $1 OR entry > $2) ORDER BY leaf_index, entry LIMIT $3"
    );
    query.rows(sql, args![first, entry, limit]).await?.iter().map(read_record).collect()
}

/// The identifiers of the records of a kind, with a place from this one on or with none.
pub(super) async fn ids_of_kind(query: &mut impl Query, kind: &str, from: i64) -> Result<Vec<String>, Error> {
    let sql = "SELECT id FROM audit_records WHERE kind = $1 AND leaf_index >= $2 ORDER BY leaf_index";
    let mut rows = query.rows(sql, args![kind, from]).await?;
    let sql = "SELECT id FROM audit_records WHERE kind = $1 AND leaf_index IS NULL ORDER BY entry";
    rows.extend(query.rows(sql, args![kind]).await?);
    rows.iter().map(|row| row.text("id")).collect()
}

/// The records without a place in the log, after row `entry`.
pub(super) async fn unsequenced_records(
    query: &mut impl Query,
    entry: i64,
    limit: i64,
) -> Result<Vec<StoredRecord>, Error> {
    let sql = select_records!("WHERE leaf_index IS NULL AND entry > $1 ORDER BY entry LIMIT $2");
    query.rows(sql, args![entry, limit]).await?.iter().map(read_record).collect()
}

/// What became of sections about a resident, in order of the identifiers, `limit` records at most: between these two. A pseudonym is that of one
/// organisation, whose records these are.
pub(super) async fn of_subject(
    query: &mut impl Query,
    pseudonym: &str,
    (first, before): (&str, &str),
    limit: i64,
) -> Result<Vec<StoredRecord>, Error> {
    let sql = select_records!(
        "WHERE subject = $1 AND sections IS NOT NULL AND kind <> 'check' AND id >= $2 AND id < $3 ORDER BY id LIMIT $4"
    );
    query.rows(sql, args![pseudonym, first, before, limit]).await?.iter().map(read_record).collect()
}

pub(super) async fn record(query: &mut impl Query, id: &str) -> Result<Option<StoredRecord>, Error> {
    query.row(select_records!("WHERE id = $1"), args![id]).await?.as_ref().map(read_record).transpose()
}

/// A page of records, newest first. One with a condition that no index serves looks at a window of them.
pub(super) async fn list(query: &mut impl Query, selection: &Selection) -> Result<Found<StoredRecord>, Error> {
    macro_rules! filtered {
        ($conditions:literal) => {
            concat!(
                select_records!("WHERE "),
                $conditions,
                " AND id < $2 AND id >= $4 AND (kind = $5 OR $5 IS NULL) AND (purpose = $6 OR $6 IS NULL) \
                 AND (trace_id = $7 OR $7 IS NULL) AND (time >= $8 OR $8 IS NULL) AND (time < $9 OR $9 IS NULL) \
                 ORDER BY id DESC LIMIT $3"
            )
        };
    }
    let before = selection.newest();
    let owner = selection.referral.as_deref().or(selection.organisation.as_deref());
    let mut args = args![owner, &before, selection.limit];
    // Statements of their own: one whose conditions may be absent is planned as if they never were.
    if selection.referral.is_none() && !selection.is_narrow() {
        let sql = match selection.organisation {
            Some(_) => select_records!("WHERE organisation = $1 AND id < $2 ORDER BY id DESC LIMIT $3"),
            None => select_records!("WHERE COALESCE($1, '') = '' AND id < $2 ORDER BY id DESC LIMIT $3"),
        };
        let items = query.rows(sql, args).await?.iter().map(read_record).collect::<Result<_, _>>()?;
        return Ok(Found::new(items, selection.limit, None));
    }
    // A referral has few records. Its index serves, also when an organisation is named: what is no plain column is in no index.
    let sql = match (&selection.referral, &selection.organisation) {
        (Some(_), Some(_)) => filtered!("referral = $1 AND COALESCE(organisation, '') = $10"),
        (Some(_), None) => filtered!("referral = $1"),
        (None, Some(_)) => filtered!("organisation = $1"),
        (None, None) => filtered!("COALESCE($1, '') = ''"),
    };
    let end = if selection.referral.is_none() { window_end(query, selection, &before).await? } else { None };
    let oldest = selection.oldest();
    // Where the window reaches beyond the time that is asked for, there is nothing to go on with.
    let end = end.filter(|end| *end > oldest);
    args.extend(args![
        end.clone().unwrap_or(oldest),
        selection.kind.as_deref(),
        selection.purpose.as_deref(),
        selection.trace_id.as_deref(),
        selection.from,
        selection.until,
    ]);
    if selection.referral.is_some() {
        args.extend(selection.organisation.as_deref().map(Value::from));
    }
    let items = query.rows(sql, args).await?.iter().map(read_record).collect::<Result<_, _>>()?;
    Ok(Found::new(items, selection.limit, end))
}

async fn window_end(query: &mut impl Query, selection: &Selection, before: &str) -> Result<Option<String>, Error> {
    const OF_ONE: &str =
        "SELECT id FROM audit_records WHERE organisation = $3 AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    const OF_ALL: &str = "SELECT id FROM audit_records WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2";
    let mut args = args![before, WINDOW - 1];
    let Some(organisation) = &selection.organisation else { return window::end(query, OF_ALL, args).await };
    args.push(organisation.as_str().into());
    window::end(query, OF_ONE, args).await
}

/// How far the time in the identifier of a record, which is drawn a moment later, may be from its own.
pub(super) const DRAWN_WITHIN: Duration = Duration::from_mins(1);

impl Selection {
    /// Whether it asks for something that no index serves.
    const fn is_narrow(&self) -> bool {
        let asks = self.kind.is_some() || self.purpose.is_some() || self.trace_id.is_some();
        asks || self.from.is_some() || self.until.is_some()
    }

    /// All records that it selects have smaller identifiers: these begin with the time.
    pub(super) fn newest(&self) -> String {
        let until = self.until.map(|until| first_of(until.plus(DRAWN_WITHIN)));
        let before = self.before.clone().unwrap_or_else(|| window::AFTER_ALL.to_owned());
        until.map_or(before.clone(), |until| until.min(before))
    }

    /// No record that it selects has a smaller identifier.
    pub(super) fn oldest(&self) -> String {
        self.from.map(|from| first_of(from.minus(DRAWN_WITHIN))).unwrap_or_default()
    }
}

/// The smallest identifier (UUID version 7) of a moment.
pub(super) fn first_of(moment: Timestamp) -> String {
    uuid::Builder::from_unix_timestamp_millis(moment.as_unix_millis(), &[0; 10]).into_uuid().to_string()
}

/// Erases values: their columns become empty, `salts` are those that remain.
pub(super) async fn erase(tx: &mut Tx, id: &str, fields: &[Field], salts: Vec<u8>) -> Result<(), Error> {
    let gone = |field| fields.contains(&field);
    tx.execute(
        "UPDATE audit_records SET salts = $2, \
         subject = CASE WHEN $3 = 1 THEN NULL ELSE subject END, \
         consent_ids = CASE WHEN $4 = 1 THEN NULL ELSE consent_ids END, \
         referral = CASE WHEN $5 = 1 THEN NULL ELSE referral END, \
         update_id = CASE WHEN $6 = 1 THEN NULL ELSE update_id END, \
         consent = CASE WHEN $7 = 1 THEN NULL ELSE consent END, \
         facts = CASE WHEN $8 = 1 THEN NULL ELSE facts END WHERE id = $1",
        args![
            id,
            salts,
            gone(Field::Subject),
            gone(Field::ConsentIds),
            gone(Field::Referral),
            gone(Field::UpdateId),
            gone(Field::Consent),
            gone(Field::Facts)
        ],
    )
    .await
    .map(drop)
}

/// Waits until no other gateway sequences; needed where several write to one database.
pub(super) async fn lock(tx: &mut Tx) -> Result<(), Error> {
    if tx.is_postgres() {
        // Any constant does; it only has to be the same in every gateway.
        tx.rows("SELECT pg_advisory_xact_lock(730582, hashtext(current_schema()))", args![]).await?;
    }
    Ok(())
}

pub(super) async fn unsequenced(tx: &mut Tx, limit: i64) -> Result<Vec<Unsequenced>, Error> {
    let rows = tx
        .rows(
            "SELECT entry, id, salts, commitments, seal FROM audit_records WHERE leaf_index IS NULL AND refused = 0 \
             ORDER BY entry LIMIT $1",
            args![limit],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Unsequenced {
                entry: row.int("entry")?,
                id: row.opt_text("id").unwrap_or_default(),
                salts: row.bytes("salts").unwrap_or_default(),
                commitments: row.bytes("commitments").unwrap_or_default(),
                seal: row.bytes("seal").unwrap_or_default(),
            })
        })
        .collect()
}

/// Gives the rows from `first` to `last`, which have no place yet, the places that begin with `index`.
pub(super) async fn give_places(tx: &mut Tx, first: i64, last: i64, index: i64) -> Result<u64, Error> {
    tx.execute(
        "UPDATE audit_records SET leaf_index = entry + $3 WHERE entry BETWEEN $1 AND $2 AND leaf_index IS NULL",
        args![first, last, index - first],
    )
    .await
}

pub(super) async fn refuse(tx: &mut Tx, entry: i64) -> Result<(), Error> {
    tx.execute("UPDATE audit_records SET refused = 1 WHERE entry = $1", args![entry]).await.map(drop)
}

pub(super) async fn tile(query: &mut impl Query, id: TileId) -> Result<Option<StoredTile>, Error> {
    let place = args![i64::from(id.level), as_i64(id.index)];
    let row = query.row("SELECT width, hashes FROM audit_tiles WHERE level = $1 AND tile = $2", place).await?;
    Ok(row.map(|row| StoredTile {
        width: row.int("width").unwrap_or(0),
        hashes: row.bytes("hashes").unwrap_or_default(),
    }))
}

pub(super) async fn put_tile(tx: &mut Tx, id: TileId, hashes: Vec<u8>) -> Result<(), Error> {
    let width = as_i64((hashes.len() / Hash::LENGTH) as u64);
    tx.execute(
        "INSERT INTO audit_tiles (level, tile, width, hashes) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (level, tile) DO UPDATE SET width = excluded.width, hashes = excluded.hashes",
        args![i64::from(id.level), as_i64(id.index), width, hashes],
    )
    .await
    .map(drop)
}

/// How many tiles there are, and how many hashes they hold together.
pub(super) async fn tile_totals(query: &mut impl Query) -> Result<(i64, i64), Error> {
    let row = query
        .row(
            "SELECT CAST(COUNT(*) AS BIGINT) AS tiles, CAST(COALESCE(SUM(width), 0) AS BIGINT) AS hashes FROM audit_tiles",
            args![],
        )
        .await?;
    match row {
        Some(row) => Ok((row.int("tiles")?, row.int("hashes")?)),
        None => Ok((0, 0)),
    }
}

fn read_checkpoint(row: &Row) -> Result<StoredCheckpoint, Error> {
    Ok(StoredCheckpoint {
        tree_size: row.int("tree_size")?,
        root: row.bytes("root").unwrap_or_default(),
        created_at: row.time("created_at").unwrap_or(Timestamp::from_micros(i64::MIN)),
        previous: row.bytes("previous").unwrap_or_default(),
        note: row.text("note").unwrap_or_default(),
        link: row.bytes("link").unwrap_or_default(),
    })
}

pub(super) async fn last_checkpoint(query: &mut impl Query) -> Result<Option<StoredCheckpoint>, Error> {
    let sql = "SELECT tree_size, root, created_at, previous, note, link FROM audit_checkpoints WHERE tree_size >= 0 \
               ORDER BY tree_size DESC LIMIT 1";
    query.row(sql, args![]).await?.as_ref().map(read_checkpoint).transpose()
}

/// The checkpoints of more than `size` leaves, smallest first.
pub(super) async fn checkpoints_above(
    query: &mut impl Query,
    size: i64,
    limit: i64,
) -> Result<Vec<StoredCheckpoint>, Error> {
    let sql = "SELECT tree_size, root, created_at, previous, note, link FROM audit_checkpoints WHERE tree_size > $1 \
               ORDER BY tree_size LIMIT $2";
    query.rows(sql, args![size, limit]).await?.iter().map(read_checkpoint).collect()
}

pub(super) async fn insert_checkpoint(tx: &mut Tx, checkpoint: StoredCheckpoint) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO audit_checkpoints (tree_size, root, created_at, previous, note, link) VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            checkpoint.tree_size,
            checkpoint.root,
            checkpoint.created_at,
            checkpoint.previous,
            checkpoint.note,
            checkpoint.link
        ],
    )
    .await
    .map(drop)
}

/// Sizes and places as the databases keep them; a log never comes near the end of 63 bits.
pub(super) fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
