//! Reading and proving: who sees what, and that a proof holds offline.

use base64::Engine as _;

use crate::audit::checkpoint::Checkpoint;
use crate::audit::commitment::commit;
use crate::audit::merkle::{leaf_hash, verify_inclusion};
use crate::audit::service::{AuditReader, Filter, list, prove, published_tile, read};
use crate::audit::tests::*;
use crate::audit::tiles::TilePath;
use crate::problem::Code;

fn reader(organisation: &str, reads_all: bool) -> AuditReader {
    AuditReader { organisation: oin(organisation), reads_all }
}

fn filter(limit: i64) -> Filter {
    Filter { limit, ..Filter::default() }
}

#[tokio::test]
async fn an_organisation_sees_its_own_records_and_no_others() {
    let log = TestLog::with_records(4).await;
    let id = log.id_at(1).await;
    let mut query = log.db.reader();
    assert!(read(&mut query, &reader(SENDER, false), &id).await.is_ok());
    let missing =
        read(&mut query, &reader(RECIPIENT, false), "0193a4b0-0000-7000-8000-00000000ffff").await.unwrap_err();
    let foreign = read(&mut query, &reader(RECIPIENT, false), &id).await.unwrap_err();
    assert_eq!(missing.to_json(), foreign.to_json());
    assert_eq!(foreign.code(), Code::NotFound);
    let foreign = prove(&mut query, &reader(RECIPIENT, false), &id).await.unwrap_err();
    assert_eq!(missing.to_json(), foreign.to_json());
    let own = list(&mut query, &reader(SENDER, false), filter(10)).await.unwrap().items;
    let none = list(&mut query, &reader(RECIPIENT, false), filter(10)).await.unwrap().items;
    let all = list(&mut query, &reader(RECIPIENT, true), filter(10)).await.unwrap().items;
    assert_eq!((own.len(), none.len(), all.len()), (4, 0, 4));
    let asked = Filter { organisation: Some(oin(SENDER)), ..filter(10) };
    assert!(list(&mut query, &reader(RECIPIENT, false), asked).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn filters_narrow_and_pages_do_not_overlap() {
    let log = TestLog::new().await;
    for number in 0..10_u8 {
        let mut record = log.record();
        record.referral = Some(format!("referral-{}", number % 2));
        if number < 3 {
            record.kind = Kind::Check;
        }
        log.write(&record).await;
        log.clock.advance(std::time::Duration::from_mins(1));
    }
    let mut query = log.db.reader();
    let all = reader(RECIPIENT, true);
    let count = async |filter: Filter| {
        let mut query = log.db.reader();
        list(&mut query, &all, filter).await.unwrap().items.len()
    };
    assert_eq!(count(Filter { kind: Some("check".into()), ..filter(100) }).await, 3);
    assert_eq!(count(Filter { referral: Some("referral-1".into()), ..filter(100) }).await, 5);
    let both = Filter { referral: Some("referral-1".into()), organisation: Some(oin(SENDER)), ..filter(100) };
    assert_eq!(count(both).await, 5);
    assert_eq!(count(Filter { purpose: Some("triage".into()), ..filter(100) }).await, 0);
    let later = log.clock.now().minus(std::time::Duration::from_secs(250));
    assert_eq!(count(Filter { from: Some(later), ..filter(100) }).await, 4);
    assert_eq!(count(Filter { until: Some(later), ..filter(100) }).await, 6);
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = Filter { before: before.clone(), ..filter(4) };
        let records = list(&mut query, &all, page).await.unwrap().items;
        seen.extend(records.iter().map(|record| record.value(Field::Id).unwrap().to_owned()));
        before = seen.last().cloned();
        if records.len() < 4 {
            break;
        }
    }
    let mut newest_first = seen.clone();
    newest_first.sort_unstable_by(|left, right| right.cmp(left));
    newest_first.dedup();
    assert_eq!((seen.len(), &seen), (10, &newest_first));
}

#[tokio::test]
async fn a_proof_holds_offline_and_opens_only_what_the_reader_may_see() {
    let log = TestLog::with_records(300).await;
    let id = log.id_at(257).await;
    for (who, hidden) in
        [(reader(SENDER, false), vec![]), (reader(RECIPIENT, true), vec![Field::Subject, Field::Facts])]
    {
        let proof = prove(&mut log.db.reader(), &who, &id).await.unwrap();
        let head = Checkpoint::open(&proof.checkpoint, &log.keys()).unwrap().head;
        assert_eq!((proof.leaf_index, proof.tree_size, head.size), (257, 300, 300));
        assert!(verify_inclusion(leaf_hash(&proof.leaf), 257, head.size, &proof.path, &head.root));
        assert_eq!(proof.openings.len(), Field::ALL.len() - hidden.len());
        for opening in &proof.openings {
            assert!(!hidden.contains(&opening.field));
            let commitment = commit(&opening.salt, opening.field.as_str(), opening.value.as_deref());
            let entry = [opening.field.as_str().as_bytes(), commitment.as_bytes()].concat();
            assert!(proof.leaf.windows(entry.len()).any(|part| part == entry), "{:?}", opening.field);
        }
    }
}

#[tokio::test]
async fn a_record_without_a_place_has_no_proof_yet() {
    let log = TestLog::with_records(2).await;
    let record = log.record();
    log.write(&record).await;
    let problem = prove(&mut log.db.reader(), &reader(SENDER, false), &record.id.to_string()).await.unwrap_err();
    assert_eq!(problem.code(), Code::Conflict);
    log.sequence().await;
    assert!(prove(&mut log.db.reader(), &reader(SENDER, false), &record.id.to_string()).await.is_ok());
}

#[tokio::test]
async fn an_erased_value_is_not_opened() {
    let log = TestLog::with_records(4).await;
    let id = log.id_at(2).await;
    let erased = id.clone();
    let job = async move |tx: &mut Tx| erase(tx, &erased, &[Field::Subject]).await;
    log.db.write("erasure", job).await.unwrap();
    let proof = prove(&mut log.db.reader(), &reader(SENDER, false), &id).await.unwrap();
    assert!(proof.openings.iter().all(|opening| opening.field != Field::Subject));
    let head = Checkpoint::open(&proof.checkpoint, &log.keys()).unwrap().head;
    assert!(verify_inclusion(leaf_hash(&proof.leaf), 2, head.size, &proof.path, &head.root));
}

#[tokio::test]
async fn tiles_are_served_as_wide_as_they_are_asked_for() {
    let log = TestLog::with_records(300).await;
    let tile = async |path: &str| {
        published_tile(&mut log.db.reader(), TilePath::parse(path).unwrap()).await.unwrap().map(|bytes| bytes.len())
    };
    assert_eq!(tile("0/000").await, Some(8192));
    assert_eq!(tile("0/000.p/150").await, Some(150 * 32), "as it was under the first checkpoint");
    assert_eq!(tile("0/001.p/44").await, Some(44 * 32));
    assert_eq!(tile("1/000.p/1").await, Some(32));
    assert_eq!(tile("0/001").await, None, "not full yet");
    assert_eq!(tile("0/001.p/45").await, None);
    assert_eq!(tile("1/000").await, None);
    assert_eq!(tile("0/002.p/1").await, None);
    let note = audit_checkpoint(&log).await;
    let root = base64::engine::general_purpose::STANDARD.decode(note.lines().nth(2).unwrap()).unwrap();
    assert_eq!(root.len(), 32);
}

async fn audit_checkpoint(log: &TestLog) -> String {
    last_checkpoint(&mut log.db.reader()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_view_has_the_names_of_the_contract_and_nothing_for_what_is_absent() {
    let log = TestLog::with_records(2).await;
    let id = log.id_at(1).await;
    let mut query = log.db.reader();
    let owner = reader(SENDER, false);
    let view = crate::audit::http::view(&owner, &read(&mut query, &owner, &id).await.unwrap()).unwrap();
    assert_eq!(view["id"], id.as_str());
    assert_eq!(view["leafIndex"], 1);
    assert_eq!(view["legalBasis"], "wgs");
    assert_eq!(view["sections"][1]["code"], "category-never-for-recipient");
    assert_eq!(view["consentIds"][0], "0193a4b0-0000-7000-8000-000000000002");
    assert_eq!(view["subject"], "pseudonym-of-the-sender");
    assert!(view["time"].as_str().unwrap().ends_with('Z'));
    assert!(view.get("update").is_none() && view.get("salts").is_none() && view.get("seal").is_none());
    let officer = reader(RECIPIENT, true);
    let view = crate::audit::http::view(&officer, &read(&mut query, &officer, &id).await.unwrap()).unwrap();
    assert_eq!(view["purpose"], "debt-counselling");
    assert!(view.get("subject").is_none() && view.get("facts").is_none());
}

#[tokio::test]
async fn a_page_with_a_condition_looks_at_a_window_and_says_where_to_go_on() {
    let log = TestLog::new().await;
    // Twelve thousand older records of which the first two and the last two are checks.
    let fill = "INSERT INTO audit_records (id, kind, time, organisation, salts, commitments, seal, refused) \
                WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 12000) \
                SELECT '00000000-0000-7000-8000-' || CAST(100000000000 + n AS TEXT), \
                CASE WHEN n IN (1, 2, 11999, 12000) THEN 'check' ELSE 'decision' END, n, '00000099000000001000', $1, $1, $1, 1 FROM series";
    let job = async move |tx: &mut Tx| Ok(tx.execute(fill, crate::args![vec![0_u8]]).await?);
    log.db.write("fill", job).await.unwrap();
    for reads_all in [false, true] {
        let (who, mut query) = (reader(SENDER, reads_all), log.db.reader());
        let whole = list(&mut query, &who, filter(100)).await.unwrap();
        assert_eq!((whole.items.len(), whole.resume), (100, None), "without a condition a page is full at once");
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let asked = Filter { kind: Some("check".into()), before: before.clone(), ..filter(100) };
            let found = list(&mut query, &who, asked).await.unwrap();
            pages.push(
                found.items.iter().map(|record| record.value(Field::Id).unwrap()[24..].to_owned()).collect::<Vec<_>>(),
            );
            match found.resume {
                Some(resume) => before = Some(resume),
                None => break,
            }
        }
        assert_eq!(pages, [vec!["100000012000", "100000011999"], vec![], vec!["100000000002", "100000000001"]]);
        let one = Filter { kind: Some("check".into()), ..filter(1) };
        let found = list(&mut query, &who, one).await.unwrap();
        assert_eq!((found.items.len(), found.resume), (1, None), "a page that is full goes on behind its last item");
    }
}
