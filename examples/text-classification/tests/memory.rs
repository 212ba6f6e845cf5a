//! What a run says of its memory, on numbers that are known.

mod common;

use std::hint::black_box;
use std::ops::ControlFlow;

use common::Place;
use peak_alloc::PeakAlloc;
use text_classification::{Progress, train};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const MIB: u64 = 1 << 20;

/// The peak of a run of the tiny model that takes `extra` bytes for the time of one step, and four
/// times as many after its epoch.
fn peak(extra: u64) -> u64 {
    let mut place = Place::new("full");
    place.config.epochs = 2;
    let mut on_progress = |progress: &Progress| {
        let times = match progress {
            Progress::Step { step: 2, .. } => 1,
            Progress::Epoch { .. } => 4,
            _ => 0,
        };
        drop(black_box(vec![1_u8; times * extra as usize]));
        ControlFlow::Continue(())
    };
    let trained = train(&place.config, &mut on_progress).unwrap();
    trained.outcome.peak_memory_bytes.unwrap()
}

/// One test, since other tests of the process would be on the same heap.
#[test]
fn the_peak_is_the_run_s_own() {
    // Weights, gradients and the optimizer's two moments, in f32.
    let numbers = common::tensors(11);
    let numbers: usize = numbers.values().map(|(_, values)| values.len()).sum();
    // The first run of a process also makes its threads and tables.
    peak(0);
    let alone = peak(0);
    assert!(alone >= 4 * 4 * numbers as u64, "{alone}");
    assert!(alone < 16 * MIB, "{alone}");

    let more = peak(64 * MIB);
    assert!((64 * MIB..=64 * MIB + alone).contains(&more), "{more}");

    // A larger peak before, and bytes that stay, are not the run's.
    let stays = black_box(vec![1_u8; 64 << 20]);
    let beside = peak(0);
    drop(stays);
    assert!(beside.abs_diff(alone) < MIB / 4, "{beside}, {alone}");
}
