//! The file itself: bytes to checked contents and back, nothing about models.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Version of the format, of the pairing and of the sign convention. Another convention needs another number.
const VERSION: u32 = 1;
const METADATA_KEY: &str = "burn-goft";

/// The contents of an adapter file, intact and finite.
#[derive(Debug, PartialEq)]
pub(crate) struct AdapterFile {
    /// Shape `[d_input, d_output]` of every adapted weight by path.
    pub(crate) targets: BTreeMap<String, [usize; 2]>,
    /// Every tensor by name.
    pub(crate) tensors: BTreeMap<String, TensorData>,
    /// What the adapters are, for a reader of the file and for messages; the tensors' names say it too.
    pub(crate) summary: Summary,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) kind: String,
    pub(crate) angle_form: String,
    pub(crate) norm_scale: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    summary: Summary,
    /// `path d_input d_output`, a line each: half the bytes of a JSON object.
    targets: Vec<String>,
    sha256: String,
}

impl AdapterFile {
    /// Writes beside `path` and renames, so that a failure leaves what was there.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let bytes = self.to_bytes(path)?;
        let io = |source| Error::Io {
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
            return Err(io(std::io::Error::new(std::io::ErrorKind::NotFound, found)));
        }
        let mut options = tempfile::Builder::new();
        options.prefix(".goft-").suffix(".partial");
        #[cfg(unix)]
        {
            // The default is for secrets; an adapter file gets what the umask leaves, as any other file.
            use std::os::unix::fs::PermissionsExt;
            options.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut partial = options.tempfile_in(folder).map_err(io)?;
        partial.write_all(&bytes).map_err(io)?;
        partial.as_file().sync_all().map_err(io)?;
        partial.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }

    fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let format = |reason: String| Error::Format {
            path: path.into(),
            reason,
        };
        let mut manifest = Manifest {
            version: VERSION,
            summary: self.summary.clone(),
            targets: self.target_lines(),
            sha256: String::new(),
        };
        manifest.sha256 = self.digest(&manifest.targets);
        let json = serde_json::to_string(&manifest).map_err(|error| format(error.to_string()))?;
        let views = self.tensors.iter().map(|(name, data)| {
            let dtype = file_dtype(data.dtype()).ok_or_else(|| {
                format(format!(
                    "`{name}` has dtype {:?}, which adapter files do not hold",
                    data.dtype()
                ))
            })?;
            let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes());
            Ok((name, view.map_err(|error| format(error.to_string()))?))
        });
        let views = views.collect::<Result<Vec<_>, Error>>()?;
        let metadata = HashMap::from([(METADATA_KEY.to_string(), json)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| format(error.to_string()))
    }

    /// Reads and checks everything that can be checked without a model.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|source| Error::Io {
            action: "reading adapter file",
            path: path.into(),
            source,
        })?;
        Self::from_bytes(&bytes).map_err(|refusal| match refusal {
            Refusal::Format(reason) => Error::Format {
                path: path.into(),
                reason,
            },
            Refusal::NonFinite { name, count } => Error::NonFinite {
                path: name,
                what: format!("a tensor in `{}`", path.display()),
                count,
                remedy: "the training that wrote it had diverged; load an earlier file",
            },
        })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let (_, header) = SafeTensors::read_metadata(bytes)
            .map_err(|error| Refusal::format(format!("it is no safetensors file ({error})")))?;
        let json = header
            .metadata()
            .as_ref()
            .and_then(|map| map.get(METADATA_KEY));
        let json = json.ok_or_else(|| {
            Refusal::format(format!(
                "its metadata has no `{METADATA_KEY}` entry; it is safetensors, but not saved by `save_goft`"
            ))
        })?;
        let manifest = parse_manifest(json)?;
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| Refusal::format(format!("its tensors are damaged ({error})")))?;

        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let dtype = model_dtype(view.dtype()).ok_or_else(|| {
                Refusal::format(format!(
                    "`{name}` has dtype {:?}, and parameters are floats",
                    view.dtype()
                ))
            })?;
            let data =
                TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
            tensors.insert(name.to_string(), data);
        }
        let targets = manifest.targets.iter().map(|line| parse_target(line));
        let contents = Self {
            targets: targets.collect::<Result<_, _>>()?,
            tensors,
            summary: manifest.summary,
        };
        if contents.digest(&contents.target_lines()) != manifest.sha256 {
            return Err(Refusal::format(
                "its checksum does not match: the file was damaged or edited after it was saved"
                    .into(),
            ));
        }
        contents.refuse_non_finite()?;
        Ok(contents)
    }

    fn refuse_non_finite(&self) -> Result<(), Refusal> {
        for (name, data) in &self.tensors {
            let count = data
                .iter::<f64>()
                .filter(|value| !value.is_finite())
                .count();
            if count > 0 {
                let name = name.clone();
                return Err(Refusal::NonFinite { name, count });
            }
        }
        Ok(())
    }

    fn target_lines(&self) -> Vec<String> {
        let line =
            |(path, [rows, columns]): (&String, &[usize; 2])| format!("{path} {rows} {columns}");
        self.targets.iter().map(line).collect()
    }

    /// Covers every field of the contents, each preceded by its length so that none can flow into the next.
    fn digest(&self, target_lines: &[String]) -> String {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(&VERSION.to_le_bytes());
        for text in [
            &self.summary.kind,
            &self.summary.angle_form,
            &self.summary.norm_scale,
        ] {
            field(text.as_bytes());
        }
        for line in target_lines {
            field(line.as_bytes());
        }
        for (name, data) in &self.tensors {
            field(name.as_bytes());
            field(format!("{:?} {:?}", data.dtype(), data.shape().as_slice()).as_bytes());
            field(data.as_bytes());
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

enum Refusal {
    Format(String),
    NonFinite { name: String, count: usize },
}

impl Refusal {
    fn format(reason: String) -> Self {
        Self::Format(reason)
    }
}

fn parse_manifest(json: &str) -> Result<Manifest, Refusal> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let unreadable = |error| {
        Refusal::format(format!(
            "its `{METADATA_KEY}` metadata is unreadable ({error})"
        ))
    };
    let Versioned { version } = serde_json::from_str(json).map_err(unreadable)?;
    if version != VERSION {
        return Err(Refusal::format(format!(
            "it has format version {version}, and this build reads version {VERSION}; load it with the burn-goft that wrote it"
        )));
    }
    serde_json::from_str(json).map_err(unreadable)
}

fn parse_target(line: &str) -> Result<(String, [usize; 2]), Refusal> {
    let unreadable = || {
        Refusal::format(format!(
            "its target `{line}` is not `path d_input d_output`"
        ))
    };
    let mut parts = line.rsplitn(3, ' ');
    let mut number = || {
        parts
            .next()
            .and_then(|part| part.parse().ok())
            .ok_or_else(unreadable)
    };
    let (columns, rows) = (number()?, number()?);
    let path = parts.next().ok_or_else(unreadable)?;
    Ok((path.to_string(), [rows, columns]))
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
