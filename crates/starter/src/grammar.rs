//! Phrases: noun phrases with their features, verb phrases whose verb is still without its form, places, clauses.
//!
//! [`Draw`] chooses words and phrases at random. The same noun or verb is not chosen twice for a pair.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::lexicon::{Governor, Lexicon, Noun, Verb};
use crate::morphology::article;

/// Grammatical number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Singular,
    Plural,
}

impl Number {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Singular => Self::Plural,
            Self::Plural => Self::Singular,
        }
    }

    /// One of two forms.
    pub(crate) fn of<'a>(self, singular: &'a str, plural: &'a str) -> &'a str {
        match self {
            Self::Singular => singular,
            Self::Plural => plural,
        }
    }

    pub(crate) fn be(self) -> &'static str {
        self.of("is", "are")
    }

    pub(crate) fn was(self) -> &'static str {
        self.of("was", "were")
    }

    pub(crate) fn have(self) -> &'static str {
        self.of("has", "have")
    }

    /// `does` or `do`.
    pub(crate) fn does(self) -> &'static str {
        self.of("does", "do")
    }
}

impl Noun {
    pub(crate) fn form(&self, number: Number) -> &str {
        number.of(&self.singular, &self.plural)
    }
}

impl Verb {
    /// The present tense.
    pub(crate) fn present(&self, number: Number) -> &str {
        number.of(&self.third, &self.base)
    }
}

/// What a noun denotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Person,
    Animal,
    Dish,
    Text,
    Thing,
    Furniture,
    Place,
}

/// Which reflexive and personal pronouns go with a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gender {
    Masculine,
    Feminine,
}

impl Gender {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Masculine => Self::Feminine,
            Self::Feminine => Self::Masculine,
        }
    }

    pub(crate) fn reflexive(self) -> &'static str {
        match self {
            Self::Masculine => "himself",
            Self::Feminine => "herself",
        }
    }

    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Masculine => "he",
            Self::Feminine => "she",
        }
    }
}

/// A noun phrase in the third person.
#[derive(Debug, Clone)]
pub(crate) struct Phrase {
    pub(crate) text: String,
    pub(crate) number: Number,
}

impl std::fmt::Display for Phrase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A verb phrase whose verb has no form yet.
#[derive(Debug, Clone)]
pub(crate) struct Action<'a> {
    pub(crate) verb: &'a Verb,
    /// What follows the verb: empty, or a space and its object or place.
    pub(crate) rest: String,
}

impl Action<'_> {
    pub(crate) fn base(&self) -> String {
        format!("{}{}", self.verb.base, self.rest)
    }

    pub(crate) fn past(&self) -> String {
        format!("{}{}", self.verb.past, self.rest)
    }

    pub(crate) fn participle(&self) -> String {
        format!("{}{}", self.verb.participle, self.rest)
    }

    pub(crate) fn gerund(&self) -> String {
        format!("{}{}", self.verb.gerund, self.rest)
    }

    pub(crate) fn present(&self, number: Number) -> String {
        format!("{}{}", self.verb.present(number), self.rest)
    }
}

/// A verb with an object that has not been said yet: what questions are asked about.
#[derive(Debug, Clone)]
pub(crate) struct Deed<'a> {
    pub(crate) verb: &'a Verb,
    pub(crate) object: &'a Noun,
    pub(crate) kind: Kind,
}

/// Draws phrases from one half of the lexicon.
#[derive(Debug)]
pub(crate) struct Draw<'a> {
    rng: ChaCha8Rng,
    /// The half.
    pub(crate) words: &'a Lexicon,
    used: Vec<&'a str>,
}

impl<'a> Draw<'a> {
    /// A source of its own for each `stream`.
    pub(crate) fn new(seed: u64, stream: u64, words: &'a Lexicon) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { rng, words, used: Vec::new() }
    }

    /// Begins a new pair: every word can be chosen again.
    pub(crate) fn clear(&mut self) {
        self.used.clear();
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count as u32) as usize
    }

    /// Heads or tails.
    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// One of a few.
    pub(crate) fn one<'b, T>(&mut self, among: &'b [T]) -> &'b T {
        &among[self.below(among.len())]
    }

    /// One of a table whose `name` has not been used in this pair, if that can be had.
    fn fresh<T>(&mut self, among: &'a [T], name: impl Fn(&'a T) -> &'a str) -> &'a T {
        let mut chosen = self.one(among);
        for _ in 0..20 {
            if !self.used.contains(&name(chosen)) {
                break;
            }
            chosen = self.one(among);
        }
        self.used.push(name(chosen));
        chosen
    }

    pub(crate) fn number(&mut self) -> Number {
        if self.coin() { Number::Singular } else { Number::Plural }
    }

    pub(crate) fn gender(&mut self) -> Gender {
        if self.coin() { Gender::Masculine } else { Gender::Feminine }
    }

    pub(crate) fn verb(&mut self, among: &'a [Verb]) -> &'a Verb {
        self.fresh(among, |verb| &verb.base)
    }

    /// A word that has no forms.
    pub(crate) fn word(&mut self, among: &'a [&'static str]) -> &'static str {
        let word: &&'static str = self.fresh(among, |word| word);
        word
    }

    pub(crate) fn noun(&mut self, kind: Kind) -> &'a Noun {
        let words = self.words;
        let among = match kind {
            Kind::Person => match self.below(6) {
                0 => &words.men,
                1 => &words.women,
                _ => &words.people,
            },
            Kind::Animal => &words.animals,
            Kind::Dish => &words.dishes,
            Kind::Text => &words.texts,
            Kind::Thing => &words.things,
            Kind::Furniture => &words.furniture,
            Kind::Place => &words.places,
        };
        self.fresh(among, |noun| &noun.singular)
    }

    pub(crate) fn gendered(&mut self, gender: Gender) -> &'a Noun {
        let words = self.words;
        let among = match gender {
            Gender::Masculine => &words.men,
            Gender::Feminine => &words.women,
        };
        self.fresh(among, |noun| &noun.singular)
    }

    pub(crate) fn name_of(&mut self, gender: Gender) -> &'static str {
        let words = self.words;
        match gender {
            Gender::Masculine => self.word(&words.men_names),
            Gender::Feminine => self.word(&words.women_names),
        }
    }

    pub(crate) fn name(&mut self) -> &'static str {
        let gender = self.gender();
        self.name_of(gender)
    }

    /// An adjective that can stand before a noun of that kind, if there is one.
    pub(crate) fn adjective(&mut self, kind: Kind) -> Option<&'a str> {
        let words = self.words;
        let (short, long) = match kind {
            Kind::Person => (&words.short_person, &words.long_person),
            Kind::Thing | Kind::Furniture => (&words.short_thing, &words.long_thing),
            _ => return None,
        };
        Some(if self.coin() { &self.fresh(short, |short| &short.plain).plain } else { self.word(long) })
    }

    /// The noun, one time in four with an adjective before it.
    pub(crate) fn described(&mut self, kind: Kind, number: Number) -> String {
        let noun = self.noun(kind).form(number);
        match if self.below(4) == 0 { self.adjective(kind) } else { None } {
            Some(adjective) => format!("{adjective} {noun}"),
            None => noun.to_owned(),
        }
    }

    /// `the` and a noun.
    pub(crate) fn the(&mut self, kind: Kind, number: Number) -> Phrase {
        Phrase { text: format!("the {}", self.described(kind, number)), number }
    }

    /// A noun phrase with any determiner that makes sense everywhere.
    pub(crate) fn some(&mut self, kind: Kind, number: Number) -> Phrase {
        let noun = self.described(kind, number);
        let determiner = match (number, self.below(8)) {
            (_, 0) => *self.one(&["my", "your", "our", "their"]),
            (Number::Singular, 1 | 2) => article(&noun),
            (Number::Plural, 1) => *self.one(&["some", "two", "three", "several"]),
            _ => "the",
        };
        Phrase { text: format!("{determiner} {noun}"), number }
    }

    /// A person, by name or by noun.
    pub(crate) fn person(&mut self) -> Phrase {
        let number = self.number();
        self.persons(number)
    }

    /// One person or several.
    pub(crate) fn persons(&mut self, number: Number) -> Phrase {
        if number == Number::Singular && self.coin() {
            return Phrase { text: self.name().to_owned(), number };
        }
        self.some(Kind::Person, number)
    }

    /// A verb with a noun that it can be done to.
    pub(crate) fn deed(&mut self) -> Deed<'a> {
        let words = self.words;
        let (verbs, kind) = match self.below(6) {
            0 => (&words.transitive, Kind::Person),
            1 => (&words.writing, Kind::Text),
            2 => (&words.eating, Kind::Dish),
            3 => (&words.going, Kind::Place),
            _ => (&words.handling, Kind::Thing),
        };
        Deed { verb: self.verb(verbs), object: self.noun(kind), kind }
    }

    /// A deed that is not done to persons.
    pub(crate) fn deed_to_thing(&mut self) -> Deed<'a> {
        loop {
            let deed = self.deed();
            if deed.kind != Kind::Person {
                return deed;
            }
        }
    }

    /// What persons do, with an object.
    pub(crate) fn transitive_action(&mut self) -> Action<'a> {
        let words = self.words;
        let (verbs, kind) = match self.below(8) {
            0 => (&words.transitive, Kind::Animal),
            1 => (&words.transitive, Kind::Person),
            2 => (&words.optionally_transitive, Kind::Person),
            3 => (&words.writing, Kind::Text),
            4 => (&words.eating, Kind::Dish),
            5 => (&words.going, Kind::Place),
            _ => (&words.handling, Kind::Thing),
        };
        let verb = self.verb(verbs);
        let number = if kind == Kind::Place { Number::Singular } else { self.number() };
        let object = match kind {
            Kind::Person => self.persons(number),
            Kind::Place => self.the(kind, number),
            _ => self.some(kind, number),
        };
        Action { verb, rest: format!(" {object}") }
    }

    /// What persons do, without an object, perhaps somewhere.
    pub(crate) fn intransitive_action(&mut self) -> Action<'a> {
        let words = self.words;
        let verb = self.verb(&words.intransitive);
        let rest = if self.coin() { format!(" {}", self.place()) } else { String::new() };
        Action { verb, rest }
    }

    /// What persons do.
    pub(crate) fn action(&mut self) -> Action<'a> {
        if self.below(3) == 0 { self.intransitive_action() } else { self.transitive_action() }
    }

    /// `in the garden`
    pub(crate) fn place(&mut self) -> String {
        let place = self.noun(Kind::Place).form(Number::Singular);
        format!("{} the {place}", self.one(&["in", "in", "near", "outside"]))
    }

    /// Something or somebody, with an adjective that can be said of it.
    pub(crate) fn quality(&mut self) -> (Phrase, &'a str) {
        let kind = if self.coin() { Kind::Person } else { Kind::Thing };
        let number = self.number();
        let phrase = if kind == Kind::Person {
            self.persons(number)
        } else {
            Phrase { text: format!("the {}", self.noun(kind).form(number)), number }
        };
        let words = self.words;
        let adjective = if kind == Kind::Person { self.word(&words.long_person) } else { self.word(&words.long_thing) };
        (phrase, adjective)
    }

    /// A person or thing without adjective: a name, or `the` and a noun.
    pub(crate) fn plainly(&mut self, kind: Kind, number: Number) -> Phrase {
        if kind == Kind::Person && number == Number::Singular && self.coin() {
            return Phrase { text: self.name().to_owned(), number };
        }
        Phrase { text: format!("the {}", self.noun(kind).form(number)), number }
    }

    /// A person who is no relative of anybody.
    pub(crate) fn fresh_person(&mut self) -> &'a Noun {
        let words = self.words;
        self.fresh(&words.people, |noun| &noun.singular)
    }

    /// A verb with the preposition it takes.
    pub(crate) fn governor(&mut self) -> &'a Governor<Verb> {
        let words = self.words;
        self.fresh(&words.listening, |governor| &governor.word.base)
    }

    /// An adjective with the preposition it takes.
    pub(crate) fn fond(&mut self) -> &'a Governor<&'static str> {
        let words = self.words;
        self.fresh(&words.fond, |governor| governor.word)
    }
}
