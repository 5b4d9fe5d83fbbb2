//! Checkpoints: the size and the root of the tree in a signed note (C2SP tlog-checkpoint and signed-note), and the
//! links that chain each checkpoint to the one before.
//!
//! Invariant: a [`Checkpoint`] read from a note was signed by a key that the reader trusts; a text that is not exactly
//! in the canonical form is no checkpoint. The public note has no extension lines, so that witnesses can cosign it;
//! time and predecessor are signed apart, in the link.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::merkle::{Hash, Head};
use crate::clock::Timestamp;

/// The signature type byte of Ed25519 in signed notes.
const ED25519_TYPE: u8 = 1;
/// Signature lines beyond this many are refused (the specification asks for at least 16).
const MOST_SIGNATURES: usize = 32;
/// What the input of a link's signature begins with; an origin cannot contain a space, so no note begins with it.
const LINK_TAG: &str = "sluis checkpoint link v1";

/// Signs checkpoints with Ed25519 (RFC 8032); made by whoever keeps the gateway's private keys.
pub trait CheckpointSigner: Send + Sync {
    /// The name of the key, which is also the origin of the log; no spaces, no plus sign. It must never change during the
    /// life of a log, also not when the gateway's address does.
    fn key_name(&self) -> &str;
    /// The raw public key.
    fn public_key(&self) -> [u8; 32];
    /// The 64-byte signature over exactly these bytes.
    ///
    /// # Errors
    /// [`SigningFailed`] when the key cannot sign; then nothing may be published.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;
}

/// The key that signs checkpoints could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key that signs checkpoints could not be used; see that the gateway's signing keys are in place")]
pub struct SigningFailed;

/// Why a note is not accepted as a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCheckpoint {
    /// The text is not a signed note with a checkpoint in it.
    #[error("not a signed checkpoint in the canonical form")]
    Malformed,
    /// No trusted key signed it.
    #[error("not signed by a known key")]
    UnknownKey,
    /// It bears the name and id of a trusted key, but not its signature.
    #[error("the signature of a known key does not fit")]
    BadSignature,
    /// A trusted key signed it for another log.
    #[error("the checkpoint is of another log")]
    OtherLog,
}

/// A public key with the name that it signs under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    /// The name of the key, equal to the origin of the log.
    pub name: String,
    /// The raw Ed25519 public key.
    pub public: [u8; 32],
}

impl VerifierKey {
    /// The key of a signer.
    #[must_use]
    pub fn of(signer: &dyn CheckpointSigner) -> Self {
        Self { name: signer.key_name().to_owned(), public: signer.public_key() }
    }

    /// The first four bytes of SHA-256 over name, newline, signature type and key (signed-note, "Signatures").
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let input = [self.name.as_bytes(), b"\n", &[ED25519_TYPE], &self.public].concat();
        let mut id = [0; 4];
        for (to, from) in id.iter_mut().zip(Hash::of(&input).as_bytes()) {
            *to = *from;
        }
        id
    }

    /// Reads `name+id+key`, the text in which verifiers exchange keys: the id in hexadecimal, the key in base64 with
    /// its signature type in front.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = STANDARD.decode(key).ok()?;
        let (kind, public) = key.split_first()?;
        let key = Self { name: name.to_owned(), public: public.try_into().ok()? };
        (valid_name(name) && *kind == ED25519_TYPE && hex::encode(key.id()) == id).then_some(key)
    }

    /// The text that [`VerifierKey::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        let key = [[ED25519_TYPE].as_slice(), &self.public].concat();
        format!("{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(key))
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).is_ok()
    }
}

/// A name in a signed note: not empty, no spaces, no plus, no control characters.
fn valid_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// The state of the log at one moment: which log, and its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The identity of the log.
    pub origin: String,
    /// Size and root of its tree.
    pub head: Head,
}

impl Checkpoint {
    /// The three lines of the note.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.head.size, STANDARD.encode(self.head.root.as_bytes()))
    }

    /// The signed note over a head, under the name of the signer's key.
    ///
    /// # Errors
    /// [`SigningFailed`] when the key cannot sign, or its name cannot stand in a note.
    pub fn sign(head: Head, signer: &dyn CheckpointSigner) -> Result<String, SigningFailed> {
        let key = VerifierKey::of(signer);
        if !valid_name(&key.name) {
            return Err(SigningFailed);
        }
        let text = Self { origin: key.name.clone(), head }.text();
        let signature = [key.id().as_slice(), &signer.sign(text.as_bytes())?].concat();
        Ok(format!("{text}\n\u{2014} {} {}\n", key.name, STANDARD.encode(signature)))
    }

    /// Reads a note that one of `keys` signed for the log of its own name.
    ///
    /// # Errors
    /// [`InvalidCheckpoint`] says why the note is not accepted.
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<Self, InvalidCheckpoint> {
        let text = open_note(note, keys)?;
        let checkpoint = Self::parse(text.0)?;
        if checkpoint.origin == text.1.name { Ok(checkpoint) } else { Err(InvalidCheckpoint::OtherLog) }
    }

    fn parse(text: &str) -> Result<Self, InvalidCheckpoint> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(InvalidCheckpoint::Malformed);
        };
        let root = STANDARD.decode(root).ok().and_then(|root| Hash::from_slice(&root));
        let (Ok(size), Some(root)) = (size.parse(), root) else { return Err(InvalidCheckpoint::Malformed) };
        let checkpoint = Self { origin: origin.to_owned(), head: Head { size, root } };
        if checkpoint.text() == text { Ok(checkpoint) } else { Err(InvalidCheckpoint::Malformed) }
    }
}

/// Whether a text is a signed note at all, whoever signed it and whatever it says.
#[must_use]
pub fn has_form(note: &str) -> bool {
    !matches!(open_note(note, &[]), Err(InvalidCheckpoint::Malformed))
}

/// The text of a signed note and the key that vouches for it.
fn open_note<'a>(note: &'a str, keys: &'a [VerifierKey]) -> Result<(&'a str, &'a VerifierKey), InvalidCheckpoint> {
    let end = note.rfind("\n\n").ok_or(InvalidCheckpoint::Malformed)?;
    let (text, signatures) = note.split_at(end + 1);
    let signatures = signatures.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
    let lines: Vec<&str> = signatures.ok_or(InvalidCheckpoint::Malformed)?.split('\n').collect();
    if lines.len() > MOST_SIGNATURES || note.chars().any(|c| c != '\n' && c < ' ') {
        return Err(InvalidCheckpoint::Malformed);
    }
    let mut vouched = None;
    for line in lines {
        let line = line.strip_prefix("\u{2014} ").and_then(|line| line.split_once(' '));
        let (name, signature) = line.ok_or(InvalidCheckpoint::Malformed)?;
        let signature = STANDARD.decode(signature).map_err(|_| InvalidCheckpoint::Malformed)?;
        let (id, signature) = signature.split_at_checked(4).ok_or(InvalidCheckpoint::Malformed)?;
        let Some(key) = keys.iter().find(|key| key.name == name && key.id() == id) else { continue };
        if !key.verifies(text.as_bytes(), signature) {
            return Err(InvalidCheckpoint::BadSignature);
        }
        vouched = vouched.or(Some(key));
    }
    vouched.map(|key| (text, key)).ok_or(InvalidCheckpoint::UnknownKey)
}

/// The signed statement that one checkpoint was made at a time, right after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The SHA-256 digest of the note of the checkpoint before; [`Link::first`] when there is none.
    pub previous: Hash,
    /// When the checkpoint was made.
    pub time: Timestamp,
    /// The SHA-256 digest of the note itself.
    pub note: Hash,
}

impl Link {
    /// What the first checkpoint names as its predecessor: thirty-two zero bytes.
    #[must_use]
    pub fn first() -> Hash {
        Hash::from([0; Hash::LENGTH])
    }

    fn text(&self) -> String {
        format!("{LINK_TAG}\n{}\n{}\n{}\n", self.previous, self.time.as_micros(), self.note)
    }

    /// The signature over this link.
    ///
    /// # Errors
    /// [`SigningFailed`] when the key cannot sign.
    pub fn sign(&self, signer: &dyn CheckpointSigner) -> Result<Vec<u8>, SigningFailed> {
        signer.sign(self.text().as_bytes())
    }

    /// Whether one of these keys signed this link.
    #[must_use]
    pub fn verify(&self, signature: &[u8], keys: &[VerifierKey]) -> bool {
        keys.iter().any(|key| key.verifies(self.text().as_bytes(), signature))
    }
}
