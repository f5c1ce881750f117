//! Under construction.

pub mod native;
