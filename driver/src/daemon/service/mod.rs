//! The interface to the service manager that started the master, if there is one: notifies it,
//! feeds its watchdog, takes over a socket. The protocol is that of systemd; others support it too.
//!
//! Owns the messages and when the watchdog is fed. Does not decide when the master is ready, stops
//! or reloads: `master` does.

mod activation;
mod notify;
mod watchdog;

pub(crate) use activation::inherited_listener;
pub(crate) use notify::Notifier;
pub(crate) use watchdog::Watchdog;

/// Variables of a service manager that are only for the master. Processes do not inherit them:
/// otherwise a runtime could report itself ready, or take over the socket of the master. The last
/// four are those of supervisord.
pub(crate) const PRIVATE_VARIABLES: [&str; 20] = [
    // Of the program that this one replaced, see `upgrade`.
    "OPENCTRL_HANDOVER",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MAINPID",
    "MAINPIDFDID",
    "MANAGERPID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "SUPERVISOR_ENABLED",
    "SUPERVISOR_PROCESS_NAME",
    "SUPERVISOR_GROUP_NAME",
    "SUPERVISOR_SERVER_URL",
];
