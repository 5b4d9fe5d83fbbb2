//! Encryption at rest: content under a data key per referral, data keys and other secrets under the key-encryption key.
//!
//! AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. A sealed value is
//! `version (1) ‖ key id (8) ‖ nonce (12) ‖ ciphertext and tag`, and is bound to its place (`table/column/row`) as associated
//! data, so that a value moved to another row does not open. Invariant: keys live in memory that is wiped when dropped, and
//! are never printed.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::{constant_time, hmac};
use zeroize::{Zeroize, Zeroizing};

use crate::ids::{Entropy, NoEntropy};

const VERSION: u8 = 1;
const KEY_ID: usize = 8;
const HEADER: usize = 1 + KEY_ID + NONCE_LEN;

/// Why a value could not be sealed or opened; says nothing about the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The value was sealed under a key that is not configured.
    #[error("sealed under a key that is not configured; add the former key-encryption key to the configuration")]
    UnknownKey,
    /// The value was altered, moved to another place, or is no sealed value.
    #[error("a sealed value does not open: it was altered or moved")]
    Altered,
}

/// A 256-bit key; wiped when dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A fresh random key.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn generate(entropy: &Entropy) -> Result<Self, NoEntropy> {
        Ok(Self(Zeroizing::new(entropy.bytes()?)))
    }

    /// A key from 64 hexadecimal digits, as key files and the environment hold it.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).ok()?;
        Some(Self(bytes))
    }

    /// The 64 hexadecimal digits of this key, for writing a new key file.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_slice()))
    }

    /// A key for one use only, derived from this one (HKDF-SHA-256, RFC 5869).
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let derived = Salt::new(HKDF_SHA256, b"sluis").extract(self.0.as_slice());
        if let Ok(output) = derived.expand(&[purpose.as_bytes()], HKDF_SHA256) {
            // Expanding to exactly one hash length cannot fail (RFC 5869 section 2.3).
            let _ = output.fill(bytes.as_mut_slice());
        }
        Self(bytes)
    }

    /// HMAC-SHA-256 (RFC 2104) of the given parts, each preceded by its length so that no two lists of parts collide.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice());
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        for (target, byte) in tag.iter_mut().zip(context.sign().as_ref()) {
            *target = *byte;
        }
        tag
    }

    fn id(&self) -> [u8; KEY_ID] {
        let mut id = [0; KEY_ID];
        let fingerprint = digest(&SHA256, self.derive("key id").0.as_slice());
        for (target, byte) in id.iter_mut().zip(fingerprint.as_ref()) {
            *target = *byte;
        }
        id
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        UnboundKey::new(&AES_256_GCM, self.0.as_slice()).map(LessSafeKey::new).map_err(|_| SealError::Altered)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// Seals and opens values; the first key seals, all keys open (that is how the key-encryption key is rotated).
#[derive(Clone)]
pub struct Sealer {
    keys: Arc<[([u8; KEY_ID], Key)]>,
    entropy: Entropy,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer that seals with `current` and also opens what `former` keys sealed.
    #[must_use]
    pub fn new(current: Key, former: Vec<Key>, entropy: Entropy) -> Self {
        let keys = std::iter::once(current).chain(former).map(|key| (key.id(), key)).collect();
        Self { keys, entropy }
    }

    /// The id of the key that seals now, in hexadecimal.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.keys.first().map(|(id, _)| hex::encode(id)).unwrap_or_default()
    }

    /// Seals a value for one place, given as `table/column/row`.
    ///
    /// # Errors
    /// When no random bytes can be had.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let (id, key) = self.keys.first().ok_or(SealError::UnknownKey)?;
        seal_with(key, id, place, plain, &self.entropy)
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    /// When the key is not configured, or the value was altered or moved.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let id = sealed.get(1..=KEY_ID).ok_or(SealError::Altered)?;
        let (_, key) = self.keys.iter().find(|(known, _)| known == id).ok_or(SealError::UnknownKey)?;
        open_with(key, place, sealed)
    }

    /// A fresh data key, and the same key wrapped for storage at this place.
    ///
    /// # Errors
    /// When no random bytes can be had.
    pub fn new_data_key(&self, place: &str) -> Result<(DataKey, Vec<u8>), SealError> {
        let key = Key::generate(&self.entropy)?;
        let wrapped = self.seal(place, key.0.as_slice())?;
        Ok((DataKey { key, entropy: self.entropy.clone() }, wrapped))
    }

    /// Unwraps a data key that was wrapped for this place.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn data_key(&self, place: &str, wrapped: &[u8]) -> Result<DataKey, SealError> {
        let mut plain = self.open(place, wrapped)?;
        let bytes: [u8; 32] = plain.as_slice().try_into().map_err(|_| SealError::Altered)?;
        plain.zeroize();
        Ok(DataKey { key: Key(Zeroizing::new(bytes)), entropy: self.entropy.clone() })
    }

    /// A fresh random key, and the same key sealed for storage at this place.
    ///
    /// # Errors
    /// When no random bytes can be had.
    pub fn new_share(&self, place: &str) -> Result<(Key, Vec<u8>), SealError> {
        let key = Key::generate(&self.entropy)?;
        let sealed = self.seal(place, key.0.as_slice())?;
        Ok((key, sealed))
    }

    /// Opens a key that was sealed for this place.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn share(&self, place: &str, sealed: &[u8]) -> Result<Key, SealError> {
        let mut plain = self.open(place, sealed)?;
        let bytes: [u8; 32] = plain.as_slice().try_into().map_err(|_| SealError::Altered)?;
        plain.zeroize();
        Ok(Key(Zeroizing::new(bytes)))
    }

    /// A keyed digest for one use, with a key that is not in the database.
    #[must_use]
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        self.keys.first().map(|(_, key)| key.derive(purpose).mac(&[bytes])).unwrap_or_default()
    }

    /// Whether `tag` is the keyed digest of `bytes` under this or a former key; compares in constant time.
    #[must_use]
    pub fn verify_mac(&self, purpose: &str, bytes: &[u8], tag: &[u8]) -> bool {
        self.keys.iter().fold(false, |found, (_, key)| {
            let expected = key.derive(purpose).mac(&[bytes]);
            constant_time::verify_slices_are_equal(&expected, tag).is_ok() || found
        })
    }
}

/// The key that seals the content of one referral; destroying its wrapped form destroys the content.
#[derive(Debug)]
pub struct DataKey {
    key: Key,
    entropy: Entropy,
}

impl DataKey {
    /// The key of one section, made of this data key and a share that is kept apart (HKDF-SHA-256, RFC 5869): whoever has one of the two
    /// has nothing.
    #[must_use]
    pub fn with_share(&self, share: &Key) -> Self {
        let mut both = Zeroizing::new([0_u8; 64]);
        for (target, byte) in both.iter_mut().zip(self.key.0.iter().chain(share.0.iter())) {
            *target = *byte;
        }
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let derived = Salt::new(HKDF_SHA256, b"sluis").extract(both.as_slice());
        if let Ok(output) = derived.expand(&[b"key of a section"], HKDF_SHA256) {
            // Expanding to exactly one hash length cannot fail (RFC 5869 section 2.3).
            let _ = output.fill(bytes.as_mut_slice());
        }
        Self { key: Key(bytes), entropy: self.entropy.clone() }
    }

    /// Seals a value for one place, given as `table/column/row`.
    ///
    /// # Errors
    /// When no random bytes can be had.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        seal_with(&self.key, &self.key.id(), place, plain, &self.entropy)
    }

    /// Opens a value that was sealed for this place.
    ///
    /// # Errors
    /// When the value was altered or moved.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open_with(&self.key, place, sealed)
    }
}

fn seal_with(key: &Key, id: &[u8], place: &str, plain: &[u8], entropy: &Entropy) -> Result<Vec<u8>, SealError> {
    let nonce: [u8; NONCE_LEN] = entropy.bytes()?;
    let mut sealed = Vec::with_capacity(HEADER + plain.len() + AES_256_GCM.tag_len());
    sealed.push(VERSION);
    sealed.extend_from_slice(id);
    sealed.extend_from_slice(&nonce);
    let mut body = plain.to_vec();
    let associated = Aad::from(place.as_bytes());
    key.cipher()?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated, &mut body)
        .map_err(|_| SealError::Altered)?;
    sealed.append(&mut body);
    Ok(sealed)
}

fn open_with(key: &Key, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (header, body) = sealed.split_at_checked(HEADER).ok_or(SealError::Altered)?;
    if header.first() != Some(&VERSION) {
        return Err(SealError::Altered);
    }
    let nonce = header.get(1 + KEY_ID..).and_then(|nonce| nonce.try_into().ok()).ok_or(SealError::Altered)?;
    let mut body = Zeroizing::new(body.to_vec());
    let plain = key
        .cipher()?
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut body)
        .map_err(|_| SealError::Altered)?
        .len();
    body.truncate(plain);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(former: Vec<Key>) -> (Key, Sealer) {
        let key = Key::generate(&Entropy::system()).unwrap();
        (key.clone(), Sealer::new(key, former, Entropy::system()))
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let (_, sealer) = sealer(vec![]);
        let sealed = sealer.seal("sections/content/1", b"plain").unwrap();
        assert_eq!(sealer.open("sections/content/1", &sealed).unwrap().as_slice(), b"plain");
        assert_eq!(sealer.open("sections/content/2", &sealed).unwrap_err(), SealError::Altered);
    }

    #[test]
    fn any_altered_byte_is_noticed() {
        let (_, sealer) = sealer(vec![]);
        let sealed = sealer.seal("place", b"plain").unwrap();
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(sealer.open("place", &altered).is_err(), "byte {index}");
            assert!(sealer.open("place", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn a_rotated_key_opens_what_the_former_key_sealed_and_a_stranger_does_not() {
        let (old_key, old) = sealer(vec![]);
        let (data, wrapped) = old.new_data_key("referrals/key/1").unwrap();
        let sealed = data.seal("place", b"plain").unwrap();
        let (_, rotated) = sealer(vec![old_key]);
        let again = rotated.data_key("referrals/key/1", &wrapped).unwrap();
        assert_eq!(again.open("place", &sealed).unwrap().as_slice(), b"plain");
        let (_, stranger) = sealer(vec![]);
        assert_eq!(stranger.data_key("referrals/key/1", &wrapped).unwrap_err(), SealError::UnknownKey);
    }

    #[test]
    fn a_section_opens_with_data_key_and_share_together_and_with_neither_alone() {
        let (_, sealer) = sealer(vec![]);
        let (data, _) = sealer.new_data_key("referrals/key/1").unwrap();
        let (share, stored) = sealer.new_share("key_shares/sealed/1").unwrap();
        let (other, _) = sealer.new_share("key_shares/sealed/2").unwrap();
        let sealed = data.with_share(&share).seal("place", b"plain").unwrap();
        let again = sealer.share("key_shares/sealed/1", &stored).unwrap();
        assert_eq!(data.with_share(&again).open("place", &sealed).unwrap().as_slice(), b"plain");
        assert!(data.open("place", &sealed).is_err());
        assert!(data.with_share(&other).open("place", &sealed).is_err());
        let (another, _) = sealer.new_data_key("referrals/key/2").unwrap();
        assert!(another.with_share(&share).open("place", &sealed).is_err());
        assert!(sealer.share("key_shares/sealed/2", &stored).is_err(), "a share stays in its place");
    }

    #[test]
    fn derived_keys_differ_by_purpose() {
        let (key, _) = sealer(vec![]);
        assert_ne!(key.derive("a").mac(&[b"x"]), key.derive("b").mac(&[b"x"]));
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
    }
}
