//! What is proven of the example covenant, and what a proof is not taken in by. Needs cvc5 where it says so.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::cases::Case;
use super::super::decision::Effect;
use super::super::tests::{engine, folder};
use super::*;
use crate::covenant::Bundle;

/// The solver, or none with a word about it: a machine without one can still run the other tests.
pub(super) fn solver_or_say(what: &str) -> Option<Solver> {
    let solver = Solver::of_environment();
    match with_session(&solver, async |_, version| Ok(version)) {
        Ok(_) => Some(solver),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            println!("NOT RUN: {what}; {error}");
            None
        }
    }
}

/// The engine of the example with one of its files changed.
pub(super) fn engine_with(file: &str, change: impl Fn(&str) -> String) -> Result<Engine, Findings> {
    let bundle = Bundle::from_folder(&folder()).unwrap();
    let mut files = bundle.files().clone();
    files.insert(file.to_owned(), change(bundle.text(file)).into_bytes());
    Engine::new(&Bundle::from_files(files)?)
}

fn example() -> Invariants {
    Invariants::from_folder(&folder()).unwrap()
}

fn one(id: &str, scope: &str, conditions: &str) -> Invariants {
    let text = format!("@id(\"{id}\")\n@rule(\"1\")\n@nl(\"n\")\n@en(\"e\")\nforbid ({scope}) {conditions};");
    Invariants::from_files(BTreeMap::from([(format!("{id}.cedar"), text.into_bytes())])).unwrap()
}

#[test]
fn every_invariant_holds_for_all_requests() {
    let Some(solver) = solver_or_say("the proof of the invariants") else { return };
    let proof = prove(engine(), &example(), &solver).unwrap();
    assert!(proof.ok(), "{proof}");
    assert!(proof.invariants.len() >= 12, "{proof}");
    println!("{proof}");
}

#[test]
fn the_world_of_a_proof_is_that_of_the_engine() {
    let rules = engine().loaded_rules();
    let world = world::world(rules.vocabulary(), rules.entities(), rules.schema()).unwrap();
    let alone = PolicySet::from_policies([world.clone()]).unwrap();
    let first = super::super::facts::Facts::FIRST;
    assert_eq!(rules.applies(&alone, &first), Some(false), "nothing that the engine asks contradicts it");
    let text = world.to_string();
    for said in [
        r#"Party::"kwadraad"["secrecy"]"#,
        r#"!(Party::"smow"["secrecy"])"#,
        r#"!(Party::"not-named"["named"])"#,
        r#"Category::"meaning" in CategoryGroup::"special""#,
        r#"!(Category::"finance" in CategoryGroup::"special")"#,
        r#"Party::"gemeente-wassenaar" in Role::"municipality""#,
        r#"!(Party::"gemeente-voorschoten" in Role::"municipality")"#,
        r#"Basis::"wgs" in BasisKind::"municipal-law""#,
        r#"Purpose::"triage"["needsCareAgreement"]"#,
    ] {
        assert!(text.contains(said), "{said} is missing in {text}");
    }
}

#[test]
#[ignore = "takes minutes; in .ci/run: cargo test --lib prove:: -- --ignored --nocapture"]
fn every_permit_can_still_be_given_in_the_world() {
    let Some(solver) = solver_or_say("that the world of the proofs is no contradiction") else { return };
    let rules = engine().loaded_rules();
    let is_permit = |policy: &&Policy| policy.effect() == cedar_policy::Effect::Permit;
    let (permits, forbids): (Vec<_>, Vec<_>) = rules.policies().partition(is_permit);
    let dead = with_session(&solver, async |session, _| {
        let mut dead = Vec::new();
        for permit in permits {
            let alone = forbids.iter().copied().chain([permit]).cloned();
            let theory = Theory::of(engine(), alone)?;
            let mut given = false;
            for situation in &theory.situations {
                let rules = &situation.rules;
                given |= !session.ask(async |solver| solver.check_always_denies_opt(rules).await).await.unwrap();
            }
            if !given {
                dead.push(permit.id().to_string());
            }
        }
        Ok(dead)
    });
    assert_eq!(dead.unwrap(), [""; 0], "permits that no request can use");
}

#[test]
fn a_broken_invariant_comes_with_a_request_in_words() {
    let Some(solver) = solver_or_say("the counterexample of a broken invariant") else { return };
    let lax = engine_with("never.cedar", |text| {
        text.replace("Category::\"safety\", Category::\"child-development\"", "Category::\"bsn\"")
    });
    let lax = lax.unwrap();
    let proof = prove(&lax, &example(), &solver).unwrap();
    assert!(!proof.ok());
    let broken: Vec<_> = proof.failures().map(|invariant| invariant.id.as_str()).collect();
    assert_eq!(broken, ["credit-bank-never-health"], "{proof}");
    let Some(Outcome::Broken { counterexample }) = proof.failures().next().map(|invariant| &invariant.outcome) else {
        panic!("{proof}")
    };
    assert!(counterexample.request.nl.contains(" geeft aan Kredietbank: "), "{counterexample}");
    assert!(counterexample.request.en.contains(" gives Kredietbank: "), "{counterexample}");
    assert_eq!(counterexample.facts["resource"], "kredietbank");
    assert!(["safety", "child-development"].contains(&counterexample.facts["category"].as_str().unwrap()));
    assert!(!counterexample.permitted_by.is_empty());
    let case = counterexample.case.as_ref().expect("a request can have these facts");
    let case: Case = toml::from_str(case).unwrap();
    let decision = lax.decide(&case.request(lax.covenant()).unwrap());
    assert_eq!(decision.sections()[0].effect(), Effect::Permit, "{counterexample}");
    let shown = proof.to_string();
    assert!(shown.contains("BROKEN credit-bank-never-health"), "{shown}");
}

#[test]
fn an_invariant_that_says_nothing_is_no_proof() {
    let Some(solver) = solver_or_say("an invariant that says nothing") else { return };
    // MEE is not the municipality of this covenant, so this forbids nothing that could be asked.
    let empty =
        one("empty", r#"principal == Party::"mee", action, resource"#, r#"when { principal in Role::"municipality" }"#);
    let proof = prove(engine(), &empty, &solver).unwrap();
    assert_eq!(proof.invariants[0].outcome, Outcome::SaysNothing);
    assert!(!proof.ok());
}

#[test]
fn rules_that_permit_nothing_prove_nothing() {
    let Some(solver) = solver_or_say("rules that permit nothing") else { return };
    let closed =
        engine_with("standing.cedar", |text| text.replace("unless { context.covenantInForce }", "when { true }"));
    let Ok(closed) = closed else { panic!("the rules load") };
    let proof = prove(&closed, &example(), &solver).unwrap();
    assert!(!proof.ok(), "{proof}");
    assert!(proof.findings.iter().any(|finding| finding.message.contains("permit nothing")), "{proof}");
}

#[test]
fn what_can_fail_is_not_proven() {
    let Some(solver) = solver_or_say("an invariant that can fail") else { return };
    let fails = one(
        "fails",
        "principal, action, resource",
        "when { 9223372036854775807 + (if context.consent then 1 else 0) == 0 }",
    );
    let proof = prove(engine(), &fails, &solver).unwrap();
    assert_eq!(proof.invariants[0].outcome, Outcome::CanFail);
    let lax = engine_with("process.cedar", |text| {
        text.replace(
            "context.severalLifeDomains\n",
            "9223372036854775807 + (if context.severalLifeDomains then 1 else 0) > 0\n",
        )
    });
    let proof = prove(&lax.unwrap(), &example(), &solver).unwrap();
    assert!(proof.findings.iter().any(|finding| finding.place == "triage-one-life-domain"), "{proof}");
    assert!(!proof.ok());
}

#[test]
fn a_counterexample_is_judged_again_by_the_engine() {
    let Some(solver) = solver_or_say("a solver that contradicts the engine") else { return };
    // The symbolic side is asked about rules without one that the engine has.
    let weakened =
        engine().loaded_rules().policies().filter(|policy| AsRef::<str>::as_ref(policy.id()) != "receiver-active");
    let read = example().read(engine().covenant(), engine().loaded_rules().schema()).unwrap();
    let suspended = read.into_iter().find(|invariant| invariant.id == "nothing-while-suspended").unwrap();
    let report = with_session(&solver, async |session, _| {
        let theory = Theory::of(engine(), weakened.cloned())?;
        Ok(theory.weigh(session, &suspended, false).await)
    });
    let Outcome::Undecided { reason } = report.unwrap().outcome else { panic!("the engine refuses it") };
    assert!(reason.contains("contradict"), "{reason}");
}

#[test]
fn a_solver_that_gives_no_answer_proves_nothing() {
    let Some(solver) = solver_or_say("a solver without time") else { return };
    let proof = prove(engine(), &example(), &solver.within(Duration::from_millis(1))).unwrap();
    assert!(!proof.ok(), "{proof}");
    assert!(proof.failures().all(|invariant| matches!(invariant.outcome, Outcome::Undecided { .. })), "{proof}");
}

#[test]
fn without_a_solver_it_is_said_what_to_install() {
    for program in ["/nowhere/cvc5", "/bin/true", "/bin/cat"] {
        let error = prove(engine(), &example(), &Solver::at(program)).unwrap_err();
        assert!(matches!(error, Unproven::NoSolver(_)), "{program}: {error}");
        assert!(error.to_string().contains("apt-get install cvc5"), "{error}");
    }
}

#[test]
fn invariants_that_do_not_fit_the_covenant_are_refused() {
    let read = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).as_bytes().to_vec()));
        let invariants = Invariants::from_files(files.collect())?;
        invariants.read(engine().covenant(), engine().loaded_rules().schema()).map(drop)
    };
    let head = r#"@id("a") @rule("1") @nl("n") @en("e") "#;
    for (text, said) in [
        (format!("{head} permit (principal, action, resource);"), "is a permit"),
        (format!("{head} forbid (principal, action, resource) when {{ context.hobby }};"), "hobby"),
        (format!("{head} forbid (principal == Party::\"bakery\", action, resource);"), "which the covenant lacks"),
        (format!("{head} forbid (principal, action, resource); forbid (principal, action, resource);"), "exactly one"),
        (head.replace("\"a\"", "\"b\"") + "forbid (principal, action, resource);", "the name of its file"),
        ("@id(\"a\") forbid (principal, action, resource);".to_owned(), "needs a @rule"),
        (format!("{head} @code(\"x\") forbid (principal, action, resource);"), "unknown annotation @code"),
        ("no cedar".to_owned(), ""),
    ] {
        let findings = read(&[("a.cedar", &text)]).unwrap_err().to_string();
        assert!(findings.contains(said), "{text}: {findings}");
    }
    assert!(read(&[]).unwrap_err().to_string().contains("nothing to prove"));
    assert!(Invariants::from_folder(&folder().join("tests")).is_err(), "no folder of invariants");
}

#[test]
fn every_rule_of_the_covenant_that_a_proof_can_guard_is_guarded() {
    let read = example().read(engine().covenant(), engine().loaded_rules().schema()).unwrap();
    let guarded: std::collections::BTreeSet<u8> = read.iter().map(|invariant| invariant.number).collect();
    // 12, 14 and 17 are no policies; 16 is how notes are asked about, and every invariant is held for notes too.
    let missing: Vec<u8> = (1..=18).filter(|number| !guarded.contains(number)).collect();
    assert_eq!(missing, [12, 14, 16, 17]);
}
