//! A really pretrained model against what transformers computes of it: SmolLM2-135M-Instruct.
//!
//! `scripts/reference.py` has made `tests/smollm2.json`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::tensor::{Device, Int, Tensor, TensorData};
use hf_chat_template::Message;
use language_model::Pretrained;
use language_model::data::TextTokenizer;
use language_model::generate::{Generation, Sampling, generate};
use language_model::model::Layout;
use serde::Deserialize;

/// The environment variable that names the model's folder.
const FOLDER: &str = "BURN_GOFT_SMOLLM2";

#[derive(Deserialize)]
struct Reference {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    messages: Vec<Message>,
    text: String,
    ids: Vec<u32>,
    log_probability: f64,
    logits: Vec<f64>,
    answer: Vec<u32>,
}

#[test]
#[expect(clippy::print_stderr, reason = "what is left out must be seen")]
fn smollm2_computes_and_says_what_transformers_does() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        eprintln!("left out: SmolLM2, since {FOLDER} names no folder with its weights");
        return;
    };
    let device = Device::flex();
    let Pretrained {
        config,
        model,
        ends,
    } = Pretrained::load(&folder, &device).unwrap();
    let end = ends.first().copied();
    let tokenizer = TextTokenizer::in_folder(&folder, end, config.vocabulary, 8192).unwrap();
    let reference: Reference = serde_json::from_str(include_str!("../smollm2.json")).unwrap();
    for row in reference.rows {
        let text = tokenizer.chat().unwrap().render(&row.messages, &[], true);
        assert_eq!(text.unwrap(), row.text);
        assert_eq!(tokenizer.prompt(&row.messages, &[]).unwrap(), row.ids);
        let ids: Vec<i64> = row.ids.iter().copied().map(i64::from).collect();
        let count = ids.len();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, count]), &device);
        let logits = model.forward(ids.clone(), &Layout::of_rows(&[count]));
        let chances = burn::tensor::activation::log_softmax(logits.clone(), 2);
        let next = ids.narrow(1, 1, count - 1).unsqueeze_dim::<3>(2);
        let chosen = chances.narrow(1, 0, count - 1).gather(2, next).sum();
        let found = chosen.into_scalar::<f64>();
        assert!(
            (found - row.log_probability).abs() < 5e-3,
            "{found} {}",
            row.log_probability
        );
        let last: Vec<f64> = logits.narrow(1, count - 1, 1).into_data().iter().collect();
        for (found, expected) in last.iter().zip(&row.logits) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
        let generation = Generation {
            sampling: Sampling::default(),
            max_tokens: row.answer.len(),
            ends: ends.clone(),
            stops: Vec::new(),
            seed: 0,
        };
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let answer = generate(&model, &[row.ids], &generation, &device, go_on).remove(0);
        // The reference holds the token that ended it.
        let expected = match answer.ended {
            true => &row.answer[..row.answer.len() - 1],
            false => &row.answer[..],
        };
        assert_eq!(answer.tokens, expected);
    }
}
