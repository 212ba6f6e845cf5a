//! One file a backend family, only adaptation: each says what its backend does better than the portable body.

#[cfg(feature = "autodiff")]
mod autodiff;
#[cfg(feature = "cubecl-backend")]
mod cubecl;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "host-kernels")]
mod host;
#[cfg(feature = "ndarray")]
mod ndarray;

#[cfg(all(feature = "flex", feature = "drift"))]
pub(crate) use flex::in_memory;
