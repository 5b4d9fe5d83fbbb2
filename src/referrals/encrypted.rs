//! Sections that the sender encrypted for the recipient: what of them can be judged without being able to read them.
//!
//! Invariants: a section is accepted only when it is bound to the very label under which it is decided on, who gives, who receives, category and
//! purpose, and is encrypted to a key that the receiver's certificate signed and that holds now; everything that is wrong is said at once. Its
//! bytes are kept and handed over as they came.

use super::types::{Content, Section};
use crate::app::App;
use crate::clock::Timestamp;
use crate::covenant::PurposeCode;
use crate::encryption::{Defect, Envelope, KeySet, Label, Validity};
use crate::ids::Oin;
use crate::organisations;
use crate::problem::{Code, InvalidParam, Problem};
use std::time::Duration;

/// How far the clock of a sender may be ahead.
const LEEWAY: Duration = Duration::from_mins(5);

/// From whom to whom sections go, and why.
pub(super) struct Way<'a> {
    pub(super) giver: &'a Oin,
    pub(super) receiver: &'a Oin,
    pub(super) purpose: &'a PurposeCode,
}

/// Checks every encrypted section among these. The receiver's keys are read after the decision was taken, so that a change of them raises the
/// revision that the decision rests on.
///
/// # Errors
/// 400 with all that is wrong.
pub(super) async fn check(app: &App, sections: &[Section], way: &Way<'_>, now: Timestamp) -> Result<(), Problem> {
    if sections.iter().all(|section| matches!(section.content, Content::Content(_))) {
        return Ok(());
    }
    let keys = keys_of(app, way.receiver, now).await?;
    let mut wrong = Vec::new();
    for (place, section) in sections.iter().enumerate() {
        let Content::Jwe(jwe) = &section.content else { continue };
        let label = Label {
            sender: way.giver.clone(),
            recipient: way.receiver.clone(),
            category: section.category.clone(),
            purpose: way.purpose.clone(),
        };
        let found = judge(jwe, &label, keys.as_ref(), now);
        wrong.extend(found.into_iter().map(|defect| in_section(place, &defect)));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Problem::invalid(wrong)) }
}

/// The receiver's keys, if it has published some that hold.
async fn keys_of(app: &App, receiver: &Oin, now: Timestamp) -> Result<Option<KeySet>, Problem> {
    let set = match organisations::service::keys(&mut app.db.reader(), receiver).await {
        Ok((set, _)) => set,
        // That nobody is registered under the number says the decision.
        Err(problem) if problem.code() == Code::NotFound => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let Some(signed) = set.get("signed").and_then(serde_json::Value::as_str) else { return Ok(None) };
    Ok(app.credentials.signed_keys_of(receiver, signed, now).await?.ok())
}

/// Everything that is wrong with one section.
fn judge(jwe: &str, label: &Label, keys: Option<&KeySet>, now: Timestamp) -> Vec<Defect> {
    let envelope = match Envelope::parse(jwe) {
        Ok(envelope) => envelope,
        Err(defects) => return defects,
    };
    let differs = |member| {
        let reason = match member {
            "apu" => "expected the OIN of the organisation that gives the section: the caller",
            "apv" => "expected the OIN of the organisation that receives it",
            "category" => "expected the category of the section that it is sent as",
            _ => "expected the purpose of the referral",
        };
        Defect { member, code: "differs", reason }
    };
    let mut defects: Vec<Defect> = envelope.differences(label).into_iter().map(differs).collect();
    if envelope.issued_at() > now.plus(LEEWAY) {
        defects.push(Defect { member: "iat", code: "invalid", reason: "expected no moment in the future" });
    }
    defects.extend(judge_key(&envelope, keys, now));
    defects
}

fn judge_key(envelope: &Envelope<'_>, keys: Option<&KeySet>, now: Timestamp) -> Option<Defect> {
    let defect = |member, code, reason| Some(Defect { member, code, reason });
    let Some(keys) = keys else {
        let reason =
            "the receiver has no signed key set that holds now: it must publish one, or send the section as content";
        return defect("kid", "no-keys", reason);
    };
    let Some(key) = keys.key(envelope.key_id()) else {
        return defect(
            "kid",
            "unknown-key",
            "expected the kid of a key in the receiver's set: read /v1/organisations/{id}/keys",
        );
    };
    match key.validity(now) {
        Validity::Retired => {
            defect("kid", "retired-key", "the receiver has retired this key: encrypt to its present one")
        }
        Validity::Upcoming => {
            defect("kid", "upcoming-key", "the receiver does not use this key yet: encrypt to its present one")
        }
        Validity::Current if key.public().curve() != envelope.ephemeral().curve() => {
            defect("epk", "invalid", "expected a public key on the curve of the receiver's key")
        }
        Validity::Current => None,
    }
}

/// Names the section, the JWE in it, and what of that.
fn in_section(place: usize, defect: &Defect) -> InvalidParam {
    let Defect { member, code, reason } = *defect;
    let dot = if member.is_empty() { "" } else { "." };
    InvalidParam::new(format!("sections[{place}].jwe{dot}{member}"), code, reason)
}
