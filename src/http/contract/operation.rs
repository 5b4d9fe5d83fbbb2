//! The operations of the document: method, path, scopes, parameters, body and answers, with compiled validators.
//!
//! Invariant: an operation that is partly understood does not exist; loading fails instead.

use std::collections::BTreeMap;

use openapiv3::{OpenAPI, ReferenceOr, StatusCode};
use serde_json::{Map, Value};

use super::error::ContractError;
use super::schema::{Direction, Schema, Schemas};

/// One method at one path.
#[derive(Debug)]
pub struct Operation {
    /// `operationId`.
    pub id: String,
    /// The HTTP method, upper case.
    pub method: String,
    /// The path template as the document has it, without the base path: `/referrals/{id}`.
    pub path: String,
    /// The scopes of which the token must have one; empty for any valid token; none for a public operation.
    pub scopes: Option<Vec<String>>,
    /// Parameters in path, query and headers.
    pub parameters: Vec<Parameter>,
    /// The body, if the operation takes one.
    pub body: Option<RequestBody>,
    /// The answers, by status.
    pub responses: BTreeMap<u16, Response>,
}

impl Operation {
    /// Whether `Idempotency-Key` must be sent.
    #[must_use]
    pub fn requires_idempotency_key(&self) -> bool {
        self.parameters.iter().any(|parameter| {
            parameter.required && parameter.place == Place::Header && parameter.name == "Idempotency-Key"
        })
    }

    /// The media types of the answers below 400, to compare `Accept` with; empty when they have no body.
    #[must_use]
    pub fn media_types(&self) -> Vec<&str> {
        let success = self.responses.iter().filter(|(status, _)| **status < 400);
        let mut types: Vec<&str> =
            success.flat_map(|(_, response)| response.content.keys().map(String::as_str)).collect();
        types.sort_unstable();
        types.dedup();
        types
    }
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

/// As what a parameter is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// A parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name; header names in the document's spelling.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether it must be there.
    pub required: bool,
    /// As what it is read.
    pub kind: Kind,
    /// What it is when it is not there.
    pub default: Option<Value>,
    pub(super) schema: Schema,
}

/// A JSON body.
#[derive(Debug)]
pub struct RequestBody {
    /// Whether it must be there.
    pub required: bool,
    /// The media types that are accepted.
    pub media_types: Vec<String>,
    pub(super) schema: Schema,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub(super) headers: Vec<ResponseHeader>,
    pub(super) content: BTreeMap<String, Schema>,
}

#[derive(Debug)]
pub(super) struct ResponseHeader {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) schema: Schema,
}

/// Reads every operation of the document.
pub(super) fn read(
    document: &Value,
    typed: &OpenAPI,
    schemas: &Schemas,
) -> Result<BTreeMap<(String, String), Operation>, ContractError> {
    let reader = Reader { document, schemas };
    let mut operations = BTreeMap::new();
    for (template, item) in typed.paths.iter() {
        let ReferenceOr::Item(item) = item else {
            return Err(ContractError::new(template.as_str(), "a path item may not be a reference"));
        };
        let raw = document.get("paths").and_then(|paths| paths.get(template));
        let raw = raw.ok_or_else(|| ContractError::new(template.as_str(), "is not in the document"))?;
        if raw.get("parameters").is_some() {
            return Err(ContractError::new(template.as_str(), "parameters belong to the operations"));
        }
        for (method, operation) in item.iter() {
            let place = format!("{method} {template}");
            let raw = raw.get(method).ok_or_else(|| ContractError::new(place.as_str(), "is not in the document"))?;
            let operation = reader.operation(raw, operation, typed, method, template, &place)?;
            operations.insert((template.clone(), operation.method.clone()), operation);
        }
    }
    Ok(operations)
}

/// The path of the servers' addresses, the same for all of them.
pub(super) fn base_path(typed: &OpenAPI) -> Result<String, ContractError> {
    let wrong = |what: &str| ContractError::new("servers", what);
    let mut paths = Vec::new();
    for server in &typed.servers {
        let url = url::Url::parse(&server.url).map_err(|_| wrong("expected an absolute address"))?;
        paths.push(url.path().trim_end_matches('/').to_owned());
    }
    paths.dedup();
    match paths.as_slice() {
        [path] => Ok(path.clone()),
        _ => Err(wrong("expected addresses with one and the same path")),
    }
}

struct Reader<'a> {
    document: &'a Value,
    schemas: &'a Schemas,
}

impl<'a> Reader<'a> {
    fn operation(
        &self,
        raw: &'a Value,
        typed: &openapiv3::Operation,
        document: &OpenAPI,
        method: &str,
        path: &str,
        place: &str,
    ) -> Result<Operation, ContractError> {
        let id = typed.operation_id.clone().ok_or_else(|| ContractError::new(place, "has no operationId"))?;
        let security = typed.security.as_ref().or(document.security.as_ref());
        let parameters = raw.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let parameters: Vec<Parameter> =
            parameters.iter().map(|parameter| self.parameter(parameter, place)).collect::<Result<_, _>>()?;
        check_path(path, &parameters, place)?;
        let body = raw.get("requestBody").map(|body| self.body(body, place)).transpose()?;
        let mut responses = BTreeMap::new();
        for status in typed.responses.responses.keys() {
            let StatusCode::Code(code) = status else {
                return Err(ContractError::new(place, "ranges of statuses are not supported"));
            };
            let raw = raw.get("responses").and_then(|all| all.get(code.to_string()));
            let raw = raw.ok_or_else(|| ContractError::new(place, format!("{code} must be written as text")))?;
            responses.insert(*code, self.response(raw, &format!("{place}, {code}"))?);
        }
        if typed.responses.default.is_some() {
            return Err(ContractError::new(place, "a default answer is not supported"));
        }
        let scopes = scopes(security.map(Vec::as_slice).unwrap_or_default(), place)?;
        Ok(Operation {
            id,
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            scopes,
            parameters,
            body,
            responses,
        })
    }

    /// Follows a reference to another part of the document.
    fn resolve(&self, value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, ContractError> {
        let target = match value.get("$ref").and_then(Value::as_str) {
            None => Some(value),
            Some(reference) => reference.strip_prefix('#').and_then(|pointer| self.document.pointer(pointer)),
        };
        let target = target.and_then(Value::as_object).filter(|target| !target.contains_key("$ref"));
        target.ok_or_else(|| ContractError::new(place, "expected an object or a reference to one"))
    }

    fn parameter(&self, value: &'a Value, place: &str) -> Result<Parameter, ContractError> {
        let raw = self.resolve(value, place)?;
        let name = text(raw, "name", place)?;
        let place = format!("{place}, parameter {name}");
        only(raw, &["name", "in", "required", "description", "schema", "example"], &place)?;
        let at = match text(raw, "in", &place)? {
            "path" => Place::Path,
            "query" => Place::Query,
            "header" => Place::Header,
            _ => return Err(ContractError::new(place, "expected a parameter in path, query or header")),
        };
        let schema = raw.get("schema").ok_or_else(|| ContractError::new(place.as_str(), "has no schema"))?;
        let kind = match self.schemas.type_of(schema) {
            Some("string") => Kind::Text,
            Some("integer") => Kind::Integer,
            Some("boolean") => Kind::Boolean,
            _ => return Err(ContractError::new(place, "expected the type string, integer or boolean")),
        };
        Ok(Parameter {
            name: name.to_owned(),
            place: at,
            required: raw.get("required") == Some(&Value::Bool(true)),
            kind,
            default: schema.get("default").cloned(),
            schema: self.schemas.compile(schema, Direction::Request, &place)?,
        })
    }

    fn body(&self, value: &'a Value, place: &str) -> Result<RequestBody, ContractError> {
        let place = format!("{place}, body");
        let raw = self.resolve(value, &place)?;
        let content = raw.get("content").and_then(Value::as_object);
        let content = content.ok_or_else(|| ContractError::new(place.as_str(), "has no content"))?;
        let Some((media_type, media)) = content.iter().next().filter(|_| content.len() == 1) else {
            return Err(ContractError::new(place, "expected one media type"));
        };
        if !is_json(media_type) {
            return Err(ContractError::new(place, "expected a JSON media type"));
        }
        let schema = media.get("schema").ok_or_else(|| ContractError::new(place.as_str(), "has no schema"))?;
        Ok(RequestBody {
            required: raw.get("required") == Some(&Value::Bool(true)),
            media_types: vec![media_type.clone()],
            schema: self.schemas.compile(schema, Direction::Request, &place)?,
        })
    }

    fn response(&self, value: &'a Value, place: &str) -> Result<Response, ContractError> {
        let raw = self.resolve(value, place)?;
        only(raw, &["description", "headers", "content"], place)?;
        let mut headers = Vec::new();
        for (name, header) in raw.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let place = format!("{place}, header {name}");
            let header = self.resolve(header, &place)?;
            let schema = header.get("schema").ok_or_else(|| ContractError::new(place.as_str(), "has no schema"))?;
            headers.push(ResponseHeader {
                name: name.clone(),
                required: header.get("required") == Some(&Value::Bool(true)),
                schema: self.schemas.compile(schema, Direction::Response, &place)?,
            });
        }
        let mut content = BTreeMap::new();
        for (media_type, media) in raw.get("content").and_then(Value::as_object).into_iter().flatten() {
            let schema = media.get("schema").ok_or_else(|| ContractError::new(place, "has no schema"))?;
            content.insert(media_type.clone(), self.schemas.compile(schema, Direction::Response, place)?);
        }
        Ok(Response { headers, content })
    }
}

/// No requirement is public; each requirement of the one scheme names the one scope that suffices, or none where any token
/// does. Several scopes at once are not supported.
fn scopes(security: &[openapiv3::SecurityRequirement], place: &str) -> Result<Option<Vec<String>>, ContractError> {
    let mut alternatives = Vec::new();
    for requirement in security {
        match requirement.get("oauth").map(Vec::as_slice) {
            Some([scope]) if requirement.len() == 1 => alternatives.push(scope.clone()),
            Some([]) if requirement.len() == 1 && security.len() == 1 => {}
            _ => return Err(ContractError::new(place, "expected the security scheme oauth with one scope or none")),
        }
    }
    Ok((!security.is_empty()).then_some(alternatives))
}

/// Every part of the template is a required path parameter, and the other way round.
fn check_path(path: &str, parameters: &[Parameter], place: &str) -> Result<(), ContractError> {
    let mut templates: Vec<&str> =
        path.split('/').filter_map(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}'))).collect();
    let mut declared: Vec<&str> = parameters
        .iter()
        .filter(|parameter| parameter.place == Place::Path && parameter.required)
        .map(|parameter| parameter.name.as_str())
        .collect();
    templates.sort_unstable();
    declared.sort_unstable();
    if templates == declared {
        Ok(())
    } else {
        Err(ContractError::new(place, "the path and its parameters do not agree"))
    }
}

/// Whether a media type is JSON.
pub(super) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

fn text<'a>(raw: &'a Map<String, Value>, name: &str, place: &str) -> Result<&'a str, ContractError> {
    raw.get(name).and_then(Value::as_str).ok_or_else(|| ContractError::new(place, format!("has no {name}")))
}

fn only(raw: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), ContractError> {
    match raw.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(ContractError::new(place, format!("{unknown} is not supported"))),
    }
}
