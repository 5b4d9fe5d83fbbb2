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

/// What a referral's status code is called.
#[must_use]
pub fn status(code: &str, language: Language) -> &str {
    match code {
        "requested" => language.pick("aangevraagd", "requested"),
        "received" => language.pick("ontvangen", "received"),
        "accepted" => language.pick("aangenomen", "accepted"),
        "rejected" => language.pick("afgewezen", "rejected"),
        "cancelled" => language.pick("ingetrokken", "cancelled"),
        "on-hold" => language.pick("aangehouden", "on hold"),
        "in-progress" => language.pick("in behandeling", "in progress"),
        "completed" => language.pick("afgerond", "completed"),
        "failed" => language.pick("mislukt", "failed"),
        "entered-in-error" => language.pick("per vergissing verstuurd", "entered in error"),
        other => other,
    }
}

/// What an event is about, without its common beginning and end.
#[must_use]
pub fn event(kind: &str, language: Language) -> &str {
    match kind {
        "referral.requested" => language.pick("er is een verwijzing", "there is a referral"),
        "referral.status-updated" => language.pick("er is een stap gezet", "a step was taken"),
        "referral.disclosed" => language.pick("de inhoud is verstrekt", "the content was handed over"),
        "referral.corrected" => language.pick("wat is verstrekt, was onjuist", "what was handed over was wrong"),
        "consent.withdrawn" => language.pick("er is iets ingetrokken", "a record was withdrawn"),
        other => other,
    }
}

/// What an audit record is about.
#[must_use]
pub fn audit_kind(kind: &str, language: Language) -> &str {
    match kind {
        "decision" => language.pick("beslissing", "decision"),
        "disclosure" => language.pick("verstrekking", "disclosure"),
        "status-update" => language.pick("stap", "step"),
        "correction" => language.pick("correctie", "correction"),
        other => other,
    }
}

/// Why the gateway refused, by the code of the problem; none for a code that no scenario is about.
#[must_use]
pub fn problem(code: &str, language: Language) -> Option<&'static str> {
    let (nl, en) = match code {
        "refused" => ("het convenant staat dit niet toe", "the covenant does not allow this"),
        "disclosure-refused" => ("er mag niets meer worden verstrekt", "nothing may be handed over any more"),
        "not-found" => ("hier is niets voor deze partij", "there is nothing here for this party"),
        "organisation-suspended" => ("de organisatie is geschorst", "the organisation is suspended"),
        "step-not-allowed" => ("deze stap kan nu niet", "this step is not possible now"),
        "invalid-input" => ("het verzoek is niet volledig of niet juist", "the request is incomplete or wrong"),
        "idempotency-key-reused" => ("dit kenmerk hoort bij een ander bericht", "this key belongs to another message"),
        "already-exists" => ("dit bestaat al", "this exists already"),
        "conflict" => ("dit kan niet meer", "this is not possible any more"),
        "token-binding" => ("het token hoort bij een ander certificaat", "the token is bound to another certificate"),
        "token-required" => ("er is geen token", "there is no token"),
        "client-certificate-required" => ("er is geen certificaat", "there is no certificate"),
        "insufficient-scope" => ("het token is hiervoor niet bedoeld", "the token is not meant for this"),
        _ => return None,
    };
    Some(match language {
        Language::Nl => nl,
        Language::En => en,
    })
}

/// What the reason of a status, or the outcome of a completed referral, is called.
#[must_use]
pub fn reason(code: &str, language: Language) -> &str {
    match code {
        "not-eligible" => language.pick("komt niet in aanmerking", "not eligible"),
        "no-capacity" => language.pick("geen plaats", "no capacity"),
        "wrong-organisation" => language.pick("verkeerde organisatie", "wrong organisation"),
        "insufficient-information" => language.pick("te weinig gegevens", "insufficient information"),
        "duplicate" => language.pick("dubbel", "duplicate"),
        "no-longer-needed" => language.pick("niet meer nodig", "no longer needed"),
        "resident-withdrew" => language.pick("de inwoner ziet ervan af", "the resident withdrew"),
        "sent-in-error" => language.pick("per vergissing verstuurd", "sent in error"),
        "information-requested" => language.pick("meer informatie gevraagd", "information requested"),
        "waiting-list" => language.pick("wachtlijst", "waiting list"),
        "resident-unreachable" => language.pick("inwoner niet bereikbaar", "resident unreachable"),
        "could-not-be-reached" => language.pick("kon niet worden bereikt", "could not be reached"),
        "resident-declined" => language.pick("de inwoner wil niet", "the resident declined"),
        "reopened" => language.pick("heropend", "reopened"),
        "wrong-resident" => language.pick("verkeerde inwoner", "wrong resident"),
        "wrong-recipient" => language.pick("verkeerde ontvanger", "wrong recipient"),
        "helped" => language.pick("geholpen", "helped"),
        "partly-helped" => language.pick("deels geholpen", "partly helped"),
        "referred-on" => language.pick("doorverwezen", "referred on"),
        "not-helped" => language.pick("niet geholpen", "not helped"),
        "other" => language.pick("anders", "other"),
        other => other,
    }
}

/// What a kind of record is called.
#[must_use]
pub fn record_kind(code: &str, language: Language) -> &str {
    match code {
        "consent" => language.pick("toestemming", "consent"),
        "secrecy-release" => language.pick("ontheffing van het beroepsgeheim", "release from secrecy"),
        "care-agreement" => language.pick("instemming met hulp", "agreement to be helped"),
        other => other,
    }
}

/// Who gave a record.
#[must_use]
pub fn giver(code: &str, language: Language) -> &str {
    match code {
        "resident" => language.pick("de inwoner zelf", "the resident"),
        "parent" => language.pick("een ouder", "a parent"),
        "parent-and-child" => language.pick("ouder en kind samen", "parent and child together"),
        "representative" => language.pick("een vertegenwoordiger", "a representative"),
        other => other,
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
