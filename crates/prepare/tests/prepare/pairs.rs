//! The minimal pairs that training begins with.

use std::collections::BTreeSet;

use wellformed_core::dataset::{Example, read_examples};
use wellformed_core::label::Label;
use wellformed_prepare::normal::normal_form;
use wellformed_starter::contrasts;

use crate::support::{Project, stage};

const SENTENCES: [&str; 8] = [
    "The children have eaten all of the cake.",
    "She walked to the station with her brother.",
    "Which book did the teacher give to them?",
    "He is taller than I am.",
    "There are no birds in the garden.",
    "The letter was written by a friend.",
    "I think that they will come back.",
    "Nobody has seen the dog or its owner!",
];

/// The corpus, acceptable sentences each with an unacceptable one that has nothing to do with the pairs.
fn corpus() -> String {
    let rows = SENTENCES.iter().enumerate().flat_map(|(number, sentence)| {
        [format!("{sentence}\t1\n"), format!("Garbled number {number} of are it.\t0\n")]
    });
    "sentence\tlabel\n".to_owned() + &rows.collect::<String>()
}

fn pairs(project: &Project) -> Vec<Example> {
    read_examples(&project.places.prepared.join("pairs.parquet")).unwrap()
}

fn prepared(copies: usize, grammar: usize) -> Project {
    let project = Project::own(&corpus());
    let mut stage = stage();
    stage.prepare.faulty_copies = copies;
    stage.prepare.grammar_pairs = grammar;
    project.prepare(&stage).unwrap();
    project
}

#[test]
fn every_pair_is_an_acceptable_sentence_and_one_that_differs_from_it() {
    let project = prepared(4, 3);
    let pairs = pairs(&project);
    let (mut grammar, mut copies) = (0, 0);
    for pair in pairs.chunks(2) {
        assert_eq!((pair[0].label, pair[1].label), (Label::Acceptable, Label::Unacceptable), "{pair:?}");
        assert_eq!(pair[0].source, pair[1].source);
        assert_ne!(normal_form(&pair[0].sentence), normal_form(&pair[1].sentence));
        let of_grammar = pair[0].id.starts_with("grammar-");
        assert!(of_grammar || SENTENCES.contains(&pair[0].sentence.as_str()), "{}", pair[0].sentence);
        *(if of_grammar { &mut grammar } else { &mut copies }) += 1;
        // Neither the first letter nor the final mark gives a fault away.
        for sentence in pair.iter().map(|it| &it.sentence) {
            assert!(sentence.starts_with(char::is_uppercase), "{sentence}");
            assert!(sentence.ends_with(['.', '?', '!']), "{sentence}");
        }
    }
    assert_eq!(grammar, 16 * 3);
    // Of each of the training sentences up to four, and hardly ever less than three.
    assert!((3 * 6..=4 * 8).contains(&copies), "{copies}");
    let metrics = project.metrics();
    assert_eq!((&metrics["pairs"]["grammar"], &metrics["pairs"]["faulty_copies"]), (&grammar.into(), &copies.into()));
}

#[test]
fn no_sentence_of_another_split_is_in_a_pair() {
    let project = prepared(4, 40);
    let forms = |split: &str| -> BTreeSet<String> {
        let examples = read_examples(&project.places.prepared.join(format!("{split}.parquet"))).unwrap();
        examples.iter().map(|example| normal_form(&example.sentence)).collect()
    };
    let pairs = forms("pairs");
    for split in ["tune", "validation", "phenomena"] {
        assert!(pairs.is_disjoint(&forms(split)), "{split}");
    }
    assert!(!pairs.is_disjoint(&forms("train")));
}

#[test]
fn the_same_seed_makes_the_same_pairs_and_a_longer_corpus_keeps_most_of_them() {
    let (one, again) = (pairs(&prepared(3, 2)), pairs(&prepared(3, 2)));
    assert_eq!(one, again);
    assert_ne!(one, pairs(&prepared(2, 2)));
    assert!(pairs(&prepared(0, 0)).is_empty());
}

#[test]
fn constructions_are_taught_but_not_against_the_corpus() {
    let mut stage = stage();
    stage.prepare.construction_pairs = 2;
    let all = contrasts(stage.seed, 2).unwrap();
    // The corpus accepts what one pair holds to be bad, and rejects what another holds to be good.
    let others = |text: &str| all.iter().filter(|pair| [&pair.good, &pair.bad].contains(&&text.to_owned())).count();
    let mut alone = all.iter().filter(|pair| others(&pair.good) == 1 && others(&pair.bad) == 1);
    let (accepted, rejected) = (alone.next().unwrap().bad.clone(), alone.next().unwrap().good.clone());
    let project = Project::own(&format!("{}{accepted}\t1\n{rejected}\t0\n", corpus()));
    stage.prepare.tune_fraction = 0.1;
    project.prepare(&stage).unwrap();

    let train = read_examples(&project.places.prepared.join("train.parquet")).unwrap();
    for sentence in [&accepted, &rejected] {
        assert!(train.iter().any(|example| example.sentence == *sentence), "{sentence} is in another split");
    }
    let pairs = pairs(&project);
    let taught: Vec<&Example> = pairs.iter().filter(|it| it.id.starts_with("construction-")).collect();
    assert!(taught.len() > all.len(), "{} of {}", taught.len(), 2 * all.len());
    assert_eq!(project.metrics()["pairs"]["constructions"], taught.len() / 2);
    for pair in taught.chunks(2) {
        assert_eq!((pair[0].label, pair[1].label), (Label::Acceptable, Label::Unacceptable));
        assert!(pair[1].sentence != accepted && pair[0].sentence != rejected);
    }
}
