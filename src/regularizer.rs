//! Orthogonality penalties of a whole model.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::givens::{Penalty, QuasiGivens};
use crate::walk;

/// See [`orthogonality_penalty`](crate::GoftModule::orthogonality_penalty).
pub(crate) fn orthogonality_penalty<M: Module>(model: &M, penalty: Penalty) -> Tensor<1> {
    let entries = walk::entries(model, |entry| entry.goft().is_some());
    let parameters = entries
        .iter()
        .filter_map(|entry| Some((entry.goft()?.1, entry.values.as_ref()?)));
    let mut total: Option<Tensor<1>> = None;
    for (field, values) in parameters {
        let term = match field {
            "blocks" => {
                let blocks = values.clone().reshape([values.dims()[0] / 4, 2, 2]);
                QuasiGivens::from_blocks(blocks).penalty(penalty)
            }
            // A strict adapter is orthogonal whatever its angles.
            _ => Tensor::zeros([1], (&values.device(), values.dtype())),
        };
        total = Some(match total {
            Some(total) => {
                let term = term.to_device(&total.device());
                let dtype = total.dtype();
                total + term.cast(dtype)
            }
            None => term,
        });
    }
    total.unwrap_or_else(|| {
        panic!("orthogonality_penalty: the model carries no GOFT adapter; call `apply_goft` first")
    })
}
