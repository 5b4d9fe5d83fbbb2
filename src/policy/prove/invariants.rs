//! The invariants of a folder: what is never given, one statement per file.
//!
//! Each is a Cedar `forbid` that reads like a rule but decides nothing: it is what the rules together are held against. Invariants: it
//! is named as its file, speaks only of what the covenant knows, and a folder without any is refused, so that "everything was proven" never
//! means "nothing was asked".

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use cedar_policy::{Effect as CedarEffect, Policy, PolicyId, PolicySet, Schema};

use super::super::load::{check_literals, check_types, literals};
use crate::covenant::{Covenant, Finding, Findings, Label, PolicyDigest, PurposeCode};

/// The folder of the invariants, inside that of the policies.
const FOLDER: &str = "invariants";
const EXTENSION: &str = ".cedar";

/// The invariants as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariants {
    files: BTreeMap<String, Vec<u8>>,
    digest: PolicyDigest,
}

/// One that fits the covenant.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Invariant {
    pub id: String,
    /// The number of the rule of the covenant that it guards, 1 to 18.
    pub number: u8,
    pub text: Label,
    pub policy: Policy,
}

impl Invariants {
    /// The invariants in these files, name to bytes.
    ///
    /// # Errors
    /// [`Findings`] when there are none.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Result<Self, Findings> {
        if files.is_empty() {
            let message = "holds no invariant, so there is nothing to prove; write one per file, as a forbid";
            return Err(Findings(vec![Finding::new(FOLDER, message)]));
        }
        let digest = PolicyDigest::of(&files);
        Ok(Self { files, digest })
    }

    /// Reads `invariants/` of a folder of policies.
    ///
    /// # Errors
    /// [`Findings`] when it cannot be read or holds none.
    pub fn from_folder(policies: &Path) -> Result<Self, Findings> {
        let folder = policies.join(FOLDER);
        // Not the whole path: this is also told to who publishes over the API.
        let unreadable = |name: &str, error: &std::io::Error| {
            Findings(vec![Finding::new(name, format!("cannot be read in the folder of the policies: {error}"))])
        };
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(FOLDER, &error))? {
            let path = entry.map_err(|error| unreadable(FOLDER, &error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.ends_with(EXTENSION) {
                files.insert(name.to_owned(), std::fs::read(&path).map_err(|error| unreadable(name, &error))?);
            }
        }
        Self::from_files(files)
    }

    /// The digest of the files, in the form of that of the policies.
    #[must_use]
    pub const fn digest(&self) -> &PolicyDigest {
        &self.digest
    }

    /// The files, name to bytes.
    #[must_use]
    pub const fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// Reads them against a covenant and its schema.
    pub(in crate::policy) fn read(&self, covenant: &Covenant, schema: &Schema) -> Result<Vec<Invariant>, Findings> {
        let mut findings = Vec::new();
        let read: Vec<_> = self.files.iter().filter_map(|(file, bytes)| read_one(file, bytes, &mut findings)).collect();
        let known = literals(covenant);
        for invariant in &read {
            check_literals(&known, &invariant.policy, &mut findings);
        }
        check_types(schema, read.iter().map(|invariant| &invariant.policy), &mut findings);
        if findings.is_empty() { Ok(read) } else { Err(Findings(findings)) }
    }
}

fn read_one(file: &str, bytes: &[u8], findings: &mut Vec<Finding>) -> Option<Invariant> {
    let place = format!("{FOLDER}/{file}");
    let mut finding = |message: String| findings.push(Finding::new(&place, message));
    let set = match std::str::from_utf8(bytes).map(PolicySet::from_str) {
        Ok(Ok(set)) => set,
        Ok(Err(errors)) => {
            errors.iter().for_each(|error| finding(error.to_string()));
            return None;
        }
        Err(_) => {
            finding("is not UTF-8; save it as UTF-8".to_owned());
            return None;
        }
    };
    let mut policies = set.policies();
    let (Some(policy), None, None) = (policies.next(), policies.next(), set.templates().next()) else {
        finding("holds not exactly one statement; write one per file, without a template".to_owned());
        return None;
    };
    let mut sound = true;
    let mut wrong = |message: String| {
        sound = false;
        finding(message);
    };
    if policy.effect() != CedarEffect::Forbid {
        wrong("is a permit; an invariant says what is never given, as a forbid".to_owned());
    }
    let id = file.strip_suffix(EXTENSION).unwrap_or(file);
    if PurposeCode::from_str(id).is_err() {
        wrong("needs a name in kebab-case".to_owned());
    }
    if policy.annotation("id") != Some(id) {
        wrong(format!("needs @id(\"{id}\"), the name of its file"));
    }
    let number = policy.annotation("rule").and_then(|rule| rule.parse().ok()).filter(|rule| (1..=18).contains(rule));
    if number.is_none() {
        wrong("needs a @rule, the number 1 to 18 of the rule that it guards".to_owned());
    }
    let mut sentence = |key: &str| match policy.annotation(key) {
        Some(text) if !text.trim().is_empty() => text.to_owned(),
        _ => {
            wrong(format!("needs @{key}, one sentence that says what is never given"));
            String::new()
        }
    };
    let text = Label { nl: sentence("nl"), en: sentence("en") };
    for (key, _) in policy.annotations().filter(|(key, _)| !["id", "rule", "nl", "en"].contains(key)) {
        wrong(format!("unknown annotation @{key}; remove it"));
    }
    let policy = policy.new_id(PolicyId::new(id));
    Some(Invariant { id: id.to_owned(), number: number?, text, policy }).filter(|_| sound)
}
