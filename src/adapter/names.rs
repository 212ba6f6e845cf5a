//! What the name of a parameter says of its place: a record has nothing but names and shapes.
//!
//! A rotation of a square weight along its other axis has parameters of the same shapes, and so has
//! a scale of its other axis. So the axis is part of the name, unless it is that of a `Linear`.

use super::scale::NormScale;
use super::site::Site;
use crate::methods::{Field, Method};

/// Axes of the inputs and of the outputs in the weight of a `Linear`.
const LINEAR: (usize, usize) = (0, 1);

const AXIS: &str = "_axis";

/// The fields of a rotation at a site, and that of its scale.
pub(super) fn fields(method: Method, scale: NormScale, site: &Site) -> Vec<Field> {
    let rotation = method.fields(site.dim()).into_iter();
    rotation
        .map(|field| named(field, site))
        .chain(scale_field(scale, site))
        .collect()
}

pub(super) fn scale_field(scale: NormScale, site: &Site) -> Option<Field> {
    Some(named(scale.field(site)?, site))
}

fn named(field: Field, site: &Site) -> Field {
    let (axis, usual) = match NormScale::read(&field.name) {
        Some(NormScale::Neuron) => (site.neuron_axis, LINEAR.1),
        _ => (site.axis, LINEAR.0),
    };
    if axis == usual {
        return field;
    }
    Field::new(format!("{}{AXIS}{axis}", field.name), field.shape)
}

/// A name without its axis.
pub(super) fn without_axis(name: &str) -> &str {
    match name.rsplit_once(AXIS) {
        Some((plain, axis)) if axis.parse::<usize>().is_ok() => plain,
        _ => name,
    }
}
