//! What makes decisions fast never changes one: properties that compare the fast way with the plainest.
//!
//! The plainest way asks Cedar about all rules in one set, with every fact in the context, compared with the schema.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::sync::OnceLock;

use cedar_policy::{Policy, PolicySet};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::facts::{Fact, Facts};
use super::generate::{Maker, permits};
use super::properties::any_request;
use super::rules::Rules;
use super::tests::{code, covenant, debt_counselling, engine, folder, oin, record};
use super::*;
use crate::covenant::Bundle;
use crate::demo::large;

/// The example with rules of every form that the reading of rules knows or must not be misled by.
const ODD_RULES: &[&str] = &[
    "forbid (principal, action == Action::\"note\", resource) when { context.basis == Basis::\"wgs\" };",
    "forbid (principal in Role::\"municipality\", action, resource) when { Category::\"housing\" == context.category };",
    "forbid (principal, action in [Action::\"refer\"], resource in Role::\"municipality\") unless { !context.consent };",
    "forbid (principal is Party, action, resource) when { context.purpose != Purpose::\"triage\" && context.steppedUp == false };",
    "forbid (principal, action, resource) when { !(context.phase == Phase::\"case\" || context.breakGlass) };",
    "forbid (principal, action, resource) when { !(context.phase == Phase::\"triage\" && context.breakGlass) } unless { context.ageGroup == AgeGroup::\"18-plus\" };",
    "forbid (principal, action, resource) when { if context.consent then context.category == Category::\"finance\" else context.giverActive };",
    "forbid (principal, action, resource) when { context.ageGroupContradicted && 9223372036854775807 + 1 == 0 && context.purpose == Purpose::\"social-work\" };",
    "forbid (principal, action, resource) when { context.purpose == Purpose::\"youth-support\" && 9223372036854775807 * 2 == 0 };",
    "forbid (principal, action, resource) when { [context.sender, resource].contains(Party::\"smow\") };",
    "forbid (principal, action, resource) when { [Category::\"bsn\", context.category].contains(context.category) && context.subjectByBsn };",
    "forbid (principal, action, resource) when { resource.mayUseBsn && !principal.named };",
    "forbid (principal, action, resource) unless { context.recipient in [Party::\"gemeente-wassenaar\", Party::\"smow\"] };",
    "forbid (principal, action, resource) when { context.basis in BasisKind::\"law\" || context.basis in BasisKind::\"consent\" };",
    "forbid (principal, action, resource) when { context.category in CategoryGroup::\"special\" } unless { context.category in CategoryGroup::\"life-domain\" };",
    "forbid (principal, action, resource) when { context == context && context.municipalityCoordinates };",
    "forbid (principal, action, resource) when { context has consent && context.consent };",
    "forbid (principal, action, resource) when { (context.sender == context.recipient) == context.secrecyRelease };",
    "forbid (principal, action, resource) when { true && context.careAgreement } when { context.explicitConsent } unless { false };",
];

fn odd() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
        let rule = |(number, rule): (usize, &&str)| {
            let order = 900 + number;
            format!("@id(\"odd-{number}\")@code(\"not-evaluable\")@order(\"{order}\")@rule(\"1\")@nl(\"x\")@en(\"x\")\n{rule}\n")
        };
        let text: String = ODD_RULES.iter().enumerate().map(rule).collect();
        files.insert("odd.cedar".to_owned(), text.into_bytes());
        Engine::new(&Bundle::from_files(files).unwrap()).unwrap_or_else(|findings| panic!("{findings}"))
    })
}

fn region() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&large::bundle(600, 3_000).unwrap()).unwrap_or_else(|error| panic!("{error}")))
}

/// Facts of a covenant out of arbitrary numbers; mostly in good standing, so that other rules than those of standing matter too.
fn facts_of(rules: &Rules, numbers: &[u32], good: bool) -> Facts {
    Fact::ALL.iter().zip(numbers).fold(Facts::FIRST, |facts, (fact, number)| {
        let values = if fact.is_flag() { 2 } else { rules.vocabulary().kind(*fact).entities().len() };
        let standing =
            [Fact::CovenantInForce, Fact::GiverSigned, Fact::GiverActive, Fact::ReceiverSigned, Fact::ReceiverActive];
        if good && standing.contains(fact) {
            facts.with(*fact, 1)
        } else if good && *fact == Fact::AgeGroupContradicted {
            facts
        } else {
            facts.with(*fact, number % u32::try_from(values).unwrap())
        }
    })
}

/// Makes giver and receiver those of the referral, as they are in everything but an attack.
fn straight(facts: Facts) -> Facts {
    let (giver, receiver) = match facts.number(Fact::Action) {
        0 => (Fact::Sender, Fact::Recipient),
        _ => (Fact::Recipient, Fact::Sender),
    };
    facts.with(Fact::Giver, facts.number(giver)).with(Fact::Receiver, facts.number(receiver))
}

fn any_numbers() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), Fact::ALL.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_that_can_apply_decide_as_all_rules_do(numbers in any_numbers(), good in any::<bool>(), fits in any::<bool>()) {
        static ALL: OnceLock<(PolicySet, PolicySet)> = OnceLock::new();
        let rules = odd().loaded_rules();
        let facts = facts_of(rules, &numbers, good);
        let facts = if fits { straight(facts) } else { facts };
        prop_assert_eq!(rules.ask(&facts), rules.ask_all(ALL.get_or_init(|| rules.all()), &facts));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn among_thousands_of_rules_the_few_that_can_apply_decide_as_all_do(
        numbers in any_numbers(), row in 0_usize..600, category in 0_usize..3, flags in any::<u32>(),
    ) {
        static ALL: OnceLock<(PolicySet, PolicySet)> = OnceLock::new();
        let rules = region().loaded_rules();
        let number = |fact, code: &str| rules.vocabulary().kind(fact).number(code).unwrap();
        // Half of them as one of the added rows asks for it.
        let row = large::rows(600, 3_000)[row];
        let mut facts = facts_of(rules, &numbers, true);
        if flags & 1 == 0 {
            facts = straight(facts
                .with(Fact::Action, 0)
                .with(Fact::Recipient, number(Fact::Recipient, &large::organisation(row.recipient)))
                .with(Fact::Purpose, number(Fact::Purpose, &large::purpose(row.purpose)))
                .with(Fact::Phase, number(Fact::Phase, "case"))
                .with(Fact::Category, number(Fact::Category, row.categories[category]))
                .with(Fact::Basis, number(Fact::Basis, "consent")));
        }
        prop_assert_eq!(rules.ask(&facts), rules.ask_all(ALL.get_or_init(|| rules.all()), &facts));
        prop_assert!(rules.asked(&facts).len() < 32, "{:?}", rules.asked(&facts));
    }
}

#[test]
fn few_rules_are_asked_and_among_them_every_one_that_decides() {
    let engine = engine();
    let rules = engine.loaded_rules();
    let number = |fact, code: &str| rules.vocabulary().kind(fact).number(code).unwrap();
    let request = debt_counselling(&["finance"]);
    let question = super::facts::Question::new(covenant(), rules.vocabulary(), &request);
    let facts = question.facts(&request.sections[0], &question.matches(&request.sections[0])).unwrap();
    assert!(rules.asked(&facts).contains(&"debt-counselling-finance"));
    assert!(rules.asked(&facts).len() < 8, "{:?}", rules.asked(&facts));
    assert!(!rules.asked(&facts).contains(&"giver-signed"), "it signed");
    assert!(rules.asked(&facts.with(Fact::GiverSigned, 0)).contains(&"giver-signed"));
    let health = facts.with(Fact::Category, number(Fact::Category, "mental-health"));
    assert!(rules.asked(&health).contains(&"credit-bank-no-health"));
    // What cannot be read off a rule, and what can fail, is always asked.
    let odd: BTreeSet<_> = super::sameness::odd().loaded_rules().asked(&facts).into_iter().collect();
    for always in ["odd-6", "odd-7", "odd-8", "odd-9", "odd-17", "referral-fits-giver-and-receiver"] {
        assert!(odd.contains(always), "{always} is not asked");
    }
}

#[test]
fn an_evaluation_error_is_a_refusal_that_is_not_remembered() {
    let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
    let text = "@id(\"overflow\")@code(\"not-evaluable\")@order(\"900\")@rule(\"1\")@nl(\"x\")@en(\"x\")\n\
                forbid (principal, action, resource) when { context.consent || 9223372036854775807 + 1 == 0 };";
    files.insert("overflow.cedar".to_owned(), text.as_bytes().to_vec());
    let engine = Engine::new(&Bundle::from_files(files).unwrap()).unwrap();
    let decision = engine.decide(&debt_counselling(&["finance"]));
    assert_eq!(decision.sections()[0].code(), Some(Code::NotEvaluable));
    assert_eq!(decision.sections()[0].rules(), ["refused-when-not-evaluable"]);
    assert_eq!(engine.remembered(), 0);
}

#[test]
fn the_permits_that_are_printed_are_those_that_decide() {
    let maker = Maker::new().unwrap();
    for permit in permits(covenant()) {
        let printed = Policy::parse(Some(cedar_policy::PolicyId::new(&permit.id)), permit.text()).unwrap();
        let made = maker.policy(&permit).unwrap();
        assert_eq!(printed.to_pst().unwrap(), made.to_pst().unwrap(), "{}", permit.id);
    }
    assert_eq!(
        PolicySet::from_str(&engine().generated_permits()).unwrap().num_of_policies(),
        permits(covenant()).len()
    );
}

#[test]
fn a_schema_that_the_facts_do_not_fit_does_not_load() {
    let schema =
        String::from_utf8(Bundle::from_folder(&folder()).unwrap().files()["schema.cedarschema"].clone()).unwrap();
    for (from, to) in [
        ("  cannotConsent: Bool,", "  cannotConsent: Bool,\n  weather: Bool,"),
        ("\"16-17\", \"18-plus\"", "\"18-plus\""),
        ("action refer, note in", "action refer in"),
        ("enum [\"triage\", \"case\"]", "enum [\"triage\"]"),
    ] {
        let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
        assert!(schema.contains(from), "{from}");
        files.insert("schema.cedarschema".to_owned(), schema.replace(from, to).into_bytes());
        let findings = Engine::new(&Bundle::from_files(files).unwrap()).unwrap_err().to_string();
        assert!(findings.contains("does not fit the facts"), "{to}: {findings}");
    }
}

// ---- what is remembered ----

/// Engines whose memory is far too small, just right, and of another digest, which says no to finance.
fn engines() -> &'static [(Engine, usize); 3] {
    static ENGINES: OnceLock<[(Engine, usize); 3]> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let example = Bundle::from_folder(&folder()).unwrap();
        let mut files = example.files().clone();
        let text = "@id(\"no-finance\")@code(\"category-never-for-purpose\")@order(\"101\")@rule(\"1\")@nl(\"x\")@en(\"x\")\n\
                    forbid (principal, action, resource) when { context.category == Category::\"finance\" };";
        files.insert("strict.cedar".to_owned(), text.as_bytes().to_vec());
        let strict = Bundle::from_files(files).unwrap();
        [(&example, 64), (&example, 4_096), (&strict, 256)]
            .map(|(bundle, bound)| (Engine::remembering(bundle, bound).unwrap(), bound))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_never_changes_a_decision(
        requests in proptest::collection::vec(any_request(), 1..6),
        order in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..3), 1..24),
    ) {
        for (index, which) in order {
            let (engine, bound) = &engines()[which];
            let request = index.get(&requests);
            let decision = engine.decide(request);
            prop_assert_eq!(&decision, &engine.decide_anew(request));
            prop_assert_eq!(decision.policy_digest(), engine.digest());
            prop_assert!(engine.remembered() <= *bound, "{} of {}", engine.remembered(), bound);
        }
    }

    #[test]
    fn another_value_of_any_single_fact_is_another_question(numbers in any_numbers(), fits in any::<bool>()) {
        let engine = engine();
        let facts = facts_of(engine.loaded_rules(), &numbers, true);
        let facts = if fits { straight(facts) } else { facts };
        let _ = engine.remembered_answer(&facts);
        for fact in Fact::ALL {
            let values = if fact.is_flag() { 2 } else { engine.loaded_rules().vocabulary().kind(fact).entities().len() };
            let other = (facts.number(fact) + 1) % u32::try_from(values).unwrap();
            let changed = facts.with(fact, other);
            prop_assert_ne!(changed, facts);
            prop_assert_eq!(engine.remembered_answer(&changed), engine.answer(&changed), "{}", fact);
            prop_assert_eq!(changed.with(fact, facts.number(fact)), facts);
        }
    }
}

#[test]
fn every_fact_that_matters_changes_the_answer_of_what_was_remembered() {
    // The referral of the example, each time with one thing changed that must be noticed.
    let permitted = debt_counselling(&["finance"]);
    let changes: [fn(&mut Request); 12] = [
        |request| request.giver = oin("smow"),
        |request| request.receiver = oin("smow"),
        |request| request.referral.sender = oin("smow"),
        |request| request.referral.recipient = oin("smow"),
        |request| request.referral.purpose = code("social-work"),
        |request| request.referral.phase = crate::covenant::Phase::Triage,
        |request| request.referral.basis = code("jeugdwet"),
        |request| request.giver_standing.signed = false,
        |request| request.receiver_standing.active = false,
        |request| request.subject.age_group_contradicted = true,
        |request| request.sections = vec![code("mental-health")],
        |request| request.now = code("2025-12-31T23:59:59Z"),
    ];
    for change in changes {
        assert_eq!(engine().decide(&permitted).sections()[0].effect(), Effect::Permit);
        let mut request = permitted.clone();
        change(&mut request);
        for _ in 0..2 {
            let decision = engine().decide(&request);
            assert_eq!(decision.sections()[0].effect(), Effect::Withhold, "{request:?}");
            assert_eq!(decision, engine().decide_anew(&request));
        }
    }
}

#[test]
fn codes_and_organisations_that_the_covenant_lacks_fill_no_memory() {
    let engine = Engine::new(&Bundle::from_folder(&folder()).unwrap()).unwrap();
    for number in 0..500 {
        let mut request = debt_counselling(&["finance"]);
        match number % 4 {
            0 => request.referral.purpose = code(&format!("purpose-{number}")),
            1 => request.referral.basis = code(&format!("basis-{number}")),
            2 => request.sections = vec![code(&format!("category-{number}"))],
            _ => {
                request.receiver = code(&format!("00000077{number:012}"));
                request.referral.recipient = request.receiver.clone();
            }
        }
        assert_eq!(engine.decide(&request).sections()[0].effect(), Effect::Withhold);
    }
    assert_eq!(engine.remembered(), 1, "one answer for everybody whom the covenant does not name");
}

#[test]
fn the_records_that_a_decision_rests_on_are_those_of_its_own_request() {
    let engine = Engine::new(&Bundle::from_folder(&folder()).unwrap()).unwrap();
    for ids in [[1, 2], [3, 4], [1, 2]] {
        let mut request = debt_counselling(&["finance"]);
        request.giver = oin("kwadraad");
        request.referral.sender = oin("kwadraad");
        request.referral.basis = code("consent");
        let [consent, release] = ids.map(|id| record(id, "kwadraad", "kredietbank"));
        request.records = vec![consent, ConsentRecord { kind: RecordKind::SecrecyRelease, ..release }];
        assert_eq!(engine.decide(&request).consents(), ids.map(uuid::Uuid::from_u128));
        assert_eq!(engine.remembered(), 1);
    }
}

#[test]
fn threads_that_share_a_memory_get_the_same_decisions() {
    let engine = Engine::remembering(&Bundle::from_folder(&folder()).unwrap(), 128).unwrap();
    let sections = ["finance", "housing", "question", "mental-health", "contact", "social"];
    let requests: Vec<_> = (0..64_usize)
        .map(|number| {
            let mut request = debt_counselling(&sections[number % 3..number % 3 + 3]);
            request.giver_standing.signed = number % 5 != 0;
            request.subject.by_bsn = number % 2 == 0;
            request.referral.phase =
                if number % 7 == 0 { crate::covenant::Phase::Triage } else { request.referral.phase };
            request
        })
        .collect();
    let expected: Vec<_> = requests.iter().map(|request| engine.decide_anew(request)).collect();
    std::thread::scope(|scope| {
        for start in 0..8 {
            let (engine, requests, expected) = (&engine, &requests, &expected);
            scope.spawn(move || {
                for step in 0..256 {
                    let at = (start * 11 + step * 7) % requests.len();
                    assert_eq!(engine.decide(&requests[at]), expected[at]);
                }
            });
        }
    });
    assert!(engine.remembered() <= 128);
}

#[test]
fn a_large_covenant_decides_as_its_rows_say() {
    let engine = region();
    let rows = large::rows(600, 3_000);
    let forbidden = large::forbids(3_000);
    let mut crossed = 0;
    for row in rows.iter().step_by(40) {
        let mut request = debt_counselling(&["question", "housing", "finance", "social", "practical", "daytime"]);
        request.referral.recipient = code(&large::oin(row.recipient));
        request.receiver = request.referral.recipient.clone();
        request.referral.purpose = code(&large::purpose(row.purpose));
        request.referral.basis = code("wmo-2015");
        for section in engine.decide(&request).sections() {
            let category = section.category().as_str();
            let others = rows.iter().filter(|other| (other.recipient, other.purpose) == (row.recipient, row.purpose));
            let in_a_row = category == "question" || others.into_iter().any(|row| row.categories.contains(&category));
            let withheld = category == "finance" && row.recipient < forbidden;
            assert_eq!(section.effect() == Effect::Permit, in_a_row && !withheld, "{row:?} {category}");
            crossed += usize::from(in_a_row && !withheld);
        }
        request.referral.purpose = code(&large::purpose(row.purpose + 13));
        assert!(engine.decide(&request).permit(OnWithheld::Minimise).is_none(), "{row:?} for another purpose");
    }
    assert!(crossed > 30);
}

#[test]
fn the_generators_of_this_file_reach_permits_and_refusals() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let rules = engine().loaded_rules();
    let (mut permitted, mut withheld) = (0, 0);
    for _ in 0..4_000 {
        let numbers = any_numbers().new_tree(&mut runner).unwrap().current();
        match rules.ask(&straight(facts_of(rules, &numbers, true))) {
            super::rules::Verdict::Permitted(_) => permitted += 1,
            _ => withheld += 1,
        }
    }
    assert!(permitted > 5 && withheld > 5, "{permitted} {withheld}");
}
