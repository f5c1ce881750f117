//! Signals of sentences that are our own.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use wellformed_signals::{Reference, SignalError, Signals};

/// A little language: `[CLS]`, `[SEP]`, function words, nouns, verbs, pieces.
const VOCABULARY: [&str; 14] =
    ["[CLS]", "[SEP]", ".", "the", "a", "and", "baker", "farmer", "teapot", "opened", "saw", "##ing", "##er", "zyx"];

fn ids(sentence: &str) -> Vec<u32> {
    let id = |word: &str| VOCABULARY.iter().position(|one| *one == word).unwrap() as u32;
    [0].into_iter().chain(sentence.split_whitespace().map(id)).chain([1]).collect()
}

fn vocabulary() -> Vec<String> {
    VOCABULARY.map(str::to_owned).to_vec()
}

fn corpus() -> Vec<Vec<u32>> {
    let nouns = ["baker", "farmer", "teapot"];
    let mut sentences = Vec::new();
    for round in 0..40 {
        for (a, first) in nouns.iter().enumerate() {
            let second = nouns[(a + round) % 3];
            let verb = if round % 2 == 0 { "opened" } else { "saw" };
            sentences.push(ids(&format!("the {first} {verb} a {second} and the {second} .")));
        }
    }
    sentences
}

fn signals(sentence: &str) -> Signals {
    Reference::build(&corpus(), &vocabulary()).unwrap().signals(&ids(sentence)).unwrap()
}

#[test]
fn words_out_of_order_surprise_more_and_look_the_same_otherwise() {
    let (good, bad) = (signals("the baker saw a teapot ."), signals("saw the . a baker teapot"));
    assert!(bad.surprise > good.surprise + 2.0, "{good:?} {bad:?}");
    assert_eq!((good.pieces_per_word, good.frequent_share), (bad.pieces_per_word, bad.frequent_share));
}

#[test]
fn the_first_token_of_a_sentence_starts_a_word_even_if_the_vocabulary_marks_it_as_a_later_piece() {
    // As of a byte-level vocabulary, which marks the space before a word: there is none before the first.
    assert_eq!(signals("##ing the baker").pieces_per_word, 1.0);
    assert_eq!(signals("##ing ##er baker").pieces_per_word, 3.0 / 2.0);
}

#[test]
fn a_word_taken_apart_counts_as_one_word_and_an_unseen_one_is_not_frequent() {
    // Six tokens, of which two are later pieces; zyx is in no sentence of the corpus, ##ing and ##er never count.
    let found = signals("the zyx ##ing ##er saw .");
    assert_eq!(found.pieces_per_word, 6.0 / 4.0);
    assert_eq!(found.frequent_share, 3.0 / 6.0);
}

#[test]
fn surprise_is_the_mean_of_minus_log2_of_the_smoothed_shares() {
    // By hand: 120 sentences of 10 pairs, and 172 classes. "the" follows 240 times, 120 of them [CLS]: its prior is
    // (240 + 1) / (1200 + 172), and P(the | [CLS]) = (120 + 8 · prior) / (120 + 8). [SEP] follows 120 times, but never
    // "the", which comes first 240 times.
    let all = 1200.0 + 172.0;
    let first = (120.0 + 8.0 * 241.0 / all) / (120.0 + 8.0);
    let last = (0.0 + 8.0 * 121.0 / all) / (240.0 + 8.0);
    let expected = (-f64::log2(first) - f64::log2(last)) / 2.0;
    let found = signals("the").surprise;
    // Stored in steps of 1/16 bit.
    assert!((found - expected).abs() <= 1.0 / 32.0, "{found} instead of {expected}");
}

#[test]
fn nothing_between_start_and_end_has_no_signals_and_ids_beyond_the_vocabulary_are_survived() {
    let reference = Reference::build(&corpus(), &vocabulary()).unwrap();
    assert_eq!(reference.signals(&[0, 1]), None);
    assert_eq!(reference.signals(&[]), None);
    assert_eq!(reference.signals(&[0, 9999, 1]).unwrap().pieces_per_word, 1.0);
}

#[test]
fn a_reference_is_read_as_it_was_written_and_depends_on_no_order() {
    let reference = Reference::build(&corpus(), &vocabulary()).unwrap();
    let text = serde_json::to_string(&reference).unwrap();
    assert_eq!(serde_json::from_str::<Reference>(&text).unwrap(), reference);
    let mut backwards = corpus();
    backwards.reverse();
    assert_eq!(Reference::build(&backwards, &vocabulary()).unwrap(), reference);
    let error = serde_json::from_str::<Reference>(&text.replace("\"format\":1", "\"format\":9")).unwrap_err();
    assert!(error.to_string().contains("format is 9, but must be 1"), "{error}");
}

#[test]
fn a_corpus_that_does_not_go_with_the_vocabulary_or_is_too_small_is_refused() {
    let error = Reference::build(&[vec![0, 99, 1]], &vocabulary()).unwrap_err();
    assert_eq!(error, SignalError::Token { id: 99, last: 13 });
    assert_eq!(Reference::build(&[vec![0, 3, 1]], &vocabulary()).unwrap_err(), SignalError::TooSmall(3));
}
