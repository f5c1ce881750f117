//! The inner loops of inference and of training in mixed precision, in the instructions that the processor has.
//!
//! | module | what it computes |
//! |---|---|
//! | [`isa`] | which instructions there are, found out once at run time |
//! | [`f32`](mod@f32) | rows times a packed matrix of 32-bit floating point |
//! | [`i8`](mod@i8) | rows quantised to 8 bits, and those times a packed 8-bit matrix |
//! | `bf16` | products of numbers rounded to bfloat16, for training (feature `training`) |
//! | [`vector`] | layer norm, activations, attention |
//! | `tiles` | AMX, for `i8` and `bf16` |
//! | [`mapped`] | a file as bytes, without reading it |
//! | `memory` | the allocator's memory, for training (feature `training`) |
//! | `written` | results that are written without being cleared before (feature `training`) |
//!
//! This is the only crate of the project with unsafe code, and its interface is safe: slices are checked before a
//! pointer is made of them, and an [`Isa`] can only be had for instructions that the processor was asked for.
//!
//! Every row of a product is computed in the same order whatever other rows there are, so a row's result does not
//! depend on its batch, to the last bit. Between processors the last bits differ, because fused multiply-add rounds
//! once and other instructions twice.

mod aligned;
#[cfg(feature = "training")]
pub mod bf16;
pub mod f32;
pub mod i8;
pub mod isa;
mod lanes;
pub mod mapped;
#[cfg(feature = "training")]
pub mod memory;
#[cfg(feature = "training")]
mod reuse;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
pub mod vector;
#[cfg(feature = "training")]
pub mod written;

pub use isa::Isa;

/// Columns that one panel of a packed matrix holds.
pub(crate) const PANEL: usize = 32;

/// Rows of one tile: as many as the registers take.
pub(crate) const ROWS: usize = 12;

/// Splits `rows` into tiles of at most [`ROWS`], as even as can be: two tiles of 7 are faster than 12 and 2.
fn tiles(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = rows.div_ceil(ROWS).max(1);
    (0..count).map(move |tile| (tile * rows / count, (tile + 1) * rows / count)).filter(|(from, to)| from < to)
}

/// Calls `tile(first row, rows, output, stride)` for every tile of a panel, with the part of the row-major
/// `[rows, columns]` `output` that begins at the tile. A panel that is not full goes through a place of its own, which
/// holds `empty` before. What `tile` writes of each row are [`PANEL`] columns.
pub(crate) fn each_tile<T: Copy>(
    rows: usize,
    panel: usize,
    columns: usize,
    output: &mut [T],
    empty: T,
    tile: impl Fn(usize, usize, &mut [T], usize),
) {
    let first = panel * PANEL;
    let width = PANEL.min(columns - first);
    for (from, to) in tiles(rows) {
        if width == PANEL {
            let end = (to - 1) * columns + first + PANEL;
            tile(from, to - from, &mut output[from * columns + first..end], columns);
        } else {
            let mut whole = [empty; ROWS * PANEL];
            tile(from, to - from, &mut whole, PANEL);
            for (row, values) in whole.chunks_exact(PANEL).take(to - from).enumerate() {
                output[(from + row) * columns + first..][..width].copy_from_slice(&values[..width]);
            }
        }
    }
}

/// Calls a function whose constant parameter is the number of rows of a tile, 1 to [`ROWS`].
#[cfg(target_arch = "x86_64")]
macro_rules! with_rows {
    ($rows:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $rows {
            1 => $function::<1>($($argument),*),
            2 => $function::<2>($($argument),*),
            3 => $function::<3>($($argument),*),
            4 => $function::<4>($($argument),*),
            5 => $function::<5>($($argument),*),
            6 => $function::<6>($($argument),*),
            7 => $function::<7>($($argument),*),
            8 => $function::<8>($($argument),*),
            9 => $function::<9>($($argument),*),
            10 => $function::<10>($($argument),*),
            11 => $function::<11>($($argument),*),
            _ => $function::<12>($($argument),*),
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use with_rows;
