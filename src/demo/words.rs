//! The words for codes: what the parties, categories, purposes and legal bases of the covenant are called in Dutch and
//! English, and the few words that the covenant does not have.
//!
//! Invariant: a code without a word is shown as it is, never left out.

use std::collections::BTreeMap;

use super::scenario::Text;
use crate::covenant::Label;
use crate::policy::{Code, Engine};

/// The language of the narration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Language {
    /// Dutch.
    Nl,
    /// English.
    #[default]
    En,
}

impl Language {
    /// The one of two texts that is in this language.
    #[must_use]
    pub fn pick<'a>(self, nl: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Nl => nl,
            Self::En => en,
        }
    }

    /// The sentence in this language.
    #[must_use]
    pub fn text(self, text: &Text) -> &str {
        self.pick(&text.nl, &text.en)
    }
}

/// A party as the covenant names it.
#[derive(Debug, Clone)]
pub struct Party {
    /// Its slug.
    pub slug: String,
    /// Its OIN.
    pub oin: String,
    /// Its name.
    pub name: String,
}

impl Party {
    /// Its name without what stands in brackets behind it.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.name.split(" (").next().unwrap_or(&self.name)
    }
}

/// The words of one covenant.
#[derive(Debug, Clone)]
pub struct Words {
    parties: Vec<Party>,
    /// In the order of the covenant, which is the order in which they are named.
    categories: Vec<(String, Text)>,
    purposes: BTreeMap<String, Text>,
    bases: BTreeMap<String, Text>,
    rules: BTreeMap<String, Text>,
}

/// The municipality's own clients besides its main one: the slug of the client and what the person behind it is called.
pub const ROLES: [(&str, &str, &str); 3] = [
    ("privacy-officer", "de privacy officer van de gemeente", "the municipality's privacy officer"),
    ("monitor", "de monitor van de gemeente", "the municipality's monitor"),
    ("administrator", "de beheerder", "the administrator"),
];

/// The party to which the clients of [`ROLES`] belong.
pub const MUNICIPALITY: &str = "gemeente-wassenaar";

/// The parties that take part in the demo from the start.
pub const MEMBERS: [&str; 6] = [MUNICIPALITY, "smow", "kwadraad", "mee", "jgz", "kredietbank"];

impl Words {
    /// The words of the covenant and the rules that a policy engine decides by.
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        let covenant = engine.covenant();
        let text = |label: &Label| Text { nl: label.nl.clone(), en: label.en.clone() };
        let party = |party: &crate::covenant::Party| Party {
            slug: party.id.to_string(),
            oin: party.oin.to_string(),
            name: party.name.clone(),
        };
        let policies = engine.rules().values().map(|rule| (&rule.id, &rule.nl, &rule.en));
        let policies = policies.map(|(id, nl, en)| (id.clone(), Text { nl: nl.clone(), en: en.clone() }));
        Self {
            parties: covenant.parties.iter().map(party).collect(),
            categories: covenant.categories.iter().map(|word| (word.id.to_string(), text(&word.label))).collect(),
            purposes: covenant.purposes.iter().map(|word| (word.id.to_string(), text(&word.label))).collect(),
            bases: covenant.bases.iter().map(|word| (word.id.to_string(), text(&word.label))).collect(),
            rules: policies.collect(),
        }
    }

    /// The party with this slug.
    #[must_use]
    pub fn party(&self, slug: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.slug == slug)
    }

    /// The party with this OIN.
    #[must_use]
    pub fn party_of(&self, oin: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.oin == oin)
    }

    /// What an actor is called: a party, or one of the municipality's own clients.
    #[must_use]
    pub fn actor<'a>(&'a self, who: &'a str, language: Language) -> &'a str {
        let role = ROLES.iter().find(|(slug, ..)| *slug == who).map(|(_, nl, en)| language.pick(nl, en));
        role.or_else(|| self.party(who).map(Party::short_name)).unwrap_or(who)
    }

    /// What a data category is called.
    #[must_use]
    pub fn category<'a>(&'a self, code: &'a str, language: Language) -> &'a str {
        let text = self.categories.iter().find(|(known, _)| known == code).map(|(_, text)| language.text(text));
        // What stands behind a comma explains the word and would break an enumeration.
        text.map_or(code, |text| text.split(", ").next().unwrap_or(text))
    }

    /// What a purpose is called.
    #[must_use]
    pub fn purpose<'a>(&'a self, code: &'a str, language: Language) -> &'a str {
        look_up(&self.purposes, code, language)
    }

    /// What a legal basis is called.
    #[must_use]
    pub fn basis<'a>(&'a self, code: &'a str, language: Language) -> &'a str {
        look_up(&self.bases, code, language)
    }

    /// What a rule of the covenant says, in one sentence.
    #[must_use]
    pub fn rule(&self, id: &str, language: Language) -> Option<&str> {
        self.rules.get(id).map(|text| language.text(text))
    }

    /// What a reason for withholding means.
    #[must_use]
    pub fn reason_withheld<'a>(&self, code: &'a str, language: Language) -> &'a str {
        Code::from_word(code).map_or(code, |code| language.pick(code.nl(), code.en()))
    }

    /// Several categories in one breath: `a, b en c`.
    #[must_use]
    pub fn categories<'a>(&'a self, codes: impl IntoIterator<Item = &'a str>, language: Language) -> String {
        let mut codes: Vec<&str> = codes.into_iter().collect();
        codes.sort_by_key(|code| self.categories.iter().position(|(known, _)| known == code));
        let names: Vec<&str> = codes.into_iter().map(|code| self.category(code, language)).collect();
        enumerate(&names, language)
    }

    /// Several parties in one breath.
    #[must_use]
    pub fn parties<'a>(&self, slugs: impl IntoIterator<Item = &'a str>, language: Language) -> String {
        let names: Vec<&str> = slugs.into_iter().map(|slug| self.party(slug).map_or(slug, Party::short_name)).collect();
        enumerate(&names, language)
    }
}

fn look_up<'a>(words: &'a BTreeMap<String, Text>, code: &'a str, language: Language) -> &'a str {
    words.get(code).map_or(code, |text| language.text(text))
}

fn enumerate(names: &[&str], language: Language) -> String {
    match names {
        [] => language.pick("niets", "nothing").to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} {} {last}", first.join(", "), language.pick("en", "and")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_names_read_as_a_sentence_would_say_them() {
        assert_eq!(enumerate(&["wonen", "financiën", "de vraag"], Language::Nl), "wonen, financiën en de vraag");
        assert_eq!(enumerate(&["housing"], Language::En), "housing");
        assert_eq!(enumerate(&[], Language::En), "nothing");
    }
}
