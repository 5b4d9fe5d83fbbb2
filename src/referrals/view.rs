//! What each party sees of a referral and its steps.
//!
//! Invariants: the decision, the receipt and what it is based on are the sender's alone; a resident is shown by the reader's own
//! pseudonym; of client support the municipality sees the status and nothing else, and so does of a referral of others who holds it or gets it
//! further.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::access::Sight;
use super::told::Told;
use super::types::{Referral, Update};
use crate::app::App;
use crate::emergencies::UnderEmergency;
use crate::ids::Oin;
use crate::lifecycle::Status;
use crate::subjects::Subject;

/// A referral as this reader sees it.
pub(super) fn referral(app: &App, referral: &Referral, reader: &Oin, sight: Sight) -> Value {
    let subject = Subject::from_stored(referral.subject.clone());
    let mut subject =
        Map::from_iter([("pseudonym".to_owned(), app.pseudonyms.for_organisation(&subject, reader).into())]);
    if let Some(group) = referral.age_group {
        subject.insert("ageGroup".into(), group.as_str().into());
    }
    let mut view = json!({
        "id": referral.id,
        "status": referral.state.status,
        "sender": referral.terms.sender,
        "recipient": referral.terms.recipient,
        "caseId": null,
        "holder": referral.holder,
        "dueAt": referral.due_at().filter(|_| sees_deadline(referral.holder.as_ref(), reader, sight)),
        "createdAt": referral.state.created_at,
        "updatedAt": referral.updated_at,
        "version": referral.version,
    });
    if let Value::Object(view) = &mut view {
        view.insert("businessStatus".into(), json!(referral.state.business()));
        // What should not have been there is about nobody for who was not meant to know.
        let is_about_nobody = referral.state.status == Status::EnteredInError && *reader != referral.terms.sender;
        if sight != Sight::Route && !is_about_nobody {
            view.insert("purpose".into(), json!(referral.terms.purpose));
            view.insert("phase".into(), json!(referral.terms.phase));
            view.insert("legalBasis".into(), json!(referral.terms.basis));
            view.insert("subject".into(), subject.into());
            view.insert("priority".into(), json!(referral.priority));
        }
        if sight == Sight::Whole {
            view.insert("statusReason".into(), json!(referral.state.reason));
            view.insert("outcome".into(), json!(referral.state.outcome));
        }
        if *reader == referral.terms.sender {
            view.insert("basedOn".into(), json!(referral.based_on));
            view.insert("decision".into(), referral.decision.clone());
            view.insert("receipt".into(), referral.receipt.clone().into());
            if let Some(emergency) = referral.emergency {
                view.insert("emergencyAccess".into(), json!(emergency.access));
            }
        }
    }
    if let (Value::Object(view), Some(since)) = (&mut view, referral.deletes_since(reader)) {
        view.insert("deleteSince".into(), json!(since));
    }
    if sight != Sight::Route {
        mark(&mut view, referral.emergency);
    }
    view
}

/// Says that something was given under break-glass, where it was.
pub(super) fn mark(view: &mut Value, emergency: Option<UnderEmergency>) {
    if let (Value::Object(view), Some(emergency)) = (view, emergency) {
        let mark = json!({
            "reason": emergency.reason,
            "declaredAt": emergency.declared_at,
            "validUntil": emergency.valid_until,
            "deleteSince": emergency.delete_at,
        });
        view.insert("breakGlass".into(), mark);
    }
}

/// Says what this reader was told of what it received: that it is restricted, and which part of what it got under break-glass it deletes.
pub(super) fn tell(view: &mut Value, referral: Uuid, told: &Told) {
    if let (Value::Object(view), Some(restricted)) = (&mut *view, told.restricted(referral)) {
        view.insert("restricted".into(), json!(restricted));
    }
    if let (Some(Value::Object(mark)), Some(categories)) = (view.get_mut("breakGlass"), told.delete(referral)) {
        mark.insert("deleteCategories".into(), json!(categories));
    }
}

/// A deadline of somebody else tells of the purpose and its terms, and where its clock was stopped of the reason.
fn sees_deadline(holder: Option<&Oin>, reader: &Oin, sight: Sight) -> bool {
    sight == Sight::Whole || holder == Some(reader)
}

/// Names the case in a view, by the reader's own alias.
pub(super) fn name_case(view: &mut Value, alias: Option<Uuid>) {
    if let Value::Object(view) = view {
        view.insert("caseId".into(), json!(alias));
    }
}

/// Says of the recipient's capacity what there is to say.
pub(super) fn tell_capacity(view: &mut Value, capacity: Option<&Value>) {
    if let (Value::Object(view), Some(capacity)) = (view, capacity) {
        view.insert("capacity".into(), capacity.clone());
    }
}

/// A step as this reader sees it.
pub(super) fn update(update: &Update, reader: &Oin, sight: Sight) -> Value {
    let own = update.organisation == *reader;
    let whole = own || sight == Sight::Whole;
    let mut view = json!({
        "id": update.id,
        "operation": update.operation,
        "status": update.status,
        "by": update.organisation,
        "at": update.taken_at,
        "holder": update.holder,
        "dueAt": update.due_at.filter(|_| sees_deadline(update.holder.as_ref(), reader, sight)),
        "categories": if whole { update.categories.clone() } else { Vec::new() },
        "version": update.version,
    });
    if let Value::Object(view) = &mut view {
        if whole {
            view.insert("statusReason".into(), json!(update.reason));
            view.insert("outcome".into(), json!(update.outcome));
            view.insert("rightOrganisation".into(), json!(update.right_organisation));
        }
        if let Some(decision) = update.decision.as_ref().filter(|_| own) {
            view.insert("decision".into(), decision.clone());
        }
    }
    view
}
