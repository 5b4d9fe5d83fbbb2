//! Covenant, schema and rules as the files that are published and signed together.
//!
//! Invariant: a bundle holds `covenant.toml`, `schema.cedarschema` and `*.cedar` of one folder and nothing else, so that
//! test cases and notes beside them do not change what was signed.

use std::collections::BTreeMap;
use std::path::Path;

use super::digest::PolicyDigest;
use super::findings::{Finding, Findings};
use super::types::Covenant;

/// The file of the covenant.
pub const COVENANT_FILE: &str = "covenant.toml";
/// The file of the Cedar schema.
pub const SCHEMA_FILE: &str = "schema.cedarschema";
const RULES_EXTENSION: &str = ".cedar";

/// The signed files, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, Vec<u8>>,
    digest: PolicyDigest,
}

impl Bundle {
    /// The bundle of these files, name to bytes; names that do not belong in a bundle are findings.
    ///
    /// # Errors
    /// [`Findings`] when a file is missing, foreign, or not UTF-8.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Result<Self, Findings> {
        let mut findings = Vec::new();
        for required in [COVENANT_FILE, SCHEMA_FILE] {
            if !files.contains_key(required) {
                findings.push(Finding::new(required, "is missing; add it to the folder of the policies"));
            }
        }
        for (name, content) in &files {
            if !belongs(name) {
                findings.push(Finding::new(name, "does not belong in the signed files; remove it"));
            }
            if std::str::from_utf8(content).is_err() {
                findings.push(Finding::new(name, "is not UTF-8; save it as UTF-8"));
            }
        }
        let digest = PolicyDigest::of(&files);
        if findings.is_empty() { Ok(Self { files, digest }) } else { Err(Findings(findings)) }
    }

    /// Reads the bundle from the top level of a folder, leaving all other files alone.
    ///
    /// # Errors
    /// [`Findings`] when the folder or a file cannot be read, or the files make no bundle.
    pub fn from_folder(folder: &Path) -> Result<Self, Findings> {
        let unreadable = |path: &Path, error: &std::io::Error| {
            Findings(vec![Finding::new(path.display().to_string(), format!("cannot be read: {error}"))])
        };
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
            let path = entry.map_err(|error| unreadable(folder, &error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if belongs(name) {
                files.insert(name.to_owned(), std::fs::read(&path).map_err(|error| unreadable(&path, &error))?);
            }
        }
        Self::from_files(files)
    }

    /// The digest that the parties sign.
    #[must_use]
    pub fn digest(&self) -> &PolicyDigest {
        &self.digest
    }

    /// The files by name, in the order in which the digest covers them.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The text of a file; empty when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.files.get(name).and_then(|content| std::str::from_utf8(content).ok()).unwrap_or_default()
    }

    /// The files of rules: name and text.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.keys().filter(|name| name.ends_with(RULES_EXTENSION)).map(|name| (name.as_str(), self.text(name)))
    }

    /// Reads and checks the covenant of this bundle.
    ///
    /// # Errors
    /// [`Findings`] with everything that is wrong with it.
    pub fn covenant(&self) -> Result<Covenant, Findings> {
        Covenant::parse(self.text(COVENANT_FILE))
    }
}

fn belongs(name: &str) -> bool {
    name == COVENANT_FILE || name == SCHEMA_FILE || (name.ends_with(RULES_EXTENSION) && !name.contains(['/', '\\']))
}
