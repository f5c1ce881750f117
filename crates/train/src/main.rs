//! The binary of the stage `train`.

fn main() {}
