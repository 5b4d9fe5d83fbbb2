//! The contract itself, for everyone.

use super::{Answer, Call};
use crate::problem::Problem;

/// `GET /v1/openapi.json` (API Design Rules, `/core/publish-openapi`).
///
/// # Errors
/// Never.
pub async fn openapi(call: Call) -> Result<Answer, Problem> {
    Ok(Answer::ok(call.app.contract.json())?.header("Access-Control-Allow-Origin", "*"))
}
