//! A folder as Hugging Face's libraries write it: which files hold the weights, and which tensors.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorInfo;
use serde::Deserialize;

use crate::error::Error;
use crate::shard::Shard;
use crate::tensor::Tensor;

/// The file of weights that are in one piece.
pub(crate) const WHOLE: &str = "model.safetensors";

/// The file that says which shard holds which tensor.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// A model's folder, of which the headers have been read.
///
/// # Example
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let temporary = tempfile::tempdir()?;
/// # let path = temporary.path();
/// # let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
/// # let view = safetensors::tensor::TensorView::new(hf_folder::Dtype::F32, vec![2], &bytes)?;
/// # safetensors::serialize_to_file([("norm.weight", view)], None, &path.join("model.safetensors"))?;
/// use hf_folder::{HfFolder, floats};
///
/// let folder = HfFolder::open(path)?;
/// let norm = folder.tensor("norm.weight")?;
/// assert_eq!(norm.shape(), [2]);
/// assert_eq!(floats::decode(norm.dtype(), &norm.read()?).unwrap(), [1.5, -2.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HfFolder {
    pub(crate) path: PathBuf,
    pub(crate) shards: Vec<Shard>,
    /// Shard and place in it, by name.
    places: BTreeMap<String, (usize, usize)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl HfFolder {
    /// Reads the headers of a folder's weights: `model.safetensors`, or the shards that
    /// `model.safetensors.index.json` names, or the only `.safetensors` file there is.
    ///
    /// # Errors
    ///
    /// [`Error::Folder`] if there are no such weights, if it is not clear which of several files
    /// are the model's, or if one is damaged; [`Error::Tensor`] if a shard lacks what the index
    /// promises; [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if !path.is_dir() {
            return Err(Error::folder(path, "there is no such folder"));
        }
        let (whole, index) = (path.join(WHOLE), path.join(INDEX));
        match (whole.is_file(), index.is_file()) {
            (true, true) => Err(Error::folder(
                path,
                format!(
                    "it has both `{WHOLE}` and `{INDEX}`, and only one of them can be the model; remove the other"
                ),
            )),
            (false, true) => Self::by_index(path, &index),
            (true, false) => Self::of_file(path, WHOLE.into()),
            (false, false) => Self::of_file(path, only_weights(path)?),
        }
    }

    fn of_file(path: &Path, name: OsString) -> Result<Self, Error> {
        let shard = Shard::open(path, name)?;
        let names = shard.tensors.iter().enumerate();
        let places = names.map(|(place, (name, _))| (name.clone(), (0, place)));
        Ok(Self {
            path: path.into(),
            places: places.collect(),
            shards: vec![shard],
        })
    }

    fn by_index(path: &Path, index: &Path) -> Result<Self, Error> {
        let text = std::fs::read(index).map_err(Error::io("reading", index))?;
        let Index { weight_map } = serde_json::from_slice(&text).map_err(|error| {
            Error::folder(
                index,
                format!("it is no index of shards: {error}; get it again"),
            )
        })?;
        let mut names: Vec<&String> = weight_map.values().collect();
        names.sort();
        names.dedup();
        let mut shards = Vec::with_capacity(names.len());
        for name in &names {
            if !is_plain(name) {
                return Err(Error::folder(
                    index,
                    format!(
                        "it names the file `{name}`, which is not one in its folder; get it again"
                    ),
                ));
            }
            let file = path.join(name);
            if !file.is_file() {
                return Err(Error::folder(
                    &file,
                    format!("`{INDEX}` names this file, and it is not there; get it as well"),
                ));
            }
            shards.push(Shard::open(path, name)?);
        }
        let mut places = BTreeMap::new();
        for (tensor, file) in &weight_map {
            let shard = names.binary_search(&file).expect("from the same map");
            let tensors = &shards[shard].tensors;
            let Some(place) = tensors.iter().position(|(name, _)| name == tensor) else {
                return Err(Error::tensor(
                    path.join(file),
                    tensor,
                    format!("is not in this file, where `{INDEX}` says it is; get both again"),
                ));
            };
            places.insert(tensor.clone(), (shard, place));
        }
        Ok(Self {
            path: path.into(),
            shards,
            places,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files of the weights.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// All tensors of the model, by name.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        let places = self.places.iter();
        places.map(|(name, place)| self.at(name, *place))
    }

    /// One tensor.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the model has none of that name; the error shows those of similar ones.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, Error> {
        match self.places.get_key_value(name) {
            Some((name, place)) => Ok(self.at(name, *place)),
            None => Err(Error::tensor(&self.path, name, self.missing(name))),
        }
    }

    fn missing(&self, name: &str) -> String {
        let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
        let ending =
            |known: &&String| known.rsplit_once('.').map_or(known.as_str(), |(_, l)| l) == last;
        let similar: Vec<_> = self.places.keys().filter(ending).take(4).collect();
        match similar.is_empty() {
            true => format!("is not among the {} of the model", self.places.len()),
            false => format!(
                "is not among the {} of the model, which has {similar:?} and so on",
                self.places.len()
            ),
        }
    }

    fn at<'a>(&'a self, name: &'a str, (shard, place): (usize, usize)) -> Tensor<'a> {
        let shard = &self.shards[shard];
        let info: &TensorInfo = &shard.tensors[place].1;
        Tensor { shard, name, info }
    }
}

/// Whether it is a file's name and no way out of the folder.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(
        (parts.next(), parts.next()),
        (Some(std::path::Component::Normal(_)), None)
    )
}

fn only_weights(folder: &Path) -> Result<OsString, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("listing", folder))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let is_weights = |name: &OsString| {
        let name = name.to_string_lossy();
        // An adapter may lie beside the weights.
        name.ends_with(".safetensors") && !name.starts_with("adapter")
    };
    let mut found: Vec<_> = names.filter(is_weights).collect();
    found.sort();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::folder(
            folder,
            format!(
                "it has neither `{WHOLE}` nor `{INDEX}`; weights in another format, such as pytorch_model.bin, have to be \
                 converted first"
            ),
        )),
        _ => {
            let names: Vec<_> = found.iter().map(|name| name.to_string_lossy()).collect();
            Err(Error::folder(
                folder,
                format!(
                    "it has {}, and neither `{WHOLE}` nor `{INDEX}` to tell which are the model's; rename that one to \
                     `{WHOLE}`",
                    names.join(", ")
                ),
            ))
        }
    }
}
