//! Access reports over HTTP.

use serde::Deserialize;

use super::compose::compose;
use super::page;
use super::types::Wanted;
use crate::http::{Answer, Call};
use crate::problem::{Problem, until_settled};
use crate::subjects::SubjectReference;

/// `POST /v1/access-reports`: composed anew each time, and kept nowhere; so there is nothing to repeat an answer from, and no key for it.
///
/// # Errors
/// 400 with everything that is wrong, 403.
pub async fn compose_report(call: Call) -> Result<Answer, Problem> {
    #[derive(Deserialize)]
    struct Body {
        subject: SubjectReference,
        #[serde(flatten)]
        wanted: Wanted,
    }
    let Body { subject, wanted } = call.json()?;
    let report = until_settled(async || compose(&call, &subject, &wanted).await).await?;
    if call.accepts_html { page::of(&report)?.answer() } else { Answer::ok(&report) }
}
