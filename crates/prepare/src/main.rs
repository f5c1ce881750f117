//! The binary of the stage `prepare`.

fn main() {}
