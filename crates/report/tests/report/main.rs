//! Reports: numbers against scikit-learn, scipy and statsmodels, Markdown against golden files, pages against what a
//! browser and a reader without eyes need.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod binary;
mod browser;
mod card;
mod comparison;
mod numbers;
mod pages;
mod support;
mod sweeps;
