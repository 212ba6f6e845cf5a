/// A module that holds one of burn's and is that module to visitors, mappers, records and printing.
macro_rules! wrap {
    ($(#[$doc:meta])* $name:ident($burn:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            inner: $burn,
        }

        impl From<$burn> for $name {
            /// Shares the weights; adapters that are attached stay.
            fn from(inner: $burn) -> Self {
                Self { inner }
            }
        }

        impl $name {
            /// The module of burn that holds the parameters. Its own forward pass acts on the
            /// weight side.
            pub fn inner(&self) -> &$burn {
                &self.inner
            }

            /// Gives the module of burn back, with its adapters if there are any.
            pub fn into_inner(self) -> $burn {
                self.inner
            }
        }

        impl burn::module::Module for $name {
            fn collect_devices(&self, devices: burn::module::Devices) -> burn::module::Devices {
                self.inner.collect_devices(devices)
            }

            fn fork(self, device: &burn::tensor::Device) -> Self {
                self.inner.fork(device).into()
            }

            fn to_device(self, device: &burn::tensor::Device) -> Self {
                self.inner.to_device(device).into()
            }

            fn train(self) -> Self {
                self.inner.train().into()
            }

            fn valid(&self) -> Self {
                self.inner.valid().into()
            }

            fn materialize(self) -> Self {
                self.inner.materialize().into()
            }

            fn visit<V: burn::module::ModuleVisitor>(&self, visitor: &mut V) {
                self.inner.visit(visitor);
            }

            fn map<M: burn::module::ModuleMapper>(self, mapper: &mut M) -> Self {
                self.inner.map(mapper).into()
            }
        }

        impl burn::module::ModuleDisplayDefault for $name {
            fn content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
                burn::module::ModuleDisplayDefault::content(&self.inner, content)
            }

            fn num_params(&self) -> usize {
                burn::module::ModuleDisplayDefault::num_params(&self.inner)
            }
        }

        impl burn::module::ModuleDisplay for $name {
            fn format(&self, settings: burn::module::DisplaySettings) -> String {
                burn::module::ModuleDisplay::format(&self.inner, settings)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}
