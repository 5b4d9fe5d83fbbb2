//! What a scenario says about break-glass: who declares it, ends it, answers for it and reviews it; the requests that this makes, and its telling.

use serde::Deserialize;
use serde_json::{Value, json};

use super::requests::{oin, subject};
use super::scenario::{Action, Resident};
use super::tell::Teller;
use super::words::Words;
use crate::clock::Timestamp;

/// A declaration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Declaration {
    /// The name by which later steps mean it.
    #[serde(rename = "as")]
    pub name: String,
    /// The recipient.
    pub to: String,
    /// The resident.
    pub resident: String,
    /// The role that declares, from the covenant.
    pub role: String,
    /// Why, from the closed list.
    pub reason: String,
    /// Why the resident cannot consent, where that is so.
    pub cannot_consent: Option<String>,
    /// What may be given.
    pub categories: Vec<String>,
}

/// A declaration by its name in the scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OfEmergency {
    /// The name that `as` gave it.
    pub emergency: String,
}

/// The resident was informed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Informing {
    /// The declaration.
    pub emergency: String,
    /// How, from the closed list.
    pub method: String,
}

/// What a review concludes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Concluding {
    /// The declaration.
    pub emergency: String,
    /// What, from the closed list.
    pub conclusion: String,
}

/// The name of the declaration that an action is about, where it is about one that exists.
#[must_use]
pub fn named(action: &Action) -> Option<&str> {
    match action {
        Action::EndEmergency(of) | Action::ReadReview(of) => Some(&of.emergency),
        Action::InformResident(informing) => Some(&informing.emergency),
        Action::ConcludeReview(concluding) => Some(&concluding.emergency),
        _ => None,
    }
}

/// The body of a declaration.
#[must_use]
pub fn declaration(declaration: &Declaration, resident: &Resident, words: &Words) -> Value {
    json!({
        "recipient": oin(words, &declaration.to),
        "subject": subject(resident),
        "role": declaration.role,
        "reason": declaration.reason,
        "cannotConsent": declaration.cannot_consent,
        "categories": declaration.categories,
    })
}

/// What is posted about the declaration with this id, and where.
#[must_use]
pub fn step(action: &Action, id: &str, now: Timestamp) -> Option<(String, Value)> {
    Some(match action {
        Action::EndEmergency(_) => (format!("/v1/emergency-accesses/{id}/endings"), Value::Null),
        Action::InformResident(informing) => (
            format!("/v1/emergency-accesses/{id}/notifications"),
            json!({ "outcome": "informed", "informedAt": now, "method": informing.method }),
        ),
        Action::ConcludeReview(concluding) => {
            (format!("/v1/reviews/{id}/conclusions"), json!({ "conclusion": concluding.conclusion, "measures": [] }))
        }
        _ => return None,
    })
}

impl Teller<'_> {
    pub(super) fn emergency(self, actor: &str, action: &Action) -> Option<String> {
        Some(match action {
            Action::DeclareEmergency(declaration) => {
                let to = self.words.parties([declaration.to.as_str()], self.language);
                let what = self.words.categories(declaration.categories.iter().map(String::as_str), self.language);
                self.pick(
                    format!("{actor} roept de noodprocedure in, hoogstens 24 uur en alleen naar {to}: {what}"),
                    format!("{actor} declares break-glass, for 24 hours at most and to {to} alone: {what}"),
                )
            }
            Action::EndEmergency(_) => {
                self.pick(format!("{actor} beëindigt de noodprocedure"), format!("{actor} ends break-glass"))
            }
            Action::InformResident(_) => self.pick(
                format!("{actor} legt vast dat de inwoner is geïnformeerd"),
                format!("{actor} records that the resident was informed"),
            ),
            Action::ReadReview(_) => {
                self.pick(format!("{actor} leest de beoordeling"), format!("{actor} reads the review"))
            }
            Action::ConcludeReview(concluding) => {
                let justified = concluding.conclusion == "justified";
                let nl = if justified { "terecht ingeroepen" } else { "niet terecht ingeroepen" };
                let en = if justified { "rightly declared" } else { "not rightly declared" };
                self.pick(
                    format!("{actor} rondt de beoordeling af: {nl}"),
                    format!("{actor} concludes the review: {en}"),
                )
            }
            _ => return None,
        })
    }
}
