//! Runs the shell blocks of the README's tour, of the quickstart and of Patrol's tour in an empty
//! directory, and compares what they print with the sample after each block. Numbers, ids and times may differ.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use openctrl_tests::binary::openctrl;
use openctrl_tests::process::has_program;

/// The folder of the tour, as the pages call it.
const HERE: &str = "/home/me/first";

/// Separates the outputs of blocks.
const MARK: &str = "== end of block ==";

#[test]
fn the_tour_of_the_readme_prints_its_samples() {
    runs_as_printed("README.md", "\n## A tour\n");
}

#[test]
fn the_quickstart_prints_its_samples() {
    runs_as_printed("docs/operators/QUICKSTART.md", "\n## Start a master\n");
}

#[test]
fn the_tour_of_patrol_prints_its_samples() {
    runs_as_printed("docs/operators/PATROL.md", "\n## A tour\n");
}

#[test]
fn shapes_keep_words_and_drop_numbers() {
    let shown = "web  running  15894  31s  -  17.2M  exited with code 3 2026-06-09T10:00:02.2Z";
    assert_eq!(shape(shown), "web running # # # # exited with code # #-#-#:#:#");
    assert_eq!(shape("Sun Nov 29 23:01:13 UTC 2026"), "@ @ # #:#:# UTC #");
    assert_eq!(shape(r#"{"id":"deadbeef","url":"demo://a"}"#), r##"{"id":"#","url":"demo://a"}"##);
    assert_ne!(shape("2 to create"), shape("2 to change"));
}

/// Runs all blocks after `heading` in one shell.
fn runs_as_printed(page: &str, heading: &str) {
    if ["bash", "curl"].iter().any(|program| !has_program(program, page)) {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(path).expect("the page exists");
    let (_, text) = text.split_once(heading).expect("the page has the heading");
    let text = text.split("\n## Guarantees\n").next().unwrap_or_default();
    let blocks = blocks(text);
    assert!(blocks.len() >= 5, "{page} has blocks");

    let mut script =
        String::from("set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n");
    for (commands, _) in &blocks {
        // Port 0: several tests may run at the same time.
        let ports = ["127.0.0.1:8080", "127.0.0.1:8421", "127.0.0.1:1248"];
        let commands = ports
            .iter()
            .fold((*commands).to_owned(), |text, port| text.replace(port, "127.0.0.1:0"));
        writeln!(script, "{commands}\necho '{MARK}'").expect("a string takes it");
    }
    let folder = tempfile::tempdir().expect("a directory");
    let program = openctrl();
    let beside = program.parent().expect("a program is in a directory");
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{}", beside.display(), std::env::var("PATH").unwrap_or_default()))
        .env("HOME", folder.path())
        .env("LC_ALL", "C")
        .env_remove("OPENCTRL_API")
        .env_remove("OPENCTRL_KEY")
        .env_remove("OPENCTRL_CONFIG")
        .stdin(Stdio::null())
        .output()
        .expect("timeout can be started");
    let printed = String::from_utf8_lossy(&output.stdout);
    let printed = printed.replace(folder.path().to_str().expect("UTF-8"), HERE);
    let reasons = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}: {}\n{printed}\n{reasons}", output.status);

    let shown: Vec<&str> = printed.split(MARK).collect();
    assert_eq!(shown.len(), blocks.len() + 1, "{page}: every block has run");
    for ((commands, sample), shown) in blocks.iter().zip(shown) {
        let shapes = |text: &str| -> Vec<String> { text.trim().lines().map(shape).collect() };
        assert_eq!(shapes(shown), shapes(sample), "{page}: {commands}\nprinted: {shown}");
    }
}

/// The shell blocks, each with the sample output that follows it, if there is one.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let block = |text| str::split_once(text, "\n```").expect("a block ends").0;
    let one = |part| {
        let sample = str::split_once(part, "```text\n").map_or("", |(_, sample)| block(sample));
        (block(part), sample)
    };
    text.split("```sh\n").skip(1).map(one).collect()
}

/// A line without what differs from run to run: numbers, sizes, ids and dates.
fn shape(line: &str) -> String {
    let words = line.split_whitespace().map(|word| if word == "-" { "#".into() } else { of(word) });
    words.collect::<Vec<String>>().join(" ")
}

/// A word with `#` for every piece that has a digit or is an id, and `@` for days and months.
fn of(word: &str) -> String {
    const NAMES: &str =
        "Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    let mut shape = String::new();
    for piece in word.split_inclusive(|letter: char| !letter.is_alphanumeric()) {
        let name = piece.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        let end = &piece[name.len()..];
        let is_id = name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id || name.contains(|letter: char| letter.is_ascii_digit()) {
            shape.push('#');
        } else if name.len() == 3 && NAMES.contains(name) {
            shape.push('@');
        } else {
            shape.push_str(name);
        }
        shape.push_str(end);
    }
    shape.replace("#.#", "#")
}
