//! Which words push the verdict.

use wellformed_infer::{Error, Perturbation, Precision};

use crate::support::{bundle, open};

fn words(sentence: &str) -> Vec<String> {
    let explanation = open(Precision::Int8, 1).explain(sentence, Perturbation::Omit).unwrap();
    for word in &explanation.words {
        assert_eq!(word.text, sentence[word.start..word.end], "the place of a word");
    }
    explanation.words.into_iter().map(|word| word.text).collect()
}

#[test]
fn words_are_what_a_person_would_call_words() {
    assert_eq!(words("The dog sleeps."), ["The", "dog", "sleeps", "."]);
    assert_eq!(
        words("  He  doesn't know (yet), \"why\"."),
        ["He", "doesn't", "know", "(", "yet", ")", ",", "\"", "why", "\"", "."]
    );
    assert_eq!(words("A well-known café!?"), ["A", "well-known", "café", "!", "?"]);
    assert_eq!(words("..."), [".", ".", "."]);
}

#[test]
fn a_weight_is_what_leaving_the_word_out_changes() {
    for precision in Precision::ALL {
        let predictor = open(precision, 1);
        let explanation = predictor.explain("the dog sleeps", Perturbation::Omit).unwrap();
        let whole = predictor.predict("the dog sleeps").unwrap();
        assert_eq!(explanation.prediction.logits, whole.logits);
        for (word, without) in explanation.words.iter().zip(["dog sleeps", "the sleeps", "the dog"]) {
            let without = predictor.predict(without).unwrap();
            let expected = whole.probabilities[1] - without.probabilities[1];
            assert!((word.weight - expected).abs() < 1e-12, "{}: {} is not {expected}", word.text, word.weight);
        }
    }
}

#[test]
fn a_masked_word_is_replaced_by_the_mask() {
    let predictor = open(Precision::Fp32, 1);
    let file = std::fs::read_to_string(bundle().join("tokenizer.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let mask = file["model"]["vocab"]["[MASK]"].as_u64().unwrap() as u32;
    let explanation = predictor.explain("the girl wait", Perturbation::Mask).unwrap();
    let whole = predictor.predict("the girl wait").unwrap();
    let tokens = predictor.tokenize("the girl wait").unwrap();
    assert_eq!(tokens.ids.len(), 5, "the three words are in the fixture's vocabulary");
    for (at, word) in explanation.words.iter().enumerate() {
        let mut masked = tokens.clone();
        masked.ids[at + 1] = mask;
        let masked = &predictor.run(&[masked])[0];
        let expected = whole.probabilities[1] - masked.probabilities[1];
        assert!((word.weight - expected).abs() < 1e-12, "{}: {} is not {expected}", word.text, word.weight);
    }
}

#[test]
fn of_a_long_text_the_words_that_the_model_saw_are_explained() {
    let predictor = open(Precision::Int8, 1);
    let explanation = predictor.explain(&"the dog sleeps ".repeat(1000), Perturbation::Omit).unwrap();
    assert!(explanation.prediction.truncated);
    let seen = predictor.manifest().max_length - 2;
    assert!(explanation.words.len() <= seen && explanation.words.len() > seen / 4, "{}", explanation.words.len());
}

#[test]
fn nothing_cannot_be_explained() {
    assert!(matches!(open(Precision::Int8, 1).explain(" ", Perturbation::Omit), Err(Error::Empty)));
}
