//! A part of a definition that few instances have: the others take no memory for it, and clones
//! share it.

use alloc::sync::Arc;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;

/// A value that is nearly always the default one.
#[derive(Clone, Default)]
pub struct Rare<T>(Option<Arc<T>>);

/// A type whose default value exists once.
pub trait Usual: Clone + PartialEq + 'static {
    /// The default value.
    fn usual() -> &'static Self;
}

impl<T: Usual> Rare<T> {
    /// Changes the value.
    pub fn edit(&mut self, edit: impl FnOnce(&mut T)) {
        let mut value = T::clone(self);
        edit(&mut value);
        *self = value.into();
    }
}

impl<T: Usual> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::usual(),
        }
    }
}

impl<T: Usual> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Self((value != *T::usual()).then(|| Arc::new(value)))
    }
}

impl<T: Usual> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Usual + Eq> Eq for Rare<T> {}

/// As the value itself.
impl<T: Usual + Hash> Hash for Rare<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

/// As the value itself.
impl<T: Usual + fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{Checks, Setup};

    #[test]
    fn the_usual_value_is_the_default_and_takes_no_memory() {
        assert_eq!(*Setup::usual(), Setup::default());
        assert_eq!(*Checks::usual(), Checks::default());
        let mut setup = Rare::from(Setup::default());
        assert!(setup.0.is_none() && setup == Rare::default());
        setup.edit(|setup| setup.clear_env = true);
        assert!(setup.0.is_some() && setup.clear_env && setup != Rare::default());
        setup.edit(|setup| setup.clear_env = false);
        assert!(setup.0.is_none());
    }
}
