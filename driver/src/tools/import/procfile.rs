//! Procfiles: `name: command`, one a line, run by a shell.

use super::entries::Imported;
use crate::manifest::{Entry, EnvFile, Program, escape};

/// Reads a Procfile. Runners disagree on duplicate names: honcho refuses them, foreman of npm runs
/// the last one. They are refused here. The processes run in `folder`, that of the file.
pub(super) fn read(text: &str, folder: &str, has_env_file: bool) -> Result<Imported, String> {
    let mut imported = Imported::default();
    for (index, line) in text.lines().enumerate() {
        let place = format!("line {}", index + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        let Some((name, command)) = line.split_once(':').filter(|(name, _)| is_name(name)) else {
            return Err(format!("{place}: write NAME: COMMAND, or # before a comment"));
        };
        let command = command.trim();
        if command.is_empty() {
            return Err(format!("{place}: {name} has no command"));
        }
        if matches!(name, "release") {
            imported
                .note(&place, "release runs once at a deployment on Heroku; here it is restarted");
        }
        if command.contains("$PORT") || command.contains("${PORT") {
            imported.note(&place, format!("{name} uses PORT, which runners choose; set it in env"));
        }
        let folder = escape(folder);
        let file = format!("{folder}/.env");
        let env_file = if has_env_file { vec![EnvFile::required(file)] } else { Vec::new() };
        let program = Program::Shell(escape(command));
        let entry = Entry { program, cwd: Some(folder.into()), env_file, ..Entry::default() };
        imported.add(name, entry).map_err(|reason| format!("{place}: {reason}"))?;
    }
    if imported.instances.is_empty() {
        return Err("there is no process in it".to_owned());
    }
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    #[test]
    fn processes_are_shell_lines() {
        let text = "# the shop\nweb: bundle exec rails s -p $PORT\n\nworker:  env A=${B:-1} ./work | tee x\n\
                    release: ./migrate\nmy-job_2: true\n";
        insta::assert_snapshot!(shown(read(text, "/srv/shop", true)));
    }

    #[test]
    fn what_runners_disagree_on_is_refused() {
        let all = ["", "web", "web:", ": x", "a b: x", "web: a\nweb: b", "deadbeef: x"];
        let said: Vec<String> = all.iter().map(|text| shown(read(text, "/srv", false))).collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
