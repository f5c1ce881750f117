//! What can go wrong, done to sentences.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use wellformed_core::label::Label;
use wellformed_drift::Features;
use wellformed_infer::Tokens;

/// A change.
pub(crate) struct Damage {
    pub(crate) name: &'static str,
    /// Share of the sentences that it is done to.
    pub(crate) share: f64,
    pub(crate) change: Change,
}

/// What is changed.
pub(crate) enum Change {
    /// The text, before it is tokenised.
    Text(fn(&str, &mut ChaCha8Rng) -> String),
    /// Token ids, before the model sees them.
    Ids,
    /// What the model says.
    Answer(fn(&mut Features)),
    /// Which sentence gets which answer.
    Mixed,
}

/// Everything that is tried.
pub(crate) fn all() -> Vec<Damage> {
    let text = |name, share, change| Damage { name, share, change: Change::Text(change) };
    vec![
        text("shuffled words", 1.0, shuffled),
        text("shuffled words in half of the sentences", 0.5, shuffled),
        text("shuffled words in a quarter", 0.25, shuffled),
        text("shuffled words in a tenth", 0.1, shuffled),
        text("two neighbouring words swapped", 1.0, swapped),
        text("function words dropped", 1.0, dropped),
        text("one word dropped", 1.0, one_dropped),
        text("keyboard noise in every third word", 1.0, noise),
        text("one wrong letter in a sentence", 1.0, one_letter),
        text("capitals", 1.0, |sentence, _| sentence.to_uppercase()),
        text("no final stop", 1.0, |sentence, _| sentence.trim_end_matches(['.', '?', '!']).to_owned()),
        text("two sentences in one", 1.0, |sentence, _| format!("{sentence} {sentence}")),
        Damage { name: "wrong tokenizer (ids of another vocabulary)", share: 1.0, change: Change::Ids },
        Damage { name: "constant model", share: 1.0, change: Change::Answer(constant) },
        Damage { name: "classes swapped", share: 1.0, change: Change::Answer(swapped_classes) },
        Damage { name: "not calibrated (temperature halved)", share: 1.0, change: Change::Answer(sharper) },
        Damage { name: "each sentence gets another's answer", share: 1.0, change: Change::Mixed },
    ]
}

fn words(sentence: &str) -> (Vec<&str>, &str) {
    let end = sentence.trim_end_matches(['.', '?', '!']).len();
    (sentence[..end].split_whitespace().collect(), &sentence[end..])
}

fn shuffled(sentence: &str, random: &mut ChaCha8Rng) -> String {
    let (mut words, end) = words(sentence);
    let before = words.clone();
    // A short sentence may fall into its old order.
    for _ in 0..10 {
        words.shuffle(random);
        if words != before {
            break;
        }
    }
    words.join(" ") + end
}

fn swapped(sentence: &str, random: &mut ChaCha8Rng) -> String {
    let (mut words, end) = words(sentence);
    if words.len() > 1 {
        let at = random.random_range(0..words.len() - 1);
        words.swap(at, at + 1);
    }
    words.join(" ") + end
}

const FUNCTION_WORDS: &str = " a an the of to in on at for with by from about is are was were be been has have had do \
    does did will would can could may might must that this these those it he she they we i you his her their its my \
    him them me us not and or but if as than who which what whom there so ";

fn dropped(sentence: &str, _: &mut ChaCha8Rng) -> String {
    let (words, end) = words(sentence);
    let function = |word: &&str| {
        let word = word.to_lowercase();
        FUNCTION_WORDS.contains(&format!(" {} ", word.trim_matches(|c: char| !c.is_alphanumeric())))
    };
    let kept: Vec<&str> = words.iter().copied().filter(|word| !function(word)).collect();
    if kept.is_empty() { sentence.to_owned() } else { kept.join(" ") + end }
}

fn one_dropped(sentence: &str, random: &mut ChaCha8Rng) -> String {
    let (mut words, end) = words(sentence);
    if words.len() > 1 {
        words.remove(random.random_range(0..words.len()));
    }
    words.join(" ") + end
}

fn letter(word: &str, random: &mut ChaCha8Rng) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = random.random_range(0..letters.len());
    letters[at] = char::from(random.random_range(b'a'..=b'z'));
    letters.into_iter().collect()
}

fn noise(sentence: &str, random: &mut ChaCha8Rng) -> String {
    let hit = |word: &str| if random.random_bool(1.0 / 3.0) { letter(word, random) } else { word.to_owned() };
    sentence.split_whitespace().map(hit).collect::<Vec<_>>().join(" ")
}

fn one_letter(sentence: &str, random: &mut ChaCha8Rng) -> String {
    let mut words: Vec<String> = sentence.split_whitespace().map(str::to_owned).collect();
    if !words.is_empty() {
        let at = random.random_range(0..words.len());
        words[at] = letter(&words[at], random);
    }
    words.join(" ")
}

fn constant(features: &mut Features) {
    features.p_acceptable = 0.7314;
    features.label = Label::Acceptable;
}

fn swapped_classes(features: &mut Features) {
    features.p_acceptable = 1.0 - features.p_acceptable;
    features.label = if features.p_acceptable > 0.5 { Label::Acceptable } else { Label::Unacceptable };
}

fn sharper(features: &mut Features) {
    let p = features.p_acceptable;
    features.p_acceptable = p * p / (p * p + (1.0 - p) * (1.0 - p));
}

/// The ids that a vocabulary in another order would give. `[CLS]` and `[SEP]` stay: a bundle whose tokenizer has them
/// elsewhere is not opened.
pub(crate) fn other_vocabulary(tokens: &Tokens, order: &[u32]) -> Tokens {
    let last = tokens.ids.len() - 1;
    let ids = tokens.ids.iter().enumerate();
    let ids = ids.map(|(at, &id)| if at == 0 || at == last { id } else { order[id as usize] }).collect();
    Tokens { ids, ..tokens.clone() }
}
