//! The rules as a document shows them: each with its Cedar text, the rows that it can apply to, and what was found out by asking the engine.
//!
//! Invariants: the text of a rule is the one that was loaded, byte for byte, and that of a permit the one that is tested to be what decides; which
//! special categories go without explicit consent is asked of the rules and not read off them.

use std::collections::BTreeMap;

use super::decision::Effect;
use super::engine::Engine;
use super::facts::{Fact, Facts};
use super::prove::Invariants;
use super::reach::{Reach, Reader, looks_at_who};
use super::registry::RuleText;
use super::rules::Verdict;
use crate::covenant::{BasisCode, CategoryCode, CategoryGroup, Covenant, Findings, Label, Row, RowParty};

/// The rules of one engine, ready to be written down.
pub struct Paper<'a> {
    engine: &'a Engine,
    /// The rules that withhold, by id.
    withholding: BTreeMap<String, Written>,
}

/// A rule that withholds.
struct Written {
    cedar: String,
    /// With which facts it can apply.
    reach: Reach,
    /// Whether it may say something else of other parties or another age group.
    looks_at_who: bool,
}

/// One permit that a row stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitText<'a> {
    /// Its id, as in decisions and audit records.
    pub id: String,
    /// The category; none for the core categories as one.
    pub category: Option<&'a CategoryCode>,
    /// The Cedar text.
    pub cedar: String,
}

/// One invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvariantText {
    /// Its id, which is the name of its file.
    pub id: String,
    /// The number of the rule of the covenant that it guards, 1 to 18.
    pub number: u8,
    /// What is never given.
    pub text: Label,
    /// The Cedar text.
    pub cedar: String,
}

/// A special category that a row lets go without explicit consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatutoryGround<'a> {
    /// The row.
    pub row: &'a Row,
    /// The basis.
    pub basis: &'a BasisCode,
    /// The category.
    pub category: &'a CategoryCode,
    /// Only where it is on record that the resident cannot consent.
    pub cannot_consent: bool,
}

/// The facts that make a request worse when they hold.
const AGAINST: [Fact; 6] = [
    Fact::SeveralLifeDomains,
    Fact::AgeGroupContradicted,
    Fact::SubjectByBsn,
    Fact::ObjectionNotWeighed,
    Fact::ObjectionUpheld,
    Fact::Restricted,
];

impl<'a> Paper<'a> {
    /// The rules of this engine.
    #[must_use]
    pub fn of(engine: &'a Engine) -> Self {
        let rules = engine.loaded_rules();
        let reader = Reader::new(rules.vocabulary(), rules.entities());
        let mut withholding = BTreeMap::new();
        for policy in rules.policies() {
            let id = policy.id().to_string();
            if engine.rules().get(&id).is_some_and(|rule| rule.effect == Effect::Withhold) {
                // A rule whose tree cannot be had may apply anywhere; it would not have been loaded.
                let (reach, looks_at_who) = policy.to_pst().map_or_else(
                    |_| (Reach::default(), true),
                    |tree| (reader.reach(tree.body()), looks_at_who(tree.body())),
                );
                withholding.insert(id, Written { cedar: policy.to_string(), reach, looks_at_who });
            }
        }
        Self { engine, withholding }
    }

    /// The rules that withhold, in the order in which they are named, with their Cedar text.
    #[must_use]
    pub fn withholding(&self) -> Vec<(&'a RuleText, &str)> {
        let text = |rule: &'a RuleText| Some((rule, self.withholding.get(&rule.id)?.cedar.as_str()));
        let mut rules: Vec<_> = self.engine.rules().values().filter_map(text).collect();
        rules.sort_by_key(|(rule, _)| rule.order);
        rules
    }

    /// The rules that withhold and can apply to what this row allows, to a note under it too, in their order.
    #[must_use]
    pub fn rules_on(&self, row: &Row) -> Vec<&'a RuleText> {
        let regions = self.regions(row);
        let can = |id: &str| {
            self.withholding.get(id).is_some_and(|rule| regions.iter().any(|region| meet(&rule.reach, region)))
        };
        let mut rules: Vec<_> = self.engine.rules().values().filter(|rule| can(&rule.id)).collect();
        rules.sort_by_key(|rule| rule.order);
        rules
    }

    /// The permits of a row, in the order of its categories.
    #[must_use]
    pub fn permits_of(&self, row: &'a Row) -> Vec<PermitText<'a>> {
        let core = row.core.then_some(None);
        let named = core.into_iter().chain(row.categories.iter().map(Some));
        let text = |category: Option<&'a CategoryCode>| {
            let id = format!("{}-{}", row.id, category.map_or("core", CategoryCode::as_str));
            let permit = self.engine.generated().iter().find(|permit| permit.id == id)?;
            Some(PermitText { cedar: permit.text(), id, category })
        };
        named.filter_map(text).collect()
    }

    /// Where a special category goes without explicit consent, everything else being in place.
    #[must_use]
    pub fn statutory_grounds(&self) -> Vec<StatutoryGround<'a>> {
        let covenant = self.engine.covenant();
        let special = |code: &&CategoryCode| {
            covenant.category(code.as_str()).is_some_and(|category| category.is(CategoryGroup::Special))
        };
        let mut grounds = Vec::new();
        for row in &covenant.rows {
            for basis in row.bases.iter().chain(&row.municipality_bases) {
                for category in row.categories.iter().filter(special) {
                    let goes =
                        |cannot_consent| self.goes_without_explicit_consent(row, basis, category, cannot_consent);
                    if goes(false) {
                        grounds.push(StatutoryGround { row, basis, category, cannot_consent: false });
                    } else if goes(true) {
                        grounds.push(StatutoryGround { row, basis, category, cannot_consent: true });
                    }
                }
            }
        }
        grounds
    }

    /// The invariants, read against the covenant and its schema.
    ///
    /// # Errors
    /// [`Findings`] with everything that is wrong with them.
    pub fn invariants(&self, invariants: &Invariants) -> Result<Vec<InvariantText>, Findings> {
        let read = invariants.read(self.engine.covenant(), self.engine.loaded_rules().schema())?;
        let text = |invariant: super::prove::Invariant| InvariantText {
            cedar: invariant.policy.to_string(),
            id: invariant.id,
            number: invariant.number,
            text: invariant.text,
        };
        Ok(read.into_iter().map(text).collect())
    }

    /// Whether some party may give it to another at some age.
    fn goes_without_explicit_consent(
        &self,
        row: &Row,
        basis: &BasisCode,
        category: &CategoryCode,
        cannot_consent: bool,
    ) -> bool {
        let (rules, covenant) = (self.engine.loaded_rules(), self.engine.covenant());
        let number = |fact, code: &str| rules.vocabulary().kind(fact).number(code);
        let phase = covenant.purpose(row.purpose.as_str()).map_or("", |purpose| purpose.phase.as_str());
        let codes = [
            (Fact::Action, "refer"),
            (Fact::Purpose, row.purpose.as_str()),
            (Fact::Phase, phase),
            (Fact::Basis, basis.as_str()),
            (Fact::Category, category.as_str()),
        ];
        let mut facts = Facts::FIRST;
        for (fact, code) in codes {
            let Some(number) = number(fact, code) else { return false };
            facts = facts.with(fact, number);
        }
        for flag in Fact::ALL.into_iter().filter(|fact| fact.is_flag() && !AGAINST.contains(fact)) {
            facts = facts.with(flag, 1);
        }
        let facts = facts.with(Fact::ExplicitConsent, 0).with(Fact::CannotConsent, u32::from(cannot_consent));
        let (senders, recipients) = (self.parties(&row.from), self.parties(&row.to));
        let ages = 0..u32::try_from(rules.vocabulary().kind(Fact::AgeGroup).entities().len()).unwrap_or(0);
        for (sender, recipient) in senders.iter().flat_map(|sender| recipients.iter().map(move |one| (*sender, *one))) {
            let between = facts.with(Fact::Giver, sender).with(Fact::Sender, sender);
            let between = between.with(Fact::Receiver, recipient).with(Fact::Recipient, recipient);
            for age in ages.clone() {
                match rules.ask(&between.with(Fact::AgeGroup, age)) {
                    Verdict::Permitted(_) => return true,
                    // A rule that does not look at who it is withholds it from everybody.
                    Verdict::Withheld { fired, .. } if fired.iter().any(|id| self.is_for_everybody(id)) => {
                        return false;
                    }
                    _ => {}
                }
            }
        }
        false
    }

    fn is_for_everybody(&self, id: &str) -> bool {
        self.withholding.get(id).is_some_and(|rule| !rule.looks_at_who)
    }

    /// The numbers of the parties that a row means.
    fn parties(&self, named: &[RowParty]) -> Vec<u32> {
        let (covenant, vocabulary) = (self.engine.covenant(), self.engine.loaded_rules().vocabulary());
        let meant = covenant.parties.iter().filter(|party| covenant.names(named, party.id.as_str()));
        meant.filter_map(|party| vocabulary.kind(Fact::Giver).number(party.id.as_str())).collect()
    }

    /// With which values a row lets something go: as a referral, and back as a note.
    fn regions(&self, row: &Row) -> [Vec<(Fact, Vec<u32>)>; 2] {
        let (vocabulary, covenant) = (self.engine.loaded_rules().vocabulary(), self.engine.covenant());
        let number = |fact, code: &str| vocabulary.kind(fact).number(code);
        let phase = covenant.purpose(row.purpose.as_str()).map_or("", |purpose| purpose.phase.as_str());
        let bases = row.bases.iter().chain(&row.municipality_bases);
        let shared = [
            (Fact::Purpose, number(Fact::Purpose, row.purpose.as_str()).into_iter().collect()),
            (Fact::Phase, number(Fact::Phase, phase).into_iter().collect()),
            (Fact::Basis, bases.filter_map(|basis| number(Fact::Basis, basis.as_str())).collect()),
            (Fact::Category, categories(covenant, row).filter_map(|code| number(Fact::Category, code)).collect()),
        ];
        let (from, to) = (self.parties(&row.from), self.parties(&row.to));
        [("refer", &from, &to), ("note", &to, &from)].map(|(action, givers, receivers)| {
            let mut region: Vec<(Fact, Vec<u32>)> = shared.to_vec();
            region.extend([
                (Fact::Action, number(Fact::Action, action).into_iter().collect()),
                (Fact::Giver, givers.clone()),
                (Fact::Receiver, receivers.clone()),
                (Fact::Sender, from.clone()),
                (Fact::Recipient, to.clone()),
            ]);
            region
        })
    }
}

/// Every category of a row by its code, the core ones too.
fn categories<'a>(covenant: &'a Covenant, row: &'a Row) -> impl Iterator<Item = &'a str> {
    let core = covenant.categories.iter().filter(|category| row.core && category.is(CategoryGroup::Core));
    core.map(|category| category.id.as_str()).chain(row.categories.iter().map(CategoryCode::as_str))
}

/// Whether a rule can apply with these values.
fn meet(reach: &Reach, region: &[(Fact, Vec<u32>)]) -> bool {
    region.iter().all(|(fact, values)| {
        reach.of(*fact).is_none_or(|can| {
            let can = |value: &u32| usize::try_from(*value).ok().and_then(|value| can.get(value)).copied();
            values.iter().any(|value| can(value).unwrap_or(false))
        })
    })
}
