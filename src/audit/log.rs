//! The sequencer's work: giving committed records their place in the log, extending the tree, signing a checkpoint.
//!
//! Invariants: all of it happens in one transaction; only records whose seal fits are taken; the tree is extended only if
//! the tiles in the database still give the root of the last checkpoint, and only if this gateway signed that.
//! Nothing is remembered between runs, so any process may do the next one.

use super::checkpoint::{Checkpoint, CheckpointSigner, Link, SigningFailed, VerifierKey};
use super::merkle::{Frontier, Hash, Head, leaf_hash};
use super::record::{Seals, commits_to_id, leaf_of};
use super::store::{self, StoredCheckpoint, Unsequenced, as_i64};
use super::tiles::{Tiles, right_edge};
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::storage::{self, Query, Tx};

/// At most so many records are sequenced in one transaction.
const BATCH: i64 = 1_024;

/// Why the log cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The checkpoint cannot be signed.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
    /// What the database holds is not what was signed; nothing is appended to a tree in that state.
    #[error("the audit log was altered ({0}); run sluis audit verify")]
    Altered(&'static str),
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Storage(error) => Self::storage(&error),
            other => Self::internal(&other.to_string()),
        }
    }
}

/// What a run of the sequencer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequenced {
    /// Records that got a place.
    pub taken: u64,
    /// Records that were refused, because the gateway did not write them.
    pub refused: u64,
    /// Whether there may be more to do at once.
    pub more: bool,
    /// Size and root of the tree now.
    pub head: Head,
}

/// Takes records that have no place yet into the log, and signs a checkpoint over the new tree. The first run signs the
/// checkpoint of the empty log. `keys` are all keys with which this gateway signed or signs checkpoints; they must follow from
/// private keys that open under a key outside the database, for a column is no ground of trust. Ask for signer and keys
/// before the transaction begins: a key that is due for a successor gets it in a transaction of its own.
///
/// # Errors
/// [`LogError`]; then the transaction must not be committed.
pub async fn sequence(
    tx: &mut Tx,
    now: Timestamp,
    signer: &dyn CheckpointSigner,
    keys: &[VerifierKey],
    seals: &impl Seals,
) -> Result<Sequenced, LogError> {
    store::lock(tx).await?;
    let last = store::last_checkpoint(tx).await?;
    let (mut frontier, mut tiles) = reopen(tx, last.as_ref(), keys).await?;
    let rows = store::unsequenced(tx, BATCH).await?;
    let found = rows.len();
    let (taken, leaves, refused) = sift(rows, seals);
    for entry in &refused {
        store::refuse(tx, *entry).await?;
        tracing::error!(entry, "an audit record that the gateway did not write was refused; run sluis audit verify");
    }
    number(tx, &taken, frontier.size()).await?;
    let mut touched = std::collections::BTreeSet::new();
    for leaf in leaves {
        frontier.append(leaf, |node, hash| touched.extend(tiles.complete(node, hash)));
    }
    for id in touched {
        store::put_tile(tx, id, tiles.bytes(id)).await?;
    }
    let head = Head { size: frontier.size(), root: frontier.root() };
    if last.is_none() || !taken.is_empty() {
        store::insert_checkpoint(tx, checkpoint(head, now, last.as_ref(), signer)?).await?;
    }
    let more = as_i64(found as u64) == BATCH;
    Ok(Sequenced { taken: taken.len() as u64, refused: refused.len() as u64, more, head })
}

/// Reads the right edge of the tree and compares it with the last checkpoint.
async fn reopen(
    query: &mut impl Query,
    last: Option<&StoredCheckpoint>,
    keys: &[VerifierKey],
) -> Result<(Frontier, Tiles), LogError> {
    let mut tiles = Tiles::new();
    let Some(last) = last else { return Ok((Frontier::new(), tiles)) };
    let signed = Checkpoint::open(&last.note, keys).map_err(|_| LogError::Altered("its last checkpoint"))?;
    if as_i64(signed.head.size) != last.tree_size {
        return Err(LogError::Altered("its last checkpoint"));
    }
    for (id, width) in right_edge(signed.head.size) {
        let stored = store::tile(query, id).await?.ok_or(LogError::Altered("a tile is missing"))?;
        if stored.width != as_i64(width) || !tiles.insert(id, &stored.hashes) {
            return Err(LogError::Altered("a tile"));
        }
    }
    let frontier = tiles.frontier(signed.head.size).ok_or(LogError::Altered("a tile"))?;
    if frontier.root() == signed.head.root { Ok((frontier, tiles)) } else { Err(LogError::Altered("its tiles")) }
}

/// Parts the rows that the gateway wrote, with their leaf hashes, from those that it did not.
fn sift(rows: Vec<Unsequenced>, seals: &impl Seals) -> (Vec<i64>, Vec<Hash>, Vec<i64>) {
    let (mut taken, mut leaves, mut refused) = (Vec::with_capacity(rows.len()), Vec::new(), Vec::new());
    for row in rows {
        let own = |_: &Vec<u8>| commits_to_id(&row.commitments, &row.salts, row.id.as_deref());
        match leaf_of(&row.commitments).filter(|leaf| seals.fits(leaf, &row.seal)).filter(own) {
            Some(leaf) => {
                taken.push(row.entry);
                leaves.push(leaf_hash(&leaf));
            }
            None => refused.push(row.entry),
        }
    }
    (taken, leaves, refused)
}

/// Gives rows their places, one statement for each run of consecutive rows.
async fn number(tx: &mut Tx, entries: &[i64], size: u64) -> Result<(), LogError> {
    let mut index = as_i64(size);
    for run in entries.chunk_by(|left, right| left + 1 == *right) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let given = store::give_places(tx, *first, *last, index).await?;
        if given != run.len() as u64 {
            return Err(LogError::Storage(storage::Error::Conflict));
        }
        index += as_i64(given);
    }
    Ok(())
}

fn checkpoint(
    head: Head,
    now: Timestamp,
    last: Option<&StoredCheckpoint>,
    signer: &dyn CheckpointSigner,
) -> Result<StoredCheckpoint, SigningFailed> {
    let note = Checkpoint::sign(head, signer)?;
    let previous = last.map_or_else(Link::first, |last| Hash::of(last.note.as_bytes()));
    let link = Link { previous, time: now, note: Hash::of(note.as_bytes()) }.sign(signer)?;
    Ok(StoredCheckpoint {
        tree_size: as_i64(head.size),
        root: head.root.as_bytes().to_vec(),
        created_at: now,
        previous: previous.as_bytes().to_vec(),
        note,
        link,
    })
}
