//! What is written: the same bytes for the same inputs, whole or not at all.

use std::fs;
use std::path::PathBuf;

use anyhow::bail;
use wellformed_core::dataset::Split;
use wellformed_prepare::places::replace_folder;

use crate::support::{Project, cola, stage, table};

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let corpus = cola(&[("aa01", 1, 50), ("aa01", 0, 30), ("bb02", 1, 80), ("bb02", 0, 6)]);
    let (one, other) = (Project::new(&corpus), Project::new(&corpus));
    one.prepare(&stage()).unwrap();
    other.prepare(&stage()).unwrap();
    let outputs = one.outputs();
    assert!(outputs == other.outputs());
    one.prepare(&stage()).unwrap();
    assert!(outputs == one.outputs(), "a second run over the first");
    let names: Vec<PathBuf> = outputs.into_iter().map(|(name, _)| name).collect();
    let expected = [
        "data/prepared/pairs.parquet",
        "data/prepared/phenomena.parquet",
        "data/prepared/train.parquet",
        "data/prepared/tune.parquet",
        "data/prepared/validation.parquet",
        "reports/prepare/labels.csv",
        "reports/prepare/lengths.csv",
        "reports/prepare/metrics.json",
        "reports/prepare/sources.csv",
    ];
    assert_eq!(names, expected.map(PathBuf::from));
    let beside: Vec<_> =
        fs::read_dir(one.root().join("data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 2, "nothing is left beside raw and prepared: {beside:?}");
}

#[test]
fn the_plots_have_a_row_for_every_length_label_and_source() {
    let project = Project::new(&cola(&[("aa01", 1, 20), ("b,b", 0, 10)]));
    project.prepare(&stage()).unwrap();
    let labels = project.report("labels.csv");
    assert!(labels.starts_with("split,label,sentences\ntrain,unacceptable,8\ntrain,acceptable,16\n"), "{labels}");
    let sources = project.report("sources.csv");
    let wanted = "source,split,sentences,acceptable_share\naa01,train,16,1.0000\n\"b,b\",train,8,0.0000\n";
    assert!(sources.starts_with(wanted), "{sources}");
    assert!(sources.contains("\naa01,validation,2,0.5000\nzz09,validation,2,0.5000\n"), "{sources}");

    let lengths = project.report("lengths.csv");
    let mut rows = csv::Reader::from_reader(lengths.as_bytes());
    assert_eq!(rows.headers().unwrap(), vec!["split", "tokens", "sentences"]);
    let rows: Vec<(String, usize, usize)> = rows.deserialize().map(Result::unwrap).collect();
    for split in Split::ALL {
        let of: Vec<_> = rows.iter().filter(|(name, _, _)| name == split.name()).collect();
        let tokens: usize = of.iter().map(|(_, tokens, count)| tokens * count).sum();
        let read = project.read(split);
        assert_eq!(of.iter().map(|(_, _, count)| count).sum::<usize>(), read.len());
        assert_eq!(tokens, read.iter().map(|one| one.input_ids.len()).sum::<usize>());
        assert!(of.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1), "no length is left out");
    }
}

#[test]
fn a_bad_corpus_leaves_the_outputs_of_the_last_good_one() {
    let project = Project::own(&table(30, 30));
    project.prepare(&stage()).unwrap();
    let before = project.outputs();
    project.put_corpus(&[("corpus/train.tsv", "sentence\tlabel\nA cat.\tyes\n")]);
    project.prepare(&stage()).unwrap_err();
    assert!(before == project.outputs());
}

#[test]
fn a_folder_whose_writing_is_cut_short_stays_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("prepared");
    let fill = |text: &'static str| {
        move |folder: &std::path::Path| {
            fs::write(folder.join("train"), text)?;
            Ok(())
        }
    };
    let read = || fs::read_to_string(folder.join("train")).unwrap();
    let beside = || fs::read_dir(root.path()).unwrap().count() - 1;
    replace_folder(&folder, fill("one")).unwrap();
    assert_eq!((read().as_str(), beside()), ("one", 0));

    // A failure after half of the work.
    let half = |folder: &std::path::Path| {
        fs::write(folder.join("train"), "tw")?;
        bail!("no space left")
    };
    assert_eq!(replace_folder(&folder, half).unwrap_err().to_string(), "no space left");
    assert_eq!((read().as_str(), beside()), ("one", 0));

    // Killed while it wrote: a half-written folder lies beside the old one.
    fs::create_dir(root.path().join(".prepared.new")).unwrap();
    fs::write(root.path().join(".prepared.new/tune"), "ha").unwrap();
    replace_folder(&folder, fill("three")).unwrap();
    assert_eq!((read().as_str(), beside(), folder.join("tune").exists()), ("three", 0, false));

    // Killed between the two renames: the next run has the old folder back before anything can go wrong.
    fs::rename(&folder, root.path().join(".prepared.old")).unwrap();
    replace_folder(&folder, half).unwrap_err();
    assert_eq!((read().as_str(), beside()), ("three", 0));
}
