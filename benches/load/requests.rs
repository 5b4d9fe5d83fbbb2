//! What the load client asks for: referrals of three sections in a body of 2 KiB, and the consents that some of them rest on.
//!
//! Invariant: two requests that are under way at the same time are never about the same resident.

use std::sync::LazyLock;

use hyper::body::Bytes;
use serde_json::{Value, json};
use sluis::clock::Timestamp;
use sluis::demo::load::is_test_number;

/// The size of a request's body, in bytes.
const BODY: usize = 2 * 1024;
/// Stands in a template where the resident's number goes.
const RESIDENT: &str = "999990019";

pub const MUNICIPALITY: &str = "gemeente-wassenaar";

/// All numbers of the test range: nine digits that start with 99999 and pass the eleven-test.
pub static RESIDENTS: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..10_000).map(|end| format!("99999{end:04}")).filter(|number| is_test_number(number)).collect());

/// A way of referring that the example covenant permits in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// The municipality asks the credit bank to help with debts, on the basis of the Wgs.
    ByLaw,
    /// MEE asks SMOW for welfare support with the resident's consent, which was recorded before.
    ByConsent,
}

impl Case {
    /// Who sends it.
    pub const fn sender(self) -> &'static str {
        match self {
            Self::ByLaw => MUNICIPALITY,
            Self::ByConsent => "mee",
        }
    }

    /// Who receives it.
    pub const fn recipient(self) -> &'static str {
        match self {
            Self::ByLaw => "kredietbank",
            Self::ByConsent => "smow",
        }
    }

    const fn recipient_oin(self) -> &'static str {
        match self {
            Self::ByLaw => "00000099000000006000",
            Self::ByConsent => "00000099000000002000",
        }
    }

    const fn terms(self) -> (&'static str, &'static str) {
        match self {
            Self::ByLaw => ("debt-counselling", "wgs"),
            Self::ByConsent => ("welfare-support", "consent"),
        }
    }

    const fn categories(self) -> [&'static str; 3] {
        match self {
            Self::ByLaw => ["question", "housing", "finance"],
            Self::ByConsent => ["question", "social", "practical"],
        }
    }

    fn body(self, text: &str) -> Value {
        let (purpose, basis) = self.terms();
        let sections = self.categories().map(|category| json!({ "category": category, "content": { "text": text } }));
        json!({
            "recipient": self.recipient_oin(), "purpose": purpose, "phase": "case", "legalBasis": basis,
            "subject": { "bsn": RESIDENT, "ageGroup": "18-plus" }, "onWithheld": "reject", "sections": sections,
        })
    }
}

/// The body of a referral with a gap for the resident's number.
#[derive(Debug, Clone)]
pub struct Template {
    before: String,
    after: String,
}

impl Template {
    /// A body of 2 KiB, spread evenly over its three sections.
    pub fn of(case: Case) -> Self {
        let empty = case.body("").to_string().len();
        let text = "de inwoner vraagt hulp ".repeat(BODY / 23 + 1);
        let length = BODY.saturating_sub(empty) / 3;
        let body = case.body(text.get(..length).unwrap_or_default()).to_string();
        let (before, after) = body.split_once(RESIDENT).unwrap_or_default();
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    /// The body about this resident.
    pub fn about(&self, resident: &str) -> Bytes {
        Bytes::from([self.before.as_str(), resident, self.after.as_str()].concat())
    }
}

/// The resident of a worker's request. Each worker of so many has residents of its own.
pub fn resident(worker: usize, workers: usize, number: usize) -> &'static str {
    let each = (RESIDENTS.len() / workers.max(1)).max(1);
    let place = (worker * each + number % each) % RESIDENTS.len().max(1);
    RESIDENTS.get(place).map_or(RESIDENT, String::as_str)
}

/// The body of a referral about a resident whom the sender names by pseudonym.
pub fn by_pseudonym(case: Case, pseudonym: &str) -> Bytes {
    let mut body = case.body("de inwoner vraagt hulp");
    if let Some(subject) = body.get_mut("subject") {
        *subject = json!({ "pseudonym": pseudonym, "ageGroup": "18-plus" });
    }
    Bytes::from(body.to_string())
}

/// The consent on which [`Case::ByConsent`] rests.
pub fn consent(resident: &str, now: Timestamp) -> Bytes {
    let hours = |hours: u64| std::time::Duration::from_hours(hours);
    let (purpose, _) = Case::ByConsent.terms();
    let consent = json!({
        "kind": "consent", "subject": { "bsn": resident }, "givenBy": "resident", "explicit": true,
        "recipients": [Case::ByConsent.recipient_oin()], "purposes": [purpose],
        "categories": Case::ByConsent.categories(),
        "validFrom": now.minus(hours(1)), "validUntil": now.plus(hours(24 * 30)), "obtainedAt": now.minus(hours(2)),
        "method": "signed-form", "evidenceRef": "DOSSIER-1",
    });
    Bytes::from(consent.to_string())
}
