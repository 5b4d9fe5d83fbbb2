//! With which facts a rule can apply at all, read off its text, so that it is asked only where it can.
//!
//! A rule applies when all of its conditions hold. Where one of them compares a single fact with constants, such as
//! `context.purpose == Purpose::"triage"` or `principal == Party::"mee"`, the rule cannot apply with another value of that
//! fact. Conditions of any other form say nothing here and leave the rule in.
//!
//! Invariant: a value that is left out is one with which the rule does not apply and does not fail. The second holds
//! because rules are type-checked strictly before: what can still fail then (arithmetic, tags, extension functions) puts a rule
//! outside of all this, and it is always asked.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use cedar_policy::pst::{
    ActionConstraint, BinaryOp, Clause, EntityOrSlot, EntityUID, Expr, Literal, PrincipalConstraint,
    ResourceConstraint, Template, UnaryOp, Var,
};
use cedar_policy::{Entities, EntityUid, EvalResult};

use super::facts::Fact;
use super::load::uid;
use super::vocabulary::Vocabulary;

/// The facts of the context that a rule reads, one bit each: it is not shown the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reads(u32);

impl Reads {
    /// Every fact.
    const ALL: Self = Self(u32::MAX);

    /// Whether a fact is one of them.
    pub(super) fn contain(self, fact: Fact) -> bool {
        self.0 & (1 << (fact as u32)) != 0
    }

    /// These and those.
    #[must_use]
    pub(super) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// What a rule reads.
    pub(super) fn of(rule: &Template) -> Self {
        let clauses = rule.clauses().iter().map(|clause| match clause {
            Clause::When(condition) | Clause::Unless(condition) => Self::of_expression(condition),
        });
        clauses.fold(Self::default(), Self::and)
    }

    fn of_expression(expression: &Expr) -> Self {
        let all = |expressions: &[&Expr]| {
            expressions.iter().fold(Self::default(), |reads, inner| reads.and(Self::of_expression(inner)))
        };
        match expression {
            Expr::Literal(_) | Expr::Var(Var::Principal | Var::Action | Var::Resource) => Self::default(),
            Expr::GetAttr { expr, attr } if **expr == Expr::Var(Var::Context) => {
                Fact::from_word(attr).map_or(Self::ALL, |fact| Self(1 << (fact as u32)))
            }
            Expr::UnaryOp { expr, .. } | Expr::GetAttr { expr, .. } | Expr::Like { expr, .. } => all(&[expr]),
            Expr::BinaryOp { left, right, .. } => all(&[left, right]),
            Expr::IfThenElse { cond, then_expr, else_expr } => all(&[cond, then_expr, else_expr]),
            Expr::Set(items) => items.iter().fold(Self::default(), |reads, item| reads.and(Self::of_expression(item))),
            // The context as a whole, and whatever else there is or will be.
            _ => Self::ALL,
        }
    }
}

/// Whether a rule may say something else of other parties or another age group, everything else being equal.
pub(super) fn looks_at_who(rule: &Template) -> bool {
    let about =
        |expression: &Expr| Reads::of_expression(expression).contain(Fact::AgeGroup) || names_a_party(expression);
    !matches!(rule.principal, PrincipalConstraint::Any)
        || !matches!(rule.resource, ResourceConstraint::Any)
        || rule.clauses().iter().any(|clause| match clause {
            Clause::When(condition) | Clause::Unless(condition) => about(condition),
        })
}

fn names_a_party(expression: &Expr) -> bool {
    let any = |expressions: &[&Expr]| expressions.iter().any(|inner| names_a_party(inner));
    match expression {
        Expr::Literal(_) | Expr::Var(Var::Action) => false,
        Expr::GetAttr { expr, attr } if **expr == Expr::Var(Var::Context) => {
            Fact::from_word(attr).is_none_or(|fact| [Fact::Sender, Fact::Recipient].contains(&fact))
        }
        Expr::UnaryOp { expr, .. } | Expr::GetAttr { expr, .. } | Expr::Like { expr, .. } => any(&[expr]),
        Expr::BinaryOp { left, right, .. } => any(&[left, right]),
        Expr::IfThenElse { cond, then_expr, else_expr } => any(&[cond, then_expr, else_expr]),
        Expr::Set(items) => items.iter().any(|item| names_a_party(item)),
        // Giver, receiver, the context as a whole, and whatever else there is or will be.
        _ => true,
    }
}

/// The values with which a rule can apply, fact by fact: `true` at the number of such a value. A fact that is not in it
/// says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reach(BTreeMap<Fact, Vec<bool>>);

impl Reach {
    /// The values of a fact with which the rule can apply; none when all can.
    pub(super) fn of(&self, fact: Fact) -> Option<&[bool]> {
        self.0.get(&fact).map(Vec::as_slice)
    }

    /// What holds when both conditions hold.
    fn and(mut self, other: Self) -> Self {
        for (fact, values) in other.0 {
            match self.0.get_mut(&fact) {
                Some(own) => own.iter_mut().zip(values).for_each(|(own, value)| *own &= value),
                None => drop(self.0.insert(fact, values)),
            }
        }
        self
    }

    /// What holds when at least one of them holds: only what both speak about.
    fn or(self, other: &Self) -> Self {
        let mut both = BTreeMap::new();
        for (fact, mut values) in self.0 {
            if let Some(others) = other.0.get(&fact) {
                values.iter_mut().zip(others).for_each(|(own, value)| *own |= value);
                both.insert(fact, values);
            }
        }
        Self(both)
    }
}

/// How a fact is compared with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Comparison {
    /// It is the constant.
    Is,
    /// It is the constant or belongs to it.
    IsIn,
}

/// Reads rules against the codes of one covenant and what they belong to.
pub(super) struct Reader<'a> {
    vocabulary: &'a Vocabulary,
    entities: &'a Entities,
    /// What was worked out before: rules name the same few constants again and again.
    seen: RefCell<HashMap<(Fact, Comparison, EntityUID), Vec<bool>>>,
}

impl<'a> Reader<'a> {
    /// Reads with these codes and entities.
    pub(super) fn new(vocabulary: &'a Vocabulary, entities: &'a Entities) -> Self {
        Self { vocabulary, entities, seen: RefCell::default() }
    }

    /// The reach of a rule.
    pub(super) fn reach(&self, rule: &Template) -> Reach {
        let clauses = || {
            rule.clauses().iter().map(|clause| match clause {
                Clause::When(condition) => (condition, true),
                Clause::Unless(condition) => (condition, false),
            })
        };
        if !clauses().all(|(condition, _)| cannot_fail(condition)) {
            return Reach::default();
        }
        let scope = self.scope(rule);
        clauses().fold(scope, |reach, (condition, holds)| reach.and(self.condition(condition, holds)))
    }

    fn scope(&self, rule: &Template) -> Reach {
        let giver = match &rule.principal {
            PrincipalConstraint::Eq(EntityOrSlot::Entity(giver)) => self.equal(Fact::Giver, &[giver]),
            PrincipalConstraint::In(EntityOrSlot::Entity(group)) => self.inside(Fact::Giver, &[group]),
            _ => Reach::default(),
        };
        let receiver = match &rule.resource {
            ResourceConstraint::Eq(EntityOrSlot::Entity(receiver)) => self.equal(Fact::Receiver, &[receiver]),
            ResourceConstraint::In(EntityOrSlot::Entity(group)) => self.inside(Fact::Receiver, &[group]),
            _ => Reach::default(),
        };
        let action = match &rule.action {
            ActionConstraint::Eq(action) => self.equal(Fact::Action, &[action]),
            ActionConstraint::In(actions) => self.inside(Fact::Action, &actions.iter().collect::<Vec<_>>()),
            ActionConstraint::Any => Reach::default(),
        };
        giver.and(receiver).and(action)
    }

    /// The values with which a condition can be `holds`.
    fn condition(&self, condition: &Expr, holds: bool) -> Reach {
        let both = |left, right| self.condition(left, holds).and(self.condition(right, holds));
        let either = |left, right| self.condition(left, holds).or(&self.condition(right, holds));
        match condition {
            Expr::UnaryOp { op: UnaryOp::Not, expr } => self.condition(expr, !holds),
            Expr::BinaryOp { op: BinaryOp::And, left, right } if holds => both(left, right),
            Expr::BinaryOp { op: BinaryOp::And, left, right } => either(left, right),
            Expr::BinaryOp { op: BinaryOp::Or, left, right } if holds => either(left, right),
            Expr::BinaryOp { op: BinaryOp::Or, left, right } => both(left, right),
            Expr::BinaryOp { op: BinaryOp::NotEq, left, right } => self.equality(left, right, !holds),
            Expr::BinaryOp { op: BinaryOp::Eq, left, right } => self.equality(left, right, holds),
            Expr::BinaryOp { op: BinaryOp::In, left, right } => match (fact(left), entities(right)) {
                (Some(fact), Some(groups)) if !fact.is_flag() => unless(!holds, self.inside(fact, &groups)),
                _ => Reach::default(),
            },
            Expr::BinaryOp { op: BinaryOp::Contains, left, right } => match (left.as_ref(), fact(right)) {
                (Expr::Set(_), Some(fact)) if !fact.is_flag() => match entities(left) {
                    Some(values) => unless(!holds, self.equal(fact, &values)),
                    None => Reach::default(),
                },
                _ => Reach::default(),
            },
            Expr::GetAttr { expr, attr } => match (fact(condition), fact(expr)) {
                (Some(flag), _) if flag.is_flag() => yes_or_no(flag, holds),
                (None, Some(of)) if !of.is_flag() => self.attribute(of, attr, holds),
                _ => Reach::default(),
            },
            _ => Reach::default(),
        }
    }

    /// A yes or no that the covenant says of the value of a fact, such as `principal.secrecy`.
    fn attribute(&self, fact: Fact, attribute: &str, holds: bool) -> Reach {
        let says = |value: &EntityUid| match self.entities.get(value)?.attr(attribute)? {
            Ok(EvalResult::Bool(says)) => Some(says == holds),
            _ => None,
        };
        let values: Option<Vec<_>> = self.vocabulary.kind(fact).entities().map(says).collect();
        values.map_or_else(Reach::default, |values| Reach([(fact, values)].into()))
    }

    /// One fact compared with one constant, in either order.
    fn equality(&self, left: &Expr, right: &Expr, holds: bool) -> Reach {
        let (fact, constant) = match (fact(left), fact(right)) {
            (Some(fact), None) => (fact, right),
            (None, Some(fact)) => (fact, left),
            _ => return Reach::default(),
        };
        match constant {
            Expr::Literal(Literal::Bool(value)) if fact.is_flag() => yes_or_no(fact, *value == holds),
            Expr::Literal(Literal::EntityUID(value)) if !fact.is_flag() => unless(!holds, self.equal(fact, &[value])),
            _ => Reach::default(),
        }
    }

    /// The fact is one of these.
    fn equal(&self, fact: Fact, constants: &[&EntityUID]) -> Reach {
        self.any_of(fact, Comparison::Is, constants)
    }

    /// The fact is one of these or belongs to one.
    fn inside(&self, fact: Fact, groups: &[&EntityUID]) -> Reach {
        self.any_of(fact, Comparison::IsIn, groups)
    }

    fn any_of(&self, fact: Fact, comparison: Comparison, constants: &[&EntityUID]) -> Reach {
        let mut values = vec![false; self.vocabulary.kind(fact).entities().len()];
        let mut seen = self.seen.borrow_mut();
        for constant in constants {
            let with = seen
                .entry((fact, comparison, (*constant).clone()))
                .or_insert_with(|| self.compare(fact, comparison, constant));
            values.iter_mut().zip(with).for_each(|(known, with)| *known |= *with);
        }
        Reach([(fact, values)].into())
    }

    /// Which values of a fact compare so with a constant; what belongs to what is Cedar's own answer.
    fn compare(&self, fact: Fact, comparison: Comparison, constant: &EntityUID) -> Vec<bool> {
        let Some(constant) = uid(&constant.ty.to_string(), &constant.eid) else { return Vec::new() };
        let holds = |value: &EntityUid| {
            *value == constant || (comparison == Comparison::IsIn && self.entities.is_ancestor_of(&constant, value))
        };
        self.vocabulary.kind(fact).entities().map(holds).collect()
    }
}

fn yes_or_no(flag: Fact, holds: bool) -> Reach {
    Reach([(flag, vec![!holds, holds])].into())
}

/// The complement of a reach over one fact.
fn unless(not: bool, mut one: Reach) -> Reach {
    if not {
        one.0.values_mut().flatten().for_each(|value| *value = !*value);
    }
    one
}

/// The fact that an expression is, if it is one.
fn fact(expression: &Expr) -> Option<Fact> {
    match expression {
        Expr::Var(Var::Principal) => Some(Fact::Giver),
        Expr::Var(Var::Action) => Some(Fact::Action),
        Expr::Var(Var::Resource) => Some(Fact::Receiver),
        Expr::GetAttr { expr, attr } if **expr == Expr::Var(Var::Context) => {
            Fact::from_word(attr).filter(|fact| !matches!(fact, Fact::Giver | Fact::Receiver | Fact::Action))
        }
        _ => None,
    }
}

/// The entities that an expression lists, if it is one or a set of nothing else.
fn entities(expression: &Expr) -> Option<Vec<&EntityUID>> {
    match expression {
        Expr::Literal(Literal::EntityUID(entity)) => Some(vec![entity]),
        Expr::Set(items) => items
            .iter()
            .map(|item| match item.as_ref() {
                Expr::Literal(Literal::EntityUID(entity)) => Some(entity),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// Whether nothing in a condition that type-checks can fail when it is evaluated.
fn cannot_fail(condition: &Expr) -> bool {
    match condition {
        Expr::Literal(_) | Expr::Var(_) => true,
        Expr::UnaryOp { op: UnaryOp::Not | UnaryOp::IsEmpty, expr }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => cannot_fail(expr),
        Expr::BinaryOp {
            op:
                BinaryOp::Eq
                | BinaryOp::NotEq
                | BinaryOp::And
                | BinaryOp::Or
                | BinaryOp::In
                | BinaryOp::Contains
                | BinaryOp::ContainsAll
                | BinaryOp::ContainsAny,
            left,
            right,
        } => cannot_fail(left) && cannot_fail(right),
        Expr::Is { expr, in_expr, .. } => {
            cannot_fail(expr) && in_expr.as_ref().is_none_or(|inside| cannot_fail(inside))
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => [cond, then_expr, else_expr].iter().all(|e| cannot_fail(e)),
        Expr::Set(items) => items.iter().all(|item| cannot_fail(item)),
        _ => false,
    }
}
