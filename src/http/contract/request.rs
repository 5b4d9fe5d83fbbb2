//! Whether a request fits its operation.
//!
//! Invariant: all violations are collected, and a request without violations has every required part, of its type.

use std::collections::BTreeMap;

use serde_json::Value;

use super::operation::{Kind, Operation, Parameter, Place};
use super::violation::{looks_like_a_name, violations};
use crate::problem::InvalidParam;

/// A request, taken apart but not interpreted.
pub struct Request<'a> {
    /// The values of the path's templates, decoded.
    pub path: &'a [(String, String)],
    /// The pairs of the query, decoded, in their order.
    pub query: &'a [(String, String)],
    /// Gives the value of a header by its name, whatever the case; none when it is absent or no visible ASCII.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The JSON body; none when the request has no body.
    pub body: Option<&'a Value>,
}

/// What is known after validation.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// The parameters of the query with their types, defaults filled in.
    pub query: BTreeMap<String, Value>,
}

/// Checks path, query, headers and body.
pub(super) fn validate(operation: &Operation, request: &Request<'_>) -> Result<Validated, Vec<InvalidParam>> {
    let mut wrong = unknown_parameters(operation, request);
    let mut query = BTreeMap::new();
    for parameter in &operation.parameters {
        let given = match parameter.place {
            Place::Path => single(request.path, &parameter.name, &mut wrong),
            Place::Query => single(request.query, &parameter.name, &mut wrong),
            Place::Header => (request.header)(&parameter.name),
        };
        let value = read(parameter, given, &mut wrong);
        if let (Place::Query, Some(value)) = (parameter.place, value) {
            query.insert(parameter.name.clone(), value);
        }
    }
    match (&operation.body, request.body) {
        (Some(expected), Some(body)) => wrong.extend(violations(&expected.schema, body, "")),
        (Some(expected), None) if expected.required => {
            wrong.push(InvalidParam::new("body", "required", "a JSON body is required"));
        }
        (None, Some(_)) => wrong.push(InvalidParam::new("body", "unknown-field", "this operation takes no body")),
        (_, None) => {}
    }
    if wrong.is_empty() { Ok(Validated { query }) } else { Err(wrong) }
}

fn unknown_parameters(operation: &Operation, request: &Request<'_>) -> Vec<InvalidParam> {
    let known = |name: &str| {
        operation.parameters.iter().any(|parameter| parameter.place == Place::Query && parameter.name == name)
    };
    let unknown = request.query.iter().filter(|(name, _)| !known(name));
    unknown
        .map(|(name, _)| {
            let name = if looks_like_a_name(name) { name } else { "(unreadable name)" };
            InvalidParam::new(name, "unknown-parameter", "there is no such parameter here")
        })
        .collect()
}

/// The value of a parameter, which may stand there only once.
fn single<'a>(pairs: &'a [(String, String)], name: &str, wrong: &mut Vec<InvalidParam>) -> Option<&'a str> {
    let mut values = pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() {
        wrong.push(InvalidParam::new(name, "repeated", "this parameter may occur only once"));
    }
    first
}

/// The typed value of a parameter, or its default.
fn read(parameter: &Parameter, given: Option<&str>, wrong: &mut Vec<InvalidParam>) -> Option<Value> {
    let name = parameter.name.as_str();
    let Some(text) = given else {
        if parameter.required {
            let what = if parameter.place == Place::Header { "this header is required" } else { "this is required" };
            wrong.push(InvalidParam::new(name, "required", what));
        }
        return parameter.default.clone();
    };
    let value = match parameter.kind {
        Kind::Text => Some(Value::from(text)),
        Kind::Integer => text.parse::<i64>().ok().map(Value::from),
        Kind::Boolean => text.parse::<bool>().ok().map(Value::from),
    };
    let Some(value) = value else {
        let expected = if parameter.kind == Kind::Integer { "a whole number" } else { "true or false" };
        wrong.push(InvalidParam::new(name, "type", format!("expected {expected}")));
        return None;
    };
    wrong.extend(violations(&parameter.schema, &value, name));
    Some(value)
}
