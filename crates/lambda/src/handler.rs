//! From event to answer.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use lambda_runtime::Diagnostic;
use wellformed_core::record::{self, Level, Record, Service, TextFacts, TextPolicy, Timestamp, entropy_bits};
use wellformed_infer::{Error, Explanation, Manifest, Perturbation, Precision, Prediction, Predictor};

use crate::answer::{Answer, Content, Explained, ExplainedVerdict, Health, Verdict as AnsweredVerdict, Verdicts};
use crate::event::{Channel, Event, HttpRequest, Payload};
use crate::problem::Problem;
use crate::question::Question;
use crate::record::Recorder;

/// The methods that a path for predictions takes.
pub const METHODS: &str = "GET, HEAD, OPTIONS, POST";
const METHODS_HEALTH: &str = "GET, HEAD, OPTIONS";

/// What the handler needs of a model; tests bring their own.
pub trait Model {
    /// The bundle's digest.
    fn digest(&self) -> &str;
    /// Which of the bundle's models predicts.
    fn precision(&self) -> Precision;
    /// The bundle's manifest, if there is one.
    fn manifest(&self) -> Option<&Manifest>;
    /// The verdicts on sentences, in their order.
    fn predict(&self, sentences: &[String]) -> Vec<Result<Prediction, Error>>;
    /// The verdict on a sentence, and what each word contributes.
    ///
    /// # Errors
    ///
    /// When the sentence is empty.
    fn explain(&self, sentence: &str, perturbation: Perturbation) -> Result<Explanation, Error>;
}

impl Model for Predictor {
    fn digest(&self) -> &str {
        self.digest()
    }

    fn precision(&self) -> Precision {
        self.precision()
    }

    fn manifest(&self) -> Option<&Manifest> {
        Some(self.manifest())
    }

    fn predict(&self, sentences: &[String]) -> Vec<Result<Prediction, Error>> {
        match sentences {
            [sentence] => vec![self.predict(sentence)],
            sentences => self.predict_all(sentences),
        }
    }

    fn explain(&self, sentence: &str, perturbation: Perturbation) -> Result<Explanation, Error> {
        self.explain(sentence, perturbation)
    }
}

/// A mistake of this program in a direct invocation: Lambda counts it as a function error, so that alarms see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub Problem);

impl From<Failure> for Diagnostic {
    fn from(Failure(problem): Failure) -> Self {
        Self { error_type: "Wellformed.Internal".to_owned(), error_message: problem.message }
    }
}

/// Answers events, one after another.
#[derive(Debug)]
pub struct Handler<M, R> {
    model: M,
    recorder: R,
    function_version: String,
    texts: TextPolicy,
    cold_start: bool,
}

impl<M: Model, R: Recorder> Handler<M, R> {
    /// A handler that has not seen an event yet. `function_version` is the function's version as Lambda numbers them;
    /// `texts` is what records may say of sentences.
    pub fn new(model: M, recorder: R, function_version: String, texts: TextPolicy) -> Self {
        Self { model, recorder, function_version, texts, cold_start: true }
    }

    /// Answers an event. A request that is wrong gets an answer that says so. A prediction that panics gives status
    /// 500 to an HTTP request.
    ///
    /// # Errors
    ///
    /// When a direct invocation's prediction panics.
    pub fn handle(&mut self, payload: Payload, request_id: &str) -> Result<Answer, Failure> {
        let mut invocation = Invocation {
            started: Instant::now(),
            request_id,
            channel: Channel::Direct,
            cold_start: mem::take(&mut self.cold_start),
        };
        let event = match payload {
            Payload(Ok(value)) => Event::of(value),
            Payload(Err(error)) => {
                let problem = Problem::bad("malformed_json", "", format!("the payload is not JSON: {error}"));
                self.record_problem(&invocation, &problem);
                return Ok(Answer::direct(Err(problem)));
            }
        };
        match event {
            Event::Ping => Ok(Answer::Content(Content::Warm { bundle: self.model.digest().to_owned(), warm: true })),
            Event::Direct(value) => {
                let outcome = self.guarded(&invocation, |handler| {
                    let question = Question::from_json(&value)?;
                    handler.ask(&invocation, &question)
                });
                match outcome {
                    Err(problem) if problem.status >= 500 => Err(Failure(problem)),
                    outcome => Ok(Answer::direct(outcome)),
                }
            }
            Event::Http(request) => {
                invocation.channel = request.channel;
                let outcome = self.guarded(&invocation, |handler| handler.route(&invocation, &request));
                Ok(Answer::http(&request, outcome))
            }
        }
    }

    /// Runs `work`, turns a panic into a problem, and records a problem.
    fn guarded(
        &mut self,
        invocation: &Invocation<'_>,
        work: impl FnOnce(&mut Self) -> Result<Content, Problem>,
    ) -> Result<Content, Problem> {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_| Err(Problem::internal()));
        if let Err(problem) = &outcome {
            self.record_problem(invocation, problem);
        }
        outcome
    }

    fn route(&mut self, invocation: &Invocation<'_>, request: &HttpRequest) -> Result<Content, Problem> {
        let endpoint = request.endpoint();
        let methods = match endpoint {
            "" | "predict" | "explain" => METHODS,
            "health" => METHODS_HEALTH,
            _ => {
                let message = "there is no such path; there are /predict, /explain and /health";
                return Err(Problem::of_status(404, "not_found", message));
            }
        };
        let method = request.method.as_str();
        if !methods.split(", ").any(|known| known == method) {
            let message = format!("this path takes the methods {methods}");
            let problem = Problem::of_status(405, "method_not_allowed", message);
            return Err(Problem { allow: Some(methods), ..problem });
        }
        if method == "OPTIONS" {
            return Ok(Content::Empty);
        }
        if endpoint == "health" {
            let (digest, precision) = (self.model.digest(), self.model.precision());
            return Ok(Content::Health(Health::of(digest, precision, self.model.manifest())));
        }
        let question = Question::from_http(request)?;
        if endpoint != "explain" {
            return self.ask(invocation, &question);
        }
        if question.sentences.len() > 1 {
            let message = "/explain takes one sentence; for several, ask /predict with explain";
            return Err(Problem::bad("too_many_sentences", "sentences", message));
        }
        let explained = self.ask(invocation, &Question { explain: true, ..question })?;
        // The form that the HTTP server answers in.
        let Content::Verdicts(Verdicts { bundle, mut predictions }) = explained else { return Ok(explained) };
        let mut prediction = predictions.pop().ok_or_else(Problem::internal)?;
        let explanation = prediction.explanation.take().ok_or_else(Problem::internal)?;
        Ok(Content::Explanation(ExplainedVerdict { bundle, prediction, explanation }))
    }

    fn ask(&mut self, invocation: &Invocation<'_>, question: &Question) -> Result<Content, Problem> {
        let field = |index: usize| match question.sentences.len() {
            1 => "sentence".to_owned(),
            _ => format!("sentences[{index}]"),
        };
        let problem = |index: usize, error: &Error| match error {
            Error::Empty => Problem::bad("empty_sentence", field(index), "the sentence is empty"),
            _ => Problem::internal(),
        };
        let mut answered = Vec::with_capacity(question.sentences.len());
        let mut predictions = Vec::with_capacity(question.sentences.len());
        if question.explain {
            for (index, sentence) in question.sentences.iter().enumerate() {
                let explanation =
                    self.model.explain(sentence, question.perturbation).map_err(|error| problem(index, &error))?;
                let explained = Explained::of(explanation.perturbation, explanation.words);
                let verdict = AnsweredVerdict::of(&explanation.prediction);
                answered.push(AnsweredVerdict { explanation: Some(explained), ..verdict });
                predictions.push(explanation.prediction);
            }
        } else {
            for (index, prediction) in self.model.predict(&question.sentences).into_iter().enumerate() {
                let prediction = prediction.map_err(|error| problem(index, &error))?;
                answered.push(AnsweredVerdict::of(&prediction));
                predictions.push(prediction);
            }
        }
        for (index, (prediction, sentence)) in predictions.iter().zip(&question.sentences).enumerate() {
            let text = self.texts.describe(sentence);
            self.record_prediction(invocation, index, prediction, text, question.explain);
        }
        Ok(Content::Verdicts(Verdicts { bundle: self.model.digest().to_owned(), predictions: answered }))
    }

    fn record_prediction(
        &mut self,
        invocation: &Invocation<'_>,
        index: usize,
        prediction: &Prediction,
        text: TextFacts,
        explained: bool,
    ) {
        let p_acceptable = prediction.probabilities[1];
        self.recorder.record(Record::Prediction(Box::new(record::Prediction {
            timestamp: Timestamp::now(),
            level: Level::Info,
            service: Service::Lambda,
            version: self.function_version.clone(),
            request_id: invocation.request_id.to_owned(),
            index: index as u32,
            bundle: self.model.digest().to_owned(),
            precision: self.model.precision(),
            channel: invocation.channel.into(),
            label: prediction.label,
            p_acceptable,
            entropy: entropy_bits(p_acceptable),
            tokens: prediction.tokens as u32,
            truncated: prediction.truncated,
            unknown_tokens: prediction.unknown_tokens as u32,
            characters: text.characters,
            non_ascii_share: text.non_ascii_share,
            pieces_per_word: prediction.signals.map(|signals| signals.pieces_per_word),
            frequent_share: prediction.signals.map(|signals| signals.frequent_share),
            surprise: prediction.signals.map(|signals| signals.surprise),
            text_hash: text.text_hash,
            explained,
            tokenization_ms: milliseconds(prediction.timing.tokenization),
            inference_ms: milliseconds(prediction.timing.inference),
            total_ms: milliseconds(invocation.started.elapsed()),
            cold_start: invocation.cold_start,
            text: text.text,
            aws: None,
        })));
    }

    fn record_problem(&mut self, invocation: &Invocation<'_>, problem: &Problem) {
        self.recorder.record(Record::Problem(record::Problem {
            timestamp: Timestamp::now(),
            level: Level::of_status(problem.status),
            service: Service::Lambda,
            version: self.function_version.clone(),
            request_id: invocation.request_id.to_owned(),
            bundle: self.model.digest().to_owned(),
            channel: invocation.channel.into(),
            status: problem.status,
            code: problem.code.to_owned(),
            aws: None,
        }));
    }
}

/// What is known of an event before it is answered.
#[derive(Debug)]
struct Invocation<'a> {
    started: Instant,
    request_id: &'a str,
    channel: Channel,
    cold_start: bool,
}

/// A duration in milliseconds, to the microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
