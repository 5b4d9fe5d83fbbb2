//! Whether a signature under a covenant is that of a party: made with the key of a certificate that is its own, and that counts now.

use super::jose::{Jws, VerifyingKey, verify_detached};
use super::{Credentials, PeerCertificate};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations::store;
use crate::problem::Problem;

impl Credentials {
    /// Verifies a detached JWS over `payload` whose header names the signer's certificate by `x5t#S256` (or `x5c`): one that this
    /// gateway knows, or that of the connection `peer`. Gives the certificate's thumbprint.
    ///
    /// # Errors
    /// 400 with what is wrong with the signature.
    pub async fn verify_signature_of(
        &self,
        signer: &Oin,
        jws: &str,
        payload: &[u8],
        peer: Option<&PeerCertificate>,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let refuse = |reason: String| Problem::invalid_param("jws", "signature", reason);
        // A detached JWS has an empty payload, so that it can be taken apart like any other.
        let header = Jws::parse(jws).map_err(|error| refuse(error.to_string()))?.header().clone();
        let thumbprint = header.thumbprint.or(header.chain_thumbprint).ok_or_else(|| {
            refuse("expected x5t#S256 in the header: the SHA-256 thumbprint of your organisation's certificate".into())
        })?;
        let key = match peer.filter(|peer| peer.thumbprint == thumbprint) {
            Some(peer) => VerifyingKey::from_spki(&peer.public_key),
            None => VerifyingKey::from_certificate(&self.own_certificate(signer, &thumbprint, now).await?),
        };
        let key = key.map_err(|error| refuse(error.to_string()))?;
        verify_detached(jws, payload, &key).map_err(|error| refuse(error.to_string()))?;
        Ok(thumbprint)
    }

    async fn own_certificate(&self, signer: &Oin, thumbprint: &str, now: Timestamp) -> Result<Vec<u8>, Problem> {
        let found = store::certificate_by_thumbprint(&mut self.db.reader(), thumbprint).await?;
        let counts = found.filter(|certificate| {
            certificate.organisation == *signer
                && certificate.revoked_at.is_none()
                && certificate.not_before <= now
                && now <= certificate.not_after
        });
        counts.map(|certificate| certificate.der).ok_or_else(|| {
            Problem::invalid_param("jws", "signature", "expected the thumbprint of a valid certificate of your organisation")
        })
    }
}
