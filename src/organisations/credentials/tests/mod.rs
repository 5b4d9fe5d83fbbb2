//! Tests of credentials: mostly of what must not happen.

mod authentication;
mod certificates;
mod oauth;
mod signatures;
mod succession;

use std::path::PathBuf;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::Value;

use super::certificate::PeerCertificate;
use super::csr::ProvenKey;
use super::{Credentials, ca};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::ids::{Entropy, Oin};
use crate::organisations::service::{self, CertificateWish};
use crate::organisations::{Actor, CertificateRecord, Change, Registration, Role, Status};
use crate::storage::seal::{Key, Sealer};
use crate::storage::{Db, Tx};

pub(super) const KREDIETBANK: &str = "00000099000000006000";
pub(super) const MUNICIPALITY: &str = "00000099000000001000";

/// A gateway's credentials on a database of their own, with two organisations.
pub(super) struct World {
    pub(super) folder: PathBuf,
    pub(super) config: Config,
    pub(super) credentials: std::sync::Arc<Credentials>,
    pub(super) db: Db,
    pub(super) sealer: Sealer,
    pub(super) clock: Clock,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A client with its certificate and key.
pub(super) struct Party {
    pub(super) key: KeyPair,
    pub(super) record: CertificateRecord,
    pub(super) peer: PeerCertificate,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with("").await
    }

    /// With more lines in the section `[pki]` of the configuration.
    pub(super) async fn with(pki: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sluis-credentials-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "[gateway]\noin = \"00000099000000099000\"\npublic_url = \"https://gateway.example\"\n\
             [api]\ncertificate = \"server.pem\"\nprivate_key = \"server-key.pem\"\n\
             [pki]\nca_certificate = \"ca.pem\"\nca_private_key = \"ca-key.pem\"\n{}",
            pki.replace("FOLDER", folder.to_str().unwrap())
        );
        let file = folder.join("sluis.toml");
        std::fs::write(&file, text).unwrap();
        let config = crate::config::load(&file, []).unwrap();
        let clock = Clock::movable();
        let entropy = Entropy::system();
        let key = config.pki.ca_private_key.clone().unwrap();
        ca::create(&config.pki.ca_certificate, &key, "Test authority", &entropy, clock.now()).unwrap();
        let db = Db::open(&config.storage).await.unwrap();
        let sealer = Sealer::new(Key::generate(&entropy).unwrap(), vec![], entropy.clone());
        let credentials = Credentials::open(&config, db.clone(), sealer.clone(), entropy, clock.now()).await.unwrap();
        let world = Self { folder, config, credentials: credentials.into(), db, sealer, clock };
        world.register(KREDIETBANK, "kredietbank").await;
        world.register(MUNICIPALITY, "gemeente-wassenaar").await;
        world
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn operator(&self) -> Actor {
        Actor::operator(&Entropy::system(), &self.sealer)
    }

    async fn register(&self, oin: &str, slug: &str) {
        let registration = Registration {
            oin: oin.parse().unwrap(),
            slug: slug.parse().unwrap(),
            name: slug.parse().unwrap(),
            contact: None,
        };
        let (actor, now) = (self.operator(), self.now());
        let registered =
            self.db.write("register", async move |tx: &mut Tx| service::register(tx, &registration, &actor, now).await);
        registered.await.unwrap();
    }

    /// A fresh certificate for an organisation's main client, or for a role.
    pub(super) async fn party(&self, oin: &str, role: Option<Role>) -> Party {
        let key = KeyPair::generate().unwrap();
        self.certified(oin, role, key).await
    }

    pub(super) async fn certified(&self, oin: &str, role: Option<Role>, key: KeyPair) -> Party {
        let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let proven = ProvenKey::from_pem(&csr).unwrap();
        let (credentials, oin, now) = (self.credentials.clone(), oin.parse::<Oin>().unwrap(), self.now());
        let actor = self.operator();
        let issued = self.db.write("issue", async move |tx: &mut Tx| {
            let client_id = match role {
                None => oin.to_string(),
                Some(role) => service::ensure_client(tx, &oin, role, &actor, now).await?,
            };
            let wish =
                CertificateWish { client_id, key: proven.clone(), server: false, server_names: vec![], lifetime: None };
            service::issue_certificate(tx, &credentials, &oin, &wish, &actor, now).await
        });
        let record = issued.await.unwrap();
        let peer = self.credentials.anchors.identify(&record.der).unwrap();
        Party { key, record, peer }
    }

    pub(super) async fn set_status(&self, oin: &str, status: Status) {
        let (oin, actor, now) = (oin.parse::<Oin>().unwrap(), self.operator(), self.now());
        let change = self.db.write("change", async move |tx: &mut Tx| {
            let change = Change { status: Some(status), ..Change::default() };
            service::change(tx, &oin, &change, &actor, now).await
        });
        change.await.unwrap();
    }

    pub(super) async fn revoke(&self, serial: &str) {
        let (serial, actor, now) = (serial.to_owned(), self.operator(), self.now());
        let revoked = self.db.write("revoke", async move |tx: &mut Tx| {
            service::revoke_certificate(tx, None, &serial, ca::Reason::KeyCompromise, &actor, now).await
        });
        revoked.await.unwrap();
    }

    /// A token over `tls_client_auth`, as an `Authorization` header.
    pub(super) async fn bearer(&self, party: &Party) -> String {
        let form = format!("grant_type=client_credentials&client_id={}", party.record.client_id);
        let form = super::oauth::Form::parse(form.as_bytes()).unwrap();
        let grant = self.credentials.grant(Some(&party.peer), &form, self.now()).await.unwrap();
        format!("Bearer {}", grant.access_token)
    }

    /// The code with which a request is refused, or `ok`.
    pub(super) async fn outcome(&self, peer: Option<&PeerCertificate>, authorization: Option<&str>) -> &'static str {
        match self.credentials.authenticate(peer, authorization, self.now()).await {
            Ok(_) => "ok",
            Err(problem) => problem.code().as_str(),
        }
    }
}

/// A signing request with whatever in it.
pub(super) fn request(change: impl FnOnce(&mut CertificateParams)) -> (KeyPair, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    change(&mut params);
    params.distinguished_name.push(DnType::CommonName, "as asked");
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    (key, pem)
}

/// The claims of a compact JWS, unverified.
pub(super) fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub(super) const MINUTE: Duration = Duration::from_mins(1);
