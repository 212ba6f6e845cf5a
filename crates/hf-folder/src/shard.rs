//! One safetensors file: its header, and the bytes of its tensors.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, TensorInfo};

use crate::error::Error;

/// Length of the number that a file begins with.
const PREFIX: usize = 8;

/// Headers beyond this are no headers: the limit of the format's own library.
const LONGEST_HEADER: u64 = 100_000_000;

/// A file whose header has been read and found to fit the file.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) path: PathBuf,
    pub(crate) name: OsString,
    /// The bytes before those of the tensors, as they stand in the file.
    pub(crate) header: Vec<u8>,
    /// Names and places in the order of the bytes, which have no gaps.
    pub(crate) tensors: Vec<(String, TensorInfo)>,
}

impl Shard {
    pub(crate) fn open(folder: &Path, name: impl Into<OsString>) -> Result<Self, Error> {
        let name = name.into();
        let path = &folder.join(&name);
        let mut file = File::open(path).map_err(Error::io("opening", path))?;
        let length = file.metadata().map_err(Error::io("reading", path))?.len();
        let damaged = |found: String| {
            Error::folder(
                path,
                format!(
                    "{found}; if the file was not downloaded whole, or is a pointer of git-lfs, get it again"
                ),
            )
        };
        let mut header = vec![0; PREFIX];
        if length < PREFIX as u64 {
            return Err(damaged(format!(
                "it has {length} bytes, and is no safetensors file"
            )));
        }
        file.read_exact(&mut header)
            .map_err(Error::io("reading", path))?;
        let size = u64::from_le_bytes(header[..].try_into().expect("eight bytes"));
        if size > LONGEST_HEADER || size > length - PREFIX as u64 {
            return Err(damaged(format!(
                "its header is said to have {size} bytes, and the file has {length}"
            )));
        }
        let size = usize::try_from(size).expect("checked above");
        header.resize(PREFIX + size, 0);
        file.read_exact(&mut header[PREFIX..])
            .map_err(Error::io("reading", path))?;
        let metadata: Metadata = serde_json::from_slice(&header[PREFIX..])
            .map_err(|error| damaged(format!("its header cannot be read: {error}")))?;
        let expected = (header.len() + metadata.data_len()) as u64;
        if expected != length {
            return Err(damaged(format!(
                "by its header it has {expected} bytes, and the file has {length}"
            )));
        }
        let info = |name: &String| metadata.info(name).expect("a name of the header").clone();
        let names = metadata.offset_keys().into_iter();
        let tensors = names.map(|name| (name.clone(), info(&name))).collect();
        Ok(Self {
            path: path.clone(),
            name,
            header,
            tensors,
        })
    }

    /// The bytes of one tensor.
    pub(crate) fn read(&self, info: &TensorInfo) -> Result<Vec<u8>, Error> {
        let io = || Error::io("reading", &self.path);
        let (start, end) = info.data_offsets;
        let mut file = File::open(&self.path).map_err(io())?;
        file.seek(SeekFrom::Start((self.header.len() + start) as u64))
            .map_err(io())?;
        let mut bytes = vec![0; end - start];
        file.read_exact(&mut bytes).map_err(io())?;
        Ok(bytes)
    }
}
