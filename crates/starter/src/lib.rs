//! An acceptability corpus that the project generates itself: a grammar, a lexicon, minimal pairs.
