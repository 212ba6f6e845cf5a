//! The table of methods.

use burn_goft::{Goft, Hra, NormScale, Oft, Road};

use crate::error::Error;
use crate::method::{Attach, Method};
use crate::rates::LONGER;
use crate::targets::Targets;

/// All methods. A new one is a row.
///
/// Each learning rate, the head's along with the body's, has the highest mean accuracy over two
/// searches with a 6-layer encoder (all-MiniLM-L6-v2) on sentences of movie reviews: 392 to learn
/// from in 40 steps of 16, 168 others to validate, three rates half a decade apart; then 394 and
/// 286 others, and five rates, so that no rate is at the edge of what was tried. It is one seed
/// each: a neighboring rate may do as well (`goft` at 5e-2, tried in the second search only, had
/// one sentence more). Angles are in radians and want larger steps than weights. A longer training
/// takes smaller rates, by the row's [`Decline`](crate::Decline). The rates of `hra` and
/// `road` were not searched: they are their authors' and PEFT's.
pub const METHODS: [Method; 10] = [
    Method {
        name: "linear-probe",
        summary: "nothing: the {body} stays as it is",
        learning_rate: 0.0,
        head_learning_rate: 3e-2,
        penalty: None,
        longer: LONGER,
        has_rank: false,
        targets: Targets::None,
        attach: Attach::Targets,
    },
    Method {
        name: "bitfit",
        summary: "the biases of the {body}",
        learning_rate: 3e-3,
        head_learning_rate: 3e-3,
        penalty: None,
        longer: LONGER,
        has_rank: false,
        targets: Targets::Biases,
        attach: Attach::Targets,
    },
    Method {
        name: "full",
        summary: "the whole {body}",
        learning_rate: 3e-4,
        head_learning_rate: 9e-3,
        penalty: None,
        longer: LONGER,
        has_rank: false,
        targets: Targets::All,
        attach: Attach::Targets,
    },
    Method {
        name: "lora",
        summary: "two factors of low rank beside each linear weight",
        learning_rate: 3e-3,
        head_learning_rate: 9e-3,
        penalty: None,
        longer: LONGER,
        has_rank: true,
        targets: Targets::LinearWeights,
        attach: Attach::Lora,
    },
    Method {
        name: "goft",
        summary: "a rotation of each linear weight",
        learning_rate: 1.5e-2,
        head_learning_rate: 9e-3,
        penalty: None,
        longer: LONGER,
        has_rank: false,
        targets: Targets::LinearWeights,
        attach: Attach::Adapter(|_| Goft::strict()),
    },
    Method {
        name: "goft-star",
        summary: "a rotation of each linear weight, and the norms of its neurons",
        learning_rate: 1.5e-2,
        head_learning_rate: 9e-3,
        penalty: None,
        longer: LONGER,
        has_rank: false,
        targets: Targets::LinearWeights,
        attach: Attach::Adapter(|_| Goft::strict().with_norm_scale(NormScale::Neuron)),
    },
    Method {
        name: "qgoft",
        summary: "a quasi-orthogonal transform of each linear weight",
        learning_rate: 9e-3,
        head_learning_rate: 9e-3,
        penalty: Some(1e-3),
        longer: LONGER,
        has_rank: false,
        targets: Targets::LinearWeights,
        attach: Attach::Adapter(|_| Goft::quasi()),
    },
    Method {
        name: "oft",
        summary: "a rotation of each linear weight, in blocks of 32",
        learning_rate: 1e-3,
        head_learning_rate: 3e-3,
        penalty: None,
        longer: LONGER,
        has_rank: false,
        targets: Targets::LinearWeights,
        attach: Attach::Adapter(|_| Goft::oft(Oft::exact(32))),
    },
    Method {
        name: "hra",
        summary: "a product of reflections of each linear weight, as many as the (even) rank",
        // What the authors' scripts have for SST-2, QNLI and RTE; others there are 8e-4 to 3e-3
        // (Yuan et al. 2024, github.com/DaShenZi721/HRA, `nlu/experiments/glue`).
        learning_rate: 1e-3,
        head_learning_rate: 3e-3,
        penalty: None,
        longer: LONGER,
        has_rank: true,
        targets: Targets::LinearWeights,
        attach: Attach::Adapter(|how| Goft::hra(Hra::new(how.rank))),
    },
    Method {
        name: "road",
        summary: "a rotation and a scale of each pair of neighbors in each linear weight",
        // PEFT's documentation of RoAd has "around 1e-3".
        learning_rate: 1e-3,
        head_learning_rate: 3e-3,
        penalty: None,
        longer: LONGER,
        has_rank: false,
        targets: Targets::LinearWeights,
        attach: Attach::Adapter(|_| Goft::road(Road::default())),
    },
];

impl Method {
    /// The method of a name.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] with the names there are.
    pub fn named(name: &str) -> Result<&'static Self, Error> {
        let found = METHODS.iter().find(|method| method.name == name);
        found.ok_or_else(|| {
            let names = METHODS.map(|method| method.name);
            Error::Settings(format!(
                "no method is called `{name}`; choose one of {}",
                names.join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rates_of_every_method_fall_and_the_penalty_stays() {
        for method in METHODS {
            let (short, long) = (method.rates(60), method.rates(200));
            assert_eq!(short.body, method.learning_rate, "{}", method.name);
            assert_eq!(short.head, method.head_learning_rate, "{}", method.name);
            assert_eq!(long.body, 0.5 * short.body, "{}", method.name);
            assert_eq!(long.head, 0.5 * short.head, "{}", method.name);
            assert_eq!([short.penalty, long.penalty], [method.penalty; 2]);
        }
    }
}
