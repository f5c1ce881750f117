//! What a prediction says, and that it does not depend on company.

use wellformed_infer::{Error, Label, Precision};

use crate::support::{SENTENCES, open};

#[test]
fn a_sentence_is_predicted_to_the_last_bit_the_same_alone_and_in_every_batch() {
    for precision in Precision::ALL {
        let (one, two) = (open(precision, 1), open(precision, 2));
        let many: Vec<&str> = SENTENCES.iter().copied().cycle().take(300).collect();
        let (single, parallel) = (one.predict_all(&many), two.predict_all(&many));
        for (at, sentence) in many.iter().enumerate() {
            let alone = one.predict(sentence).unwrap();
            for other in [&single[at], &parallel[at]] {
                let other = other.as_ref().unwrap();
                assert_eq!(alone.logits, other.logits, "{precision:?} {sentence:?}");
                assert_eq!(
                    (alone.label, alone.tokens, alone.truncated, alone.unknown_tokens),
                    (other.label, other.tokens, other.truncated, other.unknown_tokens)
                );
            }
        }
    }
}

#[test]
fn probabilities_are_the_calibrated_softmax_and_decide_at_the_threshold() {
    let predictor = open(Precision::Int8, 1);
    let calibration = predictor.manifest().calibration;
    for sentence in SENTENCES {
        let prediction = predictor.predict(sentence).unwrap();
        let [no, yes] = prediction.logits.map(|logit| (f64::from(logit) / calibration.temperature).exp());
        let expected = yes / (no + yes);
        assert!((prediction.probabilities[1] - expected).abs() < 1e-12);
        assert!((prediction.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let label = if expected > calibration.threshold { Label::Acceptable } else { Label::Unacceptable };
        assert_eq!(prediction.label, label);
    }
}

#[test]
fn a_long_text_is_cut_and_says_so_and_the_rest_is_never_read() {
    let predictor = open(Precision::Int8, 1);
    let most = predictor.manifest().max_length;
    let long = "the dog sleeps ".repeat(200_000);
    let tokens = predictor.tokenize(&long).unwrap();
    assert!(tokens.truncated);
    assert_eq!(tokens.ids.len(), most);
    // The same as of the part that is seen, which shows that nothing was lost by not reading on.
    let short = "the dog sleeps ".repeat(most);
    assert_eq!(tokens.ids, predictor.tokenize(&short).unwrap().ids);
    let prediction = predictor.predict(&long).unwrap();
    assert!(prediction.truncated);
    assert_eq!(prediction.tokens, most);
    assert_eq!(prediction.logits, predictor.predict(&short).unwrap().logits);
}

#[test]
fn long_texts_of_any_kind_are_cut_where_hugging_face_tokenizers_would_cut_them() {
    let predictor = open(Precision::Int8, 1);
    let most = predictor.manifest().max_length;
    let file = std::fs::read(crate::support::bundle().join("tokenizer.json")).unwrap();
    let mut whole = tokenizers::Tokenizer::from_bytes(file).unwrap();
    whole.with_padding(None).with_truncation(None).unwrap();
    let texts = [
        "a ".repeat(3 * most),
        "!".repeat(3 * most),
        format!("{} the dog", "\u{301}\u{301} ".repeat(most)),
        format!("{} sleeps", "x".repeat(150)),
        "\u{4f60}\u{597d}".repeat(most),
        format!("{}the dog sleeps", " \t\n".repeat(20)),
        "don't (can't) \"won't\" ".repeat(most),
        "\u{e9}t\u{e9} \u{fb01}n ".repeat(most),
    ];
    for text in texts {
        let mut expected = whole.encode(text.as_str(), true).unwrap().get_ids().to_vec();
        if expected.len() > most {
            let end = expected[expected.len() - 1];
            expected.truncate(most - 1);
            expected.push(end);
        }
        assert_eq!(
            predictor.tokenize(&text).unwrap().ids,
            expected,
            "{:?}",
            &text.chars().take(20).collect::<String>()
        );
    }
}

#[test]
fn unknown_words_are_counted() {
    let predictor = open(Precision::Int8, 1);
    let prediction = predictor.predict("the \u{1f600} \u{1f600} dog").unwrap();
    assert_eq!(prediction.unknown_tokens, 2);
    assert_eq!(predictor.predict("the dog").unwrap().unknown_tokens, 0);
}

#[test]
fn an_empty_sentence_is_an_error_of_its_own_and_stops_no_other() {
    let predictor = open(Precision::Int8, 1);
    for empty in ["", "  ", "\n\t\u{a0}"] {
        assert!(matches!(predictor.predict(empty), Err(Error::Empty)), "{empty:?}");
    }
    let results = predictor.predict_all(&["the dog", "", "a cat", " "]);
    let good: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false]);
    assert_eq!(results[2].as_ref().unwrap().logits, predictor.predict("a cat").unwrap().logits);
    assert!(predictor.predict_all::<&str>(&[]).is_empty());
}

#[test]
fn many_threads_may_predict_with_one_predictor() {
    let predictor = open(Precision::Int8, 2);
    let expected: Vec<[f32; 2]> =
        SENTENCES.iter().map(|sentence| predictor.predict(sentence).unwrap().logits).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    for (sentence, expected) in SENTENCES.iter().zip(&expected) {
                        assert_eq!(predictor.predict(sentence).unwrap().logits, *expected);
                    }
                }
            });
        }
    });
}
