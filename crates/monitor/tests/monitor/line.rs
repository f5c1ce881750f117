//! What a line is.

use wellformed_monitor::line::{DeadLetter, Line};

use crate::support::{function_log, line, record};

#[test]
fn records_are_told_from_what_else_is_in_a_log() {
    let kinds: Vec<&str> = function_log()
        .iter()
        .map(|line| match Line::read(line) {
            Line::Record(_) => "record",
            Line::Other => "other",
            Line::Damaged(_) => "damaged",
        })
        .collect();
    let (ours, other) = ("record", "other");
    assert_eq!(kinds, [other, ours, other, ours, ours, other, other, other, ours]);
    for other in ["", "   ", "{", "{}", "[1]", "null", "{\"time\":\"x\",\"id\":\"y\"}", "thread 'main' panicked"] {
        assert_eq!(Line::read(other), Line::Other, "{other}");
    }
    assert_eq!(Line::read(&format!("  {}\r\n", line(3))), Line::Record(record(3)));
}

#[test]
fn a_record_that_broke_off_or_has_another_form_is_damaged_and_its_values_are_not_repeated() {
    let whole = line(3);
    for end in [22, 60, whole.len() - 1] {
        assert!(matches!(Line::read(&whole[..end]), Line::Damaged(_)), "{}", &whole[..end]);
    }
    let changed = whole.replace("\"tokens\":7", "\"tokens\":\"The \\\"marmoset\\\" sleeps\"");
    let Line::Damaged(reason) = Line::read(&changed) else { panic!("{changed}") };
    assert!(!reason.contains("marmoset") && !reason.contains("sleeps"), "{reason}");
    assert_eq!(reason, "tokens: invalid type: string \"…\", expected u32");
    let Line::Damaged(reason) = Line::read(&whole.replace("\"acceptable\"", "\"marmoset\"")) else { panic!() };
    assert!(reason.starts_with("label: ") && !reason.contains("marmoset"), "{reason}");
    let Line::Damaged(reason) = Line::read(&whole.replace("\"tokens\":7", "\"astonishment\":7")) else { panic!() };
    assert!(reason.contains("astonishment"), "{reason}");
}

#[test]
fn a_dead_letter_is_opened() {
    let letter = DeadLetter { refused: "because".to_owned(), line: line(3) };
    assert_eq!(Line::read(&serde_json::to_string(&letter).unwrap()), Line::Record(record(3)));
}
