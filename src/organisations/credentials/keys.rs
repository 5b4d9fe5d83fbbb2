//! The gateway's own signing keys: one line of succession each for tokens, receipts and checkpoints.
//!
//! Invariants: a key is published before it signs, so that nobody meets a signature whose key the JWKS lacks; a retired token
//! key is accepted only until the last token that it can have signed has ended; keys of receipts and checkpoints stay published,
//! so that what they signed verifies for years. The private halves are sealed in the database, each to its own row.

use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::jose::{JoseError, SigningKey, VerifyingKey};
use super::store::{self, StoredKey};
use crate::clock::Timestamp;
use crate::organisations::types::Expected;
use crate::problem::Problem;
use crate::storage::Db;
use crate::storage::seal::Sealer;

/// How long a new key is published before it signs; longer than anyone may keep the JWKS (its `max-age` is half of this).
pub const OVERLAP: Duration = Duration::from_mins(10);
/// How often the keys are read again, so that a rotation by another process is seen well within [`OVERLAP`].
const RELOAD_AFTER: Duration = Duration::from_secs(30);
/// The leeway for clocks of others, as for the tokens themselves.
pub(super) const LEEWAY: Duration = Duration::from_secs(5);

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Purpose {
    /// Access tokens.
    Token,
    /// Receipts of referrals.
    Receipt,
    /// Checkpoints of the audit log.
    Checkpoint,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Token, Self::Receipt, Self::Checkpoint];

    /// The name in the database and in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Receipt => "receipt",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl FromStr for Purpose {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == text).ok_or(Expected("token, receipt or checkpoint"))
    }
}

/// One signing key.
#[derive(Debug)]
pub struct GatewayKey {
    /// What it signs.
    pub purpose: Purpose,
    /// When it was made, and so published.
    pub created_at: Timestamp,
    /// From when it signs.
    pub active_from: Timestamp,
    /// Until when it signs.
    pub retired_at: Option<Timestamp>,
    key: SigningKey,
}

impl GatewayKey {
    /// The name of the key: `kid` in JWS headers and in the JWKS.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.key.key_id()
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &VerifyingKey {
        self.key.public()
    }

    /// Signs a payload as a compact JWS of this `typ`.
    ///
    /// # Errors
    /// [`JoseError`] when the cryptographic library refuses.
    pub fn sign(&self, kind: &str, payload: &[u8]) -> Result<String, JoseError> {
        self.key.sign(kind, payload)
    }

    /// Signs bytes as they are, for formats that are no JWS.
    ///
    /// # Errors
    /// [`JoseError`] when the cryptographic library refuses.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        self.key.sign_bytes(message)
    }

    fn signs_at(&self, now: Timestamp) -> bool {
        self.active_from <= now && self.retired_at.is_none_or(|retired_at| now < retired_at)
    }
}

/// All keys as they were at one moment.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<GatewayKey>,
    token_lifetime: Duration,
}

impl KeyRing {
    /// The key that signs for this purpose now.
    #[must_use]
    pub fn signing(&self, purpose: Purpose, now: Timestamp) -> Option<&GatewayKey> {
        self.keys
            .iter()
            .filter(|key| key.purpose == purpose && key.signs_at(now))
            .max_by(|one, other| (one.active_from, one.key_id()).cmp(&(other.active_from, other.key_id())))
    }

    /// The key of this name, if a token that it signed can still be valid now.
    #[must_use]
    pub fn for_token(&self, key_id: &str, now: Timestamp) -> Option<&GatewayKey> {
        self.keys.iter().find(|key| {
            key.purpose == Purpose::Token && key.key_id() == key_id && self.may_have_signed_a_valid_token(key, now)
        })
    }

    /// The key of this name for receipts or checkpoints, however old.
    #[must_use]
    pub fn for_record(&self, purpose: Purpose, key_id: &str) -> Option<&GatewayKey> {
        self.keys.iter().find(|key| key.purpose == purpose && purpose != Purpose::Token && key.key_id() == key_id)
    }

    /// The JWK set for `/oauth/jwks` (RFC 7517 section 5).
    #[must_use]
    pub fn published(&self, now: Timestamp) -> Value {
        let useful = |key: &&GatewayKey| key.purpose != Purpose::Token || self.is_worth_publishing(key, now);
        let keys: Vec<Value> = self.keys.iter().filter(useful).map(|key| key.public().to_jwk(key.key_id())).collect();
        json!({ "keys": keys })
    }

    /// Every key, for commands that list them.
    pub fn iter(&self) -> impl Iterator<Item = &GatewayKey> {
        self.keys.iter()
    }

    /// Signs the receipt of a referral: a compact JWS that verifies with the published keys for years.
    ///
    /// # Errors
    /// A problem when there is no key for receipts.
    pub fn sign_receipt(&self, receipt: &Value, now: Timestamp) -> Result<String, Problem> {
        self.sign(Purpose::Receipt, "sluis-receipt+jwt", receipt.to_string().as_bytes(), now)
    }

    /// Signs a payload with the present key for a purpose.
    ///
    /// # Errors
    /// A problem when there is no key for it.
    pub fn sign(&self, purpose: Purpose, kind: &str, payload: &[u8], now: Timestamp) -> Result<String, Problem> {
        let key = self.signing(purpose, now).ok_or_else(|| Problem::internal("no signing key is active"))?;
        key.sign(kind, payload).map_err(|error| Problem::internal(&error.to_string()))
    }

    fn may_have_signed_a_valid_token(&self, key: &GatewayKey, now: Timestamp) -> bool {
        let started = key.active_from <= now.plus(LEEWAY);
        started && self.is_worth_publishing(key, now)
    }

    fn is_worth_publishing(&self, key: &GatewayKey, now: Timestamp) -> bool {
        key.retired_at.is_none_or(|retired_at| now <= retired_at.plus(self.token_lifetime).plus(LEEWAY))
    }

    /// Whether the key that signs now will be too old by the time that a successor made now takes over.
    fn is_due(&self, purpose: Purpose, key_lifetime: Duration, now: Timestamp) -> bool {
        let pending = self.keys.iter().any(|key| key.purpose == purpose && key.active_from > now);
        let aged = |key: &GatewayKey| key.active_from.plus(key_lifetime) <= now.plus(OVERLAP);
        !pending && self.signing(purpose, now).is_none_or(aged)
    }
}

/// Keeps the keys: reads them, makes the first ones, has them succeed each other.
pub struct KeyKeeper {
    db: Db,
    sealer: Sealer,
    token_lifetime: Duration,
    key_lifetime: Duration,
    cached: RwLock<Option<(Timestamp, Arc<KeyRing>)>>,
}

impl KeyKeeper {
    /// A keeper of the keys in this database; makes the first ones.
    ///
    /// # Errors
    /// A problem when the database fails or a key does not open.
    pub async fn open(
        db: Db,
        sealer: Sealer,
        token_lifetime: Duration,
        key_lifetime: Duration,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let keeper = Self { db, sealer, token_lifetime, key_lifetime, cached: RwLock::new(None) };
        for purpose in Purpose::ALL {
            if !store::has_key(&mut keeper.db.reader(), purpose).await? {
                keeper.add(purpose, now, now, true).await?;
            }
        }
        keeper.ring(now).await?;
        Ok(keeper)
    }

    /// The keys as they are, at most half a minute old. A key that has reached its age gets a successor.
    ///
    /// # Errors
    /// A problem when the database fails or a key does not open.
    pub async fn ring(&self, now: Timestamp) -> Result<Arc<KeyRing>, Problem> {
        if let Some((read_at, ring)) = &*self.cached.read().unwrap_or_else(PoisonError::into_inner)
            && *read_at <= now
            && now < read_at.plus(RELOAD_AFTER)
        {
            return Ok(Arc::clone(ring));
        }
        let ring = self.read().await?;
        let mut succeeded = false;
        for purpose in Purpose::ALL {
            if ring.is_due(purpose, self.key_lifetime, now) {
                // With no key at all that could sign, the successor cannot wait.
                let takes_over = if ring.signing(purpose, now).is_some() { now.plus(OVERLAP) } else { now };
                succeeded |= self.add(purpose, takes_over, now, false).await?.is_some();
            }
        }
        let ring = Arc::new(if succeeded { self.read().await? } else { ring });
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&ring)));
        Ok(ring)
    }

    /// Gives the present key for a purpose a successor that takes over after [`OVERLAP`]; answers the new key's name, or
    /// nothing when a successor is already waiting.
    ///
    /// # Errors
    /// A problem when the database fails.
    pub async fn rotate(&self, purpose: Purpose, now: Timestamp) -> Result<Option<String>, Problem> {
        let added = self.add(purpose, now.plus(OVERLAP), now, false).await?;
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(added)
    }

    async fn add(
        &self,
        purpose: Purpose,
        active_from: Timestamp,
        now: Timestamp,
        only_first: bool,
    ) -> Result<Option<String>, Problem> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| Problem::internal("no signing key could be made"))?;
        let private = Zeroizing::new(document.as_ref().to_vec());
        let key = SigningKey::from_pkcs8(&private).map_err(|error| Problem::internal(&error.to_string()))?;
        let kid = key.key_id().to_owned();
        let stored = StoredKey {
            sealed: self.sealer.seal(&place(&kid), &private)?,
            jwk: key.public().to_jwk(&kid),
            kid,
            purpose,
            created_at: now,
            active_from,
            retired_at: None,
        };
        self.db
            .write("add-signing-key", async move |tx| {
                if only_first && store::has_key(tx, purpose).await? {
                    return Ok(None);
                }
                Ok(store::succeed_key(tx, &stored, now).await?.then(|| stored.kid.clone()))
            })
            .await
    }

    async fn read(&self) -> Result<KeyRing, Problem> {
        let stored = store::gateway_keys(&mut self.db.reader()).await?;
        let keys = stored.iter().map(|stored| self.open_key(stored)).collect::<Result<_, _>>()?;
        Ok(KeyRing { keys, token_lifetime: self.token_lifetime })
    }

    fn open_key(&self, stored: &StoredKey) -> Result<GatewayKey, Problem> {
        let private = self.sealer.open(&place(&stored.kid), &stored.sealed)?;
        let key = SigningKey::from_pkcs8(&private).map_err(|error| Problem::internal(&error.to_string()))?;
        if key.key_id() != stored.kid {
            return Err(Problem::internal("a signing key is not the one that its row names"));
        }
        Ok(GatewayKey {
            purpose: stored.purpose,
            created_at: stored.created_at,
            active_from: stored.active_from,
            retired_at: stored.retired_at,
            key,
        })
    }
}

/// What the sealed private key is bound to.
fn place(kid: &str) -> String {
    format!("gateway_keys/private_key/{kid}")
}
