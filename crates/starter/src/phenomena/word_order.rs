//! `The old pilot smiled. / *The pilot old smiled.`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};
use crate::morphology::article;

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let number = draw.number();
    match draw.below(9) {
        // In the noun phrase.
        0 => {
            let (noun, past) = (draw.noun(Kind::Person).form(number), draw.action().past());
            let adjective = draw.adjective(Kind::Person).unwrap_or_default();
            Pair::statement(format!("the {adjective} {noun} {past}"), format!("the {noun} {adjective} {past}"))
        }
        1 => {
            let (noun, past) = (draw.noun(Kind::Thing).form(number), &draw.verb(&words.handling).past);
            let (adjective, subject) = (draw.adjective(Kind::Thing).unwrap_or_default(), draw.person());
            let determiner = *draw.one(&["the", "my", "your"]);
            Pair::statement(
                format!("{subject} {past} {determiner} {adjective} {noun}"),
                format!("{subject} {past} {adjective} {determiner} {noun}"),
            )
        }
        2 => {
            let (noun, past) = (draw.noun(Kind::Person).form(number), draw.action().past());
            let determiner = *draw.one(&["the", "my", "your", "our"]);
            Pair::statement(format!("{determiner} {noun} {past}"), format!("{noun} {determiner} {past}"))
        }
        // In the clause.
        3 => {
            let (subject, action) = (draw.person(), draw.transitive_action());
            let modal = draw.one(&["will", "could", "should", "might", "must"]);
            Pair::statement(
                format!("{subject} {modal} {}", action.base()),
                format!("{subject} {modal}{} {}", action.rest, action.verb.base),
            )
        }
        4 => {
            let (subject, action) = (draw.person(), draw.transitive_action());
            Pair::statement(
                format!("{subject} {}", action.past()),
                format!("{} {subject}{}", action.verb.past, action.rest),
            )
        }
        5 => {
            let (subject, action) = (draw.person(), draw.action().base());
            let does = subject.number.does();
            Pair::statement(format!("{subject} {does} not {action}"), format!("{subject} not {does} {action}"))
        }
        // Around prepositions and degree words.
        6 => {
            let kind = *draw.one(&[Kind::Thing, Kind::Dish, Kind::Text]);
            let subject = draw.the(kind, number);
            let furniture = draw.the(Kind::Furniture, Number::Singular);
            let (on, was) = (draw.one(&["on", "under", "behind", "beside"]), number.was());
            Pair::statement(format!("{subject} {was} {on} {furniture}"), format!("{subject} {was} {furniture} {on}"))
        }
        7 => {
            let (subject, adjective) = draw.quality();
            let be = subject.number.be();
            if draw.coin() {
                // Not `too` and `so`, which can follow.
                let very = draw.one(&["very", "quite", "rather"]);
                Pair::statement(
                    format!("{subject} {be} {very} {adjective}"),
                    format!("{subject} {be} {adjective} {very}"),
                )
            } else {
                Pair::statement(
                    format!("{subject} {be} {adjective} enough"),
                    format!("{subject} {be} enough {adjective}"),
                )
            }
        }
        _ => {
            let (subject, past) = (draw.person(), &draw.verb(&words.handling).past);
            let noun = &draw.noun(Kind::Thing).singular;
            let adjective = draw.adjective(Kind::Thing).unwrap_or_default();
            Pair::statement(
                format!("{subject} {past} {} very {adjective} {noun}", article("very")),
                format!("{subject} {past} very {} {adjective} {noun}", article(adjective)),
            )
        }
    }
}
