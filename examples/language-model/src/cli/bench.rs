//! `bench`: what a training step and generating take here.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::Instant;

use burn::module::Module;
use burn_goft_finetune::{
    Course, Error, Heap, Method, Origin, RunFolder, Setting, Trainer, count, shards,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::options::Bench;
use super::write;
use crate::data::Trained;
use crate::device::device;
use crate::folder::{Pretrained, find};
use crate::generate::{Generation, Sampling, generate};
use crate::rates;
use crate::run::attachment;
use crate::settings::RunConfig;
use crate::training::{BODY, Progress, Texts};

/// Steps before those that count: kernels are compiled and memory is taken in them.
const WARM_UP: usize = 2;

/// Tokens of a prompt.
const PROMPT: usize = 16;

pub(super) fn run(options: &Bench, out: &mut dyn Write) -> Result<(), Error> {
    let heap = Heap::count();
    let folder = find(&options.model)?;
    if let Some(method) = &options.method {
        write(
            out,
            &format!("{}\n", training(options, method, &folder, heap)?),
        )?;
    }
    if options.tokens > 0 {
        write(out, &format!("{}\n", generating(options, &folder)?))?;
    }
    Ok(())
}

/// Random tokens, all of which are learned.
fn example(length: usize, vocabulary: usize, random: &mut StdRng) -> Trained {
    let ids = (0..length).map(|_| random.random_range(0..vocabulary as u32));
    Trained {
        ids: ids.collect(),
        learned: (0..length).map(|place| place > 0).collect(),
        cut: false,
    }
}

fn training(
    options: &Bench,
    method: &str,
    folder: &std::path::Path,
    heap: Heap,
) -> Result<serde_json::Value, Error> {
    let temporary = tempfile::tempdir().map_err(Error::io("making", std::env::temp_dir()))?;
    let place = temporary.path().join("run");
    let mut config = RunConfig::new(folder, "", &place, method);
    config.targets = options.targets.clone();
    config.rank = options.rank;
    config.base = options.base;
    config.batch_size = options.batch_size;
    let method = &rates::of(Method::named(method)?);
    let plain = device(&options.device).map_err(Error::Settings)?;
    let pretrained = Pretrained::load_as(folder, options.base, &plain.clone().autodiff())?;
    let attachment = attachment(&pretrained.model, method, &config)?;
    let mut random = StdRng::seed_from_u64(0);
    let known = pretrained.config.vocabulary;
    let mut examples = |count: usize, length: usize| -> Vec<Trained> {
        (0..count)
            .map(|_| example(length, known, &mut random))
            .collect()
    };
    let steps = options.steps + WARM_UP;
    let (rows, held_out) = (examples(options.batch_size, options.length), examples(1, 2));
    let model = method.attach(pretrained.model, &BODY, &attachment)?;
    let (trainable, _) = count(&model);
    let texts = Texts {
        training: rows.iter().map(|row| vec![row]).collect(),
        validation: &held_out,
        recompute: options.recompute,
        question: None,
        device: plain,
    };
    let run = RunFolder::open(&place, folder, false)?;
    let setting = Setting {
        task: &texts,
        rates: method.rates(steps),
        course: Course {
            batch_size: options.batch_size,
            shards: options
                .shards
                .unwrap_or_else(|| shards(&options.device, options.batch_size)),
            epochs: steps,
            steps: None,
            patience: None,
            ..Course::default()
        },
        out: run.path(),
        origin: Origin::new(&config, Vec::new(), "", String::new()),
        heap,
    };
    let mut seconds = Vec::new();
    let finished = Trainer::new(setting, model).run(&mut |progress: &Progress| {
        if let Progress::Step { step, cost, .. } = progress
            && *step > WARM_UP
        {
            seconds.push(cost.seconds);
        }
        ControlFlow::Continue(())
    })?;
    let seconds = median(seconds);
    let tokens = options.batch_size * options.length;
    Ok(json!({
        "method": method.name,
        "device": options.device,
        "batch": options.batch_size,
        "length": options.length,
        "trainable": trainable,
        "seconds": seconds,
        "tokens_per_s": tokens as f64 / seconds,
        "peak_heap_mib": finished.peak_memory_bytes.map(|bytes| bytes >> 20),
    }))
}

fn generating(options: &Bench, folder: &std::path::Path) -> Result<serde_json::Value, Error> {
    let device = device(&options.device).map_err(Error::Settings)?;
    let pretrained = Pretrained::load_as(folder, options.base, &device)?;
    let model = pretrained.model.valid();
    let mut random = StdRng::seed_from_u64(1);
    let prompt = example(PROMPT, pretrained.config.vocabulary, &mut random).ids;
    let generation = Generation {
        sampling: Sampling::default(),
        max_tokens: options.tokens,
        ends: Vec::new(),
        stops: Vec::new(),
        seed: 0,
    };
    let times = (0..3).map(|_| {
        let start = Instant::now();
        let go_on = &mut |_, _| ControlFlow::Continue(());
        generate(
            &model,
            std::slice::from_ref(&prompt),
            &generation,
            &device,
            go_on,
        );
        start.elapsed().as_secs_f64()
    });
    let seconds = median(times.collect());
    Ok(json!({
        "method": "generate",
        "device": options.device,
        "seconds": seconds,
        "tokens_per_s": options.tokens as f64 / seconds,
    }))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
