//! What belongs to the outputs of a process: one thing for both, or one for each where standard
//! error has a pipe of its own.

/// One for standard output, and one for standard error if that has a pipe of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outputs<T> {
    /// Of standard output, or of both.
    pub(crate) stdout: T,
    /// `None` if both share one.
    pub(crate) stderr: Option<T>,
}

impl<T> Outputs<T> {
    /// One for both.
    pub(crate) const fn joined(stdout: T) -> Self {
        Self { stdout, stderr: None }
    }

    /// Those of a list, in this order; `None` if it is empty.
    pub(crate) fn of_list(list: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut list = list.into_iter();
        Some(Self { stdout: list.next()?, stderr: list.next() })
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.stdout).chain(&self.stderr)
    }

    /// The same by reference.
    pub(crate) const fn as_ref(&self) -> Outputs<&T> {
        Outputs { stdout: &self.stdout, stderr: self.stderr.as_ref() }
    }

    /// What `change` makes of each.
    pub(crate) fn map<U>(self, mut change: impl FnMut(T) -> U) -> Outputs<U> {
        Outputs { stdout: change(self.stdout), stderr: self.stderr.map(change) }
    }

    /// The same where that may fail.
    pub(crate) fn try_map<U, E>(
        self,
        mut change: impl FnMut(T) -> Result<U, E>,
    ) -> Result<Outputs<U>, E> {
        let stdout = change(self.stdout)?;
        Ok(Outputs { stdout, stderr: self.stderr.map(change).transpose()? })
    }
}
