//! What attaching a method needs to know.

/// What attaching a method needs to know.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Paths of the parameters that the method is applied to, as
    /// [`Method::targets`](crate::Method::targets) gives them.
    pub paths: Vec<String>,
    /// Rank, for methods that have one; for HRA the number of reflections, which is even.
    pub rank: usize,
    /// Decides what starts at random.
    pub seed: u64,
}
