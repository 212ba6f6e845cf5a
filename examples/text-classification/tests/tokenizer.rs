//! WordPiece from a vocabulary, and the limit of length.

mod common;

use common::WORDS;
use text_classification::TextTokenizer;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

fn tokenizer(words: &[&str], max_length: usize) -> TextTokenizer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.txt");
    std::fs::write(&path, words.join("\n") + "\n").unwrap();
    TextTokenizer::from_vocabulary(&path, max_length).unwrap()
}

fn words(tokenizer: &TextTokenizer, text: &str, second: Option<&str>) -> Vec<&'static str> {
    let tokens = tokenizer.encode(text, second).unwrap();
    tokens.ids.iter().map(|id| WORDS[*id as usize]).collect()
}

#[test]
fn words_are_split_lowered_and_framed() {
    let tokenizer = tokenizer(&WORDS, 16);
    assert_eq!(
        words(&tokenizer, "The Film is UNFUN, very dulls.", None),
        [
            "[CLS]", "the", "film", "is", "un", "##fun", ",", "very", "dull", "##s", ".", "[SEP]"
        ]
    );
    assert_eq!(
        words(&tokenizer, "a zebra", None),
        ["[CLS]", "a", "[UNK]", "[SEP]"]
    );
    let pair = tokenizer.encode("good film", Some("bad")).unwrap();
    assert_eq!(pair.ids, [2, 6, 8, 3, 7, 3]);
    assert_eq!(pair.types, [0, 0, 0, 0, 1, 1]);
    assert!(!pair.truncated);
}

#[test]
fn an_upper_case_symbol_does_not_make_a_vocabulary_cased() {
    let mut uncased = WORDS.to_vec();
    uncased.push("ℝ");
    let tokenizer = tokenizer(&uncased, 16);
    let tokens = tokenizer.encode("Film", None).unwrap();
    assert_eq!(tokens.ids, [2, 8, 3]);
}

#[test]
fn padding_and_truncation_of_a_tokenizer_json_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let vocabulary = folder.path().join("vocab.txt");
    std::fs::write(&vocabulary, WORDS.join("\n") + "\n").unwrap();
    let words = WordPiece::from_file(vocabulary.to_str().unwrap()).build();
    let mut baked = Tokenizer::new(words.unwrap());
    let (cls, sep) = (("[CLS]".to_string(), 2), ("[SEP]".to_string(), 3));
    baked
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(BertProcessing::new(sep, cls)));
    let limit = TruncationParams {
        max_length: 4,
        ..TruncationParams::default()
    };
    baked.with_truncation(Some(limit)).unwrap();
    let fixed = PaddingParams {
        strategy: PaddingStrategy::Fixed(9),
        ..PaddingParams::default()
    };
    baked.with_padding(Some(fixed));
    let json = folder.path().join("tokenizer.json");
    baked.save(&json, false).unwrap();
    // As saved, it cuts at 4 and fills up to 9.
    let plain = Tokenizer::from_file(&json).unwrap();
    let encoded = plain.encode("good bad film", true).unwrap();
    assert_eq!(encoded.get_ids(), [2, 6, 7, 3, 0, 0, 0, 0, 0]);

    let tokenizer = TextTokenizer::from_json(&json, 8).unwrap();
    let tokens = tokenizer.encode("good bad film", None).unwrap();
    assert_eq!(tokens.ids, [2, 6, 7, 8, 3]);
    let cut = tokenizer.encode("good bad film great awful the plot", None);
    assert_eq!(cut.unwrap().ids, [2, 6, 7, 8, 9, 10, 11, 3]);
}

#[test]
fn a_cased_vocabulary_keeps_case() {
    let mut cased = WORDS.to_vec();
    cased.push("Film");
    let tokenizer = tokenizer(&cased, 16);
    let tokens = tokenizer.encode("Film film", None).unwrap();
    assert_eq!(tokens.ids, [2, 26, 8, 3]);
}

#[test]
fn long_texts_lose_their_end_and_say_so() {
    let tokenizer = tokenizer(&WORDS, 8);
    let six = "good bad film great awful the";
    let fits = tokenizer.encode(six, None).unwrap();
    assert_eq!((fits.ids.len(), fits.truncated), (8, false));
    let cut = tokenizer.encode(&format!("{six} plot is"), None).unwrap();
    assert_eq!(cut.ids, fits.ids);
    assert!(cut.truncated);

    // Five words of a pair fit; the longer text gives first.
    for (first, second, kept) in [
        (
            "good bad",
            "film great awful the plot",
            [2, 6, 7, 3, 8, 9, 10, 3],
        ),
        (
            "film great awful the plot",
            "good bad",
            [2, 8, 9, 10, 3, 6, 7, 3],
        ),
    ] {
        let pair = tokenizer.encode(first, Some(second)).unwrap();
        assert_eq!(pair.ids, kept);
        assert!(pair.truncated);
    }
    let pair = tokenizer.encode("good bad", Some("film great awful"));
    assert!(!pair.unwrap().truncated);
}

#[test]
fn a_file_without_special_tokens_and_a_tiny_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.txt");
    std::fs::write(&path, "[UNK]\n[CLS]\ngood\n").unwrap();
    let message = TextTokenizer::from_vocabulary(&path, 16).unwrap_err();
    assert!(message.to_string().contains("no `[SEP]`"), "{message}");
    std::fs::write(&path, WORDS.join("\n")).unwrap();
    let message = TextTokenizer::from_vocabulary(&path, 3).unwrap_err();
    assert!(
        message.to_string().contains("at most 3 tokens"),
        "{message}"
    );
    let message = TextTokenizer::from_json(&path, 16).unwrap_err();
    assert!(
        message.to_string().contains("not a tokenizer.json"),
        "{message}"
    );
}
