//! For people: a line a row.

use std::fmt::Write as _;

use anyhow::Result;
use wellformed_infer::Label;

use super::{Encoder, chart};
use crate::pipeline::Answered;
use crate::verdict::Verdict;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// Verdict, its probability, sentence, notes; and below it the words that weigh, if they were asked for.
pub struct Text {
    sentence: bool,
    colour: bool,
}

impl Text {
    /// With the sentences or without, with colour or without.
    pub fn new(sentence: bool, colour: bool) -> Self {
        Self { sentence, colour }
    }

    fn painted(&self, text: &str, colour: &str) -> String {
        if self.colour { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }

    fn row(&self, sentence: &str, verdict: &Result<Verdict, String>) -> String {
        let (word, colour, probability, notes) = match verdict {
            Err(problem) => ("error", YELLOW, String::new(), problem.clone()),
            Ok(verdict) => {
                let prediction = &verdict.prediction;
                let colour = if prediction.label == Label::Acceptable { GREEN } else { RED };
                let percent = 100.0 * prediction.probabilities[prediction.label.index()];
                (prediction.label.name(), colour, format!("{percent:.1} %"), notes(verdict))
            }
        };
        let mut line = format!("{} {probability:>8}", self.painted(&format!("{word:<12}"), colour));
        if self.sentence && !sentence.is_empty() {
            line += "  ";
            line += &printable(sentence);
        }
        if !notes.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(line, "  ({})", printable(&notes));
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        if let Ok(verdict) = verdict
            && !verdict.words.is_empty()
        {
            line +=
                &chart::words(&verdict.words, |bar, weight| self.painted(bar, if weight < 0.0 { RED } else { GREEN }));
        }
        line
    }
}

impl Encoder for Text {
    fn encode(&mut self, answered: &Answered, bytes: &mut Vec<u8>) -> Result<()> {
        for (sentence, verdict) in answered.chunk.sentences.iter().zip(&answered.verdicts) {
            bytes.extend_from_slice(self.row(sentence.unwrap_or_default(), verdict).as_bytes());
        }
        Ok(())
    }

    fn finish(&mut self, _bytes: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

fn notes(verdict: &Verdict) -> String {
    let prediction = &verdict.prediction;
    let mut notes = Vec::new();
    if prediction.truncated {
        notes.push(format!("cut: only the first {} tokens were read", prediction.tokens));
    }
    match prediction.unknown_tokens {
        0 => {}
        1 => notes.push("1 unknown token".to_owned()),
        count => notes.push(format!("{count} unknown tokens")),
    }
    notes.join("; ")
}

/// A row is one line, and nothing in a sentence steers the terminal: control characters are written as escapes.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { printable.extend(c.escape_default()) } else { printable.push(c) }
    }
    printable
}
