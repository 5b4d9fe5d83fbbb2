//! On what it was measured. Figures of one machine say nothing about another; ratios say a little more.

use std::path::Path;
use std::process::Command;

use crate::options::Options;

/// What is printed above the table, by name.
pub struct Machine(Vec<(&'static str, String)>);

impl Machine {
    /// Looks around.
    pub fn look(options: &Options, now: &str) -> Self {
        let processor = line_of("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
        let cores = std::thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string());
        let memory = line_of("/proc/meminfo", "MemTotal").unwrap_or_else(unknown);
        let shared = format!("{cores} cores, shared by gateway, load client, partner systems and database");
        Self(vec![
            ("date", now.to_owned()),
            ("processor", format!("{processor}; {shared}")),
            ("memory", memory),
            ("load average before it began", load_average()),
            ("kernel", told("uname", &["-srm"])),
            ("file system", file_system(&options.folder)),
            ("version", told("git", &["describe", "--always", "--dirty", "--abbrev=12"])),
            ("compiler", told("rustc", &["--version"])),
            ("SQLite", sqlite_version()),
            (
                "measured",
                format!("{} s each, after {} s of warm-up", options.time().as_secs(), options.warm_up().as_secs()),
            ),
        ])
    }

    /// Adds what was learnt later.
    pub fn note(&mut self, name: &'static str, value: String) {
        self.0.push((name, value));
    }

    /// What is known, by name.
    pub fn facts(&self) -> impl Iterator<Item = (&'static str, &String)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// What else ran: whatever is far above zero spoils the absolute figures.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// What follows the colon of the first line that begins so.
fn line_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn told(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok();
    let text = output.filter(|output| output.status.success()).map(|output| output.stdout);
    text.map_or_else(unknown, |text| String::from_utf8_lossy(&text).trim().to_owned())
}

/// Kind and device of the file system that holds a folder.
fn file_system(folder: &Path) -> String {
    let folder = folder.to_string_lossy();
    let text = told("df", &["--output=fstype,source,avail", "-h", &folder]);
    let line: Vec<&str> = text.lines().last().unwrap_or_default().split_ascii_whitespace().collect();
    match line.as_slice() {
        [kind, device, free] => format!("{kind} on {device}, {free} free ({folder})"),
        _ => unknown(),
    }
}

/// Whether a folder is in memory only, where nothing that is said of durability would mean anything.
pub fn is_in_memory(folder: &Path) -> bool {
    ["tmpfs", "ramfs"].iter().any(|kind| file_system(folder).starts_with(kind))
}

fn sqlite_version() -> String {
    // Built in: the version is that of the library that the program is linked with.
    let lock = include_str!("../../Cargo.lock");
    let name = "name = \"libsqlite3-sys\"\nversion = \"";
    let version = lock.split(name).nth(1).and_then(|rest| rest.split('"').next());
    version.map_or_else(unknown, |version| format!("built in, libsqlite3-sys {version}"))
}
