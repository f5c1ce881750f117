//! Driving the machine: the record is written before and after every step, and whatever happens the record says what is
//! to be done next.

use anyhow::{Context, Result, bail};

use crate::cloud::Cloud;
use crate::images::Images;
use crate::plan::{Circumstances, Plan};
use crate::project::Project;
use crate::record::{Model, Record};
use crate::service;
use crate::settings::Settings;
use crate::state::{Route, State, Step};
use crate::steps::{Steps, Work};
use crate::store::Store;
use crate::voice::Voice;

/// Everything that a release works with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// deploy.yaml.
    pub settings: &'a Settings,
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// Who makes images.
    pub images: &'a dyn Images,
    /// Where records are kept.
    pub store: &'a dyn Store,
    /// The project.
    pub project: &'a dyn Project,
    /// The project's root folder, for whoever makes images.
    pub root: &'a std::path::Path,
    /// What a person sees.
    pub voice: &'a Voice,
    /// The region, for people.
    pub region: &'a str,
}

/// What a person wants.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Release although the gate says no, for this reason.
    pub force: Option<String>,
    /// Another registry than the account's own: a repository's name without a tag.
    pub registry: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The version is in service.
    Live(Box<Record>),
    /// The gate said no. Nothing was made.
    Refused(Box<Record>),
    /// Something was wrong before anybody was sent to the version.
    Failed(Box<Record>),
    /// Something was wrong afterwards; the alias is where it was before.
    Undone(Box<Record>),
    /// There was nothing to do, or only a plan was asked for; in words.
    Nothing(String),
}

/// Gives the right to release back, whatever happens.
struct Right<'a>(&'a dyn Store);

impl<'a> Right<'a> {
    fn take(store: &'a dyn Store) -> Result<Self> {
        store.acquire()?;
        Ok(Self(store))
    }
}

impl Drop for Right<'_> {
    fn drop(&mut self) {
        // A right that cannot be given back runs out by itself.
        let _ = self.0.release();
    }
}

/// Releases what is in the working tree; continues an interrupted release of the same, and undoes one of another.
///
/// # Errors
///
/// When something is missing before it begins, another release is running, or the cloud or the store was lost on the way
/// in a moment that only the next run can conclude; the record then says where it stands.
pub fn release(tools: Tools<'_>, wishes: &Wishes) -> Result<Ending> {
    let Tools { settings, cloud, project, store, voice, .. } = tools;
    let on = Circumstances { settings, cloud, project, registry: wishes.registry.as_deref() };
    let candidate = project.candidate()?;
    if wishes.dry_run {
        let records = store.list()?;
        let open = records.iter().find(|record| !record.state.is_over());
        let continued = open.filter(|record| is_same(record, &candidate));
        let number = continued.map_or_else(|| next_number(&records), |record| record.number);
        let plan = Plan::make(on, &records, continued)?;
        let mut text = plan.text(settings, number, tools.region, continued);
        if let (Some(open), None) = (open, continued) {
            text.push_str("first       ");
            text.push_str(&open.title());
            text.push_str(" was interrupted, and is brought to its end\n");
        }
        return Ok(Ending::Nothing(text));
    }
    let _right = Right::take(store)?;
    let continued = settle(tools, |record| is_same(record, &candidate))?;
    let records = store.list()?;
    let plan = Plan::make(on, &records, continued.as_ref())?;
    if continued.is_none() && wishes.force.is_none() {
        let service = plan.in_service.as_ref();
        if let Some((service, model)) = service.and_then(|service| Some((service, service.model.as_ref()?)))
            && (&model.commit, &model.bundle) == (&candidate.commit, &candidate.bundle)
        {
            return Ok(Ending::Nothing(format!(
                "version {} is in service, with this very commit and bundle: nothing to do",
                service.version
            )));
        }
    }
    let number = continued.as_ref().map_or_else(|| next_number(&records), |record| record.number);
    for line in plan.text(settings, number, tools.region, continued.as_ref()).lines() {
        let (what, is) = line.split_at(line.len().min(12));
        voice.say(what.trim_end(), is);
    }
    let record = continued.unwrap_or_else(|| {
        let mut record = Record::new(number, Route::Release, &settings.function.name, &settings.function.alias);
        record.model = Some(candidate);
        record.note(format!("began, by account {}", plan.account));
        record
    });
    let golden = project.golden(&settings.probe.sentences)?;
    let work = Work { plan: Some(&plan), golden: &golden, force: wishes.force.as_deref() };
    drive(tools, work, record)
}

/// Sends everybody back to an older version: the one before the one in service, or the one that is named. An interrupted
/// release is undone first; when no version is named, that is all that is done.
///
/// # Errors
///
/// As [`release`]; and when there is no such version, or nothing to go back to.
pub fn rollback(tools: Tools<'_>, to: Option<&str>) -> Result<Ending> {
    let Tools { settings, cloud, store, .. } = tools;
    let (function, alias) = (&settings.function.name, &settings.function.alias);
    let _right = Right::take(store)?;
    let undone = undo_open(tools)?;
    if let (Some(record), None) = (undone, to) {
        return Ok(Ending::Undone(Box::new(record)));
    }
    let records = store.list()?;
    let Some(now) = cloud.alias(function, alias)? else {
        bail!("there is no alias {alias} of the function {function}, so nothing is in service; `cargo xtask release`");
    };
    let target = match to {
        Some(version) => version.to_owned(),
        None => service::before(&records, function, &now.routing.version)?,
    };
    if now.routing.version == target && now.routing.shares.is_empty() {
        return Ok(Ending::Nothing(format!("version {target} is in service already")));
    }
    if cloud.function(function, &target)?.is_none() {
        bail!("the function {function} has no version {target}; `cargo xtask releases` lists those on record");
    }
    let mut record = Record::new(next_number(&records), Route::Rollback, function, alias);
    record.model = service::model_of(cloud, settings, &records, &target)?;
    record.note(format!("back from version {} to version {target}", now.routing.version));
    record.before = Some(Some(now.routing.version));
    record.version = Some(target);
    drive(tools, Work::default(), record)
}

/// Whether a record is of this candidate, so that it can be continued.
fn is_same(record: &Record, candidate: &Model) -> bool {
    let same = |model: &Model| model.commit == candidate.commit && model.bundle == candidate.bundle;
    record.route == Route::Release && record.model.as_ref().is_some_and(same)
}

fn next_number(records: &[Record]) -> u32 {
    records.iter().map(|record| record.number).max().unwrap_or(0) + 1
}

/// Brings records that were interrupted to their end; gives the one that is to be continued.
fn settle(tools: Tools<'_>, is_continued: impl Fn(&Record) -> bool) -> Result<Option<Record>> {
    let mut continued = None;
    for record in tools.store.list()? {
        if record.state.is_over() {
            continue;
        }
        if is_continued(&record) && record.state != State::Undoing {
            tools.voice.say("continues", &format!("{}, interrupted in `{}`", record.title(), record.state.name()));
            continued = Some(record);
        } else {
            conclude(tools, record)?;
        }
    }
    Ok(continued)
}

/// Brings all records that were interrupted to their end; the last one whose change of the alias was undone.
fn undo_open(tools: Tools<'_>) -> Result<Option<Record>> {
    let mut undone = None;
    for record in tools.store.list()? {
        if !record.state.is_over() {
            let record = conclude(tools, record)?;
            undone = Some(record).filter(|record| record.state == State::Undone).or(undone);
        }
    }
    Ok(undone)
}

/// Ends a record that nobody continues: what is in service is announced, everything else is undone.
fn conclude(tools: Tools<'_>, mut record: Record) -> Result<Record> {
    let was = record.state;
    tools.voice.say("concludes", &format!("{}, interrupted in `{}`", record.title(), was.name()));
    if let Some(next) = was.abandoned().filter(|next| *next != was) {
        let problem = format!("interrupted in `{}`, and not continued", was.name());
        record.problem = Some(problem.clone());
        record.enter(next, problem);
        tools.store.write(&record)?;
    }
    let ending = drive(tools, Work::default(), record)?;
    match ending {
        Ending::Live(record) | Ending::Refused(record) | Ending::Failed(record) | Ending::Undone(record) => Ok(*record),
        Ending::Nothing(text) => bail!("an interrupted release came to no end: {text}"),
    }
}

/// Goes from state to state until it is over.
fn drive(tools: Tools<'_>, work: Work<'_>, mut record: Record) -> Result<Ending> {
    let Tools { store, voice, .. } = tools;
    store.write(&record)?;
    let steps = Steps { tools, work };
    let mut refused = false;
    while let Some(step) = record.state.step(record.route) {
        voice.begin(step);
        if let Err(error) = act(&steps, step, &mut record) {
            let Some(next) = record.state.after_failure() else {
                let place = store.place(record.number);
                voice.end();
                return Err(error).with_context(|| {
                    format!(
                        "{} stands in `{}` ({place}); run the same command again to bring it to its end",
                        record.title(),
                        record.state.name()
                    )
                });
            };
            refused = step == Step::Gate && record.judgement.as_ref().is_some_and(|judgement| !judgement.passes);
            let problem = format!("{}: {error:#}", step.name());
            voice.say(step.name(), &format!("FAILED: {error:#}"));
            record.problem = Some(problem.clone());
            record.enter(next, problem);
            store.write(&record)?;
        }
    }
    voice.end();
    let state = record.state;
    let record = Box::new(record);
    Ok(match state {
        State::Live => Ending::Live(record),
        State::Undone => Ending::Undone(record),
        _ if refused => Ending::Refused(record),
        _ => Ending::Failed(record),
    })
}

/// One step: announced in the record if it touches the alias, done, and written down.
fn act(steps: &Steps<'_>, step: Step, record: &mut Record) -> Result<()> {
    let Tools { store, voice, .. } = steps.tools;
    if let Some(announced) = step.announces().filter(|state| *state != record.state) {
        steps.check_alias_is_ours(record)?;
        record.enter(announced, step.purpose());
        store.write(record)?;
    }
    let said = steps.run(step, record)?;
    voice.say(step.name(), &said);
    record.enter(step.leads_to(), said);
    store.write(record)
}
