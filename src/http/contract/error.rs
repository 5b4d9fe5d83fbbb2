//! Why a contract cannot be used.

/// A document that is no contract this gateway can enforce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("contract: {place}: {what}")]
pub struct ContractError {
    place: String,
    what: String,
}

impl ContractError {
    pub(super) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}
