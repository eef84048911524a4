//! Variables in files: `${NAME}` in texts, and files of `NAME=VALUE` lines.

use std::collections::BTreeMap;

use super::file::ManifestError;

/// Substitutes `${NAME}` and `${NAME:-DEFAULT}`; `$${` is `${`. Any other `$` stays.
///
/// # Errors
/// The variable that is not set, or the unknown syntax.
pub(super) fn expand(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            whole.push_str(before);
            whole.push_str("${");
            rest = &from[2..];
            continue;
        }
        whole.push_str(before);
        let Some((inside, after)) = from[2..].split_once('}') else {
            return Err("${ without a }; write $${ if it is meant as it stands".to_owned());
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err(format!(
                "${{{inside}}} is not a variable; write ${{NAME}} or ${{NAME:-default}}, or $${{ for \
                 a ${{ as it stands"
            ));
        }
        let found = value(name).filter(|found| default.is_none() || !found.is_empty());
        match found.as_deref().or(default) {
            Some(found) => whole.push_str(found),
            None => {
                return Err(format!(
                    "${{{name}}} is not set; set it, or write ${{{name}:-default}}"
                ));
            }
        }
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

/// The text that [`expand`] turns back into this one.
pub(crate) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

/// Reads `NAME=VALUE` lines: `#` starts a comment line, `export` before a name is dropped, and a
/// value may be quoted. In double quotes `\n`, `\t`, `\"` and `\\` are escapes.
///
/// # Errors
/// The invalid line.
pub(super) fn parse_env_file(text: &str) -> Result<BTreeMap<String, String>, ManifestError> {
    let mut all = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |reason: &str| ManifestError::new(format!("line {}", index + 1), reason);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) =
            line.split_once('=').ok_or_else(|| wrong("write NAME=VALUE, or # before a comment"))?;
        let name = name.trim_end();
        if !is_name(name) {
            return Err(wrong("a name has letters, digits and _, and begins with no digit"));
        }
        let value = unquote(value.trim()).ok_or_else(|| wrong("a quote is not closed"))?;
        all.insert(name.to_owned(), value);
    }
    Ok(all)
}

/// Whether a variable may have this name.
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(is_first) && bytes.all(|byte| is_first(byte) || byte.is_ascii_digit())
}

fn unquote(value: &str) -> Option<String> {
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        // A comment needs a space before it, so that colors and URLs are whole.
        let end = value.find(" #").unwrap_or(value.len());
        return Some(value[..end].trim_end().to_owned());
    };
    let mut text = String::new();
    let mut rest = value[1..].chars();
    loop {
        match rest.next()? {
            c if c == quote => break,
            '\\' if quote == '"' => match rest.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                c @ ('"' | '\\' | '$') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
    let after = rest.as_str().trim_start();
    (after.is_empty() || after.starts_with('#')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand(text, &|name| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_put_in() {
        assert_eq!(expanded("x${A}y$A $$").as_deref(), Ok("x1y$A $$"));
        assert_eq!(expanded("${EMPTY}${EMPTY:-d}${NO:-}${NO:-a-b}").as_deref(), Ok("da-b"));
        assert_eq!(expanded("$${A} $$${A}").as_deref(), Ok("${A} $${A}"));
        for bad in ["${NO}", "${", "${A", "${}", "${A b}", "${1}"] {
            assert!(expanded(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_stays_as_it_is(text in "[a-c${}:-]{0,12}") {
            proptest::prop_assume!(!text.contains("$${"));
            proptest::prop_assert_eq!(expanded(&escape(&text)), Ok(text));
        }
    }

    #[test]
    fn files_of_variables_are_read() {
        let text = "# c\n\nA=1\nexport B = two words # comment\nC=\"q \\\"x\\\" # \\n\" # c\nD='$x'\nE=\n\
                    F=a#b\n";
        let all = parse_env_file(text).expect("a good file");
        let shown: Vec<String> =
            all.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        A="1"
        B="two words"
        C="q \"x\" # \n"
        D="$x"
        E=""
        F="a#b"
        "#);
        for bad in ["A", "=1", "1A=1", "A=\"x", "A='x' y", "A B=1"] {
            assert!(parse_env_file(bad).is_err(), "{bad}");
        }
    }
}
