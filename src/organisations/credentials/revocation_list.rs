//! The revocation list of the gateway's authority: made when it is asked for, kept until it is out of date.
//!
//! Invariant: a list that is handed out names every certificate that was revoked before, and has a number higher than
//! every earlier list (RFC 5280 section 5.2.3).

use super::Credentials;
use super::store::{self, StoredList};
use crate::clock::Timestamp;
use crate::problem::{Code, Problem};

/// How often a list is tried to be numbered while another gateway makes one at the same time.
const ATTEMPTS: usize = 5;

impl Credentials {
    /// The current revocation list in DER.
    ///
    /// # Errors
    /// A problem when this gateway does not have the authority's private key, or the database fails.
    pub async fn revocation_list(&self, now: Timestamp) -> Result<Vec<u8>, Problem> {
        let authority = self.authority.as_ref().ok_or_else(|| {
            Problem::new(Code::Unavailable, "this gateway does not keep the private key of its authority")
        })?;
        for _ in 0..ATTEMPTS {
            let mut reader = self.db.reader();
            let newest = store::newest_list(&mut reader).await?;
            // Counted before the certificates are read: one that is revoked in between is on the list all the same.
            let revocations = store::revocations(&mut reader).await?;
            // Half of its life is left to whoever fetches it.
            let fresh = |list: &StoredList| {
                list.revocations == revocations && now.plus(self.crl_lifetime / 2) < list.next_update
            };
            if let Some(list) = newest.as_ref().filter(|list| fresh(list)) {
                return Ok(list.list.clone());
            }
            let number = newest.map_or(1, |list| list.number + 1);
            let revoked = store::revoked(&mut reader, now).await?;
            let list = authority
                .revocation_list(u64::try_from(number).unwrap_or(1), &revoked, now, self.crl_lifetime)
                .map_err(|error| Problem::internal(&error.to_string()))?;
            let stored = StoredList { number, list, revocations, next_update: now.plus(self.crl_lifetime) };
            let copy = stored.list.clone();
            let mine =
                self.db.write("publish-revocation-list", async move |tx| Ok(store::insert_list(tx, &stored).await?));
            if mine.await? {
                return Ok(copy);
            }
        }
        Err(Problem::new(Code::Unavailable, "the revocation list is being made; try again"))
    }
}
