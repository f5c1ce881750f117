//! What each step does. Every one looks at what is there first, so that it can be done again after an interruption.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::cloud::{Alias, CloudError, Configuration, Routing};
use crate::flow::Tools;
use crate::images::Wanted;
use crate::plan::Plan;
use crate::probe::{Expected, question};
use crate::project::Golden;
use crate::record::{self, ImageFacts, Model, Record, short};
use crate::service::{description, model_of};
use crate::state::Step;

/// How often the alias is asked before it has to send everybody to the new version: a change of an alias takes a moment
/// to arrive everywhere.
const PATIENCE: usize = 20;

/// What a release knows that its record does not: it is found out anew by whoever continues it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work<'a> {
    /// The plan; a rollback, or a release that is only undone, has none.
    pub plan: Option<&'a Plan>,
    /// Sentences with the candidate's answers; of a rollback, none.
    pub golden: &'a [Golden],
    /// Release although the gate says no, for this reason.
    pub force: Option<&'a str>,
}

/// The steps.
#[derive(Clone, Copy)]
pub struct Steps<'a> {
    /// Everything that a release works with.
    pub tools: Tools<'a>,
    /// What it knows.
    pub work: Work<'a>,
}

fn model(record: &Record) -> Result<&Model> {
    record.model.as_ref().context("the record does not say which model this is")
}

fn image(record: &Record) -> Result<ImageFacts> {
    record.image.clone().context("the record does not say which image this is")
}

fn version(record: &Record) -> Result<String> {
    record.version.clone().context("the record does not say which version this is")
}

/// The outer `None` of the record is an error here: it is written before the alias is touched.
fn before(record: &Record) -> Result<Option<String>> {
    record.before.clone().context("the record does not say where the alias was before")
}

impl Steps<'_> {
    /// Does a step; what is to be said of it.
    ///
    /// # Errors
    ///
    /// When it fails. [`crate::state::State::after_failure`] says what that means.
    pub fn run(&self, step: Step, record: &mut Record) -> Result<String> {
        match step {
            Step::Gate => self.gate(record),
            Step::Build => self.build(record),
            Step::Verify => self.verify(record),
            Step::Push => self.push(record),
            Step::Publish => self.publish(record),
            Step::Try => self.try_version(record),
            Step::Split => self.split(record),
            Step::Watch => self.watch(record),
            Step::Promote => self.promote(record),
            Step::Announce => Ok(self.announce(record)),
            Step::Restore => self.restore(record),
        }
    }

    fn plan(&self) -> Result<&Plan> {
        self.work.plan.context("there is no plan")
    }

    fn names(&self) -> (&str, &str) {
        (&self.tools.settings.function.name, &self.tools.settings.function.alias)
    }

    fn wanted(&self, record: &Record) -> Result<Wanted> {
        let model = model(record)?;
        Ok(Wanted {
            root: self.tools.root.to_owned(),
            commit: model.commit.clone(),
            bundle: model.bundle.clone(),
            architecture: self.tools.settings.function.architecture,
            budget: (self.tools.settings.image.budget_mb * 1e6) as u64,
        })
    }

    fn gate(&self, record: &mut Record) -> Result<String> {
        let plan = self.plan()?;
        let judgement = plan.judgement.clone().context("the plan has no judgement")?;
        record.before = Some(plan.in_service.as_ref().map(|service| service.version.clone()));
        record.judgement = Some(judgement.clone());
        if judgement.passes {
            return Ok(format!("passed: {}", judgement.verdict));
        }
        let Some(reason) = self.work.force else {
            bail!("{}; to release it all the same: --force --reason \"…\"", judgement.verdict);
        };
        record.forced = Some(reason.to_owned());
        Ok(format!("forced ({reason}): {}", judgement.verdict))
    }

    fn build(&self, record: &mut Record) -> Result<String> {
        let image = self.tools.images.build(&self.wanted(record)?)?;
        let said = format!("{} ({:.1} MB compressed, {})", image.reference, image.bytes as f64 / 1e6, image.platform);
        record.image = Some(image);
        Ok(said)
    }

    fn verify(&self, record: &mut Record) -> Result<String> {
        record.verification = Some(self.tools.images.verify(&image(record)?, &self.wanted(record)?)?);
        Ok("contents, size and answers are as they should be".to_owned())
    }

    fn push(&self, record: &mut Record) -> Result<String> {
        let plan = self.plan()?;
        let password = plan.is_ecr.then(|| self.tools.cloud.registry_password()).transpose()?;
        let reference = format!("{}:{}", plan.repository, model(record)?.commit);
        let digest = self.tools.images.push(&image(record)?, &self.wanted(record)?, &reference, password.as_ref())?;
        let remote = format!("{}@{digest}", plan.repository);
        record.remote = Some(remote.clone());
        Ok(remote)
    }

    fn publish(&self, record: &mut Record) -> Result<String> {
        let Tools { cloud, settings, .. } = self.tools;
        let plan = self.plan()?;
        let name = &settings.function.name;
        let remote = record.remote.clone().context("the record does not say where the image is")?;
        if plan.retention_days != Some(settings.logs.retention_days) {
            cloud.set_retention(&settings.logs.group, settings.logs.retention_days)?;
        }
        // As it is now, not as it was when the plan was made: the build may have taken long.
        let mut changed = true;
        match cloud.function(name, "$LATEST")? {
            None => cloud.create_function(&plan.configuration, &remote)?,
            Some(now) => {
                let other_image =
                    now.image != remote || now.configuration.architecture != plan.configuration.architecture;
                if other_image {
                    cloud.update_image(name, &remote, &plan.configuration.architecture)?;
                }
                let same_processor = Configuration {
                    architecture: plan.configuration.architecture.clone(),
                    ..now.configuration.clone()
                };
                let other_configuration = same_processor != plan.configuration;
                if other_configuration {
                    cloud.update_configuration(&plan.configuration)?;
                }
                changed = other_image || other_configuration;
            }
        }
        let latest = cloud.function(name, "$LATEST")?.with_context(|| format!("the function {name} has just gone"))?;
        let version = cloud.publish(name, &latest.revision, &description(record.number, model(record)?))?;
        let published =
            cloud.function(name, &version)?.with_context(|| format!("version {version} of {name} has just gone"))?;
        ensure!(
            published.image == remote && published.configuration == plan.configuration,
            "version {version} of {name} is {} and not {remote}, or is configured otherwise: somebody else changed the \
             function at the same time; run the same command again",
            published.image
        );
        record.version = Some(version.clone());
        let word = if changed { "" } else { " (nothing changed since it was published)" };
        Ok(format!("version {version} of {name}{word}"))
    }

    fn expected<'a>(&'a self, record: &'a Record) -> Expected<'a> {
        let golden = (!self.work.golden.is_empty()).then_some(self.work.golden);
        Expected {
            bundle: record.model.as_ref().map(|model| model.bundle.as_str()),
            golden,
            sentences: self.tools.settings.probe.sentences.len(),
            tolerance: self.tools.settings.probe.tolerance,
        }
    }

    /// Asks once; the version that answered.
    fn probe(&self, record: &Record, qualifier: &str) -> Result<String> {
        let golden: Vec<Golden>;
        let asked = if self.work.golden.is_empty() {
            // Of a rollback only the sentences are known, not what that version says of them.
            let plain =
                |sentence: &String| Golden { sentence: sentence.clone(), label: String::new(), p_acceptable: 0.0 };
            golden = self.tools.settings.probe.sentences.iter().map(plain).collect();
            golden.as_slice()
        } else {
            self.work.golden
        };
        let invocation = self.tools.cloud.invoke(&self.tools.settings.function.name, qualifier, &question(asked))?;
        let mut expected = self.expected(record);
        if record.version.as_deref() != Some(&invocation.version) {
            // The other version of a split answers with its own model.
            expected = Expected { bundle: None, golden: None, ..expected };
        }
        match expected.problem(&invocation) {
            None => Ok(invocation.version),
            Some(problem) => bail!("{problem}"),
        }
    }

    fn try_version(&self, record: &Record) -> Result<String> {
        let version = version(record)?;
        self.probe(record, &version)?;
        let model = record.model.as_ref().map_or("an unknown bundle", |model| short(&model.bundle));
        Ok(format!("version {version} answers rightly, with {model}"))
    }

    /// Nobody else has moved the alias since the gate looked at it.
    ///
    /// # Errors
    ///
    /// When somebody has.
    pub fn check_alias_is_ours(&self, record: &Record) -> Result<()> {
        let (function, alias) = self.names();
        let now = self.tools.cloud.alias(function, alias)?.map(|alias| alias.routing);
        let before = before(record)?;
        let (main, version) = (before.as_deref(), version(record)?);
        let untouched = now.as_ref().map(|routing| routing.version.as_str()) == main;
        let strangers = now.iter().flat_map(|routing| routing.shares.keys()).any(|other| *other != version);
        // A rollback may leave a split that nobody on record made.
        let is_ours = untouched && (!strangers || record.route == crate::state::Route::Rollback);
        ensure!(
            is_ours,
            "somebody else moved the alias {alias} of {function} in the meantime: it was at version {}, and is at {}",
            main.unwrap_or("none"),
            now.map_or_else(|| "none".to_owned(), |routing| routing.version)
        );
        Ok(())
    }

    fn current(&self) -> Result<Option<Alias>> {
        let (function, alias) = self.names();
        Ok(self.tools.cloud.alias(function, alias)?)
    }

    /// Whoever is not sent to the new version is sent to the one that was in service when this release began.
    fn check_version_is(&self, now: &Alias, before: &str) -> Result<()> {
        let (function, alias) = self.names();
        ensure!(
            now.routing.version == before,
            "somebody else moved the alias {alias} of {function} from version {before} to version {}",
            now.routing.version
        );
        Ok(())
    }

    /// Moves the alias, unless it is there already.
    fn move_to(&self, now: &Alias, routing: &Routing) -> Result<(), CloudError> {
        if now.routing == *routing {
            return Ok(());
        }
        let (function, alias) = self.names();
        self.tools.cloud.move_alias(function, alias, routing, &now.revision)
    }

    fn split(&self, record: &mut Record) -> Result<String> {
        let version = version(record)?;
        let Some(before) = before(record)? else { return Ok("nothing is in service, so there is no split".to_owned()) };
        if before == version {
            return Ok(format!("version {version} is in service already, so there is no split"));
        }
        let weight = self.tools.settings.canary.weight;
        let now = self.current()?.context("the alias has just gone")?;
        self.check_version_is(&now, &before)?;
        self.move_to(&now, &Routing::split(&before, &version, weight))?;
        record.split_at.get_or_insert_with(record::now);
        Ok(format!("{} % to version {version}, the others to version {before}", weight * 100.0))
    }

    fn watch(&self, record: &mut Record) -> Result<String> {
        let Tools { settings, cloud, voice, .. } = self.tools;
        let (function, alias) = self.names();
        let version = version(record)?;
        if record.split_at.is_none() {
            return Ok("there is no split to watch".to_owned());
        }
        record.answers = BTreeMap::new();
        let began = Instant::now();
        let since = SystemTime::now();
        let canary = &settings.canary;
        let needed = canary.answers;
        // Ten times as many as it should take: then the alias does not do what it was told.
        let most = (f64::from(needed) / canary.weight * 10.0).ceil() as u32;
        let expected = f64::from(needed) / canary.weight;
        let pause = Duration::from_secs_f64(canary.seconds as f64 / expected.max(1.0)).min(Duration::from_secs(10));
        let mut asked = 0;
        loop {
            let answered = self.probe(record, alias)?;
            asked += 1;
            *record.answers.entry(answered).or_default() += 1;
            let right = record.answers.get(&version).copied().unwrap_or(0);
            let lasted = began.elapsed().as_secs();
            if right >= needed && lasted >= canary.seconds {
                break;
            }
            ensure!(
                right >= needed || asked < most.max(asked_within(canary.seconds, pause)),
                "version {version} answered only {right} of {asked} probes through the alias, though it should get {} %",
                canary.weight * 100.0
            );
            voice.still(
                Step::Watch,
                &format!("{right} of {needed} right answers of version {version}, {lasted} of {} s", canary.seconds),
            );
            if lasted < canary.seconds {
                thread::sleep(pause);
            }
        }
        let right = record.answers.get(&version).copied().unwrap_or(0);
        let said = format!("{right} right answers of version {version} in {asked} probes");
        if canary.seconds == 0 {
            return Ok(said);
        }
        match cloud.errors(function, alias, &version, since) {
            Ok(errors) => {
                ensure!(errors == 0.0, "CloudWatch counts {errors} failed invocations of version {version}");
                Ok(format!("{said}; CloudWatch counts no failed invocation"))
            }
            // Whoever may not read figures may release all the same; the record says that nobody looked.
            Err(error) => Ok(format!("{said}; the callers' errors could not be counted: {error}")),
        }
    }

    fn promote(&self, record: &mut Record) -> Result<String> {
        let (function, alias) = self.names();
        let version = version(record)?;
        let routing = Routing::all(&version);
        match self.current()? {
            None => self.tools.cloud.create_alias(function, alias, &version)?,
            // Not so after an interruption that came after the move.
            Some(now) if now.routing != routing => {
                self.check_version_is(&now, before(record)?.as_deref().unwrap_or("none"))?;
                self.move_to(&now, &routing)?;
            }
            Some(_) => {}
        }
        let mut answered = String::new();
        for _ in 0..PATIENCE {
            answered = self.probe(record, alias)?;
            if answered == version {
                return Ok(format!("{alias} is version {version}, and answers rightly"));
            }
            thread::sleep(Duration::from_secs(1));
        }
        bail!("the alias {alias} was sent to version {version}, but version {answered} answers")
    }

    fn announce(&self, record: &mut Record) -> String {
        match self.tools.project.announce(record) {
            Ok(tags) if tags.is_empty() => "nothing to tag".to_owned(),
            Ok(tags) => format!("tagged {}; `git push --tags` shares it", tags.join(", ")),
            // What is in service is in service.
            Err(error) => format!("not tagged: {error:#}"),
        }
    }

    fn restore(&self, record: &mut Record) -> Result<String> {
        let (function, alias) = self.names();
        let version = version(record)?;
        let Some(now) = self.current()? else { return Ok(format!("there is no alias {alias}, as before")) };
        let Some(before) = before(record)? else {
            if !now.routing.reaches(&version) {
                return Ok(format!("somebody else moved the alias {alias} to version {}", now.routing.version));
            }
            self.tools.cloud.delete_alias(function, alias)?;
            return Ok(format!("the alias {alias} is gone, as before: nothing is in service"));
        };
        let whole = Routing::all(&before);
        if now.routing != whole && before != version && !now.routing.reaches(&version) {
            return Ok(format!("somebody else moved the alias {alias} to version {}", now.routing.version));
        }
        // Also where it is there already: what moved it may have outlived the release that asked for it, and still be on
        // its way. The alias's new revision makes AWS refuse it.
        self.tools.cloud.move_alias(function, alias, &whole, &now.revision)?;
        let said = format!("{alias} is version {before} again");
        // Its answers are not ours to judge, but a person should know.
        let records = self.tools.store.list().unwrap_or_default();
        let old = model_of(self.tools.cloud, self.tools.settings, &records, &before).ok().flatten();
        let mut probed = record.clone();
        probed.version = Some(before.clone());
        probed.model = old;
        let asker = Steps { tools: self.tools, work: Work::default() };
        Ok(match asker.probe(&probed, alias) {
            Ok(_) => format!("{said}, and answers"),
            Err(error) => format!("{said}, but: {error:#}"),
        })
    }
}

/// Probes that fit into a time.
fn asked_within(seconds: u64, pause: Duration) -> u32 {
    if pause.is_zero() { 0 } else { (seconds as f64 / pause.as_secs_f64()).ceil() as u32 + 1 }
}
