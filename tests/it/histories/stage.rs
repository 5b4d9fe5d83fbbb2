//! A gateway to play histories on: a founded data folder, a clock that stands still until it is moved, and a watch that looks when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sluis::app::{App, Application, Running};
use sluis::args;
use sluis::cases;
use sluis::clock::{Clock, Timestamp};
use sluis::config;
use sluis::demo::client::{Answer, ClientError, Request};
use sluis::demo::evening::any_port;
use sluis::demo::world::{PlayError, World};
use sluis::referrals::watch;
use sluis::storage::Query as _;
use time::Weekday;

use super::cast::{Org, RECIPIENTS, SENDERS, purpose, route};
use crate::app::inspector;
use crate::consistency::{log_holds, set_status};
use crate::process::{DataFolder, world_of};

const DAY: Duration = Duration::from_hours(24);

/// How much is read of a feed at once.
const PAGE: usize = 1_000;

pub struct Stage {
    folder: PathBuf,
    storage: String,
    clock: Clock,
    began: Timestamp,
    /// Both absent only while it is started anew.
    world: Option<World>,
    running: Option<Running>,
    faults: Arc<Mutex<Vec<String>>>,
    residents: usize,
    keys: usize,
}

impl Stage {
    /// A fresh gateway. Its time begins on a Monday morning at seven (UTC), so that a history has the same weekends whenever it is played.
    pub async fn open(name: &str) -> Self {
        let DataFolder { path, storage } = DataFolder::found(name).await;
        let now = Clock::system().now();
        let clock = Clock::still(next_monday(now));
        let (running, world) = start(&path, &storage, &clock).await;
        let began = clock.now();
        let faults = Arc::default();
        let mut stage = Self {
            folder: path,
            storage,
            clock,
            began,
            world: Some(world),
            running: Some(running),
            faults,
            residents: 0,
            keys: 0,
        };
        stage.inspect();
        stage.drop_subscriptions().await;
        stage.look().await;
        stage
    }

    /// The partners' systems of the founding run no more.
    async fn drop_subscriptions(&self) {
        for org in Org::ALL {
            let page = self.get(org, "/v1/subscriptions").await;
            for item in page.body["items"].as_array().unwrap() {
                let path = format!("/v1/subscriptions/{}", item["id"].as_str().unwrap());
                let removed = self.ask(org, Request { method: reqwest::Method::DELETE, ..Request::get(path) }).await;
                assert_eq!(removed.status, 204, "{}", removed.text);
            }
        }
    }

    pub fn app(&self) -> &App {
        &self.running.as_ref().unwrap().app
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How far its time has gone. Certificates last a year.
    pub fn days(&self) -> i64 {
        (self.now().as_micros() - self.began.as_micros()) / 86_400_000_000
    }

    pub fn move_to(&self, moment: Timestamp) {
        let left = moment.as_micros() - self.now().as_micros();
        self.clock.advance(Duration::from_micros(u64::try_from(left).unwrap_or(0)));
    }

    /// On to a Monday morning.
    pub fn move_to_monday(&self) {
        self.move_to(next_monday(self.now()));
    }

    fn world(&self) -> &World {
        self.world.as_ref().unwrap()
    }

    fn inspect(&mut self) {
        let inspector = inspector(&self.faults);
        self.world.as_mut().unwrap().inspect_with(&inspector);
    }

    /// An answer; who gets no token any more is refused with that.
    pub async fn ask(&self, org: Org, request: Request) -> Answer {
        match self.world().ask(org.slug(), request).await {
            Ok(answer) => answer,
            Err(PlayError::Client(ClientError::NoToken { body, .. })) => {
                Answer { status: 401, headers: BTreeMap::new(), text: body, body: Value::Null }
            }
            Err(error) => panic!("{}: {error}", org.slug()),
        }
    }

    pub async fn get(&self, org: Org, path: impl Into<String>) -> Answer {
        self.ask(org, Request::get(path)).await
    }

    /// A key that was not used before.
    pub fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("history-{}", self.keys)
    }

    /// What the gateway does several times a minute.
    pub async fn look(&mut self) {
        let app = self.running.as_ref().unwrap().app.clone();
        watch::parties(&app).await.unwrap();
        watch::deadlines(&app).await.unwrap();
        cases::sweep(&app).await.unwrap();
    }

    /// Stops the gateway, starts it again on the same data, and lets it look as it does at its start.
    pub async fn restart(&mut self) {
        self.close().await;
        let (running, world) = start(&self.folder, &self.storage, &self.clock).await;
        (self.running, self.world) = (Some(running), Some(world));
        self.inspect();
        self.look().await;
    }

    async fn close(&mut self) {
        // Open connections would hold it up.
        self.world = None;
        self.running.take().unwrap().stop().await;
    }

    pub async fn set_standing(&self, org: Org, active: bool) {
        let status = if active { "active" } else { "suspended" };
        let changed = set_status(self.world(), org.oin(), status).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
    }

    /// The audit log is whole and every decision in it is the one that its facts give.
    pub async fn log_holds(&self) {
        log_holds(self.app()).await;
    }

    /// What did not fit the contract so far.
    pub fn faults(&self) -> Vec<String> {
        std::mem::take(&mut *self.faults.lock().unwrap())
    }

    pub async fn finish(mut self) {
        self.close().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// A resident of whom nothing is known at all.
    pub fn another_resident() -> String {
        residents().next().unwrap()
    }

    /// A resident of whom nothing is known yet, with the records that every route needs.
    pub async fn new_resident(&mut self) -> String {
        self.residents += 1;
        let bsn = residents().nth(self.residents).unwrap();
        let now = self.now();
        let record = |kind: &str, recipients: &[Org], categories: &[&str]| {
            let purposes: Vec<_> = recipients.iter().filter_map(|recipient| purpose(*recipient)).collect();
            let recipients: Vec<_> = recipients.iter().map(|recipient| recipient.oin()).collect();
            json!({
                "kind": kind, "subject": { "bsn": bsn }, "givenBy": "resident", "explicit": true,
                "recipients": recipients, "purposes": purposes, "categories": categories,
                "validFrom": now, "validUntil": now.plus(360 * DAY), "obtainedAt": now, "method": "signed-form",
            })
        };
        for sender in SENDERS {
            let by_basis = |wanted: &[&str]| -> Vec<Org> {
                let routes = RECIPIENTS.into_iter().filter_map(|to| Some((to, route(sender, to)?.1)));
                routes.filter(|(_, basis)| wanted.contains(basis)).map(|(to, _)| to).collect()
            };
            let consented = by_basis(&["consent"]);
            let mut records = vec![record("consent", &consented, &["question", "contact"])];
            if route(sender, Org::Municipality).is_some() {
                records.push(record("care-agreement", &[Org::Municipality], &[]));
            }
            for body in records {
                let key = self.new_key();
                let request = Request { idempotency_key: Some(key), ..Request::post("/v1/consents", body) };
                let recorded = self.ask(sender, request).await;
                assert_eq!(recorded.status, 201, "{}", recorded.text);
            }
        }
        bsn
    }

    /// The names by which organisations know the case of a referral: only what they are, not who may know them.
    pub async fn case_names(&self, referral: &str) -> Vec<(Org, String)> {
        let sql = "SELECT a.organisation AS organisation, a.alias AS alias FROM case_aliases a \
                   JOIN referrals r ON r.case_id = a.case_id WHERE r.id = $1";
        let rows = self.app().db.reader().rows(sql, args![referral]).await.unwrap();
        let name = |row: &sluis::storage::Row| {
            let org = Org::of(&row.parsed("organisation").unwrap()).unwrap();
            (org, row.text("alias").unwrap())
        };
        rows.iter().map(name).collect()
    }

    /// The name by which events of the monitor know a referral, another one at each of its versions.
    pub fn handoff(&self, referral: &str, version: i64) -> String {
        let municipality = Org::Municipality.oin().parse().unwrap();
        self.app()
            .pseudonyms
            .alias(&format!("handoff-event/{version}"), referral.parse().unwrap(), &municipality)
            .to_string()
    }

    /// The ids of what an organisation finds in a list, over all its pages.
    pub async fn listed(&self, org: Org, path: &str) -> BTreeSet<String> {
        let (mut next, mut ids) = (Some(path.to_owned()), BTreeSet::new());
        while let Some(path) = next {
            let page = self.get(org, path).await;
            assert_eq!(page.status, 200, "{}", page.text);
            let items = page.body["items"].as_array().unwrap();
            ids.extend(items.iter().filter_map(|item| item["id"].as_str()).map(str::to_owned));
            next = page.text_at("/next").map(str::to_owned);
        }
        ids
    }

    /// What is in an organisation's feed after this cursor, and the next cursor.
    pub async fn feed(&self, org: Org, cursor: Option<&str>) -> (Vec<Value>, String) {
        let mut next = cursor.map_or_else(|| format!("/v1/events?limit={PAGE}"), str::to_owned);
        let mut events = Vec::new();
        loop {
            let page = self.get(org, next.as_str()).await;
            assert_eq!(page.status, 200, "{}", page.text);
            let items = page.body["items"].as_array().unwrap();
            page.text_at("/next").unwrap().clone_into(&mut next);
            events.extend(items.iter().cloned());
            if items.len() < PAGE {
                return (events, next);
            }
        }
    }
}

async fn start(folder: &std::path::Path, storage: &str, clock: &Clock) -> (Running, World) {
    let port = any_port().unwrap();
    let environment = [
        ("SLUIS_STORAGE__URL", storage.to_owned()),
        ("SLUIS_API__WORKERS", "1".to_owned()),
        ("SLUIS_API__LISTEN", format!("127.0.0.1:{port}")),
        // The clock stands still, and so would a limit.
        ("SLUIS_LIMITS__ORGANISATION_REQUESTS_PER_SECOND", "0".to_owned()),
        ("SLUIS_LIMITS__ANONYMOUS_REQUESTS_PER_SECOND", "0".to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    let config = config::load(&folder.join("sluis.toml"), environment).unwrap();
    let running = Application::build(config, clock.clone()).await.unwrap().start_unwatched();
    (running, world_of(folder, port, clock))
}

/// The first Monday morning at seven (UTC) after this moment.
fn next_monday(moment: Timestamp) -> Timestamp {
    let mut date = moment.to_offset_date_time().date().next_day().unwrap();
    while date.weekday() != Weekday::Monday {
        date = date.next_day().unwrap();
    }
    Timestamp::from(date.midnight().assume_utc()).plus(Duration::from_hours(7))
}

fn residents() -> impl Iterator<Item = String> {
    (0..10_000).map(|n| format!("99999{n:04}")).filter(|bsn| passes(bsn))
}

/// The eleven-test.
fn passes(bsn: &str) -> bool {
    let weights = [9, 8, 7, 6, 5, 4, 3, 2, -1];
    let sum: i32 = bsn.bytes().zip(weights).map(|(digit, weight)| i32::from(digit - b'0') * weight).sum();
    sum % 11 == 0
}
