//! Stage prepare: checks, tokenises and splits the corpus.
