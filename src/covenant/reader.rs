//! Reads one TOML table key by key and remembers everything that is wrong with it.
//!
//! Invariant: a key that nobody asked for is a finding, so a misspelt key can never be silently ignored.

use std::collections::BTreeSet;
use std::str::FromStr;

use toml::{Table, Value};

use super::findings::{Finding, steers};

/// How long a text may be, in characters.
const LONGEST_TEXT: usize = 1_000;
const UNREADABLE: &str = "must be a text that is not empty, of at most 1000 characters on one line";

/// Whether people can read the text, and read what is there.
fn is_readable(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().take(LONGEST_TEXT + 1).count() <= LONGEST_TEXT && !text.chars().any(steers)
}

/// One table that is being read.
pub(super) struct Reader<'t, 'f> {
    table: &'t Table,
    place: String,
    asked: BTreeSet<&'static str>,
    findings: &'f mut Vec<Finding>,
}

impl<'t, 'f> Reader<'t, 'f> {
    /// Starts on a table; `place` says in findings where it is.
    pub(super) fn new(table: &'t Table, place: String, findings: &'f mut Vec<Finding>) -> Self {
        Self { table, place, asked: BTreeSet::new(), findings }
    }

    /// A text that must be there and that people can read.
    pub(super) fn text(&mut self, key: &'static str) -> String {
        match self.take(key) {
            Some(Value::String(text)) if is_readable(text) => text.clone(),
            Some(_) => self.wrong(key, UNREADABLE),
            None => self.wrong(key, "is missing; add it"),
        }
    }

    /// A text that may be absent, but not unreadable.
    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key) {
            None => None,
            Some(Value::String(text)) if is_readable(text) => Some(text.clone()),
            Some(_) => {
                self.wrong::<String>(key, UNREADABLE);
                None
            }
        }
    }

    /// A text that parses as `T`.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(key);
        if text.is_empty() {
            return None;
        }
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong::<()>(key, &format!("is \"{text}\": {error}"));
                None
            }
        }
    }

    /// A word of a closed list.
    pub(super) fn word<T>(&mut self, key: &'static str, from: fn(&str) -> Option<T>, all: &[&str]) -> Option<T> {
        let text = self.text(key);
        let value = from(&text);
        if value.is_none() && !text.is_empty() {
            self.wrong::<()>(key, &format!("is \"{text}\"; use one of {}", all.join(", ")));
        }
        value
    }

    /// A word of a closed list that may be absent.
    pub(super) fn optional_word<T>(
        &mut self,
        key: &'static str,
        from: fn(&str) -> Option<T>,
        all: &[&str],
    ) -> Option<T> {
        if self.has(key) { self.word(key, from, all) } else { None }
    }

    /// A yes or no that is no when absent.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        match self.take(key) {
            None => false,
            Some(Value::Boolean(flag)) => *flag,
            Some(_) => self.wrong(key, "must be true or false"),
        }
    }

    /// A number within bounds.
    pub(super) fn number(&mut self, key: &'static str, least: u32, most: u32) -> u32 {
        let number = match self.take(key) {
            Some(Value::Integer(number)) => u32::try_from(*number).ok(),
            _ => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => number,
            _ => self.wrong(key, &format!("must be a whole number from {least} to {most}")),
        }
    }

    /// A list of texts, each once; empty when absent.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Value::Array(items) = value else { return self.wrong(key, "must be a list of texts") };
        let mut texts = Vec::new();
        for item in items {
            match item.as_str() {
                Some(text) if texts.iter().any(|known| known == text) => {
                    self.wrong::<()>(key, &format!("names \"{text}\" twice; name it once"));
                }
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong::<()>(key, "must be a list of texts"),
            }
        }
        texts
    }

    /// That a list is there, even if it is empty: what would be permitted by forgetting it is not.
    pub(super) fn must_be_there(&mut self, key: &'static str) {
        if self.take(key).is_none() {
            self.wrong::<()>(key, "is missing; write [] where it is empty");
        }
    }

    /// A list of texts, each once and none empty, that may be absent but not without any.
    pub(super) fn optional_texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        if !self.has(key) {
            return None;
        }
        let texts = self.texts(key);
        if texts.is_empty() || !texts.iter().all(|text| is_readable(text)) {
            self.wrong::<()>(key, "must be a list of texts that are not empty; name one or leave it out");
            return None;
        }
        Some(texts)
    }

    /// A list of texts that each parse; nothing where one does not.
    pub(super) fn codes<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let words = self.texts(key);
        self.parse_all(key, &words, parse)
    }

    /// The same, of texts that were read already.
    pub(super) fn parse_all<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        words: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let mut values = Vec::new();
        for word in words {
            match parse(word) {
                Ok(value) => values.push(value),
                Err(error) => self.wrong::<()>(key, &format!("\"{word}\": {error}")),
            }
        }
        (values.len() == words.len()).then_some(values)
    }

    /// A table inside this one.
    pub(super) fn table(&mut self, key: &'static str) -> Option<&'t Table> {
        match self.take(key) {
            Some(Value::Table(table)) => Some(table),
            Some(_) => {
                self.wrong::<()>(key, "must be a table");
                None
            }
            None => {
                self.wrong::<()>(key, "is missing; add the table");
                None
            }
        }
    }

    /// The tables of a list `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<&'t Table> {
        match self.take(key) {
            Some(Value::Array(items)) if items.iter().all(Value::is_table) => {
                items.iter().filter_map(Value::as_table).collect()
            }
            Some(_) => self.wrong(key, "must be a list of tables, written [[…]]"),
            None => self.wrong(key, "is missing; add at least one"),
        }
    }

    /// Ends the reading: what nobody asked for is unknown.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            if !self.asked.contains(key.as_str()) {
                let known: Vec<_> = self.asked.iter().copied().collect();
                let message = format!("unknown key; remove it or use one of {}", known.join(", "));
                self.findings.push(Finding::new(place_of(&self.place, key), message));
            }
        }
    }

    /// Whether the key is there, which from now on is a known one.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.take(key).is_some()
    }

    fn take(&mut self, key: &'static str) -> Option<&'t Value> {
        self.asked.insert(key);
        self.table.get(key)
    }

    fn wrong<T: Default>(&mut self, key: &str, message: &str) -> T {
        self.findings.push(Finding::new(place_of(&self.place, key), message));
        T::default()
    }
}

fn place_of(place: &str, key: &str) -> String {
    if place.ends_with(' ') { format!("{place}{key}") } else { format!("{place}.{key}") }
}
