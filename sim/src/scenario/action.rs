//! What can happen in a world: when it is legal, and how often it is drawn.

use openctrl_core::engine::Engine;

use crate::world::{Phase, World};

/// Something that can happen; the dullest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Some time passes, without a timer being due.
    TimePasses,
    /// The next timer is due.
    TimerDue,
    /// Records become durable.
    Persist,
    /// It becomes known what became of a process being started.
    StartOutcome,
    /// A reader of the event stream reads on, or comes back.
    Read,
    /// A client sends a request.
    Request,
    /// A process prints.
    Print,
    /// A dial finishes.
    Dialled,
    /// A process that was asked to exit does so.
    End,
    /// A process exits without a request.
    Exit,
    /// The rest of a group exits without a request.
    LeftoverEnds,
    /// A reader of the event stream goes away.
    ReaderLeaves,
    /// A client goes away, or sends a request again.
    Retry,
    /// The wall clock steps.
    WallSteps,
    /// The machine sleeps for a while.
    Suspend,
    /// The disk refuses pending writes.
    DiskFails,
    /// The disk does nothing for a while.
    DiskStalls,
    /// The disk is full, or has room again.
    DiskFills,
    /// A process that has exited or never existed sends input.
    Late,
    /// The operator stops the master.
    Shutdown,
    /// The master dies and is started again.
    Dies,
    /// A check of a process ends.
    Checked,
    /// A time zone is read.
    ZoneRead,
    /// A try to deliver a report to a webhook ends.
    Delivered,
    /// A file changes that an instance watches.
    FilesChange,
}

impl Action {
    /// Every one, with what happens and how often compared to others of the same weight.
    pub(super) const ALL: [(Self, &'static str, usize); 25] = [
        (Self::TimePasses, "time passes", 12),
        (Self::TimerDue, "a timer is due", 12),
        (Self::Persist, "the disk writes", 24),
        (Self::StartOutcome, "a start succeeds or fails", 24),
        (Self::Read, "a reader reads or comes back", 12),
        (Self::Request, "a request comes in", 24),
        (Self::Print, "a process prints", 24),
        (Self::Dialled, "a dial ends", 12),
        (Self::End, "a process ends that was asked to", 12),
        (Self::Exit, "a process exits unasked", 4),
        (Self::LeftoverEnds, "what is left of a group ends", 4),
        (Self::ReaderLeaves, "a reader goes away", 4),
        (Self::Retry, "a client goes away or asks again", 4),
        (Self::WallSteps, "the wall clock steps", 1),
        (Self::Suspend, "the machine is suspended", 1),
        (Self::DiskFails, "the disk refuses a write", 4),
        (Self::DiskStalls, "the disk stalls", 1),
        (Self::DiskFills, "the disk fills up or has room again", 2),
        (Self::Late, "something is said too late", 4),
        (Self::Shutdown, "the master is told to end", 2),
        (Self::Dies, "the master dies", 1),
        (Self::Checked, "a check ends", 12),
        (Self::ZoneRead, "a time zone is read", 12),
        (Self::Delivered, "a try to deliver a report ends", 12),
        (Self::FilesChange, "a watched file changes", 8),
    ];

    /// Its weight in a run that drew `wild`. Actions that every run needs to progress are never
    /// left out; a shutdown comes in one run of four, and late enough that most runs see much
    /// before it.
    pub(super) fn weight(self, wild: usize) -> usize {
        match self {
            Self::Request | Self::StartOutcome | Self::End | Self::Persist | Self::TimerDue => {
                wild.max(2)
            }
            Self::Print
            | Self::Exit
            | Self::LeftoverEnds
            | Self::Read
            | Self::ReaderLeaves
            | Self::Retry
            | Self::Suspend
            | Self::DiskFails
            | Self::DiskStalls
            | Self::DiskFills
            | Self::Dialled
            | Self::Checked
            | Self::ZoneRead
            | Self::Delivered
            | Self::FilesChange
            | Self::TimePasses
            | Self::WallSteps
            | Self::Late
            | Self::Dies => wild,
            Self::Shutdown => wild / 12,
        }
    }
}

/// The current phase of the world: which actions are possible.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Legal {
    has_starting: bool,
    has_alive: bool,
    has_printing: bool,
    has_ending: bool,
    has_leftover: bool,
    may_write: bool,
    has_queue: bool,
    has_timer: bool,
    has_dials: bool,
    has_checks: bool,
    reads_zones: bool,
    has_deliveries: bool,
    has_watched: bool,
    has_sent: bool,
    has_readers: bool,
}

impl Legal {
    pub(super) fn of(world: &World, engine: &Engine) -> Self {
        let now = world.clock.now().mono;
        let mut legal = Self {
            may_write: world.disk.may_write(now),
            has_queue: world.disk.queued() > 0,
            has_timer: engine.poll_timeout().is_some(),
            has_dials: world.clients.dials().len() > 0,
            has_checks: !world.checks.is_empty(),
            reads_zones: !world.zones.is_empty(),
            has_deliveries: !world.deliveries.is_empty(),
            has_watched: !world.watched.is_empty(),
            has_sent: world.clients.sent().len() > 0,
            has_readers: world.hub.readers() > 0,
            ..Self::default()
        };
        for process in world.processes.iter() {
            match process.phase {
                Phase::Spawning => legal.has_starting = true,
                Phase::Alive => {
                    legal.has_alive = true;
                    legal.has_printing |= process.is_printing();
                    legal.has_ending |= process.is_ending(now);
                }
                Phase::Gone => legal.has_leftover |= process.group_left,
            }
        }
        legal
    }

    pub(super) fn allows(self, action: Action) -> bool {
        match action {
            Action::Request
            | Action::TimePasses
            | Action::WallSteps
            | Action::Suspend
            | Action::DiskFills
            | Action::Late
            | Action::Shutdown
            | Action::Dies => true,
            Action::StartOutcome => self.has_starting,
            Action::Print => self.has_printing,
            Action::Exit => self.has_alive,
            Action::End => self.has_ending,
            Action::LeftoverEnds => self.has_leftover,
            Action::Persist | Action::DiskFails => self.may_write,
            Action::DiskStalls => self.has_queue,
            Action::Dialled => self.has_dials,
            Action::Checked => self.has_checks,
            Action::ZoneRead => self.reads_zones,
            Action::Delivered => self.has_deliveries,
            Action::FilesChange => self.has_watched,
            Action::TimerDue => self.has_timer,
            Action::Retry => self.has_sent,
            Action::Read | Action::ReaderLeaves => self.has_readers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_actions() {
        for (index, (action, ..)) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action as usize, index, "{action:?}");
        }
    }
}
