//! The rules of one covenant version, loaded once, and what Cedar says of given facts.
//!
//! Every rule is a policy set of its own and is asked only where its [`Reach`] says that it can apply. A section is
//! permitted when a permit applies and no forbid does, which is what Cedar says of all rules in one set.
//!
//! Invariants: a rule that is not asked would neither apply nor fail; one that is asked sees every fact that it reads; any evaluation error, and a request that cannot be
//! made, is [`Verdict::NotEvaluable`].

use cedar_policy::{
    Authorizer, Context, Effect as CedarEffect, Entities, Policy, PolicySet, Request as CedarRequest,
    RestrictedExpression, Schema,
};

use super::facts::{Fact, Facts};
use super::index::Index;
use super::reach::{Reach, Reader, Reads};
use super::vocabulary::Vocabulary;

/// What Cedar said about one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The permits that apply, sorted; no forbid does.
    Permitted(Vec<String>),
    /// The forbids that apply, sorted, and whether a permit does.
    Withheld { fired: Vec<String>, row: bool },
    /// It cannot be said.
    NotEvaluable,
}

/// The facts about a case.
const OF_CASES: [Fact; 3] = [Fact::ParticipantAndCoordinator, Fact::MunicipalityCoordinates, Fact::SteppedUp];

/// One rule, alone.
struct Rule {
    id: String,
    effect: CedarEffect,
    alone: PolicySet,
    reads: Reads,
}

/// The rules of one covenant version.
pub(super) struct Rules {
    vocabulary: Vocabulary,
    schema: Schema,
    entities: Entities,
    each: Vec<Rule>,
    index: Index,
    /// By the number of the purpose: whether a rule that can apply to it looks at the case.
    of_cases: Vec<bool>,
    authorizer: Authorizer,
}

impl Rules {
    /// Prepares checked rules.
    ///
    /// # Errors
    /// A sentence, when Cedar refuses what it accepted before.
    pub(super) fn new(
        vocabulary: Vocabulary,
        schema: Schema,
        entities: Entities,
        policies: impl Iterator<Item = Policy>,
    ) -> Result<Self, String> {
        let (mut each, mut reaches) = (Vec::new(), Vec::new());
        let reader = Reader::new(&vocabulary, &entities);
        for policy in policies {
            let tree = policy.to_pst().map_err(|error| error.to_string())?;
            reaches.push(reader.reach(tree.body()));
            let (id, effect) = (policy.id().to_string(), policy.effect());
            let alone = PolicySet::from_policies([policy]).map_err(|error| error.to_string())?;
            each.push(Rule { id, effect, alone, reads: Reads::of(tree.body()) });
        }
        let index = Index::of(&vocabulary, &reaches);
        let looks = |rule: &Rule| OF_CASES.into_iter().any(|fact| rule.reads.contain(fact));
        let reaches_it = |reach: &Reach, purpose: usize| {
            reach.of(Fact::Purpose).is_none_or(|can| can.get(purpose).copied().unwrap_or(false))
        };
        let purposes = 0..vocabulary.kind(Fact::Purpose).entities().len();
        let of_cases = purposes
            .map(|purpose| each.iter().zip(&reaches).any(|(rule, reach)| looks(rule) && reaches_it(reach, purpose)))
            .collect();
        Ok(Self { vocabulary, schema, entities, each, index, of_cases, authorizer: Authorizer::new() })
    }

    /// Whether a rule that can apply to this purpose looks at the case; then its facts must be known. A purpose that the covenant lacks
    /// is refused whatever they are.
    pub(super) fn weigh_case(&self, purpose: &str) -> bool {
        let number = self.vocabulary.kind(Fact::Purpose).number(purpose);
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.and_then(|number| self.of_cases.get(number)).copied().unwrap_or(false)
    }

    /// The codes of the covenant.
    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The schema that every rule fits.
    pub(super) const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What the covenant says of its parties, categories, purposes and bases.
    pub(super) const fn entities(&self) -> &Entities {
        &self.entities
    }

    /// Every rule.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.each.iter().flat_map(|rule| rule.alone.policies())
    }

    /// Whether a statement that is no rule applies to these facts; none when that cannot be said.
    pub(super) fn applies(&self, alone: &PolicySet, facts: &Facts) -> Option<bool> {
        let request = cedar_request(&self.vocabulary, facts, |_| true, Some(&self.schema))?;
        let answer = self.authorizer.is_authorized(&request, alone, &self.entities);
        let failed = answer.diagnostics().errors().next().is_some();
        (!failed).then(|| answer.diagnostics().reason().next().is_some())
    }

    /// Asks Cedar about one section.
    pub(super) fn ask(&self, facts: &Facts) -> Verdict {
        debug_assert!(
            cedar_request(&self.vocabulary, facts, |_| true, Some(&self.schema)).is_some(),
            "facts that the schema accepted when the rules were loaded do not fit it"
        );
        let candidates = || self.index.candidates(facts).filter_map(|place| self.each.get(place));
        let reads = candidates().fold(Reads::default(), |reads, rule| reads.and(rule.reads));
        let Some(request) = cedar_request(&self.vocabulary, facts, |fact| reads.contain(fact), None) else {
            return Verdict::NotEvaluable;
        };
        let (mut permits, mut fired) = (Vec::new(), Vec::new());
        for rule in candidates() {
            let answer = self.authorizer.is_authorized(&request, &rule.alone, &self.entities);
            if answer.diagnostics().errors().next().is_some() {
                return Verdict::NotEvaluable;
            }
            if answer.diagnostics().reason().next().is_some() {
                match rule.effect {
                    CedarEffect::Permit => permits.push(rule.id.clone()),
                    CedarEffect::Forbid => fired.push(rule.id.clone()),
                }
            }
        }
        permits.sort_unstable();
        fired.sort_unstable();
        if fired.is_empty() && !permits.is_empty() {
            Verdict::Permitted(permits)
        } else {
            Verdict::Withheld { fired, row: !permits.is_empty() }
        }
    }
}

#[cfg(test)]
impl Rules {
    /// These facts as Cedar is asked about them, all of them in the context.
    pub(super) fn request_of(&self, facts: &Facts) -> CedarRequest {
        cedar_request(&self.vocabulary, facts, |_| true, None).unwrap()
    }

    /// Whether a policy applies to a request; one that fails does not.
    pub(super) fn applies_to(&self, alone: &PolicySet, request: &CedarRequest) -> bool {
        self.authorizer.is_authorized(request, alone, &self.entities).diagnostics().reason().next().is_some()
    }

    /// Every rule in one set, and the permits alone.
    pub(super) fn all(&self) -> (PolicySet, PolicySet) {
        let of = |wanted: &[CedarEffect]| {
            let rules = self.each.iter().filter(|rule| wanted.contains(&rule.effect));
            PolicySet::from_policies(rules.flat_map(|rule| rule.alone.policies().cloned())).unwrap()
        };
        (of(&[CedarEffect::Permit, CedarEffect::Forbid]), of(&[CedarEffect::Permit]))
    }

    /// The verdict in the plainest way: all rules in one set, all facts in the context, compared with the schema.
    pub(super) fn ask_all(&self, (all, permits): &(PolicySet, PolicySet), facts: &Facts) -> Verdict {
        let request = cedar_request(&self.vocabulary, facts, |_| true, Some(&self.schema)).unwrap();
        let answer = self.authorizer.is_authorized(&request, all, &self.entities);
        if answer.diagnostics().errors().next().is_some() {
            return Verdict::NotEvaluable;
        }
        let mut named: Vec<_> = answer.diagnostics().reason().map(ToString::to_string).collect();
        named.sort_unstable();
        if answer.decision() == cedar_policy::Decision::Allow {
            return Verdict::Permitted(named);
        }
        let permits = self.authorizer.is_authorized(&request, permits, &self.entities);
        Verdict::Withheld { fired: named, row: permits.decision() == cedar_policy::Decision::Allow }
    }

    /// How many rules are asked about these facts.
    pub(super) fn asked(&self, facts: &Facts) -> Vec<&str> {
        self.index.candidates(facts).filter_map(|place| Some(self.each.get(place)?.id.as_str())).collect()
    }
}

/// Whether every request that can be made of facts fits the schema, so that none needs to be compared with it later.
///
/// The schema judges each value by itself, so it is enough to try, for each action, every code once and every yes or no both
/// ways. Giver, receiver, sender and recipient are of one type and have the same values.
pub(super) fn all_facts_fit(vocabulary: &Vocabulary, schema: &Schema) -> bool {
    let numbers = |fact: Fact| 0..u32::try_from(vocabulary.kind(fact).entities().len()).unwrap_or(0);
    let fits = |facts: Facts| cedar_request(vocabulary, &facts, |_| true, Some(schema)).is_some();
    let tried = [Fact::Giver, Fact::Purpose, Fact::Phase, Fact::Basis, Fact::Category, Fact::AgeGroup];
    numbers(Fact::Action).all(|action| {
        let first = Facts::FIRST.with(Fact::Action, action);
        let yes = Fact::ALL.into_iter().filter(|fact| fact.is_flag()).fold(first, |facts, flag| facts.with(flag, 1));
        fits(yes) && tried.into_iter().all(|fact| numbers(fact).all(|number| fits(first.with(fact, number))))
    })
}

/// The facts in the terms of the schema, in the context only those that are `shown`; none when they do not fit the schema,
/// where it is given.
fn cedar_request(
    vocabulary: &Vocabulary,
    facts: &Facts,
    shown: impl Fn(Fact) -> bool,
    schema: Option<&Schema>,
) -> Option<CedarRequest> {
    let entity = |fact: Fact| vocabulary.entity(fact, facts.number(fact)).cloned();
    let value = |fact: Fact| {
        let number = facts.number(fact);
        let value = if fact.is_flag() {
            RestrictedExpression::new_bool(number == 1)
        } else {
            vocabulary.expression(fact, number)?.clone()
        };
        Some((fact.as_str().to_owned(), value))
    };
    let scope = [Fact::Action, Fact::Giver, Fact::Receiver];
    let in_context =
        Fact::ALL.into_iter().filter(|fact| !scope.contains(fact) && vocabulary.has(*fact) && shown(*fact));
    let pairs: Option<Vec<_>> = in_context.map(value).collect();
    let context = Context::from_pairs(pairs?).ok()?;
    CedarRequest::new(entity(Fact::Giver)?, entity(Fact::Action)?, entity(Fact::Receiver)?, context, schema).ok()
}
