//! Verifying what came after a checkpoint that was kept: what it finds, and that it reads no more when the log is longer.

use super::super::merkle::{consistency_ranges, inclusion_ranges};
use super::super::tiles::{right_edge, tiles_for};
use super::*;
use crate::storage::{Args, Error, Query, Row};

/// Counts the rows that were read.
struct Counted<Q> {
    query: Q,
    rows: usize,
}

impl<Q: Query + Send> Query for Counted<Q> {
    async fn rows(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>, Error> {
        let rows = self.query.rows(sql, args).await?;
        self.rows += rows.len();
        Ok(rows)
    }
}

impl TestLog {
    async fn checkpoint(&self) -> String {
        last_checkpoint(&mut self.db.reader()).await.unwrap().unwrap()
    }

    async fn grow(&self, records: usize) {
        self.write_many(records).await;
        self.sequence().await;
    }

    /// The report, and how many rows it took.
    async fn verify_since(&self, kept: &str) -> (Report, usize) {
        let keys = self.keys();
        let trust = Trust { keys: &keys, seals: &self.sealer, kept: Some(kept) };
        let mut query = Counted { query: self.db.snapshot().await.unwrap(), rows: 0 };
        (verify_since_kept(&mut query, &trust).await.unwrap(), query.rows)
    }
}

#[tokio::test]
async fn verifying_what_came_since_reads_no_more_when_the_log_is_longer() {
    let mut read = Vec::new();
    for before in [1, 255, 256, 700] {
        let log = TestLog::with_records(before).await;
        let kept = log.checkpoint().await;
        log.grow(10).await;
        let (report, rows) = log.verify_since(&kept).await;
        assert!(report.intact, "{report}");
        assert_eq!((report.since, report.records, report.tree_size), (Some(before as u64), 10, before as u64 + 10));
        assert_eq!(report.root, log.verify().await.root);
        read.push(rows);
    }
    // 10 records, their leaves in at most two tiles, the right edge twice, the checkpoints kept and new.
    assert!(read.iter().all(|rows| *rows <= 24), "{read:?}");
}

#[tokio::test]
async fn what_was_altered_since_is_found_and_what_was_altered_before_is_not() {
    let log = TestLog::with_records(300).await;
    let kept = log.checkpoint().await;
    log.grow(5).await;
    log.tamper(&["UPDATE audit_records SET purpose = 'another' WHERE leaf_index = 7"]).await;
    assert!(log.verify_since(&kept).await.0.intact, "that is for the whole verification");
    assert!(!log.verify().await.intact);

    log.tamper(&["UPDATE audit_records SET purpose = 'another' WHERE leaf_index = 302"]).await;
    let (report, _) = log.verify_since(&kept).await;
    let first = report.first_record.unwrap();
    assert_eq!((first.kind, first.leaf_index, report.finding_count), (FindingKind::RecordChanged, Some(302), 1));
}

#[tokio::test]
async fn a_removed_record_tile_or_checkpoint_shows_too() {
    for (harm, kind) in [
        (&["DELETE FROM audit_records WHERE leaf_index = 301"], FindingKind::RecordRemoved),
        (&["UPDATE audit_tiles SET width = width - 1 WHERE level = 0 AND tile = 1"], FindingKind::LogTruncated),
        (&["DELETE FROM audit_tiles WHERE level = 1"], FindingKind::LogTruncated),
        (&["DELETE FROM audit_checkpoints WHERE tree_size = 302"], FindingKind::CheckpointAltered),
    ] {
        let log = TestLog::with_records(300).await;
        let kept = log.checkpoint().await;
        log.grow(2).await;
        log.grow(3).await;
        log.tamper(harm).await;
        let (report, _) = log.verify_since(&kept).await;
        assert!(report.findings.iter().any(|finding| finding.kind == kind), "{harm:?}: {report}");
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_history_begins_nothing() {
    let log = TestLog::with_records(20).await;
    let mut other = TestLog::new().await;
    other.signer = Arc::clone(&log.signer);
    // The same size and the same key, another tree.
    other.grow(21).await;
    log.grow(1).await;
    let (report, _) = log.verify_since(&other.checkpoint().await).await;
    assert_eq!((report.intact, report.records, report.finding_count), (false, 0, 1), "{report}");
    assert_eq!(report.findings[0].kind, FindingKind::LogTruncated);

    let ahead = log.checkpoint().await;
    log.tamper(&["DELETE FROM audit_checkpoints WHERE tree_size = 21"]).await;
    assert_eq!(log.verify_since(&ahead).await.0.findings[0].kind, FindingKind::LogTruncated);
    let (report, _) = log.verify_since("no checkpoint\n").await;
    assert_eq!(report.findings[0].kind, FindingKind::CheckpointAltered);
}

#[test]
fn a_proof_and_the_right_edge_take_a_few_tiles_however_long_the_log_is() {
    for (size, levels) in [(200_u64, 1), (10_000, 2), (100_000, 3), (1_000_000, 3), (1_000_000_000, 4)] {
        assert!(right_edge(size).len() <= levels, "{size}");
        for at in [0, 1, size / 3, size / 2, size - 1] {
            // Of each level the tile above the leaf, and at most one more at the right edge.
            assert!(tiles_for(&inclusion_ranges(at, size)).len() <= 2 * levels, "leaf {at} of {size}");
            assert!(tiles_for(&consistency_ranges(at + 1, size)).len() <= 2 * levels, "from {at} to {size}");
        }
    }
}
