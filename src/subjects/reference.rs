//! How a request says which resident it is about.

use serde::Deserialize;
use zeroize::Zeroize as _;

use super::{Bsn, Pseudonyms, Subject, store};
use crate::ids::Oin;
use crate::policy::AgeGroup;
use crate::problem::Problem;
use crate::storage::Query;

/// A resident by BSN, or by the pseudonym that the caller knows; exactly one of them, by contract.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectReference {
    #[serde(default)]
    bsn: Option<String>,
    #[serde(default)]
    pseudonym: Option<String>,
    /// The age group, needed where a consent or release counts.
    #[serde(default)]
    pub age_group: Option<AgeGroup>,
}

impl Drop for SubjectReference {
    fn drop(&mut self) {
        self.bsn.zeroize();
    }
}

impl SubjectReference {
    /// Whether the resident is named by BSN.
    #[must_use]
    pub const fn by_bsn(&self) -> bool {
        self.bsn.is_some()
    }

    /// The resident.
    ///
    /// # Errors
    /// 400 for a BSN that fails the eleven-test, and for a pseudonym that this organisation was never given.
    pub async fn resolve(
        &self,
        query: &mut impl Query,
        pseudonyms: &Pseudonyms,
        caller: &Oin,
    ) -> Result<Subject, Problem> {
        self.find(query, pseudonyms, caller).await?.ok_or_else(|| {
            Problem::invalid_param(
                "subject.pseudonym",
                "unknown",
                "expected a pseudonym that this gateway gave to your organisation",
            )
        })
    }

    /// The resident; none for a pseudonym that this organisation was never given.
    ///
    /// # Errors
    /// 400 for a BSN that fails the eleven-test.
    pub async fn find(
        &self,
        query: &mut impl Query,
        pseudonyms: &Pseudonyms,
        caller: &Oin,
    ) -> Result<Option<Subject>, Problem> {
        if let Some(bsn) = &self.bsn {
            let bsn: Bsn = bsn.parse().map_err(|_| {
                Problem::invalid_param("subject.bsn", "bsn", "expected nine digits that pass the eleven-test")
            })?;
            return Ok(Some(pseudonyms.subject(&bsn)));
        }
        let pseudonym = self.pseudonym.as_deref().unwrap_or_default();
        Ok(store::subject_of(query, caller, pseudonym).await?)
    }

    /// The pseudonym by which the caller named the resident, where it did.
    #[must_use]
    pub fn pseudonym(&self) -> Option<&str> {
        self.pseudonym.as_deref()
    }
}
