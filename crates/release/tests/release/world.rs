//! A cloud, a registry, a store and a project in memory, which can be killed at any moment: from then on nothing that is
//! asked of it does anything, as if the process that asks were gone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use wellformed_release::cloud::{
    Alias, Answer, Cloud, CloudError, Configuration, Function, Invocation, LogGroup, Routing, Secret,
};
use wellformed_release::flow::{Ending, Tools, Wishes, release, rollback};
use wellformed_release::images::{Images, Wanted};
use wellformed_release::project::{Golden, Project};
use wellformed_release::record::{ImageFacts, Judgement, Model, Record};
use wellformed_release::settings::Settings;
use wellformed_release::store::Store;
use wellformed_release::voice::Voice;

/// When the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before the nth thing that changes something is done.
    Before(usize),
    /// After it, but before its answer arrives.
    After(usize),
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) candidate: RefCell<Model>,
    pub(crate) is_better: Cell<bool>,
    /// Bundles that fail once they were asked so often.
    pub(crate) breaks_after: RefCell<BTreeMap<String, usize>>,
    pub(crate) death: Cell<Option<Death>>,
    dead: Cell<bool>,
    effects: Cell<usize>,
    pub(crate) records: RefCell<BTreeMap<u32, Record>>,
    registry: RefCell<BTreeMap<String, String>>,
    latest: RefCell<Option<(Configuration, String)>>,
    versions: RefCell<Vec<Function>>,
    pub(crate) alias: RefCell<Option<Alias>>,
    /// Where the alias was sent, in order.
    pub(crate) moves: RefCell<Vec<Option<Routing>>>,
    asked: RefCell<BTreeMap<String, usize>>,
    turn: Cell<f64>,
}

pub(crate) fn model(commit: &str) -> Model {
    Model {
        commit: commit.repeat(40 / commit.len()),
        bundle: commit.repeat(64 / commit.len()),
        base: "somewhere".to_owned(),
        sentences: 1043,
        mcc: 0.3,
        mcc_interval: [0.2, 0.4],
        int8_mcc: 0.3,
        accuracy: 0.7,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let mut settings = crate::settings::committed();
        settings.canary.seconds = 0;
        Self {
            settings,
            candidate: RefCell::new(model("a")),
            is_better: Cell::new(true),
            breaks_after: RefCell::default(),
            death: Cell::new(None),
            dead: Cell::new(false),
            effects: Cell::new(0),
            records: RefCell::default(),
            registry: RefCell::default(),
            latest: RefCell::default(),
            versions: RefCell::default(),
            alias: RefCell::default(),
            moves: RefCell::default(),
            asked: RefCell::default(),
            turn: Cell::new(0.0),
        }
    }

    /// A process that releases. `None` when it died on the way.
    pub(crate) fn release(&self, force: Option<&str>) -> Option<Result<Ending>> {
        self.run(|tools| release(tools, &Wishes { force: force.map(str::to_owned), ..Wishes::default() }))
    }

    /// A process that rolls back. `None` when it died on the way.
    pub(crate) fn rollback(&self, to: Option<&str>) -> Option<Result<Ending>> {
        self.run(|tools| rollback(tools, to))
    }

    fn run(&self, act: impl FnOnce(Tools<'_>) -> Result<Ending>) -> Option<Result<Ending>> {
        let voice = Voice::silent();
        let result = act(Tools {
            settings: &self.settings,
            cloud: self,
            images: self,
            store: self,
            project: self,
            root: ".".as_ref(),
            voice: &voice,
            region: "nowhere",
        });
        let died = self.dead.replace(false);
        self.effects.set(0);
        self.death.set(None);
        (!died).then_some(result)
    }

    /// Something that changes the world is done, unless the process is dead.
    fn effect<T>(&self, act: impl FnOnce() -> T) -> Result<T, CloudError> {
        self.alive()?;
        let number = self.effects.get();
        self.effects.set(number + 1);
        if self.death.get() == Some(Death::Before(number)) {
            self.dead.set(true);
            self.alive()?;
        }
        let done = act();
        if self.death.get() == Some(Death::After(number)) {
            self.dead.set(true);
            self.alive()?;
        }
        Ok(done)
    }

    fn alive(&self) -> Result<(), CloudError> {
        if self.dead.get() {
            return Err(CloudError::Unreachable { call: "a dead process".to_owned(), message: "asked".to_owned() });
        }
        Ok(())
    }

    pub(crate) fn in_service(&self) -> Option<Routing> {
        self.alias.borrow().as_ref().map(|alias| alias.routing.clone())
    }

    pub(crate) fn open_records(&self) -> usize {
        self.records.borrow().values().filter(|record| !record.state.is_over()).count()
    }

    fn set_alias(&self, routing: Option<Routing>) {
        let revision = format!("r{}", self.moves.borrow().len());
        *self.alias.borrow_mut() = routing.clone().map(|routing| Alias { routing, revision });
        self.moves.borrow_mut().push(routing);
    }

    fn bundle_of(&self, version: &str) -> String {
        let versions = self.versions.borrow();
        let version = versions.iter().find(|one| one.version == version).unwrap();
        version.image.split_once("@sha256:").unwrap().1.to_owned()
    }
}

impl Store for World {
    fn acquire(&self) -> Result<()> {
        Ok(self.alive()?)
    }

    fn release(&self) -> Result<()> {
        Ok(())
    }

    fn list(&self) -> Result<Vec<Record>> {
        self.alive()?;
        Ok(self.records.borrow().values().cloned().collect())
    }

    fn write(&self, record: &Record) -> Result<()> {
        self.effect(|| self.records.borrow_mut().insert(record.number, record.clone()))?;
        Ok(())
    }

    fn place(&self, number: u32) -> String {
        number.to_string()
    }
}

impl Project for World {
    fn candidate(&self) -> Result<Model> {
        Ok(self.candidate.borrow().clone())
    }

    fn check_current(&self) -> Result<()> {
        Ok(())
    }

    fn judge(&self, in_service: &Model) -> Result<Judgement> {
        let passes = self.is_better.get();
        let against = Some(in_service.commit.clone());
        Ok(Judgement { passes, verdict: "as it was told".to_owned(), against, test: None })
    }

    fn golden(&self, sentences: &[String]) -> Result<Vec<Golden>> {
        let golden = |sentence: &String| Golden {
            sentence: sentence.clone(),
            label: "acceptable".to_owned(),
            p_acceptable: 0.75,
        };
        Ok(sentences.iter().map(golden).collect())
    }

    fn announce(&self, _: &Record) -> Result<Vec<String>> {
        self.effect(Vec::new).map_err(Into::into)
    }
}

/// An image's digest is its bundle's.
impl Images for World {
    fn build(&self, wanted: &Wanted) -> Result<ImageFacts> {
        let image = || ImageFacts {
            reference: wanted.commit.clone(),
            digest: format!("sha256:{}", wanted.bundle),
            bytes: 1,
            platform: "linux/amd64".to_owned(),
        };
        Ok(self.effect(image)?)
    }

    fn verify(&self, _: &ImageFacts, _: &Wanted) -> Result<Value> {
        self.alive()?;
        Ok(json!({}))
    }

    fn push(&self, image: &ImageFacts, _: &Wanted, reference: &str, _: Option<&Secret>) -> Result<String> {
        self.effect(|| ())?;
        let mut registry = self.registry.borrow_mut();
        let there = registry.entry(reference.to_owned()).or_insert_with(|| image.digest.clone());
        if *there != image.digest {
            bail!("the tag is taken");
        }
        Ok(there.clone())
    }
}

impl Cloud for World {
    fn account(&self) -> Answer<String> {
        self.alive()?;
        Ok("123456789012".to_owned())
    }

    fn repository(&self, name: &str) -> Answer<Option<String>> {
        self.alive()?;
        Ok(Some(format!("registry.example.org/{name}")))
    }

    fn registry_password(&self) -> Answer<Secret> {
        self.alive()?;
        Ok(Secret::new("a password"))
    }

    fn role(&self, name: &str) -> Answer<Option<String>> {
        Ok(Some(format!("arn:aws:iam::123456789012:role/{name}")))
    }

    fn log_group(&self, _: &str) -> Answer<Option<LogGroup>> {
        Ok(Some(LogGroup { retention_days: Some(self.settings.logs.retention_days) }))
    }

    fn set_retention(&self, _: &str, _: u32) -> Answer<()> {
        self.effect(|| ())
    }

    fn function(&self, _: &str, version: &str) -> Answer<Option<Function>> {
        self.alive()?;
        if version == "$LATEST" {
            let latest = self.latest.borrow();
            return Ok(latest.as_ref().map(|(configuration, image)| Function {
                version: version.to_owned(),
                image: image.clone(),
                description: String::new(),
                revision: String::new(),
                configuration: configuration.clone(),
            }));
        }
        Ok(self.versions.borrow().iter().find(|one| one.version == version).cloned())
    }

    fn create_function(&self, configuration: &Configuration, image: &str) -> Answer<()> {
        self.effect(|| *self.latest.borrow_mut() = Some((configuration.clone(), image.to_owned())))
    }

    fn update_image(&self, _: &str, image: &str, _: &str) -> Answer<()> {
        self.effect(|| image.clone_into(&mut self.latest.borrow_mut().as_mut().unwrap().1))
    }

    fn update_configuration(&self, configuration: &Configuration) -> Answer<()> {
        self.effect(|| self.latest.borrow_mut().as_mut().unwrap().0.clone_from(configuration))
    }

    fn publish(&self, name: &str, _: &str, description: &str) -> Answer<String> {
        self.effect(|| {
            let latest = self.function(name, "$LATEST").unwrap().unwrap();
            let mut versions = self.versions.borrow_mut();
            if let Some(last) = versions.last()
                && (&last.image, &last.configuration) == (&latest.image, &latest.configuration)
            {
                return last.version.clone();
            }
            let version = (versions.len() + 1).to_string();
            versions.push(Function { version: version.clone(), description: description.to_owned(), ..latest });
            version
        })
    }

    fn alias(&self, _: &str, _: &str) -> Answer<Option<Alias>> {
        self.alive()?;
        Ok(self.alias.borrow().clone())
    }

    fn create_alias(&self, _: &str, _: &str, version: &str) -> Answer<()> {
        self.effect(|| self.set_alias(Some(Routing::all(version))))
    }

    fn move_alias(&self, _: &str, _: &str, routing: &Routing, revision: &str) -> Answer<()> {
        self.effect(|| {
            if self.alias.borrow().as_ref().unwrap().revision != revision {
                let (call, code) = ("update-alias".to_owned(), "PreconditionFailedException".to_owned());
                return Err(CloudError::Conflict { call, code, message: "the revision is another".to_owned() });
            }
            self.set_alias(Some(routing.clone()));
            Ok(())
        })?
    }

    fn delete_alias(&self, _: &str, _: &str) -> Answer<()> {
        self.effect(|| self.set_alias(None))
    }

    fn invoke(&self, _: &str, qualifier: &str, payload: &Value) -> Answer<Invocation> {
        self.effect(|| ())?;
        let version = match self.alias.borrow().as_ref().filter(|_| qualifier == self.settings.function.alias) {
            None => qualifier.to_owned(),
            Some(alias) => {
                // Shares are met exactly: what is owed is carried on from call to call.
                let share = alias.routing.shares.iter().next();
                let owed = self.turn.get() + share.map_or(0.0, |(_, share)| *share);
                self.turn.set(if owed >= 1.0 { owed - 1.0 } else { owed });
                share.filter(|_| owed >= 1.0).map_or(&alias.routing.version, |(version, _)| version).clone()
            }
        };
        let bundle = self.bundle_of(&version);
        let mut asked = self.asked.borrow_mut();
        let times = asked.entry(bundle.clone()).or_default();
        *times += 1;
        let broken = self.breaks_after.borrow().get(&bundle).is_some_and(|most| *times > *most);
        if broken {
            let payload = json!({"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"});
            return Ok(Invocation { version, function_error: Some("Unhandled".to_owned()), payload });
        }
        let verdict = json!({"label": "acceptable", "probabilities": {"acceptable": 0.75}});
        let verdicts = vec![verdict; payload["sentences"].as_array().unwrap().len()];
        Ok(Invocation { version, function_error: None, payload: json!({"bundle": bundle, "predictions": verdicts}) })
    }

    fn errors(&self, _: &str, _: &str, _: &str, _: SystemTime) -> Answer<f64> {
        Ok(0.0)
    }
}
