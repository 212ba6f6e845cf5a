//! Files that are there whole or not at all.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::io;
use crate::error::Error;

/// Writes beside `path` and renames, over what was there.
pub(crate) fn write_beside(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let partial = partial(path, bytes)?;
    let renamed = partial.persist(path).map_err(|error| error.error);
    renamed.map_err(io("writing", path))?;
    sync_folder(path)
}

/// Writes beside `path` and renames, unless somebody was faster.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    match partial(path, bytes)?.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => {
            Err(io("writing", path)(error.error))
        }
        _ => sync_folder(path),
    }
}

fn partial(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, Error> {
    let mut options = tempfile::Builder::new();
    options.prefix(".compare-").suffix(".partial");
    #[cfg(unix)]
    {
        // The default is for secrets; these files get what the umask leaves, as any other file.
        use std::os::unix::fs::PermissionsExt;
        options.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let partial = options.tempfile_in(folder(path));
    let mut partial = partial.map_err(io("writing", path))?;
    let written = partial.write_all(bytes);
    let written = written.and_then(|()| partial.as_file().sync_all());
    written.map_err(io("writing", path))?;
    Ok(partial)
}

/// A rename is on the disk when its folder is. Windows has no such call and needs none.
fn sync_folder(path: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        let folder = folder(path);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(io("writing the folder", folder))?;
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
