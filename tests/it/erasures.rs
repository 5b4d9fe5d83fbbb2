//! Erasure: what an organisation gave is read by nobody any more, opens from no backup, and nobody learns of it who had not received it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sluis::args;
use sluis::demo::client::Answer;
use sluis::erasures;
use sluis::ids::Entropy;
use sluis::storage::seal::Key;
use sluis::storage::{KeyStore, Query as _, StorageSettings, Tx};
use sqlx::Connection as _;
use uuid::Uuid;

use crate::app::{BSN, KREDIETBANK, TestApp, consent, debts, fresh_storage, postgres};
use crate::consistency::{Neighbour, count, finish, keyed};
use crate::corrections::{correct, correction, step};
use crate::withdrawal::{items, put_on_record, read, referred, withdraw};

const WASSENAAR: &str = "gemeente-wassenaar";
const TOLD: &str = "nl.sluis.referral.deletion-required.v1";

/// One section as a backup of the database holds it.
struct Saved {
    referral: String,
    part: String,
    category: String,
    sealed: Vec<u8>,
    wrapped: Vec<u8>,
    share: Option<Uuid>,
}

/// What a backup of the database holds of the content.
async fn backup(app: &TestApp) -> Vec<Saved> {
    let sql = "SELECT s.referral AS referral, s.part AS part, s.category AS category, s.sealed AS sealed, s.key_share AS share, \
               r.wrapped_key AS wrapped FROM referral_sections s JOIN referrals r ON r.id = s.referral ORDER BY s.referral, s.place";
    let rows = app.app().db.reader().rows(sql, args![]).await.unwrap();
    let saved = |row: &sluis::storage::Row| Saved {
        referral: row.text("referral").unwrap(),
        part: row.text("part").unwrap(),
        category: row.text("category").unwrap(),
        sealed: row.bytes("sealed").unwrap(),
        wrapped: row.opt_bytes("wrapped").unwrap().unwrap_or_default(),
        share: row.opt_parsed("share").unwrap(),
    };
    rows.iter().map(saved).collect()
}

/// What somebody reads who has this backup, every configured key and this key store.
async fn readable(app: &TestApp, backup: &[Saved], keys: &KeyStore) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for saved in backup {
        let place = format!("referrals/wrapped_key/{}", saved.referral);
        let Ok(data) = app.app().sealer.data_key(&place, &saved.wrapped) else { continue };
        let shares = keys.find(&saved.share.into_iter().collect::<Vec<_>>()).await.unwrap();
        let share: Option<&Key> = shares.values().next();
        let place = format!("referral_sections/sealed/{}/{}/{}", saved.referral, saved.part, saved.category);
        let opened = share.map(|share| data.with_share(share).open(&place, &saved.sealed));
        if matches!(opened, Some(Ok(_))) || data.open(&place, &saved.sealed).is_ok() {
            found.insert(saved.category.clone());
        }
    }
    found
}

fn key_files(app: &TestApp) -> Vec<PathBuf> {
    let path = PathBuf::from(app.app().config.key_store.url.strip_prefix("sqlite:").unwrap());
    ["", "-wal"].map(|end| PathBuf::from(format!("{}{end}", path.display()))).into()
}

/// A copy of the key store as it is now.
async fn copied_keys(app: &TestApp, name: &str) -> KeyStore {
    let copy = app.folder.join(name);
    for (file, end) in key_files(app).iter().zip(["", "-wal"]) {
        if file.exists() {
            std::fs::copy(file, format!("{}{end}", copy.display())).unwrap();
        }
    }
    open_keys(app, &copy).await
}

async fn open_keys(app: &TestApp, file: &Path) -> KeyStore {
    let settings = StorageSettings { url: format!("sqlite:{}", file.display()), readers: 1, writers: 1 };
    KeyStore::open(&settings, app.app().sealer.clone(), Entropy::system()).await.unwrap()
}

/// A statement in the key store, by somebody who has its file.
async fn in_key_store(app: &TestApp, sql: &'static str) {
    let path = app.app().config.key_store.url.clone();
    let mut connection = sqlx::SqliteConnection::connect(&path).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn erase(app: &TestApp, who: &str, body: Value) -> Answer {
    app.post(who, "/v1/erasures", body).await
}

fn all_of_the_resident() -> Value {
    json!({ "subject": { "bsn": BSN }, "ground": "no-longer-necessary" })
}

/// Erases and has the keys destroyed; the erasure after that.
async fn erased(app: &TestApp, who: &str, body: Value) -> Value {
    let created = erase(app, who, body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    erasures::destroy(app.app()).await.unwrap();
    let shown = app.get(who, created.headers["location"].clone()).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    shown.body
}

fn counts(erasure: &Value) -> [i64; 3] {
    ["referrals", "sections", "told"].map(|name| erasure[name].as_i64().unwrap())
}

/// How often somebody was told to delete something.
async fn told(app: &TestApp, who: &str) -> usize {
    app.app().sequence().await.unwrap();
    items(app, who, "/v1/events?limit=1000").await.iter().filter(|event| event["type"] == TOLD).count()
}

async fn note(app: &TestApp, path: &str) -> String {
    let accepted = step(app, "kredietbank", path, json!({ "status": "accepted" })).await;
    assert_eq!(accepted.body["status"], "accepted");
    let sections = json!([{ "category": "question", "content": { "text": "we begin" } }]);
    let noted = json!({ "status": "in-progress", "sections": sections });
    step(app, "kredietbank", path, noted).await.headers["location"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_opens_from_no_backup_with_all_keys_and_the_key_store_of_today() {
    let app = TestApp::start().await;
    referred(&app, WASSENAAR, debts(), &["question", "finance"]).await;
    let (backup, keys_before) = (backup(&app).await, copied_keys(&app, "before.db").await);
    let all = BTreeSet::from(["question".to_owned(), "finance".to_owned()]);
    assert_eq!(readable(&app, &backup, &app.app().keys).await, all, "until it is erased it opens");

    let erasure = erased(&app, WASSENAAR, all_of_the_resident()).await;
    assert_eq!((erasure["status"].as_str(), counts(&erasure)), (Some("destroyed"), [1, 2, 0]));
    assert!(readable(&app, &backup, &app.app().keys).await.is_empty());
    assert_eq!(readable(&app, &backup, &keys_before).await, all, "what is looked for would be found");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_destroyed_share_is_left_in_the_key_stores_files() {
    let app = TestApp::start().await;
    referred(&app, WASSENAAR, debts(), &["question"]).await;
    let share = backup(&app).await[0].share.unwrap().to_string();
    let holds = || {
        let files = key_files(&app);
        let bytes: Vec<u8> = files.iter().filter_map(|file| std::fs::read(file).ok()).flatten().collect();
        bytes.windows(share.len()).any(|window| window == share.as_bytes())
    };
    assert!(holds(), "what is looked for is found while it is there");
    erased(&app, WASSENAAR, all_of_the_resident()).await;
    assert!(!holds());
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_received_something_is_told_and_who_had_not_sees_nothing_of_it() {
    let app = TestApp::start().await;
    let picked_up = referred(&app, WASSENAAR, debts(), &["question", "finance"]).await;
    let waiting = referred(&app, WASSENAAR, debts(), &["question"]).await;
    assert_eq!(read(&app, "kredietbank", &picked_up).await, 200);
    let before = app.get("kredietbank", &waiting).await;
    let erasure = erased(&app, WASSENAAR, all_of_the_resident()).await;
    assert_eq!(counts(&erasure), [2, 3, 1]);

    assert_eq!(told(&app, "kredietbank").await, 1);
    assert_eq!(app.get("kredietbank", &picked_up).await.body["deleteSince"], erasure["requestedAt"]);
    assert!(app.get(WASSENAAR, &picked_up).await.body.get("deleteSince").is_none(), "the duty is the receiver's");
    let after = app.get("kredietbank", &waiting).await;
    assert_eq!((after.body, after.headers["etag"].clone()), (before.body, before.headers["etag"].clone()));
    assert_eq!((read(&app, "kredietbank", &picked_up).await, read(&app, "kredietbank", &waiting).await), (403, 403));
    let own = app.get(WASSENAAR, format!("{picked_up}/sections")).await;
    assert_eq!(own.status, 403, "also for who gave it");
    assert!(!own.text_at("/detail").unwrap().contains("ask"), "who gave it is not sent to itself: {}", own.text);
    let other = app.get("kredietbank", format!("{picked_up}/sections")).await;
    assert!(other.text_at("/detail").unwrap().contains("ask who gave it"), "{}", other.text);
    let records = items(&app, "kredietbank", "/v1/audit/records?kind=erasure").await;
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["action"], "deletion-required");
    let own = items(&app, WASSENAAR, "/v1/audit/records?kind=erasure").await;
    let whole = own.iter().find(|record| record["action"] == "erased").unwrap();
    assert!(whole["subject"].is_null() && whole["referral"].is_null(), "{whole}");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_other_party_gave_stays_and_each_erases_its_own() {
    let app = TestApp::start().await;
    let path = referred(&app, WASSENAAR, debts(), &["question"]).await;
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    let noted = note(&app, &path).await;
    assert_eq!(counts(&erased(&app, WASSENAAR, all_of_the_resident()).await), [1, 1, 1]);
    assert_eq!(read(&app, WASSENAAR, &noted).await, 200, "the bank's note is the bank's");

    let pseudonym = app.get("kredietbank", &path).await.body["subject"]["pseudonym"].clone();
    let body = json!({ "subject": { "pseudonym": pseudonym }, "ground": "legal-obligation" });
    assert_eq!(counts(&erased(&app, "kredietbank", body).await), [1, 1, 1]);
    assert_eq!(read(&app, WASSENAAR, &noted).await, 403);
    assert_eq!((told(&app, WASSENAAR).await, told(&app, "kredietbank").await), (1, 1));
    assert!(!app.get(WASSENAAR, &path).await.body["deleteSince"].is_null());
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_of_others_or_about_another_resident_is_none_and_nothing_is_erased() {
    let app = TestApp::start().await;
    let path = referred(&app, WASSENAAR, debts(), &["question"]).await;
    let id = path.rsplit('/').next().unwrap();
    let of = |bsn: &str| json!({ "subject": { "bsn": bsn }, "ground": "objection-upheld", "referrals": [id] });
    let by_name =
        json!({ "subject": { "pseudonym": "A".repeat(43) }, "ground": "objection-upheld", "referrals": [id] });
    assert_eq!(erase(&app, "kwadraad", by_name).await.status, 404);
    assert_eq!(erase(&app, WASSENAAR, of("999990032")).await.status, 404);
    let unknown = json!({ "subject": { "bsn": BSN }, "ground": "objection-upheld", "referrals": [Uuid::nil()] });
    assert_eq!(erase(&app, WASSENAAR, unknown).await.status, 404);
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM erasures").await, 0);
    assert_eq!(read(&app, "kredietbank", &path).await, 200);

    let erasure = erased(&app, WASSENAAR, of(BSN)).await;
    assert_eq!(counts(&erasure), [1, 1, 1]);
    let path = format!("/v1/erasures/{}", erasure["id"].as_str().unwrap());
    assert_eq!(app.get("kredietbank", &path).await.status, 404, "an erasure is its organisation's alone");
    assert!(items(&app, "kredietbank", "/v1/erasures").await.is_empty());
    assert_eq!(items(&app, WASSENAAR, "/v1/erasures").await, [erasure]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_a_resident_whom_nobody_or_only_others_know_the_answer_is_the_same() {
    let app = TestApp::start().await;
    let path = referred(&app, WASSENAAR, debts(), &["question"]).await;
    let shape = |mut body: Value| {
        for name in ["id", "requestedAt"] {
            body[name] = Value::Null;
        }
        body
    };
    let named = |subject: Value| json!({ "subject": subject, "ground": "unlawfully-processed" });
    let others = app.get("kredietbank", &path).await.body["subject"]["pseudonym"].clone();
    let mut answers = Vec::new();
    // The bank knows the resident and gave nothing; nobody knows the second name.
    for pseudonym in [others, json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] {
        let answer = erase(&app, "kredietbank", named(json!({ "pseudonym": pseudonym }))).await;
        assert_eq!((answer.status, counts(&answer.body)), (201, [0, 0, 0]), "{}", answer.text);
        answers.push(shape(answer.body));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_is_erased_once_and_a_repeat_gets_the_first_answer() {
    let app = TestApp::start().await;
    referred(&app, WASSENAAR, debts(), &["question"]).await;
    let key = app.world().new_key().unwrap();
    let ask = async || app.ask(WASSENAAR, keyed("/v1/erasures", all_of_the_resident(), &key)).await;
    let (first, again) = (ask().await, ask().await);
    assert_eq!((first.status, &first.body), (201, &again.body));
    assert_eq!(counts(&erased(&app, WASSENAAR, all_of_the_resident()).await), [0, 0, 0]);
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM erasures").await, 2);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_key_store_is_down_nothing_is_given_and_what_must_go_goes_when_it_is_back() {
    let app = TestApp::start().await;
    let erasable = referred(&app, WASSENAAR, debts(), &["question"]).await;
    let saved = backup(&app).await;
    in_key_store(&app, "ALTER TABLE key_shares RENAME TO out_of_reach").await;
    assert_eq!(read(&app, "kredietbank", &erasable).await, 503);
    let disclosed = "SELECT COUNT(*) AS count FROM audit_records WHERE kind = 'disclosure'";
    assert_eq!(count(&app, disclosed).await, 0, "and nothing says that it was");
    let created = erase(&app, WASSENAAR, all_of_the_resident()).await;
    assert_eq!((created.status, created.text_at("/status")), (201, Some("pending")));
    assert_eq!(read(&app, WASSENAAR, &erasable).await, 403, "what is erased is gone for everybody at once");
    assert!(erasures::destroy(app.app()).await.is_err());
    let path = created.headers["location"].clone();
    assert_eq!(app.get(WASSENAAR, &path).await.body["destroyedAt"], Value::Null);

    // The gateway ends before the keys are destroyed; the next one takes it up.
    in_key_store(&app, "ALTER TABLE out_of_reach RENAME TO key_shares").await;
    let app = app.stand_still(Duration::from_mins(1)).await;
    erasures::destroy(app.app()).await.unwrap();
    assert_eq!(app.get(WASSENAAR, &path).await.body["status"], "destroyed");
    assert!(readable(&app, &saved, &app.app().keys).await.is_empty());
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM audit_records WHERE action = 'keys-destroyed'").await, 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_at_one_gateway_the_other_does_not_give() {
    let app = TestApp::start().await;
    let other = Neighbour::start(&app, &[]).await;
    let path = referred(&app, WASSENAAR, debts(), &["question"]).await;
    let get =
        async || other.world.ask("kredietbank", sluis::demo::client::Request::get(format!("{path}/sections"))).await;
    assert_eq!(get().await.unwrap().status, 200);
    assert_eq!(erase(&app, WASSENAAR, all_of_the_resident()).await.status, 201);
    assert_eq!(get().await.unwrap().status, 403);
    let (one, two) = tokio::join!(erasures::destroy(app.app()), erasures::destroy(other.app()));
    one.and(two).unwrap();
    app.app().sequence().await.unwrap();
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM audit_records WHERE action = 'keys-destroyed'").await, 1);
    other.stop().await;
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_takes_content_away_destroys_its_keys_and_no_others() {
    let app = TestApp::start().await;
    let corrected = referred(&app, WASSENAAR, debts(), &["question", "finance", "housing"]).await;
    let mistaken = referred(&app, WASSENAAR, debts(), &["question"]).await;
    let id = put_on_record(&app, "mee", consent(&app, crate::app::SMOW, "welfare-support", &["question"])).await;
    let rested = crate::app::by_consent(crate::app::SMOW, "welfare-support");
    referred(&app, "mee", rested, &["question"]).await;
    let saved = backup(&app).await;
    assert_eq!(saved.len(), 5);

    correct(&app, WASSENAAR, &corrected, correction("inaccurate", &["finance"], &["housing"])).await;
    step(&app, WASSENAAR, &mistaken, json!({ "status": "entered-in-error", "statusReason": "wrong-resident" })).await;
    withdraw(&app, "mee", &id).await;
    erasures::destroy(app.app()).await.unwrap();
    let kept = readable(&app, &saved, &app.app().keys).await;
    assert_eq!(kept, BTreeSet::from(["question".to_owned()]));
    let standing: Vec<_> = saved.iter().filter_map(|one| one.share).collect();
    assert_eq!(app.app().keys.find(&standing).await.unwrap().len(), 1, "of five shares the one that stands is left");
    assert_eq!(read(&app, "kredietbank", &corrected).await, 200);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_from_before_there_was_a_key_store_opens_and_is_erased() {
    let app = TestApp::start().await;
    let path = referred(&app, WASSENAAR, debts(), &["question"]).await;
    let saved = backup(&app).await.remove(0);
    let sealer = &app.app().sealer;
    let data = sealer.data_key(&format!("referrals/wrapped_key/{}", saved.referral), &saved.wrapped).unwrap();
    let place = format!("referral_sections/sealed/{}/{}/{}", saved.referral, saved.part, saved.category);
    let old = data.seal(&place, json!({ "content": { "text": "as before" } }).to_string().as_bytes()).unwrap();
    let make_old = async move |tx: &mut Tx| {
        let sql = "UPDATE referral_sections SET key_share = NULL, sealed = $1";
        Ok(tx.execute(sql, args![old.clone()]).await.map(drop)?)
    };
    app.app().db.write("make old", make_old).await.unwrap();
    let shown = app.get("kredietbank", format!("{path}/sections")).await;
    assert_eq!(shown.body["sections"][0]["content"]["text"], "as before", "{}", shown.text);
    assert_eq!(counts(&erased(&app, WASSENAAR, all_of_the_resident()).await), [1, 1, 1]);
    assert_eq!(read(&app, "kredietbank", &path).await, 403);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_another_key_store_no_gateway_starts() {
    let app = TestApp::start().await;
    let config = app.app().config.clone();
    let mut other = config.clone();
    other.key_store.url = format!("sqlite:{}", app.folder.join("empty.db").display());
    let clock = app.world().clock().clone();
    let refused = sluis::app::App::open(other, clock.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("storage.keys_url"), "{refused}");
    let mut swapped = config;
    swapped.key_store.url = app.folder.join("sluis-keys.db").display().to_string();
    assert!(sluis::app::App::open(swapped, clock).await.is_err(), "an address of no known kind");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_evidence_is_goes_with_records_that_hold_no_longer_and_stays_with_those_that_do() {
    let app = TestApp::start().await;
    let [ended, holds] = ["welfare-support", "social-work"];
    let ended = put_on_record(&app, WASSENAAR, consent(&app, KREDIETBANK, ended, &["question"])).await;
    let holds = put_on_record(&app, WASSENAAR, consent(&app, KREDIETBANK, holds, &["question"])).await;
    withdraw(&app, WASSENAAR, &ended).await;
    erased(&app, WASSENAAR, all_of_the_resident()).await;
    assert!(app.get(WASSENAAR, format!("/v1/consents/{ended}")).await.body["evidenceRef"].is_null());
    assert_eq!(app.get(WASSENAAR, format!("/v1/consents/{holds}")).await.body["evidenceRef"], "DOSSIER-1");
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_that_no_section_uses_are_removed_after_a_day_and_those_that_are_used_never() {
    let app = TestApp::start().await;
    let path = referred(&app, WASSENAAR, debts(), &["question"]).await;
    let keys = copied_keys(&app, "unused.db").await;
    drop(keys);
    erasures::sweep(app.app()).await.unwrap();
    let share = backup(&app).await[0].share.unwrap();
    let now = app.app().now();
    assert!(app.app().keys.old(now).await.unwrap().is_none(), "they may still be handed out");
    app.world().clock().advance(Duration::from_hours(25));
    let old = app.app().keys.old(app.app().now()).await.unwrap().unwrap();
    assert!(old.ids().contains(&share) && old.ids().len() == 256);
    let unused = *old.ids().iter().find(|id| **id != share).unwrap();
    erasures::sweep(app.app()).await.unwrap();
    assert!(app.app().keys.old(app.app().now()).await.unwrap().is_none(), "each is looked at once");
    let found = app.app().keys.find(&[share, unused]).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&share]);
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    // What was made before the sweep is not handed out after it.
    let next = referred(&app, WASSENAAR, debts(), &["question"]).await;
    assert_eq!(read(&app, "kredietbank", &next).await, 200);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_store_on_postgresql_forgets_too() {
    if postgres().is_none() {
        println!("NOT CHECKED: a key store on PostgreSQL; name a server in SLUIS_TEST_POSTGRES");
        return;
    }
    let keys = fresh_storage(&std::env::temp_dir(), &format!("sluis-keys-{}", std::process::id())).await;
    let app = TestApp::start_with(&[("SLUIS_STORAGE__KEYS_URL", &keys)]).await;
    let path = referred(&app, WASSENAAR, debts(), &["question"]).await;
    assert_eq!(read(&app, "kredietbank", &path).await, 200);
    let saved = backup(&app).await;
    assert_eq!(readable(&app, &saved, &app.app().keys).await, BTreeSet::from(["question".to_owned()]));
    let shares: Vec<Uuid> = saved.iter().filter_map(|saved| saved.share).collect();
    assert_eq!(app.app().keys.find(&shares).await.unwrap().len(), 1);
    assert_eq!(erased(&app, WASSENAAR, all_of_the_resident()).await["status"], "destroyed");
    assert!(app.app().keys.find(&shares).await.unwrap().is_empty());
    assert!(readable(&app, &saved, &app.app().keys).await.is_empty());
    // What was not erased opens with the keys that are left.
    let other = referred(&app, WASSENAAR, debts(), &["finance"]).await;
    assert_eq!(read(&app, "kredietbank", &other).await, 200);
    finish(app).await;
}
