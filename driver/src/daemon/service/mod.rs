//! Manners towards the service manager that started the master, if one did: says how far it is,
//! proves that it lives, takes over a socket. The protocol is systemd's; others speak it too.
//!
//! Owns what is said and when the watchdog is fed. Does not decide when the master is ready, stops
//! or reloads: `master` tells it.

mod activation;
mod notify;
mod watchdog;

pub(crate) use activation::inherited_listener;
pub(crate) use notify::Notifier;
pub(crate) use watchdog::Watchdog;

/// What a service manager says to the master alone. Children do not get it: a runtime that took it
/// for its own would report itself ready, or take over the master's socket. The last four are
/// supervisord's.
pub(crate) const PRIVATE_VARIABLES: [&str; 19] = [
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
