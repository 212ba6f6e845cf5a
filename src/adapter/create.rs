//! How an adapter comes to be: at the identity, or from the values in a file.

use std::collections::BTreeMap;

use burn::module::ParamId;
use burn::tensor::{DType, Device, Tensor};

use super::parameter::Parameter;
use super::{GoftAdapter, NormScale, Site, names};
use crate::error::{Error, Problem};
use crate::methods::{Field, Method};
use crate::numeric::parameter_dtype;

/// Values of an adapter's parameters by name, as a file has them.
pub(crate) type Values = BTreeMap<String, (Tensor<1>, Option<ParamId>)>;

impl GoftAdapter {
    /// An adapter at the identity for a weight of the given dtype, plus noise of standard deviation
    /// `std` in the parameters' own units.
    ///
    /// # Errors
    ///
    /// If the method's settings make no sense, or `std` is negative or not finite.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::tensor::{DType, Device};
    /// use burn_goft::{GoftAdapter, NormScale, Site, Strict};
    ///
    /// let device = Device::flex();
    /// let site = Site::new(0, [8, 3]);
    /// let adapter = GoftAdapter::new(Strict::direct(), NormScale::None, site, 0.0, DType::F32, &device)?;
    /// assert_eq!(adapter.parameter("angles").unwrap().shape().dims(), [7]);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    pub fn new(
        method: impl Into<Method>,
        norm_scale: NormScale,
        site: Site,
        std: f64,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, Error> {
        let method = method.into();
        method.check()?;
        check_std(std)?;
        let dtype = parameter_dtype(dtype);
        let dim = site.dim();
        // A parameter lives as long as its module, and burn's memory pools want to know that when
        // it is allocated.
        let parameters = device.memory_persistent_allocations((), |_| {
            let values = method.initial(dim, std, dtype, device);
            let values = values
                .into_iter()
                .chain(norm_scale.initial(&site, dtype, device));
            let fields = names::fields(method, norm_scale, &site).into_iter();
            let parameters = fields.zip(values);
            parameters
                .map(|(field, values)| Parameter::new(field, values))
                .collect()
        });
        Ok(Self {
            method,
            norm_scale,
            site,
            parameters,
            enabled: true,
        })
    }

    /// The adapter whose parameters have these values; else what is wrong with them.
    pub(crate) fn from_values(site: Site, mut values: Values) -> Result<Self, String> {
        let names: Vec<&str> = values
            .keys()
            .map(|name| names::without_axis(name))
            .collect();
        let scales: Vec<_> = names
            .iter()
            .filter_map(|name| NormScale::read(name))
            .collect();
        let norm_scale = match scales[..] {
            [] => NormScale::None,
            [scale] => scale,
            _ => return Err("it holds more than one norm scale".into()),
        };
        let rotation: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| NormScale::read(name).is_none())
            .collect();
        let method = Method::read(&rotation).ok_or_else(|| {
            format!("it holds the parameters {rotation:?}, which are not those of a method that this build knows")
        })?;
        let fields = names::fields(method, norm_scale, &site).into_iter();
        let parameter = |field: Field| {
            let (value, id) = values
                .remove(&field.name)
                .ok_or_else(|| format!("it lacks the parameter `{}`", field.name))?;
            let found = value.dims()[0];
            if found != field.count() {
                return Err(format!(
                    "`{}` has {found} values, and a weight {:?} rotated along axis {} needs {:?}",
                    field.name, site.shape, site.axis, field.shape
                ));
            }
            let parameter = Parameter::new(field, value);
            Ok(match id {
                Some(id) => parameter.with_id(id),
                None => parameter,
            })
        };
        Ok(Self {
            parameters: fields.map(parameter).collect::<Result<_, String>>()?,
            method,
            norm_scale,
            site,
            enabled: true,
        })
    }
}

/// Refuses a standard deviation that no noise has.
pub(crate) fn check_std(std: f64) -> Result<(), Error> {
    if (std as f32).is_finite() && std >= 0.0 {
        return Ok(());
    }
    Err(Problem::Setting {
        asked: format!("initial noise of standard deviation {std}"),
        reason:
            "it must be not negative and within the range of f32; 0 starts at the pretrained model"
                .into(),
    }
    .into())
}
