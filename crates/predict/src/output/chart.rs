//! The words that weigh, as bars.

use std::fmt::Write as _;

use wellformed_infer::Word;

use super::text::printable;

/// Characters of the longest bar.
const LONGEST: usize = 20;
/// Characters of the longest word; longer ones are cut.
const WORD: usize = 24;
/// The weight that the longest bar stands for, at least, so that nothing looks like much.
const SCALE: f64 = 0.1;

/// A line a word: bars to the left speak against the sentence, bars to the right for it. `paint` colours a bar.
pub(super) fn words(words: &[Word], paint: impl Fn(&str, f64) -> String) -> String {
    let texts: Vec<String> = words.iter().map(|word| shortened(&printable(&word.text))).collect();
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or_default();
    let scale = words.iter().map(|word| word.weight.abs()).fold(SCALE, f64::max);
    let mut chart = format!("  {:width$}  {:>LONGEST$} | for\n", "", "against");
    for (word, text) in words.iter().zip(&texts) {
        let length = (LONGEST as f64 * word.weight.abs() / scale).round() as usize;
        let bar = paint(&"█".repeat(length), word.weight);
        let space = " ".repeat(LONGEST - length);
        let bars = if word.weight < 0.0 {
            format!("{space}{bar} | {}", " ".repeat(LONGEST))
        } else {
            format!("{} | {bar}{space}", " ".repeat(LONGEST))
        };
        // So that nothing is written as minus nothing.
        let weight = if word.weight.abs() < 0.0005 { 0.0 } else { word.weight };
        // Writing to a String cannot fail.
        let _ = writeln!(chart, "  {text:width$}  {bars}  {weight:+.3}");
    }
    chart.push('\n');
    chart
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= WORD { text.to_owned() } else { text.chars().take(WORD - 1).chain(['…']).collect() }
}
