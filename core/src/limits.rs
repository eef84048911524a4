//! The numbers of the contract, each with its reason.

/// Time from TERM to KILL (Contract §6).
pub const GRACE_MS: u64 = 5_000;

/// Time after the last signal of a stop until a process counts as one that cannot be killed. KILL
/// takes effect at once unless the kernel holds the process.
pub const CANNOT_END_MS: u64 = 5_000;

/// How often such a process gets that signal again.
pub const END_AGAIN_MS: u64 = 60_000;

/// How often silence is looked for and totals are saved (Contract §6, §11).
pub const TICK_MS: u64 = 5_000;

/// If a tick is later than this, the master did not run in between.
pub const LATE_TICK_MS: u64 = 1_000;

/// An instance that printed a checkpoint and then none for longer than this has failed
/// (Contract §6).
pub const SILENCE_MS: u64 = 15_000;

/// The first delay before a restart. With its jitter it lies between 1.6 and 2.4 s: late enough
/// for `error` to be seen, and within the 5 s that Contract §6 allows.
pub const BACKOFF_FIRST_MS: u64 = 1_000;

/// The longest delay before a restart (Contract §6).
pub const BACKOFF_LONGEST_MS: u64 = 60_000;

/// A process that was well for this long has its restarts counted afresh (Contract §6).
pub const HEALTHY_MS: u64 = 60_000;

/// A command of its own that was well for this long is started again without a delay, in ms.
pub const PROMPT_MS: u64 = 10_000;

/// How many times the last delay a process has to be well until its delays start afresh
/// (Contract §6).
pub const HEALTHY_DELAYS: u64 = 10;

/// Maximum duration of a shutdown: service managers allow 15 s (Contract §12), and a process that
/// survives KILL for seconds will not exit at all.
pub const SHUTDOWN_LIMIT_MS: u64 = 10_000;

/// How long after that the instances that others start after are stopped, whether or not those have
/// exited: enough for a grace period of the default each.
pub const SHUTDOWN_ORDER_MS: u64 = 4_000;

/// When a process is first asked whether it is ready, and how far apart the questions become, in ms.
pub const READY_FIRST_MS: u64 = 100;

/// The same, at most.
pub const READY_LONGEST_MS: u64 = 2_000;

/// How long a process may take until it is ready, unless it says otherwise, in ms: longer than what
/// services do when they start.
pub const READY_LIMIT_MS: u64 = 10 * 60_000;

/// How long a process may take to answer that, in ms.
pub const READY_TIMEOUT_MS: u64 = 5_000;

/// How far a deadline and the wall clock may be apart before the deadline is set right, in ms.
pub const CLOCK_SLACK_MS: u64 = 500;

/// TCP pings under way at a time (Contract §9).
pub const DIALS_MAX: usize = 10;

/// How long a TCP ping waits for its turn (Contract §9).
pub const DIAL_WAIT_MS: u64 = 1_000;

/// How long a dial may take (Contract §9).
pub const DIAL_TIMEOUT_MS: u64 = 5_000;

/// Instances a master keeps. At 32 KiB an object this bounds the state to a few GiB at the very
/// worst; process limits of the machine are met long before.
pub const INSTANCES_MAX: usize = 100_000;

/// PUTs and DELETEs that may wait for one instance to stop; more are turned down.
pub const OPERATIONS_MAX: usize = 64;

/// Actions on many instances under way; more are refused. Each may have a part for every
/// instance.
pub const BATCHES_MAX: usize = 16;

/// A live process that printed an error has this long for the checkpoint that takes it back, at
/// least and at most, in ms (Contract §6).
pub const CHECKPOINT_WAIT_MS: (u64, u64) = (6_000, 15_000);

/// How much later than the last one a checkpoint may come, in ms.
pub const CHECKPOINT_MARGIN_MS: u64 = 1_000;

/// An instance that was restarted so often without a request within [`FLAPPING_WINDOW_MS`] flaps.
pub const FLAPPING_RESTARTS: usize = 5;

/// The window of that, in ms. An instance that was not restarted for as long flaps no longer.
pub const FLAPPING_WINDOW_MS: u64 = 10 * 60_000;

/// How long an instance has to be well until its error is over, in ms: longer than the first delays
/// of a program that exits at once again.
pub const RECOVERED_AFTER_MS: u64 = 10_000;

/// Webhooks of a master. Each has a request under way at most.
pub const HOOKS_MAX: usize = 8;

/// Reports that wait for one webhook; the oldest of more is discarded.
pub const HOOK_QUEUE_MAX: usize = 256;

/// How often a report is tried.
pub const HOOK_TRIES_MAX: u32 = 10;

/// The delay before the second try, in ms; later ones are twice as long each.
pub const HOOK_RETRY_FIRST_MS: u64 = 1_000;

/// The longest of these delays, in ms.
pub const HOOK_RETRY_LONGEST_MS: u64 = 60_000;

/// How long watched files have to be quiet until their instance is restarted, in ms.
pub const WATCH_QUIET_MS: u64 = 500;

/// How long a restart waits for files that keep changing, in ms.
pub const WATCH_LONGEST_MS: u64 = 5_000;
