//! What is wrong with a value, told to the caller: where, which kind of mistake, what was expected.
//!
//! Invariant: the offending value is never in the text; a name that the caller made up is there only if it looks like a
//! name.

use std::collections::BTreeSet;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::format;
use super::schema::{Schema, UNIQUE_BY};
use crate::problem::InvalidParam;

/// Everything that is wrong with a value that is called `root` (empty for a body, whose members stand for themselves).
pub(super) fn violations(schema: &Schema, value: &Value, root: &str) -> Vec<InvalidParam> {
    if schema.is_valid(value) {
        return Vec::new();
    }
    let all: Vec<InvalidParam> = schema.errors(value).flat_map(|error| explain(&error, root)).collect();
    let wrong_type: BTreeSet<String> =
        all.iter().filter(|param| param.code == "type").map(|param| param.name.clone()).collect();
    let mut said = BTreeSet::new();
    all.into_iter()
        // A value of the wrong type is wrong in every other respect too, which tells the caller nothing.
        .filter(|param| param.code == "type" || !wrong_type.contains(&param.name))
        .filter(|param| said.insert((param.name.clone(), param.code.clone())))
        .collect()
}

fn explain(error: &ValidationError<'_>, root: &str) -> Vec<InvalidParam> {
    let place = place(root, error.instance_path());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![InvalidParam::new(member(&place, name), "required", "this field is required")]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| InvalidParam::new(member(&place, name), "unknown-field", "there is no such field here"))
            .collect(),
        kind => {
            let (code, reason) = describe(kind);
            vec![InvalidParam::new(if place.is_empty() { "body".to_owned() } else { place }, code, reason)]
        }
    }
}

fn describe(kind: &ValidationErrorKind) -> (&'static str, String) {
    use ValidationErrorKind as Is;
    match kind {
        Is::Enum { options } => ("unknown-code", format!("expected one of {}", codes(options))),
        Is::Type { kind } => ("type", format!("expected {}", types(kind))),
        Is::Pattern { pattern } => ("pattern", format!("expected the form {pattern}")),
        Is::Format { format } => ("format", format!("expected {}", format::expected(format))),
        Is::MaxLength { limit } => ("too-long", format!("expected at most {limit} characters")),
        Is::MinLength { limit } => ("too-short", format!("expected at least {limit} characters")),
        Is::MaxItems { limit } => ("too-many", format!("expected at most {limit} items")),
        Is::MinItems { limit } => ("too-few", format!("expected at least {limit} items")),
        Is::MaxProperties { limit } => ("too-many", format!("expected at most {limit} fields")),
        Is::MinProperties { limit } => ("too-few", format!("expected at least {limit} fields")),
        Is::Maximum { limit } => ("range", format!("expected at most {limit}")),
        Is::Minimum { limit } => ("range", format!("expected at least {limit}")),
        Is::ExclusiveMaximum { limit } => ("range", format!("expected less than {limit}")),
        Is::ExclusiveMinimum { limit } => ("range", format!("expected more than {limit}")),
        Is::UniqueItems => ("repeated", "each item may occur only once".to_owned()),
        // The text of a custom keyword is made in `schema.rs` from the document alone.
        Is::Custom { keyword, message } if keyword == UNIQUE_BY => ("repeated", message.clone()),
        Is::Custom { message, .. } => ("alternatives", message.clone()),
        _ => ("invalid", "this does not fit the contract".to_owned()),
    }
}

fn codes(options: &Value) -> String {
    let names = options.as_array().into_iter().flatten().map(|code| match code {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    names.collect::<Vec<_>>().join(", ")
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => article(*one).to_owned(),
        TypeKind::Multiple(several) => several.iter().map(article).collect::<Vec<_>>().join(" or "),
    }
}

const fn article(of: JsonType) -> &'static str {
    match of {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}

/// A path in the way that people write it: `sections[1].category`.
fn place(root: &str, path: &Location) -> String {
    path.iter().fold(root.to_owned(), |place, segment| match segment {
        LocationSegment::Index(index) => format!("{place}[{index}]"),
        LocationSegment::Property(name) => member(&place, &name),
    })
}

/// The name of a member at a place; one that does not look like a name is not repeated.
pub(in crate::http) fn member(place: &str, name: &str) -> String {
    let name = if looks_like_a_name(name) { name } else { "(unreadable name)" };
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// Letters, digits, and what occurs in file names; begins with a letter and has few digits, so that it is no number of a
/// person.
pub(super) fn looks_like_a_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(allowed)
        && text.chars().filter(char::is_ascii_digit).count() < 6
}
