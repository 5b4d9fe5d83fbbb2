//! A gateway for a test: the real thing in this process, on a port and a database of its own, with the six organisations of
//! the example covenant, real TLS and real tokens. Every answer that anybody gets is held against the contract.
//!
//! The database is a SQLite file, or PostgreSQL where `SLUIS_TEST_POSTGRES` names a server
//! (`postgres://user@host:port/database`): each test then has a schema of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sluis::app::App;
use sluis::clock::Clock;
use sluis::demo::client::{Answer, Inspector, Request};
use sluis::demo::evening::any_port;
use sluis::demo::folder::Folder;
use sluis::demo::house::House;
use sluis::demo::world::World;
use sluis::http::contract::{Contract, Operation, ResponseParts};
use sluis::storage::{Db, StorageSettings, Tx};

pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::built_in().unwrap());

pub const MUNICIPALITY: &str = "00000099000000001000";
pub const SMOW: &str = "00000099000000002000";
pub const KWADRAAD: &str = "00000099000000003000";
pub const MEE: &str = "00000099000000004000";
pub const KREDIETBANK: &str = "00000099000000006000";

/// A test BSN (starts with 99999, passes the eleven-test).
pub const BSN: &str = "999990019";

pub struct TestApp {
    pub house: House,
    pub folder: PathBuf,
    /// Which database it runs on, in a form that `storage.url` takes.
    pub storage: String,
    faults: Arc<Mutex<Vec<String>>>,
}

/// The PostgreSQL server that the tests run on, if any.
pub fn postgres() -> Option<String> {
    std::env::var("SLUIS_TEST_POSTGRES").ok().filter(|server| !server.is_empty())
}

/// The address of an empty database for one test.
pub async fn fresh_storage(folder: &std::path::Path, name: &str) -> String {
    let Some(server) = postgres() else { return format!("sqlite:{}", folder.join("sluis.db").display()) };
    let schema = name.replace('-', "_");
    let statement: &'static str = Box::leak(format!("CREATE SCHEMA {schema}").into_boxed_str());
    let db = Db::open(&StorageSettings { url: server.clone(), readers: 1, writers: 1 }).await.unwrap();
    db.write("test schema", async move |tx: &mut Tx| Ok(tx.execute(statement, vec![]).await?)).await.unwrap();
    format!("{server}?options=-csearch_path%3D{schema}")
}

impl TestApp {
    /// A gateway whose clock a test can move.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with other settings, as variables of the environment.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_at(Clock::movable(), settings).await
    }

    /// The same with a clock of one's own: two gateways whose clocks stand at the same moment can be compared.
    pub async fn start_at(clock: Clock, settings: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("sluis-it-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let storage = fresh_storage(&folder, &name).await;
        Self::open(folder, storage, settings, clock).await
    }

    /// No gateway runs for so long; then there is one again on the same data.
    pub async fn stand_still(self, pause: Duration) -> Self {
        let (folder, storage, clock) = (self.folder.clone(), self.storage.clone(), self.world().clock().clone());
        self.stop_keeping_data().await;
        clock.advance(pause);
        Self::open(folder, storage, &[], clock).await
    }

    async fn open(folder: PathBuf, storage: String, settings: &[(&str, &str)], clock: Clock) -> Self {
        let data = Folder::open(&folder).unwrap();
        let usual = [("SLUIS_STORAGE__URL", storage.as_str()), ("SLUIS_API__WORKERS", "1")];
        let environment: Vec<(String, String)> =
            usual.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut house = House::open_with(&data, any_port().unwrap(), clock, environment).await.unwrap();
        let faults = Arc::new(Mutex::new(Vec::new()));
        house.world.inspect_with(&inspector(&faults));
        Self { house, folder, storage, faults }
    }

    async fn stop_keeping_data(self) {
        let faults = Arc::clone(&self.faults);
        self.house.close().await;
        assert_eq!(*faults.lock().unwrap(), [""; 0], "answers that do not fit the contract");
    }

    /// Ends the test: everything stops, and every answer must have fitted the contract.
    pub async fn finish(self) {
        let folder = self.folder.clone();
        self.stop_keeping_data().await;
        std::fs::remove_dir_all(folder).unwrap();
    }

    pub const fn world(&self) -> &World {
        &self.house.world
    }

    pub const fn app(&self) -> &App {
        self.house.app()
    }

    /// A request by a party or by a role of the municipality, with all its scopes.
    pub async fn ask(&self, who: &str, request: Request) -> Answer {
        self.world().ask(who, request).await.unwrap()
    }

    pub async fn get(&self, who: &str, path: impl Into<String>) -> Answer {
        self.ask(who, Request::get(path)).await
    }

    /// A creating request with a fresh idempotency key.
    pub async fn post(&self, who: &str, path: impl Into<String>, body: Value) -> Answer {
        let mut request = Request::post(path, body);
        request.idempotency_key = Some(self.world().new_key().unwrap());
        self.ask(who, request).await
    }

    /// Has `who` hand over the sections of these categories, each with a content that names the category.
    pub async fn refer(&self, who: &str, referral: Value, categories: &[&str]) -> Answer {
        self.post(who, "/v1/referrals", with_sections(referral, categories)).await
    }
}

/// The municipality's referral of a resident with debts, without its sections.
pub fn debts() -> Value {
    json!({
        "recipient": KREDIETBANK, "purpose": "debt-counselling", "phase": "case", "legalBasis": "wgs",
        "subject": { "bsn": BSN, "ageGroup": "18-plus" }, "onWithheld": "minimise",
    })
}

/// A referral by consent, without its sections.
pub fn by_consent(recipient: &str, purpose: &str) -> Value {
    json!({
        "recipient": recipient, "purpose": purpose, "phase": "case", "legalBasis": "consent",
        "subject": { "bsn": BSN, "ageGroup": "18-plus" }, "onWithheld": "reject",
    })
}

/// A consent of the resident that is valid now.
pub fn consent(app: &TestApp, recipient: &str, purpose: &str, categories: &[&str]) -> Value {
    let now = app.app().now();
    json!({
        "kind": "consent", "subject": { "bsn": BSN }, "givenBy": "resident", "explicit": true,
        "recipients": [recipient], "purposes": [purpose], "categories": categories,
        "validFrom": now.minus(std::time::Duration::from_hours(1)),
        "validUntil": now.plus(std::time::Duration::from_hours(24 * 30)),
        "obtainedAt": now.minus(std::time::Duration::from_hours(2)),
        "method": "signed-form", "evidenceRef": "DOSSIER-1",
    })
}

pub fn with_sections(mut referral: Value, categories: &[&str]) -> Value {
    let section = |category: &&str| json!({ "category": category, "content": { "text": format!("about {category}") } });
    referral["sections"] = categories.iter().map(section).collect();
    referral
}

/// The operation that a request was for, if the contract has one.
pub fn operation_of(request: &Request) -> Option<&'static Operation> {
    let path = request.path.split('?').next()?.strip_prefix(CONTRACT.base_path())?;
    let fits = |template: &str| {
        let (given, known): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
        given.len() == known.len()
            && given.iter().zip(&known).all(|(given, known)| known.starts_with('{') || given == known)
    };
    let candidates = CONTRACT.operations().filter(|operation| operation.method == request.method.as_str());
    // A path without names in braces is the better match: `_check` is no id.
    candidates.filter(|operation| fits(&operation.path)).min_by_key(|operation| operation.path.matches('{').count())
}

/// Notes every answer that does not fit the contract.
pub fn inspector(faults: &Arc<Mutex<Vec<String>>>) -> Inspector {
    let faults = Arc::clone(faults);
    Arc::new(move |request, answer| {
        let headers: Vec<(String, String)> =
            answer.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let body = Some(&answer.body).filter(|body| !body.is_null());
        let parts = ResponseParts { status: answer.status, headers: &headers, body };
        let result = match operation_of(request) {
            Some(operation) => CONTRACT.validate_response(operation, &parts),
            None if request.path.starts_with(CONTRACT.base_path()) => CONTRACT.validate_problem(&parts),
            // The routes outside the contract have tests of their own.
            None => Ok(()),
        };
        if let Err(found) = result {
            let what = format!("{} {} {}", request.method, request.path, answer.status);
            faults.lock().unwrap().push(format!("{what}: {}", found.join("; ")));
        }
    })
}
