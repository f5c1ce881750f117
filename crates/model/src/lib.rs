//! The BERT encoder and classifier in Burn: weights in, logits out
