//! The table of methods. Laws that hold for every method run over its rows, and all that a law must
//! know of one method stands here.

use burn::module::Param;
use burn::tensor::{Gradients, Tensor};
use burn_goft::{
    AngleForm, Goft, GoftAdapter, Hra, Method, NormScale, Oft, Quasi, Road, RoadScales,
    RotationPlan, Strict, Topology, quasi_bounds,
};

use crate::common::{self, Blocks, angles, normal, numbers};
use crate::oracle::{self, Matrix, Rotation};

/// A row of the table.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The settings of the method alone.
    pub(crate) goft: Goft,
    /// `R^T R = I` whatever the parameters are.
    pub(crate) orthogonal: bool,
    /// The norm scales that [`settings`] combine it with.
    scales: &'static [NormScale],
}

/// Every method, in every form that it has.
pub(crate) fn methods() -> Vec<Case> {
    use NormScale::{Input, Neuron, None};
    fn row(
        name: &'static str,
        orthogonal: bool,
        method: impl Into<Method>,
        scales: &'static [NormScale],
    ) -> Case {
        Case {
            name,
            goft: Goft::new(method),
            orthogonal,
            scales,
        }
    }
    // Scales act beside the rotation, whatever makes it: all of them with some methods, and some of
    // them with all.
    let road = Road::new;
    vec![
        row("strict", true, Strict::direct(), &[None, Input, Neuron]),
        row("strict tanh", true, Strict::tanh(), &[None, Input]),
        row("strict neighbors", true, neighbors(), &[None, Neuron]),
        row("quasi", false, Quasi::default(), &[None, Input, Neuron]),
        row("oft b4", true, Oft::exact(4), &[None, Input]),
        // One block, larger than most layers of the laws.
        row("oft b32", true, Oft::exact(32), &[None]),
        row("oft b4 k5", false, Oft::neumann(4, 5), &[None, Neuron]),
        row("hra r2", true, Hra::new(2), &[None, Neuron]),
        row("hra r4", true, Hra::new(4), &[None]),
        row("road 1", false, road(RoadScales::One), &[None, Input]),
        row("road 2", false, road(RoadScales::Two), &[None]),
        row("road 4", false, road(RoadScales::Four), &[None, Neuron]),
    ]
}

/// GOFT on one level of neighbors.
pub(crate) fn neighbors() -> Strict {
    Strict::direct().with_topology(Topology::Neighbors)
}

/// Every method with its norm scales. Where a device compiles a kernel for every shape, one row of
/// each method.
pub(crate) fn settings() -> Vec<Goft> {
    if crate::common::compiles_every_shape() {
        let row = |goft: Goft, scale| goft.with_norm_scale(scale);
        return vec![
            row(Goft::strict(), NormScale::Neuron),
            row(Goft::quasi(), NormScale::Input),
            row(Goft::oft(Oft::exact(4)), NormScale::None),
            row(Goft::hra(Hra::new(2)), NormScale::Neuron),
            row(Goft::road(Road::new(RoadScales::One)), NormScale::None),
        ];
    }
    let with_scales = |case: Case| {
        let scales = case.scales.iter();
        scales.map(move |scale| case.goft.clone().with_norm_scale(*scale))
    };
    methods().into_iter().flat_map(with_scales).collect()
}

/// The row that an adapter's method is of.
pub(crate) fn case_of(adapter: &GoftAdapter) -> Case {
    find(adapter.method())
}

fn find(method: Method) -> Case {
    let mut rows = methods().into_iter();
    let row = rows.find(|row| row.goft.method == method);
    row.unwrap_or_else(|| panic!("the table of methods has no row for {method:?}"))
}

/// Short name of settings, for messages.
pub(crate) fn name(goft: &Goft) -> String {
    let scale = match goft.norm_scale {
        NormScale::None => "",
        NormScale::Input => ", input scale",
        NormScale::Neuron => ", neuron scale",
        other => panic!("the table of methods has no norm scale {other:?}"),
    };
    format!("{}{scale}", find(goft.method).name)
}

fn pairing(topology: Topology, d: usize) -> Vec<Vec<(usize, usize)>> {
    match topology {
        Topology::Tree => oracle::pairing(d),
        Topology::Neighbors => oracle::neighbors(d),
        other => panic!("the oracle has no pairs for {other:?}"),
    }
}

/// Number of parameters of the rotation of `d` axes, counted pair by pair.
pub(crate) fn parameter_count(goft: &Goft, d: usize) -> usize {
    let pairs = |topology| pairing(topology, d).concat().len();
    match goft.method {
        Method::Strict(form) => pairs(form.topology),
        Method::Quasi(form) => 4 * pairs(form.topology),
        Method::Oft(form) => {
            let block = |i: usize| i / form.block_size;
            let pairs = (0..d).flat_map(|i| (0..i).map(move |j| (i, j)));
            pairs.filter(|(i, j)| block(*i) == block(*j)).count()
        }
        Method::Hra(form) => form.reflections * d,
        // An angle and a scale each.
        Method::Road(form) => 2 * of_pair(form.scales) * pairs(Topology::Neighbors),
        other => panic!("the table of methods has no {other:?}"),
    }
}

/// Angles of one pair.
fn of_pair(scales: RoadScales) -> usize {
    match scales {
        RoadScales::One => 1,
        RoadScales::Two => 2,
        RoadScales::Four => 4,
    }
}

/// Values of a parameter far from the start, by its name in a record.
pub(crate) fn far_from_the_start(field: &str, count: usize) -> Vec<f64> {
    let spread = |seed, size: f64| normal(seed, count).into_iter().map(move |p| size * p);
    match field {
        "angles" | "angles_neighbors" => angles(4, count),
        "tanh_angles" => spread(5, 0.5).collect(),
        "block_offsets" => {
            let blocks = common::blocks(Blocks::Quasi, 6, count / 4).into_iter();
            let identity = [1.0, 0.0, 0.0, 1.0].into_iter().cycle();
            blocks.zip(identity).map(|(e, i)| e - i).collect()
        }
        _ if field.starts_with("skew_b") => spread(8, 0.3).collect(),
        // Of any length.
        _ if field.starts_with("reflections_r") => spread(9, 2.0).collect(),
        // The angles of a pair are near each other, so that no block is near a singular one.
        "road1_angles" | "road2_angles" | "road4_angles" => {
            let of_pair = usize::from(field.as_bytes()[4] - b'0');
            let pairs = angles(10, count / of_pair).into_iter();
            let repeated = pairs.flat_map(|t| std::iter::repeat_n(t, of_pair));
            repeated.zip(spread(11, 0.15)).map(|(t, n)| t + n).collect()
        }
        _ if field.ends_with("_scale_offsets") => spread(7, 0.3).map(f64::exp_m1).collect(),
        _ => panic!("an adapter has no field {field}"),
    }
}

/// The stored parameters of a rotation, each a row.
fn parts(adapter: &GoftAdapter) -> impl Iterator<Item = &Param<Tensor<1>>> {
    let names = adapter.parameter_names();
    let names = names.filter(|name| !is_scale(name));
    names.map(|name| adapter.parameter(name).expect("a parameter of this name"))
}

const SCALES: [&str; 2] = ["input_scale_offsets", "neuron_scale_offsets"];

/// Whether a parameter of this name is a norm scale.
pub(crate) fn is_scale(name: &str) -> bool {
    SCALES.contains(&name)
}

/// The stored parameter of the norm scale.
pub(crate) fn scale_offsets(adapter: &GoftAdapter) -> Option<&Param<Tensor<1>>> {
    SCALES.into_iter().find_map(|name| adapter.parameter(name))
}

/// The stored parameters of a rotation, one after the other.
pub(crate) fn stored(adapter: &GoftAdapter) -> Tensor<1> {
    Tensor::cat(parts(adapter).map(Param::val).collect(), 0)
}

/// The only stored parameter of a rotation.
pub(crate) fn only(adapter: &GoftAdapter) -> &Param<Tensor<1>> {
    let mut parts = parts(adapter);
    let first = parts.next().expect("a rotation has parameters");
    assert!(parts.next().is_none(), "it has one parameter");
    first
}

/// How far from the identity a fresh adapter is, relative to the largest number: reflections cancel
/// to rounding, by two sums over a vector each, and everything else is the identity itself.
pub(crate) fn rounding_at_start(goft: &Goft) -> f64 {
    match goft.method {
        Method::Hra(form) => 4.0 * form.reflections as f64 * f64::from(f32::EPSILON),
        _ => 0.0,
    }
}

/// How far the stored parameters are from those of the identity.
pub(crate) fn offsets(adapter: &GoftAdapter) -> Vec<f64> {
    let stored = numbers(&stored(adapter));
    let Method::Hra(_) = adapter.method() else {
        return stored;
    };
    // Vectors are random and equal in pairs, and what is added to two of them differs.
    let pairs = stored.chunks_exact(2 * adapter.dim());
    let differences = pairs.flat_map(|pair| {
        let (first, second) = pair.split_at(pair.len() / 2);
        first.iter().zip(second).map(|(a, b)| (a - b) / 2f64.sqrt())
    });
    differences.collect()
}

/// What the optimizer gets for the parameters of a rotation.
pub(crate) fn gradient(adapter: &GoftAdapter, gradients: &Gradients) -> Option<Vec<f64>> {
    let of_part = |param: &Param<Tensor<1>>| Some(numbers(&param.val().grad(gradients)?));
    let gradients: Option<Vec<_>> = parts(adapter).map(of_part).collect();
    gradients.map(|gradients| gradients.concat())
}

/// The condition number of the rotation as unmerging reports it; none where it knows a bound only.
pub(crate) fn condition(adapter: &GoftAdapter) -> Option<f64> {
    let of_blocks = |topology| {
        let plan = RotationPlan::with_topology(adapter.dim(), topology);
        quasi_bounds(adapter.blocks().expect("it is made of blocks"), plan).condition
    };
    match adapter.method() {
        Method::Quasi(form) => Some(of_blocks(form.topology)),
        Method::Road(_) => Some(of_blocks(Topology::Neighbors)),
        Method::Oft(form) if form.neumann_terms.is_some() => None,
        _ => Some(1.0),
    }
}

/// From the derivative by the matrix to that by the stored parameters.
type ByStored = Box<dyn Fn(&Matrix) -> Vec<f64>>;

/// The oracle's rotation by the stored parameters of an adapter.
pub(crate) struct Dense {
    pub(crate) matrix: Matrix,
    gradients: ByStored,
}

impl Dense {
    pub(crate) fn of(adapter: &GoftAdapter) -> Self {
        Self::by(adapter.method(), adapter.dim(), numbers(&stored(adapter)))
    }

    /// The rotation of `d` axes by the stored parameters of a method.
    pub(crate) fn by(method: Method, d: usize, stored: Vec<f64>) -> Self {
        match method {
            Method::Strict(form) => Self::strict(d, &stored, form),
            Method::Quasi(form) => {
                let identity = [1.0, 0.0, 0.0, 1.0].into_iter().cycle();
                let entries: Vec<f64> = stored.iter().zip(identity).map(|(e, i)| e + i).collect();
                let rotation = Rotation::by(d, pairing(form.topology, d), &entries);
                Self {
                    matrix: rotation.matrix(),
                    gradients: Box::new(move |of_matrix| of_blocks(&rotation, of_matrix)),
                }
            }
            Method::Oft(form) => Self {
                matrix: oracle::oft::matrix(d, form, &stored),
                gradients: Box::new(move |of_matrix| {
                    oracle::oft::gradients(d, form, &stored, of_matrix)
                }),
            },
            Method::Hra(form) => Self {
                matrix: oracle::hra::matrix(d, form, &stored),
                gradients: Box::new(move |of_matrix| {
                    oracle::hra::gradients(d, form, &stored, of_matrix)
                }),
            },
            Method::Road(form) => {
                let blocks = oracle::road::blocks(of_pair(form.scales), &stored);
                let rotation = Rotation::by(d, oracle::neighbors(d), &blocks);
                Self {
                    matrix: rotation.matrix(),
                    gradients: Box::new(move |of_matrix| {
                        let of_blocks = of_blocks(&rotation, of_matrix);
                        oracle::road::gradients(of_pair(form.scales), &stored, &of_blocks)
                    }),
                }
            }
            other => panic!("the oracle has no {other:?}"),
        }
    }

    fn strict(d: usize, stored: &[f64], form: Strict) -> Self {
        let pi = std::f64::consts::PI;
        let angle = |p: &f64| match form.angle_form {
            AngleForm::Direct => (*p, 1.0),
            AngleForm::Tanh => (pi * p.tanh(), pi / p.cosh().powi(2)),
            other => panic!("the oracle has no {other:?}"),
        };
        let (angles, slopes): (Vec<f64>, Vec<f64>) = stored.iter().map(angle).unzip();
        let entries: Vec<f64> = angles.iter().flat_map(|t| oracle::givens(*t)).collect();
        let rotation = Rotation::by(d, pairing(form.topology, d), &entries);
        Self {
            matrix: rotation.matrix(),
            gradients: Box::new(move |of_matrix| {
                let of_angles = oracle::angle_gradients(&angles, &of_blocks(&rotation, of_matrix));
                let slopes = slopes.iter();
                of_angles.iter().zip(slopes).map(|(g, s)| g * s).collect()
            }),
        }
    }

    /// `dL/dp` of the stored parameters from `dL/dR`.
    pub(crate) fn gradients(&self, of_matrix: &Matrix) -> Vec<f64> {
        (self.gradients)(of_matrix)
    }
}

/// `dL/dG` of all blocks from `dL/dR`: the images of the axes have its columns as their gradients.
fn of_blocks(rotation: &Rotation, of_matrix: &Matrix) -> Vec<f64> {
    let d = of_matrix.rows;
    let rows = |matrix: &Matrix| -> Vec<Vec<f64>> {
        let rows = matrix.entries.chunks_exact(d);
        rows.map(<[f64]>::to_vec).collect()
    };
    let (axes, columns) = (rows(&Matrix::identity(d)), rows(&of_matrix.transpose()));
    oracle::block_gradients(rotation, &axes, &columns, false)
}

/// The oracle's gradients are those of its own matrices, by differences, for every form.
#[test]
fn the_oracle_of_every_method_differentiates_itself() {
    for case in methods() {
        for d in [2, 5, 8] {
            let count = parameter_count(&case.goft, d);
            let at: Vec<f64> = normal(12, count).iter().map(|p| 0.4 * p).collect();
            let upstream = Matrix::new(d, d, normal(13, d * d));
            let value = |at: &[f64]| -> f64 {
                let matrix = Dense::by(case.goft.method, d, at.to_vec()).matrix;
                let terms = matrix.entries.iter().zip(&upstream.entries);
                terms.map(|(r, g)| r * g).sum()
            };
            let found = Dense::by(case.goft.method, d, at.clone()).gradients(&upstream);
            let slopes = oracle::central_differences(&at, value);
            common::assert_close(format!("{} d = {d}", case.name), &found, &slopes, 1e-7);
        }
    }
}
