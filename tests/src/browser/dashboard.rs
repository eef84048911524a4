//! The page as a user works with it: logging in, finding a row, opening an instance.

use serde_json::{Value, json};

use super::Browser;

impl Browser {
    /// Opens the page and enters the key; waits until the list is live.
    pub fn log_in(&self, url: &str, key: &str) {
        self.open(url);
        self.enter_key(key);
        self.wait_live();
    }

    /// Enters a key where the page asks for one.
    pub fn enter_key(&self, key: &str) {
        self.wait("the key to be asked for", "!document.querySelector('#login').hidden");
        self.paste("#login-key", key);
        self.click("#login-submit");
    }

    /// Waits until the page has its event stream.
    pub fn wait_live(&self) {
        let live = "document.querySelector('#connection').dataset.state === 'live'";
        self.wait("the connection to be live", live);
    }

    /// Waits until the row of this name shows this status.
    pub fn wait_row(&self, name: &str, status: &str) {
        let expression = "[...document.querySelectorAll('.rows .row:not([hidden])')].some((row) => \
            (row.querySelector('.alias').textContent === arguments[0] \
              || row.dataset.id === arguments[0]) \
            && row.querySelector('.status').dataset.status === arguments[1])";
        let values = [json!(name), json!(status)];
        self.wait_with(&format!("the row {name} to be {status}"), expression, &values);
    }

    /// The names in the list, in its order, of the rows that are drawn.
    pub fn names(&self) -> Vec<String> {
        let body = "return [...document.querySelectorAll('.rows .row:not([hidden])')] \
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex) \
            .map((row) => row.querySelector('.alias').textContent || row.dataset.id)";
        let names = self.script(body, &[]);
        let name = |name: &Value| name.as_str().unwrap_or("").to_owned();
        names.as_array().map(|names| names.iter().map(name).collect()).unwrap_or_default()
    }

    /// Waits until the list shows these and no others.
    pub fn wait_names(&self, expected: &[&str]) {
        crate::until(&format!("the list to show {expected:?}"), || self.names() == expected);
    }

    /// Opens an instance by a click on its row.
    pub fn open_row(&self, id: &str) {
        self.click(&format!("#row-{id} .c-name"));
        self.wait_text("#detail .detail-sub .id", id);
    }

    /// Creates an instance in the form, and waits until it is open.
    pub fn create(&self, url: &str, alias: &str) -> String {
        self.click("#create");
        self.paste("#create-url", url);
        self.paste("#create-alias", alias);
        self.click("#create-form .primary");
        self.wait_text("#detail-title", alias);
        self.text("#detail .detail-sub .id")
    }

    /// Says yes to the question that is asked.
    pub fn confirm(&self) {
        self.click("dialog[open] button[value=yes]");
    }
}
