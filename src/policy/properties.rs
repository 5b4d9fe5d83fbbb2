//! Properties of the policy engine over arbitrary requests, and the naive model of matching records.

use proptest::prelude::*;
use uuid::Uuid;

use super::facts::Question;
use super::tests::{code, covenant, debt_counselling, engine, oin};
use super::vocabulary::Vocabulary;
use super::*;
use crate::clock::Timestamp;
use crate::covenant::{CategoryCode, Phase, PurposeCode};
use crate::ids::Oin;

fn any_of<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = T> {
    proptest::sample::select(values)
}

fn any_oin() -> impl Strategy<Value = Oin> {
    let mut oins: Vec<_> = covenant().parties.iter().map(|party| party.oin.clone()).collect();
    oins.push(code("00000099000000077000"));
    any_of(oins)
}

/// Few parties, so that arbitrary records often nearly fit.
fn few_oins() -> impl Strategy<Value = Oin> {
    any_of(vec![oin("gemeente-wassenaar"), oin("kwadraad"), oin("smow")])
}

fn any_category() -> impl Strategy<Value = CategoryCode> {
    let mut codes: Vec<_> = covenant().categories.iter().map(|category| category.id.clone()).collect();
    codes.push(code("hobbies"));
    any_of(codes)
}

fn any_purpose() -> impl Strategy<Value = PurposeCode> {
    let mut codes: Vec<_> = covenant().purposes.iter().map(|purpose| purpose.id.clone()).collect();
    codes.push(code("gossip"));
    any_of(codes)
}

fn any_record() -> impl Strategy<Value = ConsentRecord> {
    let few_categories = || any_of(vec![code::<CategoryCode>("finance"), code("mental-health"), code("contact")]);
    let few_purposes = || any_of(vec![code::<PurposeCode>("social-work"), code("triage")]);
    let representative = proptest::option::weighted(0.2, any_of(RepresentativeKind::ALL.to_vec()));
    let given = (any_of(GivenBy::ALL.to_vec()), representative, any::<bool>());
    let named = (
        proptest::collection::vec(few_oins(), 0..3),
        proptest::collection::vec(few_purposes(), 0..3),
        proptest::collection::vec(few_categories(), 0..4),
    );
    let times = (-2_i64..3, -2_i64..400, proptest::option::weighted(0.2, Just(())));
    (any::<u128>(), any_of(RecordKind::ALL.to_vec()), few_oins(), given, named, times).prop_map(
        |(id, kind, recorded_by, (given_by, representative, explicit), (recipients, purposes, categories), times)| {
            let (from, until, withdrawn) = times;
            let now: Timestamp = code("2026-11-15T12:00:00Z");
            let day = 86_400_000_000_i64;
            ConsentRecord {
                id: Uuid::from_u128(id),
                kind,
                recorded_by,
                given_by,
                representative,
                explicit,
                recipients,
                purposes,
                categories,
                valid_from: Timestamp::from_micros(now.as_micros() - from * day),
                valid_until: Timestamp::from_micros(now.as_micros() + until * day),
                withdrawn_at: withdrawn.map(|()| now),
            }
        },
    )
}

prop_compose! {
    pub(super) fn any_request()(
        parties in (any_oin(), any_oin(), any_oin(), any_oin()),
        straight in any::<bool>(),
        note in any::<bool>(),
        purpose in any_purpose(),
        phase in any_of(Phase::ALL.to_vec()),
        basis in any_of(["consent", "wmo-2015", "jeugdwet", "wgs", "meldcode", "vital-interest", "habit"].to_vec()),
        flags in proptest::array::uniform9(any::<bool>()),
        age_group in proptest::option::of(any_of(AgeGroup::ALL.to_vec())),
        sections in proptest::collection::vec(any_category(), 0..4),
        records in proptest::collection::vec(any_record(), 0..4),
        micros in any::<i64>(),
        near in any::<bool>(),
    ) -> Request {
        let (sender, recipient, other_giver, other_receiver) = parties;
        let action = if note { Action::Note } else { Action::Refer };
        let (giver, receiver) = match (straight, note) {
            (false, _) => (other_giver, other_receiver),
            (true, false) => (sender.clone(), recipient.clone()),
            (true, true) => (recipient.clone(), sender.clone()),
        };
        Request {
            action,
            giver,
            giver_standing: Standing { signed: flags[0], active: flags[1] },
            receiver,
            receiver_standing: Standing { signed: flags[2], active: flags[3] },
            referral: ReferralTerms { sender, recipient, purpose, phase, basis: code(basis) },
            subject: SubjectFacts { age_group, age_group_contradicted: flags[4], by_bsn: flags[5] },
            case: CaseFacts {
                participant_and_coordinator: flags[6],
                municipality_coordinates: flags[7],
                stepped_up: flags[8],
            },
            break_glass: flags[4].then(|| BreakGlass { categories: sections.clone(), cannot_consent: flags[5] }),
            rights: RightsFacts { objection: flags[7].then_some(Objection::NotWeighed), restricted: flags[8] },
            sections,
            carried: Vec::new(),
            records,
            now: if near { code("2026-11-15T12:00:00Z") } else { Timestamp::from_micros(micros) },
        }
    }
}

/// Says the same as `facts.rs` in the plainest way: one sentence per condition, over all records.
fn naive_matches(request: &Request, category: &CategoryCode, kind: RecordKind) -> Vec<Uuid> {
    let mut found = Vec::new();
    for record in &request.records {
        let (recorder, named) = if kind == RecordKind::CareAgreement {
            (&request.referral.sender, &request.referral.recipient)
        } else {
            (&request.giver, &request.receiver)
        };
        let giver_fits = matches!(
            (request.subject.age_group, record.given_by, record.representative),
            (Some(_), GivenBy::Representative, Some(_))
                | (Some(AgeGroup::Under12), GivenBy::Parent, None)
                | (Some(AgeGroup::From12To15), GivenBy::ParentAndChild, None)
                | (Some(AgeGroup::From16To17 | AgeGroup::Adult), GivenBy::Resident, None)
        );
        let starts = record.valid_from.to_offset_date_time();
        let next_year = starts.replace_year(starts.year() + 1);
        let short_enough = next_year.is_ok_and(|end| record.valid_until <= Timestamp::from(end));
        let conditions = [
            record.kind == kind,
            record.recorded_by == *recorder,
            record.recipients.contains(named),
            record.purposes.contains(&request.referral.purpose),
            kind == RecordKind::CareAgreement || record.categories.contains(category),
            record.withdrawn_at.is_none(),
            record.valid_from <= request.now,
            record.valid_until > request.now,
            short_enough,
            giver_fits,
        ];
        if conditions.iter().all(|holds| *holds) {
            found.push(record.id);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_gets_a_complete_answer(request in any_request()) {
        let decision = engine().decide(&request);
        prop_assert_eq!(decision.sections().len(), request.sections.len());
        prop_assert_eq!(&engine().decide(&request), &decision);
        for section in decision.sections() {
            prop_assert!(!section.rules().is_empty());
            prop_assert_eq!(section.effect() == Effect::Permit, section.code().is_none());
            for rule in section.rules() {
                prop_assert!(engine().sentences(rule).is_some(), "{} is explained nowhere", rule);
            }
            if section.effect() == Effect::Permit {
                prop_assert!(request.giver_standing == Standing::GOOD && request.receiver_standing == Standing::GOOD);
                prop_assert!(section.remedies().is_empty());
            } else {
                prop_assert!(section.consents().is_empty());
            }
        }
        let permitted = decision.permit(OnWithheld::Minimise);
        prop_assert_eq!(permitted.is_none(), decision.outcome(OnWithheld::Minimise) == Outcome::Refused);
    }

    #[test]
    fn what_is_kept_of_a_decision_is_enough_to_take_it_again(request in any_request(), whole in any::<bool>()) {
        // A moment that can be written, as every moment of a clock can.
        let request = Request { now: code("2026-11-15T12:00:00Z"), ..request };
        let on_withheld = if whole { OnWithheld::Reject } else { OnWithheld::Minimise };
        let kept = serde_json::to_string(&KeptFacts::of(&request, on_withheld)).unwrap();
        let read: KeptFacts = serde_json::from_str(&kept).unwrap();
        let terms = Terms {
            giver: request.giver.clone(),
            receiver: request.receiver.clone(),
            purpose: request.referral.purpose.clone(),
            phase: request.referral.phase,
            basis: request.referral.basis.clone(),
            sections: request.sections.clone(),
        };
        prop_assert_eq!(read.on_withheld, on_withheld);
        let again = read.request(terms);
        prop_assert_eq!(engine().decide(&again), engine().decide(&request));
        // Of what others recorded, nothing that could not count.
        for record in again.records.iter().filter(|record| record.recorded_by != request.giver) {
            prop_assert_eq!((record.kind, &record.recorded_by), (RecordKind::CareAgreement, &request.referral.sender));
        }
    }

    #[test]
    fn matching_equals_the_naive_model(
        records in proptest::collection::vec(any_record(), 0..6),
        purpose in any_of(vec!["social-work", "triage"]),
        age_group in proptest::option::of(any_of(AgeGroup::ALL.to_vec())),
        parties in (few_oins(), few_oins()),
        note in any::<bool>(),
        category in any_of(vec!["finance", "mental-health", "contact"]),
    ) {
        let mut request = debt_counselling(&[category]);
        request.referral.purpose = code(purpose);
        request.subject.age_group = age_group;
        request.referral.sender = parties.0.clone();
        request.referral.recipient = parties.1.clone();
        (request.giver, request.receiver) = if note { (parties.1, parties.0) } else { parties };
        request.records = records;
        let category = code(category);
        let vocabulary = Vocabulary::of(covenant(), true).unwrap();
        let matches = Question::new(covenant(), &vocabulary, &request).matches(&category);
        prop_assert_eq!(&matches.consents, &naive_matches(&request, &category, RecordKind::Consent));
        prop_assert_eq!(&matches.releases, &naive_matches(&request, &category, RecordKind::SecrecyRelease));
        prop_assert_eq!(&matches.agreements, &naive_matches(&request, &category, RecordKind::CareAgreement));
        let explicit: Vec<_> = request.records.iter().filter(|record| record.explicit).map(|record| record.id).collect();
        let expected: Vec<_> = matches.consents.iter().filter(|id| explicit.contains(id)).copied().collect();
        prop_assert_eq!(&matches.explicit_consents, &expected);
    }

    #[test]
    fn what_never_crosses_never_crosses(mut request in any_request(), fill in any::<bool>()) {
        if fill {
            request.giver_standing = Standing::GOOD;
            request.receiver_standing = Standing::GOOD;
            request.subject.age_group_contradicted = false;
        }
        let decision = engine().decide(&request);
        let never = ["meaning", "mental-health", "physical-health", "child-development", "safety"];
        for section in decision.sections().iter().filter(|section| section.effect() == Effect::Permit) {
            if request.receiver == oin("kredietbank") {
                prop_assert!(!never.contains(&section.category().as_str()));
            }
            if request.giver == oin("mee") && request.receiver == oin("gemeente-wassenaar") {
                prop_assert_eq!(request.referral.purpose.as_str(), "safety-concern");
            }
            if section.category().as_str() == "bsn" {
                prop_assert!(!["consent", "vital-interest"].contains(&request.referral.basis.as_str()));
            }
        }
    }
}
