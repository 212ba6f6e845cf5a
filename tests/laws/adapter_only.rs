//! Records of what is trained.

use burn::module::{Module, ParamGroup, Quantizer, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::quantization::{Calibration, QuantScheme};
use burn::tensor::{DType, Device, Tensor};
use burn_goft::{AdapterOnly, Goft, GoftLinear, GoftModule};

use crate::common;
use crate::models::{
    self, Example, Mlp, device_of, example, for_every_example, parameters, values,
};

fn goft() -> Goft {
    Goft::quasi().with_trainable(["head.bias"])
}

fn adapted<M: Example>(device: &Device) -> M {
    example::<M>(device).apply_goft(goft()).unwrap()
}

fn step<M: Example>(model: AdapterOnly<M>, optimizer: &mut ModuleOptimizer) -> AdapterOnly<M> {
    let loss = (model.inner().run() - 1.0).square().sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    optimizer.step(1e-2, model, gradients)
}

fn through_bytes(record: ModuleRecord) -> ModuleRecord {
    ModuleRecord::from_bytes(record.into_bytes().unwrap()).unwrap()
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_bit_for_bit() {
    fn law<M: Example>(device: &Device) {
        let device = &device.clone().autodiff();
        let mut optimizer = AdamConfig::new().init();
        let mut model = AdapterOnly::new(adapted::<M>(device));
        for _ in 0..3 {
            model = step(model, &mut optimizer);
        }
        let record = through_bytes(model.clone().into_record());
        let state = optimizer.to_record().into_bytes().unwrap();
        let state = OptimizerRecord::from_bytes(state).unwrap();

        let mut again = AdapterOnly::new(adapted::<M>(device)).load_record(record);
        let (found, expected) = (parameters(&again), parameters(&model));
        assert!(found.keys().eq(expected.keys()));
        for (path, expected) in expected {
            assert_eq!(found[&path].bits, expected.bits, "{path}");
            assert_eq!(found[&path].trainable, expected.trainable, "{path}");
            // The optimizer's state goes by the id.
            assert_eq!(found[&path].id == expected.id, expected.trainable, "{path}");
        }
        let mut loaded = AdamConfig::new().init().load_record(state);
        for _ in 0..3 {
            model = step(model, &mut optimizer);
            again = step(again, &mut loaded);
            assert_eq!(values(&again), values(&model));
        }
    }
    for_every_example!(law);
}

#[test]
fn a_record_holds_what_is_trained_and_the_statistics_that_may_move() {
    for (_, device) in common::devices() {
        let model = adapted::<Mlp>(&device.clone().autodiff());
        let trained = parameters(&model).into_values().filter(|p| p.trainable);
        let trained = trained.count();
        assert_eq!(trained, 4);
        let wrapped = AdapterOnly::new(model.clone());
        // And the hash of the rest.
        assert_eq!(wrapped.clone().into_record().len(), trained + 1);
        assert_eq!(wrapped.valid().into_record().len(), trained + 1);
        let angles = ParamGroup::from_predicate(".goft.");
        assert_eq!(wrapped.into_record_group(angles).len(), 3);

        let plain = AdapterOnly::new(example::<Mlp>(&device)).into_record();
        assert_eq!(plain.len(), 7);
    }
}

/// Leaves the base out: bytes do not grow with it.
#[test]
fn a_record_of_a_wide_model_is_small() {
    let (_, device) = common::devices().remove(0);
    let linear = LinearConfig::new(512, 512).init(&device.autodiff());
    let model = AdapterOnly::new(linear.apply_goft(Goft::strict()).unwrap());
    let whole = model.inner().clone().into_record().into_bytes().unwrap();
    let bytes = model.into_record().into_bytes().unwrap();
    assert!(whole.len() > 4 * 512 * 512);
    assert!(bytes.len() < 4 * 511 + 1024, "{}", bytes.len());
}

#[test]
fn to_everything_but_records_it_is_the_model() {
    for (_, device) in common::devices() {
        let model = adapted::<Mlp>(&device.clone().autodiff());
        let wrapped = AdapterOnly::new(model.clone());
        assert_eq!(parameters(&wrapped), parameters(&model));
        assert_eq!(wrapped.num_params(), model.num_params());
        assert_eq!(wrapped.devices(), model.devices());
        assert_eq!(wrapped.to_string(), model.to_string());
        let bits = |x: Tensor<2>| models::bits(&x);
        assert_eq!(
            bits(wrapped.valid().inner().run()),
            bits(model.valid().run())
        );
        let merged = wrapped.valid().merge_adapters().unwrap();
        assert_eq!(
            bits(merged.into_inner().run()),
            bits(model.valid().merge_adapters().unwrap().run())
        );
        let frozen = wrapped.clone().freeze();
        assert!(parameters(&frozen).values().all(|p| !p.trainable));
        assert_eq!(device_of(&wrapped.train().fork(&device)), device);
    }
}

fn refused<M: Module>(model: M, record: ModuleRecord) -> String {
    match model.try_load_record(record) {
        Err(RecordError::Validation(message)) => message,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("the record was loaded"),
    }
}

#[test]
fn a_record_of_another_run_is_refused() {
    for (_, device) in common::devices() {
        let device = device.autodiff();
        let record = || AdapterOnly::new(adapted::<Mlp>(&device)).into_record();

        let other_base = models::fill(Mlp::new(&device), 9).apply_goft(goft());
        let message = refused(AdapterOnly::new(other_base.unwrap()), record());
        assert!(message.contains("other pretrained values"), "{message}");

        let with = |goft: Goft| AdapterOnly::new(example::<Mlp>(&device).apply_goft(goft).unwrap());
        let message = refused(with(Goft::quasi()), record());
        assert!(message.contains("head.bias"), "{message}");
        let message = refused(with(goft().with_trainable(["head.*"])), record());
        assert!(message.contains("head.weight"), "{message}");
        let message = refused(with(Goft::strict().with_trainable(["head.bias"])), record());
        assert!(message.contains("goft.angles"), "{message}");

        let whole = adapted::<Mlp>(&device).into_record();
        let message = refused(AdapterOnly::new(adapted::<Mlp>(&device)), whole);
        assert!(message.contains("sha256_of_the_rest"), "{message}");
    }
}

/// A layer with running statistics of its own make, which a record of burn's norms would not find.
#[derive(Module, Debug)]
struct Counted {
    linear: Linear,
    norm: BatchNorm,
    seen: RunningState<Tensor<1>>,
}

impl Counted {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.seen.update(self.seen.value_sync() + 1.0);
        self.norm.forward(self.linear.forward(x))
    }
}

/// What moves without a gradient travels too.
#[test]
fn running_statistics_are_part_of_a_record() {
    for (_, device) in common::devices() {
        let device = device.autodiff();
        let fresh = || {
            let model = Counted {
                linear: LinearConfig::new(5, 4).init(&device),
                norm: BatchNormConfig::new(4).init(&device),
                seen: RunningState::new(Tensor::zeros([1], &device)),
            };
            let goft = Goft::strict().with_trainable(["norm.*"]);
            AdapterOnly::new(models::fill(model, 3).apply_goft(goft).unwrap())
        };
        let model = fresh();
        let before = values(&model.valid());
        let x = common::tensor(&common::normal(8, 30), [6, 5], &device, DType::F32);
        model.inner().forward(x);
        let record = through_bytes(model.clone().into_record());
        let moved = values(&model.valid());
        for path in ["norm.running_mean", "norm.running_var", "seen"] {
            assert_ne!(moved[path], before[path], "{path}");
        }
        let loaded = fresh().load_record(record);
        assert_eq!(values(&loaded.valid()), moved);
    }
}

/// A packed base stays where it is.
#[test]
fn a_quantized_base_is_left_out_and_recognized() {
    let device = Device::flex().autodiff();
    let fresh = |seed| {
        let linear = models::fill(LinearConfig::new(32, 8).init(&device), seed);
        let scheme = QuantScheme::default();
        let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
        let linear = linear.quantize_weights(&mut quantizer);
        AdapterOnly::new(GoftLinear::from(linear).apply_goft(Goft::strict()).unwrap())
    };
    let model = models::stir(fresh(1), 4, 0.3);
    let record = || through_bytes(model.clone().into_record());
    assert_eq!(record().len(), 2);
    assert_eq!(values(&fresh(1).load_record(record())), values(&model));
    let message = refused(fresh(2), record());
    assert!(message.contains("other pretrained values"), "{message}");
}
