//! `openctrl import`: files of other process managers as a file for `apply`.
//!
//! Every reader returns entries and notes. A note names the position of a part that has no
//! counterpart or another meaning; nothing is dropped without a note. Texts of entries are
//! templates, as in files for `apply`: a reader escapes text that is not a variable.

mod compose;
mod entries;
mod pm2;
mod procfile;
mod supervisord;
mod systemd;

use std::path::Path;

use crate::grammar::{Import, ImportFormat};
use crate::manifest::{Manifest, read_text, write};

/// The output: the file for `apply`, and the report.
#[derive(Debug)]
pub(crate) struct Printed {
    /// TOML, for standard output.
    pub(crate) file: String,
    /// One line each, for standard error.
    pub(crate) report: Vec<String>,
}

/// Reads a file and prints it in the form of `apply`.
///
/// # Errors
/// One line: the file cannot be read, or is not of this form.
pub(crate) fn import(question: &Import) -> Result<Printed, String> {
    let path = &question.path;
    let shown = path.display();
    let text = read_text(path).map_err(|reason| format!("{shown}: {reason}"))?;
    let imported = match question.format {
        ImportFormat::Procfile => procfile::read(&text, &folder(path), has_env_file(path)),
        ImportFormat::Supervisord => supervisord::read(&text, &folder(path)),
        ImportFormat::Pm2 => pm2::read(&text, &folder(path)),
        ImportFormat::Compose => compose::read(&text),
        ImportFormat::Systemd => systemd::read(&text, &stem(path)),
    };
    let imported = imported.map_err(|reason| format!("{shown}: {reason}"))?;
    let manifest = Manifest { name: imported.name, instances: imported.instances };
    let count = manifest.instances.len();
    let mut report: Vec<String> =
        imported.notes.into_iter().map(|note| format!("{shown}: {note}")).collect();
    let noun = if count == 1 { "instance" } else { "instances" };
    report.push(format!("{shown}: {count} {noun}"));
    Ok(Printed { file: write(&manifest), report })
}

fn has_env_file(path: &Path) -> bool {
    path.with_file_name(".env").is_file()
}

fn folder(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.parent().unwrap_or(Path::new("/")).display().to_string()
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::entries::Imported;
    use super::*;

    /// The file and the report, for snapshots. `apply` accepts the printed file.
    pub(super) fn shown(imported: Result<Imported, String>) -> String {
        match imported {
            Ok(imported) => {
                let Imported { name, instances, notes } = imported;
                let file = write(&Manifest { name, instances });
                let any = |_: &str| Some("value".to_owned());
                let read = crate::manifest::read(Path::new("/x/f.toml"), &file, &any);
                // Files of variables are not there in a test.
                assert!(read.is_ok() || file.contains("env_file"), "{read:?}\n{file}");
                format!("{file}\n{}", notes.join("\n"))
            }
            Err(reason) => reason,
        }
    }

    #[test]
    fn an_unreadable_file_is_one_line() {
        let home = tempfile::tempdir().expect("a folder");
        let large = home.path().join("large");
        std::fs::write(&large, "x".repeat(10 * 1024 * 1024)).expect("written");
        for (path, why) in [(home.path().join("no"), "cannot read"), (large, "larger than 4 MiB")] {
            let format = ImportFormat::Procfile;
            let reason = import(&Import { format, path }).expect_err("it is bad");
            assert!(reason.contains(why) && reason.lines().count() == 1, "{reason}");
        }
    }
}
