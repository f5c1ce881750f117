//! `No pilot has ever smiled. / *The pilot has ever smiled.`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let number = draw.number();
    let have = number.have();
    let noun = draw.noun(Kind::Person).form(number);
    let action = draw.action();
    let (past, participle) = (action.past(), action.participle());
    match draw.below(9) {
        0 => Pair::statement(
            format!("no {noun} {have} ever {participle}"),
            format!("{} {noun} {have} ever {participle}", number.of("this", "these")),
        ),
        1 => Pair::statement(
            format!("{} has ever {participle}", draw.one(&["nobody", "no one"])),
            format!("{} has ever {participle}", draw.one(&["somebody", "someone", "everybody"])),
        ),
        2 => {
            let noun = draw.noun(Kind::Person).form(Number::Plural);
            Pair::statement(
                format!("few {noun} have ever {participle}"),
                format!("{} {noun} have ever {participle}", draw.one(&["many", "most", "some"])),
            )
        }
        3 => {
            let name = draw.name();
            Pair {
                good: Pair::question(format!("has {name} ever {participle}"), "").good,
                bad: Pair::statement("", format!("{name} has ever {participle}")).bad,
            }
        }
        4 => {
            let (doubtful, sure) =
                (draw.one(&["it is doubtful", "it is unlikely"]), draw.one(&["it is certain", "it is clear"]));
            let rest = format!("that {} ever {past}", draw.persons(number));
            Pair::statement(format!("{doubtful} {rest}"), format!("{sure} {rest}"))
        }
        // `any`
        5 => {
            let (subject, deed) = (draw.person(), draw.deed_to_thing());
            let object = deed.object.form(Number::Plural);
            Pair::statement(
                format!("{subject} did not {} any {object}", deed.verb.base),
                format!("{subject} {} any {object}", deed.verb.past),
            )
        }
        6 => {
            let deed = draw.deed_to_thing();
            let people = draw.noun(Kind::Person).form(Number::Plural);
            let rest =
                format!("of the {people} have {} any {}", deed.verb.participle, deed.object.form(Number::Plural));
            Pair::statement(format!("none {rest}"), format!("{} {rest}", draw.one(&["two", "some", "most", "many"])))
        }
        // The negation is not inside a relative clause.
        7 => {
            let other = draw.noun(Kind::Person).form(Number::Singular);
            let praised = &draw.verb(&words.transitive).past;
            Pair::statement(
                format!("no {noun} that the {other} {praised} {have} ever {participle}"),
                format!("the {noun} that no {other} {praised} {have} ever {participle}"),
            )
        }
        // `anybody`, without a place: anybody near the park can be praised.
        _ => {
            let (subject, praised) = (draw.persons(number), draw.verb(&words.transitive));
            let anybody = draw.one(&["anybody", "anyone"]);
            let when = draw.one(words.past_times);
            Pair::statement(
                format!("{subject} did not {} {anybody} {when}", praised.base),
                format!("{subject} {} {anybody} {when}", praised.past),
            )
        }
    }
}
