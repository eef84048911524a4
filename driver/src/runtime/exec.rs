//! `exec:` URLs: any command as an instance. Owns the format of the URL and the execution. This
//! process becomes the command, so signals and exit status are those of the command.
//!
//! - `exec:///usr/bin/python3?…` or `exec:/usr/bin/python3?…`: an absolute path, percent-decoded;
//!   `.` and `..` segments are resolved as URLs resolve them.
//! - `exec:python3?…` or `exec://python3?…`: a name without `/`, looked up in `PATH`.
//! - `exec://usr/bin/python3` is refused: its first segment is a host, which is probably a mistake.
//!
//! `arg=` (repeatable, in order) are the arguments, `env=NAME=VALUE` (repeatable) is added to the
//! environment (and a `PATH` given so is the one searched), `cwd=` is an absolute directory.
//! `secret=NAME=file:PATH` and `secret=NAME=env:NAME` (repeatable) add a variable whose value is read
//! when the process starts and is never in the URL. The parameters that set a policy or checks are
//! read by `openctrl_core::instance`. Anything else is refused before any work is done. Names and
//! values are UTF-8.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use openctrl_core::instance::{
    AFTER, CHECK_PARAMETERS, Checks, EXEC_PARAMETERS, Setup, WATCH, WATCH_IGNORE, Watch,
    exec_policy,
};
use openctrl_core::url::InstanceUrl;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::failure::{Failure, UrlError};
use super::params::{Params, parse};
use super::secret::SecretSource;
use super::surroundings;

const NO_COMMAND: UrlError =
    UrlError::Target("no command: write exec:///path/of/command or exec:name");

/// Characters that need no escape in a value of the query.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b',')
    .remove(b'@');

/// Characters that need no escape in the path of a command.
const COMMAND: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A command line, as an `exec:` URL describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    /// An absolute path, or a name that is looked up in `PATH`.
    pub(crate) command: PathBuf,
    /// The arguments, without the command.
    pub(crate) args: Vec<String>,
    /// Variables that are added to the environment, each name once.
    pub(crate) env: Vec<(String, String)>,
    /// Variables whose values are read at the start, each name once and none of those in `env`.
    pub(crate) secrets: Vec<(String, SecretSource)>,
    /// The working directory, an absolute path.
    pub(crate) cwd: Option<PathBuf>,
    /// The parameters of policy and checks that are given once, in the order of
    /// [`EXEC_PARAMETERS`] and [`CHECK_PARAMETERS`].
    pub(crate) policy: Vec<(String, String)>,
    /// The aliases of the instances that it starts after.
    pub(crate) after: Vec<String>,
    /// The files whose changes restart it.
    pub(crate) watch: Watch,
    /// The parts of the policy that a start in the foreground applies; a master applies them
    /// itself.
    pub(crate) setup: Setup,
}

impl Spec {
    /// Reads the text of an `exec:` URL; none if it is not one that this runtime takes.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let is_exec = text.split_once(':')?.0.eq_ignore_ascii_case("exec");
        let url = is_exec.then(|| parse(text).ok())??;
        Self::parse(&url).ok()
    }

    /// The URL that [`Self::of_text`] reads back as this; the setup is that of the policy.
    pub(crate) fn url(&self) -> String {
        let mut url = String::from(if self.command.is_absolute() { "exec://" } else { "exec:" });
        let command = self.command.to_string_lossy();
        url.extend(utf8_percent_encode(&command, COMMAND));
        let mut glue = '?';
        let mut add = |name: &str, key: Option<&str>, value: &str| {
            url.push(glue);
            glue = '&';
            url.push_str(name);
            url.push('=');
            if let Some(key) = key {
                url.push_str(&encode(key));
                url.push_str("%3D");
            }
            url.push_str(&encode(value));
        };
        for arg in &self.args {
            add("arg", None, arg);
        }
        for (name, value) in &self.env {
            add("env", Some(name), value);
        }
        for (name, source) in &self.secrets {
            add("secret", Some(name), &source.to_string());
        }
        if let Some(cwd) = &self.cwd {
            add("cwd", None, &cwd.to_string_lossy());
        }
        for (name, value) in &self.policy {
            add(name, None, value);
        }
        for name in &self.after {
            add(AFTER, None, name);
        }
        for path in &self.watch.paths {
            add(WATCH, None, path);
        }
        for name in &self.watch.ignored {
            add(WATCH_IGNORE, None, name);
        }
        url
    }

    /// Checks for values that no process can be started with.
    ///
    /// # Errors
    /// `command`, `cwd`, `env` or `secrets`, and a description of the error.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let has_nul = |text: &str| text.contains('\0');
        if self.args.iter().any(|arg| has_nul(arg)) || has_nul(&self.command.to_string_lossy()) {
            return Err(("command", "a NUL cannot be passed to a program; remove it".to_owned()));
        }
        if self.cwd.as_ref().is_some_and(|cwd| has_nul(&cwd.to_string_lossy())) {
            return Err(("cwd", "a path has no NUL; remove it".to_owned()));
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(("env", format!("{name:?} is not the name of a variable")));
            }
            if has_nul(value) {
                return Err(("env", format!("{name}: a value has no NUL; remove it")));
            }
        }
        for (name, _) in &self.secrets {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(("secrets", format!("{name:?} is not the name of a variable")));
            }
            if self.env.iter().any(|(known, _)| known == name) {
                return Err(("secrets", format!("{name} is in env too; keep one of them")));
            }
        }
        Ok(())
    }

    /// Reads a parsed `exec:` URL.
    pub(super) fn parse(url: &Url) -> Result<Self, UrlError> {
        let command = command(url)?;
        let of_master: Vec<&str> = EXEC_PARAMETERS.into_iter().chain(CHECK_PARAMETERS).collect();
        let once: Vec<&str> = ["cwd"].into_iter().chain(of_master.iter().copied()).collect();
        let params =
            Params::parse(url, &once, &["arg", "env", "secret", AFTER, WATCH, WATCH_IGNORE])?;
        let parsed = InstanceUrl::parse(url.as_str());
        let parsed = parsed.map_err(|error| UrlError::Policy(error.to_string()))?;
        let setup = exec_policy(&parsed).map_err(UrlError::Policy)?.setup;
        let watch = Checks::parse(&parsed).map_err(UrlError::Policy)?.watch;
        let mut env: Vec<(String, String)> = Vec::new();
        for entry in params.all("env") {
            let (name, value) = entry.split_once('=').unwrap_or_default();
            if name.is_empty() {
                return Err(UrlError::BadValue { name: "env", want: "NAME=VALUE, the = as %3D" });
            }
            if env.iter().any(|(earlier, _)| earlier == name) {
                return Err(UrlError::Repeated(format!("env {name}")));
            }
            env.push((name.to_owned(), value.to_owned()));
        }
        let mut secrets: Vec<(String, SecretSource)> = Vec::new();
        for entry in params.all("secret") {
            let (name, source) = entry.split_once('=').unwrap_or_default();
            let source = SecretSource::parse(source).filter(|_| !name.is_empty());
            let want = "NAME=file:/path or NAME=env:NAME, the = as %3D";
            let source = source.ok_or(UrlError::BadValue { name: "secret", want })?;
            let is_known = env.iter().any(|(earlier, _)| earlier == name);
            if is_known || secrets.iter().any(|(earlier, _)| earlier == name) {
                return Err(UrlError::Repeated(format!("env {name}")));
            }
            secrets.push((name.to_owned(), source));
        }
        let cwd = params.one("cwd").map(PathBuf::from);
        if cwd.as_deref().is_some_and(Path::is_relative) {
            return Err(UrlError::BadValue { name: "cwd", want: "an absolute path" });
        }
        let given = |name: &&str| Some(((*name).to_owned(), params.one(name)?.to_owned()));
        let policy = of_master.iter().filter_map(given).collect();
        Ok(Self {
            command,
            args: params.all("arg").map(str::to_owned).collect(),
            env,
            secrets,
            cwd,
            policy,
            after: params.all(AFTER).map(str::to_owned).collect(),
            watch,
            setup,
        })
    }
}

fn read(name: &str, source: &SecretSource) -> Result<OsString, Failure> {
    let failed = |why| Failure::Secret { name: name.to_owned(), source: source.clone(), why };
    source.read().map_err(failed)
}

/// The form in a query.
fn encode(value: &str) -> String {
    utf8_percent_encode(value, VALUE).to_string().replace("%20", "+")
}

/// Enters the directory and becomes the command; returns only if that failed, or, on systems where
/// a process cannot be replaced (Windows), when the command has exited.
///
/// `is_prepared` means that the master has already applied the setup of the URL.
pub(super) fn run(spec: Spec, is_prepared: bool) -> Result<ExitCode, Failure> {
    if !is_prepared {
        surroundings::enter(&spec.setup).map_err(Failure::Setup)?;
    }
    if let Some(path) = spec.cwd {
        // Done here and not by the command, whose error would not distinguish the two.
        std::env::set_current_dir(&path).map_err(|why| Failure::Cwd { path, why })?;
    }
    let mut process = Command::new(&spec.command);
    process.args(spec.args).envs(spec.env);
    for (name, source) in &spec.secrets {
        process.env(name, read(name, source)?);
    }
    hand_over(&mut process).map_err(|why| match why.kind() == io::ErrorKind::NotFound {
        true => Failure::NotFound { command: spec.command, why },
        false => Failure::CannotExecute { command: spec.command, why },
    })
}

/// The standard library restores the default of SIGPIPE, which it ignores in this program, and
/// passes the signal mask and all other dispositions on as they are: in the foreground those of the
/// caller, under a master the clean ones that it starts processes with.
#[cfg(unix)]
fn hand_over(process: &mut Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(process.exec())
}

#[cfg(not(unix))]
fn hand_over(process: &mut Command) -> io::Result<ExitCode> {
    let code = process.status()?.code().unwrap_or(1);
    // Exit codes are wider here; one that does not fit must not turn into success.
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn command(url: &Url) -> Result<PathBuf, UrlError> {
    let host = url.host_str().unwrap_or_default();
    let name = match (host.is_empty(), url.path()) {
        (true, path) if url.cannot_be_a_base() => path,
        (true, _) => return absolute(url),
        (false, "") => host,
        (false, _) => {
            return Err(UrlError::Target(
                "a name and a path: write exec:///path/of/command (three slashes) or exec:name",
            ));
        }
    };
    let Ok(name) = percent_decode_str(name).decode_utf8() else {
        return Err(UrlError::BadValue { name: "the command", want: "UTF-8" });
    };
    if name.is_empty() {
        return Err(NO_COMMAND);
    }
    if name.contains(std::path::is_separator) {
        return Err(UrlError::Target(
            "a relative path: write exec:///path/of/command, or exec:name for one in PATH",
        ));
    }
    Ok(PathBuf::from(OsString::from(name.into_owned())))
}

fn absolute(url: &Url) -> Result<PathBuf, UrlError> {
    let path = url.to_file_path().map_err(|()| NO_COMMAND)?;
    // `/` and the empty path alike.
    if path.file_name().is_none() { Err(NO_COMMAND) } else { Ok(path) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn spec(text: &str) -> Result<Spec, UrlError> {
        Spec::parse(&parse(text)?)
    }

    fn command_of(text: &str) -> PathBuf {
        spec(text).expect("a valid URL").command
    }

    #[test]
    fn a_path_or_a_name_is_the_command() {
        assert_eq!(command_of("exec:///usr/bin/My%20Tool?arg=x"), Path::new("/usr/bin/My Tool"));
        assert_eq!(command_of("exec:/usr/bin/env"), Path::new("/usr/bin/env"));
        assert_eq!(command_of("exec:python3"), Path::new("python3"));
        assert_eq!(command_of("EXEC://Python3?arg=x"), Path::new("Python3"));
        assert_eq!(command_of("exec:g%2B%2B"), Path::new("g++"));
        assert_eq!(command_of("exec:g++"), Path::new("g++"), "a plus is a space in queries only");
    }

    #[test]
    fn arguments_environment_and_directory_are_taken_in_order() {
        let got = spec("exec:sh?arg=-c&arg=a+b&env=K%3DV%3DW&arg=&env=E%3D&cwd=/srv").expect("ok");
        assert_eq!(got.args, ["-c", "a b", ""]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(got.env, [pair("K", "V=W"), pair("E", "")]);
        assert_eq!(got.cwd.as_deref(), Some(Path::new("/srv")));
    }

    #[test]
    fn secrets_are_references() {
        let got = spec("exec:sh?secret=T%3Dfile:/run/t&secret=U%3Denv:V").expect("valid");
        let of = |name: &str, source| (name.to_owned(), source);
        let expected = [
            of("T", SecretSource::File("/run/t".into())),
            of("U", SecretSource::Env("V".to_owned())),
        ];
        assert_eq!(got.secrets, expected);
        for bad in ["secret=T", "secret=T%3Dplain", "secret=T%3Dfile:t", "secret=%3Denv:V"] {
            let got = spec(&format!("exec:sh?{bad}"));
            assert!(matches!(got, Err(UrlError::BadValue { .. })), "{bad}: {got:?}");
        }
        let twice = spec("exec:sh?env=T%3D1&secret=T%3Denv:V");
        assert!(matches!(twice, Err(UrlError::Repeated(_))));
    }

    #[test]
    fn a_url_is_for_reading_where_it_can_be() {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let spec = Spec {
            command: "/usr/bin/my tool".into(),
            args: own(&["-c", "a b", "x=1&y", ""]),
            env: vec![("K".to_owned(), "V=W".to_owned())],
            secrets: vec![("T".to_owned(), SecretSource::File("/run/t".into()))],
            cwd: Some("/srv/app".into()),
            policy: vec![("ready".to_owned(), "after:5s".to_owned())],
            after: vec!["db".to_owned()],
            watch: Watch { paths: vec!["/srv/app".to_owned()], ignored: vec!["*.log".to_owned()] },
            setup: Setup::default(),
        };
        assert_eq!(
            spec.url(),
            "exec:///usr/bin/my%20tool?arg=-c&arg=a+b&arg=x%3D1%26y&arg=&env=K%3DV%3DW\
             &secret=T%3Dfile:/run/t&cwd=/srv/app&ready=after:5s&after=db&watch=/srv/app&watch_ignore=%2A.log"
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(
            command in "(/[^/\u{0}.]{1,8}){1,3}|[^/\u{0}.]{1,8}",
            args in proptest::collection::vec("[^\u{0}]{0,8}", 0..4),
            env in proptest::collection::btree_map("[^\u{0}=]{1,4}", "[^\u{0}]{0,8}", 0..3),
            cwd in proptest::option::of("/[^\u{0}]{0,8}"),
        ) {
            let env = env.into_iter().collect();
            let (command, cwd) = (command.into(), cwd.map(PathBuf::from));
            let spec = Spec { command, args, env, secrets: Vec::new(), cwd, ..Spec::default() };
            proptest::prop_assert_eq!(Spec::of_text(&spec.url()), Some(spec));
        }
    }

    #[test]
    fn a_missing_or_ambiguous_command_is_refused() {
        for none in ["exec:", "exec:?arg=x", "exec://", "exec:///", "exec:/"] {
            assert_eq!(spec(none), Err(NO_COMMAND), "{none}");
        }
        for odd in ["exec://usr/bin/env", "exec:bin/env", "exec:./env", "exec:%2Fbin%2Fsh"] {
            assert!(matches!(spec(odd), Err(UrlError::Target(_))), "{odd}");
        }
        assert!(matches!(spec("exec:%ff"), Err(UrlError::BadValue { .. })));
    }

    #[test]
    fn a_bad_parameter_is_refused() {
        for bad in ["env=K", "env=", "env=%3DV", "cwd=srv", "cwd="] {
            let got = spec(&format!("exec:sh?{bad}"));
            assert!(matches!(got, Err(UrlError::BadValue { .. })), "{bad}: {got:?}");
        }
        for twice in ["cwd=/a&cwd=/b", "env=K%3D1&env=K%3D2"] {
            assert!(matches!(spec(&format!("exec:sh?{twice}")), Err(UrlError::Repeated(_))));
        }
        assert!(matches!(spec("exec:sh?args=x"), Err(UrlError::UnknownParameter { .. })));
    }
}
