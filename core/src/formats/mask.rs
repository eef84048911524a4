//! Replaces texts that may be secret in a trace.
//!
//! A mask must not change the decisions of the engine. It therefore has as many bytes of JSON as
//! the text, because the size of objects is limited. Equal texts have equal masks and, within a
//! segment, different texts different ones, because a PUT of the same URL is refused. A mask is the
//! index of this text among texts of equal length in the segment. Nothing can be computed from it.
//! The mask of an alias is a name of a resource if the alias is one, and only then: names decide
//! which events of the control API there are.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;

use crate::escape::escaped_bytes;
use crate::event::is_resource_name;
use crate::ids::InstanceId;
use crate::instance::{CHECK_PARAMETERS, EXEC_PARAMETERS, WATCH, WATCH_IGNORE};

/// The masks of one segment.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    masks: BTreeMap<String, String>,
    /// How many masks of each length there are.
    counts: BTreeMap<usize, u64>,
    aliases: BTreeMap<String, String>,
    /// How many masks of aliases of each length there are, of names and of others.
    alias_counts: BTreeMap<(usize, bool), u64>,
    is_plain: bool,
}

impl Masks {
    /// Masks that hide nothing: for what never leaves the master, and for tests.
    pub(crate) fn plain() -> Self {
        Self { is_plain: true, ..Self::default() }
    }

    /// The mask of a text of which nothing may be seen but how long it is.
    pub(crate) fn text(&mut self, text: &str) -> String {
        if self.is_plain {
            return text.to_string();
        }
        if text.is_empty() {
            return String::new();
        }
        if let Some(mask) = self.masks.get(text) {
            return mask.clone();
        }
        let length = escaped_bytes(text);
        let number = self.counts.entry(length).or_default();
        let mask = numbered(*number, length);
        *number += 1;
        self.masks.insert(text.to_string(), mask.clone());
        mask
    }

    /// The mask of an alias, which may be the name of an instance.
    pub(crate) fn alias(&mut self, alias: &str) -> String {
        if self.is_plain {
            return alias.to_string();
        }
        if alias.is_empty() {
            return String::new();
        }
        if let Some(mask) = self.aliases.get(alias) {
            return mask.clone();
        }
        let length = escaped_bytes(alias);
        let is_name = is_resource_name(alias) && !InstanceId::is_like(alias);
        let number = self.alias_counts.entry((length, is_name)).or_default();
        let mask = if is_name { name(*number, length) } else { no_name(*number, length) };
        *number += 1;
        self.aliases.insert(alias.to_string(), mask.clone());
        mask
    }

    /// A URL of which scheme, host, path and the names of the query may be seen. It is still a URL
    /// if it was one.
    pub(crate) fn url(&mut self, url: &str) -> String {
        let (rest, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
        let (head, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let mut shown = self.head(head);
        // The engine takes policies from these, and they are no secrets.
        let is_exec = head.split(':').next().is_some_and(|it| it.eq_ignore_ascii_case("exec"));
        if let Some(query) = query.strip_prefix('?') {
            for (separator, pair) in
                core::iter::once('?').chain(core::iter::repeat('&')).zip(query.split('&'))
            {
                shown.push(separator);
                match pair.split_once('=') {
                    Some((name, value)) => {
                        shown.push_str(name);
                        shown.push('=');
                        let value = match is_exec {
                            true if is_policy(name) => value.to_string(),
                            // It has the mask of the alias that it names.
                            true if name == "after" && !InstanceId::is_like(value) => {
                                self.alias(value)
                            }
                            true | false => self.text(value),
                        };
                        shown.push_str(&value);
                    }
                    None => shown.push_str(&self.text(pair)),
                }
            }
        }
        if let Some(fragment) = fragment.strip_prefix('#') {
            shown.push('#');
            shown.push_str(&self.text(fragment));
        }
        shown
    }

    /// A sentence that can contain URLs.
    pub(crate) fn prose(&mut self, text: &str) -> String {
        let words = text.split_inclusive(char::is_whitespace);
        let masked = words.map(|word| {
            let (bare, end) = word.split_at(word.trim_end().len());
            self.url(bare) + end
        });
        masked.collect()
    }

    /// Masks everything before the last `@`, because passwords often contain a `/`. A `/` itself
    /// stays, otherwise another part of the URL would become its host.
    fn head(&mut self, head: &str) -> String {
        let start = match head.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => {
                scheme.len() + 1 + if rest.starts_with("//") { 2 } else { 0 }
            }
            Some(_) | None => 0,
        };
        let (scheme, rest) = head.split_at(start);
        let Some(at) = rest.rfind('@') else { return head.to_string() };
        let (user_info, host) = rest.split_at(at);
        let mut shown = scheme.to_string();
        for (index, piece) in user_info.split('/').enumerate() {
            if index > 0 {
                shown.push('/');
            }
            shown.push_str(&self.text(piece));
        }
        shown + host
    }
}

/// Whether a parameter of an `exec:` URL sets a policy or a check.
fn is_policy(name: &str) -> bool {
    let is_shown = |name: &str| {
        let is_of_files = name == WATCH || name == WATCH_IGNORE;
        is_of_files || EXEC_PARAMETERS.contains(&name) || CHECK_PARAMETERS.contains(&name)
    };
    form_urlencoded::parse(name.as_bytes()).next().is_some_and(|(name, _)| is_shown(&name))
}

const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// `number` as a name: its digits, the last one first, padded with hyphens.
fn name(mut number: u64, length: usize) -> String {
    let mut mask = vec![b'-'; length];
    for place in &mut mask {
        *place = DIGITS[(number % 62) as usize];
        number /= 62;
        if number == 0 {
            break;
        }
    }
    String::from_utf8(mask).expect("hyphens, letters and digits are ASCII")
}

/// `number` as what is no name: a sign that no name begins with, then the number.
fn no_name(number: u64, length: usize) -> String {
    // Those that `after` can have come first.
    const SIGNS: &[u8] = b"*-._~/:@!#$%()+,;=?[]^{|}";
    match length {
        0 => String::new(),
        1 => char::from(SIGNS[(number % SIGNS.len() as u64) as usize]).to_string(),
        _ => alloc::format!("*{}", numbered(number, length - 1)),
    }
}

/// `number` in this many letters and digits, padded with stars.
fn numbered(mut number: u64, length: usize) -> String {
    let mut mask = vec![b'*'; length];
    for place in mask.iter_mut().rev() {
        *place = DIGITS[(number % 62) as usize];
        number /= 62;
        if number == 0 {
            break;
        }
    }
    String::from_utf8(mask).expect("stars, letters and digits are ASCII")
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::InstanceUrl;
    use proptest::prelude::*;

    #[test]
    fn a_url_shows_where_it_leads_and_no_secret() {
        let mut masks = Masks::default();
        for (url, shown) in [
            ("demo://h:1/p", "demo://h:1/p"),
            ("demo://me:hush@h/p?key=hush2&flag#frag", "demo://******0@h/p?key=****0&***0#***1"),
            ("demo://me:hu/sh@h", "demo://****1/*0@h"),
            ("demo://other:x@h", "demo://******1@h"),
            ("mailto:joe@example.org?a=", "mailto:**0@example.org?a="),
            ("exec:sh?arg=-c&arg=x=1&user=me", "exec:sh?arg=*1&arg=**1&user=me"),
            ("exec:sh?after=on&ready=after:5", "exec:sh?after=0-&ready=after:5"),
        ] {
            assert_eq!(masks.url(url), shown);
        }
        assert_eq!(masks.prose("cannot run a://u:p@h?x=yz\nnow"), "cannot run a://**2@h?x=*2\nnow");
    }

    #[test]
    fn the_mask_of_a_name_is_a_name() {
        let mut masks = Masks::default();
        for (alias, shown) in [
            ("web", "0--"),
            ("db2", "1--"),
            ("web", "0--"),
            ("a b", "**0"),
            ("x", "0"),
            (" ", "*"),
            ("-", "-"),
            ("0badcafe", "*******0"),
            ("", ""),
        ] {
            assert_eq!(masks.alias(alias), shown);
        }
    }

    #[test]
    fn a_mask_is_as_long_as_the_text_in_json() {
        for text in ["", "x", "\"quoted\"\n", "\u{1}\u{7f}é", "back\\slash\u{8}"] {
            let json = serde_json::to_string(text).expect("a string");
            assert_eq!(escaped_bytes(text), json.len() - 2, "{text:?}");
            assert_eq!(Masks::default().text(text).len(), json.len() - 2);
        }
    }

    fn urls() -> impl Strategy<Value = String> {
        "(a|demo):(//)?[a-c:/@?#&=%\"\\\\\\[\\] é]{0,24}"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn a_masked_url_is_a_url_of_the_same_length(texts in prop::collection::vec(urls(), 1..6)) {
            let mut masks = Masks::default();
            let mut seen = BTreeMap::new();
            for text in &texts {
                let Ok(url) = InstanceUrl::parse(text) else { continue };
                let masked = masks.url(url.as_str());
                prop_assert_eq!(escaped_bytes(&masked), escaped_bytes(url.as_str()));
                let again = InstanceUrl::parse(&masked);
                prop_assert_eq!(again.as_ref().map(InstanceUrl::as_str), Ok(&*masked), "{}", text);
                let earlier = seen.insert(masked, text.clone());
                prop_assert!(earlier.is_none_or(|earlier| earlier == *text), "{}", text);
            }
        }
    }
}
