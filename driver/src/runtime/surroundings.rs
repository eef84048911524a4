//! The surroundings of a process, entered from inside: user, group, umask, working directory and limits.
//!
//! The environment is given to a process at its start. Owns the order of the steps, and
//! why one of them fails.

use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};
use openctrl_core::instance::Setup;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// Enters them for good. Call it before any other thread exists.
///
/// The user comes before the directory, which that user has to be allowed to enter, and the limit
/// of memory last, as it could be too low for any of this.
pub(super) fn enter(setup: &Setup) -> Result<(), String> {
    if let Some(files) = setup.open_files {
        let limit = Rlimit { current: Some(files), maximum: Some(files) };
        setrlimit(Resource::Nofile, limit)
            .map_err(|error| format!("cannot limit open files to {files}: {error}"))?;
    }
    if let Some(mask) = setup.umask {
        umask(Mode::from_bits_truncate(mask.into()));
    }
    become_user(setup.user.as_deref(), setup.group.as_deref())?;
    if let Some(cwd) = &setup.cwd {
        std::env::set_current_dir(cwd).map_err(|error| {
            format!("cwd {cwd}: {error}; give a directory that the process may enter")
        })?;
    }
    if let Some(bytes) = setup.memory_bytes {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        setrlimit(Resource::As, limit)
            .map_err(|error| format!("cannot limit the memory to {bytes} bytes: {error}"))?;
    }
    Ok(())
}

fn become_user(user: Option<&str>, group: Option<&str>) -> Result<(), String> {
    let user = user.map(account).transpose()?;
    let group = group.map(group_id).transpose()?;
    let (shown, uid) = match &user {
        Some(account) => (format!("user {:?}", account.name), account.uid),
        None => (String::from("its user"), Uid::effective()),
    };
    let gid = match (&user, group) {
        (_, Some(gid)) => gid,
        (Some(Account { gid: Some(gid), .. }), None) => *gid,
        (Some(Account { name, gid: None, .. }), None) => {
            return Err(format!(
                "user {name:?} has no entry in the user database; give a group too"
            ));
        }
        (None, None) => return Ok(()),
    };
    if uid == Uid::effective() && gid == Gid::effective() {
        return Ok(());
    }
    if !Uid::effective().is_root() {
        return Err(format!(
            "cannot become {shown} of group {gid}: only a master that runs as root may switch users"
        ));
    }
    let refused = |error| format!("cannot become {shown} of group {gid}: {error}");
    match user.as_ref().filter(|account| account.gid.is_some()) {
        Some(account) => supplementary(account, gid).map_err(refused)?,
        None => setgroups(&[gid]).map_err(refused)?,
    }
    setgid(gid).map_err(refused)?;
    setuid(uid).map_err(refused)
}

/// A user of the system; `gid` is `None` for a number that has no entry in the user database.
struct Account {
    name: String,
    uid: Uid,
    gid: Option<Gid>,
}

fn account(text: &str) -> Result<Account, String> {
    let failed = |error| format!("cannot look up user {text:?}: {error}");
    let number = text.parse().ok().map(Uid::from_raw);
    let mut found = User::from_name(text).map_err(failed)?;
    if let (None, Some(uid)) = (&found, number) {
        found = User::from_uid(uid).map_err(failed)?;
    }
    match (found, number) {
        (Some(User { name, uid, gid, .. }), _) => Ok(Account { name, uid, gid: Some(gid) }),
        (None, Some(uid)) => Ok(Account { name: text.to_owned(), uid, gid: None }),
        (None, None) => Err(format!("user {text:?} does not exist")),
    }
}

fn group_id(text: &str) -> Result<Gid, String> {
    let found = Group::from_name(text);
    let found = found.map_err(|error| format!("cannot look up group {text:?}: {error}"))?;
    match (found, text.parse().ok()) {
        (Some(group), _) => Ok(group.gid),
        (None, Some(number)) => Ok(Gid::from_raw(number)),
        (None, None) => Err(format!("group {text:?} does not exist")),
    }
}

/// The groups of the user in the group database, besides `gid`.
#[cfg(not(target_vendor = "apple"))]
fn supplementary(account: &Account, gid: Gid) -> nix::Result<()> {
    let name = std::ffi::CString::new(account.name.as_str()).map_err(|_| nix::Error::EINVAL)?;
    nix::unistd::initgroups(&name, gid)
}

#[cfg(target_vendor = "apple")]
fn supplementary(_: &Account, gid: Gid) -> nix::Result<()> {
    setgroups(&[gid])
}
