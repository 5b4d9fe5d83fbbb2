//! A gateway with its members, ready to be played on: in a data folder, on a port of this machine, in this process.
//!
//! Invariant: it is the same [`Application`] as `sluis serve` runs, with the configuration that lies in the folder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::client::Request;
use super::folder::{Folder, FolderError};
use super::founding::{self, FoundingError};
use super::governance;
use super::scenario::{Action, OfCovenant};
use super::words::{MEMBERS, MUNICIPALITY, Words};
use super::world::{PlayError, World, refused};
use crate::app::{App, Application, Running, StartError};
use crate::cases;
use crate::clock::Clock;
use crate::config::{self, ConfigError};
use crate::consents;
use crate::covenant::{Bundle, Findings};
use crate::emergencies;
use crate::handoffs;
use crate::ids::Entropy;
use crate::incidents;
use crate::policy::Engine;
use crate::problem::{self, Problem};
use crate::referrals::watch;
use crate::rights;
use crate::vetoes;

/// Why a gateway with its members does not come to stand.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Keys, certificates, organisations.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// The configuration.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The covenant.
    #[error("{0}")]
    Covenant(#[from] Findings),
    /// The gateway.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What is set up through the API.
    #[error(transparent)]
    Play(#[from] PlayError),
}

/// A running gateway with its members and their systems.
pub struct House {
    /// What the scenarios are played on.
    pub world: World,
    app: App,
    /// None while the gateway stands still.
    running: Option<Running>,
    /// Whether the covenant was proven before it was published.
    proven: bool,
}

impl House {
    /// Founds what is missing in the folder, starts the gateway on this port, has the covenant proven (where the machine has a solver), published
    /// and signed, and starts the partners' systems.
    ///
    /// # Errors
    /// [`HouseError`].
    pub async fn open(folder: &Folder, port: u16, clock: Clock) -> Result<Self, HouseError> {
        Self::found(folder, port, clock, std::env::vars(), true).await
    }

    /// As [`House::open`], with these variables instead of the environment's, and without proof, which takes seconds.
    ///
    /// # Errors
    /// [`HouseError`].
    pub async fn open_with(
        folder: &Folder,
        port: u16,
        clock: Clock,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, HouseError> {
        Self::found(folder, port, clock, environment, false).await
    }

    async fn found(
        folder: &Folder,
        port: u16,
        clock: Clock,
        environment: impl IntoIterator<Item = (String, String)>,
        prove: bool,
    ) -> Result<Self, HouseError> {
        founding::prepare(folder, port, &Entropy::system(), clock.now())?;
        let config = config::load(&folder.file("sluis.toml"), environment)?;
        let bundle = Bundle::from_folder(&config.policies.folder)?;
        let words = words_of(&bundle)?;
        let application = Application::build(config, clock.clone()).await?;
        let identities = founding::enrol(&application.app, folder, &words).await?;
        let ca = application.app.credentials.ca_pem().as_bytes().to_vec();
        let mut world = World::new(&format!("https://localhost:{port}"), ca, clock, words)?;
        for (who, identity) in identities {
            world.admit(&who, identity)?;
        }
        let mut house = Self { world, app: application.app.clone(), running: Some(application.start()), proven: false };
        match house.settle(&bundle, prove).await {
            Ok(()) => Ok(house),
            Err(error) => {
                house.close().await;
                Err(error.into())
            }
        }
    }

    /// What takes a gateway that answers.
    async fn settle(&mut self, bundle: &Bundle, prove: bool) -> Result<(), PlayError> {
        self.proven = self.publish_covenant(bundle, prove).await?;
        self.have_covenant_signed().await?;
        for slug in MEMBERS.iter().filter(|slug| **slug != MUNICIPALITY) {
            self.world.start_partner(slug).await?;
        }
        Ok(())
    }

    /// Publishes the covenant if there is none; whether it was proven.
    async fn publish_covenant(&self, bundle: &Bundle, prove: bool) -> Result<bool, PlayError> {
        let page = self.world.ask("privacy-officer", Request::get("/v1/covenants?limit=1")).await?;
        let published = page.body.get("items").and_then(Value::as_array).ok_or_else(|| refused("covenants", &page))?;
        if let Some(published) = published.first() {
            return Ok(published.get("proof").is_some_and(|proof| !proof.is_null()));
        }
        let files: BTreeMap<&String, &str> = bundle.files().keys().map(|name| (name, bundle.text(name))).collect();
        let publish = async |without_proof: bool| {
            let body = json!({ "files": files, "withoutProof": without_proof });
            let mut request = Request::post("/v1/covenants", body);
            request.idempotency_key = Some(self.world.new_key()?);
            self.world.ask("privacy-officer", request).await
        };
        let mut answer = publish(!prove).await?;
        // Without a solver it goes on, and says so.
        if prove && answer.body.get("code").and_then(Value::as_str) == Some(problem::Code::NotProven.as_str()) {
            answer = publish(true).await?;
        }
        if answer.status != 201 {
            return Err(refused("publishing the covenant", &answer));
        }
        Ok(answer.body.get("proof").is_some_and(|proof| !proof.is_null()))
    }

    async fn have_covenant_signed(&mut self) -> Result<(), PlayError> {
        let sign = Action::SignCovenant(OfCovenant::default());
        for slug in MEMBERS {
            let (answer, _) = governance::take(slug, &sign, &mut self.world).await?;
            // 409: it signed this version in an earlier play.
            if !matches!(answer.status, 201 | 409) {
                return Err(refused("signing the covenant", &answer));
            }
        }
        Ok(())
    }

    /// Whether the covenant was proven before it was published.
    #[must_use]
    pub const fn proven(&self) -> bool {
        self.proven
    }

    /// The gateway's parts.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Has the gateway note at once what the clock has done, as it does by itself several times a minute; nothing while it stands still.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look(&self) -> Result<(), Problem> {
        if self.running.is_none() {
            return Ok(());
        }
        watch::parties(&self.app).await?;
        watch::deadlines(&self.app).await?;
        cases::sweep(&self.app).await?;
        consents::settle(&self.app).await?;
        consents::watch(&self.app).await?;
        emergencies::sweep(&self.app).await?;
        incidents::sweep(&self.app).await?;
        vetoes::sweep(&self.app).await?;
        rights::sweep(&self.app).await?;
        handoffs::make(&self.app).await
    }

    /// Stops the gateway; its data and everybody else stay.
    pub async fn stand_still(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Starts the gateway again, on the same data and port.
    ///
    /// # Errors
    /// As the first start.
    pub async fn go_on(&mut self) -> Result<(), StartError> {
        if self.running.is_none() {
            let application = Application::build(self.app.config.clone(), self.app.clock.clone()).await?;
            self.app = application.app.clone();
            self.running = Some(application.start());
        }
        Ok(())
    }

    /// Where health, readiness and metrics are shown.
    #[must_use]
    pub fn operations(&self) -> Option<SocketAddr> {
        self.running.as_ref().and_then(Running::operations)
    }

    /// Stops the partners' systems and the gateway.
    pub async fn close(self) {
        self.world.close().await;
        // Open connections would hold the gateway up.
        drop(self.world);
        if let Some(running) = self.running {
            running.stop().await;
        }
    }
}

/// The words of a covenant. Loading its rules takes a moment, and most houses of a process have the same covenant.
fn words_of(bundle: &Bundle) -> Result<Words, Findings> {
    static KNOWN: Mutex<BTreeMap<String, Words>> = Mutex::new(BTreeMap::new());
    let digest = bundle.digest().as_str();
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(words) = known().get(digest) {
        return Ok(words.clone());
    }
    let words = Words::of(&Engine::new(bundle)?);
    known().insert(digest.to_owned(), words.clone());
    Ok(words)
}
