//! Stage train: the base model fine-tuned; the best epoch on tune.
