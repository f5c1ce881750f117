//! Matrix products, in 32 bits by Burn or of numbers rounded to bfloat16.

use std::cell::OnceCell;

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

impl Arithmetic {
    pub(super) fn of(precision: TrainPrecision) -> Self {
        match precision {
            TrainPrecision::Fp32 => Self::Single,
            TrainPrecision::Bf16 => Self::Rounded(Engine::detect()),
        }
    }
}

/// A matrix `[rows, columns]` that takes part in products. What it is rounded and rearranged into is made when it is
/// first needed, and once.
pub(super) struct Operand<'a> {
    arithmetic: Arithmetic,
    tensor: &'a FlexTensor,
    left: OnceCell<Rows>,
    left_transposed: OnceCell<Rows>,
    right: OnceCell<Panels>,
}

impl<'a> Operand<'a> {
    pub(super) fn new(arithmetic: Arithmetic, tensor: &'a FlexTensor) -> Self {
        let (left, left_transposed, right) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { arithmetic, tensor, left, left_transposed, right }
    }

    fn columns(&self) -> usize {
        self.tensor.layout().shape()[1]
    }

    fn rows(&self) -> usize {
        self.tensor.layout().shape()[0]
    }

    fn right(&self, engine: Engine) -> &Panels {
        self.right.get_or_init(|| Panels::new(engine, values(self.tensor), self.columns()))
    }

    fn left(&self, engine: Engine) -> &Rows {
        self.left.get_or_init(|| Rows::new(engine, values(self.tensor), self.columns()))
    }

    /// `self · right`
    pub(super) fn times(&self, right: &Operand<'_>) -> FlexTensor {
        match self.arithmetic {
            Arithmetic::Single => Flex::float_matmul(self.tensor.clone(), right.tensor.clone()),
            Arithmetic::Rounded(engine) => {
                multiply(self.left(engine), right.right(engine), self.rows(), right.columns())
            }
        }
    }

    /// `self · rightᵀ`
    pub(super) fn times_transposed(&self, right: &Operand<'_>) -> FlexTensor {
        match self.arithmetic {
            Arithmetic::Single => Flex::float_matmul(self.tensor.clone(), right.tensor.transpose(0, 1)),
            Arithmetic::Rounded(engine) => {
                // Weights, of which one product a pass takes the transpose: nothing to keep.
                let panels = Panels::transposed(engine, values(right.tensor), right.columns());
                multiply(self.left(engine), &panels, self.rows(), right.rows())
            }
        }
    }

    /// `selfᵀ · right`
    pub(super) fn transposed_times(&self, right: &Operand<'_>) -> FlexTensor {
        match self.arithmetic {
            Arithmetic::Single => Flex::float_matmul(self.tensor.transpose(0, 1), right.tensor.clone()),
            Arithmetic::Rounded(engine) => {
                let left =
                    self.left_transposed.get_or_init(|| Rows::transposed(engine, values(self.tensor), self.columns()));
                multiply(left, right.right(engine), self.columns(), right.columns())
            }
        }
    }
}

fn multiply(left: &Rows, right: &Panels, rows: usize, columns: usize) -> FlexTensor {
    tensor(left.times(right), [rows, columns])
}
