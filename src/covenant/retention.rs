//! How long what is kept, in days, as the covenant says: what goes when, and content by its category.
//!
//! Who keeps to the terms is `crate::retention`. Invariant: after the last term of content nothing of it is left, whatever categories there once were.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use toml::Table;

use super::findings::Finding;
use super::reader::Reader;
use super::types::{CategoryCode, Covenant};

/// The longest term that can be agreed on: a hundred years.
const LONGEST: u32 = 36_500;

/// How many days something is kept (art. 5.1.e AVG).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Content of sections, after the referral ended, where its category has no days of its own.
    pub content: u32,
    /// Content of these categories.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<CategoryCode, u32>,
    /// The referral without its content, after it and its case ended.
    pub referral: u32,
    /// Records of consent, release and agreement, after they ended.
    pub consent: u32,
    /// Events, after they happened.
    pub event: u32,
    /// What can lead to a person in audit records, after they were written.
    pub audit: u32,
}

/// Which content a term is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// All that is left: the last term of a referral.
    All,
    /// Of these categories.
    Of(Vec<CategoryCode>),
    /// Of all but these categories.
    AllBut(Vec<CategoryCode>),
}

impl Retention {
    /// The days that content of this category is kept.
    #[must_use]
    pub fn days_of(&self, category: &CategoryCode) -> u32 {
        self.categories.get(category).copied().unwrap_or(self.content)
    }

    /// The longest that any content is kept.
    #[must_use]
    pub fn longest_content(&self) -> u32 {
        self.categories.values().copied().fold(self.content, u32::max)
    }

    /// What of the content goes after how many days, the shortest term first.
    #[must_use]
    pub fn content_terms(&self) -> Vec<(u32, Content)> {
        let mut terms: BTreeSet<u32> = self.categories.values().copied().collect();
        terms.insert(self.content);
        let longest = self.longest_content();
        let own = |fits: &dyn Fn(u32) -> bool| -> Vec<CategoryCode> {
            let fitting = self.categories.iter().filter(|(_, days)| fits(**days));
            fitting.map(|(category, _)| category.clone()).collect()
        };
        let content = |days: u32| match days {
            _ if days == longest => Content::All,
            _ if days == self.content => Content::AllBut(own(&|other| other != days)),
            _ => Content::Of(own(&|other| other == days)),
        };
        terms.into_iter().map(|days| (days, content(days))).collect()
    }
}

/// Reads `[retention-days]`.
pub(super) fn read(table: &Table, findings: &mut Vec<Finding>) -> Retention {
    let mut reader = Reader::new(table, "covenant.toml: retention-days".to_owned(), findings);
    let categories = if reader.has("categories") { reader.table("categories") } else { None };
    let mut days = |key| reader.number(key, 1, LONGEST);
    let (content, referral, consent) = (days("content"), days("referral"), days("consent"));
    let (event, audit) = (days("event"), days("audit"));
    reader.finish();
    let categories = categories.map(|table| of_categories(table, findings)).unwrap_or_default();
    Retention { content, categories, referral, consent, event, audit }
}

fn of_categories(table: &Table, findings: &mut Vec<Finding>) -> BTreeMap<CategoryCode, u32> {
    let mut read = BTreeMap::new();
    for (key, value) in table {
        let mut wrong = |message: String| {
            findings.push(Finding::new(format!("covenant.toml: retention-days.categories.{key}"), message));
        };
        let days = value.as_integer().and_then(|days| u32::try_from(days).ok());
        let days = days.filter(|days| (1..=LONGEST).contains(days));
        if days.is_none() {
            wrong(format!("must be a whole number from 1 to {LONGEST}"));
        }
        match key.parse::<CategoryCode>() {
            Ok(category) => read.extend(days.map(|days| (category, days))),
            Err(error) => wrong(error.to_string()),
        }
    }
    read
}

/// Every category is one of the covenant, and no content outlives its referral.
pub(super) fn check(covenant: &Covenant, findings: &mut Vec<Finding>) {
    let retention = &covenant.retention;
    for category in retention.categories.keys().filter(|category| covenant.category(category.as_str()).is_none()) {
        let message = format!("\"{category}\" is no data category; add it to categories, or remove it here");
        findings.push(Finding::new(format!("covenant.toml: retention-days.categories.{category}"), message));
    }
    let longest = retention.longest_content();
    if (1..longest).contains(&retention.referral) {
        let message = format!("content is kept longer, up to {longest} days; use at least that");
        findings.push(Finding::new("covenant.toml: retention-days.referral", message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(content: u32, categories: &[(&str, u32)]) -> Retention {
        let categories = categories.iter().map(|(code, days)| (code.parse().unwrap(), *days)).collect();
        Retention { content, categories, referral: 700, consent: 700, event: 90, audit: 1_826 }
    }

    fn codes(codes: &[&str]) -> Vec<CategoryCode> {
        codes.iter().map(|code| code.parse().unwrap()).collect()
    }

    #[test]
    fn each_category_goes_after_its_own_days_and_nothing_is_left_after_the_last() {
        let all = |days| (days, Content::All);
        assert_eq!(retention(30, &[]).content_terms(), [all(30)]);
        assert_eq!(
            retention(30, &[("safety", 14), ("finance", 60), ("social", 14)]).content_terms(),
            [
                (14, Content::Of(codes(&["safety", "social"]))),
                (30, Content::AllBut(codes(&["finance", "safety", "social"]))),
                all(60),
            ]
        );
        // What is said again of the general term changes nothing.
        assert_eq!(retention(30, &[("safety", 30)]).content_terms(), [all(30)]);
        assert_eq!(
            retention(30, &[("safety", 30), ("finance", 60)]).content_terms(),
            [(30, Content::AllBut(codes(&["finance"]))), all(60)]
        );
    }
}
