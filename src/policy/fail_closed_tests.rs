//! Every attribute that a permit rests on, removed, corrupted and contradicted, one at a time: each time the section is refused, with a code.
//!
//! The permits are those of the example cases, so that what is added there is tried here too. From each case everything is taken away
//! first that its permit does not need; of what is left nothing can be spared, so that every change must show.

use std::collections::BTreeSet;

use super::commands::read_cases;
use super::decision::SectionDecision;
use super::tests::{code, covenant, engine, folder, oin};
use super::*;
use crate::clock::Timestamp;
use crate::covenant::{BasisCode, CategoryCode, PurposeCode};
use crate::ids::Oin;

/// A hand-over of one section that is permitted, and would not be without any of its parts.
struct Permitted {
    case: String,
    request: Request,
}

/// One change, and what it is.
type Change = (String, Request);

fn decide(request: &Request) -> SectionDecision {
    let decision = engine().decide(request);
    let [section] = decision.sections() else { panic!("one section was asked: {request:?}") };
    section.clone()
}

fn is_permitted(request: &Request) -> bool {
    decide(request).effect() == Effect::Permit
}

/// Every permitted section of every case, asked alone and stripped to what its permit needs; each kind once.
fn permitted() -> Vec<Permitted> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder().join("tests")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for case in paths.iter().flat_map(|path| read_cases(path).unwrap().cases) {
        let whole = case.request(covenant()).unwrap();
        for category in &whole.sections {
            let mut request = Request { sections: vec![category.clone()], ..whole.clone() };
            if !is_permitted(&request) {
                continue;
            }
            strip(&mut request);
            if seen.insert(format!("{request:?}")) {
                found.push(Permitted { case: format!("{}: {category}", case.name), request });
            }
        }
    }
    found
}

/// Takes away what the permit does not need.
fn strip(request: &mut Request) {
    let mut spare = |change: &dyn Fn(&mut Request)| {
        let mut without = request.clone();
        change(&mut without);
        if is_permitted(&without) {
            *request = without;
        }
    };
    spare(&|request| request.carried.clear());
    spare(&|request| request.break_glass = None);
    spare(&|request| request.rights = RightsFacts::default());
    spare(&|request| request.case.participant_and_coordinator = false);
    spare(&|request| request.case.municipality_coordinates = false);
    spare(&|request| request.case.stepped_up = false);
    spare(&|request| request.subject.by_bsn = false);
    spare(&|request| request.subject.age_group = None);
    for place in (0..request.records.len()).rev() {
        let mut without = request.clone();
        without.records.remove(place);
        if is_permitted(&without) {
            *request = without;
        }
    }
    let category = request.sections[0].clone();
    for record in &mut request.records {
        record.categories.retain(|one| *one == category);
    }
    for place in 0..request.records.len() {
        if request.records[place].explicit {
            let mut without = request.clone();
            without.records[place].explicit = false;
            if is_permitted(&without) {
                *request = without;
            }
        }
    }
}

/// One microsecond earlier or later.
fn moved(moment: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(moment.as_micros().saturating_add(micros))
}

fn stranger() -> Oin {
    code("00000099000000077000")
}

/// What makes any permit worthless, whatever it rests on.
fn of_everyone(base: &Request) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |what: &str, change: &dyn Fn(&mut Request)| {
        let mut changed = base.clone();
        change(&mut changed);
        changes.push((what.to_owned(), changed));
    };
    add("the giver has not signed", &|request| request.giver_standing.signed = false);
    add("the giver is not active", &|request| request.giver_standing.active = false);
    add("the receiver has not signed", &|request| request.receiver_standing.signed = false);
    add("the receiver is not active", &|request| request.receiver_standing.active = false);
    add("an unknown giver", &|request| request.giver = stranger());
    add("an unknown receiver", &|request| request.receiver = stranger());
    add("an unknown sender", &|request| request.referral.sender = stranger());
    add("an unknown recipient", &|request| request.referral.recipient = stranger());
    add("unknown on both sides", &|request| {
        (request.giver, request.referral.sender, request.referral.recipient) = (stranger(), stranger(), stranger());
    });
    add("giver and receiver exchanged", &|request| std::mem::swap(&mut request.giver, &mut request.receiver));
    add("to oneself", &|request| request.receiver = request.giver.clone());
    add("an unknown purpose", &|request| request.referral.purpose = code::<PurposeCode>("gossip"));
    add("an unknown basis", &|request| request.referral.basis = code::<BasisCode>("habit"));
    add("an unknown category", &|request| request.sections = vec![code::<CategoryCode>("hobbies")]);
    add("the other phase", &|request| {
        use crate::covenant::Phase;
        let other = Phase::ALL.iter().find(|phase| **phase != request.referral.phase);
        request.referral.phase = *other.unwrap();
    });
    add("the other way", &|request| {
        request.action = if request.action == Action::Refer { Action::Note } else { Action::Refer };
    });
    add("before the covenant is in force", &|request| request.now = moved(covenant().effective_from, -1));
    add("at the beginning of time", &|request| request.now = Timestamp::from_micros(i64::MIN));
    add("the age group contradicts an earlier one", &|request| request.subject.age_group_contradicted = true);
    for party in &covenant().parties {
        if party.oin != base.giver {
            add(&format!("{} gives", party.id), &|request| request.giver = party.oin.clone());
        }
        if party.oin != base.receiver {
            add(&format!("{} receives", party.id), &|request| request.receiver = party.oin.clone());
        }
    }
    changes
}

/// What the permit rests on, taken away.
fn of_what_it_needs(base: &Request) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |what: &str, needed: bool, change: &dyn Fn(&mut Request)| {
        let mut changed = base.clone();
        change(&mut changed);
        changes.extend(needed.then(|| (what.to_owned(), changed)));
    };
    let case = base.case;
    add("nobody coordinates", case.participant_and_coordinator, &|request| {
        request.case.participant_and_coordinator = false;
    });
    add("somebody else coordinates", case.municipality_coordinates, &|request| {
        request.case.municipality_coordinates = false;
    });
    add("not stepped up", case.stepped_up, &|request| request.case.stepped_up = false);
    add("the age group is missing", base.subject.age_group.is_some(), &|request| request.subject.age_group = None);
    // Not what it rests on, but what it must not meet.
    let basis = covenant().basis(base.referral.basis.as_str()).unwrap();
    for objection in Objection::ALL {
        add(&format!("an objection, {objection}"), basis.public_task, &|request| {
            request.rights.objection = Some(objection);
        });
    }
    add("restricted", !basis.despite_restriction, &|request| request.rights.restricted = true);
    let glass = base.break_glass.is_some();
    add("no break-glass", glass, &|request| request.break_glass = None);
    add("break-glass for nothing", glass, &|request| {
        request.break_glass.iter_mut().for_each(|glass| glass.categories.clear());
    });
    add("break-glass for another category", glass, &|request| {
        let other = other_category(request);
        request.break_glass.iter_mut().for_each(|glass| glass.categories = vec![other.clone()]);
    });
    changes
}

fn other_category(request: &Request) -> CategoryCode {
    let categories = covenant().categories.iter().map(|category| &category.id);
    categories.into_iter().find(|category| !request.sections.contains(category)).unwrap().clone()
}

#[expect(clippy::too_many_lines, reason = "one list")]
/// A record that the permit rests on, in every way in which it can be no good.
fn of_records(base: &Request) -> Vec<Change> {
    let mut changes = Vec::new();
    for (place, record) in base.records.iter().enumerate() {
        let mut add = |what: &str, change: &dyn Fn(&mut ConsentRecord)| {
            let mut changed = base.clone();
            change(&mut changed.records[place]);
            changes.push((format!("{}: {what}", record.kind), changed));
        };
        let now = base.now;
        add("withdrawn", &|record| record.withdrawn_at = Some(now));
        add("withdrawn long ago", &|record| record.withdrawn_at = Some(Timestamp::from_micros(i64::MIN)));
        add("withdrawn later, by a clock that is wrong", &|record| {
            record.withdrawn_at = Some(Timestamp::from_micros(i64::MAX));
        });
        add("ends at this moment", &|record| record.valid_until = now);
        add("expired", &|record| record.valid_until = moved(now, -1));
        add("begins in a microsecond", &|record| record.valid_from = moved(now, 1));
        add("begins at the end of time", &|record| record.valid_from = Timestamp::from_micros(i64::MAX));
        add("has always been and will always be", &|record| {
            (record.valid_from, record.valid_until) =
                (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        });
        add("a moment more than twelve months", &|record| {
            record.valid_from = moved(now, -1);
            record.valid_until = moved(facts::plus_months(record.valid_from, 12).unwrap(), 1);
        });
        add("turned round", &|record| std::mem::swap(&mut record.valid_from, &mut record.valid_until));
        for other in RecordKind::ALL.iter().filter(|kind| **kind != record.kind) {
            add(&format!("is a {other}"), &|record| record.kind = *other);
            // As wide as it gets: nothing but the kind is wrong.
            add(&format!("is a {other} for everything"), &|record| {
                record.kind = *other;
                record.explicit = true;
                record.categories = covenant().categories.iter().map(|category| category.id.clone()).collect();
                record.purposes = covenant().purposes.iter().map(|purpose| purpose.id.clone()).collect();
                record.recipients = covenant().parties.iter().map(|party| party.oin.clone()).collect();
            });
        }
        for party in covenant().parties.iter().filter(|party| party.oin != record.recorded_by) {
            add(&format!("recorded by {}", party.id), &|record| record.recorded_by = party.oin.clone());
        }
        add("recorded by a stranger", &|record| record.recorded_by = stranger());
        add("for nobody", &|record| record.recipients.clear());
        add("for everybody else", &|record| {
            let named = record.recipients.clone();
            let others = covenant().parties.iter().map(|party| party.oin.clone());
            record.recipients = others.filter(|party| !named.contains(party)).collect();
        });
        add("for no purpose", &|record| record.purposes.clear());
        add("for every other purpose", &|record| {
            let others = covenant().purposes.iter().map(|purpose| purpose.id.clone());
            record.purposes = others.filter(|purpose| *purpose != base.referral.purpose).collect();
        });
        if record.kind != RecordKind::CareAgreement {
            add("for no category", &|record| record.categories.clear());
            add("for every other category", &|record| {
                let others = covenant().categories.iter().map(|category| category.id.clone());
                record.categories = others.filter(|category| !base.sections.contains(category)).collect();
            });
        }
        if record.explicit {
            add("not explicit", &|record| record.explicit = false);
        }
        let age_group = base.subject.age_group.unwrap();
        for given_by in GivenBy::ALL {
            for representative in [None, Some(RepresentativeKind::Guardian)] {
                if !facts::valid_giver(age_group, given_by, representative.is_some()) {
                    add(&format!("given by {given_by} ({representative:?})"), &|record| {
                        (record.given_by, record.representative) = (given_by, representative);
                    });
                }
            }
        }
        // Two halves of a record are no record.
        let mut halved = base.clone();
        let mut other = record.clone();
        halved.records[place].recipients.clear();
        other.purposes.clear();
        halved.records.push(other);
        changes.push((format!("{}: one names the purpose, another the recipient", record.kind), halved));
        let mut without = base.clone();
        without.records.remove(place);
        changes.push((format!("{}: missing", record.kind), without));
    }
    // What counts for one age group counts for no other, where the giver differs.
    for age_group in AgeGroup::ALL {
        let fits =
            |record: &ConsentRecord| facts::valid_giver(age_group, record.given_by, record.representative.is_some());
        if !base.records.iter().all(fits) {
            let mut changed = base.clone();
            changed.subject.age_group = Some(age_group);
            changes.push((format!("the resident is {age_group}"), changed));
        }
    }
    changes
}

#[test]
fn without_any_one_thing_that_it_rests_on_a_permit_is_a_refusal_with_a_code() {
    let permitted = permitted();
    let (mut tried, mut open) = (0, Vec::new());
    for base in &permitted {
        assert!(is_permitted(&base.request), "{}", base.case);
        let changes = [of_everyone(&base.request), of_what_it_needs(&base.request), of_records(&base.request)];
        for (what, changed) in changes.into_iter().flatten() {
            tried += 1;
            let section = decide(&changed);
            let refused = section.effect() == Effect::Withhold && section.code().is_some();
            let named = section.consents().is_empty();
            if !refused || !named {
                open.push(format!("{}\n    {what}: {section:?}", base.case));
            }
        }
    }
    assert!(open.is_empty(), "{} of {tried} changes were not refused:\n  {}", open.len(), open.join("\n  "));
    // That there was something to try: every row of the protocol, and records of each kind.
    let rules: BTreeSet<_> = permitted.iter().flat_map(|base| decide(&base.request).rules().to_vec()).collect();
    assert!(rules.len() >= covenant().rows.len(), "{rules:?}");
    for kind in RecordKind::ALL {
        assert!(permitted.iter().any(|base| base.request.records.iter().any(|record| record.kind == kind)), "{kind}");
    }
    assert!(tried > 20 * permitted.len(), "{tried}");
}

#[test]
fn a_record_counts_from_its_first_moment_up_to_its_last() {
    let based_on_records = permitted().into_iter().filter(|base| !base.request.records.is_empty());
    let mut tried = 0;
    for base in based_on_records {
        for place in 0..base.request.records.len() {
            let mut changed = base.request.clone();
            (changed.records[place].valid_from, changed.records[place].valid_until) =
                (base.request.now, moved(base.request.now, 1));
            assert!(is_permitted(&changed), "{}", base.case);
            tried += 1;
        }
    }
    assert!(tried > 0);
}

#[test]
fn whatever_else_is_asked_a_permit_has_a_row_for_it() {
    // What is permitted with another purpose, basis, category or party was permitted by a row that says so, and says it in so many words.
    let row_says = |request: &Request| {
        let municipality = oin("gemeente-wassenaar");
        let (terms, category) = (&request.referral, &request.sections[0]);
        covenant().rows.iter().any(|row| {
            let core = ["identity", "contact", "household", "question"].contains(&category.as_str());
            let lists = row.categories.contains(category) || (row.core && core);
            let to_or_from_municipality = terms.sender == municipality || terms.recipient == municipality;
            let on = row.bases.contains(&terms.basis)
                || (row.municipality_bases.contains(&terms.basis) && to_or_from_municipality);
            row.purpose == terms.purpose && lists && on
        })
    };
    let mut permits = 0;
    for base in permitted() {
        let mut others = Vec::new();
        for category in &covenant().categories {
            others.push(Request { sections: vec![category.id.clone()], ..base.request.clone() });
        }
        for purpose in &covenant().purposes {
            for basis in &covenant().bases {
                let mut changed = base.request.clone();
                changed.referral.purpose = purpose.id.clone();
                changed.referral.phase = purpose.phase;
                changed.referral.basis = basis.id.clone();
                others.push(changed);
            }
        }
        for changed in others {
            let section = decide(&changed);
            if section.effect() == Effect::Permit {
                permits += 1;
                assert!(!section.rules().is_empty() && row_says(&changed), "{}: {section:?}", base.case);
            } else {
                assert!(section.code().is_some(), "{}: {section:?}", base.case);
            }
        }
    }
    assert!(permits > 0);
}
