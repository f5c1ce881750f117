//! Stage fetch
