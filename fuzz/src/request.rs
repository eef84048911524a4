//! Requests: paths, queries and bodies.

use openctrl_core::doors::v2::{
    Answer, Method, Rejection, Secrets, admit, decode_alias, decode_create, decode_key_patch,
    decode_patch, decode_replace, ping_target, route,
};
use openctrl_core::event::EventName;
use openctrl_core::instance::TEXT_MAX_BYTES;
use openctrl_core::url::{InstanceUrl, mask_url};

use crate::choices::Choices;
use crate::patch::patch;

/// The first byte chooses how the rest is read. Whatever it is, a refusal is 4xx and has a
/// body, and what is accepted keeps to the limits; a PATCH that is built here is taken as built.
pub fn request(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    match choice % 9 {
        0 => path(&text),
        1 => check(decode_create(rest, Secrets::Masked), |(url, _)| is_kept(url)),
        2 => check(decode_replace(rest, Secrets::Shown), is_kept),
        3 => check(decode_alias(rest), |alias| {
            assert!(alias.as_ref().is_none_or(|alias| alias.len() <= TEXT_MAX_BYTES));
        }),
        4 => check(decode_patch(rest), |patch| {
            let alias = patch.alias.as_ref();
            assert!(alias.is_none_or(|alias| (1..=TEXT_MAX_BYTES).contains(&alias.len())));
            let tags = patch.meta.iter().flat_map(|meta| meta.tags.iter().flatten());
            for (key, tag) in tags {
                assert!(key.len() <= TEXT_MAX_BYTES && tag.len() <= TEXT_MAX_BYTES);
            }
        }),
        5 => check(decode_key_patch(rest), |_| {}),
        6 => check(ping_target(&text), |target| assert!(!target.is_empty())),
        8 => patch(&mut Choices::new(rest)),
        _ => {
            if let Some(name) = EventName::parse(&text) {
                assert_eq!(name.to_string(), text.trim(), "it reads back as it is printed");
            }
        }
    }
}

fn path(text: &str) {
    let Some(route) = route("/api/v2", text) else { return };
    let methods = [
        Method::Get,
        Method::Post,
        Method::Patch,
        Method::Put,
        Method::Delete,
        Method::Options,
        Method::Other,
    ];
    for method in methods {
        assert_eq!(admit(route, method, false, |_| true), Err(Rejection::NoKey));
        check(admit(route, method, true, |_| true), |_| {});
        check(admit(route, method, true, |_| false), |_| {});
    }
}

fn check<T>(result: Result<T, Rejection>, accepted: impl FnOnce(&T)) {
    match result {
        Ok(value) => accepted(&value),
        Err(refusal) => {
            let answer = Answer::from(refusal);
            assert!((400..500).contains(&answer.status), "{answer:?}");
            let body = answer.body.expect("a refusal has a body");
            let body: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
            assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()), "{body}");
        }
    }
}

fn is_kept(url: &InstanceUrl) {
    assert_eq!(InstanceUrl::parse(url.as_str()).as_ref(), Ok(url));
    let masked = mask_url(url.as_str());
    // Everything before an `@` is masked, also one in the path; what follows that need not be a host.
    let head = url.as_str().split(['?', '#']).next().unwrap_or_default();
    if head.splitn(4, '/').nth(3).is_none_or(|path| !path.contains('@')) {
        assert!(InstanceUrl::parse(&masked).is_ok(), "{masked}");
    }
    assert_eq!(mask_url(&masked), masked, "no secret is left");
}
