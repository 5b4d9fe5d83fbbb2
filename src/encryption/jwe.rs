//! Encrypting and decrypting: `ECDH-ES` in direct mode (RFC 7518 section 4.6) and AES-256-GCM (section 5.3).
//!
//! Invariants: every message has a key of its own, from a key pair that exists for that message alone; the protected header is the
//! additional authenticated data, so content and label open together or not at all; what the library compares it compares in constant time;
//! keys and plaintext are wiped when they are dropped.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement;
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use zeroize::{Zeroize, Zeroizing};

use super::Label;
use super::envelope::{CRITICAL, Defect, Envelope, IV, LARGEST_JWE};
use super::key_set::EncryptionKey;
use super::keys::{KeyError, PrivateKey, PublicKey};
use crate::clock::Timestamp;
use crate::ids::{Entropy, NoEntropy};

/// The algorithm of the content, as its name goes into the key (RFC 7518 section 4.6.2: `AlgorithmID`).
const CONTENT_ALGORITHM: &str = "A256GCM";

/// Why a section cannot be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// Nothing to encrypt.
    #[error("the section is empty: there is nothing to encrypt")]
    Empty,
    /// What comes out would be larger than a section may be.
    #[error(
        "encrypted it would be larger than 1 MiB, which is the most that a section may be: send less, or a reference"
    )]
    TooLarge,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The cryptographic library refused.
    #[error("the recipient's key cannot be used")]
    Key,
}

/// Why a section cannot be decrypted. The reasons hold nothing of the section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Not in the documented form.
    #[error("not a JWE in the form of docs/encryption.md: {}", in_words(.0))]
    Malformed(Vec<Defect>),
    /// It is bound to another label than it came under.
    #[error("the section is bound to something else than it came under ({}): do not use it, and tell its sender", .0.join(", "))]
    Label(Vec<&'static str>),
    /// Encrypted to another key than those at hand.
    #[error("it is encrypted to a key that is not at hand: look for the private key of its kid")]
    UnknownKey,
    /// It does not open: altered, or not made for this key.
    #[error("the section does not open: it was altered, or not encrypted to this key")]
    Altered,
}

fn in_words(defects: &[Defect]) -> String {
    let words: Vec<String> = defects.iter().map(|defect| format!("{}: {}", defect.member, defect.reason)).collect();
    words.join("; ").trim_start_matches(": ").to_owned()
}

/// A section that opened under the label that it came under.
#[derive(Debug)]
pub struct Opened {
    /// What the sender encrypted, byte for byte; wiped when dropped.
    pub content: Zeroizing<Vec<u8>>,
    /// The message's own name (`jti`). One that came in another referral before was copied there by somebody.
    pub id: String,
    /// When the sender says that it encrypted it.
    pub issued_at: Timestamp,
}

/// Encrypts a section for the owner of a key. What comes out goes into the section as `jwe`.
///
/// # Errors
/// [`EncryptError`].
pub fn encrypt(
    content: &[u8],
    label: &Label,
    to: &EncryptionKey,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<String, EncryptError> {
    if content.is_empty() {
        return Err(EncryptError::Empty);
    }
    // Before the work: Base64 takes four characters for three bytes.
    if content.len() > LARGEST_JWE / 4 * 3 {
        return Err(EncryptError::TooLarge);
    }
    let curve = to.public().curve();
    let ephemeral = agreement::PrivateKey::generate(curve.algorithm()).map_err(|_| EncryptError::Key)?;
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = json!({
        "alg": "ECDH-ES",
        "enc": CONTENT_ALGORITHM,
        "typ": "JWE",
        "cty": "json",
        "kid": to.key_id(),
        "epk": PublicKey::of(&ephemeral, curve).map_err(|_: KeyError| EncryptError::Key)?.to_jwk(),
        "apu": encode(label.sender.as_str().as_bytes()),
        "apv": encode(label.recipient.as_str().as_bytes()),
        "crit": CRITICAL,
        "category": label.category,
        "purpose": label.purpose,
        "iat": now.as_seconds(),
        "jti": encode(&entropy.bytes::<16>()?),
    });
    let protected = encode(header.to_string().as_bytes());
    let key = agreed_key(&ephemeral, to.public(), label).ok_or(EncryptError::Key)?;
    let iv: [u8; IV] = entropy.bytes()?;
    // It becomes the ciphertext where it stands, so no copy of the plaintext stays behind.
    let mut body = content.to_vec();
    let cipher = cipher(&key).ok_or(EncryptError::Key)?;
    let (nonce, associated) = (Nonce::assume_unique_for_key(iv), Aad::from(protected.as_bytes()));
    let Ok(tag) = cipher.seal_in_place_separate_tag(nonce, associated, &mut body) else {
        body.zeroize();
        return Err(EncryptError::Key);
    };
    let jwe = format!("{protected}..{}.{}.{}", encode(&iv), encode(&body), encode(tag.as_ref()));
    if jwe.len() > LARGEST_JWE { Err(EncryptError::TooLarge) } else { Ok(jwe) }
}

/// Decrypts a section with the one of these keys that it is encrypted to, if it is bound to the label that it came under: sender, recipient and
/// purpose of the referral and the category of the section, as the gateway shows them.
///
/// # Errors
/// [`DecryptError`]; then nothing of the content was given out.
pub fn decrypt(jwe: &str, label: &Label, keys: &[PrivateKey]) -> Result<Opened, DecryptError> {
    let envelope = Envelope::parse(jwe).map_err(DecryptError::Malformed)?;
    let differences = envelope.differences(label);
    if !differences.is_empty() {
        return Err(DecryptError::Label(differences));
    }
    let of_curve = |key: &&PrivateKey| key.public().curve() == envelope.ephemeral().curve();
    let key = keys.iter().filter(of_curve).find(|key| key.key_id() == envelope.key_id());
    let key = key.ok_or(DecryptError::UnknownKey)?;
    let key = agreed_key(key.private(), envelope.ephemeral(), label).ok_or(DecryptError::Altered)?;
    let mut content = Zeroizing::new(envelope.ciphertext.clone());
    content.extend_from_slice(&envelope.tag);
    let cipher = cipher(&key).ok_or(DecryptError::Altered)?;
    let (nonce, associated) = (Nonce::assume_unique_for_key(envelope.iv), Aad::from(envelope.protected.as_bytes()));
    let length = cipher.open_in_place(nonce, associated, &mut content).map_err(|_| DecryptError::Altered)?.len();
    content.truncate(length);
    Ok(Opened { content, id: envelope.id().to_owned(), issued_at: envelope.issued_at() })
}

fn cipher(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

/// The key of a message: what both sides get from their own private and the other's public key.
fn agreed_key(own: &agreement::PrivateKey, other: &PublicKey, label: &Label) -> Option<Zeroizing<[u8; 32]>> {
    let parties = (label.sender.as_str().as_bytes(), label.recipient.as_str().as_bytes());
    let derive = |secret: &[u8]| {
        let mut key = Zeroizing::new([0; 32]);
        concat_kdf(secret, CONTENT_ALGORITHM, parties, key.as_mut_slice()).then_some(key).ok_or(())
    };
    agreement::agree(own, other.unparsed(), (), derive).ok()
}

/// The Concat KDF with SHA-256 (NIST SP 800-56A section 5.8.1) as RFC 7518 section 4.6.2 fills it in, for a key of at most one round (32
/// bytes); whether it could.
pub(super) fn concat_kdf(secret: &[u8], algorithm: &str, (sender, recipient): (&[u8], &[u8]), key: &mut [u8]) -> bool {
    let Some(bits) = u32::try_from(key.len()).ok().filter(|length| *length <= 32).map(|length| length * 8) else {
        return false;
    };
    let mut round = Context::new(&SHA256);
    round.update(&1_u32.to_be_bytes());
    round.update(secret);
    for part in [algorithm.as_bytes(), sender, recipient] {
        let Ok(length) = u32::try_from(part.len()) else { return false };
        round.update(&length.to_be_bytes());
        round.update(part);
    }
    round.update(&bits.to_be_bytes());
    let digest = round.finish();
    for (target, byte) in key.iter_mut().zip(digest.as_ref()) {
        *target = *byte;
    }
    true
}
