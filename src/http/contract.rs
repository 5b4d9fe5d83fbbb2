//! The contract, `openapi/sluis.yaml`, as code: which operations exist, what each needs, and whether a request or an answer
//! fits it.
//!
//! Invariant: everything in the document that bears on validity is either enforced or refused when it is loaded; nothing
//! is skipped silently. No web framework here: methods, headers and bodies are plain values.

mod error;
mod format;
mod operation;
mod request;
mod response;
mod schema;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

pub use error::ContractError;
pub use operation::{Kind, Operation, Parameter, Place, RequestBody, Response};
pub use request::{Request, Validated};
pub use response::ResponseParts;
pub(super) use violation::member;

use self::response::check_problem;
use crate::problem::InvalidParam;

/// The document that this binary was built with.
pub const DOCUMENT: &str = include_str!("../../openapi/sluis.yaml");

/// The contract, read once at start; its validators are compiled. A clone shares them.
#[derive(Debug, Clone)]
pub struct Contract {
    document: Arc<Value>,
    version: String,
    base_path: String,
    operations: Arc<BTreeMap<(String, String), Operation>>,
    problem: schema::Schema,
}

impl Contract {
    /// Reads an `OpenAPI` 3.0 document.
    ///
    /// # Errors
    /// [`ContractError`] naming the place when the text is no YAML, no `OpenAPI` 3.0, or uses a construct that this gateway
    /// does not enforce.
    pub fn load(yaml: &str) -> Result<Self, ContractError> {
        let document: Value =
            serde_saphyr::from_str(yaml).map_err(|e| ContractError::new("document", e.to_string()))?;
        // Schemas are taken raw from the document: the typed form loses keywords that it does not know.
        let typed: openapiv3::OpenAPI =
            serde_json::from_value(document.clone()).map_err(|e| ContractError::new("document", e.to_string()))?;
        let schemas = schema::Schemas::read(&document)?;
        let operations = operation::read(&document, &typed, &schemas)?;
        let reference = serde_json::json!({ "$ref": "#/components/schemas/Problem" });
        let problem = schemas.compile(&reference, schema::Direction::Response, "components.schemas.Problem")?;
        let base_path = operation::base_path(&typed)?;
        Ok(Self {
            version: typed.info.version,
            base_path,
            document: Arc::new(document),
            operations: Arc::new(operations),
            problem,
        })
    }

    /// The contract that this binary was built with ([`DOCUMENT`]), compiled at the first call.
    ///
    /// # Errors
    /// See [`Contract::load`]; a test proves that there is none.
    pub fn built_in() -> Result<Self, ContractError> {
        static BUILT_IN: OnceLock<Result<Contract, ContractError>> = OnceLock::new();
        BUILT_IN.get_or_init(|| Self::load(DOCUMENT)).clone()
    }

    /// The document as it is served at `/v1/openapi.json`.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.document
    }

    /// The full version of the API, for the `API-Version` header (API Design Rules, `/core/version-header`).
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What stands before every path of the document: `/v1`.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// The operation of this method (upper case) at this path template of the document, such as `/referrals/{id}`.
    #[must_use]
    pub fn operation(&self, method: &str, path: &str) -> Option<&Operation> {
        self.operations.get(&(path.to_owned(), method.to_owned()))
    }

    /// Every operation, by path and method.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

    /// Whether the request fits the operation.
    ///
    /// # Errors
    /// Everything that is wrong with it, none of it with the offending value.
    pub fn validate_request(
        &self,
        operation: &Operation,
        request: &Request<'_>,
    ) -> Result<Validated, Vec<InvalidParam>> {
        request::validate(operation, request)
    }

    /// Whether an answer is one that the operation may give. Stricter than what a client may rely on: fields and statuses
    /// that the document does not name are faults, so that nothing leaves unnoticed.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn validate_response(&self, operation: &Operation, answer: &ResponseParts<'_>) -> Result<(), Vec<String>> {
        response::validate(operation, answer)
    }

    /// Whether an answer outside every operation (no such path, no such method) is a proper problem detail.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn validate_problem(&self, answer: &ResponseParts<'_>) -> Result<(), Vec<String>> {
        check_problem(&self.problem, answer)
    }
}
