//! The last records, and the verdict on them.
//!
//! They are kept one by one and not as running sums: some thousand records are a few megabytes, counting them anew
//! takes milliseconds, and the window is at every moment exactly the last so many, as for `monitor check --last`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use anyhow::Result;
use wellformed_core::label::Label;
use wellformed_core::record::{Record, Timestamp};
use wellformed_verdict::{Facts, Judge, LeastCertain, Names, Step, Verdict, observation, page};

/// Bytes of a sentence that are kept, where sentences are kept at all: a request may bring a very long one.
const LONGEST_TEXT: usize = 400;

/// Lengths of the pieces of a timeline, in seconds.
const STEPS: [i64; 11] = [1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600];

/// Pieces of a timeline at most, if days are not too short.
const MOST_PIECES: i64 = 60;

/// The last records.
pub(super) struct Recent {
    most: usize,
    records: VecDeque<Record>,
    seen: u64,
}

/// Cuts what has no bound of its own.
pub(super) fn shorten(record: &mut Record) {
    let Record::Prediction(one) = record else { return };
    if let Some(text) = one.text.as_mut().filter(|text| text.len() > LONGEST_TEXT) {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.push('…');
        text.shrink_to_fit();
    }
}

impl Recent {
    /// Of so many records at most.
    pub(super) fn new(most: usize) -> Self {
        Self { most, records: VecDeque::new(), seen: 0 }
    }

    /// Adds a record, and forgets the oldest if there are too many. A start is none to judge.
    pub(super) fn take(&mut self, record: Record) {
        if matches!(record, Record::Start(_)) || self.most == 0 {
            return;
        }
        if self.records.len() == self.most {
            self.records.pop_front();
        }
        self.records.push_back(record);
        self.seen += 1;
    }

    /// Records that are kept.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Records that have come so far.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// The verdict, the page, and the report as JSON. `lost` is how many records could not be taken, and `home` what
    /// the page leads back to.
    ///
    /// # Errors
    ///
    /// When a sketch refuses an operation, which none should.
    pub(super) fn judge(&self, judge: &mut Judge, lost: u64, home: &'static str) -> Result<(Verdict, String, Vec<u8>)> {
        let mut window = judge.window()?;
        let (mut names, mut least_certain) = (Names::default(), LeastCertain::default());
        for record in &self.records {
            least_certain.see(record);
            if let Some(observation) = observation(record, &mut names) {
                window.take(&observation);
            }
        }
        let report = judge.check(&window)?;
        let mut records = format!("the last {} of {} since the server started", self.len(), self.seen + lost);
        if lost > 0 {
            // Writing to a String cannot fail.
            let _ = write!(records, ", {lost} lost because too many came at once");
        }
        let (steps, step_ms) = timeline(&self.records);
        let facts = Facts {
            made: Timestamp::now(),
            bundle: judge.digest(),
            source: judge.profile().source(),
            settings: judge.settings(),
            timeline: (&steps, step_ms),
            distinct: window.distinct(),
            least_certain: least_certain.predictions(),
            records: &records,
            home: Some(home),
        };
        Ok((report.verdict, page(&report, &facts), serde_json::to_vec(&report)?))
    }
}

/// Pieces by their start, and how long a piece is, in milliseconds. A busy server's window is of seconds, a quiet one's
/// of weeks, so the length is chosen by it.
fn timeline(records: &VecDeque<Record>) -> (BTreeMap<i64, Step>, i64) {
    let time = |record: &Record| i64::try_from(record.timestamp().unix_millis()).unwrap_or(i64::MAX);
    let times = || records.iter().map(time);
    let span = times().max().unwrap_or(0) - times().min().unwrap_or(0);
    let fits = |seconds: &&i64| span / (1000 * **seconds) < MOST_PIECES;
    let step_ms = 1000 * STEPS.iter().find(fits).unwrap_or(&STEPS[STEPS.len() - 1]);
    let mut steps: BTreeMap<i64, Step> = BTreeMap::new();
    for record in records {
        let step = steps.entry(time(record).div_euclid(step_ms) * step_ms).or_default();
        match record {
            Record::Prediction(one) => {
                step.predictions += 1;
                step.acceptable += u64::from(one.label == Label::Acceptable);
                step.p_sum += one.p_acceptable;
            }
            Record::Problem(_) => step.problems += 1,
            Record::Start(_) => {}
        }
    }
    (steps, step_ms)
}
