//! A release may die at any moment, before or after anything that it does. Whoever comes next finds an alias that sends
//! nobody to a version that was not tried, and brings it to an end.

use wellformed_release::cloud::Routing;
use wellformed_release::flow::Ending;
use wellformed_release::state::State;

use crate::world::{Death, World, model};

/// More than a release does.
const MANY: usize = 200;

/// Version 1 is in service, and a better candidate waits.
fn second() -> World {
    let world = World::new();
    assert!(matches!(world.release(None), Some(Ok(Ending::Live(_)))));
    assert_eq!(world.in_service(), Some(Routing::all("1")));
    *world.candidate.borrow_mut() = model("b");
    world.moves.borrow_mut().clear();
    world
}

/// Every moment in which a second release can die, with the world after it.
fn each_death(start: impl Fn() -> World, mut check: impl FnMut(Death, World)) -> usize {
    let mut moments = 0;
    for number in 0..MANY {
        for death in [Death::Before(number), Death::After(number)] {
            let world = start();
            world.death.set(Some(death));
            let Some(ending) = world.release(None) else {
                moments += 1;
                check(death, world);
                continue;
            };
            // It came to its end before it could die: there are no more moments.
            ending.unwrap();
            return moments;
        }
    }
    panic!("a release does more than {MANY} things");
}

/// Nobody was sent to version 2, except for the canary's share, before the canary was right.
fn nobody_was_sent_to_what_was_not_tried(world: &World, death: Death) {
    let moves = world.moves.borrow();
    let canary = Routing::split("1", "2", world.settings.canary.weight);
    let all = moves.iter().position(|one| *one == Some(Routing::all("2")));
    let split = moves.iter().position(|one| *one == Some(canary.clone()));
    if let Some(all) = all {
        assert!(split.is_some_and(|split| split < all), "{death:?}: {moves:?}");
    }
    for routing in moves.iter().flatten() {
        assert!([Routing::all("1"), canary.clone(), Routing::all("2")].contains(routing), "{death:?}: {moves:?}");
    }
}

#[test]
fn a_first_release_goes_to_everybody_once_it_was_tried_by_its_number() {
    let world = World::new();
    let Some(Ok(Ending::Live(record))) = world.release(None) else { panic!("not live") };
    assert_eq!((record.version.as_deref(), record.before.clone()), (Some("1"), Some(None)));
    assert_eq!(*world.moves.borrow(), [Some(Routing::all("1"))]);
}

#[test]
fn a_second_release_splits_the_alias_first() {
    let world = second();
    let Some(Ok(Ending::Live(record))) = world.release(None) else { panic!("not live") };
    let canary = Routing::split("1", "2", 0.2);
    assert_eq!(*world.moves.borrow(), [Some(canary), Some(Routing::all("2"))]);
    assert_eq!(record.before, Some(Some("1".to_owned())));
    assert_eq!(record.answers.get("2"), Some(&3));
    assert!((10..=15).contains(record.answers.get("1").unwrap()), "{:?}", record.answers);
}

#[test]
fn whoever_runs_a_dead_release_again_completes_it() {
    let moments = each_death(second, |death, world| {
        let again = world.release(None).unwrap().unwrap();
        assert!(matches!(again, Ending::Live(_) | Ending::Nothing(_)), "{death:?}: {again:?}");
        assert_eq!(world.in_service(), Some(Routing::all("2")), "{death:?}");
        assert_eq!(world.records.borrow().len(), 2, "{death:?}: it was continued, not begun again");
        assert_eq!(world.open_records(), 0, "{death:?}");
        nobody_was_sent_to_what_was_not_tried(&world, death);
    });
    assert!(moments > 50, "{moments} moments are fewer than a release has");
}

#[test]
fn a_first_release_that_died_is_completed_as_well() {
    let moments = each_death(World::new, |death, world| {
        let again = world.release(None).unwrap().unwrap();
        assert!(matches!(again, Ending::Live(_) | Ending::Nothing(_)), "{death:?}: {again:?}");
        assert_eq!(world.in_service(), Some(Routing::all("1")), "{death:?}");
        assert_eq!(world.open_records(), 0, "{death:?}");
    });
    assert!(moments > 20, "{moments}");
}

#[test]
fn a_rollback_undoes_a_dead_release() {
    each_death(second, |death, world| {
        let was = world.records.borrow().get(&2).map(|record| record.state);
        let again = world.rollback(None);
        if was.is_some_and(State::touches_service) {
            let Some(Ok(Ending::Undone(record))) = again else { panic!("{death:?}: {again:?}") };
            assert_eq!(record.number, 2);
        }
        // What was in service before; a release that was dead only to its announcement is in service and rolled back.
        assert_eq!(world.in_service(), Some(Routing::all("1")), "{death:?}, {was:?}");
        assert_eq!(world.open_records(), 0, "{death:?}");
    });
}

#[test]
fn another_candidate_undoes_a_dead_release_before_it_begins() {
    each_death(second, |death, world| {
        *world.candidate.borrow_mut() = model("c");
        let again = world.release(None).unwrap().unwrap();
        let Ending::Live(record) = again else { panic!("{death:?}: {again:?}") };
        assert_eq!(world.in_service(), Some(Routing::all(record.version.as_deref().unwrap())), "{death:?}");
        assert_eq!(record.model.as_ref().unwrap().commit, model("c").commit);
        assert_eq!(world.open_records(), 0, "{death:?}");
    });
}

#[test]
fn a_version_that_breaks_in_the_canary_leaves_the_old_one_in_service_wherever_its_release_dies() {
    let broken = || {
        let world = second();
        // Right by its number, and wrong from the second answer on.
        world.breaks_after.borrow_mut().insert(model("b").bundle, 1);
        world
    };
    let whole = broken();
    let Some(Ok(Ending::Undone(record))) = whole.release(None) else { panic!("not undone") };
    assert!(record.problem.as_deref().unwrap().contains("version 2 failed"), "{:?}", record.problem);
    assert_eq!(*whole.moves.borrow(), [Some(Routing::split("1", "2", 0.2)), Some(Routing::all("1"))]);
    let moments = each_death(broken, |death, world| {
        let again = world.release(None).unwrap().unwrap();
        assert!(!matches!(again, Ending::Live(_)), "{death:?}: {again:?}");
        assert_eq!(world.in_service(), Some(Routing::all("1")), "{death:?}");
        assert_eq!(world.open_records(), 0, "{death:?}");
        assert!(!world.moves.borrow().contains(&Some(Routing::all("2"))), "{death:?}");
    });
    assert!(moments > 40, "{moments}");
}

#[test]
fn a_version_that_is_wrong_by_its_number_never_gets_a_caller() {
    let world = second();
    world.breaks_after.borrow_mut().insert(model("b").bundle, 0);
    let Some(Ok(Ending::Failed(record))) = world.release(None) else { panic!("not failed") };
    assert_eq!(record.state, State::Failed);
    assert!(world.moves.borrow().is_empty());
}

#[test]
fn a_first_release_that_breaks_leaves_nothing_in_service() {
    let world = World::new();
    world.breaks_after.borrow_mut().insert(model("a").bundle, 1);
    assert!(matches!(world.release(None), Some(Ok(Ending::Undone(_)))));
    assert_eq!(world.in_service(), None);
}

#[test]
fn what_is_not_better_needs_a_reason() {
    let world = second();
    world.is_better.set(false);
    let Some(Ok(Ending::Refused(record))) = world.release(None) else { panic!("not refused") };
    assert!(!record.judgement.unwrap().passes);
    assert!(world.moves.borrow().is_empty() && record.version.is_none());
    let Some(Ok(Ending::Live(record))) = world.release(Some("a defect of the server")) else { panic!("not live") };
    assert_eq!(record.forced.as_deref(), Some("a defect of the server"));
    assert_eq!(record.number, 3);
}

#[test]
fn a_rollback_goes_to_the_version_before_and_can_be_taken_back() {
    let world = second();
    assert!(matches!(world.release(None), Some(Ok(Ending::Live(_)))));
    let Some(Ok(Ending::Live(record))) = world.rollback(None) else { panic!("not live") };
    assert_eq!((record.number, world.in_service()), (3, Some(Routing::all("1"))));
    let Some(Ok(Ending::Live(_))) = world.rollback(Some("2")) else { panic!("not live") };
    assert_eq!(world.in_service(), Some(Routing::all("2")));
    let error = world.rollback(Some("9")).unwrap().unwrap_err();
    assert!(error.to_string().contains("no version 9"), "{error}");
    let Some(Ok(Ending::Nothing(_))) = world.rollback(Some("2")) else { panic!("something was done") };
}

#[test]
fn an_alias_that_somebody_else_moved_is_left_alone() {
    let world = second();
    world.breaks_after.borrow_mut().insert(model("b").bundle, 1);
    // Between the split and the restoration somebody sends everybody to version 1 by hand: the revision is another.
    let death = Death::After(16);
    world.death.set(Some(death));
    assert!(world.release(None).is_none());
    let split = world.in_service().is_some_and(|routing| routing.reaches("2"));
    if split {
        world.alias.borrow_mut().as_mut().unwrap().routing = Routing::all("1");
        world.alias.borrow_mut().as_mut().unwrap().revision = "by hand".to_owned();
    }
    let _ = world.release(None).unwrap().unwrap();
    assert_eq!(world.in_service(), Some(Routing::all("1")));
}
