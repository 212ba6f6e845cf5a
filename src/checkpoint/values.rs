//! Tensors to data and back.

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::{Error, Problem};
use crate::numeric::count_non_finite;

/// The values in a row, in the data's dtype: without naming it, burn converts to the device's
/// default.
pub(super) fn row(data: &TensorData, device: &Device) -> Tensor<1> {
    let length = data.num_elements();
    let dtype = data.dtype();
    let data = TensorData::from_bytes_vec(data.as_bytes().to_vec(), [length], dtype);
    Tensor::from_data(data, (device, dtype))
}

/// The values of a row as data of another shape; refused if one is not finite.
pub(super) fn data(path: &str, row: Tensor<1>, shape: Vec<usize>) -> Result<TensorData, Error> {
    let data = row.into_data();
    let count = count_non_finite(&data);
    if count > 0 {
        return Err(Problem::NonFinite {
            path: path.into(),
            what: "the value".into(),
            count,
            remedy: "the training has diverged, and nothing was written; lower the learning rate, or go back to the \
                     last saved file",
        }
        .into());
    }
    let dtype = data.dtype();
    Ok(TensorData::from_bytes_vec(
        data.as_bytes().to_vec(),
        shape,
        dtype,
    ))
}
