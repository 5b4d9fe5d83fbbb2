//! Tests of the audit log; here what they share: a database of their own, a signer, records.

mod forms;
mod log;
mod reading;
mod since;
mod tampering;
mod tree;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::checkpoint::{CheckpointSigner, SigningFailed, VerifierKey};
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::ids::{Entropy, Oin};
use crate::problem::Problem;
use crate::storage::seal::{Key, Sealer};
use crate::storage::{Db, StorageSettings, Tx};

pub(super) const SENDER: &str = "00000099000000001000";
pub(super) const RECIPIENT: &str = "00000099000000006000";

/// An Ed25519 key for one test.
pub(super) struct TestSigner(Ed25519KeyPair);

impl TestSigner {
    pub(super) fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }
}

impl CheckpointSigner for TestSigner {
    fn key_name(&self) -> &'static str {
        "sluis.test/log"
    }

    fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

/// The PostgreSQL server on which these tests run instead of on SQLite, as `postgres://user@host:port/database`.
pub(super) fn postgres() -> Option<String> {
    std::env::var("SLUIS_TEST_POSTGRES").ok()
}

async fn open(url: String) -> Db {
    Db::open(&StorageSettings { url, readers: 2, writers: 2 }).await.unwrap()
}

/// The address of an empty schema of its own on the server.
async fn schema(server: &str, name: &str) -> String {
    let sql: &'static str = Box::leak(format!("CREATE SCHEMA {name}").into_boxed_str());
    let job = async move |tx: &mut Tx| Ok(tx.execute(sql, vec![]).await?);
    open(server.to_owned()).await.write("test schema", job).await.unwrap();
    format!("{server}?options=-csearch_path%3D{name}")
}

/// A log in a database file of its own, removed when dropped.
pub(super) struct TestLog {
    pub(super) db: Db,
    pub(super) folder: PathBuf,
    pub(super) signer: Arc<TestSigner>,
    pub(super) sealer: Sealer,
    pub(super) entropy: Entropy,
    pub(super) clock: Clock,
}

impl TestLog {
    pub(super) async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sluis-audit-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let entropy = Entropy::system();
        let url = match postgres() {
            Some(server) => schema(&server, &format!("audit_{}_{number}", std::process::id())).await,
            None => format!("sqlite:{}", folder.join("log.db").display()),
        };
        Self {
            db: open(url).await,
            folder,
            signer: Arc::new(TestSigner::new()),
            sealer: Sealer::new(Key::generate(&entropy).unwrap(), vec![], entropy.clone()),
            entropy,
            clock: Clock::movable(),
        }
    }

    /// A log with this many records, sequenced in two runs.
    pub(super) async fn with_records(count: usize) -> Self {
        let log = Self::new().await;
        log.write_many(count / 2).await;
        log.sequence().await;
        log.write_many(count - count / 2).await;
        log.sequence().await;
        log
    }

    pub(super) fn record(&self) -> Record {
        let now = self.clock.now();
        decision(self.entropy.uuid(now).unwrap(), now)
    }

    pub(super) async fn write(&self, record: &Record) {
        let sealed = SealedRecord::new(record, &self.entropy, &self.sealer).unwrap();
        self.db
            .write("test record", async move |tx: &mut Tx| {
                write(tx, &sealed);
                Ok(())
            })
            .await
            .unwrap();
    }

    pub(super) async fn write_many(&self, count: usize) {
        let records: Vec<SealedRecord> =
            (0..count).map(|_| SealedRecord::new(&self.record(), &self.entropy, &self.sealer).unwrap()).collect();
        let job = async move |tx: &mut Tx| {
            for record in &records {
                write(tx, record);
            }
            Ok(())
        };
        self.db.write("test records", job).await.unwrap();
    }

    pub(super) async fn try_sequence(&self) -> Result<Sequenced, Problem> {
        let (signer, sealer, now) = (Arc::clone(&self.signer), self.sealer.clone(), self.clock.now());
        let keys = self.keys();
        let job = async move |tx: &mut Tx| Ok(sequence(tx, now, signer.as_ref(), &keys, &sealer).await?);
        self.db.write("test sequencing", job).await
    }

    pub(super) async fn sequence(&self) -> Sequenced {
        self.try_sequence().await.unwrap()
    }

    pub(super) fn keys(&self) -> Vec<VerifierKey> {
        vec![VerifierKey::of(self.signer.as_ref())]
    }

    /// Does what a person with the database file and an SQL prompt could do.
    pub(super) async fn tamper(&self, statements: &'static [&'static str]) {
        let job = async move |tx: &mut Tx| {
            for statement in statements {
                assert!(tx.execute(statement, vec![]).await? > 0, "changed nothing: {statement}");
            }
            Ok(())
        };
        self.db.write("tampering", job).await.unwrap();
    }

    /// Changes the form of tables, which counts no rows.
    pub(super) async fn alter(&self, statements: &'static [&'static str]) {
        let job = async move |tx: &mut Tx| {
            for statement in statements {
                tx.execute(statement, vec![]).await?;
            }
            Ok(())
        };
        self.db.write("tampering", job).await.unwrap();
    }

    pub(super) async fn verify(&self) -> Report {
        self.verify_with(None).await
    }

    pub(super) async fn verify_with(&self, kept: Option<&str>) -> Report {
        let keys = self.keys();
        let trust = Trust { keys: &keys, seals: &self.sealer, kept };
        verify(&mut self.db.snapshot().await.unwrap(), &trust).await.unwrap()
    }

    /// The identifier of the record in this place.
    pub(super) async fn id_at(&self, leaf_index: i64) -> String {
        use crate::storage::Query as _;
        let sql = "SELECT id FROM audit_records WHERE leaf_index = $1";
        self.db.reader().row(sql, crate::args![leaf_index]).await.unwrap().unwrap().text("id").unwrap()
    }
}

impl Drop for TestLog {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(super) fn oin(text: &str) -> Oin {
    text.parse().unwrap()
}

/// A decision of the municipality to send something to the credit bank, with one section permitted and one withheld.
pub(super) fn decision(id: uuid::Uuid, time: Timestamp) -> Record {
    Record {
        client_id: Some(SENDER.into()),
        request_id: Some("0193a4b0-0000-7000-8000-000000000001".into()),
        trace: TraceContext {
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            span_id: Some("00f067aa0ba902b7".into()),
            parent_span_id: None,
        },
        sender: Some(oin(SENDER)),
        recipient: Some(oin(RECIPIENT)),
        purpose: Some("debt-counselling".into()),
        phase: Some("case".into()),
        legal_basis: Some("wgs".into()),
        processing_activity: Some("https://register.example/activities/debt-counselling".into()),
        covenant_version: Some("2026-1".into()),
        policy_digest: Some("sha-256:00".into()),
        outcome: Some(Outcome::Minimised),
        sections: vec![
            SectionOutcome {
                category: "finance".into(),
                effect: Effect::Permit,
                code: None,
                rules: vec!["debt-counselling-finance".into()],
            },
            SectionOutcome {
                category: "mental-health".into(),
                effect: Effect::Withhold,
                code: Some("category-never-for-recipient".into()),
                rules: vec!["credit-bank-no-health".into()],
            },
        ],
        consent_ids: vec!["0193a4b0-0000-7000-8000-000000000002".into()],
        subject: Some("pseudonym-of-the-sender".into()),
        referral: Some("0193a4b0-0000-7000-8000-000000000003".into()),
        facts: Some(json!({"ageGroup": "18-plus"})),
        ..Record::new(id, Kind::Decision, time, oin(SENDER))
    }
}
