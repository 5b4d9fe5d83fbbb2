//! What a decision was taken on, in the form in which its record keeps it: enough to take it again, under the same rules or under others.
//!
//! Invariants: every fact of a [`Request`] is in here or among the [`Terms`], or this does not compile; of what another
//! organisation recorded about the resident only what could count for the decision is kept.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::decision::OnWithheld;
use super::request::{
    Action, AgeGroup, BreakGlass, CaseFacts, ConsentRecord, GivenBy, RecordKind, ReferralTerms, RepresentativeKind,
    Request, RightsFacts, Standing, SubjectFacts,
};
use crate::clock::Timestamp;
use crate::covenant::{BasisCode, CategoryCode, Phase, PurposeCode};
use crate::ids::Oin;

/// The facts of a decision that its record has no fields of their own for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptFacts {
    action: Action,
    referral: Parties,
    giver: Standing,
    receiver: Standing,
    age_group: Option<AgeGroup>,
    age_group_contradicted: bool,
    by_bsn: bool,
    /// Absent from records of before there were cases.
    #[serde(default)]
    case: CaseFacts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    break_glass: Option<BreakGlass>,
    /// Absent where the resident asked nothing, and from records of before this could be recorded.
    #[serde(default, skip_serializing_if = "RightsFacts::is_nothing")]
    rights: RightsFacts,
    carried: Vec<CategoryCode>,
    records: Vec<KeptRecord>,
    /// What the sender wanted when not every section may cross.
    pub on_withheld: OnWithheld,
    now: Timestamp,
}

/// What the record of a decision has fields for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Who gives.
    pub giver: Oin,
    /// Who receives.
    pub receiver: Oin,
    /// Why.
    pub purpose: PurposeCode,
    /// How wide.
    pub phase: Phase,
    /// On which legal basis.
    pub basis: BasisCode,
    /// The categories of the sections.
    pub sections: Vec<CategoryCode>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Parties {
    sender: Oin,
    recipient: Oin,
}

/// A record of consent that had not been withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptRecord {
    id: Uuid,
    kind: RecordKind,
    recorded_by: Oin,
    given_by: GivenBy,
    #[serde(rename = "representativeKind")]
    representative: Option<RepresentativeKind>,
    explicit: bool,
    recipients: Vec<Oin>,
    purposes: Vec<PurposeCode>,
    categories: Vec<CategoryCode>,
    valid_from: Timestamp,
    valid_until: Timestamp,
}

impl KeptFacts {
    /// What is kept of the facts of a decision.
    #[must_use]
    pub fn of(request: &Request, on_withheld: OnWithheld) -> Self {
        // Named one by one: a fact that is added is kept, or this does not compile.
        let Request {
            action,
            giver: _,
            giver_standing,
            receiver: _,
            receiver_standing,
            referral: ReferralTerms { sender, recipient, purpose: _, phase: _, basis: _ },
            subject: SubjectFacts { age_group, age_group_contradicted, by_bsn },
            case,
            break_glass,
            rights,
            sections: _,
            carried,
            records,
            now,
        } = request;
        Self {
            action: *action,
            referral: Parties { sender: sender.clone(), recipient: recipient.clone() },
            giver: *giver_standing,
            receiver: *receiver_standing,
            age_group: *age_group,
            age_group_contradicted: *age_group_contradicted,
            by_bsn: *by_bsn,
            case: *case,
            break_glass: break_glass.clone(),
            rights: *rights,
            carried: carried.clone(),
            records: records.iter().filter(|record| could_count(request, record)).map(KeptRecord::of).collect(),
            on_withheld,
            now: *now,
        }
    }

    /// The question again, as it was asked.
    #[must_use]
    pub fn request(self, terms: Terms) -> Request {
        let Terms { giver, receiver, purpose, phase, basis, sections } = terms;
        let Parties { sender, recipient } = self.referral;
        Request {
            action: self.action,
            giver,
            giver_standing: self.giver,
            receiver,
            receiver_standing: self.receiver,
            referral: ReferralTerms { sender, recipient, purpose, phase, basis },
            subject: SubjectFacts {
                age_group: self.age_group,
                age_group_contradicted: self.age_group_contradicted,
                by_bsn: self.by_bsn,
            },
            case: self.case,
            break_glass: self.break_glass,
            rights: self.rights,
            sections,
            carried: self.carried,
            records: self.records.into_iter().map(KeptRecord::record).collect(),
            now: self.now,
        }
    }
}

/// Whether a record can count for a decision whatever the rules are: the giver's own can, and of the referral's sender the agreement that the
/// resident is helped by its recipient. For a note that is another organisation than who gives, and the record of the decision is the giver's.
fn could_count(request: &Request, record: &ConsentRecord) -> bool {
    let ReferralTerms { sender, recipient, .. } = &request.referral;
    let own = record.recorded_by == request.giver;
    let agreed = record.kind == RecordKind::CareAgreement
        && record.recorded_by == *sender
        && record.recipients.contains(recipient);
    record.withdrawn_at.is_none() && (own || agreed)
}

impl KeptRecord {
    fn of(record: &ConsentRecord) -> Self {
        let ConsentRecord {
            id,
            kind,
            recorded_by,
            given_by,
            representative,
            explicit,
            recipients,
            purposes,
            categories,
            valid_from,
            valid_until,
            // One that was withdrawn counts for nothing and is not kept.
            withdrawn_at: _,
        } = record.clone();
        Self {
            id,
            kind,
            recorded_by,
            given_by,
            representative,
            explicit,
            recipients,
            purposes,
            categories,
            valid_from,
            valid_until,
        }
    }

    fn record(self) -> ConsentRecord {
        ConsentRecord {
            id: self.id,
            kind: self.kind,
            recorded_by: self.recorded_by,
            given_by: self.given_by,
            representative: self.representative,
            explicit: self.explicit,
            recipients: self.recipients,
            purposes: self.purposes,
            categories: self.categories,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            withdrawn_at: None,
        }
    }
}
