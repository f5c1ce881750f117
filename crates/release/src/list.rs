//! `cargo xtask releases`: what ran when, with which metrics.

use std::fmt::Write as _;

use crate::record::{Record, short};
use crate::state::Route;

/// The records as a table, the newest first. `in_service` is the version that the alias names, where that is known.
pub fn table(records: &[Record], in_service: Option<&str>) -> String {
    if records.is_empty() {
        return "Nothing was released yet: `cargo xtask release`.".to_owned();
    }
    let heads =
        ["", "no.", "what", "state", "version", "commit", "bundle", "MCC", "int8", "accuracy", "began", "until"];
    // The newest record that brought the version is the one that speaks for it.
    let brought = records.iter().rev().find(|record| record.state.name() == "live" && is(record, in_service));
    let rows: Vec<[String; 12]> = records
        .iter()
        .rev()
        .map(|record| {
            let model = record.model.as_ref();
            let number = |of: fn(&crate::record::Model) -> f64| {
                model.filter(|model| model.sentences > 0).map_or(String::new(), |model| format!("{:.3}", of(model)))
            };
            [
                if brought.is_some_and(|one| one.number == record.number) { "→" } else { "" }.to_owned(),
                record.number.to_string(),
                match record.route {
                    Route::Release if record.forced.is_some() => "release (forced)",
                    Route::Release => "release",
                    Route::Rollback => "rollback",
                }
                .to_owned(),
                record.state.name().to_owned(),
                record.version.clone().unwrap_or_default(),
                model.map_or(String::new(), |model| short(&model.commit).to_owned()),
                model.map_or(String::new(), |model| short(&model.bundle).to_owned()),
                number(|model| model.mcc),
                number(|model| model.int8_mcc),
                number(|model| model.accuracy),
                record.started.clone(),
                record.finished.clone().unwrap_or_else(|| "not over: run `cargo xtask release`".to_owned()),
            ]
        })
        .collect();
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in std::iter::once(heads.map(str::to_owned)).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    let problems = records.iter().rev().filter_map(|record| Some((record, record.problem.as_ref()?)));
    for (record, problem) in problems.take(5) {
        let _ = writeln!(text, "{}: {problem}", record.title());
    }
    if brought.is_some() {
        text += "→ in service\n";
    }
    text.trim_end().to_owned()
}

fn is(record: &Record, version: Option<&str>) -> bool {
    version.is_some() && record.version.as_deref() == version
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::record::{Model, Record};
    use crate::state::{Route, State};

    #[test]
    fn the_table_says_what_is_in_service_what_was_undone_and_why() {
        let mut first = Record::new(1, Route::Release, "wellformed", "live");
        first.model = Some(Model {
            commit: "0123456789".to_owned(),
            bundle: "abcdef012345".to_owned(),
            base: "somewhere".to_owned(),
            sentences: 1043,
            mcc: 0.2774,
            mcc_interval: [0.2, 0.3],
            int8_mcc: 0.275,
            accuracy: 0.72,
        });
        first.version = Some("1".to_owned());
        first.enter(State::Live, "done");
        let mut second = Record::new(2, Route::Release, "wellformed", "live");
        second.version = Some("2".to_owned());
        second.problem = Some("watch: version 2 failed".to_owned());
        second.enter(State::Undone, "back");
        let text = table(&[first, second], Some("1"));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("2    release  undone") && !lines[1].contains('→'), "{text}");
        assert!(lines[2].starts_with('→') && lines[2].contains("0123456  abcdef0  0.277"), "{text}");
        assert!(text.contains("release 2: watch: version 2 failed"), "{text}");
    }
}
