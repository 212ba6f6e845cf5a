//! A model whose records hold what is trained: checkpoints of kilobytes.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{DType, Device, Int, Tensor};
use sha2::{Digest, Sha256};

use crate::model::buffers::separate;
use crate::model::parameters::{buffers, parameters, visit_parameters};

/// A wrapper that makes the records of a model small, for burn's `Learner` and for loops of one's
/// own.
///
/// burn writes the whole model at each checkpoint, gigabytes where a few kilobytes have changed.
/// The records of this wrapper hold the adapters, the parameters that are trained beside them and
/// the running statistics of batch norms; loading one leaves everything else as it is. The
/// parameters' ids are part of a record, so that the optimizer's record, which is keyed by them,
/// fits again and a resumed run goes on as if it had not stopped.
///
/// The record also holds a SHA-256 of the parameters that it leaves out: it is refused by a model
/// with other pretrained values, on which the same adapter would compute something else. The hash
/// is computed once, when the first record is made or loaded; it reads the whole model.
///
/// Only records differ. To visitors, mappers, optimizers and all calls of
/// [`GoftModule`](crate::GoftModule) this is the model that it holds, and paths are the same.
///
/// # With burn's `Learner`
///
/// With the feature `train`, the wrapper passes on the model's `TrainStep` and `InferenceStep`:
///
/// ```text
/// let learner = Learner::new(AdapterOnly::new(model), optimizer, schedule);
/// let result = SupervisedTraining::new(folder, training, validation)
///     .with_default_checkpointers()
///     .checkpoint(3) // goes on after the third epoch
///     .launch(learner);
/// let model = result.model.into_inner();
/// ```
///
/// Wrap the outermost module, and wrap it last: attach, freeze and quantize before. When a run is
/// resumed, build the model in the same way, from the same pretrained values and with the same
/// settings.
///
/// # Example
///
/// ```
/// # #[cfg(all(feature = "flex", feature = "autodiff"))] {
/// use burn::{module::Module, nn::LinearConfig, store::ModuleRecord, tensor::Device};
/// use burn_goft::{AdapterOnly, Goft, GoftModule};
///
/// let device = Device::flex().autodiff();
/// let pretrained = LinearConfig::new(256, 256).init(&device);
/// let goft = Goft::strict().with_init_std(0.1);
/// let model = AdapterOnly::new(pretrained.clone().apply_goft(goft)?);
///
/// let bytes = model.clone().into_record().into_bytes().unwrap();
/// assert!(bytes.len() < 2_000); // 255 angles, where the whole model has 65 792 parameters
///
/// let resumed = AdapterOnly::new(pretrained.apply_goft(Goft::strict())?);
/// let resumed = resumed.load_record(ModuleRecord::from_bytes(bytes).unwrap());
/// let [found, expected] = [resumed, model].map(|model| model.inner().weight.val().into_data());
/// assert_eq!(found, expected);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdapterOnly<M> {
    model: M,
    /// The hash of what records leave out, shared by all that becomes of this model.
    base: Arc<Mutex<Option<Hashed>>>,
}

type Fingerprint = [u8; 32];

/// A hash, and of which parameters in which dtypes it is: others are trained after an `unfreeze`,
/// and packing changes values.
#[derive(Debug)]
struct Hashed {
    parameters: Vec<(u64, DType)>,
    hash: Fingerprint,
}

/// Where a record keeps the hash of what it leaves out.
const FINGERPRINT: &str = "sha256_of_the_rest";

impl<M: Module> AdapterOnly<M> {
    /// Wraps a model, the adapters of which are attached.
    pub fn new(model: M) -> Self {
        Self {
            model,
            base: Arc::default(),
        }
    }

    /// The model.
    pub fn inner(&self) -> &M {
        &self.model
    }

    /// Gives the model back.
    pub fn into_inner(self) -> M {
        self.model
    }

    pub(crate) fn map_inner(self, f: impl FnOnce(M) -> M) -> Self {
        Self {
            model: f(self.model),
            base: self.base,
        }
    }

    /// As records are written: running statistics keep the last batch aside until `valid` or the
    /// next batch takes it in.
    fn settled(self) -> Recorded<M> {
        self.map_inner(|model| model.valid()).recorded()
    }

    fn recorded(self) -> Recorded<M> {
        let ids = recorded_ids(&self.model);
        let expected = self.hash(&ids);
        Recorded {
            ids,
            expected,
            found: None,
            model: self.model,
        }
    }
}

impl<M: Module> AdapterOnly<M> {
    /// The hash of the parameters of other ids, computed once for the same parameters.
    fn hash(&self, ids: &BTreeSet<u64>) -> Fingerprint {
        let infos = parameters(&self.model).into_iter();
        let others = infos.filter(|info| !ids.contains(&info.id.val()));
        let found: Vec<_> = others.map(|info| (info.id.val(), info.dtype)).collect();
        let mut known = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(known) if known.parameters == found => known.hash,
            _ => {
                let hash = fingerprint(&self.model, ids);
                *known = Some(Hashed {
                    parameters: found,
                    hash,
                });
                hash
            }
        }
    }
}

impl<M: Module> Module for AdapterOnly<M> {
    fn into_record(self) -> ModuleRecord {
        self.settled().into_record()
    }

    fn into_record_group(self, group: ParamGroup) -> ModuleRecord {
        self.settled().into_record_group(group)
    }

    fn try_load_record(self, record: ModuleRecord) -> Result<Self, RecordError> {
        let base = self.base.clone();
        // Loading writes into statistics that clones share, even where it ends in a refusal.
        let loaded = self
            .map_inner(separate)
            .recorded()
            .try_load_record(record)?;
        if loaded.found.is_some_and(|found| found != loaded.expected) {
            return Err(RecordError::Validation(
                "asked to load a record of trained parameters, and it was made on other pretrained \
                 values than this model has; load it onto the model that the run started from"
                    .to_string(),
            ));
        }
        let model = loaded.model;
        Ok(Self { model, base })
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.model.visit(visitor);
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        self.map_inner(|model| model.map(mapper))
    }

    fn num_params(&self) -> usize {
        self.model.num_params()
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        self.model.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.map_inner(|model| model.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_inner(|model| model.to_device(device))
    }

    fn train(self) -> Self {
        self.map_inner(Module::train)
    }

    fn valid(&self) -> Self {
        Self {
            model: self.model.valid(),
            base: self.base.clone(),
        }
    }

    /// The result has other pretrained values, and no adapter.
    fn materialize(self) -> Self {
        Self::new(self.model.materialize())
    }
}

impl<M: Display> Display for AdapterOnly<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.model.fmt(f)
    }
}

/// A model as records see it: the parameters of some ids, and the hash of the others.
#[derive(Clone, Debug)]
struct Recorded<M> {
    model: M,
    ids: BTreeSet<u64>,
    expected: Fingerprint,
    /// The hash in the record that was loaded.
    found: Option<Fingerprint>,
}

impl<M: Module> Module for Recorded<M> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.model.visit(&mut Only {
            inner: visitor,
            ids: &self.ids,
        });
        visitor.enter_module(FINGERPRINT, "Struct:AdapterOnly");
        visitor.visit_int(&self.hash());
        visitor.exit_module(FINGERPRINT, "Struct:AdapterOnly");
    }

    fn map<Mapper: ModuleMapper>(mut self, mapper: &mut Mapper) -> Self {
        let hash = self.hash();
        self.model = self.model.map(&mut Only {
            inner: mapper,
            ids: &self.ids,
        });
        mapper.enter_module(FINGERPRINT, "Struct:AdapterOnly");
        let hash = mapper.map_int(hash).val().into_data();
        mapper.exit_module(FINGERPRINT, "Struct:AdapterOnly");
        let bytes: Vec<u8> = hash.iter::<u8>().collect();
        self.found = bytes.try_into().ok();
        self
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        self.model.collect_devices(devices)
    }

    fn fork(mut self, device: &Device) -> Self {
        self.model = self.model.fork(device);
        self
    }

    fn to_device(mut self, device: &Device) -> Self {
        self.model = self.model.to_device(device);
        self
    }

    fn train(mut self) -> Self {
        self.model = self.model.train();
        self
    }

    fn valid(&self) -> Self {
        Self {
            model: self.model.valid(),
            ..self.clone()
        }
    }

    fn materialize(mut self) -> Self {
        self.model = self.model.materialize();
        self
    }
}

impl<M: Module> Recorded<M> {
    fn hash(&self) -> Param<Tensor<1, Int>> {
        let device = self.model.devices().into_iter().next();
        let device = device.unwrap_or_default().inner();
        let bytes = self.expected.map(i32::from);
        Param::initialized(ParamId::new(), Tensor::from_data(bytes, &device))
    }
}

/// Hands on the float parameters of some ids.
struct Only<'a, T> {
    inner: &'a mut T,
    ids: &'a BTreeSet<u64>,
}

impl<V: ModuleVisitor> ModuleVisitor for Only<'_, V> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.inner.enter_module(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.inner.exit_module(name, container_type);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.ids.contains(&param.id.val()) {
            self.inner.visit_float(param);
        }
    }
}

impl<M: ModuleMapper> ModuleMapper for Only<'_, M> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.inner.enter_module(name, container_type);
    }

    fn exit_module(&mut self, name: &str, container_type: &str) {
        self.inner.exit_module(name, container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.ids.contains(&param.id.val()) {
            return self.inner.map_float(param);
        }
        param
    }
}

/// The ids of the parameters that are trained, and of running statistics.
fn recorded_ids<M: Module>(model: &M) -> BTreeSet<u64> {
    let buffers = buffers(model);
    let infos = parameters(model).into_iter();
    let recorded = infos.filter(|info| info.trainable || buffers.contains(&info.path));
    recorded.map(|info| info.id.val()).collect()
}

/// The hash of paths, dtypes, shapes and values of the float parameters of other ids.
fn fingerprint<M: Module>(model: &M, ids: &BTreeSet<u64>) -> Fingerprint {
    let mut hash = Sha256::new();
    visit_parameters(model, |info, values| {
        if !ids.contains(&info.id.val()) {
            let (path, dtype, shape) = (&info.path, info.dtype, &info.shape);
            hash.update(format!("{path}:{dtype:?}:{shape:?};"));
            hash.update(values().into_data().as_bytes());
        }
    });
    hash.finalize().into()
}
