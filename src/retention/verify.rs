//! Whether what is said to be removed is gone, and is said as it was.

use super::store;
use super::types::{Removal, digest_of};
use crate::audit::{self, Field, Finding, FindingKind, Report};
use crate::storage::window::AFTER_ALL;
use crate::storage::{Error, Query};

/// How many removals are read at a time.
const STEP: i64 = 500;

/// Holds every removal against what is stored: nothing of what it names may be there, its digest must be that of what bears its mark, and its audit
/// record, which the log vouches for, must say the same. Adds what does not fit to the report.
///
/// # Errors
/// When the database fails.
pub async fn verify(query: &mut impl Query, report: &mut Report) -> Result<(), Error> {
    let mut before = AFTER_ALL.to_owned();
    loop {
        let removals = store::list(query, &before, STEP).await?;
        let Some(last) = removals.last() else { return Ok(()) };
        before = last.id.to_string();
        for removal in &removals {
            report.removals += 1;
            if let Some(detail) = contradiction(query, removal).await? {
                let detail = format!("removal {}: {detail}", removal.id);
                report.add(Finding::new(FindingKind::RemovalContradicted, detail));
            }
        }
    }
}

async fn contradiction(query: &mut impl Query, removal: &Removal) -> Result<Option<&'static str>, Error> {
    let (names, there) = store::left(query, removal.id).await?;
    if there > 0 {
        return Ok(Some("something that was removed is there"));
    }
    if names.len() as u64 != removal.number || digest_of(names) != removal.digest {
        return Ok(Some("what bears its mark is not what it removed"));
    }
    let record = audit::find(query, &removal.record.to_string()).await?;
    let facts = record.as_ref().and_then(|record| record.value(Field::Facts));
    let facts = facts.and_then(|facts| serde_json::from_str::<serde_json::Value>(facts).ok());
    Ok(if facts == Some(removal.facts()) { None } else { Some("its audit record says something else") })
}
