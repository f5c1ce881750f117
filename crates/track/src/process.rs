//! Programs that are asked something, with a limit on how long they may take.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Standard output of a program that ends well within the limit.
pub(crate) fn ask(command: &mut Command, limit: Duration) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut output = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return reader.join().ok()?.ok().filter(|_| status.success()),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_returned_and_silence_is_not_waited_for() {
        let limit = Duration::from_millis(300);
        assert_eq!(ask(Command::new("echo").arg("yes"), Duration::from_secs(20)).as_deref(), Some("yes\n"));
        assert_eq!(ask(Command::new("sleep").arg("600"), limit), None);
        assert_eq!(ask(&mut Command::new("no-such-program"), limit), None);
        assert_eq!(ask(&mut Command::new("false"), Duration::from_secs(20)), None);
    }
}
