//! A weight that is adapted, or would be.

use crate::adapter::{NormScale, Site};
use crate::methods::Method;

/// A weight of a [`Plan`](crate::Plan).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// Path of the weight.
    pub path: String,
    /// The method, with its settings.
    pub method: Method,
    /// The norm scale.
    pub norm_scale: NormScale,
    /// Which axis of which shape is rotated.
    pub site: Site,
}

impl Target {
    /// Number of parameters that the adapter would have.
    pub fn parameters(&self) -> usize {
        let fields = self.method.fields(self.site.dim()).into_iter();
        let fields = fields.chain(self.norm_scale.field(&self.site));
        fields.map(|field| field.count()).sum()
    }
}
