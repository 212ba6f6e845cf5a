//! The lines of the file of records.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::SCHEMA;
use crate::error::Error;
use crate::protocol::Protocol;
use crate::record::Record;

/// What a file holds.
pub(super) struct Contents {
    /// As it is stored: a setting that this build does not know is a difference, too.
    pub(super) protocol: Value,
    pub(super) records: Vec<Record>,
    /// Bytes up to the end of the last whole record.
    pub(super) intact: u64,
    /// Whether those bytes end with a line feed.
    pub(super) ended: bool,
    /// Bytes after them.
    pub(super) torn: usize,
}

pub(super) fn header(protocol: &Protocol) -> String {
    #[derive(Serialize)]
    struct Header<'a> {
        schema: u32,
        protocol: &'a Protocol,
    }
    line(&Header {
        schema: SCHEMA,
        protocol,
    })
}

pub(super) fn record(record: &Record) -> String {
    line(record)
}

pub(super) fn tree(protocol: &Protocol) -> Value {
    serde_json::to_value(protocol).expect("plain data")
}

/// `value` as one line of JSON.
pub(crate) fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data") + "\n"
}

impl Contents {
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |line: usize, reason: String| Error::Damaged {
            path: path.into(),
            line,
            reason,
        };
        let mut pieces = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
        let first = pieces.next().map(|(_, first)| first);
        let first = first.ok_or_else(|| damaged(1, "the file is empty".into()))?;
        let header: Value = parse(first).map_err(|reason| damaged(1, reason))?;
        let protocol = protocol_of(path, header)?;

        let mut records = Vec::new();
        let mut intact = first.len();
        let mut ended = first.ends_with(b"\n");
        for (index, piece) in pieces {
            match parse(piece) {
                Ok(record) => records.push(record),
                // The beginning of a record is never a record, so a line without an end is whole or
                // torn.
                Err(_) if !piece.ends_with(b"\n") => break,
                Err(reason) => return Err(damaged(index + 1, reason)),
            }
            intact += piece.len();
            ended = piece.ends_with(b"\n");
        }
        Ok(Self {
            protocol,
            records,
            intact: intact as u64,
            ended,
            torn: bytes.len() - intact,
        })
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        // The line is the file's, not the parser's, which is always 1.
        let what = text.split(" at line ").next().unwrap_or(&text);
        format!("{what} at column {}", error.column())
    })
}

fn protocol_of(path: &Path, mut header: Value) -> Result<Value, Error> {
    let schema = header["schema"].clone();
    if schema.is_null() {
        return Err(Error::Damaged {
            path: path.into(),
            line: 1,
            reason: "it has no schema, so it is no protocol".into(),
        });
    }
    if schema != json!(SCHEMA) {
        return Err(Error::Schema {
            path: path.into(),
            found: schema.to_string(),
        });
    }
    Ok(header["protocol"].take())
}
