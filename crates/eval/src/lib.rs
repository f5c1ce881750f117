//! Stage eval
