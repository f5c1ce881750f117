//! Lines that leave the server, such as those of its log: a thread of its own writes them, so that a slow reader or disk
//! slows no answer. When it cannot keep up, lines are lost rather than memory, and counted.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};

/// Lines that may wait to be written.
const WAITING: usize = 8192;
/// Bytes that are written in one go, about.
const BLOCK: usize = 1 << 16;

/// A thread that writes lines.
pub(crate) struct Lines {
    sender: Mutex<Option<SyncSender<String>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lines {
    /// Starts the thread. `what` names the lines in a warning; `lost` is told how many lines could not be written.
    pub(crate) fn to(
        output: impl Write + Send + 'static,
        what: &'static str,
        lost: impl Fn(u64) + Send + 'static,
    ) -> Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name(what.to_owned());
        let thread = thread.spawn(move || write(&receiver, output, what, lost));
        let thread = thread.with_context(|| format!("cannot start the thread that writes the {what}"))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Hands a line over, which ends with a line break; `false` when it is lost.
    pub(crate) fn send(&self, line: String) -> bool {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| sender.try_send(line).is_ok())
    }

    /// Writes what waits, and takes no more.
    pub(crate) fn finish(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

fn write(lines: &Receiver<String>, mut output: impl Write, what: &str, lost: impl Fn(u64)) {
    let mut failing = false;
    while let Ok(first) = lines.recv() {
        let (mut block, mut count) = (first, 1);
        // What has gathered meanwhile is written in one go.
        while block.len() < BLOCK
            && let Ok(next) = lines.try_recv()
        {
            block += &next;
            count += 1;
        }
        // A reader that has gone, or a full disk, is no reason to stop serving.
        match output.write_all(block.as_bytes()).and_then(|()| output.flush()) {
            Ok(()) => failing = false,
            Err(error) => {
                lost(count);
                if !failing {
                    eprintln!("warning: the {what} cannot be written: {error}");
                }
                failing = true;
            }
        }
    }
}
