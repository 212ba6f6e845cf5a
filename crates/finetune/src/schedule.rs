//! The learning rate of a step.

/// Rises in a straight line over the warm-up and falls in a straight line to zero after the last
/// step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) warmup: usize,
    pub(crate) steps: usize,
}

impl Schedule {
    /// Share of the peak at a step from 0: `(t + 1) / w` for `t < w`, then `(n - t) / (n - w)`.
    pub(crate) fn factor(self, step: usize) -> f64 {
        if step < self.warmup {
            return (step + 1) as f64 / self.warmup as f64;
        }
        self.steps.saturating_sub(step) as f64 / (self.steps - self.warmup).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_and_down() {
        let schedule = Schedule {
            warmup: 2,
            steps: 6,
        };
        let factors: Vec<_> = (0..7).map(|step| schedule.factor(step)).collect();
        assert_eq!(factors, [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]);
        let none = Schedule {
            warmup: 0,
            steps: 2,
        };
        assert_eq!([none.factor(0), none.factor(1)], [1.0, 0.5]);
    }
}
