//! The gateway's root keys: read from files or the environment, never printed, wiped when dropped.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::keys::Mistake;
use crate::ids::Entropy;
use crate::storage::seal::Key;

/// `[keys]`: where the root keys are. Each is 32 bytes as 64 hexadecimal digits.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// The key that wraps data keys; `SLUIS_KEYS__KEY_ENCRYPTION_KEY` in the environment takes its place.
    pub key_encryption_key_file: Option<PathBuf>,
    /// Keys that wrapped earlier ones.
    pub former_key_encryption_key_files: Vec<PathBuf>,
    /// The key of the pseudonyms; `SLUIS_KEYS__PSEUDONYM_KEY` in the environment takes its place.
    pub pseudonym_key_file: Option<PathBuf>,
    /// Keys found in the environment.
    pub from_environment: EnvironmentKeys,
}

/// Root keys that came from the environment.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentKeys {
    pub(super) key_encryption_key: Option<Key>,
    pub(super) pseudonym_key: Option<Key>,
}

/// The root keys themselves.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Wraps data keys.
    pub key_encryption_key: Key,
    /// Opens what was wrapped before the last rotation.
    pub former_key_encryption_keys: Vec<Key>,
    /// Makes pseudonyms.
    pub pseudonym_key: Key,
}

impl KeySettings {
    /// Reads the keys.
    ///
    /// # Errors
    /// Every key that is missing, malformed or readable by others.
    pub fn read(&self) -> Result<Secrets, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut one = |name: &str, file: Option<&PathBuf>, given: Option<&Key>| match (given, file) {
            (Some(key), _) => Some(key.clone()),
            (None, Some(path)) => read_key(name, path).map_err(|mistake| mistakes.push(mistake)).ok(),
            (None, None) => {
                mistakes.push(Mistake {
                    key: format!("keys.{name}_file"),
                    reason: format!("is missing; name a key file or set SLUIS_KEYS__{}", name.to_uppercase()),
                });
                None
            }
        };
        let environment = &self.from_environment;
        let wrapping =
            one("key_encryption_key", self.key_encryption_key_file.as_ref(), environment.key_encryption_key.as_ref());
        let pseudonym = one("pseudonym_key", self.pseudonym_key_file.as_ref(), environment.pseudonym_key.as_ref());
        let former: Vec<_> = self
            .former_key_encryption_key_files
            .iter()
            .filter_map(|path| one("former_key_encryption_key", Some(path), None))
            .collect();
        match (wrapping, pseudonym) {
            (Some(key_encryption_key), Some(pseudonym_key)) if mistakes.is_empty() => {
                Ok(Secrets { key_encryption_key, former_key_encryption_keys: former, pseudonym_key })
            }
            _ => Err(mistakes),
        }
    }
}

fn read_key(name: &str, path: &Path) -> Result<Key, Mistake> {
    let mistake = |reason: String| Mistake { key: format!("keys.{name}_file"), reason };
    let metadata =
        std::fs::metadata(path).map_err(|error| mistake(format!("{} {}", path.display(), unreadable(&error))))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(mistake(format!("others can read {}; run: chmod 600 {}", path.display(), path.display())));
    }
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| mistake(format!("{} {}", path.display(), unreadable(&error))))?;
    Key::from_hex(&text).ok_or_else(|| {
        mistake(format!(
            "{} does not hold 64 hexadecimal digits; make a key with: openssl rand -hex 32",
            path.display()
        ))
    })
}

/// Why a file cannot be read, in words for people.
#[must_use]
pub fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        kind => format!("cannot be read: {kind}"),
    }
}

/// Writes a fresh random key to a new file that only its owner can read; an existing file is left as it is.
///
/// # Errors
/// When the file cannot be written or no random bytes can be had.
pub fn create_key_file(path: &Path, entropy: &Entropy) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let key = Key::generate(entropy).map_err(std::io::Error::other)?;
    let temporary = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(key.to_hex().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(temporary, path)
}
