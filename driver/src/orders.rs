//! The orders of the master to the exec step in a new process, as an argument: `<this program>
//! --become ORDERS RUNTIME URL`. `runtime::step` carries them out; users never call it.

use std::ffi::{CString, OsString};
use std::fmt;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use openctrl_core::instance::Setup;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The first argument of a step.
pub(crate) const WORD: &str = "--become";

/// The actions of a step before it becomes the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Orders {
    /// The descriptor of the report.
    pub(crate) report: RawFd,
    /// The limit on open files, soft and hard; unchanged if `None`.
    pub(crate) open_files: Option<(Option<u64>, Option<u64>)>,
    /// Ignore SIGHUP, as `nohup` asked the master to.
    pub(crate) ignores_hang_up: bool,
    /// The runtime is this program.
    pub(crate) is_own: bool,
    /// The control group to enter; that of the master's children if `None`.
    pub(crate) control_group: Option<String>,
    /// User, group, umask, working directory and memory. The rest is in the environment and in
    /// `open_files`.
    pub(crate) setup: Setup,
}

impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "report={}", self.report)?;
        if let Some((soft, hard)) = self.open_files {
            write!(f, ",nofile={}:{}", Bound(soft), Bound(hard))?;
        }
        if self.ignores_hang_up {
            write!(f, ",nohup")?;
        }
        if self.is_own {
            write!(f, ",own")?;
        }
        if let Some(path) = &self.control_group {
            write!(f, ",cgroup={}", utf8_percent_encode(path, NON_ALPHANUMERIC))?;
        }
        let Setup { user, group, umask, cwd, memory_bytes, .. } = &self.setup;
        for (name, text) in [("user", user), ("group", group), ("cwd", cwd)] {
            if let Some(text) = text {
                write!(f, ",{name}={}", utf8_percent_encode(text, NON_ALPHANUMERIC))?;
            }
        }
        if let Some(umask) = umask {
            write!(f, ",umask={umask}")?;
        }
        if let Some(bytes) = memory_bytes {
            write!(f, ",memory={bytes}")?;
        }
        Ok(())
    }
}

/// A limit; `-` means unlimited.
struct Bound(Option<u64>);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => limit.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl Orders {
    /// Reads what `Display` wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut orders = Self {
            report: -1,
            open_files: None,
            ignores_hang_up: false,
            is_own: false,
            control_group: None,
            setup: Setup::default(),
        };
        for order in text.split(',') {
            match order.split_once('=').unwrap_or((order, "")) {
                ("report", number) => orders.report = number.parse().ok()?,
                ("nofile", limits) => {
                    let (soft, hard) = limits.split_once(':')?;
                    orders.open_files = Some((bound(soft)?, bound(hard)?));
                }
                ("nohup", "") => orders.ignores_hang_up = true,
                ("own", "") => orders.is_own = true,
                ("cgroup", path) => orders.control_group = Some(decoded(path)?),
                ("user", text) => orders.setup.user = Some(decoded(text)?),
                ("group", text) => orders.setup.group = Some(decoded(text)?),
                ("cwd", text) => orders.setup.cwd = Some(decoded(text)?),
                ("umask", number) => orders.setup.umask = Some(number.parse().ok()?),
                ("memory", bytes) => orders.setup.memory_bytes = Some(bytes.parse().ok()?),
                _ => return None,
            }
        }
        (orders.report > 2).then_some(orders)
    }
}

fn decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

fn bound(text: &str) -> Option<Option<u64>> {
    if text == "-" { Some(None) } else { text.parse().ok().map(Some) }
}

/// Whether the process that runs `url` becomes the command in it.
pub(crate) fn replaces_itself(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("exec"))
}

/// A variable as the system takes it.
pub(crate) fn variable((name, value): (OsString, OsString)) -> Option<CString> {
    CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_were_written() {
        let setup = Setup {
            user: Some("www-data".to_owned()),
            group: Some("33".to_owned()),
            umask: Some(0o22),
            cwd: Some("/a,b=%c".to_owned()),
            memory_bytes: Some(1),
            ..Setup::default()
        };
        let plain = Orders {
            report: 3,
            open_files: None,
            ignores_hang_up: false,
            is_own: false,
            control_group: None,
            setup: Setup::default(),
        };
        let all = Orders {
            report: 17,
            open_files: Some((Some(1024), None)),
            ignores_hang_up: true,
            is_own: true,
            control_group: Some("/sys/fs/a".to_owned()),
            setup,
        };
        let full = "report=17,nofile=1024:-,nohup,own,cgroup=%2Fsys%2Ffs%2Fa,user=www%2Ddata,\
            group=33,cwd=%2Fa%2Cb%3D%25c,umask=18,memory=1";
        for (orders, text) in [(plain, "report=3"), (all, full)] {
            assert_eq!(orders.to_string(), text);
            assert_eq!(Orders::parse(text), Some(orders));
        }
        for bad in ["", "report=1", "report=x", "report=3,nofile=1", "report=3,nohup=1", "own"] {
            assert_eq!(Orders::parse(bad), None, "{bad}");
        }
    }
}
