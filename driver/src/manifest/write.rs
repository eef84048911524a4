//! A manifest as TOML.

use std::path::Path;

use super::entry::{Entry, Program, Restart};
use super::env_file::EnvFile;
use super::file::Manifest;

/// The manifest as a file that [`super::read()`] reads back. Texts are written unchanged: the
/// caller escapes texts that are not templates.
pub(crate) fn write(manifest: &Manifest) -> String {
    let mut text = String::new();
    if let Some(name) = &manifest.name {
        text.push_str(&format!("name = {}\n", quoted(name)));
    }
    for (name, entry) in &manifest.instances {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("[instance.{}]\n", key(name)));
        write_entry(&mut text, entry);
    }
    text
}

fn write_entry(text: &mut String, entry: &Entry) {
    let mut line = |name: &str, value: String| text.push_str(&format!("{name} = {value}\n"));
    match &entry.program {
        Program::Url(url) => line("url", quoted(url)),
        Program::Shell(shell) => line("shell", quoted(shell)),
        Program::Command(words) => {
            line("command", list(words.iter().map(String::as_str)));
        }
    }
    if let Some(cwd) = &entry.cwd {
        line("cwd", quoted(&shown(cwd)));
    }
    if !entry.env_file.is_empty() {
        let files: Vec<String> = entry.env_file.iter().map(env_file).collect();
        line("env_file", format!("[{}]", files.join(", ")));
    }
    if entry.restart != Restart::OnFailure {
        line("restart", quoted(entry.restart.word()));
    }
    for (name, value) in &entry.policy {
        line(name, quoted(value));
    }
    if !entry.after.is_empty() {
        line("after", list(entry.after.iter().map(String::as_str)));
    }
    if !entry.watch.is_empty() {
        let paths: Vec<String> = entry.watch.iter().map(|path| shown(path)).collect();
        line("watch", list(paths.iter().map(String::as_str)));
    }
    if !entry.watch_ignore.is_empty() {
        line("watch_ignore", list(entry.watch_ignore.iter().map(String::as_str)));
    }
    let secrets: Vec<(String, String)> =
        entry.secrets.iter().map(|(name, source)| (name.clone(), source.to_string())).collect();
    let peer = ["sid", "type", "alias"].into_iter().zip(&entry.peer);
    let peer: Vec<(String, String)> = peer
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    let own = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
    };
    for (name, pairs) in
        [("env", own(&entry.env)), ("secrets", secrets), ("tags", own(&entry.tags)), ("peer", peer)]
    {
        if !pairs.is_empty() {
            line(name, table(&pairs));
        }
    }
}

fn env_file(file: &EnvFile) -> String {
    let path = quoted(&file.path);
    if file.is_required { path } else { format!("{{ path = {path}, required = false }}") }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", words.map(quoted).collect::<Vec<_>>().join(", "))
}

fn table(pairs: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{} = {}", key(name), quoted(value));
    format!("{{ {} }}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
}

fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut whole = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => whole.extend(['\\', c]),
            '\n' => whole.push_str("\\n"),
            '\t' => whole.push_str("\\t"),
            '\r' => whole.push_str("\\r"),
            c if c.is_control() => whole.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => whole.push(c),
        }
    }
    whole + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Manifest, read};
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let text = || "[^\u{0}$]{0,6}";
        let map = || btree_map("[A-Za-z_]{1,4}", text(), 0..3);
        let program = prop_oneof![
            vec("[^\u{0}$]{1,6}", 1..4).prop_map(Program::Command),
            "[^\u{0}$]{1,6}".prop_map(Program::Shell),
        ];
        let restart =
            prop_oneof![Just(Restart::OnFailure), Just(Restart::Never), Just(Restart::Always)];
        (program, restart, map(), map(), proptest::option::of("/[^\u{0}$]{1,6}"), text()).prop_map(
            |(program, restart, env, tags, cwd, alias)| Entry {
                program,
                restart,
                env,
                tags,
                cwd: cwd.map(Into::into),
                peer: [String::new(), String::new(), alias],
                ..Entry::default()
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            name in proptest::option::of("[a-z.\" ]{0,4}[a-z]"),
            instances in btree_map("[a-z][a-z.\" ]{0,4}[a-z]", entry(), 0..3),
        ) {
            let name = name.map(|name| name.trim().to_owned());
            let manifest = Manifest { name, instances };
            let text = write(&manifest);
            let read = read(Path::new("/x/f.toml"), &text, &|_| None);
            prop_assert_eq!(read, Ok(manifest), "{}", text);
        }
    }
}
