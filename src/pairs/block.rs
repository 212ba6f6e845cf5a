//! A 2x2 block in f64: its Gram matrix and its singular values.

/// A 2x2 block by its columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    alpha: [f64; 2],
    beta: [f64; 2],
}

impl Block {
    /// From the four entries row by row.
    pub(super) fn from_rows(entries: &[f64]) -> Self {
        Self {
            alpha: [entries[0], entries[2]],
            beta: [entries[1], entries[3]],
        }
    }

    /// `(a, b, g)`: the entries of `G^T G - I`.
    fn gram_excess(&self) -> (f64, f64, f64) {
        let (alpha, beta) = (self.alpha, self.beta);
        (
            dot(alpha, alpha) - 1.0,
            dot(beta, beta) - 1.0,
            dot(alpha, beta),
        )
    }

    pub(super) fn gram_excess_squared(&self) -> f64 {
        let (a, b, g) = self.gram_excess();
        a * a + b * b + 2.0 * g * g
    }

    pub(super) fn eps(&self) -> f64 {
        let (a, b, g) = self.gram_excess();
        (a + b).abs() / 2.0 + ((a - b) / 2.0).hypot(g)
    }

    fn determinant(&self) -> f64 {
        self.alpha[0] * self.beta[1] - self.beta[0] * self.alpha[1]
    }

    /// `(sigma_min, sigma_max)`. The small one from the determinant: the difference of two near
    /// numbers would lose it.
    pub(super) fn singular_values(&self) -> (f64, f64) {
        // These are of the Gram matrix itself: its distance from the identity would lose a small
        // block.
        let (alpha, beta) = (self.alpha, self.beta);
        let (p, q, g) = (dot(alpha, alpha), dot(beta, beta), dot(alpha, beta));
        let large = ((p + q) / 2.0 + ((p - q) / 2.0).hypot(g)).sqrt();
        match large {
            0.0 => (0.0, 0.0),
            _ => (self.determinant().abs() / large, large),
        }
    }
}

fn dot(u: [f64; 2], v: [f64; 2]) -> f64 {
    u[0] * v[0] + u[1] * v[1]
}
