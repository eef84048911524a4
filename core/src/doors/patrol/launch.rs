//! How an app is started: its arguments, environment, working directory and log files.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::config::App;
use super::json::Json;
use super::label::Label;
use super::layout::{Zone, folder};
use super::path;
use crate::time::Wall;

/// How an app is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program, absolute, and its arguments.
    pub argv: Vec<String>,
    /// Where it runs.
    pub directory: String,
    /// Variables in order; of several with the same name, the last counts.
    pub env: Vec<String>,
    /// Whether these come after the environment of the server, or are all there is.
    pub env_parent: bool,
}

/// Which outputs of an app go to log files. The others go where a library user sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The standard output.
    pub stdout: bool,
    /// The standard error.
    pub stderr: bool,
}

/// The log files of one run of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFiles {
    /// The folder, absolute; to be made if it is not there.
    pub folder: String,
    /// The file of the standard output, absolute; `None` if it is not logged.
    pub stdout: Option<String>,
    /// The file of the standard error; the same one if they are merged.
    pub stderr: Option<String>,
}

impl Logged {
    /// Every output: what no library user says otherwise.
    pub const BOTH: Self = Self { stdout: true, stderr: true };
}

impl Launch {
    /// The command of `app`. Addresses are those to which apps send pings.
    pub fn new(id: &Label, app: &App, listen_http: &[String], listen_udp: &[String]) -> Self {
        let program = app.program();
        let mut env = app.env.clone();
        env.push(format!("PATROL_ID={id}"));
        env.push(format!("PATROL_KEEPALIVE={}", app.keep_alive.number()));
        if let Some(pid_file) = app.pid_file() {
            env.push(format!("PATROL_PID={pid_file}"));
        }
        for (name, listen) in [("PATROL_HTTP", listen_http), ("PATROL_UDP", listen_udp)] {
            if !listen.is_empty() {
                env.push(format!("{name}={}", array(listen)));
            }
        }
        Self {
            argv: core::iter::once(program).chain(app.args.iter().cloned()).collect(),
            directory: app.working_directory.clone(),
            env,
            env_parent: app.env_parent,
        }
    }

    /// The whole environment: that of the server, if the app gets it, then the variables of the
    /// app. Of several with the same name only the last is left, in the place of the first.
    pub fn environment(&self, parent: impl IntoIterator<Item = String>) -> Vec<String> {
        let parent = parent.into_iter().filter(|_| self.env_parent);
        let mut merged: Vec<String> = Vec::new();
        for entry in parent.chain(self.env.iter().cloned()) {
            let same = merged.iter_mut().find(|known| name_of(known) == name_of(&entry));
            match same {
                Some(known) => *known = entry,
                None => merged.push(entry),
            }
        }
        merged
    }
}

impl LogFiles {
    /// The log files below `root` of a run that was started at `started`, in local time of `zone`;
    /// one for both outputs if `merge` says so and both are logged.
    pub fn new(root: &str, merge: bool, logged: Logged, started: Wall, zone: &Zone) -> Self {
        let folder = path::below(root, &folder(started, zone));
        let nanos = u128::from(started.as_micros()) * 1_000;
        let file = |kind: &str| format!("{folder}/{nanos}.{kind}.log");
        let names = if merge && logged == Logged::BOTH {
            ["stdmerge", "stdmerge"]
        } else {
            ["stdout", "stderr"]
        };
        let [stdout, stderr] = names.map(file);
        let stdout = Some(stdout).filter(|_| logged.stdout);
        let stderr = Some(stderr).filter(|_| logged.stderr);
        Self { folder, stdout, stderr }
    }

    /// Which outputs have one.
    pub const fn logged(&self) -> Logged {
        Logged { stdout: self.stdout.is_some(), stderr: self.stderr.is_some() }
    }

    /// The paths of those that there are.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        self.stdout.iter().chain(&self.stderr)
    }
}

/// The folder of all logs of `app`, absolute.
pub fn log_root(app: &App) -> String {
    path::below(&app.working_directory, &app.log_directory)
}

fn array(listen: &[String]) -> String {
    let mut json = Json::compact();
    json.array(listen, |json, address| json.text(address));
    json.finish()
}

/// The name of a variable. Without a `=` the whole entry is the name.
fn name_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::patrol::config::{Config, Reader};
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn app(members: &str) -> (Label, App) {
        let file = format!(
            r#"{{"apps":{{"Web":{{"keepalive":3,"name":"Web","working-directory":"/srv/web/",
                "binary":"/bin/web","log-directory":"logs/"{members}}}}}}}"#
        );
        let reader = Reader { home: None, defaults: true };
        Config::load(file.as_bytes(), reader).expect(&file).config.apps.remove(0)
    }

    fn environment(members: &str, parent: &[&str]) -> Vec<String> {
        let (id, app) = app(members);
        let listen = ["127.0.0.1:8421".to_string(), "a\"<b".to_string()];
        let launch = Launch::new(&id, &app, &listen, &[]);
        launch.environment(parent.iter().map(ToString::to_string))
    }

    #[test]
    fn the_program_is_below_the_working_directory() {
        let (id, app) = app(r#","args":["-a","b c"]"#);
        let launch = Launch::new(&id, &app, &[], &[]);
        assert_eq!(launch.argv, ["/srv/web/bin/web", "-a", "b c"]);
        assert_eq!(launch.directory, "/srv/web/");
        assert_eq!(launch.env, ["PATROL_ID=web", "PATROL_KEEPALIVE=3"]);
    }

    #[test]
    fn the_environment_is_that_of_the_app_unless_it_wants_more() {
        insta::assert_debug_snapshot!(environment(r#","env":["a=b","c=d","a=e","PATROL_ID=x","bare"],"pid-path":"../w.pid""#, &["PATH=/bin", "a=p"]), @r#"
        [
            "a=e",
            "c=d",
            "PATROL_ID=web",
            "bare",
            "PATROL_KEEPALIVE=3",
            "PATROL_PID=/srv/w.pid",
            "PATROL_HTTP=[\"127.0.0.1:8421\",\"a\\\"\\u003cb\"]",
        ]
        "#);
        insta::assert_debug_snapshot!(environment(r#","env":["a=b"],"env-parent":true"#, &["PATH=/bin", "a=p", "PATROL_KEEPALIVE=9"]), @r#"
        [
            "PATH=/bin",
            "a=b",
            "PATROL_KEEPALIVE=3",
            "PATROL_ID=web",
            "PATROL_HTTP=[\"127.0.0.1:8421\",\"a\\\"\\u003cb\"]",
        ]
        "#);
    }

    #[test]
    fn log_files_are_named_after_the_start() {
        let started = Wall::from_micros(1_531_964_624_012_345);
        let zone = Zone { offset_s: -25_200, name: String::new() };
        let files = |merge, logged| LogFiles::new("/srv/web/logs", merge, logged, started, &zone);
        insta::assert_debug_snapshot!(files(false, Logged::BOTH), @r#"
        LogFiles {
            folder: "/srv/web/logs/2018/july/18",
            stdout: Some(
                "/srv/web/logs/2018/july/18/1531964624012345000.stdout.log",
            ),
            stderr: Some(
                "/srv/web/logs/2018/july/18/1531964624012345000.stderr.log",
            ),
        }
        "#);
        let merged = files(true, Logged::BOTH);
        assert_eq!(merged.stdout, merged.stderr);
        let name = merged.stdout.expect("it is logged");
        assert!(name.ends_with("/1531964624012345000.stdmerge.log"), "{name}");
        assert_eq!(log_root(&app("").1), "/srv/web/logs");
    }

    #[test]
    fn an_output_that_is_not_logged_has_no_file_and_is_not_merged() {
        let kinds = |stdout, stderr| {
            let (logged, zone) = (Logged { stdout, stderr }, Zone::default());
            let files = LogFiles::new("/logs", true, logged, Wall::from_micros(0), &zone);
            let kinds = files.paths().filter_map(|path| path.rsplit('.').nth(1));
            kinds.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(kinds(true, true), ["stdmerge", "stdmerge"]);
        assert_eq!(kinds(false, true), ["stderr"]);
        assert_eq!(kinds(true, false), ["stdout"]);
        assert!(kinds(false, false).is_empty());
    }

    proptest! {
        #[test]
        fn no_name_is_there_twice_and_none_of_the_server_can_be_overridden(
            env in proptest::collection::vec("(a|b|PATROL_ID|PATROL_KEEPALIVE)=[xy]?", 0..6),
            parent in proptest::collection::vec("(a|b|PATROL_ID)=[pq]", 0..4),
            with_parent in any::<bool>(),
        ) {
            let (id, mut app) = app("");
            (app.env, app.env_parent) = (env, with_parent);
            let merged = Launch::new(&id, &app, &[], &[]).environment(parent);
            for (index, entry) in merged.iter().enumerate() {
                prop_assert!(merged[..index].iter().all(|known| name_of(known) != name_of(entry)));
            }
            prop_assert!(merged.contains(&"PATROL_ID=web".to_string()));
            prop_assert!(merged.contains(&"PATROL_KEEPALIVE=3".to_string()));
        }
    }
}
