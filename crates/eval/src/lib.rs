//! Stage eval: everything that is said about a checkpoint.
