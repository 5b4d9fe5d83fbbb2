//! The identifiers that cross the wire, each parsed once at the edge, and the source of randomness.
//!
//! Invariant: a value of these types has been checked; code that holds one need not check again.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::clock::Timestamp;

/// An *Organisatie-identificatienummer*: 20 characters that name an organisation (OIN-stelsel 3.0.1, section 6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oin(Arc<str>);

/// A text that is not an OIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an OIN: 20 digits or capital letters, the first eight of them digits")]
pub struct InvalidOin;

impl Oin {
    /// The 20 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Oin {
    type Err = InvalidOin;

    fn from_str(text: &str) -> Result<Self, InvalidOin> {
        let well_formed = text.len() == 20
            && text.bytes().take(8).all(|byte| byte.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        if well_formed { Ok(Self(text.into())) } else { Err(InvalidOin) }
    }
}

impl fmt::Display for Oin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Oin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Oin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The source of every random value: keys, salts, nonces, identifiers.
#[derive(Debug, Clone)]
pub struct Entropy(SystemRandom);

/// The operating system gave no random bytes; nothing that needs them may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

impl Entropy {
    /// The operating system's generator.
    #[must_use]
    pub fn system() -> Self {
        Self(SystemRandom::new())
    }

    /// Fresh random bytes.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives none.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for random bytes")]
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], NoEntropy> {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes).map_err(|_| NoEntropy)?;
        Ok(bytes)
    }

    /// A version 7 UUID (RFC 9562 section 5.7): the time in its head, random in its tail.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn uuid(&self, now: Timestamp) -> Result<Uuid, NoEntropy> {
        Ok(uuid::Builder::from_unix_timestamp_millis(now.as_unix_millis(), &self.bytes()?).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oin_has_twenty_characters() {
        assert!("00000099000000001000".parse::<Oin>().is_ok());
        for wrong in
            ["", "0000009900000000100", "0000009900000000100a", "A0000099000000001000", "00000099000000001000 "]
        {
            assert_eq!(wrong.parse::<Oin>(), Err(InvalidOin), "{wrong:?}");
        }
    }
}
