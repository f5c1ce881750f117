//! `Anna enjoys singing. / *Anna enjoys to sing.`

use super::Pair;
use crate::grammar::{Draw, Kind};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let subject = draw.person();
    let action = draw.action();
    match draw.below(9) {
        0 => {
            let enjoyed = &draw.verb(&words.enjoying).past;
            Pair::statement(
                format!("{subject} {enjoyed} {}", action.gerund()),
                format!("{subject} {enjoyed} to {}", action.base()),
            )
        }
        1 => {
            let decided = &draw.verb(&words.deciding).past;
            Pair::statement(
                format!("{subject} {decided} to {}", action.base()),
                format!("{subject} {decided} {}", action.gerund()),
            )
        }
        2 => {
            let start = format!("{subject} {} {}", draw.verb(&words.forcing).past, draw.person());
            Pair::statement(format!("{start} to {}", action.base()), format!("{start} {}", action.base()))
        }
        3 => {
            let start = format!("{subject} {} {}", draw.verb(&words.making).past, draw.person());
            Pair::statement(format!("{start} {}", action.base()), format!("{start} to {}", action.base()))
        }
        4 => {
            let (thought, asked) = (draw.verb(&words.believing), draw.verb(&words.asking));
            let clause = format!("whether {} {}", draw.person(), action.past());
            Pair::statement(
                format!("{subject} {} {clause}", asked.past),
                format!("{subject} {} {clause}", thought.past),
            )
        }
        5 => {
            let (thought, listened) = (&draw.verb(&words.believing).past, &draw.governor().word.past);
            let clause = format!("that {} {}", draw.person(), action.past());
            Pair::statement(format!("{subject} {thought} {clause}"), format!("{subject} {listened} {clause}"))
        }
        6 => {
            let object = draw.person();
            let listening = draw.governor();
            let (word, right, wrong) = (&listening.word.past, listening.right, listening.wrong);
            let wrong = if draw.coin() { format!("{wrong} ") } else { String::new() };
            Pair::statement(format!("{subject} {word} {right} {object}"), format!("{subject} {word} {wrong}{object}"))
        }
        7 => {
            let object = draw.the(Kind::Animal, subject.number);
            let fond = draw.fond();
            let start = format!("{subject} {} {}", subject.number.be(), fond.word);
            Pair::statement(format!("{start} {} {object}", fond.right), format!("{start} {} {object}", fond.wrong))
        }
        // A preposition before an object that wants none.
        _ => {
            let (praised, object) = (&draw.verb(&words.transitive).past, draw.person());
            let preposition = draw.one(&["to", "at", "of"]);
            Pair::statement(
                format!("{subject} {praised} {object}"),
                format!("{subject} {praised} {preposition} {object}"),
            )
        }
    }
}
