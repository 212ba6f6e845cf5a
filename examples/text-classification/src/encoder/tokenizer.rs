//! Texts to tokens: WordPiece, from `tokenizer.json` or from `vocab.txt`.

use std::path::Path;

use burn_goft_finetune::Error;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Model, Tokenizer, TruncationParams};

/// A text, or a pair of texts, as the encoder reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Token numbers, the special ones included.
    pub ids: Vec<u32>,
    /// 0 for the first text and 1 for the second.
    pub types: Vec<u32>,
    /// Whether the text was longer than allowed and lost its end.
    pub truncated: bool,
}

/// A tokenizer with its own limit of length.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    whole: Tokenizer,
    /// The same, cutting at the limit.
    cutting: Tokenizer,
    max_length: usize,
}

/// Room for the special tokens of a pair and some of its words.
const SHORTEST: usize = 8;

impl TextTokenizer {
    /// From a `tokenizer.json`. The padding and truncation that such files carry are replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the file is not one; [`Error::Settings`] for a `max_length` below 8.
    pub fn from_json(path: &Path, max_length: usize) -> Result<Self, Error> {
        let tokenizer = Tokenizer::from_file(path)
            .map_err(|error| Error::model(path, format!("not a tokenizer.json: {error}")))?;
        Self::new(tokenizer, max_length)
    }

    /// From a BERT `vocab.txt`, a token a line. If the vocabulary has no upper-case word, texts are
    /// lower-cased and lose their accents.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the file is not one or lacks a special token; [`Error::Settings`] for a
    /// `max_length` below 8.
    pub fn from_vocabulary(path: &Path, max_length: usize) -> Result<Self, Error> {
        let unreadable = |error: tokenizers::Error| {
            Error::model(path, format!("not a WordPiece vocabulary: {error}"))
        };
        let file = path.to_str().ok_or_else(|| {
            Error::model(path, "the tokenizer library wants a path that is UTF-8")
        })?;
        let words = WordPiece::from_file(file).build().map_err(unreadable)?;
        let special = |token: &str| -> Result<(String, u32), Error> {
            let id = words.token_to_id(token);
            let id = id.ok_or_else(|| {
                Error::model(
                    path,
                    format!("it has no `{token}`, as a BERT vocabulary does"),
                )
            })?;
            Ok((token.to_string(), id))
        };
        special("[UNK]")?;
        let (cls, sep) = (special("[CLS]")?, special("[SEP]")?);
        // Not `is_uppercase`: uncased vocabularies have symbols, such as the set of real numbers,
        // that are upper-case and stay.
        let is_cased = |word: &String| !word.starts_with('[') && word.to_lowercase() != *word;
        let lowercase = !words.get_vocab().keys().any(is_cased);
        let known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
            .into_iter()
            .filter(|token| words.token_to_id(token).is_some())
            .map(|token| AddedToken::from(token, true));
        let known: Vec<_> = known.collect();

        let mut tokenizer = Tokenizer::new(words);
        tokenizer
            .with_normalizer(Some(BertNormalizer::new(true, true, None, lowercase)))
            .map_err(unreadable)?
            .with_pre_tokenizer(Some(BertPreTokenizer))
            .with_post_processor(Some(BertProcessing::new(sep, cls)));
        tokenizer.add_special_tokens(known).map_err(unreadable)?;
        Self::new(tokenizer, max_length)
    }

    fn new(mut tokenizer: Tokenizer, max_length: usize) -> Result<Self, Error> {
        if max_length < SHORTEST {
            return Err(Error::Settings(format!(
                "asked for texts of at most {max_length} tokens; special tokens take 3 of a pair, so at least {SHORTEST} are needed"
            )));
        }
        let refused = |error| Error::Settings(format!("the tokenizer refused: {error}"));
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(refused)?;
        let mut cutting = tokenizer.clone();
        let limit = TruncationParams {
            max_length,
            ..TruncationParams::default()
        };
        cutting.with_truncation(Some(limit)).map_err(refused)?;
        Ok(Self {
            whole: tokenizer,
            cutting,
            max_length,
        })
    }

    /// Longest text in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Number of tokens, the added ones included.
    pub fn vocabulary(&self) -> usize {
        self.whole.get_vocab_size(true)
    }

    /// The tokens of a text, or of a pair of texts. Of a pair that is too long, the longer one
    /// loses its end first.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] with the tokenizer's reason.
    pub fn encode(&self, text: &str, second: Option<&str>) -> Result<Tokens, Error> {
        let encode = |tokenizer: &Tokenizer| {
            let encoded = match second {
                Some(second) => tokenizer.encode((text, second), true),
                None => tokenizer.encode(text, true),
            };
            encoded.map_err(|error| {
                Error::Settings(format!("the tokenizer refused `{text}`: {error}"))
            })
        };
        let whole = encode(&self.whole)?;
        let truncated = whole.len() > self.max_length;
        let kept = match truncated {
            true => encode(&self.cutting)?,
            false => whole,
        };
        Ok(Tokens {
            ids: kept.get_ids().to_vec(),
            types: kept.get_type_ids().to_vec(),
            truncated,
        })
    }
}
