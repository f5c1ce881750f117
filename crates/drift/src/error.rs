use crate::signal::Signal;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// A profile that cannot be one.
    #[error("the profile's {field} is {found}, but must be {expected}; export the bundle again")]
    Profile {
        /// Which part of it.
        field: String,
        /// What was found.
        found: String,
        /// What it has to be.
        expected: String,
    },
    /// A settings file that cannot be read, or is not in the expected form.
    #[error("the monitor's settings: {0}")]
    Settings(Box<figment::Error>),
    /// A setting that makes no sense.
    #[error("the monitor's settings: {key} is {found}, but must be {expected}")]
    Setting {
        /// The key, as in `drift.alert_level`.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would be allowed.
        expected: String,
    },
    /// A window that was made for another profile.
    #[error("the window has no tally of {0}: it was made for another profile")]
    Window(Signal),
    /// An interval could not be computed.
    #[error(transparent)]
    Metric(#[from] wellformed_metrics::MetricError),
    /// A sketch refused an operation.
    #[error("counting: {0}")]
    Sketch(#[from] datasketches::error::Error),
}
