//! `The book was translated by Anna. / *The book was translate by Anna.`

use super::Pair;
use crate::grammar::{Draw, Kind};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let deed = draw.deed();
    let number = draw.number();
    let object = format!("the {}", deed.object.form(number));
    let agent = draw.person();
    let verb = deed.verb;
    let (was, participle) = (number.was(), &verb.participle);
    let place = deed.kind != Kind::Place && draw.coin();
    let by = if place { format!(" {} by {agent}", draw.place()) } else { format!(" by {agent}") };
    let modal = draw.one(&["will", "could", "should", "might", "must"]);
    match draw.below(8) {
        0 => Pair::statement(format!("{object} {was} {participle}{by}"), format!("{object} {was} {}{by}", verb.base)),
        1 => Pair::statement(format!("{object} {was} {participle}{by}"), format!("{object} {was} {}{by}", verb.gerund)),
        2 => {
            let wrong = if verb.past == verb.participle { &verb.third } else { &verb.past };
            Pair::statement(format!("{object} {was} {participle}{by}"), format!("{object} {was} {wrong}{by}"))
        }
        // The auxiliary.
        3 => Pair::statement(
            format!("{object} {modal} be {participle}{by}"),
            format!("{object} {modal} {participle}{by}"),
        ),
        4 => Pair::statement(
            format!("{object} {} been {participle}{by}", number.have()),
            format!("{object} {} be {participle}{by}", number.have()),
        ),
        5 => Pair::statement(
            format!("{object} {} being {participle}{by}", number.be()),
            format!("{object} {} been {participle}{by}", number.be()),
        ),
        // The object has become the subject: there is no other.
        6 => {
            let second = format!("the {}", draw.noun(deed.kind).form(number));
            Pair::statement(
                format!("{object} {was} {participle} by {agent}"),
                format!("{object} {was} {participle} {second} by {agent}"),
            )
        }
        // The agent. Not with `to`, `at`, `from`, `of`: a letter can be read to somebody, and once was borrowed of somebody.
        _ => Pair::statement(
            format!("{object} {was} {participle} by {agent}"),
            format!("{object} {was} {participle} than {agent}"),
        ),
    }
}
