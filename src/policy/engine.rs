//! The policy engine: pure and total, a request in, a decision out.
//!
//! Cedar's answer over all rules of the purpose is the effect. Which rules are named is worked out from the same answer:
//! of the rules that fired, those of the most fundamental hundred of `@order`, because a remedy for a consent is no help
//! where the category never crosses.
//!
//! Invariants: a request that does not fit the schema, and any evaluation error, is a refusal; a permit is never
//! reported together with a rule that fired.

use std::collections::BTreeMap;

use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Entities, PolicySet, Request as CedarRequest, RestrictedExpression,
    Schema,
};

use super::codes::Code;
use super::decision::{Decision, Effect, Remedy, SectionDecision};
use super::facts::{Facts, Matches, facts_of, matches_of};
use super::generate::GeneratedPermit;
use super::load::{Loaded, load, uid};
use super::registry::{HELD_ELSEWHERE, NOTHING_WITHOUT_A_ROW, REFUSED_WHEN_NOT_EVALUABLE, ROW_ORDER, RuleText};
use super::request::Request;
use crate::covenant::{
    BasisKind, Bundle, CategoryCode, CategoryGroup, Covenant, Finding, Findings, PartySlug, PolicyDigest, Row, RowParty,
};

/// The rules of one covenant version, ready to decide.
pub struct Engine {
    covenant: Covenant,
    digest: PolicyDigest,
    schema: Schema,
    entities: Entities,
    generated: Vec<GeneratedPermit>,
    /// Per purpose: its permits and every other rule. Sound because each permit asks for its own purpose.
    slices: BTreeMap<String, Slice>,
    rules: BTreeMap<String, RuleText>,
    authorizer: Authorizer,
}

#[derive(Clone, Default)]
struct Slice {
    all: PolicySet,
    permits: PolicySet,
}

/// What Cedar said about one section.
enum Verdict {
    Permitted(Vec<String>),
    Withheld { fired: Vec<String>, row: bool },
    NotEvaluable,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("version", &self.covenant.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads and checks the covenant and the rules of a bundle.
    ///
    /// # Errors
    /// [`Findings`] with everything that is wrong: syntax, types, missing annotations, and codes that the covenant lacks.
    pub fn new(bundle: &Bundle) -> Result<Self, Findings> {
        let Loaded { covenant, schema, entities, generated, permits, forbids, rules } = load(bundle)?;
        let mut slices = BTreeMap::new();
        for purpose in &covenant.purposes {
            let own = permits.iter().filter(|(of, _)| of == purpose.id.as_str()).map(|(_, policy)| policy.clone());
            let slice = slice(own, forbids.iter().cloned())
                .map_err(|message| Findings(vec![Finding::new(format!("rules for {}", purpose.id), message)]))?;
            slices.insert(purpose.id.to_string(), slice);
        }
        let digest = bundle.digest().clone();
        Ok(Self { covenant, digest, schema, entities, generated, slices, rules, authorizer: Authorizer::new() })
    }

    /// The covenant that decides.
    #[must_use]
    pub fn covenant(&self) -> &Covenant {
        &self.covenant
    }

    /// The digest of covenant, schema and rules.
    #[must_use]
    pub fn digest(&self) -> &PolicyDigest {
        &self.digest
    }

    /// The rules that are policies, by id.
    #[must_use]
    pub fn rules(&self) -> &BTreeMap<String, RuleText> {
        &self.rules
    }

    /// The Cedar text of the permits that the rows of the covenant stand for.
    #[must_use]
    pub fn generated_permits(&self) -> String {
        self.generated.iter().map(|permit| permit.text.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Decides on every section of the request.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        Decision {
            covenant_version: self.covenant.version.clone(),
            policy_digest: self.digest.clone(),
            sections: request.sections.iter().map(|category| self.decide_section(request, category)).collect(),
            giver: request.giver.clone(),
            receiver: request.receiver.clone(),
        }
    }

    fn decide_section(&self, request: &Request, category: &CategoryCode) -> SectionDecision {
        let matches = matches_of(&self.covenant, request, category);
        let facts = facts_of(&self.covenant, request, category, &matches);
        let withhold = |code, rules, remedy| SectionDecision {
            category: category.clone(),
            effect: Effect::Withhold,
            code: Some(code),
            rules,
            remedy,
            consents: Vec::new(),
        };
        match self.ask(&facts) {
            Verdict::Permitted(rules) => SectionDecision {
                category: category.clone(),
                effect: Effect::Permit,
                code: None,
                rules,
                remedy: None,
                consents: self.relied_on(&facts, matches),
            },
            Verdict::NotEvaluable => withhold(Code::NotEvaluable, vec![REFUSED_WHEN_NOT_EVALUABLE.to_owned()], None),
            Verdict::Withheld { fired, row } => {
                let (code, rules, remedy) = self.name_refusal(&facts, &fired, row);
                withhold(code, rules, remedy)
            }
        }
    }

    /// Asks Cedar about one section.
    fn ask(&self, facts: &Facts) -> Verdict {
        let known = self.covenant.category(&facts.category).is_some() && self.covenant.basis(&facts.basis).is_some();
        let Some(slice) = self.slices.get(&facts.purpose).filter(|_| known) else { return Verdict::NotEvaluable };
        let Some(request) = cedar_request(facts, &self.schema) else { return Verdict::NotEvaluable };
        let answer = self.authorizer.is_authorized(&request, &slice.all, &self.entities);
        if answer.diagnostics().errors().next().is_some() {
            return Verdict::NotEvaluable;
        }
        let mut named: Vec<_> = answer.diagnostics().reason().map(ToString::to_string).collect();
        named.sort_unstable();
        if answer.decision() == CedarDecision::Allow {
            return Verdict::Permitted(named);
        }
        let permits = self.authorizer.is_authorized(&request, &slice.permits, &self.entities);
        Verdict::Withheld { fired: named, row: permits.decision() == CedarDecision::Allow }
    }

    /// Which reason and rules are named for a refusal: those of the most fundamental hundred.
    fn name_refusal(&self, facts: &Facts, fired: &[String], row: bool) -> (Code, Vec<String>, Option<Remedy>) {
        let mut rules: Vec<_> = fired.iter().filter_map(|id| self.rules.get(id)).collect();
        rules.sort_by_key(|rule| rule.order);
        let first = rules.first().filter(|rule| row || rule.order < ROW_ORDER);
        let Some((first, code)) = first.and_then(|rule| Some((rule, rule.code?))) else {
            return (self.why_no_row(facts), vec![NOTHING_WITHOUT_A_ROW.to_owned()], None);
        };
        let together = rules.iter().filter(|rule| rule.order / 100 == first.order / 100);
        let remedy = first.remedy.as_ref().map(|remedy| Remedy {
            code: remedy.code.clone(),
            nl: self.fill(&remedy.nl, facts),
            en: self.fill(&remedy.en, facts),
        });
        (code, together.map(|rule| rule.id.clone()).collect(), remedy)
    }

    /// The first thing of purpose, route, category and basis that no row has.
    fn why_no_row(&self, facts: &Facts) -> Code {
        let of_purpose = |row: &&Row| row.purpose.as_str() == facts.purpose;
        let on_route = |row: &&Row| self.names(&row.from, &facts.sender) && self.names(&row.to, &facts.recipient);
        let with_category = |row: &&Row| {
            row.categories.iter().any(|category| category.as_str() == facts.category)
                || (row.core
                    && self.covenant.category(&facts.category).is_some_and(|found| found.is(CategoryGroup::Core)))
        };
        let rows = || self.covenant.rows.iter().filter(of_purpose);
        if self.covenant.purpose(&facts.purpose).is_some_and(|purpose| purpose.phase != facts.phase) {
            Code::PhaseNotAllowed
        } else if !rows().any(|row| on_route(&row)) {
            Code::RouteNotAllowed
        } else if !rows().any(|row| on_route(&row) && with_category(&row)) {
            Code::CategoryNotAllowed
        } else {
            Code::BasisNotAllowed
        }
    }

    fn names(&self, parties: &[RowParty], slug: &str) -> bool {
        let municipality = slug == self.covenant.municipality.as_str();
        parties.iter().any(|party| match party {
            RowParty::AnyParty => true,
            RowParty::AnyPartner => !municipality,
            RowParty::Municipality => municipality,
            RowParty::Named(named) => PartySlug::as_str(named) == slug,
        })
    }

    fn fill(&self, template: &str, facts: &Facts) -> String {
        [
            ("{giver}", facts.giver.as_str()),
            ("{receiver}", &facts.receiver),
            ("{sender}", &facts.sender),
            ("{recipient}", &facts.recipient),
            ("{purpose}", &facts.purpose),
            ("{category}", &facts.category),
            ("{version}", &self.covenant.version),
        ]
        .iter()
        .fold(template.to_owned(), |text, (open, value)| text.replace(open, value))
    }

    /// The records that a permitted section rests on: of each kind that its basis, category or giver asks for.
    fn relied_on(&self, facts: &Facts, matches: Matches) -> Vec<uuid::Uuid> {
        let special =
            self.covenant.category(&facts.category).is_some_and(|category| category.is(CategoryGroup::Special));
        let consent = self.covenant.basis(&facts.basis).is_some_and(|basis| basis.kind == BasisKind::Consent);
        let secrecy = self.covenant.party(&facts.giver).is_some_and(|party| party.secrecy_source.is_some());
        let agreement = self.covenant.purpose(&facts.purpose).is_some_and(|purpose| purpose.needs_care_agreement);
        let mut ids = Vec::new();
        for (asked, found) in [
            (consent, matches.consents),
            (special, matches.explicit_consents),
            (secrecy, matches.releases),
            (agreement, matches.agreements),
        ] {
            if asked {
                ids.extend(found);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What the rules of the purpose allow, and what this set of all rules allows; equal, or slicing is unsound.
    #[cfg(test)]
    pub(super) fn compare_with(&self, all: &PolicySet, request: &Request, category: &CategoryCode) -> (bool, bool) {
        let facts = facts_of(&self.covenant, request, category, &matches_of(&self.covenant, request, category));
        let of_all = cedar_request(&facts, &self.schema).is_some_and(|request| {
            let answer = self.authorizer.is_authorized(&request, all, &self.entities);
            answer.decision() == CedarDecision::Allow && answer.diagnostics().errors().next().is_none()
        });
        (matches!(self.ask(&facts), Verdict::Permitted(_)), of_all)
    }

    /// Every rule of every purpose in one set.
    #[cfg(test)]
    pub(super) fn all_rules(&self) -> PolicySet {
        let mut all = PolicySet::new();
        for policy in self.slices.values().flat_map(|slice| slice.all.policies()) {
            // Rules that withhold are in every slice; one copy is enough.
            let _ = all.add(policy.clone());
        }
        all
    }

    /// The sentence of a rule, Dutch and English: of a policy or of a rule held elsewhere.
    #[must_use]
    pub fn sentences(&self, id: &str) -> Option<(&str, &str)> {
        let policy = self.rules.get(id).map(|rule| (rule.nl.as_str(), rule.en.as_str()));
        policy.or_else(|| HELD_ELSEWHERE.iter().find(|rule| rule.id == id).map(|rule| (rule.nl, rule.en)))
    }
}

fn slice(
    permits: impl Iterator<Item = cedar_policy::Policy>,
    forbids: impl Iterator<Item = cedar_policy::Policy>,
) -> Result<Slice, String> {
    let mut slice = Slice::default();
    for permit in permits {
        slice.permits.add(permit.clone()).map_err(|error| error.to_string())?;
        slice.all.add(permit).map_err(|error| error.to_string())?;
    }
    for forbid in forbids {
        slice.all.add(forbid).map_err(|error| error.to_string())?;
    }
    Ok(slice)
}

/// The facts in the terms of the schema; none when they do not fit it.
fn cedar_request(facts: &Facts, schema: &Schema) -> Option<CedarRequest> {
    let entity = |kind, id: &str| Some(RestrictedExpression::new_entity_uid(uid(kind, id)?));
    let flag = |flag| Some(RestrictedExpression::new_bool(flag));
    let age_group = facts.age_group.map_or("unknown", super::request::AgeGroup::as_str);
    let pairs = [
        ("sender", entity("Party", &facts.sender)),
        ("recipient", entity("Party", &facts.recipient)),
        ("purpose", entity("Purpose", &facts.purpose)),
        ("phase", entity("Phase", facts.phase.as_str())),
        ("basis", entity("Basis", &facts.basis)),
        ("category", entity("Category", &facts.category)),
        ("severalLifeDomains", flag(facts.several_life_domains)),
        ("covenantInForce", flag(facts.covenant_in_force)),
        ("giverSigned", flag(facts.giver_signed)),
        ("giverActive", flag(facts.giver_active)),
        ("receiverSigned", flag(facts.receiver_signed)),
        ("receiverActive", flag(facts.receiver_active)),
        ("ageGroup", entity("AgeGroup", age_group)),
        ("ageGroupContradicted", flag(facts.age_group_contradicted)),
        ("subjectByBsn", flag(facts.subject_by_bsn)),
        ("consent", flag(facts.consent)),
        ("explicitConsent", flag(facts.explicit_consent)),
        ("secrecyRelease", flag(facts.secrecy_release)),
        ("careAgreement", flag(facts.care_agreement)),
        ("participantAndCoordinator", flag(facts.participant_and_coordinator)),
        ("municipalityCoordinates", flag(facts.municipality_coordinates)),
        ("steppedUp", flag(facts.stepped_up)),
        ("breakGlass", flag(facts.break_glass)),
        ("cannotConsent", flag(facts.cannot_consent)),
    ];
    let pairs: Option<Vec<_>> = pairs.into_iter().map(|(key, value)| Some((key.to_owned(), value?))).collect();
    let context = Context::from_pairs(pairs?).ok()?;
    CedarRequest::new(
        uid("Party", &facts.giver)?,
        uid("Action", facts.action.as_str())?,
        uid("Party", &facts.receiver)?,
        context,
        Some(schema),
    )
    .ok()
}
