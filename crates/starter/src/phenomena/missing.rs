//! `Anna praised the pilot. / *Anna praised pilot.`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let subject = draw.person();
    match draw.below(9) {
        // An article. No dishes: `onion` can be a mass. No relatives: an uncle can be called by his noun.
        0 => {
            let (verb, kind) = if draw.coin() { (&words.writing, Kind::Text) } else { (&words.handling, Kind::Thing) };
            let (past, noun) = (&draw.verb(verb).past, draw.described(kind, Number::Singular));
            Pair::statement(format!("{subject} {past} the {noun}"), format!("{subject} {past} {noun}"))
        }
        1 => {
            let noun = &draw.fresh_person().singular;
            let adjective = draw.adjective(Kind::Person).unwrap_or_default();
            let past = draw.action().past();
            Pair::statement(format!("the {adjective} {noun} {past}"), format!("{adjective} {noun} {past}"))
        }
        // The copula, an auxiliary.
        2 => {
            let (subject, adjective) = draw.quality();
            let be = subject.number.be();
            Pair::statement(format!("{subject} {be} {adjective}"), format!("{subject} {adjective}"))
        }
        3 => {
            let (be, gerund) = (subject.number.be(), draw.action().gerund());
            Pair::statement(format!("{subject} {be} {gerund}"), format!("{subject} {gerund}"))
        }
        // A preposition.
        4 => {
            let (past, place) = (&draw.verb(&words.intransitive).past, &draw.noun(Kind::Place).singular);
            let preposition = draw.one(&["in", "near", "outside"]);
            Pair::statement(
                format!("{subject} {past} {preposition} the {place}"),
                format!("{subject} {past} the {place}"),
            )
        }
        5 => {
            let (object, praised) = (draw.person(), &draw.verb(&words.transitive).participle);
            let start = format!("{object} {} {praised}", object.number.was());
            Pair::statement(format!("{start} by {subject}"), format!("{start} {subject}"))
        }
        6 => {
            let people = draw.the(Kind::Person, Number::Plural);
            let (some, past) = (draw.one(&["one", "two", "three", "none", "most", "some"]), draw.action().past());
            Pair::statement(format!("{some} of {people} {past}"), format!("{some} {people} {past}"))
        }
        // `to`
        7 => {
            let (decided, action) = (&draw.verb(&words.deciding).past, draw.action().base());
            Pair::statement(format!("{subject} {decided} to {action}"), format!("{subject} {decided} {action}"))
        }
        // A subject that means nothing.
        _ => {
            let adjective = draw.one(&["likely", "unlikely", "possible", "clear", "obvious", "certain"]);
            let rest = format!("is {adjective} that {subject} {}", draw.action().past());
            Pair::statement(format!("it {rest}"), rest)
        }
    }
}
