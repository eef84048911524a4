//! A real browser, driven through WebDriver: what the tests of the page look with.
//!
//! Owns starting chromedriver, the session, and waiting for conditions in the page. Where the
//! browser is missing, a test fails; with `OPENCTRL_SKIP_BROWSER=1` it reports that and is skipped.

mod dashboard;
mod proxy;
mod session;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

pub use proxy::Proxy;
use session::Session;

use crate::{PATIENCE, eventually};

/// Names that the browser goes by; chromedriver finds it by itself.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// One browser at a time is enough for a small machine.
static TURN: Mutex<()> = Mutex::new(());

/// A browser with one empty tab. Dropping it ends it.
pub struct Browser {
    session: Session,
    driver: Child,
    folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Starts a browser whose pictures go to `page/` in `folder`; `None`, and a line that says why,
    /// if `OPENCTRL_SKIP_BROWSER=1` asks to skip tests of the page.
    ///
    /// # Panics
    /// If there is no browser and tests of it are not to be skipped.
    pub fn start(folder: &str) -> Option<Self> {
        if is_skipped(env::var_os("OPENCTRL_SKIP_BROWSER").as_deref(), &missing()) {
            // Not by println, so that the line appears even if the output is captured.
            let _ = writeln!(std::io::stderr(), "SKIPPED: OPENCTRL_SKIP_BROWSER=1");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (driver, port) = start_driver();
        let session = Session::open(port);
        let folder = Path::new(folder).join("page");
        fs::create_dir_all(&folder).expect("the folder for pictures can be made");
        let browser = Self { session, driver, folder, _turn: turn };
        browser.resize(1360, 850);
        Some(browser)
    }

    /// Goes to an address.
    pub fn open(&self, url: &str) {
        self.session.post("/url", &json!({ "url": url }));
    }

    /// Loads the page again.
    pub fn reload(&self) {
        self.session.post("/refresh", &json!({}));
    }

    /// What the body of a function returns in the page; `arguments` has `values`.
    pub fn script(&self, body: &str, values: &[Value]) -> Value {
        self.session.post("/execute/sync", &json!({ "script": body, "args": values }))
    }

    /// As [`Browser::script`], for a body that calls the last of its arguments with the result.
    pub fn script_async(&self, body: &str, values: &[Value]) -> Value {
        self.session.post("/execute/async", &json!({ "script": body, "args": values }))
    }

    /// Waits until an expression of the page is true, and returns it.
    pub fn wait(&self, what: &str, expression: &str) -> Value {
        self.wait_with(what, expression, &[])
    }

    /// As [`Browser::wait`], for an expression over `values`.
    pub fn wait_with(&self, what: &str, expression: &str, values: &[Value]) -> Value {
        let body = format!("return {expression}");
        let is_true = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
        let start = Instant::now();
        loop {
            let value = self.script(&body, values);
            if is_true(&value) && value != json!(0) && value != json!("") {
                return value;
            }
            let late = start.elapsed() > PATIENCE;
            assert!(
                !late,
                "waited {PATIENCE:?} in vain for {what}: {expression}\n{}",
                self.state()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Waits until the first element that `css` names shows `text` in its own.
    pub fn wait_text(&self, css: &str, text: &str) {
        let expression =
            "(document.querySelector(arguments[0])?.textContent ?? '').includes(arguments[1])";
        self.wait_with(&format!("{css} to show {text:?}"), expression, &[json!(css), json!(text)]);
    }

    /// The text of the first element that `css` names.
    pub fn text(&self, css: &str) -> String {
        let body = "return document.querySelector(arguments[0])?.textContent ?? ''";
        self.script(body, &[json!(css)]).as_str().unwrap_or("").to_owned()
    }

    /// Clicks an element as a mouse does, once it is there and can be clicked.
    pub fn click(&self, css: &str) {
        eventually(&format!("{css} to be clickable"), || {
            let element = self.session.find(css).ok()?;
            self.session.try_post(&format!("/element/{element}/click"), &json!({})).ok()
        });
    }

    /// Replaces what an input holds by typing.
    pub fn fill(&self, css: &str, text: &str) {
        eventually(&format!("{css} to take text"), || {
            let element = self.session.find(css).ok()?;
            self.session.try_post(&format!("/element/{element}/clear"), &json!({})).ok()?;
            let body = json!({ "text": text });
            self.session.try_post(&format!("/element/{element}/value"), &body).ok()
        });
    }

    /// Sets what an input holds at once, as pasting does: typing a long text takes long.
    pub fn paste(&self, css: &str, text: &str) {
        let body = "const input = document.querySelector(arguments[0]); input.focus(); \
                    input.value = arguments[1]; \
                    input.dispatchEvent(new Event('input', { bubbles: true }))";
        self.script(body, &[json!(css), json!(text)]);
    }

    /// Presses a key with whatever has the focus; a letter or a character of WebDriver's own.
    pub fn press(&self, key: &str) {
        let keys = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": keys });
        self.session.post("/actions", &json!({ "actions": [keyboard] }));
    }

    /// Sets the size of what is shown.
    pub fn resize(&self, width: u32, height: u32) {
        let parameters = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", &parameters);
    }

    /// Shows the page in the dark theme or the light one.
    pub fn prefer(&self, theme: &str) {
        self.emulate("prefers-color-scheme", theme);
    }

    /// Shows the page with the few colors that a person chose for all programs.
    pub fn force_colors(&self) {
        self.emulate("forced-colors", "active");
    }

    fn emulate(&self, feature: &str, value: &str) {
        let features = json!([{ "name": feature, "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Moves the mouse over an element.
    pub fn hover(&self, css: &str) {
        eventually(&format!("{css} to be under the mouse"), || {
            let element = self.session.find(css).ok()?;
            let origin = json!({ session::ELEMENT: element });
            let step = json!({ "type": "pointerMove", "x": 0, "y": 0, "origin": origin });
            let mouse = json!({ "type": "pointer", "id": "mouse", "actions": [step] });
            self.session.try_post("/actions", &json!({ "actions": [mouse] })).ok()
        });
    }

    /// Takes a picture of what is shown; it is for people to look at.
    pub fn picture(&self, name: &str) {
        let picture = self.devtools("Page.captureScreenshot", &json!({ "format": "png" }));
        let bytes = decode_base64(picture["data"].as_str().unwrap_or(""));
        assert!(bytes.starts_with(b"\x89PNG"), "a picture is a PNG");
        fs::write(self.folder.join(format!("{name}.png")), bytes).expect("the folder is writable");
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.session.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// What the browser's console says, warnings and errors only.
    pub fn console(&self) -> Vec<String> {
        let log = self.session.post("/se/log", &json!({ "type": "browser" }));
        let lines = log.as_array().cloned().unwrap_or_default();
        let is_bad = |line: &&Value| matches!(line["level"].as_str(), Some("SEVERE" | "WARNING"));
        let text = |line: &Value| line["message"].as_str().unwrap_or("").to_owned();
        lines.iter().filter(is_bad).map(text).collect()
    }

    fn state(&self) -> String {
        let body = "return location.href + '\\n' + document.body.innerText.slice(0, 1500)";
        let shown = self.script(body, &[]);
        format!("{}\nconsole: {:#?}", shown.as_str().unwrap_or(""), self.console())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let picture = self.session.try_get("/screenshot");
            let bytes = picture.map(|data| decode_base64(data.as_str().unwrap_or("")));
            let _ = bytes.map(|bytes| fs::write(self.folder.join("failed.png"), bytes));
        }
        self.session.close();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Whether tests of the page are skipped, by the value of `OPENCTRL_SKIP_BROWSER`.
///
/// # Panics
/// If programs are missing and the value does not ask to skip.
fn is_skipped(wish: Option<&OsStr>, missing: &[&str]) -> bool {
    let is_skipped = wish.is_some_and(|value| value == "1");
    assert!(
        is_skipped || missing.is_empty(),
        "{} not found; install chromium and chromium-driver (Debian) or chromedriver, \
         or set OPENCTRL_SKIP_BROWSER=1 to skip the tests of the page",
        missing.join(" and ")
    );
    is_skipped
}

fn missing() -> Vec<&'static str> {
    let paths: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let is_there = |name: &&str| paths.iter().any(|folder| folder.join(name).is_file());
    let mut missing = Vec::new();
    if !is_there(&"chromedriver") {
        missing.push("chromedriver");
    }
    if !BROWSERS.iter().any(is_there) {
        missing.push("chromium");
    }
    missing
}

/// Starts chromedriver on a port of its own choice, and reads which.
fn start_driver() -> (Child, u16) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        // Numbers are shown as the reader's language has them.
        .env("LANGUAGE", "en_US")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver was found");
    let mut lines = BufReader::new(driver.stdout.take().expect("stdout is piped")).lines();
    let started = "started successfully on port ";
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.split_once(started).map(|(_, rest)| rest.to_owned()))
        .expect("chromedriver says its port");
    // What it says later must not fill the pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (driver, port.trim_end_matches('.').parse().expect("a port is a number"))
}

/// Base 64 as WebDriver writes it; ignores other characters.
fn decode_base64(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for value in text.bytes().filter_map(digit) {
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_browser_only_those_who_ask_skip() {
        let skip = |wish: Option<&str>, missing: &[&str]| is_skipped(wish.map(OsStr::new), missing);
        assert!(skip(Some("1"), &["chromium"]) && skip(Some("1"), &[]));
        assert!(!skip(None, &[]) && !skip(Some("0"), &[]));
        for wish in [None, Some("0"), Some("")] {
            let refused = std::panic::catch_unwind(|| skip(wish, &["chromium", "chromedriver"]));
            let message = refused.expect_err("it fails");
            let message = message.downcast_ref::<String>().expect("a text");
            assert!(message.starts_with("chromium and chromedriver not found"), "{message}");
            assert!(message.contains("OPENCTRL_SKIP_BROWSER=1"), "{message}");
        }
    }
}
