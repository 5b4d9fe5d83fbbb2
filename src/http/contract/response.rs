//! Whether an answer is one that the contract allows. For tests: the gateway does not check itself at run time.
//!
//! Invariant: what the document does not name (a status, a media type, a field) is a fault.

use serde_json::Value;

use super::operation::{Operation, is_json};
use super::schema::Schema;
use super::violation::violations;

/// An answer, taken apart.
#[derive(Debug, Clone, Copy)]
pub struct ResponseParts<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The headers, `Content-Type` among them.
    pub headers: &'a [(String, String)],
    /// The JSON body; none when there is no body, or one that is not JSON.
    pub body: Option<&'a Value>,
}

impl ResponseParts<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The media type without its parameters.
    fn media_type(&self) -> Option<&str> {
        self.header("Content-Type").and_then(|value| value.split(';').next()).map(str::trim)
    }
}

/// Checks status, headers, media type and body.
pub(super) fn validate(operation: &Operation, answer: &ResponseParts<'_>) -> Result<(), Vec<String>> {
    let Some(response) = operation.responses.get(&answer.status) else {
        return Err(vec![format!("{} does not answer {}", operation.id, answer.status)]);
    };
    let mut faults = Vec::new();
    for header in &response.headers {
        match answer.header(&header.name) {
            None if header.required => faults.push(format!("the header {} is missing", header.name)),
            None => {}
            Some(value) if header.schema.is_valid(&Value::from(value)) => {}
            Some(_) => faults.push(format!("the header {} has not the form of the contract", header.name)),
        }
    }
    if answer.status >= 400 {
        faults.extend(status_fault(answer));
    }
    if response.content.is_empty() {
        if answer.body.is_some() {
            faults.push("there should be no body".to_owned());
        }
    } else {
        match answer.media_type().and_then(|given| response.content.get_key_value(given)) {
            None => faults.push(format!("the media type is {:?}", answer.media_type())),
            Some((media_type, schema)) if is_json(media_type) => faults.extend(body_faults(schema, answer.body)),
            Some(_) => {}
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Checks a problem detail outside every operation.
pub(super) fn check_problem(schema: &Schema, answer: &ResponseParts<'_>) -> Result<(), Vec<String>> {
    let mut faults = body_faults(schema, answer.body);
    if answer.media_type() != Some("application/problem+json") {
        faults.push(format!("the media type is {:?}", answer.media_type()));
    }
    if answer.header("API-Version").is_none() {
        faults.push("the header API-Version is missing".to_owned());
    }
    faults.extend(status_fault(answer));
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// RFC 9457 section 3.1.2: `status` repeats the status of the answer.
fn status_fault(answer: &ResponseParts<'_>) -> Option<String> {
    let told = answer.body.and_then(|body| body.get("status")).and_then(Value::as_u64);
    (told != Some(u64::from(answer.status))).then(|| "the status of the problem is not that of the answer".to_owned())
}

fn body_faults(schema: &Schema, body: Option<&Value>) -> Vec<String> {
    match body {
        None => vec!["there is no JSON body".to_owned()],
        Some(body) => violations(schema, body, "")
            .into_iter()
            .map(|fault| format!("{}: {}: {}", fault.name, fault.code, fault.reason))
            .collect(),
    }
}
