//! The key store: a database of its own that holds a random share of the key of every section.
//!
//! The key of a section is made of the data key of its referral, which is in the gateway's database, and a share, which is here. Both are sealed under
//! the key-encryption key. So whoever has a backup of the database, and the configured key, reads nothing whose share was deleted here, and one
//! section can go without its neighbours. Invariants: a share is handed out once; it is read for each use and kept nowhere after it, so that what
//! was destroyed at another gateway is gone at once; a share that is missing, or a store that does not answer, opens nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::Mutex;
use uuid::Uuid;

use super::migrations::KEY_STORE;
use super::seal::{Key, SealError, Sealer};
use super::{Db, Error, Insert, Meters, Otherwise, Query as _, Row, StorageSettings, Tx};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Entropy;
use crate::problem::{Code, Problem};

/// How many shares are made at once: so many that making them costs a referral nothing.
const BATCH: usize = 256;
/// How long shares are kept in memory before there are sections for them. Those that are older are left behind.
const HANDED_OUT_WITHIN: Duration = Duration::from_hours(1);
/// After how long a share that no section uses was left behind, by a gateway that was stopped or a change that was refused.
const LEFT_BEHIND_AFTER: Duration = Duration::from_hours(24);
/// How many shares are looked for in one statement.
const TOGETHER: usize = 8;
/// How many are looked at in one step of the sweep.
const STEP: i64 = 256;

/// A share of the key of one section.
#[derive(Debug)]
pub struct Share {
    /// By what it is found again.
    pub id: Uuid,
    /// The share itself.
    pub key: Key,
    made_at: Timestamp,
}

/// The key store, open.
pub struct KeyStore {
    db: Db,
    sealer: Sealer,
    entropy: Entropy,
    /// Made, and not handed out yet; the oldest first.
    reserved: Mutex<Vec<Share>>,
}

impl KeyStore {
    /// Opens the store and brings its tables up to date.
    ///
    /// # Errors
    /// When the address is malformed, the database cannot be reached, or it is not one of key shares.
    pub async fn open(settings: &StorageSettings, sealer: Sealer, entropy: Entropy) -> Result<Self, Error> {
        let db = Db::open_as(settings, KEY_STORE, Meters::default()).await?;
        Ok(Self { db, sealer, entropy, reserved: Mutex::default() })
    }

    /// Brings the tables of a store up to date.
    ///
    /// # Errors
    /// As [`KeyStore::open`].
    pub async fn migrate(settings: &StorageSettings) -> Result<(), Error> {
        Db::open_as(settings, KEY_STORE, Meters::default()).await.map(drop)
    }

    /// Whether the content of this database was sealed with this store; at the first start the two are tied to each other. With another store, an empty
    /// one for example, nothing could be read, and it would look as if it had been erased.
    ///
    /// # Errors
    /// When one of the two does not answer.
    pub async fn belongs_to(&self, main: &Db) -> Result<bool, Problem> {
        let fresh = Uuid::from_bytes(self.entropy.bytes()?).to_string();
        let name = self.db.write("name-key-store", async move |tx: &mut Tx| {
            let sql = "INSERT INTO key_store_marks (name, value) VALUES ('store', $1) ON CONFLICT (name) DO NOTHING";
            tx.execute(sql, args![&fresh]).await?;
            let row = tx.row("SELECT value FROM key_store_marks WHERE name = 'store'", args![]).await?;
            Ok(row.map(|row| row.text("value")).transpose()?.unwrap_or_default())
        });
        let name = name.await?;
        main.write("tie-key-store", async move |tx: &mut Tx| {
            let sql = "INSERT INTO gateway_marks (name, value) VALUES ('key-store', $1) ON CONFLICT (name) DO NOTHING";
            tx.execute(sql, args![&name]).await?;
            let row = tx.row("SELECT value FROM gateway_marks WHERE name = 'key-store'", args![]).await?;
            Ok(row.map(|row| row.text("value")).transpose()?.is_some_and(|known| known == name))
        })
        .await
    }

    /// Hands out fresh shares.
    ///
    /// # Errors
    /// 503 when the store does not answer; internal when there is no randomness.
    pub async fn take(&self, count: usize, now: Timestamp) -> Result<Vec<Share>, Problem> {
        let mut reserved = self.reserved.lock().await;
        reserved.retain(|share| share.made_at.plus(HANDED_OUT_WITHIN) > now);
        if reserved.len() < count {
            let fresh = self.reserve(count.max(BATCH), now).await?;
            reserved.extend(fresh);
        }
        Ok(reserved.drain(..count).collect())
    }

    async fn reserve(&self, count: usize, now: Timestamp) -> Result<Vec<Share>, Problem> {
        static SHARES: Insert = Insert {
            rank: 1,
            table: "key_shares",
            columns: &["id", "sealed", "made_at"],
            conflict: "",
            otherwise: Otherwise::Fine,
        };
        let (mut shares, mut rows) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            let id = self.entropy.uuid(now)?;
            let (key, sealed) = self.sealer.new_share(&place(id))?;
            rows.push((id, sealed));
            shares.push(Share { id, key, made_at: now });
        }
        let made = self.db.write("make-key-shares", async move |tx: &mut Tx| {
            for (id, sealed) in &rows {
                tx.append(&SHARES, args![*id, sealed.clone(), now]);
            }
            Ok(())
        });
        made.await.map_err(|problem| out_of_reach(&problem))?;
        Ok(shares)
    }

    /// The shares with these ids, as far as they exist.
    ///
    /// # Errors
    /// 503 when the store does not answer; internal when one does not open.
    pub async fn find(&self, ids: &[Uuid]) -> Result<BTreeMap<Uuid, Key>, Problem> {
        let mut found = BTreeMap::new();
        for some in ids.chunks(TOGETHER) {
            let sql = "SELECT id, sealed FROM key_shares WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8)";
            let rows = self.db.reader().rows(sql, padded(some)).await.map_err(|error| unread(&error))?;
            for row in &rows {
                let (id, sealed) = read(row).map_err(|error| unread(&error))?;
                found.insert(id, self.open_share(id, &sealed)?);
            }
        }
        Ok(found)
    }

    fn open_share(&self, id: Uuid, sealed: &[u8]) -> Result<Key, SealError> {
        self.sealer.share(&place(id), sealed)
    }

    /// Destroys these shares: when it has answered, their bytes are gone from the store's own files. One that is gone already is no failure.
    ///
    /// # Errors
    /// When the store does not answer; then it is to be done again.
    pub async fn destroy(&self, ids: &[Uuid]) -> Result<(), Problem> {
        self.delete(ids.to_vec()).await?;
        self.db.leave_no_traces("VACUUM key_shares").await.map_err(|error| unread(&error))
    }

    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), Problem> {
        let deleted = self.db.write("destroy-key-shares", async move |tx: &mut Tx| {
            for some in ids.chunks(TOGETHER) {
                let sql = "DELETE FROM key_shares WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8)";
                tx.execute(sql, padded(some)).await?;
            }
            Ok(())
        });
        deleted.await.map_err(|problem| out_of_reach(&problem))
    }

    /// The next shares that were made so long ago that a section should use them; each is asked about once. None when all were.
    ///
    /// # Errors
    /// 503 when the store does not answer.
    pub async fn old(&self, now: Timestamp) -> Result<Option<Old>, Problem> {
        let (after_at, after) = self.asked_about().await.map_err(|error| unread(&error))?;
        let sql = "SELECT id, made_at FROM key_shares WHERE (made_at, id) > ($1, $2) AND made_at <= $3 \
                   ORDER BY made_at, id LIMIT $4";
        let until = now.minus(LEFT_BEHIND_AFTER);
        let rows = self.db.reader().rows(sql, args![after_at, after, until, STEP]).await;
        rows.and_then(|rows| Old::read(&rows)).map_err(|error| unread(&error))
    }

    /// Removes those of them that no section uses.
    ///
    /// # Errors
    /// 503 when the store does not answer.
    pub async fn swept(&self, old: Old, used: &BTreeSet<Uuid>) -> Result<(), Problem> {
        let Old { ids, mark } = old;
        self.delete(ids.into_iter().filter(|id| !used.contains(id)).collect()).await?;
        let note = self.db.write("note-sweep", async move |tx: &mut Tx| {
            let sql = "INSERT INTO key_store_marks (name, value) VALUES ('swept', $1) \
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            Ok(tx.execute(sql, args![&mark]).await.map(drop)?)
        });
        note.await.map_err(|problem| out_of_reach(&problem))
    }

    /// Up to where it was asked.
    async fn asked_about(&self) -> Result<(Timestamp, String), Error> {
        let row = self.db.reader().row("SELECT value FROM key_store_marks WHERE name = 'swept'", args![]).await?;
        let value = row.map(|row| row.text("value")).transpose()?.unwrap_or_default();
        let (at, id) = value.split_once('/').unwrap_or_default();
        Ok((Timestamp::from_micros(at.parse().unwrap_or(i64::MIN)), id.to_owned()))
    }

    /// Whether the store can be read.
    ///
    /// # Errors
    /// 503 when it does not answer.
    pub async fn answers(&self) -> Result<(), Problem> {
        self.find(&[Uuid::nil()]).await.map(drop)
    }
}

/// Shares that were made long ago.
#[derive(Debug)]
pub struct Old {
    ids: Vec<Uuid>,
    /// Of the last one.
    mark: String,
}

impl Old {
    fn read(rows: &[Row]) -> Result<Option<Self>, Error> {
        let Some(last) = rows.last() else { return Ok(None) };
        let mark = format!("{}/{}", last.time("made_at")?.as_micros(), last.text("id")?);
        let ids = rows.iter().map(|row| row.parsed("id")).collect::<Result<_, _>>()?;
        Ok(Some(Self { ids, mark }))
    }

    /// Which ones.
    #[must_use]
    pub fn ids(&self) -> &[Uuid] {
        &self.ids
    }
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyStore").finish_non_exhaustive()
    }
}

fn place(id: Uuid) -> String {
    format!("key_shares/sealed/{id}")
}

fn read(row: &Row) -> Result<(Uuid, Vec<u8>), Error> {
    Ok((row.parsed("id")?, row.bytes("sealed")?))
}

/// As many values as the statement has places; an empty text is no id.
fn padded(ids: &[Uuid]) -> super::Args {
    let empty = std::iter::repeat_with(|| String::new().into());
    ids.iter().map(|id| (*id).into()).chain(empty).take(TOGETHER).collect()
}

fn unread(error: &Error) -> Problem {
    out_of_reach(&Problem::storage(error))
}

/// Never [`Problem::is_transient`] nor stale: the change that needs a share has not begun, and is not to be run again by a writer.
fn out_of_reach(problem: &Problem) -> Problem {
    tracing::error!(%problem, "the key store does not answer");
    Problem::new(
        Code::Unavailable,
        "the keys of content cannot be had now; nothing was stored, try again after a moment",
    )
}
