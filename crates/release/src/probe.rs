//! Asking a version, and telling a right answer from a wrong one.

use serde_json::{Value, json};

use crate::cloud::Invocation;
use crate::project::Golden;

/// The question: all sentences at once, as a direct invocation.
pub fn question(golden: &[Golden]) -> Value {
    json!({"sentences": golden.iter().map(|one| one.sentence.as_str()).collect::<Vec<_>>()})
}

/// What an answer has to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The digest of the bundle that has to answer; `None` where it is not known.
    pub bundle: Option<&'a str>,
    /// The verdicts, where they are known.
    pub golden: Option<&'a [Golden]>,
    /// How many verdicts.
    pub sentences: usize,
    /// How far a probability may be from the expected one.
    pub tolerance: f64,
}

impl Expected<'_> {
    /// What is wrong with an answer; `None` when nothing is. Sentences are named by their place, never quoted.
    pub fn problem(&self, invocation: &Invocation) -> Option<String> {
        let Invocation { version, function_error, payload } = invocation;
        if let Some(kind) = function_error {
            let text = |field: &str| payload[field].as_str().unwrap_or("nothing").chars().take(200).collect::<String>();
            return Some(format!("version {version} failed ({kind}): {}: {}", text("errorType"), text("errorMessage")));
        }
        if let Some(error) = payload.get("error") {
            let code = error["code"].as_str().unwrap_or("no code");
            return Some(format!("version {version} refused the question ({}, {code})", payload["statusCode"]));
        }
        let Some(bundle) = payload["bundle"].as_str() else {
            return Some(format!("version {version} answered without the digest of its bundle"));
        };
        if self.bundle.is_some_and(|expected| expected != bundle) {
            let expected = self.bundle.unwrap_or_default();
            return Some(format!("version {version} answers with the bundle {bundle}, but it should be {expected}"));
        }
        let verdicts = payload["predictions"].as_array().map(Vec::as_slice).unwrap_or_default();
        if verdicts.len() != self.sentences {
            return Some(format!("version {version} gave {} verdicts on {} sentences", verdicts.len(), self.sentences));
        }
        for (place, verdict) in verdicts.iter().enumerate() {
            let (Some(label), Some(p)) = (verdict["label"].as_str(), verdict["probabilities"]["acceptable"].as_f64())
            else {
                return Some(format!("version {version}: verdict {} has no label or no probability", place + 1));
            };
            let Some(expected) = self.golden.and_then(|golden| golden.get(place)) else { continue };
            // A probability on the threshold may fall on either side of it.
            let near = (p - expected.p_acceptable).abs();
            if near > self.tolerance || (label != expected.label && near > f64::EPSILON.max(self.tolerance / 100.0)) {
                return Some(format!(
                    "version {version}: probe sentence {} is {label} with p(acceptable) {p:.4}, but the bundle here \
                     says {} with {:.4}",
                    place + 1,
                    expected.label,
                    expected.p_acceptable
                ));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Expected;
    use crate::cloud::Invocation;
    use crate::project::Golden;

    fn problem(function_error: Option<&str>, payload: Value) -> Option<String> {
        let golden =
            [Golden { sentence: "Bakers sleep.".to_owned(), label: "acceptable".to_owned(), p_acceptable: 0.8 }];
        let expected = Expected { bundle: Some("b1"), golden: Some(&golden), sentences: 1, tolerance: 0.01 };
        let function_error = function_error.map(str::to_owned);
        expected.problem(&Invocation { version: "7".to_owned(), function_error, payload })
    }

    fn answer(bundle: &str, label: &str, p: f64) -> Value {
        json!({"bundle": bundle, "predictions": [{"label": label, "probabilities": {"acceptable": p}}]})
    }

    #[test]
    fn the_bundles_own_answer_is_right() {
        assert_eq!(problem(None, answer("b1", "acceptable", 0.8001)), None);
    }

    #[test]
    fn a_function_error_is_a_failure_although_the_status_is_200() {
        let payload = json!({"errorType": "Wellformed.Internal", "errorMessage": "a defect"});
        let said = problem(Some("Unhandled"), payload).expect("a problem");
        assert!(said.contains("version 7") && said.contains("Wellformed.Internal"), "{said}");
    }

    #[test]
    fn another_bundle_another_verdict_and_a_refusal_are_failures() {
        for (payload, word) in [
            (answer("b2", "acceptable", 0.8), "b2"),
            (answer("b1", "acceptable", 0.7), "0.7000"),
            (answer("b1", "unacceptable", 0.801), "unacceptable"),
            (json!({"bundle": "b1", "predictions": []}), "0 verdicts on 1"),
            (json!({"statusCode": 400, "error": {"code": "missing_field"}}), "missing_field"),
            (json!("hello"), "without the digest"),
        ] {
            let said = problem(None, payload).expect("a problem");
            assert!(said.contains(word) && !said.contains("Bakers"), "{said}");
        }
    }
}
