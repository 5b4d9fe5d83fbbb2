//! Break-glass (noodprocedure) as the covenant agrees on it: who may declare it, and how long the duties afterwards may take.
//!
//! Invariant: a covenant that says nothing of it gives nobody a mandate, so that under it break-glass cannot be declared at all.

use std::fmt;

use serde::Serialize;
use toml::{Table, Value};

use super::findings::Finding;
use super::reader::Reader;
use super::types::{Covenant, InvalidCode, Label, PurposeCode, RowParty};

const PLACE: &str = "covenant.toml: emergency";
/// Working days for each duty where the covenant names none.
const WORKING_DAYS: u32 = 5;

/// A role that may declare break-glass at some parties, such as the youth nurse on duty. A function, never a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mandate {
    /// The role's code.
    pub id: MandateCode,
    /// At which parties there is this role.
    pub parties: Vec<RowParty>,
    /// Its name.
    pub label: Label,
}

/// The code of a role that may declare break-glass, in the form of every code of the covenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MandateCode(PurposeCode);

impl MandateCode {
    /// The code as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl std::str::FromStr for MandateCode {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        text.parse().map(Self)
    }
}

impl fmt::Display for MandateCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the covenant says of break-glass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Emergency {
    /// Working days from the declaration in which its review is concluded.
    pub reviewed_working_days: u32,
    /// Working days from the declaration in which the resident is informed, or it is recorded why not.
    pub informed_working_days: u32,
    /// Who may declare it; nobody where the covenant names none.
    pub roles: Vec<Mandate>,
}

impl Default for Emergency {
    fn default() -> Self {
        Self { reviewed_working_days: WORKING_DAYS, informed_working_days: WORKING_DAYS, roles: Vec::new() }
    }
}

impl Covenant {
    /// The role with this code.
    #[must_use]
    pub fn mandate(&self, code: &str) -> Option<&Mandate> {
        self.emergency.roles.iter().find(|mandate| mandate.id.as_str() == code)
    }
}

/// Reads `[emergency]`.
pub(super) fn read(
    table: &Table,
    findings: &mut Vec<Finding>,
    party: fn(&str) -> Result<RowParty, InvalidCode>,
) -> Emergency {
    let mut reader = Reader::new(table, PLACE.to_owned(), findings);
    let mut days = |key| if reader.has(key) { reader.number(key, 1, 100) } else { WORKING_DAYS };
    let reviewed_working_days = days("reviewed-within-working-days");
    let informed_working_days = days("resident-informed-within-working-days");
    let listed = reader.tables("roles");
    reader.finish();
    let mut roles = Vec::new();
    for (index, table) in listed.iter().enumerate() {
        let name = table.get("id").and_then(Value::as_str).map_or_else(|| (index + 1).to_string(), str::to_owned);
        let mut reader = Reader::new(table, format!("{PLACE}.roles[{name}]"), findings);
        let id = reader.parsed("id");
        reader.must_be_there("parties");
        let parties = reader.codes("parties", party);
        let label = Label { nl: reader.text("nl"), en: reader.text("en") };
        reader.finish();
        if let (Some(id), Some(parties)) = (id, parties) {
            roles.push(Mandate { id, parties, label });
        }
    }
    Emergency { reviewed_working_days, informed_working_days, roles }
}

/// Adds a finding for each role that stands there twice, that nobody has, or that names a party that the covenant lacks.
pub(super) fn check(covenant: &Covenant, findings: &mut Vec<Finding>) {
    let roles = &covenant.emergency.roles;
    for (index, mandate) in roles.iter().enumerate() {
        let place = format!("{PLACE}.roles[{}]", mandate.id);
        if roles.iter().take(index).any(|earlier| earlier.id == mandate.id) {
            findings.push(Finding::new(&place, "is there twice; name each role once"));
        }
        if mandate.parties.is_empty() {
            findings.push(Finding::new(&place, "no party has this role; name one in parties or remove it"));
        }
        for party in &mandate.parties {
            if let RowParty::Named(slug) = party
                && covenant.party(slug.as_str()).is_none()
            {
                findings.push(Finding::new(&place, format!("\"{slug}\" is no party; add it to parties")));
            }
        }
    }
}
