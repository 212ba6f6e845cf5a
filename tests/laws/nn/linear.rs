//! `GoftLinearConfig`.

use burn::module::Module;
use burn::nn::{Initializer, LinearConfig, LinearLayout};
use burn_goft::GoftLinearConfig;

use crate::common;
use crate::models;

/// Alone, so that no other law draws between the two.
#[test]
fn a_config_makes_the_layer_that_burns_config_makes() {
    let law = "nn::linear::a_config_makes_the_layer_that_burns_config_makes";
    common::in_its_own_process(law, || {
        for (_, device) in common::devices() {
            let normal = || Initializer::Normal {
                mean: 1.0,
                std: 0.1,
            };
            let (here, burns) = (GoftLinearConfig::new(6, 4), LinearConfig::new(6, 4));
            let pairs = [
                (here.clone(), burns.clone()),
                (
                    here.clone().with_bias(false),
                    burns.clone().with_bias(false),
                ),
                (
                    here.clone().with_layout(LinearLayout::Col),
                    burns.clone().with_layout(LinearLayout::Col),
                ),
                (
                    here.with_initializer(normal()),
                    burns.with_initializer(normal()),
                ),
            ];
            for (config, burns) in pairs {
                device.seed(5);
                let expected = burns.init(&device);
                // Parameters start when they are first read.
                let values = models::values(&expected);
                device.seed(5);
                let layer = config.init(&device);
                assert_eq!(models::values(&layer), values);
                // A column layout shows in the record's shape, and a record of the other is refused.
                let record = expected.into_record();
                assert_eq!(
                    models::values(&config.init(&device).load_record(record)),
                    values
                );
            }
        }
    });
}

#[test]
fn the_defaults_and_the_json_are_those_of_burns_config() {
    let (here, burns) = (GoftLinearConfig::new(6, 4), LinearConfig::new(6, 4));
    let text = |value: String| serde_json::from_str::<serde_json::Value>(&value).unwrap();
    assert_eq!(text(here.to_string()), text(burns.to_string()));
    let back = GoftLinearConfig::from(burns);
    assert_eq!(text(back.to_string()), text(here.to_string()));
}
