//! What can lead to a person goes from records that have had their term; the record stays in its place, and the log as it is.
//!
//! Invariants: records are come by in the order of their places, each once, none before it has a place; in each record of a kind that may lead to a
//! person the same fields go, whether they hold something or not, so that nobody sees which did.

use super::record::StoredRecord;
use super::service::erase_from;
use super::store;
use super::types::{Field, Kind};
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::storage::{Error, Query, Tx};

/// How many records are come by in one transaction.
const STEP: i64 = 200;

/// What one step came by.
#[derive(Debug, Clone, Default)]
pub struct Expired {
    /// The records whose values it erased, with when they were written.
    pub records: Vec<(String, Timestamp)>,
    /// The last place that it came by; none where nothing is old enough.
    pub last: Option<u64>,
}

/// Waits until no other gateway sequences or erases.
///
/// # Errors
/// When the database fails.
pub async fn lock(tx: &mut Tx) -> Result<(), Error> {
    store::lock(tx).await
}

/// Erases what can lead to a person from records written before this moment, from this place on: one step of it. Whoever calls holds the lock of the log
/// (`lock`), so that no two do the same.
///
/// # Errors
/// When the database fails, or a record is not as the gateway writes them: what cannot be read is not touched.
pub async fn expire(tx: &mut Tx, from: u64, before: Timestamp) -> Result<Expired, Problem> {
    let fields: Vec<Field> = Field::ALL.into_iter().filter(|field| field.may_be_erased()).collect();
    let mut expired = Expired::default();
    for record in store::sequenced_records(tx, store::as_i64(from), i64::MIN, STEP).await? {
        let written = record.value(Field::Time).and_then(|time| time.parse::<Timestamp>().ok());
        let written = written.ok_or_else(|| Problem::internal("a record of the log has no time; verify the log"))?;
        if written >= before {
            break;
        }
        if may_lead_to_a_person(&record) {
            erase_from(tx, &record, &fields).await?;
            expired.records.push((record.value(Field::Id).unwrap_or_default().to_owned(), written));
        }
        expired.last = record.leaf_index.and_then(|place| u64::try_from(place).ok());
    }
    Ok(expired)
}

/// A kind that nobody knows may lead to anybody.
fn may_lead_to_a_person(record: &StoredRecord) -> bool {
    let kind = record.value(Field::Kind).and_then(|kind| kind.parse::<Kind>().ok());
    kind.is_none_or(Kind::may_lead_to_a_person)
}

/// What is left in places of the log that were come by.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    /// The records of which nothing is left that can lead to a person.
    pub erased: Vec<String>,
    /// How many others of their kinds there are.
    pub left: usize,
}

/// What is left in these places, both included.
///
/// # Errors
/// When the database fails.
pub async fn remains(query: &mut impl Query, (first, last): (u64, u64)) -> Result<Remains, Error> {
    let (mut remains, mut position) = (Remains::default(), (store::as_i64(first), i64::MIN));
    loop {
        let page = store::sequenced_records(query, position.0, position.1, STEP).await?;
        let Some(end) = page.last() else { return Ok(remains) };
        position = (end.leaf_index.unwrap_or(i64::MAX), end.entry);
        for record in &page {
            if record.leaf_index > Some(store::as_i64(last)) {
                return Ok(remains);
            }
            let gone =
                |field: Field| record.value(field).is_none() && record.salt(field).is_some_and(|salt| salt.is_erased());
            match record.value(Field::Id) {
                _ if !may_lead_to_a_person(record) => {}
                Some(id) if Field::ALL.into_iter().filter(|field| field.may_be_erased()).all(gone) => {
                    remains.erased.push(id.to_owned());
                }
                _ => remains.left += 1,
            }
        }
    }
}

/// The records about removals with a place from this one on, and those without one.
///
/// # Errors
/// When the database fails.
pub async fn retention_records(query: &mut impl Query, from: u64) -> Result<Vec<String>, Error> {
    store::ids_of_kind(query, Kind::Retention.as_str(), store::as_i64(from)).await
}
