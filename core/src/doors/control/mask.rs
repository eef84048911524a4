//! URLs without their secrets: the user-info, the values of parameters that hold one, and those of
//! environment variables (control contract A "Resource").

use alloc::string::String;

use super::query::decode_path;

/// The replacement of a secret.
const MASK: &str = "***";

/// A parameter whose name has one of these in it holds a secret.
const SECRET_WORDS: [&str; 9] =
    ["token", "password", "passwd", "passphrase", "secret", "key", "credential", "auth", "pwd"];

/// `url` as it may be shown. Everything else stays byte for byte.
pub(super) fn mask_url(url: &str) -> String {
    let (rest, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let (rest, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let mut shown = mask_user_info(rest);
    mask_pairs(query, &mut shown);
    mask_pairs(fragment, &mut shown);
    shown
}

/// All before the last `@` is taken for user-info, as passwords with an unescaped `/` are common.
fn mask_user_info(head: &str) -> String {
    let start = head.find(':').map_or(0, |colon| {
        let after = colon + 1;
        if head[after..].starts_with("//") { after + 2 } else { after }
    });
    match head[start..].rfind('@') {
        None => String::from(head),
        Some(at) => [&head[..start], MASK, &head[start + at..]].concat(),
    }
}

fn mask_pairs(pairs: &str, shown: &mut String) {
    for pair in pairs.split_inclusive(['?', '&', ';', '#']) {
        let bare = pair.trim_end_matches(['?', '&', ';', '#']);
        match bare.split_once('=').and_then(|(name, value)| hidden_part(name, value)) {
            Some(hidden) => {
                shown.push_str(&bare[..bare.len() - hidden.len()]);
                shown.push_str(MASK);
            }
            None => shown.push_str(bare),
        }
        shown.push_str(&pair[bare.len()..]);
    }
}

/// The end of a parameter's value that is not shown: of `env=NAME=VALUE` the second value.
fn hidden_part<'a>(name: &str, value: &'a str) -> Option<&'a str> {
    if decode_path(name) != "env" {
        return is_secret(name).then_some(value);
    }
    // Whichever comes first separates the name from the value.
    let pairs = ["=", "%3D", "%3d"].into_iter().filter_map(|equals| value.split_once(equals));
    let pair = pairs.min_by_key(|(name, _)| name.len());
    pair.map(|(_, hidden)| hidden)
}

fn is_secret(name: &str) -> bool {
    let name = decode_path(name).to_lowercase();
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

    proptest! {
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
