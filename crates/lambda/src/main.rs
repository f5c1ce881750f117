//! The binary `bootstrap`.

fn main() {}
