//! Learning rates for language models.

use burn_goft_finetune::{Decline, Method};

/// Peak learning rates, and the longest training that takes the whole of them. Each rate has the lowest validation loss of
/// three, half a decade apart, in 20 steps of four sums in words (SVAMP) with SmolLM2-135M-Instruct and one seed: the tuning
/// of the book's comparison, whose grids lay around the same numbers but for `hra` (1e-3), `road` (3e-3) and `full` (3e-5),
/// which were best at the edge, so that a rate beyond may be better. LoRA's is that of rank 8; rank 1 was best at three times
/// it. The same rates were the best of the same grids on instructions written by people.
///
/// In longer trainings on the same sums, one seed each, the loss on 100 held-out ones with a third of the rate, the rate and
/// three times it: after 100 steps `goft` 0.370, 0.342, 0.396, `qgoft` 0.347, 0.338, 0.401 and `lora` 0.345, 0.346, 0.555;
/// after 300, with a third and the whole, `goft` 0.308, 0.292, `qgoft` 0.299, 0.288 and `lora` 0.286, 0.305. The other methods' are as an encoder's.
const RATES: [(&str, f64, usize); 8] = [
    ("full", 9e-5, 100),
    ("lora", 3e-3, 100),
    ("goft", 5e-3, 300),
    ("goft-star", 5e-3, 300),
    ("qgoft", 3e-3, 300),
    ("oft", 3e-4, 100),
    ("hra", 3e-4, 100),
    ("road", 9e-3, 100),
];

/// What remains of a rate in a long training.
const LEAST: f64 = 1.0 / 3.0;

/// A method with the default rates of language models, which the table of methods has for encoders
/// under a fresh head.
pub(crate) fn of(method: &Method) -> Method {
    let mut method = *method;
    if let Some((_, rate, from)) = RATES.iter().find(|(name, ..)| *name == method.name) {
        method.learning_rate = *rate;
        method.longer = Decline {
            from: *from,
            least: LEAST,
        };
    }
    method
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_that_a_language_model_compares_has_its_rate() {
        let named = RATES.map(|(name, ..)| name);
        for name in crate::compare::method_names() {
            assert!(named.contains(&name.as_str()), "{name}");
        }
        for (name, rate, whole) in RATES {
            let method = Method::named(name).unwrap();
            let (short, long) = (of(method).rates(whole), of(method).rates(1000));
            assert_eq!((short.body, short.penalty), (rate, method.penalty));
            assert!((long.body - rate / 3.0).abs() < 1e-12);
        }
    }
}
