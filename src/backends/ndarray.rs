//! The ndarray CPU backend.
#![expect(
    deprecated,
    reason = "burn deprecates ndarray; it stays first-class here until burn removes it"
)]

use crate::ops::GivensOps;

impl GivensOps for burn::backend::NdArray {}
