//! Shares of windows, and the machinery of the trials.

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::sync::Arc;
use wellformed_core::dataset::Example;
use wellformed_drift::{Area, Checker, Expected, Features, Observation, Outcome, Report, Settings, Verdict};

use crate::damage::{Change, Damage, other_vocabulary};
use crate::sentences::Oracle;

/// Records of a detection figure.
const LENGTH: usize = 500;

/// Where the delay is looked at, in records.
const STEPS: [usize; 7] = [30, 50, 75, 100, 200, 300, 500];

/// How windows come to be.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Windows {
    /// Of sentences that the profile does not have, each once.
    Fresh,
    /// Of the profile's own sentences, drawn with replacement.
    Again,
}

/// A share of windows, with its 95 % interval (Wilson 1927, Journal of the American Statistical Association 22).
fn share(hits: u64, trials: u64) -> Value {
    let (n, z) = (trials as f64, 1.959_964);
    let p = hits as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    json!({ "share": p, "low": (middle - half).max(0.0), "high": (middle + half).min(1.0), "windows": trials })
}

/// The trials.
pub(crate) struct Bench<'a> {
    oracle: &'a Oracle,
    settings: Settings,
    trials: u64,
    detections: u64,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(oracle: &'a Oracle, settings: Settings, trials: u64, detections: u64) -> Self {
        Self { oracle, settings, trials, detections }
    }

    pub(crate) fn profile_bytes(&self, judged: &[Features], examples: &[Example]) -> Result<usize> {
        let labels: Vec<_> = examples.iter().map(|example| example.label).collect();
        Ok(serde_json::to_vec(&self.oracle.profile(judged, Some(&labels))?)?.len())
    }

    fn checker(&self, reference: &[Features]) -> Result<Checker> {
        // Thirty is the least that the settings allow; the delay is looked at from there.
        let mut settings = self.settings.clone();
        settings.drift.min_records = 30;
        Ok(Checker::new(self.oracle.profile(reference, None)?, settings, Expected::default())?)
    }

    /// Unchanged windows that are called changed.
    pub(crate) fn false_alarms(
        &self,
        name: &str,
        pool: &[Features],
        reference: usize,
        length: usize,
        windows: Windows,
    ) -> Result<Value> {
        ensure!(windows == Windows::Again || reference + length <= pool.len(), "{name}: too few sentences");
        let bar = progress(self.trials, &format!("{name}, {length} records"));
        let (mut warnings, mut alerts) = (0, 0);
        let mut signals = std::collections::BTreeMap::<String, u64>::new();
        let mut same = (windows == Windows::Again).then(|| self.checker(pool)).transpose()?;
        for trial in 0..self.trials {
            let mut random = random(trial, length as u64);
            let report = if let Some(checker) = &mut same {
                let drawn: Vec<Features> =
                    (0..length).map(|_| pool[random.random_range(0..pool.len())].clone()).collect();
                check(checker, &drawn)?
            } else {
                let mut order: Vec<&Features> = pool.iter().collect();
                order.shuffle(&mut random);
                let (known, fresh) = order.split_at(reference);
                let known: Vec<Features> = known.iter().map(|&one| one.clone()).collect();
                let fresh: Vec<Features> = fresh[..length].iter().map(|&one| one.clone()).collect();
                check(&mut self.checker(&known)?, &fresh)?
            };
            warnings += u64::from(report.verdict >= Verdict::Warn);
            alerts += u64::from(report.verdict == Verdict::Alert);
            for reason in &report.reasons {
                *signals.entry(reason.code.clone()).or_default() += 1;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let (n, percent) = (self.trials as f64, |hits: u64| 100.0 * hits as f64 / self.trials as f64);
        println!("  {name:24} {length:5} records  {:5.1} %  {:5.1} %  of {n}", percent(warnings), percent(alerts));
        Ok(json!({
            "windows": name, "reference": reference, "records": length,
            "warn_or_alert": share(warnings, self.trials), "alert": share(alerts, self.trials), "reasons": signals,
        }))
    }

    /// Windows of changed sentences, the reference being the other half.
    pub(crate) fn detection(&self, damage: &Damage, examples: &[Example], judged: &[Features]) -> Result<Value> {
        // Changed once and judged once; trials choose among them.
        let mut random = random(0, 7);
        let mut changed = self.changed(damage, examples, judged, &mut random)?;
        for (changed, before) in changed.iter_mut().zip(judged) {
            if !random.random_bool(damage.share) {
                changed.clone_from(before);
            }
        }
        self.trials(damage.name, |random| {
            let mut order: Vec<usize> = (0..judged.len()).collect();
            order.shuffle(random);
            let (known, fresh) = order.split_at(judged.len() / 2);
            let reference: Vec<Features> = known.iter().map(|&at| judged[at].clone()).collect();
            (reference, fresh[..LENGTH].iter().map(|&at| changed[at].clone()).collect())
        })
    }

    fn changed(
        &self,
        damage: &Damage,
        examples: &[Example],
        judged: &[Features],
        random: &mut ChaCha8Rng,
    ) -> Result<Vec<Features>> {
        match &damage.change {
            Change::Text(change) => {
                let changed: Vec<String> = examples.iter().map(|one| change(&one.sentence, random)).collect();
                self.oracle.judge(changed.iter().map(String::as_str))
            }
            Change::Ids => {
                let sentences: Vec<&str> = examples.iter().map(|one| one.sentence.as_str()).collect();
                let tokens = sentences.iter().map(|one| self.oracle.tokenize(one)).collect::<Result<Vec<_>>>()?;
                // All ids but the first thousand, which are special or not in use.
                let mut order: Vec<u32> = (0..30_522).collect();
                order[1000..].shuffle(random);
                let tokens: Vec<_> = tokens.iter().map(|one| other_vocabulary(one, &order)).collect();
                Ok(self.oracle.judge_tokens(&sentences, &tokens))
            }
            Change::Answer(change) => {
                let mut changed = judged.to_vec();
                changed.iter_mut().for_each(change);
                Ok(changed)
            }
            Change::Mixed => {
                let mut changed = judged.to_vec();
                for one in &mut changed {
                    let other = judged.choose(random).context("no sentences")?;
                    (one.p_acceptable, one.label) = (other.p_acceptable, other.label);
                }
                Ok(changed)
            }
        }
    }

    /// Windows with a share of altogether other sentences.
    pub(crate) fn other_sentences(
        &self,
        name: &str,
        part: f64,
        judged: &[Features],
        others: &[Features],
    ) -> Result<Value> {
        let foreign = (part * LENGTH as f64).round() as usize;
        self.trials(name, |random| {
            let mut order: Vec<&Features> = judged.iter().collect();
            order.shuffle(random);
            let (known, fresh) = order.split_at(judged.len() / 2);
            let mut window: Vec<Features> = others.choose_multiple(random, foreign).cloned().collect();
            window.extend(fresh[..LENGTH - foreign].iter().map(|&one| one.clone()));
            (known.iter().map(|&one| one.clone()).collect(), window)
        })
    }

    /// Windows of out-of-domain sentences, the reference being all in-domain ones.
    pub(crate) fn out_of_domain(&self, inside: &[Features], outside: &[Features]) -> Result<Value> {
        self.trials("out of domain, against in domain", |random| {
            (inside.to_vec(), outside.choose_multiple(random, LENGTH).cloned().collect())
        })
    }

    fn trials(
        &self,
        name: &str,
        mut draw: impl FnMut(&mut ChaCha8Rng) -> (Vec<Features>, Vec<Features>),
    ) -> Result<Value> {
        let bar = progress(self.detections, name);
        let (mut warnings, mut alerts, mut without) = (0, 0, 0);
        let mut delays = Vec::new();
        let mut signals = std::collections::BTreeMap::<String, u64>::new();
        for trial in 0..self.detections {
            let mut random = random(trial, 11);
            let (reference, mut window) = draw(&mut random);
            window.shuffle(&mut random);
            let mut checker = self.checker(&reference)?;
            let mut delay = None;
            for step in STEPS {
                if delay.is_none() || step == LENGTH {
                    let report = check(&mut checker, &window[..step])?;
                    if delay.is_none() && report.verdict == Verdict::Alert {
                        delay = Some(step);
                    }
                    if step == LENGTH {
                        warnings += u64::from(report.verdict >= Verdict::Warn);
                        alerts += u64::from(report.verdict == Verdict::Alert);
                        let alarming = report.reasons.iter().filter(|one| one.verdict == Verdict::Alert);
                        for reason in alarming.filter(|one| one.area != Area::Service) {
                            *signals.entry(reason.code.clone()).or_default() += 1;
                        }
                    }
                }
            }
            delays.push(delay.unwrap_or(usize::MAX));
            // What records could tell that do not carry the sentence's looks.
            let strip = |features: &[Features]| -> Vec<Features> {
                features.iter().map(|one| Features { signals: None, ..one.clone() }).collect()
            };
            let report = check(&mut self.checker(&strip(&reference))?, &strip(&window))?;
            without += u64::from(report.verdict == Verdict::Alert);
            bar.inc(1);
        }
        bar.finish_and_clear();
        delays.sort_unstable();
        let at = |share: f64| {
            let delay = delays[((share * delays.len() as f64).ceil() as usize).clamp(1, delays.len()) - 1];
            (delay != usize::MAX).then_some(delay)
        };
        let percent = |hits: u64| 100.0 * hits as f64 / self.detections as f64;
        let delay = |delay: Option<usize>| delay.map_or("never".to_owned(), |delay| delay.to_string());
        println!(
            "  {name:44} {:5.1} %  (warning {:5.1} %; without signals {:5.1} %)  median {:>5}, 95 % {:>5}",
            percent(alerts),
            percent(warnings),
            percent(without),
            delay(at(0.5)),
            delay(at(0.95))
        );
        let n = self.detections;
        Ok(json!({
            "change": name, "records": LENGTH,
            "alert": share(alerts, n), "warn_or_alert": share(warnings, n),
            "alert_without_language_signals": share(without, n),
            "records_until_alert": { "median": at(0.5), "p95": at(0.95), "looked_at": STEPS },
            "alerts_by_reason": signals,
        }))
    }
}

fn check(checker: &mut Checker, features: &[Features]) -> Result<Report> {
    let mut window = checker.window()?;
    let bundle: Arc<str> = Arc::from("bundle");
    for (at, one) in features.iter().enumerate() {
        window.take(&Observation {
            time_ms: at as i64 * 1000,
            bundle: Arc::clone(&bundle),
            outcome: Outcome::Prediction(one.clone()),
        });
    }
    Ok(checker.check(&window)?)
}

fn random(trial: u64, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(trial);
    random.set_stream(stream);
    random
}

fn progress(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what.to_owned());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}
