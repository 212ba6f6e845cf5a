//! Frozen weights in half precision and packed.

use std::ops::ControlFlow;

use burn::tensor::{DType, Device};
use burn_goft::parameters;
use language_model::training::Progress;
use language_model::{
    Base, Error, LogitDifference, Pretrained, RunConfig, merge, train, with_adapter,
};

use crate::common;

/// Bits of a number in the linear weights of the layers with the width of their rows, and the dtypes of
/// all else.
fn kept(folder: &std::path::Path, base: Base) -> (Vec<(usize, usize)>, Vec<DType>) {
    let model = Pretrained::load_as(folder, base, &Device::flex())
        .unwrap()
        .model;
    let (inside, outside): (Vec<_>, Vec<_>) = parameters(&model)
        .into_iter()
        .partition(|known| known.path.contains("_proj.weight"));
    let bits = |dtype: DType| match dtype {
        DType::F32 => 32,
        DType::BF16 => 16,
        DType::QFloat(scheme) => scheme.size_bits_value(),
        _ => 0,
    };
    let inside = inside
        .iter()
        .map(|known| (bits(known.dtype), known.shape[1]));
    (
        inside.collect(),
        outside.iter().map(|known| known.dtype).collect(),
    )
}

#[test]
fn the_base_is_what_the_layers_are_kept_in_and_the_rest_is_f32() {
    let (_place, folder) = common::model("qwen2");
    for (base, expected) in [
        (Base::F32, 32),
        (Base::Bf16, 16),
        (Base::Q8, 8),
        (Base::Q4, 4),
    ] {
        let (inside, outside) = kept(&folder, base);
        assert!(outside.iter().all(|dtype| *dtype == DType::F32), "{base:?}");
        assert_eq!(inside.len(), 14);
        for (bits, width) in inside {
            // Rows that no block divides stay as they are.
            let packs = !base.is_packed() || width % 8 == 0;
            assert_eq!(bits, if packs { expected } else { 32 }, "{base:?}, {width}");
        }
    }
}

#[test]
fn adapters_learn_beside_every_base_and_merge_into_the_dense_one() {
    let device = Device::flex();
    for (base, method, off) in [
        (Base::Q8, "goft", 0.15),
        (Base::Q4, "lora", 1.5),
        (Base::Q4, "qgoft", 1.5),
        (Base::Bf16, "oft", 0.1),
        (Base::Bf16, "lora", 0.1),
        (Base::F32, "goft", 1e-4),
    ] {
        let (place, folder) = common::model("llama");
        let data = common::data(&place);
        let [run, merged] = ["run", "merged"].map(|name| place.path().join(name));
        let config = RunConfig {
            base,
            steps: Some(60),
            batch_size: 5,
            learning_rate: Some(if method == "lora" { 2e-2 } else { 5e-2 }),
            ..RunConfig::new(&folder, &data, &run, method)
        };
        let mut steps = 0;
        let outcome = train(&config, &mut |progress| {
            steps += usize::from(matches!(progress, Progress::Step { .. }));
            ControlFlow::Continue(())
        })
        .unwrap();
        let what = format!("{base:?}, {method}");
        assert_eq!(steps, 60);
        assert!(
            outcome.after.loss < 0.2 * outcome.before.loss,
            "{what}: {outcome:?}"
        );
        // What is trained is in full precision whatever it stands beside.
        let tracked = device.clone().autodiff();
        let model = Pretrained::load_as(&folder, base, &tracked).unwrap().model;
        let adapted = with_adapter(model, &folder, &run).unwrap();
        for known in parameters(&adapted) {
            let trained = known.path.contains(".goft.") || known.path.contains(".lora.");
            assert!(!trained || known.dtype == DType::F32, "{what}: {known:?}");
        }
        // And it goes onto the dense model as well.
        let dense = Pretrained::load(&folder, &tracked).unwrap().model;
        with_adapter(dense, &folder, &run).unwrap();

        merge(&folder, &run, &merged, &device).unwrap();
        let difference = LogitDifference::measure(&folder, &run, &merged, "flex").unwrap();
        assert_eq!(difference.base, base);
        assert!(
            difference.greatest < off && difference.typical <= difference.greatest,
            "{what}: {difference:?}"
        );
        assert_eq!(
            difference.greatest > 1e-3,
            base != Base::F32,
            "{what}: {difference:?}"
        );
        let text = difference.to_string();
        assert_eq!(text.contains("packed"), base.is_packed(), "{what}: {text}");
    }
}

#[test]
fn weights_that_are_kept_low_are_not_trained_themselves() {
    let (place, folder) = common::model("llama");
    let data = common::data(&place);
    for base in [Base::Bf16, Base::Q8, Base::Q4] {
        let run = place.path().join("run");
        let config = RunConfig {
            base,
            ..RunConfig::new(&folder, &data, &run, "full")
        };
        let error = train(&config, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(
            matches!(&error, Error::Settings(reason) if reason.contains("_proj.weight` itself")),
            "{error}"
        );
        assert!(!run.exists());
    }
}
