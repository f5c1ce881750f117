//! Figures, ratios, bars and tables as they are read, on GitHub and in a terminal.

use std::fmt;

/// A figure with three digits or more: `0.062`, `1.79`, `44.2`, `595`, `15,029`.
pub(super) fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 3,
    };
    thousands(&format!("{value:.decimals$}"))
}

/// A count, with commas between thousands.
pub(super) fn count(value: f64) -> String {
    thousands(&format!("{value:.0}"))
}

/// A share as a percentage with one decimal.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A share as a percentage without decimals.
pub(super) fn whole_percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn thousands(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let digits = whole.trim_start_matches('-').len();
    let mut text = String::new();
    for (place, character) in whole.chars().rev().enumerate() {
        if place > 0 && place % 3 == 0 && place < digits {
            text.insert(0, ',');
        }
        text.insert(0, character);
    }
    text + rest
}

/// A ratio, with what it means where it is not in our favour.
pub(super) fn ratio(ratio: f64) -> String {
    let decimals = match ratio {
        ratio if ratio >= 99.5 => 0,
        ratio if ratio >= 9.95 => 1,
        _ => 2,
    };
    let text = format!("{ratio:.decimals$}");
    // As it is printed: 0.998 is shown, and meant, as 1.00.
    if ratio < 0.995 { format!("{text} (behind)") } else { text }
}

/// A bar of which a full block is a ratio of 1, cut after twenty.
pub(super) fn bar(ratio: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if ratio > 20.0 {
        return "█".repeat(20) + "…";
    }
    let eighths = (ratio.max(0.0) * 8.0).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// A paragraph in lines of at most 120 characters, as the other documents have. What stands between backticks stays in one
/// line, so that a command can be copied.
pub(super) fn paragraph(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    // Backticks come in pairs, so a word with an odd number of them opens or closes.
    let mut open = false;
    for word in text.split_whitespace() {
        let joined = open;
        open ^= word.matches('`').count() % 2 == 1;
        match lines.last_mut() {
            Some(line) if joined || line.chars().count() + 1 + word.chars().count() <= 120 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// A table whose columns are as wide as what is in them, for those who read it as text. The first column is aligned to
/// the left, and so is a last one without a heading; figures are aligned to the right.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(wide).collect();
        let left = |column: usize| column == 0 || self.rows[0][column].is_empty();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, &width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let padding = " ".repeat(width - cell.chars().count());
                let (before, after) = if left(column) { ("", padding.as_str()) } else { (padding.as_str(), "") };
                write!(formatter, "| {before}{cell}{after} ")?;
            }
            writeln!(formatter, "|")?;
            if number == 0 {
                for (column, &width) in widths.iter().enumerate() {
                    let rule = "-".repeat(width + 1);
                    if left(column) { write!(formatter, "|-{rule}")? } else { write!(formatter, "|{rule}:")? }
                }
                writeln!(formatter, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_or_more() {
        let shown = [0.0621, 0.9996, 1.7876, 9.996, 44.25, 99.96, 595.2, 15028.6, 1_000_000.0].map(figure);
        assert_eq!(shown, ["0.062", "1.00", "1.79", "10.0", "44.2", "100", "595", "15,029", "1,000,000"]);
        assert_eq!(count(999.4), "999");
        assert_eq!(figure(-12_345.0), "-12,345");
    }

    #[test]
    fn only_a_ratio_that_reads_as_less_than_one_is_called_behind() {
        assert_eq!(
            [0.5, 0.994, 0.996, 1.0, 9.949, 12.52].map(ratio),
            ["0.50 (behind)", "0.99 (behind)", "1.00", "1.00", "9.95", "12.5"]
        );
    }

    #[test]
    fn bars_are_as_long_as_the_ratio() {
        assert_eq!([0.0, 0.5, 1.0, 2.26, 30.0].map(bar), ["", "▌", "█", "██▎", &("█".repeat(20) + "…")]);
    }

    #[test]
    fn paragraphs_are_wrapped_but_not_within_a_command() {
        let text = format!("{} `cargo xtask bench` and more", "word ".repeat(22));
        let lines: Vec<String> = paragraph(&text).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("`cargo xtask bench`"), "{lines:?}");
        assert_eq!(lines[1], "and more");
        assert!(paragraph(&"word ".repeat(100)).lines().all(|line| line.len() <= 120));
    }

    #[test]
    fn a_table_is_aligned_as_text_and_as_markdown() {
        let mut table = Table::new(&["model", "ms", ""]);
        table.row(["tiny".to_owned(), "1,000".to_owned(), "██".to_owned()]);
        let expected = "| model |    ms |     |\n|-------|------:|-----|\n| tiny  | 1,000 | ██  |\n";
        assert_eq!(table.to_string(), expected);
    }
}
