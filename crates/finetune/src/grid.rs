//! The learning rates that a method tries in a comparison.

use crate::method::Method;

/// The rate that a method's grid is about: the body's, or the head's where the body stays as it is.
fn default_rate(method: &Method) -> f64 {
    match method.learning_rate > 0.0 {
        true => method.learning_rate,
        false => method.head_learning_rate,
    }
}

/// `count` rates around the default for a training of so many updates: times 0.3, 1, 3 for three,
/// and 0.1 to 10 for five.
pub fn rates(method: &Method, count: usize, steps: usize) -> Vec<f64> {
    let count = count as i32;
    let below = (count - 1).max(0) / 2;
    let places = -below..count - below;
    let center = method.longer.factor(steps) * default_rate(method);
    let rate = |place| rounded(center * factor(place));
    places.map(rate).collect()
}

/// The head's rate in units of the body's, the same at every rate of the grid.
pub fn head_ratio(method: &Method) -> f64 {
    rounded(method.head_learning_rate / default_rate(method))
}

/// The rates of body and head that a rate of the grid stands for.
pub fn body_and_head(method: &Method, rate: f64) -> (f64, f64) {
    let factor = rate / default_rate(method);
    (
        method.learning_rate * factor,
        method.head_learning_rate * factor,
    )
}

/// .., 0.1, 0.3, 1, 3, 10, ..: half a decade a place.
fn factor(place: i32) -> f64 {
    let step = if place.rem_euclid(2) == 1 { 3.0 } else { 1.0 };
    step * 10f64.powi(place.div_euclid(2))
}

/// Four digits, so that 1e-4 times 0.3 is the number that is written 3e-5.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.3e}").parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn around_the_default() {
        let full = Method::named("full").unwrap();
        assert_eq!(rates(full, 1, 60), [3e-4]);
        assert_eq!(rates(full, 2, 60), [3e-4, 9e-4]);
        assert_eq!(rates(full, 3, 60), [9e-5, 3e-4, 9e-4]);
        assert_eq!(rates(full, 6, 60), [3e-5, 9e-5, 3e-4, 9e-4, 3e-3, 9e-3]);
        assert!(rates(full, 0, 60).is_empty());
        assert_eq!(rates(full, 3, 565), [3e-5, 1e-4, 3e-4]);
    }

    #[test]
    fn the_head_goes_along() {
        let full = Method::named("full").unwrap();
        let (body, head) = body_and_head(full, 3e-5);
        assert!((body - 3e-5).abs() < 1e-12 && (head - 9e-4).abs() < 1e-12);
        assert_eq!(head_ratio(full), 30.0);
    }

    #[test]
    fn a_probe_searches_the_rate_of_its_head() {
        let probe = Method::named("linear-probe").unwrap();
        assert_eq!(rates(probe, 3, 60), [9e-3, 3e-2, 9e-2]);
        let (body, head) = body_and_head(probe, 9e-2);
        assert_eq!(body, 0.0);
        assert!((head - 9e-2).abs() < 1e-12);
    }
}
