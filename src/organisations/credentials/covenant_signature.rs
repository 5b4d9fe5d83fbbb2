//! Whether a signature under a covenant is that of a party: made with the key of a certificate that is its own, and that counts now.
//!
//! Invariant: only the organisation's main client signs. A named client stands for a role in it, such as the one that watches the
//! hand-overs, and cannot bind it.

use super::certificate::VouchedBy;
use super::jose::{Jws, VerifyingKey, verify_detached};
use super::{Credentials, PeerCertificate};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::problem::Problem;

impl Credentials {
    /// Verifies a detached JWS over `payload` whose header names the signer's certificate by `x5t#S256` (or `x5c`): one of its main
    /// client that this gateway knows, or that of the connection `peer`. Gives the certificate's thumbprint.
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
        let key = self.signing_key_of(signer, &thumbprint, peer, now).await?.map_err(refuse)?;
        verify_detached(jws, payload, &key).map_err(|error| refuse(error.to_string()))?;
        Ok(thumbprint)
    }

    /// The key of the certificate with this thumbprint, if it is one of the signer's main client and counts now; otherwise what is wrong.
    pub(super) async fn signing_key_of(
        &self,
        signer: &Oin,
        thumbprint: &str,
        peer: Option<&PeerCertificate>,
        now: Timestamp,
    ) -> Result<Result<VerifyingKey, String>, Problem> {
        if let Some(certificate) = self.known_certificate(thumbprint).await? {
            let counts = certificate.client_id == signer.as_str()
                && certificate.organisation == *signer
                && self.counts(&certificate, now);
            if counts {
                return Ok(VerifyingKey::from_certificate(&certificate.der).map_err(|error| error.to_string()));
            }
        } else if let Some(peer) = peer.filter(|peer| peer.thumbprint == thumbprint)
            // Not registered, so of an external anchor: it speaks for the main client of the organisation that it names.
            && matches!(peer.vouched_by, Some(VouchedBy::Anchor(_)))
            && self.main_client_of(peer, now).ok().flatten().as_deref() == Some(signer.as_str())
        {
            return Ok(VerifyingKey::from_spki(&peer.public_key).map_err(|error| error.to_string()));
        }
        Ok(Err("expected the thumbprint of a valid certificate of your organisation's main client".into()))
    }
}
