//! The last moments of a program that becomes another: everything that is only in memory is written
//! down, the descriptors that stay open are marked, and `exec` follows.

use std::ffi::CString;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use openctrl_core::handover::{Descriptor, Handover};
use rustix::fs::{MemfdFlags, memfd_create};

use super::arrival::VARIABLE;
use super::own_program::OwnProgram;
use crate::daemon::limits::{lower_descriptor_limit, raise_descriptor_limit};
use crate::daemon::signals::hang_up_was_ignored;
use crate::promises::{
    Disposition, block_signals, execve, set_disposition, stay_open_at_exec, unblock_signals,
};

/// Writes a handover into memory that has no name.
pub(super) fn write(handover: &Handover) -> io::Result<OwnedFd> {
    let memory = memfd_create("openctrl-handover", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(&handover.encode())?;
    file.rewind()?;
    Ok(file.into())
}

/// Becomes the program that is at the path of this one now. Returns only if that fails; everything
/// is as before then.
pub(super) fn become_program(
    program: &OwnProgram,
    handover: &OwnedFd,
    descriptors: &[Descriptor],
) -> io::Error {
    let number = handover.as_raw_fd();
    let mut environment = program.environment.clone();
    match CString::new(format!("{VARIABLE}={number}")) {
        Ok(variable) => environment.push(variable),
        Err(error) => return error.into(),
    }
    let numbers = || descriptors.iter().map(|descriptor| descriptor.number).chain([number]);
    for number in numbers() {
        // One that was closed meanwhile is missed by the next program, which makes it anew.
        let _ = stay_open_at_exec(number, true);
    }
    lower_descriptor_limit();
    if hang_up_was_ignored() {
        set_disposition(libc::SIGHUP, Disposition::Ignore);
    }
    // They wait until the next program handles them.
    let blocked = block_signals();
    let error = match blocked {
        Ok(()) => execve(&program.path(), &program.arguments, &environment),
        Err(error) => error,
    };
    let _ = unblock_signals();
    raise_descriptor_limit();
    for number in numbers() {
        let _ = stay_open_at_exec(number, false);
    }
    error
}

/// How long the last lines may take to be written.
pub(super) const LAST_LINES: Duration = Duration::from_secs(1);
