//! The binary `serve`.

fn main() {}
