//! Encoder and decoder.

use burn::nn::activation::ActivationConfig;
use burn::nn::transformer::{
    self, PositionWiseFeedForwardConfig, TransformerDecoder, TransformerDecoderConfig,
    TransformerEncoder, TransformerEncoderConfig,
};
use burn::tensor::{Device, Tensor};
use burn_goft::nn::{
    GoftPositionWiseFeedForward, GoftTransformerDecoder, GoftTransformerDecoderLayer,
    GoftTransformerEncoder, GoftTransformerEncoderLayer, TransformerDecoderInput,
    TransformerDecoderLayerAutoregressiveCache, TransformerEncoderInput,
    TransformerEncoderLayerAutoregressiveCache,
};

use super::{TakenOver, causal, input, mask};
use crate::common;
use crate::models::{self, fill};

const BATCH: usize = 2;
const TOKENS: usize = 4;
const OTHERS: usize = 3;
const WIDTH: usize = 6;

/// What is given in every row: norms before or after, quiet softmax, activation.
const SETTINGS: [(bool, bool, ActivationConfig); 3] = [
    (false, false, ActivationConfig::Gelu),
    (true, false, ActivationConfig::Relu),
    (true, true, ActivationConfig::Gelu),
];

macro_rules! encoder_outputs {
    ($module:expr, $device:expr, $input:ty) => {{
        let (module, device) = ($module, $device);
        let x = input(21, [BATCH, TOKENS, WIDTH], device);
        let pad = mask(22, [BATCH, TOKENS], device);
        let inputs = [
            <$input>::new(x.clone()),
            <$input>::new(x.clone()).mask_pad(pad.clone()),
            <$input>::new(x.clone())
                .mask_pad(pad)
                .mask_attn(causal(BATCH, TOKENS, device)),
        ];
        let mut outputs: Vec<Tensor<3>> = inputs.map(|input| module.forward(input)).into();
        let mut cache = module.new_autoregressive_cache();
        for tokens in 1..=TOKENS {
            let x = x.clone().slice([0..BATCH, 0..tokens, 0..WIDTH]);
            let input = <$input>::new(x).mask_attn(causal(BATCH, tokens, device));
            outputs.push(module.forward_autoregressive_inference(input, &mut cache));
        }
        outputs
    }};
}

impl TakenOver for TransformerEncoder {
    type Here = GoftTransformerEncoder;

    fn all(device: &Device) -> Vec<Self> {
        let config = |(norm_first, quiet_softmax, activation)| {
            TransformerEncoderConfig::new(WIDTH, 10, 2, 2)
                .with_dropout(0.0)
                .with_norm_first(norm_first)
                .with_quiet_softmax(quiet_softmax)
                .with_activation(activation)
        };
        let all = SETTINGS.map(config);
        all.map(|config| fill(config.init(device), 1)).into()
    }

    fn outputs(&self, device: &Device) -> Vec<Tensor<3>> {
        encoder_outputs!(self, device, transformer::TransformerEncoderInput)
    }

    fn outputs_here(module: &Self::Here, device: &Device) -> Vec<Tensor<3>> {
        encoder_outputs!(module, device, TransformerEncoderInput)
    }

    fn into_inner(module: Self::Here) -> Self {
        module.into_inner()
    }
}

macro_rules! decoder_outputs {
    ($module:expr, $device:expr, $input:ty) => {{
        let (module, device) = ($module, $device);
        let x = input(31, [BATCH, TOKENS, WIDTH], device);
        let memory = input(32, [BATCH, OTHERS, WIDTH], device);
        let inputs = [
            <$input>::new(x.clone(), memory.clone()),
            <$input>::new(x.clone(), memory.clone())
                .target_mask_pad(mask(33, [BATCH, TOKENS], device))
                .target_mask_attn(causal(BATCH, TOKENS, device))
                .memory_mask_pad(mask(34, [BATCH, OTHERS], device))
                .memory_mask_attn(mask(35, [BATCH, TOKENS, OTHERS], device)),
        ];
        let mut outputs: Vec<Tensor<3>> = inputs.map(|input| module.forward(input)).into();
        let mut cache = module.new_autoregressive_cache();
        for tokens in 1..=TOKENS {
            let x = x.clone().slice([0..BATCH, 0..tokens, 0..WIDTH]);
            let input =
                <$input>::new(x, memory.clone()).target_mask_attn(causal(BATCH, tokens, device));
            outputs.push(module.forward_autoregressive_inference(input, &mut cache));
        }
        outputs
    }};
}

impl TakenOver for TransformerDecoder {
    type Here = GoftTransformerDecoder;

    fn all(device: &Device) -> Vec<Self> {
        let config = |(norm_first, quiet_softmax, activation)| {
            TransformerDecoderConfig::new(WIDTH, 10, 2, 2)
                .with_dropout(0.0)
                .with_norm_first(norm_first)
                .with_quiet_softmax(quiet_softmax)
                .with_activation(activation)
        };
        let all = SETTINGS.map(config);
        all.map(|config| fill(config.init(device), 1)).into()
    }

    fn outputs(&self, device: &Device) -> Vec<Tensor<3>> {
        decoder_outputs!(self, device, transformer::TransformerDecoderInput)
    }

    fn outputs_here(module: &Self::Here, device: &Device) -> Vec<Tensor<3>> {
        decoder_outputs!(module, device, TransformerDecoderInput)
    }

    fn into_inner(module: Self::Here) -> Self {
        module.into_inner()
    }
}

/// One layer after the other is the stack, with and without caches.
#[test]
fn the_layers_alone_are_those_of_the_stack() {
    for (_, device) in common::devices() {
        let x = input(21, [BATCH, TOKENS, WIDTH], &device);
        let memory = input(32, [BATCH, OTHERS, WIDTH], &device);
        let (pad, attn) = (
            mask(22, [BATCH, TOKENS], &device),
            causal(BATCH, TOKENS, &device),
        );
        for encoder in TransformerEncoder::all(&device) {
            let (mut y, mut z) = (x.clone(), x.clone());
            for layer in encoder.layers.clone() {
                let layer = GoftTransformerEncoderLayer::from(layer);
                let mut cache = TransformerEncoderLayerAutoregressiveCache::empty();
                let masks = || (Some(pad.clone()), Some(attn.clone()));
                let ((pad_y, attn_y), (pad_z, attn_z)) = (masks(), masks());
                y = layer.forward(y, pad_y, attn_y);
                z = layer.forward_autoregressive_inference(z, pad_z, attn_z, &mut cache);
            }
            let input = TransformerEncoderInput::new(x.clone());
            let input = input.mask_pad(pad.clone()).mask_attn(attn.clone());
            let expected = GoftTransformerEncoder::from(encoder).forward(input);
            assert_eq!(models::bits(&y), models::bits(&expected));
            assert_eq!(models::bits(&z), models::bits(&expected));
        }
        for decoder in TransformerDecoder::all(&device) {
            let input = || {
                let input = TransformerDecoderInput::new(x.clone(), memory.clone());
                input.target_mask_attn(attn.clone())
            };
            let (mut y, mut z) = (input(), input());
            for layer in decoder.layers.clone() {
                let layer = GoftTransformerDecoderLayer::from(layer);
                let mut cache = TransformerDecoderLayerAutoregressiveCache::empty();
                y = layer.forward(y);
                z = layer.forward_autoregressive_inference(z, &mut cache);
            }
            let stack = GoftTransformerDecoder::from(decoder);
            let expected = models::bits(&stack.forward(input()));
            // A decoder without layers gives its target back.
            let empty = TransformerDecoderConfig::new(WIDTH, 10, 2, 0).init(&device);
            let empty = GoftTransformerDecoder::from(empty);
            assert_eq!(models::bits(&empty.forward(y)), expected);
            assert_eq!(models::bits(&empty.forward(z)), expected);
        }
    }
}

#[test]
fn the_feed_forward_network_computes_what_burns_does_on_every_rank() {
    fn law<const D: usize>(shape: [usize; D], device: &Device) {
        for activation in [ActivationConfig::Gelu, ActivationConfig::Tanh] {
            let config = PositionWiseFeedForwardConfig::new(WIDTH, 10).with_activation(activation);
            let burns = fill(config.init(device), 1);
            let here = GoftPositionWiseFeedForward::from(burns.clone());
            let x = input(41, shape, device);
            let (found, expected) = (here.forward(x.clone()), burns.forward(x));
            assert_eq!(models::bits(&found), models::bits(&expected));
        }
    }
    for (_, device) in common::devices() {
        law([WIDTH], &device);
        law([3, WIDTH], &device);
        law([2, 3, WIDTH], &device);
    }
}

#[test]
fn a_cache_of_another_depth_is_refused() {
    let (_, device) = common::devices().remove(0);
    let encoder = |layers| {
        let config = TransformerEncoderConfig::new(WIDTH, 10, 2, layers);
        GoftTransformerEncoder::from(config.init(&device))
    };
    let mut cache = encoder(1).new_autoregressive_cache();
    let x = input(21, [BATCH, TOKENS, WIDTH], &device);
    let message = common::panic_message(|| {
        let input = TransformerEncoderInput::new(x);
        encoder(2).forward_autoregressive_inference(input, &mut cache)
    });
    assert!(message.contains("new_autoregressive_cache"), "{message}");
}
