//! Minimal pairs of some thousand constructions, from templates that were written down.
//!
//! Where [`crate::generate`] draws sentences from a grammar, here a construction is a handful of sentences with gaps, in
//! `constructions.txt`: those that speakers of English accept and those that they do not. That reaches what a small
//! grammar does not, from gapping to comparative correlatives, at a few lines each. The file begins with its own format.

mod template;

use std::collections::HashSet;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::StarterError;
use template::{Filling, Tables, Template};

const CONSTRUCTIONS: &str = include_str!("constructions.txt");

/// How many pairs of a construction in a row may bring nothing new before it counts as exhausted.
const PATIENCE: usize = 100;

/// An acceptable sentence beside one that is not, of one construction and made of the same words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contrast {
    /// The heading that the construction stands under.
    pub topic: String,
    /// The acceptable sentence.
    pub good: String,
    /// The other one.
    pub bad: String,
}

/// Up to `each` pairs of every construction, in the file's order; fewer where its words make no more. The same seed gives
/// the same pairs; what is drawn for a construction depends on the line that it begins at.
///
/// # Errors
///
/// When the file of constructions does not keep to its format, which tests rule out.
pub fn contrasts(seed: u64, each: usize) -> Result<Vec<Contrast>, StarterError> {
    let constructions = Constructions::parse(CONSTRUCTIONS)?;
    let mut seen = HashSet::new();
    let mut contrasts = Vec::new();
    for construction in &constructions.all {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(construction.line as u64);
        let (mut count, mut in_vain) = (0, 0);
        while count < each && in_vain < PATIENCE {
            let mut filling = Filling::new(&constructions.tables, &mut random);
            let [good, bad] = construction.drawn(filling.random).map(|template| filling.fill(template));
            if good != bad && seen.insert([good.clone(), bad.clone()]) {
                contrasts.push(Contrast { topic: construction.topic.clone(), good, bad });
                (count, in_vain) = (count + 1, 0);
            } else {
                in_vain += 1;
            }
        }
    }
    Ok(contrasts)
}

/// The file, read.
struct Constructions<'a> {
    tables: Tables<'a>,
    all: Vec<Construction<'a>>,
}

/// A record of the file.
struct Construction<'a> {
    topic: String,
    /// Where it begins in the file, from 1.
    line: usize,
    good: Vec<Template<'a>>,
    bad: Vec<Template<'a>>,
}

impl<'a> Construction<'a> {
    /// One of the good templates and one of the bad.
    fn drawn(&self, random: &mut impl Rng) -> [&Template<'a>; 2] {
        [&self.good, &self.bad].map(|templates| &templates[random.random_range(0..templates.len())])
    }
}

impl<'a> Constructions<'a> {
    fn parse(text: &'a str) -> Result<Self, StarterError> {
        let wrong = |line: usize, reason: String| StarterError::Construction { line, reason };
        let mut tables = Tables::default();
        let mut all: Vec<Construction<'a>> = Vec::new();
        let (mut topic, mut begins) = (String::new(), true);
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() {
                begins = true;
            } else if let Some(comment) = line.strip_prefix('#') {
                comment.trim().clone_into(&mut topic);
            } else if let Some(table) = line.strip_prefix('@') {
                tables.add(table).map_err(|reason| wrong(number, reason))?;
            } else {
                if begins {
                    all.push(Construction { topic: topic.clone(), line: number, good: Vec::new(), bad: Vec::new() });
                    begins = false;
                }
                let template = |words| Template::parse(words, &tables).map_err(|reason| wrong(number, reason));
                match (all.last_mut(), line.strip_prefix('+'), line.strip_prefix('-')) {
                    (Some(construction), Some(good), _) => construction.good.push(template(good)?),
                    (Some(construction), _, Some(bad)) => construction.bad.push(template(bad)?),
                    _ => return Err(wrong(number, "a line of a construction begins with + or -".to_owned())),
                }
            }
        }
        match all.iter().find(|construction| construction.good.is_empty() || construction.bad.is_empty()) {
            Some(half) => Err(wrong(half.line, "a construction needs a + and a - line".to_owned())),
            None => Ok(Self { tables, all }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "@Man Paul Hugo\n@Woman Ruth\n@person man/men baker\n";

    fn parse(records: &str) -> Result<usize, String> {
        let text = format!("{TABLES}{records}");
        Constructions::parse(&text).map(|read| read.all.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn records_are_separated_by_empty_lines() {
        assert_eq!(parse("\n# one\n+ a\n- b\n\n+ c\n+ d\n- e\n"), Ok(2));
    }

    #[test]
    fn a_mistake_in_the_file_is_named_with_its_line() {
        for (records, line, reason) in [
            ("\n+ a\n", "line 5", "needs a + and a - line"),
            ("\n+ a\n- {unknown}\n", "line 6", "{unknown}"),
            ("\n+ a [b/c\n- d\n", "line 5", "not closed"),
            ("\n* a\n", "line 5", "begins with + or -"),
            ("\n– a\n", "line 5", "begins with + or -"),
            ("@empty\n", "line 4", "no word"),
        ] {
            let error = parse(records).expect_err(records);
            assert!(error.contains(line) && error.contains(reason), "{records}: {error}");
        }
    }

    #[test]
    fn the_constructions_of_the_file_can_all_be_told() {
        let constructions = Constructions::parse(CONSTRUCTIONS).expect("constructions.txt");
        let contrasts = contrasts(1, 3).expect("constructions.txt");
        assert!(constructions.all.len() >= 1000, "{}", constructions.all.len());
        assert!(contrasts.len() > 2 * constructions.all.len(), "{}", contrasts.len());
        for Contrast { good, bad, topic } in contrasts {
            assert_ne!(good, bad);
            assert!(!topic.is_empty());
            for sentence in [good, bad] {
                assert!(sentence.starts_with(char::is_uppercase), "{sentence}");
                assert!(sentence.ends_with(['.', '?', '!']), "{sentence}");
                assert!(!sentence.contains(['{', '}', '[', ']', '/', '@', ';', '=']), "{sentence}");
                assert!(!sentence.contains("  "), "{sentence}");
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_pairs_and_another_seed_others() {
        assert_eq!(contrasts(7, 5), contrasts(7, 5));
        assert_ne!(contrasts(7, 5), contrasts(8, 5));
    }

    #[test]
    fn no_pair_is_told_twice() {
        let all = contrasts(3, 40).expect("constructions.txt");
        let distinct: HashSet<_> = all.iter().map(|pair| (&pair.good, &pair.bad)).collect();
        assert_eq!(distinct.len(), all.len());
    }
}
