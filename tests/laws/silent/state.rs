//! State that moves in a forward pass, outside of what is trained.

use burn::module::{Module, Param, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor};
use burn_goft::{AdapterFile, AdapterOnly, Goft, GoftModule};

use super::{batch, devices, train};
use crate::common::numbers;
use crate::models::{bits, fill};

/// A network with a batch norm, frozen or trained.
#[derive(Module, Debug)]
struct Normed {
    fc: Linear,
    norm: BatchNorm,
    head: Linear,
}

impl Normed {
    fn new(device: &Device) -> Self {
        let model = Self {
            fc: LinearConfig::new(7, 6).init(device),
            norm: BatchNormConfig::new(6).init(device),
            head: LinearConfig::new(6, 3).init(device),
        };
        fill(model, 3)
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head
            .forward(tanh(self.norm.forward(self.fc.forward(x))))
    }

    fn statistics(&self) -> [Vec<u64>; 2] {
        let states = [&self.norm.running_mean, &self.norm.running_var];
        states.map(|state| bits(&state.value_sync()))
    }
}

#[test]
fn nothing_outside_the_trainable_set_moves_in_a_batch_norm() {
    for (device, trained_norm) in devices().iter().flat_map(|d| [(d, false), (d, true)]) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.safetensors");
        let base = Normed::new(device);
        let goft = if trained_norm {
            Goft::strict().with_trainable(["norm.*"])
        } else {
            Goft::strict()
        };
        let before = base.statistics();
        let model = base.clone().apply_goft(goft).unwrap();
        let mut optimizer = AdamConfig::new().init();
        let model = train(model, &mut optimizer, 0..20, 7, Normed::forward);
        assert_eq!(base.statistics(), before, "the base of a clone moved");
        assert_eq!(model.statistics() != before, trained_norm);
        model.save_adapters(&file).unwrap();

        let x = || batch(9, 7, &device.clone().inner());
        let loaded = Normed::new(device).load_adapters(&file).unwrap();
        let (found, expected) = (loaded.valid().forward(x()), model.valid().forward(x()));
        assert_eq!(bits(&found), bits(&expected));
        if !trained_norm {
            let expected = bits(&base.valid().forward(x()));
            let off = model.valid().disable_adapters();
            assert_eq!(bits(&off.forward(x())), expected);
            let detached = model.detach_adapters().valid();
            assert_eq!(bits(&detached.forward(x())), expected);
        }
    }
}

/// Statistics of a layer of one's own, that no flag holds still.
#[derive(Module, Debug)]
struct Centered {
    mean: RunningState<Tensor<1>>,
    shift: Param<Tensor<1>>,
    fc: Linear,
}

impl Centered {
    fn new(device: &Device) -> Self {
        Self {
            mean: RunningState::new(Tensor::zeros([7], device)),
            shift: Param::from_tensor(Tensor::zeros([7], device)),
            fc: fill(LinearConfig::new(7, 3).init(device), 4),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let seen = x.clone().detach().mean_dim(0).reshape([7]);
        let mean = self.mean.value_sync().mul_scalar(0.9) + seen.mul_scalar(0.1);
        self.mean.update(mean);
        let shift = self.shift.val() - self.mean.value();
        self.fc.forward(x + shift.unsqueeze())
    }

    fn mean(&self) -> Vec<f64> {
        numbers(&self.mean.value_sync())
    }
}

#[test]
fn statistics_that_nothing_holds_still_travel_in_the_file() {
    for device in devices() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.safetensors");
        let base = Centered::new(&device);
        let model = base.clone().apply_goft(Goft::strict()).unwrap();
        let mut optimizer = AdamConfig::new().init();
        let model = train(model, &mut optimizer, 0..5, 7, Centered::forward);
        assert_eq!(base.mean(), [0.0; 7], "the base of a clone moved");
        model.save_adapters(&file).unwrap();
        let loaded = Centered::new(&device).load_adapters(&file).unwrap();
        assert_eq!(loaded.mean(), model.mean());
        assert!(loaded.mean().iter().all(|mean| *mean != 0.0));
    }
}

/// burn writes where clones share.
#[test]
fn nothing_that_happens_to_a_clone_moves_the_statistics_of_its_base() {
    for device in devices() {
        let base = Normed::new(&device);
        let before = base.statistics();
        let unmoved = |what: &str| assert_eq!(base.statistics(), before, "{what}");
        let goft = || Goft::strict().with_trainable(["norm.*"]);
        let run = |model, steps| {
            let mut optimizer = AdamConfig::new().init();
            train(model, &mut optimizer, steps, 7, Normed::forward)
        };
        let other = Normed::new(&device).apply_goft(goft()).unwrap();
        let other = run(other, 0..5);
        assert_ne!(other.statistics(), before);
        let file = AdapterFile::capture(&other).unwrap();

        let loaded = base.clone().load_adapters(&file).unwrap();
        assert_eq!(loaded.statistics(), other.statistics());
        unmoved("attaching by a file");

        let attached = base.clone().apply_goft(goft()).unwrap();
        let kept = attached.clone();
        let loaded = attached.load_adapters(&file).unwrap();
        assert_eq!(loaded.statistics(), other.statistics());
        assert_eq!(kept.statistics(), before, "loading into adapters");
        unmoved("loading into adapters");

        let merged = other.clone().merge_adapters().unwrap();
        let moved = merged.statistics();
        let later = run(Normed::new(&device).load_adapters(&file).unwrap(), 5..8);
        let later = AdapterFile::capture(&later).unwrap().for_any_base();
        drop(merged.clone().unmerge_adapters(&later).unwrap());
        assert_eq!(merged.statistics(), moved, "unmerging");

        let record = AdapterOnly::new(other.clone()).into_record();
        let wrapped = AdapterOnly::new(base.clone().apply_goft(goft()).unwrap());
        let kept = wrapped.clone();
        let loaded = wrapped.load_record(record);
        assert_eq!(loaded.inner().statistics(), other.statistics());
        assert_eq!(kept.inner().statistics(), before, "loading a record");

        // What is frozen with its statistics held, and freed later.
        let held = base.clone().apply_goft(Goft::strict()).unwrap().unfreeze();
        drop(held.forward(batch(3, 7, &device)));
        unmoved("unfreezing");
        let held = base.clone().apply_goft(Goft::strict()).unwrap();
        run(held.unfreeze(), 0..2);
        unmoved("training after unfreezing");
    }
}
