//! The panels of the dashboard, from top to bottom: how much, what was said, how sure, how fast, what went wrong, what
//! came in, whether it drifts, and the sentences to look at.

use crate::field::{Field, record, verdict};
use crate::filter::Filter;
use crate::panel::{Chart, Measure, Panel, Place, Shape, Source, Split, Statistic};

/// What the dashboard is called.
pub const TITLE: &str = "Wellformed: predictions and drift";

/// The verdicts, from best to worst.
const VERDICTS: [(&str, &str); 4] =
    [("ok", "ok"), ("not enough data", "insufficient_data"), ("warning", "warn"), ("alert", "alert")];

fn predictions() -> Filter {
    Filter::Is(record::TYPE, "prediction")
}

fn problems() -> Filter {
    Filter::Is(record::TYPE, "problem")
}

fn count(label: &'static str) -> Measure {
    Measure { statistic: Statistic::Count, label, decimals: 0 }
}

fn average(field: Field, label: &'static str, decimals: u8) -> Measure {
    Measure { statistic: Statistic::Average(field), label, decimals }
}

fn percentile(field: Field, percent: f64, label: &'static str, decimals: u8) -> Measure {
    Measure { statistic: Statistic::Percentile(field, percent), label, decimals }
}

fn by(field: Field, label: &'static str, size: u32) -> Split {
    Split::Values { field, label, size }
}

/// Places panels from left to right, row by row.
struct Layout {
    x: u32,
    y: u32,
    height: u32,
}

impl Layout {
    /// A new row of this height, below the last.
    fn row(&mut self, height: u32) {
        *self = Self { x: 0, y: self.y + self.height, height };
    }

    /// The next columns of the row.
    fn next(&mut self, width: u32) -> Place {
        let place = Place { x: self.x, y: self.y, width, height: self.height };
        self.x += width;
        place
    }
}

/// The panels of the dashboard.
pub fn panels() -> Vec<Panel> {
    use Source::{Records, Verdicts};

    let mut panels = Vec::new();
    let mut layout = Layout { x: 0, y: 0, height: 0 };
    let mut add = |id, title, description, source, filter, chart, place| {
        panels.push(Panel { id, title, description, source, filter, chart, place });
    };
    layout.row(6);
    add(
        "predictions",
        "Predictions",
        "Sentences that were judged.",
        Records,
        predictions(),
        Chart::Number(count("Predictions")),
        layout.next(8),
    );
    add(
        "problems",
        "Problems",
        "Requests that were refused or failed. Their kinds are further below.",
        Records,
        problems(),
        Chart::Number(count("Problems")),
        layout.next(8),
    );
    add(
        "mean-entropy",
        "Mean entropy",
        "How unsure the model is on average: 0 bits is certain, 1 bit is a coin toss.",
        Records,
        predictions(),
        Chart::Number(average(record::ENTROPY, "Mean entropy (bits)", 3)),
        layout.next(8),
    );
    add(
        "latency-p95",
        "Latency, 95th percentile",
        "Nineteen of twenty sentences were answered within this time, counted from the start of their request.",
        Records,
        predictions(),
        Chart::Number(percentile(record::TOTAL_MS, 95.0, "95th percentile (ms)", 1)),
        layout.next(8),
    );
    add(
        "bundles",
        "Bundles",
        "Different models that answered. More than one is normal during a release only.",
        Records,
        predictions(),
        Chart::Number(Measure { statistic: Statistic::Distinct(record::BUNDLE), label: "Bundles", decimals: 0 }),
        layout.next(8),
    );
    add(
        "drift-alerts",
        "Drift alerts",
        "Verdicts `alert` of the drift monitor.",
        Verdicts,
        Filter::Is(verdict::VERDICT, "alert"),
        Chart::Number(count("Drift alerts")),
        layout.next(8),
    );

    layout.row(11);
    add(
        "volume",
        "Volume",
        "Predictions by service.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![count("Predictions")],
            split: Some(by(record::SERVICE, "Service", 10)),
            shape: Shape::Bars,
        },
        layout.next(24),
    );
    add(
        "label-share",
        "Decisions",
        "The share of each label. A lasting shift means that other sentences come in, or that the model changed.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![count("Predictions")],
            split: Some(by(record::LABEL, "Label", 5)),
            shape: Shape::Shares,
        },
        layout.next(24),
    );

    layout.row(11);
    add(
        "confidence",
        "Probability of acceptable",
        "A calibrated model that meets what it knows has most of its mass at both ends.",
        Records,
        predictions(),
        Chart::Histogram { field: record::P_ACCEPTABLE, bins: 20, split: Some(by(record::LABEL, "Label", 5)) },
        layout.next(16),
    );
    add(
        "entropy-histogram",
        "Entropy",
        "In bits. Mass that moves to the right is uncertainty, often the first sign of drift.",
        Records,
        predictions(),
        Chart::Histogram { field: record::ENTROPY, bins: 20, split: None },
        layout.next(16),
    );
    add(
        "entropy",
        "Entropy over time",
        "In bits: the mean, and the value that one in twenty predictions exceeds.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![
                average(record::ENTROPY, "Mean", 3),
                percentile(record::ENTROPY, 95.0, "95th percentile", 3),
            ],
            split: None,
            shape: Shape::Lines,
        },
        layout.next(16),
    );

    layout.row(11);
    add(
        "latency",
        "Latency (ms)",
        "From the start of the request to the record.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![
                percentile(record::TOTAL_MS, 50.0, "50th percentile", 1),
                percentile(record::TOTAL_MS, 95.0, "95th percentile", 1),
                percentile(record::TOTAL_MS, 99.0, "99th percentile", 1),
            ],
            split: None,
            shape: Shape::Lines,
        },
        layout.next(12),
    );
    add(
        "latency-parts",
        "Where the time goes (ms)",
        "Means. The rest of the latency is waiting and the other sentences of the request.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![
                average(record::TOKENIZATION_MS, "Tokenization", 3),
                average(record::INFERENCE_MS, "Inference", 3),
            ],
            split: None,
            shape: Shape::Lines,
        },
        layout.next(12),
    );
    add(
        "cold-starts",
        "Cold starts",
        "Requests that were the first of their process.",
        Records,
        Filter::All(vec![predictions(), Filter::Flag(record::COLD_START, true)]),
        Chart::Course {
            measures: vec![Measure {
                statistic: Statistic::Distinct(record::REQUEST_ID),
                label: "Requests",
                decimals: 0,
            }],
            split: Some(by(record::SERVICE, "Service", 10)),
            shape: Shape::Bars,
        },
        layout.next(12),
    );
    add(
        "start-time",
        "Time to start (ms)",
        "From the start of `main` until the model is ready.",
        Records,
        Filter::Is(record::TYPE, "start"),
        Chart::Course {
            measures: vec![
                average(record::INIT_MS, "Mean", 0),
                Measure { statistic: Statistic::Maximum(record::INIT_MS), label: "Longest", decimals: 0 },
            ],
            split: None,
            shape: Shape::Lines,
        },
        layout.next(12),
    );

    layout.row(11);
    add(
        "problems-by-code",
        "Problems by code",
        "Which errors, and when.",
        Records,
        problems(),
        Chart::Course {
            measures: vec![count("Problems")],
            split: Some(by(record::CODE, "Code", 30)),
            shape: Shape::Bars,
        },
        layout.next(20),
    );
    add(
        "problem-share",
        "Answered, refused, failed",
        "Refused: the caller was wrong. Failed: the service was; anything above zero deserves a look.",
        Records,
        Filter::OneOf(record::TYPE, &["prediction", "problem"]),
        Chart::Course {
            measures: vec![count("Records")],
            split: Some(Split::Conditions {
                label: "Outcome",
                parts: vec![
                    ("answered", predictions()),
                    ("refused", Filter::All(vec![problems(), Filter::Is(record::LEVEL, "WARN")])),
                    ("failed", Filter::All(vec![problems(), Filter::Is(record::LEVEL, "ERROR")])),
                ],
            }),
            shape: Shape::Shares,
        },
        layout.next(14),
    );
    add(
        "problem-table",
        "Kinds of problems",
        "By code and channel.",
        Records,
        problems(),
        Chart::Table {
            rows: vec![by(record::CODE, "Code", 30), by(record::CHANNEL, "Channel", 10)],
            measures: vec![
                count("Problems"),
                Measure { statistic: Statistic::Distinct(record::REQUEST_ID), label: "Requests", decimals: 0 },
            ],
        },
        layout.next(14),
    );

    layout.row(11);
    add(
        "truncated",
        "Truncated sentences",
        "The share of sentences that are longer than the model takes, and were cut.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![count("Predictions")],
            split: Some(Split::Conditions {
                label: "Length",
                parts: vec![
                    ("whole", Filter::Flag(record::TRUNCATED, false)),
                    ("truncated", Filter::Flag(record::TRUNCATED, true)),
                ],
            }),
            shape: Shape::Shares,
        },
        layout.next(12),
    );
    add(
        "unknown-tokens",
        "Unknown tokens",
        "The share of sentences with a token that the vocabulary does not have: emoji, other scripts, another tokenizer.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![count("Predictions")],
            split: Some(Split::Conditions {
                label: "Tokens",
                parts: vec![
                    ("all known", Filter::AtMost(record::UNKNOWN_TOKENS, 0.0)),
                    ("some unknown", Filter::Above(record::UNKNOWN_TOKENS, 0.0)),
                ],
            }),
            shape: Shape::Shares,
        },
        layout.next(12),
    );
    add(
        "tokens",
        "Tokens per sentence",
        "As the model saw them, `[CLS]` and `[SEP]` included.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![
                percentile(record::TOKENS, 50.0, "50th percentile", 0),
                percentile(record::TOKENS, 95.0, "95th percentile", 0),
                Measure { statistic: Statistic::Maximum(record::TOKENS), label: "Longest", decimals: 0 },
            ],
            split: None,
            shape: Shape::Lines,
        },
        layout.next(12),
    );
    add(
        "non-ascii",
        "Characters outside ASCII",
        "The mean share of a sentence's characters, from 0 to 1. English prose is near zero.",
        Records,
        predictions(),
        Chart::Course {
            measures: vec![average(record::NON_ASCII_SHARE, "Mean share", 4)],
            split: None,
            shape: Shape::Lines,
        },
        layout.next(12),
    );

    layout.row(11);
    add(
        "drift-verdicts",
        "Drift verdicts",
        "What the drift monitor concluded of each window.",
        Verdicts,
        Filter::Everything,
        Chart::Course {
            measures: vec![count("Verdicts")],
            split: Some(Split::Conditions {
                label: "Verdict",
                parts: VERDICTS.iter().map(|(name, word)| (*name, Filter::Is(verdict::VERDICT, word))).collect(),
            }),
            shape: Shape::Bars,
        },
        layout.next(16),
    );
    add(
        "drifting-signals",
        "Signals that drift",
        "How many verdicts name each signal, as a warning or an alert.",
        Verdicts,
        Filter::OneOf(verdict::VERDICT, &["warn", "alert"]),
        Chart::Table {
            rows: vec![by(verdict::FINDING_SIGNAL, "Signal", 30)],
            measures: vec![
                count("Verdicts"),
                Measure { statistic: Statistic::Maximum(verdict::RECORDS), label: "Largest window", decimals: 0 },
            ],
        },
        layout.next(16),
    );
    add(
        "estimated-mcc",
        "Estimated MCC",
        "Matthews correlation coefficient as estimated from the calibrated probabilities, without labels, and its \
         interval.",
        Verdicts,
        Filter::Everything,
        Chart::Course {
            measures: vec![
                average(verdict::ESTIMATED_MCC, "Estimate", 3),
                average(verdict::ESTIMATED_MCC_LOW, "Lower end", 3),
                average(verdict::ESTIMATED_MCC_HIGH, "Upper end", 3),
            ],
            split: None,
            shape: Shape::Lines,
        },
        layout.next(16),
    );

    layout.row(10);
    add(
        "latest-verdicts",
        "Latest verdicts",
        "The newest first, with the signals that drift and the reasons.",
        Verdicts,
        Filter::Everything,
        Chart::Documents {
            columns: vec![
                verdict::VERDICT,
                verdict::WINDOW_START,
                verdict::WINDOW_END,
                verdict::RECORDS,
                verdict::FINDING_SIGNAL,
                verdict::FINDING_REASON,
                verdict::BUNDLE,
            ],
            by: verdict::TIMESTAMP,
            descending: true,
        },
        layout.next(48),
    );

    layout.row(16);
    add(
        "least-certain",
        "Least certain predictions",
        "Those with the highest entropy: what a person should label first. The sentence itself is recorded only where \
         that was switched on; otherwise its hash tells repetitions.",
        Records,
        predictions(),
        Chart::Documents {
            columns: vec![
                record::LABEL,
                record::P_ACCEPTABLE,
                record::ENTROPY,
                record::TOKENS,
                record::UNKNOWN_TOKENS,
                record::TRUNCATED,
                record::TEXT,
                record::TEXT_HASH,
                record::REQUEST_ID,
                record::INDEX,
                record::SERVICE,
            ],
            by: record::ENTROPY,
            descending: true,
        },
        layout.next(48),
    );
    panels
}
