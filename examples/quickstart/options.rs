//! The command line, and the device it asks for.

use std::panic::catch_unwind;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use clap::Parser;

use crate::train::Schedule;

/// Adapts a pretrained vision transformer to a camera that was mounted sideways, by five methods.
#[derive(Parser)]
pub(crate) struct Options {
    /// flex, ndarray, or with the feature of that name: wgpu, wgpu-cpu (software adapters), vulkan,
    /// webgpu, metal, cuda, rocm, cpu.
    #[arg(long, default_value = "flex")]
    device: String,
    /// One seed and two epochs: shows that everything runs, not what the methods can do.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The table as one JSON object per line, and nothing else on stdout.
    #[arg(long)]
    pub(crate) json: bool,
    /// Searches the learning rates instead, by cross-validation on the labeled images.
    #[arg(long)]
    pub(crate) tune: bool,
    /// Folder for the figures and the adapter files.
    #[arg(long, default_value = "quickstart-out")]
    pub(crate) out: PathBuf,
}

impl Options {
    /// The device, after it has computed something: a driver that is missing shows at the first
    /// use.
    pub(crate) fn device(&self) -> Result<Device, String> {
        let name = self.device.as_str();
        let probed = catch_unwind(|| {
            let device = crate::device::device(name)?;
            let two = Tensor::<1>::ones([2], &device).sum();
            Ok((device, two.into_scalar::<f32>()))
        });
        match probed {
            Ok(Ok((device, 2.0))) => Ok(device),
            Ok(Ok((_, wrong))) => Err(format!("device `{name}` computes 1 + 1 = {wrong}")),
            Ok(Err(refusal)) => Err(refusal),
            Err(_) => Err(format!(
                "device `{name}` is in this build, but this machine has none that works (its message is above); choose \
                 another --device"
            )),
        }
    }

    pub(crate) fn schedule(&self) -> Schedule {
        match self.quick {
            true => Schedule {
                epochs: 2,
                seeds: 1,
            },
            false => Schedule::FULL,
        }
    }
}
