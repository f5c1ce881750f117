//! `These pilots smiled. / *This pilots smiled.`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};
use crate::morphology::article;

/// Not `that`: `that pilots` can begin a clause.
const SINGULAR: [&str; 6] = ["this", "a", "each", "every", "another", "one"];
const PLURAL: [&str; 8] = ["these", "those", "many", "several", "two", "three", "both", "a few"];

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let number = draw.number();
    let words = draw.words;
    let (kind, before, after) = match draw.below(5) {
        0 | 1 => (Kind::Person, String::new(), format!(" {}", draw.action().past())),
        2 => (Kind::Thing, format!("{} {} ", draw.person(), draw.verb(&words.handling).past), String::new()),
        3 => (Kind::Dish, format!("{} {} ", draw.person(), draw.verb(&words.eating).past), String::new()),
        _ => (Kind::Text, format!("{} {} ", draw.person(), draw.verb(&words.writing).past), String::new()),
    };
    let noun = draw.noun(kind);
    let adjective =
        if draw.coin() { draw.adjective(kind) } else { None }.map_or(String::new(), |word| format!("{word} "));
    let (fitting, other) = match number {
        Number::Singular => (*draw.one(&SINGULAR), *draw.one(&PLURAL)),
        Number::Plural => (*draw.one(&PLURAL), *draw.one(&SINGULAR)),
    };
    let phrase = |determiner: &str, number: Number| {
        let described = format!("{adjective}{}", noun.form(number));
        let determiner = if determiner == "a" { article(&described) } else { determiner };
        format!("{before}{determiner} {described}{after}")
    };
    // Now the noun is wrong, now the determiner.
    if draw.coin() {
        Pair::statement(phrase(fitting, number), phrase(fitting, number.other()))
    } else {
        Pair::statement(phrase(fitting, number), phrase(other, number))
    }
}
