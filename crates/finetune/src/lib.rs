//! What every application that fine-tunes a burn model needs: a table of methods, a trainer, and
//! runs that can be interrupted.
//!
//! A [`Method`] is a row of [`METHODS`]: full fine-tuning, LoRA, BitFit, a linear probe, and the
//! adapters of `burn_goft`. An application describes its model, data and loss by a [`Task`]; the
//! [`Trainer`] makes the updates, validates, stops early, and writes log and checkpoints to a
//! [`RunFolder`]. A run that was interrupted goes on bit for bit as if it had not been.
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use burn_goft_finetune::{
//!     Attachment, Body, Course, Heap, Loss, Method, Origin, RunFolder, Score, Setting, Task, Trainer,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Module, Debug)]
//! struct Net {
//!     features: Linear,
//!     head: Linear,
//! }
//!
//! impl Net {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.head.forward(self.features.forward(x).tanh())
//!     }
//! }
//!
//! /// Learns the sum of four numbers.
//! struct Sums(Vec<[f32; 4]>);
//!
//! impl Sums {
//!     fn error(&self, model: &Net, examples: &[usize]) -> Tensor<1> {
//!         let device = model.head.weight.device();
//!         let rows: Vec<f32> = examples.iter().flat_map(|index| self.0[*index]).collect();
//!         let x = Tensor::<1>::from_floats(rows.as_slice(), &device).reshape([examples.len(), 4]);
//!         (model.forward(x.clone()) - x.sum_dim(1)).square().mean()
//!     }
//! }
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
//! struct Error {
//!     square: f64,
//! }
//!
//! impl Score for Error {
//!     fn is_better_than(&self, other: &Self) -> bool {
//!         self.square < other.square
//!     }
//!
//!     fn loss(&self) -> f64 {
//!         self.square
//!     }
//! }
//!
//! impl Task for Sums {
//!     type Model = Net;
//!     type Score = Error;
//!
//!     fn body(&self) -> Body {
//!         Body { name: "features", heads: &["head"] }
//!     }
//!
//!     fn lengths(&self) -> Vec<usize> {
//!         vec![4; self.0.len() - 8] // the last eight validate
//!     }
//!
//!     fn loss(&self, model: &Net, examples: &[usize]) -> Loss {
//!         self.error(model, examples).into()
//!     }
//!
//!     fn validate(&self, model: &Net) -> Error {
//!         let held_out: Vec<usize> = (self.0.len() - 8..self.0.len()).collect();
//!         Error { square: self.error(model, &held_out).into_scalar::<f32>().into() }
//!     }
//! }
//!
//! # fn main() -> Result<(), burn_goft_finetune::Error> {
//! # let temporary = tempfile::tempdir().unwrap();
//! # let out = temporary.path().join("run");
//! let device = Device::flex().autodiff();
//! let net = Net {
//!     features: LinearConfig::new(4, 16).init(&device),
//!     head: LinearConfig::new(16, 1).init(&device),
//! };
//! let task = Sums((0..40).map(|n| [0.1, 0.2, 0.3, 0.4].map(|x| x * (n % 7) as f32)).collect());
//!
//! let method = Method::named("goft")?;
//! let how = Attachment {
//!     paths: method.targets(&net, &task.body(), &[])?,
//!     rank: 8,
//!     seed: 0,
//! };
//! assert_eq!(how.paths, ["features.weight"]);
//! let model = method.attach(net, &task.body(), &how)?;
//!
//! let folder = RunFolder::open(&out, Path::new("pretrained"), false)?;
//! let course = Course::default();
//! #[derive(Serialize)]
//! struct Settings {
//!     method: &'static str,
//! }
//! let setting = Setting {
//!     task: &task,
//!     rates: method.rates(course.steps(task.lengths().len())),
//!     course,
//!     out: folder.path(),
//!     origin: Origin::new(&Settings { method: "goft" }, vec![], "net", String::new()),
//!     heap: Heap::count(),
//! };
//! let finished = Trainer::new(setting, model).run(&mut |_| ControlFlow::Continue(()))?;
//! method.save(&finished.model, &folder.path().join(burn_goft_finetune::ADAPTER))?;
//! folder.finish(&finished.best)?;
//! # Ok(())
//! # }
//! ```

mod attachment;
mod checkpoint;
mod contender;
mod course;
mod cross_entropy;
mod diverged;
mod error;
pub mod files;
mod graded;
mod gradients;
pub mod grid;
mod log;
mod lora;
mod machine;
mod memory;
mod method;
mod methods;
pub mod order;
mod progress;
mod rates;
mod run_folder;
mod schedule;
mod shards;
mod start;
mod targets;
mod task;
mod trained_file;
mod trainer;

pub use attachment::Attachment;
pub use checkpoint::{Best, Origin, resumed_shards};
pub use contender::Contender;
pub use course::Course;
pub use cross_entropy::{Head, Predicted};
pub use error::Error;
pub use machine::machine;
pub use memory::{Heap, keep_freed_memory};
pub use method::Method;
pub use methods::METHODS;
pub use progress::{Cost, Progress};
pub use rates::{Decline, Rates};
pub use run_folder::{ADAPTER, RunFolder, SETTINGS, read_settings};
pub use shards::{is_one_shard, one_shard, shards};
pub use targets::count;
pub use task::{Body, Loss, Parts, Score, Task};
pub use trainer::{Finished, OnProgress, Setting, Trainer};
