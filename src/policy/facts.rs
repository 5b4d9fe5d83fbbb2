//! From a request to the small vector of facts that Cedar judges: which records fit, how many life domains there are.
//!
//! Cedar cannot say "some record names this recipient and is valid now", so it is said here, once, as pure functions
//! that a property test compares with a naive model.

use std::collections::BTreeSet;

use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::request::{Action, AgeGroup, ConsentRecord, GivenBy, RecordKind, Request};
use crate::clock::Timestamp;
use crate::covenant::{CategoryCode, CategoryGroup, Covenant, Phase};
use crate::ids::Oin;

/// What Cedar gets to know of one section. Two sections with equal facts get the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact of the schema")]
pub(super) struct Facts {
    pub action: Action,
    /// Slugs, or [`NOT_NAMED`].
    pub giver: String,
    pub receiver: String,
    pub sender: String,
    pub recipient: String,
    pub purpose: String,
    pub phase: Phase,
    pub basis: String,
    pub category: String,
    pub several_life_domains: bool,
    pub covenant_in_force: bool,
    pub giver_signed: bool,
    pub giver_active: bool,
    pub receiver_signed: bool,
    pub receiver_active: bool,
    pub age_group: Option<AgeGroup>,
    pub age_group_contradicted: bool,
    pub subject_by_bsn: bool,
    pub consent: bool,
    pub explicit_consent: bool,
    pub secrecy_release: bool,
    pub care_agreement: bool,
    pub participant_and_coordinator: bool,
    pub municipality_coordinates: bool,
    pub stepped_up: bool,
    pub break_glass: bool,
    pub cannot_consent: bool,
}

/// Stands for a party that the covenant does not name.
pub(super) const NOT_NAMED: &str = "not-named";

/// The records that fit one section, by what they are good for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Matches {
    pub consents: Vec<Uuid>,
    pub explicit_consents: Vec<Uuid>,
    pub releases: Vec<Uuid>,
    pub agreements: Vec<Uuid>,
}

/// The facts about one section.
pub(super) fn facts_of(covenant: &Covenant, request: &Request, category: &CategoryCode, matches: &Matches) -> Facts {
    let slug = |oin: &Oin| covenant.party_by_oin(oin).map_or(NOT_NAMED, |party| party.id.as_str()).to_owned();
    let glass = request.break_glass.as_ref().filter(|glass| glass.categories.contains(category));
    Facts {
        action: request.action,
        giver: slug(&request.giver),
        receiver: slug(&request.receiver),
        sender: slug(&request.referral.sender),
        recipient: slug(&request.referral.recipient),
        purpose: request.referral.purpose.to_string(),
        phase: request.referral.phase,
        basis: request.referral.basis.to_string(),
        category: category.to_string(),
        several_life_domains: life_domains(covenant, request) > 1,
        covenant_in_force: request.now >= covenant.effective_from,
        giver_signed: request.giver_standing.signed,
        giver_active: request.giver_standing.active,
        receiver_signed: request.receiver_standing.signed,
        receiver_active: request.receiver_standing.active,
        age_group: request.subject.age_group,
        age_group_contradicted: request.subject.age_group_contradicted,
        subject_by_bsn: request.subject.by_bsn,
        consent: !matches.consents.is_empty(),
        explicit_consent: !matches.explicit_consents.is_empty(),
        secrecy_release: !matches.releases.is_empty(),
        care_agreement: !matches.agreements.is_empty(),
        participant_and_coordinator: request.case.participant_and_coordinator,
        municipality_coordinates: request.case.municipality_coordinates,
        stepped_up: request.case.stepped_up,
        break_glass: glass.is_some(),
        cannot_consent: glass.is_some_and(|glass| glass.cannot_consent),
    }
}

/// How many different life domains the request and what the referral already carried hold (rule 6).
fn life_domains(covenant: &Covenant, request: &Request) -> usize {
    let is_domain = |code: &&CategoryCode| {
        covenant.category(code.as_str()).is_some_and(|category| category.is(CategoryGroup::LifeDomain))
    };
    request.sections.iter().chain(&request.carried).filter(is_domain).collect::<BTreeSet<_>>().len()
}

/// The records that fit one section. Each must do so alone: two records never add up.
pub(super) fn matches_of(covenant: &Covenant, request: &Request, category: &CategoryCode) -> Matches {
    let mut matches = Matches::default();
    for record in &request.records {
        if !counts(covenant, request, record) {
            continue;
        }
        // A consent or release is the giver's own and names the receiver; a care agreement is the referral sender's.
        let own = record.recorded_by == request.giver
            && record.recipients.contains(&request.receiver)
            && record.categories.contains(category);
        match record.kind {
            RecordKind::Consent if own => {
                matches.consents.push(record.id);
                if record.explicit {
                    matches.explicit_consents.push(record.id);
                }
            }
            RecordKind::SecrecyRelease if own => matches.releases.push(record.id),
            RecordKind::CareAgreement
                if record.recorded_by == request.referral.sender
                    && record.recipients.contains(&request.referral.recipient) =>
            {
                matches.agreements.push(record.id);
            }
            _ => {}
        }
    }
    matches
}

/// What a record needs apart from recorder, recipients and categories: purpose, validity, giver.
fn counts(covenant: &Covenant, request: &Request, record: &ConsentRecord) -> bool {
    let longest = plus_months(record.valid_from, covenant.values.consent_max_months);
    record.purposes.contains(&request.referral.purpose)
        && record.withdrawn_at.is_none()
        && record.valid_from <= request.now
        && request.now < record.valid_until
        && longest.is_some_and(|longest| record.valid_until <= longest)
        && request
            .subject
            .age_group
            .is_some_and(|age_group| valid_giver(age_group, record.given_by, record.representative.is_some()))
}

/// Whether this giver can give a consent, release or agreement for a resident of this age group.
///
/// `with_representative_kind`: the kind of representative is stated, which it must be exactly for a representative.
#[must_use]
pub fn valid_giver(age_group: AgeGroup, given_by: GivenBy, with_representative_kind: bool) -> bool {
    match given_by {
        GivenBy::Representative => with_representative_kind,
        _ if with_representative_kind => false,
        GivenBy::Parent => age_group == AgeGroup::Under12,
        GivenBy::ParentAndChild => age_group == AgeGroup::From12To15,
        GivenBy::Resident => matches!(age_group, AgeGroup::From16To17 | AgeGroup::Adult),
    }
}

/// The same day and time this many months later; the last day of the month where that month is shorter.
pub(super) fn plus_months(moment: Timestamp, months: u32) -> Option<Timestamp> {
    let moment = moment.to_offset_date_time();
    let month_index = i64::from(moment.year()) * 12 + i64::from(u8::from(moment.month())) - 1 + i64::from(months);
    let year = i32::try_from(month_index.div_euclid(12)).ok()?;
    let month = time::Month::try_from(u8::try_from(month_index.rem_euclid(12) + 1).ok()?).ok()?;
    let day = moment.day().min(month.length(year));
    let date = Date::from_calendar_date(year, month, day).ok()?;
    Some(OffsetDateTime::new_utc(date, moment.time()).into())
}
