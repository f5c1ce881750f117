//! Sentences on their way through the model, and the order in which they go.

/// Token ids of a few sentences, packed one after the other without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids of all sentences; `tokens` in all.
    pub ids: Vec<i32>,
    /// Where each sentence starts, and the end of the last: `sentences + 1` numbers.
    pub offsets: Vec<usize>,
}

impl Batch {
    /// Packs sentences. A sentence must not be empty.
    pub fn new<'a>(sentences: impl IntoIterator<Item = &'a [i32]>) -> Self {
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        for sentence in sentences {
            ids.extend_from_slice(sentence);
            offsets.push(ids.len());
        }
        Self { ids, offsets }
    }

    /// How many sentences.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no sentence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tokens, padding not counted.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Tokens of the longest sentence.
    pub fn longest(&self) -> usize {
        self.lengths().max().unwrap_or(0)
    }

    /// Tokens of each sentence.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0])
    }

    /// Token ids and attention mask as rectangles of `[sentences, width]`, row by row, padded with `pad`.
    pub fn padded(&self, width: usize, pad: i32) -> (Vec<i32>, Vec<bool>) {
        let mut ids = vec![pad; self.len() * width];
        let mut is_padding = vec![true; self.len() * width];
        for (row, pair) in self.offsets.windows(2).enumerate() {
            let sentence = &self.ids[pair[0]..pair[1]];
            let start = row * width;
            ids[start..start + sentence.len()].copy_from_slice(sentence);
            is_padding[start..start + sentence.len()].fill(false);
        }
        (ids, is_padding)
    }
}

/// Sentence indices in batches of like length, for inference: sorted by length, then cut.
pub fn by_length(lengths: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| (lengths[index], index));
    order.chunks(batch_size.max(1)).map(<[usize]>::to_vec).collect()
}
