//! `Which book did Anna translate? / *Which book did Anna translate it?`

use super::Pair;
use crate::grammar::{Draw, Kind};

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let words = draw.words;
    let subject = draw.person();
    let deed = draw.deed();
    let number = draw.number();
    let object = deed.object.form(number);
    let pronoun = match (deed.kind, number.of("it", "them")) {
        (Kind::Person, "it") => "her",
        (_, pronoun) => pronoun,
    };
    let (base, past) = (&deed.verb.base, &deed.verb.past);
    match draw.below(8) {
        // It leaves a gap.
        0 => {
            let question = format!("which {object} did {subject} {base}");
            Pair::question(&question, format!("{question} {pronoun}"))
        }
        1 => {
            let question = format!("what did {subject} {}", draw.deed_to_thing().verb.base);
            Pair::question(&question, format!("{question} {}", draw.the(Kind::Thing, number)))
        }
        2 => {
            let believe = &draw.verb(&words.believing).base;
            let question = format!("which {object} did {} {believe} that {subject} {past}", draw.name());
            Pair::question(&question, format!("{question} {pronoun}"))
        }
        3 => {
            let noun = draw.noun(Kind::Thing).form(number);
            let (verb, adjective) = (&draw.verb(&words.handling).past, draw.word(&words.long_thing));
            let was = number.was();
            let pronoun = number.of("it", "them");
            Pair::statement(
                format!("the {noun} that {subject} {verb} {was} {adjective}"),
                format!("the {noun} that {subject} {verb} {pronoun} {was} {adjective}"),
            )
        }
        // The auxiliary goes before the subject in a question, and not in an indirect one.
        4 => {
            let auxiliary = draw.one(&["will", "should", "could", "must", "did"]);
            Pair::question(
                format!("which {object} {auxiliary} {subject} {base}"),
                format!("which {object} {subject} {auxiliary} {base}"),
            )
        }
        5 => {
            let start = format!("{} {} which {object}", draw.name(), draw.verb(&words.asking).past);
            Pair::statement(format!("{start} {subject} {past}"), format!("{start} did {subject} {base}"))
        }
        // One word introduces a clause.
        6 => {
            let start = format!("{} {} which {object}", draw.name(), draw.verb(&words.asking).past);
            let whether = draw.one(&["whether", "if"]);
            Pair::statement(format!("{start} {subject} {past}"), format!("{start} {whether} {subject} {past}"))
        }
        // A preposition is taken along or left behind.
        _ => {
            let (give, thing) = (&draw.verb(&words.giving).base, draw.the(Kind::Thing, number));
            let person = draw.noun(Kind::Person).form(draw.number());
            let question = format!("to which {person} did {subject} {give} {thing}");
            Pair::question(&question, format!("{question} to"))
        }
    }
}
