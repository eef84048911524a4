//! The patterns that an instance has for the lines of its processes. The engine sees their results
//! only, as a trace does.

use alloc::string::String;

use super::checks::{Checks, Ready};
use crate::output::OutputBatch;
use crate::pattern::Pattern;

/// The patterns for the lines of one process.
#[derive(Clone, Debug)]
pub struct Marks {
    error: Option<Pattern>,
    ready: Option<Pattern>,
}

impl Marks {
    /// The patterns of an instance; `None` if it has none.
    pub fn of(checks: &Checks) -> Option<Self> {
        let pattern = |text: &String| Pattern::new(text).ok();
        let error = checks.error.as_ref().and_then(pattern);
        let ready = match &checks.ready {
            Some(Ready::Line(text)) => pattern(text),
            Some(Ready::After(_) | Ready::Target(_) | Ready::Notify) | None => None,
        };
        (error.is_some() || ready.is_some()).then_some(Self { error, ready })
    }

    /// Marks the lines of a process, batch by batch. Only the first line that says that it is ready
    /// is marked so.
    pub fn mark(&mut self, batch: &mut OutputBatch) {
        batch.mark(|line, text| {
            if let Some(error) = &self.error {
                line.is_error = error.is_in(text);
            }
            if self.ready.as_ref().is_some_and(|ready| ready.is_in(text)) {
                line.is_ready = true;
                self.ready = None;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{OutputItem, OutputParser};
    use alloc::vec::Vec;

    #[test]
    fn the_patterns_decide_and_one_line_makes_ready() {
        let checks = Checks {
            error: Some("^fatal".into()),
            ready: Some(Ready::Line("up".into())),
            ..Checks::default()
        };
        let mut marks = Marks::of(&checks).expect("it has patterns");
        let mut marked = |text: &str| -> Vec<(bool, bool)> {
            let mut batch = OutputParser::default().push(text.as_bytes());
            marks.mark(&mut batch);
            let mark = |item: &OutputItem| match item {
                OutputItem::Log(line) => Some((line.is_error, line.is_ready)),
                OutputItem::Checkpoint(_) => None,
            };
            batch.items.iter().filter_map(mark).collect()
        };
        let first = marked("an ERROR\nfatal: up\nup\n");
        assert_eq!(first, [(false, false), (true, true), (false, false)]);
        assert_eq!(marked("up\n"), [(false, false)]);
        assert!(Marks::of(&Checks::default()).is_none());
    }
}
