//! The records that a veto leaves: the sender's own.
//!
//! Invariant: to everybody who may read records of others, one looks as any other record of what an organisation notes about a resident of its own, such as to whom
//! a match leads ([`Kind::Subject`]): whose it is and when, and nothing else. Nor is it to be found by a trace.

use super::types::Veto;
use crate::app::App;
use crate::audit::{Kind, SealedRecord, TraceContext};
use crate::clock::Timestamp;
use crate::http::Call;
use crate::problem::Problem;
use crate::subjects::Subject;

/// What names the veto among the facts of the sender's own record of calling a referral off. Facts are opened to their owner alone.
pub const MARK: &str = "safetyVeto";

/// What the actions of a veto's records begin with.
pub(super) const ACTIONS: &str = "veto-";

/// The record of what somebody at the sender did with its veto.
pub(super) fn record(call: &Call, veto: &Veto, action: &str, now: Timestamp) -> Result<SealedRecord, Problem> {
    let app: &App = &call.app;
    let mut record = call.record(Kind::Subject, veto.organisation.clone(), now)?;
    record.trace = TraceContext::default();
    record.action = Some(format!("{ACTIONS}{action}"));
    record.resource = Some(format!("/v1/vetoes/{}", veto.id));
    let subject = Subject::from_stored(veto.subject.clone());
    record.subject = Some(app.pseudonyms.for_organisation(&subject, &veto.organisation));
    Ok(SealedRecord::new(&record, &app.entropy, &app.sealer)?)
}
