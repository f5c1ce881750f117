//! GLUE, the user's own files and the starter corpus, packed into one file.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use wellformed_core::files::sha256_bytes;
use wellformed_fetch::FetchError;
use zip::{CompressionMethod, DateTime, ZipArchive};

use crate::server::{COMMIT, Fault, HubServer};
use crate::support::{Project, sets};

const TABLE: &str = "sentence\tlabel\nThe cats sleep.\t1\nThe cats sleeps.\t0\n";

fn from_file(path: &Path) -> Vec<String> {
    vec![format!("data.source='file:{}'", path.display())]
}

/// Parquet with these columns.
fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn glue_table(sentences: &[&str]) -> Vec<u8> {
    let count = sentences.len();
    parquet(vec![
        ("sentence", Arc::new(StringArray::from(sentences.to_vec())) as ArrayRef),
        ("label", Arc::new(Int64Array::from(vec![1; count])) as ArrayRef),
        ("idx", Arc::new(Int64Array::from_iter_values(0..count as i64)) as ArrayRef),
    ])
}

/// What `fetch` says of a file with this content.
fn complaint(name: &str, content: impl AsRef<[u8]>) -> String {
    let project = Project::new();
    let path = project.file(name, content);
    let error = project.data(&from_file(&path)).unwrap_err();
    assert!(matches!(&error, FetchError::Input { .. }), "{error:?}");
    assert!(!project.places.corpus.exists());
    error.to_string().replace(&format!("{}/", project.root().display()), "")
}

#[test]
fn a_table_is_packed_with_a_record_of_what_it_is() {
    let project = Project::new();
    let path = project.file("my data/judgements.tsv", TABLE);
    project.data(&from_file(&path)).unwrap();
    assert_eq!(project.members(), ["corpus/source.json", "corpus/train.tsv"]);
    assert_eq!(project.member("corpus/train.tsv"), TABLE.as_bytes());
    let record: Value = serde_json::from_slice(&project.member("corpus/source.json")).unwrap();
    assert_eq!(record["source"], "file");
    assert_eq!(record["files"]["train.tsv"]["sha256"], sha256_bytes(TABLE.as_bytes()));
}

#[test]
fn a_folder_gives_train_and_validation_each_in_its_own_form() {
    let project = Project::new();
    let csv = "label,sentence,source\n1,\"Cats, they sleep.\",own\n";
    project.file("mine/train.csv", csv);
    project.file("mine/validation.parquet", glue_table(&["Cats sleep."]));
    project.file("mine/notes.txt", "not a table");
    let line = project.data(&from_file(&project.path("mine"))).unwrap();
    assert!(line.contains("mine"), "{line}");
    assert_eq!(project.members(), ["corpus/source.json", "corpus/train.csv", "corpus/validation.parquet"]);
    assert_eq!(project.member("corpus/train.csv"), csv.as_bytes());
    assert_eq!(project.member("corpus/validation.parquet"), glue_table(&["Cats sleep."]));
}

#[test]
fn the_same_input_gives_the_same_bytes_wherever_it_lies_and_whenever_it_was_written() {
    let (one, other) = (Project::new(), Project::new());
    let (first, second) = (one.file("a/train.tsv", TABLE), other.file("b/c/other.tsv", TABLE));
    let long_ago = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    File::options().write(true).open(&second).unwrap().set_times(long_ago).unwrap();
    one.data(&from_file(first.parent().unwrap())).unwrap();
    other.data(&from_file(&second)).unwrap();
    assert_eq!(one.corpus(), other.corpus());

    // No clock and no compressor has a part in it.
    let mut archive = ZipArchive::new(File::open(&one.places.corpus).unwrap()).unwrap();
    for index in 0..archive.len() {
        let member = archive.by_index(index).unwrap();
        assert_eq!(member.compression(), CompressionMethod::Stored);
        assert_eq!(member.last_modified(), Some(DateTime::default()));
    }
}

#[test]
fn a_corpus_that_is_here_is_kept_and_a_changed_one_is_packed_anew() {
    let project = Project::new();
    let path = project.file("mine.tsv", TABLE);
    project.data(&from_file(&path)).unwrap();
    let line = project.data(&from_file(&path)).unwrap();
    assert!(line.contains("already here"), "{line}");
    project.file("mine.tsv", format!("{TABLE}Dogs bark.\t1\n"));
    let line = project.data(&from_file(&path)).unwrap();
    assert!(!line.contains("already here"), "{line}");
    assert!(project.member("corpus/train.tsv").ends_with(b"Dogs bark.\t1\n"));
}

#[test]
fn colas_own_form_gets_a_line_of_names() {
    let project = Project::new();
    let path = project.file("in_domain.tsv", "gj04\t1\t\tThe cats sleep.\ngj04\t0\t*\tThe cats sleeps.");
    project.data(&from_file(&path)).unwrap();
    let expected = "sentence\tlabel\tsource\nThe cats sleep.\t1\tgj04\nThe cats sleeps.\t0\tgj04\n";
    assert_eq!(String::from_utf8(project.member("corpus/train.tsv")).unwrap(), expected);
    assert_eq!(
        complaint("mine.tsv", "gj04\t1\t\tThe cats sleep.\nThe cats sleeps.\t0\n"),
        "mine.tsv:2: the file starts in CoLA's form, four columns (source, label, mark, sentence) without a line of \
         names, but this line has 2"
    );
}

#[test]
fn the_byte_order_mark_of_spreadsheets_is_left_out() {
    let project = Project::new();
    let path = project.file("mine.csv", "\u{feff}sentence,label\nThe cats sleep.,1\n");
    project.data(&from_file(&path)).unwrap();
    assert_eq!(project.member("corpus/train.csv"), b"sentence,label\nThe cats sleep.,1\n");
}

#[test]
fn a_bad_table_is_refused_with_what_was_found() {
    assert_eq!(
        complaint("mine.tsv", "text\tlabel\nThe cats sleep.\t1\n"),
        "mine.tsv: the first line must name the columns, `sentence` and `label` among them; missing: sentence; found: \
         `text`, `label`"
    );
    assert_eq!(
        complaint("mine.csv", "sentence;label\nThe cats sleep.;1\n"),
        "mine.csv: the first line must name the columns, `sentence` and `label` among them; missing: sentence, \
         label; found: `sentence;label`"
    );
    assert_eq!(complaint("mine.csv", ""), "mine.csv: it is empty");
    assert_eq!(complaint("mine.tsv", "sentence\tlabel\n"), "mine.tsv: it has no rows after the line of column names");
    assert_eq!(
        complaint("mine.tsv", b"sentence\tlabel\nA caf\xe9.\t1\n"),
        "mine.tsv:2: it is not UTF-8; save the file in that encoding"
    );
    assert_eq!(complaint("mine.xlsx", "PK"), "mine.xlsx: the file's name must end in .tsv, .csv or .parquet");
    let broken = complaint("mine.parquet", "PAR1 but not really");
    assert!(broken.starts_with("mine.parquet: is not Parquet: "), "{broken}");
}

#[test]
fn parquet_without_the_columns_is_refused_with_the_columns_there_are() {
    let text = || Arc::new(StringArray::from(vec!["The cats sleep."])) as ArrayRef;
    assert_eq!(
        complaint("mine.parquet", parquet(vec![("sentence", text()), ("label", text())])),
        "mine.parquet: it must have a column `sentence` of strings and a column `label` of integers; found: `sentence` \
         (Utf8), `label` (Utf8)"
    );
    assert_eq!(complaint("mine.parquet", glue_table(&[])), "mine.parquet: it has no rows");
}

#[test]
fn a_folder_without_train_or_with_two_is_refused() {
    let project = Project::new();
    project.file("mine/validation.tsv", TABLE);
    let error = project.data(&from_file(&project.path("mine"))).unwrap_err().to_string();
    assert!(error.contains("a folder must hold train.tsv, train.csv or train.parquet"), "{error}");
    project.file("mine/train.tsv", TABLE);
    project.file("mine/train.csv", "sentence,label\nCats sleep.,1\n");
    let error = project.data(&from_file(&project.path("mine"))).unwrap_err().to_string();
    assert!(error.contains("train.tsv") && error.contains("train.csv"), "{error}");
    let error = project.data(&from_file(&project.path("nothing"))).unwrap_err().to_string();
    assert!(error.contains("nothing: no such file or folder"), "{error}");
}

#[test]
fn the_starter_corpus_is_packed_from_its_seed() {
    let sizes = ["data.source=starter", "data.starter.train_pairs=5", "data.starter.validation_pairs=3"];
    let (one, other) = (Project::new(), Project::new());
    one.data(&sets(&sizes)).unwrap();
    other.data(&sets(&sizes)).unwrap();
    assert_eq!(one.corpus(), other.corpus());
    assert_eq!(one.members(), ["corpus/source.json", "corpus/train.tsv", "corpus/validation.tsv"]);

    let text = String::from_utf8(one.member("corpus/train.tsv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("sentence\tlabel\tsource"));
    let labels: Vec<&str> = lines
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            assert!(columns.len() == 3 && !columns[0].is_empty() && !columns[2].is_empty(), "{line}");
            columns[1]
        })
        .collect();
    assert!(labels.iter().all(|label| ["0", "1"].contains(label)));
    assert!(labels.contains(&"0") && labels.contains(&"1") && labels.len() >= 10);

    assert!(one.data(&sets(&sizes)).unwrap().contains("already here"));
    let before = other.corpus();
    let mut reseeded = sets(&sizes);
    reseeded.push("seed=2".to_owned());
    other.data(&reseeded).unwrap();
    assert_ne!(other.corpus(), before, "another seed, another corpus");
}

/// A hub with GLUE's files, and a project that uses it.
fn glue() -> (HubServer, Project, Vec<u8>) {
    let server = HubServer::new("datasets/nyu-mll/glue");
    let train = glue_table(&["The cats sleep.", "The dogs bark."]);
    server.put_large("cola/train-00000-of-00001.parquet", &train);
    server.put_large("cola/validation-00000-of-00001.parquet", &glue_table(&["A bird sings."]));
    let mut project = Project::new();
    project.settings.hub = server.hub.url("/");
    (server, project, train)
}

const GLUE: [&str; 2] = ["data.source=glue", "data.glue.revision=main"];

#[test]
fn glue_comes_from_the_hub_and_is_kept() {
    let (server, project, train) = glue();
    let stored = format!("/store/{}", sha256_bytes(&train));
    server.store.fail(&stored, &[Fault::Cut(100)]);
    project.data(&sets(&GLUE)).unwrap();
    assert_eq!(project.members(), ["corpus/source.json", "corpus/train.parquet", "corpus/validation.parquet"]);
    assert_eq!(project.member("corpus/train.parquet"), train);
    let record: Value = serde_json::from_slice(&project.member("corpus/source.json")).unwrap();
    assert_eq!((&record["commit"], &record["repository"]), (&COMMIT.into(), &"nyu-mll/glue".into()));
    assert!(project.downloads().is_empty(), "{:?}", project.downloads());

    server.hub.forget();
    let line = project.data(&sets(&GLUE)).unwrap();
    assert!(line.contains("already here"), "{line}");
    assert!(server.hub.log().is_empty());
}

#[test]
fn a_damaged_corpus_from_glue_is_fetched_again() {
    let (_server, project, train) = glue();
    project.data(&sets(&GLUE)).unwrap();
    let whole = project.corpus();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    project.file("data/raw/corpus.zip", damaged);
    project.data(&sets(&GLUE)).unwrap();
    assert_eq!(project.corpus(), whole);
    assert_eq!(project.member("corpus/train.parquet"), train);
}

#[test]
fn another_corpus_gives_way() {
    let (_server, project, _) = glue();
    let path = project.file("mine.tsv", TABLE);
    project.data(&from_file(&path)).unwrap();
    project.data(&sets(&GLUE)).unwrap();
    assert!(project.members().contains(&"corpus/train.parquet".to_owned()));
    project.data(&from_file(&path)).unwrap();
    assert_eq!(project.members(), ["corpus/source.json", "corpus/train.tsv"]);
}

#[test]
fn a_glue_without_its_files_says_which_parameter_to_look_at() {
    let (server, mut project, _) = glue();
    let other = HubServer::new("datasets/nyu-mll/glue");
    project.settings.hub = other.hub.url("");
    let error = project.data(&sets(&GLUE)).unwrap_err().to_string();
    assert!(error.contains("cola/train-00000-of-00001.parquet") && error.contains("data.glue.repository"), "{error}");
    project.settings.hub = server.hub.url("");
    let error = project.data(&sets(&["data.source=glue", "data.glue.repository=nyu-mll/glu"])).unwrap_err().to_string();
    assert!(error.contains("there is no nyu-mll/glu (check data.glue in params.yaml)"), "{error}");
}
