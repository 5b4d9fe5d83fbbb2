//! The real program as a child process, on a data folder that was founded beforehand, and clients for it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluis::clock::Clock;
use sluis::demo::client::Identity;
use sluis::demo::evening::any_port;
use sluis::demo::folder::Folder;
use sluis::demo::house::House;
use sluis::demo::policies;
use sluis::demo::words::{MEMBERS, ROLES, Words};
use sluis::demo::world::World;
use sluis::policy::Engine;
use sluis::storage::{Db, StorageSettings};

use crate::app::fresh_storage;

/// The parties of the example covenant and the municipality's named clients, on the gateway that listens on this port.
pub fn world_of(folder: &Path, port: u16, clock: &Clock) -> World {
    let folder = Folder::open(folder).unwrap();
    let words = Words::of(&Engine::new(&policies::bundle().unwrap()).unwrap());
    let ca = std::fs::read(folder.file("ca.pem")).unwrap();
    let mut world = World::new(&format!("https://localhost:{port}"), ca, clock.clone(), words).unwrap();
    for who in MEMBERS.into_iter().chain(ROLES.iter().map(|(role, ..)| *role)) {
        let certificate = folder.actor_certificate(who).unwrap().unwrap();
        world.admit(who, Identity { certificate, key: folder.actor_key(who).unwrap() }).unwrap();
    }
    world
}

/// A data folder with everything in it that a gateway with its six organisations needs.
pub struct DataFolder {
    pub path: PathBuf,
    pub storage: String,
}

impl DataFolder {
    pub async fn found(name: &str) -> Self {
        let name = format!("sluis-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let storage = fresh_storage(&path, &name).await;
        let folder = Folder::open(&path).unwrap();
        let environment = [("SLUIS_STORAGE__URL".to_owned(), storage.clone())];
        let house = House::open_with(&folder, any_port().unwrap(), Clock::system(), environment).await.unwrap();
        house.close().await;
        Self { path, storage }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluis"));
        command.args(arguments).arg("--config").arg(self.path.join("sluis.toml"));
        command.env("SLUIS_STORAGE__URL", &self.storage).env("SLUIS_API__LISTEN", "127.0.0.1:0");
        command
    }

    /// Starts the gateway; it answers when this returns.
    pub fn serve(&self, log_filter: &str) -> Gateway {
        self.serve_with(log_filter, &[])
    }

    /// The same with other settings, as variables of the environment.
    pub fn serve_with(&self, log_filter: &str, settings: &[(&str, &str)]) -> Gateway {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command(&["serve"]);
        command.env("SLUIS_LOG__FILTER", log_filter).stdout(Stdio::piped()).stderr(log);
        command.envs(settings.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut operations = None;
        let port = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it did not start; {}", self.said())).unwrap();
            match line.split_once("http://") {
                Some((_, address)) => operations = Some(address.parse().unwrap()),
                None => break line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap(),
            }
        };
        Gateway { child, world: Arc::new(world_of(&self.path, port, &Clock::system())), operations }
    }

    fn log(&self) -> PathBuf {
        self.path.join("stderr.log")
    }

    /// Everything that the gateways on this folder wrote to standard error.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// `sluis audit verify`: exit code and report.
    pub fn verify(&self) -> (Option<i32>, Value) {
        let Output { status, stdout, stderr } =
            self.command(&["audit", "verify", "--output", "json"]).output().unwrap();
        let report = serde_json::from_slice(&stdout)
            .unwrap_or_else(|_| panic!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)));
        (status.code(), report)
    }

    /// `sluis audit verify` as people read it.
    pub fn verify_in_words(&self) -> (Option<i32>, String) {
        let output = self.command(&["audit", "verify"]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub async fn database(&self) -> Db {
        Db::open(&StorageSettings { url: self.storage.clone(), readers: 2, writers: 1 }).await.unwrap()
    }

    pub fn remove(self) {
        std::fs::remove_dir_all(self.path).unwrap();
    }
}

/// A gateway that runs as a process of its own. Killed when dropped.
pub struct Gateway {
    child: Child,
    pub world: Arc<World>,
    /// Where it shows health, readiness and metrics.
    pub operations: Option<SocketAddr>,
}

impl Gateway {
    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Waits for its end.
    pub async fn ended(&mut self, patience: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < patience, "still running after {patience:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM, and its end.
    pub async fn stop(mut self) {
        self.terminate();
        let status = self.ended(Duration::from_secs(20)).await;
        assert!(status.success(), "{status}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file's bytes; empty when there is no such file.
pub fn bytes(path: &Path) -> Vec<u8> {
    File::open(path).map(|_| std::fs::read(path).unwrap()).unwrap_or_default()
}
