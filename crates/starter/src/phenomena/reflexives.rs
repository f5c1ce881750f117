//! `Anna praised herself. / *Anna praised himself.`

use super::Pair;
use crate::grammar::{Draw, Gender, Kind, Number};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let gender = draw.gender();
    let (right, wrong) = (gender.reflexive(), gender.other().reflexive());
    let words = draw.words;
    let praised = draw.verb(&words.transitive);
    let past = &praised.past;
    match draw.below(7) {
        // Gender.
        0 => {
            let subject = one(draw, gender);
            let auxiliary = draw.one(&["will", "should", "could", "might", "must"]);
            let base = &praised.base;
            Pair::statement(
                format!("{subject} {auxiliary} {base} {right}"),
                format!("{subject} {auxiliary} {base} {wrong}"),
            )
        }
        1 => {
            let subject = one(draw, gender);
            let place = draw.place();
            Pair::statement(format!("{subject} {past} {right} {place}"), format!("{subject} {past} {wrong} {place}"))
        }
        // Number.
        2 => {
            let subject = draw.the(Kind::Person, Number::Plural);
            let place = draw.place();
            Pair::statement(format!("{subject} {past} themselves {place}"), format!("{subject} {past} {wrong} {place}"))
        }
        // The head of the subject binds, not what is inside it.
        3 => {
            let subject = format!("the {}", draw.gendered(gender).singular);
            let inside = one(draw, gender.other());
            let near = draw.one(&["near", "behind", "next to", "beside"]);
            let subject = format!("{subject} {near} {inside}");
            Pair::statement(format!("{subject} {past} {right}"), format!("{subject} {past} {wrong}"))
        }
        4 => {
            let (owner, owned) = (draw.name_of(gender.other()), &draw.gendered(gender).singular);
            Pair::statement(format!("{owner}'s {owned} {past} {right}"), format!("{owner}'s {owned} {past} {wrong}"))
        }
        // The antecedent is in the same clause.
        5 => {
            let (speaker, subject) = (one(draw, gender), draw.the(Kind::Person, Number::Plural));
            let claimed = &draw.verb(&words.believing).past;
            let start = format!("{speaker} {claimed} that {subject} {past}");
            Pair::statement(format!("{start} themselves"), format!("{start} {right}"))
        }
        // A reflexive is no subject.
        _ => {
            let subject = one(draw, gender);
            let claimed = &draw.verb(&words.believing).past;
            let action = draw.action().past();
            Pair::statement(
                format!("{subject} {claimed} that {} {action}", gender.subject()),
                format!("{subject} {claimed} that {right} {action}"),
            )
        }
    }
}

/// One person whose gender is known.
fn one(draw: &mut Draw<'_>, gender: Gender) -> String {
    if draw.coin() { draw.name_of(gender).to_owned() } else { format!("the {}", draw.gendered(gender).singular) }
}
