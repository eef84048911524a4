//! The keeper of a master under test, and sockets that only look like one.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind,
    connect, listen, recv, send, socket_with,
};

use crate::process::with_argument;
use crate::{Master, eventually};

/// The process that keeps the children of a master; `None` if there is none.
pub fn find(master: &Master) -> Option<i32> {
    let directory = master.state();
    let words = with_argument("--keep");
    let of_it = with_argument(directory.to_str().expect("a test's path is UTF-8"));
    words.into_iter().find(|pid| of_it.contains(pid))
}

/// Waits until a master has a keeper other than `old`.
pub fn wait_other_than(master: &Master, old: i32) -> i32 {
    eventually("another keeper", || find(master).filter(|pid| *pid != old))
}

/// A process of this test that listens in the place of a keeper and gives every connection one
/// answer.
pub struct Impostor {
    _listener: std::sync::Arc<OwnedFd>,
}

impl Impostor {
    /// Listens on `path`, which must not exist.
    pub fn listen(path: &Path, answer: &'static [u8]) -> Self {
        let listener = socket().expect("a socket");
        let address = SocketAddrUnix::new(path).expect("a short path");
        bind(&listener, &address).expect("the path is free");
        listen(&listener, 8).expect("it is bound");
        let listener = std::sync::Arc::new(listener);
        let accepting = std::sync::Arc::clone(&listener);
        std::thread::spawn(move || {
            while let Ok(connection) = accept(&*accepting) {
                let _ = recv(&connection, &mut [0; 4096][..], RecvFlags::empty());
                let _ = send(&connection, answer, SendFlags::NOSIGNAL);
            }
        });
        Self { _listener: listener }
    }
}

/// Connects to a keeper and says something; returns the answer, empty if it closes the connection.
pub fn say(path: &Path, words: &[u8]) -> io::Result<Vec<u8>> {
    let socket = socket()?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    send(&socket, words, SendFlags::NOSIGNAL)?;
    let mut answer = [0; 4096];
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    Ok(answer[..length.min(answer.len())].to_vec())
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}
