//! From a request to the small vector of facts that Cedar judges: which records fit, how many life domains there are.
//!
//! Cedar cannot say "some record names this recipient and is valid now", so it is said here, once, as pure functions
//! that a property test compares with a naive model.

use std::collections::BTreeSet;

use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::request::{AgeGroup, ConsentRecord, GivenBy, Objection, RecordKind, Request};
use super::vocabulary::{UNKNOWN_AGE, Vocabulary};
use crate::clock::Timestamp;
use crate::codes::closed_list;
use crate::covenant::{CategoryCode, CategoryGroup, Covenant};

closed_list!(
    /// What Cedar gets to know of one section, by the name that the schema has for it. The first ten are codes of the
    /// covenant, all others a yes or no.
    Fact {
        /// Referral or note.
        Action = "action",
        /// Who gives.
        Giver = "principal",
        /// Who receives.
        Receiver = "resource",
        /// The referral's sender.
        Sender = "sender",
        /// The referral's recipient.
        Recipient = "recipient",
        /// Why.
        Purpose = "purpose",
        /// How wide.
        Phase = "phase",
        /// On which legal basis.
        Basis = "basis",
        /// Of which category the section is.
        Category = "category",
        /// The resident's age group, or that it is unknown.
        AgeGroup = "ageGroup",
        /// The request holds more than one life domain.
        SeveralLifeDomains = "severalLifeDomains",
        /// The version of the covenant rules already.
        CovenantInForce = "covenantInForce",
        /// The giver signed.
        GiverSigned = "giverSigned",
        /// The giver is neither suspended nor retired.
        GiverActive = "giverActive",
        /// The receiver signed.
        ReceiverSigned = "receiverSigned",
        /// The receiver is neither suspended nor retired.
        ReceiverActive = "receiverActive",
        /// The age group contradicts an earlier one.
        AgeGroupContradicted = "ageGroupContradicted",
        /// The resident is referred to by BSN.
        SubjectByBsn = "subjectByBsn",
        /// A consent fits.
        Consent = "consent",
        /// An explicit consent fits.
        ExplicitConsent = "explicitConsent",
        /// A secrecy release fits.
        SecrecyRelease = "secrecyRelease",
        /// A care agreement fits.
        CareAgreement = "careAgreement",
        /// Giver and receiver are participant and coordinator of the case.
        ParticipantAndCoordinator = "participantAndCoordinator",
        /// The municipality coordinates.
        MunicipalityCoordinates = "municipalityCoordinates",
        /// The case is stepped up.
        SteppedUp = "steppedUp",
        /// Break-glass names the category.
        BreakGlass = "breakGlass",
        /// Its record says that the resident cannot consent.
        CannotConsent = "cannotConsent",
        /// The resident objected to the giver, which has not weighed it yet.
        ObjectionNotWeighed = "objectionNotWeighed",
        /// The objection was upheld.
        ObjectionUpheld = "objectionUpheld",
        /// The processing is restricted at the giver.
        Restricted = "restricted",
    }
);

/// What the facts of [`super::RightsFacts`] are; rules of before there were any cannot be asked about them.
pub(super) const OF_RIGHTS: [Fact; 3] = [Fact::ObjectionNotWeighed, Fact::ObjectionUpheld, Fact::Restricted];

/// How many facts are codes; they come first in [`Fact`].
const CODES: usize = 10;

impl Fact {
    /// Whether it is a yes or no.
    pub(super) fn is_flag(self) -> bool {
        self as usize >= CODES
    }
}

/// What Cedar gets to know of one section, as numbers of the [`Vocabulary`] and one bit per yes or no. Two sections with
/// equal facts get the same answer; nothing in here names a resident or a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    codes: [u32; CODES],
    flags: u32,
}

impl Facts {
    /// The first value of every code, and no everywhere.
    pub(super) const FIRST: Self = Self { codes: [0; CODES], flags: 0 };

    /// The number of a code; 0 or 1 for a yes or no.
    pub(super) fn number(&self, fact: Fact) -> u32 {
        match self.codes.get(fact as usize) {
            Some(number) => *number,
            None => (self.flags >> (fact as usize - CODES)) & 1,
        }
    }

    /// The same facts but for one.
    #[must_use]
    pub(super) fn with(mut self, fact: Fact, number: u32) -> Self {
        if let Some(code) = self.codes.get_mut(fact as usize) {
            *code = number;
        } else {
            let bit = 1_u32 << (fact as usize - CODES);
            self.flags = if number == 0 { self.flags & !bit } else { self.flags | bit };
        }
        self
    }
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

/// What all sections of one request have in common, worked out once.
pub(super) struct Question<'a> {
    vocabulary: &'a Vocabulary,
    request: &'a Request,
    /// The facts without those of the section; none when purpose or basis are no codes of the covenant.
    shared: Option<Facts>,
    /// The records that count for this purpose at this moment, whatever they are about.
    counting: Vec<&'a ConsentRecord>,
}

impl<'a> Question<'a> {
    /// Reads a request once.
    pub(super) fn new(covenant: &Covenant, vocabulary: &'a Vocabulary, request: &'a Request) -> Self {
        Self {
            vocabulary,
            request,
            shared: shared_facts(covenant, vocabulary, request),
            counting: request.records.iter().filter(|record| counts(covenant, request, record)).collect(),
        }
    }

    /// The facts about one section; none when one of its codes is not in the covenant.
    pub(super) fn facts(&self, category: &CategoryCode, matches: &Matches) -> Option<Facts> {
        let number = self.vocabulary.kind(Fact::Category).number(category.as_str())?;
        let glass = self.request.break_glass.as_ref().filter(|glass| glass.categories.contains(category));
        let flags = [
            (Fact::Consent, !matches.consents.is_empty()),
            (Fact::ExplicitConsent, !matches.explicit_consents.is_empty()),
            (Fact::SecrecyRelease, !matches.releases.is_empty()),
            (Fact::CareAgreement, !matches.agreements.is_empty()),
            (Fact::BreakGlass, glass.is_some()),
            (Fact::CannotConsent, glass.is_some_and(|glass| glass.cannot_consent)),
        ];
        let facts = self.shared?.with(Fact::Category, number);
        Some(flags.iter().fold(facts, |facts, (fact, holds)| facts.with(*fact, u32::from(*holds))))
    }

    /// The records that fit one section. Each must do so alone: two records never add up.
    pub(super) fn matches(&self, category: &CategoryCode) -> Matches {
        let request = self.request;
        let mut matches = Matches::default();
        for record in &self.counting {
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
}

/// The facts that do not depend on the section. Its own are still 0 in the result.
fn shared_facts(covenant: &Covenant, vocabulary: &Vocabulary, request: &Request) -> Option<Facts> {
    if !vocabulary.weighs_rights() && !request.rights.is_nothing() {
        // A version of before this could be recorded has no rules for it: nothing crosses until one that has is in force.
        return None;
    }
    let number = |fact, code: &str| vocabulary.kind(fact).number(code);
    let terms = &request.referral;
    let (subject, case) = (&request.subject, &request.case);
    let age_group = subject.age_group.map_or(UNKNOWN_AGE, AgeGroup::as_str);
    let codes = [
        number(Fact::Action, request.action.as_str())?,
        vocabulary.organisation(&request.giver),
        vocabulary.organisation(&request.receiver),
        vocabulary.organisation(&terms.sender),
        vocabulary.organisation(&terms.recipient),
        number(Fact::Purpose, terms.purpose.as_str())?,
        number(Fact::Phase, terms.phase.as_str())?,
        number(Fact::Basis, terms.basis.as_str())?,
        0,
        number(Fact::AgeGroup, age_group)?,
    ];
    let flags = [
        (Fact::SeveralLifeDomains, life_domains(covenant, request) > 1),
        (Fact::CovenantInForce, request.now >= covenant.effective_from),
        (Fact::GiverSigned, request.giver_standing.signed),
        (Fact::GiverActive, request.giver_standing.active),
        (Fact::ReceiverSigned, request.receiver_standing.signed),
        (Fact::ReceiverActive, request.receiver_standing.active),
        (Fact::AgeGroupContradicted, subject.age_group_contradicted),
        (Fact::SubjectByBsn, subject.by_bsn),
        (Fact::ParticipantAndCoordinator, case.participant_and_coordinator),
        (Fact::MunicipalityCoordinates, case.municipality_coordinates),
        (Fact::SteppedUp, case.stepped_up),
        (Fact::ObjectionNotWeighed, request.rights.objection == Some(Objection::NotWeighed)),
        (Fact::ObjectionUpheld, request.rights.objection == Some(Objection::Upheld)),
        (Fact::Restricted, request.rights.restricted),
    ];
    let facts = Facts { codes, flags: 0 };
    Some(flags.iter().fold(facts, |facts, (fact, holds)| facts.with(*fact, u32::from(*holds))))
}

/// How many different life domains the request and what the referral already carried hold (rule 6).
fn life_domains(covenant: &Covenant, request: &Request) -> usize {
    let is_domain = |code: &&CategoryCode| {
        covenant.category(code.as_str()).is_some_and(|category| category.is(CategoryGroup::LifeDomain))
    };
    request.sections.iter().chain(&request.carried).filter(is_domain).collect::<BTreeSet<_>>().len()
}

/// What a record needs apart from recorder, recipients and categories: purpose, validity, giver.
fn counts(covenant: &Covenant, request: &Request, record: &ConsentRecord) -> bool {
    let longest = || plus_months(record.valid_from, covenant.values.consent_max_months);
    record.purposes.contains(&request.referral.purpose)
        && record.withdrawn_at.is_none()
        && record.valid_from <= request.now
        && request.now < record.valid_until
        && longest().is_some_and(|longest| record.valid_until <= longest)
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
