//! The layers of the packages: which part may refer to which, and no circles of files.
//!
//! Reads `use` lines, re-exports and inline paths; a name that is re-exported counts for the file
//! that defines it. Files of tests stand above everything and are not looked at.

mod graph;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use graph::{Arrow, Crate};

/// The parts of a package, lowest row first. A part is a folder or a file; `""` is every file at
/// the root that is not named. A part may refer to itself and to parts of lower rows, not to others
/// of its own row.
type Rows = [&'static [&'static str]];

const CORE: &Rows = &[
    // The ground. `lib` only declares modules.
    &[""],
    &["url"],
    &["instance", "go", "access"],
    &["event", "command", "keeper", "webhook"],
    &["rules", "history", "formats", "resource"],
    // What all doors share.
    &["doors"],
    &["doors/v2", "doors/patrol", "doors/control", "store", "handover"],
    &["engine"],
    &["control"],
    &["trace"],
];

const DRIVER: &Rows = &[
    &[""],
    &["state", "runtime", "keeper"],
    &["grammar", "manifest"],
    &["client", "daemon"],
    &["tools", "patrol"],
    &["cli"],
    &["lib"],
    &["main"],
];

/// What the order alone would allow. The first part never refers to the second.
const NEVER: [(&str, &str); 4] =
    [("engine", "doors"), ("engine", "doors/v2"), ("trace", "doors"), ("trace", "doors/v2")];

#[test]
fn no_arrow_of_core_runs_up() {
    let core = read("core");
    assert_eq!(faults(&core, CORE), Vec::<String>::new());
}

#[test]
fn no_arrow_of_the_driver_runs_up() {
    let driver = read("driver");
    assert_eq!(faults(&driver, DRIVER), Vec::<String>::new());
}

#[test]
fn no_files_refer_to_each_other_in_a_circle() {
    for package in ["core", "driver"] {
        let circles = read(package).circles();
        assert!(circles.is_empty(), "{package}: {circles:#?}");
    }
}

/// Every arrow that the rows do not allow, and every file that has no row.
fn faults(package: &Crate, rows: &Rows) -> Vec<String> {
    let strangers = package.files().filter(|file| part_of(file, rows).is_none());
    let strangers: Vec<String> =
        strangers.map(|file| format!("{file} belongs to no part: give it a row")).collect();
    let is_wrong = |(from, to): &Arrow| match (part_of(from, rows), part_of(to, rows)) {
        (Some((part, row)), Some((other, other_row))) => {
            part != other && (row <= other_row || NEVER.contains(&(part, other)))
        }
        (None, _) | (_, None) => false,
    };
    let arrows = package.arrows().into_iter().filter(is_wrong);
    strangers.into_iter().chain(arrows.map(|(from, to)| format!("{from} refers to {to}"))).collect()
}

/// The part that a file belongs to, the longest name first, and its row.
fn part_of(file: &str, rows: &Rows) -> Option<(&'static str, usize)> {
    let parts = rows.iter().enumerate();
    let parts = parts.flat_map(|(row, parts)| parts.iter().map(move |part| (*part, row)));
    let is_of = |part: &str| match part {
        "" => !file.contains('/'),
        _ => file.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    parts.filter(|(part, _)| is_of(part)).max_by_key(|(part, _)| part.len())
}

fn read(package: &str) -> Crate {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package folder");
    let root = root.join(package).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let mut read = Crate::default();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file that was just listed");
        let name = file.strip_prefix(&root).expect("a file below it").with_extension("");
        read.add(name.to_str().expect("file names here are ASCII"), &text);
    }
    assert!(read.files().count() > 40, "the sources of {package} cannot be found");
    assert!(read.arrows().len() > 40, "the paths of {package} cannot be read");
    read
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

// The test of the test.

fn made_up(files: &[(&str, &str)]) -> Crate {
    let mut made_up = Crate::default();
    files.iter().for_each(|(name, text)| made_up.add(name, text));
    made_up
}

fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    made_up(files).arrows().into_iter().map(|(from, to)| format!("{from} -> {to}")).collect()
}

const LIB: (&str, &str) = ("lib", "pub mod a; pub mod b;");

const DOORS: (&str, &str) = ("doors/mod", "pub mod v2; pub mod patrol;");

#[test]
fn every_kind_of_path_is_an_arrow() {
    let a = |text: &'static str| arrows(&[LIB, ("a", text), ("b", "pub struct B;")]);
    for text in [
        "use crate::b::B;",
        "use super::b::{B as C};",
        "pub use crate::{b, b::B};",
        "pub(crate) use crate::b::*;",
        "fn f() -> crate::b::B { super::b::B }",
        "mod inner { use super::super::b::B; }",
        "#[cfg(not(test))] use crate::b::B;",
        "const S: &str = \"//\"; use crate::b::B; const C: char = '\"';",
        "fn f<'a>(a: &'a str) { a(r#\"\"#); } use crate::b;",
    ] {
        assert_eq!(a(text), ["a -> b"], "{text}");
    }
    for text in [
        "// use crate::b::B;",
        "/// As [`crate::b::B`].\nfn f() {}",
        "const S: &str = \"use crate::b::B;\";",
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(all(test, unix))]\nmod tests { fn f() { let x = [1; 2]; crate::b::B; } }",
        "pub(in crate::b) fn f() {}",
        "use other::b::B;",
    ] {
        assert_eq!(a(text), [""; 0], "{text}");
    }
}

#[test]
fn a_re_export_leads_to_the_file_behind_it() {
    let files = [
        ("lib", "pub mod a; pub mod b;"),
        ("a", "use crate::b::Thing; use crate::b::Own;"),
        ("b/mod", "mod deep; pub use deep::Thing; pub struct Own;"),
        ("b/deep", "pub struct Thing;"),
    ];
    assert_eq!(arrows(&files), ["a -> b/deep", "a -> b/mod"]);
    // One that is also used by who hands it on is an arrow of its own.
    let mut used = files;
    used[2].1 = "mod deep; pub use deep::Thing; pub struct Own(Thing);";
    assert_eq!(arrows(&used), ["a -> b/deep", "a -> b/mod", "b/mod -> b/deep"]);
}

#[test]
fn circles_are_found_and_tests_make_none() {
    let circles = |files: &[(&str, &str)]| made_up(files).circles();
    let (a, b) = (("a", "use crate::b::B; pub struct A;"), ("b", "use crate::a::A;"));
    assert_eq!(circles(&[LIB, a, b]).len(), 1);
    assert!(circles(&[LIB, a, ("b", "pub struct B;")]).is_empty());
    let around =
        [("lib", ""), ("a", "use crate::b;"), ("b", "use crate::c;"), ("c", "use crate::a;")];
    assert_eq!(circles(&around).len(), 1);
    let test = ("x/y_tests", "use super::y::Y;");
    assert!(
        circles(&[("lib", ""), ("x/mod", "mod y;"), ("x/y", "use super::y_tests::T;"), test])
            .is_empty()
    );
    let facade =
        [("lib", ""), ("m/mod", "mod c; pub use c::C; pub struct M;"), ("m/c", "use super::M;")];
    assert!(circles(&facade).is_empty());
}

#[test]
fn arrows_that_run_up_are_found() {
    let of = |from: &str, text: &str, to: &str| {
        let package = made_up(&[("lib", ""), DOORS, (from, text), (to, "pub struct X;")]);
        faults(&package, CORE)
    };
    let cases = [
        ("ids", "use crate::instance::X;", "instance/mod"),
        ("engine/mod", "use crate::doors::v2::X;", "doors/v2/mod"),
        ("doors/v2/mod", "use crate::engine::X;", "engine/mod"),
        ("doors/v2/mod", "use crate::doors::patrol::X;", "doors/patrol/mod"),
        ("doors/json", "use crate::doors::v2::X;", "doors/v2/mod"),
        ("store/mod", "fn f() { crate::doors::v2::X; }", "doors/v2/mod"),
        ("event/mod", "use crate::command::X;", "command/mod"),
        ("engine/mod", "use crate::trace::X;", "trace/mod"),
    ];
    for (from, text, to) in cases {
        assert_eq!(of(from, text, to), [format!("{from} refers to {to}")]);
        let down = text.replace("crate", "crate::nowhere");
        assert!(of(from, &down, to).is_empty());
    }
    let laundered = made_up(&[
        ("lib", ""),
        DOORS,
        ("command/mod", "pub use crate::doors::v2::X;"),
        ("engine/mod", "use crate::command::X;"),
        ("doors/v2/mod", "pub struct X;"),
    ]);
    assert_eq!(faults(&laundered, CORE).len(), 2);
    let client =
        [("lib", ""), ("client/a", "use crate::daemon::X;"), ("daemon/mod", "pub struct X;")];
    assert_eq!(faults(&made_up(&client), DRIVER).len(), 1);
    assert_eq!(faults(&made_up(&[("lib", ""), ("new/a", "")]), DRIVER).len(), 1);
}
