//! Who is calling: certificate, client, organisation and token, judged together on every request.
//!
//! Invariant: nothing that can be taken back is remembered. Revocation, suspension and withdrawn scopes are read from the
//! database each time, in one round trip; the certificate's validity is compared with the clock each time, because it may
//! have ended since the connection was made.

use super::anchors::Revocation;
use super::certificate::{PeerCertificate, VouchedBy};
use super::store::{self, Standing};
use super::{Credentials, tokens::VerifiedToken};
use crate::clock::Timestamp;
use crate::http::Caller;
use crate::ids::Oin;
use crate::organisations::store as directory;
use crate::organisations::types::{CertificateRecord, Scopes, Status};
use crate::problem::{Code, Problem};

/// A client that its certificate has proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedClient {
    /// The client.
    pub client_id: String,
    /// Its organisation.
    pub organisation: Oin,
    /// What it may ask tokens for.
    pub scopes: Scopes,
    /// The certificate's thumbprint.
    pub thumbprint: String,
}

impl Credentials {
    /// Authenticates a request: the certificate of its connection and the token in its `Authorization` header.
    ///
    /// # Errors
    /// A 401 problem whose code says what is missing or wrong: first the certificate, then the organisation, then the token.
    pub async fn authenticate(
        &self,
        peer: Option<&PeerCertificate>,
        authorization: Option<&str>,
        now: Timestamp,
    ) -> Result<Caller, Problem> {
        let ring = self.keys.ring(now).await?;
        // Verified before the database is asked, so that one round trip answers for both; judged after the certificate.
        let token = bearer(authorization).and_then(|token| {
            self.tokens.verify(&ring, token, now).map_err(|error| Problem::new(Code::TokenInvalid, error.to_string()))
        });
        let token_id = token.as_ref().ok().map(|token| token.claims.jti.as_str());
        let (client, revoked) = self.certified(peer, token_id, now).await?;
        let token = token?;
        check_token(&token, &client, revoked)?;
        let scopes = token.scopes.both(&client.scopes).iter().map(|scope| scope.name().to_owned()).collect();
        let CertifiedClient { client_id, organisation, thumbprint, .. } = client;
        Ok(Caller { organisation, client_id, scopes, thumbprint })
    }

    /// Authenticates by certificate alone, for the endpoints that hand out and judge tokens.
    ///
    /// # Errors
    /// A 401 problem as for [`Credentials::authenticate`].
    pub async fn authenticate_certificate(
        &self,
        peer: Option<&PeerCertificate>,
        now: Timestamp,
    ) -> Result<CertifiedClient, Problem> {
        Ok(self.certified(peer, None, now).await?.0)
    }

    async fn certified(
        &self,
        peer: Option<&PeerCertificate>,
        token_id: Option<&str>,
        now: Timestamp,
    ) -> Result<(CertifiedClient, bool), Problem> {
        let peer = peer.ok_or_else(|| {
            Problem::new(Code::CertificateRequired, "connect with the client certificate of your organisation")
        })?;
        let fallback = self.main_client_of(peer, now)?;
        let standing = store::standing(&mut self.db.reader(), &peer.thumbprint, fallback.as_deref(), token_id).await?;
        let standing = standing.ok_or_else(unknown)?;
        check_standing(peer, &standing, now)?;
        let client = CertifiedClient {
            client_id: standing.client_id,
            organisation: standing.organisation,
            scopes: standing.scopes,
            thumbprint: peer.thumbprint.clone(),
        };
        Ok((client, standing.token_revoked))
    }

    /// The certificate with this thumbprint, if it is in the table; whether it still counts is for [`Credentials::counts`] to say.
    pub(super) async fn known_certificate(&self, thumbprint: &str) -> Result<Option<CertificateRecord>, Problem> {
        Ok(directory::certificate_by_thumbprint(&mut self.db.reader(), thumbprint).await?)
    }

    /// Whether a certificate that a signature names counts now, as it would on a connection: in its time, not revoked here, and of an
    /// authority that vouches for it and has not revoked it either.
    pub(super) fn counts(&self, certificate: &CertificateRecord, now: Timestamp) -> bool {
        let peer = self.anchors.identify(&certificate.der).ok();
        certificate.revoked_at.is_none()
            && peer.is_some_and(|peer| {
                peer.oin.as_ref() == Some(&certificate.organisation) && self.main_client_of(&peer, now).is_ok()
            })
    }

    /// Judges what can be judged without the database. For a certificate of an external anchor it answers the main client of
    /// the organisation that it names; one of the gateway's own must be in the table.
    pub(super) fn main_client_of(&self, peer: &PeerCertificate, now: Timestamp) -> Result<Option<String>, Problem> {
        let vouched_by = peer.vouched_by.as_ref().ok_or_else(unknown)?;
        if !peer.holds_at(now) {
            return Err(expired());
        }
        let VouchedBy::Anchor(anchor) = vouched_by else {
            return Ok(None);
        };
        let oin = peer.oin.as_ref().filter(|oin| self.anchors.may_vouch_for(anchor, oin)).ok_or_else(unknown)?;
        match self.anchors.revocation(anchor, peer, now) {
            Revocation::Good => Ok(Some(oin.to_string())),
            Revocation::Revoked => Err(revoked()),
            Revocation::Unknown => Err(Problem::new(
                Code::RevocationUnknown,
                "the gateway has no current revocation list of the authority that issued the certificate; tell its operator",
            )),
        }
    }
}

fn check_standing(peer: &PeerCertificate, standing: &Standing, now: Timestamp) -> Result<(), Problem> {
    // A certificate must name the organisation whose client it is, whoever issued it.
    if peer.oin.as_ref() != Some(&standing.organisation) {
        return Err(unknown());
    }
    match (&standing.certificate, &peer.vouched_by) {
        (Some(certificate), Some(vouched_by)) => {
            let issuer = match vouched_by {
                VouchedBy::Gateway => "gateway",
                VouchedBy::Anchor(name) => name,
            };
            if certificate.issued_by != issuer {
                return Err(unknown());
            }
            if certificate.revoked {
                return Err(revoked());
            }
            if now < certificate.not_before || now.as_seconds() > certificate.not_after.as_seconds() {
                return Err(expired());
            }
        }
        (None, Some(VouchedBy::Anchor(_))) => {}
        (None, _) | (_, None) => return Err(unknown()),
    }
    if !standing.client_active {
        return Err(unknown());
    }
    match standing.status {
        Status::Active => Ok(()),
        Status::Suspended => Err(Problem::new(
            Code::OrganisationSuspended,
            "the organisation is suspended; ask the gateway's administrator when it may take part again",
        )),
        Status::Retired => Err(Problem::new(
            Code::OrganisationRetired,
            "the organisation has left; it has to register anew to take part",
        )),
    }
}

fn check_token(token: &VerifiedToken, client: &CertifiedClient, revoked: bool) -> Result<(), Problem> {
    if !token.is_bound_to(&client.thumbprint) {
        return Err(Problem::new(
            Code::TokenBinding,
            "use the token on a connection with the client certificate that it was requested with",
        ));
    }
    if token.claims.azp != client.client_id {
        return Err(Problem::new(Code::TokenInvalid, "the token was issued to another client"));
    }
    if revoked {
        return Err(Problem::new(Code::TokenRevoked, "the token was revoked; ask /oauth/token for another one"));
    }
    Ok(())
}

/// The token in an `Authorization` header (RFC 6750 section 2.1); nowhere else is one looked for.
fn bearer(authorization: Option<&str>) -> Result<&str, Problem> {
    let header = authorization.ok_or_else(|| {
        Problem::new(Code::TokenRequired, "send Authorization: Bearer with a token from /oauth/token")
    })?;
    match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err(Problem::new(Code::TokenRequired, "send Authorization: Bearer with a token from /oauth/token")),
    }
}

fn unknown() -> Problem {
    Problem::new(
        Code::CertificateUnknown,
        "use a certificate that was issued to, or registered for, your organisation here",
    )
}

fn expired() -> Problem {
    Problem::new(Code::CertificateExpired, "the client certificate has ended or has not begun; use a renewed one")
}

fn revoked() -> Problem {
    Problem::new(Code::CertificateRevoked, "the client certificate was revoked; use another one")
}

/// The `WWW-Authenticate` header that goes with a problem (RFC 6750 section 3; RFC 9110 section 11.6.1 asks for one on
/// every 401).
#[must_use]
pub const fn challenge(code: Code) -> Option<&'static str> {
    match code {
        Code::TokenInvalid | Code::TokenRevoked | Code::TokenBinding => {
            Some("Bearer realm=\"sluis\", error=\"invalid_token\"")
        }
        Code::InsufficientScope => Some("Bearer realm=\"sluis\", error=\"insufficient_scope\""),
        _ if code.status() == 401 => Some("Bearer realm=\"sluis\""),
        _ => None,
    }
}
