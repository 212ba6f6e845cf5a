//! Handwritten digits, split once and for all, as a camera sees them upright or sideways.

use std::io::Read;

use burn::tensor::{Device, Int, Tensor, TensorData};
use flate2::read::GzDecoder;

/// Width and height of an image.
pub const SIDE: usize = 8;
/// Pixels of an image.
pub const PIXELS: usize = SIDE * SIDE;
/// Digits.
pub const CLASSES: usize = 10;

const CSV: &[u8] = include_bytes!("../../data/digits.csv.gz");
const PRETRAINING: usize = 1000;
const LABELED: usize = 300;
/// Grey levels of the file, 0 to this.
const WHITE: f32 = 16.0;

/// How the camera is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounting {
    /// As in pretraining.
    Upright,
    /// A quarter turn counter-clockwise.
    Sideways,
}

/// One image and what it shows.
#[derive(Clone, Debug)]
pub struct Digit {
    /// 0 (black) to 1 (white), row by row.
    pub pixels: [f32; PIXELS],
    /// The digit.
    pub label: u8,
}

/// The 1797 digits in three parts that share no image.
#[derive(Clone, Debug)]
pub struct Digits {
    /// What the model was pretrained on, upright.
    pub pretraining: Vec<Digit>,
    /// The few that were labeled after the camera was turned.
    pub labeled: Vec<Digit>,
    /// What every accuracy is measured on, in both mountings.
    pub held_out: Vec<Digit>,
}

/// Images and labels on a device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, 64]`, 0 (black) to 1 (white), as mounted.
    pub images: Tensor<2>,
    /// The digits, `[batch]`.
    pub labels: Tensor<1, Int>,
}

impl Digits {
    /// Reads the digits and splits them, always in the same way.
    ///
    /// # Panics
    ///
    /// If the file in this crate is damaged.
    pub fn load() -> Self {
        let mut csv = String::new();
        let mut file = GzDecoder::new(CSV);
        file.read_to_string(&mut csv).expect("the embedded file");
        let mut digits: Vec<Digit> = csv.lines().map(Digit::parse).collect();
        Order::new(0).shuffle(&mut digits);
        let mut labeled = digits.split_off(PRETRAINING);
        let held_out = labeled.split_off(LABELED);
        Self {
            pretraining: digits,
            labeled,
            held_out,
        }
    }
}

impl Digit {
    fn parse(line: &str) -> Self {
        let numbers: Vec<u8> = line
            .split(',')
            .map(|number| number.parse().expect("a number"))
            .collect();
        let (label, pixels) = numbers.split_last().expect("65 numbers");
        let pixels: Vec<f32> = pixels.iter().map(|&gray| f32::from(gray) / WHITE).collect();
        Self {
            pixels: pixels.try_into().expect("64 pixels"),
            label: *label,
        }
    }

    fn seen(&self, mounting: Mounting) -> [f32; PIXELS] {
        match mounting {
            Mounting::Upright => self.pixels,
            Mounting::Sideways => std::array::from_fn(|to| {
                let (row, column) = (to / SIDE, to % SIDE);
                self.pixels[column * SIDE + (SIDE - 1 - row)]
            }),
        }
    }
}

impl Batch {
    /// Some digits as a camera sees them that is mounted so.
    pub fn new<'a>(
        digits: impl IntoIterator<Item = &'a Digit>,
        mounting: Mounting,
        device: &Device,
    ) -> Self {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for digit in digits {
            images.extend(digit.seen(mounting));
            labels.push(i32::from(digit.label));
        }
        let count = labels.len();
        Self {
            images: Tensor::from_data(TensorData::new(images, [count, PIXELS]), device),
            labels: Tensor::from_data(TensorData::new(labels, [count]), device),
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.dims()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An order of images that depends on the seed alone: the checkpoint and the table rest on it, so
/// no update of a random number library may change it. The generator is splitmix64.
#[derive(Clone, Debug)]
pub struct Order {
    state: u64,
}

impl Order {
    /// The order of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Shuffles the items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
