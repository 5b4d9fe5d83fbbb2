//! What each party sees of a correction.
//!
//! Invariant: whoever received sees what concerns what it received, and not whether something should have replaced it.

use serde_json::{Map, Value, json};

use super::types::{Correction, CorrectionEffect};
use crate::ids::Oin;

/// A correction as this reader sees it; nothing where there is nothing to see.
pub(super) fn correction(correction: &Correction, reader: &Oin, status_only: bool) -> Option<Value> {
    let own = correction.organisation == *reader;
    if !own && (status_only || !correction.is_told()) {
        return None;
    }
    let mut view = Map::new();
    view.insert("id".into(), json!(correction.id));
    view.insert("updateId".into(), json!(correction.part.update));
    view.insert("reason".into(), json!(correction.reason));
    view.insert("by".into(), json!(correction.organisation));
    view.insert("at".into(), json!(correction.corrected_at));
    view.insert("version".into(), json!(correction.version));
    view.insert("sections".into(), sections(correction, own));
    if own && let Some(decision) = &correction.decision {
        view.insert("decision".into(), decision.clone());
    }
    Some(Value::Object(view))
}

/// What became of each section that the reader may know of.
pub(super) fn sections(correction: &Correction, own: bool) -> Value {
    let shown = correction.sections.iter().filter(|section| own || section.told);
    let effect = |effect| match effect {
        CorrectionEffect::Withheld if !own => CorrectionEffect::Retracted,
        effect => effect,
    };
    shown.map(|section| json!({ "category": section.category, "effect": effect(section.effect) })).collect()
}

/// A copy that was corrected too, for who gave it.
pub(super) fn copy(correction: &Correction) -> Value {
    json!({
        "referral": correction.part.referral,
        "correction": correction.id,
        "sections": sections(correction, true),
    })
}
