//! Files on a disk: read whole, written beside and renamed.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::bytes::parse;
use super::file::AdapterFile;
use crate::error::{Error, Problem};

impl AdapterFile {
    /// Reads a file and checks everything that can be checked without a model.
    ///
    /// # Errors
    ///
    /// If the file cannot be read ([`is_io`](Error::is_io)), is damaged or of another version
    /// ([`is_format`](Error::is_format)), or holds a value that is not finite
    /// ([`is_not_finite`](Error::is_not_finite)).
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let contents = std::fs::read(path).map_err(|source| Problem::Io {
            action: "reading adapter file",
            path: path.into(),
            source,
        })?;
        parse(&contents, path.into())
    }

    /// Writes beside `path` and renames, so that a failure leaves what was there. An earlier file's
    /// permissions are kept, and a link is followed.
    ///
    /// # Errors
    ///
    /// If the file system refuses or the file that is there is read-only ([`is_io`](Error::is_io)),
    /// or if a parameter has a dtype that adapter files do not hold
    /// ([`is_format`](Error::is_format)).
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let contents = self.to_bytes()?;
        // A link keeps pointing to what is written.
        let path = &target(path.as_ref());
        let io = |source| Problem::Io {
            action: "writing adapter file",
            path: path.into(),
            source,
        };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            let found = format!("there is no folder `{}`; create it first", folder.display());
            return Err(io(std::io::Error::new(std::io::ErrorKind::NotFound, found)).into());
        }
        let mut options = tempfile::Builder::new();
        options.prefix(".goft-").suffix(".partial");
        #[cfg(unix)]
        {
            // The default is for secrets; an adapter file gets what the umask leaves, as any other
            // file.
            use std::os::unix::fs::PermissionsExt;
            options.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut partial = options.tempfile_in(folder).map_err(io)?;
        if let Ok(earlier) = std::fs::metadata(path) {
            let permissions = earlier.permissions();
            if permissions.readonly() {
                let found =
                    "the file that is there is read-only; take another path, or allow writing";
                let found = std::io::Error::new(std::io::ErrorKind::PermissionDenied, found);
                return Err(io(found).into());
            }
            partial.as_file().set_permissions(permissions).map_err(io)?;
        }
        partial.write_all(&contents).map_err(io)?;
        partial.as_file().sync_all().map_err(io)?;
        partial.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }
}

/// Where a link leads, however many there are; a path that is none as it is.
fn target(path: &Path) -> PathBuf {
    // The system follows as many.
    const LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        let Ok(next) = std::fs::read_link(&path) else {
            break;
        };
        path = match path.parent() {
            Some(folder) => folder.join(next),
            None => next,
        };
    }
    path
}

/// What [`load_adapters`](crate::GoftModule::load_adapters) takes: a path, or an [`AdapterFile`].
pub trait IntoAdapterFile {
    /// The file, read if it is a path.
    ///
    /// # Errors
    ///
    /// The errors of [`AdapterFile::read`].
    fn into_adapter_file(self) -> Result<AdapterFile, Error>;
}

impl IntoAdapterFile for AdapterFile {
    fn into_adapter_file(self) -> Result<AdapterFile, Error> {
        Ok(self)
    }
}

impl IntoAdapterFile for &AdapterFile {
    fn into_adapter_file(self) -> Result<AdapterFile, Error> {
        Ok(self.clone())
    }
}

macro_rules! from_path {
    ($($path:ty),*) => {
        $(impl IntoAdapterFile for $path {
            fn into_adapter_file(self) -> Result<AdapterFile, Error> {
                AdapterFile::read(self)
            }
        })*
    };
}

from_path!(&str, String, &String, &Path, PathBuf, &PathBuf);
