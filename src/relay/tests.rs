//! The relay against a database of its own, and against a receiver of its own that speaks TLS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use uuid::Uuid;

use super::deliver::{self, Report};
use super::egress::{Egress, EgressSettings};
use super::event::{Event, EventType, Happening, Speaker, source};
use super::feed::Reading;
use super::service::{self, Selection};
use super::signature::{self, SigningSecret};
use super::types::{Change, Delivery, DeliveryStatus, Subscription, SubscriptionStatus};
use super::{Addressee, Relay, outbox, queue, store};
use crate::args;
use crate::clock::Clock;
use crate::ids::Entropy;
use crate::problem::{Code, Problem};
use crate::storage::seal::{Key, Sealer};
use crate::storage::{Db, StorageSettings, Tx};

mod backlog;
mod delivering;
mod feeds;
mod receiver;
mod subscribing;

use receiver::Receiver;

/// A relay with a database of its own and a clock that is moved by hand.
struct Gateway {
    relay: Relay,
    sequenced: watch::Sender<u64>,
    folder: std::path::PathBuf,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn reader(digit: u8) -> Addressee {
    format!("0000009900000000{digit}000").parse().unwrap()
}

/// The PostgreSQL server on which these tests run instead of on SQLite, as `postgres://user@host:port/database`.
fn postgres() -> Option<String> {
    std::env::var("SLUIS_TEST_POSTGRES").ok()
}

async fn open(url: String) -> Db {
    Db::open(&StorageSettings { url, readers: 4, writers: 3 }).await.unwrap()
}

/// The address of an empty schema of its own on the server.
async fn schema(server: &str, name: &str) -> String {
    let sql: &'static str = Box::leak(format!("CREATE SCHEMA {name}").into_boxed_str());
    let create = async move |tx: &mut Tx| Ok(tx.execute(sql, args![]).await?);
    open(server.to_owned()).await.write("test schema", create).await.unwrap();
    format!("{server}?options=-csearch_path%3D{name}")
}

impl Gateway {
    /// A gateway with the organisations 1, 2 and 3, that trusts the receiver's certificate and may reach loopback.
    async fn new(receiver: Option<&Receiver>) -> Self {
        let entropy = Entropy::system();
        let clock = Clock::movable();
        let name = entropy.uuid(clock.now()).unwrap().simple().to_string();
        let folder = std::env::temp_dir().join(format!("sluis-relay-{name}"));
        std::fs::create_dir(&folder).unwrap();
        let db = match postgres() {
            Some(server) => open(schema(&server, &format!("relay_{name}")).await).await,
            None => open(format!("sqlite:{}", folder.join("sluis.db").display())).await,
        };
        let (sequenced, receiver_side) = watch::channel(0);
        let settings = EgressSettings {
            allowed: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            trusted_ca: receiver.map(|receiver| receiver.certificate_pem.clone().into_bytes()).into_iter().collect(),
            identity: None,
        };
        let relay = Relay {
            db,
            clock,
            sealer: Sealer::new(Key::generate(&entropy).unwrap(), vec![], entropy.clone()),
            entropy,
            egress: Egress::new(settings).unwrap(),
            speaker: Speaker { source: source(&reader(9).organisation), base_url: "https://gateway.example".into() },
            origin: "gateway.example".into(),
            give_up_after: Duration::from_hours(72),
            sequenced: receiver_side,
            stopping: Arc::default(),
            metrics: Arc::default(),
            vitals: Arc::default(),
        };
        let gateway = Self { relay, sequenced, folder };
        for digit in 1..=3 {
            gateway.set_organisation(&reader(digit), "active").await;
        }
        gateway
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl AsyncFn(&mut Tx) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.relay.db.write("test", job).await
    }

    async fn set_organisation(&self, reader: &Addressee, status: &'static str) {
        let organisation = reader.organisation.clone();
        self.write(async move |tx: &mut Tx| {
            let name = organisation.as_str();
            tx.execute(
                "INSERT INTO organisations (oin, slug, name, status, created_at, updated_at, version, keys, keys_version) \
                 VALUES ($1, $1, $1, $2, 0, 0, 1, '{}', 1) ON CONFLICT (oin) DO UPDATE SET status = excluded.status",
                args![name, status],
            )
            .await?;
            Ok(())
        })
        .await
        .unwrap();
    }

    fn event(&self, feed: &Addressee, happening: Happening) -> Event {
        let id = self.relay.new_id().unwrap();
        Event { id, to: feed.clone(), happening, time: self.relay.now(), trace_parent: None }
    }

    /// Writes a status update of a referral as a change does, without giving it its position.
    async fn enqueue(&self, feed: &Addressee, referral: Uuid, status: &str) -> Uuid {
        let happening = Happening::ReferralStatusUpdated {
            referral,
            update: Uuid::nil(),
            status: status.to_owned(),
            operation: "updates",
            visible: true,
        };
        let event = self.event(feed, happening);
        let id = event.id;
        self.write(async move |tx: &mut Tx| {
            outbox::enqueue(tx, &event);
            Ok(())
        })
        .await
        .unwrap();
        id
    }

    async fn sequence(&self) -> outbox::Sequenced {
        let now = self.relay.now();
        let sequenced = self.write(async move |tx: &mut Tx| Ok(outbox::sequence(tx, now).await?)).await.unwrap();
        self.sequenced.send_modify(|count| *count += 1);
        sequenced
    }

    /// Writes a status update and gives it its position.
    async fn publish(&self, feed: &Addressee, referral: Uuid, status: &str) -> Uuid {
        let id = self.enqueue(feed, referral, status).await;
        self.sequence().await;
        id
    }

    async fn subscribe(&self, reader: &Addressee, sink: &str) -> (Subscription, SigningSecret) {
        let draft = service::draft(&self.relay, reader, sink, None, false).await.unwrap();
        let (subscription, secret) = (draft.subscription.clone(), draft.secret.clone());
        self.write(async move |tx: &mut Tx| service::create(tx, &draft).await).await.unwrap();
        (subscription, secret)
    }

    /// A subscription whose handshake is done.
    async fn subscribe_active(&self, reader: &Addressee, sink: &str) -> (Subscription, SigningSecret) {
        let (subscription, secret) = self.subscribe(reader, sink).await;
        assert_eq!(self.deliver().await.confirmed, 1);
        (subscription, secret)
    }

    async fn deliver(&self) -> Report {
        deliver::pass(&self.relay).await.unwrap()
    }

    async fn status(&self, subscription: &Subscription) -> SubscriptionStatus {
        service::get(&self.relay, &subscription.reader, subscription.id).await.unwrap().status
    }

    async fn deliveries(&self, subscription: &Subscription, status: Option<DeliveryStatus>) -> Vec<Delivery> {
        store::deliveries(&mut self.relay.db.reader(), subscription.id, status, None, 1_000).await.unwrap().items
    }
}
