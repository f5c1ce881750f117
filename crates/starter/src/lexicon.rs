//! The content words, by what they mean and what they need, and their two halves.
//!
//! A table holds a class of words, separated by white space. `hug+` doubles its last letter before an ending,
//! `child/children` is a noun with its plural, `write/wrote/written` a verb with past and participle; everything else is
//! regular. Every third word of a table is a validation word, the others are training words, whatever the seed: so no
//! word may stand in two tables, which a test holds. Verbs whose past or participle looks like the bare form (`put`,
//! `come`) are left out, because a wrong form would not show.

use crate::morphology::{add_ed, add_er, add_ing, add_s};

const MEN: &str = "boy uncle king waiter nephew heir monk man/men prince fisherman/fishermen policeman/policemen \
    grandfather duke salesman/salesmen wizard";
const WOMEN: &str = "girl niece aunt waitress queen princess nun woman/women actress policewoman/policewomen bride \
    heiress duchess grandmother witch";
const PEOPLE: &str = "teacher doctor lawyer pilot student farmer engineer baker soldier nurse tourist librarian \
    journalist dentist captain carpenter child/children scientist tailor sailor architect plumber athlete mechanic \
    surgeon astronaut butcher referee gardener professor senator musician mayor violinist minister customer poet \
    accountant orphan electrician clerk detective thief/thieves passenger teenager barber secretary shepherd novelist \
    acrobat tenant guest blacksmith cousin chemist burglar sculptor umpire juggler intern";
const MEN_NAMES: &str = "Tom Peter Daniel Oscar Victor Henry Simon Martin Felix Hugo Leon Walter Arthur Edgar Ivan \
    Miguel Omar Rajesh Kenji Pavel Bruno Otto Stefan Jonas";
const WOMEN_NAMES: &str = "Anna Clara Julia Emma Nora Alice Helen Irene Laura Maria Sofia Ingrid Amina Priya Yuki \
    Olga Greta Ruth Judith Monica Paula Rosa Susan Vera";
const ANIMALS: &str = "dog cat horse goat rabbit cow fox donkey wolf/wolves squirrel parrot pony mouse/mice monkey \
    elephant tiger goose/geese owl kitten puppy lion otter camel turtle rooster hamster pig beaver zebra raccoon";
const DISHES: &str = "apple sandwich pancake banana omelette muffin cookie tomato/tomatoes sausage carrot peach onion \
    dumpling pear burger waffle biscuit potato/potatoes pretzel mango/mangoes egg meatball plum pastry";
const TEXTS: &str = "book letter poem novel article diary essay magazine manual newspaper script contract postcard \
    leaflet memo fable pamphlet textbook";
const THINGS: &str = "chair lamp clock bicycle guitar umbrella suitcase mirror camera basket ladder kettle backpack vase \
    hammer pillow blanket candle bucket wallet necklace helmet drum flute engine toaster telescope compass saddle \
    curtain wheelbarrow envelope lantern ornament kite scooter";
const FURNITURE: &str = "table shelf/shelves desk bench counter sofa dresser windowsill mattress cupboard stool rug";
const PLACES: &str = "garden kitchen museum library park castle office village station bakery hotel theater market \
    cellar attic stadium airport forest restaurant gallery courtyard palace barn cave tunnel pharmacy zoo";

const INTRANSITIVE: &str = "laugh smile sneeze yawn faint shiver sigh snore giggle blush weep/wept/wept kneel/knelt/knelt \
    stumble hesitate tremble frown limp sob+ grin+ arrive vanish whine complain cough doze swoon hiccup squint \
    despair";
const TRANSITIVE: &str = "praise admire blame greet insult describe thank comfort invite rescue mention \
    ignore betray console flatter accompany humiliate imitate congratulate ridicule underestimate portray";
const OPTIONALLY_TRANSITIVE: &str = "visit help follow criticize interview hug+ tease kiss warn defend scold \
    forgive/forgave/forgiven";
const WRITING: &str = "write/wrote/written translate publish copy quote edit memorize print summarize sign tear/tore/torn \
    review";
const EATING: &str = "eat/ate/eaten slice taste devour bake fry swallow bite/bit/bitten chew order nibble share";
const HANDLING: &str = "repair buy/bought/bought clean steal/stole/stolen take/took/taken carry sell/sold/sold \
    hide/hid/hidden paint drop+ throw/threw/thrown choose/chose/chosen rent shake/shook/shaken wash \
    weigh draw/drew/drawn measure replace decorate damage pack lift borrow";
const GOING: &str = "enter explore leave/left/left photograph sketch guard";
const BELIEVING: &str = "think/thought/thought claim believe presume suspect assume insist maintain suppose";
const ASKING: &str = "wonder ask know/knew/known remember discover reveal";
const DECIDING: &str = "decide refuse agree promise manage threaten pretend vow volunteer";
const ENJOYING: &str = "enjoy avoid consider resist postpone deny resent contemplate suggest risk keep/kept/kept \
    anticipate";
const FORCING: &str =
    "force persuade encourage urge allow tell/told/told convince instruct permit+ compel+ advise remind";
const MAKING: &str = "make/made/made see/saw/seen hear/heard/heard watch";
const GIVING: &str = "give/gave/given send/sent/sent show/showed/shown lend/lent/lent hand offer";
const DONATING: &str = "donate demonstrate surrender explain dictate recite";

const SHORT_PERSON: &str = "tall short old young happy strong weak rich kind poor brave lazy proud lucky calm wise slim+ \
    angry quiet friendly";
const LONG_PERSON: &str = "intelligent generous ambitious talented confident creative arrogant elegant popular nervous \
    careful energetic";
const SHORT_THING: &str = "heavy cheap small large new dirty big+ ugly strange shiny dusty tiny lovely filthy fancy";
const LONG_THING: &str = "expensive beautiful valuable useful remarkable peculiar impressive unusual attractive \
    colorful wonderful";
const NEWS: &str = "rumor theory fact report idea news";
const DOUBTING: &str = "doubt accept dispute reject question repeat";

/// Verb, its preposition, and a preposition it does not go with.
const LISTENING: &str = "rely:on:at wait:for:of listen:to:of depend:on:at stare:at:of search:for:of gaze:at:of glance:at:of \
    quarrel:with:of flirt:with:of compete:with:of collide:with:of sympathize:with:of";
/// Adjective, its preposition, and a preposition it does not go with.
const FOND: &str = "afraid:of:from fond:of:to jealous:of:at aware:of:to loyal:to:of suspicious:of:at devoted:to:at rude:to:of \
    familiar:with:of obsessed:with:to impatient:with:to interested:in:of";

/// When something happened, per half.
const PAST_TIMES: [&[&str]; 2] = [
    &["yesterday", "last week", "last month", "a week ago", "two months ago", "last winter"],
    &["last night", "last year", "last summer", "a year ago", "three nights ago"],
];
/// When something will happen, per half.
const FUTURE_TIMES: [&[&str]; 2] =
    [&["tomorrow", "next week", "next month", "next winter"], &["next summer", "next year", "two years from now"]];

/// Which half of the lexicon a sentence is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Two words of three.
    Train,
    /// Every third word.
    Validation,
}

impl Part {
    /// The name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "validation",
        }
    }
}

/// A noun that can be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noun {
    /// One of them.
    pub(crate) singular: String,
    /// More of them.
    pub(crate) plural: String,
}

/// A verb with its five forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verb {
    /// `write`
    pub(crate) base: String,
    /// `writes`
    pub(crate) third: String,
    /// `wrote`
    pub(crate) past: String,
    /// `written`
    pub(crate) participle: String,
    /// `writing`
    pub(crate) gerund: String,
}

/// A short adjective with its comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Short {
    /// `tall`
    pub(crate) plain: String,
    /// `taller`
    pub(crate) more: String,
    /// `tallest`
    pub(crate) most: String,
}

/// A word with the preposition it governs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Governor<W> {
    /// The verb or adjective.
    pub(crate) word: W,
    /// The preposition it takes.
    pub(crate) right: &'static str,
    /// One that it does not take.
    pub(crate) wrong: &'static str,
}

/// One half of the lexicon: the fields are the tables above.
#[derive(Debug, Clone)]
pub(crate) struct Lexicon {
    pub(crate) men: Vec<Noun>,
    pub(crate) women: Vec<Noun>,
    /// Persons of either sex; [`Self::men`] and [`Self::women`] are not among them.
    pub(crate) people: Vec<Noun>,
    pub(crate) men_names: Vec<&'static str>,
    pub(crate) women_names: Vec<&'static str>,
    pub(crate) animals: Vec<Noun>,
    pub(crate) dishes: Vec<Noun>,
    pub(crate) texts: Vec<Noun>,
    pub(crate) things: Vec<Noun>,
    pub(crate) furniture: Vec<Noun>,
    pub(crate) places: Vec<Noun>,
    /// What cannot take an object.
    pub(crate) intransitive: Vec<Verb>,
    /// What persons do to persons, and cannot do without an object.
    pub(crate) transitive: Vec<Verb>,
    /// What persons do to persons; some of these verbs can lack the object.
    pub(crate) optionally_transitive: Vec<Verb>,
    pub(crate) writing: Vec<Verb>,
    pub(crate) eating: Vec<Verb>,
    pub(crate) handling: Vec<Verb>,
    pub(crate) going: Vec<Verb>,
    /// With a clause in `that`, never in `whether`; a question can be asked out of that clause.
    pub(crate) believing: Vec<Verb>,
    /// With an indirect question.
    pub(crate) asking: Vec<Verb>,
    /// With an infinitive in `to`, never with a gerund.
    pub(crate) deciding: Vec<Verb>,
    /// With a gerund, never with an infinitive.
    pub(crate) enjoying: Vec<Verb>,
    /// With an object and an infinitive in `to`.
    pub(crate) forcing: Vec<Verb>,
    /// With an object and a bare infinitive.
    pub(crate) making: Vec<Verb>,
    /// With two objects or with `to`.
    pub(crate) giving: Vec<Verb>,
    /// With `to`, never with two objects.
    pub(crate) donating: Vec<Verb>,
    pub(crate) doubting: Vec<Verb>,
    pub(crate) listening: Vec<Governor<Verb>>,
    pub(crate) fond: Vec<Governor<&'static str>>,
    /// Nouns that take a clause.
    pub(crate) news: Vec<&'static str>,
    pub(crate) short_person: Vec<Short>,
    pub(crate) long_person: Vec<&'static str>,
    pub(crate) short_thing: Vec<Short>,
    pub(crate) long_thing: Vec<&'static str>,
    pub(crate) past_times: &'static [&'static str],
    pub(crate) future_times: &'static [&'static str],
}

impl Lexicon {
    /// Reads the half of every table.
    pub(crate) fn new(part: Part) -> Self {
        let plain = |table| entries(table, part).collect();
        let nouns = |table| entries(table, part).map(Noun::new).collect();
        let verbs = |table| entries(table, part).map(Verb::new).collect();
        let shorts = |table| entries(table, part).map(Short::new).collect();
        Self {
            men: nouns(MEN),
            women: nouns(WOMEN),
            people: nouns(PEOPLE),
            men_names: plain(MEN_NAMES),
            women_names: plain(WOMEN_NAMES),
            animals: nouns(ANIMALS),
            dishes: nouns(DISHES),
            texts: nouns(TEXTS),
            things: nouns(THINGS),
            furniture: nouns(FURNITURE),
            places: nouns(PLACES),
            intransitive: verbs(INTRANSITIVE),
            transitive: verbs(TRANSITIVE),
            optionally_transitive: verbs(OPTIONALLY_TRANSITIVE),
            writing: verbs(WRITING),
            eating: verbs(EATING),
            handling: verbs(HANDLING),
            going: verbs(GOING),
            believing: verbs(BELIEVING),
            asking: verbs(ASKING),
            deciding: verbs(DECIDING),
            enjoying: verbs(ENJOYING),
            forcing: verbs(FORCING),
            making: verbs(MAKING),
            giving: verbs(GIVING),
            donating: verbs(DONATING),
            doubting: verbs(DOUBTING),
            listening: entries(LISTENING, part).map(|entry| Governor::new(entry, Verb::new)).collect(),
            fond: entries(FOND, part).map(|entry| Governor::new(entry, |word| word)).collect(),
            news: plain(NEWS),
            short_person: shorts(SHORT_PERSON),
            long_person: plain(LONG_PERSON),
            short_thing: shorts(SHORT_THING),
            long_thing: plain(LONG_THING),
            past_times: PAST_TIMES[part as usize],
            future_times: FUTURE_TIMES[part as usize],
        }
    }
}

/// A table's entries of one half: every third is for validation.
fn entries(table: &'static str, part: Part) -> impl Iterator<Item = &'static str> {
    let validation = part == Part::Validation;
    table
        .split_whitespace()
        .enumerate()
        .filter(move |(index, _)| (index % 3 == 2) == validation)
        .map(|(_, entry)| entry)
}

/// The word without its mark, and whether it was marked for doubling.
fn doubling(entry: &str) -> (&str, bool) {
    entry.strip_suffix('+').map_or((entry, false), |word| (word, true))
}

impl Noun {
    fn new(entry: &str) -> Self {
        let (singular, plural) = match entry.split_once('/') {
            Some((singular, plural)) => (singular, plural.to_owned()),
            None => (entry, add_s(entry)),
        };
        Self { singular: singular.to_owned(), plural }
    }
}

impl Verb {
    fn new(entry: &str) -> Self {
        let (base, doubled) = doubling(entry.split('/').next().unwrap_or(entry));
        let mut irregular = entry.split('/').skip(1).map(str::to_owned);
        let past = irregular.next().unwrap_or_else(|| add_ed(base, doubled));
        let participle = irregular.next().unwrap_or_else(|| past.clone());
        Self { base: base.to_owned(), third: add_s(base), past, participle, gerund: add_ing(base, doubled) }
    }
}

impl Short {
    fn new(entry: &str) -> Self {
        let (plain, doubled) = doubling(entry);
        Self { plain: plain.to_owned(), more: add_er(plain, doubled, "er"), most: add_er(plain, doubled, "est") }
    }
}

impl<W> Governor<W> {
    fn new(entry: &'static str, word: fn(&'static str) -> W) -> Self {
        let mut fields = entry.split(':');
        let mut next = || fields.next().unwrap_or_default();
        Self { word: word(next()), right: next(), wrong: next() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Lexicon {
        fn nouns(&self) -> impl Iterator<Item = &Noun> {
            let kinds = [&self.men, &self.women, &self.people, &self.animals, &self.dishes, &self.texts, &self.things];
            kinds.into_iter().chain([&self.furniture, &self.places]).flatten()
        }

        fn verbs(&self) -> impl Iterator<Item = &Verb> {
            let classes = [
                &self.intransitive,
                &self.transitive,
                &self.optionally_transitive,
                &self.writing,
                &self.eating,
                &self.handling,
                &self.going,
                &self.believing,
                &self.asking,
                &self.deciding,
                &self.enjoying,
                &self.forcing,
                &self.making,
                &self.giving,
                &self.donating,
                &self.doubting,
            ];
            classes.into_iter().flatten().chain(self.listening.iter().map(|governor| &governor.word))
        }

        fn plain(&self) -> impl Iterator<Item = &'static str> {
            let tables = [&self.men_names, &self.women_names, &self.news, &self.long_person, &self.long_thing]
                .into_iter()
                .flatten();
            tables.copied().chain(self.fond.iter().map(|governor| governor.word))
        }

        /// The forms of every entry; an entry's own forms can be alike.
        fn forms(&self) -> Vec<Vec<String>> {
            let nouns = self.nouns().map(|noun| vec![noun.singular.clone(), noun.plural.clone()]);
            let verbs = self.verbs().map(|verb| {
                let Verb { base, third, past, participle, gerund } = verb.clone();
                vec![base, third, past, participle, gerund]
            });
            let shorts = self.short_person.iter().chain(&self.short_thing);
            let shorts = shorts.map(|short| vec![short.plain.clone(), short.more.clone(), short.most.clone()]);
            let plain = self.plain().map(|word| vec![word.to_lowercase()]);
            nouns.chain(verbs).chain(shorts).chain(plain).collect()
        }
    }

    fn both() -> [Lexicon; 2] {
        [Part::Train, Part::Validation].map(Lexicon::new)
    }

    #[test]
    fn no_form_belongs_to_two_entries() {
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for lexicon in both() {
            for forms in lexicon.forms() {
                for form in &forms {
                    let owner = owners.entry(form.clone()).or_insert_with(|| forms[0].clone());
                    assert_eq!(*owner, forms[0], "{form} is a form of both");
                }
            }
        }
        let entries: usize = both().iter().map(|lexicon| lexicon.forms().len()).sum();
        let different: std::collections::BTreeSet<&String> = owners.values().collect();
        assert_eq!(different.len(), entries, "a word stands in the lexicon twice");
    }

    #[test]
    fn a_wrong_form_always_shows() {
        for lexicon in both() {
            for Verb { base, third, past, participle, gerund } in lexicon.verbs() {
                for form in [third, past, participle, gerund] {
                    assert_ne!(form, base);
                }
            }
            for noun in lexicon.nouns() {
                assert_ne!(noun.singular, noun.plural);
            }
        }
    }

    #[test]
    fn forms_end_as_english_words_do() {
        for lexicon in both() {
            for Verb { base, third, past, gerund, .. } in lexicon.verbs() {
                assert!(third.ends_with('s') && gerund.ends_with("ing"), "{base}");
                let stem = &base[..base.len() - 1];
                assert!(!past.ends_with("ed") || past.starts_with(stem), "{base} {past}");
            }
        }
    }

    #[test]
    fn regular_verbs_that_double_a_letter_are_marked() {
        let vowel = |letter: u8| b"aeiou".contains(&letter);
        for lexicon in both() {
            for Verb { base, gerund, .. } in lexicon.verbs() {
                let letters = base.as_bytes();
                let vowels = letters.iter().filter(|letter| vowel(**letter)).count();
                let [.., first, second, last] = letters else { panic!("{base} is too short") };
                let closed = !vowel(*first) && vowel(*second) && !vowel(*last) && !b"wxy".contains(last);
                if vowels == 1 && closed {
                    assert_eq!(gerund.len(), base.len() + 4, "{base} {gerund}");
                }
            }
        }
    }

    #[test]
    fn a_governed_preposition_differs_from_the_wrong_one() {
        for lexicon in both() {
            let verbs = lexicon.listening.iter().map(|governor| (governor.right, governor.wrong));
            let adjectives = lexicon.fond.iter().map(|governor| (governor.right, governor.wrong));
            for (right, wrong) in verbs.chain(adjectives) {
                assert!(!right.is_empty() && !wrong.is_empty() && right != wrong);
            }
        }
    }

    #[test]
    fn every_class_has_words_in_both_halves() {
        for lexicon in both() {
            let Lexicon { men_names, women_names, news, long_person, long_thing, .. } = &lexicon;
            let plain = [men_names, women_names, news, long_person, long_thing].map(Vec::len);
            let nouns =
                [&lexicon.men, &lexicon.women, &lexicon.people, &lexicon.animals, &lexicon.dishes].map(Vec::len);
            let verbs = [&lexicon.making, &lexicon.going, &lexicon.asking, &lexicon.donating].map(Vec::len);
            assert!(plain.into_iter().chain(nouns).all(|count| count >= 2), "{plain:?} {nouns:?}");
            assert!(verbs.into_iter().all(|count| count >= 1), "{verbs:?}");
        }
    }

    #[test]
    fn irregular_forms_are_read_from_the_tables() {
        let verb = Verb::new("write/wrote/written");
        let Verb { third, past, participle, gerund, .. } = &verb;
        assert_eq!([third, past, participle, gerund], ["writes", "wrote", "written", "writing"]);
        assert_eq!(Noun::new("child/children").plural, "children");
        assert_eq!(Short::new("big+").most, "biggest");
        assert_eq!(Verb::new("hug+").past, "hugged");
        // Longer words double their last letter if the stress is there, which the spelling does not show.
        let pasts: Vec<String> = both().iter().flat_map(Lexicon::verbs).map(|verb| verb.past.clone()).collect();
        for past in ["permitted", "compelled", "edited", "offered"] {
            assert!(pasts.iter().any(|other| other == past), "{past}");
        }
    }
}
