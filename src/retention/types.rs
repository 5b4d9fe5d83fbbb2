//! A removal and its proof. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;

closed_list! {
    /// What was removed.
    RemovalKind {
        /// Sections of referrals that have ended: `referral/part/category`.
        Content = "content",
        /// Referrals without content, and cases that were closed: `referrals/id`, `cases/id`.
        Referral = "referral",
        /// Records of consent, release and agreement that have ended: their identifiers.
        Consent = "consent",
        /// Events: their identifiers.
        Event = "event",
        /// What can lead to a person in audit records: the identifiers of the records, which stay.
        Audit = "audit",
    }
}

/// What was removed in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Removal {
    pub(super) id: Uuid,
    pub(super) kind: RemovalKind,
    pub(super) removed_at: Timestamp,
    /// The covenant that gave the term, and the term.
    pub(super) covenant_version: String,
    pub(super) days: u32,
    pub(super) number: u64,
    /// When the terms of the oldest and of the newest of it began.
    pub(super) oldest: Timestamp,
    pub(super) newest: Timestamp,
    /// Over the names, of which nothing else is shown.
    pub(super) digest: String,
    /// Of audit records, the first and the last place in the log that was come by.
    pub(super) places: Option<(u64, u64)>,
    /// The audit record that says the same.
    pub(super) record: Uuid,
}

impl Removal {
    /// What the audit record says of it, to the letter.
    pub(super) fn facts(&self) -> Value {
        let mut facts = self.said();
        if let Some(facts) = facts.as_object_mut() {
            facts.insert("removal".into(), json!(self.id));
        }
        facts
    }

    /// As the privacy officer reads it.
    pub(super) fn to_json(&self) -> Value {
        let mut view = self.said();
        if let Some(view) = view.as_object_mut() {
            view.extend([
                ("id".to_owned(), json!(self.id)),
                ("removedAt".to_owned(), json!(self.removed_at)),
                ("record".to_owned(), json!(self.record)),
            ]);
        }
        view
    }

    fn said(&self) -> Value {
        json!({
            "kind": self.kind,
            "covenantVersion": self.covenant_version,
            "days": self.days,
            "number": self.number,
            "oldestTermBegan": self.oldest,
            "newestTermBegan": self.newest,
            "digest": self.digest,
            "places": self.places.map(|(first, last)| json!({ "first": first, "last": last })),
        })
    }
}

/// SHA-256 over the names of what was removed, sorted, each followed by a line feed; in hexadecimal.
pub(super) fn digest_of(mut names: Vec<String>) -> String {
    names.sort_unstable();
    let text: String = names.into_iter().flat_map(|name| [name, "\n".to_owned()]).collect();
    format!("sha-256:{}", hex::encode(digest(&SHA256, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_sorted_names_and_no_two_lists_share_one() {
        let of = |names: &[&str]| digest_of(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(of(&["b", "a"]), of(&["a", "b"]));
        // printf 'a\nb\n' | sha256sum
        assert_eq!(of(&["a", "b"]), "sha-256:911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2");
        assert_ne!(of(&["ab"]), of(&["a", "b"]));
    }
}
