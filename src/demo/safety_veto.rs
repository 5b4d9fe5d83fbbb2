//! What a scenario says about a safety veto: who sets it, on whom or on which referral, and that it ends; the requests that this makes, and its telling.

use serde::Deserialize;
use serde_json::{Value, json};

use super::requests::subject;
use super::scenario::{Action, Resident};
use super::tell::Teller;

/// A veto before anything was sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Vetoing {
    /// The name by which later steps mean it.
    #[serde(rename = "as")]
    pub name: String,
    /// The resident.
    pub resident: String,
}

/// A veto on a referral that was sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VetoingReferral {
    /// The name by which later steps mean it.
    #[serde(rename = "as")]
    pub name: String,
    /// The referral.
    pub referral: String,
}

/// A veto by its name in the scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OfVeto {
    /// The name that `as` gave it.
    pub veto: String,
}

/// The body of a veto before anything was sent.
#[must_use]
pub fn setting(resident: &Resident) -> Value {
    json!({ "subject": subject(resident) })
}

/// The body with which a veto ends.
#[must_use]
pub fn ending() -> Value {
    json!({ "conclusion": "channel-safe-again" })
}

impl Teller<'_> {
    pub(super) fn veto(self, actor: &str, action: &Action) -> Option<String> {
        Some(match action {
            Action::SetVeto(_) => self.pick(
                format!("{actor} zegt dat het kanaal voor deze inwoner niet veilig is"),
                format!("{actor} says that the channel is not safe for this resident"),
            ),
            Action::VetoReferral(_) => self.pick(
                format!(
                    "{actor} trekt de verwijzing in omdat het kanaal niet veilig is; dat laatste ziet niemand anders"
                ),
                format!("{actor} calls the referral off because the channel is not safe; the latter nobody else sees"),
            ),
            Action::ReadVeto(_) => {
                self.pick(format!("{actor} vraagt naar het veto"), format!("{actor} asks for the veto"))
            }
            Action::EndVeto(_) => self.pick(format!("{actor} beëindigt het veto"), format!("{actor} ends the veto")),
            _ => return None,
        })
    }
}
