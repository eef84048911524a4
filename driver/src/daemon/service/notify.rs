//! Messages to the service manager: datagrams to `$NOTIFY_SOCKET`, as `sd_notify` sends them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, io};

use rustix::time::{ClockId, clock_gettime};

/// Maximum time that a service manager which reads nothing can delay a notification.
const PATIENCE: Duration = Duration::from_secs(1);

/// Notifies the service manager; without one, does nothing. Clones share the socket.
#[derive(Clone, Debug)]
pub(crate) struct Notifier {
    target: Option<Arc<Target>>,
}

#[derive(Debug)]
struct Target {
    name: OsString,
    address: SocketAddr,
    socket: UnixDatagram,
    /// Said once, since there may be one message every few seconds.
    has_failed: AtomicBool,
}

impl Notifier {
    /// The service manager named in the environment. A name that cannot be used is warned of.
    pub(crate) fn from_environment() -> Self {
        Self::new(env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()))
    }

    /// The one that reads the socket of this name; `@` before it is an abstract one.
    fn new(name: Option<OsString>) -> Self {
        let target = name.and_then(|name| match Target::open(name.clone()) {
            Ok(target) => Some(Arc::new(target)),
            Err(error) => {
                warn(&name, &error);
                None
            }
        });
        Self { target }
    }

    /// The one that reads the socket at `path`.
    #[cfg(test)]
    pub(super) fn at(path: &std::path::Path) -> Self {
        Self::new(Some(path.into()))
    }

    /// The API answers, at `address`.
    pub(crate) fn ready(&self, address: &str) {
        self.send(&format!("READY=1\nSTATUS=Serving {address}"));
    }

    /// The shutdown has started.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Stopping the instances");
    }

    /// The configuration is being reloaded; [`Notifier::ready`] ends this.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reading the certificate again"
        ));
    }

    /// The master lives.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        let Some(target) = &self.target else { return };
        let sent = target.socket.send_to_addr(message.as_bytes(), &target.address);
        if let Err(error) = sent
            && !target.has_failed.swap(true, Ordering::Relaxed)
        {
            warn(&target.name, &error);
        }
    }
}

impl Target {
    fn open(name: OsString) -> io::Result<Self> {
        let address = address(name.as_bytes())?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { name, address, socket, has_failed: AtomicBool::new(false) })
    }
}

fn address(name: &[u8]) -> io::Result<SocketAddr> {
    match name {
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)),
        #[cfg(target_os = "linux")]
        [b'@', rest @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(rest)
        }
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is neither an absolute path nor an abstract name (@...)",
        )),
    }
}

fn warn(name: &OsString, error: &io::Error) {
    let name = name.display();
    tracing::warn!("Master.run: cannot tell the service manager at NOTIFY_SOCKET={name}: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let count = socket.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..count].to_vec()).expect("text")
    }

    #[test]
    fn messages_arrive_at_a_path() {
        let folder = tempfile::TempDir::new().expect("a temporary directory");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        let notifier = Notifier::new(Some(path.into()));
        notifier.ready("http://127.0.0.1:1/api/v2");
        assert_eq!(said(&manager), "READY=1\nSTATUS=Serving http://127.0.0.1:1/api/v2");
        notifier.stopping();
        assert!(said(&manager).starts_with("STOPPING=1\n"));
        notifier.reloading();
        let text = said(&manager);
        let micros = text.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        let micros: u64 = micros.expect("the time").parse().expect("a number");
        assert!(micros > 0 && text.starts_with("RELOADING=1\n"), "{text}");
    }

    #[test]
    fn a_name_that_is_no_address_and_a_manager_that_is_gone_cost_nothing() {
        for name in ["relative", "vsock:2:1", &format!("/{}", "x".repeat(200))] {
            assert!(Notifier::new(Some(name.into())).target.is_none(), "{name}");
        }
        assert!(address(b"").is_err());
        let folder = tempfile::TempDir::new().expect("a temporary directory");
        let notifier = Notifier::new(Some(folder.path().join("nobody").into()));
        notifier.alive();
        let target = notifier.target.expect("the name is an address");
        assert!(target.has_failed.load(Ordering::Relaxed));
    }
}
