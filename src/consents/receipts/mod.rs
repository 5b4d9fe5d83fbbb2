//! Receipts of what was recorded, for the resident to keep: a consent after ISO/IEC TS 27560:2023 in the terms of the Data Privacy Vocabulary, signed, and the
//! same as a page in Dutch.
//!
//! Invariants: only who recorded it makes one; the resident stands in it by that organisation's own pseudonym; a release and an agreement get a receipt in
//! the same form that says what they are, in no word of which they are a consent; the same state of the same record gives the same receipt.

mod document;
pub mod http;
mod page;
mod vocabulary;
