//! How a rotation is cut to the device: plain numbers.

/// What of the vectors a cube holds at a time, the constants that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Elements a unit holds, a power of two.
    pub(super) elements: usize,
    /// Levels above those in a unit's registers; the units of a vector are as many as these levels
    /// join.
    pub(super) levels: usize,
    /// The lowest of them, whose units are of one plane and exchange values without shared memory.
    pub(super) plane_levels: usize,
    /// Vectors at a time.
    pub(super) lanes: usize,
    /// Whether neighbors in memory belong to different vectors. Units that follow each other then
    /// take different vectors, else different parts of one: either way they read memory that is
    /// contiguous.
    pub(super) columns: bool,
}

impl Tile {
    /// Units that share a vector.
    pub(super) fn units(&self) -> usize {
        1 << self.levels
    }

    /// Elements of a vector that the units hold together.
    pub(super) fn span(&self) -> usize {
        self.elements << self.levels
    }

    pub(super) fn register_levels(&self) -> usize {
        self.elements.trailing_zeros() as usize
    }

    /// Number of a pair among those of a unit: pair `k` of a level in registers, counted from 0. As
    /// in a plan of their own; the pair beyond the registers comes last.
    pub(super) fn pair(&self, level: usize, k: usize) -> usize {
        self.elements - (self.elements >> level) + k
    }

    /// Number of the unit's pair beyond its registers.
    pub(super) fn outer_pair(&self) -> usize {
        self.elements - 1
    }

    /// Slots between the coordinates of a pair in shared memory.
    pub(super) fn distance(&self, level: usize) -> usize {
        let unit = if self.columns { self.lanes } else { 1 };
        unit << level
    }
}

/// What the device allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) units: usize,
    pub(super) cube_dim: (usize, usize),
    pub(super) cubes: (usize, usize),
    pub(super) shared_bytes: usize,
    /// Units of a plane, 1 if they cannot exchange values.
    pub(super) plane: usize,
    pub(super) bindings: usize,
    pub(super) processors: usize,
}

/// What is asked: `count` vectors of `dim` elements, that follow each other at a distance of
/// `inner`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) dim: usize,
    pub(super) inner: usize,
    pub(super) count: usize,
    /// Bytes of a number while it is computed with.
    pub(super) bytes: usize,
    pub(super) task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Rotate,
    Differentiate,
}

impl Task {
    /// How many registers' worth of values a unit keeps for each of its elements: its value and 4
    /// entries of a block; or two values, the entries, 4 sums and 2 earlier values, and the two
    /// values of the next vector, for which there is room in what the others leave.
    fn numbers(self) -> usize {
        match self {
            Self::Rotate => 5,
            Self::Differentiate => 12,
        }
    }
}

/// One launch: the levels that a tile joins, on every `stride`-th element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) tile: Tile,
    pub(super) stride: usize,
    /// Elements of a vector at this stride.
    pub(super) dim: usize,
    /// Tiles that cover them.
    pub(super) chunks: usize,
    /// Cubes for each chunk, which share the vectors.
    pub(super) cubes: usize,
    pub(super) first_block: usize,
    pub(super) block_count: usize,
}

/// Units of a cube.
const UNITS: usize = 512;
/// A device with fewer units a cube is no GPU.
const FEWEST_UNITS: usize = 32;
/// Units that should be busy in a cube, by more vectors at a time where one occupies fewer.
const BUSY_UNITS: usize = 128;
/// Neighbors in memory that fill its transactions.
const NEIGHBORS: usize = 32;
/// Registers, of 4 bytes, for the numbers that a cube keeps: three quarters of what a
/// multiprocessor has.
const REGISTERS: usize = 3 << 14;
/// Vectors that each lane of a cube sums, at least, before it writes its sums.
const SUMMED_VECTORS: usize = 4;
/// The cube that adds up those sums: blocks beside each other, and shares of the rows of each.
pub(super) const SUM_CUBE: (usize, usize) = (8, 32);
/// Rows that it adds up.
pub(super) const SUMMED_ROWS: usize = 16 * SUM_CUBE.1;

/// The launches for `R`, in order, if the device allows them. `R^T` takes them in reverse.
///
/// ```text
/// d = 20, tiles of 8     0 1 2 3 4 5 6 7   8 9 a b c d e f   g h i j     levels 1 to 3, three chunks
///                        0                 8                 g           levels 4 and 5, stride 8
/// ```
///
/// The first levels leave one coordinate of each chunk, and those form a vector with a plan of
/// their own.
pub(super) fn stages(work: &Work, limits: &Limits) -> Option<Vec<Stage>> {
    let differentiate = work.task == Task::Differentiate;
    let bindings = match work.task {
        Task::Rotate => 5,
        // Never more than two of `up`, `down` and `next`.
        Task::Differentiate => 7,
    };
    if limits.units < FEWEST_UNITS
        || limits.shared_bytes < UNITS * work.bytes
        || limits.bindings < bindings
        || i32::try_from(work.dim).is_err()
        || differentiate && !sums(work, limits)
    {
        return None;
    }
    let mut stages = Vec::new();
    let (mut dim, mut stride) = (work.dim, 1);
    while dim > 1 {
        let tile = tile(dim, work, limits);
        let chunks = dim.div_ceil(tile.span());
        if chunks > limits.cubes.1 {
            return None;
        }
        stages.push(Stage {
            tile,
            stride,
            dim,
            chunks,
            cubes: cubes(&tile, chunks, work, limits),
            first_block: work.dim - dim,
            block_count: dim - chunks,
        });
        stride *= tile.span();
        dim = chunks;
    }
    Some(stages)
}

/// Whether the device takes the launches that add up the sums of cubes.
fn sums(work: &Work, limits: &Limits) -> bool {
    let (across, down) = SUM_CUBE;
    limits.units >= across * down
        && limits.cube_dim.0 >= across
        && limits.cube_dim.1 >= down
        && limits.shared_bytes >= 4 * work.bytes * across * down
        && limits.cubes.0 > work.dim / across
}

fn tile(dim: usize, work: &Work, limits: &Limits) -> Tile {
    // As few elements a unit as reach over the vector. Where not even many do, few again: they
    // leave registers for more cubes.
    let few = (32 / work.bytes).min(dim.next_power_of_two());
    let many = (2 * few).min(dim.next_power_of_two());
    let few = tile_of(few, dim, work, limits);
    let many = tile_of(many, dim, work, limits);
    if few.span() < dim && dim <= many.span() {
        many
    } else {
        few
    }
}

fn tile_of(elements: usize, dim: usize, work: &Work, limits: &Limits) -> Tile {
    let registers = work.task.numbers() * work.bytes / 4 * elements;
    let most = floor(UNITS.min(limits.units).min(REGISTERS / registers));
    let columns = work.inner > 1;
    let count = work.count.next_power_of_two();
    let (lanes_most, units_most) = if columns {
        (floor(limits.cube_dim.0), floor(limits.cube_dim.1))
    } else {
        (floor(limits.cube_dim.1), floor(limits.cube_dim.0))
    };
    let neighbors = if columns { NEIGHBORS } else { 1 };
    let neighbors = neighbors.min(count).min(lanes_most);
    let units = dim.div_ceil(elements).next_power_of_two();
    let units = units.min(units_most).min(most / neighbors);
    let lanes = (BUSY_UNITS / units).max(neighbors);
    let lanes = lanes.min(count).min(lanes_most).min(most / units);
    // With columns, the units of a plane belong to different vectors; and some devices exchange no
    // f64.
    let plane = if columns || work.bytes > 4 {
        1
    } else {
        units.min(limits.plane)
    };
    Tile {
        elements,
        levels: units.trailing_zeros() as usize,
        plane_levels: plane.trailing_zeros() as usize,
        lanes,
        columns,
    }
}

/// As many cubes as run at once if their registers are what bounds them, or twice as many where
/// each reads ahead, and no more: each reads its blocks. From shapes and limits alone, so that sums
/// are taken in the same order in every run.
fn cubes(tile: &Tile, chunks: usize, work: &Work, limits: &Limits) -> usize {
    let (resident, vectors) = match work.task {
        Task::Rotate => (2 * UNITS, 1),
        Task::Differentiate => (2 * UNITS, SUMMED_VECTORS),
    };
    let running = limits.processors * (resident / (tile.lanes * tile.units()));
    let busy = work.count.div_ceil(tile.lanes * vectors);
    busy.min(running.div_ceil(chunks)).min(limits.cubes.0)
}

/// The largest power of two that is not larger.
fn floor(number: usize) -> usize {
    1 << number.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEBGPU: Limits = Limits {
        units: 256,
        cube_dim: (256, 256),
        cubes: (65535, 65535),
        shared_bytes: 16384,
        plane: 1,
        bindings: 7,
        processors: 64,
    };
    const CUDA: Limits = Limits {
        units: 1024,
        cube_dim: (1024, 1024),
        cubes: (2147483647, 65535),
        shared_bytes: 232448,
        plane: 32,
        bindings: 1024,
        processors: 132,
    };

    #[test]
    fn launches_cover_all_blocks_within_the_limits() {
        let dims = (2..300).chain([4096, 4097, 5000, 8192, 11008, 20000, 65539, 500_000]);
        let small = Limits {
            plane: 64,
            processors: 4,
            ..WEBGPU
        };
        for (dim, limits) in dims.flat_map(|dim| [WEBGPU, CUDA, small].map(|limits| (dim, limits)))
        {
            for (count, inner) in [(1, 1), (3, 3), (1000, 1), (1000, 10), (1 << 20, 1 << 10)] {
                for bytes in [4, 8] {
                    for task in [Task::Rotate, Task::Differentiate] {
                        let work = Work {
                            dim,
                            inner,
                            count,
                            bytes,
                            task,
                        };
                        assert_covered(&work, &limits);
                    }
                }
            }
        }
    }

    fn assert_covered(work: &Work, limits: &Limits) {
        let stages = stages(work, limits).expect("a GPU can");
        let (mut blocks, mut left) = (0, work.dim);
        for stage in &stages {
            let tile = stage.tile;
            assert_eq!(stage.first_block, blocks, "{work:?} {stage:?}");
            assert_eq!(stage.dim, left, "{work:?} {stage:?}");
            assert!(
                stage.chunks * tile.span() >= stage.dim,
                "{work:?} {stage:?}"
            );
            assert!(
                (1..=limits.cubes.0).contains(&stage.cubes),
                "{work:?} {stage:?}"
            );
            let units = tile.units() * tile.lanes;
            assert!(units <= limits.units.min(UNITS), "{work:?} {stage:?}");
            assert!(
                tile.units().max(tile.lanes) <= limits.cube_dim.0,
                "{work:?} {stage:?}"
            );
            assert!(tile.span() > 1, "{work:?} {stage:?}");
            assert!(tile.plane_levels <= tile.levels, "{work:?} {stage:?}");
            assert!(
                1 << tile.plane_levels <= limits.plane && !(tile.columns && tile.plane_levels > 0),
                "{work:?} {stage:?}"
            );
            blocks += stage.block_count;
            left = stage.chunks;
        }
        assert_eq!((blocks, left), (work.dim - 1, 1), "{work:?}");
    }

    #[test]
    fn a_device_that_is_too_small_gets_no_launches() {
        let rotation = Work {
            dim: 768,
            inner: 1,
            count: 100,
            bytes: 4,
            task: Task::Rotate,
        };
        let derivative = Work {
            task: Task::Differentiate,
            ..rotation
        };
        let cores = Limits { units: 8, ..CUDA };
        let shared_bytes = 1024;
        let memory = Limits {
            shared_bytes,
            ..CUDA
        };
        // Fewer units than the cube that adds up the sums has.
        let units = Limits { units: 128, ..CUDA };
        let taken = |work, limits| stages(&work, &limits).is_some();
        for (limits, rotates) in [(CUDA, true), (cores, false), (memory, false), (units, true)] {
            assert_eq!(taken(rotation, limits), rotates, "{limits:?}");
        }
        for (limits, derives) in [
            (CUDA, true),
            (cores, false),
            (memory, false),
            (units, false),
        ] {
            assert_eq!(taken(derivative, limits), derives, "{limits:?}");
        }
    }
}
