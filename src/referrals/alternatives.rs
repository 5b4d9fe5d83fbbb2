//! What a sender is told of the recipient's capacity, beside the decision: the notice, and to whom the same referral could go.
//!
//! Invariant: it decides nothing. To whom it could go is asked of the same engine with the same request, so that nobody is named to whom
//! the covenant would let nothing go; and it follows from the sender's own request and from what every party can read.

use serde_json::{Value, json};

use super::decide::Decided;
use crate::app::App;
use crate::capacity::{self, Other};
use crate::ids::Oin;
use crate::problem::Problem;

/// The notice that the recipient has announced, with its alternatives but `former`, who had it before; nothing where it announced nothing.
///
/// # Errors
/// When the database fails.
pub(super) async fn capacity(app: &App, decided: &Decided, former: Option<&Oin>) -> Result<Option<Value>, Problem> {
    let Some(notice) = &decided.notice else { return Ok(None) };
    let (version, purpose, today) = decided.occasion();
    let others = if decided.leaves_a_choice() {
        capacity::others(&mut app.db.reader(), version, purpose, today).await?
    } else {
        Vec::new()
    };
    let others = others.into_iter().filter(|other| Some(&other.organisation) != former);
    let others = others.filter(|other| decided.could_go_to(&other.organisation));
    let alternatives = capacity::alternatives(notice.capacity, others);
    Ok(Some(json!({
        "notice": notice.to_json(today),
        "alternatives": alternatives.iter().map(Other::to_json).collect::<Vec<_>>(),
    })))
}
