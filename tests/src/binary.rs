//! Where the programs under test are.
//!
//! Owns finding (and, when needed, building) the `openctrl` binary and the stub runtime. It does
//! not start them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The `openctrl` binary: `OPENCTRL_BIN` if it is set, else built once per test process with the
/// profile and the target directory of the running test.
pub fn openctrl() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match env::var_os("OPENCTRL_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// The scriptable stub runtime, which cargo builds beside the tests.
pub fn stub_runtime() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| beside_us("stub-runtime"))
}

/// The cargo profile that built a program, by the folder that cargo put it in; `None` if it lies
/// elsewhere.
pub fn profile(program: &Path) -> Option<&'static str> {
    let folder = program.parent()?.file_name()?;
    // The folder of the profile `dev` has another name.
    let profiles = [("debug", "dev"), ("release", "release"), ("dist", "dist")];
    profiles.into_iter().find(|(name, _)| folder == *name).map(|(_, profile)| profile)
}

/// Another program of this package.
pub fn beside_us(name: &str) -> PathBuf {
    let path = profile_dir().join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing: run the tests through cargo", path.display());
    path
}

/// `<target>/<profile>`: a program lies in it, a test in its `deps` folder.
fn profile_dir() -> PathBuf {
    let program = env::current_exe().expect("the running program has a path");
    let folder = program.parent().expect("a program lies in a folder");
    let is_deps = folder.file_name().is_some_and(|name| name == "deps");
    let folder = if is_deps { folder.parent() } else { Some(folder) };
    folder.expect("deps lies in the profile's folder").to_path_buf()
}

fn build() -> PathBuf {
    let profile_dir = profile_dir();
    let target_dir = profile_dir.parent().expect("the profile's folder lies in the target folder");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "-p", "openctrl", "--bin", "openctrl", "--message-format=json"])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if let Some(profile) = profile(&profile_dir.join("openctrl")) {
        cargo.args(["--profile", profile]);
    }
    // Some build scripts name these variables as inputs; what the outer cargo set for this
    // package would make the inner one build them again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            cargo.env_remove(&name);
        }
    }
    let output = cargo.output().expect("cargo can be started");
    assert!(
        output.status.success(),
        "building openctrl failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == "openctrl")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable it built")
}
