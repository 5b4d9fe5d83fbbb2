//! Example cases of the rules, as readable files beside them: given, asked, expected.
//!
//! A record of consent in a case fits by default: recorded by who gives, naming who receives, the purpose and every
//! section, valid now. So a case shows only what is different about it.

use std::collections::BTreeMap;

use serde::Deserialize;
use uuid::Uuid;

use super::decision::{Effect, OnWithheld, Outcome, SectionDecision};
use super::request::{
    Action, AgeGroup, BreakGlass, CaseFacts, ConsentRecord, GivenBy, Objection, RecordKind, ReferralTerms,
    RepresentativeKind, Request, RightsFacts, Standing, SubjectFacts,
};
use crate::clock::Timestamp;
use crate::covenant::{BasisCode, CategoryCode, Covenant, Phase, PurposeCode};
use crate::ids::Oin;

/// The moment at which a case is decided unless it says otherwise.
const NOW: &str = "2026-11-15T12:00:00Z";
/// The validity of a record unless it says otherwise.
const VALID: (&str, &str) = ("2026-06-01T00:00:00Z", "2027-06-01T00:00:00Z");

/// A file of cases about one area.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CaseFile {
    /// What the cases are about.
    pub about: String,
    /// The rules of the covenant that they exercise, by number.
    pub rules: Vec<u8>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One hand-over, and what must be decided about it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is one circumstance that a case may name")]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The referral's sender: a party's short name, or an OIN.
    pub from: String,
    /// The referral's recipient: a party's short name, or an OIN.
    pub to: String,
    /// The purpose.
    pub purpose: PurposeCode,
    /// The legal basis.
    pub basis: BasisCode,
    /// The phase; that of the purpose unless named.
    pub phase: Option<Phase>,
    /// Whether it is the referral itself or a note that goes back.
    #[serde(default = "refer")]
    pub action: Action,
    /// Who gives, where it is not who the referral and the action say: a party's short name, or an OIN.
    pub giver: Option<String>,
    /// Who receives, where it is not who the referral and the action say.
    pub receiver: Option<String>,
    /// The age group, where stated.
    pub age_group: Option<AgeGroup>,
    /// The age group contradicts an earlier one.
    #[serde(default)]
    pub contradicted: bool,
    /// The resident is referred to by BSN.
    #[serde(default)]
    pub by_bsn: bool,
    /// Parties that have not signed.
    #[serde(default)]
    pub unsigned: Vec<String>,
    /// Parties that are suspended.
    #[serde(default)]
    pub suspended: Vec<String>,
    /// See [`CaseFacts`].
    #[serde(default)]
    pub participant_and_coordinator: bool,
    /// See [`CaseFacts`].
    #[serde(default)]
    pub municipality_coordinates: bool,
    /// See [`CaseFacts`].
    #[serde(default)]
    pub stepped_up: bool,
    /// Break-glass, where declared.
    pub break_glass: Option<BreakGlassInput>,
    /// An objection that the giver recorded and that stands.
    pub objection: Option<Objection>,
    /// The processing is restricted at the giver.
    #[serde(default)]
    pub restricted: bool,
    /// Categories that the referral already carried.
    #[serde(default)]
    pub carried: Vec<CategoryCode>,
    /// The records of consent.
    #[serde(default)]
    pub records: Vec<RecordInput>,
    /// The moment of the decision.
    pub now: Option<Timestamp>,
    /// What the sender wants when not every section may cross.
    #[serde(default = "reject")]
    pub on_withheld: OnWithheld,
    /// What becomes of the whole, where the case says it.
    pub outcome: Option<Outcome>,
    /// Per section: `permit RULE…` or `withhold CODE RULE…`.
    pub expect: BTreeMap<CategoryCode, String>,
}

/// Break-glass in a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BreakGlassInput {
    /// The categories that it names.
    pub categories: Vec<CategoryCode>,
    /// Its record says that the resident cannot consent.
    #[serde(default)]
    pub cannot_consent: bool,
}

/// A record of consent in a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordInput {
    /// Which of the three kinds.
    pub kind: RecordKind,
    /// Who recorded it.
    pub by: Option<String>,
    /// Who gave it.
    #[serde(default = "resident")]
    pub given_by: GivenBy,
    /// Which representative.
    pub representative: Option<RepresentativeKind>,
    /// Whether it is explicit.
    #[serde(default)]
    pub explicit: bool,
    /// Whom it names.
    pub recipients: Option<Vec<String>>,
    /// Which purposes it names.
    pub purposes: Option<Vec<PurposeCode>>,
    /// Which categories it names.
    pub categories: Option<Vec<CategoryCode>>,
    /// Start of validity.
    pub valid_from: Option<Timestamp>,
    /// End of validity.
    pub valid_until: Option<Timestamp>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Timestamp>,
}

const fn refer() -> Action {
    Action::Refer
}

const fn reject() -> OnWithheld {
    OnWithheld::Reject
}

const fn resident() -> GivenBy {
    GivenBy::Resident
}

impl Case {
    /// The request that the case describes.
    ///
    /// # Errors
    /// A sentence that names the party that is neither in the covenant nor an OIN.
    pub fn request(&self, covenant: &Covenant) -> Result<Request, String> {
        let (sender, recipient) = (oin(covenant, &self.from)?, oin(covenant, &self.to)?);
        let (giver_name, receiver_name) = match self.action {
            Action::Refer => (&self.from, &self.to),
            Action::Note => (&self.to, &self.from),
        };
        let giver_name = self.giver.as_ref().unwrap_or(giver_name);
        let receiver_name = self.receiver.as_ref().unwrap_or(receiver_name);
        let (giver, receiver) = (oin(covenant, giver_name)?, oin(covenant, receiver_name)?);
        let standing =
            |name: &String| Standing { signed: !self.unsigned.contains(name), active: !self.suspended.contains(name) };
        let phase = self.phase.or_else(|| covenant.purpose(self.purpose.as_str()).map(|purpose| purpose.phase));
        let mut records = Vec::new();
        for (index, input) in (1_u128..).zip(&self.records) {
            records.push(self.record(
                covenant,
                input,
                Uuid::from_u128(index),
                (&giver, &receiver),
                (&sender, &recipient),
            )?);
        }
        Ok(Request {
            action: self.action,
            giver_standing: standing(giver_name),
            receiver_standing: standing(receiver_name),
            giver,
            receiver,
            referral: ReferralTerms {
                sender,
                recipient,
                purpose: self.purpose.clone(),
                phase: phase.unwrap_or(Phase::Case),
                basis: self.basis.clone(),
            },
            subject: SubjectFacts {
                age_group: self.age_group,
                age_group_contradicted: self.contradicted,
                by_bsn: self.by_bsn,
            },
            case: CaseFacts {
                participant_and_coordinator: self.participant_and_coordinator,
                municipality_coordinates: self.municipality_coordinates,
                stepped_up: self.stepped_up,
            },
            break_glass: self
                .break_glass
                .as_ref()
                .map(|glass| BreakGlass { categories: glass.categories.clone(), cannot_consent: glass.cannot_consent }),
            rights: RightsFacts { objection: self.objection, restricted: self.restricted },
            sections: self.expect.keys().cloned().collect(),
            carried: self.carried.clone(),
            records,
            now: self.now.map_or_else(|| moment(NOW), Ok)?,
        })
    }

    fn record(
        &self,
        covenant: &Covenant,
        input: &RecordInput,
        id: Uuid,
        (giver, receiver): (&Oin, &Oin),
        (sender, recipient): (&Oin, &Oin),
    ) -> Result<ConsentRecord, String> {
        let agreement = input.kind == RecordKind::CareAgreement;
        let (recorder, named) = if agreement { (sender, recipient) } else { (giver, receiver) };
        let recipients = match &input.recipients {
            None => vec![named.clone()],
            Some(listed) => listed.iter().map(|name| oin(covenant, name)).collect::<Result<_, _>>()?,
        };
        let categories = if agreement { Vec::new() } else { self.expect.keys().cloned().collect() };
        Ok(ConsentRecord {
            id,
            kind: input.kind,
            recorded_by: input.by.as_ref().map_or_else(|| Ok(recorder.clone()), |name| oin(covenant, name))?,
            given_by: input.given_by,
            representative: input.representative,
            explicit: input.explicit,
            recipients,
            purposes: input.purposes.clone().unwrap_or_else(|| vec![self.purpose.clone()]),
            categories: input.categories.clone().unwrap_or(categories),
            valid_from: input.valid_from.map_or_else(|| moment(VALID.0), Ok)?,
            valid_until: input.valid_until.map_or_else(|| moment(VALID.1), Ok)?,
            withdrawn_at: input.withdrawn_at,
        })
    }
}

/// A decision in the words of an expectation: `permit RULE…` or `withhold CODE RULE…`.
#[must_use]
pub fn in_words(section: &SectionDecision) -> String {
    let mut words = vec![section.effect().as_str()];
    if section.effect() == Effect::Withhold {
        words.extend(section.code().map(super::codes::Code::as_str));
    }
    words.extend(section.rules().iter().map(String::as_str));
    words.join(" ")
}

fn oin(covenant: &Covenant, name: &str) -> Result<Oin, String> {
    covenant
        .party(name)
        .map(|party| party.oin.clone())
        .or_else(|| name.parse().ok())
        .ok_or_else(|| format!("\"{name}\" is neither a party of the covenant nor an OIN"))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}
