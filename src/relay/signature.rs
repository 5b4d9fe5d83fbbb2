//! Signatures of webhook deliveries after Standard Webhooks 1.0: `v1`, HMAC-SHA-256 over `id.timestamp.body`.
//!
//! Invariant: a signing secret is wiped from memory when dropped, and never printed.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::ids::{Entropy, NoEntropy};

/// What a secret's text starts with, so that tools that look for leaked secrets find it.
const PREFIX: &str = "whsec_";

/// The key that the gateway and one subscription share.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

/// A text that is not `whsec_` followed by 24 to 64 bytes in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected whsec_ followed by 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl SigningSecret {
    /// A fresh secret of 32 bytes.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn generate(entropy: &Entropy) -> Result<Self, NoEntropy> {
        let bytes = Zeroizing::new(entropy.bytes::<32>()?);
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`InvalidSecret`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, InvalidSecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(|rest| STANDARD.decode(rest).ok()).ok_or(InvalidSecret)?;
        Self::from_bytes(bytes)
    }

    /// Takes the bytes as they were sealed.
    ///
    /// # Errors
    /// [`InvalidSecret`] when there are fewer than 24 or more than 64.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, InvalidSecret> {
        let bytes = Zeroizing::new(bytes);
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidSecret) }
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text form that the subscriber gets once.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(self.0.as_slice())))
    }

    fn sign(&self, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(format!("{id}.{}.", timestamp.as_seconds()).as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}

/// The value of `webhook-signature`: one signature per secret, so that a receiver can change over while two are valid.
#[must_use]
pub fn header(secrets: &[SigningSecret], id: &str, timestamp: Timestamp, body: &[u8]) -> String {
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_published_example_comes_out() {
        let secret = SigningSecret::from_text(SECRET).unwrap();
        assert_eq!(
            header(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at(1_614_265_330), BODY),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn during_a_rotation_both_signatures_are_sent() {
        let old = SigningSecret::from_text(SECRET).unwrap();
        let new = SigningSecret::generate(&Entropy::system()).unwrap();
        let both = header(&[new.clone(), old.clone()], "id", at(1), BODY);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, header(&[new], "id", at(1), BODY));
        assert_eq!(second, header(&[old], "id", at(1), BODY));
        assert_ne!(first, second);
    }

    #[test]
    fn id_time_and_body_are_all_covered() {
        let secret = [SigningSecret::from_text(SECRET).unwrap()];
        let original = header(&secret, "a", at(1), BODY);
        assert_ne!(header(&secret, "b", at(1), BODY), original);
        assert_ne!(header(&secret, "a", at(2), BODY), original);
        assert_ne!(header(&secret, "a", at(1), b"{}"), original);
    }

    #[test]
    fn a_secret_survives_its_text_and_stays_out_of_debug_output() {
        let secret = SigningSecret::generate(&Entropy::system()).unwrap();
        let text = secret.to_text();
        assert_eq!(SigningSecret::from_text(&text).unwrap().as_bytes(), secret.as_bytes());
        assert_eq!(secret.as_bytes().len(), 32);
        assert_eq!(format!("{secret:?}"), "SigningSecret");
    }

    #[test]
    fn short_or_unmarked_secrets_are_refused() {
        for wrong in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64!"] {
            assert!(SigningSecret::from_text(wrong).is_err(), "{wrong:?}");
        }
    }
}
