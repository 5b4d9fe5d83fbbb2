//! Private keys and certificates in files.
//!
//! Invariant: a private key is in a file of mode 0600 before anything that needs it exists; a file that is there is never
//! overwritten; and a process that is killed half way leaves either no file or a whole one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A file that could not be read or written, with the reason.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file exists already.
    #[error("{0} exists already and is not overwritten: move it away first")]
    Exists(PathBuf),
    /// A private key that other users of the machine can read.
    #[error("{0} can be read by every user of this machine or written by its group: chmod 600 it")]
    Permissions(PathBuf),
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Io { action, path: path.to_path_buf(), source }
}

/// Reads a private key, refusing a file that others can read.
///
/// # Errors
/// [`FileError`].
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let metadata = fs::metadata(path).map_err(failed("read", path))?;
    if is_exposed(&metadata) {
        return Err(FileError::Permissions(path.to_path_buf()));
    }
    Ok(Zeroizing::new(fs::read(path).map_err(failed("read", path))?))
}

/// Reads a file that holds no secret.
///
/// # Errors
/// [`FileError`].
pub fn read_public(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(failed("read", path))
}

/// Writes a private key to a new file that only its owner can read.
///
/// # Errors
/// [`FileError::Exists`] when there is a file already.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write_new(path, content, 0o600)
}

/// Writes a new file that holds no secret.
///
/// # Errors
/// [`FileError::Exists`] when there is a file already.
pub fn write_public(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write_new(path, content, 0o644)
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed("create the folder of", path))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let outcome = write_partial(&partial, content, mode).and_then(|()| publish(&partial, path));
    // The partial file is worthless now, whether or not it became the real one.
    let _ = fs::remove_file(&partial);
    outcome
}

fn write_partial(partial: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let _ = fs::remove_file(partial);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    restrict(&mut options, mode);
    let mut file = options.open(partial).map_err(failed("create", partial))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed("write", partial))
}

/// Gives the finished file its name; unlike a rename, a link never replaces a file that is there.
fn publish(partial: &Path, path: &Path) -> Result<(), FileError> {
    fs::hard_link(partial, path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists(path.to_path_buf()),
        _ => FileError::Io { action: "create", path: path.to_path_buf(), source: error },
    })?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // Makes the new name itself durable; not every file system offers this, and then nothing is lost by going on.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions, mode: u32) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(mode);
}

#[cfg(not(unix))]
fn restrict(_options: &mut OpenOptions, _mode: u32) {}

/// A group that may read is allowed: that is how container platforms hand a secret to a process.
#[cfg(unix)]
fn is_exposed(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o027 != 0
}

#[cfg(not(unix))]
fn is_exposed(_metadata: &fs::Metadata) -> bool {
    false
}
