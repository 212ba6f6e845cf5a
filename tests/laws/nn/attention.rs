//! Multi-head attention.

use burn::module::Module;
use burn::nn::attention::{self, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::tensor::{Device, Tensor};
use burn_goft::nn::{GoftMultiHeadAttention, MhaCache, MhaInput};
use burn_goft::{Goft, GoftModule};

use super::{TakenOver, causal, input, mask};
use crate::common;
use crate::models::{self, fill};

const BATCH: usize = 2;
const TOKENS: usize = 4;
const OTHERS: usize = 5;
const WIDTH: usize = 6;

/// The calls of burn's types and of this crate's, which have the same names.
macro_rules! outputs {
    ($module:expr, $device:expr, $input:ty, $cache:ty) => {{
        let (module, device) = ($module, $device);
        let x = input(11, [BATCH, TOKENS, WIDTH], device);
        let [key, value] = [12, 13].map(|seed| input(seed, [BATCH, OTHERS, WIDTH], device));
        let across = <$input>::new(x.clone(), key, value);
        let inputs = [
            <$input>::self_attn(x.clone()),
            <$input>::self_attn(x.clone()).mask_attn(causal(BATCH, TOKENS, device)),
            across.clone(),
            across
                .clone()
                .mask_pad(mask(14, [BATCH, OTHERS], device))
                .mask_attn(mask(15, [BATCH, TOKENS, OTHERS], device)),
        ];
        let mut outputs: Vec<Tensor<3>> = Vec::new();
        for input in inputs {
            let output = module.forward(input);
            outputs.push(output.weights.flatten(0, 1));
            outputs.push(output.context);
        }
        // Token by token, to itself and across.
        let (mut own, mut other) = (
            <$cache>::autoregressive(),
            <$cache>::autoregressive_cross_attention(),
        );
        let memory = input(16, [BATCH, OTHERS, WIDTH], device);
        for tokens in 1..=TOKENS {
            let x = x.clone().slice([0..BATCH, 0..tokens, 0..WIDTH]);
            let output = module.forward_cache(<$input>::self_attn(x.clone()), &mut own);
            outputs.push(output.context);
            let across = <$input>::new(x, memory.clone(), memory.clone());
            outputs.push(module.forward_cache(across, &mut other).context);
        }
        outputs
    }};
}

impl TakenOver for MultiHeadAttention {
    type Here = GoftMultiHeadAttention;

    fn all(device: &Device) -> Vec<Self> {
        let config = MultiHeadAttentionConfig::new(WIDTH, 2).with_dropout(0.0);
        let all = [
            config.clone(),
            config.clone().with_quiet_softmax(true).with_min_float(-9.0),
            config.with_key_bias(false).with_output_bias(false),
        ];
        all.map(|config| fill(config.init(device), 1)).into()
    }

    fn outputs(&self, device: &Device) -> Vec<Tensor<3>> {
        outputs!(self, device, attention::MhaInput, attention::MhaCache)
    }

    fn outputs_here(module: &Self::Here, device: &Device) -> Vec<Tensor<3>> {
        outputs!(module, device, MhaInput, MhaCache)
    }

    fn into_inner(module: Self::Here) -> Self {
        module.into_inner()
    }
}

/// Alone, so that no other law draws between the two.
#[test]
fn dropout_acts_in_training_and_draws_what_burns_does() {
    let law = "nn::attention::dropout_acts_in_training_and_draws_what_burns_does";
    common::in_its_own_process(law, || {
        for (_, device) in common::devices() {
            let device = device.autodiff();
            let config = MultiHeadAttentionConfig::new(WIDTH, 2).with_dropout(0.4);
            let burns = fill(config.init(&device), 1);
            let here = GoftMultiHeadAttention::from(burns.clone());
            let x = input(11, [BATCH, TOKENS, WIDTH], &device);
            device.seed(3);
            let expected = burns.forward(attention::MhaInput::self_attn(x.clone()));
            device.seed(3);
            let found = here.forward(MhaInput::self_attn(x.clone()));
            assert_eq!(
                models::bits(&found.weights),
                models::bits(&expected.weights)
            );
            let still = here
                .valid()
                .forward(MhaInput::self_attn(x.without_autodiff()));
            assert_ne!(models::bits(&found.weights), models::bits(&still.weights));
        }
    });
}

#[test]
fn a_switched_off_adapter_rests() {
    for (_, device) in common::devices() {
        let module = MultiHeadAttention::all(&device).remove(0);
        let goft = Goft::strict().with_init_std(0.5);
        let adapted = GoftMultiHeadAttention::from(module.clone());
        let adapted = adapted.apply_goft(goft).unwrap().disable_adapters();
        let found = MultiHeadAttention::outputs_here(&adapted, &device);
        for (found, expected) in found.iter().zip(module.outputs(&device)) {
            assert_eq!(models::bits(found), models::bits(&expected));
        }
    }
}

#[test]
fn a_wrong_width_panics_as_burns_does() {
    let (_, device) = common::devices().remove(0);
    let module = MultiHeadAttention::all(&device).remove(0);
    let x = || input(1, [BATCH, TOKENS, WIDTH + 1], &device);
    let expected =
        common::panic_message(|| module.forward(attention::MhaInput::self_attn(x())).context);
    let here = GoftMultiHeadAttention::from(module.clone());
    let found = common::panic_message(|| here.forward(MhaInput::self_attn(x())).context);
    for message in [expected, found] {
        assert!(message.contains("axis 2 expected 6, got 7"), "{message}");
    }
}
