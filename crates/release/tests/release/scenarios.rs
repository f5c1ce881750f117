//! Releases against stand-ins that are real programs: what callers get is counted where they get it.
//!
//! `cargo xtask test` installs what these need and runs them.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use wellformed_release::record::Record;
use wellformed_release::state::{Route, State};

use crate::shop::{Ended, Run, Shop, aws, ended};
use crate::stand_in::{Fate, Kill, Seen, StandIn, missing};

const PATIENCE: Duration = Duration::from_mins(3);
const FORCE: &[&str] = &["--force", "--reason", "a test"];

/// The stand-ins and a project with a first release in service.
fn in_service(function: &str) -> Option<(StandIn, Shop)> {
    let (stand_in, shop) = empty(function)?;
    shop.candidate(Run::Worse, 1);
    let first = shop.release(&stand_in, &[]);
    assert_eq!(first.code, Some(0), "{}", first.said);
    stand_in.forget();
    Some((stand_in, shop))
}

/// The stand-ins and a project without a release; `None`, with the reason said, where they cannot be had.
fn empty(function: &str) -> Option<(StandIn, Shop)> {
    if let Some(missing) = missing() {
        eprintln!("NOT TESTED: {missing}");
        return None;
    }
    let stand_in = StandIn::start();
    let shop = Shop::open(&stand_in, function);
    Some((stand_in, shop))
}

fn last(shop: &Shop) -> Record {
    shop.records().pop().unwrap()
}

fn expect(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.said);
    for word in words {
        assert!(ended.said.contains(word), "`{word}` is not in:\n{}", ended.said);
    }
}

#[test]
#[ignore = "needs moto, a registry, buildah, runc and root: `cargo xtask test` runs it"]
fn first_better_equal_and_back() {
    let Some((stand_in, shop)) = empty("round") else { return };
    // Nothing is in service: the plan says so, and only plans.
    shop.candidate(Run::Worse, 1);
    let plan = shop.release(&stand_in, &["--dry-run"]);
    expect(&plan, 0, &["in service  nothing", "passes: nothing is in service", "is made"]);
    assert!(!shop.path().join("releases").exists());

    let began = Instant::now();
    let first = shop.release(&stand_in, &[]);
    expect(&first, 0, &["release 1: live of round is version 1"]);
    eprintln!("the first release took {:.1} s without the build", began.elapsed().as_secs_f64());
    assert_eq!(shop.alias(&stand_in), ("1".to_owned(), Value::Null));
    let record = last(&shop);
    assert_eq!((record.state, record.before), (State::Live, Some(None)));
    assert!(record.verification.is_some());
    let remote = record.remote.unwrap();
    let digest = remote.split_once('@').unwrap().1;
    assert_eq!(record.image.unwrap().digest, digest, "what was checked is what is deployed");

    // The same again is nothing to do.
    expect(&shop.release(&stand_in, &[]), 0, &["nothing to do"]);

    // A better candidate goes through a canary; callers are counted while it lasts.
    shop.candidate(Run::Better, 2);
    stand_in.forget();
    let began = Instant::now();
    let second = shop.release(&stand_in, &[]);
    expect(&second, 0, &["release 2: live of round is version 2", "better, and more than chance would explain"]);
    eprintln!("the second release took {:.1} s without the build", began.elapsed().as_secs_f64());
    let record = last(&shop);
    let test = record.judgement.unwrap().test.unwrap();
    // As scipy and scikit-learn say: crates/report/tests/fixtures/expected.json.
    assert_eq!((test.sentences, test.improved, test.worsened), (400, 31, 8));
    assert!(
        (test.mcc_before - 0.354_057_249_417_694).abs() < 1e-9 && (test.mcc_after - 0.503_107_534_158_397).abs() < 1e-9
    );
    // A fifth of the callers, as deploy.yaml says; then one more, when all were sent there.
    let counts = stand_in.counts("round");
    let (old, new) = (counts["1"], counts["2"] - 1);
    assert_eq!(new, 3, "{counts:?}");
    assert_eq!(old, 4 * new, "{counts:?}");
    assert_eq!(shop.alias(&stand_in), ("2".to_owned(), Value::Null));

    // An equal candidate is refused, and released with a reason.
    shop.candidate(Run::Better, 3);
    let refused = shop.release(&stand_in, &[]);
    expect(&refused, 3, &["every decision is the same", "--force"]);
    assert_eq!(shop.alias(&stand_in).0, "2");
    let forced = shop.release(&stand_in, &["--force", "--reason", "a better tokenizer's licence"]);
    expect(&forced, 0, &["is version 3"]);
    assert_eq!(last(&shop).forced.as_deref(), Some("a better tokenizer's licence"));
    // A worse one as well.
    shop.candidate(Run::Worse, 4);
    expect(&shop.release(&stand_in, &[]), 3, &["worse, and more than chance would explain"]);

    // Back, and further back, and forward by name.
    expect(&shop.run(&stand_in, &["rollback"]), 0, &["is version 2"]);
    expect(&shop.run(&stand_in, &["rollback", "--to", "1"]), 0, &["is version 1"]);
    assert_eq!(stand_in.call("round"), ("1".to_owned(), false));
    expect(&shop.run(&stand_in, &["rollback", "--to", "9"]), 1, &["no version 9"]);
    let record = last(&shop);
    assert_eq!((record.route, record.version.as_deref()), (Route::Rollback, Some("1")));

    let table = shop.run(&stand_in, &["list"]);
    expect(&table, 0, &["release (forced)", "rollback", "failed", "release 3: gate: MCC on validation"]);
    // The model's versions and what was in service, in DVC's registry.
    let tags = shop.git(&["tag"]);
    assert!(tags.contains("wellformed@v2.0.0") && tags.contains("wellformed#live#"), "{tags}");
}

#[test]
#[ignore = "needs moto, a registry, buildah, runc and root: `cargo xtask test` runs it"]
fn the_image_of_the_dockerfile_is_what_answers() {
    if let Some(missing) = missing() {
        eprintln!("NOT TESTED: {missing}");
        return;
    }
    let stand_in = StandIn::start();
    let shop = Shop::of_project(&stand_in, "whole");
    shop.candidate(Run::Worse, 1);
    expect(&shop.run(&stand_in, &["run"]), 0, &["release 1: live of whole is version 1"]);
    assert_eq!(stand_in.call("whole"), ("1".to_owned(), false));
    let record = last(&shop);
    assert_eq!(record.image.unwrap().digest, record.remote.unwrap().split_once('@').unwrap().1);
}

#[test]
#[ignore = "needs moto, a registry, buildah, runc and root: `cargo xtask test` runs it"]
fn a_version_that_crashes_in_the_canary_is_taken_back_within_one_probe() {
    let Some((stand_in, shop)) = in_service("crash") else { return };
    shop.candidate(Run::Better, 2);
    // Right when it is asked by its number, and for its first caller; then it crashes.
    stand_in.break_version("crash", "2", 3);
    let ended = shop.release(&stand_in, &[]);
    expect(&ended, 4, &["release 2: undone, live is version 1 as before", "version 2 failed", "Runtime.ExitError"]);
    assert_eq!(shop.alias(&stand_in), ("1".to_owned(), Value::Null));
    let counts = stand_in.counts("crash");
    assert_eq!(counts["2"], 2, "the second failed, and there was no third: {counts:?}");
    assert!(counts["2"] as f64 <= 0.2 * (counts["1"] + counts["2"]) as f64 + 1.0, "{counts:?}");
    let record = last(&shop);
    assert_eq!(record.state, State::Undone);
    let texts: Vec<&str> = record.events.iter().map(|event| event.text.as_str()).collect();
    assert!(texts.last().unwrap().contains("live is version 1 again, and answers"), "{texts:?}");
    // Callers have what they had.
    assert_eq!(stand_in.call("crash"), ("1".to_owned(), false));
}

#[test]
#[ignore = "needs moto, a registry, buildah, runc and root: `cargo xtask test` runs it"]
fn what_is_wrong_before_callers_are_sent_there_changes_nothing() {
    let Some((stand_in, shop)) = in_service("early") else { return };

    // Wrong by its number.
    shop.candidate(Run::Better, 2);
    stand_in.break_version("early", "2", 1);
    expect(&shop.release(&stand_in, &[]), 1, &["try: version 2 failed", "did not change"]);

    // An image of another model than the candidate's: it does not get as far as the registry.
    let stale = shop.image();
    shop.candidate(Run::Better, 3);
    let arguments = ["run", "--image", stale.to_str().unwrap()];
    expect(&shop.run(&stand_in, &arguments), 1, &["was built from"]);

    // The registry is down; when it is back, the same command works.
    stand_in.stop_registry();
    expect(&shop.release(&stand_in, &[]), 1, &["push:", "did not change"]);
    stand_in.start_registry();
    expect(&shop.release(&stand_in, &[]), 0, &["is version 3"]);
    let digest = last(&shop).remote;

    // The same image again, with other memory: the push finds it there, and the version is another.
    shop.run(&stand_in, &["rollback"]);
    let again = shop.release(&stand_in, FORCE);
    expect(&again, 0, &["nothing changed since it was published"]);
    assert_eq!(last(&shop).remote, digest);

    // A file that differs from the commit, and one of the bundle's that differs from its digest.
    let deploy = fs::read_to_string(shop.path().join("deploy.yaml")).unwrap();
    fs::write(shop.path().join("deploy.yaml"), format!("{deploy}# more\n")).unwrap();
    expect(&shop.release(&stand_in, FORCE), 1, &["deploy.yaml", "Commit them"]);
    fs::write(shop.path().join("deploy.yaml"), deploy).unwrap();
    let profile = shop.path().join("models/bundle/profile.json");
    let bytes = fs::read(&profile).unwrap();
    fs::remove_file(&profile).unwrap();
    fs::write(&profile, [bytes.as_slice(), b" "].concat()).unwrap();
    expect(&shop.release(&stand_in, FORCE), 1, &["dvc status", "export"]);
    fs::write(&profile, bytes).unwrap();

    // What the stack makes is missing.
    shop.change_settings("  role: early-function", "  role: nobody");
    expect(&shop.release(&stand_in, FORCE), 1, &["the role nobody", "aws cloudformation deploy", "docs/aws.md"]);
    shop.change_settings("  role: nobody", "  role: early-function");
    shop.change_settings("repository: early ", "repository: nowhere ");
    expect(&shop.release(&stand_in, FORCE), 1, &["the ECR repository nowhere"]);
    assert_eq!(stand_in.call("early").0, "3");
}

#[test]
#[ignore = "needs moto, a registry, buildah, runc and root: `cargo xtask test` runs it"]
fn two_releases_at_once_are_one() {
    let Some((stand_in, shop)) = in_service("twice") else { return };
    // A split that lasts ends with a look at the callers' errors.
    shop.change_settings("  seconds: 0", "  seconds: 1");
    shop.candidate(Run::Better, 2);
    let mut first = shop.begin(&stand_in, &[]);
    let start = Instant::now();
    while shop.records().len() < 2 {
        assert!(start.elapsed() < PATIENCE && first.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(50));
    }
    expect(&shop.release(&stand_in, &[]), 1, &["another release is running"]);
    expect(&shop.run(&stand_in, &["rollback"]), 1, &["another release is running"]);
    let first = ended(first.wait_with_output().unwrap());
    expect(&first, 0, &["is version 2", "CloudWatch counts no failed invocation"]);
}

#[test]
#[ignore = "needs moto, a registry, buildah, runc and root: `cargo xtask test` runs it"]
fn records_in_a_bucket_number_and_serialise_releases_too() {
    let Some((stand_in, shop)) = empty("bucket") else { return };
    aws(
        &stand_in,
        &[
            "s3api",
            "create-bucket",
            "--bucket",
            "records",
            "--create-bucket-configuration",
            "LocationConstraint=eu-central-1",
        ],
    );
    shop.candidate(Run::Worse, 1);
    shop.change_settings("records: releases ", "records: s3://records/here ");
    expect(&shop.release(&stand_in, &[]), 0, &["release 1: live of bucket is version 1"]);
    // Somebody else releases.
    let lease = shop.path().join("target/lease.json");
    fs::create_dir_all(lease.parent().unwrap()).unwrap();
    let put = |until: &str| {
        fs::write(&lease, format!(r#"{{"owner": "another machine", "until": "{until}"}}"#)).unwrap();
        let body = lease.to_str().unwrap();
        aws(&stand_in, &["s3api", "put-object", "--bucket", "records", "--key", "here/lease.json", "--body", body]);
    };
    put("2999-01-01T00:00:00Z");
    shop.candidate(Run::Better, 2);
    expect(&shop.release(&stand_in, &[]), 1, &["another release is running", "another machine", "2999-01-01"]);
    // That machine is long dead.
    put("2020-01-01T00:00:00Z");
    expect(&shop.release(&stand_in, &[]), 0, &["release 2: live of bucket is version 2"]);
    let table = shop.run(&stand_in, &["list"]);
    expect(&table, 0, &["→"]);
    let json = shop.run(&stand_in, &["list", "--json"]);
    let records: Vec<Record> = serde_json::from_str(&json.said).unwrap();
    assert_eq!(records.iter().map(|record| record.state).collect::<Vec<_>>(), [State::Live, State::Live]);
}

/// Recognises the request that a release is killed at.
type Moment = Box<dyn FnMut(&Seen) -> bool + Send>;

/// A request of a release.
fn is(method: &str, part: &str) -> impl Fn(&Seen) -> bool + Send + 'static {
    let (method, part) = (method.to_owned(), part.to_owned());
    move |seen| seen.method == method && seen.path.contains(&part)
}

/// The nth of such requests.
fn nth(matches: impl Fn(&Seen) -> bool + Send + 'static, n: usize) -> Moment {
    let mut left = n;
    Box::new(move |seen| {
        if matches(seen) {
            left -= 1;
        }
        left == 0
    })
}

/// A moment of a release of the function `kill`.
fn moment(name: &str) -> Moment {
    match name {
        "code" => nth(is("PUT", "/functions/kill/code"), 1),
        "publish" => nth(is("POST", "/functions/kill/versions"), 1),
        "split" => nth(is("PUT", "/functions/kill/aliases/live"), 1),
        "watch" => nth(is("POST", "/functions/kill/invocations?Qualifier=live"), 1),
        "promote" => nth(is("PUT", "/functions/kill/aliases/live"), 2),
        other => panic!("{other} is no moment"),
    }
}

#[test]
#[ignore = "needs moto, a registry, buildah, runc and root: `cargo xtask test` runs it"]
fn killed_at_every_step_and_run_again() {
    let Some((stand_in, shop)) = in_service("kill") else { return };
    // Fewer probes: there are many releases here.
    shop.change_settings("  weight: 0.2", "  weight: 0.5");
    shop.change_settings("  answers: 3", "  answers: 1");
    let mut variation = 1;
    let mut version = 1;

    // While it waits for nobody but this machine: the record says how far it came.
    for state in [State::Begun, State::Passed, State::Built, State::Verified, State::Pushed] {
        variation += 1;
        shop.candidate(Run::Better, variation);
        let number = shop.records().len();
        let mut child = shop.begin(&stand_in, FORCE);
        let start = Instant::now();
        loop {
            let came = shop.records().get(number).map(|record| record.state);
            if came.is_some_and(|came| came as u8 >= state as u8) {
                break;
            }
            assert!(start.elapsed() < PATIENCE && child.try_wait().unwrap().is_none(), "{state:?} never came");
            thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let before = shop.alias(&stand_in);
        assert_eq!(before, (version.to_string(), Value::Null), "killed in {state:?}");
        let again = shop.release(&stand_in, FORCE);
        version += 1;
        expect(&again, 0, &["continues", &format!("is version {version}")]);
        assert_eq!(shop.records().len(), number + 1, "it was continued, not begun again");
    }

    // At a request: before it is served, or after it, but before its answer arrives.

    for name in ["code", "publish", "split", "watch", "promote"] {
        for fate in [Fate::Lost, Fate::Served] {
            variation += 1;
            shop.candidate(Run::Better, variation);
            let number = shop.records().len();
            stand_in.kill(Kill { at: moment(name), fate });
            let child = shop.begin(&stand_in, FORCE);
            stand_in.victim(child.id());
            let killed = ended(child.wait_with_output().unwrap());
            assert!(stand_in.has_killed() && killed.code.is_none(), "{name}, {fate:?}: {}", killed.said);
            // Nobody was sent to the new version beyond the canary's share, unless its canary was right.
            let (main, shares) = shop.alias(&stand_in);
            let promoted = name == "promote" && fate == Fate::Served;
            assert_eq!(main, (if promoted { version + 1 } else { version }).to_string(), "{name}, {fate:?}");
            if let Some(share) = shares[(version + 1).to_string()].as_f64() {
                assert!((share - 0.5).abs() < 1e-9, "{name}, {fate:?}: {shares}");
            }
            // Callers get right answers meanwhile.
            assert!((0..3).all(|_| !stand_in.call("kill").1), "{name}, {fate:?}");
            if name == "watch" && fate == Fate::Served {
                // Or it is undone.
                let undone = shop.run(&stand_in, &["rollback"]);
                expect(&undone, 4, &["undone", &format!("live is version {version} as before")]);
                assert_eq!(shop.alias(&stand_in), (version.to_string(), Value::Null));
                version += 1;
                expect(&shop.release(&stand_in, FORCE), 0, &[&format!("is version {version}")]);
            } else {
                let again = shop.release(&stand_in, FORCE);
                version += 1;
                expect(&again, 0, &["continues", &format!("is version {version}")]);
                assert_eq!(shop.records().len(), number + 1, "{name}, {fate:?}: continued, not begun again");
            }
            assert_eq!(shop.alias(&stand_in), (version.to_string(), Value::Null), "{name}, {fate:?}");
        }
    }
    assert!(shop.records().iter().all(|record| record.state.is_over()));
}

#[test]
#[ignore = "needs moto, a registry, buildah, runc and root: `cargo xtask test` runs it"]
fn what_a_dead_release_had_asked_for_does_not_come_true_after_it_was_undone() {
    let Some((stand_in, shop)) = in_service("kill") else { return };
    shop.candidate(Run::Better, 2);
    stand_in.kill(Kill { at: moment("split"), fate: Fate::Late });
    let mut child = shop.begin(&stand_in, &[]);
    stand_in.victim(child.id());
    assert!(child.wait().unwrap().code().is_none(), "it was not killed");
    let first = ("1".to_owned(), Value::Null);
    assert_eq!(shop.alias(&stand_in), first, "the request is still on its way");
    expect(&shop.run(&stand_in, &["rollback"]), 4, &["undone", "live is version 1 as before"]);
    assert_eq!(stand_in.let_through(), 412, "refused, because the alias has another revision");
    assert_eq!(shop.alias(&stand_in), first);
}
