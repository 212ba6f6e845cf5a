//! Runs in their folders, and what it takes to go on with one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::tensor::Device;

/// A training in its own folder: burn's summary counts every epoch that it finds in one.
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    /// The last epoch that has a checkpoint.
    pub(crate) epochs_done: usize,
}

impl Run {
    /// Makes a folder that no earlier run has written to.
    pub(crate) fn new(out: &Path) -> Result<Self, String> {
        let mut folders = folders(out);
        let folder = folders.find(|folder| !folder.exists()).expect("endless");
        match std::fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self {
                folder,
                epochs_done: 0,
            }),
            Err(error) => Err(format!("cannot write to `{}`: {error}", out.display())),
        }
    }

    /// Finds the newest run and its last checkpoint.
    pub(crate) fn newest(out: &Path) -> Result<Self, String> {
        let folder = folders(out).take_while(|folder| folder.exists()).last();
        let folder = folder.ok_or_else(|| {
            format!(
                "asked to resume, and there is no run in `{}`; start one without --resume",
                out.display()
            )
        })?;
        match last_checkpoint(&folder) {
            Some(epochs_done) => Ok(Self {
                folder,
                epochs_done,
            }),
            None => Err(format!(
                "asked to resume, and `{}` has no checkpoint yet; start anew without --resume",
                folder.display()
            )),
        }
    }
}

fn folders(out: &Path) -> impl Iterator<Item = PathBuf> {
    (1..).map(move |run| out.join(format!("run-{run}")))
}

/// The last epoch of which model, optimizer and schedule are there; burn writes one after the
/// other.
fn last_checkpoint(folder: &Path) -> Option<usize> {
    let folder = folder.join("checkpoint");
    let epoch = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let epoch = name.strip_prefix("scheduler-")?.strip_suffix(".bpk")?;
        epoch.parse::<usize>().ok()
    };
    let complete = |epoch: &usize| {
        let file = |part| folder.join(format!("{part}-{epoch}.bpk"));
        file("model").exists() && file("optim").exists()
    };
    let epochs = std::fs::read_dir(&folder).ok()?.filter_map(epoch);
    epochs.filter(complete).max()
}

// ANCHOR: order
/// A loader that shuffles as if some epochs had passed: burn's checkpoints do not hold where a
/// shuffled loader is.
pub(crate) struct Advanced<O> {
    loader: Arc<dyn DataLoader<O>>,
    epochs: usize,
}

impl<O: Send + 'static> Advanced<O> {
    pub(crate) fn boxed(loader: Arc<dyn DataLoader<O>>, epochs: usize) -> Arc<dyn DataLoader<O>> {
        Arc::new(Self { loader, epochs })
    }
}

impl<O: Send + 'static> DataLoader<O> for Advanced<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        self.loader.iter()
    }

    fn num_items(&self) -> usize {
        self.loader.num_items()
    }

    /// Here and not before: the training calls this once, and the loader on the device has its own
    /// order.
    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        let loader = self.loader.to_device(device);
        for _ in 0..self.epochs {
            drop(loader.iter());
        }
        loader
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        Self::boxed(self.loader.slice(start, end), self.epochs)
    }
}
// ANCHOR_END: order
