//! A request that breaks an invariant, in the words of the covenant.
//!
//! Invariants: what the solver found is judged again by the engine and by the invariant itself before it is shown; where they say otherwise,
//! that is a contradiction and no counterexample. What is shown holds no more than it needs: a fact that can be left out is left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cedar_policy::{EvalResult, PolicySet};
use cedar_policy_symcc::Env;
use serde::Serialize;
use serde_json::Value;

use super::super::cases::Case;
use super::super::decision::Effect;
use super::super::engine::Engine;
use super::super::explain::RuleExplanation;
use super::super::facts::{Fact, Facts, NOT_NAMED};
use super::super::reach::{Reach, Reader};
use super::super::request::{Action, AgeGroup};
use super::super::rules::Verdict;
use super::super::vocabulary::{UNKNOWN_AGE, Vocabulary};
use super::invariants::Invariant;
use crate::covenant::{CategoryGroup, Label};

/// How many requests are tried before it is said that an invariant forbids none of them.
const TRIES: usize = 20_000;

/// A request that the rules permit and an invariant forbids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counterexample {
    /// Every fact by the name that the schema has for it.
    pub facts: BTreeMap<String, Value>,
    /// Who gives what to whom, why and on which basis.
    pub request: Label,
    /// What holds besides.
    pub holds: Vec<Label>,
    /// What does not.
    pub does_not_hold: Vec<Label>,
    /// The rules that permit it.
    pub permitted_by: Vec<RuleExplanation>,
    /// The same as an example case, where a request can have these facts.
    pub case: Option<String>,
}

/// The counterexample that the solver found.
///
/// # Errors
/// A sentence, when solver and engine contradict each other.
pub(super) fn of(engine: &Engine, invariant: &Invariant, found: &Env) -> Result<Counterexample, String> {
    let judge = Judge::new(engine, invariant)?;
    let facts = read(engine.loaded_rules().vocabulary(), found).ok_or(
        "the solver found a request of codes that the covenant lacks: it and the engine contradict each other",
    )?;
    if judge.permitted(&facts).is_none() {
        return Err("the solver found a request that the engine refuses: they contradict each other".to_owned());
    }
    let facts = judge.simplest(facts);
    Ok(judge.shown(&facts))
}

/// Whether there is anything to ask that an invariant forbids, whatever the rules say. Looked for with the engine's own codes: with the ones that its
/// condition names, and the rest at random, always the same way.
pub(super) fn speaks(engine: &Engine, invariant: &Invariant) -> bool {
    let rules = engine.loaded_rules();
    let (Ok(alone), Ok(tree)) = (PolicySet::from_policies([invariant.policy.clone()]), invariant.policy.to_pst())
    else {
        return false;
    };
    let reach = Reader::new(rules.vocabulary(), rules.entities()).reach(tree.body());
    let possible: Vec<(Fact, Vec<u32>)> =
        Fact::ALL.into_iter().map(|fact| (fact, possible(rules.vocabulary(), &reach, fact))).collect();
    let mut state = 1_u64;
    let mut any_of = |numbers: &[u32]| {
        // A linear congruential generator (Knuth); its upper half is random enough to stumble on what is common.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from(state >> 33).unwrap_or_default() % numbers.len().max(1);
        numbers.get(place).copied().unwrap_or_default()
    };
    (0..TRIES).any(|_| {
        let facts = possible.iter().fold(Facts::FIRST, |facts, (fact, numbers)| facts.with(*fact, any_of(numbers)));
        rules.applies(&alone, &facts) == Some(true)
    })
}

/// The values of a fact with which a condition can hold.
fn possible(vocabulary: &Vocabulary, reach: &Reach, fact: Fact) -> Vec<u32> {
    let count = if fact.is_flag() { 2 } else { vocabulary.kind(fact).entities().len() };
    let can = |place: &usize| reach.of(fact).is_none_or(|can| can.get(*place).copied().unwrap_or(false));
    (0..count).filter(can).filter_map(|place| u32::try_from(place).ok()).collect()
}

/// The facts of a request that the solver made up.
fn read(vocabulary: &Vocabulary, found: &Env) -> Option<Facts> {
    let (request, context) = (&found.request, found.request.context()?);
    Fact::ALL.into_iter().try_fold(Facts::FIRST, |facts, fact| {
        let code = match fact {
            Fact::Action => request.action()?.clone(),
            Fact::Giver => request.principal()?.clone(),
            Fact::Receiver => request.resource()?.clone(),
            _ => match context.get(fact.as_str())? {
                EvalResult::Bool(holds) if fact.is_flag() => return Some(facts.with(fact, u32::from(holds))),
                EvalResult::EntityUid(uid) if !fact.is_flag() => uid,
                _ => return None,
            },
        };
        let number = vocabulary.kind(fact).number(code.id().unescaped())?;
        (vocabulary.entity(fact, number)? == &code).then(|| facts.with(fact, number))
    })
}

/// The engine and the invariant, which must both agree.
struct Judge<'a> {
    engine: &'a Engine,
    invariant: PolicySet,
    id: &'a str,
}

impl<'a> Judge<'a> {
    fn new(engine: &'a Engine, invariant: &'a Invariant) -> Result<Self, String> {
        let alone = PolicySet::from_policies([invariant.policy.clone()]).map_err(|error| error.to_string())?;
        Ok(Self { engine, invariant: alone, id: &invariant.id })
    }

    /// The rules that permit it although the invariant forbids it; none when it is refused or the invariant is silent.
    fn permitted(&self, facts: &Facts) -> Option<Vec<String>> {
        let rules = self.engine.loaded_rules();
        match rules.ask(facts) {
            Verdict::Permitted(by) if rules.applies(&self.invariant, facts) == Some(true) => Some(by),
            _ => None,
        }
    }

    /// The same without what it does not need.
    fn simplest(&self, mut facts: Facts) -> Facts {
        let vocabulary = self.engine.loaded_rules().vocabulary();
        let grown_up = vocabulary.kind(Fact::AgeGroup).number(AgeGroup::Adult.as_str());
        let absent = Fact::ALL.into_iter().filter(|fact| fact.is_flag()).map(|fact| (fact, 0));
        for (fact, number) in absent.chain(grown_up.map(|adult| (Fact::AgeGroup, adult))) {
            let simpler = facts.with(fact, number);
            if self.permitted(&simpler).is_some() {
                facts = simpler;
            }
        }
        facts
    }

    fn code(&self, facts: &Facts, fact: Fact) -> &str {
        self.engine.loaded_rules().vocabulary().code(fact, facts.number(fact))
    }

    fn shown(&self, facts: &Facts) -> Counterexample {
        let value = |fact: Fact| {
            if fact.is_flag() { Value::Bool(facts.number(fact) == 1) } else { self.code(facts, fact).into() }
        };
        let flags = |number: u32| {
            let flags = Fact::ALL.into_iter().filter(|fact| fact.is_flag() && facts.number(*fact) == number);
            flags.map(words).collect()
        };
        let explained = |id: String| {
            let (nl, en) = self.engine.sentences(&id).unwrap_or_default();
            RuleExplanation { id: id.clone(), text: Label { nl: nl.to_owned(), en: en.to_owned() } }
        };
        Counterexample {
            facts: Fact::ALL.into_iter().map(|fact| (fact.to_string(), value(fact))).collect(),
            request: self.sentence(facts),
            holds: flags(1),
            does_not_hold: flags(0),
            permitted_by: self.permitted(facts).into_iter().flatten().map(explained).collect(),
            case: self.case(facts),
        }
    }

    fn sentence(&self, facts: &Facts) -> Label {
        let covenant = self.engine.covenant();
        let party = |fact| {
            let slug = self.code(facts, fact);
            match covenant.party(slug) {
                Some(party) => same(&party.name),
                None => label("een partij die het convenant niet noemt", "a party that the covenant does not name"),
            }
        };
        let code = |fact| self.code(facts, fact);
        let category =
            covenant.category(code(Fact::Category)).map_or_else(|| same(code(Fact::Category)), |it| it.label.clone());
        let purpose =
            covenant.purpose(code(Fact::Purpose)).map_or_else(|| same(code(Fact::Purpose)), |it| it.label.clone());
        let basis = covenant.basis(code(Fact::Basis)).map_or_else(|| same(code(Fact::Basis)), |it| it.label.clone());
        let age = match code(Fact::AgeGroup) {
            UNKNOWN_AGE => label("onbekend", "unknown"),
            known => same(known),
        };
        let [giver, receiver, sender, recipient] =
            [Fact::Giver, Fact::Receiver, Fact::Sender, Fact::Recipient].map(party);
        let note = code(Fact::Action) == Action::Note.as_str();
        let form = if note { label("in een notitie bij", "in a note on") } else { label("in", "in") };
        let phase = code(Fact::Phase);
        Label {
            nl: format!(
                "{} geeft aan {}: {}, {} een verwijzing van {} naar {}. Doel: {} (fase {phase}); grondslag: {}; leeftijdsgroep: {}.",
                giver.nl, receiver.nl, category.nl, form.nl, sender.nl, recipient.nl, purpose.nl, basis.nl, age.nl
            ),
            en: format!(
                "{} gives {}: {}, {} a referral from {} to {}. Purpose: {} (phase {phase}); legal basis: {}; age group: {}.",
                giver.en, receiver.en, category.en, form.en, sender.en, recipient.en, purpose.en, basis.en, age.en
            ),
        }
    }

    /// The request as an example case, if one with these facts is decided in the same way from its records on.
    fn case(&self, facts: &Facts) -> Option<String> {
        let covenant = self.engine.covenant();
        let text = self.write_case(facts)?;
        let case: Case = toml::from_str(&text).ok()?;
        let request = case.request(covenant).ok()?;
        let decision = self.engine.decide(&request);
        let permitted = decision.sections().first()?.effect() == Effect::Permit;
        permitted.then_some(text)
    }

    fn write_case(&self, facts: &Facts) -> Option<String> {
        let code = |fact| self.code(facts, fact);
        let holds = |fact| facts.number(fact) == 1;
        let note = code(Fact::Action) == Action::Note.as_str();
        let (giver, receiver) = if note { (Fact::Recipient, Fact::Sender) } else { (Fact::Sender, Fact::Recipient) };
        let parties = [code(Fact::Giver), code(Fact::Receiver)];
        if parties != [code(giver), code(receiver)] || parties.contains(&NOT_NAMED) {
            return None;
        }
        let category = code(Fact::Category);
        let mut text = format!("name = \"breaks {}\"\n", self.id);
        let mut line = |key: &str, value: String| {
            // Writing to a text never fails.
            let _ = writeln!(text, "{key} = {value}");
        };
        let quoted = |word: &str| format!("\"{word}\"");
        line("from", quoted(code(Fact::Sender)));
        line("to", quoted(code(Fact::Recipient)));
        for (key, fact) in [("purpose", Fact::Purpose), ("phase", Fact::Phase), ("basis", Fact::Basis)] {
            line(key, quoted(code(fact)));
        }
        if note {
            line("action", quoted("note"));
        }
        let age = Some(code(Fact::AgeGroup)).filter(|age| *age != UNKNOWN_AGE).and_then(AgeGroup::from_word);
        if let Some(age) = age {
            line("age-group", quoted(age.as_str()));
        }
        for (key, fact) in [
            ("contradicted", Fact::AgeGroupContradicted),
            ("by-bsn", Fact::SubjectByBsn),
            ("participant-and-coordinator", Fact::ParticipantAndCoordinator),
            ("municipality-coordinates", Fact::MunicipalityCoordinates),
            ("stepped-up", Fact::SteppedUp),
        ] {
            if holds(fact) {
                line(key, "true".to_owned());
            }
        }
        for (key, of_giver, of_receiver) in [
            ("unsigned", Fact::GiverSigned, Fact::ReceiverSigned),
            ("suspended", Fact::GiverActive, Fact::ReceiverActive),
        ] {
            let named = [(of_giver, Fact::Giver), (of_receiver, Fact::Receiver)];
            let lacking: Vec<_> =
                named.into_iter().filter(|(fact, _)| !holds(*fact)).map(|(_, who)| quoted(code(who))).collect();
            if !lacking.is_empty() {
                line(key, format!("[{}]", lacking.join(", ")));
            }
        }
        if !holds(Fact::CovenantInForce) {
            let before = self.engine.covenant().effective_from.minus(std::time::Duration::from_secs(1));
            line("now", quoted(&before.to_string()));
        }
        if holds(Fact::SeveralLifeDomains) {
            line("carried", self.other_domains(category));
        }
        if holds(Fact::BreakGlass) {
            let cannot = holds(Fact::CannotConsent);
            line("break-glass", format!("{{ categories = [\"{category}\"], cannot-consent = {cannot} }}"));
        }
        // Both at once is no request; the worse one is enough to show it.
        if holds(Fact::ObjectionUpheld) {
            line("objection", quoted("upheld"));
        } else if holds(Fact::ObjectionNotWeighed) {
            line("objection", quoted("not-weighed"));
        }
        if holds(Fact::Restricted) {
            line("restricted", "true".to_owned());
        }
        line("records", format!("[{}]", records(age, holds).join(", ")));
        Some(format!("{text}[expect]\n{category} = \"\"\n"))
    }

    /// Life domains besides a category, enough to make several.
    fn other_domains(&self, category: &str) -> String {
        let categories = self.engine.covenant().categories.iter();
        let others = categories.filter(|it| it.is(CategoryGroup::LifeDomain) && it.id.as_str() != category);
        let quoted: Vec<_> = others.take(2).map(|it| format!("\"{}\"", it.id)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

/// The records that make these facts, by who can give them at this age.
fn records(age: Option<AgeGroup>, holds: impl Fn(Fact) -> bool) -> Vec<String> {
    let given_by = match age {
        Some(AgeGroup::Under12) => "parent",
        Some(AgeGroup::From12To15) => "parent-and-child",
        _ => "resident",
    };
    let record = |kind: &str, explicit: bool| {
        format!("{{ kind = \"{kind}\", given-by = \"{given_by}\", explicit = {explicit} }}")
    };
    let mut records = Vec::new();
    if holds(Fact::Consent) || holds(Fact::ExplicitConsent) {
        records.push(record("consent", holds(Fact::ExplicitConsent)));
    }
    for (fact, kind) in [(Fact::SecrecyRelease, "secrecy-release"), (Fact::CareAgreement, "care-agreement")] {
        if holds(fact) {
            records.push(record(kind, false));
        }
    }
    records
}

fn label(nl: &str, en: &str) -> Label {
    Label { nl: nl.to_owned(), en: en.to_owned() }
}

fn same(text: &str) -> Label {
    label(text, text)
}

/// A yes-or-no fact as people say it.
fn words(fact: Fact) -> Label {
    let (nl, en) = match fact {
        Fact::SeveralLifeDomains => ("meer dan één leefgebied", "more than one life domain"),
        Fact::CovenantInForce => ("het convenant geldt", "the covenant is in force"),
        Fact::GiverSigned => ("de gever heeft ondertekend", "the giver signed"),
        Fact::GiverActive => ("de gever is actief", "the giver is active"),
        Fact::ReceiverSigned => ("de ontvanger heeft ondertekend", "the receiver signed"),
        Fact::ReceiverActive => ("de ontvanger is actief", "the receiver is active"),
        Fact::AgeGroupContradicted => {
            ("de leeftijdsgroep spreekt een eerdere tegen", "the age group contradicts an earlier one")
        }
        Fact::SubjectByBsn => ("de inwoner is met het BSN aangeduid", "the resident is referred to by the BSN"),
        Fact::Consent => ("passende toestemming", "a consent that fits"),
        Fact::ExplicitConsent => ("passende uitdrukkelijke toestemming", "an explicit consent that fits"),
        Fact::SecrecyRelease => ("passende ontheffing van het beroepsgeheim", "a secrecy release that fits"),
        Fact::CareAgreement => ("passende instemming met hulp", "a care agreement that fits"),
        Fact::ParticipantAndCoordinator => {
            ("deelnemer en casusregisseur van de casus", "participant and coordinator of the case")
        }
        Fact::MunicipalityCoordinates => ("de gemeente coördineert de casus", "the municipality coordinates the case"),
        Fact::SteppedUp => ("de casus is opgeschaald", "the case is stepped up"),
        Fact::BreakGlass => ("de noodprocedure is ingeroepen", "break-glass was declared"),
        Fact::CannotConsent => ("de inwoner kan niet toestemmen", "the resident cannot consent"),
        Fact::ObjectionNotWeighed => {
            ("een bezwaar bij de gever is nog niet gewogen", "an objection to the giver is not weighed yet")
        }
        Fact::ObjectionUpheld => ("een bezwaar bij de gever is gehonoreerd", "an objection to the giver was upheld"),
        Fact::Restricted => ("de verwerking bij de gever is beperkt", "the processing is restricted at the giver"),
        _ => (fact.as_str(), fact.as_str()),
    };
    label(nl, en)
}
