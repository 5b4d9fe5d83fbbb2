//! The codes of one covenant as small numbers, with the Cedar values that they stand for, made once when it is loaded.
//!
//! Invariant: a number comes from the covenant or a closed list. A code that is on neither has none, so nothing that is
//! kept per number can grow with what callers send.

use std::collections::HashMap;

use cedar_policy::{EntityUid, RestrictedExpression};

use super::facts::{Fact, NOT_NAMED, OF_RIGHTS};
use super::load::uid;
use super::request::{Action, AgeGroup};
use crate::covenant::{Covenant, Phase};
use crate::ids::Oin;

/// What an unstated age group is called in the schema.
pub(super) const UNKNOWN_AGE: &str = "unknown";

/// The values of one entity type, numbered in the order of the covenant.
#[derive(Debug, Default)]
pub(super) struct Kind {
    numbers: HashMap<String, u32>,
    values: Vec<(EntityUid, RestrictedExpression)>,
}

impl Kind {
    /// Values of this entity type; one that cannot be written as an entity has no number.
    fn of<'a>(entity_type: &str, ids: impl Iterator<Item = &'a str>) -> Self {
        let mut kind = Self::default();
        for id in ids {
            if let (Some(uid), Ok(number)) = (uid(entity_type, id), u32::try_from(kind.values.len())) {
                kind.numbers.insert(id.to_owned(), number);
                kind.values.push((uid.clone(), RestrictedExpression::new_entity_uid(uid)));
            }
        }
        kind
    }

    /// The number of a code, if it is one.
    pub(super) fn number(&self, code: &str) -> Option<u32> {
        self.numbers.get(code).copied()
    }

    /// Every value as a Cedar entity, in the order of the numbers.
    pub(super) fn entities(&self) -> impl ExactSizeIterator<Item = &EntityUid> {
        self.values.iter().map(|(uid, _)| uid)
    }

    fn value(&self, number: u32) -> Option<&(EntityUid, RestrictedExpression)> {
        self.values.get(usize::try_from(number).ok()?)
    }
}

/// All numbered codes of one covenant.
#[derive(Debug)]
pub(super) struct Vocabulary {
    actions: Kind,
    parties: Kind,
    purposes: Kind,
    phases: Kind,
    bases: Kind,
    categories: Kind,
    age_groups: Kind,
    flags: Kind,
    organisations: HashMap<Oin, u32>,
    not_named: u32,
    /// Whether the schema has the facts of [`super::facts::OF_RIGHTS`].
    rights: bool,
    /// Whether rules look at each of them.
    weighs_rights: bool,
}

impl Vocabulary {
    /// The vocabulary of a covenant; none only when an entity type of the schema were no Cedar name, which ours are.
    /// `rights`: the schema has the facts about what the resident asked by right.
    pub(super) fn of(covenant: &Covenant, rights: bool) -> Option<Self> {
        let slugs = covenant.parties.iter().map(|party| party.id.as_str());
        let parties = Kind::of("Party", slugs.chain([NOT_NAMED]));
        let numbered = |party: &crate::covenant::Party| Some((party.oin.clone(), parties.number(party.id.as_str())?));
        let ages = AgeGroup::ALL.iter().map(|age| age.as_str()).chain([UNKNOWN_AGE]);
        Some(Self {
            actions: Kind::of("Action", Action::ALL.iter().map(|action| action.as_str())),
            purposes: Kind::of("Purpose", covenant.purposes.iter().map(|purpose| purpose.id.as_str())),
            phases: Kind::of("Phase", Phase::ALL.iter().map(|phase| phase.as_str())),
            bases: Kind::of("Basis", covenant.bases.iter().map(|basis| basis.id.as_str())),
            categories: Kind::of("Category", covenant.categories.iter().map(|category| category.id.as_str())),
            age_groups: Kind::of("AgeGroup", ages),
            flags: Kind::default(),
            organisations: covenant.parties.iter().filter_map(numbered).collect(),
            not_named: parties.number(NOT_NAMED)?,
            parties,
            rights,
            weighs_rights: rights,
        })
    }

    /// Whether the schema has the facts about what the resident asked by right.
    pub(super) const fn knows_rights(&self) -> bool {
        self.rights
    }

    /// The same, where no rule looks at one of these facts: a schema alone stops nothing.
    pub(super) fn without_rules_on_rights(self) -> Self {
        Self { weighs_rights: false, ..self }
    }

    /// Whether the rules weigh what the resident asked by right.
    pub(super) const fn weighs_rights(&self) -> bool {
        self.weighs_rights
    }

    /// Whether the schema has this fact.
    pub(super) fn has(&self, fact: Fact) -> bool {
        self.rights || !OF_RIGHTS.contains(&fact)
    }

    /// The values that a fact can have; none for a yes or no.
    pub(super) fn kind(&self, fact: Fact) -> &Kind {
        match fact {
            Fact::Action => &self.actions,
            Fact::Giver | Fact::Receiver | Fact::Sender | Fact::Recipient => &self.parties,
            Fact::Purpose => &self.purposes,
            Fact::Phase => &self.phases,
            Fact::Basis => &self.bases,
            Fact::Category => &self.categories,
            Fact::AgeGroup => &self.age_groups,
            _ => &self.flags,
        }
    }

    /// The number of an organisation: that of its party, or of the stand-in for all that the covenant does not name.
    pub(super) fn organisation(&self, oin: &Oin) -> u32 {
        self.organisations.get(oin).copied().unwrap_or(self.not_named)
    }

    /// The Cedar entity that a number stands for.
    pub(super) fn entity(&self, fact: Fact, number: u32) -> Option<&EntityUid> {
        self.kind(fact).value(number).map(|(uid, _)| uid)
    }

    /// The same as a value of the context.
    pub(super) fn expression(&self, fact: Fact, number: u32) -> Option<&RestrictedExpression> {
        self.kind(fact).value(number).map(|(_, expression)| expression)
    }

    /// The code that a number stands for; empty for a yes or no.
    pub(super) fn code(&self, fact: Fact, number: u32) -> &str {
        self.entity(fact, number).map_or("", |uid| uid.id().unescaped())
    }
}
