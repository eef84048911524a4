//! The pages under `docs` say what the code does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use openctrl_sim::invariants::all;

#[test]
fn every_invariant_of_the_page_is_checked_and_every_check_is_on_the_page() {
    let page = include_str!("../../docs/contributors/INVARIANTS.md");
    let of_page = ids(page);
    let numbers: BTreeSet<String> = (1..=21).map(|n| format!("INV-{n}")).collect();
    assert_eq!(of_page, numbers);
    assert!(page.contains("\n## CHECK "), "what the engine checks itself has no number");

    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // The worlds of the control API and of apps and services have their own checks.
    let mut in_code = ids(include_str!("../src/control/law.rs"));
    in_code.extend(ids(include_str!("../src/patrol/law.rs")));
    for entry in fs::read_dir(sources.join("invariants")).expect("the folder of the invariants") {
        let text = fs::read_to_string(entry.expect("a file").path()).expect("Rust is text");
        in_code.extend(ids(&text));
    }
    assert_eq!(of_page, in_code);
    for invariant in all() {
        assert!(of_page.contains(invariant.id()), "{}", invariant.id());
    }
}

/// Every `INV-n` of a text.
fn ids(text: &str) -> BTreeSet<String> {
    let after = text.split("INV-").skip(1);
    let number = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    after.map(|rest| format!("INV-{}", number(rest))).filter(|id| id != "INV-").collect()
}
