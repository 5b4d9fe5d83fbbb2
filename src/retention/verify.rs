//! Whether what is said to be removed is gone, and is said as it was.

use std::collections::BTreeSet;

use super::store;
use super::types::{Removal, RemovalKind, digest_of};
use crate::audit::{self, Field, Finding, FindingKind, Report};
use crate::storage::window::AFTER_ALL;
use crate::storage::{Error, Query};

/// How many removals are read at a time.
const STEP: i64 = 500;

/// Holds every removal against what is stored: nothing of what it names may be there, its digest must be that of the names, and its audit record, which
/// the log vouches for, must say the same. And the other way round: each record of a removal has one, and no value was erased but by a removal. Adds what
/// does not fit to the report. When only what came later was verified, the records before are not counted.
///
/// # Errors
/// When the database fails.
pub async fn verify(query: &mut impl Query, report: &mut Report) -> Result<(), Error> {
    let (mut before, mut erased, mut records) = (AFTER_ALL.to_owned(), 0, BTreeSet::new());
    loop {
        let removals = store::page(query, &before, STEP).await?;
        let Some((last, _)) = removals.last() else { break };
        before.clone_from(last);
        for (id, removal) in &removals {
            report.removals += 1;
            let Ok(removal) = removal else {
                found(report, format!("removal {id}: it cannot be read"));
                continue;
            };
            records.insert(removal.record.to_string());
            if removal.kind == RemovalKind::Audit {
                erased += removal.number;
            }
            let contradicted = match contradiction(query, removal).await {
                Err(Error::Malformed { .. }) => Some("it cannot be read"),
                contradicted => contradicted?,
            };
            if let Some(detail) = contradicted {
                found(report, format!("removal {id}: {detail}"));
            }
        }
    }
    for record in audit::retention_records(query, report.since.unwrap_or_default()).await? {
        if !records.contains(&record) {
            found(report, format!("the removal that record {record} tells of is not there"));
        }
    }
    if report.since.is_none() && report.erased_records != erased {
        let stored = report.erased_records;
        found(report, format!("values of {stored} records were erased, and removals tell of {erased}"));
    }
    Ok(())
}

fn found(report: &mut Report, detail: String) {
    report.add(Finding::new(FindingKind::RemovalContradicted, detail));
}

async fn contradiction(query: &mut impl Query, removal: &Removal) -> Result<Option<&'static str>, Error> {
    let (names, is_back) = match removal.places {
        Some(places) if removal.kind == RemovalKind::Audit => {
            let remains = audit::remains(query, places).await?;
            (remains.erased, remains.left > 0)
        }
        _ => {
            let names = store::names(query, removal.id).await?;
            let mut is_back = false;
            for name in &names {
                is_back |= store::is_there(query, removal.kind, name).await?;
            }
            (names, is_back)
        }
    };
    if is_back {
        return Ok(Some("something that was removed is there"));
    }
    if names.len() as u64 != removal.number || digest_of(names) != removal.digest {
        return Ok(Some("what it names is not what it removed"));
    }
    let record = audit::find(query, &removal.record.to_string()).await?;
    let facts = record.as_ref().and_then(|record| record.value(Field::Facts));
    let facts = facts.and_then(|facts| serde_json::from_str::<serde_json::Value>(facts).ok());
    Ok(if facts == Some(removal.facts()) { None } else { Some("its audit record says something else") })
}
