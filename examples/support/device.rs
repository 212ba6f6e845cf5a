//! `--device NAME` for the examples.

use burn::tensor::Device;

/// Names that this build knows, and the feature that each needs.
const DEVICES: [(&str, &str); 10] = [
    ("flex", "flex"),
    ("ndarray", "ndarray"),
    ("wgpu", "wgpu"),
    ("wgpu-cpu", "wgpu"),
    ("vulkan", "vulkan"),
    ("webgpu", "webgpu"),
    ("metal", "metal"),
    ("cuda", "cuda"),
    ("rocm", "rocm"),
    ("cpu", "cpu"),
];

/// The device of a name, or of a name and a number such as `cuda:1`. `wgpu-cpu` is a software
/// adapter such as lavapipe, which `wgpu` never picks by itself.
pub(crate) fn device(name: &str) -> Result<Device, String> {
    if let Some((kind, number)) = name.split_once(':') {
        return numbered(kind, number);
    }
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "burn deprecates ndarray")]
        "ndarray" => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        "wgpu-cpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::Cpu)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "webgpu")]
        "webgpu" => Ok(Device::webgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "rocm")]
        "rocm" => Ok(Device::rocm(0)),
        #[cfg(feature = "cpu")]
        "cpu" => Ok(Device::cpu()),
        _ => Err(refusal(name)),
    }
}

/// One of several cards, counted from 0.
fn numbered(kind: &str, number: &str) -> Result<Device, String> {
    device(kind)?;
    let numbers = match kind {
        "cuda" | "rocm" => number.parse::<usize>(),
        _ => {
            return Err(format!(
                "device `{kind}:{number}`: only cuda and rocm have numbers here; leave `:{number}` out"
            ));
        }
    };
    match (kind, numbers) {
        #[cfg(feature = "cuda")]
        ("cuda", Ok(number)) => Ok(Device::cuda(number)),
        #[cfg(feature = "rocm")]
        ("rocm", Ok(number)) => Ok(Device::rocm(number)),
        _ => Err(format!(
            "device `{kind}:{number}`: the number of a card has to follow the colon, such as `{kind}:0`"
        )),
    }
}

fn refusal(name: &str) -> String {
    match DEVICES.iter().find(|(known, _)| *known == name) {
        Some((_, feature)) => {
            format!(
                "device `{name}` is not in this build; add `--features {feature}` to the cargo command"
            )
        }
        None => {
            let known: Vec<_> = DEVICES.iter().map(|(known, _)| *known).collect();
            format!(
                "no device is called `{name}`; choose one of {}",
                known.join(", ")
            )
        }
    }
}
