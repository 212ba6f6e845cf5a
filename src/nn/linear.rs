//! A linear layer on the input side, made from scratch.

use burn::config::Config;
use burn::nn::{Initializer, LinearConfig, LinearLayout};
use burn::tensor::Device;

use crate::linear::GoftLinear;

/// The settings of a [`GoftLinear`] with new weights, those of burn's [`LinearConfig`].
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::Device;
/// use burn_goft::GoftLinearConfig;
///
/// let layer = GoftLinearConfig::new(6, 4).with_bias(false).init(&Device::flex());
/// assert_eq!(layer.weight().dims(), [6, 4]);
/// assert!(layer.bias().is_none());
/// # }
/// ```
#[derive(Config, Debug)]
pub struct GoftLinearConfig {
    /// The length of an input vector.
    pub d_input: usize,
    /// The length of an output vector.
    pub d_output: usize,
    /// Whether the layer adds a bias.
    #[config(default = true)]
    pub bias: bool,
    /// How weight and bias start.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
    /// How the weight lies in memory and in records.
    #[config(default = "LinearLayout::Row")]
    pub layout: LinearLayout,
}

impl GoftLinearConfig {
    /// Makes the layer, without an adapter.
    pub fn init(&self, device: &Device) -> GoftLinear {
        LinearConfig::from(self.clone()).init(device).into()
    }
}

impl From<GoftLinearConfig> for LinearConfig {
    fn from(config: GoftLinearConfig) -> Self {
        Self::new(config.d_input, config.d_output)
            .with_bias(config.bias)
            .with_initializer(config.initializer)
            .with_layout(config.layout)
    }
}

impl From<LinearConfig> for GoftLinearConfig {
    fn from(config: LinearConfig) -> Self {
        Self::new(config.d_input, config.d_output)
            .with_bias(config.bias)
            .with_initializer(config.initializer)
            .with_layout(config.layout)
    }
}
