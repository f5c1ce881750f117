//! The predictions that the model was least certain of: where a label teaches it most.

use wellformed_core::record::{Prediction, Record};

/// Predictions that are kept.
const SHOWN: usize = 15;

/// The predictions that the model was least certain of, each sentence once, in bounded memory.
#[derive(Debug, Default)]
pub struct LeastCertain(Vec<Prediction>);

impl LeastCertain {
    /// Looks at a record.
    pub fn see(&mut self, record: &Record) {
        let Record::Prediction(one) = record else { return };
        let least = self.0.last().map_or(0.0, |last| last.entropy);
        if self.0.len() >= SHOWN && one.entropy <= least {
            return;
        }
        let same = |other: &Prediction| one.text_hash.is_some() && other.text_hash == one.text_hash;
        if self.0.iter().any(same) {
            return;
        }
        let place = self.0.partition_point(|other| other.entropy >= one.entropy);
        self.0.insert(place, one.as_ref().clone());
        self.0.truncate(SHOWN);
    }

    /// Those found, the least certain first.
    pub fn predictions(&self) -> &[Prediction] {
        &self.0
    }
}
