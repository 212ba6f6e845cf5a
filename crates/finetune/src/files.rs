//! Files that are whole or not there: written beside and renamed.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Replaces the file; a failure leaves what was there.
///
/// # Errors
///
/// [`Error::Io`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let io = |error| Error::io("writing", path)(error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut options = tempfile::Builder::new();
    options.prefix(".partial-");
    #[cfg(unix)]
    {
        // The default is for secrets; these files get what the umask leaves, as any other.
        use std::os::unix::fs::PermissionsExt;
        options.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut partial = options.tempfile_in(folder).map_err(io)?;
    partial.write_all(bytes).map_err(io)?;
    partial.as_file().sync_all().map_err(io)?;
    partial.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// Replaces a file by a value as JSON.
///
/// # Errors
///
/// [`Error::Io`].
///
/// # Panics
///
/// If the value has no JSON, such as a map whose keys are no strings.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let mut json = serde_json::to_vec_pretty(value).expect("plain data");
    json.push(b'\n');
    write(path, &json)
}

/// Reads a file that [`write_json`] has written.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Run`] if the file holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::run(path, format!("not what this program writes there: {error}")))
}

/// A folder that no other process of this program writes to while the value lives. The lock's file
/// stays: whoever removed it could remove that of the next one, who would then hold a lock on
/// nothing.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks the folder.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if another process has it; [`Error::Io`].
    pub fn take(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(".lock");
        let file = File::create(&path).map_err(Error::io("writing", &path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::run(
                folder,
                "another process is writing to it; wait for that one, or name another folder",
            )),
            // Some network file systems have no locks.
            _ => Ok(Self { _file: file }),
        }
    }
}

/// Makes a folder and those that it lies in.
///
/// # Errors
///
/// [`Error::Io`].
pub fn make_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(Error::io("making the folder", path))
}

/// The SHA-256 of a file.
///
/// # Errors
///
/// [`Error::Io`].
pub fn digest(path: &Path) -> Result<String, Error> {
    let unreadable = || Error::io("reading", path);
    let mut file = File::open(path).map_err(unreadable())?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(unreadable())?;
    let hash = hash.finalize();
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}
