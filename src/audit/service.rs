//! The use cases of the audit log: writing, reading, proving, erasing.
//!
//! Invariants: a record is written in the transaction of what it is about; a reader sees its own organisation's records,
//! or with `audit:read` all of them, and of another's never the resident or the facts, nor of its own what another recorded about the
//! resident; a record that one may not see and one that does not exist give the same answer.

use serde_json::Value;

use super::commitment::Salt;
use super::merkle::{Hash, inclusion_ranges};
use super::record::{SealedRecord, Seals, StoredRecord, leaf_of};
use super::store::{self, Selection};
use super::tiles::{TILE_WIDTH, TileId, TilePath, Tiles, tiles_for};
use super::types::{Field, Kind};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::policy::Action;
use crate::problem::{Code, Problem};
use crate::storage::seal::Sealer;
use crate::storage::window::Found;
use crate::storage::{Error, Query, Tx};

/// What the key that seals records is derived for.
const SEAL_PURPOSE: &str = "audit record seal v1";

impl Seals for Sealer {
    fn seal(&self, leaf: &[u8]) -> Vec<u8> {
        self.mac(SEAL_PURPOSE, leaf).to_vec()
    }

    fn fits(&self, leaf: &[u8], seal: &[u8]) -> bool {
        self.verify_mac(SEAL_PURPOSE, leaf, seal)
    }
}

/// Writes a record in the transaction of what it is about, and asks for it to be sequenced after the commit. When the database
/// does not take it, the transaction is lost.
pub fn write(tx: &mut Tx, record: &SealedRecord) {
    store::insert(tx, record);
    tx.wake_sequencer();
}

/// Erases values of a record, with their salts. The tree stays as it is: the commitments are left.
///
/// # Errors
/// When a field may not be erased, the record does not exist, or the database fails.
pub async fn erase(tx: &mut Tx, id: &str, fields: &[Field]) -> Result<(), Problem> {
    if fields.iter().any(|field| !field.may_be_erased()) {
        return Err(Problem::internal("a field of the audit log that must stay was to be erased"));
    }
    let record = store::record(tx, id).await?.ok_or_else(Problem::not_found)?;
    erase_from(tx, &record, fields).await
}

/// The same, of a record that was read; the fields are ones that may be erased.
pub(super) async fn erase_from(tx: &mut Tx, record: &StoredRecord, fields: &[Field]) -> Result<(), Problem> {
    let id = record.value(Field::Id).ok_or_else(|| Problem::internal("an audit record has no identifier"))?;
    let mut salts = Vec::with_capacity(record.salts.len());
    for field in Field::ALL {
        let salt = record.salt(field).ok_or_else(|| Problem::internal("an audit record has no salts"))?;
        salts.extend_from_slice(&if fields.contains(&field) { Salt::ERASED.0 } else { salt.0 });
    }
    Ok(store::erase(tx, id, fields, salts).await?)
}

/// Who reads, and with which right.
#[derive(Debug, Clone)]
pub struct AuditReader {
    /// The organisation of the caller.
    pub organisation: Oin,
    /// Whether it may read every organisation's records (scope `audit:read`).
    pub reads_all: bool,
}

impl AuditReader {
    fn owns(&self, record: &StoredRecord) -> bool {
        record.value(Field::Organisation) == Some(self.organisation.as_str())
    }

    fn may_see(&self, record: &StoredRecord) -> bool {
        self.reads_all || self.owns(record)
    }

    /// Whether this reader may see this field of this record. The resident's pseudonym is the owner's own, and would
    /// link residents across organisations; the facts are the owner's case. What an organisation notes about a resident of its own shows others that it did and
    /// nothing else, so that one such note looks as any other.
    #[must_use]
    pub fn may_see_field(&self, record: &StoredRecord, field: Field) -> bool {
        let of_others = || match field {
            Field::Subject | Field::Facts => false,
            Field::Id | Field::Kind | Field::Time | Field::Organisation => true,
            _ => record.value(Field::Kind) != Some(Kind::Subject.as_str()),
        };
        self.owns(record) || (self.reads_all && of_others())
    }

    /// Whether this reader may have the salt of a field that it sees. The facts of a note may hold what the referral's sender recorded, which its
    /// giver does not see; without that nobody can recompute their commitment. Of no note, so that it does not show for which there is something.
    #[must_use]
    pub fn may_open(&self, record: &StoredRecord, field: Field) -> bool {
        self.may_see_field(record, field) && !(field == Field::Facts && is_of_note(record))
    }
}

/// Whether the facts of a record are those of what goes back to the sender of a referral.
fn is_of_note(record: &StoredRecord) -> bool {
    let facts = record.value(Field::Facts).and_then(|facts| serde_json::from_str::<Value>(facts).ok());
    facts.is_some_and(|facts| facts.get("action").and_then(Value::as_str) == Some(Action::Note.as_str()))
}

/// The facts of a decision as the organisation of its record sees them: without what others recorded about the resident.
#[must_use]
pub fn own_facts(mut facts: Value, own: &Oin) -> Value {
    if let Some(records) = facts.get_mut("records").and_then(Value::as_array_mut) {
        records.retain(|record| record.get("recordedBy").and_then(Value::as_str) == Some(own.as_str()));
    }
    facts
}

/// Which records to list; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose records.
    pub organisation: Option<Oin>,
    /// About what, a code of [`super::Kind`].
    pub kind: Option<String>,
    /// For which purpose.
    pub purpose: Option<String>,
    /// About which referral.
    pub referral: Option<String>,
    /// Made in which trace.
    pub trace_id: Option<String>,
    /// Made at this moment or later.
    pub from: Option<Timestamp>,
    /// Made before this moment.
    pub until: Option<Timestamp>,
    /// Older than the record with this identifier.
    pub before: Option<String>,
    /// At most so many.
    pub limit: i64,
}

/// The records that this reader may see, newest first. With a condition other than the owner or the referral a page looks at a window of
/// them and may end before it is full.
///
/// # Errors
/// When the database fails.
pub async fn list(query: &mut impl Query, reader: &AuditReader, filter: Filter) -> Result<Found<StoredRecord>, Error> {
    let own = reader.organisation.as_str();
    let organisation = match filter.organisation {
        Some(asked) if !reader.reads_all && asked.as_str() != own => {
            return Ok(Found { items: Vec::new(), resume: None });
        }
        Some(asked) => Some(asked.to_string()),
        None if reader.reads_all => None,
        None => Some(own.to_owned()),
    };
    let selection = Selection {
        organisation,
        referral: filter.referral,
        kind: filter.kind,
        purpose: filter.purpose,
        trace_id: filter.trace_id,
        from: filter.from,
        until: filter.until,
        before: filter.before,
        limit: filter.limit,
    };
    store::list(query, &selection).await
}

/// What the log says became of sections about the resident whom an organisation knows by this pseudonym: its own records, in their order, from `from` on and
/// before `until`, `limit` at most.
///
/// # Errors
/// When the database fails.
pub async fn of_subject(
    query: &mut impl Query,
    pseudonym: &str,
    (from, until): (Option<Timestamp>, Option<Timestamp>),
    limit: i64,
) -> Result<Vec<StoredRecord>, Error> {
    let selection = Selection { from, until, ..Selection::default() };
    store::of_subject(query, pseudonym, (&selection.oldest(), &selection.newest()), limit).await
}

/// No record that was made at this moment or later has a smaller identifier.
#[must_use]
pub fn first_id_at(moment: Timestamp) -> String {
    store::first_of(moment.minus(store::DRAWN_WITHIN))
}

/// One record that this reader may see.
///
/// # Errors
/// Not found when there is none, or not for this reader; or when the database fails.
pub async fn read(query: &mut impl Query, reader: &AuditReader, id: &str) -> Result<StoredRecord, Problem> {
    let record = store::record(query, id).await?;
    record.filter(|record| reader.may_see(record)).ok_or_else(Problem::not_found)
}

/// The opening of a commitment: with name, salt and value anyone can recompute it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The field.
    pub field: Field,
    /// Its salt.
    pub salt: Salt,
    /// Its value; none when the record does not have the field.
    pub value: Option<String>,
}

/// Everything that is needed to check offline that a record is in the log, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The canonical bytes of the leaf: the commitments to all fields.
    pub leaf: Vec<u8>,
    /// The openings of the fields that the reader may see.
    pub openings: Vec<Opening>,
    /// The place of the leaf.
    pub leaf_index: u64,
    /// The inclusion path, from the leaf upwards.
    pub path: Vec<Hash>,
    /// The size of the tree of the checkpoint.
    pub tree_size: u64,
    /// The signed checkpoint.
    pub checkpoint: String,
}

/// The proof that a record is in the log, under the last checkpoint.
///
/// # Errors
/// Not found as for [`read`]; a conflict when the record has no place in the log yet; internal when the tree cannot give
/// the proof.
pub async fn prove(query: &mut impl Query, reader: &AuditReader, id: &str) -> Result<Proof, Problem> {
    let record = read(query, reader, id).await?;
    let checkpoint = store::last_checkpoint(query).await?;
    let size = checkpoint.as_ref().and_then(|last| u64::try_from(last.tree_size).ok()).unwrap_or(0);
    let index = record.leaf_index.and_then(|index| u64::try_from(index).ok()).filter(|index| *index < size);
    let (Some(checkpoint), Some(leaf_index)) = (checkpoint, index) else {
        return Err(Problem::new(Code::Conflict, "the record has no place in the log yet; ask again in a second"));
    };
    let ranges = inclusion_ranges(leaf_index, size);
    let mut tiles = Tiles::new();
    for id in tiles_for(&ranges) {
        if let Some(stored) = store::tile(query, id).await? {
            tiles.insert(id, &stored.hashes);
        }
    }
    let path = tiles.proof(&ranges).ok_or_else(|| Problem::internal("the tiles of the audit log are not whole"))?;
    let leaf = leaf_of(&record.commitments).ok_or_else(|| Problem::internal("an audit record has no commitments"))?;
    let openings = openings(reader, &record);
    Ok(Proof { leaf, openings, leaf_index, path, tree_size: size, checkpoint: checkpoint.note })
}

fn openings(reader: &AuditReader, record: &StoredRecord) -> Vec<Opening> {
    Field::ALL
        .into_iter()
        .filter(|field| reader.may_open(record, *field))
        .filter_map(|field| {
            let salt = record.salt(field).filter(|salt| !salt.is_erased())?;
            Some(Opening { field, salt, value: record.value(field).map(str::to_owned) })
        })
        .collect()
}

/// The last signed checkpoint, as it is published.
///
/// # Errors
/// When the database fails.
pub async fn last_checkpoint(query: &mut impl Query) -> Result<Option<String>, Error> {
    Ok(store::last_checkpoint(query).await?.map(|checkpoint| checkpoint.note))
}

/// The hashes of a published tile, as wide as was asked for; none when the log has not grown so far.
///
/// # Errors
/// When the database fails.
pub async fn published_tile(query: &mut impl Query, path: TilePath) -> Result<Option<Vec<u8>>, Error> {
    let id = TileId { level: path.id.level, index: path.id.index };
    let Some(stored) = store::tile(query, id).await? else { return Ok(None) };
    let wanted = usize::try_from(path.width.min(TILE_WIDTH)).unwrap_or(0) * Hash::LENGTH;
    Ok(stored.hashes.get(..wanted).map(<[u8]>::to_vec))
}

/// The record with this id, whoever's it is; for commands of the operator.
///
/// # Errors
/// When the database fails.
pub async fn find(query: &mut impl Query, id: &str) -> Result<Option<StoredRecord>, Error> {
    store::record(query, id).await
}
