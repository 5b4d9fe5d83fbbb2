//! Whether the signed key set of an organisation holds: signed with the key of a certificate that is its own, and that counts now.
//!
//! Invariant: it is judged when it is published, and again each time something is encrypted to one of its keys. A set whose certificate was
//! revoked in the meantime offers no key.

use super::Credentials;
use crate::clock::Timestamp;
use crate::encryption::{KeySet, KeySetError, SignedSet};
use crate::ids::Oin;
use crate::problem::Problem;

impl Credentials {
    /// The set that was signed so, if it holds; otherwise what is wrong with it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signed_keys_of(
        &self,
        owner: &Oin,
        signed: &str,
        now: Timestamp,
    ) -> Result<Result<KeySet, String>, Problem> {
        let text = |error: KeySetError| error.to_string();
        let set = match SignedSet::read(signed) {
            Ok(set) => set,
            Err(error) => return Ok(Err(text(error))),
        };
        let Ok(peer) = self.anchors.identify(set.certificates().0) else {
            return Ok(Err("the first certificate in x5c cannot be read".to_owned()));
        };
        let key = self.signing_key_of(owner, &peer.thumbprint, Some(&peer), now).await?;
        Ok(key.and_then(|key| set.verified(&key, owner, now).map_err(text)))
    }
}
