//! `The pilot near the girls smiles. / *The pilot near the girls smile.`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let number = draw.number();
    let words = draw.words;
    match draw.below(9) {
        // An attractor in a prepositional phrase.
        0 => {
            let subject = near(draw, Kind::Person, number);
            let action = draw.action();
            both(&subject, &action.present(number), &action.present(number.other()), "")
        }
        1 => {
            let subject = near(draw, Kind::Person, number);
            both(&subject, number.be(), number.other().be(), &draw.action().gerund())
        }
        2 => {
            let subject = near(draw, Kind::Person, number);
            both(&subject, number.have(), number.other().have(), &draw.action().participle())
        }
        3 => {
            let subject = near(draw, Kind::Thing, number);
            let adjective = draw.word(&words.long_thing);
            let (good, bad) =
                if draw.coin() { (number.be(), number.other().be()) } else { (number.was(), number.other().was()) };
            both(&subject, good, bad, adjective)
        }
        // In a relative clause about the subject, as its object and as its subject.
        4 => {
            let (subject, attractor) = (draw.the(Kind::Person, number), draw.the(Kind::Person, number.other()));
            let inner = draw.verb(&words.transitive).present(number);
            let action = draw.action();
            let subject = format!("{subject} who {inner} {attractor}");
            both(&subject, &action.present(number), &action.present(number.other()), "")
        }
        5 => {
            let (subject, attractor) = (draw.the(Kind::Person, number), draw.the(Kind::Person, number.other()));
            let inner = draw.verb(&words.transitive).present(number.other());
            let action = draw.action();
            let subject = format!("{subject} that {attractor} {inner}");
            both(&subject, &action.present(number), &action.present(number.other()), "")
        }
        // The owner.
        6 => {
            let owner = draw.the(Kind::Person, Number::Singular);
            let subject = format!("{owner}'s {}", draw.noun(Kind::Person).form(Number::Plural));
            let action = draw.action();
            both(&subject, &action.present(Number::Plural), &action.present(Number::Singular), "")
        }
        // Two that are joined are many, one of many is one.
        7 => {
            let subject = format!("{} and {}", draw.name(), draw.persons(Number::Singular));
            let action = draw.action();
            both(&subject, &action.present(Number::Plural), &action.present(Number::Singular), "")
        }
        _ => {
            let subject = format!("one of {}", draw.the(Kind::Person, Number::Plural));
            both(&subject, Number::Singular.be(), Number::Plural.be(), &draw.action().gerund())
        }
    }
}

/// A subject with an attractor of the other number.
fn near(draw: &mut Draw<'_>, kind: Kind, number: Number) -> String {
    let subject = draw.the(kind, number);
    let other = *draw.one(if kind == Kind::Person { &[Kind::Person, Kind::Animal] } else { &[Kind::Furniture] });
    let preposition = draw.one(&["near", "behind", "beside", "next to"]);
    format!("{subject} {preposition} {}", draw.the(other, number.other()))
}

fn both(subject: &str, good: &str, bad: &str, rest: &str) -> Pair {
    let space = if rest.is_empty() { "" } else { " " };
    Pair::statement(format!("{subject} {good}{space}{rest}"), format!("{subject} {bad}{space}{rest}"))
}
