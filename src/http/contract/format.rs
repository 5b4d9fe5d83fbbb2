//! The formats of text that the contract names.
//!
//! Invariant: a format that is not in [`NAMES`] does not load, because the validator would skip it silently.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::lifecycle::Day;
use crate::subjects::{Bsn, contains_bsn};

/// The formats that are checked.
pub(super) const NAMES: &[&str] = &["bsn", "date", "date-time", "reference-without-bsn", "uuid"];

/// What is expected of a value of this format, in words.
pub(super) fn expected(format: &str) -> &'static str {
    match format {
        "bsn" => "a citizen service number that passes the eleven-test",
        "date" => "a day such as 2026-11-01",
        "date-time" => "an RFC 3339 date-time such as 2026-11-01T00:00:00Z",
        "reference-without-bsn" => "a reference that holds no citizen service number",
        "uuid" => "a UUID",
        _ => "another form",
    }
}

/// A UUID in its hyphenated form (RFC 9562 section 4), in either case.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// An RFC 3339 full-date (API Design Rules, `/core/date-time/format`).
pub(super) fn is_date(text: &str) -> bool {
    text.parse::<Day>().is_ok()
}

/// An RFC 3339 date-time with upper-case `T` and `Z`; any offset but `-00:00` (API Design Rules, `/core/date-time/format`).
pub(super) fn is_date_time(text: &str) -> bool {
    let upper_case = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
    upper_case && !text.ends_with("-00:00") && text.parse::<Timestamp>().is_ok()
}

/// Nine digits that pass the eleven-test. Other texts are accepted here: that they are no nine digits is for the pattern
/// to say, so that one mistake gives one message.
pub(super) fn is_bsn_if_nine_digits(text: &str) -> bool {
    !is_nine_digits(text) || text.parse::<Bsn>().is_ok()
}

/// A reference in which nothing could be a BSN.
pub(super) fn is_reference_without_bsn(text: &str) -> bool {
    !contains_bsn(text)
}

fn is_nine_digits(text: &str) -> bool {
    text.len() == 9 && text.bytes().all(|byte| byte.is_ascii_digit())
}
