//! Reads one section of the configuration key by key, so that all mistakes are found in one go.
//!
//! Invariant: a key that nobody asked for is an error; a value is never repeated in an error, it may be a secret.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::{Table, Value};

/// One mistake: which key, what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Mistake {
    /// The key, as `section.key`.
    pub key: String,
    /// What was expected and what to do.
    pub reason: String,
}

/// A section under reading.
pub(super) struct Section<'a> {
    name: &'static str,
    table: Table,
    asked: BTreeSet<&'static str>,
    base: &'a Path,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Section<'a> {
    /// Takes the section `name` out of the document; an absent section has all defaults.
    pub(super) fn take(
        document: &mut Table,
        name: &'static str,
        base: &'a Path,
        mistakes: &'a mut Vec<Mistake>,
    ) -> Self {
        let table = match document.remove(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                mistakes.push(Mistake { key: name.into(), reason: format!("expected a section [{name}]") });
                Table::new()
            }
        };
        Self { name, table, asked: BTreeSet::new(), base, mistakes }
    }

    pub(super) fn mistake(&mut self, key: &str, reason: impl Into<String>) {
        self.mistakes.push(Mistake { key: format!("{}.{key}", self.name), reason: reason.into() });
    }

    fn value(&mut self, key: &'static str) -> Option<Value> {
        self.asked.insert(key);
        self.table.remove(key)
    }

    /// A text; `None` when the key is absent.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        if let Value::String(text) = self.value(key)? {
            Some(text)
        } else {
            self.mistake(key, "expected a text in quotes");
            None
        }
    }

    /// A text in the form of one of our types.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str, expected: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.mistake(key, format!("expected {expected}"));
        }
        parsed
    }

    /// As [`Section::parsed`], and the key must be there.
    pub(super) fn required<T: FromStr>(&mut self, key: &'static str, expected: &str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.asked.insert(key);
            self.mistake(key, format!("is missing; expected {expected}"));
            return None;
        }
        self.parsed(key, expected)
    }

    /// A whole number within bounds, or its default.
    pub(super) fn number(&mut self, key: &'static str, default: u64, least: u64, most: u64) -> u64 {
        let number = match self.value(key) {
            None => return default,
            Some(Value::Integer(number)) => u64::try_from(number).ok(),
            // From the environment everything comes as text.
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => number,
            _ => {
                self.mistake(key, format!("expected a whole number from {least} to {most}"));
                default
            }
        }
    }

    /// A flag, or its default.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Boolean(flag)) => flag,
            Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
            Some(_) => {
                self.mistake(key, "expected true or false");
                default
            }
        }
    }

    /// One of a closed list of words, or the first of them.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(key) else { return default };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return *choice;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.mistake(key, format!("expected one of: {}", words.join(", ")));
        default
    }

    /// A path; relative ones are relative to the folder of the configuration file.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(|path| self.base.join(path))
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let list = match self.value(key) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(Value::String(text)) => {
                return text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
            }
            Some(_) => {
                self.mistake(key, "expected a list of texts");
                return Vec::new();
            }
        };
        let texts: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if texts.len() != list.len() {
            self.mistake(key, "expected a list of texts");
        }
        texts
    }

    /// A list of paths; relative ones are relative to the folder of the configuration file.
    pub(super) fn paths(&mut self, key: &'static str) -> Vec<PathBuf> {
        self.texts(key).iter().map(|path| self.base.join(path)).collect()
    }

    /// A list of tables.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table> {
        match self.value(key) {
            None => Vec::new(),
            Some(Value::Array(list)) if list.iter().all(Value::is_table) => list
                .into_iter()
                .filter_map(|entry| if let Value::Table(table) = entry { Some(table) } else { None })
                .collect(),
            Some(_) => {
                self.mistake(key, "expected a list of tables");
                Vec::new()
            }
        }
    }

    /// The folder that relative paths start from.
    pub(super) fn base(&self) -> &'a Path {
        self.base
    }

    /// Ends the section: whatever is left was never asked for.
    pub(super) fn finish(mut self) {
        let known = self.asked.iter().copied().collect::<Vec<_>>().join(", ");
        for key in std::mem::take(&mut self.table).keys() {
            self.mistake(key, format!("is unknown; this section has: {known}"));
        }
    }
}
