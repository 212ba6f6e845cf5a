//! Learning rates for language models.

use burn_goft_finetune::{Decline, Method};

/// Peak learning rates. Each has the lowest validation loss of three, half a decade apart, in 20 steps of four
/// sums in words (SVAMP) with SmolLM2-135M-Instruct and one seed: the tuning of the book's comparison, whose
/// grids lay around the same numbers but for `hra` (1e-3), `road` (3e-3) and `full` (3e-5), which were best at the
/// edge, so that a rate beyond may be better. LoRA's is that of rank 8; rank 1 was best at three times it. The same
/// rates were the best of the same grids on instructions written by people.
const RATES: [(&str, f64); 8] = [
    ("full", 9e-5),
    ("lora", 3e-3),
    ("goft", 5e-3),
    ("goft-star", 5e-3),
    ("qgoft", 3e-3),
    ("oft", 3e-4),
    ("hra", 3e-4),
    ("road", 9e-3),
];

/// How they fall with the number of updates: as the encoder's do. For language models this is not measured.
const LONGER: Decline = Decline {
    from: 100,
    least: 1.0 / 3.0,
};

/// A method with the default rates of language models, which the table of methods has for encoders
/// under a fresh head.
pub(crate) fn of(method: &Method) -> Method {
    let mut method = *method;
    if let Some((_, rate)) = RATES.iter().find(|(name, _)| *name == method.name) {
        method.learning_rate = *rate;
        method.longer = LONGER;
    }
    method
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_that_a_language_model_compares_has_its_rate() {
        let named = RATES.map(|(name, _)| name);
        for name in crate::compare::method_names() {
            assert!(named.contains(&name.as_str()), "{name}");
        }
        for (name, rate) in RATES {
            let method = Method::named(name).unwrap();
            let (short, long) = (of(method).rates(30), of(method).rates(1000));
            assert_eq!((short.body, short.penalty), (rate, method.penalty));
            assert!((long.body - rate / 3.0).abs() < 1e-12);
        }
    }
}
