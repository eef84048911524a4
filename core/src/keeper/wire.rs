//! Messages as bytes: a tag and the fields in their order, numbers little-endian, texts with their
//! length. A message that is longer than its packet, or has bytes after its end, is refused.

use alloc::vec::Vec;
use core::fmt;

use super::lease::Lease;
use super::message::{Child, ChildState, Ended, NOTE_MAX_BYTES, Order, Report, Start, Turned};
use crate::ids::{InstanceId, RunId};
use crate::process::{Exit, Scope, Signal};
use crate::time::Wall;

/// The longest message. A packet socket takes it with the default limits of Linux, and the longest
/// variable of an environment fits in.
pub const MESSAGE_MAX_BYTES: usize = 192 * 1024;

/// What opens `Hello` and `Turned`, so that no other protocol is taken for this one.
const MAGIC: [u8; 4] = *b"OCKP";

const HELLO: u8 = 1;
const ENVIRONMENT: u8 = 2;
const START: u8 = 3;
const SIGNAL: u8 = 4;
const NOTE: u8 = 5;
const HOLD: u8 = 6;
const FORGET: u8 = 7;
const LIST: u8 = 8;
const QUIT: u8 = 9;
const TAKEN: u8 = 10;
const FORGET_INSTANCE: u8 = 11;
const RENEW: u8 = 12;

const TURNED: u8 = 32;
const STARTED: u8 = 33;
const FAILED: u8 = 34;
const ENDED: u8 = 35;
const REAPED: u8 = 36;
const ITEM: u8 = 37;
const LISTED: u8 = 38;

/// The bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The message ends within a field.
    Short,
    /// There are bytes after its end.
    Long,
    /// This field has an unknown value.
    Unknown(&'static str),
    /// The message is longer than [`MESSAGE_MAX_BYTES`].
    TooLong,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("a message ends too early"),
            Self::Long => f.write_str("a message has bytes after its end"),
            Self::Unknown(field) => write!(f, "a message has an unknown {field}"),
            Self::TooLong => write!(f, "a message has more than {MESSAGE_MAX_BYTES} bytes"),
        }
    }
}

impl core::error::Error for WireError {}

/// A message that can be sent.
pub trait Message: sealed::Write {}

impl Message for Order {}
impl Message for Report {}

/// The bytes of a message.
///
/// # Errors
/// [`WireError::TooLong`] when they are more than [`MESSAGE_MAX_BYTES`].
pub fn encode(message: &impl Message) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    message.write(&mut out);
    if out.len() > MESSAGE_MAX_BYTES { Err(WireError::TooLong) } else { Ok(out) }
}

/// Reads an order.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_order(bytes: &[u8]) -> Result<Order, WireError> {
    let mut reader = Reader(bytes);
    let order = reader.order()?;
    reader.end(order)
}

/// Reads a report.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_report(bytes: &[u8]) -> Result<Report, WireError> {
    let mut reader = Reader(bytes);
    let report = reader.report()?;
    reader.end(report)
}

mod sealed {
    use alloc::vec::Vec;

    pub trait Write {
        fn write(&self, out: &mut Vec<u8>);
    }
}

impl sealed::Write for Order {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { version, umask } => {
                out.push(HELLO);
                out.extend_from_slice(&MAGIC);
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&umask.to_le_bytes());
            }
            Self::Environment { is_first, variables } => {
                out.extend_from_slice(&[ENVIRONMENT, u8::from(*is_first)]);
                put_list(out, variables);
            }
            Self::Start(start) => {
                let Start {
                    run,
                    instance,
                    path,
                    arguments,
                    has_stderr,
                    clear_env,
                    env,
                    note,
                    lease,
                } = start;
                out.push(START);
                put_run(out, *run);
                out.extend_from_slice(&instance.0.to_le_bytes());
                put_text(out, path);
                put_list(out, arguments);
                out.extend_from_slice(&[u8::from(*has_stderr), u8::from(*clear_env)]);
                put_list(out, env);
                put_text(out, note);
                put_lease(out, *lease);
            }
            Self::Signal { run, scope, signal, is_stop } => {
                out.push(SIGNAL);
                put_run(out, *run);
                let is_leader = u8::from(*scope == Scope::Leader);
                out.extend_from_slice(&[is_leader, signal.number(), u8::from(*is_stop)]);
            }
            Self::Note { run, note } => {
                out.push(NOTE);
                put_run(out, *run);
                put_text(out, note);
            }
            Self::Hold(child) => {
                out.push(HOLD);
                put_child(out, child);
            }
            Self::Forget(run) => {
                out.push(FORGET);
                put_run(out, *run);
            }
            Self::Taken(run) => {
                out.push(TAKEN);
                put_run(out, *run);
            }
            Self::ForgetInstance(instance) => {
                out.push(FORGET_INSTANCE);
                out.extend_from_slice(&instance.0.to_le_bytes());
            }
            Self::Renew { at_ms } => {
                out.push(RENEW);
                out.extend_from_slice(&at_ms.to_le_bytes());
            }
            Self::List => out.push(LIST),
            Self::Quit => out.push(QUIT),
        }
    }
}

impl sealed::Write for Report {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { version, pid } => {
                out.push(HELLO);
                out.extend_from_slice(&MAGIC);
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(&pid.to_le_bytes());
            }
            Self::Turned { version, why } => {
                out.push(TURNED);
                out.extend_from_slice(&MAGIC);
                out.extend_from_slice(&version.to_le_bytes());
                out.push(*why as u8);
            }
            Self::Started { run, pid, start_ticks } => {
                out.push(STARTED);
                put_run(out, *run);
                out.extend_from_slice(&pid.to_le_bytes());
                out.extend_from_slice(&start_ticks.to_le_bytes());
            }
            Self::Failed { run, errno } => {
                out.push(FAILED);
                put_run(out, *run);
                out.extend_from_slice(&errno.to_le_bytes());
            }
            Self::Ended(run, ended) => {
                out.push(ENDED);
                put_run(out, *run);
                put_ended(out, *ended);
            }
            Self::Reaped { run, has_group } => {
                out.push(REAPED);
                put_run(out, *run);
                out.push(u8::from(*has_group));
            }
            Self::Item(child) => {
                out.push(ITEM);
                put_child(out, child);
            }
            Self::Listed { count } => {
                out.push(LISTED);
                out.extend_from_slice(&count.to_le_bytes());
            }
        }
    }
}

fn put_run(out: &mut Vec<u8>, run: RunId) {
    out.extend_from_slice(&run.0.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    // One that is longer makes the message too long, which is an error of its own.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text);
}

fn put_list(out: &mut Vec<u8>, list: &[Vec<u8>]) {
    let length = u32::try_from(list.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    list.iter().for_each(|text| put_text(out, text));
}

fn put_ended(out: &mut Vec<u8>, ended: Ended) {
    let (kind, value) = match ended.exit {
        None => (0, 0),
        Some(Exit::Code(code)) => (1, code),
        Some(Exit::Signal(signal)) => (2, signal),
    };
    out.push(kind);
    out.extend_from_slice(&value.to_le_bytes());
    out.extend_from_slice(&[u8::from(ended.has_dumped_core), u8::from(ended.has_lost_lease)]);
}

fn put_lease(out: &mut Vec<u8>, lease: Option<Lease>) {
    out.push(u8::from(lease.is_some()));
    if let Some(Lease { limit_ms, signal, scope, grace_ms }) = lease {
        out.extend_from_slice(&limit_ms.to_le_bytes());
        out.extend_from_slice(&[signal.number(), u8::from(scope == Scope::Leader)]);
        out.extend_from_slice(&grace_ms.to_le_bytes());
    }
}

fn put_child(out: &mut Vec<u8>, child: &Child) {
    let Child { run, instance, pid, start_ticks, started, age_ms, .. } = child;
    let Child { note, state, is_stopping, lease, .. } = child;
    put_run(out, *run);
    out.extend_from_slice(&instance.0.to_le_bytes());
    out.extend_from_slice(&pid.to_le_bytes());
    out.extend_from_slice(&start_ticks.to_le_bytes());
    out.extend_from_slice(&started.as_micros().to_le_bytes());
    out.extend_from_slice(&age_ms.to_le_bytes());
    put_text(out, note);
    match state {
        ChildState::Alive => out.push(0),
        ChildState::Ended(ended) => {
            out.push(1);
            put_ended(out, *ended);
        }
        ChildState::Taken => out.push(2),
    }
    out.push(u8::from(*is_stopping));
    put_lease(out, *lease);
}

/// What is left of a message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn order(&mut self) -> Result<Order, WireError> {
        Ok(match self.u8()? {
            HELLO => {
                self.magic()?;
                Order::Hello { version: self.u16()?, umask: self.u32()? }
            }
            ENVIRONMENT => Order::Environment { is_first: self.bool()?, variables: self.list()? },
            START => Order::Start(Start {
                run: self.run()?,
                instance: InstanceId(self.u32()?),
                path: self.text()?.to_vec(),
                arguments: self.list()?,
                has_stderr: self.bool()?,
                clear_env: self.bool()?,
                env: self.list()?,
                note: self.note()?,
                lease: self.lease()?,
            }),
            SIGNAL => Order::Signal {
                run: self.run()?,
                scope: self.scope()?,
                signal: self.signal()?,
                is_stop: self.bool()?,
            },
            NOTE => Order::Note { run: self.run()?, note: self.note()? },
            HOLD => Order::Hold(self.child()?),
            FORGET => Order::Forget(self.run()?),
            TAKEN => Order::Taken(self.run()?),
            FORGET_INSTANCE => Order::ForgetInstance(InstanceId(self.u32()?)),
            RENEW => Order::Renew { at_ms: self.u64()? },
            LIST => Order::List,
            QUIT => Order::Quit,
            _ => return Err(WireError::Unknown("tag")),
        })
    }

    fn report(&mut self) -> Result<Report, WireError> {
        Ok(match self.u8()? {
            HELLO => {
                self.magic()?;
                Report::Hello { version: self.u16()?, pid: self.i32()? }
            }
            TURNED => {
                self.magic()?;
                let version = self.u16()?;
                let why = match self.u8()? {
                    0 => Turned::Version,
                    1 => Turned::Busy,
                    2 => Turned::User,
                    _ => return Err(WireError::Unknown("reason")),
                };
                Report::Turned { version, why }
            }
            STARTED => {
                Report::Started { run: self.run()?, pid: self.i32()?, start_ticks: self.u64()? }
            }
            FAILED => Report::Failed { run: self.run()?, errno: self.i32()? },
            ENDED => Report::Ended(self.run()?, self.ended()?),
            REAPED => Report::Reaped { run: self.run()?, has_group: self.bool()? },
            ITEM => Report::Item(self.child()?),
            LISTED => Report::Listed { count: self.u32()? },
            _ => return Err(WireError::Unknown("tag")),
        })
    }

    fn end<T>(&self, message: T) -> Result<T, WireError> {
        if self.0.is_empty() { Ok(message) } else { Err(WireError::Long) }
    }

    fn magic(&mut self) -> Result<(), WireError> {
        if self.take::<4>()? == MAGIC { Ok(()) } else { Err(WireError::Unknown("protocol")) }
    }

    fn child(&mut self) -> Result<Child, WireError> {
        Ok(Child {
            run: self.run()?,
            instance: InstanceId(self.u32()?),
            pid: self.i32()?,
            start_ticks: self.u64()?,
            started: self.wall()?,
            age_ms: self.u64()?,
            note: self.note()?,
            state: match self.u8()? {
                0 => ChildState::Alive,
                1 => ChildState::Ended(self.ended()?),
                2 => ChildState::Taken,
                _ => return Err(WireError::Unknown("state")),
            },
            is_stopping: self.bool()?,
            lease: self.lease()?,
        })
    }

    fn lease(&mut self) -> Result<Option<Lease>, WireError> {
        if !self.bool()? {
            return Ok(None);
        }
        let (limit_ms, signal, scope) = (self.u64()?, self.signal()?, self.scope()?);
        Ok(Some(Lease { limit_ms, signal, scope, grace_ms: self.u64()? }))
    }

    fn scope(&mut self) -> Result<Scope, WireError> {
        Ok(if self.bool()? { Scope::Leader } else { Scope::Group })
    }

    fn signal(&mut self) -> Result<Signal, WireError> {
        Signal::new(self.u8()?).ok_or(WireError::Unknown("signal"))
    }

    fn ended(&mut self) -> Result<Ended, WireError> {
        let (kind, value) = (self.u8()?, self.i32()?);
        let exit = match kind {
            0 if value == 0 => None,
            1 => Some(Exit::Code(value)),
            2 => Some(Exit::Signal(value)),
            _ => return Err(WireError::Unknown("exit")),
        };
        Ok(Ended { exit, has_dumped_core: self.bool()?, has_lost_lease: self.bool()? })
    }

    fn note(&mut self) -> Result<Vec<u8>, WireError> {
        let note = self.text()?;
        if note.len() > NOTE_MAX_BYTES { Err(WireError::TooLong) } else { Ok(note.to_vec()) }
    }

    fn list(&mut self) -> Result<Vec<Vec<u8>>, WireError> {
        let count = self.u32()? as usize;
        // Every text has a length of four bytes: a count beyond that is refused before anything is
        // allocated for it.
        if count > self.0.len() / 4 {
            return Err(WireError::Short);
        }
        (0..count).map(|_| Ok(self.text()?.to_vec())).collect()
    }

    fn text(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(text)
    }

    fn run(&mut self) -> Result<RunId, WireError> {
        Ok(RunId(u128::from_le_bytes(self.take()?)))
    }

    fn bool(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Unknown("flag")),
        }
    }

    fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.take::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn i32(&mut self) -> Result<i32, WireError> {
        Ok(i32::from_le_bytes(self.take()?))
    }

    /// A time that no RFC 3339 text has is not sent.
    fn wall(&mut self) -> Result<Wall, WireError> {
        let micros = self.u64()?;
        let wall = Wall::from_micros(micros);
        if wall.as_micros() == micros { Ok(wall) } else { Err(WireError::Unknown("time")) }
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }
}
