//! When two sentences count as the same.

use tokenizers::NormalizedString;

/// The form in which sentences are compared: composed (NFC), lower case, control characters dropped, white space
/// collapsed, punctuation at the end ignored.
///
/// Two sentences of the same form never stand on different sides of a split. The comparison is meant to be generous:
/// *Did he leave* and *Did he leave?* are one sentence to a model that lower-cases and barely weighs the final mark.
pub fn normal_form(sentence: &str) -> String {
    let composed = NormalizedString::from(sentence).nfc().get().to_lowercase();
    let words: Vec<String> = composed
        .split_whitespace()
        .map(|word| word.chars().filter(|character| !character.is_control()).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    let whole = words.join(" ");
    let shorter = whole.trim_end_matches(|character: char| ".!?…,;: ".contains(character));
    // Nothing but marks: then the marks are the sentence.
    if shorter.is_empty() { whole } else { shorter.to_owned() }
}
