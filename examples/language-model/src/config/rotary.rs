//! The frequencies of rotary position embeddings, and how they are scaled for longer texts.

use serde::Deserialize;

/// Frequencies of one kind of layer.
#[derive(Clone, Debug, PartialEq)]
pub struct RotarySettings {
    /// How many coordinates of a head are turned, from the first on.
    pub dim: usize,
    /// Base of the frequencies.
    pub theta: f64,
    /// How frequencies are changed.
    pub scaling: Scaling,
}

/// A change of frequencies that extends a model to longer texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// None.
    None,
    /// All frequencies are divided.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low frequencies are divided, high ones stay: Llama 3.1's.
    Llama3 {
        /// The divisor.
        factor: f64,
        /// Wavelengths beyond `original / low` are divided.
        low: f64,
        /// Wavelengths below `original / high` stay.
        high: f64,
        /// The length of the pretraining.
        original: f64,
    },
    /// Each frequency has a divisor, another one for texts beyond the length of the pretraining:
    /// Phi-3's, LongRoPE.
    Long {
        /// Divisors for short texts.
        short: Vec<f64>,
        /// Divisors for long texts.
        long: Vec<f64>,
        /// The length of the pretraining.
        original: usize,
        /// Multiplies cosines and sines.
        attention: f64,
    },
}

/// `rope_parameters`, or `rope_scaling` as it was before.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RawRotary {
    rope_type: Option<String>,
    /// The same, as it was called before; files may have both.
    r#type: Option<String>,
    pub(super) rope_theta: Option<f64>,
    pub(super) partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    attention_factor: Option<f64>,
    short_factor: Option<Vec<f64>>,
    long_factor: Option<Vec<f64>>,
}

/// What scalings take from the rest of the settings.
pub(super) struct Lengths {
    pub(super) positions: usize,
    /// `original_max_position_embeddings` beside the rotary settings.
    pub(super) original: Option<usize>,
}

impl RawRotary {
    /// The scaling, checked; an error is what is missing.
    pub(super) fn scaling(&self, lengths: &Lengths, dim: usize) -> Result<Scaling, String> {
        let name = self.rope_type.as_ref().or(self.r#type.as_ref());
        let name = name.map_or("default", String::as_str);
        let number = |value: Option<f64>, field: &str| match value {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            Some(value) => Err(format!(
                "its rotary scaling `{name}` has {field} = {value}, and needs a positive number"
            )),
            None => Err(format!("its rotary scaling `{name}` lacks `{field}`")),
        };
        let factor = || number(self.factor, "factor");
        match name {
            "default" => Ok(Scaling::None),
            "linear" => Ok(Scaling::Linear { factor: factor()? }),
            "llama3" => {
                let original = self.original_max_position_embeddings.map(|n| n as f64);
                Ok(Scaling::Llama3 {
                    factor: factor()?,
                    low: number(self.low_freq_factor, "low_freq_factor")?,
                    high: number(self.high_freq_factor, "high_freq_factor")?,
                    original: number(original, "original_max_position_embeddings")?,
                })
            }
            "longrope" | "su" => self.long(lengths, dim),
            other => Err(format!(
                "its rotary scaling is `{other}`; known are default, linear, llama3 and longrope"
            )),
        }
    }

    fn long(&self, lengths: &Lengths, dim: usize) -> Result<Scaling, String> {
        let divisors = |values: &Option<Vec<f64>>, field: &str| match values {
            Some(values) if values.iter().any(|by| !(by.is_finite() && *by > 0.0)) => {
                Err(format!("its `{field}` has numbers that are not positive"))
            }
            Some(values) if values.len() == dim / 2 => Ok(values.clone()),
            Some(values) => Err(format!(
                "its `{field}` has {} numbers, and {} frequencies need one each",
                values.len(),
                dim / 2
            )),
            None => Err(format!("its rotary scaling `longrope` lacks `{field}`")),
        };
        let original = self.original_max_position_embeddings.or(lengths.original);
        let original = original.unwrap_or(lengths.positions);
        let factor = self
            .factor
            .unwrap_or(lengths.positions as f64 / original as f64);
        let attention = match self.attention_factor {
            Some(factor) => factor,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        };
        Ok(Scaling::Long {
            short: divisors(&self.short_factor, "short_factor")?,
            long: divisors(&self.long_factor, "long_factor")?,
            original,
            attention,
        })
    }
}

impl RotarySettings {
    /// Whether a text that grows from one length to another gets other frequencies.
    pub fn switches(&self, from: usize, to: usize) -> bool {
        match self.scaling {
            Scaling::Long { original, .. } => from <= original && original < to,
            _ => false,
        }
    }

    /// The frequencies for texts of this length, in radians per position, and the factor of cosines
    /// and sines. In f32, as the models were trained.
    pub fn frequencies(&self, length: usize) -> (Vec<f32>, f32) {
        let plain = (0..self.dim / 2).map(|i| 2.0 * i as f32 / self.dim as f32);
        let plain: Vec<f32> = plain
            .map(|exponent| 1.0 / (self.theta as f32).powf(exponent))
            .collect();
        match &self.scaling {
            Scaling::None => (plain, 1.0),
            Scaling::Linear { factor } => (plain.iter().map(|f| f / *factor as f32).collect(), 1.0),
            Scaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                let scaled = |frequency: &f32| {
                    let frequency = f64::from(*frequency);
                    let turns = original * frequency / std::f64::consts::TAU;
                    // The share of the frequency that stays.
                    let stays = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    ((1.0 - stays) * frequency / factor + stays * frequency) as f32
                };
                (plain.iter().map(scaled).collect(), 1.0)
            }
            Scaling::Long {
                short,
                long,
                original,
                attention,
            } => {
                let divisors = if length > *original { long } else { short };
                let divided = plain.iter().zip(divisors).map(|(f, by)| f / *by as f32);
                (divided.collect(), *attention as f32)
            }
        }
    }
}
