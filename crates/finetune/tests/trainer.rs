//! The trainer on a small task of its own: numbers whose weighted sum is learned.

use std::ops::ControlFlow;
use std::path::Path;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use burn_goft::{GoftModule, Owner, visit_parameters};
use burn_goft_finetune::{
    ADAPTER, Attachment, Body, Course, Error, Finished, Heap, Loss, METHODS, Method, Origin, Parts,
    Progress, Rates, RunFolder, Score, Setting, Task, Trainer, count, is_one_shard, resumed_shards,
};
use serde::{Deserialize, Serialize};

#[derive(Module, Debug)]
struct Net {
    features: Linear,
    head: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        // Fixed weights: the device's generator is shared with other tests.
        let filled = |linear: Linear, stride: usize| Linear {
            weight: linear.weight.map(|weight| {
                let [rows, columns] = weight.dims();
                let value = |i: usize| (((i * stride) % 23) as f32 - 11.0) / 20.0;
                let values: Vec<f32> = (0..rows * columns).map(value).collect();
                let data = TensorData::new(values, [rows, columns]);
                Tensor::from_data(data, &weight.device()).require_grad()
            }),
            bias: linear
                .bias
                .map(|bias| bias.map(|bias| bias.zeros_like().require_grad())),
        };
        Self {
            features: filled(LinearConfig::new(INPUTS, 12).init(device), 7),
            head: filled(LinearConfig::new(12, 1).init(device), 5),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head.forward(self.features.forward(x).tanh())
    }
}

const INPUTS: usize = 33;
const EXAMPLES: usize = 22;

/// Example `i` is `i % 3 + 1` rows, and a loss is the mean over rows, as a language model's is over
/// tokens.
struct Sums {
    body: Body,
}

impl Sums {
    fn new() -> Self {
        Self {
            body: Body {
                name: "features",
                heads: &["head"],
            },
        }
    }

    fn rows(&self, examples: &[usize]) -> Vec<[f32; INPUTS]> {
        let row = |example: usize, row: usize| {
            std::array::from_fn(|i| {
                ((example * 31 + row * 17 + i * i * 7) % 19) as f32 / 10.0 - 0.9
            })
        };
        let rows = examples
            .iter()
            .flat_map(|&example| (0..=example % 3).map(move |r| row(example, r)));
        rows.collect()
    }

    fn error(&self, model: &Net, examples: &[usize]) -> Tensor<1> {
        let rows = self.rows(examples);
        let labels: Vec<f32> = rows.iter().map(|row| row[0] - 0.5 * row[3]).collect();
        let device = model.head.weight.val().device();
        let count = rows.len();
        let x = TensorData::new(
            rows.into_iter().flatten().collect::<Vec<f32>>(),
            [count, INPUTS],
        );
        let labels = TensorData::new(labels, [count, 1]);
        let difference =
            model.forward(Tensor::from_data(x, &device)) - Tensor::<2>::from_data(labels, &device);
        difference.square().mean()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SquaredError {
    mean: f64,
}

impl Score for SquaredError {
    fn is_better_than(&self, other: &Self) -> bool {
        self.mean < other.mean
    }

    fn loss(&self) -> f64 {
        self.mean
    }
}

impl Task for Sums {
    type Model = Net;
    type Score = SquaredError;

    fn body(&self) -> Body {
        self.body
    }

    fn lengths(&self) -> Vec<usize> {
        (0..EXAMPLES).map(|example| example % 3 + 1).collect()
    }

    fn weight(&self, examples: &[usize]) -> f64 {
        self.rows(examples).len() as f64
    }

    fn tokens(&self, examples: &[usize]) -> Option<usize> {
        Some(self.rows(examples).len())
    }

    fn loss(&self, model: &Net, examples: &[usize]) -> Loss {
        Loss {
            mean: self.error(model, examples),
            // All of them, which the trainer divides by their weight.
            correct: Some(Tensor::from_ints(
                [self.rows(examples).len() as i64],
                &device(),
            )),
        }
    }

    fn sample(&self, model: &Net) -> Option<String> {
        let error = self.error(model, &[0]).into_scalar::<f32>();
        Some(format!("sample {error}"))
    }

    fn validate(&self, model: &Net) -> SquaredError {
        let held_out: Vec<usize> = (EXAMPLES..EXAMPLES + 9).collect();
        SquaredError {
            mean: self.error(model, &held_out).into_scalar::<f32>().into(),
        }
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn how(method: &Method, task: &Sums, model: &Net) -> Attachment {
    Attachment {
        paths: method.targets(model, &task.body, &[]).unwrap(),
        // A head of one output has no other rank, and reflections come in pairs.
        rank: if method.name == "hra" { 2 } else { 1 },
        seed: 3,
    }
}

fn attached(method: &str, task: &Sums) -> Net {
    let method = Method::named(method).unwrap();
    let model = Net::new(&device());
    let how = how(method, task, &model);
    method.attach(model, &task.body, &how).unwrap()
}

fn course() -> Course {
    Course {
        batch_size: 4,
        accumulation: 2,
        epochs: 3,
        ..Course::default()
    }
}

/// What an application would call its settings.
#[derive(Serialize)]
struct Settings {
    method: String,
    batch_size: usize,
    device: &'static str,
    #[serde(skip_serializing_if = "is_one_shard")]
    shards: usize,
}

fn setting<'a>(task: &'a Sums, method: &str, course: Course, out: &'a Path) -> Setting<'a, Sums> {
    let settings = Settings {
        method: method.into(),
        batch_size: course.batch_size,
        device: "flex",
        shards: course.shards,
    };
    let origin = Origin::new(&settings, vec!["data".into()], "net", "weights".into());
    Setting {
        task,
        rates: Method::named(method).unwrap().rates(course.steps(EXAMPLES)),
        course,
        out,
        origin: origin.with_free(&["device"]),
        heap: Heap::count(),
    }
}

type Ended = Result<Finished<Net, SquaredError>, Error>;

fn straight(setting: Setting<'_, Sums>, model: Net) -> Ended {
    Trainer::new(setting, model).run(&mut |_| ControlFlow::Continue(()))
}

fn stop_after(last: usize) -> impl FnMut(&Progress<SquaredError>) -> ControlFlow<()> {
    move |progress| match progress {
        Progress::Step { step, .. } if *step == last => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

fn outputs(model: &Net) -> Vec<f32> {
    let rows = Sums::new().rows(&[1, 2, 40]);
    let count = rows.len();
    let x = TensorData::new(
        rows.into_iter().flatten().collect::<Vec<f32>>(),
        [count, INPUTS],
    );
    let x = Tensor::from_data(x, &model.head.weight.val().device());
    model.forward(x).into_data().iter().collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn every_method_learns_and_its_file_gives_back_what_it_learned() {
    let task = Sums::new();
    for method in &METHODS {
        let out = tempfile::tempdir().unwrap();
        let fresh = Net::new(&device());
        let before = task.validate(&fresh.valid()).mean;
        let frozen = fresh.clone().valid();
        let how = how(method, &task, &fresh);
        let model = method.attach(fresh, &task.body, &how).unwrap();
        let trained = count(&model).0;
        let course = Course {
            epochs: 12,
            ..course()
        };
        let ended = straight(setting(&task, method.name, course, out.path()), model).unwrap();
        let after = ended.best.validation.mean;
        assert!(after < 0.9 * before, "{}: {before} to {after}", method.name);

        let file = out.path().join(ADAPTER);
        method.save(&ended.model, &file).unwrap();
        let loaded = method
            .load(Net::new(&device()), &task.body, &how, &file)
            .unwrap();
        assert_eq!(count(&loaded).0, trained, "{}", method.name);
        assert_eq!(outputs(&loaded), outputs(&ended.model), "{}", method.name);
        assert!(largest_difference(&outputs(&loaded), &outputs(&frozen)) > 1e-3);
    }
}

#[test]
fn without_heads_a_method_trains_the_body_alone() {
    let task = Sums {
        body: Body {
            name: "model",
            heads: &[],
        },
    };
    let all = INPUTS * 12 + 12 + 12 + 1;
    let block_of_32 = 32 * 31 / 2;
    for (method, expected) in [
        ("linear-probe", 0),
        ("bitfit", 13),
        ("full", all),
        ("lora", INPUTS + 12 + 12 + 1),
        ("goft", INPUTS - 1 + 12 - 1),
        ("goft-star", INPUTS - 1 + 12 + 12 - 1 + 1),
        ("qgoft", 4 * (INPUTS - 1 + 12 - 1)),
        ("oft", block_of_32 + 12 * 11 / 2),
        ("hra", 2 * (INPUTS + 12)),
        // An angle and a scale of each pair; the last of 33 inputs has no neighbor.
        ("road", 2 * (INPUTS / 2 + 12 / 2)),
    ] {
        assert_eq!(count(&attached(method, &task)).0, expected, "{method}");
    }
}

/// Examples have one, two or three rows: the mean over all rows is not the mean of the batches'
/// means.
#[test]
fn several_batches_make_the_update_of_one() {
    let task = Sums::new();
    let trained = |batch_size, accumulation| {
        let out = tempfile::tempdir().unwrap();
        let course = Course {
            batch_size,
            accumulation,
            epochs: 1,
            ..Course::default()
        };
        let model = attached("full", &task);
        let ended = straight(setting(&task, "full", course, out.path()), model).unwrap();
        assert_eq!(ended.steps, 1);
        let log = std::fs::read_to_string(out.path().join("log.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        ["loss", "gradient_norm"].map(|key| line[key].as_f64().unwrap())
    };
    let [loss, norm] = trained(EXAMPLES, 1);
    for (batch_size, accumulation) in [(1, EXAMPLES), (5, 5)] {
        let [others, others_norm] = trained(batch_size, accumulation);
        assert!((others / loss - 1.0).abs() < 1e-5, "{others}, {loss}");
        assert!(
            (others_norm / norm - 1.0).abs() < 1e-5,
            "{others_norm}, {norm}"
        );
    }
}

/// The log without what updates took, which is there.
fn log(out: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(out.join("log.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["event"] == "step" {
            let cost = line.as_object_mut().unwrap().remove("cost").unwrap();
            let of = |key: &str| cost[key].as_f64().unwrap();
            assert!(
                of("seconds") > 0.0 && of("tokens_per_second") > 0.0,
                "{cost}"
            );
            assert_eq!(line["accuracy"], 1.0);
        }
        line
    });
    lines.collect()
}

#[test]
fn samples_are_taken_when_they_are_due() {
    let task = Sums::new();
    let out = tempfile::tempdir().unwrap();
    let course = Course {
        sample_every: Some(4),
        ..course()
    };
    let mut heard = Vec::new();
    let trainer = Trainer::new(
        setting(&task, "goft", course, out.path()),
        attached("goft", &task),
    );
    let ended = trainer.run(&mut |progress| {
        match progress {
            Progress::Step { step, .. } => heard.push(step.to_string()),
            Progress::Note(note) => heard.push(note.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    assert_eq!(ended.unwrap().steps, 9);
    let samples: Vec<usize> = (0..heard.len())
        .filter(|place| heard[*place].starts_with("sample "))
        .collect();
    // Behind the fourth update and the eighth.
    assert_eq!(samples, [4, 9], "{heard:?}");
    assert_ne!(heard[4], heard[9], "of the model as it is by then");
}

#[test]
fn resumed_is_uninterrupted() {
    let task = Sums::new();
    for method in METHODS.map(|method| method.name) {
        let expected = tempfile::tempdir().unwrap();
        let ended = straight(
            setting(&task, method, course(), expected.path()),
            attached(method, &task),
        );
        let ended = ended.unwrap();
        assert_eq!(ended.steps, 9);
        // In the middle of an epoch, and before its validation.
        for last in [2, 3, 7] {
            let out = tempfile::tempdir().unwrap();
            let first = Trainer::new(
                setting(&task, method, course(), out.path()),
                attached(method, &task),
            );
            let stopped = first.run(&mut stop_after(last)).unwrap_err();
            assert!(
                matches!(stopped, Error::Interrupted { step, steps: 9, .. } if step == last),
                "{stopped}"
            );
            let second = Trainer::new(
                setting(&task, method, course(), out.path()),
                attached(method, &task),
            );
            let second = second.resume().unwrap();
            assert_eq!((second.step(), second.steps()), (last, 9));
            let resumed = second.run(&mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(outputs(&resumed.model), outputs(&ended.model), "{method}");
            assert_eq!(resumed.best, ended.best);
            assert_eq!(log(out.path()), log(expected.path()));
        }
    }
}

/// Sums in another order, and nothing else: of losses, of what is right, of the penalty, and of the gradients.
#[test]
fn shards_train_as_a_batch_does() {
    struct Recomputed(Sums);

    impl Task for Recomputed {
        type Model = Net;
        type Score = SquaredError;

        fn body(&self) -> Body {
            self.0.body()
        }

        fn lengths(&self) -> Vec<usize> {
            self.0.lengths()
        }

        fn weight(&self, examples: &[usize]) -> f64 {
            self.0.weight(examples)
        }

        fn loss(&self, model: &Net, examples: &[usize]) -> Loss {
            self.0.loss(model, examples)
        }

        fn in_parts(&self, model: &Net, examples: &[usize], factor: f64) -> Option<Parts> {
            let loss = self.loss(model, examples);
            let whole = loss.mean.clone().mul_scalar(factor).backward();
            let gradients = vec![GradientsParams::from_grads(whole, model)];
            Some(Parts { loss, gradients })
        }

        fn validate(&self, model: &Net) -> SquaredError {
            self.0.validate(model)
        }
    }

    fn trained<T: Task<Model = Net, Score = SquaredError>>(
        task: &T,
        method: &str,
        shards: usize,
    ) -> (Vec<f32>, Vec<f64>) {
        let out = tempfile::tempdir().unwrap();
        let sums = Sums::new();
        let plain = setting(&sums, method, Course { shards, ..course() }, out.path());
        let setting = Setting {
            task,
            course: plain.course,
            // Strong enough that a penalty of every shard would show.
            rates: Rates {
                penalty: plain.rates.penalty.map(|_| 1.0),
                ..plain.rates
            },
            out: plain.out,
            origin: plain.origin,
            heap: plain.heap,
        };
        let model = attached(method, &sums);
        let finished = Trainer::new(setting, model).run(&mut |_| ControlFlow::Continue(()));
        let log = std::fs::read_to_string(out.path().join("log.jsonl")).unwrap();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let numbers = lines
            .filter(|line| line["event"] == "step")
            .flat_map(|line| {
                ["loss", "accuracy", "gradient_norm"].map(|name| line[name].as_f64().unwrap())
            });
        (outputs(&finished.unwrap().model), numbers.collect())
    }

    fn law<T: Task<Model = Net, Score = SquaredError>>(task: &T) {
        for method in ["full", "lora", "goft", "qgoft"] {
            let (whole, log) = trained(task, method, 1);
            // The last batch of an epoch may have fewer examples than there are shards.
            for shards in [2, 3, 4] {
                let (found, lines) = trained(task, method, shards);
                let apart = largest_difference(&found, &whole);
                assert!(apart < 1e-4, "{method}, {shards} shards: {apart}");
                assert_eq!(lines.len(), log.len());
                for (found, expected) in lines.iter().zip(&log) {
                    assert!(
                        (found - expected).abs() <= 1e-4 * expected.abs().max(1e-2),
                        "{method}: {found} {expected}"
                    );
                }
                assert_eq!(
                    trained(task, method, shards),
                    (found, lines),
                    "{method}: the same bits again"
                );
            }
        }
    }

    law(&Sums::new());
    law(&Recomputed(Sums::new()));
}

/// Some of which nothing is learned: their mean would be one over nothing.
#[test]
fn a_shard_from_which_nothing_is_learned_is_left_out() {
    struct Gaps(Sums);

    fn learned(examples: &[usize]) -> Vec<usize> {
        let learned = examples.iter().filter(|example| *example % 4 != 1);
        learned.copied().collect()
    }

    impl Task for Gaps {
        type Model = Net;
        type Score = SquaredError;

        fn body(&self) -> Body {
            self.0.body()
        }

        fn lengths(&self) -> Vec<usize> {
            self.0.lengths()
        }

        fn weight(&self, examples: &[usize]) -> f64 {
            self.0.weight(&learned(examples))
        }

        fn loss(&self, model: &Net, examples: &[usize]) -> Loss {
            assert!(self.weight(examples) > 0.0, "a mean over nothing");
            self.0.loss(model, &learned(examples))
        }

        fn validate(&self, model: &Net) -> SquaredError {
            self.0.validate(model)
        }
    }

    let trained = |shards| {
        let (sums, task) = (Sums::new(), Gaps(Sums::new()));
        let out = tempfile::tempdir().unwrap();
        let plain = setting(&sums, "goft", Course { shards, ..course() }, out.path());
        let setting = Setting {
            task: &task,
            course: plain.course,
            rates: plain.rates,
            out: plain.out,
            origin: plain.origin,
            heap: plain.heap,
        };
        let finished =
            Trainer::new(setting, attached("goft", &sums)).run(&mut |_| ControlFlow::Continue(()));
        outputs(&finished.unwrap().model)
    };
    let apart = largest_difference(&trained(4), &trained(1));
    assert!(apart < 1e-4, "{apart}");
}

#[test]
fn a_run_is_resumed_as_itself_only() {
    let task = Sums::new();
    let out = tempfile::tempdir().unwrap();
    let model = || attached("goft", &task);
    let first = Trainer::new(setting(&task, "goft", course(), out.path()), model());
    first.run(&mut stop_after(2)).unwrap_err();
    let refusal = |change: &dyn Fn(&mut Setting<'_, Sums>)| {
        let mut other = setting(&task, "goft", course(), out.path());
        change(&mut other);
        match Trainer::new(other, model()).resume() {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    let origin_of = |batch_size, device, shards, data: &str, weights: &str| {
        let settings = Settings {
            method: "goft".into(),
            batch_size,
            device,
            shards,
        };
        let origin = Origin::new(&settings, vec![data.into()], "net", weights.into());
        origin.with_free(&["device"])
    };
    let origin = |batch_size, device, data: &str, weights: &str| {
        origin_of(batch_size, device, 1, data, weights)
    };
    for (other, expected) in [
        (origin(4, "another", "data", "weights"), ""),
        (
            origin(5, "flex", "data", "weights"),
            "made with `batch_size` 4, and asked is 5",
        ),
        (
            origin(4, "flex", "other", "weights"),
            "the data files have changed",
        ),
        (
            origin(4, "flex", "data", "other"),
            "other pretrained weights than those of `net`",
        ),
    ] {
        let message = refusal(&|setting| setting.origin = other.clone());
        assert!(message.contains(expected), "{message}");
        assert_eq!(message.is_empty(), expected.is_empty(), "{message}");
    }
    assert_eq!(resumed_shards(out.path()), Some(1));
    // A setting that is written on one side only, on either.
    let message = refusal(&|setting| setting.origin = origin_of(4, "flex", 2, "data", "weights"));
    assert!(
        message.contains("made with `shards` nothing, and asked is 2"),
        "{message}"
    );
    let out = tempfile::tempdir().unwrap();
    let mut two = setting(
        &task,
        "goft",
        Course {
            shards: 2,
            ..course()
        },
        out.path(),
    );
    two.origin = origin_of(4, "flex", 2, "data", "weights");
    Trainer::new(two, model())
        .run(&mut stop_after(2))
        .unwrap_err();
    assert_eq!(resumed_shards(out.path()), Some(2));
    assert_eq!(resumed_shards(&out.path().join("no run")), None);
    let mut one = setting(&task, "goft", course(), out.path());
    one.origin = origin(4, "flex", "data", "weights");
    let message = Trainer::new(one, model()).resume().unwrap_err().to_string();
    assert!(
        message.contains("made with `shards` 2, and asked is nothing"),
        "{message}"
    );
}

#[test]
fn a_clipped_training_is_another_one_and_says_the_length_before() {
    let task = Sums::new();
    let norms = |clip| {
        let out = tempfile::tempdir().unwrap();
        let course = Course { clip, ..course() };
        straight(
            setting(&task, "full", course, out.path()),
            attached("full", &task),
        )
        .unwrap();
        let log = std::fs::read_to_string(out.path().join("log.jsonl")).unwrap();
        let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let norms = log
            .lines()
            .filter_map(|line| parse(line)["gradient_norm"].as_f64());
        norms.collect::<Vec<_>>()
    };
    let free = norms(None);
    assert_eq!(norms(Some(1e3)), free, "no gradient is as long");
    let clipped = norms(Some(0.05));
    assert!(clipped.iter().all(|norm| *norm > 0.05), "{clipped:?}");
    assert_eq!(clipped[0], free[0]);
    assert_ne!(clipped[3..], free[3..]);
}

#[test]
fn a_training_that_diverges_names_what_broke_and_keeps_the_rest() {
    let task = Sums::new();
    let out = tempfile::tempdir().unwrap();
    let mut setting = setting(&task, "full", course(), out.path());
    setting.course.warmup = 0.0;
    setting.rates = Rates {
        body: 1e-3,
        head: 1e39,
        penalty: None,
    };
    let error = straight(setting, attached("full", &task)).unwrap_err();
    assert!(matches!(error, Error::NotFinite { step: 2, .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("the parameter `head."), "{message}");
    assert!(message.contains("no good state to save"), "{message}");
}

#[test]
fn a_folder_is_opened_once_and_not_written_over() {
    let place = tempfile::tempdir().unwrap();
    let (out, model) = (place.path().join("run"), place.path().join("model"));
    let refusal = |out: &Path, resume| match RunFolder::open(out, &model, resume) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    std::fs::create_dir(&model).unwrap();
    assert!(refusal(&model, false).contains("the folder of the pretrained model"));
    let folder = RunFolder::open(&out, &model, false).unwrap();
    assert!(refusal(&out, false).contains("another process is writing to it"));
    std::fs::write(out.join(ADAPTER), b"learned").unwrap();
    std::fs::create_dir(out.join("checkpoint-1")).unwrap();
    drop(folder);
    assert!(refusal(&out, false).contains("it holds an adapter"));
    // Killed between its adapter and its metrics.
    let folder = RunFolder::open(&out, &model, true).unwrap();
    folder.finish(&SquaredError { mean: 0.5 }).unwrap();
    assert!(!out.join("checkpoint-1").exists());
    assert!(refusal(&out, true).contains("it holds a finished run"));
}

#[test]
fn numbers_that_no_training_can_have_are_refused() {
    let refusal = |change: &dyn Fn(&mut Course)| {
        let mut course = Course::default();
        change(&mut course);
        course.check().unwrap_err().to_string()
    };
    assert!(Course::default().check().is_ok());
    assert!(refusal(&|course| course.batch_size = 0).contains("the batch size is 0"));
    assert!(refusal(&|course| course.accumulation = 0).contains("the accumulation is 0"));
    assert!(refusal(&|course| course.epochs = 0).contains("the number of epochs is 0"));
    assert!(refusal(&|course| course.steps = Some(0)).contains("the number of steps is 0"));
    assert!(refusal(&|course| course.patience = Some(0)).contains("the patience is 0"));
    assert!(refusal(&|course| course.warmup = 1.0).contains("the warm-up is 1"));
    assert!(refusal(&|course| course.clip = Some(0.0)).contains("a length of 0"));
    assert!(refusal(&|course| course.clip = Some(f64::NAN)).contains("a length of NaN"));
}

#[test]
fn what_a_method_cannot_be_applied_to_is_refused() {
    let task = Sums::new();
    let model = Net::new(&device());
    let refusal = |method: &str, glob: &str| {
        let method = Method::named(method).unwrap();
        let chosen = method.targets(&model, &task.body, &[glob.into()]);
        chosen.unwrap_err().to_string()
    };
    let message = refusal("goft", "*.query.weight");
    assert!(
        message.contains("matches no linear weight of the features"),
        "{message}"
    );
    assert!(message.contains("`features.weight`"), "{message}");
    assert!(refusal("bitfit", "head.bias").contains("matches no bias of the features"));
    assert!(refusal("linear-probe", "*").contains("takes no targets"));
    assert!(refusal("full", "[").contains("not a valid glob"));
    let message = Method::named("gotf").unwrap_err().to_string();
    assert!(
        message.contains("no method is called `gotf`; choose one of"),
        "{message}"
    );

    let lora = Method::named("lora").unwrap();
    let how = Attachment {
        rank: 13,
        ..how(lora, &task, &model)
    };
    let message = lora
        .attach(model.clone(), &task.body, &how)
        .unwrap_err()
        .to_string();
    assert!(message.contains("take 1 to 12"), "{message}");

    let hra = Method::named("hra").unwrap();
    let odd = Attachment {
        rank: 3,
        ..self::how(hra, &task, &model)
    };
    let refused = hra.attach(model, &task.body, &odd).unwrap_err();
    assert!(
        matches!(&refused, Error::Goft(error) if error.is_invalid_setting()),
        "{refused}"
    );
    assert!(refused.to_string().contains("must be even"), "{refused}");
}

/// An adapter belongs to the values of its base, and says so.
#[test]
fn another_base_is_refused_unless_asked_for() {
    let task = Sums::new();
    let method = Method::named("goft").unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join(ADAPTER);
    method.save(&attached("goft", &task), &file).unwrap();
    let mut other = Net::new(&device());
    other.features.weight = other.features.weight.map(|weight| weight.mul_scalar(1.1));
    let how = how(method, &task, &other);
    let refused = method.load(other.clone(), &task.body, &how, &file);
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, Error::Goft(error) if error.is_other_base()),
        "{refused}"
    );
    let loaded = method.load_on_any_base(other, &task.body, &how, &file);
    assert_eq!(loaded.unwrap().adapters().len(), 1);
}

/// What starts at random is the seed's, whatever else the process draws.
#[test]
fn a_seed_decides_what_starts_at_random() {
    let task = Sums::new();
    let started = |method: &str, seed| {
        let method = Method::named(method).unwrap();
        let model = Net::new(&device());
        let how = Attachment {
            seed,
            ..how(method, &task, &model)
        };
        let attached = method.attach(model, &task.body, &how).unwrap();
        let mut values = Vec::new();
        visit_parameters(&attached, |parameter, row| {
            if parameter.owner != Owner::Model {
                values.extend(row().into_data().iter::<f32>());
            }
        });
        values
    };
    for method in ["lora", "hra"] {
        let [first, again, other] = [7, 7, 8].map(|seed| started(method, seed));
        assert_eq!(first, again, "{method}");
        assert_ne!(first, other, "{method}");
    }
    // Pairs of equal vectors, which cancel.
    let vectors = started("hra", 7);
    assert_eq!(vectors[..INPUTS], vectors[INPUTS..]);
    let length = vectors[..INPUTS].iter().map(|v| v * v).sum::<f32>().sqrt();
    assert!((0.5..1.5).contains(&length), "{length}");
}
