//! The Patrol door: configurations, requests and datagrams.

use openctrl_core::doors::patrol::access::{Via, admit};
use openctrl_core::doors::patrol::config::{Config, Reader};
use openctrl_core::doors::patrol::label::Label;
use openctrl_core::doors::patrol::launch::{Launch, LogFiles, Logged, log_root};
use openctrl_core::doors::patrol::layout::{Layout, Zone};
use openctrl_core::doors::patrol::listing::{LogQuery, folder, place};
use openctrl_core::doors::patrol::page::Form;
use openctrl_core::doors::patrol::request::Request;
use openctrl_core::doors::patrol::response::{Clock, Reply, View, datagram, http};
use openctrl_core::doors::patrol::values::KeyValues;
use openctrl_core::doors::patrol::{access, path};
use openctrl_core::instance::{Cas, Desired, Section};
use openctrl_core::time::Wall;

/// A file that is accepted keeps every limit, and each of its apps can be launched below its own
/// working directory; a refusal is one line.
pub fn patrol_config(data: &[u8]) {
    let reader = Reader { home: Some("/home/op"), defaults: true };
    let config = match Config::load(data, reader) {
        Ok(loaded) => loaded.config,
        Err(error) => {
            assert!(!error.problem.is_empty());
            assert!(matches!(error.stage.exit_status(), 254 | 255));
            return;
        }
    };
    assert!(!config.apps.is_empty() || !config.services.is_empty());
    assert!((5..=120).contains(&config.tick_every_s) && (5..=1_000).contains(&config.history));
    assert!((5..=180).contains(&config.ping_timeout_s));
    for (id, app) in &config.apps {
        assert_eq!(Label::parse(id.as_str()).as_ref(), Ok(id));
        let launch = Launch::new(id, app, &config.listen_http, &config.listen_udp);
        assert!(launch.argv[0].starts_with('/') && path::is_clean(&launch.argv[0]));
        let environment = launch.environment(["PATROL_ID=parent".to_owned()]);
        assert!(environment.contains(&format!("PATROL_ID={id}")));
        let root = log_root(app);
        let at = Wall::from_micros(1);
        let files = LogFiles::new(&root, app.std_merge, Logged::BOTH, at, &Zone::default());
        assert_eq!(files.stdout == files.stderr, app.std_merge);
    }
}

/// The first byte chooses how the rest is read: as a query, a body, a form, an address of a
/// log. None panics, and a request changes the CAS by at most one.
pub fn patrol_request(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    match choice % 5 {
        0 => answer(&Request::from_query(&text), Via::Http),
        1 => {
            if let Ok(request) = Request::from_json(rest) {
                answer(&request, Via::Http);
            }
        }
        2 => {
            let _ = Form::parse(rest).map(|form| form.admit(|_, _| Some(((), None))));
        }
        3 => {
            if let Ok(place) = place(&text) {
                assert!(place.starts_with('/') && place.split('/').all(|part| part != ".."));
                let query = LogQuery::parse(&text);
                let page = folder(&place, &query, [(text.as_ref(), true)]);
                assert_eq!(page.matches("<a href=\"").count(), 2, "{page}");
            }
        }
        _ => {
            let layout = Layout::new(text);
            let _ = (layout.render(Wall::from_micros(1), &Zone::default()), layout.has_fraction());
        }
    }
}

/// A datagram gets a reply of one line of JSON, or none.
pub fn patrol_datagram(data: &[u8]) {
    if let Ok(request) = Request::from_json(data) {
        answer(&request, Via::Udp);
    }
}

/// Applies a request to an app that begins with CAS 7, and renders the replies.
fn answer(request: &Request, via: Via) {
    let target = access::Target { keep_alive: None, secret: None };
    let Ok(((), _)) = admit(request, via, |_, _| Some(((), target))) else { return };
    let mut desired = Desired { cas: Cas(7), ..Desired::default() };
    let mut section = Section::new(&mut desired);
    let admits = section.admits(Cas(request.cas));
    assert_eq!(admits, matches!(request.cas, 0 | 7));
    section.edit_values(&access::values_edit(request));
    if let Some(toggle) = access::toggle(request.toggle) {
        section.toggle(toggle, false);
    }
    let changed = section.end();
    assert_eq!(desired.cas, Cas(7 + u64::from(changed)));
    let values = KeyValues::from_texts(&desired.values);
    assert_eq!(values.to_texts(), desired.values);
    let view = View { values: Some(&values), cas: desired.cas.0, ..View::default() };
    let group = access::Group::parse(&request.group).expect("it was admitted");
    let reply = Reply { id: &request.id, group, shutdown: false, cas_invalid: !admits, view };
    let layout = Layout::new("");
    let clock = Clock { layout: &layout, zone: &|_| Zone::default() };
    for text in [http(&reply, true, clock), datagram(&reply, clock)] {
        let value: serde_json::Value = serde_json::from_str(&text).expect("a reply is JSON");
        assert_eq!(value["cas"], desired.cas.0);
    }
}
