//! `Anna could have laughed. / *Anna have could laughed.`

use super::Pair;
use crate::grammar::Draw;

pub(super) fn pair(draw: &mut Draw<'_>) -> Pair {
    let subject = draw.person();
    let (have, be, does) = (subject.number.have(), subject.number.be(), subject.number.does());
    let action = draw.action();
    let modal = draw.one(&["will", "could", "should", "might", "must"]);
    let (base, past, participle, gerund) = (action.base(), action.past(), action.participle(), action.gerund());
    match draw.below(10) {
        // Their order.
        0 => Pair::statement(
            format!("{subject} {modal} have {participle}"),
            format!("{subject} have {modal} {participle}"),
        ),
        1 => Pair::statement(format!("{subject} {have} been {gerund}"), format!("{subject} been {have} {gerund}")),
        2 => Pair::statement(
            format!("{subject} {modal} have been {gerund}"),
            if draw.coin() {
                format!("{subject} {modal} been have {gerund}")
            } else {
                format!("{subject} have {modal} been {gerund}")
            },
        ),
        3 => Pair::question(format!("{have} {subject} been {gerund}"), format!("been {subject} {have} {gerund}")),
        // Each is said once.
        4 => {
            let modal = draw.one(&["will", "can", "should", "could", "must"]);
            Pair::question(format!("{modal} {subject} {base}"), format!("{modal} {subject} {modal} {base}"))
        }
        5 => {
            let second = *draw.one(&["can", "should", "must"]);
            let first = draw.one(&["will", "may"]);
            Pair::statement(format!("{subject} {first} {base}"), format!("{subject} {first} {second} {base}"))
        }
        // The tense is said once.
        6 => {
            let finite = action.present(subject.number);
            if finite == base || draw.coin() {
                Pair::question(format!("did {subject} {base}"), format!("did {subject} {past}"))
            } else {
                Pair::question(format!("does {subject} {base}"), format!("does {subject} {finite}"))
            }
        }
        7 => {
            let finite = action.present(subject.number);
            if finite == base || draw.coin() {
                Pair::statement(format!("{subject} did not {base}"), format!("{subject} did not {past}"))
            } else {
                Pair::statement(format!("{subject} {does} not {base}"), format!("{subject} {does} not {finite}"))
            }
        }
        // The form after each.
        8 => match draw.below(4) {
            0 => Pair::statement(format!("{subject} {have} {participle}"), format!("{subject} {have} {base}")),
            1 => Pair::statement(format!("{subject} {be} {gerund}"), format!("{subject} {be} {base}")),
            2 => Pair::statement(format!("{subject} {modal} {base}"), format!("{subject} {modal} {gerund}")),
            _ => Pair::statement(format!("{subject} {modal} {base}"), format!("{subject} {modal} {past}")),
        },
        // Negations and questions want one.
        _ => {
            if draw.coin() {
                Pair::statement(format!("{subject} did not {base}"), format!("{subject} not {past}"))
            } else {
                Pair::question(
                    format!("did {subject} {base}"),
                    format!("{} {subject}{}", action.verb.past, action.rest),
                )
            }
        }
    }
}
