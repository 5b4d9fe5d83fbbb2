//! What holds of everything that Cedar is ever shown, as one more `forbid`: whatever contradicts it is given by nobody.
//!
//! The symbolic compiler knows the schema and nothing of the covenant: for it any category may be special and any party the municipality. So
//! the entities and values that the engine decides with are written out as conditions. Invariant: they are read from the engine's own entities
//! and vocabulary, never from the covenant a second time, so that a proof is about what is really asked.

use cedar_policy::{Entities, EntityTypeName, EntityUid, EvalResult, Policy, PolicyId, Schema};

use super::super::facts::Fact;
use super::super::vocabulary::Vocabulary;

/// The name of the statement; no rule can have it.
const ID: &str = "the covenant as it is";

/// The facts whose values the covenant lists. Actions, phases and age groups are listed by the schema.
const LISTED: [Fact; 7] =
    [Fact::Giver, Fact::Receiver, Fact::Sender, Fact::Recipient, Fact::Purpose, Fact::Basis, Fact::Category];

/// The statement for these entities and this vocabulary.
///
/// # Errors
/// A sentence, when an entity holds what cannot be written as a condition.
pub(super) fn world(vocabulary: &Vocabulary, entities: &Entities, schema: &Schema) -> Result<Policy, String> {
    let mut conditions: Vec<String> = LISTED.into_iter().map(|fact| one_of_the_listed(vocabulary, fact)).collect();
    let mut sorted: Vec<_> = entities.iter().collect();
    sorted.sort_by_key(|entity| entity.uid());
    for entity in sorted {
        let uid = entity.uid();
        for (name, value) in entity.attrs() {
            match value {
                Ok(EvalResult::Bool(true)) => conditions.push(format!("{uid}[{name:?}]")),
                Ok(EvalResult::Bool(false)) => conditions.push(format!("!({uid}[{name:?}])")),
                _ => return Err(format!("the attribute {name} of {uid} is no yes or no")),
            }
        }
        conditions.extend(memberships(&uid, entities, schema));
    }
    let text = format!("forbid (principal, action, resource) unless {{\n  {}\n}};", all_of(&conditions));
    Policy::parse(Some(PolicyId::new(ID)), text).map_err(|error| error.to_string())
}

fn one_of_the_listed(vocabulary: &Vocabulary, fact: Fact) -> String {
    let values: Vec<_> = vocabulary.kind(fact).entities().map(ToString::to_string).collect();
    let subject = match fact {
        Fact::Giver | Fact::Receiver => fact.as_str().to_owned(),
        _ => format!("context.{fact}"),
    };
    format!("[{}].contains({subject})", values.join(", "))
}

/// Of each group that an entity could belong to whether it does.
fn memberships(uid: &EntityUid, entities: &Entities, schema: &Schema) -> Vec<String> {
    // What an action belongs to is in the schema.
    let kind = uid.type_name();
    if kind.basename() == "Action" {
        return Vec::new();
    }
    let kinds: Vec<&EntityTypeName> = schema.ancestors(kind).into_iter().flatten().collect();
    let mut groups: Vec<_> = entities.iter().map(cedar_policy::Entity::uid).collect();
    groups.retain(|group| kinds.contains(&group.type_name()));
    groups.sort();
    let said = |group: EntityUid| {
        if entities.is_ancestor_of(&group, uid) { format!("{uid} in {group}") } else { format!("!({uid} in {group})") }
    };
    groups.into_iter().map(said).collect()
}

/// All conditions joined in pairs of pairs, so that the expression is no deeper than it must be.
fn all_of(conditions: &[String]) -> String {
    match conditions {
        [] => "true".to_owned(),
        [one] => one.clone(),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            format!("({} &&\n  {})", all_of(left), all_of(right))
        }
    }
}
