//! What the register of processing activities (art. 30 AVG) needs and nothing else in the covenant says: who answers for what, who carries
//! it out, about whom it is.
//!
//! Invariants: all of it may be missing, so that a covenant which was signed without it stays readable; what is missing is `None` and
//! never a stand-in for what nobody agreed on. What a purpose says of itself takes the place of what is said for all.

use serde::Serialize;
use toml::Table;

use super::findings::Finding;
use super::reader::Reader;
use super::types::{Covenant, Purpose};
use crate::codes::closed_list;

const PLACE: &str = "covenant.toml: register";

closed_list!(
    /// Whether anybody has agreed on the text.
    TextStatus {
        /// To show how it could be: nobody agreed on it.
        Example = "example",
        /// Put before the parties.
        Draft = "draft",
        /// To be signed as it is.
        Final = "final",
    }
);
closed_list!(
    /// In which role the parties of a purpose answer for it.
    Controllers {
        /// Together, under an arrangement (art. 26 AVG).
        Joint = "joint",
        /// Each for what it does itself.
        Separate = "separate",
    }
);

/// What is said for all purposes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Register {
    /// What a purpose does not say of itself.
    #[serde(flatten)]
    pub activity: Activity,
    /// Where a resident turns to, whoever of the controllers it is about (art. 26, first paragraph, AVG).
    pub contact_point: Option<String>,
    /// What is done for security, in general terms (art. 30, first paragraph, g).
    pub security_measures: Option<Vec<String>>,
    /// Whether data goes to a country outside the European Economic Area, and with which safeguards.
    pub transfers: Option<String>,
    /// Who runs the gateway for the parties.
    pub processor: Option<Processor>,
}

/// Of one purpose, or of all that do not say it themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// In which role its parties answer for it.
    pub controllers: Option<Controllers>,
    /// The arrangement between joint controllers, or where it is to be found.
    pub arrangement: Option<String>,
    /// About whom data is given.
    pub data_subjects: Option<Vec<String>>,
    /// The data protection impact assessment (art. 35 AVG), or where it is to be found.
    pub dpia: Option<String>,
}

/// Who processes on behalf of the parties (art. 28 AVG): the operator of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Processor {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub contact: Option<String>,
    /// How to reach its data protection officer.
    pub data_protection_officer: Option<String>,
    /// The contract with it (art. 28, third paragraph), or where it is to be found.
    pub agreement: Option<String>,
    /// Whom it uses itself (art. 28, second and fourth paragraph); an empty list says nobody.
    pub sub_processors: Option<Vec<String>>,
}

impl Activity {
    /// The same, with what it leaves out taken from what is said for all. An arrangement is that of joint controllers only.
    #[must_use]
    pub fn or(&self, general: &Self) -> Self {
        let controllers = self.controllers.or(general.controllers);
        let general_arrangement = general.arrangement.clone().filter(|_| controllers != Some(Controllers::Separate));
        Self {
            controllers,
            arrangement: self.arrangement.clone().or(general_arrangement),
            data_subjects: self.data_subjects.clone().or_else(|| general.data_subjects.clone()),
            dpia: self.dpia.clone().or_else(|| general.dpia.clone()),
        }
    }
}

impl Covenant {
    /// What the register says of a purpose.
    #[must_use]
    pub fn activity(&self, purpose: &Purpose) -> Activity {
        purpose.activity.or(&self.register.activity)
    }
}

/// Reads `[register]`.
pub(super) fn read(table: &Table, findings: &mut Vec<Finding>) -> Register {
    let mut reader = Reader::new(table, PLACE.to_owned(), findings);
    let activity = read_activity(&mut reader);
    let contact_point = reader.optional_text("contact-point");
    let security_measures = reader.optional_texts("security-measures");
    let transfers = reader.optional_text("transfers-outside-eea");
    let processor = if reader.has("processor") { reader.table("processor") } else { None };
    reader.finish();
    let processor = processor.map(|table| read_processor(table, findings));
    Register { activity, contact_point, security_measures, transfers, processor }
}

/// Reads what a purpose, or the register for all of them, says.
pub(super) fn read_activity(reader: &mut Reader<'_, '_>) -> Activity {
    let roles = Controllers::ALL.map(Controllers::as_str);
    Activity {
        controllers: reader.optional_word("controllers", Controllers::from_word, &roles),
        arrangement: reader.optional_text("arrangement"),
        data_subjects: reader.optional_texts("data-subjects"),
        dpia: reader.optional_text("dpia"),
    }
}

fn read_processor(table: &Table, findings: &mut Vec<Finding>) -> Processor {
    let mut reader = Reader::new(table, format!("{PLACE}.processor"), findings);
    let processor = Processor {
        name: reader.text("name"),
        contact: reader.optional_text("contact"),
        data_protection_officer: reader.optional_text("data-protection-officer"),
        agreement: reader.optional_text("agreement"),
        sub_processors: if reader.has("sub-processors") { Some(reader.texts("sub-processors")) } else { None },
    };
    reader.finish();
    processor
}

/// Adds a finding for everything that does not fit together, or not with the rest of the covenant.
pub(super) fn check(covenant: &Covenant, findings: &mut Vec<Finding>) {
    check_arrangement(PLACE, &covenant.register.activity, &covenant.register.activity, findings);
    for purpose in &covenant.purposes {
        let place = format!("covenant.toml: purposes[{}]", purpose.id);
        check_arrangement(&place, &purpose.activity, &covenant.activity(purpose), findings);
        if purpose.activity.data_subjects.is_some() && !covenant.rows.iter().any(|row| row.purpose == purpose.id) {
            let message = "no row hands anything over for this purpose, so it is about nobody; remove it";
            findings.push(Finding::new(format!("{place}.data-subjects"), message));
        }
    }
}

fn check_arrangement(place: &str, own: &Activity, whole: &Activity, findings: &mut Vec<Finding>) {
    if own.arrangement.is_some() && whole.controllers == Some(Controllers::Separate) {
        let message =
            "is made between joint controllers; these answer separately: remove it or write controllers = \"joint\"";
        findings.push(Finding::new(format!("{place}.arrangement"), message));
    }
}
