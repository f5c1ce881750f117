//! `cargo run --release -p wellformed-without-onnx --example judge -- TOKENIZER SENTENCE...`

use anyhow::{Context, Result, anyhow};
use tokenizers::Tokenizer;
use wellformed_without_onnx::Classifier;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let tokenizer = arguments.next().context("usage: judge TOKENIZER SENTENCE...")?;
    let sentences: Vec<String> = arguments.collect();
    let failed = |error| anyhow!("{tokenizer}: {error}");
    let encoder = Tokenizer::from_file(&tokenizer).map_err(failed)?;
    let encoded = encoder.encode_batch(sentences.clone(), true).map_err(failed)?;
    let ids: Vec<Vec<u32>> = encoded.iter().map(|one| one.get_ids().to_vec()).collect();

    for (sentence, scores) in sentences.iter().zip(Classifier::new().scores(&ids)) {
        println!("{:.3} acceptable: {sentence}", scores.probabilities[1]);
    }
    Ok(())
}
