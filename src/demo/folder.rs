//! The data folder: where the demo finds and leaves keys, certificates, the covenant, the database and a configuration
//! with which `sluis serve` and the other commands run on the same data.
//!
//! Invariants: what is there is used, never replaced by something else of the same name, except certificates that the
//! gateway no longer knows and the configuration, which are written anew; a private key is on disk, readable by its owner
//! alone, before anything certifies it; no file is ever seen half written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::client::Identity;
use super::governance::new_key;
use super::policies;
use super::words::{MUNICIPALITY, ROLES};

/// The gateway of the demo as an organisation (test range).
pub const GATEWAY_OIN: &str = "00000099000000099000";

/// A data folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FolderError {
    path: String,
    source: io::Error,
}

impl Folder {
    /// The folder at `path`, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(at(path))?;
        Ok(Self(path.canonicalize().map_err(at(path))?))
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where an actor's certificate and key are: a party's own folder, or below it one per named client.
    #[must_use]
    pub fn of_actor(&self, who: &str) -> PathBuf {
        let organisations = self.0.join("organisations");
        if ROLES.iter().any(|(role, ..)| *role == who) {
            organisations.join(MUNICIPALITY).join("clients").join(who)
        } else {
            organisations.join(who)
        }
    }

    /// The private key at this path; made when there is none.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn key(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, FolderError> {
        if !path.exists() {
            let key = new_key().map_err(|error| at(path)(io::Error::other(error)))?;
            replace(path, &key, 0o600)?;
        }
        Ok(Zeroizing::new(fs::read(path).map_err(at(path))?))
    }

    /// The private key of an actor; made when there is none.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn actor_key(&self, who: &str) -> Result<Zeroizing<Vec<u8>>, FolderError> {
        self.key(&self.of_actor(who).join("private-key.pem"))
    }

    /// The certificate of an actor, when there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn actor_certificate(&self, who: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.of_actor(who).join("certificate.pem");
        if path.exists() { fs::read(&path).map(Some).map_err(at(&path)) } else { Ok(None) }
    }

    /// Keeps a certificate for an actor's key.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_certificate(&self, who: &str, certificate: Vec<u8>) -> Result<Identity, FolderError> {
        let key = self.actor_key(who)?;
        replace(&self.of_actor(who).join("certificate.pem"), &certificate, 0o644)?;
        Ok(Identity { certificate, key })
    }

    /// Writes a file that holds no secret, in the place of an earlier one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, path: &Path, content: &[u8]) -> Result<(), FolderError> {
        replace(path, content, 0o644)
    }

    /// Puts the example covenant with its invariants in `policies/`, where it is not there yet.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn lay_out_policies(&self) -> Result<(), FolderError> {
        for (name, text) in policies::FILES.into_iter().chain(policies::INVARIANTS) {
            let path = self.0.join("policies").join(name);
            if !path.exists() {
                replace(&path, text.as_bytes(), 0o644)?;
            }
        }
        Ok(())
    }

    /// Writes `sluis.toml` for a gateway on this port of this machine.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_configuration(&self, port: u16) -> Result<PathBuf, FolderError> {
        let path = self.file("sluis.toml");
        replace(&path, configuration(port).as_bytes(), 0o644)?;
        Ok(path)
    }
}

/// Paths are relative to the file's own folder, so that the folder can be moved.
fn configuration(port: u16) -> String {
    format!(
        r#"# The gateway that `sluis demo` left here. Run it again with: sluis serve --config sluis.toml

[gateway]
oin = "{GATEWAY_OIN}"
public_url = "https://localhost:{port}"

[api]
listen = "127.0.0.1:{port}"
certificate = "server.pem"
private_key = "server-key.pem"
shutdown_seconds = 5

[operations]
listen = "127.0.0.1:0"    # a port that is free

[storage]
url = "sqlite:sluis.db"
keys_url = "sqlite:sluis-keys.db"    # what the keys of content are made of, in a database of its own

[pki]
ca_certificate = "ca.pem"
ca_private_key = "ca-key.pem"

[keys]
key_encryption_key_file = "key-encryption.key"
pseudonym_key_file = "pseudonym.key"

[policies]
folder = "policies"

[relay]
allow_loopback = true    # the partner systems of the demo run on this machine
trusted_ca = ["ca.pem"]
"#
    )
}

/// Writes a file in one go: whoever looks sees the old one or the new one.
fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), FolderError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(at(folder))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let draft = path.with_file_name(name);
    // Left by a process that was killed; it may have other rights than this one shall have.
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).map_err(at(&draft))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at(&draft))?;
    fs::rename(&draft, path).map_err(at(path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.display().to_string();
    |source| FolderError { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn temporary(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("sluis-folder-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder::open(&path).unwrap()
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = temporary("key");
        let key = folder.actor_key("smow").unwrap();
        assert_eq!(folder.actor_key("smow").unwrap(), key);
        let mode = fs::metadata(folder.file("organisations/smow/private-key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(folder.actor_certificate("smow").unwrap(), None);
        folder.keep_certificate("smow", b"certificate".to_vec()).unwrap();
        assert_eq!(folder.actor_certificate("smow").unwrap(), Some(b"certificate".to_vec()));
        fs::remove_dir_all(folder.path()).unwrap();
    }

    #[test]
    fn a_named_client_lies_below_the_municipality() {
        let folder = temporary("client");
        let expected = folder.file("organisations/gemeente-wassenaar/clients/privacy-officer");
        assert_eq!(folder.of_actor("privacy-officer"), expected);
        fs::remove_dir_all(folder.path()).unwrap();
    }

    #[test]
    fn the_configuration_that_is_left_loads() {
        let folder = temporary("configuration");
        folder.lay_out_policies().unwrap();
        let path = folder.write_configuration(8443).unwrap();
        let config = crate::config::load(&path, []).unwrap();
        assert!(config.relay.allow_loopback);
        assert_eq!(config.policies.folder, folder.file("policies"));
        fs::remove_dir_all(folder.path()).unwrap();
    }

    #[test]
    fn other_files_and_earlier_policies_are_left_alone() {
        let folder = temporary("other");
        fs::create_dir_all(folder.file("policies")).unwrap();
        fs::write(folder.file("policies/never.cedar"), "mine").unwrap();
        folder.lay_out_policies().unwrap();
        assert_eq!(fs::read_to_string(folder.file("policies/never.cedar")).unwrap(), "mine");
        assert!(folder.file("policies/covenant.toml").exists());
        fs::remove_dir_all(folder.path()).unwrap();
    }
}
