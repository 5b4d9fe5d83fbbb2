//! A hand in the database: every kind of harm is found, and the first record that it touched is named.

use crate::audit::checkpoint::{Checkpoint, CheckpointSigner, Link};
use crate::audit::merkle::Hash;
use crate::audit::tests::*;
use crate::storage::Query as _;
use crate::{args, audit};

/// The first record that is named, with what happened to it.
fn first(report: &Report) -> (FindingKind, Option<u64>, Option<&str>) {
    let finding = report.first_record.as_ref().unwrap_or_else(|| panic!("no record is named: {report}"));
    (finding.kind, finding.leaf_index, finding.record.as_deref())
}

fn kinds(report: &Report) -> Vec<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[tokio::test]
async fn an_untouched_log_is_intact() {
    let log = TestLog::with_records(300).await;
    log.write_many(2).await;
    let report = log.verify().await;
    assert!(report.intact, "{report}");
    assert_eq!((report.records, report.unsequenced, report.finding_count), (300, 2, 0));
    assert!(report.oldest_unsequenced.is_some());
}

#[tokio::test]
async fn every_column_is_watched() {
    let log = TestLog::with_records(2).await;
    for (number, field) in Field::ALL.into_iter().enumerate() {
        // Not from input: the names of the columns. A fresh transaction for each, undone by failing.
        let value = if field == Field::Time { "5" } else { "'changed'" };
        let sql: &'static str = Box::leak(
            format!("UPDATE audit_records SET {} = {value} WHERE leaf_index = 1", field.as_str()).into_boxed_str(),
        );
        let (keys, sealer) = (log.keys(), log.sealer.clone());
        let seen = Arc::new(std::sync::Mutex::new(None));
        let result = Arc::clone(&seen);
        let job = async move |tx: &mut Tx| -> Result<(), Problem> {
            tx.execute(sql, args![]).await?;
            let report = verify(tx, &Trust { keys: &keys, seals: &sealer, kept: None }).await?;
            *result.lock().unwrap() = Some(report);
            Err(Problem::not_found())
        };
        log.db.write("tampering", job).await.unwrap_err();
        let report = seen.lock().unwrap().take().unwrap();
        let (kind, leaf, _) = first(&report);
        assert_eq!((kind, leaf), (FindingKind::RecordChanged, Some(1)), "{number} {field:?}");
        assert!(report.findings[0].detail.contains(field.as_str()), "{report}");
    }
    assert!(log.verify().await.intact);
}

#[tokio::test]
async fn a_changed_record_is_named() {
    let log = TestLog::with_records(300).await;
    let id = log.id_at(271).await;
    log.tamper(&[
        "UPDATE audit_records SET outcome = 'permitted' WHERE leaf_index = 271",
        "UPDATE audit_records SET purpose = 'triage' WHERE leaf_index = 280",
    ])
    .await;
    let report = log.verify().await;
    assert_eq!(first(&report), (FindingKind::RecordChanged, Some(271), Some(id.as_str())));
    assert_eq!(report.finding_count, 2);
}

#[tokio::test]
async fn a_record_rewritten_with_fresh_commitments_is_named() {
    let log = TestLog::with_records(10).await;
    let mut forged = log.record();
    forged.outcome = Some(Outcome::Permitted);
    // The forger knows the whole procedure, but not the key that seals.
    let stranger = Sealer::new(Key::generate(&log.entropy).unwrap(), vec![], log.entropy.clone());
    let forged = SealedRecord::new(&forged, &log.entropy, &stranger).unwrap();
    let job = async move |tx: &mut Tx| {
        tx.execute("DELETE FROM audit_records WHERE leaf_index = 4", args![]).await?;
        audit::write(tx, &forged);
        tx.execute("UPDATE audit_records SET leaf_index = 4 WHERE leaf_index IS NULL", args![]).await?;
        Ok(())
    };
    log.db.write("tampering", job).await.unwrap();
    let id = log.id_at(4).await;
    let report = log.verify().await;
    assert_eq!(first(&report), (FindingKind::RecordChanged, Some(4), Some(id.as_str())));
}

#[tokio::test]
async fn a_removed_record_is_named() {
    let log = TestLog::with_records(300).await;
    log.tamper(&["DELETE FROM audit_records WHERE leaf_index = 123"]).await;
    let report = log.verify().await;
    assert_eq!(first(&report), (FindingKind::RecordRemoved, Some(123), None));
    assert_eq!(report.finding_count, 1);
}

#[tokio::test]
async fn removed_records_are_named_also_when_the_rest_was_moved_up() {
    let log = TestLog::with_records(300).await;
    log.tamper(&[
        "DELETE FROM audit_records WHERE leaf_index IN (41, 42, 43)",
        "UPDATE audit_records SET leaf_index = -leaf_index WHERE leaf_index > 43",
        "UPDATE audit_records SET leaf_index = -leaf_index - 3 WHERE leaf_index < 0",
    ])
    .await;
    let report = log.verify().await;
    assert_eq!(first(&report), (FindingKind::RecordRemoved, Some(41), None));
    assert_eq!(report.finding_count, 1, "{report}");
}

#[tokio::test]
async fn the_last_records_cannot_be_cut_off() {
    let log = TestLog::with_records(10).await;
    log.tamper(&["DELETE FROM audit_records WHERE leaf_index > 7"]).await;
    let report = log.verify().await;
    assert_eq!(first(&report), (FindingKind::RecordRemoved, Some(8), None));
}

/// A forged record that bears a seal, but not the gateway's.
async fn insert_forged(log: &TestLog, place: &'static str) -> String {
    let record = log.record();
    let stranger = Sealer::new(Key::generate(&log.entropy).unwrap(), vec![], log.entropy.clone());
    let forged = SealedRecord::new(&record, &log.entropy, &stranger).unwrap();
    let job = async move |tx: &mut Tx| {
        audit::write(tx, &forged);
        tx.execute(place, args![]).await?;
        Ok(())
    };
    log.db.write("tampering", job).await.unwrap();
    record.id.to_string()
}

#[tokio::test]
async fn an_inserted_record_is_named() {
    let log = TestLog::with_records(300).await;
    log.tamper(&[
        "UPDATE audit_records SET leaf_index = -leaf_index WHERE leaf_index >= 77",
        "UPDATE audit_records SET leaf_index = -leaf_index + 1 WHERE leaf_index < 0",
    ])
    .await;
    let id = insert_forged(&log, "UPDATE audit_records SET leaf_index = 77 WHERE leaf_index IS NULL").await;
    let report = log.verify().await;
    assert_eq!(first(&report), (FindingKind::RecordInserted, Some(77), Some(id.as_str())));
    assert_eq!(report.finding_count, 1, "{report}");
}

#[tokio::test]
async fn an_inserted_record_behind_the_end_is_named() {
    let log = TestLog::with_records(10).await;
    let id = insert_forged(&log, "UPDATE audit_records SET leaf_index = 10 WHERE leaf_index IS NULL").await;
    let report = log.verify().await;
    assert_eq!(first(&report), (FindingKind::RecordInserted, Some(10), Some(id.as_str())));
}

#[tokio::test]
async fn a_record_inserted_before_sequencing_is_named_and_never_taken() {
    let log = TestLog::with_records(10).await;
    let id = insert_forged(&log, "UPDATE audit_records SET refused = 0 WHERE leaf_index IS NULL").await;
    let report = log.verify().await;
    assert_eq!(first(&report), (FindingKind::RecordInserted, None, Some(id.as_str())));
    let run = log.sequence().await;
    assert_eq!((run.taken, run.refused, run.head.size), (0, 1, 10));
    assert_eq!(first(&log.verify().await), (FindingKind::RecordInserted, None, Some(id.as_str())));
}

#[tokio::test]
async fn a_record_changed_before_sequencing_is_named() {
    let log = TestLog::with_records(2).await;
    log.write_many(1).await;
    log.tamper(&["UPDATE audit_records SET recipient = sender WHERE leaf_index IS NULL"]).await;
    assert_eq!(first(&log.verify().await).0, FindingKind::RecordChanged);
    log.sequence().await;
    let report = log.verify().await;
    let (kind, leaf, _) = first(&report);
    assert_eq!((kind, leaf), (FindingKind::RecordChanged, Some(2)));
}

#[tokio::test]
async fn a_record_kept_from_the_log_is_named() {
    let log = TestLog::with_records(2).await;
    log.write_many(1).await;
    log.tamper(&["UPDATE audit_records SET refused = 1 WHERE leaf_index IS NULL"]).await;
    assert_eq!(log.sequence().await.taken, 0);
    assert_eq!(first(&log.verify().await).0, FindingKind::RecordHeldBack);
}

#[tokio::test]
async fn records_that_changed_places_are_named() {
    for swap in [[7, 8], [7, 200]] {
        let log = TestLog::with_records(300).await;
        let id = log.id_at(swap[1]).await;
        let job = async move |tx: &mut Tx| {
            for (from, to) in [(swap[0], -1), (swap[1], swap[0]), (-1, swap[1])] {
                tx.execute("UPDATE audit_records SET leaf_index = $2 WHERE leaf_index = $1", args![from, to]).await?;
            }
            Ok(())
        };
        log.db.write("tampering", job).await.unwrap();
        let report = log.verify().await;
        assert_eq!(first(&report), (FindingKind::RecordMoved, Some(7), Some(id.as_str())), "{report}");
        assert_eq!(report.finding_count, 2, "{report}");
    }
}

#[tokio::test]
async fn one_record_twice_is_named() {
    if postgres().is_some() {
        return; // PostgreSQL has no rowid to tell two equal rows apart
    }
    let log = TestLog::with_records(10).await;
    log.alter(&[
        "CREATE TABLE copy AS SELECT * FROM audit_records",
        "DROP TABLE audit_records",
        "ALTER TABLE copy RENAME TO audit_records",
    ])
    .await;
    log.tamper(&[
        "INSERT INTO audit_records SELECT * FROM audit_records WHERE leaf_index = 3",
        "UPDATE audit_records SET entry = 99 WHERE rowid = 11",
    ])
    .await;
    let report = log.verify().await;
    let (kind, leaf, _) = first(&report);
    assert_eq!((kind, leaf), (FindingKind::RecordInserted, Some(3)));
    assert_eq!(report.finding_count, 1, "{report}");
}

#[tokio::test]
async fn values_of_another_type_are_findings_and_not_failures() {
    if postgres().is_some() {
        return; // PostgreSQL does not keep them
    }
    let log = TestLog::with_records(10).await;
    log.tamper(&[
        "UPDATE audit_records SET time = 'yesterday' WHERE leaf_index = 2",
        "UPDATE audit_records SET salts = 'none' WHERE leaf_index = 4",
        "UPDATE audit_records SET sections = x'ff' WHERE leaf_index = 6",
        "UPDATE audit_records SET leaf_index = 'nowhere' WHERE leaf_index = 9",
        "UPDATE audit_checkpoints SET link = 'none' WHERE tree_size = 5",
    ])
    .await;
    let report = log.verify().await;
    let (kind, leaf, _) = first(&report);
    assert_eq!((kind, leaf), (FindingKind::RecordChanged, Some(2)));
    assert!(report.finding_count >= 5, "{report}");
}

#[tokio::test]
async fn an_altered_tile_is_found_and_no_record_is_blamed() {
    let log = TestLog::with_records(300).await;
    log.tamper(&[
        "UPDATE audit_tiles SET hashes = substr(hashes, 1, 64) || substr(hashes, 1, 32) || substr(hashes, 97) \
         WHERE level = 0 AND tile = 0",
    ])
    .await;
    let report = log.verify().await;
    assert!(report.findings.iter().all(|finding| finding.kind == FindingKind::TileAltered), "{report}");
    assert!(report.findings.iter().any(|finding| finding.leaf_index == Some(2)), "{report}");
    assert_eq!(report.first_record, None);
}

#[tokio::test]
async fn an_altered_tile_of_a_higher_level_is_found() {
    let log = TestLog::with_records(600).await;
    log.tamper(&["UPDATE audit_tiles SET hashes = substr(hashes, 33, 32) || substr(hashes, 1, 32) WHERE level = 1"])
        .await;
    assert_eq!(kinds(&log.verify().await), [FindingKind::TileAltered]);
}

#[tokio::test]
async fn a_removed_tile_is_found() {
    let log = TestLog::with_records(600).await;
    log.tamper(&["DELETE FROM audit_tiles WHERE level = 1"]).await;
    assert!(kinds(&log.verify().await).contains(&FindingKind::TileAltered));
}

#[tokio::test]
async fn an_altered_checkpoint_is_found() {
    for change in [
        "UPDATE audit_checkpoints SET note = replace(note, 'sluis', 'slius') WHERE tree_size = 10",
        "UPDATE audit_checkpoints SET root = previous WHERE tree_size = 10",
        "UPDATE audit_checkpoints SET created_at = created_at - 1 WHERE tree_size = 10",
        "UPDATE audit_checkpoints SET previous = root WHERE tree_size = 10",
        "UPDATE audit_checkpoints SET tree_size = 11 WHERE tree_size = 10",
    ] {
        let log = TestLog::with_records(20).await;
        let job = async move |tx: &mut Tx| Ok(tx.execute(change, args![]).await?);
        assert_eq!(log.db.write("tampering", job).await.unwrap(), 1);
        let report = log.verify().await;
        assert_eq!(kinds(&report)[0], FindingKind::CheckpointAltered, "{change}: {report}");
        assert_eq!(report.first_record, None, "{change}: {report}");
    }
}

#[tokio::test]
async fn a_removed_checkpoint_is_found() {
    let log = TestLog::with_records(20).await;
    log.tamper(&["DELETE FROM audit_checkpoints WHERE tree_size = 10"]).await;
    assert_eq!(kinds(&log.verify().await), [FindingKind::CheckpointAltered], "one in the middle");
    let log = TestLog::with_records(20).await;
    log.tamper(&["DELETE FROM audit_checkpoints WHERE tree_size = 20"]).await;
    let report = log.verify().await;
    assert!(kinds(&report).iter().all(|kind| *kind == FindingKind::LogTruncated), "the last one: {report}");
    assert_eq!(report.finding_count, 11, "the tree, and ten records behind its end: {report}");
}

#[tokio::test]
async fn a_checkpoint_of_a_stranger_is_found_and_not_followed() {
    let log = TestLog::with_records(20).await;
    let stranger = TestSigner::new();
    let head = audit::merkle::Head { size: 9_000_000_000_000, root: audit::merkle::empty_root() };
    let note = Checkpoint::sign(head, &stranger).unwrap();
    let link = Link { previous: Link::first(), time: log.clock.now(), note: Hash::of(note.as_bytes()) };
    let signature = stranger.sign(b"anything").unwrap();
    let job = async move |tx: &mut Tx| {
        let sql = "INSERT INTO audit_checkpoints (tree_size, root, created_at, previous, note, link) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let root = audit::merkle::empty_root().as_bytes().to_vec();
        let previous = link.previous.as_bytes().to_vec();
        tx.execute(sql, args![9_000_000_000_000_i64, root, link.time, previous, note.clone(), signature.clone()])
            .await?;
        Ok(())
    };
    log.db.write("tampering", job).await.unwrap();
    let report = log.verify().await;
    assert_eq!(report.tree_size, 20);
    assert!(kinds(&report).iter().all(|kind| *kind == FindingKind::CheckpointAltered), "{report}");
}

#[tokio::test]
async fn a_log_put_back_to_an_earlier_state_is_found_with_a_checkpoint_that_was_kept() {
    let log = TestLog::with_records(20).await;
    let kept = audit::last_checkpoint(&mut log.db.reader()).await.unwrap().unwrap();
    assert!(log.verify_with(Some(&kept)).await.intact);
    // Everything is as it was after the first run: nothing inside the database can tell.
    log.tamper(&[
        "DELETE FROM audit_checkpoints WHERE tree_size = 20",
        "DELETE FROM audit_records WHERE leaf_index > 9",
        "UPDATE audit_tiles SET width = 10, hashes = substr(hashes, 1, 320)",
    ])
    .await;
    assert!(log.verify().await.intact);
    assert_eq!(kinds(&log.verify_with(Some(&kept)).await), [FindingKind::LogTruncated]);
    // Nor does it help to let the log grow again.
    log.write_many(30).await;
    log.sequence().await;
    assert!(log.verify().await.intact);
    assert_eq!(kinds(&log.verify_with(Some(&kept)).await), [FindingKind::LogTruncated]);
    assert_eq!(kinds(&log.verify_with(Some("not a checkpoint")).await), [FindingKind::CheckpointAltered]);
}

#[tokio::test]
async fn erased_values_leave_the_log_whole_and_are_counted() {
    let log = TestLog::with_records(10).await;
    let id = log.id_at(3).await;
    let job = async move |tx: &mut Tx| erase(tx, &id, &[Field::Subject, Field::Facts]).await;
    log.db.write("erasure", job).await.unwrap();
    let report = log.verify().await;
    assert!(report.intact, "{report}");
    assert_eq!(report.erased_values, 2);
    let sql = "SELECT subject, facts, purpose FROM audit_records WHERE leaf_index = 3";
    let row = log.db.reader().row(sql, args![]).await.unwrap().unwrap();
    assert_eq!((row.opt_text("subject").unwrap(), row.opt_text("facts").unwrap()), (None, None));
    assert_eq!(row.text("purpose").unwrap(), "debt-counselling");
}

#[tokio::test]
async fn erasing_hides_nothing_that_must_stay() {
    let log = TestLog::with_records(10).await;
    let id = log.id_at(3).await;
    let job = async move |tx: &mut Tx| erase(tx, &id, &[Field::Outcome]).await;
    assert!(log.db.write("erasure", job).await.is_err());
    // By hand: the value and its salt, as an erasure does it.
    let job = async move |tx: &mut Tx| {
        let sql = "SELECT salts FROM audit_records WHERE leaf_index = 3";
        let mut salts = tx.row(sql, args![]).await?.unwrap().bytes("salts")?;
        let place = Field::Outcome as usize * 16;
        salts[place..place + 16].fill(0);
        let sql = "UPDATE audit_records SET outcome = NULL, salts = $1 WHERE leaf_index = 3";
        Ok(tx.execute(sql, args![salts]).await?)
    };
    assert_eq!(log.db.write("tampering", job).await.unwrap(), 1);
    let report = log.verify().await;
    assert_eq!(first(&report).0, FindingKind::RecordChanged);
    assert!(report.findings[0].detail.contains("outcome"), "{report}");
}

#[tokio::test]
async fn a_value_without_its_salt_is_not_erased() {
    let log = TestLog::with_records(10).await;
    log.tamper(&["UPDATE audit_records SET subject = NULL WHERE leaf_index = 3"]).await;
    assert_eq!(first(&log.verify().await).0, FindingKind::RecordChanged);
}

#[tokio::test]
async fn a_report_holds_no_values() {
    let log = TestLog::with_records(4).await;
    log.tamper(&["UPDATE audit_records SET subject = 'secret-value' WHERE leaf_index = 1"]).await;
    let report = log.verify().await;
    for text in [report.to_string(), serde_json::to_string(&report).unwrap()] {
        assert!(text.contains("subject") && !text.contains("secret-value") && !text.contains("pseudonym"), "{text}");
    }
}
