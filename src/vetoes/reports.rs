//! What an access report (art. 15 AVG) leaves out: what a veto was set on, until the holder's privacy officer found that it may be shown (art. 15.4 and 23.1.i AVG).

use uuid::Uuid;

use super::{store, trace};
use crate::ids::Oin;
use crate::storage::{Error, Query};
use crate::subjects::Subject;

/// What no access report shows, whoever makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// Who set the veto.
    pub organisation: Oin,
    /// The referral that it was set on, of which no record, step or disclosure is shown either; none where there was none.
    pub referral: Option<Uuid>,
}

/// What is left out of an access report about a resident. Records of vetoes themselves never stand in one: [`is_of_veto`].
///
/// # Errors
/// When the database fails; then there is no report.
pub async fn withheld_from_reports(query: &mut impl Query, subject: &Subject) -> Result<Vec<Withheld>, Error> {
    let all = store::about(query, subject.as_str()).await?;
    let withheld = all.into_iter().filter(|veto| !veto.may_be_reported());
    Ok(withheld.map(|veto| Withheld { organisation: veto.organisation, referral: veto.referral }).collect())
}

/// Whether an audit record with this action is that of a veto: a report leaves it out whatever was weighed.
#[must_use]
pub fn is_of_veto(action: &str) -> bool {
    action.starts_with(trace::ACTIONS)
}
