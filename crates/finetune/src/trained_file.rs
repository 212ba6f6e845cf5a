//! The file of the trained parameters.

use std::path::Path;

use burn::module::Module;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn_goft::{AdapterFile, GoftModule};

use crate::attachment::Attachment;
use crate::error::Error;
use crate::method::{Attach, Method};
use crate::targets::{first_not_finite, trained_paths};
use crate::task::Body;

impl Method {
    /// Writes what a model has learned by this method: an adapter's file is the library's, that of
    /// another method has the trained tensors by path.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] for parameters that are not finite; [`Error::Goft`]; [`Error::Io`].
    pub fn save<M: Module>(&self, model: &M, path: &Path) -> Result<(), Error> {
        match self.attach {
            Attach::Adapter(_) => Ok(model.save_adapters(path)?),
            Attach::Targets | Attach::Lora => save_tensors(path, model),
        }
    }

    /// Puts what [`save`](Self::save) has written onto the pretrained model. `how` is what the
    /// method was attached by; its seed does not matter.
    ///
    /// The model is on a device with autodiff: elsewhere nobody knows what was trained.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] for a file of another model; [`Error::Goft`], also for an adapter's file that
    /// was made on other pretrained values.
    pub fn load<M: Module>(
        &self,
        model: M,
        body: &Body,
        how: &Attachment,
        path: &Path,
    ) -> Result<M, Error> {
        self.put_on(model, body, how, path, |file| file)
    }

    /// The same onto a pretrained model of the same shapes, whatever its values are.
    ///
    /// # Errors
    ///
    /// The errors of [`load`](Self::load), but for other values of the base.
    pub fn load_on_any_base<M: Module>(
        &self,
        model: M,
        body: &Body,
        how: &Attachment,
        path: &Path,
    ) -> Result<M, Error> {
        self.put_on(model, body, how, path, AdapterFile::for_any_base)
    }

    fn put_on<M: Module>(
        &self,
        model: M,
        body: &Body,
        how: &Attachment,
        path: &Path,
        admit: impl Fn(AdapterFile) -> AdapterFile,
    ) -> Result<M, Error> {
        match self.attach {
            Attach::Adapter(_) => Ok(model.load_adapters(admit(AdapterFile::read(path)?))?),
            Attach::Targets | Attach::Lora => load_tensors(path, self.attach(model, body, how)?),
        }
    }
}

fn save_tensors<M: Module>(path: &Path, model: &M) -> Result<(), Error> {
    if let Some(name) = first_not_finite(model) {
        return Err(Error::run(
            path,
            format!("not written: the parameter `{name}` holds numbers that are not finite"),
        ));
    }
    // Beside it first: what was there before stays until the new file is whole.
    let partial = path.with_file_name(".adapter.partial");
    let mut store = SafetensorsStore::from_file(&partial)
        .with_full_paths(trained_paths(model))
        .overwrite(true);
    let saved = model.valid().save_into(&mut store);
    saved.map_err(|error| Error::run(path, error.to_string()))?;
    std::fs::rename(&partial, path).map_err(Error::io("renaming", &partial))
}

fn load_tensors<M: Module>(path: &Path, mut model: M) -> Result<M, Error> {
    let trained = trained_paths(&model);
    let mut store = SafetensorsStore::from_file(path)
        .with_full_paths(&trained)
        .validate(false)
        .allow_partial(true);
    let loaded = model.load_from(&mut store);
    let loaded = loaded.map_err(|error| Error::run(path, error.to_string()))?;
    let wrong = |reason: String| {
        Err(Error::run(
            path,
            format!("{reason}; load it onto the model that it was trained on"),
        ))
    };
    if let Some(error) = loaded.errors.first() {
        return wrong(error.to_string());
    }
    // What was not trained is not in the file either.
    let mut missing = loaded.missing.iter().map(|(name, _)| name);
    if let Some(name) = missing.find(|name| trained.contains(name)) {
        return wrong(format!(
            "it has no `{name}`, which settings.json says was trained"
        ));
    }
    match loaded.unused.first() {
        Some(name) => wrong(format!("it has `{name}`, for which the model has no place")),
        None => Ok(model),
    }
}
