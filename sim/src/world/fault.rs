//! The kinds of trouble that a world makes, counted for the coverage table.

/// A kind of fault, or of unusual event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says in its words what it is")]
pub enum Fault {
    StartFails,
    StartLost,
    ExitsUnasked,
    TermLate,
    TermIgnored,
    GroupLeft,
    LeftoverEnds,
    SaysNothing,
    Flood,
    PartialLine,
    NoText,
    WritesToStderr,
    LastLineUnterminated,
    CountsAnew,
    CounterOverflows,
    DiskRefuses,
    CutRefused,
    DiskFills,
    DiskStalls,
    WallSteps,
    Suspend,
    TimerLate,
    MasterKilled,
    PowerLost,
    TailLost,
    TailTorn,
    TailOfZeros,
    NamesLost,
    DiesInAWrite,
    DiesAtStart,
    LeavesProcesses,
    Survives,
    ExitRepeated,
    KeeperLost,
    LeaseExpires,
    LateInput,
    ClientAborts,
    RequestRepeated,
    BadBody,
    DialFails,
    CheckFails,
    DeliveryFails,
    FilesChange,
    ReaderFallsOut,
    ReaderResumes,
    ReaderOfAnotherRun,
    StreamEnds,
    Shutdown,
    ShutdownTwice,
}

impl Fault {
    /// Every kind, with a description.
    pub const ALL: [(Self, &'static str); 49] = [
        (Self::StartFails, "a process does not start"),
        (Self::StartLost, "a start is lost before there is a process"),
        (Self::ExitsUnasked, "a process exits unasked"),
        (Self::TermLate, "a process ends late on TERM"),
        (Self::TermIgnored, "a process ignores TERM"),
        (Self::GroupLeft, "others of a group outlive its leader"),
        (Self::LeftoverEnds, "what is left of a group ends by itself"),
        (Self::SaysNothing, "a process never prints"),
        (Self::Flood, "a process prints many lines at once"),
        (Self::PartialLine, "a line is read in pieces"),
        (Self::NoText, "a line is not UTF-8"),
        (Self::WritesToStderr, "a process writes to standard error"),
        (Self::LastLineUnterminated, "the last line has no end"),
        (Self::CountsAnew, "counters start over"),
        (Self::CounterOverflows, "a counter does not fit 64 bits"),
        (Self::DiskRefuses, "the disk refuses a write"),
        (Self::CutRefused, "the disk refuses to take back what it refused"),
        (Self::DiskFills, "the disk is full for a while"),
        (Self::DiskStalls, "the disk does nothing for a while"),
        (Self::WallSteps, "the wall clock steps"),
        (Self::Suspend, "the machine is suspended"),
        (Self::TimerLate, "a timer is served late"),
        (Self::MasterKilled, "the master is killed"),
        (Self::PowerLost, "the power fails"),
        (Self::TailLost, "a crash loses the end of a file"),
        (Self::TailTorn, "a crash leaves a part of the end of a file"),
        (Self::TailOfZeros, "a crash leaves sectors of a file unwritten"),
        (Self::NamesLost, "a crash loses names of files"),
        (Self::DiesInAWrite, "the master dies in the middle of a write"),
        (Self::DiesAtStart, "the master dies while it starts"),
        (Self::LeavesProcesses, "a master finds processes of the one before"),
        (Self::Survives, "a process outlives its master"),
        (Self::ExitRepeated, "a master is told an exit that the one before had shown"),
        (Self::KeeperLost, "the keeper dies with the master"),
        (Self::LeaseExpires, "a lease expires without a master that renews it"),
        (Self::LateInput, "a process says something after its end"),
        (Self::ClientAborts, "a client goes away before the answer"),
        (Self::RequestRepeated, "a request is sent again"),
        (Self::BadBody, "a body is turned down"),
        (Self::DialFails, "a dial fails"),
        (Self::CheckFails, "a check fails"),
        (Self::DeliveryFails, "a webhook does not take a report"),
        (Self::FilesChange, "a watched file changes"),
        (Self::ReaderFallsOut, "a reader falls out of the window"),
        (Self::ReaderResumes, "a reader comes back and missed nothing"),
        (Self::ReaderOfAnotherRun, "a reader comes back to another run of the master"),
        (Self::StreamEnds, "the master ends a stream"),
        (Self::Shutdown, "the master is to shut down"),
        (Self::ShutdownTwice, "the master is to shut down at once"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds() {
        for (index, (fault, _)) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, index, "{fault:?}");
        }
    }
}
