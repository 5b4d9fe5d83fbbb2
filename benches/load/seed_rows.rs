//! Referrals in any number, each made anew from one that the gateway accepted: other identifiers, another resident, contents
//! sealed under a data key of their own, audit records with their own salts, commitments and seals. Those whose term has passed have
//! helped, and their case is closed: a gateway that has kept up has no others.
//!
//! Invariant: the gateway reads and verifies them like its own; what is copied are texts that are the same for all.

use std::collections::BTreeMap;

use sluis::app::App;
use sluis::audit::{Kind, Outcome as Decided, Record, SealedRecord, TraceContext};
use sluis::clock::Timestamp;
use sluis::storage::{Args, Value};
use sluis::subjects::Subject;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::template::{CASE, Cell, Example, Insert, Key, REFERRAL};
use crate::{Failure, Outcome};

/// Referrals about the same resident.
const PER_RESIDENT: u64 = 5;
const MONTH: std::time::Duration = std::time::Duration::from_hours(24 * 30);

/// The form that referrals are cast in.
pub struct Mould {
    records: Vec<Record>,
    tables: Vec<Insert>,
    /// The contents of the sections, in their order, and the answer kept for repeats, all in clear.
    sections: Vec<Zeroizing<Vec<u8>>>,
    answer: Zeroizing<Vec<u8>>,
    created_at: i64,
    /// How long its recipient has to receive it, in microseconds.
    term: i64,
    referral: String,
}

/// What one referral writes.
pub struct Cast {
    /// Its audit records.
    pub records: Vec<SealedRecord>,
    /// Its rows in each table of [`Mould::tables`].
    pub rows: Vec<Vec<Args>>,
}

/// What is new about a referral.
struct Fresh<'a> {
    app: &'a App,
    id: Uuid,
    case: Uuid,
    subject: Subject,
    time: Timestamp,
    /// Whether its term has passed.
    is_over: bool,
    repeat: Uuid,
    data_key: sluis::storage::seal::DataKey,
    wrapped_key: Vec<u8>,
}

fn text(insert: &Insert, row: &[Cell], column: &str) -> Option<String> {
    match cell(insert, row, column)? {
        Cell::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn cell<'a>(insert: &Insert, row: &'a [Cell], column: &str) -> Option<&'a Cell> {
    row.get(insert.columns.iter().position(|known| known == column)?)
}

fn missing(what: &str) -> Failure {
    format!("the example referral has no {what}").into()
}

fn bytes(insert: &Insert, row: &[Cell], column: &str) -> Outcome<Vec<u8>> {
    match cell(insert, row, column) {
        Some(Cell::Bytes(bytes)) => Ok(bytes.clone()),
        _ => Err(missing(column)),
    }
}

impl Mould {
    /// Opens what is sealed in the example.
    pub async fn of(app: &App, example: Example) -> Outcome<Self> {
        let Example { referral, repeat, inserts } = example;
        let (audit, mut tables): (Vec<Insert>, Vec<Insert>) =
            inserts.into_iter().partition(|insert| insert.table == "audit_records");
        for (table, column) in [("referrals", "outcome"), ("cases", "closed_at")] {
            for insert in tables.iter_mut().filter(|insert| insert.table == table) {
                insert.columns.push(column.to_owned());
                insert.rows.iter_mut().for_each(|row| row.push(Cell::Null));
            }
        }
        let by_name: BTreeMap<&str, &Insert> = tables.iter().map(|insert| (insert.table, insert)).collect();
        let find = |table: &str| by_name.get(table).copied().ok_or_else(|| missing(table));
        let (referrals, repeats) = (find("referrals")?, find("idempotency")?);
        let row = referrals.rows.first().ok_or_else(|| missing("row"))?;
        let key = app.sealer.data_key(&key_place(&referral), &bytes(referrals, row, "wrapped_key")?)?;
        let Some(Cell::Integer(created_at)) = cell(referrals, row, "created_at") else {
            return Err(missing("created_at"));
        };
        let Some(Cell::Integer(due_at)) = cell(referrals, row, "due_at") else {
            return Err(missing("due_at"));
        };
        let parts = find("referral_sections")?;
        let mut sections = Vec::with_capacity(parts.rows.len());
        for row in &parts.rows {
            let category = text(parts, row, "category").ok_or_else(|| missing("category"))?;
            let share = text(parts, row, "key_share").ok_or_else(|| missing("key share"))?.parse()?;
            let share = app.keys.find(&[share]).await?.remove(&share).ok_or_else(|| missing("share of a key"))?;
            let sealed = bytes(parts, row, "sealed")?;
            sections.push(key.with_share(&share).open(&section_place(&referral, &category), &sealed)?);
        }
        let row = repeats.rows.first().ok_or_else(|| missing("answer"))?;
        let scope = text(repeats, row, "scope").ok_or_else(|| missing("scope"))?;
        let answer = app.sealer.open(&repeat_place(&scope, &repeat), &bytes(repeats, row, "answer")?)?;
        let records = audit
            .iter()
            .flat_map(|insert| insert.rows.iter().map(|row| record(insert, row)))
            .collect::<Outcome<_>>()?;
        let term = due_at - created_at;
        Ok(Self { records, created_at: *created_at, term, sections, answer, tables, referral })
    }

    /// The tables that a referral writes to besides the audit log, in their order.
    pub fn tables(&self) -> &[Insert] {
        &self.tables
    }

    /// The referral with this number, handed over at this moment.
    pub fn cast(&self, app: &App, number: u64, time: Timestamp) -> Outcome<Cast> {
        let id = app.entropy.uuid(time)?;
        let (data_key, wrapped_key) = app.sealer.new_data_key(&key_place(&id.to_string()))?;
        let resident = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            format!("resident {}", number / PER_RESIDENT).as_bytes(),
        );
        let subject = Subject::from_stored(hex::encode(resident));
        let is_over = time.as_micros() + self.term < app.now().as_micros();
        let (case, repeat) = (app.entropy.uuid(time)?, app.entropy.uuid(time)?);
        let fresh = Fresh { app, id, case, subject, time, is_over, repeat, data_key, wrapped_key };
        let records = self.records.iter().map(|record| fresh.record(record)).collect::<Outcome<_>>()?;
        let rows = self.tables.iter().map(|insert| self.rows(insert, &fresh)).collect::<Outcome<_>>()?;
        Ok(Cast { records, rows })
    }

    fn rows(&self, insert: &Insert, fresh: &Fresh<'_>) -> Outcome<Vec<Args>> {
        let row = |(place, row): (usize, &Vec<Cell>)| {
            let cells = insert.columns.iter().zip(row);
            cells.map(|(column, cell)| self.value((insert, row, place), column, cell, fresh)).collect()
        };
        insert.rows.iter().enumerate().map(row).collect()
    }

    fn value(
        &self,
        (insert, row, place): (&Insert, &[Cell], usize),
        column: &str,
        cell: &Cell,
        fresh: &Fresh<'_>,
    ) -> Outcome<Value> {
        let id = fresh.id.to_string();
        Ok(match (insert.table, column, cell) {
            ("referrals", "status", _) if fresh.is_over => "completed".into(),
            ("referrals", "outcome", _) if fresh.is_over => "helped".into(),
            ("referrals", "holder" | "duty", _) if fresh.is_over => Value::Text(None),
            ("referrals", "due_at", _) if fresh.is_over => Value::Integer(None),
            ("cases", "closed_at", _) => Value::Integer(fresh.is_over.then(|| fresh.time.as_micros() + self.term)),
            (_, _, Cell::Key(REFERRAL)) => id.into(),
            (_, _, Cell::Key(CASE)) => fresh.case.into(),
            (_, _, Cell::Key(Key::Resident)) => fresh.subject.as_str().into(),
            (_, _, Cell::Key(Key::Pseudonym)) => {
                let organisation = text(insert, row, "organisation").ok_or_else(|| missing("organisation"))?;
                fresh.app.pseudonyms.for_organisation(&fresh.subject, &organisation.parse()?).into()
            }
            ("idempotency", "key", _) => fresh.repeat.into(),
            (_, _, Cell::Key(Key::Fresh(_))) => fresh.app.entropy.uuid(fresh.time)?.into(),
            (_, "wrapped_key", _) => fresh.wrapped_key.clone().into(),
            // Under the data key alone, as what was given before there was a key store.
            (_, "key_share", _) => Value::Text(None),
            (_, "sealed", _) => {
                let category = text(insert, row, "category").ok_or_else(|| missing("category"))?;
                let plain = self.sections.get(place).ok_or_else(|| missing("section"))?;
                fresh.data_key.seal(&section_place(&id, &category), plain)?.into()
            }
            ("idempotency", "answer", _) => {
                let scope = text(insert, row, "scope").ok_or_else(|| missing("scope"))?;
                fresh.app.sealer.seal(&repeat_place(&scope, &fresh.repeat.to_string()), &self.answer)?.into()
            }
            ("idempotency", "expires_at", _) => fresh.time.plus(MONTH).into(),
            (_, "created_at" | "updated_at" | "opened_at" | "time" | "stated_at", Cell::Integer(_)) => {
                fresh.time.into()
            }
            (_, "due_at", Cell::Integer(due)) => (fresh.time.as_micros() + due - self.created_at).into(),
            (_, _, Cell::Text(text)) => text.replace(&self.referral, &id).into(),
            (_, _, Cell::Null) => Value::Text(None),
            (_, _, Cell::Integer(number)) => (*number).into(),
            (_, _, Cell::Bytes(bytes)) => bytes.clone().into(),
        })
    }
}

impl Fresh<'_> {
    fn record(&self, example: &Record) -> Outcome<SealedRecord> {
        let record = Record {
            id: self.app.entropy.uuid(self.time)?,
            time: self.time,
            subject: Some(self.app.pseudonyms.for_organisation(&self.subject, &example.organisation)),
            referral: Some(self.id.to_string()),
            ..example.clone()
        };
        Ok(SealedRecord::new(&record, &self.app.entropy, &self.app.sealer)?)
    }
}

/// A record as it was before it was sealed, from its columns.
fn record(insert: &Insert, row: &[Cell]) -> Outcome<Record> {
    let text = |column| text(insert, row, column);
    let json = |column| text(column).map(|text| serde_json::from_str(&text)).transpose();
    let organisation = text("organisation").ok_or_else(|| missing("organisation"))?.parse()?;
    let mut record = Record::new(Uuid::nil(), Kind::Decision, Timestamp::from_micros(0), organisation);
    record.client_id = text("client_id");
    record.request_id = text("request_id");
    record.trace =
        TraceContext { trace_id: text("trace_id"), span_id: text("span_id"), parent_span_id: text("parent_span_id") };
    record.sender = text("sender").map(|oin| oin.parse()).transpose()?;
    record.recipient = text("recipient").map(|oin| oin.parse()).transpose()?;
    record.purpose = text("purpose");
    record.phase = text("phase");
    record.legal_basis = text("legal_basis");
    record.processing_activity = text("processing_activity");
    record.covenant_version = text("covenant_version");
    record.policy_digest = text("policy_digest");
    record.outcome = text("outcome").as_deref().and_then(Decided::from_word);
    record.sections = text("sections").map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default();
    record.facts = json("facts")?;
    Ok(record)
}

// The places to which contents are sealed, as the gateway names them; it would not open them elsewhere.

fn key_place(referral: &str) -> String {
    format!("referrals/wrapped_key/{referral}")
}

fn section_place(referral: &str, category: &str) -> String {
    format!("referral_sections/sealed/{referral}/referral/{category}")
}

fn repeat_place(scope: &str, key: &str) -> String {
    format!("idempotency/answer/{scope}/{key}")
}
