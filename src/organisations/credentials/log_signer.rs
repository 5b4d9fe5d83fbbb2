//! The gateway's key for checkpoints of the audit log, in the form that the log asks for.

use std::sync::Arc;

use super::keys::{GatewayKey, KeyRing, Purpose};
use crate::audit::checkpoint::{CheckpointSigner, SigningFailed, VerifierKey};
use crate::clock::Timestamp;

/// Signs checkpoints with the key that is active now.
pub struct LogSigner {
    ring: Arc<KeyRing>,
    name: String,
    now: Timestamp,
}

impl LogSigner {
    /// A signer for the log of this host; `name` is its origin, such as `sluis.example.nl/log`.
    #[must_use]
    pub const fn new(ring: Arc<KeyRing>, name: String, now: Timestamp) -> Self {
        Self { ring, name, now }
    }

    /// Every key with which this gateway signs or signed checkpoints.
    #[must_use]
    pub fn known_keys(&self) -> Vec<VerifierKey> {
        let keys = self.ring.iter().filter(|key| key.purpose == Purpose::Checkpoint);
        keys.map(|key| VerifierKey::of(&One { key, name: &self.name })).collect()
    }

    fn active(&self) -> Option<One<'_>> {
        self.ring.signing(Purpose::Checkpoint, self.now).map(|key| One { key, name: &self.name })
    }
}

impl CheckpointSigner for LogSigner {
    fn key_name(&self) -> &str {
        &self.name
    }

    fn public_key(&self) -> [u8; 32] {
        self.active().map(|one| one.public_key()).unwrap_or_default()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.active().ok_or(SigningFailed)?.sign(message)
    }
}

/// One key under the log's name.
struct One<'a> {
    key: &'a GatewayKey,
    name: &'a str,
}

impl CheckpointSigner for One<'_> {
    fn key_name(&self) -> &str {
        self.name
    }

    fn public_key(&self) -> [u8; 32] {
        self.key.public().ed25519_bytes().unwrap_or_default()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        self.key.sign_bytes(message).map_err(|_| SigningFailed)
    }
}
