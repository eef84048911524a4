//! The master's end of its private channel: one question of one peer at a time.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use openctrl_core::handover::{Answer, Question};
use rustix::net::{SocketFlags, accept_with};

use crate::channel::{SOCKET, receive};
use crate::packets;
use crate::promises::peer_user;

/// How long a peer may take to put its question.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the system refuses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where answers go.
pub(super) type Tell<'a> = dyn Fn(&Answer) + Sync + 'a;

/// The listener of the channel.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// Opens the channel in a state directory that this master holds, unless it was handed over.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) fn open(state: &Path, handed: Option<OwnedFd>) -> io::Result<Channel> {
    let path = state.join(SOCKET);
    let is_socket = || fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket());
    if let Some(listener) = handed.filter(|_| is_socket()) {
        return Ok(Channel(listener));
    }
    if is_socket() {
        fs::remove_file(&path)?;
    }
    packets::listen_in(state, SOCKET).map(Channel)
}

/// Removes the socket at the end of the master.
pub(crate) fn remove(state: &Path) {
    let _ = fs::remove_file(state.join(SOCKET));
}

impl Channel {
    /// Its number, to keep it open.
    pub(crate) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Lets `answer` answer questions from now on: it is called with a question and with where its
    /// answers go.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn serve(
        self,
        answer: impl Fn(Question, &Tell<'_>) + Send + 'static,
    ) -> io::Result<()> {
        thread::Builder::new().name("upgrade".to_owned()).spawn(move || {
            loop {
                match accept_with(&self.0, SocketFlags::CLOEXEC) {
                    Ok(peer) => hear(&peer, &answer),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => thread::sleep(ACCEPT_PAUSE),
                }
            }
        })?;
        Ok(())
    }
}

fn hear(peer: &OwnedFd, answer: &impl Fn(Question, &Tell<'_>)) {
    let own = rustix::process::geteuid().as_raw();
    let Ok(user) = peer_user(peer.as_fd()) else { return };
    // A peer that does not wait is told nothing.
    let tell = |answer: &Answer| {
        let _ = packets::send(peer.as_fd(), answer.to_string().as_bytes(), &[]);
    };
    if user != own && user != 0 {
        return tell(&Answer::Refused(format!("user {user} may not ask for this")));
    }
    let Ok(Some(question)) = receive(peer, PATIENCE) else { return };
    match Question::read(&question) {
        Some(question) => answer(question, &tell),
        None => tell(&Answer::Refused("the question is not understood".to_owned())),
    }
}
