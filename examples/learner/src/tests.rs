#[path = "../../support/stored.rs"]
mod stored;

use burn::optim::GradientsParams;
use burn::train::train::MultiDevicesTrainStep;

use super::*;

fn options(more: &[&str]) -> Options {
    Options::parse_from(["learner"].iter().chain(more))
}

#[test]
fn one_epoch_moves_the_adapter_and_nothing_else() {
    let out = tempfile::tempdir().unwrap();
    let device = device::device("flex").unwrap();
    let digits = Digits::load();
    let held_out = Batch::new(&digits.held_out, Mounting::Sideways, &device);
    let base = pretrained(&device).unwrap();
    let goft = Goft::quasi().with_targets(["encoder.*.weight"]);
    let start = stored::bits(&base.clone().apply_goft(goft).unwrap());

    let run = Run::new(out.path()).unwrap();
    let trained = train(
        &options(&["--epochs", "1"]),
        &digits,
        std::slice::from_ref(&device),
        &run,
    )
    .unwrap();
    let mut end = stored::bits(&trained);
    assert!(end.keys().eq(start.keys()));
    let is_adapter = |path: &String| path.contains(".goft.");
    // Six weights in each of the four blocks.
    assert_eq!(end.keys().filter(|path| is_adapter(path)).count(), 24);
    for (path, bits) in &end {
        assert_eq!(*bits != start[path], is_adapter(path), "{path}");
    }
    end.retain(|path, _| !is_adapter(path));
    assert_eq!(end, stored::bits(&base));
    assert!(trained.accuracy(&held_out) > base.accuracy(&held_out));

    let file = out.path().join("adapter.safetensors");
    let [loaded, merged] = save_load_merge(&trained, &file, &device).unwrap();
    let logits = |model: &Vit| model.forward(held_out.images.clone());
    assert_eq!(logits(&loaded).into_data(), logits(&trained).into_data());
    let difference = logits(&merged) - logits(&trained);
    assert!(difference.abs().max().into_scalar::<f32>() < 1e-4);
}

/// The gradients of everything that is trained, by parameter.
fn gradients(model: &Adapted, of: &GradientsParams) -> Vec<Vec<f32>> {
    let trained = burn_goft::parameters(model);
    let trained = trained.iter().filter(|parameter| parameter.trainable);
    trained
        .map(|parameter| {
            let gradient = of.get::<1>(parameter.id).expect("it is trained");
            gradient.into_data().iter().collect()
        })
        .collect()
}

#[test]
fn devices_side_by_side_give_the_gradients_of_their_batches_and_no_more() {
    let device = device::device("flex").unwrap().autodiff();
    let digits = Digits::load();
    let goft = Goft::quasi().with_targets(["encoder.*.weight"]);
    let vit = pretrained(&device)
        .unwrap()
        .apply_goft(goft.with_init_std(0.1));
    let vit = vit.unwrap();
    let trainable = vit.adapter_report().trainable_parameters();
    let model = Adapted { vit, strength: 0.5 };

    let parts =
        [0..BATCH, BATCH..2 * BATCH, 2 * BATCH..3 * BATCH].map(|part| &digits.labeled[part]);
    let loaders = parts.map(|part| loader(part, BATCH, &device));
    let mut batches: Vec<_> = loaders.iter().map(|loader| loader.iter()).collect();
    let devices = vec![device.clone(); 3];
    let step = MultiDevicesTrainStep::<Adapted>::new(&devices);
    let (outputs, _) = step.step(&mut batches, &model).unwrap();
    let adapters = burn_goft::parameters(&model);
    let adapters = adapters.iter().filter(|parameter| parameter.trainable);
    let adapters = adapters.count();
    for output in &outputs {
        assert_eq!(output.output.grads.len(), adapters);
    }
    let mut found: Vec<_> = outputs
        .into_iter()
        .map(|output| gradients(&model, &output.output.grads.to_device(&device, &model)))
        .collect();

    let expected = loaders.iter().map(|loader| {
        let batch = loader.iter().next().unwrap().unwrap();
        gradients(&model, &TrainStep::step(&model, batch).grads)
    });
    let mut expected: Vec<_> = expected.collect();
    // Kilobytes come back, where the model has half a megabyte.
    let numbers: usize = found[0].iter().map(Vec::len).sum();
    assert_eq!(numbers, trainable);
    assert!(40 * numbers < 4 * model.num_params(), "{numbers}");
    // They answer in any order.
    let order = |a: &Vec<Vec<f32>>, b: &Vec<Vec<f32>>| a[0][0].total_cmp(&b[0][0]);
    found.sort_by(order);
    expected.sort_by(order);
    let flat = |gradients: &[Vec<Vec<f32>>]| gradients.concat().concat();
    let (found, expected) = (flat(&found), flat(&expected));
    assert_eq!(found.len(), expected.len());
    // A loader shuffles anew each time: the sums over a batch are in another order.
    let largest = expected.iter().fold(0.0f32, |most, g| most.max(g.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        let apart = (found - expected).abs();
        assert!(apart < 1e-5 * largest, "{found}, {expected}");
    }
    assert!((expected[0] - expected[numbers]).abs() > 1e-3 * largest);
}

#[test]
fn one_device_and_two_learn() {
    let out = tempfile::tempdir().unwrap();
    let device = device::device("flex").unwrap();
    let digits = Digits::load();
    let held_out = Batch::new(&digits.held_out, Mounting::Sideways, &device);
    let before = pretrained(&device).unwrap().accuracy(&held_out);
    let accuracies = [1, 2].map(|count| {
        let run = Run::new(out.path()).unwrap();
        let devices = vec![device.clone(); count];
        let options = options(&["--epochs", "3"]);
        let trained = train(&options, &digits, &devices, &run).unwrap();
        trained.accuracy(&held_out)
    });
    // The batches differ, since each device has half of the images.
    assert!(
        accuracies.iter().all(|accuracy| *accuracy > before + 10.0),
        "{before}, {accuracies:?}"
    );
}

/// Bytes of the files of one epoch's checkpoint.
fn bytes(run: &Run, epoch: usize) -> u64 {
    let parts = ["model", "optim", "scheduler"];
    let file = |part| run.folder.join(format!("checkpoint/{part}-{epoch}.bpk"));
    parts
        .map(|part| std::fs::metadata(file(part)).unwrap().len())
        .iter()
        .sum()
}

#[test]
fn a_resumed_run_ends_where_the_uninterrupted_one_does_bit_for_bit() {
    let out = tempfile::tempdir().unwrap();
    let device = device::device("flex").unwrap();
    let digits = Digits::load();
    let options = options(&["--epochs", "3"]);
    let whole = Run::new(out.path()).unwrap();
    let expected = train(&options, &digits, std::slice::from_ref(&device), &whole).unwrap();
    // The parameters of the adapters thrice, as the optimizer has them too, and not those of the
    // model once.
    let whole_model = expected.clone().into_record().into_bytes().unwrap().len();
    let small = bytes(&whole, 3);
    assert!(small < whole_model as u64 / 4, "{small} of {whole_model}");

    // As if the process had been killed in the third epoch.
    let killed = Run::new(out.path()).unwrap();
    let checkpoints = killed.folder.join("checkpoint");
    std::fs::create_dir(&checkpoints).unwrap();
    for part in ["model", "optim", "scheduler"] {
        let name = format!("{part}-2.bpk");
        let from = whole.folder.join("checkpoint").join(&name);
        std::fs::copy(from, checkpoints.join(name)).unwrap();
    }
    std::fs::write(checkpoints.join("model-3.bpk"), "torn").unwrap();
    let resumed = Run::newest(out.path()).unwrap();
    assert_eq!((&resumed.folder, resumed.epochs_done), (&killed.folder, 2));
    let found = train(&options, &digits, &[device], &resumed).unwrap();
    assert_eq!(stored::bits(&found), stored::bits(&expected));
}

#[test]
fn bad_input_is_an_error() {
    let refused = |more: &[&str]| run(&options(more)).unwrap_err().to_string();
    assert!(refused(&["--device", "abacus"]).contains("no device is called `abacus`"));
    assert!(refused(&["--device", "flex,abacus:1"]).contains("no device is called `abacus`"));
    assert!(refused(&["--device", "flex:1"]).contains("only cuda and rocm have numbers"));

    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().to_str().unwrap();
    let message = refused(&["--out", folder]);
    assert!(message.contains("cannot write to"), "{message}");
    assert!(message.contains(folder), "{message}");

    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let message = refused(&["--resume", "--out", folder]);
    assert!(message.contains("no run"), "{message}");
    Run::new(out.path()).unwrap();
    let message = refused(&["--resume", "--out", folder]);
    assert!(message.contains("no checkpoint"), "{message}");
}
