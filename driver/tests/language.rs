//! The pages, the help and many comments use plain technical English: phrases that readers stumbled
//! over, coined words and British spellings do not come back.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose comments are checked like pages.
const COMMENTED: [&str; 4] = ["tests", "fuzz/src", "core/src/engine/stories", "driver/page"];

/// Phrases that no page has, each with what to write instead.
const REPLACED: [(&str, &str); 43] = [
    ("all the same", "still"),
    ("anew", "again"),
    ("are gone", "have exited, are deleted or are discarded"),
    ("are told", "receive, or are reported to"),
    ("at leisure", "when no longer needed"),
    ("be told", "receive, or be reported to"),
    ("beforehand", "in advance"),
    ("behaviour", "behavior"),
    ("colour", "color"),
    ("dialled", "dialed"),
    ("for ever", "indefinitely"),
    ("for good", "permanently"),
    ("go on", "continue, or keep running"),
    ("goes on", "continues, or keeps running"),
    ("honour", "honor"),
    ("in the box", "built-in"),
    ("is gone", "has exited, is deleted or is discarded"),
    ("is none that", "is not a"),
    ("is told", "receives, or is reported to"),
    ("is worth nothing", "stops working"),
    ("it is no", "it is not a"),
    ("let in", "admitted"),
    ("licence", "license"),
    ("live on", "keep running"),
    ("lives on", "keeps running"),
    ("nobody", "no client, no user"),
    ("once more", "again"),
    ("passed over", "ignored"),
    ("recognised", "recognized"),
    ("signalled", "signaled"),
    ("so many", "this many, or the maximum number of"),
    ("somebody", "a client, a user"),
    ("such a one", "such a master"),
    ("taken for", "read as"),
    ("tells nothing", "shows nothing, or does not change"),
    ("told of", "reported"),
    ("unasked", "without a request"),
    ("what became of", "state, result, or facts about"),
    ("what comes", "new events, new lines, the next step"),
    ("what is to be", "pending"),
    ("what is wanted", "the desired state"),
    ("who has the", "everyone with the"),
    ("whoever", "everyone who, anyone who"),
];

#[test]
fn pages_and_help_use_plain_words() {
    let mut found = Vec::new();
    let pages = pages();
    assert!(pages.len() > 30, "the pages are found: {}", pages.len());
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page is UTF-8");
        found.extend(text.lines().enumerate().flat_map(|(at, line)| wrong(&page, at, line)));
    }
    assert!(found.is_empty(), "{} phrases to replace:\n{}", found.len(), found.join("\n"));
}

#[test]
fn comments_use_plain_words() {
    let (mut found, mut comments) = (Vec::new(), 0);
    let folders = COMMENTED.map(|folder| root().join(folder));
    for file in files(folders, &["rs", "js", "css"]) {
        let text = fs::read_to_string(&file).expect("a source is UTF-8");
        for (at, line) in text.lines().enumerate() {
            let Some(comment) = comment(line) else { continue };
            comments += 1;
            found.extend(wrong(&file, at, comment));
        }
    }
    assert!(comments > 2_000, "the comments are found: {comments}");
    assert!(found.is_empty(), "{} phrases to replace:\n{}", found.len(), found.join("\n"));
}

/// The comment in a line of Rust, JavaScript or CSS.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let whole = ["//", "/*", "* "].into_iter().find_map(|start| line.strip_prefix(start));
    whole.or_else(|| line.split_once(" // ").map(|(_, comment)| comment))
}

/// The phrases of the list in a line, each with its place and what to write instead.
fn wrong(file: &Path, at: usize, line: &str) -> Vec<String> {
    let shown = file.strip_prefix(root()).expect("a file of the repository").display();
    let found = phrases(line).into_iter();
    found
        .map(|(phrase, instead)| format!("{shown}:{}: {phrase:?}; write: {instead}", at + 1))
        .collect()
}

#[test]
fn phrases_are_found_as_whole_words_outside_of_links() {
    let of = |line| phrases(line).into_iter().map(|(phrase, _)| phrase).collect::<Vec<_>>();
    assert_eq!(of("It goes on for ever."), ["for ever", "goes on"]);
    assert_eq!(of("Nobody's key"), ["nobody"]);
    assert!(of("an onlooker for every page, or category of goods").is_empty());
    assert!(of("[leftovers](0009-recognised-what-comes.md)").is_empty());
}

/// The phrases of the list that a line has, but for the targets of links.
fn phrases(line: &str) -> Vec<(&'static str, &'static str)> {
    let targets = line.split("](").enumerate();
    let line: String = targets
        .map(|(index, part)| match index {
            0 => part,
            _ => part.split_once(')').map_or("", |(_, rest)| rest),
        })
        .collect();
    let line = line.to_lowercase();
    REPLACED.into_iter().filter(|(phrase, _)| has_words(&line, phrase)).collect()
}

fn has_words(line: &str, phrase: &str) -> bool {
    line.match_indices(phrase).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + phrase.len()..].chars().next();
        let is_part = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        !is_part(before) && !is_part(after)
    })
}

/// The pages at the root, those below `docs/`, and the help of every command.
fn pages() -> Vec<PathBuf> {
    let names = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    let mut pages: Vec<PathBuf> = names.iter().map(|name| root().join(name)).collect();
    let help = "src/client/snapshots/openctrl__client__pages__tests__every_help_page.snap";
    pages.push(Path::new(env!("CARGO_MANIFEST_DIR")).join(help));
    pages.extend(files([root().join("docs")], &["md"]));
    pages
}

/// The files in these folders and below with one of these extensions.
fn files(folders: impl IntoIterator<Item = PathBuf>, extensions: &[&str]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = folders.into_iter().collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry of it").path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
                files.push(path);
            }
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package folder").to_owned()
}
