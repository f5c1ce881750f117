//! Stage prepare
