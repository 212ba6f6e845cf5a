//! DeBERTa's attention, in which the distance between two tokens has a vector of its own.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::norm::LayerNorm;

/// How far tokens see each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Distances, or buckets of them, that are told apart in either direction.
    pub span: usize,
    /// Where distances share buckets: beyond `span / 2`, in a logarithmic scale that ends at this
    /// one.
    pub farthest: Option<usize>,
}

/// The vectors of distances, shared by all layers.
///
/// Source: He et al. 2021, [arXiv 2006.03654](https://arxiv.org/abs/2006.03654), Section 3.1; the
/// buckets and the shared projections are version 2's, [arXiv
/// 2111.09543](https://arxiv.org/abs/2111.09543).
#[derive(Module, Debug)]
pub(crate) struct Relative {
    vectors: Embedding,
    norm: LayerNorm,
    #[module(skip)]
    reach: Reach,
}

/// Vectors of distances `[2 span, hidden]`, and which of them belongs to two tokens.
#[derive(Clone, Debug)]
pub(crate) struct Distances {
    pub(crate) vectors: Tensor<2>,
    /// `[1, 1, queries, keys]`.
    rows: Tensor<4, Int>,
}

impl Relative {
    pub(crate) fn new(reach: Reach, hidden: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            vectors: EmbeddingConfig::new(2 * reach.span, hidden).init(device),
            norm: LayerNorm::new(hidden, epsilon, device),
            reach,
        }
    }

    pub(crate) fn between(&self, tokens: usize) -> Distances {
        let vectors = self.norm.forward(self.vectors.weight.val());
        let tokens = tokens as isize;
        let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| query - key));
        let rows = Vec::from_iter(pairs.map(|distance| self.reach.row(distance)));
        let rows = TensorData::new(rows, [1, 1, tokens as usize, tokens as usize]);
        Distances {
            rows: Tensor::from_data(rows, &vectors.device()),
            vectors,
        }
    }
}

impl Distances {
    /// What is added to the products of queries and keys, before they are scaled:
    /// `q_i . K_d + k_j . Q_d` with `d` the distance of `i` and `j`.
    ///
    /// `query` and `key` are `[batch, heads, tokens, width]`; `of_queries` and `of_keys`, the
    /// vectors of distances through the layers of queries and keys, `[1, heads, 2 span, width]`.
    pub(crate) fn products(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        of_queries: Tensor<4>,
        of_keys: Tensor<4>,
    ) -> Tensor<4> {
        let [batch, heads, tokens, _] = query.dims();
        let shape = [batch, heads, tokens, tokens];
        let to_keys = query.matmul(of_keys.transpose());
        let to_keys = to_keys.gather(3, self.rows.clone().expand(shape));
        let to_queries = key.matmul(of_queries.transpose());
        let of_queries = self.rows.clone().transpose().expand(shape);
        let to_queries = to_queries.gather(3, of_queries);
        to_keys + to_queries.transpose()
    }
}

impl Reach {
    /// The row of the vectors for a query's position less the key's.
    fn row(&self, distance: isize) -> i32 {
        let span = self.span as isize;
        (self.bucket(distance) + span).clamp(0, 2 * span - 1) as i32
    }

    fn bucket(&self, distance: isize) -> isize {
        let half = self.span / 2;
        let far = distance.unsigned_abs();
        match self.farthest {
            Some(farthest) if far > half => {
                let octaves = |distance: usize| (distance as f64 / half as f64).ln();
                let share = octaves(far) / octaves(farthest - 1);
                let bucket = (share * (half - 1) as f64).ceil() as isize + half as isize;
                bucket * distance.signum()
            }
            _ => distance,
        }
    }
}
