//! How a process is started: `<runtime> <url>`, with nothing of the master's about it but its user,
//! its working directory and its environment.
//!
//! The system itself gives it a session, an empty signal mask, default dispositions and the
//! descriptors 0 to 2. What the system cannot do at a start, and starts of `exec:`, which this
//! program runs itself, go through the [exec step](crate::runtime::step). When to start what is not
//! decided here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use openctrl_core::ids::RunId;
use openctrl_core::instance::{Definition, Ready, Setup};
#[cfg(target_os = "linux")]
use openctrl_core::keeper::{Lease, Start};
use rustix::process::Pid;

use crate::cgroups::Groups;
use crate::daemon::limits::descriptor_limit_to_restore;
use crate::daemon::notified::notify_socket;
use crate::daemon::service::PRIVATE_VARIABLES;
use crate::daemon::signals::hang_up_was_ignored;
use crate::orders::{Orders, WORD, replaces_itself, variable};
use crate::outputs::Outputs;
#[cfg(target_os = "linux")]
use crate::promises::{Program, start};

/// Where Linux has this program's file, also when it was removed or replaced since.
const OWN_FILE: &str = "/proc/self/exe";

/// The runtime of all instances.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    /// Its file, or its name in `PATH`.
    pub(crate) path: PathBuf,
    /// It is this program.
    pub(crate) is_own: bool,
}

/// Starts processes of one runtime.
#[derive(Debug)]
pub(super) struct Launcher {
    runtime: CString,
    is_own: bool,
    /// This program's file, for the exec step.
    own_file: CString,
    environment: Vec<CString>,
    /// Where processes have control groups.
    groups: Option<Groups>,
}

/// A process that was started.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) leader: Pid,
    /// Ends when the runtime has taken over from the exec step, after a reason if that failed;
    /// `None` if there was no step.
    pub(super) report: Option<PipeReader>,
}

impl Launcher {
    /// Fails if a path cannot be handed to the system.
    pub(super) fn new(runtime: &Runtime, groups: Option<Groups>) -> io::Result<Self> {
        let is_private = |name: &OsStr| PRIVATE_VARIABLES.iter().any(|private| name == *private);
        let own_file = match Path::new(OWN_FILE).exists() {
            true => PathBuf::from(OWN_FILE),
            false => std::env::current_exe()?,
        };
        Ok(Self {
            runtime: CString::new(runtime.path.as_os_str().as_bytes())?,
            is_own: runtime.is_own,
            own_file: CString::new(own_file.as_os_str().as_bytes())?,
            environment: std::env::vars_os()
                .filter(|(name, _)| !is_private(name))
                .filter_map(variable)
                .collect(),
            groups,
        })
    }

    /// Starts a process of an instance that prints to `outputs`.
    pub(super) fn launch(
        &self,
        definition: &Definition,
        run: RunId,
        outputs: &Outputs<PipeWriter>,
    ) -> io::Result<Launched> {
        let (url, setup) = (CString::new(definition.url().as_str())?, &definition.setup);
        let input = File::open("/dev/null")?;
        let environment = self.environment(setup, notify_variable(definition, run));
        let group = self.make_group(run)?;
        if !self.needs_step(&url, setup) {
            let arguments = [self.runtime.clone(), url];
            let plan = self.plan((&self.runtime, &environment), &arguments, &input, outputs);
            return Ok(Launched { leader: plan.start()?, report: None });
        }
        let (report, end) = io::pipe()?;
        let arguments = self.step(url, setup, number_in_step(&end), group)?;
        let plan = self.plan((&self.own_file, &environment), &arguments, &input, outputs);
        let leader = Plan { report: Some(&end), ..plan }.start()?;
        Ok(Launched { leader, report: Some(report) })
    }

    /// The same as an order to a keeper, which lacks the note and its outputs; and whether there is a
    /// report.
    #[cfg(target_os = "linux")]
    pub(super) fn for_keeper(
        &self,
        definition: &Definition,
        run: RunId,
    ) -> io::Result<(Start, bool)> {
        let (url, setup) = (CString::new(definition.url().as_str())?, &definition.setup);
        let has_report = self.needs_step(&url, setup);
        let group = self.make_group(run)?;
        let (path, arguments) = match has_report {
            // The program of the master, which a keeper has a descriptor of.
            true => (Vec::new(), self.step(url, setup, REPORT_IN_STEP, group)?.to_vec()),
            false => (in_path(&self.runtime).into_bytes(), vec![self.runtime.clone(), url]),
        };
        let env = setup.env.iter().map(|(name, value)| (name.into(), value.into()));
        let env = env.chain(notify_variable(definition, run));
        let start = Start {
            run,
            instance: definition.id,
            path,
            arguments: arguments.into_iter().map(CString::into_bytes).collect(),
            has_stderr: false,
            clear_env: setup.clear_env,
            env: env.filter_map(variable).map(CString::into_bytes).collect(),
            note: Vec::new(),
            lease: Lease::of(&definition.policy),
        };
        Ok((start, has_report))
    }

    /// There is no keeper elsewhere.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn for_keeper(&self, _: &Definition) -> io::Result<(Start, bool)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The environment that every process inherits.
    pub(super) fn environment_of_all(&self) -> &[CString] {
        &self.environment
    }

    fn needs_step(&self, url: &CStr, setup: &Setup) -> bool {
        let is_exec = self.is_own && url.to_str().is_ok_and(replaces_itself);
        let is_limited = setup.open_files.is_some() || descriptor_limit_to_restore().is_some();
        let is_special = is_limited || is_exec || *setup != Setup::default();
        NEEDS_STEP || is_special || hang_up_was_ignored() || self.groups.is_some()
    }

    /// Makes the control group of a run, where runs have one.
    fn make_group(&self, run: RunId) -> io::Result<Option<String>> {
        let Some(groups) = &self.groups else { return Ok(None) };
        let group = groups.make(run).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make the control group {error}"))
        })?;
        Ok(group.into_os_string().into_string().ok())
    }

    /// The arguments of an exec step.
    fn step(
        &self,
        url: CString,
        setup: &Setup,
        report: RawFd,
        control_group: Option<String>,
    ) -> io::Result<[CString; 5]> {
        let given = setup.open_files.map(|limit| (Some(limit), Some(limit)));
        let orders = Orders {
            report,
            open_files: given.or_else(descriptor_limit_to_restore),
            ignores_hang_up: hang_up_was_ignored(),
            is_own: self.is_own,
            control_group,
            setup: setup.clone(),
        };
        Ok([
            self.runtime.clone(),
            CString::new(WORD)?,
            CString::new(orders.to_string())?,
            self.runtime.clone(),
            url,
        ])
    }

    /// The environment of a process: that of the master and the variables of its setup.
    fn environment(
        &self,
        setup: &Setup,
        notify: Option<(OsString, OsString)>,
    ) -> Cow<'_, [CString]> {
        if setup.env.is_empty() && !setup.clear_env && notify.is_none() {
            return Cow::Borrowed(&self.environment);
        }
        let inherited = if setup.clear_env { &[][..] } else { &self.environment };
        let is_replaced = |variable: &CString| {
            let name = variable.to_bytes().split(|byte| *byte == b'=').next();
            setup.env.keys().any(|given| name == Some(given.as_bytes()))
        };
        let kept = inherited.iter().filter(|variable| !is_replaced(variable)).cloned();
        let given = setup.env.iter().map(|(name, value)| (name.into(), value.into()));
        Cow::Owned(kept.chain(given.chain(notify).filter_map(variable)).collect())
    }

    fn plan<'a>(
        &self,
        (path, environment): (&'a CStr, &'a [CString]),
        arguments: &'a [CString],
        input: &'a File,
        outputs: &'a Outputs<PipeWriter>,
    ) -> Plan<'a> {
        Plan { path, arguments, environment, input, outputs, report: None }
    }
}

/// Where a process says that it is ready, if it is to say so.
fn notify_variable(definition: &Definition, run: RunId) -> Option<(OsString, OsString)> {
    let notifies = definition.checks.ready == Some(Ready::Notify);
    notifies.then(|| ("NOTIFY_SOCKET".into(), notify_socket(run).into()))
}

/// What a command has in its environment: what the master has, unless it starts `empty`, and
/// `variables`.
pub(super) fn environment<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    empty: bool,
) -> Vec<CString> {
    let own: BTreeMap<OsString, OsString> = variables
        .into_iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    let is_private = |name: &OsStr| PRIVATE_VARIABLES.iter().any(|private| name == *private);
    let inherited = (!empty).then(std::env::vars_os).into_iter().flatten();
    let inherited: Vec<_> =
        inherited.filter(|(name, _)| !is_private(name) && !own.contains_key(name)).collect();
    inherited.into_iter().chain(own).filter_map(variable).collect()
}

/// Starts a command of a configuration in a session of its own, with these descriptors from 0 on.
/// Its first word is looked for in `PATH` unless it has a `/`.
#[cfg(target_os = "linux")]
pub(super) fn start_command(
    argv: &[String],
    environment: Vec<CString>,
    directory: Option<&str>,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<Pid> {
    let arguments =
        argv.iter().map(|word| CString::new(word.as_str())).collect::<Result<Vec<_>, _>>()?;
    let path = arguments.first().ok_or_else(|| io::Error::other("no program"))?;
    let directory = directory.map(CString::new).transpose()?;
    // Above the numbers that they get: none is replaced before it is in its place.
    let first = RawFd::try_from(descriptors.len()).map_err(io::Error::other)?;
    let above = |descriptor: &BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(*descriptor, first);
    let copies = descriptors.iter().map(above).collect::<Result<Vec<_>, _>>()?;
    let leader = start(&Program {
        path,
        arguments: &arguments,
        environment: &environment,
        directory: directory.as_deref(),
        descriptors: &copies.iter().map(AsFd::as_fd).collect::<Vec<_>>(),
    })?;
    if let Some((current, maximum)) = descriptor_limit_to_restore() {
        use rustix::process::{Resource, Rlimit, prlimit};
        // It may have ended already.
        let _ = prlimit(Some(leader), Resource::Nofile, Rlimit { current, maximum });
    }
    Ok(leader)
}

/// Configurations with commands are for Linux.
#[cfg(not(target_os = "linux"))]
pub(super) fn start_command(
    _argv: &[String],
    _environment: Vec<CString>,
    _directory: Option<&str>,
    _descriptors: &[BorrowedFd<'_>],
) -> io::Result<Pid> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What a process is started with.
struct Plan<'a> {
    path: &'a CStr,
    arguments: &'a [CString],
    environment: &'a [CString],
    input: &'a File,
    outputs: &'a Outputs<PipeWriter>,
    report: Option<&'a PipeWriter>,
}

/// The system does all else at the start.
#[cfg(target_os = "linux")]
const NEEDS_STEP: bool = false;

/// The new process gets no session from the system, and more of ours than it should have.
#[cfg(not(target_os = "linux"))]
const NEEDS_STEP: bool = true;

/// The number that the step knows its report by: the first that is free.
#[cfg(target_os = "linux")]
const REPORT_IN_STEP: RawFd = 3;

/// The same.
#[cfg(target_os = "linux")]
fn number_in_step(_report: &PipeWriter) -> RawFd {
    REPORT_IN_STEP
}

/// A runtime by its path; one that is not found is left to the system to refuse.
#[cfg(target_os = "linux")]
fn in_path(runtime: &CStr) -> CString {
    let name = OsStr::from_bytes(runtime.to_bytes());
    if runtime.to_bytes().contains(&b'/') {
        return runtime.to_owned();
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let is_program = |path: &PathBuf| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(is_program);
    let found =
        found.and_then(|path| CString::new(path.into_os_string().into_encoded_bytes()).ok());
    found.unwrap_or_else(|| runtime.to_owned())
}

/// The number that the step knows its report by: the one that it has here.
#[cfg(not(target_os = "linux"))]
fn number_in_step(report: &PipeWriter) -> RawFd {
    std::os::fd::AsRawFd::as_raw_fd(report)
}

#[cfg(target_os = "linux")]
impl Plan<'_> {
    fn start(&self) -> io::Result<Pid> {
        let Outputs { stdout, stderr } = self.outputs;
        let stderr = stderr.as_ref().unwrap_or(stdout);
        let mut descriptors = vec![self.input.as_fd(), stdout.as_fd(), stderr.as_fd()];
        descriptors.extend(self.report.map(AsFd::as_fd));
        start(&Program {
            path: self.path,
            arguments: self.arguments,
            environment: self.environment,
            directory: None,
            descriptors: &descriptors,
        })
    }
}

#[cfg(not(target_os = "linux"))]
impl Plan<'_> {
    fn start(&self) -> io::Result<Pid> {
        use rustix::io::{FdFlags, fcntl_setfd};
        use std::os::unix::process::CommandExt;
        use std::process::{Command, Stdio};

        let text = |text: &CStr| OsStr::from_bytes(text.to_bytes()).to_owned();
        let mut command = Command::new(text(self.path));
        let (name, rest) = self.arguments.split_first().expect("a program has a name");
        command.arg0(text(name)).args(rest.iter().map(|argument| text(argument))).env_clear();
        for variable in self.environment {
            let variable = text(variable);
            let at = variable.as_bytes().iter().position(|byte| *byte == b'=').unwrap_or(0);
            let (name, value) = variable.as_bytes().split_at(at);
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(&value[1..]));
        }
        let Outputs { stdout, stderr } = self.outputs;
        command
            .stdin(Stdio::from(self.input.try_clone()?))
            .stdout(Stdio::from(stdout.try_clone()?))
            .stderr(Stdio::from(stderr.as_ref().unwrap_or(stdout).try_clone()?));
        if let Some(report) = self.report {
            // One thread starts all processes: no other inherits it.
            fcntl_setfd(report, FdFlags::empty())?;
        }
        Ok(Pid::from_child(&command.spawn()?))
    }
}
