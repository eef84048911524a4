//! A listening socket that the service manager made before it started the master.

use std::net::TcpListener;
use std::os::fd::RawFd;
use std::{env, io, process};

use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

use crate::promises::inherited;

/// The first of the descriptors that are handed over.
const FIRST: RawFd = 3;

/// The inherited socket, ready for an async runtime; `None` if there is none. Call it once, and
/// before anything else opens a descriptor.
///
/// # Errors
/// If the descriptors are not exactly one listening TCP socket; the text has the remedy.
pub(crate) fn inherited_listener() -> io::Result<Option<TcpListener>> {
    let text = |name| env::var(name).ok();
    if !is_handed_over(text("LISTEN_PID").as_deref(), text("LISTEN_FDS").as_deref())? {
        return Ok(None);
    }
    let wrong = |what: &str| {
        Err(io::Error::other(format!(
            "descriptor {FIRST} is {what}; give it one ListenStream=<address>:<port>"
        )))
    };
    let Ok(socket) = inherited(FIRST) else { return wrong("not open") };
    match socket_type(&socket) {
        Ok(SocketType::STREAM) => {}
        Ok(_) => return wrong("not a TCP socket"),
        Err(_) => return wrong("not a socket"),
    }
    // Apple's systems cannot tell; the first accept will.
    #[cfg(not(target_vendor = "apple"))]
    if !rustix::net::sockopt::socket_acceptconn(&socket)? {
        return wrong("not listening");
    }
    let listener = TcpListener::from(socket);
    if listener.local_addr().is_err() {
        return wrong("not a TCP socket");
    }
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Whether one descriptor was handed over to this process.
fn is_handed_over(pid: Option<&str>, count: Option<&str>) -> io::Result<bool> {
    let (Some(pid), Some(count)) = (pid, count) else { return Ok(false) };
    if pid != process::id().to_string() {
        return Ok(false);
    }
    match count.parse::<u32>() {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        Ok(_) => Err(io::Error::other(format!("there are {count} sockets, and one is needed"))),
        Err(_) => Err(io::Error::other(format!("LISTEN_FDS={count} is not a number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_socket_for_this_process_is_taken() {
        let own = process::id().to_string();
        let asked = |pid: Option<&str>, count| is_handed_over(pid, count).ok();
        assert_eq!(asked(Some(&own), Some("1")), Some(true));
        assert_eq!(asked(Some(&own), Some("0")), Some(false));
        assert_eq!(asked(Some("1"), Some("1")), Some(false), "of another process");
        assert_eq!(asked(None, Some("1")), Some(false));
        assert_eq!(asked(Some(&own), None), Some(false));
        for odd in ["2", "", "x", "-1"] {
            assert_eq!(asked(Some(&own), Some(odd)), None, "{odd}");
        }
    }
}
