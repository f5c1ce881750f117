//! `Anna praised the pilot. / *Anna sneezed the pilot.`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let subject = draw.person();
    match draw.below(7) {
        // An object too many.
        0 => {
            let deed = draw.transitive_action();
            let sneezed = &draw.verb(&words.intransitive).past;
            Pair::statement(format!("{subject} {}", deed.past()), format!("{subject} {sneezed}{}", deed.rest))
        }
        1 => {
            let (deed, object) = (&draw.verb(&words.transitive).past, draw.person());
            let sneezed = &draw.verb(&words.intransitive).past;
            let auxiliary = object.number.was();
            Pair::statement(
                format!("{object} {auxiliary} {deed} by {subject}"),
                format!("{object} {auxiliary} {sneezed} by {subject}"),
            )
        }
        2 => {
            let (given, praised) = (&draw.verb(&words.giving).past, &draw.verb(&words.transitive).past);
            let (person, thing) = (draw.person(), draw.some(Kind::Thing, Number::Singular));
            Pair::statement(
                format!("{subject} {given} {person} {thing}"),
                format!("{subject} {praised} {person} {thing}"),
            )
        }
        // An object too few.
        3 => {
            let (praised, object, place) = (&draw.verb(&words.transitive).past, draw.person(), draw.place());
            Pair::statement(format!("{subject} {praised} {object} {place}"), format!("{subject} {praised} {place}"))
        }
        // In the past: what somebody could do in general needs no object.
        4 => {
            let (praised, sneezed) = (&draw.verb(&words.transitive).past, &draw.verb(&words.intransitive).past);
            let when = *draw.one(words.past_times);
            Pair::statement(format!("{subject} {sneezed} {when}"), format!("{subject} {praised} {when}"))
        }
        // Two objects, or one with `to`.
        5 => {
            let donated = &draw.verb(&words.donating).past;
            let (person, thing) = (draw.person(), draw.some(Kind::Text, Number::Singular));
            Pair::statement(
                format!("{subject} {donated} {thing} to {person}"),
                format!("{subject} {donated} {person} {thing}"),
            )
        }
        _ => {
            let (given, donated) = (&draw.verb(&words.giving).past, &draw.verb(&words.donating).past);
            let (person, thing) = (draw.person(), draw.some(Kind::Text, Number::Singular));
            Pair::statement(
                format!("{subject} {given} {person} {thing}"),
                format!("{subject} {donated} {person} {thing}"),
            )
        }
    }
}
