//! `They praised him. / *Them praised him.`

use super::Pair;
use crate::grammar::Draw;

/// Subject and object case. `you` and `it` have one form; `her` is left out where it could own the next word.
const PRONOUNS: [(&str, &str); 5] = [("I", "me"), ("he", "him"), ("she", "her"), ("we", "us"), ("they", "them")];

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let (subject, object) = *draw.one(&PRONOUNS);
    let person = draw.person();
    let action = draw.action();
    let praised = draw.verb(&words.transitive);
    match draw.below(6) {
        0 => Pair::statement(format!("{subject} {}", action.past()), format!("{object} {}", action.past())),
        1 => {
            let modal = draw.one(&["will", "could", "should", "might", "must"]);
            Pair::statement(
                format!("{subject} {modal} {}", action.base()),
                format!("{object} {modal} {}", action.base()),
            )
        }
        2 => {
            let start = format!("{person} {} that", draw.verb(&words.believing).past);
            Pair::statement(
                format!("{start} {subject} {}", action.past()),
                format!("{start} {object} {}", action.past()),
            )
        }
        3 => {
            let start = format!("{person} {}", praised.past);
            let place = draw.place();
            Pair::statement(format!("{start} {object} {place}"), format!("{start} {subject} {place}"))
        }
        4 => {
            let listening = draw.governor();
            let start = format!("{person} {} {}", listening.word.past, listening.right);
            Pair::statement(format!("{start} {object}"), format!("{start} {subject}"))
        }
        _ => {
            let start = format!("{person} {} {} by", person.number.was(), praised.participle);
            Pair::statement(format!("{start} {object}"), format!("{start} {subject}"))
        }
    }
}
