//! From `OpenAPI` 3.0 schemas to compiled JSON Schema validators.
//!
//! Invariants: a keyword that is not in [`KEYWORDS`] does not load; patterns run in linear time; nothing is fetched.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use jsonschema::paths::Location;
use jsonschema::{Draft, Keyword, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::error::ContractError;
use super::format;

/// What a schema may hold: each is enforced, or says nothing about validity.
const KEYWORDS: &[&str] = &[
    "additionalProperties",
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "type",
    "uniqueItems",
    UNIQUE_BY,
];
/// An array whose items differ in this member.
pub(super) const UNIQUE_BY: &str = "x-unique-by";
/// What `oneOf` becomes: exactly one of these members is there. Not for the document itself.
pub(super) const EXACTLY_ONE: &str = "x-exactly-one";

/// What `anyOf` becomes: at least one of these members is there. Not for the document itself.
pub(super) const AT_LEAST_ONE: &str = "x-at-least-one";

/// For whom a schema is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    /// As the document says it.
    Request,
    /// Objects hold only the members that the document names, also where it leaves that open for later versions.
    Response,
}

/// A compiled schema.
#[derive(Debug, Clone)]
pub(super) struct Schema(Arc<Validator>);

impl Schema {
    /// What is wrong with the value.
    pub(super) fn errors<'a>(&'a self, value: &'a Value) -> impl Iterator<Item = ValidationError<'a>> {
        self.0.iter_errors(value)
    }

    /// Whether the value fits; faster than asking for errors.
    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }
}

/// The schemas of a document, translated, and those compiled so far.
pub(super) struct Schemas {
    named: BTreeMap<Direction, BTreeMap<String, Value>>,
    compiled: RefCell<BTreeMap<(Direction, String), Schema>>,
}

impl Schemas {
    /// Translates the schemas under `components`.
    pub(super) fn read(document: &Value) -> Result<Self, ContractError> {
        let empty = Map::new();
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object).unwrap_or(&empty);
        let mut named = BTreeMap::new();
        for direction in [Direction::Request, Direction::Response] {
            let mut translated = BTreeMap::new();
            for (name, schema) in schemas {
                let place = format!("components.schemas.{name}");
                translated.insert(name.clone(), translate(schema, direction, &place)?);
            }
            named.insert(direction, translated);
        }
        Ok(Self { named, compiled: RefCell::default() })
    }

    /// The `type` of a schema, through its reference.
    pub(super) fn type_of<'a>(&'a self, schema: &'a Value) -> Option<&'a str> {
        let target = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.named.get(&Direction::Request)?.get(name_of(reference)?)?,
            None => schema,
        };
        target.get("type").and_then(Value::as_str)
    }

    /// Compiles a schema of the document; the same schema is compiled once.
    pub(super) fn compile(&self, schema: &Value, direction: Direction, place: &str) -> Result<Schema, ContractError> {
        let key = (direction, schema.to_string());
        if let Some(known) = self.compiled.borrow().get(&key) {
            return Ok(known.clone());
        }
        let mut root = translate(schema, direction, place)?;
        let mut needed = BTreeMap::new();
        self.gather(&root, direction, place, &mut needed)?;
        if let Some(members) = root.as_object_mut() {
            members.insert("components".to_owned(), json!({ "schemas": needed }));
        }
        let compiled = Schema(Arc::new(build(&root).map_err(|e| ContractError::new(place, e.to_string()))?));
        self.compiled.borrow_mut().insert(key, compiled.clone());
        Ok(compiled)
    }

    /// Adds what a translated schema refers to, directly or not.
    fn gather(
        &self,
        schema: &Value,
        direction: Direction,
        place: &str,
        needed: &mut BTreeMap<String, Value>,
    ) -> Result<(), ContractError> {
        match schema {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    let unknown = || ContractError::new(place, format!("{reference} refers to nothing"));
                    let name = name_of(reference).ok_or_else(unknown)?;
                    let target = self.named.get(&direction).and_then(|all| all.get(name)).ok_or_else(unknown)?;
                    if let Entry::Vacant(entry) = needed.entry(name.to_owned()) {
                        entry.insert(target.clone());
                        self.gather(target, direction, place, needed)?;
                    }
                }
                members.values().try_for_each(|member| self.gather(member, direction, place, needed))
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.gather(item, direction, place, needed)),
            _ => Ok(()),
        }
    }
}

fn name_of(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/components/schemas/")
}

/// Draft 4, because there as in `OpenAPI` 3.0 `exclusiveMinimum` is a boolean; the regular expressions without backtracking.
fn build(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .with_draft(Draft::Draft4)
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .with_format("uuid", format::is_uuid)
        .with_format("date", format::is_date)
        .with_format("date-time", format::is_date_time)
        .with_format("bsn", format::is_bsn_if_nine_digits)
        .with_format("reference-without-bsn", format::is_reference_without_bsn)
        .with_keyword(UNIQUE_BY, unique_by)
        .with_keyword(EXACTLY_ONE, exactly_one)
        .with_keyword(AT_LEAST_ONE, at_least_one)
        .build(schema)
}

/// Rewrites what `OpenAPI` 3.0 says in another way than JSON Schema, and refuses what is not enforced.
fn translate(schema: &Value, direction: Direction, place: &str) -> Result<Value, ContractError> {
    let members = schema.as_object().ok_or_else(|| ContractError::new(place, "a schema is an object"))?;
    if members.contains_key("$ref") {
        // What stands beside a reference is ignored by `OpenAPI` 3.0: whoever wrote it expects otherwise.
        return if members.len() == 1 {
            Ok(schema.clone())
        } else {
            Err(ContractError::new(place, "nothing may stand beside $ref"))
        };
    }
    if let Some(unknown) = members.keys().find(|name| !KEYWORDS.contains(&name.as_str())) {
        return Err(ContractError::new(place, format!("the keyword {unknown} is not supported")));
    }
    check_format(members, place)?;
    let mut out = members.clone();
    for name in ["description", "example", "default", "nullable", "oneOf", "anyOf"] {
        out.remove(name);
    }
    out.insert("type".to_owned(), types(members, place)?);
    for (name, keyword) in [("oneOf", EXACTLY_ONE), ("anyOf", AT_LEAST_ONE)] {
        if let Some(alternatives) = members.get(name) {
            out.insert(keyword.to_owned(), alternative_members(alternatives, name, place)?);
        }
    }
    if let Some(Value::Object(properties)) = members.get("properties") {
        let mut translated = Map::new();
        for (name, property) in properties {
            translated.insert(name.clone(), translate(property, direction, &format!("{place}.{name}"))?);
        }
        out.insert("properties".to_owned(), Value::Object(translated));
        if direction == Direction::Response {
            out.entry("additionalProperties").or_insert(Value::Bool(false));
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner @ Value::Object(_)) = members.get(name) {
            out.insert(name.to_owned(), translate(inner, direction, &format!("{place}.{name}"))?);
        }
    }
    Ok(Value::Object(out))
}

fn check_format(members: &Map<String, Value>, place: &str) -> Result<(), ContractError> {
    match members.get("format") {
        None => Ok(()),
        Some(Value::String(name)) if format::NAMES.contains(&name.as_str()) => Ok(()),
        Some(other) => Err(ContractError::new(place, format!("the format {other} is not supported"))),
    }
}

/// The JSON types; `nullable` needs a type beside it, and null in the list of codes if there is one (`OpenAPI` 3.0.3,
/// proposal 2019-10-31 "clarify nullable").
fn types(members: &Map<String, Value>, place: &str) -> Result<Value, ContractError> {
    let Some(Value::String(name)) = members.get("type") else {
        return Err(ContractError::new(place, "a schema has a type"));
    };
    if members.get("nullable") != Some(&Value::Bool(true)) {
        return Ok(Value::String(name.clone()));
    }
    match members.get("enum") {
        Some(Value::Array(codes)) if !codes.contains(&Value::Null) => {
            Err(ContractError::new(place, "a nullable list of codes has null in it"))
        }
        _ => Ok(json!([name, "null"])),
    }
}

/// `oneOf` and `anyOf` are supported in one form: alternatives that each require one member.
fn alternative_members(alternatives: &Value, name: &str, place: &str) -> Result<Value, ContractError> {
    let names = alternatives.as_array().and_then(|all| all.iter().map(single_requirement).collect::<Option<Vec<_>>>());
    match names {
        Some(names) if names.len() > 1 => Ok(Value::Array(names)),
        _ => Err(ContractError::new(
            place,
            format!("{name} is supported only as a choice between single required members"),
        )),
    }
}

fn single_requirement(alternative: &Value) -> Option<Value> {
    let members = alternative.as_object().filter(|members| members.len() == 1)?;
    match members.get("required")?.as_array()?.as_slice() {
        [name @ Value::String(_)] => Some(name.clone()),
        _ => None,
    }
}

type BoxedKeyword = Box<dyn for<'i> Keyword<'i>>;

fn unique_by<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<BoxedKeyword, ValidationError<'a>> {
    match value {
        Value::String(member) => Ok(Box::new(UniqueBy(member.clone()))),
        _ => Err(ValidationError::schema("expected the name of a member")),
    }
}

struct UniqueBy(String);

impl<'i> Keyword<'i> for UniqueBy {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        Err(ValidationError::custom(format!("each {} may occur only once", self.0)))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let mut seen = Vec::new();
        instance.as_array().is_none_or(|items| {
            items.iter().filter_map(|item| item.get(&self.0)).all(|value| {
                let fresh = !seen.contains(&value);
                seen.push(value);
                fresh
            })
        })
    }
}

fn exactly_one<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<BoxedKeyword, ValidationError<'a>> {
    choice(value, false)
}

fn at_least_one<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<BoxedKeyword, ValidationError<'a>> {
    choice(value, true)
}

fn choice(members: &Value, several: bool) -> Result<BoxedKeyword, ValidationError<'_>> {
    match serde_json::from_value(members.clone()) {
        Ok(members) => Ok(Box::new(Choice { members, several })),
        Err(_) => Err(ValidationError::schema("expected the names of members")),
    }
}

/// A choice between members of an object.
struct Choice {
    members: Vec<String>,
    /// Whether more than one of them may be there.
    several: bool,
}

impl<'i> Keyword<'i> for Choice {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        let number = if self.several { "at least" } else { "exactly" };
        Err(ValidationError::custom(format!("{number} one of {} is required", self.members.join(", "))))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let there = |object: &Map<String, Value>| self.members.iter().filter(|name| object.contains_key(*name)).count();
        instance.as_object().is_none_or(|object| match there(object) {
            0 => false,
            1 => true,
            _ => self.several,
        })
    }
}
