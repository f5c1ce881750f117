//! Spelling: how the forms of a regular word are made, and which article a word takes.
//!
//! Irregular forms are in the lexicon; nothing here knows a particular verb or noun.

/// Whether `letter` is written for a vowel; `y` is not among them.
fn vowel(letter: u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u')
}

/// Whether the word ends in a consonant and `y`, which turns into `i` before most endings.
fn consonant_y(word: &str) -> bool {
    matches!(word.as_bytes(), [.., before, b'y'] if !vowel(*before))
}

/// The `-s` of plural nouns and of verbs in the third person.
pub(crate) fn add_s(word: &str) -> String {
    if consonant_y(word) {
        format!("{}ies", &word[..word.len() - 1])
    } else if ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end)) {
        format!("{word}es")
    } else {
        format!("{word}s")
    }
}

/// The `-ed` of a regular past; `doubled` verbs repeat their last letter.
pub(crate) fn add_ed(word: &str, doubled: bool) -> String {
    add_e(word, doubled, "ed")
}

/// The `-er` or `-est` of a short adjective; `doubled` adjectives repeat their last letter.
pub(crate) fn add_er(word: &str, doubled: bool, ending: &str) -> String {
    add_e(word, doubled, ending)
}

/// An ending that begins with an `e`.
fn add_e(word: &str, doubled: bool, ending: &str) -> String {
    if word.ends_with('e') {
        format!("{word}{}", &ending[1..])
    } else if consonant_y(word) {
        format!("{}i{ending}", &word[..word.len() - 1])
    } else {
        format!("{}{ending}", stem(word, doubled))
    }
}

/// The `-ing` of a verb; `doubled` verbs repeat their last letter.
pub(crate) fn add_ing(word: &str, doubled: bool) -> String {
    if word.ends_with('e') && !word.ends_with("ee") {
        format!("{}ing", &word[..word.len() - 1])
    } else {
        format!("{}ing", stem(word, doubled))
    }
}

/// The word, with its last letter twice if it is `doubled`.
fn stem(word: &str, doubled: bool) -> String {
    let repeated = if doubled { &word[word.len() - 1..] } else { "" };
    format!("{word}{repeated}")
}

/// `a` or `an`, whichever the sound of the next word asks for.
pub(crate) fn article(next: &str) -> &'static str {
    let next = next.to_lowercase();
    let silent_h = ["heir", "honest", "hour"].iter().any(|start| next.starts_with(start));
    let spoken_y = ["uni", "use", "eu", "one"].iter().any(|start| next.starts_with(start));
    let written = next.as_bytes().first().is_some_and(|first| vowel(*first));
    if silent_h || (written && !spoken_y) { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_and_third_persons_follow_the_spelling() {
        for (word, form) in [
            ("dog", "dogs"),
            ("box", "boxes"),
            ("watch", "watches"),
            ("baby", "babies"),
            ("toy", "toys"),
            ("kiss", "kisses"),
        ] {
            assert_eq!(add_s(word), form);
        }
    }

    #[test]
    fn pasts_and_gerunds_follow_the_spelling() {
        for (word, doubled, past, gerund) in [
            ("praise", false, "praised", "praising"),
            ("hug", true, "hugged", "hugging"),
            ("carry", false, "carried", "carrying"),
            ("enjoy", false, "enjoyed", "enjoying"),
            ("agree", false, "agreed", "agreeing"),
        ] {
            assert_eq!(add_ed(word, doubled), past);
            assert_eq!(add_ing(word, doubled), gerund);
        }
    }

    #[test]
    fn comparisons_follow_the_spelling() {
        assert_eq!(add_er("tall", false, "er"), "taller");
        assert_eq!(add_er("big", true, "est"), "biggest");
        assert_eq!(add_er("happy", false, "er"), "happier");
        assert_eq!(add_er("wise", false, "est"), "wisest");
    }

    #[test]
    fn the_article_follows_the_sound_not_the_letter() {
        for word in ["apple", "umbrella", "heir", "Heiress", "honest", "hour"] {
            assert_eq!(article(word), "an", "{word}");
        }
        for word in ["dog", "house", "useful", "uniform", "European", "one"] {
            assert_eq!(article(word), "a", "{word}");
        }
    }
}
