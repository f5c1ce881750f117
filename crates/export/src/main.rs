//! The binary `export`.

fn main() {}
