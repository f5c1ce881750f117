//! What the corpus promises.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use wellformed_starter::{Corpus, Item, Phenomenon, Sizes, generate};

/// Words that both parts may use: those that belong to the grammar rather than to what is talked about.
const FUNCTION_WORDS: &str = "a an the this that these those my your our their each every another one two three both \
    few many several some all most no none any i me he him she her we us they them it you himself herself themselves \
    nobody anybody somebody everybody anyone someone who which what whose whether if because before after although when \
    while as soon by time than of to in on at near outside behind beside next under from with for on against is are was \
    were be been being has have had does do did will would could should might must may can not and ever there very \
    quite rather enough much more going likely unlikely doubtful certain clear possible obvious sure bound eager \
    willing reluctant seemed appeared happened tried wanted managed last ago now";

fn corpus(seed: u64) -> Corpus {
    generate(seed, Sizes::default()).unwrap()
}

fn all(corpus: &Corpus) -> impl Iterator<Item = &Item> {
    corpus.train.iter().chain(&corpus.validation)
}

fn pairs(items: &[Item]) -> impl Iterator<Item = (&Item, &Item)> {
    items.chunks(2).map(|pair| (&pair[0], &pair[1]))
}

/// The words of a sentence, in small letters, without punctuation and the `'s` of an owner.
fn words(sentence: &str) -> Vec<String> {
    let bare = sentence.to_lowercase().replace("'s", "").replace([',', '.', '?'], "");
    bare.split(' ').map(str::to_owned).collect()
}

fn vocabulary(items: &[Item]) -> BTreeSet<String> {
    items.iter().flat_map(|item| words(&item.sentence)).collect()
}

#[test]
fn a_seed_gives_the_same_corpus_every_time() {
    assert_eq!(corpus(1), corpus(1));
}

#[test]
fn another_seed_gives_another_corpus() {
    let sentences = |seed| all(&corpus(seed)).map(|item| item.sentence.clone()).collect::<BTreeSet<_>>();
    let (one, two) = (sentences(1), sentences(2));
    assert!(one.intersection(&two).count() < one.len() / 10);
}

#[test]
fn the_validation_part_does_not_depend_on_the_training_part() {
    let small = generate(1, Sizes { train_pairs: 1, validation_pairs: 50 }).unwrap();
    assert_eq!(small.validation, corpus(1).validation);
}

#[test]
fn a_smaller_corpus_is_the_beginning_of_a_larger_one() {
    let small = generate(1, Sizes { train_pairs: 20, validation_pairs: 50 }).unwrap();
    let large = corpus(1);
    for phenomenon in Phenomenon::ALL {
        let of =
            |items: &[Item]| items.iter().filter(|item| item.phenomenon == phenomenon).cloned().collect::<Vec<_>>();
        assert_eq!(of(&small.train), of(&large.train)[..40], "{}", phenomenon.name());
    }
}

#[test]
fn every_phenomenon_has_the_pairs_that_were_asked_for_half_of_them_acceptable() {
    let corpus = corpus(1);
    for (items, expected) in [(&corpus.train, 300), (&corpus.validation, 50)] {
        let mut counts = BTreeMap::new();
        for item in items {
            *counts.entry((item.phenomenon, item.acceptable)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 2 * Phenomenon::ALL.len());
        assert!(counts.values().all(|count| *count == expected), "{counts:?}");
    }
}

#[test]
fn there_are_at_least_twelve_phenomena_with_different_names_in_snake_case() {
    let names: BTreeSet<&str> = Phenomenon::ALL.into_iter().map(Phenomenon::name).collect();
    assert_eq!(names.len(), Phenomenon::ALL.len());
    assert!(names.len() >= 12);
    for name in names {
        assert!(name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_'), "{name}");
    }
}

#[test]
fn a_pair_is_an_acceptable_sentence_and_then_an_unacceptable_one() {
    let corpus = corpus(1);
    for (good, bad) in pairs(&corpus.train).chain(pairs(&corpus.validation)) {
        assert!(good.acceptable && !bad.acceptable);
        assert_eq!((good.phenomenon, good.pair), (bad.phenomenon, bad.pair));
        assert_ne!(good.sentence, bad.sentence);
    }
}

#[test]
fn the_sentences_of_a_pair_are_mostly_the_same_words() {
    let corpus = corpus(1);
    for (good, bad) in pairs(&corpus.train).chain(pairs(&corpus.validation)) {
        let (one, two) = (words(&good.sentence), words(&bad.sentence));
        let only = |these: &[String], those: &[String]| these.iter().filter(|word| !those.contains(word)).count();
        let different = only(&one, &two).max(only(&two, &one));
        assert!(different <= 4 && 2 * different <= one.len().max(two.len()), "{} / {}", good.sentence, bad.sentence);
    }
}

#[test]
fn no_sentence_occurs_twice_not_even_in_other_capitals() {
    let corpus = corpus(1);
    let mut seen = BTreeSet::new();
    for item in all(&corpus) {
        let normal = item.sentence.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(seen.insert(normal), "{}", item.sentence);
    }
}

#[test]
fn the_two_parts_have_only_function_words_in_common() {
    let corpus = corpus(1);
    let function: BTreeSet<String> = FUNCTION_WORDS.split_whitespace().map(str::to_owned).collect();
    let (train, validation) = (vocabulary(&corpus.train), vocabulary(&corpus.validation));
    let common: Vec<&String> = train.intersection(&validation).filter(|word| !function.contains(*word)).collect();
    assert!(common.is_empty(), "{common:?}");
}

#[test]
fn sentences_begin_with_a_capital_end_with_a_mark_and_have_single_spaces() {
    for item in all(&corpus(1)) {
        let sentence = &item.sentence;
        assert!(sentence.starts_with(|letter: char| letter.is_ascii_uppercase()), "{sentence}");
        assert!(sentence.ends_with(['.', '?']) && !sentence.contains(" ."), "{sentence}");
        assert!(!sentence.contains("  ") && !sentence.contains(['\t', '\n']), "{sentence}");
        assert!(words(sentence).len() >= 2, "{sentence}");
    }
}

#[test]
fn questions_have_a_question_mark_and_statements_a_full_stop() {
    let corpus = corpus(1);
    let first =
        ["which", "what", "whose", "did", "does", "has", "have", "to", "will", "can", "should", "could", "must"];
    for item in all(&corpus).filter(|item| item.acceptable) {
        let asks = first.contains(&words(&item.sentence)[0].as_str());
        assert_eq!(item.sentence.ends_with('?'), asks, "{}", item.sentence);
    }
}

#[test]
fn a_and_an_fit_the_next_word_in_every_sentence() {
    for item in all(&corpus(1)) {
        for pair in words(&item.sentence).windows(2) {
            let vowel = pair[1].starts_with(['a', 'e', 'i', 'o', 'u']);
            let an = (vowel && !pair[1].starts_with("use")) || pair[1].starts_with("heir");
            let fits = match pair[0].as_str() {
                "a" => !an,
                "an" => an,
                _ => true,
            };
            assert!(fits, "{} {}: {}", pair[0], pair[1], item.sentence);
        }
    }
}

#[test]
fn validation_uses_hundreds_of_content_words() {
    let corpus = corpus(1);
    assert!(vocabulary(&corpus.train).len() > 700, "{}", vocabulary(&corpus.train).len());
    assert!(vocabulary(&corpus.validation).len() > 400, "{}", vocabulary(&corpus.validation).len());
}

#[test]
fn several_times_the_default_sizes_can_be_had() {
    let corpus = generate(7, Sizes { train_pairs: 2_000, validation_pairs: 200 }).unwrap();
    assert_eq!(corpus.train.len(), 4_000 * Phenomenon::ALL.len());
}
