//! Measures against log-softmax of all logits.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use language_model::batch::{Batch, count};
use language_model::cli::Loaded;
use language_model::eval::{Question, choices, perplexity, read_questions, token_losses};
use language_model::model::{CausalLm, Layout};

use crate::common;

/// The log-likelihood of each token but the first.
fn likelihoods(model: &CausalLm, ids: &[u32]) -> Vec<f64> {
    let device = Device::flex();
    let all: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    let ids: Tensor<2, Int> =
        Tensor::from_data(TensorData::new(all.clone(), [1, all.len()]), &device);
    let logits = model.forward(ids, &Layout::of_rows(&[all.len()]));
    let [_, _, vocabulary] = logits.dims();
    let all_likelihoods: Vec<f64> = log_softmax(logits, 2).into_data().iter::<f64>().collect();
    let next = all.iter().skip(1).enumerate();
    next.map(|(place, id)| all_likelihoods[place * vocabulary + *id as usize])
        .collect()
}

fn loaded(kind: &str) -> (tempfile::TempDir, Loaded) {
    let (place, folder) = common::model(kind);
    let loaded = Loaded::new(&folder, None, None, "flex").unwrap();
    (place, loaded)
}

#[test]
fn losses_are_those_of_all_logits_alone_and_packed() {
    let device = Device::flex();
    // With a cap on logits, a window, and neither.
    for kind in ["llama", "gemma2", "qwen2_window"] {
        let (_place, loaded) = loaded(kind);
        let examples = [
            common::example(&[1, 6, 7, 8, 9, 10, 15, 4, 22, 8, 16], 3),
            common::example(&[5, 9, 4], 1),
            common::example(&[1, 9, 12, 8, 20, 21, 2], 5),
        ];
        let found = token_losses(&loaded.base, &examples, &device);
        let (mut sum, mut tokens) = (0.0, 0);
        for (found, example) in found.iter().zip(&examples) {
            let all = likelihoods(&loaded.base, &example.ids);
            let expected = &all[example.ids.len() - 1 - count(example)..];
            assert_eq!(found.len(), expected.len());
            for ((found, _), expected) in found.iter().zip(expected) {
                assert!(
                    (found + expected).abs() < 1e-5,
                    "{kind}: {found} {expected}"
                );
                sum -= expected;
                tokens += 1;
            }
        }
        let [a, b, c] = examples.each_ref();
        for rows in [vec![vec![a, b, c]], vec![vec![c], vec![b, a]]] {
            let batch = Batch::packed(&rows, &device);
            let loss = loaded.base.cross_entropy(&batch).loss.into_scalar::<f32>();
            let expected = sum / f64::from(tokens);
            assert!(
                (f64::from(loss) - expected).abs() < 1e-5,
                "{kind}: {loss} {expected}"
            );
        }
    }
}

#[test]
fn choices_are_scored_by_likelihood_and_by_length() {
    let (_place, loaded) = loaded("llama");
    let context = "what color is the sky ?";
    let answers = ["blue", "it is green .", "red red red"];
    let scores = answers.map(|answer| {
        let text = format!("{context} {answer}");
        let ids = loaded.tokenizer.encode_plain(&text).unwrap();
        let given = loaded.tokenizer.encode_plain(context).unwrap().len();
        let all = likelihoods(&loaded.base, &ids);
        let sum: f64 = all[given - 1..].iter().sum();
        (sum, sum / answer.len() as f64)
    });
    let best = |of: fn(&(f64, f64)) -> f64| {
        let ranked = scores.iter().map(of).enumerate();
        ranked.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
    };
    let (plain, normed) = (best(|score| score.0), best(|score| score.1));
    for gold in 0..3 {
        let question = Question {
            context: context.into(),
            choices: answers.map(String::from).to_vec(),
            gold,
            delimiter: " ".into(),
        };
        let found = choices(
            &loaded.base,
            &loaded.tokenizer,
            &[question],
            64,
            &loaded.device,
        );
        let found = found.unwrap();
        let expected = [plain, normed].map(|best| f64::from(u8::from(best == gold)));
        assert_eq!([found.acc.share, found.acc_norm.share], expected);
        assert_eq!(found.questions, 1);
    }
}

#[test]
fn a_text_is_predicted_from_what_its_windows_hold() {
    let (_place, loaded) = loaded("llama");
    let text = "what color is the sky ? it is blue . what color is the grass ? it is green .";
    let ids = loaded.tokenizer.encode(text).unwrap();
    for (length, stride) in [(64, 32), (8, 4), (6, 1)] {
        let found = perplexity(
            &loaded.base,
            &loaded.tokenizer,
            text,
            length,
            stride,
            &loaded.device,
        );
        let found = found.unwrap();
        let (mut sum, mut predicted, mut start) = (0.0, 1, 0);
        while predicted < ids.len() {
            let end = (start + length).min(ids.len());
            let all = likelihoods(&loaded.base, &ids[start..end]);
            sum -= all[predicted - start - 1..].iter().sum::<f64>();
            predicted = end;
            start += stride;
        }
        let expected = sum / (ids.len() - 1) as f64;
        assert!((found.loss - expected).abs() < 1e-5, "{found:?} {expected}");
        assert!((found.perplexity - expected.exp()).abs() < 1e-3 * expected.exp());
        let bits = sum / 2f64.ln() / text.len() as f64;
        assert!((found.bits_per_byte - bits).abs() < 1e-5);
        assert_eq!(found.tokens, ids.len() - 1);
    }
    let refused = |text: &str, length, stride| {
        let found = perplexity(
            &loaded.base,
            &loaded.tokenizer,
            text,
            length,
            stride,
            &loaded.device,
        );
        found.unwrap_err()
    };
    assert!(refused(text, 8, 8).contains("stride"));
    assert!(refused("what", 8, 4).contains("nothing to predict"));
}

#[test]
fn files_of_questions_name_their_line() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("questions.jsonl");
    let said = |text: &str| {
        std::fs::write(&path, text).unwrap();
        read_questions(&path).unwrap_err().to_string()
    };
    let good = r#"{"context": "a", "choices": ["b", "c"], "gold": 1}"#;
    assert!(said(&format!("{good}\n{{}}")).contains("line 2"));
    let outside = said(r#"{"context": "a", "choices": ["b"], "gold": 1}"#);
    assert!(outside.contains("counted from 0"), "{outside}");
    assert!(said(r#"{"context": "a", "choices": [""], "gold": 0}"#).contains("empty"));
    assert!(said("\n").contains("no question"));
    std::fs::write(&path, format!("{good}\n\n{good}\n")).unwrap();
    let questions = read_questions(&path).unwrap();
    assert_eq!((questions.len(), questions[0].delimiter.as_str()), (2, " "));
}
