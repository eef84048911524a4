//! URLs without their secrets: the user-info, the values of parameters that hold one, and those of
//! environment variables (control contract A "Resource").
//!
//! Owns: which parts of the URL of an instance are secret. Does not own: who may see them.

use alloc::borrow::Cow;
use alloc::string::String;

use percent_encoding::percent_decode_str;

/// The replacement of a secret.
pub const MASK: &str = "***";

/// A parameter whose name has one of these in it holds a secret.
const SECRET_WORDS: [&str; 9] =
    ["token", "password", "passwd", "passphrase", "secret", "key", "credential", "auth", "pwd"];

/// `url` as it may be shown. Everything else stays byte for byte.
pub fn mask_url(url: &str) -> String {
    let mut shown = String::with_capacity(url.len());
    let mut rest = 0;
    for Secret { start, end, .. } in secrets(url) {
        shown.push_str(&url[rest..start]);
        shown.push_str(MASK);
        rest = end;
    }
    shown.push_str(&url[rest..]);
    shown
}

/// The name of a part of the URL that has the mask instead of a secret, as in a URL that was
/// copied from where it is masked.
pub fn masked_part(url: &str) -> Option<String> {
    // Clients may escape it.
    let is_mask = |secret: &Secret<'_>| decode(&url[secret.start..secret.end]) == MASK;
    let name = decode(secrets(url).find(is_mask)?.name);
    Some(String::from(name.trim_end_matches('=')))
}

/// A part of a URL that is not shown.
struct Secret<'a> {
    /// The text before it that names it, encoded.
    name: &'a str,
    start: usize,
    end: usize,
}

/// The secrets of a URL, in order.
fn secrets(url: &str) -> impl Iterator<Item = Secret<'_>> {
    let head = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let pairs = url[head.len()..].split_inclusive(SEPARATORS);
    let parameters = pairs.scan(head.len(), |at, pair| {
        let start = *at;
        *at += pair.len();
        Some(secret_of_pair(start, pair.trim_end_matches(SEPARATORS)))
    });
    user_info(head).into_iter().chain(parameters.flatten())
}

/// What stands between parameters.
const SEPARATORS: [char; 4] = ['?', '&', ';', '#'];

/// All before the last `@` is taken for user-info, as passwords with an unescaped `/` are common.
fn user_info(head: &str) -> Option<Secret<'_>> {
    let (scheme, rest) = head.split_once(':').unwrap_or(("", head));
    let authority = rest.strip_prefix("//");
    // A command has no user, and its path may have an @.
    if authority.is_none() && scheme.eq_ignore_ascii_case("exec") {
        return None;
    }
    let rest = authority.unwrap_or(rest);
    let start = head.len() - rest.len();
    Some(Secret { name: "user-info", start, end: start + rest.rfind('@')? })
}

/// The secret in a parameter at `start`.
fn secret_of_pair(start: usize, pair: &str) -> Option<Secret<'_>> {
    let (name, value) = pair.split_once('=')?;
    let hidden = hidden_part(name, value)?;
    let name = &pair[..pair.len() - hidden.len()];
    Some(Secret { name, start: start + name.len(), end: start + pair.len() })
}

/// The end of a parameter's value that is not shown: of `env=NAME=VALUE` the second value.
fn hidden_part<'a>(name: &str, value: &'a str) -> Option<&'a str> {
    if decode(name) != "env" {
        return is_secret(name).then_some(value);
    }
    // Whichever comes first separates the name from the value.
    let pairs = ["=", "%3D", "%3d"].into_iter().filter_map(|equals| value.split_once(equals));
    let pair = pairs.min_by_key(|(name, _)| name.len());
    pair.map(|(_, hidden)| hidden)
}

fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn is_secret(name: &str) -> bool {
    let name = decode(name).to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        for (url, shown) in [
            ("demo://h:1/p?a=1#f", "demo://h:1/p?a=1#f"),
            ("demo://u:p@h/p?a=1&token=x&b=2", "demo://***@h/p?a=1&token=***&b=2"),
            ("demo://u:p/w@h", "demo://***@h"),
            ("mailto:joe@example.org", "mailto:***@example.org"),
            ("exec:/opt/tool@2?arg=a@b", "exec:/opt/tool@2?arg=a@b"),
            ("exec://u:p@h", "exec://***@h"),
            ("demo://h?API_KEY=x&Password=&secret", "demo://h?API_KEY=***&Password=***&secret"),
            ("demo://h?client%5Fsecret=x=y", "demo://h?client%5Fsecret=***"),
            ("demo://h?a=1;key=x#token=y", "demo://h?a=1;key=***#token=***"),
            ("demo://h?a=b?token=x", "demo://h?a=b?token=***"),
            (
                "exec:x?env=A=b=c&env=D%3De&env=F%3dg%3D=&x=1",
                "exec:x?env=A=***&env=D%3D***&env=F%3d***&x=1",
            ),
            ("exec:x?env=A&env=&%65nv=B=c&envy=d=e", "exec:x?env=A&env=&%65nv=B=***&envy=d=e"),
        ] {
            assert_eq!(mask_url(url), shown);
        }
    }

    #[test]
    fn a_mask_in_the_place_of_a_secret_is_named() {
        for (url, name) in [
            ("demo://h?x=***&path=***", None),
            ("demo://***@h?token=x", Some("user-info")),
            ("demo://h?a=1&token=***", Some("token")),
            ("exec:x?env=A=b&env=C=***", Some("env=C")),
            ("exec:x?env=C%3D***", Some("env=C")),
            ("exec:x?env=C%3D%2A%2a*", Some("env=C")),
            ("exec:x?env=C=****", None),
            ("exec:x?secret=A=file:/run/a", None),
        ] {
            assert_eq!(masked_part(url).as_deref(), name, "{url}");
        }
    }

    proptest! {
        #[test]
        fn what_was_masked_is_found(text in "(demo|exec):(//)?[a-c:/@?&=;#]{0,6}(env=A=|key=)?[a-c&]{0,4}") {
            let shown = mask_url(&text);
            prop_assert_eq!(masked_part(&shown).is_some(), shown != text, "{}", text);
            prop_assert_eq!(mask_url(&shown), shown.clone());
        }

        #[test]
        fn no_secret_is_shown(
            user in "[a-z]{0,4}:s3cr3t",
            name in "[a-z]{0,3}(token|PASSWORD|Secret|key)[a-z]{0,3}",
            other in "[a-z&=?;]{0,12}",
        ) {
            let url = alloc::format!("demo://{user}@host/p?{other}&{name}=s3cr3t&x=1");
            let shown = mask_url(&url);
            prop_assert!(!shown.contains("s3cr3t"), "{}", shown);
            prop_assert!(shown.ends_with("&x=1") && shown.contains("@host/p?"));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = mask_url(&text);
        }
    }
}
