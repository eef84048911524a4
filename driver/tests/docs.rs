//! The documents name files and headings that exist, the code map names every source file, and the
//! sections of the contract that sources cite exist.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The packages whose sources the code map has to name.
const PACKAGES: [&str; 5] = ["core", "driver", "sim", "tests", "fuzz"];

/// The kinds of files in which the contract is cited.
const CITING: [&str; 3] = ["rs", "js", "md"];

/// The folders of a package that hold sources.
const SOURCES: [&str; 4] = ["src", "tests", "benches", "fuzz_targets"];

#[test]
fn the_code_map_names_what_exists() {
    let exists =
        |entry: &String| root().join(entry).exists() || root().join(format!("{entry}.rs")).exists();
    let missing: Vec<String> = code_map().into_iter().filter(|entry| !exists(entry)).collect();
    assert!(
        missing.is_empty(),
        "docs/contributors/ARCHITECTURE.md names what is not there: {missing:?}"
    );
}

#[test]
fn the_code_map_names_every_source_file() {
    let entries = code_map();
    let is_named = |file: &String| entries.iter().any(|entry| covers(entry, file));
    let unnamed: Vec<String> = sources().into_iter().filter(|file| !is_named(file)).collect();
    assert!(
        unnamed.is_empty(),
        "docs/contributors/ARCHITECTURE.md does not name {unnamed:?}: add a line each"
    );
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page that was just listed");
        let folder = page.parent().expect("a page lies in a folder");
        for Link { file, .. } in links(&text) {
            if !normal(&folder.join(&file)).exists() {
                broken.push(format!("{}: {file}", shown(&page)));
            }
        }
    }
    assert!(broken.is_empty(), "links to files that are not there: {broken:?}");
}

#[test]
fn every_fragment_leads_to_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page that was just listed");
        let folder = page.parent().expect("a page lies in a folder");
        for Link { file, fragment } in links(&text) {
            let target = if file.is_empty() { page.clone() } else { normal(&folder.join(&file)) };
            let leads = || anchors(&fs::read_to_string(&target).unwrap_or_default());
            if !fragment.is_empty() && !leads().contains(&fragment) {
                broken.push(format!("{}: {file}#{fragment}", shown(&page)));
            }
        }
    }
    assert!(broken.is_empty(), "links to headings that are not there: {broken:?}");
}

#[test]
fn every_section_of_the_contract_that_is_cited_exists() {
    let contract =
        fs::read_to_string(root().join("docs/contributors/CONTRACT.md")).expect("the contract");
    let sections: Vec<u32> = prose(&contract)
        .filter_map(|line| line.strip_prefix("## ")?.split_once(". ")?.0.parse().ok())
        .collect();
    assert_eq!(sections, (1..=12).collect::<Vec<u32>>(), "the numbers of sections never change");
    let mut files = Vec::new();
    for folder in PACKAGES.iter().chain(&["docs"]) {
        CITING.iter().for_each(|extension| walk(&root().join(folder), extension, &mut files));
    }
    let (mut citing, mut unknown) = (0, Vec::new());
    for file in files {
        let cited = cited_sections(&fs::read_to_string(&file).expect("a source is UTF-8"));
        citing += usize::from(!cited.is_empty());
        let missing = cited.into_iter().filter(|section| !sections.contains(section));
        unknown.extend(missing.map(|section| format!("{}: §{section}", shown(&file))));
    }
    assert!(citing > 50, "the citations cannot be found: {citing} files");
    assert!(
        unknown.is_empty(),
        "docs/contributors/CONTRACT.md does not have these sections: {unknown:?}"
    );
}

#[test]
fn the_readme_counts_the_canaries() {
    let read = |file: &str| fs::read_to_string(root().join(file)).expect("a file of the project");
    let readme = read("README.md");
    let (_, rest) = readme.split_once("It must find ").expect("the sentence");
    let said: usize = rest.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    assert_eq!(said, read("core/src/canary.rs").matches(" => \"").count());
}

/// Variants are numbered by their place: one that is added shifts nothing, and one that the page
/// leaves out makes every later number wrong.
#[test]
fn the_page_on_traces_numbers_every_input() {
    let page = fs::read_to_string(root().join("docs/operators/TRACE.md")).expect("the page");
    let row = page.lines().find(|line| line.starts_with("| `Input` | variant 0,"));
    let row = row.expect("a row of inputs").replace("variant 0,", "; 0,");
    // Variants within a variant are in parentheses.
    let mut depth = 0;
    let outer = |character: &char| {
        depth += i32::from(*character == '(') - i32::from(*character == ')');
        depth == 0
    };
    let row: String = row.chars().filter(outer).collect();
    let numbers = row.split("; ").filter_map(|part| part.split(',').next()?.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    let source = fs::read_to_string(root().join("core/src/formats/v2/traced.rs"));
    let source = source.expect("the format");
    let (_, inputs) = source.split_once("enum InputV2 {").expect("the inputs");
    let (inputs, _) = inputs.split_once("\n}").expect("their end");
    let is_variant = |line: &&str| {
        line.strip_prefix("    ").is_some_and(|line| line.starts_with(char::is_uppercase))
    };
    let count = inputs.lines().filter(is_variant).count();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "{row}");
}

#[test]
fn citations_are_found_where_they_are() {
    // The sign is put in here, so that this file does not cite what does not exist.
    let text = "Contract $1 and contract $22, $3.\n(Contract $4-6, see API $7) $8 Contract $x"
        .replace('$', "§");
    assert_eq!(cited_sections(&text), [1, 22, 3, 4, 6]);
}

#[test]
fn links_are_found_where_they_are() {
    let text = "[a](x.md) and [b](../y/z.md#part), [c](#here), [d](https://e.org/f)\n\
                ```\nlist[0](not.md)\n```\n`[e](code.md)` [f](g.md)";
    let found: Vec<String> =
        links(text).into_iter().map(|link| format!("{} {}", link.file, link.fragment)).collect();
    assert_eq!(found, ["x.md ", "../y/z.md part", " here", "g.md "]);
    assert_eq!(anchors("# A `b`, c_d\n```\n# no\n```\n### 503"), ["a-b-c_d", "503"]);
}

/// The sections in citations such as "Contract §6, §7" and "Contract §3-5".
fn cited_sections(text: &str) -> Vec<u32> {
    let mut sections = Vec::new();
    for citation in text.split("ontract §").skip(1) {
        let mut rest = Some(citation);
        while let Some(list) = rest {
            let end = list.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(list.len());
            let (number, after) = list.split_at(end);
            sections.extend(number.parse::<u32>());
            rest = [", §", "-"].iter().find_map(|joint| after.strip_prefix(joint));
        }
    }
    sections
}

/// Whether an entry stands for a file: `a/b/` for all below it, `a/b.rs` for itself, and `a/b`, a
/// module, for its file and its folder.
fn covers(entry: &str, file: &str) -> bool {
    match file.strip_prefix(entry) {
        Some(rest) => {
            entry.ends_with('/') || rest.is_empty() || rest == ".rs" || rest.starts_with('/')
        }
        None => false,
    }
}

/// The files, folders and modules in the list items of the code map.
fn code_map() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/contributors/ARCHITECTURE.md"))
        .expect("the architecture");
    let (_, map) = page.split_once("\n## Code map\n").expect("a code map");
    let map = map.split("\n## ").next().unwrap_or_default();
    let entries: Vec<String> = map
        .lines()
        .filter_map(|line| line.strip_prefix("- `")?.split_once('`'))
        .map(|(entry, _)| entry.to_owned())
        .collect();
    assert!(entries.len() > 50, "the code map cannot be read: {} entries", entries.len());
    entries
}

/// Every source file of the packages, as the code map writes it.
fn sources() -> Vec<String> {
    let folders = PACKAGES
        .iter()
        .flat_map(|package| SOURCES.iter().map(move |folder| root().join(package).join(folder)));
    let mut found = Vec::new();
    for folder in folders.filter(|folder| folder.is_dir()) {
        walk(&folder, "rs", &mut found);
    }
    assert!(found.len() > 50, "the sources cannot be found: {} files", found.len());
    found.iter().map(|file| shown(file)).collect()
}

/// The pages at the root and every page below `docs/`.
fn pages() -> Vec<PathBuf> {
    let names = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    let mut pages: Vec<PathBuf> = names.iter().map(|name| root().join(name)).collect();
    walk(&root().join("docs"), "md", &mut pages);
    pages
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// Where a relative link leads.
struct Link {
    /// Empty for the page itself.
    file: String,
    /// Empty for the file as a whole.
    fragment: String,
}

/// The relative links in a page; code is passed over.
fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for line in prose(text) {
        let line: String = line.split('`').step_by(2).collect();
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for (target, _) in targets.filter(|(target, _)| !target.contains("://")) {
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            found.push(Link { file: file.to_owned(), fragment: fragment.to_owned() });
        }
    }
    found
}

/// The fragments that lead to the headings of a page.
fn anchors(text: &str) -> Vec<String> {
    let is_kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.chars().filter(is_kept).collect::<String>().replace(' ', "-"))
        .collect()
}

/// The lines of a page that are not in a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code_block ^= is_fence;
        !in_code_block && !is_fence
    })
}

/// The path with its `..` resolved by name: the folder they leave need not exist.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

fn shown(file: &Path) -> String {
    let inside = file.strip_prefix(root()).expect("a file of the repository");
    inside.to_str().expect("file names here are ASCII").replace('\\', "/")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package folder").to_owned()
}
