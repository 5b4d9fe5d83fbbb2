//! The evening's programme: opens the house, plays every scenario, shows the table, and stays until told to go.
//!
//! Invariants: the gateway on the named port keeps real time and six active parties; scenarios that need more have a
//! gateway of their own, in a folder of its own, that is gone when they end.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::folder::{Folder, FolderError};
use super::house::{House, HouseError};
use super::load::Unplayable;
use super::narration::{Console, Report};
use super::runner;
use super::scenario::{Scenario, Stage};
use super::scenarios;
use super::words::{Language, MUNICIPALITY};
use super::world::client_id;
use crate::clock::Clock;
use crate::ids::{Entropy, NoEntropy};

/// The port of the gateway when none is named and this one is free.
const USUAL_PORT: u16 = 8443;

/// What is asked of the demo.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// The data folder; a temporary one when none is named.
    pub data: Option<PathBuf>,
    /// The port of the gateway.
    pub port: Option<u16>,
    /// Whether to stop after the table.
    pub once: bool,
    /// The language of the narration.
    pub language: Language,
}

/// Why the demo cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A scenario file.
    #[error(transparent)]
    Scenario(#[from] Unplayable),
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A gateway.
    #[error(transparent)]
    House(Box<HouseError>),
    /// No port.
    #[error("no port can be had on this machine: {0}")]
    Port(#[from] std::io::Error),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl From<HouseError> for DemoError {
    fn from(error: HouseError) -> Self {
        Self::House(Box::new(error))
    }
}

/// A folder that is gone when this is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Self, DemoError> {
        let id = Entropy::system().uuid(Clock::system().now())?;
        Ok(Self(std::env::temp_dir().join(format!("sluis-demo-{id}"))))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Gives the demo; true when every scenario ended as it should. `told_to_go` ends it at any moment.
///
/// # Errors
/// [`DemoError`] when the gateways or the folder cannot be used.
pub async fn give(wishes: &Wishes, told_to_go: impl Future<Output = ()>) -> Result<bool, DemoError> {
    let scenarios = scenarios::all()?;
    let temporary = if wishes.data.is_none() { Some(Temporary::new()?) } else { None };
    let path = wishes.data.as_deref().or(temporary.as_ref().map(|folder| folder.0.as_path()));
    let folder = Folder::open(path.unwrap_or(Path::new(".")))?;
    let port = wishes.port.map_or_else(free_port, Ok)?;
    let mut console = Console::stdout(wishes.language);
    console.line(&greeting(wishes.language, &folder, port));
    let mut told_to_go = std::pin::pin!(told_to_go);
    let mut house = tokio::select! {
        house = House::open(&folder, port, Clock::system()) => house?,
        () = &mut told_to_go => return Ok(!wishes.once),
    };
    console.line(proof(wishes.language, house.proven()));
    let played = tokio::select! {
        played = play_all(&scenarios, &mut house, &mut console, wishes.language) => Some(played),
        () = &mut told_to_go => None,
    };
    let ended_well = match played {
        Some(Ok(reports)) => {
            console.table(&reports);
            if !wishes.once {
                console.line(&farewell(wishes.language, &house, &folder, port));
                told_to_go.await;
            }
            Ok(reports.iter().all(|report| report.failure.is_none()))
        }
        Some(Err(error)) => Err(error),
        None => Ok(!wishes.once),
    };
    house.close().await;
    ended_well
}

async fn play_all(
    scenarios: &[Scenario],
    house: &mut House,
    console: &mut Console<std::io::Stdout>,
    language: Language,
) -> Result<Vec<Report>, DemoError> {
    let mut reports = Vec::new();
    for scenario in scenarios {
        reports.push(match scenario.given.gateway {
            Stage::Shared => runner::play(scenario, house, console, language).await,
            Stage::Own => play_apart(scenario, console, language).await?,
        });
    }
    Ok(reports)
}

/// On a gateway of its own, whose clock can be moved.
async fn play_apart(
    scenario: &Scenario,
    console: &mut Console<std::io::Stdout>,
    language: Language,
) -> Result<Report, DemoError> {
    let temporary = Temporary::new()?;
    let folder = Folder::open(&temporary.0)?;
    // What the environment says of the gateway on `--port` (another database, say) is not meant for this one.
    let mut house = House::open_with(&folder, any_port()?, Clock::movable(), []).await?;
    let report = runner::play(scenario, &mut house, console, language).await;
    house.close().await;
    Ok(report)
}

fn free_port() -> std::io::Result<u16> {
    TcpListener::bind(("127.0.0.1", USUAL_PORT)).map(|_| USUAL_PORT).or_else(|_| any_port())
}

/// A port that is free at this moment, and that this process did not get before.
///
/// It lies below the ports that systems give to outgoing connections (from 32768 on Linux, from 49152 elsewhere): one of those may
/// be in use again before anybody listens on it.
///
/// # Errors
/// When the machine has none.
pub fn any_port() -> std::io::Result<u16> {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static HANDED_OUT: AtomicU32 = AtomicU32::new(0);
    // Processes that run beside each other begin at different places.
    let begin = std::process::id().wrapping_mul(701);
    for _ in 0..COUNT {
        let number = begin.wrapping_add(HANDED_OUT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT).map_err(std::io::Error::other)?;
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::new(ErrorKind::AddrInUse, "no port between 12000 and 32000 is free"))
}

fn greeting(language: Language, folder: &Folder, port: u16) -> String {
    let place = folder.path().display();
    match language {
        Language::Nl => {
            format!("Sluis: zes organisaties, één gateway op https://localhost:{port}, gegevens in {place}")
        }
        Language::En => format!("Sluis: six organisations, one gateway on https://localhost:{port}, data in {place}"),
    }
}

/// What was shown of the covenant before it was published.
const fn proof(language: Language, proven: bool) -> &'static str {
    match (language, proven) {
        (Language::Nl, true) => {
            "Het convenant houdt zich voor alle verzoeken aan zijn invarianten: dat is bewezen voor het werd gepubliceerd."
        }
        (Language::En, true) => {
            "The covenant keeps its invariants for all requests: that was proven before it was published."
        }
        (Language::Nl, false) => {
            "Het convenant is ZONDER BEWIJS gepubliceerd: hier is geen cvc5 (Debian: apt-get install cvc5). Dat staat in het logboek."
        }
        (Language::En, false) => {
            "The covenant was published WITHOUT PROOF: there is no cvc5 here (Debian: apt-get install cvc5). The log says so."
        }
    }
}

/// How to look around by hand: a line that works as it stands.
fn farewell(language: Language, house: &House, folder: &Folder, port: u16) -> String {
    let place = folder.path().display();
    let own = format!("{place}/organisations/{MUNICIPALITY}");
    let curl =
        format!("curl -s --cacert '{place}/ca.pem' --cert '{own}/certificate.pem' --key '{own}/private-key.pem'");
    let id = client_id(house.world.words(), MUNICIPALITY).unwrap_or_default();
    let base = format!("https://localhost:{port}");
    let token = format!(
        "{curl} -d grant_type=client_credentials -d client_id={id} {base}/oauth/token | sed 's/.*\"access_token\": *\"\\([^\"]*\\)\".*/\\1/'"
    );
    let line = format!("{curl} -H \"Authorization: Bearer $({token})\" {base}/v1/referrals");
    let (look, see, stop) = match language {
        Language::Nl => {
            ("Kijk zelf rond, bijvoorbeeld als de gemeente:", "Zo gaat het met de gateway:", "Ctrl-C stopt.")
        }
        Language::En => ("Look around, for instance as the municipality:", "How the gateway does:", "Ctrl-C stops."),
    };
    let health = house.operations().map(|address| format!("\n{see}\nhttp://{address}/readyz http://{address}/metrics"));
    format!("\n{look}\n{line}{}\n{stop}", health.unwrap_or_default())
}
