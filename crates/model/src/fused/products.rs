//! Matrix products, in 32 bits by Burn or of numbers rounded to bfloat16.
//!
//! A product has two sides, and each is made ready by itself: what it is rounded and rearranged into takes part in as
//! many products as need it, and products that do not need one another run at once.

use burn::backend::Flex;
use burn_backend::ops::FloatTensorOps;
use burn_flex::FlexTensor;
use wellformed_core::params::TrainPrecision;
use wellformed_kernels::bf16::{Engine, Panels, Rows};

use super::{tensor, values};

/// What computes the products of one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// Burn's own, in 32 bits.
    Single,
    /// Of numbers rounded to bfloat16, added up in 32 bits.
    Rounded(Engine),
}

/// The left side of a product.
pub(super) enum Left {
    Single(FlexTensor),
    Rounded { rows: Rows, count: usize },
}

/// The right side of a product.
pub(super) enum Right {
    Single(FlexTensor),
    Rounded { panels: Panels, columns: usize },
}

impl Arithmetic {
    pub(super) fn of(precision: TrainPrecision) -> Self {
        match precision {
            TrainPrecision::Fp32 => Self::Single,
            TrainPrecision::Bf16 => Self::Rounded(Engine::detect()),
        }
    }

    /// A matrix on the left.
    pub(super) fn left(self, matrix: &FlexTensor) -> Left {
        let [count, depth] = dims(matrix);
        match self {
            Self::Single => Left::Single(matrix.clone()),
            Self::Rounded(engine) => Left::Rounded { rows: Rows::new(engine, values(matrix), depth), count },
        }
    }

    /// The transpose of a matrix on the left.
    pub(super) fn left_transposed(self, matrix: &FlexTensor) -> Left {
        let count = dims(matrix)[1];
        match self {
            Self::Single => Left::Single(matrix.transpose(0, 1)),
            Self::Rounded(engine) => Left::Rounded { rows: Rows::transposed(engine, values(matrix), count), count },
        }
    }

    /// A matrix on the right.
    pub(super) fn right(self, matrix: &FlexTensor) -> Right {
        let columns = dims(matrix)[1];
        match self {
            Self::Single => Right::Single(matrix.clone()),
            Self::Rounded(engine) => Right::Rounded { panels: Panels::new(engine, values(matrix), columns), columns },
        }
    }

    /// The transpose of a matrix on the right.
    pub(super) fn right_transposed(self, matrix: &FlexTensor) -> Right {
        let [columns, depth] = dims(matrix);
        match self {
            Self::Single => Right::Single(matrix.transpose(0, 1)),
            Self::Rounded(engine) => {
                Right::Rounded { panels: Panels::transposed(engine, values(matrix), depth), columns }
            }
        }
    }

    /// `input · weights`, the product of a linear layer.
    pub(super) fn linear(self, input: &FlexTensor, weights: &FlexTensor) -> FlexTensor {
        let (left, right) = rayon::join(|| self.left(input), || self.right(weights));
        left.times(&right)
    }

    /// The gradients of a linear layer by its weights, where they are `wanted`, and by its input.
    pub(super) fn linear_backward(
        self,
        input: &FlexTensor,
        gradient: &FlexTensor,
        weights: &FlexTensor,
        wanted: bool,
    ) -> (Option<FlexTensor>, FlexTensor) {
        let by_weights = || {
            let (left, right) = rayon::join(|| self.left_transposed(input), || self.right(gradient));
            left.times(&right)
        };
        rayon::join(|| wanted.then(by_weights), || self.by_input(gradient, weights))
    }

    /// The gradient of a linear layer by its input.
    pub(super) fn by_input(self, gradient: &FlexTensor, weights: &FlexTensor) -> FlexTensor {
        let (left, right) = rayon::join(|| self.left(gradient), || self.right_transposed(weights));
        left.times(&right)
    }
}

impl Left {
    /// # Panics
    ///
    /// When the other side was made ready for another arithmetic, or the depths differ.
    pub(super) fn times(&self, right: &Right) -> FlexTensor {
        match (self, right) {
            (Self::Single(left), Right::Single(right)) => Flex::float_matmul(left.clone(), right.clone()),
            (Self::Rounded { rows, count }, Right::Rounded { panels, columns }) => {
                tensor(rows.times(panels), [*count, *columns])
            }
            _ => unreachable!("both sides of a product are of one pass, which has one arithmetic"),
        }
    }
}

/// Rows and columns.
fn dims(matrix: &FlexTensor) -> [usize; 2] {
    let shape = matrix.layout().shape();
    [shape[0], shape[1]]
}
