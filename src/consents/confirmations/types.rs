//! A confirmation as it is asked for, answered and shown. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::{BasisCode, BasisKind, CategoryCode, Covenant};
use crate::ids::Oin;
use crate::problem::InvalidParam;

closed_list! {
    /// What became of what was received.
    Outcome {
        /// It is deleted, backups included as far as they can be.
        Deleted = "deleted",
        /// It is kept on another legal basis.
        Kept = "kept",
    }
}

closed_list! {
    /// Which law says how long it is kept.
    Retention {
        /// Twenty years, by who gives care (art. 7:454 BW).
        Wgbo = "wgbo",
        /// Twenty years, by who gives youth care (art. 7.3.8 Jeugdwet).
        Jeugdwet = "jeugdwet",
        /// Fifteen years, in social support (art. 5.3.4 Wmo 2015).
        Wmo2015 = "wmo-2015",
        /// As the selection list of a government body says (Archiefwet).
        Archiefwet = "archiefwet",
    }
}

closed_list! {
    /// How a confirmation stands.
    Status {
        /// It is waited for.
        Open = "open",
        /// It should have been given.
        Overdue = "overdue",
        /// What was received is deleted.
        Deleted = "deleted",
        /// What was received is kept on another basis.
        Kept = "kept",
    }
}

/// What was received with one part of a referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Received {
    /// The referral.
    pub(super) referral: Uuid,
    /// The update that it came with; none for what came with the referral.
    pub(super) update_id: Option<Uuid>,
    /// What it was.
    pub(super) categories: Vec<CategoryCode>,
}

/// What an organisation says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// What became of it.
    pub outcome: Outcome,
    /// With `kept`: on which legal basis.
    #[serde(default)]
    pub legal_basis: Option<BasisCode>,
    /// With `kept`: which law says how long.
    #[serde(default, rename = "retention")]
    pub retention_law: Option<Retention>,
}

impl Said {
    /// Everything that is wrong with it under this covenant. A consent is no other basis than the one that was withdrawn: who has one of its
    /// own from the resident did not receive anything under it here.
    pub(super) fn mistakes(&self, covenant: &Covenant) -> Vec<InvalidParam> {
        let mut wrong = Vec::new();
        let mut mistake = |name: &'static str, code: &'static str, reason: &str| {
            wrong.push(InvalidParam::new(name, code, reason));
        };
        let another = "expected a legal basis of the covenant in force other than consent";
        match (self.outcome, &self.legal_basis) {
            (Outcome::Kept, None) => mistake("legalBasis", "required", another),
            (Outcome::Kept, Some(basis)) => match covenant.basis(basis.as_str()) {
                Some(basis) if basis.kind != BasisKind::Consent => {}
                _ => mistake("legalBasis", "unknown", another),
            },
            (Outcome::Deleted, Some(_)) => mistake("legalBasis", "not-expected", "expected only with outcome kept"),
            (Outcome::Deleted, None) => {}
        }
        if self.outcome == Outcome::Deleted && self.retention_law.is_some() {
            mistake("retention", "not-expected", "expected only with outcome kept");
        }
        wrong
    }
}

/// What an organisation has to confirm, or has confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// By what the organisation knows it.
    pub(super) id: Uuid,
    /// The consent, which only its recorder knows.
    pub(super) consent: Uuid,
    /// Who recorded the consent, and gave.
    pub recorder: Oin,
    /// Who received.
    pub organisation: Oin,
    /// The resident, as only the gateway knows them.
    pub(super) subject: String,
    pub(super) received: Vec<Received>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Until when it should be confirmed.
    pub due_at: Timestamp,
    /// What was said, and when.
    pub said: Option<(Said, Timestamp)>,
}

impl Confirmation {
    /// How it stands.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        match &self.said {
            Some((Said { outcome: Outcome::Deleted, .. }, _)) => Status::Deleted,
            Some((Said { outcome: Outcome::Kept, .. }, _)) => Status::Kept,
            None if self.due_at <= now => Status::Overdue,
            None => Status::Open,
        }
    }

    /// The referrals with which something was received.
    pub fn referrals(&self) -> impl Iterator<Item = Uuid> {
        self.received.iter().map(|received| received.referral)
    }

    /// Whether this may be said now: once, and later that what was kept is deleted.
    pub(super) fn may_say(&self, outcome: Outcome) -> bool {
        match self.said.as_ref().map(|(said, _)| said.outcome) {
            None => true,
            Some(Outcome::Kept) => outcome == Outcome::Deleted,
            Some(Outcome::Deleted) => false,
        }
    }

    /// By which path this reader finds it: the recorder by the consent, everybody else by the id of the confirmation.
    pub(super) fn path(&self, reader: &Oin) -> String {
        let id = if *reader == self.recorder { self.consent } else { self.id };
        format!("/v1/consents/{id}/confirmations")
    }

    /// As a reader sees it, who knows the resident by this pseudonym. The consent is named only to who knows it.
    pub(super) fn to_json(&self, pseudonym: &str, knows_consent: bool, now: Timestamp) -> Value {
        let said = self.said.as_ref();
        let mut view = Map::new();
        view.insert("id".into(), json!(self.id));
        if knows_consent {
            view.insert("consent".into(), json!(self.consent));
        }
        view.insert("recordedBy".into(), json!(self.recorder));
        view.insert("organisation".into(), json!(self.organisation));
        view.insert("subject".into(), json!({ "pseudonym": pseudonym }));
        view.insert("received".into(), json!(self.received));
        view.insert("status".into(), json!(self.status(now)));
        view.insert("askedAt".into(), json!(self.asked_at));
        view.insert("dueAt".into(), json!(self.due_at));
        view.insert("confirmedAt".into(), json!(said.map(|(_, at)| at)));
        view.insert("legalBasis".into(), json!(said.and_then(|(said, _)| said.legal_basis.as_ref())));
        view.insert("retention".into(), json!(said.and_then(|(said, _)| said.retention_law)));
        Value::Object(view)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    fn covenant() -> Covenant {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/covenant.toml");
        Covenant::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn said(body: Value) -> Said {
        serde_json::from_value(body).unwrap()
    }

    fn confirmation(said: Option<Said>) -> Confirmation {
        Confirmation {
            id: Uuid::from_u128(1),
            consent: Uuid::from_u128(2),
            recorder: "00000099000000004000".parse().unwrap(),
            organisation: "00000099000000002000".parse().unwrap(),
            subject: "hidden".to_owned(),
            received: Vec::new(),
            asked_at: Timestamp::from_micros(0),
            due_at: Timestamp::from_micros(2_000),
            said: said.map(|said| (said, NOW)),
        }
    }

    #[test]
    fn what_is_kept_names_a_basis_that_the_covenant_has_and_that_is_no_consent() {
        let covenant = covenant();
        let wrong = |body: Value| -> Vec<(String, String)> {
            let wrong = said(body).mistakes(&covenant);
            wrong.into_iter().map(|wrong| (wrong.name, wrong.code.into_owned())).collect()
        };
        let pair = |name: &str, code: &str| (name.to_owned(), code.to_owned());
        assert!(wrong(json!({ "outcome": "deleted" })).is_empty());
        assert!(wrong(json!({ "outcome": "kept", "legalBasis": "wmo-2015" })).is_empty());
        assert!(wrong(json!({ "outcome": "kept", "legalBasis": "jeugdwet", "retention": "jeugdwet" })).is_empty());
        assert_eq!(wrong(json!({ "outcome": "kept" })), [pair("legalBasis", "required")]);
        assert_eq!(wrong(json!({ "outcome": "kept", "retention": "wgbo" })), [pair("legalBasis", "required")]);
        assert_eq!(wrong(json!({ "outcome": "kept", "legalBasis": "consent" })), [pair("legalBasis", "unknown")]);
        assert_eq!(wrong(json!({ "outcome": "kept", "legalBasis": "own-wish" })), [pair("legalBasis", "unknown")]);
        let both = json!({ "outcome": "deleted", "legalBasis": "wgs", "retention": "wgbo" });
        assert_eq!(wrong(both), [pair("legalBasis", "not-expected"), pair("retention", "not-expected")]);
    }

    #[test]
    fn it_is_said_once_and_later_only_that_what_was_kept_is_deleted() {
        let deleted = || said(json!({ "outcome": "deleted" }));
        let kept = || said(json!({ "outcome": "kept", "legalBasis": "wgs" }));
        for (before, outcome, may) in [
            (None, Outcome::Deleted, true),
            (None, Outcome::Kept, true),
            (Some(kept()), Outcome::Deleted, true),
            (Some(kept()), Outcome::Kept, false),
            (Some(deleted()), Outcome::Deleted, false),
            (Some(deleted()), Outcome::Kept, false),
        ] {
            assert_eq!(confirmation(before.clone()).may_say(outcome), may, "{before:?} {outcome}");
        }
    }

    #[test]
    fn it_is_overdue_from_its_deadline_on_until_something_is_said() {
        let open = confirmation(None);
        assert_eq!(open.status(Timestamp::from_micros(1_999)), Status::Open);
        assert_eq!(open.status(Timestamp::from_micros(2_000)), Status::Overdue);
        let late = confirmation(Some(said(json!({ "outcome": "kept", "legalBasis": "wgs" }))));
        assert_eq!(late.status(Timestamp::from_micros(9_000)), Status::Kept);
    }

    #[test]
    fn who_received_is_not_told_which_consent_it_was() {
        let one = confirmation(None);
        let theirs = one.to_json("own", false, NOW);
        assert!(!theirs.to_string().contains(&one.consent.to_string()), "{theirs}");
        assert_eq!(one.path(&one.organisation), format!("/v1/consents/{}/confirmations", one.id));
        assert_eq!(one.to_json("own", true, NOW)["consent"], json!(one.consent));
        assert_eq!(one.path(&one.recorder), format!("/v1/consents/{}/confirmations", one.consent));
    }
}
