//! What is wrong with a covenant or its rules, all of it at once.
//!
//! Invariant: a finding says where it is and what to do about it, and holds no personal data. It repeats of a file no more than helps to find
//! the place, and nothing that a terminal or a log would obey.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong with a covenant or its rules: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file and the place in it.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How many characters of a place, and of a message, are repeated.
const LONGEST_PLACE: usize = 200;
const LONGEST_MESSAGE: usize = 4_000;

impl Finding {
    /// A finding at a place.
    #[must_use]
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: plain(&place.into(), LONGEST_PLACE), message: plain(&message.into(), LONGEST_MESSAGE) }
    }
}

/// Whether a terminal or a log would obey this letter, or the writing after it turns round, so that people read what is not there.
pub(super) fn steers(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text without what steers terminals or turns the direction of writing, and cut off where it is too long.
fn plain(text: &str, longest: usize) -> String {
    let mut letters = text.chars().map(|letter| {
        if steers(letter) && !matches!(letter, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { letter }
    });
    let mut plain: String = letters.by_ref().take(longest).collect();
    if letters.next().is_some() {
        plain.push('…');
    }
    plain
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Everything that is wrong, one finding a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
