//! Adapters of burn-goft, merged into a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor as Values, TensorData};
use burn_goft::{AdapterFile, GoftModule};
use safetensors::tensor::Dtype;

use crate::error::Error;
use crate::floats;
use crate::folder::HfFolder;
use crate::rewrite::Rewritten;
use crate::tensor::Tensor;

/// Where a folder has a parameter of the trained model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The tensor's name.
    pub name: String,
    /// Whether the folder has `[out, in]` where the model has `[in, out]`: PyTorch's linear layers
    /// have.
    pub transposed: bool,
}

/// What becomes of one tensor.
enum New<'a> {
    /// The weight of this path is adapted.
    Adapted(&'a str),
    /// It was trained as it is.
    Value(&'a TensorData),
}

impl HfFolder {
    /// Writes the folder anew to `out` with an adapter merged into it: every adapted weight times
    /// its rotation and scales, and what was trained beside the adapter in its place.
    ///
    /// `place` says where the folder has the parameter of a path. The arithmetic is f32 on
    /// `device`, rounded once to the dtype of the file; [`Rewritten`] says what that cost. The file
    /// must have been trained on this folder's weights, unless it is
    /// [`for_any_base`](AdapterFile::for_any_base).
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the folder lacks a tensor, or has it in another shape;
    /// [`Error::Change`] if the adapter was trained on other weights or is merged already; the
    /// errors of [`rewrite`](Self::rewrite).
    ///
    /// # Example
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let temporary = tempfile::tempdir()?;
    /// # let (path, out) = (temporary.path().join("in"), temporary.path().join("out"));
    /// # std::fs::create_dir(&path)?;
    /// # let zeros = vec![0u8; 4 * 8 * 3];
    /// # let view = safetensors::tensor::TensorView::new(hf_folder::Dtype::F32, vec![3, 8], &zeros)?;
    /// # safetensors::serialize_to_file([("fc.weight", view)], None, &path.join("model.safetensors"))?;
    /// use burn::{module::{Module, Param}, nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
    /// use burn_goft::{AdapterFile, Goft, GoftModule};
    /// use hf_folder::{HfFolder, Place};
    ///
    /// #[derive(Module, Debug)]
    /// struct Model {
    ///     fc: Linear,
    /// }
    ///
    /// let device = Device::flex();
    /// let mut fc = LinearConfig::new(8, 3).with_bias(false).init(&device);
    /// # fc.weight = Param::from_tensor(Tensor::zeros([8, 3], &device));
    /// // .. load the folder's weights, attach, train, save ..
    /// let model = Model { fc }.apply_goft(Goft::strict())?;
    /// let adapter = AdapterFile::capture(&model)?;
    ///
    /// let place = |path: &str| Place { name: path.into(), transposed: true };
    /// let done = HfFolder::open(path)?.merge(&adapter, place, &device, out)?;
    /// assert_eq!(done.replaced[0].name, "fc.weight");
    /// # Ok(())
    /// # }
    /// ```
    pub fn merge(
        &self,
        adapter: &AdapterFile,
        place: impl Fn(&str) -> Place,
        device: &Device,
        out: impl AsRef<Path>,
    ) -> Result<Rewritten, Error> {
        let adapted = adapter.targets().map(|path| (path, New::Adapted(path)));
        let values = adapter.values();
        let values = values.map(|(path, data)| (path, New::Value(data)));
        let mut changes = BTreeMap::new();
        for (path, new) in adapted.chain(values) {
            let place = place(path);
            let tensor = self.tensor(&place.name)?;
            let shape = match &new {
                New::Adapted(path) => adapter.site(path).map(|site| site.shape.clone()),
                New::Value(data) => Some(data.shape().to_vec()),
            };
            let refuse = |reason| Err(Error::tensor(tensor.file(), tensor.name(), reason));
            let expected = in_file(shape.unwrap_or_default(), place.transposed);
            if tensor.shape() != expected {
                return refuse(format!(
                    "has shape {:?}, and `{path}` of the adapter asks for {expected:?}; merge into the model that it was \
                     trained on",
                    tensor.shape()
                ));
            }
            let twice = changes.insert(place.name.clone(), (new, place.transposed));
            if twice.is_some() {
                return refuse(format!(
                    "is `{path}` of the adapter, and another path of it too"
                ));
            }
        }
        self.check_others(adapter, &place, device)?;
        self.rewrite(out, |tensor| {
            let Some((new, transposed)) = changes.get(tensor.name()) else {
                return Ok(None);
            };
            Ok(Some(match (new, transposed) {
                (New::Value(data), false) => data.iter().collect(),
                (New::Value(data), true) => {
                    transpose(&data.iter().collect::<Vec<_>>(), tensor.shape())
                }
                (New::Adapted(path), transposed) => {
                    merged(tensor, adapter, path, *transposed, device)?
                }
            }))
        })
    }
}

impl HfFolder {
    /// What was frozen beside the adapted weights is what it was: with other values around it an
    /// adapter is another one.
    fn check_others(
        &self,
        adapter: &AdapterFile,
        place: &impl Fn(&str) -> Place,
        device: &Device,
    ) -> Result<(), Error> {
        let adapted: BTreeSet<&str> = adapter.targets().collect();
        for path in adapter.bases().filter(|path| !adapted.contains(path)) {
            let place = place(path);
            let tensor = self.tensor(&place.name)?;
            let Some(values) = floats::decode(tensor.dtype(), &tensor.read()?) else {
                continue;
            };
            let values = match place.transposed {
                true => transpose(&values, &in_file(tensor.shape().to_vec(), true)),
                false => values,
            };
            let row = Values::from_data(
                TensorData::new(values, [tensor.shape().iter().product::<usize>()]),
                device,
            );
            let checked = adapter.check_base(path, row, stored_dtype(&tensor));
            checked.map_err(|error| Error::Change {
                tensor: place.name,
                source: error.into(),
            })?;
        }
        Ok(())
    }
}

/// As burn calls it.
fn stored_dtype(tensor: &Tensor<'_>) -> DType {
    match tensor.dtype() {
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        _ => DType::F32,
    }
}

/// The shape that a file has for a model's.
fn in_file(mut shape: Vec<usize>, transposed: bool) -> Vec<usize> {
    if transposed {
        shape.reverse();
    }
    shape
}

/// `[columns, rows]` values as the `[rows, columns]` of `shape`.
fn transpose(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let [rows, columns] = shape else {
        return values.to_vec();
    };
    let entry = |index| values[(index % columns) * rows + index / columns];
    (0..rows * columns).map(entry).collect()
}

/// The values of an adapted weight, as the file has them.
fn merged(
    tensor: &Tensor<'_>,
    adapter: &AdapterFile,
    path: &str,
    transposed: bool,
    device: &Device,
) -> Result<Vec<f32>, Box<dyn std::error::Error + Send + Sync>> {
    let values = floats::decode(tensor.dtype(), &tensor.read()?);
    let values = values.ok_or_else(|| {
        format!(
            "it is stored as {:?}, and only f32, f16 and bf16 can be merged into; take the model in one of those",
            tensor.dtype()
        )
    })?;
    let file = adapter.clone().inside(path);
    // As it is stored: rounding to that is no other base.
    let dtype = Some(stored_dtype(tensor));
    let dtype = dtype.filter(|dtype| device.supports_dtype(*dtype));
    let weight = Weight {
        values,
        file,
        transposed,
        dtype: dtype.unwrap_or(DType::F32),
    };
    match *tensor.shape() {
        [a, b] => weight.rotated([a, b], device),
        [a, b, c] => weight.rotated([a, b, c], device),
        [a, b, c, d] => weight.rotated([a, b, c, d], device),
        [a, b, c, d, e] => weight.rotated([a, b, c, d, e], device),
        ref other => {
            Err(format!("it has {} axes, and an adapted weight 2 to 5", other.len()).into())
        }
    }
}

struct Weight {
    values: Vec<f32>,
    file: AdapterFile,
    transposed: bool,
    dtype: DType,
}

impl Weight {
    fn rotated<const D: usize>(
        self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Vec<f32>, Box<dyn std::error::Error + Send + Sync>> {
        let turn = |weight: Values<D>| match self.transposed {
            true => weight.swap_dims(D - 2, D - 1),
            false => weight,
        };
        let data = TensorData::new(self.values, shape);
        let weight = turn(Values::from_data(data, (device, DType::F32)));
        self.file
            .check(&Param::from_tensor(weight.clone().cast(self.dtype)))?;
        let weight = Param::from_tensor(weight).load_adapters(self.file.for_any_base())?;
        let merged = weight.merge_adapters()?.val();
        Ok(turn(merged).into_data().iter().collect())
    }
}
