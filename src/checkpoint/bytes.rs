//! Bytes to checked contents and back, nothing about models.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use burn::module::ParamId;
use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::file::{AdapterFile, Entry};
use super::fingerprint::Fingerprint;
use crate::adapter::Site;
use crate::error::{Error, Origin, Problem};
use crate::numeric::count_non_finite;

/// Version of the format, of the pairing and of the sign convention. Another convention needs
/// another number.
const VERSION: u32 = 2;
const METADATA_KEY: &str = "burn-goft";

/// The metadata. Lines instead of objects take half the bytes; a path comes last in a line, since
/// it may hold anything.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    /// `axis neuron_axis 7x12 path`
    targets: Vec<String>,
    /// `id path`, the id in hexadecimal digits.
    ids: Vec<String>,
    /// `fingerprint path`
    bases: Vec<String>,
    buffers: Vec<String>,
    sha256: String,
}

impl AdapterFile {
    /// Reads the bytes of a file and checks everything that can be checked without a model.
    ///
    /// # Errors
    ///
    /// If they are damaged or of another version ([`is_format`](Error::is_format)), or hold a value
    /// that is not finite ([`is_not_finite`](Error::is_not_finite)).
    pub fn from_bytes(contents: &[u8]) -> Result<Self, Error> {
        parse(contents, Origin::Bytes)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// If a parameter has a dtype that adapter files do not hold ([`is_format`](Error::is_format)).
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        format_file(self)
    }
}

fn format_file(file: &AdapterFile) -> Result<Vec<u8>, Error> {
    let refuse = |reason: String| Problem::Format {
        origin: file.origin.clone(),
        reason,
    };
    let mut manifest = Manifest {
        version: VERSION,
        targets: file.targets.iter().map(target_line).collect(),
        ids: file.tensors.iter().filter_map(id_line).collect(),
        bases: file
            .bases
            .iter()
            .map(|(path, base)| format!("{} {path}", base.to_text()))
            .collect(),
        buffers: file.buffers.iter().cloned().collect(),
        sha256: String::new(),
    };
    manifest.sha256 = digest(&manifest, &file.tensors);
    let json = serde_json::to_string(&manifest).map_err(|error| refuse(error.to_string()))?;
    let views = file.tensors.iter().map(|(name, entry)| {
        let data = &entry.data;
        let dtype = file_dtype(data.dtype()).ok_or_else(|| {
            refuse(format!(
                "`{name}` has dtype {:?}, which adapter files do not hold",
                data.dtype()
            ))
        })?;
        let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes());
        Ok((name, view.map_err(|error| refuse(error.to_string()))?))
    });
    let views = views.collect::<Result<Vec<_>, Error>>()?;
    let metadata = HashMap::from([(METADATA_KEY.to_string(), json)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| refuse(error.to_string()).into())
}

/// Reads and checks everything that can be checked without a model.
pub(super) fn parse(bytes: &[u8], origin: Origin) -> Result<AdapterFile, Error> {
    let refuse = |reason: String| Problem::Format {
        origin: origin.clone(),
        reason,
    };
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|error| refuse(format!("it is no safetensors file ({error})")))?;
    let metadata = header.metadata().as_ref();
    let json = metadata.and_then(|map| map.get(METADATA_KEY)).ok_or_else(|| {
        refuse(format!(
            "its metadata has no `{METADATA_KEY}` entry; it is safetensors, but not saved by `save_adapters`"
        ))
    })?;
    let manifest = parse_manifest(json).map_err(&refuse)?;
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| refuse(format!("its tensors are damaged ({error})")))?;

    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let dtype = model_dtype(view.dtype()).ok_or_else(|| {
            refuse(format!(
                "`{name}` has dtype {:?}, and parameters are floats",
                view.dtype()
            ))
        })?;
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
        tensors.insert(name.to_string(), Entry { data, id: None });
    }
    if digest(&manifest, &tensors) != manifest.sha256 {
        return Err(refuse(
            "its checksum does not match: the file was damaged or edited after it was saved".into(),
        )
        .into());
    }
    for (name, entry) in &tensors {
        let count = count_non_finite(&entry.data);
        if count > 0 {
            return Err(Problem::NonFinite {
                path: name.clone(),
                what: format!("a tensor in {origin}"),
                count,
                remedy: "the training that wrote it had diverged; load an earlier file",
            }
            .into());
        }
    }
    for line in &manifest.ids {
        let (id, path) = parse_id(line).map_err(&refuse)?;
        let entry = tensors.get_mut(path).ok_or_else(|| {
            refuse(format!(
                "it has an id for `{path}`, and no tensor of that name"
            ))
        })?;
        entry.id = Some(id);
    }
    let missing = |path: &&String| !tensors.contains_key(*path);
    if let Some(path) = manifest.buffers.iter().find(missing) {
        return Err(refuse(format!(
            "it has running statistics `{path}`, and no tensor of that name"
        ))
        .into());
    }
    let targets = manifest.targets.iter().map(|line| parse_target(line));
    let bases = manifest.bases.iter().map(|line| parse_base(line));
    Ok(AdapterFile {
        targets: targets.collect::<Result<_, _>>().map_err(&refuse)?,
        bases: bases.collect::<Result<_, _>>().map_err(&refuse)?,
        buffers: manifest.buffers.into_iter().collect::<BTreeSet<_>>(),
        tensors,
        origin,
        any_base: false,
    })
}

fn parse_manifest(json: &str) -> Result<Manifest, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let unreadable = |error| format!("its `{METADATA_KEY}` metadata is unreadable ({error})");
    let Versioned { version } = serde_json::from_str(json).map_err(unreadable)?;
    if version != VERSION {
        let whose = if version > VERSION {
            "a newer burn-goft wrote it; update to that"
        } else {
            "load it with the burn-goft that wrote it"
        };
        return Err(format!(
            "it has format version {version}, and this build reads version {VERSION}; {whose}"
        ));
    }
    serde_json::from_str(json).map_err(unreadable)
}

/// Covers every line of the manifest and every tensor, each preceded by its length so that none can
/// flow into the next.
fn digest(manifest: &Manifest, tensors: &BTreeMap<String, Entry>) -> String {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(&manifest.version.to_le_bytes());
    for lines in [
        &manifest.targets,
        &manifest.ids,
        &manifest.bases,
        &manifest.buffers,
    ] {
        field(&(lines.len() as u64).to_le_bytes());
        for line in lines {
            field(line.as_bytes());
        }
    }
    for (name, entry) in tensors {
        let data = &entry.data;
        field(name.as_bytes());
        // As the file names it, or one that is narrower on a device would not be found again.
        let dtype = file_dtype(data.dtype()).and_then(model_dtype);
        let dtype = dtype.unwrap_or(data.dtype());
        field(format!("{dtype:?} {:?}", data.shape().as_slice()).as_bytes());
        field(data.as_bytes());
    }
    let digits = hash.finalize();
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn target_line((path, site): (&String, &Site)) -> String {
    let shape: Vec<_> = site.shape.iter().map(usize::to_string).collect();
    format!(
        "{} {} {} {path}",
        site.axis,
        site.neuron_axis,
        shape.join("x")
    )
}

fn parse_target(line: &str) -> Result<(String, Site), String> {
    let read = || {
        let mut parts = line.splitn(4, ' ');
        let axis: usize = parts.next()?.parse().ok()?;
        let neuron_axis: usize = parts.next()?.parse().ok()?;
        let shape = parts.next()?.split('x').map(|length| length.parse().ok());
        let shape: Vec<usize> = shape.collect::<Option<_>>()?;
        let path = parts.next()?.to_string();
        let axes = [axis, neuron_axis].iter().all(|axis| *axis < shape.len());
        (axes && axis != neuron_axis && shape.iter().all(|length| *length > 0)).then_some((
            path,
            Site {
                axis,
                neuron_axis,
                shape,
            },
        ))
    };
    read().ok_or_else(|| format!("its target `{line}` is not `axis neuron_axis shape path`"))
}

/// As long whatever the id is: the size of a file follows from its tensors.
fn id_line((path, entry): (&String, &Entry)) -> Option<String> {
    Some(format!("{:016x} {path}", entry.id?.val()))
}

fn parse_id(line: &str) -> Result<(ParamId, &str), String> {
    let read = || {
        let (id, path) = line.split_once(' ')?;
        Some((ParamId::from(u64::from_str_radix(id, 16).ok()?), path))
    };
    read().ok_or_else(|| format!("its id `{line}` is not `id path`"))
}

fn parse_base(line: &str) -> Result<(String, Fingerprint), String> {
    let read = || {
        let (base, path) = line.split_once(' ')?;
        Some((path.to_string(), Fingerprint::from_text(base)?))
    };
    read().ok_or_else(|| format!("its base `{line}` is not `fingerprint path`"))
}

fn file_dtype(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 | DType::Flex32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        _ => return None,
    })
}

fn model_dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        _ => return None,
    })
}
