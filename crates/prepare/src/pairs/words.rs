//! Words: which can stand for which, and what other forms a word has.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;

/// Function words that are confused with one another, by their part in a sentence. Putting one for another nearly always
/// breaks agreement, case, selection or binding.
const CONFUSED: &[&str] = &[
    "a an the",
    "is are was were be been being am",
    "has have had having",
    "do does did doing done",
    "he him his himself",
    "she her hers herself",
    "they them their themselves",
    "i me my myself",
    "we us our ourselves",
    "it its itself",
    "you your yourself",
    "who whom whose which what that",
    "to of in on at by for with from about into as",
    "this these that those",
    "some any no every each all many much",
    "and or but if that because",
    "will would can could may might must should to",
    "not never",
    "there it here",
    "very much so too such",
];

/// What is inserted where it does not belong; each of them is a function word as well.
const INSERTED: &str = "a an the to of in on at by for with from as that which who what if and or but not is are was were \
    be been has have had do does did will would can could should he she it they him her them his their i you we me us \
    this these there some any no every very too so than about into up out";

/// Forms that no rule gives: those of a line belong to one word.
const IRREGULAR: &[&str] = &[
    "be am is are was were been being",
    "become becomes became",
    "begin begins began begun",
    "bite bites bit bitten",
    "blow blows blew blown",
    "break breaks broke broken",
    "bring brings brought",
    "build builds built",
    "buy buys bought",
    "catch catches caught",
    "child children",
    "choose chooses chose chosen",
    "come comes came",
    "do does did done",
    "draw draws drew drawn",
    "drink drinks drank drunk",
    "drive drives drove driven",
    "eat eats ate eaten",
    "fall falls fell fallen",
    "feel feels felt",
    "find finds found",
    "fly flies flew flown",
    "foot feet",
    "forget forgets forgot forgotten",
    "get gets got gotten",
    "give gives gave given",
    "go goes went gone",
    "good better best well",
    "grow grows grew grown",
    "have has had",
    "hear hears heard",
    "hide hides hid hidden",
    "hold holds held",
    "keep keeps kept",
    "knife knives",
    "know knows knew known",
    "leave leaves left",
    "lend lends lent",
    "life lives",
    "lose loses lost",
    "make makes made",
    "man men",
    "mean means meant",
    "meet meets met",
    "mouse mice",
    "pay pays paid",
    "person people",
    "ride rides rode ridden",
    "ring rings rang rung",
    "rise rises rose risen",
    "run runs ran",
    "say says said",
    "see sees saw seen",
    "sell sells sold",
    "send sends sent",
    "shake shakes shook shaken",
    "show shows showed shown",
    "sing sings sang sung",
    "sink sinks sank sunk",
    "sit sits sat",
    "sleep sleeps slept",
    "speak speaks spoke spoken",
    "spend spends spent",
    "stand stands stood",
    "steal steals stole stolen",
    "swim swims swam swum",
    "take takes took taken",
    "teach teaches taught",
    "tell tells told",
    "think thinks thought",
    "throw throws threw thrown",
    "tooth teeth",
    "wear wears wore worn",
    "wife wives",
    "win wins won",
    "woman women",
    "write writes wrote written",
];

/// Shortest word that inflects by rule.
const SHORTEST: usize = 3;

/// The words of a corpus, and what is known of English beside.
#[derive(Debug)]
pub struct Vocabulary {
    /// How often each word occurs, in lower case.
    counts: BTreeMap<String, u32>,
    /// Words that are no function words.
    content: Vec<String>,
    /// How often a content word is drawn.
    draw: Option<WeightedIndex<f64>>,
    function: BTreeSet<&'static str>,
    inserted: Vec<&'static str>,
}

impl Vocabulary {
    /// The words of sentences.
    pub fn of<'a>(sentences: impl IntoIterator<Item = &'a str>) -> Self {
        let function: BTreeSet<&str> =
            CONFUSED.iter().flat_map(|group| group.split_whitespace()).chain(INSERTED.split_whitespace()).collect();
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for sentence in sentences {
            for word in sentence.split(|character: char| !character.is_alphabetic()).filter(|word| !word.is_empty()) {
                *counts.entry(word.to_lowercase()).or_default() += 1;
            }
        }
        let content: Vec<String> = counts
            .keys()
            .filter(|word| word.chars().count() >= SHORTEST && !function.contains(word.as_str()))
            .cloned()
            .collect();
        // Frequent words less than their share: they would crowd out the others.
        let weights = content.iter().map(|word| f64::from(counts[word]).powf(0.75));
        let draw = WeightedIndex::new(weights).ok();
        Self { counts, content, draw, function, inserted: INSERTED.split_whitespace().collect() }
    }

    /// Whether a word, in lower case, does grammar's work.
    pub fn is_function(&self, word: &str) -> bool {
        self.function.contains(word)
    }

    /// The function words that a function word, in lower case, is confused with.
    pub fn confused_with(&self, word: &str) -> Vec<&'static str> {
        let of_its_kind = CONFUSED.iter().filter(|group| group.split_whitespace().any(|member| member == word));
        of_its_kind.flat_map(|group| group.split_whitespace()).filter(|other| *other != word).collect()
    }

    /// Other forms of a word that occur in the corpus, in order.
    pub fn other_forms(&self, word: &str) -> Vec<String> {
        if self.is_function(word) || word.chars().count() < SHORTEST {
            return Vec::new();
        }
        let mut forms: BTreeSet<String> = IRREGULAR
            .iter()
            .filter(|line| line.split_whitespace().any(|member| member == word))
            .flat_map(|line| line.split_whitespace().map(str::to_owned))
            .collect();
        for stem in self.stems(word) {
            forms.extend(endings(&stem).into_iter().filter(|form| self.counts.get(form).is_some_and(|n| *n >= 2)));
        }
        forms.remove(word);
        forms.into_iter().collect()
    }

    /// What a regular word may be derived from: itself, and what is left without an ending if the corpus has it.
    fn stems(&self, word: &str) -> Vec<String> {
        let mut stems = vec![word.to_owned()];
        let mut add = |stem: String| {
            if stem.len() >= 2 && self.counts.contains_key(&stem) && !self.is_function(&stem) {
                stems.push(stem);
            }
        };
        for (ending, replacements) in [
            ("ies", &["y"][..]),
            ("ied", &["y"]),
            ("es", &["", "e"]),
            ("s", &[""]),
            ("ed", &["", "e"]),
            ("ing", &["", "e"]),
        ] {
            let Some(rest) = word.strip_suffix(ending) else { continue };
            for replacement in replacements {
                add(format!("{rest}{replacement}"));
            }
            // stopped, stopping
            let mut letters = rest.chars().rev();
            if let (Some(last), Some(before)) = (letters.next(), letters.next())
                && last == before
            {
                add(rest[..rest.len() - last.len_utf8()].to_owned());
            }
        }
        stems
    }

    /// A content word of the corpus at random; `None` where there is none.
    pub fn any_content_word(&self, random: &mut impl Rng) -> Option<&str> {
        let draw = self.draw.as_ref()?;
        self.content.get(draw.sample(random)).map(String::as_str)
    }

    /// A function word at random.
    pub fn any_function_word(&self, random: &mut impl Rng) -> &'static str {
        self.inserted[random.random_range(0..self.inserted.len())]
    }
}

/// A stem with the endings of verbs, nouns and adverbs, right or not: only those that the corpus has are used.
fn endings(stem: &str) -> Vec<String> {
    let mut forms: Vec<String> =
        ["", "s", "es", "ed", "ing", "ly"].iter().map(|ending| format!("{stem}{ending}")).collect();
    if let Some(rest) = stem.strip_suffix('e') {
        forms.extend([format!("{stem}d"), format!("{rest}ing")]);
    }
    if let Some(rest) = stem.strip_suffix('y') {
        forms.extend([format!("{rest}ies"), format!("{rest}ied")]);
    }
    if let Some(last) = stem.chars().last() {
        forms.extend([format!("{stem}{last}ed"), format!("{stem}{last}ing")]);
    }
    forms
}
