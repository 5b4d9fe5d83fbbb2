//! Writing and sequencing: together with the change or not at all, each record once, only what the gateway wrote.

use crate::args;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::tests::*;
use crate::problem::Code;
use crate::storage::Query as _;

async fn count(log: &TestLog, sql: &'static str) -> i64 {
    log.db.reader().row(sql, args![]).await.unwrap().unwrap().int("n").unwrap()
}

#[tokio::test]
async fn a_record_that_cannot_be_written_undoes_the_change_it_is_about() {
    let log = TestLog::new().await;
    log.alter(&["CREATE TABLE test_changes (id TEXT)"]).await;
    let record = SealedRecord::new(&log.record(), &log.entropy, &log.sealer).unwrap();
    for expected in [true, false] {
        let record = record.clone();
        let job = async move |tx: &mut Tx| {
            tx.execute("INSERT INTO test_changes (id) VALUES ('change')", args![]).await?;
            // The second time the identifier is taken, and the database refuses the record.
            write(tx, &record);
            Ok(())
        };
        assert_eq!(log.db.write("change", job).await.is_ok(), expected);
    }
    assert_eq!(count(&log, "SELECT COUNT(*) AS n FROM test_changes").await, 1);
    assert_eq!(count(&log, "SELECT COUNT(*) AS n FROM audit_records").await, 1);
}

#[tokio::test]
async fn a_change_that_fails_leaves_no_record() {
    let log = TestLog::new().await;
    let record = SealedRecord::new(&log.record(), &log.entropy, &log.sealer).unwrap();
    let job = async move |tx: &mut Tx| -> Result<(), Problem> {
        write(tx, &record);
        Err(Problem::new(Code::Conflict, "the change is not possible"))
    };
    log.db.write("change", job).await.unwrap_err();
    assert_eq!(count(&log, "SELECT COUNT(*) AS n FROM audit_records").await, 0);
}

#[tokio::test]
async fn the_first_run_signs_the_empty_log_and_idle_runs_sign_nothing() {
    let log = TestLog::new().await;
    let first = log.sequence().await;
    assert_eq!((first.taken, first.head.size), (0, 0));
    assert_eq!(first.head.root, merkle::empty_root());
    log.sequence().await;
    assert_eq!(count(&log, "SELECT COUNT(*) AS n FROM audit_checkpoints").await, 1);
    assert!(log.verify().await.intact);
}

#[tokio::test]
async fn records_get_consecutive_places_in_the_order_in_which_they_were_written() {
    let log = TestLog::new().await;
    log.write_many(5).await;
    assert_eq!(log.sequence().await.taken, 5);
    log.write_many(300).await;
    let run = log.sequence().await;
    assert_eq!((run.taken, run.refused, run.more, run.head.size), (300, 0, false, 305));
    let sql = "SELECT COUNT(*) AS n FROM audit_records WHERE leaf_index = entry - 1";
    assert_eq!(count(&log, sql).await, 305);
    let report = log.verify().await;
    assert!(report.intact, "{report}");
    assert_eq!((report.tree_size, report.records, report.checkpoints), (305, 305, 2));
}

#[tokio::test]
async fn a_large_backlog_is_taken_in_bounded_runs() {
    let log = TestLog::new().await;
    log.write_many(1_028).await;
    let run = log.sequence().await;
    assert_eq!((run.taken, run.more), (1_024, true));
    let run = log.sequence().await;
    assert_eq!((run.taken, run.more), (4, false));
    let report = log.verify().await;
    assert!(report.intact, "{report}");
}

#[tokio::test]
async fn gaps_in_the_row_numbers_do_no_harm() {
    let log = TestLog::new().await;
    log.write_many(3).await;
    if postgres().is_some() {
        log.alter(&["ALTER SEQUENCE audit_records_entry_seq RESTART WITH 14"]).await;
    } else {
        log.tamper(&["UPDATE sqlite_sequence SET seq = seq + 10 WHERE name = 'audit_records'"]).await;
    }
    log.write_many(3).await;
    assert_eq!(log.sequence().await.taken, 6);
    let report = log.verify().await;
    assert!(report.intact, "{report}");
}

#[tokio::test]
async fn runs_at_the_same_time_give_each_place_once() {
    let log = TestLog::new().await;
    log.write_many(40).await;
    let (one, two, three) = tokio::join!(log.try_sequence(), log.try_sequence(), log.try_sequence());
    let taken: u64 = [one, two, three].into_iter().map(|run| run.unwrap().taken).sum();
    assert_eq!(taken, 40);
    assert!(log.verify().await.intact);
}

#[tokio::test]
async fn checkpoints_are_chained_and_each_extends_the_one_before() {
    let log = TestLog::with_records(20).await;
    let sql = "SELECT note FROM audit_checkpoints ORDER BY tree_size";
    let rows = log.db.reader().rows(sql, args![]).await.unwrap();
    let heads: Vec<merkle::Head> =
        rows.iter().map(|row| Checkpoint::open(&row.text("note").unwrap(), &log.keys()).unwrap().head).collect();
    assert_eq!(heads.iter().map(|head| head.size).collect::<Vec<_>>(), [10, 20]);
    let bytes = log.db.reader().row("SELECT hashes FROM audit_tiles WHERE level = 0", args![]).await.unwrap().unwrap();
    let mut tree = tiles::Tiles::new();
    tree.insert(tiles::TileId { level: 0, index: 0 }, &bytes.bytes("hashes").unwrap());
    let proof = tree.proof(&merkle::consistency_ranges(10, 20)).unwrap();
    assert!(merkle::verify_consistency(heads[0], heads[1], &proof));
}

#[tokio::test]
async fn the_log_is_not_extended_on_an_altered_tree() {
    let log = TestLog::with_records(10).await;
    log.tamper(&["UPDATE audit_tiles SET hashes = (SELECT seal FROM audit_records LIMIT 1) || substr(hashes, 33)"])
        .await;
    log.write_many(1).await;
    assert_eq!(log.try_sequence().await.unwrap_err().code(), Code::Internal);
    assert_eq!(count(&log, "SELECT COUNT(*) AS n FROM audit_records WHERE leaf_index IS NULL").await, 1);
    assert_eq!(count(&log, "SELECT COUNT(*) AS n FROM audit_checkpoints").await, 2);
}

#[tokio::test]
async fn the_log_is_not_extended_on_a_checkpoint_of_another_key() {
    let mut log = TestLog::with_records(4).await;
    log.signer = Arc::new(TestSigner::new());
    log.write_many(1).await;
    assert_eq!(log.try_sequence().await.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn a_row_that_the_gateway_did_not_write_is_refused_and_the_rest_is_taken() {
    let log = TestLog::new().await;
    log.write_many(2).await;
    log.tamper(&["UPDATE audit_records SET seal = salts WHERE entry = 1"]).await;
    let run = log.sequence().await;
    assert_eq!((run.taken, run.refused), (1, 1));
    let run = log.sequence().await;
    assert_eq!((run.taken, run.refused), (0, 0), "it is refused once");
}
