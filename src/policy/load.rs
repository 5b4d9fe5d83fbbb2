//! From the published files to rules that can decide: parsed, type-checked and compared with the covenant.
//!
//! Invariant: rules that mention a party, purpose, category or basis which the covenant lacks do not load, nor does a
//! rule without its id, code, order and sentences. The gateway does not start without rules.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Effect as CedarEffect, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    RestrictedExpression, Schema, ValidationMode, Validator,
};

use super::codes::Code;
use super::decision::{Effect, Remedy};
use super::facts::{Fact, NOT_NAMED, OF_RIGHTS};
use super::generate::{GeneratedPermit, Maker, permits};
use super::reach::Reads;
use super::registry::{HELD_ELSEWHERE, RuleText};
use super::rules::all_facts_fit;
use super::vocabulary::Vocabulary;
use crate::covenant::{BasisKind, Bundle, CategoryGroup, Covenant, Finding, Findings, SCHEMA_FILE};

/// The role that the covenant gives to one party.
const MUNICIPALITY: &str = "municipality";
/// What a remedy may leave open until it is shown.
const PLACEHOLDERS: &[&str] = &["giver", "receiver", "sender", "recipient", "purpose", "category", "version"];

/// The annotations that say what helps: ordinarily, for a note, on a vital interest. Each has a sentence in both languages.
const REMEDIES: [&str; 3] = ["remedy", "remedy_note", "remedy_emergency"];

/// The entity types whose values the covenant or its closed lists give.
const KINDS: &[&str] = &["Party", "Purpose", "Category", "Basis", "Role", "CategoryGroup", "BasisKind"];

/// Everything that the engine is made of.
pub(super) struct Loaded {
    pub covenant: Covenant,
    pub vocabulary: Vocabulary,
    pub schema: Schema,
    pub entities: Entities,
    pub generated: Vec<GeneratedPermit>,
    pub permits: Vec<Policy>,
    pub forbids: Vec<Policy>,
    pub rules: BTreeMap<String, RuleText>,
}

/// Loads and checks a bundle.
pub(super) fn load(bundle: &Bundle) -> Result<Loaded, Findings> {
    let mut findings = Vec::new();
    let covenant = bundle.covenant().map_err(|errors| findings.extend(errors.0)).ok();
    let schema = read_schema(bundle, &mut findings);
    let mut rules = BTreeMap::new();
    let forbids = read_forbids(bundle, &mut rules, &mut findings);
    let (Some(covenant), Some(schema)) = (covenant, schema) else { return Err(Findings(findings)) };

    let generated = permits(&covenant);
    let permits = read_permits(&generated, &mut rules, &mut findings);
    let known = literals(&covenant);
    for policy in forbids.iter().chain(&permits) {
        check_literals(&known, policy, &mut findings);
    }
    check_types(&schema, forbids.iter().chain(&permits), &mut findings);
    let fitting = |rights| Vocabulary::of(&covenant, rights).filter(|vocabulary| all_facts_fit(vocabulary, &schema));
    // A version that was signed before residents' rights could be recorded has a schema without them.
    let vocabulary = fitting(true).or_else(|| fitting(false));
    let rights = vocabulary.as_ref().is_none_or(Vocabulary::knows_rights);
    let weighed = OF_RIGHTS.into_iter().all(|fact| forbids.iter().any(|rule| looks_at(rule, fact)));
    let vocabulary = vocabulary.map(|known| if weighed { known } else { known.without_rules_on_rights() });
    let entities = entities(&covenant, &schema, rights, &mut findings);
    if vocabulary.is_none() {
        let message =
            "does not fit the facts that the gateway supplies; leave its actions and the type Facts as they are";
        findings.push(Finding::new(SCHEMA_FILE, message));
    }
    match (entities, vocabulary) {
        (Some(entities), Some(vocabulary)) if findings.is_empty() => {
            Ok(Loaded { covenant, vocabulary, schema, entities, generated, permits, forbids, rules })
        }
        _ => Err(Findings(findings)),
    }
}

fn looks_at(rule: &Policy, fact: Fact) -> bool {
    rule.to_pst().is_ok_and(|tree| Reads::of(tree.body()).contain(fact))
}

fn read_schema(bundle: &Bundle, findings: &mut Vec<Finding>) -> Option<Schema> {
    match Schema::from_cedarschema_str(bundle.text(SCHEMA_FILE)) {
        Ok((schema, warnings)) => {
            findings.extend(warnings.map(|warning| Finding::new(SCHEMA_FILE, warning.to_string())));
            Some(schema)
        }
        Err(error) => {
            findings.push(Finding::new(SCHEMA_FILE, whole_sentence(&error)));
            None
        }
    }
}

/// An error with all its causes on one line.
fn whole_sentence(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        sentence = format!("{sentence}: {error}");
        source = error.source();
    }
    sentence
}

fn read_forbids(bundle: &Bundle, rules: &mut BTreeMap<String, RuleText>, findings: &mut Vec<Finding>) -> Vec<Policy> {
    let mut forbids = Vec::new();
    let mut orders = BTreeSet::new();
    for (file, text) in bundle.rules() {
        let set = match PolicySet::from_str(text) {
            Ok(set) => set,
            Err(errors) => {
                findings.extend(errors.iter().map(|error| Finding::new(file, error.to_string())));
                continue;
            }
        };
        if set.templates().next().is_some() {
            findings.push(Finding::new(file, "holds a template; write the rule out"));
        }
        for policy in set.policies() {
            let Some(rule) = rule_text(file, policy, findings) else { continue };
            let place = format!("{file}: {}", rule.id);
            check_not_elsewhere(&place, &rule.id, findings);
            if !orders.insert(rule.order) {
                findings.push(Finding::new(&place, "another rule has the same @order; choose a free number"));
            }
            forbids.push(policy.new_id(PolicyId::new(&rule.id)));
            if rules.insert(rule.id.clone(), rule).is_some() {
                findings.push(Finding::new(&place, "another rule has the same @id; rename one"));
            }
        }
    }
    forbids
}

/// An id in an audit record names one rule, also where that is no policy.
fn check_not_elsewhere(place: &str, id: &str, findings: &mut Vec<Finding>) {
    if HELD_ELSEWHERE.iter().any(|rule| rule.id == id) {
        findings.push(Finding::new(place, "is the id of a rule that is held outside of the policies; rename it"));
    }
}

/// The annotations of a hand-written rule.
fn rule_text(file: &str, policy: &Policy, findings: &mut Vec<Finding>) -> Option<RuleText> {
    let id = policy.annotation("id").unwrap_or_default();
    if crate::covenant::PurposeCode::from_str(id).is_err() {
        findings.push(Finding::new(file, format!("{}: needs an @id in kebab-case", policy.id())));
        return None;
    }
    let place = format!("{file}: {id}");
    let before = findings.len();
    if policy.effect() == CedarEffect::Permit {
        findings.push(Finding::new(&place, "is a permit; permits come only from the rows of covenant.toml"));
    }
    let code = policy.annotation("code").and_then(Code::from_word);
    if code.is_none() {
        findings.push(Finding::new(&place, "needs a @code of the closed list of reason codes"));
    }
    let order = policy.annotation("order").and_then(|order| order.parse().ok());
    if order.is_none() {
        findings.push(Finding::new(&place, "needs an @order, a number that says which refusal is named first"));
    }
    let number = policy.annotation("rule").and_then(|rule| rule.parse().ok()).filter(|rule| (1..=18).contains(rule));
    if number.is_none() {
        findings.push(Finding::new(&place, "needs a @rule, the number 1 to 18 of the rule it carries out"));
    }
    let mut sentence = |key: &str| match policy.annotation(key) {
        Some(text) if !text.trim().is_empty() => text.to_owned(),
        _ => {
            findings.push(Finding::new(&place, format!("needs @{key}, one sentence")));
            String::new()
        }
    };
    let (nl, en) = (sentence("nl"), sentence("en"));
    let mut remedy = |key: &str| {
        let (nl, en) = (format!("{key}_nl"), format!("{key}_en"));
        policy.annotation(key).map(|code| Remedy { code: code.to_owned(), nl: sentence(&nl), en: sentence(&en) })
    };
    let [remedy, remedy_of_note, remedy_in_emergency] = REMEDIES.map(&mut remedy);
    let special = [&remedy_of_note, &remedy_in_emergency];
    if remedy.is_none() && special.iter().any(|special| special.is_some()) {
        findings.push(Finding::new(&place, "has a remedy for some occasions only; needs @remedy"));
    }
    for remedy in special.into_iter().chain([&remedy]) {
        check_placeholders(&place, remedy.as_ref(), findings);
    }
    let covers = policy.annotation("remedy_covers").unwrap_or_default();
    check_annotation_keys(&place, policy, findings);
    if findings.len() > before {
        return None;
    }
    Some(RuleText {
        id: id.to_owned(),
        number: number?,
        effect: Effect::Withhold,
        code,
        order: order?,
        nl,
        en,
        remedy,
        remedy_of_note,
        remedy_in_emergency,
        remedy_covers: covers.split_whitespace().map(str::to_owned).collect(),
        place: format!("policies/{file}"),
    })
}

fn check_placeholders(place: &str, remedy: Option<&Remedy>, findings: &mut Vec<Finding>) {
    for text in remedy.iter().flat_map(|remedy| [&remedy.nl, &remedy.en]) {
        let mut rest = text.clone();
        for name in PLACEHOLDERS {
            rest = rest.replace(&format!("{{{name}}}"), "");
        }
        if rest.contains(['{', '}']) {
            let message = format!("the remedy leaves open what nothing fills; use {{{}}}", PLACEHOLDERS.join("}, {"));
            findings.push(Finding::new(place, message));
        }
    }
}

fn check_annotation_keys(place: &str, policy: &Policy, findings: &mut Vec<Finding>) {
    const KNOWN: &[&str] = &["id", "code", "order", "rule", "nl", "en", "remedy_covers"];
    let of_remedy = |key: &str| {
        let key = key.strip_suffix("_nl").or_else(|| key.strip_suffix("_en")).unwrap_or(key);
        REMEDIES.contains(&key)
    };
    for (key, _) in policy.annotations() {
        if !KNOWN.contains(&key) && !of_remedy(key) {
            findings.push(Finding::new(place, format!("unknown annotation @{key}; remove it")));
        }
    }
}

fn read_permits(
    generated: &[GeneratedPermit],
    rules: &mut BTreeMap<String, RuleText>,
    findings: &mut Vec<Finding>,
) -> Vec<Policy> {
    let mut permits = Vec::new();
    let maker = match Maker::new() {
        Ok(maker) => maker,
        Err(message) => {
            findings.push(Finding::new("covenant.toml: rows", message));
            return permits;
        }
    };
    for permit in generated {
        let place = format!("covenant.toml: permit {}", permit.id);
        check_not_elsewhere(&place, &permit.id, findings);
        match maker.policy(permit) {
            Ok(policy) => permits.push(policy),
            Err(message) => findings.push(Finding::new(&place, message)),
        }
        let rule = RuleText {
            id: permit.id.clone(),
            number: 1,
            effect: Effect::Permit,
            code: None,
            order: 0,
            nl: permit.label.nl.clone(),
            en: permit.label.en.clone(),
            remedy: None,
            remedy_of_note: None,
            remedy_in_emergency: None,
            remedy_covers: Vec::new(),
            place: "policies/covenant.toml".to_owned(),
        };
        if rules.insert(permit.id.clone(), rule).is_some() {
            findings.push(Finding::new(&place, "another rule has this id; rename the row"));
        }
    }
    permits
}

/// Every entity of the covenant that a rule may name.
pub(super) fn literals(covenant: &Covenant) -> HashSet<(&'static str, &str)> {
    let mut known = HashSet::from([("Role", MUNICIPALITY)]);
    known.extend(covenant.parties.iter().map(|party| ("Party", party.id.as_str())));
    known.extend(covenant.purposes.iter().map(|purpose| ("Purpose", purpose.id.as_str())));
    known.extend(covenant.categories.iter().map(|category| ("Category", category.id.as_str())));
    known.extend(covenant.bases.iter().map(|basis| ("Basis", basis.id.as_str())));
    known.extend(CategoryGroup::ALL.iter().map(|group| ("CategoryGroup", group.as_str())));
    known.extend(BasisKind::ALL.iter().map(|kind| ("BasisKind", kind.as_str())));
    known
}

/// Every entity that a rule names is in the covenant.
pub(super) fn check_literals(known: &HashSet<(&'static str, &str)>, policy: &Policy, findings: &mut Vec<Finding>) {
    for literal in policy.entity_literals() {
        let (kind, id) = (literal.type_name().to_string(), literal.id().unescaped());
        // The schema lists all values of these.
        let listed = ["Phase", "AgeGroup", "Action"].contains(&kind.as_str());
        let named = KINDS.iter().any(|of| *of == kind && known.contains(&(*of, id)));
        if !listed && !named {
            let message = format!("mentions {kind} \"{id}\", which the covenant lacks; correct it or add it there");
            findings.push(Finding::new(format!("rule {}", policy.id()), message));
        }
    }
}

/// Cedar's own strict validation, warnings included.
pub(super) fn check_types<'a>(
    schema: &Schema,
    policies: impl Iterator<Item = &'a Policy>,
    findings: &mut Vec<Finding>,
) {
    let mut set = PolicySet::new();
    for policy in policies {
        // A double id is a finding already.
        let _ = set.add(policy.clone());
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let errors = result.validation_errors().map(|error| (error.policy_id(), error.to_string()));
    let warnings = result.validation_warnings().map(|warning| (warning.policy_id(), warning.to_string()));
    for (id, message) in errors.chain(warnings) {
        findings.push(Finding::new(format!("rule {id}"), message));
    }
}

/// The parties, purposes, categories and bases of the covenant as Cedar entities, with what the rules ask of them.
/// `rights`: the schema has what art. 18 and 21 AVG ask of a basis.
pub(super) fn entities(
    covenant: &Covenant,
    schema: &Schema,
    rights: bool,
    findings: &mut Vec<Finding>,
) -> Option<Entities> {
    let bare = |kind, id| (uid(kind, id), HashMap::new(), HashSet::new());
    let mut list = vec![bare("Role", MUNICIPALITY)];
    list.extend(CategoryGroup::ALL.iter().map(|group| bare("CategoryGroup", group.as_str())));
    list.extend(BasisKind::ALL.iter().map(|kind| bare("BasisKind", kind.as_str())));
    list.extend(party_entities(covenant));
    for category in &covenant.categories {
        let groups = category.groups.iter().filter_map(|group| uid("CategoryGroup", group.as_str())).collect();
        list.push((uid("Category", category.id.as_str()), HashMap::new(), groups));
    }
    for basis in &covenant.bases {
        let kind = uid("BasisKind", basis.kind.as_str()).into_iter().collect();
        let of_rights = [("publicTask", basis.public_task), ("despiteRestriction", basis.despite_restriction)];
        let attributes = if rights { flags(&of_rights) } else { HashMap::new() };
        list.push((uid("Basis", basis.id.as_str()), attributes, kind));
    }
    for purpose in &covenant.purposes {
        let attributes = flags(&[
            ("accessDecision", purpose.access_decision),
            ("needsCareAgreement", purpose.needs_care_agreement),
            ("municipalityHasLaw", covenant.municipality_has_law(&purpose.id)),
        ]);
        list.push((uid("Purpose", purpose.id.as_str()), attributes, HashSet::new()));
    }
    let unfit = |reason: String| Finding::new(SCHEMA_FILE, format!("does not fit the covenant{reason}"));
    let made: Option<Vec<_>> =
        list.into_iter().map(|(uid, attributes, parents)| Entity::new(uid?, attributes, parents).ok()).collect();
    let Some(made) = made else {
        findings.push(unfit(String::new()));
        return None;
    };
    Entities::from_entities(made, Some(schema))
        .map_err(|error| findings.push(unfit(format!(": {}", whole_sentence(&error)))))
        .ok()
}

/// What an entity is made of: its name, its attributes, what it belongs to.
type EntityParts = (Option<EntityUid>, HashMap<String, RestrictedExpression>, HashSet<EntityUid>);

/// The parties, and the stand-in for one that the covenant does not name.
fn party_entities(covenant: &Covenant) -> Vec<EntityParts> {
    let outsider = flags(&[("named", false), ("secrecy", true), ("mayUseBsn", false)]);
    let mut list = vec![(uid("Party", NOT_NAMED), outsider, HashSet::new())];
    for party in &covenant.parties {
        let attributes = flags(&[
            ("named", true),
            ("secrecy", party.secrecy_source.is_some()),
            ("mayUseBsn", party.bsn_law.is_some()),
        ]);
        let role = if party.id == covenant.municipality { uid("Role", MUNICIPALITY) } else { None };
        list.push((uid("Party", party.id.as_str()), attributes, role.into_iter().collect()));
    }
    list
}

fn flags(pairs: &[(&str, bool)]) -> HashMap<String, RestrictedExpression> {
    pairs.iter().map(|(key, flag)| ((*key).to_owned(), RestrictedExpression::new_bool(*flag))).collect()
}

/// The name of an entity; none only for a type name that is no Cedar identifier, which ours are.
pub(super) fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind).ok()?, EntityId::new(id)))
}
