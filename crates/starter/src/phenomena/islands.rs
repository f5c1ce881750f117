//! `Which lamp did Anna think that Tom repaired? / *Which lamp did Anna doubt the rumor that Tom repaired?`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let deed = draw.deed_to_thing();
    let (base, past) = (&deed.verb.base, &deed.verb.past);
    let number = draw.number();
    let object = deed.object.form(number);
    let (asked, other) = (draw.person(), draw.persons(Number::Singular));
    let think = &draw.verb(&words.believing).base;
    let good = format!("which {object} did {asked} {think} that {other} {past}");
    match draw.below(8) {
        // A clause that belongs to a noun.
        0 => {
            let (doubt, rumor) = (&draw.verb(&words.doubting).base, draw.word(&words.news));
            Pair::question(good, format!("which {object} did {asked} {doubt} the {rumor} that {other} {past}"))
        }
        // A relative clause.
        1 => {
            let (praise, person) = (&draw.verb(&words.transitive).base, draw.noun(Kind::Person).form(Number::Singular));
            Pair::question(
                format!("which {object} did {asked} {think} that the {person} {past}"),
                format!("which {object} did {asked} {praise} the {person} who {past}"),
            )
        }
        2 => {
            let person = draw.noun(Kind::Person).form(Number::Singular);
            let sneeze = &draw.verb(&words.intransitive).base;
            Pair::question(
                format!("did the {person} who {past} the {object} {sneeze}"),
                format!("which {object} did the {person} who {past} {sneeze}"),
            )
        }
        // An adverbial clause.
        3 => {
            let (sneeze, because) =
                (&draw.verb(&words.intransitive).base, draw.one(&["because", "after", "before", "although"]));
            Pair::question(good, format!("which {object} did {asked} {sneeze} {because} {other} {past}"))
        }
        // One half of a coordination.
        4 => {
            let (when, second) = (*draw.one(words.past_times), draw.the(deed.kind, number));
            Pair::question(
                format!("which {object} did {asked} {base} {when}"),
                format!("which {object} did {asked} {base} and {second} {when}"),
            )
        }
        5 => {
            let sneeze = &draw.verb(&words.intransitive).base;
            Pair::question(
                format!("did {asked} {sneeze} and {other} {base} the {object}"),
                format!("which {object} did {asked} {sneeze} and {other} {base}"),
            )
        }
        // An indirect question.
        6 => {
            let other = draw.name();
            let wonder = &draw.verb(&words.asking).base;
            Pair::question(
                format!("what did {asked} {think} that {other} {past}"),
                format!("what did {asked} {wonder} who {past}"),
            )
        }
        // The left branch of a noun phrase.
        _ => {
            let whose = draw.one(&["whose", "which"]);
            Pair::question(
                format!("{whose} {object} did {asked} {base}"),
                format!("{whose} did {asked} {base} {object}"),
            )
        }
    }
}
