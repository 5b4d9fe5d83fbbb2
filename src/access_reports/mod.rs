//! Access reports (inzage, art. 15 AVG): for one resident, who gave what to whom, when, why and on which basis, as JSON or as a page in Dutch.
//!
//! `gather` reads, `flows` makes hand-overs of what the log says (pure), `hidden` takes out what a safety veto hides (pure), `compose` writes the record and puts the report together, `page` makes a page of it.
//! Invariants: nothing is stored but the audit record, which is on disk before the answer goes out; an organisation's own report rests on its own records and
//! recordings, and on incidents of its own referrals, alone, so that it is the same whatever others gave, got or recorded; the full one rests on the
//! records of those who received, which name nothing that was withheld; only the privacy officer of the covenant's municipality composes it; a resident
//! whom nobody knows gets the same form; it holds all of what it is about, or there is none.

mod compose;
mod flows;
mod gather;
mod hidden;
pub mod http;
mod page;
mod store;
mod types;
mod words;

pub use page::{STYLE, content_security_policy};
pub use words::{giver_of, kind_of, method_of, moment, representative, rights};
