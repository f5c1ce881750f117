//! The state machine of a release: where it stands, what is done next, and what a failure or an interruption means.
//!
//! ```text
//! begun ─gate─► passed ─build─► built ─verify─► verified ─push─► pushed ─publish─► published ─try─► tried
//!   │             │               │                │               │                  │              │
//!   └─────────────┴───────────────┴──── fails: failed, nobody was ever sent to it ────┴──────────────┘
//!
//! tried ─► splitting ─split─► split ─watch─► watched ─► promoting ─promote─► promoted ─announce─► live
//!              │                │               │           │
//!              └────────────────┴── fails: undoing ─restore─► undone
//! ```
//!
//! A state says what is *certainly* done. The two states that end in *-ing* are written to the record before the alias
//! is touched, so whoever reads the record after a crash knows that the alias may already send people to the new
//! version. Every step can be done twice: it looks at what is there first. So a release that was killed anywhere is
//! continued by doing the step of its state again, and undone by [`Step::Restore`].
//!
//! A rollback is the same machine on a shorter route: it starts with a version that exists and has no canary, because
//! the version that it leaves is the one that is not trusted.
//!
//! Nothing here reads a file or asks a server.

use serde::{Deserialize, Serialize};

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There is a record.
    Begun,
    /// The candidate is current, and better than what is in service, or forced.
    Passed,
    /// There is an image.
    Built,
    /// The image does what it should.
    Verified,
    /// The registry has the image, and its digest is known.
    Pushed,
    /// The function has a version with the image. Nobody is sent to it.
    Published,
    /// That version answers rightly when it is asked by its number.
    Tried,
    /// The alias may send the canary's share to the version.
    Splitting,
    /// The alias sends the canary's share to the version.
    Split,
    /// The canary's answers were right.
    Watched,
    /// The alias may send everybody to the version.
    Promoting,
    /// The alias sends everybody to the version, and its answers were right.
    Promoted,
    /// All is done.
    Live,
    /// Something was wrong after the alias may have been touched: it has to go back.
    Undoing,
    /// The alias is where it was before.
    Undone,
    /// Something was wrong before the alias was touched.
    Failed,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Is the candidate current, and better than what is in service?
    Gate,
    /// Make the image.
    Build,
    /// Hold the image against what it should be and do.
    Verify,
    /// Bring the image into the registry.
    Push,
    /// Make a version of the function with the image.
    Publish,
    /// Ask the version by its number.
    Try,
    /// Let the alias send the canary's share to the version.
    Split,
    /// Ask through the alias, while it is split.
    Watch,
    /// Let the alias send everybody to the version, and ask once more.
    Promote,
    /// Tag the model in DVC's registry.
    Announce,
    /// Put the alias back where it was.
    Restore,
}

/// Which way a record goes through the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// All steps.
    Release,
    /// From a version that exists, without a canary.
    Rollback,
}

impl Route {
    /// The state of a new record.
    pub fn start(self) -> State {
        match self {
            Self::Release => State::Begun,
            Self::Rollback => State::Published,
        }
    }

    /// The steps of this route when nothing goes wrong.
    pub fn steps(self) -> Vec<Step> {
        let mut state = self.start();
        let mut steps = Vec::new();
        while let Some(step) = state.step(self) {
            steps.push(step);
            state = step.leads_to();
        }
        steps
    }
}

impl State {
    /// What to do next, which is also what to do again after an interruption; `None` when it is over.
    pub fn step(self, route: Route) -> Option<Step> {
        match self {
            Self::Begun => Some(Step::Gate),
            Self::Passed => Some(Step::Build),
            Self::Built => Some(Step::Verify),
            Self::Verified => Some(Step::Push),
            Self::Pushed => Some(Step::Publish),
            Self::Published => Some(Step::Try),
            Self::Tried if route == Route::Rollback => Some(Step::Promote),
            Self::Tried | Self::Splitting => Some(Step::Split),
            Self::Split => Some(Step::Watch),
            Self::Watched | Self::Promoting => Some(Step::Promote),
            Self::Promoted => Some(Step::Announce),
            Self::Undoing => Some(Step::Restore),
            Self::Live | Self::Undone | Self::Failed => None,
        }
    }

    /// Where a failure in this state leads. `None` where nothing can be concluded from it: what fails in
    /// [`State::Undoing`] has to be tried again, and what is announced is in service whether or not that worked.
    pub fn after_failure(self) -> Option<Self> {
        match self {
            Self::Begun
            | Self::Passed
            | Self::Built
            | Self::Verified
            | Self::Pushed
            | Self::Published
            | Self::Tried => Some(Self::Failed),
            Self::Splitting | Self::Split | Self::Watched | Self::Promoting => Some(Self::Undoing),
            Self::Promoted | Self::Undoing | Self::Live | Self::Undone | Self::Failed => None,
        }
    }

    /// Where giving up in this state leads: to nothing more, or to putting the alias back. `None` when it is over, or in
    /// service, which only a rollback changes.
    pub fn abandoned(self) -> Option<Self> {
        if self == Self::Undoing { Some(Self::Undoing) } else { self.after_failure() }
    }

    /// Whether the alias may differ from what it was before, other than by a finished release.
    pub fn touches_service(self) -> bool {
        matches!(self, Self::Splitting | Self::Split | Self::Watched | Self::Promoting | Self::Undoing)
    }

    /// Whether nothing is left to do.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Live | Self::Undone | Self::Failed)
    }

    /// Its name in records and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Passed => "passed",
            Self::Built => "built",
            Self::Verified => "verified",
            Self::Pushed => "pushed",
            Self::Published => "published",
            Self::Tried => "tried",
            Self::Splitting => "splitting",
            Self::Split => "split",
            Self::Watched => "watched",
            Self::Promoting => "promoting",
            Self::Promoted => "promoted",
            Self::Live => "live",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Failed => "failed",
        }
    }
}

impl Step {
    /// The state that is written to the record before the step begins, where it is another than the one that led to it.
    pub fn announces(self) -> Option<State> {
        match self {
            Self::Split => Some(State::Splitting),
            Self::Promote => Some(State::Promoting),
            _ => None,
        }
    }

    /// The state after it.
    pub fn leads_to(self) -> State {
        match self {
            Self::Gate => State::Passed,
            Self::Build => State::Built,
            Self::Verify => State::Verified,
            Self::Push => State::Pushed,
            Self::Publish => State::Published,
            Self::Try => State::Tried,
            Self::Split => State::Split,
            Self::Watch => State::Watched,
            Self::Promote => State::Promoted,
            Self::Announce => State::Live,
            Self::Restore => State::Undone,
        }
    }

    /// What a person is told before it.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Gate => "is the candidate current, and better than what is in service?",
            Self::Build => "the image",
            Self::Verify => "what is in the image, and does it answer as it should?",
            Self::Push => "into the registry",
            Self::Publish => "a version of the function",
            Self::Try => "the version, asked by its number",
            Self::Split => "the alias sends a share to the version",
            Self::Watch => "the answers while the alias is split",
            Self::Promote => "the alias sends everybody to the version",
            Self::Announce => "the model's tags in DVC's registry",
            Self::Restore => "the alias goes back to where it was",
        }
    }

    /// Its name in records and on the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Build => "build",
            Self::Verify => "verify",
            Self::Push => "push",
            Self::Publish => "publish",
            Self::Try => "try",
            Self::Split => "split",
            Self::Watch => "watch",
            Self::Promote => "promote",
            Self::Announce => "announce",
            Self::Restore => "restore",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, State, Step};

    const ALL: [State; 16] = [
        State::Begun,
        State::Passed,
        State::Built,
        State::Verified,
        State::Pushed,
        State::Published,
        State::Tried,
        State::Splitting,
        State::Split,
        State::Watched,
        State::Promoting,
        State::Promoted,
        State::Live,
        State::Undoing,
        State::Undone,
        State::Failed,
    ];

    #[test]
    fn a_release_ends_live_and_passes_every_check_before_the_alias_is_touched() {
        let steps = Route::Release.steps();
        let at = |step| steps.iter().position(|one| *one == step).expect("it is on the route");
        assert_eq!(steps.last().map(|step| step.leads_to()), Some(State::Live));
        for check in [Step::Gate, Step::Verify, Step::Try] {
            assert!(at(check) < at(Step::Split), "{check:?}");
        }
        assert!(at(Step::Watch) < at(Step::Promote));
    }

    #[test]
    fn a_rollback_asks_the_version_before_it_sends_everybody_there() {
        assert_eq!(Route::Rollback.steps(), [Step::Try, Step::Promote, Step::Announce]);
    }

    #[test]
    fn whatever_fails_the_machine_comes_to_an_end_in_which_the_alias_is_whole() {
        for route in [Route::Release, Route::Rollback] {
            for start in ALL {
                let mut state = start;
                let mut left = 20;
                if let Some(next) = state.after_failure() {
                    state = next;
                }
                while let Some(step) = state.step(route) {
                    left -= 1;
                    assert!(left > 0, "{start:?} goes round in circles");
                    state = step.leads_to();
                }
                assert!(state.is_over() && !state.touches_service(), "{start:?} ends in {state:?}");
                if start.touches_service() {
                    assert_eq!(state, State::Undone, "{start:?}");
                }
            }
        }
    }

    #[test]
    fn a_step_that_touches_the_alias_is_announced_in_the_record_first() {
        for route in [Route::Release, Route::Rollback] {
            for state in ALL {
                let Some(step) = state.step(route) else { continue };
                if matches!(step, Step::Split | Step::Promote) {
                    let written = step.announces().expect("an announcement");
                    assert!(written.touches_service());
                    assert_eq!(written.step(route), Some(step), "after a crash, {written:?} does the same step again");
                }
            }
        }
    }

    #[test]
    fn only_states_that_may_have_touched_the_alias_are_undone() {
        for state in ALL {
            let undone = state.abandoned() == Some(State::Undoing);
            assert_eq!(undone, state.touches_service(), "{state:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_record() {
        for state in ALL {
            assert_eq!(serde_json::to_value(state).expect("a name"), state.name());
        }
    }
}
