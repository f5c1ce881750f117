//! The binary of the stage `eval`.

fn main() {}
