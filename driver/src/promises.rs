//! The one module of the driver with `unsafe` in it: calls that ask for a promise which the
//! compiler cannot check.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::{io, ptr};

use rustix::io::{FdFlags, fcntl_setfd};
#[cfg(target_os = "linux")]
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::io::{Interest, unix::AsyncFd};

/// Registers a descriptor with the async runtime, to learn when it can be read.
pub(crate) fn register(descriptor: impl Into<Arc<OwnedFd>>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    let descriptor = descriptor.into();
    // SAFETY: the descriptor handed over is owned, alone or together with others, so it stays open
    // and the same for as long as it is registered, and it is never taken out again.
    #[expect(unsafe_code, reason = "registering a descriptor asks for this promise")]
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(registered?)
}

/// Gives the calling thread a descriptor table of its own, a copy of the one it shares with the
/// others so far.
#[cfg(target_os = "linux")]
pub(crate) fn leave_descriptor_table() -> io::Result<()> {
    // SAFETY: afterwards a descriptor must only be used on the side where it was made. The thread
    // that calls this, the spawner's, is handed nothing that holds a descriptor but its end of the
    // channel, which was made before; it does not call this if a library user gives descriptors to
    // apps, which other threads may have opened. It opens the ledger itself and sends the pipes
    // that it makes to the other side by value, through that channel. What it leaves in the mailbox wakes the
    // loop, for which the async runtime writes to an eventfd of its own: that was made before, too,
    // and has the same number on both sides for as long as the runtime lives.
    #[expect(unsafe_code, reason = "leaving the table asks for this promise")]
    unsafe {
        unshare_unsafe(UnshareFlags::FILES)?;
    }
    Ok(())
}

/// Nothing but Linux can do that.
#[cfg(not(target_os = "linux"))]
pub(crate) fn leave_descriptor_table() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Takes a descriptor that the process was started with, and keeps it from processes that this one
/// starts. To be called once for a number, before anything else can have opened a descriptor of
/// that number.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: it is only asked about; a descriptor that is not open gives an error.
    #[expect(unsafe_code, reason = "naming a descriptor by its number asks for this promise")]
    let named = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(named, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and nobody else has it: whoever started this process handed it over, and
    // the caller takes it once.
    #[expect(unsafe_code, reason = "owning a descriptor by its number asks for this promise")]
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(owned)
}

/// Keeps every descriptor that this process was started with, except 0 to 2, from the processes
/// that it starts. They stay open here: the parent may rely on that, as with a lock. Returns their
/// numbers. Call it before other threads exist.
pub(crate) fn close_inherited_at_exec() -> Vec<RawFd> {
    let mut numbers = open_numbers();
    numbers.retain(|number| stay_open_at_exec(*number, false).is_ok());
    numbers
}

/// Sets whether a descriptor stays open at `exec`.
pub(crate) fn stay_open_at_exec(number: RawFd, stays: bool) -> io::Result<()> {
    let flags = if stays { FdFlags::empty() } else { FdFlags::CLOEXEC };
    // SAFETY: only its flag is changed; one that is not open any more, as that of a listing, gives
    // an error.
    #[expect(unsafe_code, reason = "naming a descriptor by its number asks for this promise")]
    let named = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(fcntl_setfd(named, flags)?)
}

/// Closes every descriptor that this process was started with, except 0 to 2. Call it before
/// anything else has opened a descriptor.
pub(crate) fn close_inherited() {
    open_numbers().into_iter().for_each(|number| drop(inherited(number)));
}

/// The numbers of the open descriptors above 2; one of them is that of the listing.
fn open_numbers() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|number: &RawFd| *number > 2).collect()
}

/// Takes pages of a file out of the memory of the process. They are read again when they are used.
/// None of them may differ from its file: what differs would be lost.
#[cfg(target_os = "linux")]
pub(crate) fn release_pages(range: std::ops::Range<usize>) {
    let start = ptr::without_provenance_mut(range.start);
    // SAFETY: the pages are those of a file that is not written while it is executed, and are as in
    // the file, so whoever reads them finds the same as before. On a range that is not mapped, or
    // whose pages are locked, the call fails and does nothing.
    #[expect(unsafe_code, reason = "a call of the C library")]
    unsafe {
        libc::madvise(start, range.len(), libc::MADV_DONTNEED);
    }
}

/// Empties the signal mask of the calling thread.
pub(crate) fn unblock_signals() -> io::Result<()> {
    let mut empty = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initializes the set that it is given; the old mask is not asked for.
    #[expect(unsafe_code, reason = "a call of the C library")]
    let status = unsafe {
        libc::sigemptyset(empty.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, empty.as_ptr(), ptr::null_mut())
    };
    if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status)) }
}

/// The user at the other end of a connection. Its process may be in another namespace, where it has
/// no number here.
#[cfg(target_os = "linux")]
pub(crate) fn peer_user(connection: BorrowedFd<'_>) -> io::Result<u32> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut bytes = size_of_val(&peer) as libc::socklen_t;
    // SAFETY: the system writes at most `bytes` bytes, which is the size of the structure; all its
    // fields are plain numbers.
    #[expect(unsafe_code, reason = "a call of the C library")]
    let status = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut bytes,
        )
    };
    if status == 0 { Ok(peer.uid) } else { Err(io::Error::last_os_error()) }
}

/// Blocks every signal in the calling thread. Those of its own faults end the process all the same.
pub(crate) fn block_signals() -> io::Result<()> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initializes the set that it is given; the old mask is not asked for.
    #[expect(unsafe_code, reason = "a call of the C library")]
    let status = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut())
    };
    if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status)) }
}

/// What becomes of a signal that no handler is installed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// What the system does by default.
    Default,
    /// Nothing.
    Ignore,
}

/// Whether a signal is ignored.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    let mut current = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: nothing is changed; the current disposition is read only if it was written.
    #[expect(unsafe_code, reason = "a call of the C library")]
    unsafe {
        libc::sigaction(signal, ptr::null(), current.as_mut_ptr()) == 0
            && current.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Sets the disposition of a signal; no handler may be installed for it.
pub(crate) fn set_disposition(signal: c_int, disposition: Disposition) {
    let handler = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    // SAFETY: neither of the two runs code; a signal that the C library keeps for itself gives an
    // error.
    #[expect(unsafe_code, reason = "a call of the C library")]
    unsafe {
        libc::signal(signal, handler);
    }
}

/// Becomes another program; returns only if that fails.
pub(crate) fn execve(path: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer and live, like the texts in them, until this
    // returns, if it does.
    #[expect(unsafe_code, reason = "a call of the C library")]
    unsafe {
        libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    io::Error::last_os_error()
}

/// The form in which the system takes a list of texts.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// A program to be started as a process of its own.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Program<'a> {
    /// Looked up in `PATH` if it has no `/`.
    pub(crate) path: &'a CStr,
    /// With the name that it is to know itself by.
    pub(crate) arguments: &'a [CString],
    pub(crate) environment: &'a [CString],
    /// The directory that it starts in, if it is another one.
    pub(crate) directory: Option<&'a CStr>,
    /// Its descriptors, from 0 on; it gets no others.
    pub(crate) descriptors: &'a [BorrowedFd<'a>],
}

/// Starts a program in a session of its own, with no signal blocked and none ignored. No code of
/// ours runs in the new process, and the memory of this one is not copied.
#[cfg(target_os = "linux")]
pub(crate) fn start(program: &Program<'_>) -> io::Result<rustix::process::Pid> {
    let (arguments, environment) = (pointers(program.arguments), pointers(program.environment));
    let flags = libc::POSIX_SPAWN_SETSID
        | libc::POSIX_SPAWN_SETSIGMASK as libc::c_short
        | libc::POSIX_SPAWN_SETSIGDEF as libc::c_short;
    let mut pid = 0;
    let mut actions = MaybeUninit::<libc::posix_spawn_file_actions_t>::uninit();
    let mut attributes = MaybeUninit::<libc::posix_spawnattr_t>::uninit();
    let check =
        |status| if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status)) };
    // SAFETY: the set is plain bits; `_init` initializes what it is given before anything else
    // touches it, and `_destroy` is the last to do so. All bits of the second set are on, also
    // those that `sigaddset` refuses: the C library ignores these two signals in the new process
    // unless they are in the set. Lists and texts are as `execve` wants them.
    #[expect(unsafe_code, reason = "calls of the C library")]
    unsafe {
        check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
        check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
        let (actions, attributes) = (actions.as_mut_ptr(), attributes.as_mut_ptr());
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        all.as_mut_ptr().write_bytes(0xff, 1);
        libc::posix_spawnattr_setflags(attributes, flags);
        libc::posix_spawnattr_setsigmask(attributes, none.as_ptr());
        libc::posix_spawnattr_setsigdefault(attributes, all.as_ptr());
        let mut result = Ok(());
        for (number, descriptor) in (0..).zip(program.descriptors) {
            let descriptor = descriptor.as_raw_fd();
            let added = libc::posix_spawn_file_actions_adddup2(actions, descriptor, number);
            result = result.and(check(added));
        }
        if let Some(directory) = program.directory {
            let path = directory.as_ptr();
            let added = libc::posix_spawn_file_actions_addchdir_np(actions, path);
            result = result.and(check(added));
        }
        if result.is_ok() {
            let (argv, envp) = (arguments.as_ptr().cast(), environment.as_ptr().cast());
            let path = program.path.as_ptr();
            result = check(libc::posix_spawnp(&raw mut pid, path, actions, attributes, argv, envp));
        }
        libc::posix_spawn_file_actions_destroy(actions);
        libc::posix_spawnattr_destroy(attributes);
        result?;
    }
    Ok(rustix::process::Pid::from_raw(pid).expect("the id of a process is not 0"))
}

/// The supplementary groups of the process at the other end of a Unix socket, as they were when it
/// connected.
#[cfg(target_os = "linux")]
pub(crate) fn peer_groups(socket: &impl AsRawFd) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; 256];
    loop {
        let mut length = libc::socklen_t::try_from(size_of_val(&groups[..])).unwrap_or(0);
        // SAFETY: the descriptor is open as long as the borrow of the socket lasts. The system
        // writes at most `length` bytes, which is the size of the vector, and says in `length` how
        // many there are or would be.
        #[expect(unsafe_code, reason = "reading an option asks for this promise")]
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // There are more than there was room for.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// Nothing but Linux tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn peer_groups(_: &impl std::os::fd::AsRawFd) -> io::Result<Vec<u32>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The first child that has ended and was not reaped, without reaping it; `None` if there is none.
/// Of the calling thread alone, or of the whole process.
#[cfg(target_os = "linux")]
pub(crate) fn ended_child(of_this_thread: bool) -> Option<rustix::process::Pid> {
    let thread = if of_this_thread { libc::__WNOTHREAD } else { 0 };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | thread;
    loop {
        // SAFETY: the system writes no more than the structure, which is plain bits. Its process
        // id is part of what `waitid` fills in, and 0 if there is no such child.
        #[expect(unsafe_code, reason = "a call of the C library")]
        let (status, pid) = unsafe {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            let status = libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options);
            (status, info.assume_init().si_pid())
        };
        match status {
            0 => return rustix::process::Pid::from_raw(pid),
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
}

/// A descriptor that can be read once a child has ended. From now on the signal that says so is
/// blocked in the calling thread.
#[cfg(target_os = "linux")]
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initializes the set before anything reads it; the old mask is not
    // asked for. The descriptor is a new one, and nothing else has it.
    #[expect(unsafe_code, reason = "calls of the C library")]
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        let status = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
        if status != 0 {
            return Err(io::Error::from_raw_os_error(status));
        }
        let number = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if number < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(number)) }
    }
}
