//! Duplicates, leaks, and the draw.

use std::collections::{BTreeMap, BTreeSet};

use wellformed_core::dataset::Split;
use wellformed_prepare::normal::normal_form;

use crate::support::{Project, cola, stage, table};

fn strata(project: &Project, split: Split) -> BTreeMap<(String, usize), usize> {
    let mut strata = BTreeMap::new();
    for one in project.read(split) {
        *strata.entry((one.source, one.label.index())).or_default() += 1;
    }
    strata
}

#[test]
fn tune_takes_its_share_of_every_source_and_label() {
    // 166 sentences, of which 33: exact shares 9.94, 5.96, 15.90, 1.19 make 9 + 5 + 15 + 1, and the three largest
    // remainders get one more each.
    let project = Project::new(&cola(&[("aa01", 1, 50), ("aa01", 0, 30), ("bb02", 1, 80), ("bb02", 0, 6)]));
    project.prepare(&stage()).unwrap();
    let tune = strata(&project, Split::Tune);
    let expected = [(("aa01", 1), 10), (("aa01", 0), 6), (("bb02", 1), 16), (("bb02", 0), 1)];
    assert_eq!(tune, expected.map(|((source, label), count)| ((source.to_owned(), label), count)).into());
    assert_eq!(project.read(Split::Train).len(), 133);
}

#[test]
fn the_seed_decides_who_is_drawn_and_a_corpus_that_grows_is_not_shuffled_anew() {
    let mut stage = stage();
    let drawn = |train: &str, stage: &_| {
        let project = Project::new(&[
            ("corpus/train.tsv", train),
            ("corpus/validation.tsv", &table(1, 1).replace("mat", "house")),
        ]);
        project.prepare(stage).unwrap();
        project.ids(Split::Tune).into_iter().collect::<BTreeSet<_>>()
    };
    let first = drawn(&table(100, 0).replace("0.\t1", "0.\t0"), &stage);
    assert_eq!(first, drawn(&table(100, 0).replace("0.\t1", "0.\t0"), &stage));
    let grown = drawn(&format!("{}A new cat sleeps.\t1\n", table(100, 0).replace("0.\t1", "0.\t0")), &stage);
    assert!(first.intersection(&grown).count() >= 19, "{first:?} {grown:?}");
    stage.seed = 2;
    let other = drawn(&table(100, 0).replace("0.\t1", "0.\t0"), &stage);
    assert!(first.intersection(&other).count() < 12, "{first:?} {other:?}");
}

#[test]
fn sentences_that_are_the_same_in_all_but_form_stay_on_one_side() {
    let mut train = "sentence\tlabel\n".to_owned();
    for n in 0..60 {
        let label = n % 2;
        train += &format!("Did the caf\u{e9} {n} sleep?\t{label}\ndid  the CAFE\u{301} {n} sleep\t{label}\n");
    }
    let project = Project::own(&train);
    project.prepare(&stage()).unwrap();
    let sides = [Split::Train, Split::Tune, Split::Validation].map(|split| {
        let read = project.read(split);
        let forms: BTreeSet<String> = read.iter().map(|one| normal_form(&one.sentence)).collect();
        assert_eq!(read.len(), 2 * forms.len(), "{split:?} has half a pair");
        forms
    });
    assert!(sides[0].is_disjoint(&sides[1]) && sides[0].is_disjoint(&sides[2]) && sides[1].is_disjoint(&sides[2]));
    assert_eq!(project.metrics()["duplicates"]["kept_similar"], 60);
    assert_eq!(sides.map(|side| 2 * side.len()), [86, 22, 12]);
}

#[test]
fn the_normal_form_ignores_case_composition_space_control_characters_and_the_final_mark() {
    for same in
        ["Did he  leave?", "did he leave", "DID HE\tLEAVE ?!", " Did h\u{8}e leave\u{2026}", "Did he leave \u{8}."]
    {
        assert_eq!(normal_form(same), "did he leave", "{same:?}");
    }
    assert_eq!(normal_form("Cafe\u{301}."), normal_form("CAF\u{c9}"));
    assert_ne!(normal_form("He, did leave"), normal_form("He did leave"));
    assert_eq!(normal_form("?!"), "?!");
}

#[test]
fn a_duplicate_is_kept_once_and_a_sentence_with_both_labels_twice() {
    let again = "The cat sleeps on mat 3.\t1\nThe cat sleeps on mat 4.\t0\nThe cat sleeps on mat 3.\t1\n";
    let validation = "sentence\tlabel\nA dog barks.\t1\nA dog barks\t0\nA dog barks.\t1\n";
    let train = format!("{}{again}", table(30, 20));
    let project = Project::new(&[("corpus/train.tsv", train.as_str()), ("corpus/validation.tsv", validation)]);
    let lines = project.prepare(&stage()).unwrap();
    let found = &project.metrics()["duplicates"];
    assert_eq!((&found["removed"], &found["kept_with_both_labels"]), (&2.into(), &1.into()));
    assert_eq!((&found["kept_similar"], &found["kept_in_validation"]), (&0.into(), &2.into()));
    assert!(lines.iter().any(|line| line.starts_with("left out of training: 2 duplicates, 0 that")), "{lines:?}");

    let sides = [project.ids(Split::Train), project.ids(Split::Tune)];
    let side = |id: &str| sides.iter().position(|ids| ids.iter().any(|one| one == id));
    assert!(side("train-4").is_some(), "the first of two is kept");
    assert_eq!((side("train-51"), side("train-53")), (None, None), "the others are not");
    assert_eq!(side("train-5"), side("train-52"), "both judgements of a sentence are on one side");
    assert_eq!(project.read(Split::Validation).len(), 3, "validation stays as it is");
}

#[test]
fn a_training_sentence_that_validation_has_is_left_out_and_validation_stays() {
    let validation = "sentence\tlabel\nthe cat sleeps on mat 3\t1\nThe cats sleeps on mat 5!\t0\nA dog barks.\t1\n";
    let project = Project::new(&[("corpus/train.tsv", table(30, 20).as_str()), ("corpus/validation.tsv", validation)]);
    project.prepare(&stage()).unwrap();
    assert_eq!(project.metrics()["leakage"]["removed_for_validation"], 2);
    assert_eq!(project.ids(Split::Validation), ["validation-1", "validation-2", "validation-3"]);
    let kept = [project.ids(Split::Train), project.ids(Split::Tune)].concat();
    assert_eq!(kept.len(), 48);
    assert!(!kept.contains(&"train-4".to_owned()) && !kept.contains(&"train-36".to_owned()), "{kept:?}");
}

#[test]
fn splits_keep_the_order_of_the_file_and_share_no_sentence() {
    let project = Project::own(&table(60, 40));
    project.prepare(&stage()).unwrap();
    let mut all = Vec::new();
    for split in [Split::Train, Split::Tune, Split::Validation] {
        let numbers: Vec<usize> =
            project.ids(split).iter().map(|id| id.strip_prefix("train-").unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "{split:?}");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_corpus_that_cannot_be_split_says_why() {
    let said = Project::own(&table(2, 2)).refusal();
    assert!(said.contains("0.1 of 4 sentences (prepare.validation_fraction) would leave validation empty"), "{said}");
    let said = Project::own(&table(40, 0)).refusal();
    assert!(said.contains("none of its 29 training sentences has the label 0 (unacceptable)"), "{said}");
    let alike = (0..12).map(|n| format!("A dog barks{}\t{}\n", "!".repeat(n), n % 2)).collect::<String>();
    let said = Project::own(&format!("sentence\tlabel\n{alike}")).refusal();
    assert!(said.contains("too much alike"), "{said}");
}
