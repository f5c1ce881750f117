//! `monitor export-candidates`: sentences that are worth a label, in a file that becomes training data.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wellformed_core::files::write_whole;
use wellformed_core::record::{LOG_TEXT, Record};

use crate::judge::spinner;
use crate::read::RecordArguments;

const MORE: &str = "\
The file is CSV, or TSV if its name ends so, with the columns `sentence`, `label` (empty: fill in 1 for acceptable, 0 for
not), `source` and `id`. Once every row has a label, put it into data/extra/: the stage `prepare` adds what lies there to
the training data, and `dvc repro` trains with it. `monitor label --labels FILE` measures with it.

Sentences are redacted in the records (addresses and long numbers). Whoever labels sees what is left.

Examples:
  monitor export-candidates --output to-label.csv records.jsonl
  monitor export-candidates --choose random --count 300 --output sample.tsv --since 7days --url http://127.0.0.1:9200";

/// Candidates that are kept while reading; a random part of more.
const MOST: usize = 200_000;

/// Which sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Where the model is least certain: what it learns most from.
    Uncertain,
    /// With the largest share of tokens that the vocabulary does not have or characters beyond ASCII, and the longest:
    /// what it was not trained on.
    Unusual,
    /// At random: what measures without a bias.
    Random,
}

/// The options of `monitor export-candidates`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub struct Options {
    #[command(flatten)]
    records: RecordArguments,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// How many sentences.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Which.
    #[arg(long, value_enum, default_value_t = Choice::Uncertain)]
    choose: Choice,
    /// Where the random numbers of a random choice start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

struct Candidate {
    id: String,
    text: String,
    score: f64,
}

/// Chooses, and writes the file.
///
/// # Errors
///
/// When no record holds a sentence, or the file cannot be written.
pub fn run(options: &Options) -> Result<ExitCode> {
    ensure!(options.count > 0, "--count is 0, but must be 1 at least");
    let mut records = options.records.open()?;
    let bar = spinner("reading records");
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let (mut found, mut seen, mut predictions, mut texts) = (Vec::new(), HashSet::new(), 0_u64, 0_usize);
    for record in &mut records {
        let record = record?;
        bar.inc(1);
        let Record::Prediction(one) = &record else { continue };
        predictions += 1;
        let Some(text) = one.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) else { continue };
        // One line each: what the pipeline takes.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !seen.insert(text.clone()) {
            continue;
        }
        texts += 1;
        let score = match options.choose {
            Choice::Uncertain => one.entropy,
            Choice::Unusual => {
                let unknown = f64::from(one.unknown_tokens) / f64::from(one.tokens.max(1));
                10.0 * unknown + one.non_ascii_share + f64::from(one.tokens) / 1000.0
            }
            Choice::Random => 0.0,
        };
        let candidate = Candidate { id: record.id(), text, score };
        if found.len() < MOST {
            found.push(candidate);
        } else {
            // Reservoir sampling (Vitter 1985, algorithm R).
            let place = random.random_range(0..texts);
            if let Some(kept) = found.get_mut(place) {
                *kept = candidate;
            }
        }
    }
    bar.finish_and_clear();
    eprintln!("read {}", records.tally());
    ensure!(
        !found.is_empty(),
        "none of {predictions} predictions holds its sentence, so there is nothing to label. Sentences are recorded only \
         where the service runs with {LOG_TEXT}=1; whether it may is for you to decide (docs/monitoring.md)"
    );
    if options.choose == Choice::Random {
        found.shuffle(&mut random);
    } else {
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    }
    found.truncate(options.count);
    let tabs = options.output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
    write_whole(&options.output, |writer| {
        let mut table = csv::WriterBuilder::new()
            .delimiter(if tabs { b'\t' } else { b',' })
            // The pipeline takes a quotation mark in TSV for what it is.
            .quote_style(if tabs { csv::QuoteStyle::Never } else { csv::QuoteStyle::Necessary })
            .from_writer(writer);
        table.write_record(["sentence", "label", "source", "id"])?;
        for one in &found {
            table.write_record([one.text.as_str(), "", "production", one.id.as_str()])?;
        }
        table.flush()?;
        Ok(())
    })?;
    println!("{}: {} of {texts} different sentences, to be labelled", options.output.display(), found.len());
    Ok(ExitCode::SUCCESS)
}
