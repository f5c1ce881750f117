//! `There is a dog in the garden. / *There is every dog in the garden.`

use super::Pair;
use crate::grammar::{Draw, Kind, Number};
use crate::morphology::article;

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let kind = *draw.one(&[Kind::Animal, Kind::Person, Kind::Thing]);
    let number = draw.number();
    let (noun, place) = (draw.described(kind, number), draw.place());
    let (be, was) = (number.be(), number.was());
    let be = if draw.coin() { be } else { was };
    let weak = match number {
        Number::Singular => *draw.one(&[article(&noun), "no", "one"]),
        Number::Plural => *draw.one(&["some", "two", "three", "many", "no", "several"]),
    };
    match draw.below(4) {
        // What follows is not definite.
        0 | 1 => {
            let strong = match number {
                Number::Singular => *draw.one(&["every", "each"]),
                Number::Plural => *draw.one(&["most", "all", "both"]),
            };
            Pair::statement(format!("there {be} {weak} {noun} {place}"), format!("there {be} {strong} {noun} {place}"))
        }
        // Nothing but `there` fills its place.
        2 => {
            let raised = draw.one(&["seemed", "appeared", "happened"]);
            let tried = draw.one(&["tried", "wanted", "managed"]);
            Pair::statement(
                format!("there {raised} to be {weak} {noun} {place}"),
                format!("there {tried} to be {weak} {noun} {place}"),
            )
        }
        _ => {
            let (likely, eager) =
                (draw.one(&["likely", "certain", "sure", "bound"]), draw.one(&["eager", "willing", "reluctant"]));
            Pair::statement(
                format!("there {be} {likely} to be {weak} {noun} {place}"),
                format!("there {be} {eager} to be {weak} {noun} {place}"),
            )
        }
    }
}
