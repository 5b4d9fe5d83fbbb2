//! One suite for both databases: SQLite, and PostgreSQL where `SLUIS_TEST_POSTGRES` names a server.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use super::revisions::{self, Revisions};
use super::seal::{Key, Sealer};
use super::{Db, Error, Ground, Insert, KeyStore, Otherwise, Query as _, StorageSettings, Tx};
use crate::args;
use crate::clock::Timestamp;
use crate::ids::Entropy;
use crate::problem::{Code, Problem};

/// A database of its own for one test, with a table to write in.
struct Place {
    settings: StorageSettings,
    folder: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn postgres() -> Option<String> {
    std::env::var("SLUIS_TEST_POSTGRES").ok().filter(|server| !server.is_empty())
}

fn leaked(sql: String) -> &'static str {
    Box::leak(sql.into_boxed_str())
}

impl Place {
    async fn new() -> Self {
        let name = format!("storage_{}", uuid::Uuid::now_v7().simple());
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir(&folder).unwrap();
        let url = match postgres() {
            None => format!("sqlite:{}", folder.join("sluis.db").display()),
            Some(server) => {
                let settings = StorageSettings { url: server.clone(), readers: 1, writers: 1 };
                let sql = leaked(format!("CREATE SCHEMA {name}"));
                let create = async move |tx: &mut Tx| Ok(tx.execute(sql, args![]).await?);
                Db::open(&settings).await.unwrap().write("schema", create).await.unwrap();
                format!("{server}?options=-csearch_path%3D{name}")
            }
        };
        Self { settings: StorageSettings { url, readers: 2, writers: 2 }, folder }
    }

    async fn open(&self) -> Db {
        Db::open(&self.settings).await.unwrap()
    }

    async fn with_table(&self) -> Db {
        let db = self.open().await;
        let create = async move |tx: &mut Tx| {
            tx.execute(
                "CREATE TABLE IF NOT EXISTS numbers (number BIGINT PRIMARY KEY, times BIGINT NOT NULL)",
                args![],
            )
            .await?;
            Ok(())
        };
        db.write("table", create).await.unwrap();
        let create = async move |tx: &mut Tx| {
            let key = if tx.is_postgres() { "BIGSERIAL PRIMARY KEY" } else { "INTEGER PRIMARY KEY AUTOINCREMENT" };
            let sql = leaked(format!("CREATE TABLE IF NOT EXISTS lines (entry {key}, text TEXT NOT NULL)"));
            tx.execute(sql, args![]).await?;
            Ok(())
        };
        db.write("table", create).await.unwrap();
        db
    }
}

static LINES: Insert = Insert { rank: 0, table: "lines", columns: &["text"], conflict: "", otherwise: Otherwise::Fine };

async fn insert(tx: &mut Tx, number: i64) -> Result<(), Problem> {
    tx.execute("INSERT INTO numbers (number, times) VALUES ($1, 1)", args![number]).await?;
    Ok(())
}

async fn numbers(db: &Db) -> Vec<i64> {
    let rows = db.reader().rows("SELECT number FROM numbers ORDER BY number", args![]).await.unwrap();
    rows.iter().map(|row| row.int("number").unwrap()).collect()
}

/// What becomes of the job with this number in the test below.
async fn fate(tx: &mut Tx, number: i64) -> Result<i64, Problem> {
    insert(tx, number).await?;
    match number % 6 {
        1 => Err(Problem::not_found()),
        2 => panic!("job {number} panics, as this test wants"),
        3 => insert(tx, 1_000).await.map(|()| number),
        4 => {
            // It goes on although its statement failed: the same as failing, on both databases.
            let _ = tx.execute("INSERT INTO numbers (number, times) VALUES (1000, 1)", args![]).await;
            Ok(number)
        }
        5 => {
            let _ = tx.rows("SELECT nothing FROM nowhere", args![]).await;
            Ok(number)
        }
        _ => Ok(number),
    }
}

#[tokio::test]
async fn a_job_that_fails_or_panics_leaves_nothing_and_harms_no_neighbour() {
    let place = Place::new().await;
    let db = place.with_table().await;
    db.write("first", async |tx: &mut Tx| insert(tx, 1_000).await).await.unwrap();
    let jobs = (0..120).map(|number| db.write("job", async move |tx: &mut Tx| fate(tx, number).await));
    let outcomes = join_all(jobs).await;
    for (number, outcome) in (0..120).zip(&outcomes) {
        assert_eq!(outcome.is_ok(), number % 6 == 0, "job {number}: {outcome:?}");
    }
    assert_eq!(outcomes[1].as_ref().unwrap_err().code(), Code::NotFound, "its own error");
    let expected: Vec<i64> = (0..120).filter(|number| number % 6 == 0).chain([1_000]).collect();
    assert_eq!(numbers(&db).await, expected);
}

#[tokio::test]
async fn a_transient_failure_is_tried_again_and_its_neighbours_happen_once() {
    let place = Place::new().await;
    let db = place.with_table().await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let unlucky = db.write("unlucky", async move |tx: &mut Tx| {
        insert(tx, 500).await?;
        if counted.fetch_add(1, Ordering::SeqCst) < 2 { Err(Error::Conflict.into()) } else { Ok(()) }
    });
    let neighbours = join_all((0..40).map(|number| db.write("job", async move |tx: &mut Tx| insert(tx, number).await)));
    let (unlucky, neighbours) = tokio::join!(unlucky, neighbours);
    unlucky.unwrap();
    assert!(neighbours.iter().all(Result::is_ok), "{neighbours:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(numbers(&db).await, (0..40).chain([500]).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_keeps_failing_is_given_up_alone() {
    let place = Place::new().await;
    let db = place.with_table().await;
    let hopeless = db.write("hopeless", async |tx: &mut Tx| -> Result<(), Problem> {
        insert(tx, 500).await?;
        Err(Error::Conflict.into())
    });
    let neighbours = join_all((0..40).map(|number| db.write("job", async move |tx: &mut Tx| insert(tx, number).await)));
    let (hopeless, neighbours) = tokio::join!(hopeless, neighbours);
    assert_eq!(hopeless.unwrap_err().code(), Code::Unavailable);
    assert!(neighbours.iter().all(Result::is_ok), "{neighbours:?}");
    assert_eq!(numbers(&db).await, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_broken_connection_is_made_again() {
    if postgres().is_none() {
        println!("runs on PostgreSQL alone: a connection to SQLite does not break");
        return;
    }
    let place = Place::new().await;
    let db = place.with_table().await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let cut = db.write("cut", async move |tx: &mut Tx| {
        insert(tx, 1).await?;
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            tx.rows("SELECT pg_terminate_backend(pg_backend_pid())", args![]).await?;
        }
        Ok(())
    });
    let (cut, neighbour) = tokio::join!(cut, db.write("job", async |tx: &mut Tx| insert(tx, 2).await));
    cut.unwrap();
    neighbour.unwrap();
    assert_eq!((numbers(&db).await, runs.load(Ordering::SeqCst)), (vec![1, 2], 2));
}

#[tokio::test]
async fn changes_that_wait_for_each_other_both_happen() {
    if postgres().is_none() {
        println!("runs on PostgreSQL alone: SQLite has one writer, nothing waits for each other");
        return;
    }
    let place = Place::new().await;
    let (here, there) = (place.with_table().await, place.open().await);
    here.write("rows", async |tx: &mut Tx| {
        insert(tx, 1).await?;
        insert(tx, 2).await
    })
    .await
    .unwrap();
    let crossing = |db: &Db, order: [i64; 2]| {
        let db = db.clone();
        async move {
            db.write("crossing", async move |tx: &mut Tx| {
                for number in order {
                    tx.execute("UPDATE numbers SET times = times + 1 WHERE number = $1", args![number]).await?;
                    tx.rows("SELECT pg_sleep(0.05)", args![]).await?;
                }
                Ok(())
            })
            .await
        }
    };
    let all = (0..6).map(|turn| if turn % 2 == 0 { crossing(&here, [1, 2]) } else { crossing(&there, [2, 1]) });
    let outcomes = join_all(all).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let rows = here.reader().rows("SELECT times FROM numbers", args![]).await.unwrap();
    assert!(rows.iter().all(|row| row.int("times").unwrap() == 7));
}

#[tokio::test]
async fn what_is_accepted_is_on_disk_whatever_the_default() {
    let place = Place::new().await;
    let db = place.open().await;
    let found = db.write("settings", async |tx: &mut Tx| {
        if tx.is_postgres() {
            let row = tx.row("SHOW synchronous_commit", args![]).await?.unwrap();
            return Ok(row.text("synchronous_commit")?);
        }
        let journal = tx.row("PRAGMA journal_mode", args![]).await?.unwrap().text("journal_mode")?;
        let synchronous = tx.row("PRAGMA synchronous", args![]).await?.unwrap().int("synchronous")?;
        let foreign_keys = tx.row("PRAGMA foreign_keys", args![]).await?.unwrap().int("foreign_keys")?;
        let overwritten = tx.row("PRAGMA secure_delete", args![]).await?.unwrap().int("secure_delete")?;
        Ok(format!("{journal} {synchronous} {foreign_keys} {overwritten}"))
    });
    let expected = if postgres().is_some() { "on" } else { "wal 2 1 1" };
    assert_eq!(found.await.unwrap(), expected);
}

/// Twenty changes that rest on the same revision, in two gateways: one happens, the others notice.
async fn one_of_many(first_ever: bool) {
    let place = Place::new().await;
    let (here, there) = (place.open().await, place.open().await);
    let key = || "subject:somebody".to_owned();
    if !first_ever {
        here.write("bump", async move |tx: &mut Tx| {
            revisions::bump(tx, &key());
            Ok(())
        })
        .await
        .unwrap();
    }
    let keys = [key(), revisions::covenant(), "organisation:1".into(), "organisation:2".into()];
    let read = Revisions::read(&mut here.reader(), &keys).await.unwrap();
    let changes = (0..20).map(|turn| {
        let db = if turn % 2 == 0 { &here } else { &there };
        let ground = Ground { revisions: read.clone(), raises: vec![key()], claim: None };
        db.write_on(ground, "change", async move |tx: &mut Tx| {
            revisions::bump(tx, &key());
            Ok(())
        })
    });
    let outcomes = join_all(changes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(Problem::is_stale), "{outcomes:?}");
}

#[tokio::test]
async fn of_changes_that_rest_on_the_same_revision_one_happens() {
    one_of_many(false).await;
}

#[tokio::test]
async fn of_changes_that_rest_on_the_absence_of_a_revision_one_happens() {
    one_of_many(true).await;
}

async fn wait(tx: &mut Tx, seconds: &'static str) -> Result<(), Problem> {
    if tx.is_postgres() {
        tx.rows(leaked(format!("SELECT pg_sleep({seconds})")), args![]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_rests_on_a_revision_is_written_wholly_before_or_wholly_after_the_change_that_raises_it() {
    let place = Place::new().await;
    let (here, there) = (place.with_table().await, place.open().await);
    let key = || "subject:somebody".to_owned();
    let keys = [key(), revisions::covenant(), "organisation:1".into(), "organisation:2".into()];
    for round in 0..12_i64 {
        let read = Revisions::read(&mut here.reader(), &keys).await.unwrap();
        // Both writers are busy, so that the next two share a transaction: one that fails after it has written, and the one that
        // raises. What the first undoes must not set the second free.
        let busy = (0..2).map(|_| here.write("busy", async |tx: &mut Tx| wait(tx, "0.02").await));
        let failing = here.write("failing", async |tx: &mut Tx| -> Result<(), Problem> {
            tx.execute("UPDATE numbers SET times = 0 WHERE number = -1", args![]).await?;
            Err(Problem::not_found())
        });
        let raising = here.write_on(Ground::raising(key()), "raising", async move |tx: &mut Tx| {
            tx.execute("UPDATE numbers SET times = 0 WHERE number = -1", args![]).await?;
            revisions::bump(tx, &key());
            tx.append(&LINES, args![format!("raising {round}")]);
            wait(tx, "0.03").await
        });
        let resting = async {
            loop {
                let ground = Ground { revisions: read.clone(), ..Ground::default() };
                let resting = there.write_on(ground, "resting", async move |tx: &mut Tx| {
                    tx.append(&LINES, args![format!("resting {round}")]);
                    Ok(())
                });
                if let Err(problem) = resting.await {
                    break problem;
                }
            }
        };
        let (_, failed, raised, stale) = tokio::join!(join_all(busy), failing, raising, resting);
        assert_eq!(failed.unwrap_err().code(), Code::NotFound);
        raised.unwrap();
        assert!(stale.is_stale(), "{stale}");
        let rows = here.reader().rows("SELECT text FROM lines ORDER BY entry", args![]).await.unwrap();
        assert_eq!(rows.last().unwrap().text("text").unwrap(), format!("raising {round}"));
    }
}

#[tokio::test]
async fn several_gateways_may_start_on_an_empty_database_at_once() {
    let place = Place::new().await;
    let opened = join_all((0..4).map(|_| Db::open(&place.settings))).await;
    assert!(opened.iter().all(Result::is_ok));
}

async fn reopened_after(change: &'static str) -> String {
    let place = Place::new().await;
    let db = place.open().await;
    let changed = db.write("ledger", async move |tx: &mut Tx| Ok(tx.execute(change, args![]).await?)).await.unwrap();
    assert_eq!(changed, 1);
    match Db::open(&place.settings).await {
        Err(Error::Migration(message)) => message,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[tokio::test]
async fn a_database_with_an_unknown_or_a_changed_migration_is_not_opened() {
    let unknown = "INSERT INTO schema_migrations (name, digest) VALUES ('9999_future', 'x')";
    assert!(reopened_after(unknown).await.contains("9999_future, which this version does not know"));
    let changed = "UPDATE schema_migrations SET digest = 'x' WHERE name = '0003_covenants'";
    assert!(reopened_after(changed).await.contains("0003_covenants was changed"));
    let missing = "DELETE FROM schema_migrations WHERE name = '0003_covenants'";
    assert!(reopened_after(missing).await.contains("does not know"));
}

fn key_store_parts() -> (Sealer, Entropy) {
    let entropy = Entropy::system();
    (Sealer::new(Key::generate(&entropy).unwrap(), vec![], entropy.clone()), entropy)
}

#[tokio::test]
async fn a_share_is_handed_out_once_found_again_and_gone_for_every_gateway_when_it_is_destroyed() {
    let (place, (sealer, entropy)) = (Place::new().await, key_store_parts());
    let open = async || KeyStore::open(&place.settings, sealer.clone(), entropy.clone()).await.unwrap();
    let (one, other) = (open().await, open().await);
    let now = Timestamp::from_micros(1_800_000_000_000_000);
    let mut shares = one.take(10, now).await.unwrap();
    shares.extend(other.take(3, now).await.unwrap());
    shares.extend(one.take(300, now).await.unwrap());
    let ids: BTreeSet<_> = shares.iter().map(|share| share.id).collect();
    assert_eq!(ids.len(), 313, "each is another one");
    let ids: Vec<_> = shares.iter().map(|share| share.id).collect();
    let found = other.find(&ids).await.unwrap();
    assert!(shares.iter().all(|share| found[&share.id].to_hex() == share.key.to_hex()));
    one.destroy(&ids[..9]).await.unwrap();
    one.destroy(&ids[..1]).await.unwrap();
    assert_eq!(other.find(&ids).await.unwrap().len(), 304);
    let stranger = KeyStore::open(&place.settings, key_store_parts().0, entropy.clone()).await.unwrap();
    assert!(stranger.find(&ids[10..11]).await.is_err(), "without the key-encryption key no share opens");
}

#[tokio::test]
async fn what_was_made_an_hour_ago_is_not_handed_out_and_goes_after_a_day() {
    let (place, (sealer, entropy)) = (Place::new().await, key_store_parts());
    let keys = KeyStore::open(&place.settings, sealer, entropy).await.unwrap();
    let now = Timestamp::from_micros(1_800_000_000_000_000);
    let first = keys.take(1, now).await.unwrap().remove(0).id;
    let later = now.plus(Duration::from_mins(61));
    keys.take(1, later).await.unwrap();
    let day = now.plus(Duration::from_hours(24));
    let old = keys.old(day).await.unwrap().unwrap();
    assert!(old.ids().len() == 256 && old.ids().contains(&first), "those of the first batch alone");
    keys.swept(old, &BTreeSet::from([first])).await.unwrap();
    assert!(keys.old(day).await.unwrap().is_none());
    assert_eq!(keys.old(day.plus(Duration::from_mins(61))).await.unwrap().unwrap().ids().len(), 256);
    assert_eq!(keys.find(&[first]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_store_belongs_to_the_database_that_it_was_first_used_with() {
    let (main, one, other) = (Place::new().await, Place::new().await, Place::new().await);
    let (db, (sealer, entropy)) = (main.open().await, key_store_parts());
    let open = async |place: &Place| KeyStore::open(&place.settings, sealer.clone(), entropy.clone()).await;
    assert!(open(&one).await.unwrap().belongs_to(&db).await.unwrap());
    assert!(open(&one).await.unwrap().belongs_to(&db).await.unwrap(), "also at the next start");
    assert!(!open(&other).await.unwrap().belongs_to(&db).await.unwrap());
    assert!(open(&main).await.is_err(), "the gateway's own database is no key store");
}
