//! The connection of a master to the keeper of its state directory: finding one that runs, starting
//! one, the greeting, and sending orders. `reports` reads the reports of the keeper.
//!
//! The caller holds the lock of the state directory, so no other master does this.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openctrl_core::keeper::{
    MESSAGE_MAX_BYTES, Order, Report, Turned, VERSION, decode_report, encode,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use tokio::io::Interest;

use super::link_error::LinkError;
use super::listed::Listed;
use super::stat::Stat;
use crate::keeper::{SOCKET, WORD};
use crate::outputs::Outputs;
use crate::packets;
use crate::promises::{Program, peer_user, register, start};

/// The file of this program on Linux, also after it was removed or replaced.
const OWN_FILE: &str = "/proc/self/exe";

/// The lowest number of a descriptor that is handed to a keeper.
const COPIES_FROM: i32 = 16;

/// How long a keeper may take to answer.
const ANSWER_TAKES: Duration = Duration::from_secs(10);

/// How long the connection of a master that was killed, or the socket of a keeper, may take to
/// close.
const EARLIER_ONE_TAKES: Duration = Duration::from_secs(5);

/// How long to wait before asking the keeper again.
const AGAIN: Duration = Duration::from_millis(10);

/// The largest part of the environment in one message, in bytes.
const ENVIRONMENT_PART_BYTES: usize = MESSAGE_MAX_BYTES / 4;

/// A connection to a keeper that accepts the orders of this master.
#[derive(Clone, Debug)]
pub(super) struct Link {
    socket: Arc<OwnedFd>,
    /// The keeper.
    pub(super) pid: i32,
    /// Whether it is a child of this process, which then adopts its children if it is lost.
    pub(super) is_child: bool,
}

impl Link {
    /// Connects to the keeper of a state directory; `None` if there is none.
    pub(super) fn find(
        directory: &Path,
        environment: &[CString],
    ) -> Result<Option<Self>, LinkError> {
        let path = directory.join(SOCKET);
        let begun = Instant::now();
        loop {
            let socket = match packets::connect_in(directory, SOCKET) {
                Ok(socket) => socket,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::ConnectionRefused
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
                    return Err(LinkError::Stranger(path, "another kind of socket".to_owned()));
                }
                Err(error) => return Err(LinkError::Io("connect to", path, error)),
            };
            match Self::greet(socket, &path, environment) {
                // The system may not have closed the connection of a master that was killed yet, or
                // the socket of a keeper that was.
                Err(LinkError::Turned(_, Turned::Busy, _) | LinkError::Closed(_))
                    if begun.elapsed() < EARLIER_ONE_TAKES =>
                {
                    std::thread::sleep(AGAIN);
                }
                other => return other.map(Some),
            }
        }
    }

    /// Starts a keeper. There must be no other one that can be reached.
    pub(super) fn launch(directory: &Path, environment: &[CString]) -> Result<Self, LinkError> {
        let path = directory.join(SOCKET);
        let failed =
            |attempt| move |error| LinkError::NotStarted(attempt, directory.join(SOCKET), error);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => {
                fs::remove_file(&path).map_err(failed("remove"))?;
            }
            Ok(_) => return Err(LinkError::NoSocket(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at")(error)),
        }
        let listener = packets::listen_in(directory, SOCKET).map_err(failed("listen on"))?;
        let starts = failed("start a keeper that listens on");
        let socket = start_keeper(directory, &listener).map_err(&starts)?;
        Self::greet(socket, &path, environment).map_err(|error| match error {
            LinkError::Io(_, _, error) => starts(error),
            LinkError::Closed(_) => starts(io::Error::other("it ended at once")),
            other @ (LinkError::Stranger(..)
            | LinkError::Turned(..)
            | LinkError::NoSocket(_)
            | LinkError::NotStarted(..)) => other,
        })
    }

    /// Sends the greeting and the environment of children.
    fn greet(socket: OwnedFd, path: &Path, environment: &[CString]) -> Result<Self, LinkError> {
        let stranger = |what: String| LinkError::Stranger(path.to_owned(), what);
        let failed = |error| match is_closed(&error) {
            true => LinkError::Closed(path.to_owned()),
            false => LinkError::Io("greet the keeper that listens on", path.to_owned(), error),
        };
        let user = peer_user(socket.as_fd()).map_err(failed)?;
        let own = rustix::process::geteuid().as_raw();
        if user != own && user != 0 {
            return Err(stranger(format!("it runs as user {user}")));
        }
        let here = File::open(".").or_else(|_| File::open("/")).map_err(failed)?;
        let program = File::open(OWN_FILE).map_err(failed)?;
        let link = Self { socket: Arc::new(socket), pid: 0, is_child: false };
        let hello = Order::Hello { version: VERSION, umask: umask() };
        link.order(&hello, &[here.as_fd(), program.as_fd()]).map_err(failed)?;
        let pid = match link.next_report() {
            Ok(Report::Hello { version: VERSION, pid }) => pid,
            Ok(Report::Turned { version, why }) => {
                return Err(LinkError::Turned(path.to_owned(), why, version));
            }
            Ok(other) => return Err(stranger(format!("it answers {other:?}"))),
            Err(error) if is_closed(&error) => return Err(failed(error)),
            Err(error) => return Err(stranger(error.to_string())),
        };
        let mut rest = environment;
        let mut is_first = true;
        while is_first || !rest.is_empty() {
            let mut bytes = 0;
            let is_full = |variable: &CString| {
                bytes += variable.as_bytes().len() + 4;
                bytes > ENVIRONMENT_PART_BYTES
            };
            let count = rest.iter().position(is_full).unwrap_or(rest.len()).max(1).min(rest.len());
            let (part, others) = rest.split_at(count);
            let variables = part.iter().map(|variable| variable.as_bytes().to_vec()).collect();
            link.order(&Order::Environment { is_first, variables }, &[]).map_err(failed)?;
            (rest, is_first) = (others, false);
        }
        let parent = Stat::read(pid).map(|keeper| keeper.parent);
        let is_child = parent.is_ok_and(|parent| parent == getpid().as_raw_pid());
        Ok(Self { pid, is_child, ..link })
    }

    /// Sends an order; waits while the keeper has many that it has not read.
    pub(super) fn order(&self, order: &Order, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = encode(order).map_err(io::Error::other)?;
        packets::send(self.socket.as_fd(), &bytes, descriptors)
    }

    /// Lists the children of the keeper. Call this before anything else reads reports.
    pub(super) fn list(&self) -> io::Result<Vec<Listed>> {
        self.order(&Order::List, &[])?;
        let (mut listed, mut scratch) = (Vec::new(), packets::scratch());
        loop {
            let (report, descriptors) = self.receive(&mut scratch)?;
            match report {
                Report::Item(child) => {
                    listed.push(Listed { child, outputs: Outputs::of_list(descriptors) });
                }
                Report::Listed { .. } => return Ok(listed),
                // A child that ended before the list was made is listed as ended.
                Report::Hello { .. }
                | Report::Turned { .. }
                | Report::Started { .. }
                | Report::Failed { .. }
                | Report::Ended(..)
                | Report::Reaped { .. } => {}
            }
        }
    }

    /// Passes on every report until the connection ends or is unusable.
    pub(super) async fn read_reports(&self, mut take: impl FnMut(Report)) {
        let mut scratch = packets::scratch();
        let Ok(socket) = register(Arc::clone(&self.socket)) else { return };
        let mut receive =
            |socket: &Arc<OwnedFd>| packets::receive(socket.as_fd(), false, &mut scratch);
        loop {
            match socket.async_io(Interest::READABLE, &mut receive).await {
                Ok(Some(packet)) => match decode_report(&packet.bytes) {
                    Ok(report) => take(report),
                    Err(_) => return,
                },
                // Said once, of a keeper that was killed before it had read every order. What it
                // reported until then is still there.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Waits until the keeper has closed the connection; false if it does not in this time.
    pub(super) fn wait_closed(&self, limit: Duration) -> bool {
        self.wait(PollFlags::empty(), limit).unwrap_or(false)
    }

    /// Waits for an event on the connection, its end included; false if none comes in this time.
    fn wait(&self, event: PollFlags, limit: Duration) -> io::Result<bool> {
        let limit = Timespec::try_from(limit).ok();
        let mut polled = [PollFd::new(&self.socket, event)];
        // A child of this process may end meanwhile.
        Ok(rustix::io::retry_on_intr(|| poll(&mut polled, limit.as_ref()))? > 0)
    }

    /// Kills the keeper, which has not closed the connection.
    pub(super) fn kill(&self) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = kill_process(pid, Signal::KILL);
            self.wait_closed(ANSWER_TAKES);
        }
    }

    /// Reaps the keeper if it is a child that has ended.
    pub(super) fn reap(&self, options: WaitOptions) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = waitpid(Some(pid), options);
        }
    }

    fn next_report(&self) -> io::Result<Report> {
        Ok(self.receive(&mut packets::scratch())?.0)
    }

    fn receive(&self, scratch: &mut [u8]) -> io::Result<(Report, Vec<OwnedFd>)> {
        if !self.wait(PollFlags::IN, ANSWER_TAKES)? {
            return Err(io::Error::new(ErrorKind::TimedOut, "it does not answer"));
        }
        let closed = || io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection");
        let packet = packets::receive(self.socket.as_fd(), true, scratch)?;
        let packet = packet.ok_or_else(closed)?;
        if packet.is_cut {
            let reason = "too many open files: raise the limit (ulimit -n)";
            return Err(io::Error::new(ErrorKind::OutOfMemory, reason));
        }
        Ok((decode_report(&packet.bytes).map_err(io::Error::other)?, packet.descriptors))
    }
}

/// Whether an error means that the other end has closed the connection, or was killed.
pub(super) fn is_closed(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    [UnexpectedEof, ConnectionReset, BrokenPipe].contains(&error.kind())
}

/// Removes the socket of a keeper that has ended.
pub(super) fn remove_socket(directory: &Path) {
    let path = directory.join(SOCKET);
    if fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
        let _ = fs::remove_file(path);
    }
}

/// Starts the process without an environment: the environment of children is sent to it.
fn start_keeper(directory: &Path, listener: &OwnedFd) -> io::Result<OwnedFd> {
    let kind = SocketType::SEQPACKET;
    let (ours, its) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    let folder = File::open(directory)?;
    let program = std::env::current_exe()?;
    let given = [
        nothing.as_fd(),
        nothing.as_fd(),
        nothing.as_fd(),
        listener.as_fd(),
        its.as_fd(),
        folder.as_fd(),
    ];
    // The numbers that they get in the new process must not be among those they have here.
    let copies = given.map(|descriptor| fcntl_dupfd_cloexec(descriptor, COPIES_FROM));
    let copies = copies.into_iter().collect::<Result<Vec<OwnedFd>, _>>()?;
    let descriptors: Vec<BorrowedFd<'_>> = copies.iter().map(AsFd::as_fd).collect();
    let name = CString::new(program.as_os_str().as_bytes())?;
    let of = CString::new(directory.as_os_str().as_bytes())?;
    start(&Program {
        path: &CString::new(OWN_FILE)?,
        arguments: &[name, CString::new(WORD)?, of],
        environment: &[],
        descriptors: &descriptors,
        directory: None,
    })?;
    Ok(ours)
}

/// The umask of this process. It can only be read by setting it.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    umask.and_then(|umask| u32::from_str_radix(umask.trim(), 8).ok()).unwrap_or(0o022)
}

#[cfg(test)]
mod tests {
    use openctrl_core::ids::RunId;

    use super::*;

    #[tokio::test]
    async fn what_a_killed_keeper_has_reported_is_read() {
        let kind = SocketType::SEQPACKET;
        let pair = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
        let (ours, its) = pair.expect("sockets");
        let link = Link { socket: Arc::new(ours), pid: 0, is_child: false };
        let report = Report::Started { run: RunId(7), pid: 8, start_ticks: 9 };
        let bytes = encode(&report).expect("it is short");
        packets::send(its.as_fd(), &bytes, &[]).expect("sent");
        link.order(&Order::List, &[]).expect("sent");
        // It has not read the order.
        drop(its);
        let mut seen = Vec::new();
        link.read_reports(|report| seen.push(report)).await;
        assert_eq!(seen, [report]);
    }
}
