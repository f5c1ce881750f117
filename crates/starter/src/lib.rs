//! Stage starter
