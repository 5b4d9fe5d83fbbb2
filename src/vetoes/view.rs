//! What the sender and its privacy officer see of a veto.

use serde_json::{Value, json};

use super::types::Veto;
use crate::clock::Timestamp;
use crate::subjects::{Pseudonyms, Subject};

/// A veto, with the resident by its holder's own pseudonym.
#[must_use]
pub fn veto(pseudonyms: &Pseudonyms, veto: &Veto, now: Timestamp) -> Value {
    let subject = Subject::from_stored(veto.subject.clone());
    json!({
        "id": veto.id,
        "status": veto.status(now),
        "subject": { "pseudonym": pseudonyms.for_organisation(&subject, &veto.organisation) },
        "referral": veto.referral,
        "setAt": veto.set_at,
        "dueAt": veto.due_at,
        "missedDeadlines": veto.missed,
        "conclusion": veto.concluded.map(|(conclusion, _)| conclusion),
        "concludedAt": veto.concluded.map(|(_, at)| at),
        "endedAt": veto.ended_at,
        "weighing": veto.weighed.map(|(weighing, _)| weighing),
        "weighedAt": veto.weighed.map(|(_, at)| at),
        "version": veto.version,
    })
}
