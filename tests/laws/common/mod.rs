//! What every law needs: devices, dtypes, seeded numbers, tensors of them, and comparisons that say
//! what differs.

#[path = "../../../examples/support/precision.rs"]
mod precision;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Mutex, Once};

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::StandardNormal;

/// Names of the devices to test, separated by commas; all that are built in if unset.
const DEVICES_VARIABLE: &str = "BURN_GOFT_DEVICES";

/// Dimensions of the table of cases: none to pair, one pair, odd, powers of two, composite, and the
/// sizes of language models.
pub(crate) const DIMS: [usize; 10] = [1, 2, 3, 5, 8, 12, 137, 384, 768, 4096];

/// What the blocks of pairs are: rotations, or any 2x2 matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Blocks {
    Strict,
    Quasi,
}

pub(crate) const BLOCKS: [Blocks; 2] = [Blocks::Strict, Blocks::Quasi];

pub(crate) const FLOATS: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];

/// Every device that is built in, or those of them that `BURN_GOFT_DEVICES` names.
///
/// A device that is built in and missing on the machine panics: a law that did not run must not
/// look like one that holds.
pub(crate) fn devices() -> Vec<(&'static str, Device)> {
    let built = built_in();
    let wanted = std::env::var(DEVICES_VARIABLE).ok();
    let Some(wanted) = wanted.filter(|list| !list.trim().is_empty()) else {
        return built;
    };
    let pick = |name: &str| {
        let found = built.iter().find(|(built, _)| *built == name);
        found.cloned().unwrap_or_else(|| {
            let names: Vec<_> = built.iter().map(|(name, _)| *name).collect();
            panic!("{DEVICES_VARIABLE} names `{name}`, and this build has {names:?}; enable the feature of that name")
        })
    };
    wanted.split(',').map(|name| pick(name.trim())).collect()
}

/// Whether every device of this run compiles its kernels anew for every shape, so that a law over
/// all settings would take minutes; prints once what is left out there.
pub(crate) fn compiles_every_shape() -> bool {
    static REPORT: Once = Once::new();
    let slow = devices()
        .iter()
        .all(|(name, _)| !matches!(*name, "flex" | "ndarray"));
    if slow {
        REPORT.call_once(|| report_left_out(&["settings but one of each method".into()]));
    }
    slow
}

fn built_in() -> Vec<(&'static str, Device)> {
    #[cfg(any(
        feature = "wgpu",
        feature = "vulkan",
        feature = "metal",
        feature = "webgpu"
    ))]
    use burn::tensor::DeviceKind;
    vec![
        #[cfg(feature = "flex")]
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", ndarray()),
        // The software adapter: every machine can have it, and the default selection never picks
        // it.
        #[cfg(feature = "wgpu")]
        ("wgpu", Device::wgpu(DeviceKind::Cpu)),
        #[cfg(feature = "vulkan")]
        ("vulkan", Device::vulkan(DeviceKind::DefaultDevice)),
        #[cfg(feature = "metal")]
        ("metal", Device::metal(DeviceKind::DefaultDevice)),
        #[cfg(feature = "webgpu")]
        ("webgpu", Device::webgpu(DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        ("cuda", Device::cuda(0)),
        #[cfg(feature = "rocm")]
        ("rocm", Device::rocm(0)),
        #[cfg(feature = "cpu")]
        ("cpu", Device::cpu()),
    ]
}

#[cfg(feature = "ndarray")]
#[expect(
    deprecated,
    reason = "burn deprecates ndarray; the laws hold there too"
)]
fn ndarray() -> Device {
    Device::ndarray()
}

/// One row of the device table.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) device: Device,
    pub(crate) dtype: DType,
}

impl Row {
    /// A tolerance in the row's dtype; see [`through_products`].
    pub(crate) fn through_products(&self, tolerance: f64) -> f64 {
        match self.dtype {
            DType::F32 => through_products(&self.device, tolerance),
            _ => tolerance,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.dtype)
    }
}

/// Every device with every float dtype that it computes in; prints once which rows are left out.
pub(crate) fn rows() -> Vec<Row> {
    static REPORT: Once = Once::new();
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for (name, device) in devices() {
        for dtype in FLOATS {
            let device = device.clone();
            if !device.supports_dtype(dtype) {
                left_out.push(format!("{name} {dtype:?}: no arithmetic in this dtype"));
            } else if let Err(cosine) = cosine_of_one(&device, dtype) {
                left_out.push(format!("{name} {dtype:?}: computes cos(1) = {cosine}"));
            } else {
                rows.push(Row {
                    name,
                    device,
                    dtype,
                });
            }
        }
    }
    REPORT.call_once(|| report_left_out(&left_out));
    rows
}

#[expect(
    clippy::print_stderr,
    reason = "a row that is left out must be seen in the test's output"
)]
fn report_left_out(rows: &[String]) {
    for row in rows {
        eprintln!("left out: {row}");
    }
}

/// Refused if it is wrong: wgpu offers f64 without trigonometry, and the library refuses angles
/// there.
pub(crate) fn cosine_of_one(device: &Device, dtype: DType) -> Result<(), f64> {
    // From a buffer: of a constant, a shader's compiler may take the cosine itself.
    let cosine = numbers(&tensor([1.0].as_slice(), [1], device, dtype).cos())[0];
    match (cosine - 1f64.cos()).abs() <= epsilon(dtype) {
        true => Ok(()),
        false => Err(cosine),
    }
}

/// `n` numbers of the standard normal distribution.
pub(crate) fn normal(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..n).map(|_| rng.sample(StandardNormal)).collect()
}

/// `n` angles over the whole circle.
pub(crate) fn angles(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let circle = -std::f64::consts::PI..std::f64::consts::PI;
    (0..n).map(|_| rng.random_range(circle.clone())).collect()
}

/// The flat entries of the blocks of `pairs` pairs: rotations by any angle, for quasi plus noise,
/// so that far from the identity a product of many stays well conditioned.
pub(crate) fn blocks(kind: Blocks, seed: u64, pairs: usize) -> Vec<f64> {
    let rotations = angles(seed, pairs);
    let noise = match kind {
        Blocks::Strict => vec![0.0; 4 * pairs],
        Blocks::Quasi => normal(seed + 1, 4 * pairs),
    };
    let entries = rotations
        .iter()
        .flat_map(|t| [t.cos(), -t.sin(), t.sin(), t.cos()]);
    entries.zip(noise).map(|(e, n)| e + 0.15 * n).collect()
}

/// A rank-3 shape with few vectors of length `d` along `axis`.
pub(crate) fn shape(d: usize, axis: usize) -> [usize; 3] {
    let mut shape = [2, 3, 3];
    shape[axis] = d;
    shape
}

/// Dimensions of wide layers, and some beyond what a kernel may hold at once.
pub(crate) const LONG: [usize; 9] = [384, 768, 1000, 1536, 4096, 5000, 8192, 16384, 20000];

/// Shapes and rotated axes at which a backend may change its way: long vectors, and many of them in
/// each place.
pub(crate) const LARGE: [([usize; 3], usize); 5] = [
    ([2, 2, 8193], 2),
    ([20000, 3, 1], 0),
    ([33, 100, 80], 0),
    ([100, 33, 80], 1),
    ([100, 80, 33], 2),
];

/// The tree's turn along an axis, in either direction.
pub(crate) fn turn(axis: usize, transpose: bool) -> burn_goft::Turn {
    let turn = burn_goft::Turn::new(axis);
    if transpose { turn.transposed() } else { turn }
}

/// A tensor of these numbers, rounded to `dtype`; read the rounded ones back with [`numbers`].
pub(crate) fn tensor<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(dtype);
    Tensor::from_data(data, (device, dtype))
}

/// The tensor's values in f64, row by row.
pub(crate) fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    // A device may have no buffer to read for an empty tensor.
    match tensor.shape().num_elements() {
        0 => Vec::new(),
        _ => tensor.to_data().iter().collect(),
    }
}

/// The dtype in which adapters keep their parameters under data of `dtype`.
pub(crate) fn parameter_dtype(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// Distance from 1 to the next number: twice the largest relative rounding error.
pub(crate) fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F32 => f64::from(f32::EPSILON),
        DType::F16 => f64::powi(2.0, -10),
        DType::BF16 => f64::powi(2.0, -7),
        _ => panic!("epsilon({dtype:?}): not a float dtype of the laws"),
    }
}

/// A tolerance for values in f32 behind a few products of matrices: as it is where the device multiplies in all digits of
/// f32, with room for 24 times the error of its product where it does not, as tensor cores do not in TF32; says so once.
/// What is kept (blocks, merged weights) and rotations by pairs take no such room.
pub(crate) fn through_products(device: &Device, tolerance: f64) -> f64 {
    static ERRORS: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());
    let device = device.clone().without_autodiff();
    let mut errors = ERRORS
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let error = *errors.entry(format!("{device:?}")).or_insert_with(|| {
        let error = precision::product_error(&device, DType::F32);
        if !in_all_digits(error) {
            report_left_out(&[format!(
                "digits: products of {device:?} are wrong by {error:.1e}, and laws through them allow 24 times that"
            )]);
        }
        error
    });
    if in_all_digits(error) {
        tolerance
    } else {
        tolerance + 24.0 * error
    }
}

#[test]
fn tolerances_have_room_for_products_in_tf32_and_none_on_cpus() {
    for (name, device) in devices() {
        let room = through_products(&device, 1e-6) - 1e-6;
        match name {
            "flex" | "ndarray" => assert_eq!(room, 0.0, "{name}"),
            _ => assert!((0.0..=24.0 * 2e-3).contains(&room), "{name}: {room}"),
        }
    }
}

fn in_all_digits(error: f64) -> bool {
    error <= 16.0 * epsilon(DType::F32)
}

/// Number of levels of a rotation of dimension `d`.
pub(crate) fn levels(d: usize) -> f64 {
    (d as f64).log2().ceil()
}

/// Every value within `tolerance` of its expectation, relative to the largest expected magnitude.
pub(crate) fn assert_close(
    what: impl fmt::Display,
    found: &[f64],
    expected: &[f64],
    tolerance: f64,
) {
    let scale = expected.iter().fold(0.0f64, |max, e| max.max(e.abs()));
    assert_within(what, found, expected, |_| tolerance * scale);
}

/// Every value within its own absolute tolerance, by index, of its expectation. NaN is within no
/// tolerance.
pub(crate) fn assert_within(
    what: impl fmt::Display,
    found: &[f64],
    expected: &[f64],
    tolerance: impl Fn(usize) -> f64,
) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (index, (f, e)) in found.iter().zip(expected).enumerate() {
        let (error, allowed) = ((f - e).abs(), tolerance(index));
        assert!(
            error <= allowed,
            "{what}: value {index} is {f}, expected {e}; error {error:.3e}, allowed {allowed:.3e}"
        );
    }
}

/// The message with which `f` panics.
pub(crate) fn panic_message<T>(f: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("expected a panic")
    };
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_string(),
    }
}

/// The condition number that the error of an unmerge names for this part.
pub(crate) fn condition_of(error: &burn_goft::Error, part: &str) -> f64 {
    let message = error.to_string();
    assert!(error.is_singular(), "{message}");
    let start = format!("cannot unmerge: {part} has condition number ");
    let rest = message.strip_prefix(&start);
    let number = rest.and_then(|rest| rest.split(',').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no `{start}` in {message}"))
}

/// Runs the law of this name in a process of its own, where it may change what all laws share.
pub(crate) fn in_its_own_process(name: &str, law: impl FnOnce()) {
    const ALONE: &str = "BURN_GOFT_ALONE";
    if std::env::var(ALONE).is_ok_and(|alone| alone == name) {
        return law();
    }
    let program = std::env::current_exe().expect("the path of this program");
    let mut process = Command::new(program);
    let output = process.args([name, "--exact"]).env(ALONE, name).output();
    let output = output.expect("a process of its own");
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let passed = output.status.success() && text[0].contains(" 1 passed");
    assert!(passed, "{name}, alone:\n{}", text.concat());
}
