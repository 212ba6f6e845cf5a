//! The random numbers of a device.

use burn::optim::{AdamWConfig, GradientsParams};
use burn_goft::{Goft, GoftModule};

use crate::common;
use crate::models::{Encoder, Example, values};

/// The random numbers of a device have one source, and no other law may draw from it meanwhile.
#[test]
fn two_runs_with_the_same_seed_give_the_same_bits() {
    let law = "seed::two_runs_with_the_same_seed_give_the_same_bits";
    common::in_its_own_process(law, || {
        for (_, device) in common::devices() {
            let device = device.autodiff();
            let run = |seed| {
                device.seed(seed);
                let goft = Goft::quasi().with_init_std(0.3);
                let mut model = Encoder::new(&device).apply_goft(goft).unwrap();
                let mut optimizer = AdamWConfig::new().init();
                for _ in 0..3 {
                    let loss = model.run().square().sum();
                    let grads = GradientsParams::from_grads(loss.backward(), &model);
                    model = optimizer.step(0.01, model, grads);
                }
                values(&model)
            };
            assert_eq!(run(1), run(1));
            assert_ne!(run(1), run(2));
        }
    });
}
