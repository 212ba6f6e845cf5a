//! A copy of a folder in which some tensors have other values and all else is as it was, byte for
//! byte.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;
use crate::floats::{self, Rounding};
use crate::folder::HfFolder;
use crate::others::{self, Others};
use crate::shard::Shard;
use crate::tensor::Tensor;

/// What [`HfFolder::rewrite`] did.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rewritten {
    /// The tensors with other values, in the order of the files.
    pub replaced: Vec<Replaced>,
    /// How many tensors were copied as they are.
    pub kept: usize,
    /// Files beside the weights that were copied, relative to the folder.
    pub copied: Vec<PathBuf>,
    /// Files that were left out, since they hold the weights as they were, in another format or as
    /// a second copy, relative to the folder.
    pub left_out: Vec<PathBuf>,
}

/// A tensor with other values.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Replaced {
    /// Its name.
    pub name: String,
    /// What it cost to store the values in the dtype of the file.
    pub rounding: Rounding,
}

/// The result of a function that computes new values.
pub type Change = Result<Option<Vec<f32>>, Box<dyn std::error::Error + Send + Sync>>;

impl HfFolder {
    /// Writes the folder anew to `out`, with the values that `change` gives for some tensors.
    ///
    /// Names, shapes, dtypes, metadata and the division into shards stay, so that whatever loads
    /// the source loads the copy. Everything else of the folder is copied; files that hold the same
    /// weights in another format are left out, since they would be the old ones. Only one tensor is
    /// in memory at a time.
    ///
    /// `change` is asked for every tensor of the files and gives none for those that stay. Values
    /// are rounded once, to the dtype of the file.
    ///
    /// The copy is written beside `out` and renamed: it is whole, or it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] if `out` exists and is no empty folder, or if one of the two folders lies
    /// in the other; [`Error::Tensor`] for new values of another number than the tensor has, for
    /// ones that are not finite or overflow the dtype, and for a tensor that is neither f32, f16
    /// nor bf16; [`Error::Change`] from `change`; [`Error::Io`], as when the disk is full.
    ///
    /// # Example
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let temporary = tempfile::tempdir()?;
    /// # let (path, out) = (temporary.path().join("in"), temporary.path().join("out"));
    /// # std::fs::create_dir(&path)?;
    /// # let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    /// # let view = safetensors::tensor::TensorView::new(hf_folder::Dtype::F32, vec![2], &bytes)?;
    /// # safetensors::serialize_to_file([("norm.weight", view)], None, &path.join("model.safetensors"))?;
    /// use hf_folder::{HfFolder, floats};
    ///
    /// let done = HfFolder::open(path)?.rewrite(&out, |tensor| {
    ///     if tensor.name() != "norm.weight" {
    ///         return Ok(None);
    ///     }
    ///     let values = floats::decode(tensor.dtype(), &tensor.read()?).ok_or("no floats")?;
    ///     Ok(Some(values.into_iter().map(|x| 2.0 * x).collect()))
    /// })?;
    /// assert_eq!(done.replaced.len(), 1);
    /// let norm = HfFolder::open(&out)?.tensor("norm.weight")?.read()?;
    /// assert_eq!(floats::decode(hf_folder::Dtype::F32, &norm).unwrap(), [3.0, -4.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rewrite(
        &self,
        out: impl AsRef<Path>,
        mut change: impl FnMut(&Tensor<'_>) -> Change,
    ) -> Result<Rewritten, Error> {
        let out = out.as_ref();
        let partial = beside(&self.path, out)?;
        let mut done = Rewritten::default();
        for shard in &self.shards {
            let path = partial.path().join(&shard.name);
            rewrite_shard(shard, &path, &mut change, &mut done)?;
        }
        let Others { copied, left_out } = others::copy(&self.path, partial.path(), &self.shards)?;
        (done.copied, done.left_out) = (copied, left_out);
        put(partial, out)?;
        Ok(done)
    }
}

fn rewrite_shard(
    shard: &Shard,
    path: &Path,
    change: &mut impl FnMut(&Tensor<'_>) -> Change,
    done: &mut Rewritten,
) -> Result<(), Error> {
    let mut copying = Copying::start(shard, path)?;
    for (name, info) in &shard.tensors {
        let tensor = Tensor { shard, name, info };
        let values = change(&tensor).map_err(|source| Error::Change {
            tensor: name.clone(),
            source,
        })?;
        let Some(values) = values else {
            copying.keep(tensor.size())?;
            done.kept += 1;
            continue;
        };
        let (bytes, rounding) = stored(&tensor, &values)?;
        copying.replace(&bytes)?;
        done.replaced.push(Replaced {
            name: name.clone(),
            rounding,
        });
    }
    copying.finish()
}

/// A file on its way to another, of which parts are replaced.
struct Copying<'a> {
    from: (&'a Path, File),
    to: (&'a Path, File),
    buffer: Vec<u8>,
}

impl<'a> Copying<'a> {
    /// With the header copied.
    fn start(shard: &'a Shard, to: &'a Path) -> Result<Self, Error> {
        const BUFFER: usize = 1 << 20;
        let from = &shard.path;
        let source = File::open(from).map_err(Error::io("opening", from))?;
        let target = File::create_new(to).map_err(Error::io("creating", to))?;
        let mut copying = Self {
            from: (from, source),
            to: (to, target),
            buffer: vec![0; BUFFER],
        };
        copying.replace(&shard.header)?;
        Ok(copying)
    }

    fn keep(&mut self, mut count: usize) -> Result<(), Error> {
        while count > 0 {
            let some = count.min(self.buffer.len());
            let part = &mut self.buffer[..some];
            let (path, file) = &mut self.from;
            file.read_exact(part).map_err(Error::io("reading", path))?;
            let (path, file) = &mut self.to;
            file.write_all(part).map_err(Error::io("writing", path))?;
            count -= some;
        }
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let over = i64::try_from(bytes.len()).expect("a length in memory");
        let (path, file) = &mut self.from;
        file.seek_relative(over)
            .map_err(Error::io("reading", path))?;
        let (path, file) = &mut self.to;
        file.write_all(bytes).map_err(Error::io("writing", path))
    }

    fn finish(self) -> Result<(), Error> {
        let (path, file) = self.to;
        file.sync_all().map_err(Error::io("writing", path))
    }
}

/// The bytes of new values, which must be a tensor's in number and in range.
fn stored(tensor: &Tensor<'_>, values: &[f32]) -> Result<(Vec<u8>, Rounding), Error> {
    let refuse = |reason: String| Error::tensor(tensor.file(), tensor.name(), reason);
    let count: usize = tensor.shape().iter().product();
    if values.len() != count {
        return Err(refuse(format!(
            "has {count} numbers, by its shape {:?}, and was given {}",
            tensor.shape(),
            values.len()
        )));
    }
    let odd = values.iter().filter(|value| !value.is_finite()).count();
    if odd > 0 {
        return Err(refuse(format!(
            "was given {odd} numbers that are NaN or infinite; nothing was written"
        )));
    }
    let encoded = floats::encode(tensor.dtype(), values);
    let (bytes, rounding) = encoded.ok_or_else(|| {
        refuse(format!(
            "is stored as {:?}, and only f32, f16 and bf16 can be given other values; take the model in one of those",
            tensor.dtype()
        ))
    })?;
    if rounding.overflows > 0 {
        return Err(refuse(format!(
            "was given {} numbers beyond what {:?} holds; take the model in bf16 or f32",
            rounding.overflows,
            tensor.dtype()
        )));
    }
    Ok((bytes, rounding))
}

/// A folder in which to write what will become `out`.
fn beside(source: &Path, out: &Path) -> Result<TempDir, Error> {
    let occupied = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || out.exists() && !out.is_dir() {
        return Err(Error::output(
            out,
            "it exists and is not an empty folder; name another, nothing is written over",
        ));
    }
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return Err(Error::output(
            out,
            format!("there is no folder `{}`; create it first", parent.display()),
        ));
    }
    let absolute = |path: &Path| path.canonicalize().map_err(Error::io("finding", path));
    let name = out
        .file_name()
        .ok_or_else(|| Error::output(out, "the path ends in no name; give the folder one"))?;
    let (source, target) = (absolute(source)?, absolute(parent)?.join(name));
    if target.starts_with(&source) || source.starts_with(&target) {
        return Err(Error::output(
            out,
            "it lies in the model's own folder, or that in it; name one elsewhere",
        ));
    }
    let mut options = tempfile::Builder::new();
    options.prefix(".partial-");
    #[cfg(unix)]
    {
        // The default is for secrets; a model gets what the umask leaves, as any other folder.
        use std::os::unix::fs::PermissionsExt;
        options.permissions(std::fs::Permissions::from_mode(0o777));
    }
    options
        .tempdir_in(parent)
        .map_err(Error::io("making a folder in", parent))
}

/// Gives what is written its name.
fn put(partial: TempDir, out: &Path) -> Result<(), Error> {
    let writing = || Error::io("writing", out);
    if out.is_dir() {
        std::fs::remove_dir(out).map_err(writing())?;
    }
    std::fs::rename(partial.path(), out).map_err(writing())?;
    // Nothing is left to remove.
    let _ = partial.keep();
    Ok(())
}
