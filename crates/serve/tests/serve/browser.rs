//! The page in a real browser, driven as its developer tools drive it.
//!
//! The protocol's pipe is used, not its socket: no port, no handshake. Messages are JSON, each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Running, start, until, usual};

/// Browsers opened so far: each has a profile of its own.
static COUNT: AtomicU32 = AtomicU32::new(0);

struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    profile: PathBuf,
    calls: u64,
    /// What the page complained of: scripts that failed, and what the security policy stopped.
    complaints: Vec<String>,
}

impl Browser {
    /// Opens a page of a size in pixels.
    fn open(url: &str, width: u32, dark: bool) -> Self {
        // The browser reads from file 3 and writes to file 4.
        let script = "exec 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null; exec \"${CHROMIUM:-chromium}\" \"$@\"";
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = std::env::temp_dir().join(format!("wellformed-chromium-{}-{number}", std::process::id()));
        let mut child = Command::new("sh")
            .args(["-c", script, "sh", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--remote-debugging-pipe", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Self { child, input, output, session: None, profile, calls: 0, complaints: Vec::new() };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        browser.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        browser.call("Emulation.setEmulatedMedia", features);
        browser.go(url);
        browser
    }

    fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.wait("location.href !== 'about:blank' && document.readyState === 'complete'");
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).expect("is chromium installed?");
        loop {
            let mut bytes = Vec::new();
            self.output.read_until(0, &mut bytes).unwrap();
            assert!(!bytes.is_empty(), "the browser has ended: is chromium installed?");
            let answer: Value = serde_json::from_slice(&bytes[..bytes.len() - 1]).unwrap();
            match answer["method"].as_str() {
                Some("Runtime.exceptionThrown") => self.complaints.push(answer["params"].to_string()),
                Some("Log.entryAdded") if answer["params"]["entry"]["level"] == "error" => {
                    self.complaints.push(answer["params"]["entry"]["text"].to_string());
                }
                _ => {}
            }
            if answer["id"] == self.calls {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The value of an expression in the page.
    fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_else(|| panic!("{expression} is no text")).to_owned()
    }

    fn wait(&mut self, expression: &str) {
        until(expression, || {
            std::thread::sleep(Duration::from_millis(20));
            self.value(expression) == json!(true)
        });
    }

    fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if key == "Enter" && kind == "keyDown" {
                params["text"] = json!("\r");
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Writes a picture, where `WELLFORMED_SCREENSHOTS` names a folder for it.
    fn picture(&mut self, name: &str) {
        let Ok(folder) = std::env::var("WELLFORMED_SCREENSHOTS") else { return };
        let shot = self.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}));
        let path = std::path::Path::new(&folder).join(format!("{name}.png.base64"));
        std::fs::write(path, shot["data"].as_str().unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its helpers may still be writing; what they leave is in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

fn open(server: &Running, path: &str, width: u32, dark: bool) -> Browser {
    Browser::open(&format!("http://{}{path}", server.address), width, dark)
}

/// Where everything below the verdict stands.
const BELOW: &str = "['fieldset', '#words', '.key', '.try', '.about', 'footer']\
    .map((one) => document.querySelector(one).getBoundingClientRect().top).join()";
const TAB: (&str, u32) = ("Tab", 9);
const RIGHT: (&str, u32) = ("ArrowRight", 39);
const READY: &str = "document.querySelectorAll('#words button').length > 0 && !document.querySelector('.stale')";

#[test]
#[ignore = "needs Chromium (CHROMIUM names another binary): cargo test --release -p wellformed-serve -- --ignored browser"]
fn browser_shows_verdict_and_words_of_what_is_typed() {
    let server = start();
    let mut page = open(&server, "/", 1280, false);
    assert_eq!(page.text("document.getElementById('form').dataset.state"), "empty");
    page.value("document.getElementById('text').focus()");
    let before = page.text(BELOW);
    page.write("The whole choir sang loudly.");
    page.wait(READY);
    assert_eq!(page.text("document.getElementById('verdict').textContent"), "Acceptable");
    assert_eq!(page.text("document.getElementById('odds').textContent"), "acceptable 2.4 %, unacceptable 97.6 %");
    assert_eq!(page.value("document.querySelectorAll('#words button').length"), 5);
    assert_eq!(
        page.text("document.querySelector('#words button').getAttribute('aria-label')"),
        "The: speaks against the sentence, −3 points"
    );
    page.wait("document.getElementById('say').textContent.startsWith('Acceptable. The probability of acceptable is 2.4 percent.')");
    let after = page.text(BELOW);
    assert_eq!(before, after, "nothing below the result has moved");
    page.picture("light");
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}

#[test]
#[ignore = "needs Chromium (CHROMIUM names another binary): cargo test --release -p wellformed-serve -- --ignored browser"]
fn browser_works_with_the_keyboard_alone() {
    let server = start();
    let mut page = open(&server, "/?text=It+rains+heavily.", 1280, false);
    page.wait(READY);
    page.value("document.getElementById('text').focus()");
    page.press(TAB.0, TAB.1);
    assert_eq!(page.text("document.activeElement.value"), "omit", "one Tab from the sentence to the choice");
    page.press(RIGHT.0, RIGHT.1);
    page.wait("[...document.querySelectorAll('#words button')].some((word) => word.dataset.detail.includes('With it hidden'))");
    page.press(TAB.0, TAB.1);
    assert_eq!(page.text("document.activeElement.className"), "word against", "one more to the words");
    assert!(page.text("document.getElementById('detail').textContent").starts_with("“It”, −2. With it hidden"));
    page.press(RIGHT.0, RIGHT.1);
    page.press(RIGHT.0, RIGHT.1);
    assert!(page.text("document.getElementById('detail').textContent").starts_with("“heavily.”, +8."));
    let outline = page.text("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "the focus can be seen");
    page.press(TAB.0, TAB.1);
    assert_eq!(page.text("document.activeElement.textContent"), "The librarian found her keys under the sofa.");
    page.press("Enter", 13);
    page.wait("document.getElementById('text').value.startsWith('The librarian') && document.querySelectorAll('#words button').length === 8");
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}

#[test]
#[ignore = "needs Chromium (CHROMIUM names another binary): cargo test --release -p wellformed-serve -- --ignored browser"]
fn browser_fits_a_phone_and_follows_a_dark_scheme() {
    let server = start();
    let long = "/?text=The+incomprehensibilities+of+counterrevolutionaries+bewildered+whoever+read+them+yesterday.";
    let mut page = open(&server, long, 320, true);
    page.wait(READY);
    let wide = page.value("document.documentElement.scrollWidth");
    assert!(wide.as_u64().unwrap() <= 320, "the page is {wide} wide on a phone of 320");
    let small = page.value(
        "[...document.querySelectorAll('button, .pairs a, fieldset label')].filter((one) => one.getBoundingClientRect().height < 24).length",
    );
    assert_eq!(small, 0, "everything can be hit with a finger");
    let background = page.text("getComputedStyle(document.documentElement).backgroundColor");
    assert_eq!(background, "rgb(22, 24, 27)");
    page.picture("phone-dark");
    page.go(&format!("http://{}/docs", server.address));
    page.wait("document.querySelectorAll('main section').length > 10");
    let wide = page.value("document.documentElement.scrollWidth");
    assert!(wide.as_u64().unwrap() <= 320, "the page of the API is {wide} wide on a phone of 320");
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}

#[test]
#[ignore = "needs Chromium (CHROMIUM names another binary): cargo test --release -p wellformed-serve -- --ignored browser"]
fn browser_says_that_the_server_is_gone_and_keeps_the_sentence() {
    let mut server = start();
    let mut page = open(&server, "/", 800, false);
    server.end();
    page.value("document.getElementById('text').focus()");
    page.write("It rains.");
    page.wait("document.getElementById('form').dataset.state === 'trouble'");
    let said = page.text("document.getElementById('say').textContent");
    assert!(said.starts_with("The server does not answer. Your sentence is still here"), "{said}");
    assert_eq!(page.text("document.getElementById('text').value"), "It rains.");
}

#[test]
#[ignore = "needs Chromium (CHROMIUM names another binary): cargo test --release -p wellformed-serve -- --ignored browser"]
fn browser_draws_the_api_and_sends_what_one_tries() {
    let server = start();
    let mut page = open(&server, "/docs", 1280, false);
    page.wait("document.querySelector('#predict form') !== null");
    page.value("document.querySelector('#predict details').open = true");
    page.value("document.querySelector('#predict form').requestSubmit()");
    page.wait("document.querySelector('#predict pre').textContent.includes('\"predictions\"')");
    assert!(page.text("document.querySelector('#predict pre').textContent").starts_with("200"));
    page.picture("docs");
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}

#[test]
#[ignore = "needs Chromium (CHROMIUM names another binary): cargo test --release -p wellformed-serve -- --ignored browser"]
fn browser_shows_the_monitor_on_a_phone_in_the_dark_and_without_a_mouse() {
    let server = start();
    for five in (0..200).map(|index| format!("{0} {0}", usual(index))).collect::<Vec<_>>().chunks(5) {
        assert_eq!(server.post("/predict", &json!({ "sentences": five })).status, 200);
    }
    let mut page = open(&server, "/monitor", 320, true);
    assert!(page.text("document.querySelector('h1').textContent").starts_with("alert "));
    let wide = page.value("document.documentElement.scrollWidth");
    assert!(wide.as_u64().unwrap() <= 320, "the page is {wide} wide on a phone of 320");
    let background = page.text("getComputedStyle(document.documentElement).backgroundColor");
    assert_eq!(background, "rgb(22, 24, 27)", "the page's own style is applied");
    page.press(TAB.0, TAB.1);
    assert_eq!(page.text("document.activeElement.textContent"), "To the content");
    page.press(TAB.0, TAB.1);
    assert_eq!(page.text("document.activeElement.textContent"), "Wellformed");
    page.press(TAB.0, TAB.1);
    assert_eq!(page.text("document.activeElement.className"), "scroll", "wide tables can be moved with the keys");
    page.picture("monitor-phone-dark");
    page.value("document.querySelector('header a').click()");
    page.wait("location.pathname === '/' && document.readyState === 'complete'");
    assert!(page.value("document.querySelector('footer a[href=\"/monitor\"]') !== null") == json!(true));
    assert!(page.complaints.is_empty(), "{:?}", page.complaints);
}
