//! An acceptability corpus that the project generates itself: a grammar, a lexicon, minimal pairs.
//!
//! Every pair is one sentence that speakers of English accept and one that they do not; the two differ in just the
//! [`Phenomenon`]. The content words of the validation part do not occur in the training part. The same seed and sizes
//! give the same corpus, and the validation part does not depend on the size of the training part.
//!
//! | module | what is in it |
//! |---|---|
//! | `lexicon` | the content words, by what they mean and what they need, and their two halves |
//! | `morphology` | spelling: the forms of regular words, `a` and `an` |
//! | `grammar` | phrases drawn at random: noun phrases, verb phrases, places |
//! | `phenomena` | a module per phenomenon: which pairs there are |
//! | `corpus` | as many new pairs of each as were asked for |
//! | `constructions` | besides: pairs of some thousand constructions, from templates |

mod constructions;
mod corpus;
mod error;
mod grammar;
mod lexicon;
mod morphology;
mod phenomena;

pub use constructions::{Contrast, contrasts};
pub use corpus::{Corpus, Item, Sizes, generate};
pub use error::StarterError;
pub use phenomena::Phenomenon;
