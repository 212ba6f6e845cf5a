//! The file of records: the protocol in its first line, then a line for each run that is over.
//!
//! A line is appended and flushed to the disk before the next run starts. A process that is killed
//! while it writes leaves the beginning of a line without its end; that run was not recorded, and
//! opening the file again removes the beginning.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::SCHEMA;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::protocol::Protocol;
use crate::record::Record;

mod beside;
mod difference;
mod lines;

pub(crate) use beside::write_beside;
use lines::Contents;
pub(crate) use lines::line;

/// The file of records in `folder`.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(format!("runs-v{SCHEMA}.jsonl"))
}

/// The file of records, open for appending and locked.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    file: File,
    pub(crate) ledger: Ledger,
    /// Bytes of a last line that was cut off.
    pub(crate) torn: usize,
}

impl Store {
    /// Opens the records of `folder` or starts them.
    pub(crate) fn open(folder: &Path, protocol: &Protocol) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(io("making the folder", folder))?;
        refuse_other_schemas(folder)?;
        let path = path(folder);
        if !path.exists() {
            let line = lines::header(protocol);
            beside::create(&path, line.as_bytes())?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io("opening", &path))?;
        lock(&file, &path)?;
        let lines = read(&mut file, &path)?;
        let differences = difference::between(&lines.protocol, &lines::tree(protocol));
        if !differences.is_empty() {
            return Err(Error::Changed { path, differences });
        }
        let ledger = Ledger::new(&path, protocol.clone(), lines.records)?;
        repair(&mut file, lines.intact, lines.ended).map_err(io("repairing", &path))?;
        Ok(Self {
            torn: lines.torn,
            path,
            file,
            ledger,
        })
    }

    /// Returns when the record is on the disk.
    pub(crate) fn append(&mut self, record: Record) -> Result<(), Error> {
        let line = lines::record(&record);
        let written = self.file.write_all(line.as_bytes());
        let written = written.and_then(|()| self.file.sync_data());
        written.map_err(|source| Error::Append {
            path: self.path.clone(),
            record: line.trim_end().into(),
            source,
        })?;
        self.ledger.push(record);
        Ok(())
    }
}

/// The records of `folder` as they are, for reading only.
pub(crate) fn load(folder: &Path) -> Result<Ledger, Error> {
    refuse_other_schemas(folder)?;
    let path = path(folder);
    let mut file = File::open(&path).map_err(io("opening", &path))?;
    let lines = read(&mut file, &path)?;
    let protocol = serde_json::from_value(lines.protocol).map_err(|error| error.to_string());
    let protocol = protocol.and_then(|protocol: Protocol| match protocol.fault() {
        Some(reason) => Err(reason),
        None => Ok(protocol),
    });
    let protocol = protocol.map_err(|reason| Error::Damaged {
        path: path.clone(),
        line: 1,
        reason,
    })?;
    Ledger::new(&path, protocol, lines.records)
}

pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io {
        action,
        path: path.into(),
        source,
    }
}

fn read(file: &mut File, path: &Path) -> Result<Contents, Error> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io("reading", path))?;
    Contents::parse(path, &bytes)
}

/// Cuts off a torn line, ends one that lacks nothing but its end, and leaves the file where the
/// next line goes.
fn repair(file: &mut File, intact: u64, ended: bool) -> std::io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    if length > intact {
        file.set_len(intact)?;
        file.seek(SeekFrom::End(0))?;
    }
    if !ended {
        file.write_all(b"\n")?;
    }
    file.sync_all()
}

fn lock(file: &File, path: &Path) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { path: path.into() }),
        // Some network file systems have no locks; whoever works there has to keep to one process
        // himself.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(io("locking", path)(error)),
    }
}

/// Another version of this crate would not see the runs of this one, and make them again.
fn refuse_other_schemas(folder: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(io("reading the folder", folder))?;
    for entry in entries {
        let entry = entry.map_err(io("reading the folder", folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let version = name.strip_prefix("runs-v");
        let version = version.and_then(|rest| rest.strip_suffix(".jsonl"));
        if let Some(version) = version.filter(|version| *version != SCHEMA.to_string()) {
            return Err(Error::Schema {
                path: entry.path(),
                found: version.into(),
            });
        }
    }
    Ok(())
}
