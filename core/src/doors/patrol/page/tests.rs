//! Tests of the page and its forms.

use super::*;
use crate::doors::patrol::layout::{Layout, RFC1123Z, Zone};
use crate::doors::patrol::response::Record;
use alloc::vec::Vec;
use proptest::prelude::*;

const STARTED: Wall = Wall::from_micros(1_531_964_624_000_000);

fn later(seconds: u64) -> Wall {
    Wall::from_micros(STARTED.as_micros() + seconds * 1_000_000)
}

fn page(
    server: Server<'_>,
    error: Option<FormError>,
    apps: &[Row<'_>],
    services: &[Row<'_>],
) -> String {
    let layout = Layout::new(RFC1123Z);
    let clock = Clock { layout: &layout, zone: &|_| Zone::default() };
    render(server, later(3_723), error, apps.iter().copied(), services.iter().copied(), clock)
}

const RUNNING: Server<'static> =
    Server { instance_id: "i", started: Some(STARTED), shutdown: false };

#[test]
fn the_page_shows_apps_services_and_their_buttons() {
    let history = [Record::default(), Record::default()];
    let web = View {
        name: "Web <&> \"shop\"",
        pid: 70_000,
        started: Some(STARTED),
        last_seen: Some(later(61)),
        history: &history,
        ..View::default()
    };
    let logs = RowLogs { logged: Some(Logged::BOTH), is_merged: true, tail: "<script>\nlast" };
    let kept =
        View { name: "Kept", disabled: true, secret: true, run_once: true, ..View::default() };
    let rows = [
        Row { id: "kept", view: kept, logs: Some(RowLogs { is_merged: false, ..logs }) },
        Row { id: "web", view: web, logs: Some(logs) },
    ];
    let ssh = [Row { id: "ssh", view: View { name: "SSH", ..View::default() }, logs: None }];
    insta::assert_snapshot!(page(RUNNING, None, &rows, &ssh));
}

#[test]
fn the_state_of_the_server_and_a_failed_form_stand_above() {
    let stopping = Server { started: None, shutdown: true, ..RUNNING };
    let text = page(stopping, Some(FormError::Api(ApiError::Secret)), &[], &[]);
    let main = text.split_once("<main>").map_or("", |(_, main)| main);
    insta::assert_snapshot!(main, @r#"
    <h1>Patrol is NOT running!!!</h1>
    <h1>Patrol IS Shutting Down!!!</h1>
    <p class="warning" role="alert"><b>Secret Invalid</b></p>
    <h1>Applications NOT Found?!</h1>
    <h1>Services NOT Found?!</h1>
    </main>
    </body>
    </html>
    "#);
}

#[test]
fn nothing_of_the_page_is_inline() {
    let text = page(RUNNING, None, &[], &[]);
    assert!(!text.contains("style=") && !text.contains("<style") && !text.contains(" on"));
    assert_eq!(text.matches("<script").count(), 1);
    assert!(text.contains("<script src="));
}

fn sent(body: &str) -> Result<(&'static str, Toggle), &'static str> {
    let secret = Secret::new("s".into());
    let form = Form::parse(body.as_bytes()).map_err(FormError::as_str)?;
    let found = form.admit(|group, id| match (group, id) {
        (Group::App, "web") => Some(("web", None)),
        (Group::App, "kept") => Some(("kept", secret.as_ref())),
        (Group::Service, "ssh") => Some(("ssh", None)),
        _ => None,
    });
    found.map_err(FormError::as_str)
}

#[test]
fn forms_are_refused_in_the_order_of_the_contract() {
    let cases = [
        ("", "Toggle Invalid"),
        ("id=web&group=app&enable=", "Toggle Invalid"),
        ("id=web&group=app&unknown=1", "Toggle Invalid"),
        ("id=web&group=group&enable=1", "Unknown Group"),
        ("id=web&group=APP&enable=1", "Unknown Group"),
        ("id=WEB&group=app&enable=1", "Unknown App"),
        ("id=web&group=service&enable=1", "Unknown Service"),
        ("id=kept&group=app&enable=1", "Secret Invalid"),
        ("id=kept&group=app&enable=1&secret=x", "Secret Invalid"),
        ("id=%zz&group=app&enable=1", "Bad POST"),
        ("id=web;group=app", "Bad POST"),
    ];
    for (body, problem) in cases {
        assert_eq!(sent(body), Err(problem), "{body}");
    }
}

#[test]
fn the_first_button_counts() {
    let cases = [
        ("disable=1&enable=1", Toggle::Disable),
        ("restart=1&enable=1", Toggle::Enable),
        ("runonce-enable=1&restart=1", Toggle::Restart),
        ("runonce-disable=1&runonce-enable=1", Toggle::RunOnceEnable),
        ("runonce-disable=1", Toggle::RunOnceDisable),
    ];
    for (buttons, toggle) in cases {
        assert_eq!(sent(&format!("id=ssh&group=service&{buttons}")), Ok(("ssh", toggle)));
    }
    assert_eq!(sent("id=kept&group=app&enable=1&secret=s"), Ok(("kept", Toggle::Enable)));
}

#[test]
fn spans_read_as_go_prints_them() {
    let cases = [
        (0, "0s"),
        (7, "7µs"),
        (1_500, "1.5ms"),
        (1_000_000, "1s"),
        (61_500_000, "1m1.5s"),
        (3_600_000_000, "1h0m0s"),
        (90_061_000_001, "25h1m1.000001s"),
    ];
    for (micros, text) in cases {
        assert_eq!(duration(micros), text);
    }
}

proptest! {
    #[test]
    fn no_text_gets_out_of_its_place(name in "\\PC{0,20}", tail in "\\PC{0,20}") {
        let view = View { name: &name, ..View::default() };
        let logs = RowLogs { logged: Some(Logged::BOTH), is_merged: false, tail: &tail };
        let with = page(RUNNING, None, &[Row { id: "a", view, logs: Some(logs) }], &[]);
        let plain = View { name: "x", ..View::default() };
        let shape = |page: &str| -> Vec<char> {
            page.chars().filter(|char| matches!(char, '<' | '>' | '"')).collect()
        };
        let logs = RowLogs { tail: if tail.is_empty() { "" } else { "x" }, ..logs };
        let without = page(RUNNING, None, &[Row { id: "a", view: plain, logs: Some(logs) }], &[]);
        prop_assert_eq!(shape(&with), shape(&without));
    }

    #[test]
    fn no_form_panics(body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Form::parse(&body);
    }
}
