//! Prints pairs of every phenomenon: `cargo run --release -p wellformed-starter --example show -- [PAIRS] [SEED]`.

use wellformed_starter::{Sizes, StarterError, generate};

fn main() -> Result<(), StarterError> {
    let mut numbers = std::env::args().skip(1).filter_map(|number| number.parse::<u64>().ok());
    let pairs = numbers.next().unwrap_or(5) as usize;
    let corpus = generate(numbers.next().unwrap_or(1), Sizes { train_pairs: pairs, validation_pairs: pairs })?;
    for (part, items) in [("train", corpus.train), ("validation", corpus.validation)] {
        for item in items {
            println!("{part} {} {}{}", item.phenomenon.name(), if item.acceptable { ' ' } else { '*' }, item.sentence);
        }
    }
    Ok(())
}
