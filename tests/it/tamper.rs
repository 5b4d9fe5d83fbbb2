//! Somebody with the database in hands: what `sluis audit verify` says of it, and what can be read in it.

use serde_json::{Value, json};
use sluis::args;
use sluis::demo::client::{Answer, Request};
use sluis::storage::{Db, Query as _, Tx};

use crate::app::{BSN, SMOW, debts, postgres, with_sections};
use crate::process::{DataFolder, Gateway};

const SECRET_CONTENT: &str = "huurachterstand-van-drie-maanden-en-een-ontruiming";
const EVIDENCE: &str = "DOSSIER-2026-00417-kast-4";

async fn post(gateway: &Gateway, who: &str, path: &str, body: Value) -> Answer {
    let mut request = Request::post(path, body);
    request.idempotency_key = Some(gateway.world.new_key().unwrap());
    gateway.world.ask(who, request).await.unwrap()
}

/// Some referrals, handed over and refused, a consent and a webhook; gives its secret.
async fn history(gateway: &Gateway) -> String {
    for number in 0..8 {
        let mut referral = with_sections(debts(), &["finance", "question"]);
        referral["sections"][0]["content"] = json!({ "text": format!("{SECRET_CONTENT} {number}") });
        let created = post(gateway, "gemeente-wassenaar", "/v1/referrals", referral).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let path = format!("{}/sections", created.headers["location"]);
        assert_eq!(gateway.world.ask("kredietbank", Request::get(path)).await.unwrap().status, 200);
    }
    let mut refused = with_sections(debts(), &["mental-health"]);
    refused["sections"][0]["content"] = json!({ "text": SECRET_CONTENT });
    assert_eq!(post(gateway, "gemeente-wassenaar", "/v1/referrals", refused).await.status, 403);
    let now = gateway.world.clock().now();
    let consent = json!({
        "kind": "consent", "subject": { "bsn": BSN }, "givenBy": "resident", "explicit": true,
        "recipients": [SMOW], "purposes": ["welfare-support"], "categories": ["question"],
        "validFrom": now, "validUntil": now.plus(std::time::Duration::from_hours(48)), "obtainedAt": now,
        "method": "signed-form", "evidenceRef": EVIDENCE,
    });
    let recorded = post(gateway, "mee", "/v1/consents", consent).await;
    assert_eq!(recorded.status, 201, "{}", recorded.text);
    let subscribed = post(gateway, "mee", "/v1/subscriptions", json!({ "sink": "https://127.0.0.1:9/webhook" })).await;
    assert_eq!(subscribed.status, 201, "{}", subscribed.text);
    subscribed.text_at("/secret").unwrap().to_owned()
}

async fn execute(db: &Db, statements: &[&str]) {
    for statement in statements {
        let sql: &'static str = Box::leak((*statement).to_owned().into_boxed_str());
        let changed = db.write("tampering", async move |tx: &mut Tx| Ok(tx.execute(sql, args![]).await?));
        changed.await.unwrap_or_else(|problem| panic!("{statement}: {problem:?}"));
    }
}

const TABLES: [&str; 3] = ["audit_records", "audit_tiles", "audit_checkpoints"];

async fn keep(db: &Db) {
    for table in TABLES {
        execute(db, &[&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")]).await;
    }
}

/// Puts the audit log back as it was.
async fn restore(db: &Db) {
    let overriding = if postgres().is_some() { "OVERRIDING SYSTEM VALUE" } else { "" };
    for table in TABLES {
        execute(
            db,
            &[&format!("DELETE FROM {table}"), &format!("INSERT INTO {table} {overriding} SELECT * FROM kept_{table}")],
        )
        .await;
    }
}

async fn text(db: &Db, sql: &str) -> String {
    let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
    db.reader().row(sql, args![]).await.unwrap().unwrap().text("value").unwrap()
}

/// Copies a record as a row of its own, with this place in the log.
fn copy(of: i64, place: &str) -> String {
    let columns = "kind, time, organisation, client_id, request_id, trace_id, span_id, parent_span_id, action, resource, \
        sender, recipient, purpose, phase, legal_basis, processing_activity, covenant_version, policy_digest, outcome, \
        sections, consent_ids, subject, referral, update_id, decision, consent, status, status_reason, facts, salts, \
        commitments, seal, refused";
    format!(
        "INSERT INTO audit_records (id, leaf_index, {columns}) SELECT 'a-copy', {place}, {columns} FROM audit_records \
         WHERE leaf_index = {of}"
    )
}

/// What was done; how the finding must be called; at which place, if at one; the record that must be named.
struct Tampering {
    statements: Vec<String>,
    kind: &'static str,
    place: Option<u64>,
    named: Option<String>,
}

impl Tampering {
    fn new(statements: &[&str], kind: &'static str, place: Option<u64>, named: Option<&str>) -> Self {
        let statements = statements.iter().map(|statement| (*statement).to_owned()).collect();
        Self { statements, kind, place, named: named.map(str::to_owned) }
    }
}

async fn number(db: &Db, sql: &str) -> i64 {
    let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
    db.reader().row(sql, args![]).await.unwrap().unwrap().int("value").unwrap()
}

async fn tamperings(db: &Db, size: u64) -> Vec<Tampering> {
    // A decision in the middle of the log, so that there is something before and behind it.
    let place = number(db, "SELECT MIN(leaf_index) AS value FROM audit_records WHERE kind = 'decision'").await + 2;
    let id_at =
        async |place: i64| text(db, &format!("SELECT id AS value FROM audit_records WHERE leaf_index = {place}")).await;
    let (id, at) = (id_at(place).await, u64::try_from(place).ok());
    let mut all = Vec::new();
    for change in [
        "purpose = 'welfare-support'",
        "outcome = 'refused'",
        "organisation = organisation || '1'",
        "time = time + 1",
        "sections = '[]'",
        "facts = '{}'",
        "policy_digest = 'none'",
        "covenant_version = '9'",
        "legal_basis = 'consent'",
        "request_id = 'x'",
        "consent_ids = '[]'",
        "status = 'in-progress'",
        "subject = NULL",
        "salts = commitments",
        "seal = substr(salts, 1, 32)",
        "kind = 'check'",
    ] {
        let statement = format!("UPDATE audit_records SET {change} WHERE leaf_index = {place}");
        all.push(Tampering::new(&[&statement], "record-changed", at, Some(&id)));
    }
    let removed = format!("DELETE FROM audit_records WHERE leaf_index = {place}");
    all.push(Tampering::new(&[&removed], "record-removed", at, None));
    let behind = format!("UPDATE audit_records SET leaf_index = -leaf_index WHERE leaf_index > {place}");
    let closed_up = [&removed, &behind, "UPDATE audit_records SET leaf_index = -leaf_index - 1 WHERE leaf_index < 0"];
    all.push(Tampering::new(&closed_up, "record-removed", at, None));
    let last = format!("DELETE FROM audit_records WHERE leaf_index = {}", size - 1);
    all.push(Tampering::new(&[&last], "record-removed", Some(size - 1), None));
    all.push(Tampering::new(&[&copy(place, "NULL")], "record-inserted", None, Some("a-copy")));
    all.push(Tampering::new(&[&copy(place, &size.to_string())], "record-inserted", Some(size), Some("a-copy")));
    let opened = "UPDATE audit_records SET leaf_index = -leaf_index + 1 WHERE leaf_index < 0";
    let between = copy(place, &(place + 1).to_string());
    all.push(Tampering::new(&[&behind, opened, &between], "record-inserted", at.map(|at| at + 1), Some("a-copy")));
    let other = id_at(place + 3).await;
    let [away, here, there] = [(place, -1), (place + 3, place), (-1, place + 3)]
        .map(|(from, to)| format!("UPDATE audit_records SET leaf_index = {to} WHERE leaf_index = {from}"));
    all.push(Tampering::new(&[&away, &here, &there], "record-moved", at, Some(&other)));
    let tile = "UPDATE audit_tiles SET hashes = substr(hashes, 33, 32) || substr(hashes, 1, 32) || substr(hashes, 65) \
                WHERE level = 0 AND tile = 0";
    all.push(Tampering::new(&[tile], "tile-altered", None, None));
    let newest = "WHERE tree_size = (SELECT MAX(tree_size) FROM audit_checkpoints)";
    for change in ["root = previous", "created_at = created_at - 1", "note = replace(note, 'sluis', 'slius')"] {
        let statement = format!("UPDATE audit_checkpoints SET {change} {newest}");
        all.push(Tampering::new(&[&statement], "checkpoint-altered", None, None));
    }
    let checkpoint = format!("DELETE FROM audit_checkpoints {newest}");
    all.push(Tampering::new(&[&checkpoint], "log-truncated", None, None));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tampering_with_the_database_is_named() {
    let folder = DataFolder::found("tamper").await;
    let gateway = folder.serve("warn");
    history(&gateway).await;
    gateway.stop().await;
    let (code, report) = folder.verify();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(
        (&report["intact"], &report["unsequenced"]),
        (&json!(true), &json!(0)),
        "stopping sequences what is left"
    );
    let size = report["treeSize"].as_u64().unwrap();
    assert_eq!(report["records"].as_u64(), Some(size));
    assert!(size > 40, "two records of each decision and each disclosure, and those of the founding: {size}");
    let (code, words) = folder.verify_in_words();
    assert_eq!(code, Some(0));
    assert!(words.contains(&format!("examined {size} records")) && words.contains("intact"), "{words}");
    let db = folder.database().await;
    keep(&db).await;
    for tampering in tamperings(&db, size).await {
        let statements: Vec<&str> = tampering.statements.iter().map(String::as_str).collect();
        execute(&db, &statements).await;
        let (code, report) = folder.verify();
        let what = statements.join("; ");
        assert_eq!((code, &report["intact"]), (Some(1), &json!(false)), "{what}: {report}");
        let found = if tampering.kind.starts_with("record") { &report["firstRecord"] } else { &report["findings"][0] };
        assert_eq!(found["kind"], tampering.kind, "{what}: {report}");
        if tampering.place.is_some() {
            assert_eq!(found["leafIndex"].as_u64(), tampering.place, "{what}: {report}");
        }
        if let Some(named) = &tampering.named {
            assert_eq!(found["record"], json!(named), "{what}: {report}");
        }
        restore(&db).await;
        assert_eq!(folder.verify().0, Some(0), "restored after {what}");
    }
    a_copy_is_never_taken_into_the_log(&folder, &db, size).await;
    folder.remove();
}

/// The gateway that starts on the tampered database goes on with its own records and leaves the copy out.
async fn a_copy_is_never_taken_into_the_log(folder: &DataFolder, db: &Db, size: u64) {
    let decision = number(db, "SELECT MIN(leaf_index) AS value FROM audit_records WHERE kind = 'decision'").await;
    execute(db, &[&copy(decision, "NULL")]).await;
    let gateway = folder.serve("warn");
    let created = post(&gateway, "gemeente-wassenaar", "/v1/referrals", with_sections(debts(), &["finance"])).await;
    assert_eq!(created.status, 201, "{}", created.text);
    gateway.stop().await;
    let (code, report) = folder.verify();
    assert_eq!((code, &report["findingCount"]), (Some(1), &json!(1)), "{report}");
    assert_eq!(
        (&report["firstRecord"]["kind"], &report["firstRecord"]["record"]),
        (&json!("record-inserted"), &json!("a-copy"))
    );
    assert_eq!(report["treeSize"].as_u64(), Some(size + 2), "the two records of the new referral: {report}");
}

/// All that lies in the database, as somebody sees it who has a copy of it.
pub async fn everything_stored(folder: &DataFolder) -> Vec<u8> {
    if postgres().is_none() {
        return ["sluis.db", "sluis.db-wal"]
            .iter()
            .flat_map(|file| crate::process::bytes(&folder.path.join(file)))
            .collect();
    }
    let db = folder.database().await;
    let sql = "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = current_schema()";
    let mut all = Vec::new();
    for row in db.reader().rows(sql, args![]).await.unwrap() {
        let table = row.text("name").unwrap();
        let sql: &'static str = Box::leak(format!("SELECT t::text AS line FROM {table} t").into_boxed_str());
        for row in db.reader().rows(sql, args![]).await.unwrap() {
            all.extend(row.text("line").unwrap().into_bytes());
            all.push(b'\n');
        }
    }
    all
}

pub fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    // Values of type BYTEA are shown in hexadecimal.
    let hex = hex::encode(needle);
    [needle, hex.as_bytes()].iter().any(|needle| haystack.windows(needle.len()).any(|window| window == *needle))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_and_no_secret_lies_in_the_database_in_clear() {
    use base64::Engine as _;
    let folder = DataFolder::found("at-rest").await;
    let mut gateway = folder.serve("warn");
    let secret = history(&gateway).await;
    // Killed, so that the write-ahead log is still there.
    gateway.kill();
    let stored = everything_stored(&folder).await;
    assert!(stored.len() > 20_000 && holds(&stored, b"debt-counselling"), "what is not secret is found");
    let raw = base64::engine::general_purpose::STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let personal = [BSN.as_bytes(), SECRET_CONTENT.as_bytes(), EVIDENCE.as_bytes(), b"about question"];
    for needle in personal.into_iter().chain([secret.trim_start_matches("whsec_").as_bytes(), &raw]) {
        assert!(!holds(&stored, needle), "{}", String::from_utf8_lossy(needle));
    }
    assert_eq!(folder.verify().0, Some(0));
    folder.remove();
}
