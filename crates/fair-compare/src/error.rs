//! What keeps a comparison from going on. A run that fails does not: it is a
//! [`Failure`](crate::Failure) in its record.

use std::path::PathBuf;

/// What was asked, what was found, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The protocol is not one that can be followed.
    #[error("the protocol cannot be followed: {reason}")]
    Protocol {
        /// What is wrong and what to do.
        reason: String,
    },

    /// The folder holds runs of another protocol.
    #[error(
        "`{}` holds runs of another protocol: {}; a table of both would be of neither: ask for the stored settings, or \
         start anew in another folder", .path.display(), .differences.join("; ")
    )]
    Changed {
        /// The file of records.
        path: PathBuf,
        /// One line per setting: its name, what is stored, what was asked.
        differences: Vec<String>,
    },

    /// The folder holds records of another version of this crate.
    #[error(
        "`{}` was written with schema {found}, and this build reads and writes schema {}; use the build that wrote it, or \
         another folder", .path.display(), crate::SCHEMA
    )]
    Schema {
        /// The file of records.
        path: PathBuf,
        /// Its schema version.
        found: String,
    },

    /// A record is not what was written.
    #[error(
        "line {line} of `{}` is damaged: {reason}; nothing was changed: put back a copy of the file, or {}", .path.display(),
        without_copy(*.line)
    )]
    Damaged {
        /// The file of records.
        path: PathBuf,
        /// From 1. Line 1 is the protocol.
        line: usize,
        /// What was found.
        reason: String,
    },

    /// Another process has the records open.
    #[error(
        "`{}` is in use by another process; wait for it, or use another folder", .path.display()
    )]
    Busy {
        /// The file of records.
        path: PathBuf,
    },

    /// The file system refused.
    #[error("{action} `{}`: {source}", .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },

    /// A run is over, but its record could not be written.
    #[error(
        "cannot append to `{}`: {source}; make room and start again, the run is then made again unless you append this line \
         yourself: {record}", .path.display()
    )]
    Append {
        /// The file of records.
        path: PathBuf,
        /// The record as it should stand in the file.
        record: String,
        /// The cause.
        source: std::io::Error,
    },

    /// The experiment asked to stop.
    #[error(
        "stopped at {run}: {reason}; what is finished is recorded, and the same call goes on from here"
    )]
    Stopped {
        /// The run, in words.
        run: String,
        /// Why.
        reason: String,
    },
}

fn without_copy(line: usize) -> &'static str {
    match line {
        1 => {
            "start anew in another folder: without its first line nobody can say what was compared"
        }
        _ => "delete that line to have its run made again",
    }
}
