//! The one module of the driver with `unsafe` in it: calls that ask for a promise which the
//! compiler cannot check.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{FdFlags, fcntl_setfd};
#[cfg(target_os = "linux")]
use rustix::thread::{UnshareFlags, unshare_unsafe};
#[cfg(target_os = "linux")]
use tokio::io::{Interest, unix::AsyncFd};

/// Registers a descriptor with the async runtime, to learn when it can be read.
#[cfg(target_os = "linux")]
pub(crate) fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor handed over is owned, so it stays open and the same for as long as it
    // is registered, and it is never taken out again.
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
    // channel, which was made before; it opens the ledger itself and sends the pipes that it makes
    // to the other side by value, through that channel. What it leaves in the mailbox wakes the
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
