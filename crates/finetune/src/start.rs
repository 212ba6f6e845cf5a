//! What a method starts with at random, drawn again from the run's own seed instead of the device's
//! generator, which everything in the process shares.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The model with LoRA's first factors and HRA's vectors by this seed.
pub(crate) fn draw_again<M: Module>(model: M, seed: u64) -> M {
    model.map(&mut Draw {
        names: Vec::new(),
        random: StdRng::seed_from_u64(seed),
    })
}

struct Draw {
    names: Vec<String>,
    random: StdRng,
}

impl Draw {
    fn uniform(&mut self, count: usize, bound: f32) -> Vec<f32> {
        let value = |_| self.random.random_range(-bound..bound);
        (0..count).map(value).collect()
    }

    /// New values for a parameter that starts at random: those of LoRA within `1 / sqrt(d_input)`,
    /// as PEFT draws them; HRA's vectors of mean length 1, equal in pairs, which cancel.
    fn values(&mut self, shape: &[usize]) -> Option<Vec<f32>> {
        let [.., attached, name] = self.names.as_slice() else {
            return None;
        };
        if (attached.as_str(), name.as_str()) == ("lora", "a") {
            let bound = 1.0 / (shape[0] as f32).sqrt();
            return Some(self.uniform(shape.iter().product(), bound));
        }
        let reflections = name.strip_prefix("reflections_r")?.parse::<usize>().ok()?;
        let width = shape.iter().product::<usize>() / reflections;
        let bound = (3.0 / width as f32).sqrt();
        let pair = |_| self.uniform(width, bound).repeat(2);
        Some((0..reflections / 2).flat_map(pair).collect())
    }
}

impl ModuleMapper for Draw {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.names.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let Some(values) = self.values(shape.as_ref()) else {
            return param;
        };
        param.map(|old| {
            let data = TensorData::new(values, shape);
            let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
            if old.is_require_grad() {
                new.require_grad()
            } else {
                new
            }
        })
    }
}
