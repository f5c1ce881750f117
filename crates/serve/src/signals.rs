//! What the operating system asks of the server.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::record::Reopen;

/// Waits for SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
///
/// When the signals cannot be listened to.
pub fn stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        // Whoever asks twice is in a hurry.
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            eprintln!("error: stopped at once");
            std::process::exit(1);
        });
    })
}

/// Opens the file of the records again with every SIGHUP from now on.
///
/// # Errors
///
/// When the signal cannot be listened to.
pub fn reopen_on_hangup(reopen: Reopen) -> Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen to signals")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reopen.ask();
        }
    });
    Ok(())
}
