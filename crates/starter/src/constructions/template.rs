//! Sentences with gaps, and how the gaps are filled.

use std::collections::{BTreeMap, HashMap};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::morphology::{add_s, article};

/// The tables that names are drawn from.
const NAMES: [&str; 2] = ["Man", "Woman"];
/// The pronouns of `{Name}`, for a man and for a woman.
const PRONOUNS: [(&str, [&str; 2]); 4] =
    [("he", ["he", "she"]), ("him", ["him", "her"]), ("his", ["his", "her"]), ("himself", ["himself", "herself"])];

/// The words that gaps are filled with: singular and plural, by table.
#[derive(Default)]
pub(super) struct Tables<'a>(BTreeMap<&'a str, Vec<(&'a str, String)>>);

impl<'a> Tables<'a> {
    /// Adds a line of the file: the table's name, then words; `child/children` is one with an irregular plural.
    pub(super) fn add(&mut self, line: &'a str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let words: Vec<_> = words
            .map(|word| match word.split_once('/') {
                Some((singular, plural)) => (singular, plural.to_owned()),
                None => (word, add_s(word)),
            })
            .collect();
        if words.is_empty() {
            return Err(format!("the table {name:?} has no word"));
        }
        self.0.entry(name).or_default().extend(words);
        Ok(())
    }

    /// The table of a gap, and whether its plural is meant.
    fn of(&self, gap: &str) -> Option<(&'a str, bool)> {
        let name = kind(gap);
        let table = |name: &str| self.0.get_key_value(name).map(|(&name, _)| name);
        table(name).map(|name| (name, false)).or_else(|| Some((table(name.strip_suffix('s')?)?, true)))
    }

    fn words(&self, table: &str) -> &[(&'a str, String)] {
        self.0.get(table).map_or(&[], Vec::as_slice)
    }

    fn knows(&self, gap: &str) -> bool {
        kind(gap) == "Name" || PRONOUNS.iter().any(|(name, _)| *name == gap) || self.of(gap).is_some()
    }
}

/// A gap's name without the number that tells it from others of its kind.
fn kind(gap: &str) -> &str {
    gap.trim_end_matches(|letter: char| letter.is_ascii_digit())
}

/// A sentence with gaps.
pub(super) struct Template<'a>(&'a str);

impl<'a> Template<'a> {
    /// Checks that brackets are closed and every gap can be filled.
    pub(super) fn parse(text: &'a str, tables: &Tables<'_>) -> Result<Self, String> {
        let mut failure = None;
        let alternatives = replaced(text, ['[', ']'], |inside| inside.replace('/', " "))?;
        replaced(&alternatives, ['{', '}'], |gap| {
            if !tables.knows(gap) {
                failure.get_or_insert(format!("there is no table for the gap {{{gap}}}"));
            }
            String::new()
        })?;
        failure.map_or(Ok(Self(text.trim())), Err)
    }
}

/// `text` with what stands between the brackets, and the brackets, replaced.
fn replaced(text: &str, [open, close]: [char; 2], mut by: impl FnMut(&str) -> String) -> Result<String, String> {
    let mut parts = text.split(open);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, after) = part.split_once(close).ok_or_else(|| format!("a {open} is not closed: {text:?}"))?;
        result.push_str(&by(inside));
        result.push_str(after);
    }
    Ok(result)
}

/// What the gaps of a pair of sentences are filled with, drawn as they are met.
pub(super) struct Filling<'a> {
    tables: &'a Tables<'a>,
    /// Where the choices come from.
    pub(super) random: &'a mut ChaCha8Rng,
    /// Which place of a list, by the list's length.
    places: HashMap<usize, usize>,
    /// The table and which word of it, by gap.
    words: HashMap<String, (&'a str, usize)>,
}

impl<'a> Filling<'a> {
    /// Nothing is chosen yet.
    pub(super) fn new(tables: &'a Tables<'a>, random: &'a mut ChaCha8Rng) -> Self {
        Self { tables, random, places: HashMap::new(), words: HashMap::new() }
    }

    /// The sentence, from its capital to its full stop.
    pub(super) fn fill(&mut self, template: &Template<'_>) -> String {
        // Brackets and gaps were checked when the template was read, so nothing is left over here.
        let chosen = replaced(template.0, ['[', ']'], |list| self.alternative(list)).unwrap_or_default();
        let filled = replaced(&chosen, ['{', '}'], |gap| self.gap(gap)).unwrap_or_default();
        spelled(&filled)
    }

    fn alternative(&mut self, list: &str) -> String {
        let alternatives: Vec<&str> = list.split('/').collect();
        let place =
            self.places.entry(alternatives.len()).or_insert_with(|| self.random.random_range(0..alternatives.len()));
        alternatives[*place].to_owned()
    }

    fn gap(&mut self, gap: &str) -> String {
        if let Some((_, forms)) = PRONOUNS.iter().find(|(name, _)| *name == gap) {
            let (table, _) = self.name("Name");
            return forms[usize::from(table != NAMES[0])].to_owned();
        }
        let ((table, word), plural) = if kind(gap) == "Name" {
            (self.name(gap), false)
        } else {
            // Every gap was checked when the template was read.
            let Some((table, plural)) = self.tables.of(gap) else { return String::new() };
            ((table, self.word(gap, table)), plural)
        };
        self.tables
            .words(table)
            .get(word)
            .map_or_else(String::new, |(singular, other)| if plural { other.clone() } else { (*singular).to_owned() })
    }

    /// A name for a gap: the table of men's names or of women's, and which of it.
    fn name(&mut self, gap: &str) -> (&'a str, usize) {
        let table = match self.words.get(gap) {
            Some(&(table, _)) => table,
            None => NAMES[self.random.random_range(0..NAMES.len())],
        };
        (table, self.word(gap, table))
    }

    /// Which word of its table a gap is filled with: the one it had before, else one that no other gap has.
    fn word(&mut self, gap: &str, table: &'a str) -> usize {
        if let Some(&(_, word)) = self.words.get(gap) {
            return word;
        }
        let is_taken = |word: &usize| self.words.values().any(|taken| *taken == (table, *word));
        let free: Vec<usize> = (0..self.tables.words(table).len()).filter(|word| !is_taken(word)).collect();
        let word = if free.is_empty() { 0 } else { free[self.random.random_range(0..free.len())] };
        self.words.insert(gap.to_owned(), (table, word));
        word
    }
}

/// With `'s`, `n't` and punctuation joined to the word before, `a` and `an` by sound, a capital and an end.
fn spelled(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut sentence = String::new();
    for (place, &word) in words.iter().enumerate() {
        let word = match words.get(place + 1) {
            Some(next) if word == "a" || word == "an" => article(next),
            _ => word,
        };
        let joins = matches!(word, "'s" | "n't" | "," | "?" | "!" | ".");
        if !joins && !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
    }
    let mut letters = sentence.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if sentence.ends_with(['?', '!', '.']) { "" } else { "." };
    format!("{capital}{}{end}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn tables() -> Tables<'static> {
        let mut tables = Tables::default();
        for line in ["Man Paul Hugo Sam", "Woman Ruth Nora Sue", "person man/men", "thing apple box"] {
            tables.add(line).expect("a table");
        }
        tables
    }

    fn filled<const N: usize>(seed: u64, templates: [&str; N]) -> [String; N] {
        let tables = tables();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut filling = Filling::new(&tables, &mut random);
        templates.map(|text| filling.fill(&Template::parse(text, &tables).expect(text)))
    }

    #[test]
    fn both_sentences_have_the_same_words_and_matching_forms() {
        for seed in 0..20 {
            let [one, other] = filled(seed, ["{Name} [broke/took] a {thing}", "{Name} [break/take] a {thing}"]);
            assert_eq!(one.replace("broke", "break").replace("took", "take"), other);
        }
    }

    #[test]
    fn gaps_of_one_table_differ_and_pronouns_go_with_the_name() {
        for seed in 0..20 {
            let [sentence] = filled(seed, ["{Name} {Name2} {Name3} {he} {him} {his} {himself}"]);
            let words: Vec<&str> = sentence.trim_end_matches('.').split(' ').collect();
            assert!(words[0] != words[1] && words[1] != words[2] && words[0] != words[2], "{sentence}");
            let pronouns = if ["Paul", "Hugo", "Sam"].contains(&words[0]) {
                ["he", "him", "his", "himself"]
            } else {
                ["she", "her", "her", "herself"]
            };
            assert_eq!(words[3..], pronouns, "{sentence}");
        }
    }

    #[test]
    fn spelling_is_put_right() {
        let [one] = filled(1, ["is {Man} 's a apple , is n't it ?"]);
        let name = ["Paul", "Hugo", "Sam"].into_iter().find(|name| one.contains(name)).expect("a man's name");
        assert_eq!(one, format!("Is {name}'s an apple, isn't it?"));
        assert_eq!(filled(1, ["the {persons} left"]), ["The men left.".to_owned()]);
        assert_eq!(filled(1, ["let 's go !"]), ["Let's go!".to_owned()]);
    }
}
