//! Unix listeners with the mode and the group that they are to have from their first moment.
//!
//! A socket that nothing listens on any more is replaced. Anything else in the way is an error: it
//! is never removed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::unistd::Group;
use openctrl_core::handover::{Descriptor, Role};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

/// The mode of sockets that take changes.
pub(crate) const MAIN_MODE: u32 = 0o660;

/// The mode of the socket that takes none.
pub(crate) const STATUS_MODE: u32 = 0o666;

/// The longest path that a Unix socket can have, in bytes.
const PATH_MAX_BYTES: usize = 107;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Why there is no socket. Names the path; `socket=` and `control=` share it.
#[derive(Debug)]
pub(crate) enum ListenError {
    TooLong(PathBuf),
    NoSocket(PathBuf),
    InUse(PathBuf),
    NoGroup(String),
    TooMany { needed: u64, limit: u64 },
    Io(&'static str, PathBuf, io::Error),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(path) => write!(
                f,
                "the socket path {} has {} bytes, at most {PATH_MAX_BYTES} are possible; \
                 choose a shorter path",
                path.display(),
                path.as_os_str().len()
            ),
            Self::NoSocket(path) => write!(
                f,
                "{} is in the way and is no socket; remove it or choose another path",
                path.display()
            ),
            Self::InUse(path) => write!(
                f,
                "another process listens on {}; stop it or choose another path",
                path.display()
            ),
            Self::NoGroup(name) => {
                write!(f, "control_group: there is no group {name:?}; create it or name another")
            }
            Self::TooMany { needed, limit } => write!(
                f,
                "control: the sockets of {needed} instances take {needed} descriptors, and the \
                 limit is {limit}; raise it (LimitNOFILE=, ulimit -n), or choose \
                 control_sockets=tagged"
            ),
            Self::Io(attempt, path, error) => {
                write!(f, "cannot {attempt} {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, _, error) => Some(error),
            Self::TooLong(_)
            | Self::NoSocket(_)
            | Self::InUse(_)
            | Self::NoGroup(_)
            | Self::TooMany { .. } => None,
        }
    }
}

/// The open Unix listeners by their numbers, and those that another program of this
/// master left open, by their paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenSockets(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    open: BTreeMap<RawFd, PathBuf>,
    handed: HashMap<PathBuf, OwnedFd>,
}

impl OpenSockets {
    /// With those that were left open.
    pub(crate) fn with(handed: HashMap<PathBuf, OwnedFd>) -> Self {
        Self(Arc::new(Mutex::new(Known { open: BTreeMap::new(), handed })))
    }

    /// All of them, to keep them open.
    pub(crate) fn descriptors(&self) -> Vec<Descriptor> {
        let role = |path: &PathBuf| Role::Socket(path.as_os_str().as_bytes().to_vec());
        let known = self.lock();
        let open = known.open.iter();
        open.map(|(number, path)| Descriptor { number: *number, role: role(path) }).collect()
    }

    /// Closes the ones that were left open and not used.
    pub(crate) fn forget_handed(&self) {
        self.lock().handed.clear();
    }

    /// A listener that was left open, or else a new one. It is one of these as long as its file.
    pub(crate) fn bind(
        &self,
        path: &Path,
        mode: u32,
        group: Option<u32>,
    ) -> Result<BoundSocket, ListenError> {
        let handed = self.lock().handed.remove(path);
        let mut bound = match handed {
            Some(handed) => BoundSocket::taken_over(path, handed)?,
            None => BoundSocket::bind(path, mode, group)?,
        };
        let number = bound.listener.as_raw_fd();
        self.lock().open.insert(number, path.to_owned());
        bound.file.known = Some((self.clone(), number));
        Ok(bound)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener that does not block, and its socket file.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    pub(crate) listener: UnixListener,
    pub(crate) file: SocketFile,
}

/// The file of a socket, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// The file that was bound: another one of the same name is not removed.
    inode: Option<u64>,
    /// Where its listener is known, and its number there.
    known: Option<(OpenSockets, RawFd)>,
}

/// The number of a group.
///
/// # Errors
/// When there is no such group.
pub(crate) fn find_group(name: &str) -> Result<u32, ListenError> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) | Err(_) => Err(ListenError::NoGroup(name.to_owned())),
    }
}

/// Makes a directory, open to all for looking.
pub(super) fn make_directory(path: &Path) -> Result<(), ListenError> {
    let failed = |error| ListenError::Io("make the directory", path.to_owned(), error);
    fs::create_dir_all(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(failed)
}

fn check_length(path: &Path) -> Result<(), ListenError> {
    match path.as_os_str().len() {
        ..=PATH_MAX_BYTES => Ok(()),
        _ => Err(ListenError::TooLong(path.to_owned())),
    }
}

/// Makes room for a socket at `path`: removes one that nothing listens on.
fn clear(path: &Path) -> Result<(), ListenError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ListenError::Io("look at", path.to_owned(), error)),
        Ok(found) => found,
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| ListenError::Io("remove the dead socket", path.to_owned(), error)),
        // A full backlog, or no right to connect: somebody listens.
        Ok(_) | Err(_) => Err(ListenError::InUse(path.to_owned())),
    }
}

impl BoundSocket {
    /// Binds, sets mode and group, and only then listens.
    pub(crate) fn bind(path: &Path, mode: u32, group: Option<u32>) -> Result<Self, ListenError> {
        check_length(path)?;
        let failed =
            |attempt| move |error: io::Error| ListenError::Io(attempt, path.to_owned(), error);
        let address =
            SocketAddrUnix::new(path).map_err(|_| ListenError::TooLong(path.to_owned()))?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|error| failed("make a socket for")(error.into()))?;
        let mut bound = bind(&socket, &address);
        if bound == Err(Errno::ADDRINUSE) {
            clear(path)?;
            bound = bind(&socket, &address);
        }
        bound.map_err(|error| failed("bind")(error.into()))?;
        let set = || -> io::Result<()> {
            if group.is_some() {
                chown(path, None, group)?;
            }
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            listen(&socket, BACKLOG)?;
            Ok(())
        };
        if let Err(error) = set() {
            let _ = fs::remove_file(path);
            return Err(failed("set the mode and the group of")(error));
        }
        Ok(Self { listener: socket.into(), file: SocketFile::of(path) })
    }

    /// The listener for the runtime, which must be entered, and the file.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn into_parts(self) -> Result<(tokio::net::UnixListener, SocketFile), ListenError> {
        let Self { listener, file } = self;
        let listener = tokio::net::UnixListener::from_std(listener)
            .map_err(|error| ListenError::Io("listen on", file.path.clone(), error))?;
        Ok((listener, file))
    }

    /// A listener that another program of this process has bound.
    pub(crate) fn taken_over(path: &Path, socket: OwnedFd) -> Result<Self, ListenError> {
        let failed = |error| ListenError::Io("listen on", path.to_owned(), error);
        let listener = UnixListener::from(socket);
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, file: SocketFile::of(path) })
    }
}

impl SocketFile {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), inode: inode_of(path), known: None }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Some((sockets, number)) = self.known.take() {
            sockets.lock().open.remove(&number);
        }
        if inode_of(&self.path) == self.inode {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode_of(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).ok().map(|found| found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.sock");
        let bound = BoundSocket::bind(&path, MAIN_MODE, None).expect("it is free");
        assert_eq!(mode(&path), 0o660);
        UnixStream::connect(&path).expect("it listens");
        assert!(matches!(clear(&path), Err(ListenError::InUse(_))));
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn only_a_dead_socket_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.sock");
        drop(UnixListener::bind(&path).expect("it is free"));
        assert!(path.exists());
        let bound = BoundSocket::bind(&path, STATUS_MODE, None).expect("it is dead");
        assert_eq!(mode(&path), 0o666);
        drop(bound);
        fs::write(&path, "precious").expect("it is free");
        let error = BoundSocket::bind(&path, MAIN_MODE, None).expect_err("a file is in the way");
        assert!(matches!(error, ListenError::NoSocket(_)));
        assert!(error.to_string().contains("a.sock"));
        assert_eq!(fs::read_to_string(&path).expect("it is still there"), "precious");
    }

    #[test]
    fn a_path_of_108_bytes_is_too_long() {
        let dir = format!("/tmp/{}", "x".repeat(PATH_MAX_BYTES - 5 - 7));
        let longest = PathBuf::from(format!("{dir}/a.sock"));
        assert_eq!(longest.as_os_str().len(), PATH_MAX_BYTES);
        assert!(check_length(&longest).is_ok());
        let error = check_length(&PathBuf::from(format!("{dir}/ab.sock"))).expect_err("too long");
        assert!(matches!(error, ListenError::TooLong(_)), "{error}");
    }

    #[test]
    fn a_file_that_took_the_place_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.sock");
        let bound = BoundSocket::bind(&path, MAIN_MODE, None).expect("it is free");
        fs::remove_file(&path).expect("it is there");
        fs::write(&path, "another").expect("it is free");
        drop(bound);
        assert!(path.exists());
    }

    #[test]
    fn groups_are_found_by_name() {
        assert_eq!(find_group("root").expect("every system has it"), 0);
        assert!(matches!(find_group("no-such-group-here"), Err(ListenError::NoGroup(_))));
    }
}
