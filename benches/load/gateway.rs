//! The gateway under load: a data folder with its six organisations, and the released program as a process on it.
//!
//! Invariant: it runs with its own defaults, apart from the address, the database and the limits, which are set out of the way.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::HeaderValue;
use sluis::app::App;
use sluis::clock::Clock;
use sluis::demo::client::{Identity, Request};
use sluis::demo::evening::any_port;
use sluis::demo::folder::Folder;
use sluis::demo::house::House;
use sluis::demo::policies;
use sluis::demo::words::{MEMBERS, ROLES, Words};
use sluis::demo::world::World;
use sluis::policy::Engine;
use tokio::task::JoinHandle;

use crate::Outcome;
use crate::client::{self, Target};
use crate::database::Kind;

/// Limits that a load from one organisation would run into, set out of the way.
const OUT_OF_THE_WAY: &[(&str, &str)] =
    &[("SLUIS_LIMITS__ORGANISATION_REQUESTS_PER_SECOND", "0"), ("SLUIS_LIMITS__ANONYMOUS_REQUESTS_PER_SECOND", "0")];

/// A data folder on which a gateway can be started.
pub struct Stage {
    /// On which database.
    pub kind: Kind,
    /// Keys, certificates, configuration, and the file of SQLite.
    pub folder: PathBuf,
    /// The database, as `storage.url` takes it.
    pub storage: String,
}

impl Stage {
    /// Founds a gateway with six organisations that have signed the covenant, and nothing else in it.
    pub async fn found(kind: Kind, folder: PathBuf, storage: String) -> Outcome<Self> {
        let environment = [("SLUIS_STORAGE__URL".to_owned(), storage.clone())];
        let house = House::open_with(&Folder::open(&folder)?, any_port()?, Clock::system(), environment).await?;
        let without_subscriptions = drop_subscriptions(&house.world).await;
        house.close().await;
        without_subscriptions?;
        Ok(Self { kind, folder, storage })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
        command.args(arguments).arg("--config").arg(self.folder.join("sluis.toml"));
        command.env("SLUIS_STORAGE__URL", &self.storage).env("SLUIS_API__LISTEN", "127.0.0.1:0");
        // One organisation sends everything, as fast as it can; nobody looks at the metrics meanwhile.
        command.env("SLUIS_LIMITS__ORGANISATION_REQUESTS_PER_SECOND", "0").env("SLUIS_OPERATIONS__LISTEN", "off");
        for (name, value) in OUT_OF_THE_WAY {
            command.env(name, value);
        }
        command
    }

    /// Starts the gateway; it listens when this returns.
    pub fn serve(&self) -> Outcome<Gateway> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let started = Instant::now();
        let mut child = self.command(&["serve"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let output = child.stdout.take();
        let mut gateway = Gateway { child, port: 0, started };
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut line)?;
        }
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        gateway.port = port.ok_or_else(|| format!("the gateway did not start; {}", self.last_words()))?;
        Ok(gateway)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("gateway.log")
    }

    /// The end of what gateways on this folder logged.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().rev().take(3).collect::<Vec<_>>().join(" / ")
    }

    /// `sluis audit verify`: how long it took, and fails when it found something.
    pub fn verify(&self) -> Outcome<Duration> {
        let started = Instant::now();
        let told = self.command(&["audit", "verify"]).output()?;
        if told.status.success() {
            return Ok(started.elapsed());
        }
        let text = [told.stdout, told.stderr].concat();
        Err(format!("sluis audit verify: {}", String::from_utf8_lossy(&text).trim()).into())
    }

    /// The client certificate of a member or of a client of the municipality.
    pub fn identity(&self, who: &str) -> Outcome<Identity> {
        let folder = Folder::open(&self.folder)?;
        let certificate = folder.actor_certificate(who)?.ok_or_else(|| format!("{who} has no certificate"))?;
        Ok(Identity { certificate, key: folder.actor_key(who)? })
    }

    /// The gateway's parts, on the same configuration and database, without a listener and without background work.
    pub async fn app(&self) -> Outcome<App> {
        let environment = [("SLUIS_STORAGE__URL".to_owned(), self.storage.clone())];
        Ok(App::open(sluis::config::load(&self.folder.join("sluis.toml"), environment)?, Clock::system()).await?)
    }

    /// The certificate of the gateway's authority (PEM).
    pub fn ca(&self) -> Outcome<Vec<u8>> {
        Ok(std::fs::read(self.folder.join("ca.pem"))?)
    }

    /// Connections to this port with a member's certificate.
    pub fn target(&self, who: &str, port: u16) -> Outcome<Target> {
        Target::new(port, &self.ca()?, &self.identity(who)?)
    }

    /// The members and their clients, for what is set up through the API.
    pub fn world(&self, gateway: &Gateway) -> Outcome<Arc<World>> {
        let words = Words::of(&Engine::new(&policies::bundle()?)?);
        let base = format!("https://localhost:{}", gateway.port);
        let mut world = World::new(&base, self.ca()?, Clock::system(), words)?;
        for who in MEMBERS.into_iter().chain(ROLES.iter().map(|(role, ..)| *role)) {
            world.admit(who, self.identity(who)?)?;
        }
        Ok(Arc::new(world))
    }
}

/// Those of the partners of the demonstration, which do not run here.
async fn drop_subscriptions(world: &World) -> Outcome<()> {
    for who in MEMBERS {
        let page = world.ask(who, Request::get("/v1/subscriptions?limit=1000")).await?;
        let items = page.body.get("items").and_then(serde_json::Value::as_array).ok_or("no list of subscriptions")?;
        for id in items.iter().filter_map(|item| item.get("id")?.as_str()) {
            let mut request = Request::get(format!("/v1/subscriptions/{id}"));
            request.method = reqwest::Method::DELETE;
            world.ask(who, request).await?;
        }
    }
    Ok(())
}

/// A gateway that runs. Killed when dropped.
pub struct Gateway {
    child: Child,
    /// Where it listens.
    pub port: u16,
    /// When it was started.
    started: Instant,
}

impl Gateway {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the first answer on a public route; the time since the start of the process.
    pub async fn first_answer(&self, target: &Target) -> Outcome<Duration> {
        let nobody = HeaderValue::from_static("none");
        let answer = target.connect().await?.send(client::get("/v1/openapi.json", &nobody)?).await?;
        if answer.status == StatusCode::OK { Ok(self.started.elapsed()) } else { Err("no contract was given".into()) }
    }

    /// Tells it to stop and waits until it has.
    pub async fn stop(mut self) -> Outcome<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let told = Instant::now();
        while told.elapsed() < Duration::from_mins(1) {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() { Ok(()) } else { Err(format!("the gateway ended with {status}").into()) };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the gateway did not stop within a minute".into())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An access token that is renewed long before it ends.
pub struct Bearer {
    value: Arc<RwLock<HeaderValue>>,
    renewing: JoinHandle<()>,
}

impl Bearer {
    /// For a member or client of the municipality.
    pub async fn of(world: &Arc<World>, who: &'static str) -> Outcome<Self> {
        let first = HeaderValue::try_from(format!("Bearer {}", world.client(who)?.token(None).await?))?;
        let value = Arc::new(RwLock::new(first));
        let (world, kept) = (Arc::clone(world), Arc::clone(&value));
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(20)).await;
                // The client of the demo asks for another one when half of its time is over.
                let Ok(client) = world.client(who) else { return };
                let token = client.token(None).await.ok().and_then(|token| format!("Bearer {token}").try_into().ok());
                if let Some(token) = token {
                    *kept.write().unwrap_or_else(PoisonError::into_inner) = token;
                }
            }
        });
        Ok(Self { value, renewing })
    }

    /// Where the present value can be read.
    pub fn shared(&self) -> Authorization {
        Authorization(Arc::clone(&self.value))
    }
}

impl Drop for Bearer {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// The value of the `Authorization` header.
#[derive(Clone)]
pub struct Authorization(Arc<RwLock<HeaderValue>>);

impl Authorization {
    /// One that never changes.
    pub fn fixed(value: HeaderValue) -> Self {
        Self(Arc::new(RwLock::new(value)))
    }

    /// As it is now.
    pub fn now(&self) -> HeaderValue {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
