//! How long a party may take for what a resident asks by right: weighing an objection (art. 21 AVG), informing the resident of what it received
//! from somebody else (art. 14 AVG).
//!
//! In calendar days, as the law counts in months. Invariant: no covenant gives more than the law does, whichever month it is: what it calls a month
//! is never longer here than the shortest one, and two months never longer than the shortest two.

use serde::Serialize;
use toml::Table;

use super::findings::Finding;
use super::reader::Reader;

/// The shortest month.
const MONTH: u32 = 28;
/// The shortest two months in a row.
const TWO_MONTHS: u32 = 59;

/// What the covenant says of what residents ask by right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rights {
    /// Days from the objection in which it is weighed and the resident has heard of it (art. 12.3 AVG).
    pub objection_days: u32,
    /// Days that one extension adds.
    pub extension_days: u32,
    /// Days from the first pick-up in which the resident is informed (art. 14.3.a AVG).
    pub informed_days: u32,
}

impl Default for Rights {
    fn default() -> Self {
        Self { objection_days: MONTH, extension_days: TWO_MONTHS, informed_days: MONTH }
    }
}

/// Reads `[rights]`; what it leaves out is what the law gives.
pub(super) fn read(table: &Table, findings: &mut Vec<Finding>) -> Rights {
    let mut reader = Reader::new(table, "covenant.toml: rights".to_owned(), findings);
    let mut days = |key, most| if reader.has(key) { reader.number(key, 1, most) } else { most };
    let rights = Rights {
        objection_days: days("objection-weighed-within-days", MONTH),
        extension_days: days("objection-extended-by-at-most-days", TWO_MONTHS),
        informed_days: days("resident-informed-within-days", MONTH),
    };
    reader.finish();
    rights
}
