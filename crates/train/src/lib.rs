//! Stage train
