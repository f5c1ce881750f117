//! `Anna is taller than Tom. / *Anna is taller as Tom.`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let number = draw.number();
    let (kind, shorts, longs) = if draw.coin() {
        (Kind::Person, &words.short_person, &words.long_person)
    } else {
        (Kind::Thing, &words.short_thing, &words.long_thing)
    };
    let short = draw.one(shorts);
    let (plain, more, most) = (&short.plain, &short.more, &short.most);
    let long = *draw.one(longs);
    let (first, second) = (draw.plainly(kind, number), draw.plainly(kind, Number::Singular));
    let be = number.be();
    match draw.below(9) {
        0 => {
            let wrong = draw.one(&["as", "that", "of"]);
            Pair::statement(
                format!("{first} {be} {more} than {second}"),
                format!("{first} {be} {more} {wrong} {second}"),
            )
        }
        1 => Pair::statement(
            format!("{first} {be} {more} than {second}"),
            format!("{first} {be} more {more} than {second}"),
        ),
        2 => {
            Pair::statement(format!("{first} {be} {more} than {second}"), format!("{first} {be} {plain} than {second}"))
        }
        3 => Pair::statement(
            format!("{first} {be} as {plain} as {second}"),
            format!("{first} {be} as {more} as {second}"),
        ),
        4 => Pair::statement(
            format!("{first} {be} as {plain} as {second}"),
            format!("{first} {be} as {plain} than {second}"),
        ),
        5 => Pair::statement(
            format!("{first} {be} more {long} than {second}"),
            format!("{first} {be} {} than {second}", crate::morphology::add_er(long, false, "er")),
        ),
        6 => Pair::statement(
            format!("{first} {be} more {long} than {second}"),
            format!("{first} {be} most {long} than {second}"),
        ),
        // One out of a group, which it belongs to.
        7 => {
            let noun = draw.noun(kind);
            let one = if kind == Kind::Person && draw.coin() {
                draw.name().to_owned()
            } else {
                format!("{} {}", draw.one(&["this", "that", "your", "my"]), noun.singular)
            };
            let start = format!("{one} is the");
            let group = format!("of all the {}", noun.plural);
            let wrong = if draw.coin() { format!("most {most}") } else { plain.clone() };
            Pair::statement(format!("{start} {most} {group}"), format!("{start} {wrong} {group}"))
        }
        _ => Pair::statement(
            format!("{first} {be} much {more} than {second}"),
            format!("{first} {be} very {more} than {second}"),
        ),
    }
}
