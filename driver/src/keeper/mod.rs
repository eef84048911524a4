//! The keeper: a small process between the master and its children. It is the parent of every child
//! and outlives the master, so that a master may end, crash or be replaced and no child notices.
//!
//! One thread, one loop: orders of the master in, reports out. It starts, signals and reaps
//! children, holds the read ends of their outputs open without ever reading them, and keeps exit
//! statuses until they are taken. It stops children whose lease no master renews; which these are is
//! decided in `openctrl_core::keeper`, where the messages are, too. It has no file of its own. The
//! master's side is `daemon::process::link`.

mod children;
mod held;
mod launch;
mod report;

use std::ffi::c_int;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use openctrl_core::keeper::{Order, Report, Start, Turned, VERSION, decode_order};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Mode, statat};
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{getpid, set_child_subreaper};

use self::children::Children;
use self::report::report_to;
use crate::packets::{self, Packet};
use crate::promises::{Disposition, child_signals, inherited, peer_user, set_disposition};
use crate::start_code::give_back;

/// The first argument of a keeper.
pub(crate) const WORD: &str = "--keep";

/// The name of its socket in the state directory.
pub(crate) const SOCKET: &str = "keeper.sock";

/// The descriptors that a keeper is started with: its listener, and the connection to the master
/// that starts it.
const LISTENER: c_int = 3;
const FIRST_MASTER: c_int = 4;

/// Then the state directory.
const DIRECTORY: c_int = 5;

/// How often a keeper without a master checks whether its socket still exists, and whether children
/// have ended that it cannot watch.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Signals that are meant for the master and its children, not for their keeper: it ends when the
/// master orders it to, or when it is killed.
const IGNORED: [c_int; 7] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGPIPE,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// How many orders are handled before children that have ended are reaped again.
const ORDERS_PER_TURN: usize = 64;

/// Runs a keeper until the master orders it to end, or until it has neither a master nor a child.
pub(crate) fn run() -> ExitCode {
    let numbers = [LISTENER, FIRST_MASTER, DIRECTORY];
    let [Ok(listener), Ok(master), Ok(directory)] = numbers.map(inherited) else {
        let _ = writeln!(
            io::stderr(),
            "openctrl: {WORD} is for the master's own use; try 'openctrl help'"
        );
        return ExitCode::from(2);
    };
    for signal in IGNORED {
        set_disposition(signal, Disposition::Ignore);
    }
    // The keeper adopts what the children leave behind; without this the master adopts it, or init.
    let _ = set_child_subreaper(Some(getpid()));
    let begun = child_signals().and_then(|child_ended| {
        let (master, candidate) = (None, Some(master));
        let children = Children::new()?;
        let (is_quitting, socket) = (false, socket_in(&directory));
        Ok(Keeper {
            listener,
            directory,
            socket,
            child_ended,
            master,
            candidate,
            children,
            is_quitting,
        })
    });
    let ended = begun.and_then(|mut keeper| keeper.serve());
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Keeper {
    listener: OwnedFd,
    directory: OwnedFd,
    /// The number of the socket's file.
    socket: Option<u64>,
    child_ended: OwnedFd,
    /// The connection of the master.
    master: Option<OwnedFd>,
    /// A connection that has not sent `Hello` yet.
    candidate: Option<OwnedFd>,
    children: Children,
    is_quitting: bool,
}

/// What can be read.
#[derive(Default)]
struct Ready {
    child_ended: bool,
    listener: bool,
    master: bool,
    candidate: bool,
    /// A process that another keeper started has ended.
    held: bool,
}

impl Keeper {
    fn serve(&mut self) -> io::Result<()> {
        let mut scratch = packets::scratch();
        // The master that starts the keeper waits for the answer to its greeting.
        self.turn(&mut scratch)?;
        give_back();
        while !self.is_done() {
            self.turn(&mut scratch)?;
        }
        Ok(())
    }

    /// Waits until there is something to do, and does it.
    fn turn(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        let ready = self.wait()?;
        if self.is_alone() {
            self.children.look_at_unwatched();
        }
        if ready.child_ended {
            let _ = rustix::io::read(&self.child_ended, &mut [0; 128]);
        }
        let mut orders = 0..ORDERS_PER_TURN;
        // Otherwise a renewal may be among the orders that are left.
        if !ready.master || orders.any(|_| !self.take_order(scratch)) {
            self.children.end_expired();
        }
        // The system looks through all children to say that none has ended.
        if (ready.child_ended || ready.held)
            && self.children.reap(self.master.as_ref().map(AsFd::as_fd)).is_err()
        {
            self.master = None;
        }
        if ready.candidate {
            self.greet(scratch);
        }
        if ready.listener {
            self.accept();
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        if self.children.any_runs() {
            return false;
        }
        // Exit statuses are kept for the next master, as long as one can come.
        let is_useless = || self.children.is_empty() || socket_in(&self.directory) != self.socket;
        self.is_quitting || (self.is_alone() && is_useless())
    }

    fn is_alone(&self) -> bool {
        self.master.is_none() && self.candidate.is_none()
    }

    fn wait(&self) -> io::Result<Ready> {
        let watched = |descriptor| PollFd::new(descriptor, PollFlags::IN);
        let mut polled = vec![watched(&self.child_ended), watched(&self.listener)];
        polled.extend(self.master.as_ref().map(watched));
        polled.extend(self.candidate.as_ref().map(watched));
        polled.push(watched(self.children.held()));
        let expires = self.children.expires_in_ms().map(Duration::from_millis);
        let limit = self.is_alone().then_some(LOOK_EVERY).into_iter().chain(expires).min();
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut polled, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut is_ready = polled.iter().map(|polled| !polled.revents().is_empty());
        let mut next = |is_there: bool| is_there && is_ready.next().unwrap_or(false);
        Ok(Ready {
            child_ended: next(true),
            listener: next(true),
            master: next(self.master.is_some()),
            candidate: next(self.candidate.is_some()),
            held: next(true),
        })
    }

    fn accept(&mut self) {
        if let Ok(connection) = accept_with(&self.listener, SocketFlags::CLOEXEC) {
            // It replaces an earlier connection that has sent nothing.
            self.candidate = Some(connection);
        }
    }

    /// Lets a connection become the master, if it is one and there is no other.
    fn greet(&mut self, scratch: &mut [u8]) {
        let Some(candidate) = self.candidate.take() else { return };
        let Ok(Some(packet)) = packets::receive(candidate.as_fd(), false, scratch) else { return };
        let Ok(Order::Hello { version, umask }) = decode_order(&packet.bytes) else { return };
        let why = if !is_own_user(&candidate) {
            Some(Turned::User)
        } else if version != VERSION {
            Some(Turned::Version)
        } else {
            self.master.is_some().then_some(Turned::Busy)
        };
        let report = match why {
            Some(why) => Report::Turned { version: VERSION, why },
            None => Report::Hello { version: VERSION, pid: getpid().as_raw_pid() },
        };
        let is_sent = report_to(&candidate, &report, &[]).is_ok();
        if why.is_none() && is_sent {
            rustix::process::umask(Mode::from_bits_truncate(umask));
            self.children.serve_master(packet.descriptors);
            self.master = Some(candidate);
        }
    }

    /// Handles one order of the master; false if there is none. A connection that violates the
    /// protocol is closed, which affects no child.
    fn take_order(&mut self, scratch: &mut [u8]) -> bool {
        let Some(master) = self.master.take() else { return false };
        let packet = match packets::receive(master.as_fd(), false, scratch) {
            Ok(Some(packet)) => packet,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.master = Some(master);
                return false;
            }
            Ok(None) | Err(_) => return false,
        };
        let is_kept = decode_order(&packet.bytes)
            .map_err(io::Error::other)
            .and_then(|order| self.carry_out(order, packet, &master));
        if is_kept.is_ok() {
            self.master = Some(master);
        }
        true
    }

    fn carry_out(&mut self, order: Order, packet: Packet, master: &OwnedFd) -> io::Result<()> {
        let Packet { descriptors, is_cut, .. } = packet;
        match order {
            Order::Hello { .. } => return Err(io::Error::other("a second greeting")),
            Order::Environment { is_first, variables } => {
                self.children.set_environment(is_first, variables);
            }
            Order::Start(start) => {
                let run = start.run;
                let report = match self.start(start, descriptors, is_cut) {
                    Ok((pid, start_ticks)) => Report::Started { run, pid, start_ticks },
                    Err(error) => Report::Failed { run, errno: error.raw_os_error().unwrap_or(0) },
                };
                report_to(master, &report, &[])?;
            }
            Order::Signal { run, scope, signal, is_stop } => {
                self.children.signal(run, scope, signal, is_stop);
            }
            Order::Note { run, note } => self.children.note(run, note),
            Order::Renew { at_ms } => self.children.renew(at_ms),
            Order::Hold(child) => self.children.hold(child, descriptors),
            Order::Taken(run) => self.children.taken(run),
            Order::Forget(run) => self.children.forget(run),
            Order::ForgetInstance(instance) => self.children.forget_instance(instance),
            Order::List => {
                self.children.look_at_unwatched();
                let mut count = 0;
                for (child, outputs) in self.children.list() {
                    report_to(master, &Report::Item(child), &outputs)?;
                    count += 1;
                }
                report_to(master, &Report::Listed { count }, &[])?;
            }
            Order::Quit => self.is_quitting = true,
        }
        Ok(())
    }

    fn start(
        &mut self,
        start: Start,
        descriptors: Vec<OwnedFd>,
        is_cut: bool,
    ) -> io::Result<(i32, u64)> {
        if is_cut {
            return Err(rustix::io::Errno::MFILE.into());
        }
        self.children.start(start, descriptors)
    }
}

/// The number of the file of the socket; `None` if it was removed.
fn socket_in(directory: &OwnedFd) -> Option<u64> {
    statat(directory, SOCKET, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_ino)
}

/// Whether the other end runs as the user of this process, or as root.
fn is_own_user(connection: &OwnedFd) -> bool {
    let own = rustix::process::geteuid().as_raw();
    peer_user(connection.as_fd()).is_ok_and(|user| user == own || user == 0)
}
