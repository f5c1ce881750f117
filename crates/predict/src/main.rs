//! The binary `predict`.

fn main() {}
