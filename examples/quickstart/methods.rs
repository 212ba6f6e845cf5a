//! The five methods and the learning rate of each.

/// How the model is adapted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Full,
    Lora,
    Goft,
    GoftNeuron,
    Quasi,
}

impl Method {
    pub(crate) const ALL: [Method; 5] = [
        Method::Full,
        Method::Lora,
        Method::Goft,
        Method::GoftNeuron,
        Method::Quasi,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Full => "full fine-tuning",
            Method::Lora => "LoRA r=8",
            Method::Goft => "GOFT",
            Method::GoftNeuron => "GOFT + neuron scale",
            Method::Quasi => "qGOFT",
        }
    }

    /// Peak learning rate, found by
    ///
    /// ```text
    /// cargo run --release --example quickstart -- --tune
    /// ```
    ///
    /// which tries [`RATES`] with every method: the highest mean accuracy of a 3-fold
    /// cross-validation on the 300 labeled images, ties broken by the lower cross-entropy. The
    /// held-out images have no part in it. An angle is in radians and a few hundred of them do the
    /// work of many thousand weights, so they want larger steps.
    pub(crate) fn learning_rate(self) -> f64 {
        match self {
            Method::Full => 1e-3,
            Method::Lora => 3e-3,
            Method::Goft => 3e-2,
            Method::GoftNeuron => 3e-2,
            Method::Quasi => 1e-2,
        }
    }

    pub(crate) fn is_goft(self) -> bool {
        matches!(self, Method::Goft | Method::GoftNeuron | Method::Quasi)
    }

    /// The strength of the orthogonality penalty; the paper has 0.001 for VTAB, its image
    /// classification tasks.
    pub(crate) fn penalty_strength(self) -> Option<f64> {
        (self == Method::Quasi).then_some(0.001)
    }

    /// For file names.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Method::Full => "full",
            Method::Lora => "lora",
            Method::Goft => "goft",
            Method::GoftNeuron => "goft-neuron",
            Method::Quasi => "qgoft",
        }
    }
}

/// The grid of `--tune`, the same for every method.
pub(crate) const RATES: [f64; 7] = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1];
