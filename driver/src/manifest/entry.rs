//! One declared instance, and its URL.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use openctrl_core::instance::{
    AFTER, CHECK_PARAMETERS, Checks, EXEC_PARAMETERS, WATCH, WATCH_IGNORE, Watch, exec_policy,
};
use openctrl_core::url::InstanceUrl;

use super::env_file::EnvFile;
use crate::runtime::{Exec, SecretSource};

/// The parameters of `exec:` URLs that are keys of a file, in the order of a URL.
pub(crate) const PARAMETERS: [&str; EXEC_PARAMETERS.len() + CHECK_PARAMETERS.len()] = {
    let mut all = [""; EXEC_PARAMETERS.len() + CHECK_PARAMETERS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < EXEC_PARAMETERS.len() {
            EXEC_PARAMETERS[at]
        } else {
            CHECK_PARAMETERS[at - EXEC_PARAMETERS.len()]
        };
        at += 1;
    }
    all
};

/// One declared instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What runs.
    pub(crate) program: Program,
    /// The working directory of a command.
    pub(crate) cwd: Option<PathBuf>,
    /// Variables that are added to the environment of a command.
    pub(crate) env: BTreeMap<String, String>,
    /// Files with more variables, which `env` overrides.
    pub(crate) env_file: Vec<EnvFile>,
    /// Variables whose values are read when the command starts.
    pub(crate) secrets: BTreeMap<String, SecretSource>,
    /// When a process that exited is started again.
    pub(crate) restart: Restart,
    /// Policy beyond `restart`, and checks, by the names of the parameters of `exec:` URLs.
    pub(crate) policy: BTreeMap<String, String>,
    /// The names of the instances that it starts after.
    pub(crate) after: Vec<String>,
    /// The files whose changes restart it. Relative ones are in `cwd`, else beside the file.
    pub(crate) watch: Vec<PathBuf>,
    /// Names that are left out below these.
    pub(crate) watch_ignore: Vec<String>,
    /// The tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// The peer, in the order of the API: id, kind, name.
    pub(crate) peer: [String; 3],
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// A command and its arguments.
    Command(Vec<String>),
    /// A line for `sh -c`.
    Shell(String),
    /// A URL for the runtime of the master.
    Url(String),
}

/// When a process that exited is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Restart {
    /// After it failed, and when the master starts.
    #[default]
    OnFailure,
    /// Never.
    Never,
    /// Also after it exited with code 0.
    Always,
}

impl Default for Program {
    fn default() -> Self {
        Self::Command(Vec::new())
    }
}

impl Restart {
    /// As it is written.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::OnFailure => "on-failure",
            Self::Never => "never",
            Self::Always => "always",
        }
    }
}

impl Entry {
    /// The URL of the instance. Relative paths start at `base`, an absolute path.
    ///
    /// # Errors
    /// The key that is wrong, and why.
    pub(crate) fn url(&self, base: &Path) -> Result<String, (&'static str, String)> {
        let (command, args) = match &self.program {
            Program::Url(url) => return self.own_url(url),
            Program::Shell(line) => ("/bin/sh", vec!["-c".to_owned(), line.clone()]),
            Program::Command(words) => match words.split_first() {
                Some((command, args)) if !command.is_empty() => (&**command, args.to_vec()),
                _ => return Err(("command", "it is empty; give a command".to_owned())),
            },
        };
        let cwd = self.cwd.as_ref().map(|cwd| absolute(base, cwd));
        let command = if command.contains('/') {
            absolute(cwd.as_deref().unwrap_or(base), Path::new(command))
        } else {
            PathBuf::from(command)
        };
        let here = cwd.as_deref().unwrap_or(base);
        let paths = self.watch.iter().map(|path| absolute(here, path));
        let paths = paths.map(|path| path.to_string_lossy().into_owned()).collect();
        let exec = Exec {
            command,
            args,
            env: self.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            secrets: self.secrets.iter().map(|(name, at)| (name.clone(), at.clone())).collect(),
            cwd,
            policy: self.parameters(),
            after: self.after.clone(),
            watch: Watch { paths, ignored: self.watch_ignore.clone() },
            ..Exec::default()
        };
        exec.check()?;
        let url = exec.url();
        let check = |url: InstanceUrl| exec_policy(&url).and_then(|_| Checks::parse(&url));
        match InstanceUrl::parse(&url).map(check) {
            Ok(Err(reason)) => {
                // The reason begins with the name of the parameter.
                let first = reason.split([' ', '=']).next().unwrap_or_default();
                let key = PARAMETERS
                    .into_iter()
                    .chain([AFTER, WATCH, WATCH_IGNORE])
                    .find(|name| *name == first);
                Err((key.unwrap_or("command"), reason))
            }
            Ok(Ok(_)) | Err(_) => Ok(url),
        }
    }

    /// The parameters of the policy, in the order of a URL. `never` and `on-failure` are no
    /// parameters: they are changed without a restart of the process.
    fn parameters(&self) -> Vec<(String, String)> {
        let value = |name: &&str| match (*name, self.restart) {
            ("restart", Restart::Always) => Some(self.restart.word().to_owned()),
            (name, _) => self.policy.get(name).cloned(),
        };
        let pair = |name: &&str| Some(((*name).to_owned(), value(name)?));
        PARAMETERS.iter().filter_map(pair).collect()
    }

    fn own_url(&self, url: &str) -> Result<String, (&'static str, String)> {
        let of_commands = [
            ("cwd", self.cwd.is_some()),
            ("env", !self.env.is_empty() || !self.env_file.is_empty()),
            ("secrets", !self.secrets.is_empty()),
            ("restart", self.restart == Restart::Always),
            ("policy", !self.policy.is_empty()),
            (AFTER, !self.after.is_empty()),
            (WATCH, !self.watch.is_empty()),
            (WATCH_IGNORE, !self.watch_ignore.is_empty()),
        ];
        if let Some((key, _)) = of_commands.into_iter().find(|(_, is_given)| *is_given) {
            return Err((key, "it goes with command or shell, not with url".to_owned()));
        }
        match InstanceUrl::parse(url) {
            Ok(url) => Ok(url.as_str().to_owned()),
            Err(error) => Err(("url", error.to_string())),
        }
    }

    /// The entry that an instance of this URL would be declared by.
    pub(crate) fn of_url(url: &str) -> Self {
        let program = Program::Url(url.to_owned());
        // A URL that is written in another way than ours would not come back as it was.
        let is_ours = |exec: &Exec| {
            // `never` and `on-failure` are written by the API, not in the URL.
            let policy = exec.policy.iter().find(|(name, _)| name == "restart");
            exec.url() == url && policy.is_none_or(|(_, value)| value == "always")
        };
        let Some(exec) = Exec::of_text(url).filter(is_ours) else {
            return Self { program, ..Self::default() };
        };
        let command = exec.command.to_string_lossy().into_owned();
        let program = match (&*command, &exec.args[..]) {
            ("/bin/sh", [option, line]) if option == "-c" => Program::Shell(line.clone()),
            _ => Program::Command(std::iter::once(command).chain(exec.args).collect()),
        };
        let mut policy: BTreeMap<String, String> = exec.policy.into_iter().collect();
        let restart = match policy.get("restart").map(String::as_str) {
            Some("always") => Restart::Always,
            Some("never") => Restart::Never,
            _ => Restart::OnFailure,
        };
        policy.remove("restart");
        Self {
            program,
            restart,
            policy,
            after: exec.after,
            watch: exec.watch.paths.into_iter().map(PathBuf::from).collect(),
            watch_ignore: exec.watch.ignored,
            cwd: exec.cwd,
            env: exec.env.into_iter().collect(),
            secrets: exec.secrets.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// `path` below `base`, without `.` and `..`: a URL has no room for them.
fn absolute(base: &Path, path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            // Links on the way make this another place; the whole path is resolved then.
            Component::ParentDir => {
                whole = whole.canonicalize().unwrap_or(whole);
                whole.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => whole.push(part),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(entry: &Entry) -> String {
        entry.url(Path::new("/srv/app")).expect("a good entry")
    }

    fn command(words: &[&str]) -> Entry {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Entry { program: Program::Command(words), ..Entry::default() }
    }

    #[test]
    fn commands_become_urls() {
        assert_eq!(url(&command(&["ping", "::1"])), "exec:ping?arg=::1");
        assert_eq!(url(&command(&["./bin/x"])), "exec:///srv/app/bin/x");
        assert_eq!(url(&command(&["../x"])), "exec:///srv/x");
        let shell = Program::Shell("a | b".to_owned());
        let entry = Entry { program: shell, cwd: Some("data".into()), ..Entry::default() };
        assert_eq!(url(&entry), "exec:///bin/sh?arg=-c&arg=a+%7C+b&cwd=/srv/app/data");
        let entry = Entry {
            watch: vec!["src".into(), "/etc/x".into()],
            watch_ignore: vec!["*.log".to_owned()],
            ..command(&["x"])
        };
        assert_eq!(url(&entry), "exec:x?watch=/srv/app/src&watch=/etc/x&watch_ignore=%2A.log");
        let entry = Entry { cwd: Some("/data".into()), ..command(&["bin/x"]) };
        assert_eq!(url(&entry), "exec:///data/bin/x?cwd=/data");
    }

    #[test]
    fn an_entry_that_cannot_be_is_refused_with_its_key() {
        let key = |entry: Entry| entry.url(Path::new("/")).expect_err("it is bad").0;
        assert_eq!(key(command(&[])), "command");
        assert_eq!(key(command(&["a", "b\0"])), "command");
        let env = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(key(Entry { env: env("A=B", ""), ..command(&["a"]) }), "env");
        assert_eq!(key(Entry { env: env("A", "\0"), ..command(&["a"]) }), "env");
        assert_eq!(key(Entry { env: env("A", "b\nc\0"), ..command(&["a"]) }), "env");
        let both = Entry {
            env: env("A", "1"),
            secrets: BTreeMap::from([("A".to_owned(), SecretSource::Env("B".to_owned()))]),
            ..command(&["a"])
        };
        assert_eq!(key(both), "secrets");
        let demo = Entry { program: Program::Url("demo://a".to_owned()), ..Entry::default() };
        assert_eq!(key(Entry { cwd: Some("/".into()), ..demo.clone() }), "cwd");
        assert_eq!(key(Entry { program: Program::Url("demo".to_owned()), ..demo }), "url");
    }

    #[test]
    fn what_was_not_written_here_stays_a_url() {
        for text in ["demo://a?x=1", "exec:sh?arg=a%20b", "exec:/bin/sh", "exec:sh?odd=1"] {
            assert_eq!(Entry::of_url(text).program, Program::Url(text.to_owned()));
        }
    }

    proptest::proptest! {
        #[test]
        fn an_entry_comes_back_from_its_url(
            words in proptest::collection::vec("[a-z&%+ =]{1,6}", 1..4),
            env in proptest::collection::btree_map("[A-Z]{1,4}", "[^\u{0}]{0,8}", 0..3),
        ) {
            let entry = Entry { program: Program::Command(words), env, ..Entry::default() };
            let back = Entry::of_url(&url(&entry));
            proptest::prop_assert_eq!(back, entry);
        }
    }
}
