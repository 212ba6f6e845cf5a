//! Modules without tensors: nothing to move, train or fold.

/// The methods of burn's `Module` that such a module, a `Copy` type, answers with itself; `visit` and `map` are its own.
macro_rules! without_tensors {
    () => {
        fn collect_devices(&self, devices: burn::module::Devices) -> burn::module::Devices {
            devices
        }

        fn fork(self, _device: &burn::tensor::Device) -> Self {
            self
        }

        fn to_device(self, _device: &burn::tensor::Device) -> Self {
            self
        }

        fn train(self) -> Self {
            self
        }

        fn valid(&self) -> Self {
            *self
        }

        fn materialize(self) -> Self {
            self
        }
    };
}
