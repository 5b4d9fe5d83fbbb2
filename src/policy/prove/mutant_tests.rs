//! Every rule and every row is changed in all simple ways, one at a time: an example case or an invariant must notice.
//!
//! A change that nothing notices is a place where the protocol could be altered by mistake without anybody being told. Example cases are
//! asked first, because they take no solver; then whether an invariant breaks; what is left must be shown to decide the same for all
//! requests (another way to write the same rule), or stand in [`KNOWN`] with the reason why nothing can notice.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use cedar_policy::pst::{
    BinaryOp, Clause, Expr, Literal, Policy as Tree, PrincipalConstraint, ResourceConstraint, StaticPolicy, Template,
    UnaryOp,
};
use cedar_policy::{Effect as CedarEffect, Request as CedarRequest};

use super::super::commands::read_cases;
use super::super::facts::{Facts, Question};
use super::super::generate::{Maker, permits};
use super::super::load::entities;
use super::super::rules::{Rules, Verdict};
use super::super::tests::{engine, folder};
use super::super::vocabulary::Vocabulary;
use super::tests::solver_or_say;
use super::*;
use crate::covenant::{BasisKind, Covenant, RowParty};

/// Changes that nothing can notice, and why.
const KNOWN: &[(&str, &str)] = &[];

/// The covenant and its rules with one thing changed.
struct Mutant {
    what: String,
    change: Change,
}

enum Change {
    /// Another rule, or none, in the place of this one.
    Rule(String, Option<Box<Policy>>),
    /// A covenant with another row, or none, in this place.
    Row(usize, Box<Covenant>),
}

impl Mutant {
    fn is_noticed(&self, sections: &[Section]) -> bool {
        match &self.change {
            Change::Rule(id, changed) => {
                let alone = changed.as_ref().map(|policy| PolicySet::from_policies([(**policy).clone()]).unwrap());
                sections.iter().any(|section| section.notices_rule(id, alone.as_ref()))
            }
            Change::Row(place, covenant) => {
                let removed = covenant.rows.len() < engine().covenant().rows.len();
                let permits = if removed { Vec::new() } else { permits_of(covenant, *place) };
                sections.iter().any(|section| section.notices_row(*place, &permits))
            }
        }
    }

    /// Made only when it is needed: there are a thousand.
    fn engine(&self) -> Engine {
        match &self.change {
            Change::Rule(id, changed) => {
                let others = forbids().into_iter().filter(|policy| AsRef::<str>::as_ref(policy.id()) != id);
                engine_of(engine().covenant().clone(), &others.chain(changed.as_deref().cloned()).collect::<Vec<_>>())
            }
            Change::Row(_, covenant) => engine_of((**covenant).clone(), &forbids()),
        }
    }
}

/// A section of a case: what Cedar is asked, and what the covenant as it is says.
struct Section {
    facts: Facts,
    request: CedarRequest,
    /// The permits that apply, by the place of their row.
    permits: BTreeMap<usize, Vec<String>>,
    fired: Vec<String>,
}

/// The sections of all example cases, each kind once. That they come out as they say is another test.
fn sections() -> Vec<Section> {
    let rules = engine().loaded_rules();
    let mut paths: Vec<_> =
        std::fs::read_dir(folder().join("tests")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut seen = HashSet::new();
    let rows: Vec<_> =
        (0..engine().covenant().rows.len()).map(|place| permits_of(engine().covenant(), place)).collect();
    let mut sections = Vec::new();
    for case in paths.iter().flat_map(|path| read_cases(path).unwrap().cases) {
        let request = case.request(engine().covenant()).unwrap();
        let question = Question::new(engine().covenant(), rules.vocabulary(), &request);
        for category in &request.sections {
            let Some(facts) = question.facts(category, &question.matches(category)) else { continue };
            if !seen.insert(facts) {
                continue;
            }
            let fired = match rules.ask(&facts) {
                Verdict::Withheld { fired, .. } => fired,
                Verdict::Permitted(_) => Vec::new(),
                Verdict::NotEvaluable => panic!("{facts:?}"),
            };
            let request = rules.request_of(&facts);
            let of_rows = rows.iter().enumerate().map(|(place, permits)| (place, applying(permits, &request)));
            let permits = of_rows.filter(|(_, ids)| !ids.is_empty()).collect();
            sections.push(Section { facts, request, permits, fired });
        }
    }
    sections
}

/// The permits of one row, each alone.
fn permits_of(covenant: &Covenant, place: usize) -> Vec<(String, PolicySet)> {
    let mut alone = covenant.clone();
    alone.rows = covenant.rows.get(place).cloned().into_iter().collect();
    let maker = Maker::new().unwrap();
    let made = permits(&alone).into_iter().map(|permit| maker.policy(&permit).unwrap());
    made.map(|policy| (policy.id().to_string(), PolicySet::from_policies([policy]).unwrap())).collect()
}

fn applying(permits: &[(String, PolicySet)], request: &CedarRequest) -> Vec<String> {
    let rules = engine().loaded_rules();
    permits.iter().filter(|(_, alone)| rules.applies_to(alone, request)).map(|(id, _)| id.clone()).collect()
}

impl Section {
    /// Whether the answer is another one when these permits apply and these rules fire.
    fn changes(&self, permits: &BTreeMap<usize, Vec<String>>, fired: &[String]) -> bool {
        let said = |permits: &BTreeMap<usize, Vec<String>>, fired: &[String]| {
            let mut ids: Vec<_> = permits.values().flatten().cloned().collect();
            ids.sort_unstable();
            let mut fired = fired.to_vec();
            fired.sort_unstable();
            let verdict = if fired.is_empty() && !ids.is_empty() {
                Verdict::Permitted(ids)
            } else {
                Verdict::Withheld { fired, row: !ids.is_empty() }
            };
            engine().answer_to(&self.facts, verdict)
        };
        let (before, after) = (said(&self.permits, &self.fired), said(permits, fired));
        before != after
    }

    /// Whether it notices that a rule was changed, or removed.
    fn notices_rule(&self, id: &str, changed: Option<&PolicySet>) -> bool {
        let fires = changed.is_some_and(|alone| engine().loaded_rules().applies_to(alone, &self.request));
        let fired_before = self.fired.iter().any(|fired| fired == id);
        let mut fired: Vec<_> = self.fired.iter().filter(|fired| *fired != id).cloned().collect();
        fired.extend(fires.then(|| id.to_owned()));
        fires != fired_before && self.changes(&self.permits, &fired)
    }

    /// Whether it notices that a row was changed, or removed.
    fn notices_row(&self, place: usize, changed: &[(String, PolicySet)]) -> bool {
        let mut permits = self.permits.clone();
        permits.remove(&place);
        permits.extend(Some((place, applying(changed, &self.request))).filter(|(_, ids)| !ids.is_empty()));
        permits != self.permits && self.changes(&permits, &self.fired)
    }
}

/// The engine of this covenant with these rules that withhold.
fn engine_of(covenant: Covenant, forbids: &[Policy]) -> Engine {
    let schema = engine().loaded_rules().schema().clone();
    let entities = entities(&covenant, &schema, true, &mut Vec::new()).unwrap();
    let vocabulary = Vocabulary::of(&covenant, true).unwrap();
    let generated = permits(&covenant);
    let maker = Maker::new().unwrap();
    let made: Vec<_> = generated.iter().map(|permit| maker.policy(permit).unwrap()).collect();
    let rules = Rules::new(vocabulary, schema, entities, made.into_iter().chain(forbids.iter().cloned())).unwrap();
    engine().changed(covenant, generated, rules)
}

fn forbids() -> Vec<Policy> {
    let rules = engine().loaded_rules().policies();
    rules.filter(|policy| policy.effect() == CedarEffect::Forbid).cloned().collect()
}

/// The rules of the covenant, each changed in one place.
fn mutants_of_rules() -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for rule in forbids() {
        let id = rule.id().to_string();
        mutants.push(Mutant { what: format!("{id}: removed"), change: Change::Rule(id.clone(), None) });
        for (what, changed) in changed_rules(&rule) {
            mutants.push(Mutant {
                what: format!("{id}: {what}"),
                change: Change::Rule(id.clone(), Some(Box::new(changed))),
            });
        }
    }
    mutants
}

fn changed_rules(rule: &Policy) -> Vec<(String, Policy)> {
    let Tree::Static(tree) = rule.to_pst().unwrap() else { panic!("rules have no slots") };
    let tree = tree.body().clone();
    let clauses = tree.clauses().clone();
    let mut found = Vec::new();
    for (place, clause) in clauses.iter().enumerate() {
        let mut without = clauses.clone();
        without.remove(place);
        found.push((format!("{} left out", name_of(clause)), with_clauses(&tree, without)));
        let (Clause::When(condition) | Clause::Unless(condition)) = clause;
        for (what, changed) in variants(condition) {
            let mut with = clauses.clone();
            with[place] = match clause {
                Clause::When(_) => Clause::When(changed),
                Clause::Unless(_) => Clause::Unless(changed),
            };
            found.push((format!("{}: {what}", name_of(clause)), with_clauses(&tree, with)));
        }
    }
    if tree.principal != PrincipalConstraint::Any {
        let mut changed = tree.clone();
        changed.principal = PrincipalConstraint::Any;
        found.push(("of any giver".to_owned(), with_clauses(&changed, clauses.clone())));
    }
    if tree.resource != ResourceConstraint::Any {
        let mut changed = tree.clone();
        changed.resource = ResourceConstraint::Any;
        found.push(("of any receiver".to_owned(), with_clauses(&changed, clauses)));
    }
    found
}

const fn name_of(clause: &Clause) -> &'static str {
    match clause {
        Clause::When(_) => "when",
        Clause::Unless(_) => "unless",
    }
}

fn with_clauses(tree: &Template, clauses: Vec<Clause>) -> Policy {
    let Template { id, effect, principal, action, resource, annotations, .. } = tree.clone();
    let changed = Template::new(id, effect, principal, action, resource).with_annotations(annotations);
    let changed = StaticPolicy::try_from(changed.try_with_clauses(clauses).unwrap()).unwrap();
    Policy::from_pst(Tree::Static(changed)).unwrap()
}

/// A condition with one part of it made always or never true, one member of a list left out, or one "and" made an "or".
fn variants(condition: &Arc<Expr>) -> Vec<(String, Arc<Expr>)> {
    let mut found = Vec::new();
    for (word, holds) in [("always", true), ("never", false)] {
        found.push((format!("{condition} is {word} so"), Arc::new(Expr::Literal(Literal::Bool(holds)))));
    }
    match &**condition {
        Expr::BinaryOp { op, left, right } if [BinaryOp::And, BinaryOp::Or].contains(op) => {
            let joined = |op, left: &Arc<Expr>, right: &Arc<Expr>| {
                Arc::new(Expr::BinaryOp { op, left: Arc::clone(left), right: Arc::clone(right) })
            };
            let other = if *op == BinaryOp::And { BinaryOp::Or } else { BinaryOp::And };
            found.push((format!("{condition} joined the other way"), joined(other, left, right)));
            found.extend(variants(left).into_iter().map(|(what, changed)| (what, joined(*op, &changed, right))));
            found.extend(variants(right).into_iter().map(|(what, changed)| (what, joined(*op, left, &changed))));
        }
        Expr::UnaryOp { op: UnaryOp::Not, expr } => {
            let negated = |expr| Arc::new(Expr::UnaryOp { op: UnaryOp::Not, expr });
            found.extend(variants(expr).into_iter().map(|(what, changed)| (what, negated(changed))));
        }
        Expr::BinaryOp { op, left, right } => {
            let with = |left: &Arc<Expr>, right: &Arc<Expr>| {
                Arc::new(Expr::BinaryOp { op: *op, left: Arc::clone(left), right: Arc::clone(right) })
            };
            found.extend(shorter(left).into_iter().map(|(what, left)| (what, with(&left, right))));
            found.extend(shorter(right).into_iter().map(|(what, right)| (what, with(left, &right))));
        }
        _ => {}
    }
    found
}

/// A list without each of its members.
fn shorter(list: &Expr) -> Vec<(String, Arc<Expr>)> {
    let Expr::Set(members) = list else { return Vec::new() };
    let without = |place: usize| {
        let mut members = members.clone();
        let gone = members.remove(place);
        (format!("without {gone} in the list"), Arc::new(Expr::Set(members)))
    };
    (0..members.len()).filter(|_| members.len() > 1).map(without).collect()
}

/// The covenant with one row changed: wider in each way, and narrower.
fn mutants_of_rows() -> Vec<Mutant> {
    let covenant = engine().covenant();
    let mut mutants = Vec::new();
    for (place, row) in covenant.rows.iter().enumerate() {
        let id = &row.id;
        let mut add = |what: String, change: &dyn Fn(&mut Covenant)| {
            let mut covenant = Box::new(covenant.clone());
            change(&mut covenant);
            mutants.push(Mutant { what, change: Change::Row(place, covenant) });
        };
        add(format!("{id}: removed"), &|covenant| drop(covenant.rows.remove(place)));
        if !row.core {
            add(format!("{id}: core too"), &|covenant| covenant.rows[place].core = true);
        }
        for category in covenant.categories.iter().map(|category| &category.id) {
            if row.categories.contains(category) {
                // A row that gives nothing does not load.
                if row.categories.len() == 1 && !row.core {
                    continue;
                }
                let without = |covenant: &mut Covenant| covenant.rows[place].categories.retain(|one| one != category);
                add(format!("{id}: {category} left out"), &without);
            } else {
                add(format!("{id}: {category} too"), &|covenant| {
                    covenant.rows[place].categories.push(category.clone());
                });
            }
        }
        for basis in &covenant.bases {
            let (code, municipal) = (&basis.id, basis.kind == BasisKind::MunicipalLaw);
            if row.bases.contains(code) || row.municipality_bases.contains(code) {
                // Nor does one without a basis.
                if row.bases.len() + row.municipality_bases.len() == 1 {
                    continue;
                }
                add(format!("{id}: {code} no basis"), &|covenant| {
                    covenant.rows[place].bases.retain(|one| one != code);
                    covenant.rows[place].municipality_bases.retain(|one| one != code);
                });
            } else {
                add(format!("{id}: {code} a basis too"), &|covenant| {
                    let row = &mut covenant.rows[place];
                    let list = if municipal { &mut row.municipality_bases } else { &mut row.bases };
                    list.push(code.clone());
                });
            }
        }
        for (index, party) in row.to.iter().enumerate().filter(|_| row.to.len() > 1) {
            add(format!("{id}: not to {party:?}"), &|covenant| drop(covenant.rows[place].to.remove(index)));
        }
        if row.from != [RowParty::AnyParty] {
            add(format!("{id}: from any party"), &|covenant| covenant.rows[place].from = vec![RowParty::AnyParty]);
        }
        if row.to != [RowParty::AnyParty] {
            add(format!("{id}: to any party"), &|covenant| covenant.rows[place].to = vec![RowParty::AnyParty]);
        }
    }
    mutants
}

/// How many were caught by what.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    proofs: usize,
    same: usize,
    known: usize,
    survivors: Vec<String>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cases, proofs, same, known, survivors } = self;
        write!(f, "{cases} caught by an example case, {proofs} by a proof, {same} decide the same for all requests, ")?;
        write!(f, "{known} known, {} not caught", survivors.len())?;
        survivors.iter().try_for_each(|survivor| write!(f, "\n  {survivor}"))
    }
}

/// Whether changed rules and the engine's own decide the same for all requests, in the world of the changed covenant.
async fn decides_the_same(session: &mut Session<'_>, changed: &Theory<'_>) -> bool {
    let original = Theory::of(changed.engine, engine().loaded_rules().policies().cloned()).unwrap();
    for (after, before) in changed.situations.iter().zip(&original.situations) {
        let equal = async |solver: &mut Solving| solver.check_equivalent_opt(&after.rules, &before.rules).await;
        if !session.ask(equal).await.unwrap() {
            return false;
        }
    }
    true
}

/// Holds all mutants against the cases and what is left against the invariants.
fn hunt(mutants: Vec<Mutant>, what: &str) {
    let all = mutants.len();
    let sections = sections();
    let unnoticed = |mutant: &Mutant| !mutant.is_noticed(&sections);
    let left: Vec<_> = mutants.into_iter().filter(unnoticed).collect();
    let mut tally = Tally { cases: all - left.len(), ..Tally::default() };
    println!("{what}: {all} changes, {} caught by an example case", tally.cases);
    let Some(solver) = solver_or_say("the proofs over what no example case notices") else { return };
    let invariants = Invariants::from_folder(&folder()).unwrap();
    let read = invariants.read(engine().covenant(), engine().loaded_rules().schema()).unwrap();
    let hunted = with_session(&solver, async |session, _| {
        for mutant in &left {
            let (what, changed) = (&mutant.what, mutant.engine());
            let theory = Theory::new(&changed)?;
            let broken = !theory.imply(session, &read).await.unwrap();
            let same = !broken && decides_the_same(session, &theory).await;
            match KNOWN.iter().any(|(known, _)| known == what) {
                _ if broken => tally.proofs += 1,
                _ if same => tally.same += 1,
                true => tally.known += 1,
                false => tally.survivors.push(what.clone()),
            }
        }
        Ok(())
    });
    hunted.unwrap();
    println!("{what}: {tally}");
    assert!(tally.survivors.is_empty(), "{what}: {tally}");
    assert!(tally.cases + tally.proofs > 9 * tally.same, "most changes must matter: {tally}");
}

#[test]
#[ignore = "takes minutes; in .ci/run: cargo test --lib prove:: -- --ignored --nocapture"]
fn every_change_of_a_rule_is_noticed() {
    hunt(mutants_of_rules(), "rules");
}

#[test]
#[ignore = "takes minutes; in .ci/run: cargo test --lib prove:: -- --ignored --nocapture"]
fn every_change_of_a_row_is_noticed() {
    hunt(mutants_of_rows(), "rows");
}
