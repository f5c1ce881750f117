//! `Anna smiled yesterday. / *Anna will smile yesterday.`

use super::Pair;
use crate::grammar::Draw;

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let (subject, action) = (draw.person(), draw.action());
    let have = subject.number.have();
    let (other, second) = (draw.person(), draw.action());
    let (before, after) = (*draw.one(words.past_times), *draw.one(words.future_times));
    let (base, past) = (action.base(), action.past());
    match draw.below(8) {
        0 => Pair::statement(format!("{subject} {past} {before}"), format!("{subject} will {base} {before}")),
        1 => Pair::statement(format!("{subject} will {base} {after}"), format!("{subject} {past} {after}")),
        2 => Pair::statement(format!("{before}, {subject} {past}"), format!("{before}, {subject} will {base}")),
        3 => Pair::statement(
            format!("{subject} {past} {before}"),
            format!("{subject} {have} {} {before}", action.participle()),
        ),
        // Clauses of time and condition.
        4 => {
            // Not `after`: what will follow can follow something past.
            let when = draw.one(&["when", "before", "as soon as"]);
            let start = format!("{subject} will {base} {when} {other}");
            Pair::statement(format!("{start} {}", second.present(other.number)), format!("{start} {}", second.past()))
        }
        5 => {
            let start = format!("if {subject} had {}, {other}", action.participle());
            Pair::statement(
                format!("{start} would have {}", second.participle()),
                format!("{start} will {}", second.base()),
            )
        }
        6 => {
            let start = format!("while {other} {} {}, {subject}", other.number.was(), second.gerund());
            Pair::statement(format!("{start} {past}"), format!("{start} will {base}"))
        }
        _ => {
            let start = format!("by the time {other} {}, {subject}", second.past());
            Pair::statement(format!("{start} had {}", action.participle()), format!("{start} will {base}"))
        }
    }
}
