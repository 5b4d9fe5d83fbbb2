//! Sections that only their recipient can read: encrypted by the sender, relayed as they are, decrypted by the recipient.
//!
//! For partners' systems and the commands of `sluis section`; the gateway uses of it what can be judged without a private key
//! ([`Envelope`], [`KeySet`]). The form is a compact JWE (RFC 7516) with `ECDH-ES` on P-256 or X25519 (RFC 7518 section 4.6, RFC 8037
//! section 3.2) and `A256GCM`; `docs/encryption.md` defines it, so that another library of JOSE can be used as well.
//!
//! Invariants: who gives, who receives, the category and the purpose stand in the protected header, which is what AES-GCM authenticates
//! besides the content, so a section does not open under another label; a key is encrypted to only when its owner's certificate signed
//! it, and which certificate that is is decided by the sender and not by the gateway.
//!
//! The sender, given the recipient's key set as `GET /v1/organisations/{id}/keys` answers it, and the recipient:
//!
//! ```
//! use sluis::encryption::{Curve, KeySet, Label, PrivateKey, Trust, decrypt, encrypt};
//! # use serde_json::json;
//! # use sluis::{clock::Clock, ids::Entropy, organisations::credentials::jose::SigningKey};
//! # let pair = rcgen::KeyPair::generate()?;
//! # let mut params = rcgen::CertificateParams::new(vec![])?;
//! # params.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 5]), "00000099000000006000");
//! # let certificate = params.self_signed(&pair)?.pem();
//! # let signing = SigningKey::from_pem(pair.serialize_pem().as_bytes())?;
//! # let (now, entropy) = (Clock::system().now(), Entropy::system());
//! # let month = std::time::Duration::from_hours(24 * 30);
//! let label = Label {
//!     sender: "00000099000000002000".parse()?,
//!     recipient: "00000099000000006000".parse()?,
//!     category: "finance".parse()?,
//!     purpose: "debt-counselling".parse()?,
//! };
//! // The recipient, once: makes a key, and publishes it in a set that the key of its certificate signs.
//! let private = PrivateKey::generate("sections-2026", Curve::P256)?;
//! let answer = KeySet::sign(&label.recipient, &[private.public_jwk()], &signing, certificate.as_bytes(), now, month)?;
//!
//! // The sender: believes the set because it knows the recipient's certificate from the recipient itself.
//! let trust = Trust::pinned(certificate.as_bytes())?;
//! let keys = KeySet::verified(&answer, &label.recipient, &trust, now)?;
//! let jwe = encrypt(br#"{"debts":18400}"#, &label, keys.current(now)?, &entropy, now)?;
//!
//! // The recipient: with the label that the gateway shows, which must be the one that the sender meant.
//! let opened = decrypt(&jwe, &label, &[private])?;
//! assert_eq!(opened.content.as_slice(), br#"{"debts":18400}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod envelope;
mod jwe;
mod key_set;
mod keys;
mod strict;
#[cfg(test)]
mod tests;
mod trust;

pub use envelope::{Defect, Envelope, LARGEST_JWE};
pub use jwe::{DecryptError, EncryptError, Opened, decrypt, encrypt};
pub use key_set::{EncryptionKey, KeySet, KeySetError, LONGEST_SET, SignedSet, Validity};
pub use keys::{Curve, KeyError, PrivateKey, PublicKey};
pub use trust::{Trust, TrustError};

use crate::covenant::{CategoryCode, PurposeCode};
use crate::ids::Oin;

/// What a section is bound to: it opens under this label and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The organisation that gives the section: the sender of a referral, or the recipient that sends a note back.
    pub sender: Oin,
    /// The organisation that is to read it.
    pub recipient: Oin,
    /// The data category.
    pub category: CategoryCode,
    /// The purpose of the referral.
    pub purpose: PurposeCode,
}
