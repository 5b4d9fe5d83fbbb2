//! Makes the Cedar permits of the covenant's rows: one per row and category, the core categories as one.
//!
//! A permit is made as a tree, which spares thousands of rows the way through Cedar's parser, and written as text for people.
//!
//! Invariant: a permit depends on the covenant alone and is the same each time. It is never stored, so that the rows
//! of `covenant.toml` stay the only truth.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::Policy;
use cedar_policy::pst;

use super::facts::Fact;
use crate::covenant::{BasisCode, BasisKind, Covenant, Label, Purpose, Row, RowParty};

/// One generated permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GeneratedPermit {
    /// Row and category, such as `debt-counselling-finance`.
    pub id: String,
    /// What it says.
    pub label: Label,
    /// All of these must hold.
    conditions: Vec<Condition>,
}

/// An entity that a permit names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    kind: &'static str,
    id: String,
}

/// What a permit asks of the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    /// A fact is this.
    Is(Fact, Named),
    /// A fact belongs to this.
    IsIn(Fact, Named),
    /// A fact is one of these.
    OneOf(Fact, Vec<Named>),
    /// It does not hold.
    Not(Box<Self>),
    /// All hold.
    All(Vec<Self>),
    /// At least one holds.
    Any(Vec<Self>),
}

/// The permits of all rows, in the order of the covenant.
pub(super) fn permits(covenant: &Covenant) -> Vec<GeneratedPermit> {
    let mut permits = Vec::new();
    for row in &covenant.rows {
        let Some(purpose) = covenant.purpose(row.purpose.as_str()) else { continue };
        if row.core {
            permits.push(permit(covenant, row, purpose, "core", is_in(Fact::Category, "CategoryGroup", "core")));
        }
        for category in &row.categories {
            let condition = is(Fact::Category, "Category", category.as_str());
            permits.push(permit(covenant, row, purpose, category.as_str(), condition));
        }
    }
    permits
}

fn permit(covenant: &Covenant, row: &Row, purpose: &Purpose, what: &str, category: Condition) -> GeneratedPermit {
    let id = format!("{}-{what}", row.id);
    let name = covenant.category(what).map_or_else(
        || Label { nl: "kerngegevens".to_owned(), en: "core data".to_owned() },
        |category| category.label.clone(),
    );
    let label = Label { nl: format!("{}: {}", row.label.nl, name.nl), en: format!("{}: {}", row.label.en, name.en) };
    let mut conditions = vec![
        is(Fact::Purpose, "Purpose", purpose.id.as_str()),
        is(Fact::Phase, "Phase", purpose.phase.as_str()),
        category,
    ];
    conditions.extend(parties(Fact::Sender, &row.from));
    conditions.extend(parties(Fact::Recipient, &row.to));
    conditions.push(bases(covenant, row));
    GeneratedPermit { id, label, conditions }
}

fn is(fact: Fact, kind: &'static str, id: &str) -> Condition {
    Condition::Is(fact, Named { kind, id: id.to_owned() })
}

fn is_in(fact: Fact, kind: &'static str, id: &str) -> Condition {
    Condition::IsIn(fact, Named { kind, id: id.to_owned() })
}

fn is_municipality(who: Fact) -> Condition {
    is_in(who, "Role", "municipality")
}

/// The condition on who sends or receives; none for any party.
fn parties(who: Fact, parties: &[RowParty]) -> Option<Condition> {
    let alternatives: Option<Vec<_>> = parties
        .iter()
        .map(|party| match party {
            RowParty::AnyParty => None,
            RowParty::AnyPartner => Some(Condition::Not(Box::new(is_municipality(who)))),
            RowParty::Municipality => Some(is_municipality(who)),
            RowParty::Named(slug) => Some(is(who, "Party", slug.as_str())),
        })
        .collect();
    alternatives.map(Condition::Any)
}

/// The condition on the basis: consent is not for the municipality where it has a law, and its laws serve only what it
/// sends or receives.
fn bases(covenant: &Covenant, row: &Row) -> Condition {
    let one_of = |bases: &[BasisCode]| {
        let named = bases.iter().map(|basis| Named { kind: "Basis", id: basis.to_string() });
        Condition::OneOf(Fact::Basis, named.collect())
    };
    let mut alternatives = Vec::new();
    if !row.bases.is_empty() {
        let of_anyone = one_of(&row.bases);
        let consent_only = row
            .bases
            .iter()
            .all(|basis| covenant.basis(basis.as_str()).is_some_and(|basis| basis.kind == BasisKind::Consent));
        if row.municipality_bases.is_empty() || !consent_only {
            alternatives.push(of_anyone);
        } else {
            let of_a_partner = Condition::Not(Box::new(is_municipality(Fact::Sender)));
            alternatives.push(Condition::All(vec![of_anyone, of_a_partner]));
        }
    }
    if !row.municipality_bases.is_empty() {
        let with_municipality = Condition::Any(vec![is_municipality(Fact::Sender), is_municipality(Fact::Recipient)]);
        alternatives.push(Condition::All(vec![one_of(&row.municipality_bases), with_municipality]));
    }
    Condition::Any(alternatives)
}

impl GeneratedPermit {
    /// The permit as Cedar text, for people.
    pub(super) fn text(&self) -> String {
        let Self { id, label, conditions } = self;
        let conditions = conditions.iter().map(Condition::text).collect::<Vec<_>>().join(" &&\n  ");
        format!(
            "@id(\"{id}\")\n@rule(\"1\")\n@nl({})\n@en({})\n\
             permit (principal, action in Action::\"give\", resource)\nwhen {{\n  {conditions}\n}};\n",
            quoted(&label.nl),
            quoted(&label.en)
        )
    }
}

impl Condition {
    fn text(&self) -> String {
        let joined = |conditions: &[Self], by| conditions.iter().map(Self::text).collect::<Vec<_>>().join(by);
        match self {
            Self::Is(fact, Named { kind, id }) => format!("context.{fact} == {kind}::\"{id}\""),
            Self::IsIn(fact, Named { kind, id }) => format!("context.{fact} in {kind}::\"{id}\""),
            Self::OneOf(fact, named) => {
                let named: Vec<_> = named.iter().map(|Named { kind, id }| format!("{kind}::\"{id}\"")).collect();
                format!("[{}].contains(context.{fact})", named.join(", "))
            }
            Self::Not(condition) => format!("!({})", condition.text()),
            Self::All(conditions) => format!("({})", joined(conditions, " && ")),
            Self::Any(conditions) => format!("({})", joined(conditions, " || ")),
        }
    }
}

/// A Cedar string literal.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Makes Cedar policies of permits; knows the names of the entity types, each of which Cedar reads once.
pub(super) struct Maker {
    types: BTreeMap<&'static str, pst::EntityType>,
}

impl Maker {
    /// # Errors
    /// A sentence, when Cedar does not take the name of an entity type.
    pub(super) fn new() -> Result<Self, String> {
        let kinds = ["Action", "Purpose", "Phase", "Category", "CategoryGroup", "Party", "Role", "Basis"];
        let named = |kind| Ok((kind, pst::EntityType::from_name(pst::Name::unqualified(kind)?)));
        let types = kinds.into_iter().map(named).collect::<Result<_, pst::PstConstructionError>>();
        Ok(Self { types: types.map_err(|error| error.to_string())? })
    }

    /// The policy of a permit.
    ///
    /// # Errors
    /// A sentence, when Cedar does not take it.
    pub(super) fn policy(&self, permit: &GeneratedPermit) -> Result<Policy, String> {
        let unknown = || "names an entity type that the schema lacks".to_owned();
        let give = self.entity("Action", "give").ok_or_else(unknown)?;
        let condition = self.all(&permit.conditions).ok_or_else(unknown)?;
        let GeneratedPermit { id, label, .. } = permit;
        let annotations = [("id", id.as_str()), ("rule", "1"), ("nl", &label.nl), ("en", &label.en)];
        let template = pst::Template::new(
            pst::PolicyID(id.as_str().into()),
            pst::Effect::Permit,
            pst::PrincipalConstraint::Any,
            pst::ActionConstraint::In(vec![give]),
            pst::ResourceConstraint::Any,
        )
        .with_annotations(annotations.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect())
        .try_with_clauses([pst::Clause::When(condition)])
        .map_err(|error| error.to_string())?;
        let permit = pst::StaticPolicy::try_from(template).map_err(|error| error.to_string())?;
        Policy::from_pst(pst::Policy::Static(permit)).map_err(|error| error.to_string())
    }

    fn entity(&self, kind: &str, id: &str) -> Option<pst::EntityUID> {
        Some(pst::EntityUID { ty: self.types.get(kind)?.clone(), eid: id.into() })
    }

    fn literal(&self, Named { kind, id }: &Named) -> Option<Arc<pst::Expr>> {
        Some(Arc::new(pst::Expr::Literal(pst::Literal::EntityUID(self.entity(kind, id)?))))
    }

    fn tree(&self, condition: &Condition) -> Option<Arc<pst::Expr>> {
        Some(match condition {
            Condition::Is(fact, named) => binary(pst::BinaryOp::Eq, of_context(*fact), self.literal(named)?),
            Condition::IsIn(fact, named) => binary(pst::BinaryOp::In, of_context(*fact), self.literal(named)?),
            Condition::OneOf(fact, named) => {
                let set = named.iter().map(|named| self.literal(named)).collect::<Option<_>>()?;
                binary(pst::BinaryOp::Contains, Arc::new(pst::Expr::Set(set)), of_context(*fact))
            }
            Condition::Not(condition) => {
                Arc::new(pst::Expr::UnaryOp { op: pst::UnaryOp::Not, expr: self.tree(condition)? })
            }
            Condition::All(conditions) => self.all(conditions)?,
            Condition::Any(conditions) => self.joined(pst::BinaryOp::Or, conditions)?,
        })
    }

    fn all(&self, conditions: &[Condition]) -> Option<Arc<pst::Expr>> {
        self.joined(pst::BinaryOp::And, conditions)
    }

    fn joined(&self, by: pst::BinaryOp, conditions: &[Condition]) -> Option<Arc<pst::Expr>> {
        let (first, others) = conditions.split_first()?;
        others.iter().try_fold(self.tree(first)?, |left, right| Some(binary(by, left, self.tree(right)?)))
    }
}

fn binary(op: pst::BinaryOp, left: Arc<pst::Expr>, right: Arc<pst::Expr>) -> Arc<pst::Expr> {
    Arc::new(pst::Expr::BinaryOp { op, left, right })
}

fn of_context(fact: Fact) -> Arc<pst::Expr> {
    let context = Arc::new(pst::Expr::Var(pst::Var::Context));
    Arc::new(pst::Expr::GetAttr { expr: context, attr: fact.as_str().into() })
}
