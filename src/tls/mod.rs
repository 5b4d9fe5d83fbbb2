//! TLS: the certificate that a connection was opened with.

use crate::clock::Timestamp;
use crate::ids::Oin;

/// What the gateway reads from a client certificate, once per connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of the DER form, base64url (`x5t#S256`, RFC 8705 section 3.1).
    pub thumbprint: String,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// The organisation, from the subject's `serialNumber`.
    pub oin: Oin,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}
