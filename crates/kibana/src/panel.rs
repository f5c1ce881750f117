//! What a panel shows, independent of the program that draws it.

use crate::field::Field;
use crate::filter::Filter;

/// Which documents a panel is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// What the services wrote: predictions, problems, starts.
    Records,
    /// What the drift monitor concluded.
    Verdicts,
}

impl Source {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Records, Self::Verdicts];

    /// The indices that are searched.
    pub fn indices(self) -> &'static str {
        match self {
            Self::Records => "wellformed-records-*",
            Self::Verdicts => "wellformed-verdicts*",
        }
    }

    /// The id of the data view (in OpenSearch Dashboards: index pattern).
    pub fn data_view(self) -> &'static str {
        match self {
            Self::Records => "wellformed-records",
            Self::Verdicts => "wellformed-verdicts",
        }
    }

    /// What people read where a data view is chosen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Records => "Wellformed: prediction records",
            Self::Verdicts => "Wellformed: drift verdicts",
        }
    }

    /// The field with the time.
    pub fn time(self) -> Field {
        match self {
            Self::Records => crate::field::record::TIMESTAMP,
            Self::Verdicts => crate::field::verdict::TIMESTAMP,
        }
    }
}

/// What is computed of the documents in a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// How many there are.
    Count,
    /// The mean of a number.
    Average(Field),
    /// The largest value of a number.
    Maximum(Field),
    /// The value that this share of the numbers, in percent, does not exceed (approximately: t-digest).
    Percentile(Field, f64),
    /// How many different values there are (approximately, above some thousands: `HyperLogLog++`).
    Distinct(Field),
}

impl Statistic {
    /// The field, if there is one.
    pub fn field(self) -> Option<Field> {
        match self {
            Self::Count => None,
            Self::Average(field) | Self::Maximum(field) | Self::Percentile(field, _) | Self::Distinct(field) => {
                Some(field)
            }
        }
    }
}

/// A statistic with the name that people read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// What is computed.
    pub statistic: Statistic,
    /// What it is called; with its unit.
    pub label: &'static str,
    /// Digits behind the point.
    pub decimals: u8,
}

/// How documents are divided.
#[derive(Debug, Clone, PartialEq)]
pub enum Split {
    /// By the values of a field, the most frequent ones.
    Values {
        /// The field.
        field: Field,
        /// What the division is called.
        label: &'static str,
        /// At most this many values.
        size: u32,
    },
    /// By conditions, each with a name.
    Conditions {
        /// What the division is called.
        label: &'static str,
        /// Name and condition.
        parts: Vec<(&'static str, Filter)>,
    },
}

impl Split {
    /// What the division is called.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Values { label, .. } | Self::Conditions { label, .. } => label,
        }
    }
}

/// How a course over time is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line for each measure or part.
    Lines,
    /// Bars on top of one another.
    Bars,
    /// Areas that fill 100 %.
    Shares,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// One large number.
    Number(Measure),
    /// A course over time.
    Course {
        /// What is drawn of each moment.
        measures: Vec<Measure>,
        /// Into what each moment is divided; then there is one measure.
        split: Option<Split>,
        /// How.
        shape: Shape,
    },
    /// How many documents have a number in each of equal ranges, from 0 to 1. The last range includes 1.
    Histogram {
        /// The number.
        field: Field,
        /// How many ranges.
        bins: u32,
        /// Into what each bar is divided.
        split: Option<Split>,
    },
    /// A table: a row for each part.
    Table {
        /// What the rows are; outer before inner.
        rows: Vec<Split>,
        /// The further columns.
        measures: Vec<Measure>,
    },
    /// The documents themselves.
    Documents {
        /// The columns beside the time.
        columns: Vec<Field>,
        /// The order.
        by: Field,
        /// Whether the largest comes first.
        descending: bool,
    },
}

impl Chart {
    /// The measures; a histogram counts, documents have none.
    pub fn measures(&self) -> Vec<Measure> {
        match self {
            Self::Number(measure) => vec![*measure],
            Self::Course { measures, .. } | Self::Table { measures, .. } => measures.clone(),
            Self::Histogram { .. } => vec![Measure { statistic: Statistic::Count, label: "Records", decimals: 0 }],
            Self::Documents { .. } => Vec::new(),
        }
    }

    /// Whether groups come in the order of their size, the largest first; otherwise in that of the alphabet.
    pub(crate) fn largest_group_first(&self) -> bool {
        self.measures().first().is_some_and(|measure| measure.statistic == Statistic::Count)
    }
}

/// Where a panel lies on the grid of 48 columns; a row is 20 pixels high.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The first column, from 0.
    pub x: u32,
    /// The first row, from 0.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// One panel of the dashboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// A short name, unique among the panels: lower-case words and hyphens.
    pub id: &'static str,
    /// What people read above it.
    pub title: &'static str,
    /// What it tells, and when to worry.
    pub description: &'static str,
    /// Which documents.
    pub source: Source,
    /// Which of them.
    pub filter: Filter,
    /// What is drawn.
    pub chart: Chart,
    /// Where.
    pub place: Place,
}

/// The lower bounds of equal ranges from 0 to 1.
pub(crate) fn bins(count: u32) -> impl Iterator<Item = (f64, Option<f64>)> {
    let edge = move |index: u32| f64::from(index) / f64::from(count);
    // The upper bound of a range is not in it, so the last range has none: otherwise it would lack 1.
    (0..count).map(move |index| (edge(index), (index + 1 < count).then(|| edge(index + 1))))
}
